/* SPDX-License-Identifier: MIT */
/*
 * keystore.h - keys at rest: <directory>/<guid>.key, 0600 in 0700.
 *
 * Files are written to a temporary name with their final mode, fsynced,
 * renamed, and the directory is fsynced; then read back and compared.
 * Blocking file calls; small files.
 */
#ifndef MSP_KEYSTORE_H
#define MSP_KEYSTORE_H

#include <msp/key.h>

struct msp_keystore;

MSP_BEGIN_DECLS

/**
 * msp_keystore_open - open the key directory, making it if it is missing
 * @out:  new store, or NULL on error; free with msp_keystore_free()
 * @path: directory; parents are made too (0755); copied
 * @len:  length of @path
 * @info: optional: file and errno
 *
 * The directory is set to mode 0700; one that another user owns, or a
 * symbolic link, is refused.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_SYS.
 */
MSP_API MSP_MUST_CHECK int
msp_keystore_open(struct msp_keystore **out, const char *path, size_t len,
		  struct msp_error_info *info);

/** msp_keystore_free - close; keys on disk stay. NULL is fine. */
MSP_API void msp_keystore_free(struct msp_keystore *store);

/**
 * msp_keystore_load - read the key with this guid
 * @store: open
 * @out:   new key, or NULL on error; free with msp_key_free()
 * @guid:  MSP_GUID_LEN characters; checked before it is a file name (Q26)
 * @info:  optional detail
 *
 * A file that is no regular file, not ours, open to others, too large, or
 * whose own guid differs is refused.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOENT, MSP_ERR_SYS, MSP_ERR_SYNTAX,
 * MSP_ERR_SCHEMA, MSP_ERR_LIMIT, MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int
msp_keystore_load(struct msp_keystore *store, struct msp_key **out,
		  const char *guid, struct msp_error_info *info);

/**
 * msp_keystore_save - write a key, read it back and compare
 * @store: open
 * @key:   borrowed
 * @info:  optional detail
 *
 * Either the whole file is there afterwards, or the old one still is. A
 * temporary file that a crashed predecessor left is replaced.
 * Errors: MSP_ERR_INVAL, MSP_ERR_SYS, MSP_ERR_NOMEM, MSP_ERR_CRYPTO (what was
 * read back is not what was written).
 */
MSP_API MSP_MUST_CHECK int
msp_keystore_save(struct msp_keystore *store, const struct msp_key *key,
		  struct msp_error_info *info);

MSP_END_DECLS

#endif
