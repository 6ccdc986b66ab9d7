/* SPDX-License-Identifier: MIT */
/*
 * localrules_file.h - one file that only root may have written.
 */
#ifndef MSPD_LOCALRULES_FILE_H
#define MSPD_LOCALRULES_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include <msp/msp.h>

/** Room for any reason below, with its NUL. */
#define MSPD_LOCALFILE_WHY 640

enum mspd_localfile_state {
	MSPD_LOCALFILE_UNKNOWN = 0, /* nobody has looked */
	MSPD_LOCALFILE_MISSING = 1,
	MSPD_LOCALFILE_FOUND = 2,
	MSPD_LOCALFILE_FAILED = 3 /* not even its metadata can be read */
};

/**
 * struct mspd_localfile - a look at a file
 * @state: what is there
 * @fd:    FOUND: open for reading, else -1; end with mspd_localfile_close()
 * @st:    FOUND: of that descriptor
 * @why:   FAILED: why; FOUND: why it is not to be trusted, or ""
 */
struct mspd_localfile {
	enum mspd_localfile_state state;
	int fd;
	struct stat st;
	char why[MSPD_LOCALFILE_WHY];
};

/* Never waits, whatever is there. */
void mspd_localfile_look(struct mspd_localfile *file, const char *dir,
			 const char *name);
void mspd_localfile_close(struct mspd_localfile *file);

/* Is it the same file with the same content, as far as metadata tell? */
bool mspd_localfile_same(const struct stat *a, const struct stat *b);

/**
 * mspd_localfile_read - its rules
 * @out:   new, or NULL on error
 * @file:  FOUND and trusted; @why gets the reason on error
 * @retry: on error: may it be different in a moment?
 * @report: optional: all findings, also on error; NULL if there are none
 *
 * Returns 0, -EINVAL or -ENOMEM.
 */
int mspd_localfile_read(struct msp_profile **out, struct mspd_localfile *file,
			bool *retry, struct msp_findings **report);

#endif
