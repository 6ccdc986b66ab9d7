/* SPDX-License-Identifier: MIT */
/*
 * In: the allowed program, run by the attacker under ptrace. Out: it asks for
 * what the attacker writes into its memory: a user's processes are at his
 * mercy, whatever they run. Must never be taken for a fault.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

#define ARG_START_FIELD 48

static const char told[] = "honest", wanted[] = "attack";
_Static_assert(sizeof(told) == sizeof(wanted), "one is written over the other");

/* Where its arguments lie, from /proc/PID/stat. */
static uint64_t arguments_of(pid_t pid)
{
	char path[64], text[2048];
	unsigned long long address = 0;
	const char *at;
	int field;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f || !fgets(text, sizeof(text), f))
		attack_die(path);
	fclose(f);
	at = strrchr(text, ')'); /* field 2; others hold no space */
	for (field = 2; at && field < ARG_START_FIELD; field++)
		at = strchr(at + 1, ' ');
	if (!at || sscanf(at, "%llu", &address) != 1)
		attack_die("arg_start");
	return address;
}

static void change_mind(const struct attack *a, pid_t pid)
{
	off_t at = (off_t)(arguments_of(pid) + strlen(a->allowed) + 1);
	char path[64], there[sizeof(told)];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, there, sizeof(there), at) != sizeof(there) ||
	    memcmp(there, told, sizeof(told)) != 0 ||
	    pwrite(fd, wanted, sizeof(wanted), at) != sizeof(wanted))
		attack_die(path);
	close(fd);
}

static int try_once(const struct attack *a)
{
	pid_t pid = attack_fork();
	int status;

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			attack_die("ptrace");
		execl(a->allowed, a->allowed, told, a->name, (char *)NULL);
		attack_die(a->allowed);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		attack_die("not stopped");
	change_mind(a, pid);
	if (ptrace(PTRACE_DETACH, pid, NULL, NULL) < 0)
		attack_die("detach");
	return attack_wait_client(pid);
}

int main(int argc, char **argv)
{
	struct attack a;

	attack_open(&a, argc, argv);
	attack_honest_start(&a, ATTACK_DAEMON);
	attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	while (attack_more(&a))
		attack_try(&a, try_once(&a));
	return attack_close(&a);
}
