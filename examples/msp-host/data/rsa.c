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

/**
 * struct numbers - what a key consists of
 * @n, @e, @d: modulus and exponents
 * @p, @q:     primes; all owned
 */
struct numbers {
	BIGNUM *n, *e, *d, *p, *q;
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

static void clear(struct numbers *k)
{
	BN_free(k->n);
	BN_free(k->e);
	BN_clear_free(k->d);
	BN_clear_free(k->p);
	BN_clear_free(k->q);
}

/* d from p and q */
static bool invert(struct numbers *k, BN_CTX *ctx)
{
	BIGNUM *p1 = BN_dup(k->p), *q1 = BN_dup(k->q), *phi = BN_new();
	bool ok;

	ok = p1 && q1 && phi && BN_sub_word(p1, 1) && BN_sub_word(q1, 1) &&
	     BN_mul(phi, p1, q1, ctx) && BN_mod_inverse(k->d, k->e, phi, ctx);
	BN_clear_free(p1);
	BN_clear_free(q1);
	BN_clear_free(phi);
	return ok;
}

static bool make_numbers(struct numbers *k, const struct random *random,
			 const char *purpose)
{
	BN_CTX *ctx = BN_CTX_secure_new();
	bool ok;

	if (!ctx)
		return false;
	k->n = BN_new();
	k->e = BN_new();
	k->d = BN_new();
	k->p = make_prime(random, purpose, 1, ctx);
	k->q = make_prime(random, purpose, 2, ctx);
	ok = k->n && k->e && k->d && k->p && k->q &&
	     BN_set_word(k->e, EXPONENT) && BN_mul(k->n, k->p, k->q, ctx) &&
	     invert(k, ctx);
	BN_CTX_free(ctx);
	return ok;
}

static EVP_PKEY *build(const struct numbers *k)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (ctx && bld &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, k->n) &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, k->e) &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_D, k->d) &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_FACTOR1, k->p) &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_FACTOR2, k->q))
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
	struct numbers k = { 0 };
	EVP_PKEY *key = NULL;

	if (make_numbers(&k, random, purpose))
		key = build(&k);
	clear(&k);
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
