/* SPDX-License-Identifier: MIT */
/*
 * In: a directory and a name. Out: the rules in that file, or why not. Must
 * never wait, follow a link, or take what anybody but root may have written.
 */
#include "mspd/localrules_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what is there ----------------------------------------------------- */

static void say_error(struct mspd_localfile *file, const char *what, int err)
{
	char buffer[128];

	snprintf(file->why, sizeof(file->why), "%s%s", what,
		 err == ELOOP ? "is a symbolic link"
			      : strerror_r(err, buffer, sizeof(buffer)));
}

/* Whoever could have written it decides what it says. */
static bool trusted(struct mspd_localfile *file, const struct stat *st,
		    const char *what)
{
	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		snprintf(file->why, sizeof(file->why),
			 "%sbelongs to user %lu, not to root", what,
			 (unsigned long)st->st_uid);
		return false;
	}
	if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		snprintf(file->why, sizeof(file->why),
			 "%scan be written to by %s (mode %04o)", what,
			 st->st_mode & S_IWOTH ? "everybody" : "its group",
			 st->st_mode & 07777u);
		return false;
	}
	return true;
}

static void check_file(struct mspd_localfile *file)
{
	if (!S_ISREG(file->st.st_mode)) {
		snprintf(file->why, sizeof(file->why), "is not a regular file");
		return;
	}
	if (!trusted(file, &file->st, ""))
		return;
	if (file->st.st_size > MSP_PROFILE_MAX_BYTES)
		snprintf(file->why, sizeof(file->why),
			 "has %llu bytes, at most %d are read",
			 (unsigned long long)file->st.st_size,
			 MSP_PROFILE_MAX_BYTES);
}

static enum mspd_localfile_state failed(struct mspd_localfile *file,
					const char *what, int err)
{
	if (err == ENOENT)
		return MSPD_LOCALFILE_MISSING;
	say_error(file, what, err);
	return MSPD_LOCALFILE_FAILED;
}

static enum mspd_localfile_state look(struct mspd_localfile *file, int dir,
				      const char *name)
{
	struct stat st;

	file->fd = openat(dir, name,
			  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
				  O_CLOEXEC);
	if (file->fd < 0)
		return failed(file, "", errno);
	if (fstat(file->fd, &file->st) < 0 || fstat(dir, &st) < 0)
		return failed(file, "", errno);
	if (trusted(file, &st, "its directory "))
		check_file(file);
	return MSPD_LOCALFILE_FOUND;
}

void mspd_localfile_look(struct mspd_localfile *file, const char *dir,
			 const char *name)
{
	int fd;

	memset(file, 0, sizeof(*file));
	file->fd = -1;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		/* O_DIRECTORY finds a link no directory before it is a link */
		file->state = failed(file, "its directory: ", errno);
		return;
	}
	file->state = look(file, fd, name);
	close(fd);
	if (file->state != MSPD_LOCALFILE_FOUND)
		mspd_localfile_close(file);
}

void mspd_localfile_close(struct mspd_localfile *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool mspd_localfile_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size &&
	       same_time(&a->st_mtim, &b->st_mtim) &&
	       same_time(&a->st_ctim, &b->st_ctim);
}

/* ---- what it says ------------------------------------------------------ */

/* As much as there is, up to max. */
static int read_all(int fd, char *out, size_t max, size_t *len)
{
	ssize_t n;

	*len = 0;
	while (*len < max) {
		n = read(fd, out + *len, max - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return 0;
}

/* While somebody writes, half of a file may well be rules. */
static int read_whole(struct mspd_localfile *file, char *out, size_t *len)
{
	struct stat after;
	int rc;

	rc = read_all(file->fd, out, (size_t)file->st.st_size + 1, len);
	if (rc == 0 && fstat(file->fd, &after) < 0)
		rc = -errno;
	if (rc < 0) {
		say_error(file, "", -rc);
		return -EINVAL;
	}
	if (mspd_localfile_same(&file->st, &after) &&
	    *len == (size_t)file->st.st_size)
		return 0;
	snprintf(file->why, sizeof(file->why), "changes while it is read");
	return -EINVAL;
}

/* Violations of spec 8.5 have texts of their own, complete with their subject;
 * the others are about the place they are said of. */
static bool in_words_of_contract(const struct msp_finding *f)
{
	switch (f->code) {
	case MSP_FINDING_VALUE:
	case MSP_FINDING_DANGLING:
	case MSP_FINDING_EVERYONE:
	case MSP_FINDING_EMPTY:
	case MSP_FINDING_REPEATED:
		return true;
	case MSP_FINDING_TWICE:
		return strncmp(f->text, "duplicate ", 10) == 0;
	default:
		return false;
	}
}

static void say_finding(struct mspd_localfile *file,
			const struct msp_findings *findings)
{
	const struct msp_finding *f = NULL;
	size_t i;

	for (i = 0; (f = msp_findings_get(findings, i)); i++)
		if (f->severity == MSP_SEVERITY_ERROR)
			break;
	if (!f)
		snprintf(file->why, sizeof(file->why), "is not valid");
	else if (in_words_of_contract(f))
		snprintf(file->why, sizeof(file->why), "%s is invalid",
			 f->text);
	else
		snprintf(file->why, sizeof(file->why),
			 "line %u column %u: %s%s%s", f->line, f->column,
			 f->pointer, f->pointer[0] ? " " : "", f->text);
}

static int parse(struct msp_profile **out, struct mspd_localfile *file,
		 const char *text, size_t len, bool *retry,
		 struct msp_findings **report)
{
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;
	struct msp_findings *findings = NULL;
	int rc;

	opts.form = MSP_PROFILE_LOCAL;
	rc = msp_profile_read(out, &findings, text, len, &opts, NULL);
	if (rc == MSP_ERR_NOMEM)
		return -ENOMEM;
	if (rc < 0) {
		*retry = rc == MSP_ERR_SYNTAX;
		say_finding(file, findings);
	}
	if (report)
		*report = findings;
	else
		msp_findings_free(findings);
	return rc < 0 ? -EINVAL : 0;
}

int mspd_localfile_read(struct msp_profile **out, struct mspd_localfile *file,
			bool *retry, struct msp_findings **report)
{
	char *text;
	size_t len;
	int rc;

	*out = NULL;
	*retry = true;
	if (report)
		*report = NULL;
	text = malloc((size_t)file->st.st_size + 1);
	if (!text)
		return -ENOMEM;
	rc = read_whole(file, text, &len);
	if (rc == 0)
		rc = parse(out, file, text, len, retry, report);
	free(text);
	return rc;
}
