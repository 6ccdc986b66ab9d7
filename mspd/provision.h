/* SPDX-License-Identifier: MIT */
/*
 * provision.h - is this machine provisioned, as cloud-init wants to know
 * before it asks for metadata (spec 5.7, 5.8, 6.4): three things that must be
 * ready, one deadline for them, and the two tags that outlive the process.
 *
 * The keeper reports and is told of notifications; the loop asks and notifies.
 * Threads: any; no call waits for another thread, and only those that write
 * tags block.
 */
#ifndef MSPD_PROVISION_H
#define MSPD_PROVISION_H

#include "mspd/console.h"
#include "mspd/status.h"

enum mspd_provision_flag {
	MSPD_PROVISION_REDIRECTOR = 1,
	MSPD_PROVISION_KEY = 2, /* or the host wants no channel */
	MSPD_PROVISION_LISTENER = 4
};
#define MSPD_PROVISION_ALL 7

/** Room for what mspd_provision_ask() says is not ready. */
#define MSPD_PROVISION_ERROR 4096

/**
 * struct mspd_provision_opts
 * @tag_dir:    of provisioned.tag and status.tag; borrowed
 * @timeout_ms: from the start or a reset until it has failed
 * @hasten_ms:  least time between two polls that users other than root may
 *              have hastened
 * @status:     for what is not ready; borrowed
 * @console:    told how it ends; borrowed
 */
struct mspd_provision_opts {
	const char *tag_dir;
	uint32_t timeout_ms;
	uint32_t hasten_ms;
	struct mspd_status *status;
	struct mspd_console *console;
};

struct mspd_provision;

/* Nothing is ready; the deadline runs from @now_ms on. 0 or -errno. */
int mspd_provision_new(struct mspd_provision **out,
		       const struct mspd_provision_opts *opts, uint64_t now_ms);
/* NULL is fine. */
void mspd_provision_free(struct mspd_provision *provision);

/* ---- the keeper's side ------------------------------------------------- */

/**
 * mspd_provision_ready - one more is ready, or ready once more
 *
 * With all three it has finished now, and the tags say so. Blocks for them.
 */
void mspd_provision_ready(struct mspd_provision *provision,
			  enum mspd_provision_flag flag);

/* The host wants a channel, as far as it has said; false: it does not, or we
 * do not know. */
void mspd_provision_channel(struct mspd_provision *provision, bool enabled);

/* The key is not ready any more: not finished, and the time begins again, an
 * eighth of it, or half a second, shorter: who waits for as long as that from
 * then on is still there to hear that it has failed. */
void mspd_provision_reset(struct mspd_provision *provision, uint64_t now_ms);

/* When mspd_provision_run() is to be called, MSP_NEVER: not. */
uint64_t mspd_provision_deadline(struct mspd_provision *provision);
/* Has the time passed? Then it has finished with an error, once for each start
 * or reset, and the tags say so. Blocks for them. */
void mspd_provision_run(struct mspd_provision *provision, uint64_t now_ms);

/* Notifications that have come since the last call; at most one of each kind
 * is remembered. */
#define MSPD_NOTICE_ROOT  1
#define MSPD_NOTICE_OTHER 2
unsigned int mspd_provision_notices(struct mspd_provision *provision);
/* Readable while there are any; borrowed. */
int mspd_provision_fd(const struct mspd_provision *provision);

/* ---- the loop's side --------------------------------------------------- */

/**
 * mspd_provision_notify - a client wants the host to be asked anew
 * @root: it is root's; those of others have a budget of their own
 *
 * False: more than the budget, nothing happens.
 */
bool mspd_provision_notify(struct mspd_provision *provision, bool root,
			   uint64_t now_ms);

/**
 * mspd_provision_tick - value of x-ms-azure-time-tick
 *
 * Nanoseconds since 1970; UINT64_MAX for what is later; 0 for what is no
 * decimal number of 127 bits, or not positive.
 */
uint64_t mspd_provision_tick(const char *text, size_t len);

/**
 * mspd_provision_ask - the answer to somebody who began to ask at @tick
 * @error: what is not ready at this moment: "", or a line for each, ended by
 *         CR LF. Made from the messages of the modules, so it is text of the
 *         host, too
 *
 * True if it has finished since then, well or not; or, while the host wants a
 * channel, ever since the start or the last reset. Also if it had failed before
 * and the redirector, or the listener, is not ready at this moment either. With
 * a tick of 0 never (fix Q36): who does not say since when cannot be told.
 */
bool mspd_provision_ask(struct mspd_provision *provision, uint64_t tick,
			char error[MSPD_PROVISION_ERROR]);

#endif
