/* SPDX-License-Identifier: MIT */
/*
 * In: a file that says what hangs. Out: users and groups for glibc, with
 * numbers from 700,000 on, and a record of what was asked. Must never answer
 * what has been told to hang.
 *
 * The directory named by MSPTEST_NSS holds:
 *   hang     words such as "uid:700001", "gid:700002", "user:nss700001" or
 *            "all": these questions wait until the word is gone
 *   fail     words such as "uid:700001": these questions cannot be answered
 *   members  lines "nss700001 700002 700003": groups of a user
 *   names    lines "700001 name": a name other than nss700001
 *   asked    written here: a word for each question, when it comes
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <nss.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST	 700000
#define LAST	 799999
#define FILE_MAX 65536
#define EXPORT	 __attribute__((visibility("default")))

EXPORT enum nss_status _nss_msptest_getpwuid_r(uid_t uid, struct passwd *out,
					       char *buffer, size_t size,
					       int *error);
EXPORT enum nss_status _nss_msptest_getgrgid_r(gid_t gid, struct group *out,
					       char *buffer, size_t size,
					       int *error);
EXPORT enum nss_status _nss_msptest_initgroups_dyn(const char *user,
						   gid_t primary, long *n,
						   long *size, gid_t **groups,
						   long limit, int *error);

static int open_file(const char *name, int flags)
{
	const char *dir = getenv("MSPTEST_NSS");
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir ? dir : "/nowhere", name);
	return open(path, flags | O_CLOEXEC, 0644);
}

/* Whole content as a text, "" if there is none; free() it. */
static char *content(const char *name)
{
	char *text = calloc(1, FILE_MAX);
	int fd = open_file(name, O_RDONLY);
	ssize_t n = 0;

	if (text && fd >= 0)
		n = read(fd, text, FILE_MAX - 1);
	if (text)
		text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

static bool has_word(const char *name, const char *word)
{
	char *text = content(name);
	char *save = NULL;
	char *at;
	bool found = false;

	for (at = text ? strtok_r(text, " \n", &save) : NULL; at && !found;
	     at = strtok_r(NULL, " \n", &save))
		found = strcmp(at, word) == 0;
	free(text);
	return found;
}

/* What follows a word at the start of a line, "" without; free() it. */
static char *line_of(const char *name, const char *word)
{
	char *text = content(name);
	char *save = NULL;
	char *line, *found = NULL;
	size_t len = strlen(word);

	for (line = text ? strtok_r(text, "\n", &save) : NULL; line && !found;
	     line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, word, len) == 0 && line[len] == ' ')
			found = strdup(line + len + 1);
	free(text);
	return found ? found : strdup("");
}

static void record(const char *word)
{
	char line[80];
	int n = snprintf(line, sizeof(line), "%s\n", word);
	int fd = open_file("asked", O_WRONLY | O_APPEND | O_CREAT);

	/* a record that is lost makes the test that waits for it fail */
	if (fd < 0)
		return;
	if (write(fd, line, (size_t)n) != n)
		fprintf(stderr, "nss_msptest: cannot record %s\n", word);
	close(fd);
}

/* Before any answer: says that it was asked, and hangs if it is to. */
static void question(const char *word)
{
	record(word);
	while (has_word("hang", word) || has_word("hang", "all"))
		usleep(10000);
}

/* As if a server could not be reached. */
static bool fails(const char *word, int *error)
{
	*error = EIO;
	return has_word("fail", word);
}

static bool ours(unsigned long number)
{
	return number >= FIRST && number <= LAST;
}

EXPORT enum nss_status _nss_msptest_getpwuid_r(uid_t uid, struct passwd *out,
					       char *buffer, size_t size,
					       int *error)
{
	char word[40];
	char *other;

	snprintf(word, sizeof(word), "uid:%u", uid);
	question(word);
	if (fails(word, error))
		return NSS_STATUS_UNAVAIL;
	*error = ENOENT;
	if (!ours(uid))
		return NSS_STATUS_NOTFOUND;
	other = line_of("names", word + strlen("uid:"));
	if (other && other[0])
		snprintf(buffer, size, "%s", other);
	else
		snprintf(buffer, size, "nss%u", uid);
	free(other);
	*out = (struct passwd){ .pw_name = buffer,
				.pw_passwd = buffer,
				.pw_uid = uid,
				.pw_gid = uid,
				.pw_gecos = buffer,
				.pw_dir = buffer,
				.pw_shell = buffer };
	return NSS_STATUS_SUCCESS;
}

EXPORT enum nss_status _nss_msptest_getgrgid_r(gid_t gid, struct group *out,
					       char *buffer, size_t size,
					       int *error)
{
	static char *no_members[] = { NULL };
	char word[40];

	snprintf(word, sizeof(word), "gid:%u", gid);
	question(word);
	if (fails(word, error))
		return NSS_STATUS_UNAVAIL;
	*error = ENOENT;
	if (!ours(gid))
		return NSS_STATUS_NOTFOUND;
	snprintf(buffer, size, "grp%u", gid);
	*out = (struct group){ .gr_name = buffer,
			       .gr_passwd = buffer,
			       .gr_gid = gid,
			       .gr_mem = no_members };
	return NSS_STATUS_SUCCESS;
}

static bool add_group(gid_t gid, long *n, long *size, gid_t **groups)
{
	gid_t *more;

	if (*n == *size) {
		more = realloc(*groups, (size_t)*size * 2 * sizeof(**groups));
		if (!more)
			return false;
		*groups = more;
		*size *= 2;
	}
	(*groups)[(*n)++] = gid;
	return true;
}

EXPORT enum nss_status _nss_msptest_initgroups_dyn(const char *user,
						   gid_t primary, long *n,
						   long *size, gid_t **groups,
						   long limit, int *error)
{
	char word[80];
	char *save = NULL;
	char *line, *at;
	bool good = true;

	(void)primary;
	(void)limit;
	snprintf(word, sizeof(word), "user:%s", user);
	question(word);
	line = line_of("members", user);
	for (at = line ? strtok_r(line, " ", &save) : NULL; at && good;
	     at = strtok_r(NULL, " ", &save))
		good = add_group((gid_t)strtoul(at, NULL, 10), n, size, groups);
	free(line);
	*error = good ? 0 : ENOMEM;
	return good ? NSS_STATUS_SUCCESS : NSS_STATUS_TRYAGAIN;
}
