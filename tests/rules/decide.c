/* SPDX-License-Identifier: MIT */
/*
 * In: lines on stdin, each a profile, a caller, or a request to decide on.
 * Out: one line each, what libmsp makes of it, by its public calls alone.
 * Must never judge an answer, nor go on after a line it does not understand.
 *
 *   none                              no rules are installed
 *   closed EPOCH ID                   rules that deny everything
 *   profile EPOCH JSON
 *   caller FLAGS UID EUID NLINK USER EXE GROUPS PROCESS-GROUPS
 *   decide ENDPOINT METHOD TARGET
 *
 * A text is "=" and its bytes in hex, or "-" for NULL; a list is texts with
 * commas between them, or "." if it is empty; FLAGS are words with "+".
 */
#include <msp/msp.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX (1 + MSP_CALLER_GROUPS_MAX)

struct text {
	char *bytes; /* owned; NULL: none */
	size_t len;
};

struct names {
	char *name[NAMES_MAX]; /* owned */
	size_t n;
};

static struct msp_rules *rules;
static struct msp_request *request, *again;
static struct msp_caller caller;
static struct names groups, process_groups;
static char *user;

static const struct {
	const char *name;
	uint32_t flag;
} flag_names[] = {
	{ "known", MSP_CALLER_KNOWN },
	{ "direct", MSP_CALLER_DIRECT },
	{ "v6-mapped", MSP_CALLER_V6_MAPPED },
	{ "kernel", MSP_CALLER_KERNEL },
	{ "path-cut", MSP_CALLER_PATH_CUT },
	{ "device", MSP_CALLER_DEVICE },
	{ "probe", MSP_CALLER_PROBE },
	{ "verified", MSP_CALLER_EXE_VERIFIED },
	{ "no-path", MSP_CALLER_NO_PATH },
	{ "names", MSP_CALLER_NAMES },
	{ "groups-cut", MSP_CALLER_GROUPS_CUT },
	{ "checked", MSP_CALLER_EXE_CHECKED },
	{ "replaced", MSP_CALLER_EXE_REPLACED },
};

static void stop(const char *why, const char *what)
{
	fprintf(stderr, "decide: %s: %.200s\n", why, what ? what : "");
	exit(2);
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static struct text get_text(const char *word)
{
	struct text t = { NULL, 0 };
	size_t i, n;

	if (!word)
		stop("too few words", NULL);
	if (!strcmp(word, "-"))
		return t;
	if (*word++ != '=' || strlen(word) % 2)
		stop("not a text", word);
	n = strlen(word) / 2;
	t.bytes = malloc(n + 1);
	if (!t.bytes)
		stop("no memory", NULL);
	for (i = 0; i < n; i++) {
		int high = hex_digit(word[2 * i]);
		int low = hex_digit(word[2 * i + 1]);

		if (high < 0 || low < 0)
			stop("not hex", word);
		t.bytes[i] = (char)(high << 4 | low);
	}
	t.bytes[n] = '\0';
	t.len = n;
	return t;
}

static unsigned long get_number(const char *word)
{
	char *end;
	unsigned long n;

	if (!word)
		stop("too few words", NULL);
	n = strtoul(word, &end, 10);
	if (*end || end == word)
		stop("not a number", word);
	return n;
}

static void clear_names(struct names *names)
{
	while (names->n)
		free(names->name[--names->n]);
}

static void get_names(struct names *names, char *word)
{
	char *rest = word, *one;

	clear_names(names);
	if (!word)
		stop("too few words", NULL);
	if (!strcmp(word, "."))
		return;
	while ((one = strsep(&rest, ","))) {
		if (names->n == NAMES_MAX)
			stop("too many names", NULL);
		names->name[names->n++] = get_text(one).bytes;
	}
}

static uint32_t get_flags(char *word)
{
	uint32_t flags = 0;
	char *rest = word, *one;
	size_t i;

	if (!word)
		stop("too few words", NULL);
	while ((one = strsep(&rest, "+"))) {
		for (i = 0; i < sizeof(flag_names) / sizeof(*flag_names); i++)
			if (!strcmp(one, flag_names[i].name))
				break;
		if (i < sizeof(flag_names) / sizeof(*flag_names))
			flags |= flag_names[i].flag;
		else if (strcmp(one, "."))
			stop("no such flag", one);
	}
	return flags;
}

static void put_text(const char *text, size_t len)
{
	size_t i;

	if (!text) {
		fputs(" -", stdout);
		return;
	}
	fputs(" =", stdout);
	for (i = 0; i < len; i++)
		printf("%02x", (unsigned char)text[i]);
}

static void put_string(const char *text)
{
	put_text(text, text ? strlen(text) : 0);
}

static void no_rules(char *rest)
{
	(void)rest;
	msp_rules_free(rules);
	rules = NULL;
	puts("none");
}

static void set_closed(char *rest)
{
	uint64_t epoch = get_number(strsep(&rest, " "));
	struct text id = get_text(strsep(&rest, " "));

	msp_rules_free(rules);
	if (msp_rules_closed(&rules, id.bytes, id.len, epoch) < 0)
		stop("no closed rules", NULL);
	free(id.bytes);
	puts("closed");
}

/* A profile that is refused leaves the endpoint closed, as in the agent. */
static void set_profile(char *rest)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *profile;
	uint64_t epoch = get_number(strsep(&rest, " "));
	struct text json = get_text(strsep(&rest, " "));
	int rc;

	msp_rules_free(rules);
	rules = NULL;
	rc = msp_profile_parse(&profile, json.bytes, json.len, &info);
	if (rc == MSP_OK)
		rc = msp_rules_compile(&rules, profile, epoch);
	msp_profile_free(profile);
	free(json.bytes);
	if (rc == MSP_OK) {
		printf("profile %u\n", msp_rules_needs(rules));
		return;
	}
	if (rc == MSP_ERR_NOMEM)
		stop("no memory", NULL);
	if (msp_rules_closed(&rules, "refused", 7, epoch) < 0)
		stop("no closed rules", NULL);
	printf("refused\n");
}

static void set_caller(char *rest)
{
	struct text exe;

	memset(&caller, 0, sizeof(caller));
	caller.size = sizeof(caller);
	caller.flags = get_flags(strsep(&rest, " "));
	caller.uid = (uint32_t)get_number(strsep(&rest, " "));
	caller.euid = (uint32_t)get_number(strsep(&rest, " "));
	caller.exe.nlink = (uint32_t)get_number(strsep(&rest, " "));
	free(user);
	user = get_text(strsep(&rest, " ")).bytes;
	caller.user_name = user;
	exe = get_text(strsep(&rest, " "));
	if (!exe.bytes || exe.len >= sizeof(caller.exe_path))
		stop("bad path", NULL);
	memcpy(caller.exe_path, exe.bytes, exe.len);
	free(exe.bytes);
	get_names(&groups, strsep(&rest, " "));
	get_names(&process_groups, strsep(&rest, " "));
	caller.groups = (const char *const *)groups.name;
	caller.n_groups = groups.n;
	caller.process_groups = (const char *const *)process_groups.name;
	caller.n_process_groups = process_groups.n;
	puts("caller");
}

static enum msp_endpoint get_endpoint(const char *word)
{
	if (word && !strcmp(word, "wireserver"))
		return MSP_ENDPOINT_WIRESERVER;
	if (word && !strcmp(word, "imds"))
		return MSP_ENDPOINT_IMDS;
	if (!word || strcmp(word, "hostga"))
		stop("no such endpoint", word);
	return MSP_ENDPOINT_HOSTGA;
}

/* Escaping takes three bytes for one. */
static char rendered[2][3 * MSP_TARGET_MAX + 16];

/* The canonical form as text, and whether it is a canonical form again. */
static void put_rendered(void)
{
	size_t len, again_len;
	bool same;

	if (msp_request_render(request, rendered[0], sizeof(rendered[0]),
			       &len) < 0) {
		printf(" - stable");
		return;
	}
	same = len > MSP_TARGET_MAX ||
	       (msp_request_set(again, "GET", 3, rendered[0], len) == MSP_OK &&
		msp_request_render(again, rendered[1], sizeof(rendered[1]),
				   &again_len) == MSP_OK &&
		len == again_len && !memcmp(rendered[0], rendered[1], len));
	put_text(rendered[0], len);
	printf(" %s", same ? "stable" : "unstable");
}

static void put_request(void)
{
	static const char *const forms[] = { "origin", "absolute", "asterisk",
					     "other" };
	struct msp_authority a;
	size_t len;
	const char *origin = msp_request_origin(request, &len);

	printf(" %s %s", forms[msp_request_form(request)],
	       msp_canon_name(msp_request_canon(request)));
	if (msp_request_authority(request, &a)) {
		unsigned char ip[4];

		memcpy(ip, &a.address.ip, 4);
		printf(" %u.%u.%u.%u:%u/%s", ip[0], ip[1], ip[2], ip[3],
		       a.address.port, a.is_name ? "name" : "address");
	} else {
		printf(" -");
	}
	printf(" %s", msp_request_exempt(request) ? "exempt" : "signed");
	put_text(origin, len);
	put_rendered();
}

static bool same_text(const char *a, const char *b)
{
	return !a == !b && (!a || !strcmp(a, b));
}

/* Whether the reasoning, which goes another way, ends at this decision. */
static void put_explained(const struct msp_decision *d,
			  enum msp_endpoint endpoint)
{
	struct msp_explanation *e;
	const struct msp_decision *other;
	bool same = false;

	if (msp_decision_explain(&e, rules, endpoint, request, &caller) ==
	    MSP_OK) {
		other = msp_explanation_decision(e);
		same = other->verdict == d->verdict &&
		       other->reason == d->reason && other->canon == d->canon &&
		       same_text(other->privilege, d->privilege) &&
		       same_text(other->identity, d->identity);
		msp_explanation_free(e);
	}
	printf(" %s", same ? "explained" : "unexplained");
}

static void decide(char *rest)
{
	struct msp_decision d = { .size = sizeof(d) };
	enum msp_endpoint endpoint = get_endpoint(strsep(&rest, " "));
	struct text method = get_text(strsep(&rest, " "));
	struct text target = get_text(strsep(&rest, " "));
	int rc;

	rc = msp_request_set(request, method.bytes, method.len, target.bytes,
			     target.len);
	if (rc == MSP_ERR_NOMEM ||
	    msp_decision_make(&d, rules, endpoint, request, &caller) < 0)
		stop("no decision", msp_error_text(rc));
	printf("%s %s %s", msp_verdict_name(d.verdict),
	       msp_reason_name(d.reason), msp_canon_name(d.canon));
	put_string(d.privilege);
	put_string(d.identity);
	printf(" %s %llu", msp_mode_name(d.mode), (unsigned long long)d.epoch);
	put_string(d.rule_id);
	put_explained(&d, endpoint);
	if (rc < 0)
		printf(" unset");
	else
		put_request();
	putchar('\n');
	free(method.bytes);
	free(target.bytes);
}

int main(void)
{
	static const struct {
		const char *word;
		void (*call)(char *rest);
	} calls[] = { { "decide", decide },
		      { "caller", set_caller },
		      { "profile", set_profile },
		      { "closed", set_closed },
		      { "none", no_rules } };
	size_t size = 0, i;
	char *line = NULL;

	if (msp_request_new(&request) < 0 || msp_request_new(&again) < 0)
		stop("no memory", NULL);
	while (getline(&line, &size, stdin) > 0) {
		char *rest = line, *word;

		line[strcspn(line, "\n")] = '\0';
		word = strsep(&rest, " ");
		for (i = 0; i < sizeof(calls) / sizeof(*calls); i++)
			if (!strcmp(word, calls[i].word))
				break;
		if (i == sizeof(calls) / sizeof(*calls))
			stop("no such word", word);
		calls[i].call(rest);
	}
	free(line);
	free(user);
	clear_names(&groups);
	clear_names(&process_groups);
	msp_request_free(request);
	msp_request_free(again);
	msp_rules_free(rules);
	return fflush(stdout) ? 2 : 0;
}
