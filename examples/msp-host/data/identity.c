/* SPDX-License-Identifier: MIT */
/*
 * In:  the resource a token is for, and the identity it is to speak for.
 * Out: a token, signed by a throw-away key.
 * Never: a token for an identity the VM does not have.
 */
#include "data/authority.h"
#include "data/imds.h"
#include "data/names.h"
#include "net/route.h"

#include <string.h>

#define TOKEN_SECONDS 86400
#define SINCE	      "2018-02-01"

/**
 * struct wanted - what a token is asked for
 * @resource: audience
 * @identity: whom it speaks for
 * @system:   the one of this VM alone
 */
struct wanted {
	struct buf resource;
	struct identity identity;
	bool system;
};

/* How a caller may name an identity: by one id of it. */
static const char *const selectors[] = { "client_id", "object_id", "msi_res_id",
					 "mi_res_id" };
#define N_SELECTORS (sizeof(selectors) / sizeof(selectors[0]))

static bool is_named(const struct identity *identity, size_t selector,
		     const struct buf *id)
{
	const char *const ids[N_SELECTORS] = {
		identity->client,
		identity->object,
		identity->resource.data,
		identity->resource.data,
	};

	return text_equal_nocase(id->data, id->len, ids[selector]);
}

/* The number of selectors given; the value of the last one. */
static size_t read_selector(const struct call *call, size_t *which,
			    struct buf *id)
{
	size_t i, n = 0;

	for (i = 0; i < N_SELECTORS; i++) {
		struct buf value = { 0 };

		if (!text_query(call->query, selectors[i], &value))
			continue;
		n++;
		*which = i;
		buf_clear(id);
		*id = value;
	}
	return n;
}

/* The VM's own identity unless another one is named. False: it has no such
 * identity, or memory is short. */
static bool choose(const struct vm *vm, struct wanted *wanted, bool named,
		   size_t which, const struct buf *id)
{
	wanted->system = true;
	if (!names_system_identity(vm, &wanted->identity))
		return false;
	/* its resource is the VM; as an identity it has no ARM id */
	if (!named || (which < 2 && is_named(&wanted->identity, which, id)))
		return true;
	names_identity_clear(&wanted->identity);
	wanted->system = false;
	return names_user_identity(vm, &wanted->identity) &&
	       is_named(&wanted->identity, which, id);
}

/* False and answered if it cannot be had. */
static bool read_wanted(struct call *call, struct wanted *wanted)
{
	struct buf id = { 0 };
	size_t which = 0, n;
	bool ok = false;

	n = read_selector(call, &which, &id);
	if (!text_query(call->query, "resource", &wanted->resource) ||
	    !wanted->resource.len)
		imds_error(call, 400,
			   "Required query variable 'resource' is missing");
	else if (n > 1)
		imds_error(call, 400,
			   "Only one of client_id, object_id and msi_res_id "
			   "may be "
			   "given");
	else if (!choose(call->vm, wanted, n, which, &id))
		imds_error(call, 400, "Identity not found");
	else
		ok = true;
	buf_clear(&id);
	return ok;
}

static bool add_claims(struct buf *out, const struct call *call,
		       const struct wanted *wanted)
{
	char tenant[RANDOM_GUID_SIZE];
	long long now = call->now;

	if (!names_tenant(call->vm, tenant))
		return false;
	buf_text(out, "{\"aud\":");
	buf_json(out, wanted->resource.data, wanted->resource.len);
	buf_format(out,
		   ",\"iss\":\"https://sts.windows.net/%s/\",\"iat\":%lld,"
		   "\"nbf\":%lld,\"exp\":%lld,\"appid\":\"%s\","
		   "\"appidacr\":\"2\",\"idp\":\"https://sts.windows.net/%s/\","
		   "\"idtyp\":\"app\",\"oid\":\"%s\",\"sub\":\"%s\","
		   "\"tid\":\"%s\",\"ver\":\"1.0\",\"xms_mirid\":",
		   tenant, now, now, now + TOKEN_SECONDS,
		   wanted->identity.client, tenant, wanted->identity.object,
		   wanted->identity.object, tenant);
	buf_json(out, wanted->identity.resource.data,
		 wanted->identity.resource.len);
	buf_text(out, "}");
	return !out->failed;
}

static bool add_token(struct call *call, const struct wanted *wanted)
{
	struct buf *body = &call->reply.body;
	struct buf claims = { 0 };
	long long now = call->now;
	bool ok;

	buf_text(body, "{\"access_token\":\"");
	ok = add_claims(&claims, call, wanted) &&
	     authority_token(call->emu, &claims, body);
	buf_clear(&claims);
	buf_format(body,
		   "\",\"client_id\":\"%s\",\"expires_in\":\"%d\","
		   "\"expires_on\":\"%lld\",\"ext_expires_in\":\"%d\","
		   "\"not_before\":\"%lld\",\"resource\":",
		   wanted->identity.client, TOKEN_SECONDS, now + TOKEN_SECONDS,
		   TOKEN_SECONDS, now);
	buf_json(body, wanted->resource.data, wanted->resource.len);
	buf_text(body, ",\"token_type\":\"Bearer\"}");
	return ok;
}

void token_call(struct call *call)
{
	struct wanted wanted = { 0 };
	char version[IMDS_VERSION_SIZE];

	if (!imds_version(call, SINCE, version))
		return;
	if (read_wanted(call, &wanted)) {
		call->reply.status = 200;
		call->reply.type = JSON_TYPE;
		if (!add_token(call, &wanted))
			imds_error(call, 500, "The token could not be signed");
	}
	buf_clear(&wanted.resource);
	names_identity_clear(&wanted.identity);
}

void info_call(struct call *call)
{
	char version[IMDS_VERSION_SIZE];
	char tenant[RANDOM_GUID_SIZE];

	if (!imds_version(call, SINCE, version))
		return;
	if (!names_tenant(call->vm, tenant)) {
		imds_error(call, 500, "out of memory");
		return;
	}
	call->reply.status = 200;
	call->reply.type = JSON_TYPE;
	buf_format(&call->reply.body, "{\"tenantId\":\"%s\"}", tenant);
}

static void add_identity(struct buf *out, const char *name,
			 const struct identity *identity)
{
	buf_format(out, "\"%s\":{\"clientId\":\"%s\",\"objectId\":\"%s\",",
		   name, identity->client, identity->object);
	buf_text(out, "\"resourceId\":");
	buf_json(out, identity->resource.data, identity->resource.len);
	buf_text(out, "}");
}

/* What a test must know to ask for the right one. */
void identities_call(struct call *call)
{
	struct buf *body = &call->reply.body;
	struct identity system = { 0 }, user = { 0 };
	char tenant[RANDOM_GUID_SIZE];

	call->reply.status = 200;
	call->reply.type = JSON_TYPE;
	if (names_tenant(call->vm, tenant) &&
	    names_system_identity(call->vm, &system) &&
	    names_user_identity(call->vm, &user)) {
		buf_format(body, "{\"tenantId\":\"%s\",", tenant);
		add_identity(body, "system", &system);
		buf_text(body, ",");
		add_identity(body, "user", &user);
		buf_text(body, "}");
	} else {
		call_error(call, 500, "memory", "out of memory");
	}
	names_identity_clear(&system);
	names_identity_clear(&user);
}

void jwks_call(struct call *call)
{
	call->reply.status = 200;
	call->reply.type = JSON_TYPE;
	if (!authority_keys(call->emu, &call->reply.body))
		call_error(call, 500, "key", "the key could not be made");
}
