/* SPDX-License-Identifier: MIT */
/*
 * In:  the name of a kind of fault.
 * Out: what it takes, where it belongs, and what does it.
 * Never: decides anything at run time: this is a table.
 */
#include "fault/kind.h"

#include <string.h>

#define ACQUIRE "/secure-channel/key"
#define ATTEST	"/secure-channel/key/*"
#define CHANNEL "/secure-channel/*"

#define KIB 1024LL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

#define HOUR_MS	  (3600 * 1000LL)
#define TEN_YEARS (3650 * 86400LL)

/* The host has done its work, and only its answer is lost ... */
#define HANDLED                                                                \
	{                                                                      \
		FIELD_HANDLED, 0, 1, true, NULL                                \
	}
/* ... or it has not, unless this is given. */
#define NOT_HANDLED                                                            \
	{                                                                      \
		FIELD_HANDLED, 0, 1, false, NULL                               \
	}
#define HOLDS_BACK                                                             \
	{                                                                      \
		FIELD_BYTES, 0, TIB, 0, NULL                                   \
	}
#define RETRY(seconds)                                                         \
	{                                                                      \
		FIELD_RETRY, 0, 86400, (seconds), NULL                         \
	}
#define CODE(number)                                                           \
	{                                                                      \
		FIELD_STATUS, 200, 599, (number), NULL                         \
	}

/* -1: half of what there is */
static const struct kind kinds[] = {
	{ "delay", .takes = { { FIELD_MS, 0, HOUR_MS, 1000, NULL } },
	  .spoil = spoil_delay },
	{ "hang", .takes = { HOLDS_BACK, HANDLED }, .spoil = spoil_hang },
	{ "close", .takes = { HOLDS_BACK, HANDLED }, .spoil = spoil_close },
	{ "reset", .takes = { HOLDS_BACK, HANDLED }, .spoil = spoil_reset },
	{ "close-head", .takes = { { FIELD_BYTES, 1, MIB, 20, NULL }, HANDLED },
	  .spoil = spoil_close_head },
	{ "close-body", .takes = { { FIELD_BYTES, 0, TIB, -1, NULL }, HANDLED },
	  .spoil = spoil_close_body },
	{ "long-length", .takes = { { FIELD_BY, 1, TIB, 100, NULL } },
	  .spoil = spoil_long_length },
	{ "short-length", .takes = { { FIELD_BY, 1, MIB, 1, NULL } },
	  .spoil = spoil_short_length },
	{ "two-lengths", .takes = { { FIELD_BY, 1, MIB, 1, NULL } },
	  .spoil = spoil_two_lengths },
	{ "bad-chunks",
	  .takes = { { FIELD_STYLE, 0, 0, 0,
		       "cut|unfinished|overlong|mismatch|nonsense" } },
	  .spoil = spoil_chunks },
	{ "garbage", .takes = { { FIELD_BYTES, 1, MIB, 1024, NULL }, HANDLED },
	  .spoil = spoil_garbage },
	{ "no-http", .takes = { HANDLED }, .spoil = spoil_no_http },
	{ "huge-headers",
	  .takes = { { FIELD_BYTES, 1, TIB, 64 * KIB, NULL },
		     { FIELD_LINES, 0, GIB, 0, NULL } },
	  .spoil = spoil_huge_headers },
	{ "huge-body",
	  .takes = { { FIELD_BYTES, 1, TIB, GIB, NULL },
		     { FIELD_STYLE, 0, 0, 0, "length|chunked|endless" } },
	  .spoil = spoil_huge_body },
	{ "drip",
	  .takes = { { FIELD_PIECE, 1, MIB, 1, NULL },
		     { FIELD_MS, 1, HOUR_MS, 100, NULL } },
	  .spoil = spoil_drip },
	{ "interim", .takes = { { FIELD_REPEAT, 1, GIB, 20000, NULL } },
	  .spoil = spoil_interim },
	{ "upgrade", .takes = { HANDLED }, .spoil = spoil_upgrade },

	{ "500", .takes = { CODE(500), RETRY(0), NOT_HANDLED },
	  .spoil = spoil_status },
	{ "503", .takes = { CODE(503), RETRY(0), NOT_HANDLED },
	  .spoil = spoil_status },
	{ "429", .takes = { CODE(429), RETRY(5), NOT_HANDLED },
	  .spoil = spoil_status },
	{ "410", .takes = { CODE(410), RETRY(0), NOT_HANDLED },
	  .spoil = spoil_status },
	{ "status", .takes = { CODE(500), RETRY(0), NOT_HANDLED },
	  .spoil = spoil_status },

	{ "wrong-types", .takes = { { FIELD_FIELD, 0, 0, 0, "" } },
	  .spoil = spoil_types },
	{ "missing-field", .takes = { { FIELD_FIELD, 0, 0, 0, NULL } },
	  .spoil = spoil_missing },
	{ "truncated-json", .takes = { { FIELD_BYTES, 0, MIB, -1, NULL } },
	  .spoil = spoil_truncated },
	{ "bom", .spoil = spoil_bom },
	{ "utf-16", .takes = { { FIELD_STYLE, 0, 0, 0, "le|be" } },
	  .spoil = spoil_utf16 },
	{ "not-json", .spoil = spoil_not_json },
	{ "empty", .spoil = spoil_empty },
	{ "deep-json", .takes = { { FIELD_DEPTH, 1, 100 * KIB, 10000, NULL } },
	  .spoil = spoil_depth },
	{ "clock-skew",
	  .takes = { { FIELD_SECONDS, -TEN_YEARS, TEN_YEARS, 3600, NULL } },
	  .skews = true, .spoil = spoil_nothing },

	{ "key-bad-hex", "POST", ACQUIRE, .spoil = spoil_key_hex },
	{ "key-short", "POST", ACQUIRE,
	  .takes = { { FIELD_DIGITS, 0, 63, 62, NULL } },
	  .spoil = spoil_key_short },
	{ "guid-traversal", NULL, CHANNEL,
	  .takes = { { FIELD_TEXT, 0, 0, 0, "../traversal" } },
	  .spoil = spoil_guid },
	{ "guid-not-guid", NULL, CHANNEL,
	  .takes = { { FIELD_TEXT, 0, 0, 0, "not-a-guid" } },
	  .spoil = spoil_guid },
	{ "guid-changed", NULL, CHANNEL, .spoil = spoil_guid_changed },
	{ "old-incarnation", NULL, CHANNEL,
	  .takes = { { FIELD_BY, 1, UINT32_MAX, 1, NULL } },
	  .spoil = spoil_incarnation },
	{ "wrong-scheme", NULL, CHANNEL,
	  .takes = { { FIELD_TEXT, 0, 0, 0, "Azure-HMAC-SHA512" } },
	  .spoil = spoil_scheme },
	{ "attest-refused", "POST", ATTEST, .takes = { CODE(401), NOT_HANDLED },
	  .spoil = spoil_refused },
	{ "key-not-offered", "POST", ACQUIRE,
	  .takes = { CODE(403), NOT_HANDLED }, .spoil = spoil_not_offered },
};

const struct kind *kind_named(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (text_equal(name, len, kinds[i].name))
			return &kinds[i];
	}
	return NULL;
}
