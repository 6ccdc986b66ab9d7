/* SPDX-License-Identifier: MIT */
/*
 * In:  policy from its owner, keys that were asked for and attested.
 * Out: the key status document, signers to verify with, counters.
 * Never: two latched keys, a latched key without attestation, a key in text
 *        other than the answer to acquire.
 */
#include "host.h"
#include "json.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const item_names[ITEMS] = { "wireserver", "imds" };

/* as the wire spells them */
static const char *mode_word(enum msp_mode mode)
{
	switch (mode) {
	case MSP_MODE_ENFORCE:
		return "enforce";
	case MSP_MODE_AUDIT:
		return "audit";
	case MSP_MODE_DISABLED:
		return "disabled";
	}
	return "enforce";
}

bool host_item_named(const char *name, size_t len, enum item *out)
{
	unsigned int i;

	for (i = 0; i < ITEMS; i++) {
		if (!text_equal_nocase(name, len, item_names[i]))
			continue;
		*out = (enum item)i;
		return true;
	}
	return false;
}

bool host_mode_named(const char *name, size_t len, enum msp_mode *out)
{
	static const enum msp_mode modes[] = { MSP_MODE_ENFORCE, MSP_MODE_AUDIT,
					       MSP_MODE_DISABLED };
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!text_equal_nocase(name, len, mode_word(modes[i])))
			continue;
		*out = modes[i];
		return true;
	}
	return false;
}

static bool inline_item(struct host *host, enum item item, enum msp_mode mode)
{
	struct buf json = { 0 };

	buf_format(&json,
		   "{\"defaultAccess\":\"allow\",\"mode\":\"%s\","
		   "\"id\":\"inline-%s-%s\"}",
		   mode_word(mode), item_names[item], mode_word(mode));
	if (json.failed) {
		buf_clear(&json);
		return false;
	}
	buf_clear(&host->items[item].json);
	host->items[item].json = json;
	host->items[item].mode = mode;
	host->items[item].inlined = true;
	return true;
}

bool host_init(struct host *host)
{
	memset(host, 0, sizeof(*host));
	host->enabled = true;
	host->offers_key = true;
	host->incarnation = 1;
	host->skew = 300;
	return inline_item(host, ITEM_WIRESERVER, MSP_MODE_ENFORCE) &&
	       inline_item(host, ITEM_IMDS, MSP_MODE_DISABLED);
}

static void drop_offer(struct host *host)
{
	msp_signer_free(host->offered);
	host->offered = NULL;
	buf_clear(&host->offered_doc);
}

void host_clear(struct host *host)
{
	size_t i;

	drop_offer(host);
	msp_signer_free(host->latched);
	host->latched = NULL;
	buf_clear(&host->raw_status);
	for (i = 0; i < ITEMS; i++)
		buf_clear(&host->items[i].json);
}

int host_set_item(struct host *host, enum item item, const char *json,
		  size_t len, struct msp_error_info *info)
{
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;
	struct msp_profile *profile = NULL;
	struct buf wire = { 0 };
	int rc;

	opts.form = MSP_PROFILE_WIRE; /* it is handed out as it is */
	rc = msp_profile_read(&profile, NULL, json, len, &opts, info);
	if (rc < 0)
		return rc;
	if (!json_item(&wire, json, len, NULL)) {
		buf_clear(&wire);
		rc = MSP_ERR_NOMEM;
		goto out;
	}
	buf_clear(&host->items[item].json);
	host->items[item].json = wire;
	host->items[item].mode = msp_profile_mode(profile);
	host->items[item].inlined = false;
out:
	msp_profile_free(profile);
	return rc;
}

bool host_set_mode(struct host *host, enum item item, enum msp_mode mode)
{
	struct host_item *it = &host->items[item];
	struct buf json = { 0 };

	if (it->inlined)
		return inline_item(host, item, mode);
	if (!json_item(&json, it->json.data, it->json.len, mode_word(mode))) {
		buf_clear(&json);
		return false;
	}
	buf_clear(&it->json);
	it->json = json;
	it->mode = mode;
	return true;
}

static const struct host_item *item_of(const struct host *host,
				       enum msp_endpoint endpoint)
{
	if (endpoint == MSP_ENDPOINT_IMDS)
		return &host->items[ITEM_IMDS];
	return &host->items[ITEM_WIRESERVER];
}

bool host_enforces(const struct host *host, enum msp_endpoint endpoint)
{
	/* before the guest has latched, an existing VM works as before */
	return host->enabled && host->latched &&
	       item_of(host, endpoint)->mode == MSP_MODE_ENFORCE;
}

void host_count(struct host *host, enum msp_endpoint endpoint, enum auth auth)
{
	struct host_counts *counts = &host->counts[endpoint];

	switch (auth) {
	case AUTH_UNSIGNED:
		counts->unsigned_++;
		break;
	case AUTH_VERIFIED:
		counts->verified++;
		break;
	case AUTH_BAD:
		counts->bad++;
		break;
	}
}

/* RFC 9562 version 4 */
static bool new_guid(char *out)
{
	unsigned char b[16];
	char hex[33];

	if (RAND_bytes(b, sizeof(b)) != 1)
		return false;
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	text_hex(hex, b, sizeof(b), false);
	memcpy(out, hex, 8);
	memcpy(out + 9, hex + 8, 4);
	memcpy(out + 14, hex + 12, 4);
	memcpy(out + 19, hex + 16, 4);
	memcpy(out + 24, hex + 20, 12);
	out[8] = out[13] = out[18] = out[23] = '-';
	out[MSP_GUID_LEN] = '\0';
	return true;
}

/* The form of spec 5.6, the blank in the date included. */
static bool new_key_doc(struct buf *doc, uint32_t incarnation)
{
	unsigned char bytes[MSP_KEY_BYTES];
	char hex[2 * MSP_KEY_BYTES + 1];
	char guid[MSP_GUID_LEN + 1];
	time_t now = time(NULL);
	struct tm tm;

	if (!new_guid(guid) || !gmtime_r(&now, &tm) ||
	    RAND_priv_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	text_hex(hex, bytes, sizeof(bytes), true);
	buf_format(doc,
		   "{\"authorizationScheme\":\"" MSP_SCHEME "\","
		   "\"incarnationId\":%u,\"guid\":\"%s\","
		   "\"issued\":\"%04d-%02d-%02dT %02d:%02d:%02dZ\","
		   "\"key\":\"%s\"}",
		   incarnation, guid, tm.tm_year + 1900, tm.tm_mon + 1,
		   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, hex);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	OPENSSL_cleanse(hex, sizeof(hex));
	return !doc->failed;
}

bool host_offer(struct host *host, struct buf *out)
{
	struct msp_key *key = NULL;
	int rc = MSP_ERR_NOMEM;

	drop_offer(host);
	if (!new_key_doc(&host->offered_doc, host->incarnation))
		goto out;
	rc = msp_key_parse(&key, host->offered_doc.data, host->offered_doc.len,
			   NULL);
	if (rc < 0)
		goto out;
	rc = msp_signer_new(&host->offered, key);
	if (rc < 0)
		goto out;
	buf_add(out, host->offered_doc.data, host->offered_doc.len);
	if (out->failed)
		rc = MSP_ERR_NOMEM;
out:
	msp_key_free(key);
	if (rc < 0)
		drop_offer(host);
	return rc == 0;
}

static bool has_guid(struct msp_signer *signer, const char *guid, size_t len)
{
	return signer &&
	       text_equal_nocase(guid, len,
				 msp_key_guid(msp_signer_key(signer)));
}

struct msp_signer *host_attester(struct host *host, const char *guid,
				 size_t len)
{
	if (has_guid(host->latched, guid, len))
		return host->latched;
	if (has_guid(host->offered, guid, len))
		return host->offered;
	return NULL;
}

enum attested host_latch(struct host *host, struct msp_signer *signer)
{
	/* an answer that was lost on the way: attested once more */
	if (signer && signer == host->latched)
		return ATTESTED;
	if (!signer || signer != host->offered || host->latched)
		return ATTEST_NO_KEY;
	/* what is not on disk would be forgotten by a restart, and the VM
	 * shut out */
	if (!state_save(host, &host->offered_doc))
		return ATTEST_FAILED;
	host->latched = host->offered;
	host->offered = NULL;
	drop_offer(host);
	return ATTESTED;
}

bool host_reset(struct host *host)
{
	if (host->incarnation == UINT32_MAX)
		return false;
	host->incarnation++;
	if (!state_save(host, NULL)) {
		host->incarnation--;
		return false;
	}
	drop_offer(host);
	msp_signer_free(host->latched);
	host->latched = NULL;
	return true;
}

static void add_guid(const struct host *host, struct buf *out)
{
	if (host->latched)
		buf_format(out, "\"%s\"",
			   msp_key_guid(msp_signer_key(host->latched)));
	else
		buf_text(out, "null");
}

/* Version 1.0 has no word for audit: such a VM would not be protected. */
static const char *state_v1(const struct host *host)
{
	if (!host->enabled ||
	    host->items[ITEM_WIRESERVER].mode != MSP_MODE_ENFORCE)
		return "Disabled";
	if (host->items[ITEM_IMDS].mode == MSP_MODE_ENFORCE)
		return "WireserverAndImds";
	return "Wireserver";
}

void host_status(const struct host *host, struct buf *out)
{
	if (host->raw) {
		buf_add(out, host->raw_status.data, host->raw_status.len);
		return;
	}
	buf_text(out, "{\"authorizationScheme\":\"" MSP_SCHEME "\","
		      "\"keyDeliveryMethod\":\"http\",\"keyGuid\":");
	add_guid(host, out);
	if (host->status_v1) {
		buf_format(out,
			   ",\"requiredClaimsHeaderPairs\":[\"isRoot\"],"
			   "\"secureChannelState\":\"%s\","
			   "\"version\":\"1.0\"}",
			   state_v1(host));
		return;
	}
	buf_format(out,
		   ",\"keyIncarnationId\":%u,\"requiredClaimsHeaderPairs\":[],"
		   "\"secureChannelEnabled\":%s,\"version\":\"2.0\","
		   "\"authorizationRules\":{\"imds\":",
		   host->incarnation, host->enabled ? "true" : "false");
	buf_add(out, host->items[ITEM_IMDS].json.data,
		host->items[ITEM_IMDS].json.len);
	buf_text(out, ",\"wireserver\":");
	buf_add(out, host->items[ITEM_WIRESERVER].json.data,
		host->items[ITEM_WIRESERVER].json.len);
	buf_text(out, "}}");
}

void host_state(const struct host *host, struct buf *out)
{
	unsigned int i;

	buf_format(out, "{\"enabled\":%s,\"latched\":%s,\"guid\":",
		   host->enabled ? "true" : "false",
		   host->latched ? "true" : "false");
	add_guid(host, out);
	buf_format(out, ",\"incarnation\":%u,\"modes\":{", host->incarnation);
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		enum msp_endpoint e = (enum msp_endpoint)i;

		buf_format(out, "%s\"%s\":\"%s\"", i ? "," : "",
			   msp_endpoint_name(e),
			   msp_mode_name(item_of(host, e)->mode));
	}
	buf_text(out, "},\"requests\":{");
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		const struct host_counts *c = &host->counts[i];

		buf_format(out,
			   "%s\"%s\":{\"verified\":%llu,\"unsigned\":%llu,"
			   "\"bad\":%llu}",
			   i ? "," : "",
			   msp_endpoint_name((enum msp_endpoint)i),
			   (unsigned long long)c->verified,
			   (unsigned long long)c->unsigned_,
			   (unsigned long long)c->bad);
	}
	buf_text(out, "}}");
}
