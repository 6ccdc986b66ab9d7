/* SPDX-License-Identifier: MIT */
/*
 * In:  calls to the control plane.
 * Out: whoever answers them, or why nobody does.
 * Never: looks into a body.
 */
#include "arm/arm.h"
#include "arm/gallery.h"
#include "arm/model.h"
#include "arm/settings.h"

#include <ctype.h>
#include <string.h>

/* "2024-03-01" */
#define API_SIZE 11

static bool is_date(const char *text)
{
	size_t i;

	if (strlen(text) != API_SIZE - 1)
		return false;
	for (i = 0; i < API_SIZE - 1; i++) {
		if (i == 4 || i == 7 ? text[i] != '-'
				     : !isdigit((unsigned char)text[i]))
			return false;
	}
	return true;
}

static bool read_api(char api[API_SIZE], const struct call *call,
		     struct refusal *r)
{
	struct buf value = { 0 };
	bool given = text_query(call->query, "api-version", &value);

	if (!given || !value.len)
		refuse(r, 400, "MissingApiVersionParameter",
		       "The api-version query parameter (?api-version=) is "
		       "required for all requests.");
	else if (!is_date(value.data))
		refuse(r, 400, "InvalidApiVersionParameter",
		       "The api-version is invalid. It must be a date, "
		       "like " API_EXTENSION ".");
	else
		memcpy(api, value.data, API_SIZE);
	buf_clear(&value);
	return !r->status;
}

/* Any later one will do: what matters here has not changed since. */
static bool check_api(const char *api, enum arm_type type, struct refusal *r)
{
	const char *first = type == ARM_PROFILE || type == ARM_VERSION
				    ? API_PROFILES
				    : API_FIRST;

	if (strcmp(api, first) >= 0)
		return true;
	return refuse(r, 400, "NoRegisteredProviderFound",
		      "No registered resource provider found for API version "
		      "'%s' for type '%s'. The supported api-versions are "
		      "'%s' and later.",
		      api, strchr(arm_type_name(type), '/') + 1, first);
}

/* Which methods there are. */
static const char *methods_of(const struct arm_path *path)
{
	if (path->list || path->view)
		return "GET, HEAD";
	return path->type == ARM_VM ? "GET, HEAD, PUT, PATCH"
				    : "GET, HEAD, PUT, PATCH, DELETE";
}

static bool is_method(const struct call *call, const char *methods)
{
	size_t len = strlen(call->method);
	const char *p;

	for (p = methods; *p; p += strspn(p, ", ")) {
		size_t n = strcspn(p, ",");

		if (n == len && !memcmp(p, call->method, n))
			return true;
		p += n;
	}
	return false;
}

static bool check_call(struct call *call, const struct arm_path *path,
		       struct refusal *r)
{
	if (!is_method(call, methods_of(path))) {
		buf_text(&call->reply.allow, methods_of(path));
		return refuse(r, 405, "MethodNotAllowed",
			      "The requested resource does not support this "
			      "HTTP method.");
	}
	if (call->body.len > ARM_BODY_MAX)
		return refuse(r, 413, "RequestContentTooLarge",
			      "The request content is larger than %lu bytes.",
			      ARM_BODY_MAX);
	return true;
}

void arm_call(struct call *call)
{
	struct arm_path path = { 0 };
	struct refusal r = { 0 };
	char api[API_SIZE];

	if (read_api(api, call, &r) && arm_path_read(&path, call->path, &r) &&
	    check_api(api, path.type, &r) && check_call(call, &path, &r)) {
		if (path.type == ARM_VM)
			model_call(call, &path, api);
		else
			gallery_call(call, &path);
	} else {
		refusal_answer(call, &r);
	}
	refusal_clear(&r);
	arm_path_clear(&path);
}
