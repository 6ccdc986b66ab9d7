/* SPDX-License-Identifier: MIT */
/*
 * file.h - documents that are replaced whole, and directories (design 7).
 *
 * Threads: any. These calls block.
 */
#ifndef MSPD_FILE_H
#define MSPD_FILE_H

#include <stddef.h>
#include <sys/types.h>

/**
 * mspd_file_write - replace @dir/@name by @data
 * @dir:  an existing directory
 * @name: a file name without '/'
 * @mode: final mode, set before the first byte and whatever the umask is
 *
 * A reader sees the old file or the new one, also after a power cut.
 * Returns 0 or -errno; then the old file is as it was.
 */
int mspd_file_write(const char *dir, const char *name, mode_t mode,
		    const void *data, size_t len);

/**
 * mspd_dir_make - a directory and its missing parents
 * @path: absolute or relative
 * @mode: of the last one, if it is created; parents get 0755; whatever the
 *        umask is. An existing directory keeps its mode.
 * Returns 0 or -errno.
 */
int mspd_dir_make(const char *path, mode_t mode);

#endif
