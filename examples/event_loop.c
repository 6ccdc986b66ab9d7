/* SPDX-License-Identifier: MIT */
/*
 * In: keys, a target of IMDS. Out: the document. Never: waits but in a poll().
 *   event_loop KEY-DIRECTORY TARGET WS-IP PORT IMDS-IP PORT
 */
#include <arpa/inet.h>
#include <err.h>
#include <msp/msp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int turn(struct msp_latch *latch, struct msp_client *client,
		struct msp_document *document, const char *target)
{
	struct msp_header host = { "host", 4, "169.254.169.254", 15 };
	struct msp_message get = { sizeof(get), "GET",		3,
				   target,	strlen(target), &host,
				   1,		NULL,		0 };
	struct pollfd fds[] = {
		{ msp_latch_fd(latch), msp_latch_events(latch), 0 },
		{ msp_client_fd(client), msp_client_events(client), 0 }
	};
	uint64_t due = msp_latch_deadline(latch);
	struct msp_time now;
	int rc;

	if (msp_client_deadline(client) < due)
		due = msp_client_deadline(client);
	msp_clock_read(&now);
	poll(fds, 2, due > now.boot_ms ? (int)(due - now.boot_ms) : 0);
	msp_clock_read(&now);
	rc = msp_latch_run(latch, now);
	if (msp_latch_changes(latch) & MSP_LATCH_CHANGED_STATE)
		warnx("%s %s", msp_latch_state_name(msp_latch_state(latch)),
		      msp_latch_message(latch));
	if (rc == 0 && msp_client_fd(client) < 0)
		rc = msp_latch_send(latch, client, now, &get, NULL);
	if (rc == 0)
		rc = msp_document_fill(document, client, now, NULL);
	return rc == MSP_ERR_AGAIN || rc == MSP_ERR_STATE ? 0 : rc; /* no key */
}

int main(int argc, char **argv)
{
	struct msp_channel_opts wireserver = { .size = sizeof(wireserver) };
	struct msp_client_opts imds = { .size = sizeof(imds) };
	struct msp_document *document = NULL;
	struct msp_keystore *store = NULL;
	struct msp_channel *channel = NULL;
	struct msp_client *client = NULL;
	struct msp_latch *latch = NULL;
	int rc;

	if (argc != 7)
		errx(2, "usage: KEY-DIRECTORY TARGET WS-IP PORT IMDS-IP PORT");
	imds.address.ip = inet_addr(argv[5]);
	imds.address.port = (uint16_t)atoi(argv[6]);
	wireserver.client = imds;
	wireserver.client.address.ip = inet_addr(argv[3]);
	wireserver.client.address.port = (uint16_t)atoi(argv[4]);
	rc = msp_keystore_open(&store, argv[1], strlen(argv[1]), NULL);
	rc = rc ? rc : msp_channel_new(&channel, &wireserver);
	rc = rc ? rc : msp_latch_new(&latch, channel, store, NULL);
	rc = rc ? rc : msp_client_new(&client, &imds);
	rc = rc ? rc : msp_document_new(&document, 0);
	while (rc == 0 && !msp_document_status(document))
		rc = turn(latch, client, document, argv[2]);
	fputs(msp_document_body(document, NULL), stdout);
	msp_document_free(document);
	msp_client_free(client);
	msp_latch_free(latch);
	msp_channel_free(channel);
	msp_keystore_free(store);
	if (rc < 0)
		errx(1, "%s", msp_error_text(rc));
	return 0;
}
