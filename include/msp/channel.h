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
 *           address of all zeros that of WireServer in Azure
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
MSP_API MSP_MUST_CHECK int
msp_channel_new(struct msp_channel **out, const struct msp_channel_opts *opts);

/** msp_channel_free - abort what is under way and free; NULL is fine. */
MSP_API void msp_channel_free(struct msp_channel *channel);

/**
 * msp_channel_status - start GET /secure-channel/status
 * @date: RFC 1123 text for x-ms-azure-host-date; copied
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_STATE, MSP_ERR_SYS.
 */
MSP_API MSP_MUST_CHECK int msp_channel_status(struct msp_channel *channel,
					      struct msp_time now,
					      const char *date,
					      struct msp_error_info *info);

/** msp_channel_acquire - start POST /secure-channel/key; as above. */
MSP_API MSP_MUST_CHECK int msp_channel_acquire(struct msp_channel *channel,
					       struct msp_time now,
					       const char *date,
					       struct msp_error_info *info);

/**
 * msp_channel_attest - start POST .../<guid>/key-attestation, signed with @key
 * @key: borrowed for this call
 * Errors: as msp_channel_status(), and MSP_ERR_CRYPTO.
 */
MSP_API MSP_MUST_CHECK int msp_channel_attest(struct msp_channel *channel,
					      struct msp_time now,
					      const char *date,
					      struct msp_key *key,
					      struct msp_error_info *info);

MSP_API int msp_channel_fd(const struct msp_channel *channel);
MSP_API short msp_channel_events(const struct msp_channel *channel);
MSP_API uint64_t msp_channel_deadline(const struct msp_channel *channel);

/**
 * msp_channel_run - go on with the call under way
 *
 * Returns 0 when it is complete, MSP_ERR_AGAIN while it is not. Any other
 * value ends the call: those of msp_client_run(), MSP_ERR_STATUS (2xx is
 * needed for status, 200 for the others; see info->http_status),
 * MSP_ERR_SYNTAX and MSP_ERR_SCHEMA (the answer's body), MSP_ERR_STATE
 * (nothing is under way). MSP_ERR_PROTOCOL is also an answer that calls
 * itself XML, UTF-16 or UTF-32, MSP_ERR_LIMIT also a body that is too large.
 *
 * Texts are those of spec 5.10, without the body: it may hold a key.
 */
MSP_API MSP_MUST_CHECK int msp_channel_run(struct msp_channel *channel,
					   struct msp_time now,
					   struct msp_error_info *info);

/** msp_channel_take_status - result of a status call; owned by the caller
 * from now on; NULL if there is none or it was taken. */
MSP_API struct msp_keystatus *
msp_channel_take_status(struct msp_channel *channel);

/** msp_channel_take_key - result of an acquire call; owned by the caller. */
MSP_API struct msp_key *msp_channel_take_key(struct msp_channel *channel);

/**
 * msp_channel_host_time - host's time in the last complete answer
 * @out: seconds since 1970, from x-ms-azure-host-date, else Date (spec 5.9)
 * Returns false if there was none, or it was malformed.
 */
MSP_API bool msp_channel_host_time(const struct msp_channel *channel,
				   int64_t *out);

MSP_END_DECLS

#endif
