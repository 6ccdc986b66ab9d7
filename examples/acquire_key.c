/* SPDX-License-Identifier: MIT */
/*
 * In: a directory for keys, e.g. /var/lib/azure-proxy-agent/keys. Out: it holds
 * the key the host wants: which one, and what happened on the way. Never:
 * prints the key, nor takes the directory from an agent that runs.
 *
 *   acquire_key KEY-DIRECTORY [WIRESERVER]   address: IP:PORT
 * Exit status 3: there is an agent, and nothing to do.
 */
#include <arpa/inet.h>
#include <msp/msp.h>
#include <stdio.h>
#include <string.h>

static void print_event(void *arg, const char *text)
{
	fprintf(arg, "%s\n", text);
}

static bool read_address(struct msp_address *out, const char *text)
{
	char ip[INET_ADDRSTRLEN];

	return sscanf(text, "%15[0-9.]:%hu", ip, &out->port) == 2 &&
	       inet_pton(AF_INET, ip, &out->ip) == 1;
}

static int failed(int rc, const struct msp_error_info *info)
{
	fprintf(stderr, "%s: %s\n", msp_error_text(rc), info->text);
	if (info->endpoint >= 0)
		fprintf(stderr, "endpoint %s, errno %d, host status %u\n",
			msp_endpoint_name((enum msp_endpoint)info->endpoint),
			info->sys_errno, info->http_status);
	/* an agent has the directory, and signs for everybody */
	return rc == MSP_ERR_BUSY ? 3 : 1;
}

int main(int argc, char **argv)
{
	struct msp_session_opts opts = { .size = sizeof(opts) };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_session *session;
	struct msp_key *key;
	int rc;

	if ((argc != 2 && argc != 3) ||
	    (argc == 3 &&
	     !read_address(&opts.endpoints[MSP_ENDPOINT_WIRESERVER],
			   argv[2]))) {
		fprintf(stderr,
			"usage: %s KEY-DIRECTORY [WIRESERVER-IP:PORT]\n",
			argv[0]);
		return 2;
	}
	opts.directory = argv[1];
	opts.directory_len = strlen(argv[1]);
	opts.on_event = print_event;
	opts.arg = stderr;
	rc = msp_session_new(&session, &opts, &info);
	if (rc == 0)
		rc = msp_session_latch(session, &info);
	key = msp_session_key(session);
	if (key)
		key = msp_key_ref(key); /* the session's ends with it */
	msp_session_free(session);
	if (key)
		printf("latched, key %s\n", msp_key_guid(key));
	else if (rc == 0)
		printf("disabled, the host wants no key\n");
	msp_key_free(key);
	return rc == 0 ? 0 : failed(rc, &info);
}
