/* SPDX-License-Identifier: MIT */
/*
 * collect.h - what the files of the command collect share.
 */
#ifndef MSPD_CTL_COLLECT_H
#define MSPD_CTL_COLLECT_H

#include "mspd/ctl/doctor.h"

/** Of a file, from its end, and of all together, in bytes. */
#define CTL_COLLECT_FILE ((size_t)512 * 1024)
#define CTL_COLLECT_ALL	 ((size_t)8 * 1024 * 1024)
/** Of a line; what is longer is cut. */
#define CTL_COLLECT_LINE ((size_t)16 * 1024)

/**
 * struct ctl_collect - an archive in the making
 * @d:      where things are
 * @folder: in front of each name in the archive
 * @now:    Unix time
 * @tar:    so far
 * @index:  what is in it, and what is not and why
 */
struct ctl_collect {
	struct ctl_doctor *d;
	char folder[48];
	int64_t now;
	struct ctl_text tar;
	struct ctl_text index;
};

/* A member, without what is secret in it. */
void ctl_collect_add(struct ctl_collect *c, const char *name, const char *at,
		     size_t len);
/* The end of a file, as such a member. Returns how much it has, in bytes. */
size_t ctl_collect_file(struct ctl_collect *c, const char *name,
			const char *path);
/* The same where only root can have made a link: it may be one. */
void ctl_collect_link(struct ctl_collect *c, const char *name,
		      const char *path);

/* All that doctor looks at, and more (collect_gather.c). */
void ctl_collect_gather(struct ctl_collect *c);

/* @len bytes without what is secret in them; @cut: there was something before
 * them (collect_redact.c). */
void ctl_redact(struct ctl_text *out, const char *at, size_t len, bool cut);
/* The same document, a member a line: some secrets reach to the end of one. */
void ctl_break_json(struct ctl_text *out, const char *json);

#endif
