/* SPDX-License-Identifier: MIT */
/*
 * In: requests an agent has signed, each with its number. Out: the answer
 * that follows from it, in several manners; at the end what was asked. Must
 * never repair what the agent sends: what is odd is counted.
 *
 *   host IP:PORT LIST [SWAP]	ends with the end of its input; LIST: file for
 *				the numbers of those who do not behave; SWAP:
 *				one in so many answers is another's
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/soak/answers.h"

#define EVENTS	128
#define BACKLOG 4096
#define HEAD	32768
#define PIECE	16384
#define LATE_MS 20
#define TOLD	10 /* requests that are shown */

enum state { READING, BODY, WAITING, SENDING };

/**
 * struct connection - one of the agent's
 * @in, @in_len:   a head, or what comes behind it
 * @out, @out_len: @sent of it is gone
 * @id:            of the request at hand
 * @told:          number the answer is made of
 * @left:          bytes of the request's body still to come, of @body
 * @done:          bytes of the answer that are in @out, or gone
 * @due:           ms, when the answer begins
 * @ended:         the agent has gone while that is awaited
 * @last, @bare:   it is the last one; it has no body
 */
struct connection {
	struct connection *next;
	int fd;
	enum state state;
	bool ended, last, bare;
	size_t in_len, out_len, sent, body, left, done;
	uint64_t id, told;
	int64_t due;
	unsigned char in[HEAD];
	unsigned char out[PIECE + 512];
};

static struct {
	uint64_t honest, abuse, unsigned_ones, odd, bodies;
} seen;
static int epoll_fd, listener, n_open;
static FILE *list;
static uint64_t swap, answered;
static struct connection *late, **late_end = &late;
static struct connection input; /* stands for ours among the connections */

static void need(int rc, const char *what)
{
	if (rc >= 0)
		return;
	perror(what);
	exit(2);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void watch(struct connection *c, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = c };

	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void odd(const char *what)
{
	if (seen.odd++ < TOLD)
		fprintf(stderr, "odd: %.400s\n", what);
}

/* ---- answers ----------------------------------------------------------- */

static void begin(struct connection *c)
{
	enum soak_manner manner = soak_manner(c->id);
	char framing[64];

	if (manner == SOAK_CHUNKED)
		snprintf(framing, sizeof(framing),
			 "Transfer-Encoding: chunked\r\n");
	else if (manner == SOAK_TO_END)
		framing[0] = '\0';
	else
		snprintf(framing, sizeof(framing), "Content-Length: %zu\r\n",
			 soak_length(c->id));
	c->last = manner == SOAK_TO_END || manner == SOAK_LAST ||
		  manner == SOAK_SILENT;
	c->out_len = (size_t)snprintf(
		(char *)c->out, sizeof(c->out),
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%s%s\r\n",
		framing, manner == SOAK_LAST ? "Connection: close\r\n" : "");
	c->sent = 0;
	c->done = c->bare ? soak_length(c->id) : 0;
	c->told = c->id;
	if (swap && ++answered % swap == 0)
		c->told += 256;
	c->state = SENDING;
}

/* More of the answer behind what is in out. False: there is no more. */
static bool more(struct connection *c)
{
	bool chunked = soak_manner(c->id) == SOAK_CHUNKED;
	size_t left = soak_length(c->id) - c->done;
	size_t len = left < PIECE ? left : PIECE;

	if (!len)
		return false;
	if (chunked)
		c->out_len += (size_t)snprintf((char *)c->out + c->out_len, 16,
					       "%zx\r\n", len);
	soak_fill(c->out + c->out_len, len, c->told, c->done);
	c->out_len += len;
	c->done += len;
	if (chunked)
		c->out_len += (size_t)snprintf((char *)c->out + c->out_len, 16,
					       len == left ? "\r\n0\r\n\r\n"
							   : "\r\n");
	return true;
}

/* False: the connection is over. */
static bool send_on(struct connection *c)
{
	ssize_t n;

	for (;;) {
		if (c->sent == c->out_len) {
			c->sent = c->out_len = 0;
			if (!more(c))
				break;
		} else if (c->done == 0) {
			more(c); /* head and first piece in one write */
		}
		n = send(c->fd, c->out + c->sent, c->out_len - c->sent,
			 MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			watch(c, EPOLLOUT);
			return true;
		}
		if (n < 0)
			return false;
		c->sent += (size_t)n;
	}
	c->state = READING;
	watch(c, EPOLLIN);
	if (c->in_len) {
		c->in[c->in_len < HEAD ? c->in_len : HEAD - 1] = '\0';
		odd((char *)c->in); /* too early, or behind the request */
	}
	return !c->last && !c->in_len;
}

/* ---- requests ---------------------------------------------------------- */

static void put_off(struct connection *c)
{
	c->state = WAITING;
	c->due = now_ms() + LATE_MS;
	c->next = NULL;
	*late_end = c;
	late_end = &c->next;
	watch(c, 0);
}

static bool answer(struct connection *c)
{
	if (soak_manner(c->id) == SOAK_LATE) {
		put_off(c);
		return true;
	}
	begin(c);
	return send_on(c);
}

static const char *field(const char *head, const char *name)
{
	const char *line = head;
	size_t len = strlen(name);

	while ((line = strstr(line, "\r\n"))) {
		line += 2;
		if (!strncasecmp(line, name, len) && line[len] == ':')
			return line + len + 1;
	}
	return NULL;
}

static void count(const struct connection *c, const char *head)
{
	if (!field(head, "x-ms-azure-host-authorization") &&
	    !strstr(head, " " SOAK_READY " "))
		seen.unsigned_ones++;
	if (!(c->id & SOAK_ABUSE)) {
		seen.honest++; /* or garbled */
		return;
	}
	seen.abuse++;
	fwrite(&c->id, sizeof(c->id), 1, list);
}

/* What is no number was garbled by who asked: any answer will do. */
static void take_number(struct connection *c, const char *head)
{
	const char *path = strstr(head, " " SOAK_PATH);
	char *end = NULL;

	c->id = 0;
	if (!path)
		return;
	c->id = strtoull(path + 1 + strlen(SOAK_PATH), &end, 16);
	if (*end != ' ' && *end != '?')
		c->id = 0;
}

static bool take_head(struct connection *c, const char *head)
{
	const char *length = field(head, "Content-Length");

	if (field(head, "Transfer-Encoding")) {
		odd(head);
		return false;
	}
	take_number(c, head);
	c->bare = strncmp(head, "HEAD ", 5) == 0;
	c->body = c->left = length ? strtoul(length, NULL, 10) : 0;
	count(c, head);
	c->state = BODY;
	return true;
}

static void take_in(struct connection *c, size_t len)
{
	c->in_len -= len;
	memmove(c->in, c->in + len, c->in_len);
}

static bool take_body(struct connection *c)
{
	size_t len = c->left < c->in_len ? c->left : c->in_len;

	if (!soak_is(c->in, len, c->id, c->body - c->left) && c->id &&
	    !(c->id & SOAK_ABUSE))
		seen.bodies++;
	c->left -= len;
	take_in(c, len);
	return c->left || answer(c);
}

static bool parse(struct connection *c)
{
	unsigned char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);

	if (!end && c->in_len == HEAD)
		return false;
	if (!end)
		return true;
	end[2] = '\0'; /* the last line keeps its end */
	if (!take_head(c, (char *)c->in))
		return false;
	take_in(c, (size_t)(end - c->in) + 4);
	return take_body(c);
}

static bool receive(struct connection *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, HEAD - c->in_len, 0);

	if (n < 0)
		return errno == EAGAIN;
	if (n == 0)
		return false;
	c->in_len += (size_t)n;
	return c->state == BODY ? take_body(c) : parse(c);
}

/* ---- the loop ---------------------------------------------------------- */

static void end(struct connection *c)
{
	if (c->state == WAITING) { /* it is in the queue */
		c->ended = true;
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
		return;
	}
	close(c->fd);
	free(c);
	n_open--;
}

static void accept_all(void)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct connection *c = calloc(1, sizeof(*c));
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };

		if (!c)
			exit(2);
		c->fd = fd;
		n_open++;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		need(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event),
		     "epoll_ctl");
	}
}

static void answer_late(void)
{
	int64_t now = now_ms();

	while (late && late->due <= now) {
		struct connection *c = late;

		late = c->next;
		if (!late)
			late_end = &late;
		begin(c);
		if (c->ended || !send_on(c)) {
			c->state = READING;
			end(c);
		}
	}
}

static bool happened(struct connection *c, uint32_t events)
{
	if (c->state == WAITING)
		return !(events & (EPOLLHUP | EPOLLERR));
	if (c->state == SENDING)
		return send_on(c);
	return receive(c);
}

static int listen_at(const char *text)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const char *colon = strchr(text, ':');
	char ip[INET_ADDRSTRLEN] = "";
	int one = 1;

	if (!colon || (size_t)(colon - text) >= sizeof(ip))
		exit(2);
	memcpy(ip, text, (size_t)(colon - text));
	inet_pton(AF_INET, ip, &at.sin_addr);
	at.sin_port = htons((uint16_t)atoi(colon + 1));
	need(fd, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	need(bind(fd, (struct sockaddr *)&at, sizeof(at)), "bind");
	need(listen(fd, BACKLOG), "listen");
	return fd;
}

static void say(void)
{
	fclose(list);
	printf("{\"honest\": %" PRIu64 ", \"abuse\": %" PRIu64
	       ", \"unsigned\": %" PRIu64 ", \"odd\": %" PRIu64
	       ", \"bodies\": %" PRIu64 ", \"open\": %d}\n",
	       seen.honest, seen.abuse, seen.unsigned_ones, seen.odd,
	       seen.bodies, n_open);
}

static void start(char **argv)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = &input };

	need(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	need(epoll_fd, "epoll_create");
	list = fopen(argv[2], "we");
	if (!list)
		exit(2);
	swap = argv[3] ? strtoull(argv[3], NULL, 10) : 0;
	listener = listen_at(argv[1]);
	need(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event),
	     "epoll_ctl");
	event.data.ptr = NULL;
	need(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event), "epoll_ctl");
	printf("ready\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	int n, i;

	if (argc < 3)
		return 2;
	start(argv);
	for (;;) {
		n = epoll_wait(epoll_fd, events, EVENTS, late ? 2 : -1);
		for (i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (c == &input) {
				say();
				return 0;
			}
			if (!c)
				accept_all();
			else if (!happened(c, events[i].events))
				end(c);
		}
		answer_late();
	}
}
