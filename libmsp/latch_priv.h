/* SPDX-License-Identifier: MIT */
/*
 * latch_priv.h - what the files of the latch share.
 */
#ifndef MSP_LATCH_PRIV_H
#define MSP_LATCH_PRIV_H

#include <msp/latch.h>

#define MSP_LATCH_TEXT 512
/* Who keeps more than that makes the store drop the oldest anyway. */
#define MSP_LATCH_REPLACED MSP_KEYSTORE_MAX

enum msp_latch_step {
	STEP_WAIT = 0, /* for the next poll */
	STEP_STATUS,
	STEP_ACQUIRE,
	STEP_ATTEST
};

struct msp_latch {
	struct msp_channel *channel; /* borrowed */
	struct msp_keystore *store;  /* borrowed, or NULL */
	struct msp_latch_opts opts;

	enum msp_latch_state state;
	enum msp_latch_step step;
	bool started;
	bool poll_soon;	     /* poll as soon as no call is under way */
	bool stale;	     /* the poll under way was asked before a reset */
	uint64_t started_ms; /* boot ms of the first run */
	uint64_t next_ms;    /* boot ms of the next poll */
	unsigned int changes;

	struct msp_key *key;	      /* to sign with; owned */
	bool named;		      /* by the host in a status, since */
	struct msp_key *pending;      /* stored, to be attested; owned */
	struct msp_keystatus *status; /* owned */
	const char *good;	      /* message while all is well, or NULL */
	int failed; /* the last failure, 0 while all is well */
	struct msp_error_info failure;
	char message[MSP_LATCH_TEXT];
	char warning[MSP_LATCH_TEXT];  /* the last trouble with a key file */
	char unsure[MSP_GUID_LEN + 1]; /* stored, and the host never said
					* whether it took it; or "" */
	bool staged; /* pending has the guid of a key that is on disk */
	bool fresh;  /* key was attested, and what it replaces is there */
	/* those that the host took, or may have, and named no more; the
	 * oldest first */
	char replaced[MSP_LATCH_REPLACED][MSP_GUID_LEN + 1];
	size_t n_replaced;

	bool synced;
	uint64_t synced_ms; /* boot ms */
	int64_t offset_ms;  /* host's ms since 1970 minus boot ms */
};

/* Becomes the key to sign with; taken over, may be NULL. */
void msp_latch_set_key(struct msp_latch *l, struct msp_key *key);
/* Unless it was said before, at an earlier poll. */
void msp_latch_warn(struct msp_latch *l, const char *text);

/* ---- latch_send.c ------------------------------------------------------ */

/* msp_latch_send() of checked arguments; latch NULL: unsigned. */
int msp_latch_put(const struct msp_latch *latch, struct msp_client *client,
		  struct msp_time now, const struct msp_message *message,
		  struct msp_error_info *info);

/* ---- latch_files.c: what is on disk ------------------------------------ */

/* Save the pending key, before it is attested. */
int msp_latch_store(struct msp_latch *l, struct msp_error_info *info);
/* It is not latched, for this reason: forget it, if the host did not take
 * it. */
void msp_latch_drop_pending(struct msp_latch *l, int rc,
			    const struct msp_error_info *info);
/* The host took the pending key: it becomes the key. */
void msp_latch_supersede(struct msp_latch *l);
/* The host names the key: what it replaced goes. */
void msp_latch_settle(struct msp_latch *l);
/* Are there two keys of this guid? Then the new one is pending: the host takes
 * it again if it did before. */
bool msp_latch_in_doubt(struct msp_latch *l, const char *guid);
/* The host has the key, so none whose answer was lost. */
void msp_latch_remove_unsure(struct msp_latch *l);

#endif
