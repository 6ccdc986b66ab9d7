/* SPDX-License-Identifier: MIT */
/*
 * In:  a request.
 * Out: the answer to it, or why there is none.
 * Never: waits longer than it was told, or takes more than it was told.
 */
#include "report/exchange.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <time.h>

static struct msp_time read_clock(void)
{
	struct timespec boot, wall;
	struct msp_time now;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &wall);
	now.boot_ms =
		(uint64_t)boot.tv_sec * 1000 + (uint64_t)boot.tv_nsec / 1000000;
	now.wall_s = wall.tv_sec;
	return now;
}

/* False: the deadline has passed. */
static bool wait_for(struct msp_client *client, uint64_t deadline)
{
	struct pollfd pfd = { .fd = msp_client_fd(client),
			      .events = msp_client_events(client) };
	uint64_t now = read_clock().boot_ms;
	uint64_t until = msp_client_deadline(client);

	if (now >= deadline)
		return false;
	if (until > deadline)
		until = deadline;
	poll(&pfd, 1, until > now ? (int)(until - now) : 0);
	return true;
}

static void add_host(const struct msp_address *address, struct buf *out)
{
	struct in_addr in = { .s_addr = address->ip };
	char ip[INET_ADDRSTRLEN] = "?";

	inet_ntop(AF_INET, &in, ip, sizeof(ip));
	buf_text(out, ip);
	if (address->port != 80)
		buf_format(out, ":%u", address->port);
}

static int start(struct msp_client *client, const struct exchange *x,
		 const struct buf *host, struct msp_error_info *info)
{
	const struct msp_header headers[] = {
		{ "host", 4, host->data, host->len },
		x->header,
	};
	const struct msp_message message = {
		.size = sizeof(message),
		.method = x->method,
		.method_len = strlen(x->method),
		.target = x->target,
		.target_len = strlen(x->target),
		.headers = headers,
		.n_headers = sizeof(headers) / sizeof(headers[0]),
		.body = x->body ? x->body->data : NULL,
		.body_len = x->body ? x->body->len : 0,
	};

	return msp_client_send(client, read_clock(), &message, message.body_len,
			       NULL, info);
}

static int read_head(struct msp_client *client, uint64_t deadline,
		     struct exchange *x, struct msp_error_info *info)
{
	int rc;

	while ((rc = msp_client_run(client, read_clock(), info)) ==
	       MSP_ERR_AGAIN) {
		if (!wait_for(client, deadline))
			return MSP_ERR_TIMEOUT;
	}
	if (rc == 0)
		x->status = msp_client_response(client)->status;
	return rc;
}

static int read_body(struct msp_client *client, uint64_t deadline,
		     struct exchange *x, struct msp_error_info *info)
{
	char piece[16384];
	size_t n;
	int rc;

	for (;;) {
		rc = msp_client_read(client, read_clock(), piece, sizeof(piece),
				     &n, info);
		if (rc == MSP_ERR_AGAIN) {
			if (!wait_for(client, deadline))
				return MSP_ERR_TIMEOUT;
			continue;
		}
		if (rc < 0 || !n)
			return rc;
		if (n > x->max - x->answer.len)
			return MSP_ERR_LIMIT;
		buf_add(&x->answer, piece, n);
		if (x->answer.failed)
			return MSP_ERR_NOMEM;
	}
}

static void tell(const struct exchange *x, const struct buf *host, int rc,
		 const struct msp_error_info *info, struct buf *error)
{
	buf_format(error, "%s http://%s%s: ", x->method,
		   host->data ? host->data : "", x->target);
	if (rc == MSP_ERR_LIMIT)
		buf_format(error, "the answer is larger than %zu bytes",
			   x->max);
	else
		buf_text(error, *info->text ? info->text : msp_error_text(rc));
	if (info->sys_errno)
		buf_format(error, " (%s)", strerror(info->sys_errno));
}

bool exchange_run(struct exchange *x, struct buf *error)
{
	const struct msp_client_opts opts = {
		.size = sizeof(opts),
		.address = x->address,
		.connect_ms = x->timeout_ms,
		.first_byte_ms = x->timeout_ms,
		.idle_ms = x->timeout_ms,
	};
	uint64_t deadline = read_clock().boot_ms + x->timeout_ms;
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_client *client = NULL;
	struct buf host = { 0 };
	int rc;

	add_host(&x->address, &host);
	rc = host.failed ? MSP_ERR_NOMEM : msp_client_new(&client, &opts);
	if (rc == 0)
		rc = start(client, x, &host, &info);
	if (rc == 0)
		rc = read_head(client, deadline, x, &info);
	if (rc == 0)
		rc = read_body(client, deadline, x, &info);
	if (rc < 0)
		tell(x, &host, rc, &info, error);
	msp_client_free(client);
	buf_clear(&host);
	return rc == 0;
}
