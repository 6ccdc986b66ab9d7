/* SPDX-License-Identifier: MIT */
/*
 * schema.h - what a resource's JSON may be, and the same JSON with names and
 * words spelled as Azure spells them.
 */
#ifndef HOST_ARM_SCHEMA_H
#define HOST_ARM_SCHEMA_H

#include "arm/tree.h"

/** Longest name of a region. */
#define LOCATION_MAX 64

enum field_kind {
	FIELD_TEXT,
	FIELD_BOOL,
	FIELD_WORD,	/* one of @words, any letter case */
	FIELD_LOCATION, /* comes out in lower case without blanks */
	FIELD_TEXTS,	/* object of strings */
	FIELD_NAMES,	/* array of strings */
	FIELD_OBJECT,
	FIELD_OBJECTS,	/* array of objects */
	FIELD_READ_ONLY /* may be sent back as it was shown; not kept */
};

struct schema;

/**
 * struct field - one member
 * @name:     as Azure spells it
 * @kind:     what it is
 * @required: must be there, and not null
 * @words:    of FIELD_WORD, ends with NULL
 * @inner:    of FIELD_OBJECT and FIELD_OBJECTS
 */
struct field {
	const char *name;
	enum field_kind kind;
	bool required;
	const char *const *words;
	const struct schema *inner;
};

/**
 * struct schema - an object
 * @fields: what is known of it
 * @n:      how many
 * @open:   other members are kept as they are; else they are dropped
 */
struct schema {
	const struct field *fields;
	size_t n;
	bool open;
};

extern const char *const schema_os_words[];
/* GalleryRP 2024-03-03; of the VM what matters here, everything else stays. */
extern const struct schema schema_vm;
extern const struct schema schema_gallery;
extern const struct schema schema_profile;
extern const struct schema schema_version;

/* A checked copy without nulls. False and refused, naming the member. */
bool schema_copy(struct buf *out, const struct schema *schema, yajl_val node,
		 struct refusal *r);

/* "West US" -> "westus"; false if it cannot be the name of a region. */
bool location_read(char out[LOCATION_MAX + 1], const char *text);

#endif
