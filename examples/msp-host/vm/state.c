/* SPDX-License-Identifier: MIT */
/*
 * In:  the state; a file of ours.
 * Out: the same after a restart.
 * Never: lets others read it, leaves half a file, takes over one that is not
 *        as it was written, or prints what is in it.
 */
#include "vm/state.h"

#include "base/json.h"
#include "emulator.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD   "{\"msp-host\":2,\"sha256\":\""
#define MIDDLE "\",\"state\":"
#define TAIL   "}\n"
#define DIGEST 64 /* hex digits */

static bool digest(char out[DIGEST + 1], const char *data, size_t len)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	if (!EVP_Digest(data, len, bytes, &n, EVP_sha256(), NULL) ||
	    2 * n != DIGEST)
		return false;
	text_hex(out, bytes, n, false);
	return true;
}

/* ---- reading ----------------------------------------------------------- */

static bool begins(const char *data, size_t len, const char *with)
{
	return len >= strlen(with) && !memcmp(data, with, strlen(with));
}

/* The bytes of the state; NULL and what is wrong. */
static const char *open_envelope(const struct buf *file, size_t *len,
				 const char **why)
{
	const size_t before = strlen(HEAD) + DIGEST + strlen(MIDDLE);
	const char *data = file->data;
	char seen[DIGEST + 1];

	*why = "it is not a state file of msp-host";
	if (!begins(data, file->len, HEAD))
		return NULL;
	*why = "it is not complete";
	if (file->len <= before + strlen(TAIL) ||
	    memcmp(data + file->len - strlen(TAIL), TAIL, strlen(TAIL)))
		return NULL;
	*why = "it was changed after it was written";
	*len = file->len - before - strlen(TAIL);
	if (!begins(data + strlen(HEAD) + DIGEST, *len, MIDDLE) ||
	    !digest(seen, data + before, *len) ||
	    memcmp(seen, data + strlen(HEAD), DIGEST))
		return NULL;
	return data + before;
}

static bool use(struct emulator *emu, const struct buf *file)
{
	struct buf error = { 0 };
	const char *why = NULL;
	yajl_val tree = NULL;
	const char *state;
	bool ok = false;
	size_t len;

	state = open_envelope(file, &len, &why);
	if (state)
		tree = json_tree(state, len, &error);
	if (tree)
		ok = state_read(emu, tree, &error);
	if (!ok)
		fprintf(stderr, "msp-host: %s: %s\n", emu->state_file,
			state ? (error.len ? error.data : "out of memory")
			      : why);
	yajl_tree_free(tree);
	buf_clear(&error);
	return ok;
}

bool state_load(struct emulator *emu)
{
	struct buf file = { 0 };
	bool ok;

	if (!emu->state_file)
		return true;
	/* a pipe could not be replaced either */
	ok = buf_read_regular(&file, emu->state_file, STATE_MAX);
	if (!ok && errno == ENOENT)
		return true;
	if (ok)
		ok = use(emu, &file);
	else
		fprintf(stderr, "msp-host: %s: %s\n", emu->state_file,
			strerror(errno));
	buf_clear(&file);
	return ok;
}

/* ---- writing ----------------------------------------------------------- */

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

	buf_format(&temp, "%s.new", path);
	if (!temp.failed) {
		/* one that a killed predecessor left; never written through */
		unlink(temp.data);
		fd = open(temp.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			  0600);
	}
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

static bool seal(const struct emulator *emu, struct buf *out)
{
	const size_t before = strlen(HEAD) + DIGEST + strlen(MIDDLE);
	char sum[DIGEST + 1];

	buf_format(out, HEAD "%*s" MIDDLE, DIGEST, "");
	state_write(emu, out);
	if (out->failed || !digest(sum, out->data + before, out->len - before))
		return false;
	memcpy(out->data + strlen(HEAD), sum, DIGEST);
	buf_text(out, TAIL);
	return !out->failed;
}

bool state_save(struct emulator *emu)
{
	struct buf content = { 0 };
	const char *why = NULL;

	if (!emu->state_file)
		return true;
	if (!seal(emu, &content))
		why = "out of memory";
	else if (content.len > STATE_MAX)
		why = "it would be too large";
	else if (!replace(emu->state_file, &content))
		why = strerror(errno);
	buf_clear(&content);
	if (why)
		fprintf(stderr, "msp-host: %s: not stored: %s\n",
			emu->state_file, why);
	return !why;
}
