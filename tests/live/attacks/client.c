/* SPDX-License-Identifier: MIT */
/*
 * In: what to ask for. Out: one request; the exit status is 1 if it passed, 0
 * if not. Must never ask for anything else: the same bytes are the allowed
 * program at one path and an attacker's own at another.
 *
 *	client [as COMM] [started] honest|attack NAME
 *	client send FD NAME	connect and send for ATTACK_PATH, read nothing
 *	client wait		do nothing until killed
 *
 * "as" names the process; "started" says "+" and asks after it read a byte.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

#define USAGE  2
#define FAILED 3

static int ask(const char *what, const char *name)
{
	struct attack a = { .name = name, .timeout_ms = 10000 };
	bool honest = strcmp(what, "honest") == 0;
	int answer;

	if (!honest && strcmp(what, "attack") != 0)
		return USAGE;
	answer = attack_ask(&a, honest ? HONEST_PATH : ATTACK_PATH);
	return answer < 0 ? FAILED : answer;
}

static int send_only(int fd, const char *name)
{
	struct attack a = { .name = name };

	return attack_connect(fd) < 0 || attack_send(&a, fd, ATTACK_PATH) < 0
		       ? FAILED
		       : 0;
}

int main(int argc, char **argv)
{
	char go;

	if (argc == 2 && strcmp(argv[1], "wait") == 0)
		for (;;)
			pause();
	if (argc == 4 && strcmp(argv[1], "send") == 0)
		return send_only(atoi(argv[2]), argv[3]);
	if (argc > 3 && strcmp(argv[1], "as") == 0) {
		prctl(PR_SET_NAME, argv[2]);
		argc -= 2;
		argv += 2;
	}
	if (argc > 2 && strcmp(argv[1], "started") == 0) {
		if (write(STDOUT_FILENO, "+", 1) != 1 ||
		    read(STDIN_FILENO, &go, 1) != 1)
			return FAILED;
		argc--;
		argv++;
	}
	return argc == 3 ? ask(argv[1], argv[2]) : USAGE;
}
