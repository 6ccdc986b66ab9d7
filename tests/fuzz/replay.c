/* SPDX-License-Identifier: MIT */
/*
 * In: files, and directories of files. Out: each run twice through the fuzz
 * target it is linked with, so that any compiler can replay a corpus. Must
 * never take a file it cannot read for one that passed.
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (64L * 1024 * 1024) /* bytes */

static int complain(const char *path)
{
	perror(path);
	return -1;
}

/* A buffer of exactly the file's size: a sanitizer sees one byte too far. */
static uint8_t *read_all(FILE *file, size_t *size)
{
	uint8_t *data;
	long end;

	if (fseek(file, 0, SEEK_END) < 0)
		return NULL;
	end = ftell(file);
	if (end < 0 || end > INPUT_MAX)
		return NULL;
	rewind(file);
	*size = (size_t)end;
	data = malloc(*size ? *size : 1);
	if (!data)
		return NULL;
	if (fread(data, 1, *size, file) != *size) {
		free(data);
		return NULL;
	}
	return data;
}

/* Once where a sanitizer sees both ends, once at a page nobody may touch: that
 * is seen with any compiler, and in code no sanitizer has instrumented. */
static void run(const uint8_t *data, size_t size)
{
	size_t mapped;
	char *copy;

	LLVMFuzzerTestOneInput(data, size);
	copy = guarded((const char *)data, size, &mapped);
	LLVMFuzzerTestOneInput((const uint8_t *)copy, size);
	free_guarded(copy, size, mapped);
}

static int replay_file(const char *path, long *count)
{
	uint8_t *data;
	size_t size;
	FILE *file;

	file = fopen(path, "rb");
	if (!file)
		return complain(path);
	data = read_all(file, &size);
	fclose(file);
	if (!data)
		return complain(path);
	run(data, size);
	free(data);
	(*count)++;
	return 0;
}

static int replay_dir(const char *path, long *count)
{
	char name[PATH_MAX];
	struct dirent *entry;
	int n, rc = 0;
	DIR *dir;

	dir = opendir(path);
	if (!dir)
		return complain(path);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		n = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (n < 0 || (size_t)n >= sizeof(name))
			rc = complain(path);
		else
			rc = replay_file(name, count);
	}
	closedir(dir);
	return rc;
}

int main(int argc, char **argv)
{
	struct stat st;
	long count = 0;
	int i, rc = 0;

	for (i = 1; i < argc && rc == 0; i++) {
		if (stat(argv[i], &st) < 0)
			rc = complain(argv[i]);
		else if (S_ISDIR(st.st_mode))
			rc = replay_dir(argv[i], &count);
		else
			rc = replay_file(argv[i], &count);
	}
	printf("%ld inputs\n", count);
	return rc < 0 || count == 0;
}
