/* SPDX-License-Identifier: MIT */
/*
 * In: a request, a latch. Out: it is on its way with the headers that the host
 * expects of its agent, signed. Must never let a request go unsigned that the
 * host wants signed.
 */
#include <msp/latch.h>

#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/info.h"
#include "libmsp/latch_priv.h"
#include "libmsp/opts.h"

#define ADDED 3 /* headers */

static struct msp_header header(const char *name, const char *value)
{
	struct msp_header h = { name, strlen(name), value, strlen(value) };

	return h;
}

static bool has(const struct msp_message *m, const char *name)
{
	size_t i;

	for (i = 0; i < m->n_headers; i++) {
		const struct msp_header *h = &m->headers[i];

		if (h->name &&
		    msp_ascii_equal(h->name, h->name_len, name, strlen(name)))
			return true;
	}
	return false;
}

static int check(const struct msp_message *m, struct msp_error_info *info)
{
	if (m->n_headers && !m->headers)
		return msp_fail(info, MSP_ERR_INVAL,
				"the request is not complete");
	if (m->n_headers > MSP_MAX_HEADERS - ADDED)
		return msp_fail(info, MSP_ERR_LIMIT, "too many headers");
	if (has(m, "metadata") || has(m, MSP_HEADER_CLAIMS) ||
	    has(m, MSP_HEADER_DATE))
		return msp_fail(info, MSP_ERR_INVAL,
				"a header is given that is added");
	return 0;
}

/* The signer that goes with the latch's state; NULL: unsigned. */
static int make_signer(struct msp_signer **out, const struct msp_latch *latch,
		       struct msp_error_info *info)
{
	struct msp_key *key = msp_latch_key(latch);
	int rc;

	*out = NULL;
	if (!latch)
		return 0;
	if (key) {
		rc = msp_signer_new(out, key);
		return rc < 0 ? msp_fail(info, rc, "%s", msp_error_text(rc))
			      : 0;
	}
	if (msp_latch_state(latch) != MSP_LATCH_DISABLED)
		return msp_fail(info, MSP_ERR_STATE,
				"there is no key to sign with");
	return 0;
}

int msp_latch_put(const struct msp_latch *latch, struct msp_client *client,
		  struct msp_time now, const struct msp_message *message,
		  struct msp_error_info *info)
{
	struct msp_header headers[MSP_MAX_HEADERS];
	struct msp_signer *signer;
	char date[MSP_DATE_SIZE];
	struct msp_message m = *message;
	int rc;

	rc = check(message, info);
	if (rc == 0)
		rc = make_signer(&signer, latch, info);
	if (rc < 0)
		return rc;

	m.size = sizeof(m); /* a longer one ends where ours does */
	if (m.n_headers)
		memcpy(headers, m.headers, m.n_headers * sizeof(headers[0]));
	msp_latch_date(latch, now, date);
	headers[m.n_headers++] = header("metadata", "True");
	headers[m.n_headers++] = header(MSP_HEADER_CLAIMS, MSP_CLAIMS_ROOT);
	headers[m.n_headers++] = header(MSP_HEADER_DATE, date);
	m.headers = headers;
	rc = msp_client_send(client, now, &m, m.body_len, signer, info);
	msp_signer_free(signer);
	return rc;
}

int msp_latch_send(const struct msp_latch *latch, struct msp_client *client,
		   struct msp_time now, const struct msp_message *message,
		   struct msp_error_info *info)
{
	if (!latch || !client || !message ||
	    !msp_opts_ok(message, message->size, sizeof(*message)))
		return MSP_ERR_INVAL;
	return msp_latch_put(latch, client, now, message, info);
}
