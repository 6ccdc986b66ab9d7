/* SPDX-License-Identifier: MIT */
/*
 * In: a program that is in no file system. Out: a process that bears the
 * allowed program's name. Must never leave a file.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

#define HONEST_EACH 20

/* Each try a new one, named by the whole path or by its last part. */
static int make_program(const struct attack *a, const char *name)
{
	int from = open(a->client, O_RDONLY | O_CLOEXEC);
	int to = memfd_create(name, MFD_CLOEXEC);
	struct stat st;

	if (from < 0 || to < 0 || fstat(from, &st) < 0 ||
	    sendfile(to, from, NULL, (size_t)st.st_size) != st.st_size)
		attack_die("memfd");
	close(from);
	return to;
}

int main(int argc, char **argv)
{
	unsigned int number = 0;
	const char *base;
	struct attack a;
	pid_t pid;
	int fd;

	attack_open(&a, argc, argv);
	attack_honest_start(&a, ATTACK_DAEMON);
	attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	base = strrchr(a.allowed, '/') + 1;
	while (attack_more(&a)) {
		fd = make_program(&a, number & 1 ? a.allowed : base);
		pid = attack_fork();
		if (pid == 0) {
			char *args[] = { (char *)(uintptr_t)a.allowed,
					 (char *)(uintptr_t) "as",
					 (char *)(uintptr_t)base,
					 (char *)(uintptr_t) "attack",
					 (char *)(uintptr_t)a.name,
					 NULL };
			fexecve(fd, args, args + 5);
			attack_die("fexecve");
		}
		attack_try(&a, attack_wait_client(pid));
		close(fd);
		if (number++ % HONEST_EACH == 0)
			attack_honest_program(&a);
	}
	return attack_close(&a);
}
