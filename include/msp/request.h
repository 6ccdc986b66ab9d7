/* SPDX-License-Identifier: MIT */
/*
 * request.h - method + raw target -> canonical request.
 *
 * One canonical form decides (spec 8.6). What cannot be brought
 * into it without doubt carries a code, and a decision on it is deny.
 */
#ifndef MSP_REQUEST_H
#define MSP_REQUEST_H

#include <msp/endpoint.h>
#include <msp/error.h>

/** Longest request target accepted, in bytes (spec 6.1). */
#define MSP_TARGET_MAX 65534

/** Why a request has no canonical form (spec 8.6). */
enum msp_canon {
	MSP_CANON_OK = 0,
	MSP_CANON_SCHEME = 1,	   /* scheme not http */
	MSP_CANON_METHOD = 2,	   /* method not allowed */
	MSP_CANON_USERINFO = 3,	   /* userinfo present in URL */
	MSP_CANON_PCT = 4,	   /* malformed percent-encoding */
	MSP_CANON_OVERLONG = 5,	   /* overlong UTF-8 (kept for the code list) */
	MSP_CANON_UTF8 = 6,	   /* invalid UTF-8 in path/query */
	MSP_CANON_NON_ASCII = 7,   /* non-ASCII codepoint in path */
	MSP_CANON_CTRL = 8,	   /* control character in path/query */
	MSP_CANON_UNDERFLOW = 9,   /* path traversal past root */
	MSP_CANON_EMBQ = 10,	   /* embedded '?' after decoding */
	MSP_CANON_HOST = 11,	   /* unparseable host */
	MSP_CANON_PORT = 12,	   /* unparseable port */
	MSP_CANON_SLASHES = 13,	   /* "//" in the raw path (spec 6.3 step 2) */
	MSP_CANON_TRAVERSAL = 14,  /* ".." in the decoded path (same step) */
	MSP_CANON_AMBIGUOUS = 15,  /* backslash or %HH left after decoding once */
	MSP_CANON_DUPLICATE_PARAM = 16, /* a constrained query key given twice */
	MSP_CANON_FORM = 17	   /* authority form, fragment, misplaced "*" */
};

/** Form of the raw target (RFC 9112 3.2). */
enum msp_form {
	MSP_FORM_ORIGIN = 0,
	MSP_FORM_ABSOLUTE = 1,
	MSP_FORM_ASTERISK = 2,
	MSP_FORM_OTHER = 3 /* authority form, a fragment, a byte that no target
			    * holds in the raw, or not a target at all */
};

/**
 * struct msp_authority - what an absolute-form target names
 * @address: set if the host is any spelling of an IPv4 address (decimal,
 *           octal, hex, short, IPv4-mapped IPv6, trailing dots); else ip is 0.
 *           A host of hex digits, 'x' and '.' whose last part is digits or
 *           begins with 0x is such a number, or MSP_CANON_HOST; all other
 *           ("face", "1.de") are names
 * @text:    the authority as received, borrowed from the request
 * @text_len: its length
 * @is_name: true if the host is a name (names are never resolved)
 */
struct msp_authority {
	struct msp_address address;
	const char *text;
	size_t text_len;
	bool is_name;
};

struct msp_request;

MSP_BEGIN_DECLS

/**
 * msp_request_new - an empty request, to be filled again and again
 * @out: new request, or NULL on error; free with msp_request_free()
 *
 * Threads: used by one thread at a time. Errors: MSP_ERR_INVAL,
 * MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_request_new(struct msp_request **out);

/**
 * msp_request_free - free a request and what was borrowed from it
 * @request: NULL is fine
 *
 * Threads: the one that uses it.
 */
MSP_API void msp_request_free(struct msp_request *request);

/**
 * msp_request_set - canonicalize one request
 * @request:    forgets what it held before; what was borrowed from it is gone
 * @method:     as received, case-sensitive; copied
 * @method_len: its length, from 1 to MSP_TARGET_MAX
 * @target:     raw target as received; copied
 * @target_len: its length, from 1 to MSP_TARGET_MAX
 *
 * A request without a canonical form is an answer (msp_request_canon()), not
 * an error. Allocates only when method and target together are longer than any
 * before.
 * Threads: one at a time for each request.
 * Errors: MSP_ERR_INVAL (empty method or target), MSP_ERR_LIMIT (either is
 * longer than MSP_TARGET_MAX), MSP_ERR_NOMEM; the request is then empty and
 * denied.
 */
MSP_API MSP_MUST_CHECK int
msp_request_set(struct msp_request *request, const char *method,
		size_t method_len, const char *target, size_t target_len);

/**
 * msp_request_canon - has it a canonical form, and why not?
 * @request: NULL or empty: MSP_CANON_FORM
 *
 * Returns MSP_CANON_OK, or the first code that failed. MSP_CANON_SLASHES and
 * MSP_CANON_TRAVERSAL are tested before all others, since they are refused in
 * every mode. Then the scheme, the method, and the
 * first byte that no target may hold in the raw: blanks and control characters
 * (MSP_CANON_CTRL), what is not ASCII (MSP_CANON_NON_ASCII), and "#", "<", ">"
 * (MSP_CANON_FORM); without these a grave accent in the path or a quotation
 * mark in the query (MSP_CANON_FORM). Then the form, userinfo, port, host; then
 * of the path and, after it, of each parameter: escapes, UTF-8, control
 * characters; of the path also what is not ASCII, "?", and what could be
 * decoded once more. MSP_CANON_AMBIGUOUS of the query and
 * MSP_CANON_DUPLICATE_PARAM are said by msp_decision_make() only, as they
 * depend on the rules.
 * Threads: any, between two calls of msp_request_set().
 */
MSP_API enum msp_canon msp_request_canon(const struct msp_request *request);

/**
 * msp_request_form - form of the raw target
 * @request: NULL or empty: MSP_FORM_OTHER
 *
 * Threads: any, between two calls of msp_request_set().
 */
MSP_API enum msp_form msp_request_form(const struct msp_request *request);

/**
 * msp_request_authority - what an absolute-form target names
 * @request: filled
 * @out:     set if true is returned; borrows from @request
 * Returns false for the other forms, for another scheme than http and for an
 * authority that is malformed; other codes do not matter.
 * Threads: any, between two calls of msp_request_set().
 */
MSP_API bool msp_request_authority(const struct msp_request *request,
				   struct msp_authority *out);

/**
 * msp_request_origin - the target in origin form, byte for byte as received
 * @request: filled
 * @len:     set to the length
 *
 * What is forwarded and signed: "/path?query" ("*" for the asterisk form, "/"
 * added where an absolute form has no path). Borrowed; NULL and 0 if the form
 * is MSP_FORM_OTHER.
 * Threads: any, between two calls of msp_request_set().
 */
MSP_API const char *msp_request_origin(const struct msp_request *request,
				       size_t *len);

/**
 * msp_request_method - the method as received
 * @request: NULL: ""
 *
 * NUL-terminated, "" if the request is empty; one that is not allowed may hold
 * any byte. Borrowed until the next msp_request_set().
 * Threads: any, between two calls of msp_request_set().
 */
MSP_API const char *msp_request_method(const struct msp_request *request);

/**
 * msp_request_exempt - is it sent unsigned by contract? (spec 6.6)
 * @request: NULL: false
 *
 * PUT /vmagentlog and POST /machine/?comp=telemetrydata, whole target in any
 * letter case, nothing more.
 * Threads: any, between two calls of msp_request_set().
 */
MSP_API bool msp_request_exempt(const struct msp_request *request);

/**
 * msp_request_refused - is it refused in every mode, with rules or without?
 * @request: NULL or empty: true
 *
 * What could not be forwarded, or not to this endpoint: MSP_FORM_OTHER, and of
 * msp_request_canon() MSP_CANON_SLASHES, TRAVERSAL, FORM, METHOD, SCHEME,
 * USERINFO, HOST and PORT. The other codes are left to the rules.
 * Threads: any, between two calls of msp_request_set().
 */
MSP_API bool msp_request_refused(const struct msp_request *request);

/**
 * msp_request_path_text - path with query names but without query values
 * @request: filled
 * @out:     gets printable ASCII, NUL-terminated, cut to fit; other bytes,
 *           quote and backslash are percent-encoded
 * @size:    room in @out, at least 1
 * Returns the length written. For logs: "/a/b?api-version&format".
 * Threads: any, between two calls of msp_request_set().
 */
MSP_API size_t msp_request_path_text(const struct msp_request *request,
				     char *out, size_t size);

/**
 * msp_request_render - the canonical form as a target again (spec 8.6)
 * @request: filled
 * @out:     gets printable ASCII, NUL-terminated, "" on error; may be NULL if
 *           @size is 0
 * @size:    room in @out
 * @len:     set to the length of the whole text, also if it does not fit;
 *           0 on other errors; may be NULL
 *
 * "/a/b?k=v&k=w": segments and query in lower case, parameters sorted by name,
 * what has a meaning of its own percent-encoded. Holds query values: not for
 * logs. Canonicalizing it again gives the same canonical form, as long as it
 * is no longer than MSP_TARGET_MAX; escapes make it up to three times as long
 * as what was received.
 * Threads: any, between two calls of msp_request_set().
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOENT (the request has no canonical form),
 * MSP_ERR_LIMIT (it does not fit in @size).
 */
MSP_API MSP_MUST_CHECK int
msp_request_render(const struct msp_request *request, char *out, size_t size,
		   size_t *len);

/**
 * msp_canon_name - "CANON_PCT" and so on; "CANON_OK" for 0
 * @code: any number
 *
 * Returns a constant, "CANON_UNKNOWN" for what is no code. Threads: any.
 */
MSP_API const char *msp_canon_name(enum msp_canon code);

/**
 * msp_canon_text - the text of spec 8.6 for a code
 * @code: any number
 *
 * Returns a constant, "unknown code" for what is no code. Threads: any.
 */
MSP_API const char *msp_canon_text(enum msp_canon code);

MSP_END_DECLS

#endif
