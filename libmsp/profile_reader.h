/* SPDX-License-Identifier: MIT */
/*
 * profile_reader.h - one profile being read: what the forms have in common.
 *
 * A fault is said and reading goes on, so that all of them are found; what is
 * read is thrown away at the end if there was one (design D4). Only being out
 * of memory ends it early: rc is MSP_ERR_NOMEM then, and nothing else counts.
 */
#ifndef MSP_PROFILE_READER_H
#define MSP_PROFILE_READER_H

#include "libmsp/finding_priv.h"
#include "libmsp/json.h"
#include "libmsp/profile_names.h"
#include "libmsp/profile_priv.h"

/* bytes of a name shown in a text, with NUL */
#define MSP_QUOTE_MAX 64
/* the same where the text is a contract (spec 8.5) */
#define MSP_QUOTE_WHOLE 256

/* One of the arrays whose entries have a name. */
struct msp_table {
	const char *noun;
	const struct msp_json_value *array; /* NULL if absent */
	struct msp_names names;
	uint32_t lists; /* that refer to it, so far */
	bool doubtful;	/* the name of some entry cannot be read */
};

/* Offsets -> line and column, fast while offsets grow. */
struct msp_cursor {
	size_t at;
	size_t line_start;
	uint32_t line; /* from 0 */
};

struct msp_reader {
	struct msp_profile *profile;
	struct msp_findings *findings;
	struct msp_error_info *info; /* of the first error */
	enum msp_profile_form form;
	bool expressions; /* "[...]" in a string is not what it will be */
	int rc;		  /* of the first error */
	struct msp_cursor entries;
	struct msp_cursor remarks;
	struct msp_table privileges;
	struct msp_table roles;
	struct msp_table identities;
};

/* ---- saying: profile_say.c --------------------------------------------- */

int msp_reader_no_memory(struct msp_reader *r);
void msp_reader_error(struct msp_reader *r, enum msp_finding_code code,
		      const struct msp_json_value *value, const char *format,
		      ...) __attribute__((format(printf, 4, 5)));
void msp_reader_warning(struct msp_reader *r, enum msp_finding_code code,
			const struct msp_json_value *value, const char *format,
			...) __attribute__((format(printf, 4, 5)));
/* about a member of an object that has had one of that name already */
void msp_reader_twice(struct msp_reader *r,
		      const struct msp_json_value *member);
/* about a member that is not there: place of object, pointer of name */
void msp_reader_missing(struct msp_reader *r, enum msp_severity severity,
			const struct msp_json_value *object, const char *name,
			const char *text);
void msp_reader_place(struct msp_reader *r, struct msp_place *out,
		      const struct msp_json_value *entry);

/* ---- fields of an object: profile_fields.c ----------------------------- */

#define MSP_FIELD_REQUIRED 1u
#define MSP_FIELD_ANY	   2u /* any type, null too */

struct msp_field {
	const char *name;
	enum msp_json_type type;
	unsigned int flags;
	const struct msp_json_value *value; /* out: NULL absent, null, wrong */
	bool given;			    /* out: not absent */
	bool wrong;			    /* out: of another type */
};

/* Each field by its exact name. Says what is missing, twice, of the wrong type
 * or unknown. */
void msp_reader_fields(struct msp_reader *r,
		       const struct msp_json_value *object,
		       struct msp_field *fields, size_t n);
/* One member, NULL if there is none, or more than one; nothing is said. */
const struct msp_json_value *
msp_reader_member(const struct msp_json_value *object, const char *name);
/* Is it an object? Else false, and said. */
bool msp_reader_object(struct msp_reader *r,
		       const struct msp_json_value *value);
/* Both. */
bool msp_reader_entry(struct msp_reader *r, const struct msp_json_value *entry,
		      struct msp_field *fields, size_t n);
/* What a string stands for: false if that is not known, and said. */
bool msp_reader_string(struct msp_reader *r, const char **text, size_t *len,
		       const struct msp_json_value *value);
/* The same of a member's own name. */
bool msp_reader_name(struct msp_reader *r, const char **text, size_t *len,
		     const struct msp_json_value *member);
/* Likewise of a name or location, where an expression is as good as a text. */
void msp_reader_label(const struct msp_reader *r, const char **text,
		      size_t *len, const struct msp_json_value *value);
/* Copy into the profile, each string of the item at most once. */
struct msp_text msp_reader_keep(struct msp_reader *r, const char *text,
				size_t len);
/* At most MSP_PROFILE_MAX_ITEMS; else false, and said. */
bool msp_reader_count(struct msp_reader *r, const struct msp_json_value *value);

/* ---- parts of a profile ------------------------------------------------ */

/* For those who have remarks of their own about the profile: where it is.
 * false: no memory. */
bool msp_reader_owner(struct msp_reader *r,
		      const struct msp_json_value *object);
/* {"privileges": [...], ...}; NULL is none */
void msp_reader_rules(struct msp_reader *r, const struct msp_json_value *rules);

/* Whole forms; the value is an object. */
void msp_reader_wire(struct msp_reader *r, const struct msp_json_value *item);
void msp_reader_local(struct msp_reader *r, const struct msp_json_value *file);
/* finds the resource, and allocates the profile's texts for it */
void msp_reader_arm(struct msp_reader *r, const struct msp_json_value *root,
		    const char *select);
void msp_reader_access(struct msp_reader *r,
		       const struct msp_json_value *value);
void msp_reader_mode(struct msp_reader *r, const struct msp_json_value *value);
/* room for every text in this value; false: no memory */
bool msp_reader_room(struct msp_reader *r, const struct msp_json_value *value);

/* Unicode white space only, or nothing at all */
bool msp_text_blank(const char *text, size_t len);
/* without white space at both ends */
void msp_text_trim(const char **text, size_t *len);
/* what Azure evaluates in a template: "[...]", but not "[[...]" */
bool msp_text_expression(const char *text, size_t len);

#endif
