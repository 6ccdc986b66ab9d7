/* SPDX-License-Identifier: MIT */
/*
 * In: how the agent is. Out: READY, STATUS, WATCHDOG and STOPPING for the
 * service manager. Must never wait for it, nor say that all is well while a
 * part of the agent is stuck.
 */
#include "mspd/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 10000
/* Between two looks: while much happens, and later, with some time to be late
 * in. A look costs a lock and the comparison of a line. */
#define EARLY_MS 250
#define LATE_MS	 4500

struct mspd_notify {
	struct mspd_loop *loop;
	struct mspd_notify_opts opts;
	struct mspd_timer timer;
	int fd; /* -1: nobody wants to know */
	struct sockaddr_un to;
	socklen_t to_len;
	uint64_t watchdog_ms; /* 0: there is none */
	uint64_t patient_until;
	bool ready;    /* or out of patience */
	bool told;     /* the service manager knows */
	bool stopping; /* likewise, from here on */
	bool stop_told;
	char text[MSPD_NOTIFY_TEXT]; /* what STATUS= said last */
};

/* ---- the environment --------------------------------------------------- */

int mspd_notify_address(const char *name, struct sockaddr_un *out,
			socklen_t *out_len)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 ||
	    len >= sizeof(out->sun_path))
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	memcpy(out->sun_path, name, len);
	*out_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (name[0] == '@')
		out->sun_path[0] = '\0'; /* abstract: ends with the length */
	else
		(*out_len)++;
	return 0;
}

/* A decimal number above 0 and nothing else; 0: it is not one. */
static uint64_t read_number(const char *text)
{
	unsigned long long value;
	char *end;

	if (!text || text[0] < '0' || text[0] > '9')
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	return errno || *end ? 0 : value;
}

/* WATCHDOG_PID is another one's if it was only inherited. */
static uint64_t read_watchdog(void)
{
	const char *pid = getenv("WATCHDOG_PID");
	uint64_t ms = read_number(getenv("WATCHDOG_USEC")) / 1000;

	if (pid && read_number(pid) != (uint64_t)getpid())
		return 0;
	return ms;
}

/* ---- sending ----------------------------------------------------------- */

/* The buffer of the service manager may be full while a machine boots. */
static bool send_text(const struct mspd_notify *n, const char *text)
{
	return sendto(n->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		      (const struct sockaddr *)&n->to, n->to_len) >= 0;
}

/* A line break would begin another message: "STATUS=x\nERRNO=5". */
static void describe(const struct mspd_notify *n, char *out)
{
	unsigned char *at;

	out[0] = '\0';
	n->opts.describe(n->opts.arg, out, MSPD_NOTIFY_TEXT);
	for (at = (unsigned char *)out; *at; at++)
		if (*at < ' ' || *at == 0x7f)
			*at = ' ';
}

static void say_state(struct mspd_notify *n)
{
	char message[MSPD_NOTIFY_TEXT + 64], text[MSPD_NOTIFY_TEXT];
	bool tell_ready = n->ready && !n->told;
	bool tell_stop = n->stopping && !n->stop_told;

	describe(n, text);
	if (!tell_ready && !tell_stop && strcmp(text, n->text) == 0)
		return;
	snprintf(message, sizeof(message), "%s%sSTATUS=%s\n",
		 tell_ready ? "READY=1\n" : "", tell_stop ? "STOPPING=1\n" : "",
		 text);
	if (!send_text(n, message))
		return; /* the next look says it again */
	n->told |= tell_ready;
	n->stop_told |= tell_stop;
	memcpy(n->text, text, sizeof(text));
}

static uint64_t pause_ms(const struct mspd_notify *n, uint64_t now)
{
	bool early = now < n->patient_until || !n->told ||
		     n->stopping != n->stop_told;
	uint64_t ms = early ? EARLY_MS : LATE_MS;

	if (n->watchdog_ms && n->watchdog_ms / 2 < ms)
		ms = n->watchdog_ms / 2;
	return ms ? ms : 1;
}

/* Sent from here only: a loop that is stuck tells the watchdog nothing. */
static void look(void *arg)
{
	struct mspd_notify *n = arg;
	uint64_t now = mspd_loop_now(n->loop).boot_ms;

	if (n->opts.tick)
		n->opts.tick(n->opts.arg);
	if (now >= n->patient_until)
		n->ready = true;
	say_state(n);
	if (n->watchdog_ms && n->opts.alive(n->opts.arg, n->watchdog_ms / 2))
		send_text(n, "WATCHDOG=1\n");
	mspd_loop_timer(n->loop, &n->timer, now + pause_ms(n, now));
}

/* ---- from outside ------------------------------------------------------ */

static int open_socket(struct mspd_notify *n, const char *name)
{
	int err = mspd_notify_address(name, &n->to, &n->to_len);

	if (err < 0)
		return err;
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return n->fd < 0 ? -errno : 0;
}

int mspd_notify_new(struct mspd_notify **out, struct mspd_loop *loop,
		    const struct mspd_notify_opts *opts)
{
	const char *name = getenv("NOTIFY_SOCKET");
	uint64_t now = mspd_loop_now(loop).boot_ms;
	struct mspd_notify *n = calloc(1, sizeof(*n));
	int err = 0;

	*out = NULL;
	if (!n)
		return -ENOMEM;
	n->loop = loop;
	n->opts = *opts;
	n->fd = -1;
	n->timer.call = look;
	n->timer.arg = n;
	if (name && name[0])
		err = open_socket(n, name);
	if (err < 0) {
		mspd_notify_free(n);
		return err;
	}
	if (n->fd >= 0) {
		n->watchdog_ms = read_watchdog();
		n->patient_until = now + (opts->patience_ms ? opts->patience_ms
							    : PATIENCE_MS);
		mspd_loop_timer(loop, &n->timer, now);
	}
	*out = n;
	return 0;
}

void mspd_notify_ready(struct mspd_notify *notify)
{
	if (!notify)
		return;
	notify->ready = true;
	if (notify->fd >= 0)
		look(notify);
}

void mspd_notify_stopping(struct mspd_notify *notify)
{
	if (!notify)
		return;
	notify->stopping = true;
	if (notify->fd >= 0)
		look(notify);
}

void mspd_notify_free(struct mspd_notify *notify)
{
	if (!notify)
		return;
	mspd_loop_timer(notify->loop, &notify->timer, MSP_NEVER);
	if (notify->fd >= 0)
		close(notify->fd);
	free(notify);
}
