/* SPDX-License-Identifier: MIT */
/*
 * In: items and compiled rules. Out: a file of them, and fewer old ones. Must
 * never write anything but rules, nor delete what it did not make.
 */
#include "mspd/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mspd/file.h"
#include "mspd/log.h"
#include "mspd/text.h"

#define PREFIX "AuthorizationRules_"
#define SUFFIX ".json"
/* of a write that a crash cut short */
#define TEMP SUFFIX ".tmp"

/* ---- the document ------------------------------------------------------ */

static const struct {
	enum msp_endpoint endpoint;
	const char *name;
} members[] = {
	{ MSP_ENDPOINT_IMDS, "imds" },
	{ MSP_ENDPOINT_WIRESERVER, "wireserver" },
	{ MSP_ENDPOINT_HOSTGA, "hostga" },
};
#define MEMBERS (sizeof(members) / sizeof(members[0]))

/* A document inside another: no string in it has a line feed. */
static void put_indented(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n' && !text[1])
			break;
		fputc(*text, out);
		if (*text == '\n')
			fputs("    ", out);
	}
}

static void put_member(FILE *out, const char *name, const char *text,
		       bool *first)
{
	fprintf(out, "%s\n    \"%s\": ", *first ? "" : ",", name);
	put_indented(out, text);
	*first = false;
}

static int put_items(FILE *out, struct msp_profile *const items[MSP_ENDPOINTS])
{
	struct msp_profile_write_opts opts = MSP_PROFILE_WRITE_OPTS_INIT;
	bool first = true;
	char *text;
	size_t i;

	opts.form = MSP_PROFILE_WIRE;
	for (i = 0; i < MEMBERS; i++) {
		const struct msp_profile *item = items[members[i].endpoint];

		if (!item)
			continue;
		if (msp_profile_write(&text, NULL, item, &opts, NULL) < 0)
			return -ENOMEM;
		put_member(out, members[i].name, text, &first);
		msp_text_free(text);
	}
	return 0;
}

static int put_rules(FILE *out, struct msp_rules *const rules[MSP_ENDPOINTS])
{
	bool first = true;
	char *text;
	size_t i;
	int rc;

	for (i = 0; i < MEMBERS; i++) {
		const struct msp_rules *r = rules[members[i].endpoint];

		if (!r)
			continue;
		rc = msp_rules_write(&text, NULL, r);
		if (rc == MSP_ERR_LIMIT) {
			mspd_log(MSPD_WARN,
				 "the rules of %s grant too much to be written "
				 "down: not in the snapshot",
				 members[i].name);
			continue;
		}
		if (rc < 0)
			return -ENOMEM;
		put_member(out, members[i].name, text, &first);
		msp_text_free(text);
	}
	return 0;
}

static int put_document(FILE *out,
			struct msp_profile *const items[MSP_ENDPOINTS],
			struct msp_rules *const rules[MSP_ENDPOINTS])
{
	int rc;

	fputs("{\n  \"inputRules\": {", out);
	rc = put_items(out, items);
	if (rc < 0)
		return rc;
	fputs("\n  },\n  \"computedRules\": {", out);
	rc = put_rules(out, rules);
	fputs("\n  }\n}\n", out);
	return rc;
}

static int make_document(char **text, size_t *len,
			 struct msp_profile *const items[MSP_ENDPOINTS],
			 struct msp_rules *const rules[MSP_ENDPOINTS])
{
	FILE *out = open_memstream(text, len);
	int rc;

	if (!out)
		return -ENOMEM;
	rc = put_document(out, items, rules);
	if (ferror(out))
		rc = -ENOMEM;
	if (fclose(out) != 0)
		rc = -ENOMEM;
	return rc;
}

/* ---- those from before ------------------------------------------------- */

static bool ends_in(const char *name, const char *suffix)
{
	size_t len = strlen(name), n = strlen(suffix);

	return len >= n && strcmp(name + len - n, suffix) == 0;
}

/* Not what only has the name of one; that stays, and is not counted. */
static bool is_file(DIR *dir, const char *name)
{
	struct stat st;

	return fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode);
}

/* How many there are, and the name of the oldest, which is the least. What was
 * not finished is deleted. */
static int find_oldest(DIR *dir, char *oldest, size_t size)
{
	const struct dirent *entry;
	int count = 0;

	rewinddir(dir);
	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return errno ? -errno : count;
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		if (ends_in(entry->d_name, TEMP))
			unlinkat(dirfd(dir), entry->d_name, 0);
		if (!ends_in(entry->d_name, SUFFIX) ||
		    !is_file(dir, entry->d_name))
			continue;
		if (!count++ || strcmp(entry->d_name, oldest) < 0)
			snprintf(oldest, size, "%s", entry->d_name);
	}
}

/* One pass for each that goes, so that no directory is too large. */
static int prune(const char *path)
{
	char oldest[NAME_MAX + 1];
	DIR *dir = opendir(path);
	int count, rc = 0;

	if (!dir)
		return -errno;
	while (rc == 0) {
		count = find_oldest(dir, oldest, sizeof(oldest));
		if (count < MSPD_SNAPSHOTS) {
			rc = count < 0 ? count : 0;
			break;
		}
		if (unlinkat(dirfd(dir), oldest, 0) < 0)
			rc = -errno;
	}
	closedir(dir);
	return rc;
}

int mspd_snapshot_write(const char *dir,
			struct msp_profile *const items[MSP_ENDPOINTS],
			struct msp_rules *const rules[MSP_ENDPOINTS],
			struct timespec when)
{
	char name[128], time[MSPD_TEXT_TIME];
	char *text = NULL;
	size_t len;
	int rc;

	rc = prune(dir);
	if (rc < 0)
		return rc;
	mspd_text_time(time, when, '.');
	snprintf(name, sizeof(name), PREFIX "%s-%" PRIu64 SUFFIX, time,
		 (uint64_t)when.tv_sec * 1000000000u + (uint64_t)when.tv_nsec);
	rc = make_document(&text, &len, items, rules);
	if (rc == 0)
		rc = mspd_file_write(dir, name, MSPD_SNAPSHOT_MODE, text, len);
	free(text);
	return rc;
}
