/* SPDX-License-Identifier: MIT */
/*
 * In: what the host took, refused or names. Out: the files of these keys. Must
 * never remove the key in use or one that the host may yet name, nor let a
 * host fill the disk.
 */
#include <stdio.h>
#include <string.h>

#include "libmsp/info.h"
#include "libmsp/key_priv.h"
#include "libmsp/keystore_priv.h"
#include "libmsp/latch_priv.h"

/* ---- before it is attested --------------------------------------------- */

int msp_latch_store(struct msp_latch *l, struct msp_error_info *info)
{
	l->staged = false;
	if (!l->store)
		return 0;
	return msp_keystore_stage(l->store, l->pending, &l->staged, info);
}

bool msp_latch_in_doubt(struct msp_latch *l, const char *guid)
{
	struct msp_key *key;
	int rc;

	if (!l->store)
		return false;
	rc = msp_keystore_read(l->store, &key, guid, MSP_KEYSTORE_STAGED, NULL);
	if (rc == 0) {
		msp_key_free(l->pending);
		l->pending = key;
		l->staged = true;
		return true;
	}
	/* half of it, and so never sent; one that cannot be read at the moment
	 * may be the one that the host has */
	if (rc != MSP_ERR_NOENT && rc != MSP_ERR_NOMEM && rc != MSP_ERR_SYS)
		(void)msp_keystore_unstage(l->store, guid, NULL);
	return false;
}

/* ---- keys that are of no use any more ---------------------------------- */

static void warn_of_removal(struct msp_latch *l,
			    const struct msp_error_info *info, int rc)
{
	char text[MSP_LATCH_TEXT];

	snprintf(text, sizeof(text),
		 "A key that is of no use any more stays: %s",
		 info->text[0] ? info->text : msp_error_text(rc));
	msp_latch_warn(l, text);
}

/* Not the one we sign with, nor one that the host says it has. */
static void remove_file(struct msp_latch *l, const char *guid)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	const char *named = l->status ? msp_keystatus_guid(l->status) : NULL;
	int rc;

	if (!l->store || (l->key && msp_guid_equal(guid, msp_key_guid(l->key))))
		return;
	if (named && msp_guid_equal(guid, named))
		return;
	rc = msp_keystore_remove(l->store, guid, &info);
	if (rc < 0 && rc != MSP_ERR_NOENT)
		warn_of_removal(l, &info, rc);
}

/* The last one whose answer was lost. The host may name it yet: it stays
 * until another has taken its place, be it in doubt as well. */
static void remove_unsure(struct msp_latch *l)
{
	if (l->unsure[0])
		remove_file(l, l->unsure);
	l->unsure[0] = '\0';
}

void msp_latch_remove_unsure(struct msp_latch *l)
{
	if (l->unsure[0] && msp_guid_equal(l->unsure, msp_key_guid(l->key)))
		l->unsure[0] = '\0';
	remove_unsure(l);
}

/* 408 and 429 put it off, and a 5xx may be of somebody between us. */
static bool is_refusal(int rc, const struct msp_error_info *info)
{
	return rc == MSP_ERR_STATUS && info->http_status >= 400 &&
	       info->http_status < 500 && info->http_status != 408 &&
	       info->http_status != 429;
}

/* The other one of that guid is what the host has, for all we know. */
static void drop_staged(struct msp_latch *l, bool certain)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int rc;

	l->staged = false;
	if (!certain)
		return; /* it is offered again when the host names the guid */
	rc = msp_keystore_unstage(l->store, msp_key_guid(l->pending), &info);
	if (rc < 0)
		warn_of_removal(l, &info, rc);
}

/* A host that never latches must not fill the disk. What was never sent was
 * not taken either. */
void msp_latch_drop_pending(struct msp_latch *l, int rc,
			    const struct msp_error_info *info)
{
	bool certain = l->step != STEP_ATTEST || is_refusal(rc, info);
	const char *guid = msp_key_guid(l->pending);

	if (l->staged) {
		drop_staged(l, certain);
	} else if (!msp_guid_equal(guid, l->unsure)) {
		/* one that is offered again was in doubt before, and stays so
		 */
		if (certain) {
			remove_file(l, guid);
		} else {
			remove_unsure(l);
			memcpy(l->unsure, guid, sizeof(l->unsure));
		}
	}
	msp_key_free(l->pending);
	l->pending = NULL;
}

static void note_replaced(struct msp_latch *l, const char *guid)
{
	if (l->n_replaced == MSP_LATCH_REPLACED) {
		remove_file(l, l->replaced[0]);
		l->n_replaced--;
		memmove(l->replaced[0], l->replaced[1],
			l->n_replaced * sizeof(l->replaced[0]));
	}
	memcpy(l->replaced[l->n_replaced++], guid, sizeof(l->replaced[0]));
}

/* If that fails both are still there, and the host will be asked again. */
static void commit(struct msp_latch *l)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int rc;

	if (!l->staged)
		return;
	l->staged = false;
	rc = msp_keystore_commit(l->store, msp_key_guid(l->pending), &info);
	if (rc < 0)
		msp_latch_warn(l, info.text);
}

/* What it replaces stays until the host names it: it may be slow to do so, and
 * come back to an old one. */
void msp_latch_supersede(struct msp_latch *l)
{
	struct msp_key *key = l->pending;

	commit(l);
	if (l->key && !l->named)
		note_replaced(l, msp_key_guid(l->key));
	if (l->unsure[0] && !msp_guid_equal(l->unsure, msp_key_guid(key)))
		note_replaced(l, l->unsure);
	l->unsure[0] = '\0';
	l->pending = NULL;
	msp_latch_set_key(l, key);
	l->named = false;
	l->fresh = true;
	if (l->store)
		msp_keystore_use(l->store, key);
}

/* Now the host has said it. One that it took and never named it did not keep,
 * whatever the incarnation. */
void msp_latch_settle(struct msp_latch *l)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int rc;

	l->named = true;
	if (!l->fresh)
		return;
	l->fresh = false;
	while (l->n_replaced)
		remove_file(l, l->replaced[--l->n_replaced]);
	rc = l->store ? msp_keystore_prune(l->store, l->key, &info) : 0;
	if (rc < 0)
		warn_of_removal(l, &info, rc);
}
