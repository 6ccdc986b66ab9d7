/* SPDX-License-Identifier: MIT */
/*
 * kind.h - what a fault is made of; shared by the files of this room.
 */
#ifndef HOST_FAULT_KIND_H
#define HOST_FAULT_KIND_H

#include "fault/fault.h"

#include <sys/queue.h>

/** All that can be said about a fault; its names are in spec.c. */
enum field {
	FIELD_NONE,
	FIELD_NAME,
	FIELD_VM,
	FIELD_ENDPOINT,
	FIELD_METHOD,
	FIELD_PATH,
	FIELD_COUNT,
	FIELD_HANDLED,
	FIELD_BY,
	FIELD_BYTES,
	FIELD_DEPTH,
	FIELD_DIGITS,
	FIELD_FIELD,
	FIELD_LINES,
	FIELD_MS,
	FIELD_PIECE,
	FIELD_REPEAT,
	FIELD_RETRY,
	FIELD_SECONDS,
	FIELD_STATUS,
	FIELD_STYLE,
	FIELD_TEXT
};
#define FIELDS (FIELD_TEXT + 1)

/** Fields of one kind, at most. */
#define TAKES_MAX 4

/**
 * struct takes - one field that a kind takes
 * @field:  which
 * @min:    smallest number
 * @max:    largest number
 * @normal: value if it is not given: a number, a bool, the place of a word
 * @text:   the words to choose from, with '|' between them, or the text if it
 *          is not given; NULL: it has to be given
 */
struct takes {
	enum field field;
	int64_t min;
	int64_t max;
	int64_t normal;
	const char *text;
};

/**
 * struct kind - one kind of misbehaviour
 * @name:   how it is asked for
 * @method: it concerns this method unless another is given, or NULL
 * @path:   the same for the path, at WireServer, or NULL
 * @takes:  its own fields, ended by FIELD_NONE
 * @skews:  it moves the clock
 * @spoil:  spoils the answer; false if there was nothing to spoil
 */
struct kind {
	const char *name;
	const char *method;
	const char *path;
	struct takes takes[TAKES_MAX + 1];
	bool skews;
	bool (*spoil)(const struct fault *fault, struct call *call);
};

/**
 * struct fault - one that was set
 * @number: from 1
 * @kind:   what it does
 * @given:  the field has a value
 * @value:  numbers, bools, places of words
 * @text:   texts; owned
 * @left:   requests to come, if FIELD_COUNT is given
 * @hits:   requests that met it
 * @link:   in the order they were set
 */
struct fault {
	uint64_t number;
	const struct kind *kind;
	bool given[FIELDS];
	int64_t value[FIELDS];
	char *text[FIELDS];
	uint64_t left;
	uint64_t hits;
	TAILQ_ENTRY(fault) link;
};

/* kinds.c: the table; NULL: there is no such kind. */
const struct kind *kind_named(const char *name, size_t len);

/* spec.c: a fault, not in any list; NULL and a sentence in error. */
struct fault *fault_from_json(yajl_val spec, struct buf *error);
struct fault *fault_from_text(const char *spec, struct buf *error);
void fault_free(struct fault *fault);
/* Its members as JSON, without braces. */
void fault_write(const struct fault *fault, struct buf *out);

/* raw.c: how the bytes go out */
bool spoil_delay(const struct fault *fault, struct call *call);
bool spoil_hang(const struct fault *fault, struct call *call);
bool spoil_close(const struct fault *fault, struct call *call);
bool spoil_reset(const struct fault *fault, struct call *call);
bool spoil_close_head(const struct fault *fault, struct call *call);
bool spoil_close_body(const struct fault *fault, struct call *call);
bool spoil_long_length(const struct fault *fault, struct call *call);
bool spoil_short_length(const struct fault *fault, struct call *call);
bool spoil_two_lengths(const struct fault *fault, struct call *call);
bool spoil_chunks(const struct fault *fault, struct call *call);
bool spoil_garbage(const struct fault *fault, struct call *call);
bool spoil_no_http(const struct fault *fault, struct call *call);
bool spoil_huge_headers(const struct fault *fault, struct call *call);
bool spoil_huge_body(const struct fault *fault, struct call *call);
bool spoil_drip(const struct fault *fault, struct call *call);
bool spoil_interim(const struct fault *fault, struct call *call);
bool spoil_upgrade(const struct fault *fault, struct call *call);

/* content.c: what the answer says */
bool spoil_status(const struct fault *fault, struct call *call);
bool spoil_refused(const struct fault *fault, struct call *call);
bool spoil_not_offered(const struct fault *fault, struct call *call);
bool spoil_types(const struct fault *fault, struct call *call);
bool spoil_missing(const struct fault *fault, struct call *call);
bool spoil_truncated(const struct fault *fault, struct call *call);
bool spoil_bom(const struct fault *fault, struct call *call);
bool spoil_utf16(const struct fault *fault, struct call *call);
bool spoil_not_json(const struct fault *fault, struct call *call);
bool spoil_empty(const struct fault *fault, struct call *call);
bool spoil_depth(const struct fault *fault, struct call *call);
bool spoil_key_hex(const struct fault *fault, struct call *call);
bool spoil_key_short(const struct fault *fault, struct call *call);
bool spoil_guid(const struct fault *fault, struct call *call);
bool spoil_guid_changed(const struct fault *fault, struct call *call);
bool spoil_incarnation(const struct fault *fault, struct call *call);
bool spoil_scheme(const struct fault *fault, struct call *call);
/* clock-skew has shifted the clock before */
bool spoil_nothing(const struct fault *fault, struct call *call);

#endif
