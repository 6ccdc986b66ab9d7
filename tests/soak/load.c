/* SPDX-License-Identifier: MIT */
/*
 * In: an address, a rate, a time. Out: requests of those who behave, each
 * answer compared with the one that belongs to it; one line of JSON. Must
 * never forgive a byte.
 *
 *   load IP:PORT CONNECTIONS RATE SECONDS FIRST-NUMBER SEED
 *				RATE: requests/s in all, 0: as many as it goes
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
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

#define CONNECTIONS 256
#define HEAD	    8192
#define BUFFER	    65536
#define PATIENCE_MS 20000
#define GRACE_MS    30000
#define TOLD	    10 /* faults that are told in full */

enum part { IDLE, CONNECTING, HEADING, SIZED, CHUNK_SIZE, CHUNK, CHUNK_END };

/**
 * struct user - a connection and its request
 * @head:  of the answer, or of a chunk
 * @left:  bytes still to come of the body, or of the chunk
 * @got:   bytes of the body so far
 */
struct user {
	int fd;
	enum part part;
	bool close, post, last_chunk;
	uint64_t id;
	int64_t asked;
	size_t head_len, left, got, body, sent;
	char head[HEAD];
	size_t request_len;
	unsigned char request[HEAD];
};

static struct {
	uint64_t asked, right, wrong, lost, excused;
} seen;
static struct user users[CONNECTIONS];
static unsigned int n_users;
static struct sockaddr_in at;
static char host[INET_ADDRSTRLEN];
static int epoll_fd;
static uint64_t next_number, dice;
static unsigned int told;
static unsigned char buffer[BUFFER];

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static unsigned int roll(unsigned int sides)
{
	dice += 0x9e3779b97f4a7c15ull;
	return (unsigned int)(soak_mix(dice) % sides);
}

static void hang_up(struct user *u)
{
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
	u->part = IDLE;
}

__attribute__((format(printf, 3, 4))) static void
fault(struct user *u, uint64_t *counter, const char *format, ...)
{
	va_list args;

	++*counter;
	hang_up(u);
	if (told++ >= TOLD)
		return;
	va_start(args, format);
	fprintf(stderr, "number %016" PRIx64 ": ", u->id);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

/* ---- asking ------------------------------------------------------------ */

/* Most answers are short; numbers of one after the other never repeat. */
static uint64_t new_id(void)
{
	unsigned int length = roll(1000);
	uint64_t id = next_number++ << 8;

	id |= length < 970   ? SOAK_200
	      : length < 994 ? SOAK_4K
	      : length < 999 ? SOAK_100K
			     : SOAK_1M;
	return id | (uint64_t)roll(SOAK_MANNERS) << 4;
}

static void compose(struct user *u)
{
	u->id = new_id();
	u->post = roll(8) == 0;
	u->close = roll(16) == 0;
	u->body = u->post ? roll(4097) : 0;
	u->request_len = (size_t)snprintf(
		(char *)u->request, HEAD,
		"%s " SOAK_PATH "%016" PRIx64
		" HTTP/1.1\r\nHost: %s\r\nMetadata: true\r\n%s",
		u->post ? "POST" : "GET", u->id, host,
		u->close ? "Connection: close\r\n" : "");
	if (u->post)
		u->request_len +=
			(size_t)snprintf((char *)u->request + u->request_len,
					 HEAD - u->request_len,
					 "Content-Length: %zu\r\n", u->body);
	memcpy(u->request + u->request_len, "\r\n", 2);
	u->request_len += 2;
	soak_fill(u->request + u->request_len, u->body, u->id, 0);
	u->request_len += u->body;
}

static void watch(struct user *u, int how, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = u };

	epoll_ctl(epoll_fd, how, u->fd, &event);
}

static void send_on(struct user *u)
{
	ssize_t n = send(u->fd, u->request + u->sent, u->request_len - u->sent,
			 MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN) {
		fault(u, &seen.lost, "cannot be sent: %s", strerror(errno));
		return;
	}
	if (n > 0)
		u->sent += (size_t)n;
	watch(u, EPOLL_CTL_MOD,
	      u->sent < u->request_len ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static bool open_one(struct user *u)
{
	int one = 1;

	u->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	u->part = CONNECTING;
	if (u->fd < 0)
		return false;
	setsockopt(u->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(u->fd, (struct sockaddr *)&at, sizeof(at)) < 0 &&
	    errno != EINPROGRESS)
		return false;
	watch(u, EPOLL_CTL_ADD, EPOLLOUT);
	return true;
}

static void ask(struct user *u)
{
	compose(u);
	seen.asked++;
	u->asked = now_ms();
	u->head_len = u->got = u->left = u->sent = 0;
	u->last_chunk = false;
	if (u->fd < 0) {
		if (!open_one(u))
			fault(u, &seen.lost, "cannot connect: %s",
			      strerror(errno));
		return;
	}
	u->part = HEADING;
	send_on(u);
}

/* ---- answers ----------------------------------------------------------- */

static const char *field(const char *head, const char *name)
{
	const char *line = head;
	size_t len = strlen(name);

	while ((line = strstr(line, "\r\n"))) {
		line += 2;
		if (!strncasecmp(line, name, len) && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " ");
	}
	return NULL;
}

static void finish(struct user *u)
{
	if (u->got != soak_length(u->id)) {
		fault(u, &seen.wrong, "%zu bytes", u->got);
		return;
	}
	seen.right++;
	u->part = IDLE;
	if (u->close)
		hang_up(u);
}

/* False: it is over, one way or the other. */
static bool judge_head(struct user *u)
{
	const char *length = field(u->head, "Content-Length");
	const char *coding = field(u->head, "Transfer-Encoding");
	const char *connection = field(u->head, "Connection");
	int status = atoi(u->head + strcspn(u->head, " "));

	if (connection && !strncasecmp(connection, "close", 5))
		u->close = true;
	/* the host had hung up, and it is not to be asked twice for this */
	if (status == 502 && u->post) {
		seen.excused++;
		hang_up(u);
		return false;
	}
	if (status != 200 || !field(u->head, "x-ms-azure-host-authorization")) {
		fault(u, &seen.wrong, "answered with %.80s", u->head);
		return false;
	}
	u->part = coding ? CHUNK_SIZE : SIZED;
	u->left = length ? strtoul(length, NULL, 10) : 0;
	u->head_len = 0;
	if (!coding && !length) {
		fault(u, &seen.wrong, "an answer without framing");
		return false;
	}
	return true;
}

static bool took_body(struct user *u, const unsigned char *data, size_t len)
{
	if (!soak_is(data, len, u->id, u->got)) {
		fault(u, &seen.wrong, "another's answer, or not all of it");
		return false;
	}
	u->got += len;
	u->left -= len;
	return true;
}

/* A line up to LF into head; SIZE_MAX: not whole yet, 0: too long. */
static size_t take_line(struct user *u, const unsigned char *data, size_t len,
			const char *until)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (u->head_len + 1 == HEAD)
			return 0;
		u->head[u->head_len++] = (char)data[i];
		u->head[u->head_len] = '\0';
		if (u->head_len >= strlen(until) &&
		    !strcmp(u->head + u->head_len - strlen(until), until))
			return i + 1;
	}
	return SIZE_MAX;
}

static void chunk_begins(struct user *u)
{
	u->left = strtoul(u->head, NULL, 16);
	u->last_chunk = !u->left;
	u->part = u->left ? CHUNK : CHUNK_END;
	u->head_len = 0;
}

/* Bytes used, 0: it is over. */
static size_t take_text(struct user *u, const unsigned char *data, size_t len)
{
	size_t n = take_line(u, data, len,
			     u->part == HEADING ? "\r\n\r\n" : "\r\n");

	if (n == 0)
		fault(u, &seen.wrong, "a line too long");
	if (n == 0 || n == SIZE_MAX)
		return n ? len : 0;
	if (u->part == HEADING)
		return judge_head(u) ? n : 0;
	if (u->part == CHUNK_SIZE) {
		chunk_begins(u);
		return n;
	}
	u->part = CHUNK_SIZE;
	u->head_len = 0;
	if (u->last_chunk)
		finish(u);
	return n;
}

static void digest(struct user *u, const unsigned char *data, size_t len)
{
	size_t n;

	while (len && u->part != IDLE) {
		if (u->part == SIZED || u->part == CHUNK) {
			n = len < u->left ? len : u->left;
			if (!took_body(u, data, n))
				return;
			if (!u->left && u->part == SIZED)
				finish(u);
			else if (!u->left)
				u->part = CHUNK_END;
		} else {
			n = take_text(u, data, len);
			if (!n)
				return;
		}
		data += n;
		len -= n;
	}
	if (len)
		fault(u, &seen.wrong, "%zu bytes behind the answer", len);
}

static void receive(struct user *u)
{
	ssize_t n = recv(u->fd, buffer, sizeof(buffer), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0 && u->part != IDLE) {
		digest(u, buffer, (size_t)n);
		return;
	}
	if (u->part == IDLE && n <= 0) {
		hang_up(u); /* nothing is asked: that may end */
		return;
	}
	if (u->part == IDLE)
		fault(u, &seen.wrong, "%zd bytes nobody asked for", n);
	else
		fault(u, &seen.lost, "%s, part %d, %zu bytes",
		      n ? strerror(errno) : "closed", u->part, u->got);
}

static void happened(struct user *u, uint32_t events)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (u->fd < 0)
		return;
	if (u->part == CONNECTING) {
		getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			fault(u, &seen.lost, "connect: %s", strerror(error));
			return;
		}
		u->part = HEADING;
		send_on(u);
		return;
	}
	if (events & EPOLLOUT)
		send_on(u);
	if (u->fd >= 0 && events & ~(uint32_t)EPOLLOUT)
		receive(u);
}

/* ---- the time ---------------------------------------------------------- */

static void give_up(void)
{
	int64_t now = now_ms();
	unsigned int i;

	for (i = 0; i < n_users; i++)
		if (users[i].part != IDLE && now - users[i].asked > PATIENCE_MS)
			fault(&users[i], &seen.lost, "no answer, part %d",
			      users[i].part);
}

static bool turn(int wait)
{
	struct epoll_event events[64];
	bool busy = false;
	unsigned int u;
	int n, i;

	n = epoll_wait(epoll_fd, events, 64, wait);
	for (i = 0; i < n; i++)
		happened(events[i].data.ptr, events[i].events);
	for (u = 0; u < n_users; u++)
		busy |= users[u].part != IDLE;
	return busy;
}

/* As many requests as are due, on whoever has none. */
static void ask_some(double rate, int64_t since)
{
	static unsigned int first;
	double due = rate * (double)(now_ms() - since) / 1000;
	unsigned int i;

	for (i = 0; i < n_users; i++) {
		struct user *u = &users[(first + i) % n_users];

		if (rate > 0 && (double)seen.asked >= due)
			break;
		if (u->part == IDLE)
			ask(u);
	}
	first = (first + i) % n_users;
}

static void run(double rate, double seconds)
{
	int64_t start = now_ms(), end = start + (int64_t)(seconds * 1000);
	int64_t checked = start;

	while (now_ms() < end) {
		ask_some(rate, start);
		turn(rate > 0 ? 1 : 100);
		if (now_ms() - checked > 1000) {
			checked = now_ms();
			give_up();
		}
	}
	end += GRACE_MS;
	while (turn(100) && now_ms() < end)
		give_up();
}

int main(int argc, char **argv)
{
	char *colon;
	unsigned int i;
	double seconds;

	if (argc != 7 || !(colon = strchr(argv[1], ':')))
		return 2;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	*colon = '\0';
	snprintf(host, sizeof(host), "%s", argv[1]);
	at.sin_family = AF_INET;
	at.sin_port = htons((uint16_t)atoi(colon + 1));
	inet_pton(AF_INET, host, &at.sin_addr);
	n_users = (unsigned int)atoi(argv[2]);
	if (n_users < 1 || n_users > CONNECTIONS)
		return 2;
	for (i = 0; i < n_users; i++)
		users[i].fd = -1;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	seconds = atof(argv[4]);
	next_number = strtoull(argv[5], NULL, 10);
	dice = strtoull(argv[6], NULL, 10);
	run(atof(argv[3]), seconds);
	printf("{\"asked\": %" PRIu64 ", \"right\": %" PRIu64
	       ", \"wrong\": %" PRIu64 ", \"lost\": %" PRIu64
	       ", \"excused\": %" PRIu64 ", \"next\": %" PRIu64
	       ", \"rate\": %.1f}\n",
	       seen.asked, seen.right, seen.wrong, seen.lost, seen.excused,
	       next_number, (double)seen.asked / seconds);
	return 0;
}
