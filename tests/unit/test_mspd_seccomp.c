/* SPDX-License-Identifier: MIT */
/*
 * In: tables of system calls. Out: whether their filters, run as the kernel
 * would, let through what is in the table and nothing else.
 */
#include <check.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/bpf_common.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mspd/privilege.h"
#include "mspd/seccomp.h"

#define ARCH   AUDIT_ARCH_X86_64
#define FORBID SECCOMP_RET_TRAP
#define SILENT (SECCOMP_RET_ERRNO | EPERM)
#define ABSENT (SECCOMP_RET_ERRNO | ENOSYS)

static struct sock_filter code[MSPD_SECCOMP_CODE];
static size_t length;

static uint32_t load(const struct seccomp_data *data, uint32_t at)
{
	uint32_t word;

	ck_assert_uint_eq(at % 4, 0);
	ck_assert_uint_le(at + sizeof(word), sizeof(*data));
	memcpy(&word, (const char *)data + at, sizeof(word));
	return word;
}

/* As the kernel would; it must end, and within the code. */
static uint32_t run(const struct seccomp_data *data)
{
	uint32_t a = 0;
	size_t i = 0;

	for (;;) {
		const struct sock_filter *f = &code[i++];

		ck_assert_uint_le(i, length);
		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = load(data, f->k);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f->k;
			break;
		case BPF_JMP | BPF_JA:
			i += f->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			i += a == f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			i += a >= f->k ? f->jt : f->jf;
			break;
		case BPF_RET | BPF_K:
			return f->k;
		default:
			ck_abort_msg("code %x", f->code);
		}
	}
}

static uint32_t ask(uint32_t number, uint64_t a, uint64_t b, uint64_t c,
		    uint64_t d)
{
	struct seccomp_data data = { .nr = (int)number,
				     .arch = ARCH,
				     .args = { a, b, c, d } };

	return run(&data);
}

static void compile(const struct mspd_syscall *calls, size_t n)
{
	length = mspd_seccomp_code(code, ARCH, calls, n, FORBID);
	ck_assert_uint_gt(length, 0);
}

static void compile_ours(void)
{
	compile(mspd_syscalls, mspd_n_syscalls);
}

START_TEST(seccomp_finds_each_call_in_tables_of_all_sizes)
{
	struct mspd_syscall calls[MSPD_SECCOMP_CALLS];
	uint32_t number;
	size_t n, i;

	for (n = 1; n <= MSPD_SECCOMP_CALLS; n += n < 20 ? 1 : 59) {
		for (i = 0; i < n; i++) /* odd ones, the last first */
			calls[i] = (struct mspd_syscall){
				.number = (uint32_t)(2 * (n - i) - 1),
				.otherwise = MSPD_CALL_ALLOW,
			};
		compile(calls, n);
		for (number = 0; number < 2 * n + 2; number++)
			ck_assert_uint_eq(ask(number, 0, 0, 0, 0),
					  number % 2 && number < 2 * n
						  ? SECCOMP_RET_ALLOW
						  : FORBID);
	}
}
END_TEST

START_TEST(seccomp_refuses_tables_that_are_too_large)
{
	static const struct mspd_call_test test;
	static struct mspd_syscall calls[MSPD_SECCOMP_CALLS + 1];
	struct mspd_call_test tests[MSPD_SECCOMP_CODE / 3];
	struct mspd_syscall one = { 0, 1, &test, MSPD_CALL_ALLOW };

	ck_assert_uint_eq(mspd_seccomp_code(code, ARCH, calls, 0, FORBID), 0);
	ck_assert_uint_eq(mspd_seccomp_code(code, ARCH, calls,
					    MSPD_SECCOMP_CALLS + 1, FORBID),
			  0);
	memset(tests, 0, sizeof(tests));
	one.tests = tests;
	one.n_tests = sizeof(tests) / sizeof(tests[0]);
	ck_assert_uint_eq(mspd_seccomp_code(code, ARCH, &one, 1, FORBID), 0);
}
END_TEST

START_TEST(seccomp_ends_what_calls_by_other_numbers)
{
	struct seccomp_data data = { .nr = SYS_read, .arch = ARCH };

	compile_ours();
	ck_assert_uint_eq(run(&data), SECCOMP_RET_ALLOW);
	data.nr |= 0x40000000; /* x32 */
	ck_assert_uint_eq(run(&data), FORBID);
	data.nr = SYS_read;
	data.arch = AUDIT_ARCH_I386;
	ck_assert_uint_eq(run(&data), SECCOMP_RET_KILL_PROCESS);
}
END_TEST

START_TEST(seccomp_table_has_each_call_once)
{
	size_t i, j;

	for (i = 0; i < mspd_n_syscalls; i++)
		for (j = 0; j < i; j++)
			ck_assert_uint_ne(mspd_syscalls[i].number,
					  mspd_syscalls[j].number);
}
END_TEST

#define MAYBE SECCOMP_RET_ALLOW
#define THREAD                                                                 \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)

static const struct {
	uint32_t number;
	uint64_t args[4];
	uint32_t wanted;
} asked[] = {
	{ SYS_socket, { AF_INET, SOCK_STREAM | SOCK_CLOEXEC }, MAYBE },
	{ SYS_socket, { AF_UNIX, SOCK_DGRAM }, MAYBE },
	{ SYS_socket, { AF_NETLINK, SOCK_RAW, 4 }, MAYBE },
	{ SYS_socket, { AF_INET6, SOCK_RAW | SOCK_NONBLOCK }, FORBID },
	{ SYS_socket, { AF_INET, 10 }, FORBID },
	{ SYS_socket, { AF_PACKET, SOCK_DGRAM }, FORBID },
	{ SYS_socket, { AF_VSOCK, SOCK_STREAM }, FORBID },
	{ SYS_socketpair, { AF_INET }, FORBID },
	{ SYS_clone, { THREAD | CLONE_SETTLS }, MAYBE },
	{ SYS_clone, { SIGCHLD }, SILENT },
	{ SYS_clone, { THREAD | CLONE_NEWUSER }, SILENT },
	{ SYS_clone, { THREAD & ~(uint64_t)CLONE_FILES }, SILENT },
	{ SYS_clone, { CLONE_VM | CLONE_VFORK | SIGCHLD }, SILENT },
	{ SYS_clone3, { 0 }, ABSENT },
	{ SYS_mmap, { 0, 1, PROT_READ | PROT_WRITE, MAP_ANONYMOUS }, MAYBE },
	{ SYS_mmap, { 0, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE }, MAYBE },
	{ SYS_mmap, { 0, 1, PROT_WRITE | PROT_EXEC, MAP_PRIVATE }, FORBID },
	{ SYS_mmap, { 0, 1, PROT_EXEC, MAP_ANONYMOUS }, FORBID },
	{ SYS_mprotect, { 0, 1, PROT_READ }, MAYBE },
	{ SYS_mprotect, { 0, 1, PROT_EXEC }, FORBID },
	{ SYS_bpf, { 5 }, MAYBE },
	{ SYS_bpf, { 6 /* BPF_OBJ_PIN */ }, FORBID },
	{ SYS_bpf, { 13 /* BPF_PROG_GET_FD_BY_ID */ }, FORBID },
	{ SYS_prctl, { PR_SET_NAME }, MAYBE },
	{ SYS_prctl, { PR_SET_DUMPABLE, 1 }, FORBID },
	{ SYS_prctl, { PR_SET_PTRACER, 1 }, FORBID },
	{ SYS_prlimit64, { 0, RLIMIT_CORE, 0 }, MAYBE },
	{ SYS_prlimit64, { 0, RLIMIT_CORE, 8 }, FORBID },
	{ SYS_prlimit64, { 0, RLIMIT_CORE, UINT64_C(1) << 32 }, FORBID },
	{ SYS_prlimit64, { 0, RLIMIT_MEMLOCK, 8 }, MAYBE },
	{ SYS_prlimit64, { 1, RLIMIT_MEMLOCK, 0 }, FORBID },
	{ SYS_ioctl, { 0, 0x541b }, MAYBE },
	{ SYS_ioctl, { 0, 0x5412 /* TIOCSTI */ }, FORBID },
	{ SYS_rt_sigaction, { SIGPIPE }, MAYBE },
	{ SYS_rt_sigaction, { SIGSYS }, FORBID },
	{ SYS_tgkill, { 1, 1, SIGABRT }, MAYBE },
	{ SYS_tgkill, { 1, 1, SIGKILL }, FORBID },
	{ SYS_kill, { 1, SIGKILL }, FORBID },
	{ SYS_execve, { 0 }, FORBID },
	{ SYS_execveat, { 0 }, FORBID },
	{ SYS_ptrace, { 0 }, FORBID },
	{ SYS_process_vm_readv, { 0 }, FORBID },
	{ SYS_process_vm_writev, { 0 }, FORBID },
	{ SYS_setns, { 0 }, FORBID },
	{ SYS_unshare, { 0 }, FORBID },
	{ SYS_mount, { 0 }, FORBID },
	{ SYS_setresuid, { 0 }, FORBID },
	{ SYS_capset, { 0 }, FORBID },
	{ SYS_seccomp, { 0 }, FORBID },
	{ SYS_io_uring_setup, { 0 }, FORBID },
	{ SYS_userfaultfd, { 0 }, FORBID },
	{ SYS_keyctl, { 0 }, FORBID },
	{ SYS_perf_event_open, { 0 }, FORBID },
	{ SYS_init_module, { 0 }, FORBID },
	{ SYS_kexec_load, { 0 }, FORBID },
	{ 100000, { 0 }, FORBID },
};

START_TEST(seccomp_table_looks_at_arguments)
{
	const uint64_t *a = asked[_i].args;

	compile_ours();
	ck_assert_msg(ask(asked[_i].number, a[0], a[1], a[2], a[3]) ==
			      asked[_i].wanted,
		      "row %d, call %u", _i, asked[_i].number);
}
END_TEST

START_TEST(seccomp_ends_all_that_is_forbidden_if_told_so)
{
	size_t i;

	length = mspd_seccomp_code(code, ARCH, mspd_syscalls, mspd_n_syscalls,
				   SECCOMP_RET_KILL_PROCESS);
	for (i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		const uint64_t *a = asked[i].args;
		uint32_t wanted = asked[i].wanted;

		if (wanted == FORBID || wanted == SILENT)
			wanted = SECCOMP_RET_KILL_PROCESS;
		ck_assert_uint_eq(ask(asked[i].number, a[0], a[1], a[2], a[3]),
				  wanted);
	}
}
END_TEST

static void *filter_itself(void *arg)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { .len = 1, .filter = &all };

	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program),
			 0);
	pthread_barrier_wait(arg);
	pause();
	return NULL;
}

START_TEST(seccomp_of_one_thread_only_is_an_error)
{
	pthread_barrier_t barrier;
	pthread_t thread;

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	pthread_barrier_init(&barrier, NULL, 2);
	ck_assert_int_eq(pthread_create(&thread, NULL, filter_itself, &barrier),
			 0);
	pthread_barrier_wait(&barrier);
	ck_assert_int_eq(mspd_seccomp_enter(MSPD_SECCOMP_ENFORCE), -EBUSY);
}
END_TEST

START_TEST(privilege_of_a_low_port_is_kept_for_one)
{
	struct msp_address at = { .ip = 0x0100007f, .port = 3080 };
	uint64_t high = mspd_privilege_needed(&at);

	ck_assert_uint_eq(high, 1 << 12 | 1 << 19 | 1 << 2 | UINT64_C(1) << 38 |
					UINT64_C(1) << 39);
	at.port = 1023;
	ck_assert_uint_eq(mspd_privilege_needed(&at), high | 1 << 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("seccomp");
	TCase *tcase = tcase_create("seccomp");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, seccomp_finds_each_call_in_tables_of_all_sizes);
	tcase_add_test(tcase, seccomp_refuses_tables_that_are_too_large);
	tcase_add_test(tcase, seccomp_ends_what_calls_by_other_numbers);
	tcase_add_test(tcase, seccomp_table_has_each_call_once);
	tcase_add_loop_test(tcase, seccomp_table_looks_at_arguments, 0,
			    sizeof(asked) / sizeof(asked[0]));
	tcase_add_test(tcase, seccomp_ends_all_that_is_forbidden_if_told_so);
	tcase_add_test(tcase, seccomp_of_one_thread_only_is_an_error);
	tcase_add_test(tcase, privilege_of_a_low_port_is_kept_for_one);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
