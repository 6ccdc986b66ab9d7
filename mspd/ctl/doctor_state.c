/* SPDX-License-Identifier: MIT */
/*
 * In: what the agent says of itself, now and in its status file. Out: what of
 * that is not as it must be. Must never take an old word for a new one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mspd/ctl/doctor.h"

/* Of the status file: others take an older one for a failure, too. */
#define STALE_S	 300
#define SKEW_S	 30
#define SKEWED_S 300

/* ---- the status file ---------------------------------------------------- */

static const char *const modules[] = { "keyLatchStatus", "ebpfProgramStatus",
				       "proxyListenerStatus" };

#define MODULES (sizeof(modules) / sizeof(modules[0]))

/* Unix time of "2026-11-22T11:23:00.694"; 0: it is none. */
static int64_t when(const char *text)
{
	struct tm tm = { 0 };

	return text && strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? timegm(&tm)
								: 0;
}

/* It may run, and yet have failed at what it is there for. */
static bool find_fault(struct ctl_doctor *d, yajl_val status,
		       const char *module)
{
	yajl_val at = ctl_json_get(status, module);
	const char *state = ctl_json_text(at, "status");
	const char *message = ctl_json_text(at, "message");

	state = state ? state : "nothing";
	message = message ? message : "";
	if (!strcmp(state, "RUNNING") && strncmp(message, "Failed", 6) != 0)
		return false;
	ctl_find(d, CTL_ILL, module, ctl_doctor_remedy(d, message), "%s: %s",
		 state, message);
	return true;
}

static void read_status(struct ctl_doctor *d, yajl_val tree)
{
	yajl_val status = ctl_json_get(tree, "proxyAgentStatus");
	const char *word = ctl_json_text(status, "status");
	const char *stamp = ctl_json_text(tree, "timestamp");
	int64_t age = time(NULL) - when(stamp);
	bool success = word && !strcmp(word, "SUCCESS");
	size_t i, faults = 0;

	if (when(stamp) < when(ctl_json_text(d->told, "startedAt"))) {
		ctl_find(d, CTL_DOUBT, "status", "look again in a minute",
			 "status.json is from before the agent's start");
		return;
	}
	for (i = 0; i < MODULES; i++)
		faults += find_fault(d, status, modules[i]);
	if (!word || !stamp)
		ctl_find(d, CTL_ILL, "status", ctl_remedy_restart,
			 "status.json is not the agent's");
	else if (d->live && d->agent && age > STALE_S)
		ctl_find(
			d, CTL_ILL, "status", ctl_remedy_restart,
			"status.json is %lld s old: the agent hangs, or cannot "
			"write it",
			(long long)age);
	else if (!success && !faults)
		ctl_find(d, CTL_ILL, "status", ctl_remedy_restart,
			 "%s, as of %s UTC", word, stamp);
	else if (success)
		ctl_find(d, CTL_WELL, "status", NULL, "%s, as of %s UTC", word,
			 stamp);
}

void ctl_check_status(struct ctl_doctor *d)
{
	struct ctl_text text = { 0 };
	yajl_val tree = NULL;
	char *path = NULL;
	int rc;

	if (asprintf(&path, "%s/status.json", d->config.status_dir) < 0)
		ctl_no_memory();
	rc = ctl_peek(d, &text, path);
	if (rc == 0)
		tree = ctl_json_parse(text.at, text.len);
	if (tree)
		read_status(d, tree);
	else if (rc == 0)
		ctl_find(d, CTL_ILL, "status", ctl_remedy_restart,
			 "%s: not JSON", path);
	else
		ctl_find(d, CTL_DOUBT, "status",
			 rc == -EACCES ? ctl_remedy_root : ctl_remedy_start,
			 "%s: %s", path, strerror(-rc));
	yajl_tree_free(tree);
	ctl_text_free(&text);
	free(path);
}

/* ---- enabled, but not applied ------------------------------------------- */

static bool differs(const char *mode, const char *redirection)
{
	return mode && redirection && strcmp(mode, "disabled") != 0 &&
	       !strcmp(redirection, "off");
}

void ctl_check_protection(struct ctl_doctor *d)
{
	struct ctl_text modes = { 0 };
	bool applied = true;
	unsigned int i;

	for (i = 0; i < MSP_ENDPOINTS; i++) {
		yajl_val at = ctl_told_endpoint(d, (enum msp_endpoint)i);
		const char *mode = ctl_json_text(at, "mode");

		applied &= !differs(mode, ctl_json_text(at, "redirection"));
		if (!mode)
			continue;
		ctl_put(&modes, modes.len ? ", " : "");
		ctl_put(&modes, ctl_endpoint_word((enum msp_endpoint)i));
		ctl_put(&modes, " ");
		ctl_put(&modes, mode);
	}
	if (!applied)
		ctl_find(
			d, CTL_ILL, "protection",
			"it is applied once the agent has a key: see key, host "
			"and status",
			"MSP is enabled but not applied: %s, and nothing is "
			"redirected",
			modes.at);
	else if (modes.len)
		ctl_find(d, CTL_WELL, "protection", NULL, "%s", modes.at);
	else if (d->told)
		ctl_find(d, CTL_DOUBT, "protection",
			 "see host: the agent waits for it",
			 "the host has not said yet what it wants");
	ctl_text_free(&modes);
}

/* ---- the host ----------------------------------------------------------- */

void ctl_check_host(struct ctl_doctor *d)
{
	const char *failure =
		ctl_json_text(ctl_json_get(d->told, "host"), "failure");
	int64_t age;

	if (!d->told)
		return;
	if (failure)
		ctl_find(d, CTL_ILL, "host", ctl_doctor_remedy(d, failure),
			 "%s", failure);
	else if (!ctl_json_number(ctl_json_get(d->told, "host"), "ageSeconds",
				  &age))
		ctl_find(d, CTL_ILL, "host", ctl_remedy_network,
			 "has never answered the agent");
	else if (age > STALE_S && age * 1000 > 4 * (int64_t)d->config.poll_ms)
		ctl_find(d, CTL_ILL, "host", ctl_remedy_network,
			 "last answered the agent %lld s ago", (long long)age);
	else
		ctl_find(d, CTL_WELL, "host", NULL,
			 "answered the agent %lld s ago", (long long)age);
}

void ctl_check_clock(struct ctl_doctor *d)
{
	int64_t ahead, off;

	if (d->host_date)
		ahead = d->host_date - d->host_date_at;
	else if (!ctl_json_number(ctl_json_get(d->told, "host"),
				  "clockSkewSeconds", &ahead))
		return;
	off = ahead < 0 ? -ahead : ahead;
	if (off < SKEW_S)
		ctl_find(d, CTL_WELL, "clock", NULL,
			 "within %lld s of the host's", (long long)off);
	else
		ctl_find(
			d, off < SKEWED_S ? CTL_DOUBT : CTL_ILL, "clock",
			"set the clock and keep it right: chronyc makestep, or "
			"timedatectl set-ntp true",
			"%lld s %s the host's; the agent signs with the host's "
			"time, but certificates, logs and records have this "
			"one",
			(long long)off, ahead > 0 ? "behind" : "ahead of");
}

/* ---- rules and their trail ---------------------------------------------- */

static bool find_rules(struct ctl_doctor *d, enum msp_endpoint endpoint)
{
	yajl_val rules = ctl_json_get(ctl_told_endpoint(d, endpoint), "rules");
	const char *source = ctl_json_text(rules, "source");
	yajl_val texts = ctl_json_get(ctl_json_get(rules, "findings"), "texts");
	int64_t errors = 0, warnings = 0;
	const char *first = "";

	ctl_json_number(ctl_json_get(rules, "findings"), "errors", &errors);
	ctl_json_number(ctl_json_get(rules, "findings"), "warnings", &warnings);
	if (ctl_json_at(texts, 0) && YAJL_IS_STRING(ctl_json_at(texts, 0)))
		first = YAJL_GET_STRING(ctl_json_at(texts, 0));
	if (errors)
		ctl_find(d, CTL_ILL, "rules",
			 "correct the profile; mspctl lint tells all that is "
			 "wrong with it",
			 "those of %s are refused, in force: %s; %s",
			 ctl_endpoint_word(endpoint), source ? source : "none",
			 first);
	else if (warnings)
		ctl_find(d, CTL_DOUBT, "rules", "mspctl lint tells all of it",
			 "%s: %lld warnings; the first: %s",
			 ctl_endpoint_word(endpoint), (long long)warnings,
			 first);
	return errors || warnings;
}

void ctl_check_rules(struct ctl_doctor *d)
{
	unsigned int i, found = 0;

	for (i = 0; i < MSP_ENDPOINTS; i++)
		found += find_rules(d, (enum msp_endpoint)i);
	if (!found && d->told)
		ctl_find(d, CTL_WELL, "rules", NULL,
			 "each endpoint's are valid");
}

void ctl_check_trail(struct ctl_doctor *d)
{
	const char *why =
		ctl_json_text(ctl_json_get(d->told, "audit"), "lastError");

	if (ctl_json_true(ctl_json_get(d->told, "audit"), "failed"))
		ctl_find(
			d, CTL_ILL, "audit",
			"make room in logFolder, and let root write to it; the "
			"agent goes on by itself",
			"the trail cannot be written: %s",
			why ? why : "unknown error");
	else if (d->told)
		ctl_find(d, CTL_WELL, "audit", NULL, "the trail is written");
}
