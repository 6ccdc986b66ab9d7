/* SPDX-License-Identifier: MIT */
/*
 * document.h - a judgement as the VM extension reports it (spec 10.5).
 */
#ifndef HOST_REPORT_DOCUMENT_H
#define HOST_REPORT_DOCUMENT_H

#include "report/judge.h"

/** What the extension says of itself; it moves by what was judged. */
enum document_state {
	DOCUMENT_TRANSITIONING,
	DOCUMENT_SUCCESS,
	DOCUMENT_ERROR
};

/**
 * struct document - what is to be said
 * @state:     as the word says
 * @judgement: borrowed
 * @applied:   when the extension was configured, seconds since 1970
 */
struct document {
	enum document_state state;
	const struct judgement *judgement;
	int64_t applied;
};

const char *document_state_name(enum document_state state);
/* The whole report, REPORT_MAX bytes at most: summaries that do not fit are
 * cut, and say so. */
void document_write(struct buf *out, const struct document *document);

#endif
