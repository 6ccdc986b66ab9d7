/* SPDX-License-Identifier: MIT */
/*
 * keystore_priv.h - what the files of the keystore share.
 */
#ifndef MSP_KEYSTORE_PRIV_H
#define MSP_KEYSTORE_PRIV_H

#include <msp/keystore.h>

#include <sys/types.h>

#define MSP_KEYSTORE_NAME_SIZE (MSP_GUID_LEN + sizeof(".key"))

/** A key under the guid of another one that may still be the host's. */
#define MSP_KEYSTORE_STAGED ".new"

struct msp_keystore {
	int dir;		     /* owned; also what is locked */
	char *path;		     /* of dir, for messages; owned */
	pid_t locker;		     /* process that locked it, 0: none; a child
				      * of it does not have the lock */
	char used[MSP_GUID_LEN + 1]; /* never swept: of the key that was
				      * loaded or put to use last; or "" */
};

enum msp_keystore_sweep {
	MSP_KEYSTORE_CRASHED,	/* temporary files, which a crash leaves */
	MSP_KEYSTORE_OLDEST,	/* keys, until there is room for one more */
	MSP_KEYSTORE_SUPERSEDED /* keys that the one given has superseded, and
				 * the oldest over the limit */
};

/* The directory at the path, as it is now; without the lock. */
int msp_keystore_reopen(struct msp_keystore *store,
			struct msp_error_info *info);

/* Remove what the name says, and all that the names before it do; never the
 * file of the key given, nor of the one in use. Goes on after a failure and
 * returns the first. */
int msp_keystore_sweep(struct msp_keystore *store, enum msp_keystore_sweep what,
		       const struct msp_key *key, struct msp_error_info *info);

/* As msp_keystore_load(), of the file with this ending; nothing is noted. */
int msp_keystore_read(struct msp_keystore *store, struct msp_key **out,
		      const char *guid, const char *ending,
		      struct msp_error_info *info);

/* This key is in use from now on, however old its file is. */
void msp_keystore_use(struct msp_keystore *store, const struct msp_key *key);

/**
 * msp_keystore_stage - msp_keystore_save(), but for a key of the same guid
 * @staged: was there another one? Then both are there, until one of
 *          msp_keystore_commit() and msp_keystore_unstage()
 *
 * Only the host knows which of the two it has, if we end in between.
 */
int msp_keystore_stage(struct msp_keystore *store, const struct msp_key *key,
		       bool *staged, struct msp_error_info *info);
/* It takes the place of the other. */
int msp_keystore_commit(struct msp_keystore *store, const char *guid,
			struct msp_error_info *info);
/* It goes. */
int msp_keystore_unstage(struct msp_keystore *store, const char *guid,
			 struct msp_error_info *info);

#endif
