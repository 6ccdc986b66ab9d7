/* SPDX-License-Identifier: MIT */
/*
 * config_priv.h - the loader of config.c, its values and its JSON events.
 */
#ifndef MSPD_CONFIG_PRIV_H
#define MSPD_CONFIG_PRIV_H

#include <yajl/yajl_parse.h>

#include "mspd/config.h"

#define MSPD_LOADER_PATH_MAX 1024
#define MSPD_LOADER_NAME_MAX 255
/** Room for keys in struct mspd_loader. */
#define MSPD_LOADER_KEYS_MAX 128
/** No offset: into the file, or into struct mspd_config. */
#define MSPD_LOADER_NOWHERE SIZE_MAX

enum mspd_field_type {
	MSPD_FIELD_ANY,	    /* not even looked at */
	MSPD_FIELD_BOOL,    /* bool */
	MSPD_FIELD_NUMBER,  /* uint32_t, min to max */
	MSPD_FIELD_SECONDS, /* the same, in ms; seconds in the file */
	MSPD_FIELD_STRING,
	MSPD_FIELD_NAME,   /* of a group: without control characters */
	MSPD_FIELD_FOLDER, /* absolute path, %NAME% expanded */
	MSPD_FIELD_PATH,   /* absolute path */
	MSPD_FIELD_LEVEL,
	MSPD_FIELD_MODE,    /* canonicalRequestMode */
	MSPD_FIELD_WORD,    /* uint32_t, index into words */
	MSPD_FIELD_UIDS,    /* struct mspd_uids, "0,105" */
	MSPD_FIELD_ADDRESS, /* IP:PORT */
	MSPD_FIELD_LISTENER /* the same, loopback only */
};

enum mspd_field_flag {
	MSPD_FIELD_REQUIRED = 1,
	MSPD_FIELD_EMPTY = 2, /* "" is a value */
	MSPD_FIELD_UNSET = 4, /* NULL unless given */
	/* what Azure's agent starts with, we start with, too: */
	MSPD_FIELD_NULL = 8,	/* null counts as not given */
	MSPD_FIELD_LENIENT = 16, /* what makes no sense is replaced, and warns */
	MSPD_FIELD_FALSE = 32	 /* false stands for "" */
};

/**
 * struct mspd_field - one key of the file
 * @name:   as in the file
 * @type:   what its value must be
 * @offset: of the value in struct mspd_config, or MSPD_LOADER_NOWHERE
 * @flags:  enum mspd_field_flag
 * @text:   default of everything but numbers, in the file's own terms
 * @number: default of numbers and times; those in milliseconds
 * @min:    smallest number
 * @max:    largest number
 * @words:  what a word may be, separated by "|"
 */
struct mspd_field {
	const char *name;
	enum mspd_field_type type;
	size_t offset;
	unsigned int flags;
	const char *text;
	uint32_t number;
	uint32_t min;
	uint32_t max;
	const char *words;
};

/**
 * struct mspd_loader - one load under way; everything borrowed
 * @out:        gets the values
 * @path:       of the file
 * @error:      gets the text of the first error
 * @error_size: room in it
 * @data:       the file, without byte order mark
 * @len:        its length
 * @parser:     while its events come, else NULL
 * @token:      offset at which the current token begins
 * @token_end:  offset at which it ended
 * @seen:       keys met so far, by mspd_field_index()
 * @null:       those of them that count as not given
 * @field:      of the current key; NULL: unknown
 * @depth:      of the current token; 1: in the object itself
 * @left_out:   warnings that found no place
 * @rc:         0, or what the first error was
 */
struct mspd_loader {
	struct mspd_config *out;
	const char *path;
	char *error;
	size_t error_size;
	const char *data;
	size_t len;
	yajl_handle parser;
	size_t token;
	size_t token_end;
	bool seen[MSPD_LOADER_KEYS_MAX];
	bool null[MSPD_LOADER_KEYS_MAX];
	const struct mspd_field *field;
	unsigned int depth;
	size_t left_out;
	int rc;
};

/* ---- config.c: the table ----------------------------------------------- */

/* NULL: there is no such key. */
const struct mspd_field *mspd_field_find(const char *name, size_t len);
/* Its place in mspd_loader.seen, less than MSPD_LOADER_KEYS_MAX. */
size_t mspd_field_index(const struct mspd_field *field);

/* ---- config_value.c: messages and values ------------------------------- */

/* Line and column in bytes, from 1. */
void mspd_loader_place(const struct mspd_loader *l, size_t offset, size_t *line,
		       size_t *column);

/* An error of the file, or of a field that is not there; @field may be NULL.
 * Returns the first error. */
int mspd_loader_fail(struct mspd_loader *l, int rc, const char *field,
		     const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* An error at a place in the file. Returns the first error. */
int mspd_loader_fail_at(struct mspd_loader *l, size_t offset,
			const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* An error of the current field. Returns 0, which ends yajl's parse. */
int mspd_loader_refuse(struct mspd_loader *l, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void mspd_loader_warn(struct mspd_loader *l, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Add how many warnings were left out. */
void mspd_loader_close_warnings(struct mspd_loader *l);

/* Validate and store a value of the current field. Returns 1, or 0 after an
 * error. */
int mspd_loader_set_text(struct mspd_loader *l, const char *at, size_t len);
int mspd_loader_set_number(struct mspd_loader *l, const char *at, size_t len);
int mspd_loader_set_seconds(struct mspd_loader *l, const char *at, size_t len);
int mspd_loader_set_bool(struct mspd_loader *l, bool value);

/* ---- config_json.c: events of the parser ------------------------------- */

/* Read l->data. Returns 0 or the first error. */
int mspd_loader_parse(struct mspd_loader *l);

#endif
