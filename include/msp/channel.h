/* SPDX-License-Identifier: MIT */
/*
 * channel.h - the three calls of the key channel to WireServer (spec 5.1):
 * status, acquire, attest. One at a time, non-blocking, with a deadline.
 */
#ifndef MSP_CHANNEL_H
#define MSP_CHANNEL_H

#include <msp/client.h>
#include <msp/keystatus.h>

struct msp_channel;

/**
 * struct msp_channel_opts
 * @size:    sizeof(struct msp_channel_opts)
 * @client:  how to reach WireServer; its size 0 means all defaults, and an
 *           address of all zeros that of WireServer in Azure. Being inside of
 *           this one it cannot be longer
 * @call_ms: limit for one whole call, connecting included, 0: 10,000
 * @reserved: 0
 */
struct msp_channel_opts {
	size_t size;
	struct msp_client_opts client;
	uint32_t call_ms;
	uint32_t reserved;
};

MSP_BEGIN_DECLS

/**
 * msp_channel_new - a channel to WireServer
 * @out:  new channel, or NULL on error; free with msp_channel_free()
 * @opts: copied; NULL for defaults
 * Threads: used by one thread at a time.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_channel_new(struct msp_channel **out,
					   const struct msp_channel_opts *opts);

/**
 * msp_channel_free - abort what is under way and free
 * @channel: NULL is fine
 *
 * Results that were not taken are freed, a key is wiped. A latch that borrows
 * the channel is freed first.
 * Threads: the one that uses the channel.
 */
MSP_API void msp_channel_free(struct msp_channel *channel);

/**
 * msp_channel_status - start GET /secure-channel/status
 * @channel: no call is under way; results that were not taken are freed
 * @now:     the caller's clock; the time limit of the call begins here
 * @date:    RFC 1123 text for x-ms-azure-host-date, at most 64 characters;
 *           copied
 * @info:    optional detail
 *
 * Does not block; msp_channel_run() must follow. Nothing is sent before it. On
 * error no call is under way.
 * Threads: one at a time for each channel.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_STATE (another call is under
 * way), MSP_ERR_SYS.
 */
MSP_API MSP_MUST_CHECK int msp_channel_status(struct msp_channel *channel,
					      struct msp_time now,
					      const char *date,
					      struct msp_error_info *info);

/**
 * msp_channel_acquire - start POST /secure-channel/key
 * @channel: no call is under way; results that were not taken are freed
 * @now:     the caller's clock; the time limit of the call begins here
 * @date:    RFC 1123 text for x-ms-azure-host-date, at most 64 characters;
 *           copied
 * @info:    optional detail
 *
 * Does not block; msp_channel_run() must follow. Nothing is sent before it. On
 * error no call is under way.
 * Threads: one at a time for each channel.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_STATE (another call is under
 * way), MSP_ERR_SYS.
 */
MSP_API MSP_MUST_CHECK int msp_channel_acquire(struct msp_channel *channel,
					       struct msp_time now,
					       const char *date,
					       struct msp_error_info *info);

/**
 * msp_channel_attest - start POST .../<guid>/key-attestation, signed with @key
 * @channel: no call is under way; results that were not taken are freed
 * @now:     the caller's clock; the time limit of the call begins here
 * @date:    RFC 1123 text for x-ms-azure-host-date, at most 64 characters;
 *           copied
 * @key:     borrowed for this call
 * @info:    optional detail
 *
 * Does not block; msp_channel_run() must follow. Nothing is sent before it. On
 * error no call is under way.
 * Threads: one at a time for each channel.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_STATE (another call is under
 * way), MSP_ERR_SYS, MSP_ERR_CRYPTO.
 */
MSP_API MSP_MUST_CHECK int msp_channel_attest(struct msp_channel *channel,
					      struct msp_time now,
					      const char *date,
					      struct msp_key *key,
					      struct msp_error_info *info);

/**
 * msp_channel_fd - socket to poll
 * @channel: NULL: -1
 *
 * Returns -1 when there is none. After any other call it may be another one,
 * even under the same number. It stays the channel's: not to be closed.
 * Threads: one at a time for each channel.
 */
MSP_API int msp_channel_fd(const struct msp_channel *channel);
/**
 * msp_channel_events - what to poll for
 * @channel: NULL: 0
 *
 * Returns POLLIN | POLLOUT as wanted now, 0 without a socket. After any other
 * call it may be something else.
 * Threads: one at a time for each channel.
 */
MSP_API short msp_channel_events(const struct msp_channel *channel);
/**
 * msp_channel_deadline - when to call msp_channel_run() at the latest
 * @channel: NULL: MSP_NEVER
 *
 * Returns a time in the milliseconds of struct msp_time.boot_ms, MSP_NEVER when
 * no call is under way. After any other call it may be another one.
 * Threads: one at a time for each channel.
 */
MSP_API uint64_t msp_channel_deadline(const struct msp_channel *channel);

/**
 * msp_channel_run - go on with the call under way
 * @channel: a call was started
 * @now:     the caller's clock
 * @info:    optional detail; endpoint is set
 *
 * Does not block: call it when msp_channel_fd() is ready for
 * msp_channel_events(), or msp_channel_deadline() has come. Returns 0 when the
 * call is complete; its result can be taken then. Any error but MSP_ERR_AGAIN
 * ends the call.
 *
 * Texts are those of spec 5.10, without the body: it may hold a key.
 * Threads: one at a time for each channel.
 * Errors: MSP_ERR_AGAIN (not complete), MSP_ERR_INVAL, MSP_ERR_NOMEM,
 * MSP_ERR_STATE (no call is under way), MSP_ERR_TIMEOUT, MSP_ERR_SYS,
 * MSP_ERR_CLOSED, MSP_ERR_PROTOCOL (not HTTP, or an answer that calls itself
 * XML, UTF-16 or UTF-32), MSP_ERR_LIMIT (a head or body that is too large),
 * MSP_ERR_STATUS (2xx is needed for status, 200 for the others; see
 * info->http_status), MSP_ERR_SYNTAX and MSP_ERR_SCHEMA (the body).
 */
MSP_API MSP_MUST_CHECK int msp_channel_run(struct msp_channel *channel,
					   struct msp_time now,
					   struct msp_error_info *info);

/**
 * msp_channel_take_status - result of a status call
 * @channel: NULL: NULL
 *
 * Owned by the caller from now on: free with msp_keystatus_free(). NULL if
 * there is none, or it was taken.
 * Threads: one at a time for each channel.
 */
MSP_API struct msp_keystatus *
msp_channel_take_status(struct msp_channel *channel);

/**
 * msp_channel_take_key - result of an acquire call
 * @channel: NULL: NULL
 *
 * Owned by the caller from now on: free with msp_key_free(). NULL if there is
 * none, or it was taken.
 * Threads: one at a time for each channel.
 */
MSP_API struct msp_key *msp_channel_take_key(struct msp_channel *channel);

/**
 * msp_channel_host_time - host's time in the last complete answer
 * @channel: NULL: false
 * @out:     seconds since 1970, from x-ms-azure-host-date, else Date (spec
 *           5.9); set only when true is returned
 *
 * Returns false if there was none, or it was malformed.
 * Threads: one at a time for each channel.
 */
MSP_API bool msp_channel_host_time(const struct msp_channel *channel,
				   int64_t *out);

MSP_END_DECLS

#endif
