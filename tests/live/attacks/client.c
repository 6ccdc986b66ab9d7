/* SPDX-License-Identifier: MIT */
/*
 * In: what to ask for. Out: requests, and the exit status 1 (passed) or 0.
 * Must never ask for anything else: the same bytes are the allowed program at
 * one path and an attacker's own at another.
 *
 *	client honest|attack NAME [COUNT]   ask; with COUNT says "TRIES PASSED"
 *	client wait				do nothing until killed
 *	client started honest|attack NAME	say "+", ask after a byte
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

static int ask(const char *what, const char *name)
{
	struct attack a = { .name = name, .timeout_ms = 10000 };
	enum attack_path path =
		strcmp(what, "attack") == 0 ? ATTACK_PATH : HONEST_PATH;

	return attack_ask(&a, path);
}

static int ask_often(const char *what, const char *name, unsigned long count)
{
	unsigned long i, passed = 0;

	for (i = 0; i < count; i++)
		passed += ask(what, name) == ATTACK_PASSED;
	printf("%lu %lu\n", count, passed);
	return passed ? ATTACK_PASSED : ATTACK_REFUSED;
}

/* Says that it runs, then waits for its turn. */
static int ask_later(const char *what, const char *name)
{
	char go;

	if (write(STDOUT_FILENO, "+", 1) != 1 ||
	    read(STDIN_FILENO, &go, 1) != 1)
		return 3;
	return ask(what, name);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "wait") == 0) {
		for (;;)
			pause();
	}
	if (argc == 4 && strcmp(argv[1], "started") == 0)
		return ask_later(argv[2], argv[3]) == ATTACK_PASSED;
	if (argc == 4)
		return ask_often(argv[1], argv[2], strtoul(argv[3], NULL, 10));
	if (argc == 3)
		return ask(argv[1], argv[2]) == ATTACK_PASSED;
	return 2;
}
