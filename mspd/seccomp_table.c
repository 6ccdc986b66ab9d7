/* SPDX-License-Identifier: MIT */
/*
 * In: nothing. Out: the system calls of a started agent, and why. Must never
 * hold one that starts a program, enters another namespace or reaches into
 * another process.
 *
 * What is here was found by tracing every agent of the live suite ("make
 * syscalls"), and read; "reviewed" says what was added, and why that was not
 * seen. x86-64 has older forms of some calls, which glibc prefers there.
 */
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "mspd/seccomp.h"

/* Headers of older systems do not have them. */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef __NR_faccessat2
#define __NR_faccessat2 439
#endif
#ifndef __NR_clone3
#define __NR_clone3 435
#endif
#ifndef __NR_epoll_pwait2
#define __NR_epoll_pwait2 441
#endif

#define ALL	 UINT32_MAX
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define IS(arg, value)                                                         \
	{                                                                      \
		arg, 0, 0, MSPD_CALL_ALLOW, ALL, value                         \
	}
#define NOT(arg, mask, value)                                                  \
	{                                                                      \
		arg, 0, 0, MSPD_CALL_FORBID, mask, value                       \
	}
#define UNLESS(arg, upper, value)                                              \
	{                                                                      \
		arg, upper, 1, MSPD_CALL_FORBID, ALL, value                    \
	}
#define CALL(name)                                                             \
	{                                                                      \
		__NR_##name, 0, NULL, MSPD_CALL_ALLOW                          \
	}
#define ABSENT(name)                                                           \
	{                                                                      \
		__NR_##name, 0, NULL, MSPD_CALL_ABSENT                         \
	}
/* Forbidden unless a test allows it. */
#define ONLY(name, tests)                                                      \
	{                                                                      \
		__NR_##name, COUNT(tests), tests, MSPD_CALL_FORBID             \
	}
/* Likewise, where no signal can be waited for. */
#define ONLY_BLOCKED(name, tests)                                              \
	{                                                                      \
		__NR_##name, COUNT(tests), tests, MSPD_CALL_REFUSE             \
	}
/* Allowed unless a test forbids it. */
#define BUT(name, tests)                                                       \
	{                                                                      \
		__NR_##name, COUNT(tests), tests, MSPD_CALL_ALLOW              \
	}

/* INET: clients and the host. INET6: whose a connection of a client was.
 * NETLINK: the search for connections that bypass us, and glibc's for the
 * addresses of this machine. UNIX: service manager, journal, name services.
 * Raw ones are of NETLINK only. */
#define SOCKET_TYPE 15
static const struct mspd_call_test socket_tests[] = {
	IS(0, AF_NETLINK),	 NOT(1, SOCKET_TYPE, SOCK_RAW),
	NOT(1, SOCKET_TYPE, 10), /* SOCK_PACKET */
	IS(0, AF_INET),		 IS(0, AF_UNIX),
	IS(0, AF_INET6),
};
static const struct mspd_call_test pair_tests[] = { IS(0, AF_UNIX) };

/* Programs, maps and links of our own; none by somebody else's number, none
 * pinned in a file system. */
static const struct mspd_call_test bpf_tests[] = {
	IS(0, BPF_MAP_LOOKUP_ELEM), IS(0, BPF_MAP_UPDATE_ELEM),
	IS(0, BPF_MAP_DELETE_ELEM), IS(0, BPF_MAP_GET_NEXT_KEY),
	IS(0, BPF_PROG_TEST_RUN),   IS(0, BPF_MAP_CREATE),
	IS(0, BPF_MAP_FREEZE),	    IS(0, BPF_PROG_LOAD),
	IS(0, BPF_BTF_LOAD),	    IS(0, BPF_PROG_BIND_MAP),
	IS(0, BPF_LINK_CREATE),	    IS(0, BPF_LINK_UPDATE),
	IS(0, BPF_LINK_DETACH),	    IS(0, BPF_OBJ_GET_INFO_BY_FD),
};

/* A thread of this process, in no other namespace. posix_spawn(3), as a module
 * of the name services may use it, blocks all signals before it tries. */
#define THREAD                                                                 \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define SPACES                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |         \
	 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
static const struct mspd_call_test clone_tests[] = {
	{ 0, 0, 0, MSPD_CALL_ALLOW, THREAD | SPACES | CLONE_PTRACE, THREAD },
};

/* Libraries that name services are made of come later, from files. Memory that
 * may be written to, or was, does not become code; a file may, also one that
 * was written here, or is in memory: the kernel shows a filter no files. Who
 * can have calls made can write through /proc/self/mem, too. It makes it harder
 * to get that far. */
static const struct mspd_call_test mmap_tests[] = {
	{ 2, 0, 0, MSPD_CALL_ALLOW, PROT_EXEC, 0 },
	NOT(2, PROT_WRITE, PROT_WRITE),
	NOT(3, MAP_ANONYMOUS, MAP_ANONYMOUS),
};
static const struct mspd_call_test mprotect_tests[] = {
	NOT(2, PROT_EXEC, PROT_EXEC),
};

/* What is read, and the names of memory and threads; libcap asks for the
 * bounding set whenever something loads it. */
static const struct mspd_call_test prctl_tests[] = {
	IS(0, PR_SET_NAME),	IS(0, PR_GET_NAME),
	IS(0, PR_SET_VMA),	IS(0, PR_CAPBSET_READ),
	IS(0, PR_GET_DUMPABLE), IS(0, PR_GET_NO_NEW_PRIVS),
};

/* Limits of this process are read. That of locked memory may be set, within
 * what there may be: libbpf raises it where it is not sure of the kernel. */
static const struct mspd_call_test prlimit_tests[] = {
	UNLESS(0, 0, 0),
	IS(1, RLIMIT_MEMLOCK),
	UNLESS(2, 0, 0),
	UNLESS(2, 1, 0),
};

/* Bytes that wait; is it a terminal, as older and newer C libraries ask; do not
 * block. */
#define TERMINAL_GET  0x5401
#define TERMINAL_GET2 0x802c542a
#define NONBLOCKING   0x5421
#define WAITING	      0x541b
static const struct mspd_call_test ioctl_tests[] = {
	IS(1, WAITING),
	IS(1, NONBLOCKING),
	IS(1, TERMINAL_GET),
	IS(1, TERMINAL_GET2),
};

/* Our handler stays. */
static const struct mspd_call_test action_tests[] = { NOT(0, ALL, SIGSYS) };

/* The end by abort(3). */
static const struct mspd_call_test tgkill_tests[] = { IS(2, SIGABRT) };

const struct mspd_syscall mspd_syscalls[] = {
	/* the event loop, and its clients and hosts */
	CALL(epoll_create1),
	CALL(epoll_ctl),
	CALL(epoll_pwait),
	CALL(ppoll),
	CALL(eventfd2),
	CALL(signalfd4),
	CALL(accept4),
	CALL(bind),
	CALL(connect),
	CALL(getpeername),
	CALL(getsockname),
	CALL(getsockopt),
	CALL(setsockopt),
	CALL(listen),
	CALL(recvfrom),
	CALL(recvmsg),
	CALL(sendmsg),
	CALL(sendto),
	CALL(shutdown),
	ONLY(socket, socket_tests),
	ONLY(socketpair, pair_tests),
	ONLY(ioctl, ioctl_tests),
	/* files: configuration, keys, logs, records, what /proc says */
	CALL(close),
	CALL(faccessat),
	CALL(faccessat2),
	CALL(fchmod),
	CALL(fchmodat),
	CALL(fcntl),
	CALL(fdatasync),
	CALL(flock),
	CALL(fstat),
	CALL(fstatfs),
	CALL(fsync),
	CALL(ftruncate),
	CALL(getcwd),
	CALL(getdents64),
	CALL(lseek),
	CALL(mkdirat),
	CALL(newfstatat),
	CALL(openat),
	CALL(openat2),
	CALL(pread64),
	CALL(read),
	CALL(readlinkat),
	CALL(renameat),
	CALL(renameat2),
	CALL(umask),
	CALL(unlinkat),
	CALL(utimensat),
	CALL(write),
	CALL(writev),
	/* paths of cgroups, by their number */
	CALL(open_by_handle_at),
	/* the programs, and the memory that is shared with them */
	ONLY(bpf, bpf_tests),
	CALL(memfd_create),
	/* memory; the pages of keys are locked and in no dump */
	CALL(brk),
	CALL(madvise),
	CALL(mlock),
	BUT(mmap, mmap_tests),
	BUT(mprotect, mprotect_tests),
	CALL(mremap),
	CALL(munmap),
	/* threads; of clone3(2) nothing can be told: glibc then uses clone(2)
	 */
	ONLY_BLOCKED(clone, clone_tests),
	ABSENT(clone3),
	CALL(exit),
	CALL(exit_group),
	CALL(futex),
	CALL(restart_syscall),
	CALL(rseq),
	CALL(set_robust_list),
	CALL(set_tid_address),
	BUT(rt_sigaction, action_tests),
	CALL(rt_sigprocmask),
	CALL(rt_sigreturn),
	ONLY(tgkill, tgkill_tests),
	/* who and where this process is, and random numbers */
	CALL(getegid),
	CALL(geteuid),
	CALL(getgid),
	CALL(getpid),
	CALL(getrandom),
	CALL(gettid),
	CALL(getuid),
	CALL(sysinfo),
	CALL(uname),
	ONLY(prctl, prctl_tests),
	BUT(prlimit64, prlimit_tests),
	/* Reviewed: the clock, where the kernel does not answer in user space
	 * (clock sources of some hypervisors); strace slows nothing into it. */
	CALL(clock_getres),
	CALL(clock_gettime),
	CALL(gettimeofday),
	/* Reviewed: what glibc and its allocator do when memory is short or
	 * much, and what newer releases use in place of what was seen. */
	CALL(dup),
	CALL(dup3),
	CALL(getcpu),
	CALL(munlock),
	CALL(sched_getaffinity),
	CALL(sched_yield),
	CALL(sigaltstack),
	CALL(statfs),
	CALL(statx),
	CALL(clock_nanosleep),
	CALL(nanosleep),
	CALL(get_robust_list),
	/* Reviewed: name services that an administrator chose (sssd, systemd,
	 * LDAP, winbind). They ask a daemon over a socket or read a file it
	 * maps, and wait with timers of their own; what needs more than this
	 * (a program, another user) belongs into such a daemon. */
	CALL(getgroups),
	CALL(getppid),
	CALL(getresuid),
	CALL(getresgid),
	CALL(pselect6),
	CALL(sendmmsg),
	CALL(recvmmsg),
	CALL(readv),
	CALL(pwrite64),
	CALL(timerfd_create),
	CALL(timerfd_settime),
	CALL(timerfd_gettime),
	CALL(pipe2),
	ABSENT(epoll_pwait2), /* they then use epoll_pwait(2) */
#ifdef __x86_64__
	/* older forms */
	CALL(access),
	CALL(arch_prctl),
	CALL(epoll_wait),
	CALL(lstat),
	CALL(mkdir),
	CALL(open),
	CALL(poll),
	CALL(readlink),
	CALL(rename),
	CALL(rmdir),
	CALL(select),
	CALL(stat),
	CALL(time),
	CALL(unlink),
#endif
};

const size_t mspd_n_syscalls = COUNT(mspd_syscalls);
