/* SPDX-License-Identifier: MIT */
/*
 * profile_writer.h - one profile being written.
 *
 * Being out of memory, and a text that is not UTF-8, are remembered: what is
 * put after that goes nowhere.
 */
#ifndef MSP_PROFILE_WRITER_H
#define MSP_PROFILE_WRITER_H

#include <yajl/yajl_gen.h>

#include "libmsp/json_heap.h"
#include "libmsp/profile_priv.h"

struct msp_writer {
	yajl_gen gen;
	const struct msp_profile *profile;
	struct msp_json_heap *heap; /* of texts until the end of the run */
	bool escape; /* "[a]" is an expression: the text is written "[[a]" */
	char *text;
	size_t len;
	size_t room;
	size_t limit; /* most bytes, 0: any */
	int rc;	      /* NOMEM, INVAL or LIMIT */
};

/* gallery/profile/version: where the names of ARM come from */
struct msp_arm_name {
	struct msp_text gallery;
	struct msp_text profile;
	struct msp_text version;
};

/* All of it: fill writes one value into a zeroed writer. w->text is the
 * caller's to free, whatever is returned. NOMEM, INVAL, LIMIT. */
int msp_writer_run(struct msp_writer *w, bool compact,
		   void (*fill)(struct msp_writer *w, const void *arg),
		   const void *arg);

void msp_writer_open(struct msp_writer *w, const char *name, bool array);
void msp_writer_close(struct msp_writer *w, bool array);
/* The same for n members or elements; false if there are none, and it was
 * written: yajl would leave a line in it. */
bool msp_writer_open_some(struct msp_writer *w, const char *name, bool array,
			  size_t n);
/* name NULL: an element of an array */
void msp_writer_string(struct msp_writer *w, const char *name, const char *text,
		       size_t len);
/* The name of a member that is anybody's, or a string. */
void msp_writer_text(struct msp_writer *w, const char *text, size_t len);
void msp_writer_bool(struct msp_writer *w, const char *name, bool value);
/* what Azure is to evaluate, or a word of ours */
void msp_writer_word(struct msp_writer *w, const char *name, const char *text);
/* whole, unless there are none */
void msp_writer_rules(struct msp_writer *w);

/* Three components that are not empty, with a '/' between them. */
bool msp_arm_name_parse(struct msp_arm_name *out, const char *text);
/* The same, or the id of a version: /subscriptions/.../versions/1.0.0 */
bool msp_arm_name_of_id(struct msp_arm_name *out, const char *id);
/* The resource as Azure answers it. */
void msp_writer_resource(struct msp_writer *w, const struct msp_arm_name *name,
			 const char *location);
void msp_writer_template(struct msp_writer *w, const struct msp_arm_name *name,
			 const char *location, enum msp_endpoint endpoint);

#endif
