/* SPDX-License-Identifier: MIT */
/*
 * keyfolder.h - the folder of keys, whatever state it is found in.
 *
 * Azure's agent makes the folder root's at each start (spec 3.1) and uses what
 * is in it. Here a folder of another user is replaced by one of ours, which
 * takes over the keys that only root could have written.
 */
#ifndef MSPD_KEYFOLDER_H
#define MSPD_KEYFOLDER_H

#include <stddef.h>

#include <msp/msp.h>

/** Room for the reason, with its NUL. */
#define MSPD_KEYFOLDER_ERROR 768

/**
 * mspd_keyfolder_open - the key store of a folder
 * @out:   set to a store that the caller frees, or to NULL
 * @path:  made if it is missing
 * @error: gets the reason, which names the folder
 *
 * A folder of another user is replaced only if nobody else could do the same,
 * that is, if all folders above it are root's and not writable by others. It
 * stays, with what is in it, as PATH.of-UID (PATH.of-UID.2, ...); keys that
 * stay behind because somebody else could have written or read them are named
 * in the log. Nothing is lost if this ends at any moment.
 *
 * Blocks: not for the event loop. Returns 0 or -EACCES, -ENOMEM; what is wrong
 * may pass, so try again.
 */
int mspd_keyfolder_open(struct msp_keystore **out, const char *path,
			char error[MSPD_KEYFOLDER_ERROR]);

#endif
