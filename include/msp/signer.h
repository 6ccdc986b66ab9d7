/* SPDX-License-Identifier: MIT */
/*
 * signer.h - a request -> value of the header x-ms-azure-host-authorization.
 *
 * The string-to-sign is byte for byte that of spec 6.9, with its quirks
 * (Q7), because the host computes the same.
 */
#ifndef MSP_SIGNER_H
#define MSP_SIGNER_H

#include <msp/error.h>
#include <msp/key.h>

#define MSP_SCHEME "Azure-HMAC-SHA256"
#define MSP_HEADER_AUTHORIZATION "x-ms-azure-host-authorization"
#define MSP_HEADER_CLAIMS "x-ms-azure-host-claims"
#define MSP_HEADER_DATE "x-ms-azure-host-date"
#define MSP_CLAIMS_ROOT "{ \"isRoot\": \"true\"}"
#define MSP_CLAIMS_USER "{ \"isRoot\": \"false\"}"
/** Bytes of an authorization value: scheme, guid, 64 hex digits, no NUL. */
#define MSP_AUTHORIZATION_LEN (sizeof(MSP_SCHEME) + MSP_GUID_LEN + 1 + 64)
/** Most header lines one request may have. */
#define MSP_MAX_HEADERS 100

/**
 * struct msp_header - one header line, borrowed
 * @name:  a token (RFC 9110 5.6.2), any case
 * @value: without the blanks around it; no CR, LF or NUL
 */
struct msp_header {
	const char *name;
	size_t name_len;
	const char *value;
	size_t value_len;
};

/**
 * struct msp_message - a request as it will be sent; everything borrowed
 * @size:      sizeof(struct msp_message); a longer one is fine while all that
 *             is added to it is zero
 * @method:    e.g. "GET", a token
 * @target:    origin form "/path?query", absolute form, or "*"
 * @headers:   in the order they are sent
 * @n_headers: at most MSP_MAX_HEADERS
 * @body:      after transfer decoding; may be NULL if @body_len is 0
 */
struct msp_message {
	size_t size;
	const char *method;
	size_t method_len;
	const char *target;
	size_t target_len;
	const struct msp_header *headers;
	size_t n_headers;
	const void *body;
	size_t body_len;
};

struct msp_signer;

MSP_BEGIN_DECLS

/**
 * msp_signer_new - a signer for one key
 * @out: new signer, or NULL on error; free with msp_signer_free()
 * @key: the signer becomes one more owner
 *
 * Threads: one signer is used by one thread at a time; several signers may
 * share a key. Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM, MSP_ERR_CRYPTO.
 */
MSP_API MSP_MUST_CHECK int
msp_signer_new(struct msp_signer **out, struct msp_key *key);

/**
 * msp_signer_free - wipe and free; the key has one owner less
 * @signer: NULL is fine
 *
 * Threads: the one that uses the signer.
 */
MSP_API void msp_signer_free(struct msp_signer *signer);

/**
 * msp_signer_key - the key in use
 * @signer: NULL: NULL
 *
 * Borrowed from @signer. Threads: one at a time for each signer.
 */
MSP_API struct msp_key *msp_signer_key(const struct msp_signer *signer);

/**
 * msp_signer_sign - compute the authorization value of a request
 * @signer:   used by this thread only
 * @out:      gets MSP_AUTHORIZATION_LEN characters and a NUL
 * @out_size: room in @out, at least MSP_AUTHORIZATION_LEN + 1
 * @message:  what will be sent, exactly; a header
 *            x-ms-azure-host-authorization in it is not signed
 *
 * Allocates only when a message is larger than any before.
 * Threads: one at a time for each signer.
 * Errors: MSP_ERR_INVAL (a name that is no token, a value or target with CR,
 * LF or NUL, a fragment, a target of another form, no room), MSP_ERR_LIMIT
 * (too many headers),
 * MSP_ERR_NOMEM, MSP_ERR_CRYPTO. On error @out is "".
 */
MSP_API MSP_MUST_CHECK int
msp_signer_sign(struct msp_signer *signer, char *out, size_t out_size,
		const struct msp_message *message);

/**
 * msp_signer_verify - was this authorization value made with our key?
 * @signer:  used by this thread only
 * @valid:   set to the answer; false on error
 * @message: the request as received
 * @value:   value of its x-ms-azure-host-authorization
 * @len:     its length
 *
 * Constant time in the signature. A value of another scheme, guid (any case),
 * or shape is not valid; that is an answer, not an error.
 * Threads: one at a time for each signer.
 * Errors: MSP_ERR_INVAL (a name that is no token, a value or target with CR,
 * LF or NUL, a fragment), MSP_ERR_LIMIT (too many headers), MSP_ERR_NOMEM,
 * MSP_ERR_CRYPTO.
 */
MSP_API MSP_MUST_CHECK int
msp_signer_verify(struct msp_signer *signer, bool *valid,
		  const struct msp_message *message, const char *value,
		  size_t len);

/**
 * msp_signer_string - the string-to-sign itself, for tests and debugging
 * @signer:  its scratch buffer holds the result
 * @out:     set to the bytes, borrowed until the next call on @signer; NULL on
 *           error
 * @out_len: set to their number
 * @message: the request
 *
 * Threads: one at a time for each signer.
 * Errors: MSP_ERR_INVAL (a name that is no token, a value or target with CR,
 * LF or NUL, a fragment), MSP_ERR_LIMIT (too many headers), MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int
msp_signer_string(struct msp_signer *signer, const char **out, size_t *out_len,
		  const struct msp_message *message);

MSP_END_DECLS

#endif
