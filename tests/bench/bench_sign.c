/* SPDX-License-Identifier: MIT */
/*
 * In: a request as an agent forwards it. Out: what its signature costs, beside
 * OpenSSL's HMAC of the string that is signed, which nobody can do without.
 * Must never report a figure for signatures that differ.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/msp.h>

#include "tests/bench/allocs.h"
#include "tests/bench/measure.h"

#define ROUNDS	  64
#define CALLS	  4000
#define MAC_BYTES 32
#define HEX	  (2 * MAC_BYTES)
#define HEADERS	  5

static const char guid[] = "01234567-89ab-cdef-0123-456789abcdef";
static const char hex_key[] =
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

struct bench {
	struct msp_signer *signer;
	struct msp_header headers[HEADERS];
	struct msp_message message;
	EVP_MAC_CTX *mac;
	const char *text; /* that is signed; borrowed from signer */
	size_t text_len;
};

static void header(struct msp_header *h, const char *name, const char *value)
{
	h->name = name;
	h->name_len = strlen(name);
	h->value = value;
	h->value_len = strlen(value);
}

static void make_message(struct bench *b, const char *target, const char *body,
			 size_t body_len)
{
	header(&b->headers[0], "Host", "169.254.169.254");
	header(&b->headers[1], "User-Agent", "curl/7.88.1");
	header(&b->headers[2], "Metadata", "true");
	header(&b->headers[3], MSP_HEADER_CLAIMS, MSP_CLAIMS_USER);
	header(&b->headers[4], MSP_HEADER_DATE,
	       "Sat, 21 Nov 2026 12:00:00 GMT");
	b->message = (struct msp_message){ .size = sizeof(b->message),
					   .method = body_len ? "POST" : "GET",
					   .method_len = body_len ? 4 : 3,
					   .target = target,
					   .target_len = strlen(target),
					   .headers = b->headers,
					   .n_headers = HEADERS,
					   .body = body,
					   .body_len = body_len };
}

/* The cheapest way to an HMAC that OpenSSL 3 documents as one: a context that
 * has the key, started again without it. */
static void make_mac(struct bench *b)
{
	char digest[] = "SHA256";
	unsigned char key[MAC_BYTES];
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(
					OSSL_MAC_PARAM_DIGEST, digest, 0),
				OSSL_PARAM_construct_end() };
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	size_t i;

	for (i = 0; i < sizeof(key); i++)
		key[i] = (unsigned char)i;
	b->mac = EVP_MAC_CTX_new(hmac);
	EVP_MAC_free(hmac);
	if (!b->mac || !EVP_MAC_init(b->mac, key, sizeof(key), params))
		measure_die("no HMAC");
}

static void bare(struct bench *b, unsigned char out[MAC_BYTES])
{
	size_t len;

	if (!EVP_MAC_init(b->mac, NULL, 0, NULL) ||
	    !EVP_MAC_update(b->mac, (const unsigned char *)b->text,
			    b->text_len) ||
	    !EVP_MAC_final(b->mac, out, &len, MAC_BYTES))
		measure_die("HMAC");
}

static void sign(struct bench *b, char out[MSP_AUTHORIZATION_LEN + 1])
{
	if (msp_signer_sign(b->signer, out, MSP_AUTHORIZATION_LEN + 1,
			    &b->message) < 0)
		measure_die("not signed");
}

static void compare(struct bench *b)
{
	char value[MSP_AUTHORIZATION_LEN + 1], text[HEX + 1];
	unsigned char mac[MAC_BYTES];
	size_t i;

	if (msp_signer_string(b->signer, &b->text, &b->text_len, &b->message) <
	    0)
		measure_die("no string");
	sign(b, value);
	bare(b, mac);
	for (i = 0; i < MAC_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", mac[i]);
	for (i = 0; i < HEX; i++)
		value[MSP_AUTHORIZATION_LEN - HEX + i] |= 0x20;
	if (strcmp(value + MSP_AUTHORIZATION_LEN - HEX, text) != 0)
		measure_die("signer and HMAC differ: %s, %s", value, text);
}

/* One round of both, so that what disturbs meets both. */
static void rounds(struct bench *b, double *signed_ns, double *bare_ns)
{
	unsigned int n = measure_count(CALLS, CALLS / 10), i;
	char value[MSP_AUTHORIZATION_LEN + 1];
	unsigned char mac[MAC_BYTES];
	uint64_t start = measure_now();

	for (i = 0; i < n; i++)
		sign(b, value);
	*signed_ns = (double)(measure_now() - start) / n;
	start = measure_now();
	for (i = 0; i < n; i++)
		bare(b, mac);
	*bare_ns = (double)(measure_now() - start) / n;
}

static void allocations(struct bench *b)
{
	char value[MSP_AUTHORIZATION_LEN + 1];
	unsigned char mac[MAC_BYTES];
	uint64_t start = allocs_count(), signing, hmac;

	sign(b, value);
	signing = allocs_count() - start;
	start = allocs_count();
	bare(b, mac);
	hmac = allocs_count() - start;
	measure_result("- allocations", (double)signing - (double)hmac,
		       "1/call", 0, "besides the %u within OpenSSL",
		       (unsigned int)hmac);
}

static void report(const char *name, const char *target, const char *body,
		   size_t body_len)
{
	double signing[ROUNDS], hmac[ROUNDS], over[ROUNDS];
	unsigned int n = measure_count(ROUNDS, 8), i;
	struct msp_key *key;
	struct bench b = { 0 };

	make_message(&b, target, body, body_len);
	if (msp_key_new(&key, guid, strlen(guid), hex_key, strlen(hex_key)) <
		    0 ||
	    msp_signer_new(&b.signer, key) < 0)
		measure_die("no signer");
	make_mac(&b);
	compare(&b);
	for (i = 0; i < n; i++) {
		rounds(&b, &signing[i], &hmac[i]);
		over[i] = signing[i] / hmac[i];
	}
	measure_result(name, measure_median(signing, n), "ns", NO_GOAL,
		       "EVP_MAC of the same %zu bytes, key set before: %.0f ns",
		       b.text_len, measure_median(hmac, n));
	measure_result("- over bare HMAC", measure_median(over, n), "ratio",
		       1.15, "%s", "");
	allocations(&b);
	EVP_MAC_CTX_free(b.mac);
	msp_signer_free(b.signer);
	msp_key_free(key);
}

int main(void)
{
	static char body[4096];

	memset(body, 'x', sizeof(body));
	report("signing GET", "/metadata/instance?api-version=2021-02-01", "",
	       0);
	report("signing POST of 4 KB", "/metadata/post", body, sizeof(body));
	return 0;
}
