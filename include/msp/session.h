/* SPDX-License-Identifier: MIT */
/*
 * session.h - a key and signed requests in three calls that block.
 *
 * For programs without a loop of their own: what latch.h, client.h and
 * document.h do in steps, done until it is over. The calls return when they
 * are through, or when their time is up.
 */
#ifndef MSP_SESSION_H
#define MSP_SESSION_H

#include <msp/document.h>
#include <msp/latch.h>

/** Where agents on Linux keep the keys of a VM. */
#define MSP_KEY_DIRECTORY "/var/lib/azure-proxy-agent/keys"
/** Most headers of a request besides those that are added: with them, length
 * and authorization it has MSP_MAX_HEADERS, which is what a host looks at. */
#define MSP_SESSION_HEADERS (MSP_MAX_HEADERS - 6)

/** Bits of msp_session_opts.flags. */
enum msp_session_flag {
	/* Never ask for a key, never sign: for a program beside an agent that
	 * redirects its connections and signs for it. */
	MSP_SESSION_UNSIGNED = 1,
	/* Keep the key in memory only, for tests: once it is lost the host
	 * hands out no other until the owner of the VM has reset it. */
	MSP_SESSION_IN_MEMORY = 2
};

/**
 * struct msp_session_opts
 * @size:         sizeof(struct msp_session_opts)
 * @directory:    where keys are kept; NULL: MSP_KEY_DIRECTORY
 * @directory_len: its length
 * @endpoints:    addresses, indexed by enum msp_endpoint; ip and port 0: the
 *                one Azure gives it
 * @timeout_ms:   limit for each call that blocks, 0: 30,000
 * @flags:        or of enum msp_session_flag
 * @document_max: largest body of an answer in bytes, 0: MSP_DOCUMENT_MAX
 * @arg:          passed to the callbacks
 * @on_time:      optional: sets what time it is, in place of msp_clock_read();
 *                called when a call that blocks begins, and each time it has
 *                waited
 * @on_event:     optional: gets each new message and warning of the latch, one
 *                line without its end, for a log; borrowed
 * @on_socket:    optional: called with each new socket before connect(), e.g.
 *                to mark it for the redirector; non-zero refuses it
 */
struct msp_session_opts {
	size_t size;
	const char *directory;
	size_t directory_len;
	struct msp_address endpoints[MSP_ENDPOINTS];
	uint32_t timeout_ms;
	uint32_t flags;
	uint64_t document_max;
	void *arg;
	void (*on_time)(void *arg, struct msp_time *out);
	void (*on_event)(void *arg, const char *text);
	int (*on_socket)(void *arg, int fd);
};

struct msp_session;

MSP_BEGIN_DECLS

/**
 * msp_session_new - a session that has not asked anything yet
 * @out:  new session, or NULL on error; free with msp_session_free()
 * @opts: copied; NULL: Azure's addresses, and MSP_KEY_DIRECTORY
 * @info: optional: which directory, and why it cannot be used
 *
 * Does not block. Opens the directory, and makes it if it is missing.
 * Threads: used by one thread at a time; its calls use no signal, and end no
 * sooner for one.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_SYS.
 */
MSP_API MSP_MUST_CHECK int msp_session_new(struct msp_session **out,
					   const struct msp_session_opts *opts,
					   struct msp_error_info *info);

/**
 * msp_session_free - close and wipe; keys on disk stay
 * @session: NULL is fine
 *
 * Documents live on. Threads: the one that uses the session.
 */
MSP_API void msp_session_free(struct msp_session *session);

/**
 * msp_session_latch - get the key: the one on disk that the host names, else
 * a new one, which is stored and attested
 * @session: without MSP_SESSION_UNSIGNED
 * @info:    optional: what failed last, with endpoint, errno and host status
 *
 * Blocks. Failures of the host are tried again until the time is up; then the
 * last one is returned, or MSP_ERR_TIMEOUT if there was none. Returns 0 also
 * when the host wants no secure channel: msp_session_key() is NULL then. A
 * session that holds a key asks the host no more often than a latch does.
 *
 * MSP_ERR_BUSY comes at once: another latch of the machine has the directory.
 * That is an agent, which signs for everybody: use MSP_SESSION_UNSIGNED.
 * Threads: one at a time for each session.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_STATE (MSP_SESSION_UNSIGNED),
 * MSP_ERR_BUSY, MSP_ERR_TIMEOUT, MSP_ERR_SYS, MSP_ERR_CLOSED,
 * MSP_ERR_PROTOCOL, MSP_ERR_LIMIT, MSP_ERR_STATUS, MSP_ERR_SYNTAX,
 * MSP_ERR_SCHEMA, MSP_ERR_CRYPTO.
 */
MSP_API MSP_MUST_CHECK int msp_session_latch(struct msp_session *session,
					     struct msp_error_info *info);

/**
 * msp_session_key - the key in use
 * @session: NULL: NULL
 *
 * NULL if there is none. Borrowed until the next call that blocks:
 * msp_key_ref() it to keep it.
 * Threads: one at a time for each session.
 */
MSP_API struct msp_key *msp_session_key(const struct msp_session *session);

/**
 * msp_session_get - GET a document, signed
 * @session:    latches first, as msp_session_latch()
 * @out:        new document, or NULL on error; free with msp_document_free()
 * @endpoint:   which
 * @target:     origin form, "/path?query"
 * @target_len: its length
 * @info:       optional: with endpoint, errno and host status
 *
 * Blocks. Adds the headers of spec 6.8 (Host, Metadata, claims and date). When
 * the host refuses the signature (401, 403), it is asked which key it wants,
 * and the request is made once more if that is another one. Connections are
 * kept for the next request; one that the host has closed is replaced.
 * Threads: one at a time for each session.
 * Errors: MSP_ERR_STATUS (not 2xx; see info->http_status), MSP_ERR_INVAL,
 * MSP_ERR_NOMEM, MSP_ERR_LIMIT (the answer, or the request), MSP_ERR_TIMEOUT,
 * MSP_ERR_SYS, MSP_ERR_CLOSED, MSP_ERR_PROTOCOL, MSP_ERR_CRYPTO; while getting
 * a key also MSP_ERR_BUSY, MSP_ERR_SYNTAX and MSP_ERR_SCHEMA.
 */
MSP_API MSP_MUST_CHECK int
msp_session_get(struct msp_session *session, struct msp_document **out,
		enum msp_endpoint endpoint, const char *target,
		size_t target_len, struct msp_error_info *info);

/**
 * msp_session_request - any request, signed
 * @session:  latches first, as msp_session_latch()
 * @out:      new document, or NULL on error; free with msp_document_free()
 * @endpoint: which
 * @message:  method, target, body, and headers besides those that are added:
 *            Host, Metadata, x-ms-azure-host-claims and x-ms-azure-host-date
 *            must not be among them; borrowed for this call
 * @info:     optional: with endpoint, errno and host status
 *
 * As msp_session_get(), but every answer is a document, whatever its status.
 * Only GET and HEAD are made twice.
 * Threads: one at a time for each session.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_LIMIT (the answer, more than
 * MSP_SESSION_HEADERS, or a request over MSP_CLIENT_REQUEST_MAX),
 * MSP_ERR_TIMEOUT, MSP_ERR_SYS, MSP_ERR_CLOSED, MSP_ERR_PROTOCOL,
 * MSP_ERR_CRYPTO; while getting a key also MSP_ERR_BUSY, MSP_ERR_STATUS,
 * MSP_ERR_SYNTAX and MSP_ERR_SCHEMA.
 */
MSP_API MSP_MUST_CHECK int
msp_session_request(struct msp_session *session, struct msp_document **out,
		    enum msp_endpoint endpoint,
		    const struct msp_message *message,
		    struct msp_error_info *info);

MSP_END_DECLS

#endif
