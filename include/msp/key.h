/* SPDX-License-Identifier: MIT */
/*
 * key.h - one latched key: 32 secret bytes and the guid the host knows it by.
 *
 * The bytes are kept in locked memory that is left out of core dumps, wiped
 * on free, and never printed.
 */
#ifndef MSP_KEY_H
#define MSP_KEY_H

#include <msp/error.h>

#define MSP_KEY_BYTES 32
#define MSP_GUID_LEN 36 /* 8-4-4-4-12 hex digits with dashes */
/** Longest text of when a key was issued, in bytes; any fits into a file. */
#define MSP_KEY_ISSUED_MAX 8192

struct msp_key;

MSP_BEGIN_DECLS

/**
 * msp_key_new - a key from its guid and hex digits
 * @out:      new key, or NULL on error; free with msp_key_free()
 * @guid:     MSP_GUID_LEN characters, 8-4-4-4-12 hex digits; copied
 * @guid_len: its length
 * @hex:      64 hex digits, any case; copied
 * @hex_len:  its length
 *
 * Anything else is refused (spec 5.6; Q12, Q26).
 * Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_SYNTAX, MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int
msp_key_new(struct msp_key **out, const char *guid, size_t guid_len,
	    const char *hex, size_t hex_len);

/**
 * msp_key_parse - a key from the host's answer or from a key file (spec 5.6)
 * @out:  new key, or NULL on error; free with msp_key_free()
 * @json: the document, UTF-8; borrowed for this call. The caller wipes it.
 * @len:  its length, at most 65,536 bytes
 * @info: optional detail; never holds key material
 *
 * authorizationScheme must be "Azure-HMAC-SHA256"; guid, key and issued must
 * be strings, issued of at most MSP_KEY_ISSUED_MAX bytes in UTF-8;
 * incarnationId may be absent or null.
 * Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_LIMIT (the document, its depth or number of
 * values, or issued), MSP_ERR_SYNTAX, MSP_ERR_SCHEMA,
 * MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int
msp_key_parse(struct msp_key **out, const char *json, size_t len,
	      struct msp_error_info *info);

/**
 * msp_key_ref - one more owner of the same key
 * @key: not NULL
 *
 * Returns @key; each owner calls msp_key_free() once. Threads: any.
 */
MSP_API struct msp_key *msp_key_ref(struct msp_key *key);

/**
 * msp_key_free - give up a key; the last owner wipes it
 * @key: NULL is fine
 *
 * Threads: any.
 */
MSP_API void msp_key_free(struct msp_key *key);

/**
 * msp_key_guid - what the host knows the key by
 * @key: not NULL
 *
 * MSP_GUID_LEN characters as the host wrote them, and NUL. Borrowed from @key.
 * Threads: any.
 */
MSP_API const char *msp_key_guid(const struct msp_key *key);

/**
 * msp_key_issued - the host's text of when it was issued
 * @key: not NULL
 *
 * "" if unknown; in no particular form, at most MSP_KEY_ISSUED_MAX bytes.
 * Borrowed from @key. Threads: any.
 */
MSP_API const char *msp_key_issued(const struct msp_key *key);

/**
 * msp_key_incarnation - incarnation number the host gave, if it gave one
 * @key: not NULL
 * @out: not NULL; set only when true is returned
 * Threads: any.
 */
MSP_API bool msp_key_incarnation(const struct msp_key *key, uint32_t *out);

/**
 * msp_key_equal - same guid (any case) and same bytes, in constant time
 * @a: not NULL
 * @b: not NULL
 *
 * Threads: any.
 */
MSP_API bool msp_key_equal(const struct msp_key *a, const struct msp_key *b);

MSP_END_DECLS

#endif
