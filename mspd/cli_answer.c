/* SPDX-License-Identifier: MIT */
/*
 * In: what some listener has answered. Out: has provisioning finished, and how.
 * Must never take for finished what does not clearly say so.
 */
#include "mspd/cli_answer.h"

#include <string.h>
#include <yajl/yajl_parse.h>

#include "mspd/json_end.h"

enum member { NONE = 0, FINISHED = 1, ERROR_MESSAGE = 2, BOTH = 3 };

/**
 * struct reader - one document under way
 * @out:    gets what is found; borrowed
 * @seen:   members there have been
 * @member: the value is of
 * @depth:  1: in the object itself
 */
struct reader {
	struct mspd_answer *out;
	unsigned int seen;
	enum member member;
	unsigned int depth;
};

/* A value of another type; 0 ends yajl's parse. */
static int other(struct reader *r)
{
	return r->depth > 1 || (r->depth == 1 && r->member == NONE);
}

static int on_null(void *arg)
{
	return other(arg);
}

static int on_number(void *arg, const char *at, size_t len)
{
	(void)at;
	(void)len;
	return other(arg);
}

static int on_boolean(void *arg, int value)
{
	struct reader *r = arg;

	if (r->depth != 1 || r->member != FINISHED)
		return other(r);
	r->out->finished = value != 0;
	return 1;
}

static int on_string(void *arg, const unsigned char *at, size_t len)
{
	struct reader *r = arg;

	if (r->depth != 1 || r->member != ERROR_MESSAGE)
		return other(r);
	if (len > sizeof(r->out->error))
		return 0;
	memcpy(r->out->error, at, len);
	r->out->error_len = len;
	return 1;
}

static bool is(const unsigned char *at, size_t len, const char *name)
{
	return len == strlen(name) && memcmp(at, name, len) == 0;
}

static int on_key(void *arg, const unsigned char *at, size_t len)
{
	struct reader *r = arg;

	if (r->depth != 1)
		return 1;
	r->member = is(at, len, "finished")	  ? FINISHED
		    : is(at, len, "errorMessage") ? ERROR_MESSAGE
						  : NONE;
	if (r->seen & r->member) /* two answers are none */
		return 0;
	r->seen |= r->member;
	return 1;
}

static int on_start_map(void *arg)
{
	struct reader *r = arg;

	if (r->depth > 0 && !other(r))
		return 0;
	r->depth++;
	return 1;
}

static int on_start_array(void *arg)
{
	struct reader *r = arg;

	if (!other(r))
		return 0;
	r->depth++;
	return 1;
}

static int on_end(void *arg)
{
	struct reader *r = arg;

	r->depth--;
	return 1;
}

bool mspd_answer_parse(struct mspd_answer *out, const char *json, size_t len)
{
	static const yajl_callbacks callbacks = {
		.yajl_null = on_null,
		.yajl_boolean = on_boolean,
		.yajl_number = on_number,
		.yajl_string = on_string,
		.yajl_start_map = on_start_map,
		.yajl_map_key = on_key,
		.yajl_end_map = on_end,
		.yajl_start_array = on_start_array,
		.yajl_end_array = on_end,
	};
	struct reader r = { .out = out };
	yajl_handle parser = yajl_alloc(&callbacks, NULL, &r);
	bool whole = false;

	out->finished = false;
	out->error_len = 0;
	if (!parser)
		return false;
	if (yajl_parse(parser, (const unsigned char *)json, len) ==
	    yajl_status_ok)
		whole = mspd_json_ended(parser);
	yajl_free(parser);
	if (whole && r.seen == BOTH)
		return true;
	out->finished = false;
	out->error_len = 0;
	return false;
}
