/* SPDX-License-Identifier: MIT */
/*
 * In:  who a VM is.
 * Out: its other ids: always the same ones.
 * Never: a secret: whoever knows the vmId knows them all.
 */
#include "data/names.h"

#include <arpa/inet.h>
#include <string.h>

#define USER_IDENTITY "msp-host-identity"

/* Not a secret seed: it only spreads one id into many. */
static const struct random spread = { .seeded = true };

bool names_guid(const struct vm *vm, const char *purpose, uint64_t nth,
		char out[RANDOM_GUID_SIZE])
{
	return random_guid(&spread, vm->who.id, purpose, nth, out);
}

bool names_mac(const struct vm *vm, char out[NAMES_MAC_SIZE])
{
	/* a prefix that belongs to Microsoft */
	unsigned char mac[6] = { 0x00, 0x22, 0x48 };

	if (!random_draw(&spread, vm->who.id, "mac", 0, mac + 3, 3))
		return false;
	text_hex(out, mac, sizeof(mac), true);
	return true;
}

struct in_addr names_address(struct in_addr source)
{
	struct in_addr first = { .s_addr = htonl(0x0a000004) }; /* 10.0.0.4 */

	return ntohl(source.s_addr) >> 24 == IN_LOOPBACKNET ? first : source;
}

bool names_tenant(const struct vm *vm, char out[RANDOM_GUID_SIZE])
{
	return random_guid(&spread, vm->who.subscription, "tenant", 0, out);
}

void names_resource(const struct vm *vm, struct buf *out)
{
	buf_format(out,
		   "/subscriptions/%s/resourceGroups/%s/providers/"
		   "Microsoft.Compute/virtualMachines/%s",
		   vm->who.subscription, vm->who.group, vm->who.name);
}

static bool make(struct identity *out, const char *owner)
{
	if (!out->resource.failed &&
	    random_guid(&spread, owner, "client", 0, out->client) &&
	    random_guid(&spread, owner, "object", 0, out->object))
		return true;
	names_identity_clear(out);
	return false;
}

bool names_system_identity(const struct vm *vm, struct identity *out)
{
	memset(out, 0, sizeof(*out));
	names_resource(vm, &out->resource);
	return make(out, vm->who.id);
}

bool names_user_identity(const struct vm *vm, struct identity *out)
{
	memset(out, 0, sizeof(*out));
	buf_format(&out->resource,
		   "/subscriptions/%s/resourcegroups/%s/providers/"
		   "Microsoft.ManagedIdentity/"
		   "userAssignedIdentities/" USER_IDENTITY,
		   vm->who.subscription, vm->who.group);
	return make(out, out->resource.failed ? "" : out->resource.data);
}

void names_identity_clear(struct identity *identity)
{
	buf_clear(&identity->resource);
}
