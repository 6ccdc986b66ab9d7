/* SPDX-License-Identifier: MIT */
/*
 * In: names. Out: files in a directory below $TMPDIR or /tmp that is the
 * test's own. Must never touch anything outside of it.
 */
#include "tests/lib/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[256];

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

const char *scratch_make(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/msp-test-XXXXXX",
		 tmp && *tmp ? tmp : "/tmp");
	must(mkdtemp(dir) != NULL, dir);
	return dir;
}

static int remove_one(const char *path, const struct stat *st, int kind,
		      struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

void scratch_remove(void)
{
	if (*dir)
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	*dir = '\0';
}

const char *scratch_path(const char *name)
{
	static char paths[4][640];
	static unsigned int turn;
	char *path = paths[turn++ % 4];
	int n = snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);

	must(n > 0 && (size_t)n < sizeof(paths[0]), name);
	return path;
}

void scratch_write(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(scratch_path(name), "we");

	must(f != NULL, name);
	must(fwrite(data, 1, len, f) == len, name);
	must(fclose(f) == 0, name);
}

char *scratch_read(const char *name, size_t *len)
{
	FILE *f = fopen(scratch_path(name), "re");
	struct stat st;
	size_t size;
	char *data;

	must(f != NULL, name);
	must(fstat(fileno(f), &st) == 0, name);
	size = (size_t)st.st_size;
	data = malloc(size + 1);
	must(data != NULL, name);
	must(fread(data, 1, size, f) == size, name);
	fclose(f);
	data[size] = '\0';
	if (len)
		*len = size;
	return data;
}

mode_t scratch_mode(const char *name)
{
	struct stat st;

	must(lstat(scratch_path(name), &st) == 0, name);
	return st.st_mode & 07777;
}

int scratch_count(const char *prefix)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int n = 0;

	must(d != NULL, dir);
	while ((entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			n++;
	closedir(d);
	return n;
}
