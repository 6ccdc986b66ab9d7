/* SPDX-License-Identifier: MIT */
/*
 * In: which document to fetch or to hand over. Out: calls to the host (spec
 * 9.2), and what it said. Must never wait for it longer than one call may
 * take, read more than a document may have, nor go where it was not told to.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mspd/telemetry_priv.h"

#define GOAL_STATE "/machine?comp=goalstate"
#define TELEMETRY  "/machine/?comp=telemetrydata"
#define INSTANCE   "/metadata/instance?api-version=2018-02-01"
#define PROTOCOL   "2012-11-30"

/* One call: what is asked, and what came of it. */
struct exchange {
	enum msp_endpoint endpoint;
	const char *method;
	const char *target;
	const char *headers[2][2]; /* its own: name, value; NULL: none */
	const char *body;
	size_t body_len;
	bool sign;
	char *answer; /* owned; MSPD_DOCUMENT_MAX bytes, or NULL: dropped */
	size_t answer_len;
	uint64_t until;
};

struct msp_time mspd_host_time(void)
{
	struct msp_time now;
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	now.boot_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	clock_gettime(CLOCK_REALTIME, &t);
	now.wall_s = t.tv_sec;
	return now;
}

static struct msp_header header(const char *name, const char *value)
{
	struct msp_header h = { name, strlen(name), value, strlen(value) };

	return h;
}

static int send_request(struct mspd_host *host, struct msp_client *client,
			const struct exchange *x, struct msp_signer *signer)
{
	const struct mspd_config *config = host->opts.config;
	struct in_addr in = { config->endpoints[x->endpoint].ip };
	struct msp_time now = mspd_host_time();
	char address[INET_ADDRSTRLEN] = "";
	char date[MSP_DATE_SIZE];
	struct msp_header headers[5];
	struct msp_message message = {
		.size = sizeof(message),
		.method = x->method,
		.method_len = strlen(x->method),
		.target = x->target,
		.target_len = strlen(x->target),
		.headers = headers,
		.n_headers = 3,
		.body = x->body,
		.body_len = x->body_len,
	};
	size_t i;

	msp_date_format(date, mspd_policy_date(host->opts.policies, now));
	inet_ntop(AF_INET, &in, address, sizeof(address));
	headers[0] = header(MSP_HEADER_DATE, date);
	headers[1] = header("host", address);
	headers[2] = header(MSP_HEADER_CLAIMS, MSP_CLAIMS_ROOT);
	for (i = 0; i < 2 && x->headers[i][0]; i++)
		headers[message.n_headers++] =
			header(x->headers[i][0], x->headers[i][1]);
	return msp_client_send(client, now, &message,
			       x->body ? x->body_len : MSP_BODY_EMPTY, signer,
			       NULL);
}

/* MSP_ERR_AGAIN once something may have happened. */
static int wait(struct mspd_host *host, const struct msp_client *client,
		const struct exchange *x)
{
	uint64_t until = msp_client_deadline(client);

	if (mspd_host_time().boot_ms >= x->until)
		return MSP_ERR_TIMEOUT;
	if (until > x->until)
		until = x->until;
	return host->wait(host->arg, msp_client_fd(client),
			  msp_client_events(client), until)
		       ? MSP_ERR_AGAIN
		       : MSP_ERR_STATE;
}

static int read_head(struct mspd_host *host, struct msp_client *client,
		     const struct exchange *x)
{
	int rc;

	do {
		rc = msp_client_run(client, mspd_host_time(), NULL);
		if (rc == MSP_ERR_AGAIN)
			rc = wait(host, client, x);
		else
			break;
	} while (rc == MSP_ERR_AGAIN);
	return rc;
}

static int read_body(struct mspd_host *host, struct msp_client *client,
		     struct exchange *x)
{
	size_t got;
	int rc;

	while (x->answer_len < MSPD_DOCUMENT_MAX) {
		rc = msp_client_read(
			client, mspd_host_time(), x->answer + x->answer_len,
			MSPD_DOCUMENT_MAX - x->answer_len, &got, NULL);
		if (rc == 0 && got == 0)
			return 0;
		if (rc == MSP_ERR_AGAIN)
			rc = wait(host, client, x);
		if (rc < 0 && rc != MSP_ERR_AGAIN)
			return rc;
		x->answer_len += got;
	}
	return MSP_ERR_LIMIT;
}

/* With the signature of clients' requests; NULL where there is none. */
static int new_signer(struct mspd_host *host, struct msp_signer **out)
{
	*out = NULL;
	mspd_policy_refresh(host->opts.policies, &host->policy);
	if (!host->policy || !host->policy->key)
		return 0;
	return msp_signer_new(out, host->policy->key);
}

static int new_client(struct mspd_host *host, const struct exchange *x,
		      struct msp_client **out)
{
	const struct mspd_config *config = host->opts.config;
	struct msp_client_opts opts = {
		.size = sizeof(opts),
		.address = config->endpoints[x->endpoint],
		.connect_ms = config->connect_timeout_ms,
		.first_byte_ms = config->channel_timeout_ms,
		.idle_ms = config->channel_timeout_ms,
		.on_socket = host->opts.on_socket,
		.on_socket_arg = host->opts.on_socket_arg,
	};

	return msp_client_new(out, &opts);
}

/* One connection per call, as the key channel has it. Any 2xx is good. */
static bool call(struct mspd_host *host, struct exchange *x)
{
	struct msp_client *client = NULL;
	struct msp_signer *signer = NULL;
	unsigned int status = 0;
	int rc = new_client(host, x, &client);

	x->answer_len = 0;
	x->until = mspd_host_time().boot_ms +
		   host->opts.config->channel_timeout_ms;
	if (rc == 0 && x->sign)
		rc = new_signer(host, &signer);
	if (rc == 0)
		rc = send_request(host, client, x, signer);
	if (rc == 0)
		rc = read_head(host, client, x);
	if (rc == 0)
		status = msp_client_response(client)->status;
	if (rc == 0 && status / 100 == 2 && x->answer)
		rc = read_body(host, client, x);
	msp_signer_free(signer);
	msp_client_free(client);
	return rc == 0 && status / 100 == 2;
}

static bool ask(struct mspd_host *host, struct mspd_vm *vm, char *buffer)
{
	const struct msp_address *wireserver =
		&host->opts.config->endpoints[MSP_ENDPOINT_WIRESERVER];
	char url[MSPD_VM_TARGET];
	struct exchange x = {
		.endpoint = MSP_ENDPOINT_WIRESERVER,
		.method = "GET",
		.target = GOAL_STATE,
		.headers = { { "x-ms-version", PROTOCOL } },
		.sign = true,
		.answer = buffer,
	};

	if (!call(host, &x) ||
	    !mspd_vm_goal(vm, buffer, x.answer_len, url, sizeof(url)))
		return false;
	x.target = mspd_url_target(url, wireserver);
	if (!x.target || !call(host, &x) ||
	    !mspd_vm_shared(vm, buffer, x.answer_len))
		return false;
	x.endpoint = MSP_ENDPOINT_IMDS;
	x.target = INSTANCE;
	x.headers[0][0] = "Metadata";
	x.headers[0][1] = "true";
	return call(host, &x) && mspd_vm_compute(vm, buffer, x.answer_len);
}

bool mspd_host_metadata(struct mspd_host *host, struct mspd_vm *vm)
{
	struct mspd_vm found = { .image = false };
	char *buffer = malloc(MSPD_DOCUMENT_MAX);
	bool known = false;

	if (buffer && ask(host, &found, buffer)) {
		mspd_vm_local(&found);
		*vm = found;
		known = true;
	}
	free(buffer);
	return known;
}

bool mspd_host_post(struct mspd_host *host, const char *body, size_t len)
{
	struct exchange x = {
		.endpoint = MSP_ENDPOINT_WIRESERVER,
		.method = "POST",
		.target = TELEMETRY,
		.headers = { { "x-ms-version", PROTOCOL },
			     { "content-type", "text/xml; charset=utf-8" } },
		.body = body,
		.body_len = len,
	};

	return call(host, &x);
}

void mspd_host_close(struct mspd_host *host)
{
	mspd_policy_free(host->policy);
	host->policy = NULL;
}
