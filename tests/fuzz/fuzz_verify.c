/* SPDX-License-Identifier: MIT */
/*
 * In: an audit trail, or what is done to one that is whole. Out: nothing;
 * aborts if what was changed is called whole, or what was not is called
 * broken. Must never keep anything from one input to the next but the trail
 * that all begin with.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mspd/audit_chain.h"
#include "mspd/ctl/audit_verify.h"

#define RECORDS	  8
#define LINES_MAX 64
#define LINE_ROOM 256

struct line {
	char at[LINE_ROOM];
	size_t len; /* with its LF */
};

static struct line made[RECORDS];
static struct line lines[LINES_MAX];
static size_t n_lines;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

/* ---- a trail that is whole ---------------------------------------------- */

static void make_lines(void)
{
	struct mspd_chain chain;
	size_t i;

	if (made[0].len)
		return;
	must(mspd_chain_init(&chain) == 0);
	for (i = 0; i < RECORDS; i++) {
		int n = snprintf(made[i].at, sizeof(made[i].at),
				 "{\"time\":\"2026-01-02T03:04:05.678901Z\","
				 "\"id\":%zu" MSPD_CHAIN_BLANK "\n",
				 i);

		made[i].len = (size_t)n;
		must(mspd_chain_fill(&chain, made[i].at, made[i].len) == 0);
	}
	mspd_chain_free(&chain);
}

/* ---- what is done to it ------------------------------------------------- */

static void remove_line(size_t i)
{
	memmove(&lines[i], &lines[i + 1], (n_lines - i - 1) * sizeof(*lines));
	n_lines--;
}

static void copy_line(size_t from, size_t to)
{
	struct line line = lines[from];

	if (n_lines == LINES_MAX)
		return;
	memmove(&lines[to + 1], &lines[to], (n_lines - to) * sizeof(*lines));
	lines[to] = line;
	n_lines++;
}

static void swap_lines(size_t a, size_t b)
{
	struct line line = lines[a];

	lines[a] = lines[b];
	lines[b] = line;
}

static void cut_line(size_t i, size_t at)
{
	size_t len = at % (lines[i].len - 1);

	memmove(lines[i].at, lines[i].at + len, lines[i].len - len);
	lines[i].len -= len;
}

/* No LF comes or goes: that would be two lines, or one. */
static void change_byte(size_t i, size_t at, unsigned int bit)
{
	char *byte = &lines[i].at[at % (lines[i].len - 1)];

	*byte ^= (char)(1 << bit);
	if (*byte == '\n')
		*byte = ' ';
}

static void change(const uint8_t op[3])
{
	size_t i = op[1] % n_lines;

	switch (op[0] % 5) {
	case 0:
		if (n_lines > 1)
			remove_line(i);
		break;
	case 1:
		copy_line(i, op[2] % n_lines);
		break;
	case 2:
		swap_lines(i, op[2] % n_lines);
		break;
	case 3:
		change_byte(i, op[2], op[0] / 5 % 5);
		break;
	case 4:
		cut_line(i, op[2]);
		break;
	}
}

/* ---- what is said of it ------------------------------------------------- */

static int put_lines(void)
{
	int fd = memfd_create("trail", MFD_CLOEXEC);
	size_t i;

	must(fd >= 0);
	for (i = 0; i < n_lines; i++)
		must(write(fd, lines[i].at, lines[i].len) ==
		     (ssize_t)lines[i].len);
	return fd;
}

static void verify(struct ctl_verify *v, int fd)
{
	char path[64];
	const char *names[] = { path };
	const struct ctl_list files = { .at = names, .n = 1 };
	const struct ctl_trail_opts opts = { .files = &files };
	struct ctl_text text = { 0 };
	struct ctl_trail *trail;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	trail = ctl_trail_open(&opts);
	must(trail != NULL);
	ctl_verify_run(v, trail);
	ctl_verify_put(&text, v, 1, true);
	must(text.at[0] == '{' && text.at[text.len - 1] == '\n');
	text.len = 0;
	ctl_verify_put(&text, v, 1, false);
	ctl_text_free(&text);
	must(ctl_trail_close(trail));
}

/* What is called whole is a piece of it, and of that only the first line is
 * not known: that of a number other than 1. In front of the very first there
 * may be lines that are in no chain. */
static void check_whole(const struct ctl_verify *v)
{
	size_t first = (size_t)v->first, i;
	const struct line *is = lines + v->unchained;
	size_t n = n_lines - v->unchained;

	must(first && n == v->records);
	must(first - 1 + n <= RECORDS || (first > 1 && n == 1));
	must(!v->unchained || first == 1);
	for (i = first > 1; i < n; i++) {
		const struct line *was = &made[first - 1 + i];

		must(is[i].len == was->len &&
		     !memcmp(is[i].at, was->at, was->len));
	}
}

static bool is_whole(const uint8_t *data, size_t size)
{
	static const struct line none;
	bool same = true;
	size_t i;

	for (i = 0; i < LINES_MAX; i++)
		lines[i] = i < RECORDS ? made[i] : none;
	n_lines = RECORDS;
	for (; size >= 3; size -= 3, data += 3)
		change(data);
	for (i = 0; i < RECORDS; i++)
		same = same && !memcmp(&lines[i], &made[i], sizeof(made[i]));
	return same && n_lines == RECORDS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ctl_verify v = { 0 }, again = { 0 };
	bool raw = size && data[0] == 'r';
	bool whole = false;
	int fd;

	make_lines();
	if (raw) {
		fd = memfd_create("trail", MFD_CLOEXEC);
		must(fd >= 0);
		must(write(fd, data + 1, size - 1) == (ssize_t)(size - 1));
	} else {
		whole = is_whole(data, size);
		fd = put_lines();
	}
	verify(&v, fd);
	verify(&again, fd);
	must(ctl_verify_count(&v) == ctl_verify_count(&again));
	if (whole)
		must(ctl_verify_count(&v) == 0);
	if (!raw && ctl_verify_count(&v) == 0)
		check_whole(&v);
	ctl_verify_free(&v);
	ctl_verify_free(&again);
	close(fd);
	return 0;
}
