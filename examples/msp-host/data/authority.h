/* SPDX-License-Identifier: MIT */
/*
 * authority.h - who signs here: tokens, attested documents, and whose
 * certificate the guest is handed.
 *
 * Its two keys are for one run of the program, or of its seed. Each is made
 * when it is first wanted, so that those who never ask do not wait. Nobody
 * outside accepts what they sign.
 */
#ifndef HOST_AUTHORITY_H
#define HOST_AUTHORITY_H

#include "emulator.h"

#include "base/text.h"

struct authority;

void authority_free(struct authority *authority);

/* A JWT (RFC 7519) of these claims, RS256. False: out of memory. */
bool authority_token(struct emulator *emu, const struct buf *claims,
		     struct buf *out);
/* The content, signed: DER of a PKCS #7 SignedData with the content and the
 * certificate in it. */
bool authority_document(struct emulator *emu, const struct buf *content,
			struct buf *out);
/* The public key of tokens and documents, as a JWK set (RFC 7517). */
bool authority_keys(struct emulator *emu, struct buf *out);
/* A certificate with its private key for the guest, PKCS #12 with an empty
 * password; borrowed, NULL on error. */
const struct buf *authority_tenant(struct emulator *emu);

#endif
