/* SPDX-License-Identifier: MIT */
/*
 * In: guid and hex digits, or the host's key document (spec 5.6). Out: a
 * shared key. Must never put a byte of it into an error, in swap or in a core
 * dump, nor leave one behind.
 */
#include <msp/key.h>

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "libmsp/ascii.h"
#include "libmsp/info.h"
#include "libmsp/json.h"
#include "libmsp/key_priv.h"
#include "libmsp/mem.h"

/* bytes, more than reading a key takes */
#define STACK_USED	8192
#define KEY_JSON_MAX	65536
#define KEY_JSON_VALUES 1024
#define KEY_SCHEME	"Azure-HMAC-SHA256"

struct msp_key {
	atomic_uint owners;
	unsigned char *secret; /* MSP_KEY_BYTES in pages of their own */
	char *issued;	       /* owned */
	uint32_t incarnation;
	bool has_incarnation;
	char guid[MSP_GUID_LEN + 1];
};

/* Pages of their own: locking and leaving out of dumps work by page. */
static unsigned char *secret_new(void)
{
	void *page;

	page = mmap(NULL, MSP_KEY_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return NULL;
	/* Best effort: RLIMIT_MEMLOCK may be too small for an embedder, and a
	 * key in swap is still better than none. */
	(void)mlock(page, MSP_KEY_BYTES);
	(void)madvise(page, MSP_KEY_BYTES, MADV_DONTDUMP);
	return page;
}

static void secret_free(unsigned char *secret)
{
	if (!secret)
		return;
	msp_mem_wipe(secret, MSP_KEY_BYTES);
	munmap(secret, MSP_KEY_BYTES);
}

bool msp_guid_valid(const char *text, size_t len)
{
	size_t i;

	if (!text || len != MSP_GUID_LEN)
		return false;
	for (i = 0; i < len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash && text[i] != '-')
			return false;
		if (!dash && msp_ascii_hex((unsigned char)text[i]) < 0)
			return false;
	}
	return true;
}

bool msp_guid_equal(const char *a, const char *b)
{
	return a && b && msp_ascii_equal(a, strlen(a), b, strlen(b));
}

static int read_hex(unsigned char *out, const char *hex, size_t len)
{
	size_t i;

	if (len != 2 * MSP_KEY_BYTES)
		return MSP_ERR_SYNTAX;
	for (i = 0; i < MSP_KEY_BYTES; i++) {
		int high = msp_ascii_hex((unsigned char)hex[2 * i]);
		int low = msp_ascii_hex((unsigned char)hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return MSP_ERR_SYNTAX;
		out[i] = (unsigned char)(high * 16 + low);
	}
	return 0;
}

static int new_key(struct msp_key **out, const char *guid, const char *hex,
		   size_t hex_len, const char *issued, size_t issued_len)
{
	struct msp_key *key;
	int rc = MSP_ERR_NOMEM;

	key = msp_mem_zalloc(sizeof(*key));
	if (!key)
		return MSP_ERR_NOMEM;
	atomic_init(&key->owners, 1);
	memcpy(key->guid, guid, MSP_GUID_LEN);
	key->issued = msp_mem_strndup(issued, issued_len);
	key->secret = secret_new();
	if (!key->issued || !key->secret)
		goto out;
	rc = read_hex(key->secret, hex, hex_len);
	if (rc < 0)
		goto out;
	*out = key;
	key = NULL;
out:
	msp_key_free(key);
	return rc;
}

int msp_key_new(struct msp_key **out, const char *guid, size_t guid_len,
		const char *hex, size_t hex_len)
{
	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if (!guid || !hex)
		return MSP_ERR_INVAL;
	if (!msp_guid_valid(guid, guid_len))
		return MSP_ERR_SYNTAX;
	return new_key(out, guid, hex, hex_len, "", 0);
}

struct fields {
	const struct msp_json_value *guid;
	const struct msp_json_value *hex;
	const struct msp_json_value *issued;
	uint32_t incarnation;
	bool has_incarnation;
};

static int read_incarnation(struct fields *f, const struct msp_json_value *root,
			    struct msp_error_info *info)
{
	const struct msp_json_value *value;
	int rc;

	rc = msp_json_want(&value, root, "incarnationId", MSP_JSON_NUMBER,
			   info);
	if (rc < 0 || !value)
		return rc;
	rc = msp_json_uint32(&f->incarnation, value, info);
	f->has_incarnation = rc == 0;
	return rc;
}

/* No text here quotes the document: a key in the wrong field would show
 * (defect Q12). */
static int read_fields(struct fields *f, const struct msp_json_value *root,
		       struct msp_error_info *info)
{
	const struct msp_json_value *scheme;
	const char *guid;
	size_t len;
	int rc;

	rc = msp_json_need(&scheme, root, "authorizationScheme",
			   MSP_JSON_STRING, info);
	if (rc < 0)
		return rc;
	if (!msp_json_is(scheme, KEY_SCHEME))
		return msp_json_fail(scheme, info, MSP_ERR_SCHEMA,
				     "is not '" KEY_SCHEME "'");
	rc = msp_json_need(&f->guid, root, "guid", MSP_JSON_STRING, info);
	if (rc < 0)
		return rc;
	guid = msp_json_text(f->guid, &len);
	if (!msp_guid_valid(guid, len))
		return msp_json_fail(f->guid, info, MSP_ERR_SCHEMA,
				     "is not a guid");
	rc = msp_json_need(&f->issued, root, "issued", MSP_JSON_STRING, info);
	if (rc < 0)
		return rc;
	msp_json_text(f->issued, &len);
	if (len > MSP_KEY_ISSUED_MAX)
		return msp_json_fail(f->issued, info, MSP_ERR_LIMIT,
				     "is longer than 8192 bytes");
	rc = read_incarnation(f, root, info);
	if (rc < 0)
		return rc;
	return msp_json_need(&f->hex, root, "key", MSP_JSON_STRING, info);
}

static int from_fields(struct msp_key **out, const struct fields *f,
		       struct msp_error_info *info)
{
	const char *guid, *hex, *issued;
	size_t guid_len, hex_len, issued_len;
	int rc;

	guid = msp_json_text(f->guid, &guid_len);
	hex = msp_json_text(f->hex, &hex_len);
	issued = msp_json_text(f->issued, &issued_len);
	rc = new_key(out, guid, hex, hex_len, issued, issued_len);
	if (rc == MSP_ERR_SYNTAX)
		return msp_json_fail(f->hex, info, MSP_ERR_SCHEMA,
				     "is not 64 hex digits");
	if (rc < 0)
		return msp_fail(info, rc, "no memory for a key");
	(*out)->incarnation = f->incarnation;
	(*out)->has_incarnation = f->has_incarnation;
	return 0;
}

static __attribute__((noinline)) int parse(struct msp_key **out,
					   const char *json, size_t len,
					   struct msp_error_info *info)
{
	static const struct msp_json_limits limits = {
		.bytes = KEY_JSON_MAX,
		.values = KEY_JSON_VALUES,
		.flags = MSP_JSON_SECRET,
	};
	struct fields fields = { 0 };
	struct msp_json *doc = NULL;
	int rc;

	rc = msp_json_parse(&doc, json, len, &limits, info);
	if (rc < 0)
		return rc;
	rc = read_fields(&fields, msp_json_root(doc), info);
	if (rc == 0)
		rc = from_fields(out, &fields, info);
	msp_json_free(doc);
	return rc;
}

/* A copy of digits goes through vector registers, and what is called while
 * they are there may put them onto its stack: no compiler promises not to. */
static __attribute__((noinline)) void wipe_stack_below(void)
{
	char below[STACK_USED];

	msp_mem_wipe(below, sizeof(below));
}

int msp_key_parse(struct msp_key **out, const char *json, size_t len,
		  struct msp_error_info *info)
{
	int rc;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	rc = parse(out, json, len, info);
	wipe_stack_below();
	return rc;
}

struct msp_key *msp_key_ref(struct msp_key *key)
{
	atomic_fetch_add_explicit(&key->owners, 1, memory_order_relaxed);
	return key;
}

void msp_key_free(struct msp_key *key)
{
	if (!key)
		return;
	/* all that other owners did happens before the wipe */
	if (atomic_fetch_sub_explicit(&key->owners, 1, memory_order_acq_rel) >
	    1)
		return;
	secret_free(key->secret);
	msp_mem_free(key->issued);
	msp_mem_free(key);
}

const char *msp_key_guid(const struct msp_key *key)
{
	return key->guid;
}

const char *msp_key_issued(const struct msp_key *key)
{
	return key->issued;
}

bool msp_key_incarnation(const struct msp_key *key, uint32_t *out)
{
	if (key->has_incarnation)
		*out = key->incarnation;
	return key->has_incarnation;
}

bool msp_key_equal(const struct msp_key *a, const struct msp_key *b)
{
	return msp_guid_equal(a->guid, b->guid) &&
	       CRYPTO_memcmp(a->secret, b->secret, MSP_KEY_BYTES) == 0;
}

const unsigned char *msp_key_bytes(const struct msp_key *key)
{
	return key->secret;
}
