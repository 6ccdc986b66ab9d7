/* SPDX-License-Identifier: MIT */
/*
 * In: an agent that it is loaded into, and a PATH in FORBIDDEN. Out: when a
 * client has come, or a user is looked up, the calls that PATH-WHERE names are
 * made, once, PATH-WHERE.NAME tells with what error, and PATH-WHERE.done that
 * there are no more. Must never make other calls.
 */
#include <errno.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
/* ours takes any address */
#define accept4 accept4_of_libc
#include <sys/socket.h>
#undef accept4
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* Each would do no harm if it were let through. */
static const struct {
	const char *name;
	long number;
	long args[6];
} calls[] = {
	{ "execve", SYS_execve, { 0, 0, 0 } },
	{ "execveat", SYS_execveat, { -1, 0, 0, 0, 0 } },
	{ "ptrace", SYS_ptrace, { PTRACE_PEEKDATA, 0, 0, 0 } },
	{ "process_vm_readv", SYS_process_vm_readv, { 0, 0, 0, 0, 0, 0 } },
	{ "unshare", SYS_unshare, { 0 } },
	{ "setns", SYS_setns, { -1, 0 } },
	{ "mount", SYS_mount, { 0, 0, 0, 0, 0 } },
	{ "setresuid", SYS_setresuid, { -1, -1, -1 } },
	{ "capset", SYS_capset, { 0, 0 } },
	{ "seccomp", SYS_seccomp, { 0, 1, 0 } },
	{ "keyctl", SYS_keyctl, { 0, 0, 0, 0, 0 } },
	{ "init_module", SYS_init_module, { 0, 0, 0 } },
	{ "perf_event_open", SYS_perf_event_open, { 0, 0, -1, -1, 0 } },
	/* neither makes sense to the kernel */
	{ "fork", SYS_clone, { CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0 } },
	{ "space",
	  SYS_clone,
	  { CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
		    CLONE_NEWUSER,
	    0, 0, 0, 0 } },
	{ "packet", SYS_socket, { AF_PACKET, SOCK_DGRAM, 0 } },
	{ "raw", SYS_socket, { AF_INET, SOCK_RAW, 1 } },
	{ "dumpable", SYS_prctl, { PR_SET_DUMPABLE, 1, 0, 0, 0 } },
	{ "pin", SYS_bpf, { 6, 0, 0 } },
	{ "limit", SYS_prlimit64, { 0, RLIMIT_CORE, 1, 0 } },
	{ "written",
	  SYS_mmap,
	  { 0, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	    0 } },
	{ "blank",
	  SYS_mmap,
	  { 0, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 } },
	{ "code", SYS_mprotect, { 0, 0, PROT_READ | PROT_EXEC } },
	{ "handler", SYS_rt_sigaction, { SIGSYS, 0, 0, 8 } },
	{ "signal", SYS_tgkill, { 0, 0, SIGTERM } },
#ifdef SYS_fork
	{ "x32", 0x40000000 | SYS_getpid, { 0 } },
#endif
};

EXPORT int accept4(int fd, void *addr, unsigned int *len, int flags);

static void tell(const char *path, const char *name, int error)
{
	char beside[4224];
	FILE *f;

	snprintf(beside, sizeof(beside), "%s.%s", path, name);
	f = fopen(beside, "we");
	if (!f)
		return;
	fprintf(f, "%d", error);
	fclose(f);
}

/* With all signals blocked, as far as the C library can. */
static int spawn(void)
{
	char *none[] = { NULL };
	pid_t pid;

	return posix_spawn(&pid, "/none", NULL, NULL, none, none);
}

static void make(const char *path, const char *name)
{
	size_t i;

	if (strcmp(name, "spawn") == 0)
		tell(path, name, spawn());
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		const long *a = calls[i].args;

		if (strcmp(calls[i].name, name) != 0)
			continue;
		errno = 0;
		if (syscall(calls[i].number, a[0], a[1], a[2], a[3], a[4],
			    a[5]) >= 0)
			errno = 0;
		tell(path, name, errno);
	}
}

static void look(const char *where)
{
	const char *base = getenv("FORBIDDEN");
	char path[4096], ours[4200], name[64];
	FILE *f;

	if (!base)
		return;
	snprintf(path, sizeof(path), "%s-%s", base, where);
	snprintf(ours, sizeof(ours), "%s.taken", path);
	if (rename(path, ours) < 0)
		return; /* or by another thread */
	f = fopen(ours, "re");
	if (!f)
		return;
	while (fscanf(f, "%63s", name) == 1)
		make(path, name);
	fclose(f);
	tell(path, "done", 0);
}

/* In the thread of the loop. */
int accept4(int fd, void *addr, unsigned int *len, int flags)
{
	look("loop");
	return (int)syscall(SYS_accept4, fd, addr, len, flags);
}

/* In a worker, for whoever looks a user up; what follows is as if this user
 * were not in the database. */
EXPORT int getpwuid_r(uid_t uid, struct passwd *out, char *buffer, size_t size,
		      struct passwd **result);

int getpwuid_r(uid_t uid, struct passwd *out, char *buffer, size_t size,
	       struct passwd **result)
{
	(void)uid;
	(void)out;
	(void)buffer;
	(void)size;
	look("worker");
	*result = NULL;
	return 0;
}
