/* SPDX-License-Identifier: MIT */
/*
 * localrules.h - the rule files an administrator puts on the VM, and what they
 * make of the host's items (spec 8.5).
 *
 * A file counts only if the host asks for it, and only if nobody but root can
 * have written it: the file, a regular one, and its directory belong to root
 * (or whoever this process runs as), and neither group nor others may write
 * to either. What cannot be used closes its endpoint, as far as its mode goes.
 */
#ifndef MSPD_LOCALRULES_H
#define MSPD_LOCALRULES_H

#include <msp/msp.h>

/** A read that fails is tried again this often in all, this far apart. */
#define MSPD_LOCALRULES_ATTEMPTS 3
#define MSPD_LOCALRULES_RETRY_MS 50

/* Belongs to one thread. */
struct mspd_localrules;

/**
 * mspd_localrules_open - the directory "rules" beside that of the keys
 * @out:      new, or NULL on error; free with mspd_localrules_free()
 * @key_dir:  directory of the keys; that of the rules is made with mode 0700 if
 *            it is missing, else left as it is
 * @check_ms: how often the files are looked at when nothing else happens
 *
 * That the directory cannot be made is only logged. Returns 0 or -ENOMEM.
 */
int mspd_localrules_open(struct mspd_localrules **out, const char *key_dir,
			 uint32_t check_ms);
void mspd_localrules_free(struct mspd_localrules *local);

/**
 * mspd_localrules_take - the item in force
 * @local:    NULL: as if the files were missing
 * @endpoint: HostGAPlugin follows WireServer; asks for one of the two only
 * @host:     the host's item, NULL: it has none
 * @now:      of the caller's clock
 * @out:      new, free with msp_profile_free(); NULL with a host of NULL, and
 *            on error
 *
 * Looks at the file, and reads it if it or @host is not what it was, or could
 * not be used. Logs the events of spec 8.5. Reads local disk.
 *
 * Returns 0; -EAGAIN: the file could not be read, and will be tried again by
 * the next call from mspd_localrules_deadline() on: what is in force stays;
 * -ENOMEM.
 */
int mspd_localrules_take(struct mspd_localrules *local,
			 enum msp_endpoint endpoint,
			 const struct msp_profile *host, struct msp_time now,
			 struct msp_profile **out);

/* When to call again at the latest, UINT64_MAX: no file counts. */
uint64_t mspd_localrules_deadline(const struct mspd_localrules *local);

/* Why the endpoint's file cannot be used, "" if it can or need not be. */
const char *mspd_localrules_fault(const struct mspd_localrules *local,
				  enum msp_endpoint endpoint);

#endif
