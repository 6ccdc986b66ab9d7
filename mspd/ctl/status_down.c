/* SPDX-License-Identifier: MIT */
/*
 * In: what the files of an agent tell. Out: that, and when it was so. Must
 * never make it look as if it were so now.
 */
#include <string.h>

#include "mspd/ctl/audit.h"
#include "mspd/ctl/status.h"

static yajl_val agent_of(const struct ctl_known *k)
{
	return ctl_json_get(k->document, "proxyAgentStatus");
}

static yajl_val key_states(const struct ctl_known *k)
{
	return ctl_json_get(ctl_json_get(agent_of(k), "keyLatchStatus"),
			    "states");
}

static const char *const rule_ids[] = { "wireServerRuleId", "imdsRuleId",
					"hostGARuleId" };
static const char *const endpoints[] = { "wireserver", "imds", "hostga" };

#define ENDPOINTS (sizeof(endpoints) / sizeof(endpoints[0]))

/* ---- for people -------------------------------------------------------- */

static void begin(struct ctl_screen *s, const char *name)
{
	ctl_screen_put(s, CTL_HEAD, name);
	ctl_screen_to(s, CTL_STATUS_BODY);
}

/* True: it was there. */
static bool show_file(struct ctl_screen *s, const struct ctl_known_file *file,
		      const char *name)
{
	begin(s, name);
	if (!file->error)
		return true;
	ctl_screen_say(s, CTL_DOUBTFUL,
		       "not known: %s: ", strerrordesc_np(file->error));
	ctl_screen_path(s, CTL_PLAIN, file->path);
	ctl_screen_end(s);
	return false;
}

static void show_module(struct ctl_screen *s, const struct ctl_known *k,
			const char *name, const char *member)
{
	yajl_val module = ctl_json_get(agent_of(k), member);

	if (!module)
		return;
	ctl_screen_to(s, CTL_STATUS_BODY);
	ctl_screen_say(s, CTL_PLAIN, "%s ", name);
	ctl_screen_put(s, CTL_PLAIN, ctl_json_text(module, "status"));
	ctl_screen_put(s, CTL_PLAIN, ": ");
	ctl_screen_put(s, CTL_PLAIN, ctl_json_text(module, "message"));
	ctl_screen_end(s);
}

static void show_rules(struct ctl_screen *s, const struct ctl_known *k)
{
	const char *id;
	size_t i;

	for (i = 0; i < ENDPOINTS; i++) {
		id = ctl_json_text(key_states(k), rule_ids[i]);
		if (!id || !*id)
			continue;
		ctl_screen_to(s, CTL_STATUS_BODY);
		ctl_screen_say(s, CTL_PLAIN, "rules of %s: ", endpoints[i]);
		ctl_screen_put(s, CTL_PLAIN, id);
		ctl_screen_end(s);
	}
}

static void show_status(struct ctl_screen *s, const struct ctl_known *k)
{
	char age[CTL_AGE];

	if (!show_file(s, &k->status, "status"))
		return;
	ctl_status_age(age, (int64_t)k->status.age_s);
	ctl_screen_say(s, CTL_PLAIN, "%s ago: ", age);
	if (k->document) {
		ctl_screen_put(s, CTL_PLAIN,
			       ctl_json_text(agent_of(k), "status"));
		ctl_screen_put(s, CTL_PLAIN, ", mspd ");
		ctl_screen_put(s, CTL_PLAIN,
			       ctl_json_text(agent_of(k), "version"));
	} else {
		ctl_screen_put(s, CTL_BAD, "not to be understood");
	}
	ctl_screen_put(s, CTL_PLAIN, "; ");
	ctl_screen_path(s, CTL_PLAIN, k->status.path);
	ctl_screen_end(s);
	show_module(s, k, "key", "keyLatchStatus");
	show_module(s, k, "redirector", "ebpfProgramStatus");
	show_module(s, k, "listener", "proxyListenerStatus");
	if (!ctl_json_text(key_states(k), "secureChannelState"))
		return;
	ctl_screen_to(s, CTL_STATUS_BODY);
	ctl_screen_put(s, CTL_PLAIN,
		       ctl_json_text(key_states(k), "secureChannelState"));
	ctl_screen_end(s);
	show_rules(s, k);
}

/* That the incarnation is of this key, status.json has to say. */
static const char *incarnation_of(const struct ctl_known *k)
{
	const char *guid = ctl_json_text(key_states(k), "keyGuid");

	if (!guid || strcmp(guid, k->guid) != 0)
		return NULL;
	return ctl_json_text(key_states(k), "keyIncarnationId");
}

static void show_key(struct ctl_screen *s, const struct ctl_known *k)
{
	char age[CTL_AGE];

	if (!show_file(s, &k->key, "key"))
		return;
	ctl_status_age(age, (int64_t)k->key.age_s);
	ctl_screen_put(s, CTL_PLAIN, k->guid);
	if (incarnation_of(k)) {
		ctl_screen_put(s, CTL_PLAIN, ", incarnation ");
		ctl_screen_put(s, CTL_PLAIN, incarnation_of(k));
	}
	ctl_screen_say(s, CTL_PLAIN, ", %s old", age);
	ctl_screen_end(s);
	ctl_screen_to(s, CTL_STATUS_BODY);
	ctl_screen_path(s, CTL_PLAIN, k->key.path);
	ctl_screen_end(s);
	if (!k->open)
		return;
	ctl_screen_to(s, CTL_STATUS_BODY);
	ctl_screen_put(s, CTL_BAD, "others than root can read or replace it");
	ctl_screen_end(s);
}

static void show_listener(struct ctl_screen *s, const struct ctl_known *k)
{
	begin(s, "listener");
	if (k->listener.error)
		ctl_screen_say(s, CTL_PLAIN, "none: %s: %s",
			       strerrordesc_np(k->listener.error),
			       k->listener.path);
	else
		ctl_screen_say(s, CTL_DOUBTFUL,
			       "%s: left behind, so it was killed", k->address);
	ctl_screen_end(s);
}

static void show_trail(struct ctl_screen *s, const struct ctl_known *k)
{
	static struct ctl_audit record;
	struct ctl_text line = { 0 };
	size_t i;

	if (!show_file(s, &k->trail, "audit"))
		return;
	ctl_screen_put(s, CTL_PLAIN, "the last of ");
	ctl_screen_path(s, CTL_PLAIN, k->trail.path);
	ctl_screen_end(s);
	for (i = k->n; i-- > 0;) {
		if (!ctl_audit_parse(&record, k->records[i],
				     strlen(k->records[i])))
			continue;
		line.len = 0;
		ctl_put_audit_record(&line, &record);
		ctl_screen_wrap(s, CTL_PLAIN, line.at, CTL_STATUS_BODY, 3);
	}
	ctl_text_free(&line);
}

void ctl_status_show_known(struct ctl_screen *s, const struct ctl_known *k,
			   bool gone, const char *why)
{
	ctl_screen_put(s, CTL_HEAD, "mspd: ");
	ctl_screen_put(s, CTL_BAD, gone ? "not running" : "no answer");
	ctl_screen_end(s);
	ctl_screen_wrap(s, CTL_PLAIN, why, 2, 3);
	ctl_screen_put(s, CTL_PLAIN, "What its files tell, as it was then:");
	ctl_screen_end(s);
	ctl_screen_end(s);
	show_status(s, k);
	show_key(s, k);
	show_listener(s, k);
	show_trail(s, k);
}

/* ---- for programs ------------------------------------------------------ */

static void put_text(struct ctl_text *out, const char *name, const char *value)
{
	if (!value)
		return;
	ctl_put_member(out, name);
	ctl_put_json(out, value);
}

/* Opens an object: its file, or why there is none. */
static void open_file(struct ctl_text *out, const char *name,
		      const struct ctl_known_file *file)
{
	ctl_put_member(out, name);
	ctl_put(out, "{");
	put_text(out, "file", file->path);
	if (file->error) {
		put_text(out, "error", strerrordesc_np(file->error));
		return;
	}
	ctl_put_member(out, "ageSeconds");
	ctl_put_number(out, file->age_s);
}

static void put_status(struct ctl_text *out, const struct ctl_known *k)
{
	size_t i;

	open_file(out, "status", &k->status);
	put_text(out, "version", ctl_json_text(agent_of(k), "version"));
	put_text(out, "state", ctl_json_text(agent_of(k), "status"));
	put_text(out, "channel",
		 ctl_json_text(key_states(k), "secureChannelState"));
	put_text(out, "keyGuid", ctl_json_text(key_states(k), "keyGuid"));
	ctl_put_member(out, "rules");
	ctl_put(out, "{");
	for (i = 0; i < ENDPOINTS; i++)
		put_text(out, endpoints[i],
			 ctl_json_text(key_states(k), rule_ids[i]));
	ctl_put(out, "}}");
}

static void put_key(struct ctl_text *out, const struct ctl_known *k)
{
	open_file(out, "key", &k->key);
	if (*k->guid) {
		put_text(out, "guid", k->guid);
		put_text(out, "incarnation", incarnation_of(k));
		ctl_put_member(out, "openToOthers");
		ctl_put(out, k->open ? "true" : "false");
	}
	ctl_put(out, "}");
}

static void put_trail(struct ctl_text *out, const struct ctl_known *k)
{
	size_t i;

	open_file(out, "audit", &k->trail);
	ctl_put_member(out, "records");
	ctl_put(out, "[");
	for (i = k->n; i-- > 0;) {
		ctl_put_json_text(out, k->records[i]);
		ctl_put(out, i ? "," : "");
	}
	ctl_put(out, "]}");
}

void ctl_status_put_known(struct ctl_text *out, const struct ctl_known *k,
			  bool gone, const char *why)
{
	ctl_put(out, "{");
	ctl_put_member(out, "running");
	ctl_put(out, gone ? "false" : "null");
	ctl_put_member(out, "healthy");
	ctl_put(out, "false");
	put_text(out, "why", why);
	ctl_put_member(out, "known");
	ctl_put(out, "{");
	put_status(out, k);
	put_key(out, k);
	open_file(out, "listener", &k->listener);
	put_text(out, "address", *k->address ? k->address : NULL);
	ctl_put(out, "}");
	put_trail(out, k);
	ctl_put(out, "}}");
}
