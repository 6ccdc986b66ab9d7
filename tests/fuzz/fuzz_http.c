/* SPDX-License-Identifier: MIT */
/*
 * In: what a client might send, up to the end of a head. libmicrohttpd reads
 * it, as it does for mspd. Aborts if a head is let through that is not, byte
 * by byte, one of HTTP/1, or with other headers than are in it; or if one is
 * not taken for whole that is.
 */
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mspd/http_check.h"
#include "mspd/server_probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST  4096
#define TURNS 4

struct text {
	const char *at;
	size_t len;
};

/* A head as a strict reader sees it. */
struct strict {
	bool good;
	bool odd; /* the ends of lines are those that nobody can tell */
	struct text method, target;
	struct msp_header headers[MSP_MAX_HEADERS];
	size_t n;
};

static struct {
	struct MHD_Daemon *daemon;
	const char *raw;
	size_t raw_len;
	const char *target; /* where the library has it, until it cuts it */
	size_t target_len;
	char copy[MOST];
	struct msp_header headers[MSP_MAX_HEADERS];
	size_t n;
	bool too_many;
} now;

static void must(bool truth)
{
	if (!truth)
		abort();
}

/* ---- a strict reader --------------------------------------------------- */

static bool is_tchar(char c)
{
	return c && strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
			   c);
}

static bool is_token(struct text t)
{
	size_t i;

	for (i = 0; i < t.len; i++)
		if (!is_tchar(t.at[i]))
			return false;
	return t.len > 0;
}

static bool all_between(struct text t, int low, int high)
{
	size_t i;

	for (i = 0; i < t.len; i++)
		if (t.at[i] != '\t' && ((unsigned char)t.at[i] < low ||
					(unsigned char)t.at[i] > high ||
					(unsigned char)t.at[i] == 0x7f))
			return false;
	return true;
}

/* Up to CR LF, or NUL LF. */
static bool next_line(struct strict *s, struct text *rest, struct text *out)
{
	const char *lf = memchr(rest->at, '\n', rest->len);

	if (!lf || lf == rest->at || (lf[-1] != '\r' && lf[-1] != '\0'))
		return false;
	s->odd |= lf[-1] != '\r';
	out->at = rest->at;
	out->len = (size_t)(lf - 1 - rest->at);
	rest->len -= (size_t)(lf + 1 - rest->at);
	rest->at = lf + 1;
	return true;
}

/* What the library puts NUL for, in the place of the last two line ends. */
static void straighten(struct strict *s, char *text, size_t len)
{
	static const char ends[] = "\r\n\r\n";
	char *tail = text + len - 4;
	size_t i;

	if (len < 4 || memcmp(tail, ends, 4) == 0)
		return;
	s->odd = true;
	for (i = 0; i < 4; i++)
		if (tail[i] && !strchr("\r\n:", tail[i]))
			return;
	memcpy(tail, ends, 4);
}

/* Up to the byte, which is left out; without it nothing. */
static bool cut(struct text *rest, char byte, struct text *out)
{
	const char *at = memchr(rest->at, byte, rest->len);

	if (!at)
		return false;
	out->at = rest->at;
	out->len = (size_t)(at - rest->at);
	rest->len -= out->len + 1;
	rest->at = at + 1;
	return true;
}

static void trim(struct text *t)
{
	while (t->len && (*t->at == ' ' || *t->at == '\t')) {
		t->at++;
		t->len--;
	}
	while (t->len &&
	       (t->at[t->len - 1] == ' ' || t->at[t->len - 1] == '\t'))
		t->len--;
}

static bool read_request_line(struct strict *s, struct text line)
{
	return cut(&line, ' ', &s->method) && cut(&line, ' ', &s->target) &&
	       is_token(s->method) && s->target.len &&
	       all_between(s->target, 0x21, 0x7e) &&
	       !memchr(s->target.at, '\t', s->target.len) && line.len == 8 &&
	       (!memcmp(line.at, "HTTP/1.1", 8) ||
		!memcmp(line.at, "HTTP/1.0", 8));
}

static void read_strictly(struct strict *s, char *head, size_t len)
{
	struct text rest = { head, len };
	struct text line, name;

	s->good = false;
	s->odd = false;
	s->n = 0;
	straighten(s, head, len);
	if (!next_line(s, &rest, &line) || !read_request_line(s, line))
		return;
	while (next_line(s, &rest, &line)) {
		if (!line.len) {
			s->good = !rest.len;
			return;
		}
		if (s->n == MSP_MAX_HEADERS || !cut(&line, ':', &name) ||
		    !is_token(name) || !all_between(line, 0x20, 0xff))
			return;
		trim(&line);
		s->headers[s->n++] = (struct msp_header){ name.at, name.len,
							  line.at, line.len };
	}
}

/* ---- libmicrohttpd and mspd -------------------------------------------- */

static enum MHD_Result collect(void *arg, enum MHD_ValueKind kind,
			       const char *name, size_t name_len,
			       const char *value, size_t value_len)
{
	(void)arg;
	(void)kind;
	now.too_many = now.n == MSP_MAX_HEADERS;
	if (now.too_many)
		return MHD_NO;
	now.headers[now.n++] =
		(struct msp_header){ name, name_len, value ? value : "",
				     value ? value_len : 0 };
	return MHD_YES;
}

static bool same(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && (!a_len || memcmp(a, b, a_len) == 0);
}

static void compare(const struct strict *s, const struct mspd_head *head)
{
	size_t i;

	must(s->good && s->n == head->n_headers);
	must(same(s->method.at, s->method.len, head->method,
		  strlen(head->method)));
	must(same(s->target.at, s->target.len, head->target, head->target_len));
	for (i = 0; i < s->n; i++) {
		const struct msp_header *a = &s->headers[i];
		const struct msp_header *b = &head->headers[i];

		must(same(a->name, a->name_len, b->name, b->name_len));
		must(same(a->value, a->value_len, b->value, b->value_len));
	}
}

static size_t size_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	must(info != NULL);
	return info->header_size;
}

static enum MHD_Result on_head(void *arg, struct MHD_Connection *mhd,
			       const char *url, const char *method,
			       const char *version, const char *data,
			       size_t *size, void **context)
{
	struct mspd_head head = { .method = method, .headers = now.headers };
	char raw[MOST];
	struct strict s;
	bool whole;

	(void)arg;
	(void)url;
	(void)data;
	(void)size;
	(void)context;
	MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, collect, NULL);
	if (now.too_many)
		return MHD_NO;
	head.n_headers = now.n;
	head.target_len = now.target_len;
	whole = mspd_server_is_whole(mhd, &head, now.target, version);
	must(size_of(mhd) <= now.raw_len);
	memcpy(raw, now.raw, size_of(mhd));
	read_strictly(&s, raw, size_of(mhd));
	must(whole || !s.good || s.odd);
	head.target = now.copy;
	if (whole && mspd_http_check(&head, now.headers, version) == 0)
		compare(&s, &head);
	return MHD_NO;
}

static void *on_target(void *arg, const char *target,
		       struct MHD_Connection *mhd)
{
	(void)arg;
	(void)mhd;
	now.target = target;
	now.target_len = strlen(target);
	memcpy(now.copy, target, now.target_len);
	return NULL;
}

static void start(void)
{
	if (now.daemon)
		return;
	now.daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
		on_head, NULL, MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL,
		MHD_OPTION_UNESCAPE_CALLBACK, mspd_server_keep_escapes, NULL,
		MHD_OPTION_END);
	must(now.daemon != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sockaddr_in nobody = { .sin_family = AF_INET };
	int fds[2], i;

	/* of empty lines before the head, and what passes for them, the library
	 * keeps no trace */
	if (!size || size > MOST || data[0] == '\r' || data[0] == '\n' ||
	    data[0] == '\0')
		return 0;
	start();
	now.raw = (const char *)data;
	now.raw_len = size;
	now.n = 0;
	now.too_many = false;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			fds) == 0);
	must(write(fds[0], data, size) == (ssize_t)size);
	if (MHD_add_connection(now.daemon, fds[1],
			       (const struct sockaddr *)&nobody,
			       sizeof(nobody)) == MHD_YES)
		for (i = 0; i < TURNS; i++)
			MHD_run(now.daemon);
	close(fds[0]);
	for (i = 0; i < TURNS; i++)
		MHD_run(now.daemon);
	return 0;
}
