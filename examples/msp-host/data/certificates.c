/* SPDX-License-Identifier: MIT */
/*
 * In:  a certificate of the guest, in a header.
 * Out: a throw-away certificate with its key, encrypted for the guest's.
 * Never: the key in clear, or work of unbounded cost for a strange key.
 */
#include "data/authority.h"
#include "data/wireserver.h"

#include <openssl/cms.h>
#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <string.h>

#define HEADER "x-ms-guest-agent-public-x509-cert"
#define CIPHER "x-ms-cipher-name"
/** Bits of the guest's RSA key. */
#define BITS_MIN 2048
#define BITS_MAX 8192

/* Bytes of base64; padding counts in what is decoded, but is none of them. */
static int decode_base64(unsigned char *out, const char *text, size_t len)
{
	int n = EVP_DecodeBlock(out, (const unsigned char *)text, (int)len);
	size_t i;

	for (i = 0; i < 2 && i < len && n > 0 && text[len - 1 - i] == '='; i++)
		n--;
	return n;
}

static X509 *decode(const struct msp_header *h)
{
	const unsigned char *end;
	unsigned char *der;
	X509 *cert = NULL;
	int len;

	der = OPENSSL_malloc(h->value_len / 4 * 3 + 3);
	if (!der)
		return NULL;
	len = decode_base64(der, h->value, h->value_len);
	end = der;
	if (len > 0)
		cert = d2i_X509(NULL, &end, len);
	if (cert && end != der + len) {
		X509_free(cert);
		cert = NULL;
	}
	OPENSSL_free(der);
	return cert;
}

/* Answers and returns NULL if it is not there or no good. */
static X509 *guests_certificate(struct call *call)
{
	const char *why = NULL;
	const struct msp_header *h;
	X509 *cert = NULL;
	EVP_PKEY *key;
	int bits;

	if (!call_header(call, HEADER, &h)) {
		wireserver_error(call, 400, "MissingRequiredHeader",
				 "The header " HEADER " is required.");
		return NULL;
	}
	cert = decode(h);
	key = cert ? X509_get0_pubkey(cert) : NULL;
	bits = key ? EVP_PKEY_get_bits(key) : 0;
	if (!cert)
		why = HEADER ": not the base64 of a DER certificate.";
	else if (!key || !EVP_PKEY_is_a(key, "RSA"))
		why = HEADER ": the certificate has no RSA key.";
	else if (bits < BITS_MIN || bits > BITS_MAX)
		why = HEADER ": an RSA key of 2048 to 8192 bits is wanted.";
	if (!why)
		return cert;
	wireserver_error(call, 400, "InvalidHeader", why);
	X509_free(cert);
	return NULL;
}

/* Answers and returns NULL if it is a cipher we do not have. */
static const EVP_CIPHER *cipher_wanted(struct call *call)
{
	const struct msp_header *h;

	if (!call_header(call, CIPHER, &h) ||
	    text_equal_nocase(h->value, h->value_len, "DES_EDE3_CBC"))
		return EVP_des_ede3_cbc();
	if (text_equal_nocase(h->value, h->value_len, "AES128_CBC"))
		return EVP_aes_128_cbc();
	wireserver_error(call, 400, "InvalidHeader",
			 CIPHER ": want DES_EDE3_CBC or AES128_CBC.");
	return NULL;
}

static bool encrypt(struct buf *out, const struct buf *data, X509 *cert,
		    const EVP_CIPHER *cipher)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	BIO *bio = BIO_new_mem_buf(data->data, (int)data->len);
	CMS_ContentInfo *cms = NULL;
	unsigned char *der = NULL;
	int len = -1;

	if (certs && bio && sk_X509_push(certs, cert))
		cms = CMS_encrypt(certs, bio, cipher, CMS_BINARY);
	if (cms)
		len = i2d_CMS_ContentInfo(cms, &der);
	if (len > 0)
		buf_base64(out, der, (size_t)len);
	OPENSSL_free(der);
	CMS_ContentInfo_free(cms);
	BIO_free(bio);
	sk_X509_free(certs); /* not what is in it */
	return len > 0;
}

void certificates_call(struct call *call, const struct goal *goal)
{
	struct buf *body = &call->reply.body;
	const EVP_CIPHER *cipher;
	const struct buf *pfx;
	X509 *cert;

	cipher = cipher_wanted(call);
	if (!cipher)
		return;
	cert = guests_certificate(call);
	if (!cert)
		return;
	call->reply.status = 200;
	call->reply.type = XML_TYPE;
	buf_format(body,
		   XML_HEAD "<CertificateFile>\n"
			    "  <Version>2010-12-15</Version>\n"
			    "  <Incarnation>%llu</Incarnation>\n"
			    "  <Format>Pkcs7BlobWithPfxContents</Format>\n"
			    "  <Data>",
		   (unsigned long long)goal->incarnation);
	pfx = authority_tenant(call->emu);
	if (pfx && encrypt(body, pfx, cert, cipher))
		buf_text(body, "</Data>\n</CertificateFile>\n");
	else
		wireserver_error(call, 500, "InternalServerError",
				 "The certificate could not be made.");
	X509_free(cert);
}
