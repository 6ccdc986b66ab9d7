/* SPDX-License-Identifier: MIT */
/*
 * client.h - a strict, bounded, non-blocking HTTP/1.1 client connection.
 *
 * One connection, one request at a time. The caller owns the loop: it polls
 * msp_client_fd() for msp_client_events() until msp_client_deadline(), then
 * calls msp_client_run(). Used by the key channel and by the proxy alike.
 */
#ifndef MSP_CLIENT_H
#define MSP_CLIENT_H

#include <msp/endpoint.h>
#include <msp/signer.h>

/** Largest answer head accepted, status line included, in bytes. */
#define MSP_CLIENT_HEAD_MAX 32768
/** Largest request copied at once, head and complete body, in bytes. */
#define MSP_CLIENT_REQUEST_MAX (1024 * 1024)
/** @body_len of a request whose body is sent in chunks. */
#define MSP_BODY_CHUNKED UINT64_MAX
/** @body_len of a request without body that says "content-length: 0" whatever
 * its method is (spec 5.1). */
#define MSP_BODY_EMPTY (UINT64_MAX - 1)

struct msp_client;

/**
 * Flag: between two requests the caller polls msp_client_fd() for POLLIN, and
 * frees the client when anything is there: its end, or bytes that nobody asked
 * for, which were part of the next answer otherwise. msp_client_send() then
 * does not look, which saves a system call for each request.
 */
#define MSP_CLIENT_WATCHED 1u

/**
 * struct msp_client_opts - how to reach an endpoint; also inside of struct
 * msp_channel_opts, so that what is added goes into a struct of its own
 * @size:           sizeof(struct msp_client_opts)
 * @address:        where to connect; neither its address nor port may be 0
 * @connect_ms:     limit for the TCP connection, 0: 5,000
 * @first_byte_ms:  limit from the end of the request to the first byte of
 *                  the answer, 0: 60,000
 * @idle_ms:        limit between two bytes in either direction, 0: 60,000
 * @flags:          MSP_CLIENT_* or 0
 * @on_socket:      optional: called with each new socket before connect(),
 *                  e.g. to mark it for the redirector; non-zero refuses it
 * @on_socket_arg:  passed to it
 */
struct msp_client_opts {
	size_t size;
	struct msp_address address;
	uint32_t connect_ms;
	uint32_t first_byte_ms;
	uint32_t idle_ms;
	uint32_t flags;
	int (*on_socket)(void *arg, int fd);
	void *on_socket_arg;
};

/**
 * struct msp_response - head of an answer; borrowed until the next request
 * @size:      sizeof(struct msp_response)
 * @status:    200-999; 1xx answers are skipped, 101 is refused
 * @reason:    reason phrase, may be empty; NUL-terminated
 * @headers:   in order, hop-by-hop framing included; values without the blanks
 *             around them
 * @n_headers: how many
 * @length:    bytes of body to come; MSP_BODY_CHUNKED if not known before
 *             the end; 0 for HEAD, 204, 304
 */
struct msp_response {
	size_t size;
	unsigned int status;
	const char *reason;
	const struct msp_header *headers;
	size_t n_headers;
	uint64_t length;
};

MSP_BEGIN_DECLS

/**
 * msp_client_new - a client that is not connected yet
 * @out:  new client, or NULL on error; free with msp_client_free()
 * @opts: copied
 *
 * Threads: used by one thread at a time. Errors: MSP_ERR_INVAL,
 * MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_client_new(struct msp_client **out,
					  const struct msp_client_opts *opts);

/**
 * msp_client_free - close the connection and free
 * @client: NULL is fine
 *
 * What the host sent is wiped.
 * Threads: the one that uses the client.
 */
MSP_API void msp_client_free(struct msp_client *client);

/**
 * msp_client_send - start one request
 * @client:   idle, failed, or at the end of an answer; connects if needed
 * @now:      the caller's clock
 * @message:  method, target and headers; copied. Headers about the connection
 *            (Content-Length, Transfer-Encoding, Connection, Keep-Alive,
 *            Proxy-Connection, TE, Trailer, Upgrade) must not be among them:
 *            the client writes its own framing. Exactly one Host must be;
 *            x-ms-azure-host-authorization must not.
 * @body_len: message->body_len for a complete message; or, with no body in
 *            @message: how many bytes will come through msp_client_write(),
 *            MSP_BODY_CHUNKED, or MSP_BODY_EMPTY
 * @signer:   NULL, or signs what is sent: headers as given, plus the
 *            content-length the client writes. Needs a complete message.
 * @info:     optional detail
 *
 * "content-length" is written (and signed) when there is a body, when the
 * method is POST, PUT or PATCH, and with MSP_BODY_EMPTY; never otherwise.
 * Names go out in lower case and the authorization header last (spec 5.1,
 * 6.8). The target is in origin form, visible ASCII without fragment, or "*"
 * with OPTIONS; CONNECT is refused.
 *
 * Nothing is sent before the msp_client_run() that must follow. A connection
 * that may not carry another request, or on which anything arrived since the
 * last answer, is closed and a new one is opened.
 *
 * Threads: one at a time for each client.
 * Errors: MSP_ERR_INVAL, MSP_ERR_LIMIT, MSP_ERR_NOMEM, MSP_ERR_STATE (a
 * request is under way), MSP_ERR_SYS, MSP_ERR_CRYPTO. Nothing has been sent.
 */
MSP_API MSP_MUST_CHECK int
msp_client_send(struct msp_client *client, struct msp_time now,
		const struct msp_message *message, uint64_t body_len,
		struct msp_signer *signer, struct msp_error_info *info);

/**
 * msp_client_write - more of the request's body
 * @client: a request with body outstanding
 * @data:   copied
 * @len:    offered
 * @taken:  set to how much was taken, maybe 0: poll for POLLOUT, call
 *          msp_client_run(), offer the rest again
 *
 * Call msp_client_run() afterwards. When the host has stopped reading, e.g.
 * because it answered early, everything is taken and dropped: the answer is
 * what counts then.
 *
 * Threads: one at a time for each client.
 * Errors: MSP_ERR_INVAL, MSP_ERR_STATE (more than announced, no request).
 */
MSP_API MSP_MUST_CHECK int msp_client_write(struct msp_client *client,
					    const void *data, size_t len,
					    size_t *taken);

/**
 * msp_client_finish - a chunked request body is complete
 * @client: a request with MSP_BODY_CHUNKED
 *
 * Call msp_client_run() afterwards.
 * Threads: one at a time for each client.
 * Errors: MSP_ERR_INVAL, MSP_ERR_STATE (no such request, or it was finished).
 */
MSP_API MSP_MUST_CHECK int msp_client_finish(struct msp_client *client);

/**
 * msp_client_fd - socket to poll
 * @client: NULL: -1
 *
 * Returns -1 when there is none. After any other call it may be another one,
 * even under the same number. For an epoll set that is kept: on_socket is where
 * a new one can be added; one that is closed leaves the set by itself. It stays
 * the client's: not to be closed.
 * Threads: one at a time for each client.
 */
MSP_API int msp_client_fd(const struct msp_client *client);

/**
 * msp_client_events - what to poll for
 * @client: NULL: 0
 *
 * Returns POLLIN | POLLOUT as wanted now, 0 without a socket. POLLIN while an
 * answer is awaited, and within its body when msp_client_read() has given all
 * that had arrived: a caller that has no room for more does not poll for it.
 * Threads: one at a time for each client.
 */
MSP_API short msp_client_events(const struct msp_client *client);

/**
 * msp_client_deadline - when to call at the latest
 * @client: NULL: MSP_NEVER
 *
 * Returns a time in the milliseconds of struct msp_time.boot_ms, or MSP_NEVER.
 * Call msp_client_run() before the head of the answer is there, and
 * msp_client_read() after. Never runs while it is the caller who has to give
 * more of the request or to read more of the answer.
 * Threads: one at a time for each client.
 */
MSP_API uint64_t msp_client_deadline(const struct msp_client *client);

/**
 * msp_client_run - do what can be done without blocking
 * @client: any state
 * @now:    the caller's clock
 * @info:   optional detail
 *
 * Returns 0 once the head of the answer is there (msp_client_response()) and
 * ever after until the next request. After an error other than MSP_ERR_AGAIN
 * the connection is closed, and the error is returned until the next request.
 *
 * The answer may come before the whole request was sent; the rest still goes
 * out through this call. It takes about 20 KiB of the thread's stack.
 * Threads: one at a time for each client.
 * Errors: MSP_ERR_AGAIN (poll), MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_STATE
 * (there never was a request), MSP_ERR_TIMEOUT, MSP_ERR_SYS, MSP_ERR_CLOSED,
 * MSP_ERR_PROTOCOL, MSP_ERR_LIMIT (a head over MSP_CLIENT_HEAD_MAX or
 * MSP_MAX_HEADERS).
 */
MSP_API MSP_MUST_CHECK int msp_client_run(struct msp_client *client,
					  struct msp_time now,
					  struct msp_error_info *info);

/**
 * msp_client_response - head of the answer
 * @client: NULL: NULL
 *
 * Borrowed until the next msp_client_send() or msp_client_free(). NULL before
 * it came, and after an error.
 * Threads: one at a time for each client.
 */
MSP_API const struct msp_response *
msp_client_response(const struct msp_client *client);

/**
 * msp_client_read - next piece of the answer's body, transfer-decoded
 * @client: after the head
 * @now:    the caller's clock
 * @out:    buffer
 * @size:   its size, not 0
 * @got:    set to the bytes written
 * @info:   optional detail
 *
 * Does not block. Returns 0 with @got > 0; 0 with @got == 0 at the end of the
 * body, and ever after. After an error other than MSP_ERR_AGAIN, MSP_ERR_INVAL
 * and MSP_ERR_STATE the connection is closed and the body is not complete.
 * Threads: one at a time for each client.
 * Errors: MSP_ERR_AGAIN (poll), MSP_ERR_INVAL, MSP_ERR_STATE (there is no
 * answer yet), MSP_ERR_TIMEOUT, MSP_ERR_SYS, MSP_ERR_CLOSED, MSP_ERR_PROTOCOL,
 * MSP_ERR_NOMEM, and after a request that failed once more its error, also
 * MSP_ERR_LIMIT.
 */
MSP_API MSP_MUST_CHECK int msp_client_read(struct msp_client *client,
					   struct msp_time now, void *out,
					   size_t size, size_t *got,
					   struct msp_error_info *info);

/**
 * msp_client_reusable - may the connection carry another request?
 * @client: NULL: false
 *
 * Only after an answer in HTTP/1.1 that ended exactly at its framing, with no
 * excess byte, no Connection: close, and the whole request sent. Looks into
 * the socket.
 * Threads: one at a time for each client.
 */
MSP_API bool msp_client_reusable(const struct msp_client *client);

/**
 * msp_client_in_step - did the answer end with the last byte that was there?
 * @client: NULL: false
 *
 * As msp_client_reusable() at the time when it last read from the socket, which
 * may be long before the caller took the end of the answer: what came since is
 * not looked for. False also where that read cannot tell. For those who know
 * when that was, and watch the socket besides.
 * Threads: one at a time for each client.
 */
MSP_API bool msp_client_in_step(const struct msp_client *client);

/**
 * msp_client_untouched - did nothing of an answer arrive for this request?
 * @client: NULL: false
 *
 * After an error on a reused connection: true means that the request may be
 * tried once more on a new one if its method is idempotent.
 * Threads: one at a time for each client.
 */
MSP_API bool msp_client_untouched(const struct msp_client *client);

MSP_END_DECLS

#endif
