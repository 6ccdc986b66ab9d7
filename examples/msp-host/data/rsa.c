/* SPDX-License-Identifier: MIT */
/*
 * In:  random bytes, by a seed or by the system.
 * Out: an RSA key, and a certificate for it.
 * Never: a key for anything real: with a seed everybody can make it again.
 */
#include "data/rsa.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/param_build.h>

#define OWNER	    "msp-host"
#define EXPONENT    65537
#define PRIME_BYTES (RSA_BITS / 16)

/* What a key consists of, in the order a key file has (RFC 8017 A.1.2). */
enum { N, E, D, P, Q, DP, DQ, QINV, NUMBERS };

static const char *const names[NUMBERS] = {
	OSSL_PKEY_PARAM_RSA_N,	       OSSL_PKEY_PARAM_RSA_E,
	OSSL_PKEY_PARAM_RSA_D,	       OSSL_PKEY_PARAM_RSA_FACTOR1,
	OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
	OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

/* Can the exponent be inverted? It is a prime, so it only must not divide. */
static bool suits(const BIGNUM *prime)
{
	return BN_mod_word(prime, EXPONENT) != 1;
}

/* The first prime from a random place on. */
static BIGNUM *make_prime(const struct random *random, const char *purpose,
			  uint64_t nth, BN_CTX *ctx)
{
	unsigned char bytes[PRIME_BYTES];
	BIGNUM *prime = NULL;
	int found = 0;

	if (!random_draw(random, OWNER, purpose, nth, bytes, sizeof(bytes)))
		return NULL;
	/* two of these multiply to a number of full length */
	bytes[0] |= 0xc0;
	bytes[sizeof(bytes) - 1] |= 1;
	prime = BN_bin2bn(bytes, sizeof(bytes), NULL);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	while (prime && found == 0) {
		found = suits(prime) ? BN_check_prime(prime, ctx, NULL) : 0;
		if (found == 0 && !BN_add_word(prime, 2))
			found = -1;
	}
	if (found == 1)
		return prime;
	BN_clear_free(prime);
	return NULL;
}

/* All that follows from p, q and e. */
static bool derive(BIGNUM *k[NUMBERS], BN_CTX *ctx)
{
	BIGNUM *p1 = BN_dup(k[P]), *q1 = BN_dup(k[Q]), *phi = BN_new();
	bool ok;

	ok = p1 && q1 && phi && BN_set_word(k[E], EXPONENT) &&
	     BN_sub_word(p1, 1) && BN_sub_word(q1, 1) &&
	     BN_mul(k[N], k[P], k[Q], ctx) && BN_mul(phi, p1, q1, ctx) &&
	     BN_mod_inverse(k[D], k[E], phi, ctx) &&
	     BN_mod(k[DP], k[D], p1, ctx) && BN_mod(k[DQ], k[D], q1, ctx) &&
	     BN_mod_inverse(k[QINV], k[Q], k[P], ctx);
	BN_clear_free(p1);
	BN_clear_free(q1);
	BN_clear_free(phi);
	return ok;
}

static bool make_numbers(BIGNUM *k[NUMBERS], const struct random *random,
			 const char *purpose)
{
	BN_CTX *ctx = BN_CTX_secure_new();
	bool ok = ctx;
	size_t i;

	for (i = 0; i < NUMBERS && ok; i++) {
		if (i == P || i == Q)
			k[i] = make_prime(random, purpose, i - P, ctx);
		else
			k[i] = BN_new();
		ok = k[i];
	}
	ok = ok && derive(k, ctx);
	BN_CTX_free(ctx);
	return ok;
}

static EVP_PKEY *build(BIGNUM *const k[NUMBERS])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;
	bool ok = ctx && bld;
	size_t i;

	for (i = 0; i < NUMBERS && ok; i++)
		ok = OSSL_PARAM_BLD_push_BN(bld, names[i], k[i]);
	if (ok)
		params = OSSL_PARAM_BLD_to_param(bld);
	if (params &&
	    (EVP_PKEY_fromdata_init(ctx) != 1 ||
	     EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1))
		key = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

EVP_PKEY *rsa_make(const struct random *random, const char *purpose)
{
	BIGNUM *k[NUMBERS] = { NULL };
	EVP_PKEY *key = NULL;
	size_t i;

	if (make_numbers(k, random, purpose))
		key = build(k);
	for (i = 0; i < NUMBERS; i++)
		BN_clear_free(k[i]);
	return key;
}

static bool name_it(X509 *cert, const char *name)
{
	X509_NAME *subject = X509_get_subject_name(cert);

	return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
					  (const unsigned char *)name, -1, -1,
					  0) &&
	       X509_set_issuer_name(cert, subject);
}

static bool number_it(X509 *cert, const struct random *random, const char *name)
{
	unsigned char bytes[16];
	BIGNUM *serial;
	bool ok;

	if (!random_draw(random, OWNER, name, 0, bytes, sizeof(bytes)))
		return false;
	/* positive, and not shorter than its bytes */
	bytes[0] = (bytes[0] & 0x7f) | 0x40;
	serial = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = serial && BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert));
	BN_free(serial);
	return ok;
}

X509 *rsa_certificate(const struct random *random, EVP_PKEY *key,
		      const char *name)
{
	X509 *cert = X509_new();

	if (cert && X509_set_version(cert, X509_VERSION_3) &&
	    number_it(cert, random, name) && name_it(cert, name) &&
	    ASN1_TIME_set_string_X509(X509_getm_notBefore(cert),
				      "20000101000000Z") &&
	    ASN1_TIME_set_string_X509(X509_getm_notAfter(cert),
				      "20491231235959Z") &&
	    X509_set_pubkey(cert, key) && X509_sign(cert, key, EVP_sha256()))
		return cert;
	X509_free(cert);
	return NULL;
}
