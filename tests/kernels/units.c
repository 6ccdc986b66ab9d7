/* SPDX-License-Identifier: MIT */
/*
 * In: unit test programs, and kernel modules they need. Out: a check for each
 * program, with what it said if it failed. Must never take a program that did
 * not run a test for one that passed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/kernels/guest.h"

#define MODULES	 "/modules"
#define PROGRAMS "/units"
#define OUTPUT	 "/tmp/unit.out"

static int run_unit(const char *path)
{
	char *argv[] = { (char *)path, NULL };
	/* an emulated machine is slow */
	char *envp[] = { (char *)"CK_TIMEOUT_MULTIPLIER=30", NULL };
	int status = -1, fd;
	pid_t pid = fork();

	if (pid == 0) {
		fd = open(OUTPUT, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		if (fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0 &&
		    dup2(fd, STDERR_FILENO) >= 0)
			execve(path, argv, envp);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return status;
}

static void check_unit(const char *name)
{
	static char text[65536];
	unsigned int cases = 0;
	char path[512];
	char *line;
	int status;

	snprintf(path, sizeof(path), PROGRAMS "/%s", name);
	unlink(OUTPUT);
	status = run_unit(path);
	if (read_file(OUTPUT, text, sizeof(text)) == 0) {
		line = strstr(text, "Checks: ");
		if (line)
			cases = (unsigned int)strtoul(line + 8, NULL, 10);
	}
	if (status != 0 || cases == 0)
		printf("%s\n", text);
	check(status == 0 && cases > 0, "%s, %u cases", name, cases);
}

static void load_module(const char *name)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), MODULES "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	check(syscall(SYS_finit_module, fd, "", 0) == 0, "module %s", name);
	close(fd);
}

/* Those of a folder, by name. */
static void each(const char *folder, void (*call)(const char *name))
{
	struct dirent **list;
	int i, n = scandir(folder, &list, NULL, alphasort);

	check(n > 2, "%s has something in it", folder);
	for (i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.')
			call(list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

void check_units(void)
{
	each(MODULES, load_module);
	each(PROGRAMS, check_unit);
}
