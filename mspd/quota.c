/* SPDX-License-Identifier: MIT */
/*
 * In: the control groups of this process, of either version. Out: the narrowest
 * limit of its processor time. Must never change one: an owner may have set it.
 */
#include "mspd/quota.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/log.h"

/* The first line of a file that is in directory @dir. */
static bool read_line(char *out, size_t size, const char *dir, const char *name)
{
	char path[PATH_MAX];
	bool read;
	FILE *f;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    sizeof(path))
		return false;
	f = fopen(path, "re");
	if (!f)
		return false;
	read = fgets(out, (int)size, f);
	fclose(f);
	return read;
}

/* Both in microseconds; a quota that is no number is none. */
static void narrow(struct mspd_quota *quota, const char *time,
		   const char *period, const char *dir, const char *name)
{
	uint64_t most = strtoull(period, NULL, 10), percent;
	char *end;
	int64_t us = strtoll(time, &end, 10);

	if (end == time || us <= 0 || !most || us > INT64_MAX / 100)
		return;
	percent = (uint64_t)us * 100 / most;
	if (!percent)
		percent = 1;
	if (percent >= quota->percent ||
	    (size_t)snprintf(quota->path, sizeof(quota->path), "%s/%s", dir,
			     name) >= sizeof(quota->path))
		return;
	quota->percent = (unsigned int)percent;
}

static void look_at(struct mspd_quota *quota, const char *dir)
{
	char time[64], period[64], *blank;

	if (read_line(time, sizeof(time), dir, "cpu.max")) {
		blank = strchr(time, ' ');
		narrow(quota, time, blank ? blank : "", dir, "cpu.max");
	} else if (read_line(time, sizeof(time), dir, "cpu.cfs_quota_us") &&
		   read_line(period, sizeof(period), dir,
			     "cpu.cfs_period_us")) {
		narrow(quota, time, period, dir, "cpu.cfs_quota_us");
	}
}

/* A group, and those it is in. */
static void look_up(struct mspd_quota *quota, const char *root,
		    const char *path)
{
	char dir[PATH_MAX];
	size_t top = strlen(root);

	if ((size_t)snprintf(dir, sizeof(dir), "%s%s", root, path) >=
	    sizeof(dir))
		return;
	do {
		look_at(quota, dir);
		*strrchr(dir, '/') = '\0';
	} while (strlen(dir) >= top);
}

/* Is it one of those with commas between? */
static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (; words; words = strchr(words, ','), words += words != NULL)
		if (strncmp(words, word, len) == 0 &&
		    (words[len] == ',' || !words[len]))
			return true;
	return false;
}

/* "number:controllers:path"; the second version names no controllers. */
static void take_line(struct mspd_quota *quota, char *line, const char *root)
{
	char *words = strchr(line, ':'), *path;
	char first[PATH_MAX];

	path = words ? strchr(words + 1, ':') : NULL;
	if (!path || path[1] != '/')
		return;
	*words++ = *path++ = '\0';
	path[strcspn(path, "\n")] = '\0';
	if (!*words) {
		look_up(quota, root, path);
	} else if (has_word(words, "cpu")) {
		snprintf(first, sizeof(first), "%s/cpu", root);
		look_up(quota, first, path);
	}
}

bool mspd_quota_find(struct mspd_quota *quota, const char *self,
		     const char *root)
{
	char line[PATH_MAX + 256];
	FILE *f = fopen(self, "re");

	quota->percent = UINT_MAX;
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		take_line(quota, line, root);
	fclose(f);
	return quota->percent != UINT_MAX;
}

void mspd_quota_warn(void)
{
	struct mspd_quota quota;

	if (mspd_quota_find(&quota, "/proc/self/cgroup", "/sys/fs/cgroup"))
		mspd_log(MSPD_WARN,
			 "%s allows %u%% of a processor's time, and requests "
			 "wait when it is used up; a unit has it from "
			 "CPUQuota=",
			 quota.path, quota.percent);
}
