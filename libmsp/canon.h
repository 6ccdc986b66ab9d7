/* SPDX-License-Identifier: MIT */
/*
 * canon.h - the one canonical form of paths and query parts (spec 8.6,
 * design D3). Request targets and rule paths go through the same code.
 *
 * A canonical path is its segments, each after a '/', in ASCII lower case:
 * "/metadata/instance"; the root is "". No segment is empty or holds a '/',
 * so one text serves for comparing whole segments. It is never longer than
 * what it was made from plus one byte.
 */
#ifndef MSP_CANON_H
#define MSP_CANON_H

#include <msp/request.h>

/* Is this path of a privilege canonicalizable? MSP_CANON_OK or the code. */
enum msp_canon msp_canon_check_path(const char *path, size_t len);

/* Raw path -> canonical path. out has room for len + 1 bytes and is not path,
 * or is NULL if only the code is wanted; *out_len is set on MSP_CANON_OK. The
 * tests of spec 6.3 step 2 are not part of it. */
enum msp_canon msp_canon_path(char *out, size_t *out_len, const char *path,
			      size_t len);

/* Spec 6.3 step 2 on a raw path: SLASHES, TRAVERSAL or MSP_CANON_OK. */
enum msp_canon msp_canon_guard(const char *path, size_t len);

/* Raw name or value of a query -> decoded, ASCII lower case; out has room for
 * len bytes and is not text, *out_len is set on MSP_CANON_OK. */
enum msp_canon msp_canon_query(char *out, size_t *out_len, const char *text,
			       size_t len);

/* Would a second decoding, or folding '\', see something else in this text? */
bool msp_canon_ambiguous(const char *text, size_t len);

/* Offset in a raw text of the first byte that the code is about, len if there
 * is none. For codes about bytes of a path or query, and for people. */
size_t msp_canon_place(enum msp_canon code, const char *text, size_t len);

/* Authority of an absolute-form target -> where it points. *out borrows from
 * text. USERINFO, PORT, HOST or MSP_CANON_OK; *out is set only if OK. */
enum msp_canon msp_canon_authority(struct msp_authority *out, const char *text,
				   size_t len);

#endif
