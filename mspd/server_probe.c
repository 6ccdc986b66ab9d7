/* SPDX-License-Identifier: MIT */
/*
 * In: nothing, or a head in libmicrohttpd's memory. Out: whether its pieces
 * are all that came. Must never refuse what is sound because another version
 * of the library keeps heads elsewhere: hence a request of our own, first.
 */
#include "mspd/server_probe.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mspd/http_check.h"

#define TURNS	8
#define HEADERS 4
#define REQUEST                                                                \
	"GET /a?b=%63 HTTP/1.1\r\nHost: x\r\nA:\r\nB: \t c "                   \
	"\r\nContent-Length:"                                                  \
	" 0\r\n\r\n"

struct probe {
	const char *target;
	size_t target_len; /* the library cuts the query off later */
	struct msp_header headers[HEADERS];
	size_t n;
	bool holds;
};

size_t mspd_server_keep_escapes(void *arg, struct MHD_Connection *mhd,
				char *text)
{
	(void)arg;
	(void)mhd;
	return strlen(text);
}

bool mspd_server_is_whole(struct MHD_Connection *mhd,
			  const struct mspd_head *head, const char *target,
			  const char *version)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return info &&
	       mspd_http_is_whole(head, target, version, info->header_size);
}

static void *on_target(void *arg, const char *target,
		       struct MHD_Connection *mhd)
{
	struct probe *p = arg;

	(void)mhd;
	p->target = target;
	p->target_len = strlen(target);
	return NULL;
}

static enum MHD_Result collect(void *arg, enum MHD_ValueKind kind,
			       const char *name, size_t name_len,
			       const char *value, size_t value_len)
{
	struct probe *p = arg;

	(void)kind;
	if (p->n == HEADERS)
		return MHD_NO;
	p->headers[p->n++] =
		(struct msp_header){ name, name_len, value, value_len };
	return MHD_YES;
}

static enum MHD_Result on_head(void *arg, struct MHD_Connection *mhd,
			       const char *url, const char *method,
			       const char *version, const char *data,
			       size_t *size, void **context)
{
	struct probe *p = arg;
	struct mspd_head head = { .method = method, .headers = p->headers };

	(void)url;
	(void)data;
	(void)size;
	(void)context;
	if (!p->target)
		return MHD_NO;
	MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, collect, p);
	head.n_headers = p->n;
	head.target_len = p->target_len;
	p->holds = p->n == HEADERS &&
		   mspd_server_is_whole(mhd, &head, p->target, version);
	return MHD_NO;
}

static void ask(struct MHD_Daemon *daemon, int client, int server)
{
	const struct sockaddr_in nobody = { .sin_family = AF_INET };
	int i;

	/* it closes the descriptor in any case */
	if (MHD_add_connection(daemon, server, (const struct sockaddr *)&nobody,
			       sizeof(nobody)) != MHD_YES)
		return;
	if (write(client, REQUEST, sizeof(REQUEST) - 1) < 0)
		return;
	for (i = 0; i < TURNS; i++)
		MHD_run(daemon);
}

bool mspd_server_probe(void)
{
	struct probe p = { 0 };
	struct MHD_Daemon *daemon;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       fds) < 0)
		return false;
	daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
		on_head, &p, MHD_OPTION_URI_LOG_CALLBACK, on_target, &p,
		MHD_OPTION_UNESCAPE_CALLBACK, mspd_server_keep_escapes, NULL,
		MHD_OPTION_END);
	if (daemon) {
		ask(daemon, fds[0], fds[1]);
		MHD_stop_daemon(daemon);
	} else {
		close(fds[1]);
	}
	close(fds[0]);
	return p.holds;
}
