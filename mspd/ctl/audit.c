/* SPDX-License-Identifier: MIT */
/*
 * In: audit trails, and what is looked for. Out: the records of that, or how
 * many there are. Must never pass on a control character of a caller's, nor
 * leave a line out in silence.
 */
#include "mspd/ctl/audit.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mspd/ctl/trail.h"

static const char help[] =
	"Usage: mspctl audit [OPTION]... [FILE]...\n"
	"       mspctl audit verify [OPTION]... [FILE]...\n"
	"Records of the agent's audit trail, the oldest first.\n"
	"\n"
	"  --uid N, --user NAME, --exe PATH   who asked\n"
	"  --endpoint E                       imds, wireserver or hostga\n"
	"  --verdict V, --reason R            as in the trail\n"
	"  --status N                         what was answered\n"
	"  --since T, --until T               2026-11-22T08:00:00Z, or 90s,\n"
	"                                     15m, 2h, 7d: so long ago\n"
	"  --summary      how many, by endpoint, verdict, reason and caller\n"
	"  --follow       wait for more\n"
	"  --config FILE  of the agent, which names the trail's folder\n"
	"  --json         the records as they are, one object a line\n"
	"\n"
	"Without FILE it is the trail of the agent of this machine.\n"
	"\n"
	"verify: has a record been removed, edited or moved since it was\n"
	"written? It takes --config, --json, which is one object then, and\n"
	"  --expect NUMBER:HASH  the last record of a time before, as verify has\n"
	"                        printed it: it must be there still\n"
	"\n"
	"Exit status: 0 read to the end; 2 not; 64 usage. Of verify: 0 whole;\n"
	"1 broken.\n";

/* "YYYY-MM-DDTHH:MM:SS": of both times what is compared first */
#define SECONDS 19

struct filter {
	struct ctl_number uid, endpoint, status;
	const char *user, *exe, *verdict, *reason;
	const char *since, *until;
	char from[40], to[40]; /* as in the trail; "" is any */
};

struct audit {
	struct filter filter;
	struct ctl_trail_opts opts;
	struct ctl_list files;
	bool summary;
	bool json;
	struct ctl_sum *sum;
	struct ctl_text out;
	uint64_t unreadable;
};

/* ---- times -------------------------------------------------------------- */

static bool ago(const char *text, char out[40])
{
	static const struct {
		char unit;
		time_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	time_t n = 0, at = time(NULL);
	size_t i, len = strspn(text, "0123456789");
	struct tm tm;

	if (!len || len > 9 || !text[len] || text[len + 1])
		return false;
	n = (time_t)strtol(text, NULL, 10);
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].unit == text[len])
			break;
	if (i == sizeof(units) / sizeof(units[0]))
		return false;
	at -= n * units[i].seconds;
	if (at < 0)
		at = 0;
	return gmtime_r(&at, &tm) &&
	       strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm) == SECONDS;
}

/* RFC 3339 in UTC, or a part of it from the front. */
static bool stamp(const char *text, char out[40])
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddddd";
	size_t len = strlen(text), i;

	if (len && (text[len - 1] == 'Z' || text[len - 1] == 'z'))
		len--;
	if (len < strlen("dddd-dd-dd") || len > strlen(shape))
		return false;
	for (i = 0; i < len; i++) {
		out[i] = (char)toupper((unsigned char)text[i]);
		if (shape[i] == 'd' ? !isdigit((unsigned char)out[i])
				    : out[i] != shape[i])
			return false;
	}
	out[len] = '\0';
	return true;
}

static bool parse_time(const char *name, const char *text, char out[40])
{
	*out = '\0';
	if (!text || ago(text, out) || stamp(text, out))
		return true;
	ctl_fail("--%s '%s': want a time as 2026-11-22T08:00:00Z, or 90s, 15m, "
		 "2h, 7d",
		 name, text);
	return false;
}

/* As far as the bound goes; of both, times in the trail are at least as long.
 */
static int compare_time(const struct ctl_audit_text *time, const char *bound)
{
	return strncmp(time->text, bound, strlen(bound));
}

/* ---- which of them ------------------------------------------------------ */

static bool is(const char *wanted, const struct ctl_audit_text *text)
{
	return !wanted || (text->given && !strcmp(wanted, text->text));
}

static bool is_endpoint(const struct ctl_number *wanted,
			const struct ctl_audit *a)
{
	enum msp_endpoint endpoint;

	return !wanted->given ||
	       (a->endpoint.given &&
		ctl_endpoint_named(a->endpoint.text, &endpoint) &&
		endpoint == (enum msp_endpoint)wanted->value);
}

static bool in_time(const struct filter *f, const struct ctl_audit *a)
{
	const struct ctl_audit_text *last = a->last.given ? &a->last : &a->time;

	return (!*f->from || compare_time(last, f->from) >= 0) &&
	       (!*f->to || compare_time(&a->time, f->to) <= 0);
}

static bool wanted(const struct filter *f, const struct ctl_audit *a)
{
	return (!f->uid.given || (a->known && a->uid == f->uid.value)) &&
	       (!f->status.given || a->status == f->status.value) &&
	       is_endpoint(&f->endpoint, a) && is(f->user, &a->user) &&
	       is(f->exe, &a->exe) && is(f->verdict, &a->verdict) &&
	       is(f->reason, &a->reason) && in_time(f, a);
}

/* ---- one record --------------------------------------------------------- */

static void put_text(struct ctl_text *out, const struct ctl_audit_text *text)
{
	ctl_put(out, " ");
	ctl_put_shown(out, text->given ? text->text : "-");
}

void ctl_put_audit_record(struct ctl_text *out, const struct ctl_audit *a)
{
	ctl_put_shown(out, a->time.text);
	put_text(out, &a->verdict);
	ctl_put(out, " (");
	ctl_put_shown(out, a->reason.text);
	ctl_put(out, ")");
	put_text(out, &a->endpoint);
	put_text(out, &a->method);
	put_text(out, &a->path);
	ctl_put(out, " ");
	ctl_put_number(out, a->status);
	ctl_put(out, " as ");
	ctl_put_audit_caller(out, a);
	if (a->pid) {
		ctl_put(out, "[");
		ctl_put_number(out, a->pid);
		ctl_put(out, "]");
	}
	if (a->merged) {
		ctl_put(out, " and ");
		ctl_put_number(out, a->merged);
		ctl_put(out, " more until");
		put_text(out, &a->last);
	}
}

/* false: it cannot be written */
static bool tell(struct audit *audit, const struct ctl_audit *a,
		 const struct ctl_trail_line *line)
{
	struct ctl_text *out = &audit->out;

	out->len = 0;
	if (audit->json) {
		ctl_put_json_text(out, line->at);
		ctl_put(out, "\n");
	} else {
		ctl_put_audit_record(out, a);
		ctl_put(out, "\n");
	}
	return fwrite(out->at, 1, out->len, stdout) == out->len &&
	       (!audit->opts.follow || fflush(stdout) == 0);
}

static bool take(struct audit *audit, const struct ctl_trail_line *line)
{
	static struct ctl_audit a;

	if (!line->at || !ctl_audit_parse(&a, line->at, line->len)) {
		audit->unreadable++;
		if (audit->opts.follow)
			ctl_note("%s:%llu: not a record", line->file,
				 (unsigned long long)line->line);
		return true;
	}
	if (a.torn || !wanted(&audit->filter, &a))
		return true;
	if (!audit->summary)
		return tell(audit, &a, line);
	ctl_sum_add(audit->sum, &a);
	return true;
}

/* ---- the command -------------------------------------------------------- */

static int finish(struct audit *audit)
{
	int status = CTL_OK;

	if (audit->unreadable)
		ctl_note("%llu lines are no records: mspctl audit verify tells "
			 "which",
			 (unsigned long long)audit->unreadable);
	if (!audit->summary)
		return status;
	audit->out.len = 0;
	ctl_sum_put(&audit->out, audit->sum, audit->json);
	return ctl_answer(&audit->out, status);
}

static int read_all(struct audit *audit)
{
	struct ctl_trail *trail = ctl_trail_open(&audit->opts);
	struct ctl_trail_line line;
	bool fine = true;

	if (!trail)
		return CTL_ERROR;
	while (fine && ctl_trail_next(trail, &line))
		fine = take(audit, &line);
	fine &= ctl_trail_close(trail);
	return fine ? finish(audit) : CTL_ERROR;
}

static bool complete(struct audit *audit)
{
	struct filter *f = &audit->filter;

	if (audit->opts.follow && audit->summary)
		ctl_fail("--follow: not with --summary");
	else if (audit->opts.follow && audit->files.n > 1)
		ctl_fail("--follow: of one file only");
	else
		return parse_time("since", f->since, f->from) &&
		       parse_time("until", f->until, f->to);
	return false;
}

static int show(int argc, char **argv)
{
	struct audit audit = { .opts.files = NULL };
	struct filter *f = &audit.filter;
	const struct ctl_option options[] = {
		{ "uid", CTL_NUMBER, &f->uid },
		{ "user", CTL_TEXT, &f->user },
		{ "exe", CTL_TEXT, &f->exe },
		{ "endpoint", CTL_ENDPOINT, &f->endpoint },
		{ "verdict", CTL_TEXT, &f->verdict },
		{ "reason", CTL_TEXT, &f->reason },
		{ "status", CTL_NUMBER, &f->status },
		{ "since", CTL_TEXT, &f->since },
		{ "until", CTL_TEXT, &f->until },
		{ "summary", CTL_FLAG, &audit.summary },
		{ "follow", CTL_FLAG, &audit.opts.follow },
		{ "config", CTL_TEXT, &audit.opts.config },
		{ "json", CTL_FLAG, &audit.json },
		{ NULL, CTL_FLAG, NULL },
	};
	int status = CTL_USAGE;

	audit.opts.files = &audit.files;
	audit.sum = ctl_sum_new();
	if (ctl_parse(options, argc, argv, &audit.files) && complete(&audit))
		status = read_all(&audit);
	ctl_sum_free(audit.sum);
	ctl_text_free(&audit.out);
	free(audit.files.at);
	return status;
}

static int run(int argc, char **argv)
{
	if (argc && !strcmp(argv[0], "verify"))
		return ctl_audit_verify(argc - 1, argv + 1);
	return show(argc, argv);
}

const struct ctl_command ctl_audit_command = {
	.name = "audit",
	.about = "records of the audit trail, and whether they are all there",
	.help = help,
	.run = run,
};
