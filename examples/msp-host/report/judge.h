/* SPDX-License-Identifier: MIT */
/*
 * judge.h - what an aggregate status (spec 4.2) says about the agent.
 */
#ifndef HOST_REPORT_JUDGE_H
#define HOST_REPORT_JUDGE_H

#include "base/json.h"

/** Seconds after which a status says nothing any more (spec 1.7). */
#define JUDGE_STALE_SECONDS 300

/**
 * struct judgement
 * @good:   fresh, of the right version, and everything runs
 * @usable: fresh and of the right version: its parts may be shown
 * @tree:   the document, or NULL; owned
 * @why:    a sentence if it is not good; owned
 */
struct judgement {
	bool good;
	bool usable;
	yajl_val tree;
	struct buf why;
};

/* version: what the agent must say it is, NULL: anything. now: seconds since
 * 1970. An empty judgement is filled in. */
void judge_status(struct judgement *j, const struct buf *text,
		  const char *version, int64_t now);
void judge_clear(struct judgement *j);

#endif
