/* SPDX-License-Identifier: MIT */
/*
 * In: the host's items, and the files beside the keys. Out: the items in
 * force (spec 8.5). Must never open what a file was to close: one that cannot
 * be used denies everything (fail closed).
 */
#include "mspd/localrules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/file.h"
#include "mspd/localrules_file.h"
#include "mspd/log.h"

/* A file that was written this shortly before it was read may be written
 * again without its times being others. */
#define SETTLE_S 2
/* Tasks of the events. */
#define STATE_CHANGED	"LocalFileRulesStateChanged"
#define METADATA_FAILED "LocalRulesFileMetadataReadFailed"
#define PARSE_SUCCESS	"LocalRulesFileParseSuccess"
#define PARSE_FAILED	"LocalRulesFileParseFailed"
/* Findings of one file that are logged. */
#define FINDINGS_MAX 16

enum { WIRESERVER, IMDS, TARGETS };

static const struct {
	const char *name; /* as in the events */
	const char *file;
} targets[TARGETS] = {
	{ "WireServer", "WireServer_Rules.json" },
	{ "IMDS", "IMDS_Rules.json" },
};

struct target {
	const char *name; /* constant */
	const char *file; /* constant */
	bool on;	  /* the host asks for the file */
	enum mspd_localfile_state state;
	struct stat st;		   /* FOUND: of what was looked at last */
	bool stale;		   /* to be read again, whatever st says */
	bool unsettled;		   /* the same, without a word */
	unsigned int attempts;	   /* made of a read that goes on, else 0 */
	uint64_t next_at;	   /* of the next look, boot_ms */
	struct msp_profile *host;  /* what it was last merged with, owned */
	struct msp_profile *local; /* the file's, owned; NULL: none */
	char fault[MSPD_LOCALFILE_WHY + 256]; /* "" unless it is closed */
};

struct mspd_localrules {
	char *dir; /* owned */
	uint32_t check_ms;
	struct target targets[TARGETS];
};

/* ---- making it --------------------------------------------------------- */

/* "rules" in the directory that key_dir is in. */
static char *find_dir(const char *key_dir)
{
	static const char name[] = "rules";
	size_t len = strlen(key_dir);
	char *out;

	while (len > 1 && key_dir[len - 1] == '/')
		len--;
	while (len > 0 && key_dir[len - 1] != '/')
		len--;
	out = malloc(len + sizeof(name));
	if (!out)
		return NULL;
	memcpy(out, key_dir, len);
	memcpy(out + len, name, sizeof(name));
	return out;
}

int mspd_localrules_open(struct mspd_localrules **out, const char *key_dir,
			 uint32_t check_ms)
{
	struct mspd_localrules *local = calloc(1, sizeof(*local));
	size_t i;
	int rc;

	*out = NULL;
	if (!local)
		return -ENOMEM;
	local->dir = find_dir(key_dir);
	if (!local->dir) {
		free(local);
		return -ENOMEM;
	}
	local->check_ms = check_ms;
	for (i = 0; i < TARGETS; i++) {
		local->targets[i].name = targets[i].name;
		local->targets[i].file = targets[i].file;
	}
	rc = mspd_dir_make(local->dir, 0700);
	if (rc < 0)
		mspd_log(MSPD_ERROR, "cannot make the directory %s: %s",
			 local->dir, strerror(-rc));
	*out = local;
	return 0;
}

/* Of a file that does not count any more nothing is known. */
static void forget(struct target *t)
{
	msp_profile_free(t->host);
	msp_profile_free(t->local);
	t->host = NULL;
	t->local = NULL;
	t->state = MSPD_LOCALFILE_UNKNOWN;
	t->attempts = 0;
	t->fault[0] = '\0';
}

void mspd_localrules_free(struct mspd_localrules *local)
{
	size_t i;

	if (!local)
		return;
	for (i = 0; i < TARGETS; i++)
		forget(&local->targets[i]);
	free(local->dir);
	free(local);
}

/* ---- events (spec 8.5) ------------------------------------------------- */

static void note_switch(struct target *t, bool on)
{
	if (t->on == on)
		return;
	t->on = on;
	mspd_log_event(MSPD_WARN, STATE_CHANGED, t->name,
		       "%s local file rules %s.", t->name,
		       on ? "enabled" : "disabled");
}

static void note_state(const struct mspd_localrules *local,
		       const struct target *t, const struct mspd_localfile *now)
{
	const char *what = NULL;

	if (now->state == MSPD_LOCALFILE_FAILED) {
		if (t->state != now->state)
			mspd_log_event(
				MSPD_ERROR, STATE_CHANGED, t->name,
				"%s local rules file metadata read failed at "
				"%s/%s: %s",
				t->name, local->dir, t->file, now->why);
		return;
	}
	if (now->state == MSPD_LOCALFILE_MISSING)
		what = t->state == now->state ? NULL : "deleted or not found";
	else if (t->state != now->state)
		what = "found";
	else if (!mspd_localfile_same(&t->st, &now->st))
		what = "changed";
	if (what)
		mspd_log_event(MSPD_WARN, STATE_CHANGED, t->name,
			       "%s local rules file %s at %s/%s.", t->name,
			       what, local->dir, t->file);
}

static void note_parsed(const struct mspd_localrules *local,
			const struct target *t,
			const struct msp_profile *profile)
{
	const char *id = msp_profile_id(profile);

	mspd_log_event(
		MSPD_INFO, PARSE_SUCCESS, t->name,
		"Successfully parsed %s local rules file %s/%s with id '%s' "
		"on attempt %u.",
		t->name, local->dir, t->file, *id ? id : "unknown",
		t->attempts + 1);
}

/* All that is wrong with it at once, not one fault after the other. */
static void note_findings(const struct target *t,
			  const struct msp_findings *findings)
{
	const struct msp_finding *f;
	size_t i;

	for (i = 0; i < FINDINGS_MAX; i++) {
		f = msp_findings_get(findings, i);
		if (!f)
			return;
		mspd_log(MSPD_WARN, "%s: line %u column %u: %s%s%s", t->file,
			 f->line, f->column, f->pointer,
			 f->pointer[0] ? ": " : "", f->text);
	}
	if (msp_findings_get(findings, i))
		mspd_log(MSPD_WARN, "%s: more remarks are left out", t->file);
}

/* ---- the state of a file ----------------------------------------------- */

static void take_local(struct target *t, struct msp_profile *profile)
{
	msp_profile_free(t->local);
	t->local = profile;
	t->stale = false;
	t->unsettled = false;
	t->attempts = 0;
	t->fault[0] = '\0';
}

/* Said again at every look for as long as it lasts. */
static void close_target(const struct mspd_localrules *local, struct target *t,
			 const char *why, bool metadata)
{
	take_local(t, NULL);
	snprintf(t->fault, sizeof(t->fault),
		 "Failed to %s %s local rules file %s%s/%s: %s. %s.",
		 metadata ? "read" : "parse", t->name,
		 metadata ? "metadata " : "", local->dir, t->file, why,
		 metadata ? "Treat it as parse failure and apply fail-closed "
			    "rules"
			  : "Apply fail-closed rules");
	mspd_log_event(MSPD_ERROR, metadata ? METADATA_FAILED : PARSE_FAILED,
		       t->name, "%s", t->fault);
}

/* -EAGAIN: not the last attempt yet. */
static int note_failure(const struct mspd_localrules *local, struct target *t,
			const struct mspd_localfile *file, bool retry,
			const struct msp_findings *findings, uint64_t now_ms)
{
	bool known = t->fault[0];

	if (retry && ++t->attempts < MSPD_LOCALRULES_ATTEMPTS) {
		t->next_at = now_ms + MSPD_LOCALRULES_RETRY_MS;
		return -EAGAIN;
	}
	if (!known || t->stale)
		note_findings(t, findings);
	close_target(local, t, file->why, false);
	return 0;
}

static int read_target(const struct mspd_localrules *local, struct target *t,
		       struct mspd_localfile *file, struct msp_time now)
{
	bool quiet = t->local && !t->stale && !t->fault[0];
	struct msp_findings *findings = NULL;
	struct msp_profile *profile = NULL;
	bool retry = true;
	int rc = -EINVAL;

	if (!file->why[0])
		rc = mspd_localfile_read(&profile, file, &retry, &findings);
	if (rc == -EINVAL)
		rc = note_failure(local, t, file, retry, findings, now.boot_ms);
	if (!profile)
		goto out;
	if (!quiet) {
		note_parsed(local, t, profile);
		note_findings(t, findings);
	}
	take_local(t, profile);
	t->unsettled = file->st.st_ctim.tv_sec + SETTLE_S > now.wall_s;
out:
	msp_findings_free(findings);
	return rc;
}

static int look_again(const struct mspd_localrules *local, struct target *t,
		      struct msp_time now)
{
	struct mspd_localfile file;
	int rc = 0;

	mspd_localfile_look(&file, local->dir, t->file);
	note_state(local, t, &file);
	if (file.state == MSPD_LOCALFILE_FOUND &&
	    (t->state != file.state || !mspd_localfile_same(&t->st, &file.st)))
		t->stale = true;
	t->state = file.state;
	t->st = file.st;
	if (file.state == MSPD_LOCALFILE_MISSING)
		take_local(t, NULL);
	else if (file.state == MSPD_LOCALFILE_FAILED)
		close_target(local, t, file.why, true);
	else if (t->stale || t->unsettled || t->fault[0])
		rc = read_target(local, t, &file, now);
	mspd_localfile_close(&file);
	return rc;
}

/* ---- the item in force ------------------------------------------------- */

static int code(int rc)
{
	return rc < 0 ? -ENOMEM : 0;
}

static int merge(const struct mspd_localrules *local, struct target *t,
		 struct msp_profile **out)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int rc;

	if (!t->fault[0]) {
		rc = msp_profile_merge(out, t->host, t->local, &info);
		if (rc == 0 || rc == MSP_ERR_NOMEM)
			return code(rc);
		close_target(local, t, info.text, false);
	}
	return code(msp_profile_closed(out, t->host));
}

static void take_host(struct target *t, const struct msp_profile *host)
{
	if (msp_profile_equal(t->host, host))
		return;
	msp_profile_free(t->host);
	t->host = msp_profile_ref(host);
	t->stale = true;
}

static size_t target_of(enum msp_endpoint endpoint)
{
	return endpoint == MSP_ENDPOINT_IMDS ? IMDS : WIRESERVER;
}

int mspd_localrules_take(struct mspd_localrules *local,
			 enum msp_endpoint endpoint,
			 const struct msp_profile *host, struct msp_time now,
			 struct msp_profile **out)
{
	struct target *t = local ? &local->targets[target_of(endpoint)] : NULL;
	bool on = false;
	int rc;

	*out = NULL;
	if (host && msp_profile_uses_local(&on, host) < 0)
		return -ENOMEM;
	if (t)
		note_switch(t, on);
	if (t && !on)
		forget(t);
	if (!t || !on)
		return host ? code(msp_profile_merge(out, host, NULL, NULL))
			    : 0;
	take_host(t, host);
	if (t->attempts && now.boot_ms < t->next_at)
		return -EAGAIN;
	t->next_at = now.boot_ms + local->check_ms;
	rc = look_again(local, t, now);
	return rc < 0 ? rc : merge(local, t, out);
}

uint64_t mspd_localrules_deadline(const struct mspd_localrules *local)
{
	uint64_t earliest = UINT64_MAX;
	size_t i;

	for (i = 0; local && i < TARGETS; i++)
		if (local->targets[i].on &&
		    local->targets[i].next_at < earliest)
			earliest = local->targets[i].next_at;
	return earliest;
}

const char *mspd_localrules_fault(const struct mspd_localrules *local,
				  enum msp_endpoint endpoint)
{
	return local ? local->targets[target_of(endpoint)].fault : "";
}
