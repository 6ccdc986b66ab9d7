/* SPDX-License-Identifier: MIT */
/*
 * latch.h - the state machine that gets a key and keeps it.
 *
 * unknown -> disabled / acquiring -> attesting -> latched -> lost, driven by
 * polls of the host (spec 5.5-5.8). It is told the time and says when it
 * wants to be called next; it recovers by itself after a key reset.
 */
#ifndef MSP_LATCH_H
#define MSP_LATCH_H

#include <msp/channel.h>
#include <msp/date.h>
#include <msp/keystore.h>

/**
 * States. A failure keeps the state and the key, sets the message, and is
 * tried again at the next interval.
 *
 * LATCHED: the host attested our key, or names one that we have on disk.
 * While it names none at all (after a key reset) a new one is acquired at
 * each poll, and ours stays in use until that one is attested.
 *
 * LOST: we held a key and the host names another that we do not have. It no
 * longer accepts ours, so msp_latch_key() is NULL; a new one is acquired.
 */
enum msp_latch_state {
	MSP_LATCH_UNKNOWN = 0,	 /* no status from the host yet */
	MSP_LATCH_DISABLED = 1,	 /* the host does not want a channel */
	MSP_LATCH_ACQUIRING = 2, /* enabled, and we have no key yet */
	MSP_LATCH_ATTESTING = 3, /* a key is stored and being attested */
	MSP_LATCH_LATCHED = 4,	 /* we hold a key that the host takes */
	MSP_LATCH_LOST = 5	 /* we held one, the host names another */
};

/** Bits returned by msp_latch_changes(). */
enum msp_latch_change {
	MSP_LATCH_CHANGED_STATE = 1,  /* msp_latch_state() or its message */
	MSP_LATCH_CHANGED_KEY = 2,    /* msp_latch_key() */
	MSP_LATCH_CHANGED_STATUS = 4, /* a new msp_latch_status() has arrived */
	MSP_LATCH_CHANGED_WARNING = 8, /* msp_latch_warning() */
	/** A poll, acquire or attest has failed, perhaps like the one before.
	 */
	MSP_LATCH_CHANGED_FAILURE = 16
};

/**
 * struct msp_latch_opts
 * @size:       sizeof(struct msp_latch_opts)
 * @poll_ms:    steady poll interval, 0: 15,000
 * @eager_ms:   interval while the state is unknown, 0: 1,000
 * @eager_for_ms: how long after the first call that lasts, 0: 300,000
 * @retry_ms:   wait after a failed acquire or attest, and after a failed poll
 *              if that is less than @poll_ms; 0: @poll_ms
 * @clock_ms:   age at which the host's time is taken over anew, with the next
 *              status, 0: 900,000; one that is off by more than a minute is
 *              taken over at once
 * @reserved:   0
 */
struct msp_latch_opts {
	size_t size;
	uint32_t poll_ms;
	uint32_t eager_ms;
	uint32_t eager_for_ms;
	uint32_t retry_ms;
	uint32_t clock_ms;
	uint32_t reserved;
};

struct msp_latch;

MSP_BEGIN_DECLS

/**
 * msp_latch_new - a latch in state unknown; polls at the first run
 * @out:     new latch, or NULL on error; free with msp_latch_free()
 * @channel: borrowed; must outlive the latch and be used by it alone
 * @store:   borrowed; must outlive the latch; NULL keeps keys in memory only,
 *           for tests: a host hands out no other key until the owner of the VM
 *           has reset the one that is lost
 * @opts:    copied; NULL for defaults
 * The store is locked before the first poll. While another process has it the
 * host is not asked at all, the message names both, and it is tried again at
 * each interval. When the host names a key that was attested, the superseded
 * ones go; one whose attestation was refused goes at once. One that has the
 * guid of another on disk takes its place only when it is attested.
 * Threads: used by one thread at a time.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_latch_new(struct msp_latch **out,
					 struct msp_channel *channel,
					 struct msp_keystore *store,
					 const struct msp_latch_opts *opts);

/**
 * msp_latch_free - wipe and free
 * @latch: NULL is fine
 *
 * Before the channel and the store that it borrows. Keys that somebody has
 * msp_key_ref()ed live on.
 * Threads: the one that uses the latch.
 */
MSP_API void msp_latch_free(struct msp_latch *latch);

/**
 * msp_latch_fd - socket to poll
 * @latch: NULL: -1
 *
 * Returns -1 when no call is under way. After msp_latch_run() it may be another
 * one, even under the same number. It stays the latch's: not to be closed.
 * Threads: one at a time for each latch.
 */
MSP_API int msp_latch_fd(const struct msp_latch *latch);
/**
 * msp_latch_events - what to poll for
 * @latch: NULL: 0
 *
 * Returns POLLIN | POLLOUT as wanted now, 0 without a socket. After
 * msp_latch_run() it may be something else.
 * Threads: one at a time for each latch.
 */
MSP_API short msp_latch_events(const struct msp_latch *latch);
/**
 * msp_latch_deadline - when to call msp_latch_run() at the latest
 * @latch: NULL: MSP_NEVER
 *
 * Returns a time in the milliseconds of struct msp_time.boot_ms: when the call
 * under way is out of time, else when the next poll is due; 0 for at once.
 * After any other call it may be another one.
 * Threads: one at a time for each latch.
 */
MSP_API uint64_t msp_latch_deadline(const struct msp_latch *latch);

/**
 * msp_latch_run - go on: poll if it is time, use what arrived
 * @latch: not NULL
 * @now:   the caller's clock; its boot_ms never goes back
 *
 * Call it at first, and whenever msp_latch_fd() is ready for
 * msp_latch_events(), or msp_latch_deadline() has come. Does not wait for the
 * host; files of the store are read, written and fsynced.
 *
 * Returns 0; failures of the host or the disk are states and messages, not
 * errors of this call: see msp_latch_failure().
 * Threads: one at a time for each latch.
 * Errors: MSP_ERR_INVAL (also a boot_ms beyond all reason); MSP_ERR_NOMEM,
 * which is tried again like any other failure.
 */
MSP_API MSP_MUST_CHECK int msp_latch_run(struct msp_latch *latch,
					 struct msp_time now);

/**
 * msp_latch_poll_now - poll at the next run instead of waiting
 * @latch: NULL is fine
 *
 * Or as soon as the poll under way has ended. At most one is remembered.
 * Threads: one at a time for each latch.
 */
MSP_API void msp_latch_poll_now(struct msp_latch *latch);

/**
 * msp_latch_reset - the machine may have become another one: look anew
 * @latch: NULL is fine
 *
 * The state is unknown again, the host is polled at the next run, and eagerly
 * from then on, as after msp_latch_new(). An answer that is on its way was
 * asked for before, so it is not used. The key and the last status stay until
 * the host says something else.
 * Threads: one at a time for each latch.
 */
MSP_API void msp_latch_reset(struct msp_latch *latch);

/**
 * msp_latch_changes - what is new since the last call
 * @latch: NULL: 0
 *
 * Returns an or of enum msp_latch_change, and forgets it.
 * Threads: one at a time for each latch.
 */
MSP_API unsigned int msp_latch_changes(struct msp_latch *latch);

/**
 * msp_latch_state - where it stands
 * @latch: NULL: MSP_LATCH_UNKNOWN
 *
 * Threads: one at a time for each latch.
 */
MSP_API enum msp_latch_state msp_latch_state(const struct msp_latch *latch);

/**
 * msp_latch_state_name - "unknown", "disabled", ...
 * @state: any number
 *
 * Returns a constant, "unknown" for what is no state. Threads: any.
 */
MSP_API const char *msp_latch_state_name(enum msp_latch_state state);

/**
 * msp_latch_message - last event in the words of spec 4.3
 * @latch: NULL: ""
 *
 * Without the milliseconds; "" at first. UTF-8, no line break. Borrowed until
 * the next run.
 * Threads: one at a time for each latch.
 */
MSP_API const char *msp_latch_message(const struct msp_latch *latch);

/**
 * msp_latch_warning - trouble with a key file that does not stop the latch
 * @latch: NULL: ""
 *
 * Why the file the host's guid names was not used (another key is acquired),
 * or why one that is of no use any more could not be removed. Names the file
 * and the cause; "" if there was none so far. Borrowed until the next run.
 * Threads: one at a time for each latch.
 */
MSP_API const char *msp_latch_warning(const struct msp_latch *latch);

/**
 * msp_latch_key - the key to sign with
 * @latch: NULL: NULL
 *
 * NULL if there is none. Borrowed until the next run: msp_key_ref() it to keep
 * it, also for other threads.
 * Threads: one at a time for each latch.
 */
MSP_API struct msp_key *msp_latch_key(const struct msp_latch *latch);

/**
 * msp_latch_status - last good status document
 * @latch: NULL: NULL
 *
 * NULL if there was none. Borrowed until the next run.
 * Threads: one at a time for each latch.
 */
MSP_API const struct msp_keystatus *
msp_latch_status(const struct msp_latch *latch);

/**
 * msp_latch_clock - host time minus the caller's CLOCK_BOOTTIME
 * @latch: NULL: false
 * @out:   milliseconds to add to boot_ms to get the host's milliseconds since
 *         1970 (spec 5.9); set only when true is returned
 *
 * Returns false before the host has told its time.
 * Threads: one at a time for each latch.
 */
MSP_API bool msp_latch_clock(const struct msp_latch *latch, int64_t *out);

/**
 * msp_latch_date - text for x-ms-azure-host-date, by the host's clock
 * @latch: NULL: has never been told the host's time
 * @now:   the caller's clock: its wall_s is used until the host has told its
 *         time
 * @out:   gets 29 characters and NUL
 *
 * Does not fail. Threads: one at a time for each latch.
 */
MSP_API void msp_latch_date(const struct msp_latch *latch, struct msp_time now,
			    char out[MSP_DATE_SIZE]);

/**
 * msp_latch_send - start a request that the host takes as its agent's
 * @latch:   whose key signs; while the host wants no channel nothing is signed
 * @client:  idle, failed, or at the end of an answer
 * @now:     the caller's clock
 * @message: method, target, body, and headers as for msp_client_send(), Host
 *           among them; Metadata, x-ms-azure-host-claims and
 *           x-ms-azure-host-date are added (spec 6.8), so they must not be;
 *           copied
 * @info:    optional detail
 *
 * msp_client_send() of a complete message, by the host's clock and with the key
 * in use: go on with that client. Where there is no key yet, or none any more,
 * nothing is sent: a later msp_latch_run() finds one.
 *
 * Threads: one at a time for each latch, and for each client.
 * Errors: MSP_ERR_INVAL, MSP_ERR_LIMIT (too many headers, or larger than
 * MSP_CLIENT_REQUEST_MAX), MSP_ERR_NOMEM, MSP_ERR_STATE (there is no key, or a
 * request is under way), MSP_ERR_SYS, MSP_ERR_CRYPTO. Nothing has been sent.
 */
MSP_API MSP_MUST_CHECK int msp_latch_send(const struct msp_latch *latch,
					  struct msp_client *client,
					  struct msp_time now,
					  const struct msp_message *message,
					  struct msp_error_info *info);

/**
 * msp_latch_failure - why the last poll, acquire or attest failed
 * @latch: NULL: 0
 * @info:  optional: what msp_latch_message() says of it, and where; left alone
 *         while all is well
 *
 * Returns 0 while all is well, else what failed: an error of
 * msp_channel_run(), msp_keystore_lock() or msp_keystore_save(). Nothing has to
 * be done about it: the latch tries again.
 * Threads: one at a time for each latch.
 */
MSP_API int msp_latch_failure(const struct msp_latch *latch,
			      struct msp_error_info *info);

MSP_END_DECLS

#endif
