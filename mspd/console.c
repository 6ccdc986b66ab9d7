/* SPDX-License-Identifier: MIT */
/*
 * In: messages about how the agent comes up. Out: lines on the serial console
 * (spec 9.5), some in the log as well. Must never wait for a console, nor let a
 * text write on it anything but its own line.
 */
#include "mspd/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <msp/msp.h>

#include "mspd/log.h"
#include "mspd/text.h"

void mspd_console_init(struct mspd_console *console, const char *path)
{
	console->path = path;
	console->told = false;
	pthread_mutex_init(&console->lock, NULL);
}

void mspd_console_close(struct mspd_console *console)
{
	pthread_mutex_destroy(&console->lock);
}

/* Many machines have none that can be opened: said once. */
static void cannot_open(struct mspd_console *console, int err)
{
	if (!console->told)
		mspd_log(MSPD_WARN, "Failed to open serial console: %s: %s",
			 console->path, strerror(err));
	console->told = true;
}

/* In one piece, so that two messages do not mix. */
static void say_line(int fd, const char *text, size_t len)
{
	char line[MSPD_CONSOLE_LINE];
	char stamp[MSPD_TEXT_TIME];
	char head[128];
	struct mspd_text out;
	struct timespec now;
	ssize_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	mspd_text_time(stamp, now, ':');
	snprintf(head, sizeof(head), "%s azure-proxy-agent_%s(%d) - ", stamp,
		 msp_version(), (int)getpid());
	mspd_text_init(&out, line, sizeof(line) - 1);
	mspd_text_put(&out, head);
	mspd_text_line(&out, text, len);
	line[out.len++] = '\n';
	do {
		n = write(fd, line, out.len);
	} while (n < 0 && errno == EINTR);
}

static void say_lines(int fd, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\r\n");

		if (len)
			say_line(fd, text, len);
		text += len;
		text += strspn(text, "\r\n");
	}
}

void mspd_console_say(struct mspd_console *console, const char *text)
{
	int fd;

	if (!console->path[0])
		return;
	pthread_mutex_lock(&console->lock);
	/* O_NONBLOCK: opening may wait for a line to come up, and writing for
	 * one that is stopped; O_NOCTTY: a hang-up of it would end us */
	fd = open(console->path,
		  O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0) {
		say_lines(fd, text);
		close(fd);
	} else {
		cannot_open(console, errno);
	}
	pthread_mutex_unlock(&console->lock);
}

void mspd_console_start(struct mspd_console *console)
{
	struct utsname os = { .sysname = "" };
	char line[5 * sizeof(os.release)];

	uname(&os);
	snprintf(line, sizeof(line),
		 "============== GuestProxyAgent (%s) is starting on "
		 "Linux:%s-%s(%s), elapsed: 0",
		 msp_version(), os.sysname, os.release, os.machine);
	mspd_log(MSPD_INFO, "%s", line);
	mspd_console_say(console, line);
}

void mspd_console_event(struct mspd_console *console, const char *text,
			uint64_t ms)
{
	char line[MSPD_CONSOLE_LINE];
	struct mspd_text quoted;

	mspd_text_init(&quoted, line, sizeof(line));
	mspd_text_json(&quoted, text, sizeof(line));
	mspd_log(MSPD_INFO, "{\"elapsed\":%llu, \"message\":%s}",
		 (unsigned long long)ms, line);
	snprintf(line, sizeof(line), "%s - %llu", text, (unsigned long long)ms);
	mspd_console_say(console, line);
}
