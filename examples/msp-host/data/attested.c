/* SPDX-License-Identifier: MIT */
/*
 * In:  a nonce or none.
 * Out: some facts about the VM, signed.
 * Never: signs what the caller made up, but for ten digits.
 */
#include "data/authority.h"
#include "data/imds.h"
#include "data/model.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SINCE	     "2018-10-01"
#define NONCE_DIGITS 10
#define VALID_S	     (6 * 3600)
#define STAMP_SIZE   32

/* As the document has it: "11/30/20 21:19:19 -0000" */
static bool stamp(char out[STAMP_SIZE], int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	int n;

	if (!gmtime_r(&t, &tm))
		return false;
	n = snprintf(out, STAMP_SIZE, "%02d/%02d/%02d %02d:%02d:%02d -0000",
		     tm.tm_mon + 1, tm.tm_mday, tm.tm_year % 100, tm.tm_hour,
		     tm.tm_min, tm.tm_sec);
	return n > 0 && n < STAMP_SIZE;
}

/* Instead of one from the caller: "20201130-211924" */
static bool make_nonce(char out[STAMP_SIZE], int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	/* digits only: the same in every locale */
	return gmtime_r(&t, &tm) &&
	       strftime(out, STAMP_SIZE, "%Y%m%d-%H%M%S", &tm);
}

/* False and answered if it is none. */
static bool read_nonce(struct call *call, char out[STAMP_SIZE])
{
	struct buf nonce = { 0 };
	uint64_t n;
	bool ok;

	if (!text_query(call->query, "nonce", &nonce)) {
		buf_clear(&nonce);
		return make_nonce(out, call->now);
	}
	ok = nonce.len == NONCE_DIGITS && text_uint(nonce.data, nonce.len, &n);
	if (ok)
		memcpy(out, nonce.data, NONCE_DIGITS + 1);
	else
		imds_error(call, 400, "The nonce must have 10 digits");
	buf_clear(&nonce);
	return ok;
}

static bool write_facts(struct buf *out, const struct call *call,
			const char *version, const char *nonce)
{
	const struct vm_name *who = &call->vm->who;
	char created[STAMP_SIZE], expires[STAMP_SIZE];
	struct model model;

	if (!stamp(created, call->now) || !stamp(expires, call->now + VALID_S))
		return false;
	buf_format(out,
		   "{\"nonce\":\"%s\",\"plan\":{\"name\":\"\","
		   "\"product\":\"\",\"publisher\":\"\"},"
		   "\"timeStamp\":{\"createdOn\":\"%s\",\"expiresOn\":\"%s\"},"
		   "\"vmId\":\"%s\"",
		   nonce, created, expires, who->id);
	model_of(call->vm, &model);
	if (strcmp(version, "2019-04-30") >= 0) {
		buf_text(out, ",\"subscriptionId\":");
		buf_json_utf8(out, who->subscription);
	}
	if (strcmp(version, "2019-11-01") >= 0) {
		buf_text(out, ",\"sku\":");
		buf_json_utf8(out, model.sku);
	}
	if (strcmp(version, "2020-09-01") >= 0 && *model.license) {
		buf_text(out, ",\"licenseType\":");
		buf_json_utf8(out, model.license);
	}
	model_clear(&model);
	buf_text(out, "}");
	return !out->failed;
}

void attested_call(struct call *call)
{
	struct buf *body = &call->reply.body;
	struct buf facts = { 0 }, der = { 0 };
	char version[IMDS_VERSION_SIZE];
	char nonce[STAMP_SIZE];

	if (!imds_version(call, SINCE, version) || !read_nonce(call, nonce))
		return;
	if (write_facts(&facts, call, version, nonce) &&
	    authority_document(call->emu, &facts, &der)) {
		call->reply.status = 200;
		call->reply.type = JSON_TYPE;
		buf_text(body, "{\"encoding\":\"pkcs7\",\"signature\":\"");
		buf_base64(body, der.data, der.len);
		buf_text(body, "\"}");
	} else {
		imds_error(call, 500, "Internal server error");
	}
	buf_clear(&facts);
	buf_clear(&der);
}
