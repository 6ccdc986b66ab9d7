/* SPDX-License-Identifier: MIT */
/*
 * In: a log of unknown length, on stdin. Out: the status of the host's answer,
 * which gets it piece by piece. Never: more of it in memory than a piece.
 *   upload_log IP PORT
 */
#include <arpa/inet.h>
#include <err.h>
#include <msp/msp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static int turn(struct msp_client *client)
{
	struct pollfd fd = { msp_client_fd(client), msp_client_events(client),
			     0 };
	uint64_t due = msp_client_deadline(client);
	struct msp_time now;

	msp_clock_read(&now);
	poll(&fd, 1, due > now.boot_ms ? (int)(due - now.boot_ms) : 0);
	msp_clock_read(&now);
	return msp_client_run(client, now, NULL);
}

/* MSP_ERR_AGAIN: go on; else the answer is here, or an error. */
static int send_piece(struct msp_client *client, const char *piece, size_t len)
{
	size_t taken;
	int rc = MSP_ERR_AGAIN;

	while (len > 0 && rc == MSP_ERR_AGAIN) {
		if (msp_client_write(client, piece, len, &taken) < 0)
			return MSP_ERR_STATE;
		piece += taken;
		len -= taken;
		rc = turn(client);
	}
	return rc;
}

int main(int argc, char **argv)
{
	struct msp_client_opts opts = { .size = sizeof(opts) };
	struct msp_header host = { "host", 4, "168.63.129.16", 13 };
	struct msp_message put = {
		sizeof(put), "PUT", 3, "/vmAgentLog", 11, &host, 1, NULL, 0
	};
	struct msp_client *client;
	struct msp_time now;
	char piece[16384];
	size_t len;
	int rc;

	if (argc != 3)
		errx(2, "usage: upload_log IP PORT");
	opts.address.ip = inet_addr(argv[1]);
	opts.address.port = (uint16_t)atoi(argv[2]);
	rc = msp_client_new(&client, &opts);
	msp_clock_read(&now);
	rc = rc ? rc
		: msp_client_send(client, now, &put, MSP_BODY_CHUNKED, NULL,
				  NULL);
	rc = rc ? rc : MSP_ERR_AGAIN;
	while (rc == MSP_ERR_AGAIN &&
	       (len = fread(piece, 1, sizeof(piece), stdin)) > 0)
		rc = send_piece(client, piece, len);
	if (rc == MSP_ERR_AGAIN && msp_client_finish(client) < 0)
		rc = MSP_ERR_STATE;
	while (rc == MSP_ERR_AGAIN)
		rc = turn(client);
	if (rc == 0)
		printf("%u\n", msp_client_response(client)->status);
	msp_client_free(client);
	if (rc < 0)
		errx(1, "%s", msp_error_text(rc));
	return 0;
}
