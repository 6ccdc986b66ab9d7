/* SPDX-License-Identifier: MIT */
/*
 * In: a target of IMDS, such as /metadata/instance?api-version=2021-02-01.
 * Out: the document. Never: prints the key, nor gives up after one failure.
 *
 *   get_metadata TARGET [KEY-DIRECTORY [WIRESERVER IMDS]]   addresses: IP:PORT
 *
 * Without KEY-DIRECTORY nothing is signed: for a VM with an agent, which does.
 */
#include <arpa/inet.h>
#include <msp/msp.h>
#include <stdio.h>
#include <string.h>

static int get(const struct msp_session_opts *opts, const char *target)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_document *document = NULL;
	struct msp_session *session;
	const char *body;
	size_t len;
	int rc;

	rc = msp_session_new(&session, opts, &info);
	if (rc == 0)
		rc = msp_session_get(session, &document, MSP_ENDPOINT_IMDS,
				     target, strlen(target), &info);
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", msp_error_text(rc), info.text);
	body = msp_document_body(document, &len);
	fwrite(body, 1, len, stdout);
	msp_document_free(document);
	msp_session_free(session);
	return rc == 0 ? 0 : 1;
}

static bool read_address(struct msp_address *out, const char *text)
{
	char ip[INET_ADDRSTRLEN];

	return sscanf(text, "%15[0-9.]:%hu", ip, &out->port) == 2 &&
	       inet_pton(AF_INET, ip, &out->ip) == 1;
}

int main(int argc, char **argv)
{
	struct msp_session_opts opts = { .size = sizeof(opts) };
	struct msp_address *at = opts.endpoints;

	if ((argc != 2 && argc != 3 && argc != 5) ||
	    (argc == 5 &&
	     (!read_address(&at[MSP_ENDPOINT_WIRESERVER], argv[3]) ||
	      !read_address(&at[MSP_ENDPOINT_IMDS], argv[4])))) {
		fprintf(stderr,
			"usage: %s TARGET [KEY-DIRECTORY "
			"[WIRESERVER-IP:PORT IMDS-IP:PORT]]\n",
			argv[0]);
		return 2;
	}
	if (argc == 2) {
		opts.flags = MSP_SESSION_UNSIGNED;
	} else {
		opts.directory = argv[2];
		opts.directory_len = strlen(argv[2]);
	}
	return get(&opts, argv[1]);
}
