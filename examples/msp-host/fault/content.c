/* SPDX-License-Identifier: MIT */
/*
 * In:  an answer that is about to go out through the HTTP library.
 * Out: the same answer, saying something else.
 * Never: makes an answer that is not HTTP: raw.c does.
 */
#include "fault/kind.h"

#include "data/imds.h"
#include "emulator.h"
#include "fault/splice.h"

#include <stdio.h>
#include <string.h>

/* Is there a body that can be spoilt? */
static struct buf *body(struct call *call)
{
	struct reply *reply = &call->reply;

	return reply->body.len && !reply->stream ? &reply->body : NULL;
}

/* Another answer altogether. */
static void replace(struct call *call, unsigned int status, const char *code,
		    const char *text)
{
	struct reply *reply = &call->reply;

	reply->stream = false;
	buf_clear(&reply->allow);
	buf_clear(&reply->etag);
	call_error(call, status, code, text);
}

bool spoil_nothing(const struct fault *fault, struct call *call)
{
	(void)fault;
	(void)call;
	return true;
}

/* As the metadata service words it. */
static const char *status_text(unsigned int status)
{
	switch (status) {
	case 410:
		return "Gone. Retry after some time, 70 seconds at most";
	case 429:
		return "Too many requests";
	case 503:
		return "Service unavailable";
	}
	return "Internal server error";
}

bool spoil_status(const struct fault *fault, struct call *call)
{
	unsigned int status = (unsigned int)fault->value[FIELD_STATUS];

	replace(call, status, "fault", status_text(status));
	if (call->peer->port == PORT_IMDS) {
		buf_clear(&call->reply.body);
		imds_error(call, status, status_text(status));
	}
	call->reply.retry = (unsigned int)fault->value[FIELD_RETRY];
	return true;
}

bool spoil_refused(const struct fault *fault, struct call *call)
{
	replace(call, (unsigned int)fault->value[FIELD_STATUS], "refused",
		"the attestation is refused");
	return true;
}

bool spoil_not_offered(const struct fault *fault, struct call *call)
{
	replace(call, (unsigned int)fault->value[FIELD_STATUS], "not-offered",
		"no key is offered");
	return true;
}

/* A value of another type, made of the bytes of this one where that works. */
static void add_other(struct buf *out, const struct buf *json,
		      const struct span *s)
{
	char c = json->data[s->start];

	if (c == '"')
		buf_text(out, "7");
	else if (c == '{')
		buf_text(out, "[]");
	else if (c == '[' || c == 'n')
		buf_text(out, "{}");
	else
		buf_json(out, json->data + s->start, s->end - s->start);
}

static bool change_one(struct buf *json, const char *field)
{
	struct buf other = { 0 };
	struct span s;

	if (!splice_find(json, field, &s))
		return false;
	add_other(&other, json, &s);
	if (!other.failed)
		splice(json, s.start, s.end, other.data);
	buf_clear(&other);
	return true;
}

/* In one pass: a raw status may have a million members. */
static bool change_all(struct buf *json)
{
	struct span s = { 0 };
	struct buf out = { 0 };
	size_t done = 0;

	while (splice_next(json, &s)) {
		buf_add(&out, json->data + done, s.start - done);
		add_other(&out, json, &s);
		done = s.end;
	}
	if (!done)
		return false;
	buf_add(&out, json->data + done, json->len - done);
	buf_clear(json);
	*json = out;
	return true;
}

bool spoil_types(const struct fault *fault, struct call *call)
{
	const char *field = fault->text[FIELD_FIELD];
	struct buf *json = body(call);

	if (!json)
		return false;
	return *field ? change_one(json, field) : change_all(json);
}

bool spoil_missing(const struct fault *fault, struct call *call)
{
	struct buf *json = body(call);
	struct span s;

	if (!json || !splice_find(json, fault->text[FIELD_FIELD], &s))
		return false;
	splice(json, s.from, s.to, "");
	return true;
}

bool spoil_truncated(const struct fault *fault, struct call *call)
{
	int64_t bytes = fault->value[FIELD_BYTES];
	struct buf *json = body(call);

	if (!json)
		return false;
	if (bytes < 0)
		json->len /= 2;
	else if ((uint64_t)bytes < json->len)
		json->len = (size_t)bytes;
	else
		return false;
	return true;
}

bool spoil_bom(const struct fault *fault, struct call *call)
{
	struct buf *json = body(call);

	(void)fault;
	if (!json)
		return false;
	splice(json, 0, 0, "\xef\xbb\xbf");
	return true;
}

/* One character of UTF-8; a byte that is none stands for itself. */
static uint32_t next_char(const unsigned char **p, const unsigned char *end)
{
	uint32_t c = *(*p)++;
	unsigned int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
	unsigned int i;

	if (more > (size_t)(end - *p))
		return c;
	for (i = 0; i < more; i++) {
		if (((*p)[i] & 0xc0) != 0x80)
			return c;
	}
	if (more)
		c &= 0x3fu >> more;
	for (; more; more--)
		c = c << 6 | (*(*p)++ & 0x3f);
	return c;
}

static void add_unit(struct buf *out, unsigned int unit, bool big)
{
	unsigned char pair[] = { (unsigned char)unit,
				 (unsigned char)(unit >> 8) };

	if (big) {
		unsigned char low = pair[0];

		pair[0] = pair[1];
		pair[1] = low;
	}
	buf_add(out, pair, sizeof(pair));
}

/* With a byte order mark, and named in Content-Type. */
bool spoil_utf16(const struct fault *fault, struct call *call)
{
	bool big = fault->value[FIELD_STYLE];
	struct buf *json = body(call);
	const unsigned char *p, *end;
	struct buf out = { 0 };

	if (!json)
		return false;
	p = (const unsigned char *)json->data;
	end = p + json->len;
	add_unit(&out, 0xfeff, big);
	while (p < end) {
		uint32_t c = next_char(&p, end);

		if (c > 0xffff) {
			c -= 0x10000;
			add_unit(&out, 0xd800 | (c >> 10 & 0x3ff), big);
			c = 0xdc00 | (c & 0x3ff);
		}
		add_unit(&out, c, big);
	}
	buf_clear(json);
	*json = out;
	call->reply.type = "application/json; charset=utf-16";
	return true;
}

/* What something in between would say, under the old type. */
bool spoil_not_json(const struct fault *fault, struct call *call)
{
	(void)fault;
	call->reply.stream = false;
	call_text(call, call->reply.status, JSON_TYPE,
		  "<html><body>Please wait</body></html>");
	return true;
}

bool spoil_empty(const struct fault *fault, struct call *call)
{
	(void)fault;
	call->reply.stream = false;
	call_text(call, call->reply.status, JSON_TYPE, "");
	return true;
}

static void add_many(struct buf *out, char c, int64_t n)
{
	while (n-- > 0 && !out->failed)
		buf_add(out, &c, 1);
}

/* As a member nobody asked for, or, if it is no object, instead of it. */
bool spoil_depth(const struct fault *fault, struct call *call)
{
	int64_t depth = fault->value[FIELD_DEPTH];
	struct buf *json = body(call);
	struct buf out = { 0 };
	struct span s = { 0 };

	if (!json)
		return false;
	if (*json->data == '{')
		buf_text(&out, "{\"deep\":");
	add_many(&out, '[', depth);
	add_many(&out, ']', depth);
	if (*json->data == '{') {
		buf_text(&out, splice_next(json, &s) ? "," : "");
		buf_add(&out, json->data + 1, json->len - 1);
	}
	buf_clear(json);
	*json = out;
	return true;
}

/* Member of either document of the key channel. */
static bool find_either(const struct buf *json, const char *one,
			const char *other, struct span *s)
{
	return splice_find(json, one, s) || splice_find(json, other, s);
}

static bool set_string(struct buf *json, const struct span *s, const char *text)
{
	struct buf value = { 0 };

	buf_json(&value, text, strlen(text));
	if (!value.failed)
		splice(json, s->start, s->end, value.data);
	buf_clear(&value);
	return true;
}

bool spoil_key_hex(const struct fault *fault, struct call *call)
{
	struct buf *json = body(call);
	struct span s;

	(void)fault;
	if (!json || !splice_find(json, "key", &s) || s.end - s.start < 3)
		return false;
	json->data[(s.start + s.end) / 2] = 'G';
	return true;
}

bool spoil_key_short(const struct fault *fault, struct call *call)
{
	size_t digits = (size_t)fault->value[FIELD_DIGITS];
	struct buf *json = body(call);
	struct span s;

	if (!json || !splice_find(json, "key", &s) ||
	    s.end - s.start < digits + 3)
		return false;
	splice(json, s.start + 1 + digits, s.end - 1, "");
	return true;
}

bool spoil_guid(const struct fault *fault, struct call *call)
{
	struct buf *json = body(call);
	struct span s;

	return json && find_either(json, "guid", "keyGuid", &s) &&
	       set_string(json, &s, fault->text[FIELD_TEXT]);
}

bool spoil_guid_changed(const struct fault *fault, struct call *call)
{
	char guid[RANDOM_GUID_SIZE];
	struct buf *json = body(call);
	struct span s;

	return json && find_either(json, "guid", "keyGuid", &s) &&
	       random_guid(&call->emu->names, "fault", "guid", fault->hits,
			   guid) &&
	       set_string(json, &s, guid);
}

bool spoil_incarnation(const struct fault *fault, struct call *call)
{
	uint64_t by = (uint64_t)fault->value[FIELD_BY], now;
	struct buf *json = body(call);
	char text[24];
	struct span s;

	if (!json ||
	    !find_either(json, "incarnationId", "keyIncarnationId", &s))
		return false;
	if (!text_uint(json->data + s.start, s.end - s.start, &now) || !now)
		return false;
	snprintf(text, sizeof(text), "%llu",
		 (unsigned long long)(now > by ? now - by : 0));
	splice(json, s.start, s.end, text);
	return true;
}

bool spoil_scheme(const struct fault *fault, struct call *call)
{
	struct buf *json = body(call);
	struct span s;

	return json && splice_find(json, "authorizationScheme", &s) &&
	       set_string(json, &s, fault->text[FIELD_TEXT]);
}
