/* SPDX-License-Identifier: MIT */
/*
 * explain_priv.h - what an explanation holds; made by explain.c and
 * explain_walk.c, shown by explain_text.c and explain_json.c.
 */
#ifndef MSP_EXPLAIN_PRIV_H
#define MSP_EXPLAIN_PRIV_H

#include <msp/explain.h>

#include "libmsp/arena.h"

/* A parameter of the request, as texts. */
struct msp_asked {
	const char *name;
	const char *value;
};

/* All texts are in the arena, or in the rules. */
struct msp_explanation {
	struct msp_arena arena;
	struct msp_rules *rules; /* one owner is us; may be NULL */
	struct msp_decision decision;
	enum msp_endpoint endpoint;
	struct msp_caller caller; /* its texts are copies */
	const char *method;
	const char *target; /* as received */
	const char *canonical;
	const char *path; /* canonical, without query, "" is the root */
	struct msp_asked *asked;
	size_t n_asked;
	size_t place; /* in target; SIZE_MAX: none */
	struct msp_tried_privilege *privileges;
	size_t n_privileges;
	size_t n_others;
	struct msp_tried_identity *identities;
	size_t n_identities;
	bool cut;
};

/* The reasoning: fills privileges and identities of e, and in *out what it
 * comes to, which the caller compares with e->decision. */
int msp_explain_walk(struct msp_explanation *e, struct msp_decision *out,
		     const struct msp_request *request);

/* ---- growing text ------------------------------------------------------ */

struct msp_text_buffer {
	char *at;
	size_t len;
	size_t room;
	bool failed; /* out of memory: all that follows is dropped */
};

void msp_text_put(struct msp_text_buffer *b, const char *text, size_t len);
void msp_text_add(struct msp_text_buffer *b, const char *text);
void msp_text_number(struct msp_text_buffer *b, uint64_t number);
/* Hands the text over, or frees it if something failed. */
int msp_text_finish(struct msp_text_buffer *b, char **out, size_t *len);

/* "wireserver", "imds", "hostga"; "enforce", "audit", "disabled" */
const char *msp_explain_endpoint(enum msp_endpoint endpoint);
const char *msp_explain_mode(enum msp_mode mode);

/* Longest name or value that is shown in bytes. */
#define MSP_EXPLAIN_SHOWN 1024

#endif
