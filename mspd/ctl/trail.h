/* SPDX-License-Identifier: MIT */
/*
 * trail.h - the files of an audit trail as one, oldest line first.
 */
#ifndef MSPD_CTL_TRAIL_H
#define MSPD_CTL_TRAIL_H

#include "mspd/ctl/ctl.h"

/**
 * struct ctl_trail_line - one line; borrowed until the next one
 * @at:    NUL-terminated, without its LF; NULL: longer than CTL_LINE_MAX
 * @len:   its length
 * @ended: there was an LF
 * @file:  it is in
 * @line:  number in that file, from 1
 */
struct ctl_trail_line {
	const char *at;
	size_t len;
	bool ended;
	const char *file;
	uint64_t line;
};

/**
 * struct ctl_trail_opts - which files
 * @files:  these, sorted so that what was renamed comes before what it was
 *          called; none: those of the folder that is configured
 * @config: where that is configured; NULL: where the agent looks
 * @follow: at the end wait for more, also in files that are yet to come
 */
struct ctl_trail_opts {
	const struct ctl_list *files;
	const char *config;
	bool follow;
};

struct ctl_trail;

/* NULL, and has said why. */
struct ctl_trail *ctl_trail_open(const struct ctl_trail_opts *opts);
/* The next line; false at the end. */
bool ctl_trail_next(struct ctl_trail *trail, struct ctl_trail_line *out);
/* Files that lines were handed out of, or none. */
size_t ctl_trail_files(const struct ctl_trail *trail);
/* All files of a folder, and so few that rotation has removed none. */
bool ctl_trail_complete(const struct ctl_trail *trail);
/* false: a file could not be read to its end; has said so */
bool ctl_trail_close(struct ctl_trail *trail);

/* Folder of the trail, owned; NULL, and has said why. */
char *ctl_trail_folder(const char *config);

/* As names sort, but the end of one behind everything else: audit.jsonl comes
 * after those it was renamed to. */
int ctl_trail_order(const char *a, const char *b);
/* Is it NAME.TIME.log? */
bool ctl_trail_renamed(const char *base, const char *name);

#endif
