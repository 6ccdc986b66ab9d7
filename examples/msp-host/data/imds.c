/* SPDX-License-Identifier: MIT */
/*
 * In:  calls on the instance metadata address.
 * Out: instance document, tokens nobody accepts, events, the versions.
 * Never: answers what may come through a proxy: that is what Metadata: true
 *        and the refusal of X-Forwarded-For are for.
 */
#include "data/imds.h"

#include "emulator.h"
#include "net/route.h"

#include <string.h>
#include <strings.h>

#define LOADBALANCER "/metadata/loadbalancer"
#define IDENTITY     "/metadata/identity"
/** Query parameters at most; comparing them takes their square. */
#define PARAMETERS_MAX 64

/* newest first */
static const char *const api_versions[] = {
	"2025-04-07", "2024-07-17", "2024-03-15", "2023-11-15", "2023-07-01",
	"2021-12-13", "2021-11-15", "2021-11-01", "2021-10-01", "2021-08-01",
	"2021-05-01", "2021-03-01", "2021-02-01", "2021-01-01", "2020-12-01",
	"2020-10-01", "2020-09-01", "2020-07-15", "2020-06-01", "2019-11-01",
	"2019-08-15", "2019-08-01", "2019-06-04", "2019-06-01", "2019-04-30",
	"2019-03-11", "2019-02-01", "2018-10-01", "2018-04-02", "2018-02-01",
	"2017-12-01", "2017-10-01", "2017-08-01", "2017-04-02", "2017-03-01",
	NULL,
};
#define N_VERSIONS (sizeof(api_versions) / sizeof(api_versions[0]) - 1)

static bool is_identity(const struct call *call)
{
	return !strncasecmp(call->path, IDENTITY, sizeof(IDENTITY) - 1);
}

/* As OAuth has it (RFC 6749 section 5.2), with more words for the code. */
static void oauth_error(struct buf *out, unsigned int status, const char *text)
{
	const char *code = "invalid_request";

	if (status == 404)
		code = "not_found";
	else if (status == 405)
		code = "method_not_allowed";
	else if (status == 429)
		code = "too_many_requests";
	else if (status >= 500)
		code = "server_error";
	buf_format(out, "{\"error\":\"%s\",\"error_description\":", code);
	buf_json(out, text, strlen(text));
	buf_text(out, "}");
}

/* Everywhere else the text is all. */
static void plain_error(struct buf *out, unsigned int status, const char *text)
{
	struct buf whole = { 0 };

	buf_format(&whole, "%s%s", status == 400 ? "Bad request. " : "", text);
	buf_text(out, "{\"error\":");
	if (whole.failed)
		out->failed = true;
	else
		buf_json(out, whole.data, whole.len);
	buf_text(out, "}");
	buf_clear(&whole);
}

void imds_error(struct call *call, unsigned int status, const char *text)
{
	struct buf *body = &call->reply.body;

	call->reply.status = status;
	call->reply.type = JSON_TYPE;
	buf_clear(body);
	if (is_identity(call))
		oauth_error(body, status, text);
	else
		plain_error(body, status, text);
}

static bool through_a_proxy(struct call *call)
{
	const struct msp_header *h;
	size_t len;

	if (call_header(call, "x-forwarded-for", NULL)) {
		imds_error(call, 400,
			   "X-Forwarded-For header is not "
			   "allowed");
		return true;
	}
	if (call_header(call, "metadata", &h)) {
		len = h->value_len;
		/* some agents send a blank behind it */
		while (len && h->value[len - 1] == ' ')
			len--;
		if (text_equal_nocase(h->value, len, "true"))
			return false;
	}
	imds_error(call, 400, "Required metadata header not specified");
	return true;
}

/* Names of the parameters of a query, as many as fit; the number there is. */
static size_t names_of(const char *query, const char **names, size_t *lens)
{
	const char *p = query;
	size_t n = 0;

	while (p && *p) {
		const char *end = strchrnul(p, '&');
		size_t len = strcspn(p, "=&");

		if (len && n < PARAMETERS_MAX) {
			names[n] = p;
			lens[n] = len;
		}
		n += len > 0;
		p = *end ? end + 1 : end;
	}
	return n;
}

/* Which of two the reader meant would be a guess. */
static bool ambiguous(struct call *call)
{
	const char *names[PARAMETERS_MAX];
	size_t lens[PARAMETERS_MAX];
	size_t i, j, n;

	n = names_of(call->query, names, lens);
	if (n > PARAMETERS_MAX) {
		imds_error(call, 400, "Too many parameters");
		return true;
	}
	for (i = 0; i < n; i++) {
		for (j = 0; j < i; j++) {
			if (lens[i] != lens[j] ||
			    strncasecmp(names[i], names[j], lens[i]))
				continue;
			imds_error(call, 400, "Duplicate query parameter");
			return true;
		}
	}
	return false;
}

/* In each second of its own a VM has so many. */
static bool too_many(struct call *call)
{
	struct vm *vm = call->vm;
	uint64_t now = loop_now_ms();

	if (!call->emu->imds_rate)
		return false;
	if (now - vm->imds_ms >= 1000) {
		vm->imds_ms = now;
		vm->imds_n = 0;
	}
	if (vm->imds_n < call->emu->imds_rate) {
		vm->imds_n++;
		return false;
	}
	imds_error(call, 429, "Too many requests");
	call->reply.retry = 1;
	return true;
}

static void bad_version(struct call *call, const char *const *list, bool given)
{
	struct buf *body = &call->reply.body;
	size_t i;

	if (is_identity(call)) {
		imds_error(call, 400,
			   given ? "The value of 'api-version' is invalid"
				 : "Required query variable 'api-version' is "
				   "missing");
		return;
	}
	call->reply.status = 400;
	call->reply.type = JSON_TYPE;
	buf_format(body,
		   "{\"error\":\"Bad request. api-version %s. For more "
		   "information refer to aka.ms/azureimds\","
		   "\"newest-versions\":[",
		   given ? "is invalid" : "was not specified in the request");
	for (i = 0; i < 3; i++)
		buf_format(body, "%s\"%s\"", i ? "," : "", list[i]);
	buf_text(body, "]}");
}

bool imds_version_of(struct call *call, const char *const *list,
		     const char *since, char out[IMDS_VERSION_SIZE])
{
	struct buf version = { 0 };
	bool given, known = false;
	size_t i;

	given = text_query(call->query, "api-version", &version);
	for (i = 0; given && list[i] && !known; i++) {
		known = text_equal(version.data, version.len, list[i]) &&
			strcmp(list[i], since) >= 0;
		if (known)
			memcpy(out, list[i], IMDS_VERSION_SIZE);
	}
	buf_clear(&version);
	if (!known)
		bad_version(call, list, given);
	return known;
}

bool imds_version(struct call *call, const char *since,
		  char out[IMDS_VERSION_SIZE])
{
	return imds_version_of(call, api_versions, since, out);
}

static void versions(struct call *call)
{
	struct buf *body = &call->reply.body;
	size_t i;

	call->reply.status = 200;
	call->reply.type = JSON_TYPE;
	buf_text(body, "{\"apiVersions\":[");
	for (i = N_VERSIONS; i > 0; i--)
		buf_format(body, "\"%s\"%s", api_versions[i - 1],
			   i > 1 ? "," : "");
	buf_text(body, "]}");
}

/* No VM is behind a load balancer here. */
static void loadbalancer(struct call *call)
{
	char version[IMDS_VERSION_SIZE];

	if (imds_version(call, "2020-10-01", version))
		imds_error(call, 404,
			   "No load balancer metadata is found. Please check "
			   "if your VM is using any non-basic SKU load "
			   "balancer and retry later.");
}

/* IMDS has its own words for what no row fits. */
static void not_routed(struct call *call, unsigned int status)
{
	struct buf text = { 0 };

	if (status == 405)
		buf_text(&text, "Http method is not allowed: Path = \"");
	else
		buf_text(&text, "API is not found: Path = \"");
	buf_format(&text, "%s\", Method = \"%s\"", call->path, call->method);
	imds_error(call, status, text.failed ? "out of memory" : text.data);
	buf_clear(&text);
}

static void route(struct call *call)
{
	static const struct route rows[] = {
		{ "GET", "/metadata/instance*", NULL, document_call },
		{ "GET", IDENTITY "/oauth2/token", NULL, token_call },
		{ "GET", IDENTITY "/info", NULL, info_call },
		{ "GET", "/metadata/attested/document", NULL, attested_call },
		{ "GET", "/metadata/scheduledevents", NULL,
		  scheduledevents_call },
		{ "POST", "/metadata/scheduledevents", NULL, acknowledge_call },
		{ "GET", LOADBALANCER, NULL, loadbalancer },
		{ "GET", "/metadata/versions", NULL, versions },
	};

	if (!route_table(call, rows, sizeof(rows) / sizeof(rows[0])))
		not_routed(call, call->reply.status);
}

void imds_call(struct call *call)
{
	if (!too_many(call) && !through_a_proxy(call) && !ambiguous(call))
		route(call);
}
