/* SPDX-License-Identifier: MIT */
/*
 * rotate.h - a file of whole lines that is renamed when it is full.
 *
 * Used by the log and the audit trail; spec 3.3 with fix Q42. Not locked: the
 * user does that.
 */
#ifndef MSPD_ROTATE_H
#define MSPD_ROTATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MSPD_ROTATE_BYTES (10 * 1024 * 1024)
/** Files kept, the current one included. */
#define MSPD_ROTATE_FILES 5

/**
 * struct mspd_rotate - one such file
 * @dir_fd: directory, -1 when closed
 * @fd:     the current file, -1 when it has to be opened
 * @size:   bytes in it, as far as they are whole lines
 * @dev:    identity of the current file, to notice that somebody else
 * @ino:    renamed or deleted it
 * @torn:   a partial line lies behind @size and must go first
 * @found_torn: and was there when the file was opened
 * @keep:   what was there then stays: it is ended instead
 * @limit:  bytes at which it is renamed
 * @name:   file name; a constant
 */
struct mspd_rotate {
	int dir_fd;
	int fd;
	uint64_t size;
	dev_t dev;
	ino_t ino;
	bool torn;
	bool found_torn;
	bool keep;
	uint64_t limit;
	const char *name;
};

/**
 * mspd_rotate_open - open or create @dir/@name, mode 0640
 *
 * A partial last line, left by a crash, is cut off. @dir is created if it is
 * missing. Returns 0 or -errno; then the file is closed.
 */
int mspd_rotate_open(struct mspd_rotate *file, const char *dir,
		     const char *name);

/**
 * mspd_rotate_append - add whole lines
 *
 * All of @data gets into one file, or nothing of it: after an error the file
 * is cut back and the call may be repeated. Returns 0 or -errno.
 */
int mspd_rotate_append(struct mspd_rotate *file, const void *data, size_t len);

/**
 * mspd_rotate_keep - a partial last line, left by a crash, stays
 *
 * Right after the file was opened. The next call of mspd_rotate_append() ends
 * it with an LF of its own; until then it lies behind @file->size.
 */
void mspd_rotate_keep(struct mspd_rotate *file);

/* Open the newest file that was renamed, for reading. A descriptor, -ENOENT:
 * there is none; or -errno. */
int mspd_rotate_predecessor(const struct mspd_rotate *file);

/* Close; a closed one is fine. */
void mspd_rotate_close(struct mspd_rotate *file);

#endif
