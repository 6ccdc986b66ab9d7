/* SPDX-License-Identifier: MIT */
/*
 * In:  claims, documents.
 * Out: the same, signed with a throw-away key; its public half.
 * Never: the private half of the key that signs.
 */
#include "data/authority.h"

#include "data/rsa.h"

#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/pkcs12.h>
#include <stdlib.h>
#include <string.h>

/* The names real ones have; a guest may look at the beginning. */
#define SIGNER_NAME "msp-host.metadata.azure.com"
#define TENANT_NAME "Windows Azure CRP Certificate Generator"

/**
 * struct authority
 * @key:  signs; owned
 * @cert: for @key; owned
 * @kid:  what tokens call it: digest of the public key (RFC 7638)
 * @n:    its modulus, base64url
 * @e:    its exponent, base64url
 * @pfx:  PKCS #12 of another key, for the guest; empty until wanted
 */
struct authority {
	EVP_PKEY *key;
	X509 *cert;
	struct buf kid;
	struct buf n;
	struct buf e;
	struct buf pfx;
};

void authority_free(struct authority *authority)
{
	if (!authority)
		return;
	EVP_PKEY_free(authority->key);
	X509_free(authority->cert);
	buf_clear(&authority->kid);
	buf_clear(&authority->n);
	buf_clear(&authority->e);
	buf_clear(&authority->pfx);
	free(authority);
}

static bool add_number(struct buf *out, EVP_PKEY *key, const char *name)
{
	unsigned char bytes[RSA_BITS / 8];
	BIGNUM *number = NULL;
	int len = -1;

	if (EVP_PKEY_get_bn_param(key, name, &number) &&
	    BN_num_bytes(number) <= (int)sizeof(bytes))
		len = BN_bn2bin(number, bytes);
	BN_free(number);
	if (len < 0)
		return false;
	buf_base64url(out, bytes, (size_t)len);
	return !out->failed;
}

/* RFC 7638: the digest of the JWK, its members in this order. */
static bool add_kid(struct authority *a)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct buf jwk = { 0 };
	unsigned int len;
	bool ok;

	buf_format(&jwk, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}",
		   a->e.data, a->n.data);
	ok = !jwk.failed &&
	     EVP_Digest(jwk.data, jwk.len, digest, &len, EVP_sha256(), NULL);
	buf_clear(&jwk);
	if (ok)
		buf_base64url(&a->kid, digest, len);
	return ok && !a->kid.failed;
}

static struct authority *of(struct emulator *emu)
{
	if (!emu->authority)
		emu->authority = calloc(1, sizeof(*emu->authority));
	return emu->authority;
}

/* With a key to sign with. What failed half-way is tried anew next time. */
static struct authority *signer(struct emulator *emu)
{
	struct authority *a = of(emu);

	if (!a || a->key)
		return a;
	a->key = rsa_make(&emu->random, "token key");
	if (a->key)
		a->cert = rsa_certificate(&emu->random, a->key, SIGNER_NAME);
	if (a->cert && add_number(&a->n, a->key, OSSL_PKEY_PARAM_RSA_N) &&
	    add_number(&a->e, a->key, OSSL_PKEY_PARAM_RSA_E) && add_kid(a))
		return a;
	authority_free(a);
	emu->authority = NULL;
	return NULL;
}

static bool sign(const struct authority *a, const char *text, size_t len,
		 struct buf *out)
{
	unsigned char signature[RSA_BITS / 8];
	size_t n = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok;

	ok = ctx &&
	     EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, a->key) == 1 &&
	     EVP_DigestSign(ctx, signature, &n, (const unsigned char *)text,
			    len) == 1;
	EVP_MD_CTX_free(ctx);
	if (ok)
		buf_base64url(out, signature, n);
	return ok && !out->failed;
}

bool authority_token(struct emulator *emu, const struct buf *claims,
		     struct buf *out)
{
	struct authority *a = signer(emu);
	struct buf head = { 0 }, text = { 0 };
	bool ok = false;

	if (!a)
		return false;
	buf_format(&head,
		   "{\"typ\":\"JWT\",\"alg\":\"RS256\","
		   "\"kid\":\"%s\"}",
		   a->kid.data);
	if (head.failed)
		goto out;
	buf_base64url(&text, head.data, head.len);
	buf_text(&text, ".");
	buf_base64url(&text, claims->data, claims->len);
	if (text.failed)
		goto out;
	buf_add(out, text.data, text.len);
	buf_text(out, ".");
	ok = sign(a, text.data, text.len, out);
out:
	buf_clear(&head);
	buf_clear(&text);
	return ok;
}

bool authority_document(struct emulator *emu, const struct buf *content,
			struct buf *out)
{
	/* no attributes: among them would be the real time */
	const unsigned int flags = CMS_BINARY | CMS_NOATTR | CMS_NOSMIMECAP;
	struct authority *a = signer(emu);
	CMS_ContentInfo *cms = NULL;
	unsigned char *der = NULL;
	BIO *bio = NULL;
	int len = -1;

	if (!a)
		return false;
	bio = BIO_new_mem_buf(content->data, (int)content->len);
	if (bio)
		cms = CMS_sign(a->cert, a->key, NULL, bio, flags);
	if (cms)
		len = i2d_CMS_ContentInfo(cms, &der);
	if (len > 0)
		buf_add(out, der, (size_t)len);
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
	BIO_free(bio);
	return len > 0 && !out->failed;
}

bool authority_keys(struct emulator *emu, struct buf *out)
{
	struct authority *a = signer(emu);

	if (!a)
		return false;
	buf_format(out,
		   "{\"keys\":[{\"kty\":\"RSA\",\"use\":\"sig\","
		   "\"alg\":\"RS256\",\"kid\":\"%s\",\"e\":\"%s\","
		   "\"n\":\"%s\"}]}",
		   a->kid.data, a->e.data, a->n.data);
	return !out->failed;
}

static bool add_pfx(struct buf *out, EVP_PKEY *key, X509 *cert)
{
	PKCS12 *pfx = PKCS12_create("", NULL, key, cert, NULL, 0, 0, 0, 0, 0);
	unsigned char *der = NULL;
	int len = -1;

	if (pfx)
		len = i2d_PKCS12(pfx, &der);
	if (len > 0)
		buf_add(out, der, (size_t)len);
	if (der)
		OPENSSL_clear_free(der, (size_t)len);
	PKCS12_free(pfx);
	return len > 0 && !out->failed;
}

const struct buf *authority_tenant(struct emulator *emu)
{
	struct authority *a = of(emu);
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	bool ok = false;

	if (!a || a->pfx.len)
		return a ? &a->pfx : NULL;
	key = rsa_make(&emu->random, "tenant key");
	if (key)
		cert = rsa_certificate(&emu->random, key, TENANT_NAME);
	ok = cert && add_pfx(&a->pfx, key, cert);
	if (!ok)
		buf_clear(&a->pfx);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ok ? &a->pfx : NULL;
}
