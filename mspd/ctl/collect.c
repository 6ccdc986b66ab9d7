/* SPDX-License-Identifier: MIT */
/*
 * In: a machine with an agent that does not do as it should. Out: one file for
 * who is to find out why. Must never write a secret into it, write over a file,
 * or let others read it.
 */
#include "mspd/ctl/collect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mspd/ctl/tar.h"

static const char help[] =
	"Usage: mspctl collect [OPTION]...\n"
	"A tar file of what it takes to find out why the agent of this "
	"machine\n"
	"does not work: what doctor says, status, configuration, rules, the "
	"ends\n"
	"of logs and audit trail, facts about process, kernel and packages.\n"
	"Secrets are removed; no key is read.\n"
	"\n"
	"  --output FILE  where to; it must not be there yet\n"
	"                 (default: mspctl-collect-TIME.tar)\n"
	"  --config FILE  of the agent; default: where the agent looks\n"
	"  --root DIR     of the files below DIR instead, as of a disk that "
	"is\n"
	"                 mounted there\n"
	"\n"
	"Exit status: 0 written; 2 not; 64 usage.\n";

/* ---- members ------------------------------------------------------------ */

static void note(struct ctl_collect *c, const char *name, const char *words)
{
	ctl_put(&c->index, name);
	ctl_put(&c->index, ": ");
	ctl_put_shown(&c->index, words);
	ctl_put(&c->index, "\n");
}

static void add(struct ctl_collect *c, const char *name, const char *at,
		size_t len, bool cut)
{
	struct ctl_text plain = { 0 };
	char whole[CTL_TAR_NAME + 1];

	ctl_redact(&plain, at, len, cut);
	if (c->tar.len + plain.len > CTL_COLLECT_ALL) {
		note(c, name, "left out: there is too much");
	} else {
		snprintf(whole, sizeof(whole), "%s/%s", c->folder, name);
		ctl_tar_add(&c->tar, whole, plain.at ? plain.at : "", plain.len,
			    c->now);
		note(c, name, cut ? "its end" : "whole");
	}
	ctl_text_free(&plain);
}

void ctl_collect_add(struct ctl_collect *c, const char *name, const char *at,
		     size_t len)
{
	add(c, name, at, len, false);
}

/* Returns a descriptor, or -1. */
static int open_file(const struct ctl_collect *c, const char *path, int flags,
		     struct stat *st)
{
	int fd = ctl_open(c->d, path, O_RDONLY | flags);

	if (fd < 0)
		return -1;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

/* Files of /proc have no size. */
static void read_end(struct ctl_text *out, int fd, off_t size)
{
	off_t from = size > (off_t)CTL_COLLECT_FILE
			     ? size - (off_t)CTL_COLLECT_FILE
			     : 0;
	char *block = ctl_alloc(1, 65536);
	ssize_t n = 1;

	while (n > 0 && out->len < CTL_COLLECT_FILE) {
		n = pread(fd, block, 65536, from + (off_t)out->len);
		if (n > 0)
			ctl_put_bytes(out, block, (size_t)n);
	}
	free(block);
}

static size_t add_file(struct ctl_collect *c, const char *name,
		       const char *path, int flags)
{
	struct ctl_text text = { 0 };
	struct stat st;
	int fd = open_file(c, path, flags, &st);
	size_t len;

	if (fd < 0) {
		note(c, name, strerror(errno));
		return 0;
	}
	read_end(&text, fd, st.st_size);
	close(fd);
	len = text.len;
	add(c, name, text.at ? text.at : "", len,
	    st.st_size > (off_t)CTL_COLLECT_FILE);
	ctl_text_free(&text);
	return len;
}

/* A link may lead to what is none of ours. */
size_t ctl_collect_file(struct ctl_collect *c, const char *name,
			const char *path)
{
	return add_file(c, name, path, O_NOFOLLOW);
}

void ctl_collect_link(struct ctl_collect *c, const char *name, const char *path)
{
	add_file(c, name, path, 0);
}

/* ---- the file ----------------------------------------------------------- */

static bool write_all(int fd, const char *at, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0 || errno == EINVAL;
}

static int write_file(const char *path, const struct ctl_text *tar)
{
	int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		     0600);
	int err = 0;

	if (fd < 0)
		return ctl_fail("%s: %s", path, strerror(errno));
	if (!write_all(fd, tar->at, tar->len))
		err = errno;
	close(fd);
	if (!err)
		return CTL_OK;
	unlink(path); /* a part of it is no use to anybody */
	return ctl_fail("%s: %s", path, strerror(err));
}

static void add_doctor(struct ctl_collect *c)
{
	struct ctl_text out = { 0 }, lines = { 0 };

	ctl_doctor_put(&out, c->d, true);
	ctl_break_json(&lines, out.at);
	ctl_collect_add(c, "doctor.json", lines.at, lines.len);
	ctl_text_free(&lines);
	out.len = 0;
	ctl_doctor_put(&out, c->d, false);
	ctl_collect_add(c, "doctor.txt", out.at, out.len);
	ctl_text_free(&out);
}

static void add_index(struct ctl_collect *c)
{
	struct ctl_text text = { 0 };

	ctl_put(&text, "mspctl ");
	ctl_put(&text, msp_version());
	ctl_put(&text, " collect. Secrets that were recognised are [REDACTED]; "
		       "look through it all\nthe same before you pass it on.\n"
		       "\n");
	ctl_put(&text, c->index.at);
	ctl_collect_add(c, "README", text.at, text.len);
	ctl_text_free(&text);
}

static int collect(struct ctl_doctor *d, const char *output)
{
	struct ctl_collect c = { .d = d, .now = time(NULL) };
	char usual[sizeof(c.folder) + sizeof(".tar")];
	struct ctl_text out = { 0 };
	time_t now = c.now;
	struct tm tm;
	int status;

	gmtime_r(&now, &tm);
	strftime(c.folder, sizeof(c.folder), "mspctl-collect-%Y%m%dT%H%M%SZ",
		 &tm);
	add_doctor(&c);
	ctl_collect_gather(&c);
	add_index(&c);
	ctl_tar_end(&c.tar);
	snprintf(usual, sizeof(usual), "%s.tar", c.folder);
	output = output ? output : usual;
	status = write_file(output, &c.tar);
	if (status == CTL_OK) {
		ctl_put_shown(&out, output);
		ctl_put(&out, "\n");
		status = ctl_answer(&out, status);
	}
	ctl_text_free(&out);
	ctl_text_free(&c.tar);
	ctl_text_free(&c.index);
	return status;
}

/* ---- the command -------------------------------------------------------- */

static int run(int argc, char **argv)
{
	const char *config = NULL, *root = NULL, *output = NULL;
	struct ctl_list operands = { 0 };
	const struct ctl_option options[] = {
		{ "output", CTL_TEXT, &output },
		{ "config", CTL_TEXT, &config },
		{ "root", CTL_TEXT, &root },
		{ NULL, CTL_FLAG, NULL },
	};
	struct ctl_doctor *d;
	int status = CTL_USAGE;

	if (!ctl_parse(options, argc, argv, &operands)) {
		status = CTL_USAGE;
	} else if (operands.n) {
		ctl_fail("%s: not an option", operands.at[0]);
	} else {
		d = ctl_alloc(1, sizeof(*d));
		ctl_doctor_run(d, config, root);
		status = collect(d, output);
		ctl_doctor_free(d);
		free(d);
	}
	free(operands.at);
	return status;
}

const struct ctl_command ctl_collect_command = {
	.name = "collect",
	.about = "a file for who is to find out what is wrong",
	.help = help,
	.run = run,
};
