/* SPDX-License-Identifier: MIT */
/*
 * In:  calls on the instance metadata address.
 * Out: instance document, identity tokens nobody accepts, the versions.
 * Never: answers what may come through a proxy: that is what Metadata: true
 *        and the refusal of X-Forwarded-For are for.
 */
#include "data/imds.h"

#include "emulator.h"
#include "net/route.h"

#include <openssl/rand.h>
#include <string.h>

#define JSON_TYPE     "application/json; charset=utf-8"
#define INSTANCE      "/metadata/instance"
#define TOKEN_SECONDS 86400
#define TENANT	      "72f988bf-86f1-41af-91ab-2d7cd011db47"
#define CLIENT	      "0c1e5a7d-3b92-4f68-a1d4-5e6f7a8b9c0d"

/* oldest first */
static const char *const api_versions[] = {
	"2017-03-01", "2017-04-02", "2017-08-01", "2017-10-01", "2017-12-01",
	"2018-02-01", "2018-04-02", "2018-10-01", "2019-02-01", "2019-03-11",
	"2019-04-30", "2019-06-01", "2019-06-04", "2019-08-01", "2019-08-15",
	"2019-11-01", "2020-06-01", "2020-07-15", "2020-09-01", "2020-10-01",
	"2020-12-01", "2021-01-01", "2021-02-01", "2021-03-01", "2021-05-01",
	"2021-10-01", "2021-11-01", "2021-11-15", "2021-12-13", "2023-07-01",
	"2023-11-15", "2024-07-17",
};
#define N_VERSIONS (sizeof(api_versions) / sizeof(api_versions[0]))

static void bad_request(struct call *call, const char *text)
{
	struct buf *body = &call->reply.body;

	call->reply.status = 400;
	call->reply.type = JSON_TYPE;
	buf_clear(body);
	buf_text(body, "{\"error\":");
	buf_json(body, text, strlen(text));
	buf_text(body, "}");
}

static bool through_a_proxy(struct call *call)
{
	const struct msp_header *h;
	size_t len;

	if (call_header(call, "x-forwarded-for", NULL)) {
		bad_request(call, "Bad request. X-Forwarded-For header is not "
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
	bad_request(call, "Bad request. Required metadata header not "
			  "specified");
	return true;
}

static bool has_version(struct call *call)
{
	struct buf *body = &call->reply.body;
	struct buf version = { 0 };
	bool given, known = false;
	size_t i;

	given = text_query(call->query, "api-version", &version);
	for (i = 0; given && i < N_VERSIONS && !known; i++)
		known = text_equal(version.data, version.len, api_versions[i]);
	buf_clear(&version);
	if (known)
		return true;
	call->reply.status = 400;
	call->reply.type = JSON_TYPE;
	buf_format(body,
		   "{\"error\":\"Bad request. api-version %s. For more "
		   "information refer to aka.ms/azureimds\","
		   "\"newest-versions\":[",
		   given ? "is invalid" : "was not specified in the request");
	for (i = 0; i < 3; i++)
		buf_format(body, "%s\"%s\"", i ? "," : "",
			   api_versions[N_VERSIONS - 1 - i]);
	buf_text(body, "]}");
	return false;
}

/* False and answered if the format is none we know. */
static bool read_format(struct call *call, bool *as_text)
{
	struct buf format = { 0 };
	bool ok = true;

	*as_text = false;
	if (text_query(call->query, "format", &format)) {
		*as_text = text_equal_nocase(format.data, format.len, "text");
		ok = *as_text ||
		     text_equal_nocase(format.data, format.len, "json");
	}
	buf_clear(&format);
	if (!ok)
		bad_request(call, "Bad request. Format is not supported");
	return ok;
}

static void instance(struct call *call)
{
	const char *path = route_rest(call, INSTANCE);
	bool as_text;

	if (*path && *path != '/') {
		call_error(call, 404, "Not found", "no such path");
		return;
	}
	if (!has_version(call) || !read_format(call, &as_text))
		return;
	call->reply.status = 200;
	call->reply.type = as_text ? "text/plain; charset=utf-8" : JSON_TYPE;
	switch (document_read(&call->reply.body, path, as_text)) {
	case DOCUMENT_OK:
		break;
	case DOCUMENT_NOT_FOUND:
		call_error(call, 404, "Not found", "no such path");
		break;
	case DOCUMENT_IS_LEAF:
		bad_request(call, "Bad request. A leaf needs format=text");
		break;
	case DOCUMENT_FAILED:
		call_error(call, 500, "memory", "out of memory");
		break;
	}
}

/* Shaped like a JWT, signed by nobody. */
static void add_jwt(struct buf *out, const struct buf *resource, int64_t now)
{
	static const char head[] = "{\"typ\":\"JWT\",\"alg\":\"RS256\","
				   "\"kid\":\"msp-host\"}";
	unsigned char signature[256];
	struct buf claims = { 0 };

	buf_text(&claims, "{\"aud\":");
	buf_json(&claims, resource->data, resource->len);
	buf_format(&claims,
		   ",\"iss\":\"https://sts.windows.net/" TENANT "/\","
		   "\"iat\":%lld,\"nbf\":%lld,\"exp\":%lld,"
		   "\"appid\":\"" CLIENT "\",\"tid\":\"" TENANT "\","
		   "\"ver\":\"1.0\"}",
		   (long long)now, (long long)now,
		   (long long)now + TOKEN_SECONDS);
	if (claims.failed || RAND_bytes(signature, sizeof(signature)) != 1) {
		out->failed = true;
	} else {
		buf_base64url(out, head, sizeof(head) - 1);
		buf_text(out, ".");
		buf_base64url(out, claims.data, claims.len);
		buf_text(out, ".");
		buf_base64url(out, signature, sizeof(signature));
	}
	buf_clear(&claims);
}

static void token(struct call *call)
{
	struct buf *body = &call->reply.body;
	struct buf resource = { 0 };
	int64_t now = loop_wall_s();

	if (!has_version(call))
		return;
	if (!text_query(call->query, "resource", &resource) || !resource.len) {
		buf_clear(&resource);
		call_text(call, 400, JSON_TYPE,
			  "{\"error\":\"invalid_request\","
			  "\"error_description\":\"Required query variable "
			  "'resource' is missing\"}");
		return;
	}
	call->reply.status = 200;
	call->reply.type = JSON_TYPE;
	buf_text(body, "{\"access_token\":\"");
	add_jwt(body, &resource, now);
	buf_format(body,
		   "\",\"client_id\":\"" CLIENT "\",\"expires_in\":\"%d\","
		   "\"expires_on\":\"%lld\",\"ext_expires_in\":\"%d\","
		   "\"not_before\":\"%lld\",\"resource\":",
		   TOKEN_SECONDS, (long long)now + TOKEN_SECONDS, TOKEN_SECONDS,
		   (long long)now);
	buf_json(body, resource.data, resource.len);
	buf_text(body, ",\"token_type\":\"Bearer\"}");
	buf_clear(&resource);
}

static void versions(struct call *call)
{
	struct buf *body = &call->reply.body;
	size_t i;

	call->reply.status = 200;
	call->reply.type = JSON_TYPE;
	buf_text(body, "{\"apiVersions\":[");
	for (i = 0; i < N_VERSIONS; i++)
		buf_format(body, "%s\"%s\"", i ? "," : "", api_versions[i]);
	buf_text(body, "]}");
}

void imds_call(struct call *call)
{
	static const struct route rows[] = {
		{ "GET", INSTANCE "*", NULL, instance },
		{ "GET", "/metadata/identity/oauth2/token", NULL, token },
		{ "GET", "/metadata/versions", NULL, versions },
	};

	if (!through_a_proxy(call))
		route_table(call, rows, sizeof(rows) / sizeof(rows[0]));
}
