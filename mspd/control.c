/* SPDX-License-Identifier: MIT */
/*
 * In: a command of root's, or a request for metrics. Out: one answer. Must
 * never wait for a client, answer one that may not ask, nor take a file away
 * that is not a socket.
 */
#include "mspd/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mspd/grants.h"
#include "mspd/log.h"
#include "mspd/metrics.h"
#include "mspd/unix_socket.h"

/* Before the next attempt to take somebody in. */
#define AGAIN_MS 1000

struct door;

struct client {
	struct door *door;
	struct mspd_watch watch;
	struct mspd_timer timer;
	char in[MSPD_CONTROL_HEAD];
	size_t len;
	bool waits;    /* for what would allow those who are refused */
	bool answered; /* perhaps with nothing */
	char *out;     /* owned */
	size_t out_len, sent;
};

/* One of the sockets. */
struct door {
	struct mspd_control *control;
	const char *name;
	bool root_only;
	size_t most; /* bytes that a client may say */
	/* Once all of a question is there: answers or begins to wait, true. */
	bool (*ask)(struct client *c);
	struct mspd_unix at;
	struct mspd_watch watch;
	struct mspd_timer again; /* to take in, after it could not */
	bool missing;		 /* what is in the way may pass */
	/* owned; the other socket's clients take none of these places */
	struct client *clients[MSPD_CONTROL_CLIENTS];
};

struct mspd_control {
	const struct mspd_sight *sight;
	struct mspd_grants *grants; /* NULL: not needed yet */
	struct door doors[2];
};

static struct mspd_loop *loop_of(const struct client *c)
{
	return c->door->control->sight->loop;
}

static void set_timer(struct client *c, uint64_t ms)
{
	mspd_loop_timer(loop_of(c), &c->timer,
			mspd_loop_now(loop_of(c)).boot_ms + ms);
}

/* ---- answers ----------------------------------------------------------- */

/* @text becomes the client's. */
static void answer(struct client *c, char *text, size_t len)
{
	c->out = text;
	c->out_len = text ? len : 0;
	c->answered = true;
}

static void answer_text(struct client *c, const char *text)
{
	answer(c, strdup(text), strlen(text));
}

static void answer_status(struct client *c)
{
	char *text = NULL;
	size_t len;

	if (mspd_sight_json(c->door->control->sight, &text, &len) < 0) {
		answer_text(c, "{\"error\":\"no memory\"}\n");
	} else if (len > MSPD_CONTROL_ANSWER) {
		free(text);
		answer_text(c, "{\"error\":\"too much to tell\"}\n");
	} else {
		answer(c, text, len);
	}
}

static void on_grants(void *arg);

/* The first time that somebody was refused. */
static bool may_ask_for_grants(struct mspd_control *control)
{
	const struct mspd_grants_opts opts = {
		.loop = control->sight->loop,
		.refused = control->sight->refused,
		.policies = control->sight->policies,
		.known = on_grants,
		.arg = control,
	};

	return opts.refused->n &&
	       (control->grants ||
		mspd_grants_new(&control->grants, &opts) == 0);
}

/* Only its end matters meanwhile. */
static bool wait_for_grants(struct client *c)
{
	struct mspd_control *control = c->door->control;

	if (!may_ask_for_grants(control) || mspd_grants_ask(control->grants) ||
	    mspd_loop_watch(loop_of(c), &c->watch, 0) < 0)
		return false;
	set_timer(c, MSPD_CONTROL_GRANTS_MS);
	return true;
}

static bool ask_control(struct client *c)
{
	char *end = memchr(c->in, '\n', c->len);

	if (!end)
		return false;
	*end = '\0';
	if (strcmp(c->in, "status") != 0)
		answer_text(c, "{\"error\":\"unknown command\"}\n");
	else if (wait_for_grants(c))
		c->waits = true;
	else
		answer_status(c);
	return true;
}

static void answer_http(struct client *c, const char *status, const char *body,
			size_t len)
{
	char *text = NULL;
	int n = asprintf(&text,
			 "HTTP/1.1 %s\r\nContent-Type: " MSPD_METRICS_TYPE
			 "\r\nContent-Length: %zu\r\nConnection: close\r\n"
			 "\r\n%.*s",
			 status, len, (int)len, body);

	answer(c, n < 0 ? NULL : text, n < 0 ? 0 : (size_t)n);
}

static void answer_metrics(struct client *c)
{
	char *text = NULL;
	size_t len;

	if (mspd_metrics_text(c->door->control->sight, &text, &len) < 0)
		answer_http(c, "503 Service Unavailable", "", 0);
	else
		answer_http(c, "200 OK", text, len);
	free(text);
}

/* Nothing but the request line matters: whoever may connect may know. */
static bool ask_metrics(struct client *c)
{
	static const char wanted[] = "GET /metrics HTTP/1.";
	const size_t n = sizeof(wanted) - 1;

	if (!memmem(c->in, c->len, "\r\n\r\n", 4))
		return false;
	if (strncmp(c->in, wanted, n) == 0 &&
	    (c->in[n] == '0' || c->in[n] == '1') && c->in[n + 1] == '\r')
		answer_metrics(c);
	else if (strncmp(c->in, "GET ", 4) == 0)
		answer_http(c, "404 Not Found", "", 0);
	else
		answer_http(c, "400 Bad Request", "", 0);
	return true;
}

/* ---- clients ----------------------------------------------------------- */

static void let_in(struct door *door, bool yes);

static void forget(struct client *c)
{
	struct door *door = c->door;
	size_t i;

	mspd_loop_timer(loop_of(c), &c->timer, MSP_NEVER);
	mspd_loop_unwatch(loop_of(c), &c->watch);
	close(c->watch.fd);
	for (i = 0; i < MSPD_CONTROL_CLIENTS; i++)
		if (door->clients[i] == c)
			door->clients[i] = NULL;
	free(c->out);
	free(c);
	let_in(door, true);
}

static void send_out(struct client *c)
{
	ssize_t n;

	while (c->sent < c->out_len) {
		n = send(c->watch.fd, c->out + c->sent, c->out_len - c->sent,
			 MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN &&
		    mspd_loop_watch(loop_of(c), &c->watch, EPOLLOUT) == 0)
			return;
		if (n < 0)
			break;
		c->sent += (size_t)n;
	}
	shutdown(c->watch.fd, SHUT_WR);
	forget(c);
}

/* As much as is known by now. */
static void end_wait(struct client *c)
{
	c->waits = false;
	set_timer(c, MSPD_CONTROL_MS);
	answer_status(c);
	send_out(c);
}

static void on_late(void *arg)
{
	struct client *c = arg;

	if (c->waits)
		end_wait(c);
	else
		forget(c);
}

static void on_grants(void *arg)
{
	struct mspd_control *control = arg;
	struct client **clients = control->doors[0].clients;
	size_t i;

	for (i = 0; i < MSPD_CONTROL_CLIENTS; i++)
		if (clients[i] && clients[i]->waits)
			end_wait(clients[i]);
}

/* True: more may come. */
static bool receive(struct client *c)
{
	size_t room = c->door->most - c->len;
	ssize_t n;

	do
		n = recv(c->watch.fd, c->in + c->len, room, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN;
	c->len += (size_t)n;
	return n > 0;
}

static void on_client(void *arg, uint32_t events)
{
	struct client *c = arg;
	bool more;

	(void)events;
	if (c->waits) { /* it has left */
		forget(c);
		return;
	}
	if (c->answered) {
		send_out(c);
		return;
	}
	more = receive(c);
	if (!c->door->ask(c)) {
		if (!more || c->len == c->door->most)
			forget(c);
	} else if (c->answered) {
		send_out(c);
	}
}

static bool may_ask(const struct door *door, int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (!door->root_only)
		return true;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	       who.uid == 0;
}

/* NULL: there are too many. */
static struct client **free_place(struct door *door)
{
	size_t i;

	for (i = 0; i < MSPD_CONTROL_CLIENTS; i++)
		if (!door->clients[i])
			return &door->clients[i];
	return NULL;
}

static void take_in(struct door *door, int fd)
{
	struct client **place = free_place(door);
	struct client *c = NULL;

	if (place && may_ask(door, fd))
		c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	*place = c;
	c->door = door;
	c->watch.fd = fd;
	c->watch.call = on_client;
	c->watch.arg = c;
	c->timer.call = on_late;
	c->timer.arg = c;
	set_timer(c, MSPD_CONTROL_MS);
	if (mspd_loop_watch(loop_of(c), &c->watch, EPOLLIN) < 0)
		forget(c);
}

static bool is_over(int err)
{
	return err == EAGAIN || err == EINTR || err == ECONNABORTED;
}

static void on_door(void *arg, uint32_t events)
{
	struct door *door = arg;
	struct mspd_loop *loop = door->control->sight->loop;
	int fd = accept4(door->watch.fd, NULL, NULL,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0) {
		take_in(door, fd);
	} else if (!is_over(errno)) {
		/* no descriptors, or no memory: the next turn would come here
		 * at once, again */
		let_in(door, false);
		mspd_loop_timer(loop, &door->again,
				mspd_loop_now(loop).boot_ms + AGAIN_MS);
	}
	if (!free_place(door))
		let_in(door, false);
}

/* Whoever comes meanwhile waits in the kernel's line. */
static void let_in(struct door *door, bool yes)
{
	struct mspd_loop *loop = door->control->sight->loop;

	if (door->watch.fd < 0)
		return;
	mspd_loop_timer(loop, &door->again, MSP_NEVER);
	if (!yes)
		mspd_loop_unwatch(loop, &door->watch);
	else if (mspd_loop_watch(loop, &door->watch, EPOLLIN) < 0)
		mspd_loop_timer(loop, &door->again,
				mspd_loop_now(loop).boot_ms + AGAIN_MS);
}

/* ---- start and end ----------------------------------------------------- */

/* Anything else is for somebody to put right. */
static bool may_pass(int rc)
{
	return rc == -EROFS || rc == -ENOSPC || rc == -EDQUOT || rc == -EIO ||
	       rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE;
}

static void open_door(struct door *door, const struct mspd_config *config)
{
	const struct mspd_unix_opts opts = {
		.path = door->root_only ? config->control_socket
					: config->metrics_socket,
		.name = door->name,
		.dir = config->run_dir,
		.mode = door->root_only ? 0600 : 0660,
		.group = door->root_only ? NULL : config->metrics_group,
	};
	bool again = door->missing;
	char error[256];
	int rc;

	door->watch.fd = -1;
	door->missing = false;
	if (opts.path && !*opts.path)
		return; /* switched off */
	rc = mspd_unix_open(&door->at, &opts, error, sizeof(error));
	if (rc == 0) {
		door->watch.fd = door->at.fd;
		return;
	}
	door->missing = may_pass(rc);
	if (!again || !door->missing)
		mspd_log(MSPD_ERROR, "no %s: %s", door->name, error);
}

/* A group is given a file only while we may do that: without it, rather than
 * with one that it cannot ask. */
static void open_late(struct door *door)
{
	const struct mspd_config *config = door->control->sight->config;

	if (!door->root_only && config->metrics_group && *config->metrics_group)
		door->missing = false;
	else
		open_door(door, config);
}

static void begin(struct door *door)
{
	struct mspd_loop *loop = door->control->sight->loop;

	if (door->missing)
		mspd_loop_timer(loop, &door->again,
				mspd_loop_now(loop).boot_ms + AGAIN_MS);
	else
		let_in(door, true);
}

static void on_again(void *arg)
{
	struct door *door = arg;

	if (door->missing)
		open_late(door);
	begin(door);
}

static void init_door(struct door *door)
{
	door->watch.call = on_door;
	door->watch.arg = door;
	door->again.call = on_again;
	door->again.arg = door;
}

int mspd_control_open(struct mspd_control **out,
		      const struct mspd_config *config)
{
	struct mspd_control *control = calloc(1, sizeof(*control));
	struct door *doors;
	size_t i;

	*out = control;
	if (!control)
		return -ENOMEM;
	doors = control->doors;
	doors[0] = (struct door){ .control = control,
				  .name = "control.sock",
				  .root_only = true,
				  .most = MSPD_CONTROL_LINE,
				  .ask = ask_control };
	doors[1] = (struct door){ .control = control,
				  .name = "metrics.sock",
				  .most = MSPD_CONTROL_HEAD,
				  .ask = ask_metrics };
	for (i = 0; i < 2; i++) {
		init_door(&doors[i]);
		open_door(&doors[i], config);
	}
	return 0;
}

void mspd_control_start(struct mspd_control *control,
			const struct mspd_sight *sight)
{
	size_t i;

	if (!control)
		return;
	control->sight = sight;
	for (i = 0; i < 2; i++)
		begin(&control->doors[i]);
}

static void close_door(struct door *door)
{
	size_t i;

	for (i = 0; i < MSPD_CONTROL_CLIENTS; i++)
		if (door->clients[i])
			forget(door->clients[i]);
	if (door->control->sight) {
		let_in(door, false);
		mspd_loop_timer(door->control->sight->loop, &door->again,
				MSP_NEVER);
	}
	if (door->watch.fd >= 0)
		mspd_unix_close(&door->at);
}

void mspd_control_close(struct mspd_control *control)
{
	size_t i;

	if (!control)
		return;
	for (i = 0; i < 2; i++)
		close_door(&control->doors[i]);
	mspd_grants_free(control->grants);
	free(control);
}
