/* SPDX-License-Identifier: MIT */
/*
 * rsa.h - RSA keys for one run of the program, repeatable with a seed.
 */
#ifndef HOST_RSA_H
#define HOST_RSA_H

#include "base/random.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

/** Bits of a key. */
#define RSA_BITS 2048

/* A key, a tenth of a second of work; NULL on error. */
EVP_PKEY *rsa_make(const struct random *random, const char *purpose);
/* A certificate signed with its own key, with dates far away on both sides
 * so that no clock makes it invalid; NULL on error. */
X509 *rsa_certificate(const struct random *random, EVP_PKEY *key,
		      const char *name);

#endif
