/* SPDX-License-Identifier: MIT */
/*
 * In: accepted connections. Out: those that have a place and have said
 * something, for libmicrohttpd. Must never give one that is silent more memory
 * than it takes to watch it, nor lose one that libmicrohttpd does not know.
 *
 * Most have their request with them when they are accepted, and are not
 * watched at all. One that has not is watched by the loop, and libmicrohttpd
 * gets it with its first byte: reading in vain, it would have to put it into
 * its epoll set and take it out again for the answer.
 */
#include "mspd/server_priv.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void unlink_exchange(struct mspd_exchange *x)
{
	struct mspd_server *s = x->server;

	if (x->prev)
		x->prev->next = x->next;
	else
		s->connections = x->next;
	if (x->next)
		x->next->prev = x->prev;
	s->n_connections--;
}

static void exchange_free(struct mspd_exchange *x)
{
	struct mspd_server *s = x->server;

	if (s->arriving == x)
		s->arriving = NULL;
	mspd_rest_forget(x);
	mspd_loop_forget(s->loop, &x->watch);
	mspd_loop_timer(s->loop, &x->timer, MSP_NEVER);
	unlink_exchange(x);
	mspd_door_leave(s->door, &x->place);
	s->ops->close(x->app);
	free(x->target);
	free(x->headers);
	free(x);
}

/* libmicrohttpd says so while it is given the connection, or, where it keeps
 * a queue of them, in its next run. */
static struct mspd_exchange *started(struct mspd_server *s,
				     struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct mspd_exchange *x = s->listed;

	while (x && (x->mhd || !x->begun || !info || x->fd != info->connect_fd))
		x = x->next_listed;
	if (x)
		x->mhd = mhd;
	return x;
}

void mspd_arrive_notify(void *arg, struct MHD_Connection *mhd, void **context,
			enum MHD_ConnectionNotificationCode what)
{
	struct mspd_server *s = arg;
	struct mspd_exchange *x = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = started(s, mhd);
		return;
	}
	if (!x)
		return;
	/* where the kernel has no memory to watch it, libmicrohttpd says
	 * nothing of the request */
	if (x->stage == STAGE_IDLE)
		mspd_limit_not_taken(x);
	else
		mspd_exchange_over(x, false);
	exchange_free(x);
}

static void exchange_init(struct mspd_exchange *x, struct mspd_server *s,
			  int fd)
{
	x->server = s;
	x->fd = fd;
	x->watch.fd = fd;
	x->watch.call = mspd_exchange_event;
	x->watch.arg = x;
	x->timer.call = mspd_exchange_late;
	x->timer.arg = x;
	x->next = s->connections;
	if (x->next)
		x->next->prev = x;
	s->connections = x;
	if (++s->n_connections > s->most)
		s->most = s->n_connections;
}

/* NULL: nobody wants it, or there is no room for it. */
static struct mspd_exchange *exchange_new(struct mspd_server *s, int fd,
					  const struct sockaddr_in *from)
{
	struct mspd_exchange *x = calloc(1, sizeof(*x));
	enum mspd_door_answer answer;
	uint64_t owner = 0;

	if (!x)
		return NULL;
	x->app = s->ops->open(s->arg, fd, from, &owner);
	if (!x->app) {
		free(x);
		return NULL;
	}
	answer = mspd_door_admit(s->door, &x->place, owner);
	if (answer == MSPD_DOOR_CLOSED) {
		s->ops->close(x->app);
		free(x);
		return NULL;
	}
	exchange_init(x, s, fd);
	x->from = *from;
	x->waiting = answer == MSPD_DOOR_WAIT;
	return x;
}

/* libmicrohttpd gets to know it. */
static void begin(struct mspd_exchange *x)
{
	struct mspd_server *s = x->server;

	x->begun = true;
	mspd_rest_arrive(x);
	s->dirty = true;
	s->arriving = x;
	if (MHD_add_connection(s->mhd, x->fd, (const struct sockaddr *)&x->from,
			       sizeof(x->from)) != MHD_YES) {
		/* it closed the descriptor; mspd_arrive_notify() has freed the
		 * exchange if it got to know it */
		if (s->arriving)
			exchange_free(x);
		return;
	}
	s->arriving = NULL;
	if (x->stage == STAGE_IDLE)
		mspd_exchange_idle(x);
}

void mspd_arrive_end(struct mspd_exchange *x)
{
	close(x->fd);
	exchange_free(x);
}

void mspd_arrive_lost(struct mspd_exchange *x)
{
	exchange_free(x);
}

bool mspd_arrive_has_spoken(const struct mspd_exchange *x)
{
	int bytes = 0;

	return ioctl(x->fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

/* It has a place. */
static void settle_in(struct mspd_exchange *x, bool spoken)
{
	if (spoken) {
		begin(x);
		return;
	}
	mspd_exchange_idle(x);
	if (mspd_loop_watch(x->server->loop, &x->watch, EPOLLIN | EPOLLRDHUP) <
	    0)
		mspd_arrive_end(x);
}

void mspd_arrive_speaks(struct mspd_exchange *x)
{
	if (x->broken)
		mspd_arrive_end(x);
	else
		begin(x);
}

static void take_connection(void *arg, int fd, const struct sockaddr_in *from,
			    bool spoken)
{
	struct mspd_exchange *x = exchange_new(arg, fd, from);

	if (!x)
		close(fd);
	else if (x->waiting)
		mspd_exchange_idle(x);
	else
		settle_in(x, spoken);
}

static struct mspd_exchange *exchange_at(struct mspd_place *place)
{
	return (void *)((char *)place - offsetof(struct mspd_exchange, place));
}

static void enter(void *arg, struct mspd_place *place)
{
	struct mspd_exchange *x = exchange_at(place);

	(void)arg;
	x->waiting = false;
	settle_in(x, mspd_arrive_has_spoken(x));
}

/* Gone when the turn ends. Its request, if there is one, is recorded like
 * that of a client who left. */
static void evict(void *arg, struct mspd_place *place)
{
	struct mspd_exchange *x = exchange_at(place);

	(void)arg;
	if (!x->begun) {
		mspd_arrive_end(x);
		return;
	}
	mspd_exchange_abort(x);
	shutdown(x->fd, SHUT_RDWR);
	x->server->dirty = true;
}

void mspd_server_take(struct mspd_server *server, int fd)
{
	struct sockaddr_in from = { 0 };
	socklen_t len = sizeof(from);
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    getpeername(fd, (struct sockaddr *)&from, &len) < 0) {
		close(fd); /* it has left */
		return;
	}
	take_connection(server, fd, &from, false);
}

const struct mspd_door_ops mspd_arrive_ops = {
	.take = take_connection,
	.enter = enter,
	.evict = evict,
};
