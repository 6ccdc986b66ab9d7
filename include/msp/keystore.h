/* SPDX-License-Identifier: MIT */
/*
 * keystore.h - keys at rest: <directory>/<guid>.key, 0600 in 0700.
 *
 * Files are written to a temporary name with their final mode, fsynced,
 * renamed, and the directory is fsynced; then read back and compared.
 * Blocking file calls; small files.
 *
 * One store at a time may write; any number may load at the same time.
 */
#ifndef MSP_KEYSTORE_H
#define MSP_KEYSTORE_H

#include <msp/key.h>

/** How many keys the directory holds at most, once one was saved; see
 * msp_keystore_prune(). */
#define MSP_KEYSTORE_MAX 32

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
 * Threads: used by one thread at a time.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_SYS (EPERM: it belongs to
 * another user, or we may not set its mode).
 */
MSP_API MSP_MUST_CHECK int msp_keystore_open(struct msp_keystore **out,
					     const char *path, size_t len,
					     struct msp_error_info *info);

/**
 * msp_keystore_free - close, and give up the lock; keys on disk stay
 * @store: NULL is fine
 *
 * A latch that borrows the store is freed first.
 * Threads: the one that uses the store.
 */
MSP_API void msp_keystore_free(struct msp_keystore *store);

/**
 * msp_keystore_lock - become the one that writes to the directory
 * @store: open
 * @info:  optional: the directory, and the process that has it if that is
 *         known
 *
 * Does not wait. The lock is given up by msp_keystore_free(), and by the
 * kernel when the process ends in whatever way; nothing is left in the
 * directory. Also of one process only one store has it, and a child that was
 * forked does not have it. Once it is held this does nothing. A latch,
 * msp_keystore_save(), msp_keystore_remove() and msp_keystore_prune() take it
 * by themselves, msp_keystore_load() does not need it: two latches of one
 * machine would take each other's key away.
 *
 * With the lock come the duties of who writes: temporary files that a crash
 * left are removed.
 * Threads: one at a time for each store.
 * Errors: MSP_ERR_INVAL, MSP_ERR_BUSY (another store has it), MSP_ERR_SYS.
 */
MSP_API MSP_MUST_CHECK int msp_keystore_lock(struct msp_keystore *store,
					     struct msp_error_info *info);

/**
 * msp_keystore_load - read the key with this guid
 * @store: open
 * @out:   new key, or NULL on error; free with msp_key_free()
 * @guid:  MSP_GUID_LEN characters and NUL, in the case it was saved with;
 *         checked before it is a file name (Q26)
 * @info:  optional detail
 *
 * A file that is no regular file, not ours, open to others, too large, or
 * whose own guid differs is refused.
 * Threads: one at a time for each store.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOENT, MSP_ERR_SYS (EPERM: the file belongs
 * to another user), MSP_ERR_SYNTAX, MSP_ERR_SCHEMA, MSP_ERR_LIMIT,
 * MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_keystore_load(struct msp_keystore *store,
					     struct msp_key **out,
					     const char *guid,
					     struct msp_error_info *info);

/**
 * msp_keystore_save - write a key, read it back and compare
 * @store: open
 * @key:   borrowed
 * @info:  optional detail
 *
 * Either the whole file is there afterwards, or the old one still is. A
 * temporary file that a crashed predecessor left is replaced. A directory
 * that was removed meanwhile is made, and locked, again. The oldest keys over
 * MSP_KEYSTORE_MAX are removed; the one that was loaded, or pruned for, last is
 * in use and stays.
 *
 * MSP_ERR_SYS when the directory cannot be synced, and MSP_ERR_CRYPTO, may come
 * after the file has been replaced: then it is there as a whole, but not surely
 * after a crash, or is not what it should be. After any other error the old one
 * is there as it was.
 * Threads: one at a time for each store.
 * Errors: MSP_ERR_INVAL, MSP_ERR_BUSY, MSP_ERR_SYS, MSP_ERR_NOMEM,
 * MSP_ERR_CRYPTO (what was read back is not what was written).
 */
MSP_API MSP_MUST_CHECK int msp_keystore_save(struct msp_keystore *store,
					     const struct msp_key *key,
					     struct msp_error_info *info);

/**
 * msp_keystore_remove - forget the key with this guid
 * @store: open
 * @guid:  MSP_GUID_LEN characters and NUL, in the case it was saved with
 * @info:  optional detail
 * Threads: one at a time for each store.
 * Errors: MSP_ERR_INVAL, MSP_ERR_BUSY, MSP_ERR_NOENT, MSP_ERR_SYS.
 */
MSP_API MSP_MUST_CHECK int msp_keystore_remove(struct msp_keystore *store,
					       const char *guid,
					       struct msp_error_info *info);

/**
 * msp_keystore_prune - remove the keys that this one has superseded
 * @store: open
 * @key:   the host has attested it; its own file is left alone; borrowed
 * @info:  optional: the first file that could not be removed
 *
 * Superseded is a key of a lower incarnation, or if either has none, any
 * other. One of the same or a higher incarnation belongs to another machine
 * that the disk was in, and stays; so does what is not a key that
 * msp_keystore_load() would take. Beyond MSP_KEYSTORE_MAX the oldest goes. It
 * goes on after a failure, and returns the first: others are gone then, also
 * after MSP_ERR_NOMEM, which one key that could not be looked at ends in.
 * Threads: one at a time for each store.
 * Errors: MSP_ERR_INVAL, MSP_ERR_BUSY, MSP_ERR_SYS, MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_keystore_prune(struct msp_keystore *store,
					      const struct msp_key *key,
					      struct msp_error_info *info);

MSP_END_DECLS

#endif
