/* SPDX-License-Identifier: MIT */
/*
 * In: a list of requests and answers. Out: three endpoints that go by it. Must
 * never answer what no line is for.
 */
#include "tests/lib/scripthost.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void open_listener(struct scripthost *host, int i)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	host->listeners[i] = fd;
	host->address[i].ip = sin.sin_addr.s_addr;
	host->address[i].port = ntohs(sin.sin_port);
}

void scripthost_open(struct scripthost *host)
{
	int i;

	memset(host, 0, sizeof(*host));
	for (i = 0; i < SCRIPT_CONNS; i++)
		host->conns[i].fd = -1;
	for (i = 0; i < MSP_ENDPOINTS; i++)
		open_listener(host, i);
}

static void drop(struct script_conn *c)
{
	close(c->fd);
	c->fd = -1;
}

void scripthost_close(struct scripthost *host)
{
	int i;

	for (i = 0; i < SCRIPT_CONNS; i++) {
		if (host->conns[i].fd >= 0)
			drop(&host->conns[i]);
	}
	for (i = 0; i < MSP_ENDPOINTS; i++)
		close(host->listeners[i]);
}

void scripthost_add(struct scripthost *host, struct script_line line)
{
	int i;

	for (i = 0; i < SCRIPT_LINES; i++) {
		if (host->lines[i].begins)
			continue;
		host->lines[i] = line;
		return;
	}
	ck_abort_msg("too many lines");
}

void scripthost_forget(struct scripthost *host)
{
	memset(host->lines, 0, sizeof(host->lines));
	memset(host->asked, 0, sizeof(host->asked));
	memset(host->requests, 0, sizeof(host->requests));
	memset(host->accepted, 0, sizeof(host->accepted));
}

/* ---- one connection ---------------------------------------------------- */

/* With a reset instead of an orderly end. */
static void slam(struct script_conn *c)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	ck_assert_int_eq(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger,
				    sizeof(linger)),
			 0);
	drop(c);
}

/* Bytes of the first request, 0 if it is not complete. */
static size_t request_len(const struct script_conn *c)
{
	const char *end = strstr(c->in, "\r\n\r\n");
	const char *length = strstr(c->in, "\r\ncontent-length: ");
	size_t len;

	if (!end)
		return 0;
	len = (size_t)(end + 4 - c->in);
	if (length && length < end)
		len += strtoul(length + 18, NULL, 10);
	return len <= c->len ? len : 0;
}

static struct script_line *line_for(struct scripthost *host,
				    const struct script_conn *c)
{
	int i;

	for (i = 0; i < SCRIPT_LINES && host->lines[i].begins; i++) {
		struct script_line *line = &host->lines[i];

		if (line->endpoint != c->endpoint ||
		    strncmp(c->in, line->begins, strlen(line->begins)) != 0 ||
		    (line->times && host->asked[i] >= line->times))
			continue;
		host->asked[i]++;
		return line;
	}
	ck_abort_msg("%s was asked: %s", msp_endpoint_name(c->endpoint), c->in);
	return NULL;
}

static void say(struct script_conn *c, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL);

		if (n < 0)
			return; /* whoever asked has had enough */
		text += n;
		len -= (size_t)n;
	}
}

static void answer(struct scripthost *host, struct script_conn *c, size_t len)
{
	struct script_line *line = line_for(host, c);

	host->requests[c->endpoint]++;
	memcpy(host->last[c->endpoint], c->in, len);
	host->last[c->endpoint][len] = '\0';
	c->len -= len;
	memmove(c->in, c->in + len, c->len + 1);
	if (!line->answer)
		return;
	say(c, line->answer);
	if (line->then == THEN_CLOSE)
		drop(c);
	else if (line->then == THEN_RESET)
		slam(c);
}

static bool hear(struct scripthost *host, struct script_conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->len, sizeof(c->in) - 1 - c->len,
			 MSG_DONTWAIT);
	size_t len;

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n <= 0) {
		drop(c);
		return true;
	}
	c->len += (size_t)n;
	c->in[c->len] = '\0';
	len = request_len(c);
	if (len)
		answer(host, c, len);
	return true;
}

static bool take_connection(struct scripthost *host, int endpoint)
{
	int fd = accept4(host->listeners[endpoint], NULL, NULL, SOCK_CLOEXEC);
	int i;

	if (fd < 0)
		return false;
	host->accepted[endpoint]++;
	for (i = 0; i < SCRIPT_CONNS; i++) {
		if (host->conns[i].fd >= 0)
			continue;
		host->conns[i].fd = fd;
		host->conns[i].endpoint = (enum msp_endpoint)endpoint;
		host->conns[i].len = 0;
		return true;
	}
	ck_abort_msg("too many connections");
	return false;
}

bool scripthost_look(struct scripthost *host)
{
	bool done = false;
	int i;

	for (i = 0; i < MSP_ENDPOINTS; i++)
		done |= take_connection(host, i);
	for (i = 0; i < SCRIPT_CONNS; i++) {
		if (host->conns[i].fd >= 0)
			done |= hear(host, &host->conns[i]);
	}
	return done;
}
