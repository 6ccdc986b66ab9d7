/* SPDX-License-Identifier: MIT */
/*
 * keystore_priv.h - what the files of the keystore share.
 */
#ifndef MSP_KEYSTORE_PRIV_H
#define MSP_KEYSTORE_PRIV_H

#include <msp/keystore.h>

#define MSP_KEYSTORE_NAME_SIZE (MSP_GUID_LEN + sizeof(".key"))

struct msp_keystore {
	int dir;     /* owned; also what is locked */
	char *path;  /* of dir, for messages; owned */
	bool locked; /* exclusively, by this store */
};

/* Remove the oldest key files until MSP_KEYSTORE_MAX are left, and with key
 * those it has superseded; key's own file stays. Temporary files, which only
 * a crash leaves, go as well. Goes on after a failure and returns the first. */
int msp_keystore_sweep(struct msp_keystore *store, const struct msp_key *key,
		       struct msp_error_info *info);

#endif
