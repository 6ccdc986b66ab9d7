/* SPDX-License-Identifier: MIT */
/*
 * In:  the key's document and incarnation; a file of ours.
 * Out: the same after a restart: a line "msp-host 1 <incarnation>", then the
 *      document of the latched key, if there is one.
 * Never: lets others read it, leaves half a file, or prints what is in it.
 */
#include "vm/state.h"

#include "emulator.h"
#include "vm/vms.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC	  "msp-host 1 "
#define STATE_MAX 4096

/* The line with the incarnation; returns what follows it, or NULL. */
static const char *read_head(const struct buf *file, uint32_t *incarnation)
{
	const size_t skip = sizeof(MAGIC) - 1;
	const char *end;
	uint64_t n;

	if (file->len < skip || memcmp(file->data, MAGIC, skip))
		return NULL;
	end = memchr(file->data, '\n', file->len);
	if (!end ||
	    !text_uint(file->data + skip, (size_t)(end - file->data) - skip,
		       &n) ||
	    n > UINT32_MAX)
		return NULL;
	*incarnation = (uint32_t)n;
	return end + 1;
}

static bool use(struct vm *vm, const struct buf *file)
{
	struct msp_key *key = NULL;
	const char *doc;
	size_t len;
	int rc;

	doc = read_head(file, &vm->incarnation);
	if (!doc)
		return false;
	len = file->len - (size_t)(doc - file->data);
	if (!len)
		return true;
	rc = msp_key_parse(&key, doc, len, NULL);
	if (rc == 0)
		rc = msp_signer_new(&vm->latched, key);
	if (rc == 0)
		buf_add(&vm->latched_doc, doc, len);
	msp_key_free(key);
	return rc == 0;
}

bool state_load(struct emulator *emu)
{
	struct buf file = { 0 };
	bool ok;

	if (!emu->state_file)
		return true;
	ok = buf_read_file(&file, emu->state_file, STATE_MAX);
	if (!ok && errno == ENOENT)
		return true;
	if (!ok) {
		fprintf(stderr, "msp-host: %s: %s\n", emu->state_file,
			strerror(errno));
		return false;
	}
	ok = use(emu->vms->first, &file);
	if (!ok)
		fprintf(stderr, "msp-host: %s: not a state file\n",
			emu->state_file);
	buf_clear(&file);
	return ok;
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0;
}

static bool sync_folder_of(const char *path)
{
	char *copy = strdup(path);
	bool ok = false;
	int fd = -1;

	if (copy)
		fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		ok = fsync(fd) == 0;
		close(fd);
	}
	free(copy);
	return ok;
}

/* Another file first, then rename: a torn key is a lost key. */
static bool replace(const char *path, const struct buf *content)
{
	struct buf temp = { 0 };
	bool ok = false;
	int fd = -1;

	buf_format(&temp, "%s.XXXXXX", path);
	if (!temp.failed)
		fd = mkostemp(temp.data, O_CLOEXEC); /* makes it 0600 */
	if (fd >= 0) {
		ok = write_all(fd, content->data, content->len);
		ok = close(fd) == 0 && ok;
		ok = ok && rename(temp.data, path) == 0;
		if (!ok)
			unlink(temp.data);
	}
	buf_clear(&temp);
	return ok && sync_folder_of(path);
}

bool state_save(struct emulator *emu)
{
	const struct vm *vm = emu->vms->first;
	struct buf content = { 0 };
	bool ok;

	if (!emu->state_file)
		return true;
	buf_format(&content, MAGIC "%u\n", vm->incarnation);
	buf_add(&content, vm->latched_doc.data, vm->latched_doc.len);
	ok = !content.failed && replace(emu->state_file, &content);
	buf_clear(&content);
	return ok;
}
