/* SPDX-License-Identifier: MIT */
/*
 * In: the table of system calls. Out: a process that has no others, and counts
 * who tries. Must never let one through, nor end for a forbidden one unless it
 * was asked to.
 */
#include "mspd/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "mspd/log.h"

#if defined(__x86_64__) && defined(__LP64__)
#define ARCH	       AUDIT_ARCH_X86_64
#define RESULT(around) (around)->uc_mcontext.gregs[REG_RAX]
#elif defined(__aarch64__)
#define ARCH	       AUDIT_ARCH_AARCH64
#define RESULT(around) (around)->uc_mcontext.regs[0]
#else
#define ARCH 0
#endif

/* Of siginfo_t.si_code; some C libraries do not name it. */
#define CAUSE_SECCOMP 1

static atomic_ullong forbidden;
static atomic_int last = -1;

uint64_t mspd_seccomp_forbidden(void)
{
	return atomic_load_explicit(&forbidden, memory_order_relaxed);
}

int mspd_seccomp_last(void)
{
	return atomic_load_explicit(&last, memory_order_relaxed);
}

void mspd_seccomp_report(void)
{
	static uint64_t reported;
	uint64_t now = mspd_seccomp_forbidden();

	if (now == reported)
		return;
	reported = now;
	mspd_log(MSPD_ERROR,
		 "forbidden system calls: %llu so far, the last was number %d",
		 (unsigned long long)now, mspd_seccomp_last());
}

#if ARCH
/* In whatever thread made the call, and wherever it was: it has not been made,
 * and its result is for us to say. Two stores, nothing else. */
static void on_forbidden(int number, siginfo_t *info, void *around)
{
	ucontext_t *context = around;

	(void)number;
	if (info->si_code != CAUSE_SECCOMP)
		return; /* somebody has sent it */
	atomic_fetch_add_explicit(&forbidden, 1, memory_order_relaxed);
	atomic_store_explicit(&last, info->si_syscall, memory_order_relaxed);
	RESULT(context) = -EPERM;
}

static int count_forbidden(void)
{
	struct sigaction action = { .sa_sigaction = on_forbidden,
				    .sa_flags = SA_SIGINFO | SA_RESTART };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	if (sigaction(SIGSYS, &action, NULL) < 0 ||
	    pthread_sigmask(SIG_UNBLOCK, &set, NULL) != 0)
		return -errno;
	return 0;
}

static int install(const struct sock_fprog *program)
{
	long rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			  SECCOMP_FILTER_FLAG_TSYNC, program);

	if (rc >= 0) /* a thread that has a filter of its own has none of it */
		return rc ? -EBUSY : 0;
	/* a service manager's filter may know one way and not the other */
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program) < 0 ? -errno
								       : 0;
}

static int enter(uint32_t mode)
{
	struct sock_filter code[MSPD_SECCOMP_CODE];
	struct sock_fprog program = { .filter = code };
	uint32_t forbid = SECCOMP_RET_TRAP;
	int rc;

	if (mode == MSPD_SECCOMP_KILL)
		forbid = SECCOMP_RET_KILL_PROCESS;
	program.len = (unsigned short)mspd_seccomp_code(
		code, ARCH, mspd_syscalls, mspd_n_syscalls, forbid);
	if (!program.len)
		return -E2BIG;
	rc = count_forbidden();
	return rc < 0 ? rc : install(&program);
}
#else
static int enter(uint32_t mode)
{
	(void)mode;
	return -ENOTSUP;
}
#endif

int mspd_seccomp_enter(uint32_t mode)
{
	return mode == MSPD_SECCOMP_OFF ? 0 : enter(mode);
}
