/* SPDX-License-Identifier: MIT */
/*
 * In: a request without a canonical form. Out: where in its target the fault
 * is, for people. Must never be asked to decide anything.
 */
#include "libmsp/request_priv.h"

#include <string.h>

#include "libmsp/canon.h"

#define NOWHERE SIZE_MAX

static size_t find_byte(const struct msp_request *r, size_t from, size_t len,
			const char *bytes)
{
	size_t i;

	for (i = from; i < from + len; i++)
		if (r->target[i] && strchr(bytes, r->target[i]))
			return i;
	return NOWHERE;
}

/* of what no target may hold in the raw */
static size_t find_form(const struct msp_request *r)
{
	size_t at = find_byte(r, 0, r->target_len, "#<>");

	if (at == NOWHERE)
		at = find_byte(r, r->path, r->path_len, "`");
	if (at == NOWHERE)
		at = find_byte(r, r->query, r->query_len, "\"");
	return at == NOWHERE ? 0 : at;
}

static size_t find_raw(const struct msp_request *r)
{
	unsigned char c;
	size_t i;

	for (i = 0; i < r->target_len; i++) {
		c = (unsigned char)r->target[i];
		if (c <= ' ' || c >= 0x7f)
			return i;
	}
	return NOWHERE;
}

/* in the path, else in the query */
static size_t find_decoded(const struct msp_request *r)
{
	size_t at;

	if (r->form == MSP_FORM_OTHER) {
		at = find_raw(r);
		if (at != NOWHERE)
			return at;
	}
	at = msp_canon_place(r->canon, r->target + r->path, r->path_len);
	if (at < r->path_len)
		return r->path + at;
	at = msp_canon_place(r->canon, r->target + r->query, r->query_len);
	return at < r->query_len ? r->query + at : NOWHERE;
}

static size_t find_authority(const struct msp_request *r)
{
	const char *end = strstr(r->target, "://");

	return end ? (size_t)(end - r->target) + 3 : NOWHERE;
}

/* in the target with its '/' */
static size_t find_fault(const struct msp_request *r)
{
	if (!r->target)
		return NOWHERE;
	switch (r->canon) {
	case MSP_CANON_OK:
	case MSP_CANON_METHOD:
	case MSP_CANON_UNDERFLOW:
	case MSP_CANON_OVERLONG:
	case MSP_CANON_DUPLICATE_PARAM:
		return NOWHERE;
	case MSP_CANON_SCHEME:
		return 0;
	case MSP_CANON_USERINFO:
	case MSP_CANON_HOST:
	case MSP_CANON_PORT:
		return find_authority(r);
	case MSP_CANON_FORM:
		return find_form(r);
	case MSP_CANON_PCT:
	case MSP_CANON_UTF8:
	case MSP_CANON_NON_ASCII:
	case MSP_CANON_CTRL:
	case MSP_CANON_EMBQ:
	case MSP_CANON_SLASHES:
	case MSP_CANON_TRAVERSAL:
	case MSP_CANON_AMBIGUOUS:
		return find_decoded(r);
	}
	return NOWHERE;
}

size_t msp_request_place(const struct msp_request *request)
{
	size_t at = find_fault(request);

	return request->rooted && at != NOWHERE && at > request->path ? at - 1
								      : at;
}
