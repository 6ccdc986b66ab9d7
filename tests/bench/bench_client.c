/* SPDX-License-Identifier: MIT */
/*
 * In: a host in this process, a signed request. Out: what an exchange on a
 * connection that is kept costs beside the same bytes over a bare socket, in
 * time, system calls and allocations. Must never count an answer not checked.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <msp/msp.h>

#include "tests/bench/allocs.h"
#include "tests/bench/kit.h"
#include "tests/bench/measure.h"

#define ROUNDS 41
#define CALLS  2000
#define BODY   "{\"compute\":{\"location\":\"westeurope\",\"name\":\"vm\"}}"
#define ANSWER                                                                 \
	"HTTP/1.1 200 OK\r\nServer: IMDS/150.870.65.1854\r\n"                  \
	"Date: Sat, 21 Nov 2026 12:00:00 GMT\r\n"                              \
	"Content-Type: application/json; charset=utf-8\r\n"                    \
	"Content-Length: 49\r\n\r\n" BODY
#define HEADERS 5

_Static_assert(sizeof(BODY) - 1 == 49, "Content-Length");

static const char guid[] = "01234567-89ab-cdef-0123-456789abcdef";
static const char hex_key[] =
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
static const char target[] = "/metadata/instance?api-version=2021-02-01";

/* Of the client and of the bare socket; the host has others. */
static unsigned int calls;

__attribute__((visibility("default"))) ssize_t send(int fd, const void *data,
						    size_t len, int flags)
{
	calls++;
	return sendto(fd, data, len, flags, NULL, 0);
}

__attribute__((visibility("default"))) ssize_t recv(int fd, void *data,
						    size_t len, int flags)
{
	calls++;
	return recvfrom(fd, data, len, flags, NULL, NULL);
}

struct bench {
	int listener;
	int host; /* its end of the connection */
	struct msp_client *client;
	struct msp_signer *signer;
	struct msp_header headers[HEADERS];
	char request[1024]; /* as the host got it */
	size_t request_len;
};

static void header(struct msp_header *h, const char *name, const char *value)
{
	*h = (struct msp_header){ name, strlen(name), value, strlen(value) };
}

static void open_all(struct bench *b)
{
	struct msp_client_opts opts = { .size = sizeof(opts) };
	struct target at;
	struct msp_key *key;

	b->listener = kit_listen(&at);
	b->host = -1;
	opts.address.ip = at.to.v4.sin_addr.s_addr;
	opts.address.port = ntohs(at.to.v4.sin_port);
	if (msp_client_new(&b->client, &opts) < 0 ||
	    msp_key_new(&key, guid, strlen(guid), hex_key, strlen(hex_key)) <
		    0 ||
	    msp_signer_new(&b->signer, key) < 0)
		measure_die("no client");
	msp_key_free(key);
	header(&b->headers[0], "Host", "169.254.169.254");
	header(&b->headers[1], "User-Agent", "curl/7.88.1");
	header(&b->headers[2], "Metadata", "true");
	header(&b->headers[3], MSP_HEADER_CLAIMS, MSP_CLAIMS_USER);
	header(&b->headers[4], MSP_HEADER_DATE,
	       "Sat, 21 Nov 2026 12:00:00 GMT");
}

static void wait_for(struct bench *b, short events)
{
	struct pollfd p = { .fd = msp_client_fd(b->client), .events = events };

	measure_need(poll(&p, 1, 1000) - 1, "poll");
}

static void serve(struct bench *b)
{
	ssize_t n;

	if (b->host < 0)
		b->host = accept(b->listener, NULL, NULL);
	measure_need(b->host, "accept");
	n = read(b->host, b->request, sizeof(b->request));
	if (n <= 0 || write(b->host, ANSWER, sizeof(ANSWER) - 1) !=
			      (ssize_t)sizeof(ANSWER) - 1)
		measure_die("the host lost its client");
	b->request_len = (size_t)n;
}

static void exchange(struct bench *b)
{
	const struct msp_time now = { .boot_ms = 1, .wall_s = 1 };
	struct msp_message m = { .size = sizeof(m),
				 .method = "GET",
				 .method_len = 3,
				 .target = target,
				 .target_len = sizeof(target) - 1,
				 .headers = b->headers,
				 .n_headers = HEADERS };
	char body[256];
	size_t got, end;
	int rc;

	rc = msp_client_send(b->client, now, &m, 0, b->signer, NULL);
	while (rc == 0 && msp_client_events(b->client) & POLLOUT) {
		if (b->host < 0)
			wait_for(b, POLLOUT);
		rc = msp_client_run(b->client, now, NULL);
		rc = rc == MSP_ERR_AGAIN ? 0 : rc;
	}
	if (rc < 0)
		measure_die("not sent: %s", msp_error_text(rc));
	serve(b);
	if (msp_client_run(b->client, now, NULL) < 0 ||
	    msp_client_read(b->client, now, body, sizeof(body), &got, NULL) <
		    0 ||
	    msp_client_read(b->client, now, body + got, 1, &end, NULL) < 0 ||
	    end || got != sizeof(BODY) - 1 || memcmp(body, BODY, got) != 0)
		measure_die("another answer");
}

/* The same bytes, and nobody who looks at them. */
static void bare(struct bench *b, const char *request, size_t len)
{
	int fd = msp_client_fd(b->client);
	char in[4096];

	if (send(fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
		measure_die("not sent");
	serve(b);
	if (recv(fd, in, sizeof(in), 0) != (ssize_t)sizeof(ANSWER) - 1)
		measure_die("another answer");
}

int main(void)
{
	unsigned int rounds = measure_count(ROUNDS, 9), i, k, once;
	unsigned int n = measure_count(CALLS, CALLS / 5);
	double client[ROUNDS], socket[ROUNDS];
	struct bench b = { 0 };
	char request[sizeof(b.request)];
	uint64_t start;
	size_t len;

	open_all(&b);
	for (i = 0; i < 3; i++)
		exchange(&b);
	len = b.request_len;
	memcpy(request, b.request, len);
	calls = 0;
	start = allocs_count();
	exchange(&b);
	once = calls;
	start = allocs_count() - start;
	for (i = 0; i < rounds; i++) {
		uint64_t before = measure_now();

		for (k = 0; k < n; k++)
			exchange(&b);
		client[i] = (double)(measure_now() - before) / n;
		before = measure_now();
		for (k = 0; k < n; k++)
			bare(&b, request, len);
		socket[i] = (double)(measure_now() - before) / n;
	}
	measure_result("exchange, kept connection",
		       measure_excess(socket, client, rounds, NULL), "ns",
		       NO_GOAL, "signed, besides the %.0f of its bytes alone",
		       measure_median(socket, rounds));
	measure_result("- system calls", once, "1/call", 3,
		       "a look, a write, a read");
	measure_result("- allocations", (double)start - 2, "1/call", 0,
		       "besides the 2 within OpenSSL");
	close(b.host);
	close(b.listener);
	msp_client_free(b.client);
	msp_signer_free(b.signer);
	return 0;
}
