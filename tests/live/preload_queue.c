/* SPDX-License-Identifier: MIT */
/*
 * In: a file named by MSPTEST_FULL, or none. Out: libmicrohttpd as later
 * versions of it are: a connection that is added is started in the next run,
 * or, while the file is there, closed then without a word. Must never change
 * anything else of it.
 */
#include <dlfcn.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT	  __attribute__((visibility("default")))
#define QUEUE_MAX 256

struct queued {
	struct MHD_Daemon *daemon;
	int fd;
	struct sockaddr_storage from;
	socklen_t from_len;
};

static struct queued queue[QUEUE_MAX];
static size_t n;

static bool full(void)
{
	const char *path = getenv("MSPTEST_FULL");

	return path && access(path, F_OK) == 0;
}

EXPORT enum MHD_Result MHD_add_connection(struct MHD_Daemon *daemon, int fd,
					  const struct sockaddr *from,
					  socklen_t from_len)
{
	struct queued *q = &queue[n];

	if (n == QUEUE_MAX) {
		close(fd);
		return MHD_NO;
	}
	n++;
	q->daemon = daemon;
	q->fd = fd;
	memcpy(&q->from, from, from_len);
	q->from_len = from_len;
	return MHD_YES;
}

EXPORT enum MHD_Result MHD_run(struct MHD_Daemon *daemon)
{
	enum MHD_Result (*add)(struct MHD_Daemon *, int,
			       const struct sockaddr *, socklen_t);
	enum MHD_Result (*run)(struct MHD_Daemon *);
	size_t i;

	*(void **)&add = dlsym(RTLD_NEXT, "MHD_add_connection");
	*(void **)&run = dlsym(RTLD_NEXT, "MHD_run");
	for (i = 0; i < n; i++) {
		struct queued *q = &queue[i];

		if (full())
			close(q->fd);
		else
			add(q->daemon, q->fd, (struct sockaddr *)&q->from,
			    q->from_len);
	}
	n = 0;
	return run(daemon);
}
