/* SPDX-License-Identifier: MIT */
/*
 * In: the host's answer to GET /secure-channel/status. Out: typed state (spec
 * 5.2-5.4). Must never open an endpoint because its item is broken, nor let a
 * broken item touch another endpoint (design D4).
 */
#include <msp/keystatus.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/info.h"
#include "libmsp/json.h"
#include "libmsp/key_priv.h"
#include "libmsp/mem.h"
#include "libmsp/profile_priv.h"

#define SCHEME "Azure-HMAC-SHA256"
/* bytes of a host's word shown in a text, with NUL */
#define QUOTE_MAX 64

/* What the document says about one endpoint. */
struct item {
	bool present;
	enum msp_mode mode;
	char *id;		      /* owned, NULL if it cannot be read */
	struct msp_profile *profile;  /* owned, NULL if absent or invalid */
	struct msp_error_info *fault; /* owned, NULL unless invalid */
};

struct msp_keystatus {
	char *version; /* owned */
	const char *delivery;
	char guid[MSP_GUID_LEN + 1];
	bool has_guid;
	bool has_incarnation;
	bool enabled;
	uint32_t incarnation;
	enum msp_mode wireserver;
	enum msp_mode imds;
	struct item wireserver_item;
	struct item imds_item;
	char channel[MSP_CHANNEL_STATE_MAX];
};

/* Fields that are only looked at while parsing; NULL if absent. */
struct envelope {
	const struct msp_json_value *root;
	const struct msp_json_value *scheme;
	const struct msp_json_value *delivery;
	const struct msp_json_value *state;
	const struct msp_json_value *enabled;
	const struct msp_json_value *version;
	const struct msp_json_value *rules;
	char state_text[QUOTE_MAX]; /* lower case, "" if absent */
};

static int no_memory(struct msp_error_info *info)
{
	return msp_fail(info, MSP_ERR_NOMEM, "no memory for a key status");
}

/* not used, but a wrong type is a fault all the same (spec 5.2) */
static int check_claims(const struct msp_json_value *root,
			struct msp_error_info *info)
{
	const struct msp_json_value *array, *value;
	int rc;

	rc = msp_json_want(&array, root, "requiredClaimsHeaderPairs",
			   MSP_JSON_ARRAY, info);
	if (rc < 0 || !array)
		return rc;
	for (value = msp_json_first(array); value && rc == 0;
	     value = msp_json_next(value))
		rc = msp_json_expect(value, MSP_JSON_STRING, info);
	return rc;
}

static int read_guid(struct msp_keystatus *status,
		     const struct msp_json_value *root,
		     struct msp_error_info *info)
{
	const struct msp_json_value *value;
	const char *text;
	size_t len;
	int rc;

	rc = msp_json_want(&value, root, "keyGuid", MSP_JSON_STRING, info);
	if (rc < 0 || !value)
		return rc;
	text = msp_json_text(value, &len);
	/* it is about to be a file name (fix Q26) */
	if (!msp_guid_valid(text, len))
		return msp_json_fail(value, info, MSP_ERR_SCHEMA,
				     "is not a guid");
	memcpy(status->guid, text, MSP_GUID_LEN);
	status->has_guid = true;
	return 0;
}

static int read_incarnation(struct msp_keystatus *status,
			    const struct msp_json_value *root,
			    struct msp_error_info *info)
{
	const struct msp_json_value *value;
	int rc;

	rc = msp_json_want(&value, root, "keyIncarnationId", MSP_JSON_NUMBER,
			   info);
	if (rc < 0 || !value)
		return rc;
	rc = msp_json_uint32(&status->incarnation, value, info);
	status->has_incarnation = rc == 0;
	return rc;
}

static int read_envelope(struct envelope *e, struct msp_error_info *info)
{
	struct {
		const struct msp_json_value **out;
		const char *name;
		enum msp_json_type type;
		bool required;
	} fields[] = {
		{ &e->scheme, "authorizationScheme", MSP_JSON_STRING, true },
		{ &e->delivery, "keyDeliveryMethod", MSP_JSON_STRING, true },
		{ &e->version, "version", MSP_JSON_STRING, true },
		{ &e->state, "secureChannelState", MSP_JSON_STRING, false },
		{ &e->enabled, "secureChannelEnabled", MSP_JSON_BOOL, false },
		{ &e->rules, "authorizationRules", MSP_JSON_OBJECT, false },
	};
	size_t i;
	int rc = 0;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]) && rc == 0; i++)
		rc = fields[i].required ? msp_json_need(fields[i].out, e->root,
							fields[i].name,
							fields[i].type, info)
					: msp_json_want(fields[i].out, e->root,
							fields[i].name,
							fields[i].type, info);
	return rc;
}

static void lower_quote(char *out, size_t size,
			const struct msp_json_value *value)
{
	const char *text;
	size_t len;

	text = msp_json_text(value, &len);
	msp_info_copy(out, size, text, len);
	for (; *out; out++)
		*out = (char)msp_ascii_lower((unsigned char)*out);
}

/* The fragments of spec 5.3, one after the other; the pointer is the first
 * one's. */
struct faults {
	const struct msp_json_value *root;
	const char *name; /* of the first field at fault, NULL: none yet */
	const struct msp_json_value *value; /* that field, NULL if missing */
	size_t used;
	char text[320];
};

__attribute__((format(printf, 4, 5))) static void
add_fault(struct faults *faults, const char *name,
	  const struct msp_json_value *value, const char *format, ...)
{
	size_t room = sizeof(faults->text) - faults->used;
	va_list args;
	int n;

	if (!faults->name) {
		faults->name = name;
		faults->value = value;
	}
	va_start(args, format);
	n = vsnprintf(faults->text + faults->used, room, format, args);
	va_end(args);
	if (n > 0)
		faults->used += (size_t)n < room ? (size_t)n : room - 1;
}

static int report_faults(const struct faults *faults,
			 struct msp_error_info *info)
{
	static const char what[] =
		"Key error: Key status validation failed with the error: ";

	if (!faults->name)
		return 0;
	if (faults->value)
		return msp_json_fail(faults->value, info, MSP_ERR_SCHEMA,
				     "%s%s", what, faults->text);
	return msp_json_fail_name(faults->root, faults->name, info,
				  MSP_ERR_SCHEMA, "%s%s", what, faults->text);
}

static bool known_state(const char *state)
{
	return strcmp(state, "disabled") == 0 ||
	       strcmp(state, "wireserver") == 0 ||
	       strcmp(state, "wireserverandimds") == 0;
}

/* Of the three texts about missing fields the first implies the others. */
static void check_channel(struct faults *faults, const struct envelope *e)
{
	static const char state[] = "secureChannelState";
	static const char enabled[] = "secureChannelEnabled";
	char version[QUOTE_MAX];
	const char *text;
	size_t len;

	text = msp_json_text(e->version, &len);
	msp_info_copy(version, sizeof(version), text, len);
	if (!e->state && !e->enabled) {
		add_fault(faults, state, NULL,
			  "Both secureChannelEnabled and secureChannelState "
			  "are missing in version: %s",
			  version);
		return;
	}
	if (e->state && !known_state(e->state_text))
		add_fault(faults, state, e->state,
			  "secureChannelState '%s' is invalid; ",
			  e->state_text);
	if (!e->state && msp_json_is(e->version, "1.0"))
		add_fault(faults, state, NULL,
			  "secureChannelState is missing in version: 1.0");
	if (!e->enabled && msp_json_is(e->version, "2.0"))
		add_fault(faults, enabled, NULL,
			  "secureChannelEnabled is missing in version: 2.0");
}

/* A scheme or a delivery we do not know is not ours to use (fix Q27). */
static int check_envelope(const struct envelope *e, struct msp_error_info *info)
{
	struct faults faults = { .root = e->root };
	char quote[QUOTE_MAX];
	const char *text;
	size_t len;

	if (!msp_json_is(e->scheme, SCHEME))
		add_fault(&faults, "authorizationScheme", e->scheme,
			  "authorizationScheme must be '" SCHEME "'; ");
	if (!msp_json_is(e->delivery, "http") &&
	    !msp_json_is(e->delivery, "vtpm")) {
		text = msp_json_text(e->delivery, &len);
		msp_info_copy(quote, sizeof(quote), text, len);
		add_fault(&faults, "keyDeliveryMethod", e->delivery,
			  "keyDeliveryMethod '%s' is invalid; ", quote);
	}
	check_channel(&faults, e);
	return report_faults(&faults, info);
}

/* What can still be read of an item that is refused: to show its id, and to
 * redirect as its mode says. Enforce if that cannot be read either. */
static int salvage(struct item *item, const struct msp_json_value *value)
{
	const struct msp_json_value *field;
	const char *text;
	size_t len;

	item->mode = MSP_MODE_ENFORCE;
	if (msp_json_type(value) != MSP_JSON_OBJECT)
		return 0;
	if (msp_json_need(&field, value, "mode", MSP_JSON_STRING, NULL) == 0) {
		text = msp_json_text(field, &len);
		if (!msp_mode_parse(&item->mode, text, len))
			item->mode = MSP_MODE_ENFORCE;
	}
	if (msp_json_need(&field, value, "id", MSP_JSON_STRING, NULL) < 0)
		return 0;
	text = msp_json_text(field, &len);
	item->id = msp_mem_strndup(text, len);
	return item->id ? 0 : MSP_ERR_NOMEM;
}

static int read_item(struct item *item, const struct msp_json_value *rules,
		     const char *name, struct msp_error_info *info)
{
	struct msp_error_info fault = MSP_ERROR_INFO_INIT;
	const struct msp_json_value *value;
	int rc;

	rc = msp_json_member(&value, rules, name, info);
	if (rc < 0 || !value || msp_json_type(value) == MSP_JSON_NULL)
		return rc;
	item->present = true;
	rc = msp_profile_from_json(&item->profile, value, &fault);
	if (rc == MSP_ERR_NOMEM)
		return no_memory(info);
	if (rc == 0) {
		item->mode = msp_profile_mode(item->profile);
		return 0;
	}
	item->fault = msp_mem_alloc(sizeof(fault));
	if (!item->fault || salvage(item, value) < 0)
		return no_memory(info);
	*item->fault = fault;
	return 0;
}

/* The hostga item is not looked at: HostGAPlugin is governed by WireServer's
 * (spec 5.4, fix Q19), so that nothing in it can fail the document. */
static int read_items(struct msp_keystatus *status, const struct envelope *e,
		      struct msp_error_info *info)
{
	int rc;

	if (!e->rules)
		return 0;
	rc = read_item(&status->wireserver_item, e->rules, "wireserver", info);
	if (rc < 0)
		return rc;
	return read_item(&status->imds_item, e->rules, "imds", info);
}

static enum msp_mode item_mode(const struct item *item)
{
	return item->present ? item->mode : MSP_MODE_DISABLED;
}

/* A disabled channel disables every endpoint, whatever its item says (fix
 * Q28): without a key all we could do is to forward unsigned. */
static void derive_v2(struct msp_keystatus *status, const struct envelope *e)
{
	const char *wireserver, *imds;

	if (!e->enabled || !msp_json_true(e->enabled) || !e->rules)
		return;
	status->enabled = true;
	status->wireserver = item_mode(&status->wireserver_item);
	status->imds = item_mode(&status->imds_item);
	wireserver = msp_mode_name(status->wireserver);
	imds = msp_mode_name(status->imds);
	/* two blanks before IMDS: tools compare this text */
	snprintf(status->channel, sizeof(status->channel),
		 "WireServer %s -  IMDS %s - HostGA %s", wireserver, imds,
		 wireserver);
}

static void derive_v1(struct msp_keystatus *status, const struct envelope *e)
{
	if (!e->state || strcmp(e->state_text, "disabled") == 0)
		return;
	status->enabled = true;
	status->wireserver = MSP_MODE_ENFORCE;
	status->imds = strcmp(e->state_text, "wireserver") == 0
			       ? MSP_MODE_AUDIT
			       : MSP_MODE_ENFORCE;
	snprintf(status->channel, sizeof(status->channel), "%s", e->state_text);
}

static int fill(struct msp_keystatus *status, const struct msp_json_value *root,
		struct msp_error_info *info)
{
	struct envelope e = { .root = root };
	const char *version;
	size_t len;
	int rc;

	rc = read_envelope(&e, info);
	if (rc == 0)
		rc = read_guid(status, root, info);
	if (rc == 0)
		rc = read_incarnation(status, root, info);
	if (rc == 0)
		rc = check_claims(root, info);
	if (rc < 0)
		return rc;
	if (e.state)
		lower_quote(e.state_text, sizeof(e.state_text), e.state);
	rc = check_envelope(&e, info);
	if (rc < 0)
		return rc;
	status->delivery = msp_json_is(e.delivery, "vtpm") ? "vtpm" : "http";
	version = msp_json_text(e.version, &len);
	status->version = msp_mem_strndup(version, len);
	if (!status->version)
		return no_memory(info);
	rc = read_items(status, &e, info);
	if (rc < 0)
		return rc;
	if (msp_json_is(e.version, "2.0"))
		derive_v2(status, &e);
	else
		derive_v1(status, &e);
	return 0;
}

static struct msp_keystatus *new_status(void)
{
	struct msp_keystatus *status;

	status = msp_mem_zalloc(sizeof(*status));
	if (!status)
		return NULL;
	status->wireserver = MSP_MODE_DISABLED;
	status->imds = MSP_MODE_DISABLED;
	snprintf(status->channel, sizeof(status->channel), "disabled");
	return status;
}

int msp_keystatus_parse(struct msp_keystatus **out, const char *json,
			size_t len, struct msp_error_info *info)
{
	static const struct msp_json_limits limits = {
		.bytes = MSP_KEYSTATUS_MAX_BYTES,
		.values = MSP_KEYSTATUS_MAX_BYTES / 8,
		.flags = MSP_JSON_BOM,
	};
	struct msp_keystatus *status = NULL;
	struct msp_json *doc = NULL;
	int rc;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	rc = msp_json_parse(&doc, json, len, &limits, info);
	if (rc < 0)
		return rc;
	status = new_status();
	rc = status ? fill(status, msp_json_root(doc), info) : no_memory(info);
	if (rc < 0)
		goto out;
	*out = status;
	status = NULL;
out:
	msp_keystatus_free(status);
	msp_json_free(doc);
	return rc;
}

static void free_item(struct item *item)
{
	msp_profile_free(item->profile);
	msp_mem_free(item->fault);
	msp_mem_free(item->id);
}

void msp_keystatus_free(struct msp_keystatus *status)
{
	if (!status)
		return;
	free_item(&status->wireserver_item);
	free_item(&status->imds_item);
	msp_mem_free(status->version);
	msp_mem_free(status);
}

const char *msp_keystatus_guid(const struct msp_keystatus *status)
{
	return status->has_guid ? status->guid : NULL;
}

bool msp_keystatus_incarnation(const struct msp_keystatus *status,
			       uint32_t *out)
{
	if (status->has_incarnation)
		*out = status->incarnation;
	return status->has_incarnation;
}

const char *msp_keystatus_delivery(const struct msp_keystatus *status)
{
	return status->delivery;
}

const char *msp_keystatus_version(const struct msp_keystatus *status)
{
	return status->version;
}

bool msp_keystatus_enabled(const struct msp_keystatus *status)
{
	return status->enabled;
}

const char *msp_keystatus_channel(const struct msp_keystatus *status)
{
	return status->channel;
}

/* HostGAPlugin repeats WireServer; a number that is no endpoint has nothing. */
static const struct item *item_of(const struct msp_keystatus *status,
				  enum msp_endpoint endpoint)
{
	switch (endpoint) {
	case MSP_ENDPOINT_WIRESERVER:
	case MSP_ENDPOINT_HOSTGA:
		return &status->wireserver_item;
	case MSP_ENDPOINT_IMDS:
		return &status->imds_item;
	}
	return NULL;
}

enum msp_mode msp_keystatus_mode(const struct msp_keystatus *status,
				 enum msp_endpoint endpoint)
{
	switch (endpoint) {
	case MSP_ENDPOINT_WIRESERVER:
	case MSP_ENDPOINT_HOSTGA:
		return status->wireserver;
	case MSP_ENDPOINT_IMDS:
		return status->imds;
	}
	return MSP_MODE_ENFORCE;
}

const struct msp_profile *
msp_keystatus_profile(const struct msp_keystatus *status,
		      enum msp_endpoint endpoint)
{
	const struct item *item = item_of(status, endpoint);

	return item ? item->profile : NULL;
}

const struct msp_error_info *
msp_keystatus_fault(const struct msp_keystatus *status,
		    enum msp_endpoint endpoint)
{
	const struct item *item = item_of(status, endpoint);

	return item ? item->fault : NULL;
}

const char *msp_keystatus_rule_id(const struct msp_keystatus *status,
				  enum msp_endpoint endpoint)
{
	const struct item *item = item_of(status, endpoint);

	if (!item)
		return "";
	if (item->profile)
		return msp_profile_id(item->profile);
	return item->id ? item->id : "";
}
