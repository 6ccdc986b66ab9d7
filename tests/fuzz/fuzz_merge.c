/* SPDX-License-Identifier: MIT */
/*
 * In: up to the first NUL what the host's id decodes to, up to the second the
 * host's item, then a local file. Out: nothing; aborts when what is in force
 * is not what the two say. Must never keep anything from one input to the
 * next.
 */
#include <stdlib.h>
#include <string.h>

#include <msp/rules.h>
#include <msp/text.h>

#include "libmsp/profile_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

/* Standard base64, NUL-terminated; free() it. */
static char *encode(const uint8_t *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
				     "pqrstuvwxyz0123456789+/";
	char *text = malloc(len / 3 * 4 + 5), *out = text;
	size_t i;

	must(text);
	for (i = 0; i < len; i += 3) {
		uint32_t b = (uint32_t)data[i] << 16;

		if (i + 1 < len)
			b |= (uint32_t)data[i + 1] << 8;
		if (i + 2 < len)
			b |= data[i + 2];
		*out++ = digits[b >> 18];
		*out++ = digits[b >> 12 & 63];
		*out++ = i + 1 < len ? digits[b >> 6 & 63] : '=';
		*out++ = i + 2 < len ? digits[b & 63] : '=';
	}
	*out = '\0';
	return text;
}

static struct msp_profile *read_profile(const char *text, size_t len,
					enum msp_profile_form form)
{
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;
	struct msp_profile *p;

	opts.form = form;
	if (msp_profile_read(&p, NULL, text, len, &opts, NULL) < 0)
		must(!p);
	return p;
}

/* It compiles, and both can be written. */
static void check_usable(const struct msp_profile *p)
{
	struct msp_profile *again;
	struct msp_rules *rules;
	char *text;
	size_t len;
	int rc;

	must(msp_profile_write(&text, &len, p, NULL, NULL) == 0);
	again = read_profile(text, len, MSP_PROFILE_WIRE);
	must(again ? msp_profile_equal(p, again) : len > MSP_PROFILE_MAX_BYTES);
	msp_text_free(text);
	msp_profile_free(again);
	must(msp_rules_compile(&rules, p, 1) == 0);
	rc = msp_rules_write(&text, &len, rules);
	must(rc == 0 ? strlen(text) == len : rc == MSP_ERR_LIMIT);
	msp_text_free(text);
	msp_rules_free(rules);
}

static void check_sum(const struct msp_profile *out,
		      const struct msp_profile *host,
		      const struct msp_profile *local)
{
	must(out->mode == host->mode);
	must(out->access == (local->has_access ? local->access : host->access));
	must(out->n_privileges == host->n_privileges + local->n_privileges);
	must(out->n_roles == host->n_roles + local->n_roles);
	must(out->n_identities == host->n_identities + local->n_identities);
	must(out->n_assignments == host->n_assignments + local->n_assignments);
}

static void check_merge(const struct msp_profile *host,
			const struct msp_profile *local)
{
	struct msp_profile *alone, *both, *closed;
	bool use;
	int rc;

	must(msp_profile_uses_local(&use, host) == 0);
	must(msp_profile_merge(&alone, host, NULL, NULL) == 0);
	rc = msp_profile_merge(&both, host, local, NULL);
	must(rc == 0 || (use && (rc == MSP_ERR_SCHEMA || rc == MSP_ERR_LIMIT)));
	must(msp_profile_closed(&closed, host) == 0);
	must(closed->access == MSP_ACCESS_DENY && !closed->n_privileges &&
	     closed->mode == host->mode);
	must(strcmp(msp_profile_id(closed), msp_profile_id(alone)) == 0);
	if (!use)
		must(msp_profile_equal(alone, both));
	else if (both)
		check_sum(both, host, local);
	check_usable(both ? both : alone);
	check_usable(closed);
	msp_profile_free(alone);
	msp_profile_free(both);
	msp_profile_free(closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *item, *file, *end = data + size;
	struct msp_profile *host, *local;
	struct msp_text kept;
	char *id;

	item = memchr(data, '\0', size);
	file = item ? memchr(item + 1, '\0', (size_t)(end - item) - 1) : NULL;
	if (!file)
		return 0;
	host = read_profile((const char *)item + 1, (size_t)(file - item) - 1,
			    MSP_PROFILE_WIRE);
	local = read_profile((const char *)file + 1, (size_t)(end - file) - 1,
			     MSP_PROFILE_LOCAL);
	if (host && local) {
		check_merge(host, local);
		kept = host->id;
		id = encode(data, (size_t)(item - data));
		host->id.text = id;
		host->id.len = strlen(id);
		check_merge(host, local);
		host->id = kept;
		free(id);
	}
	msp_profile_free(host);
	msp_profile_free(local);
	return 0;
}
