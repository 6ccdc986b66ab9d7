/* SPDX-License-Identifier: MIT */
/*
 * In:  the aggregate status of the agent in this guest.
 * Out: reports to the host.
 * Never: says that all is well when it could not look, or stays silent about
 *        what is wrong.
 */
#include "report/report.h"
#include "base/loop.h"
#include "options.h"
#include "report/document.h"
#include "report/exchange.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bad rounds in a row after which the state is error (spec 10.5). */
#define BAD_MAX 20
/* What an endpoint says to a report is not read, but taken off the wire. */
#define ANSWER_MAX 65536

static const char help[] =
	"Usage: msp-host report [OPTION]...\n"
	"In the guest: tells the host how the agent is, as the VM extension "
	"does.\n"
	"\n"
	"  --wireserver IP:PORT   where the agent's status is asked for,\n"
	"                         default 168.63.129.16:80\n"
	"  --hostga IP:PORT       where the report goes, default\n"
	"                         168.63.129.16:32526\n"
	"  --status-file FILE     read if the agent does not answer, default\n"
	"                         /var/log/azure-proxy-agent/status.json\n"
	"  --agent-version V      the agent must say it is this one; default: "
	"any\n"
	"  --every SECONDS        again and again, until killed\n"
	"  --timeout SECONDS      for each of the two requests, default 15\n"
	"  --help\n"
	"\n"
	"Exit status 0: the status was good and has been posted.\n";

enum opt {
	OPT_WIRESERVER = 256,
	OPT_HOSTGA,
	OPT_STATUS_FILE,
	OPT_AGENT_VERSION,
	OPT_EVERY,
	OPT_TIMEOUT,
	OPT_HELP
};

static const struct option long_options[] = {
	{ "wireserver", required_argument, NULL, OPT_WIRESERVER },
	{ "hostga", required_argument, NULL, OPT_HOSTGA },
	{ "status-file", required_argument, NULL, OPT_STATUS_FILE },
	{ "agent-version", required_argument, NULL, OPT_AGENT_VERSION },
	{ "every", required_argument, NULL, OPT_EVERY },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

/**
 * struct reporter
 * @wireserver: where the agent's status is asked for
 * @hostga:     where the report goes
 * @file:       read if nobody answers; borrowed from argv
 * @version:    wanted of the agent, or NULL; borrowed from argv
 * @every:      milliseconds between rounds, 0: one round
 * @timeout:    milliseconds for a request
 * @applied:    when it was started, seconds since 1970
 * @state:      of the report
 * @bad:        bad rounds in a row
 */
struct reporter {
	struct sockaddr_in wireserver;
	struct sockaddr_in hostga;
	const char *file;
	const char *version;
	uint32_t every;
	uint32_t timeout;
	int64_t applied;
	enum document_state state;
	unsigned int bad;
};

static struct msp_address address_of(const struct sockaddr_in *in)
{
	struct msp_address address = { in->sin_addr.s_addr, ntohs(in->sin_port),
				       0 };

	return address;
}

static bool ask_agent(const struct reporter *r, struct buf *status,
		      struct buf *why)
{
	struct exchange x = {
		.address = address_of(&r->wireserver),
		.method = "GET",
		.target = "/gpa-aggregated-status",
		.header = { "metadata", 8, "true", 4 },
		.timeout_ms = r->timeout,
		.max = REPORT_STATUS_MAX,
	};
	bool ok = exchange_run(&x, why);

	if (ok && x.status != 200) {
		buf_format(why, "GET %s: answer %u", x.target, x.status);
		ok = false;
	}
	if (ok)
		*status = x.answer;
	else
		buf_clear(&x.answer);
	return ok;
}

/* The agent, or else the file it writes (spec 1.7). */
static bool read_status(const struct reporter *r, struct buf *status,
			struct buf *why)
{
	if (ask_agent(r, status, why))
		return true;
	if (buf_read_regular(status, r->file, REPORT_STATUS_MAX))
		return true;
	buf_format(why, "; %s: %s", r->file, strerror(errno));
	return false;
}

static void judge(const struct reporter *r, struct judgement *judgement)
{
	struct buf status = { 0 }, why = { 0 };

	if (read_status(r, &status, &why))
		judge_status(judgement, &status, r->version, loop_wall_s());
	else
		buf_add(&judgement->why, why.data, why.len);
	buf_clear(&status);
	buf_clear(&why);
}

/* Spec 10.5. One good round does not make up for twenty bad ones. */
static void move(struct reporter *r, bool good)
{
	r->bad = good ? 0 : r->bad + 1;
	switch (r->state) {
	case DOCUMENT_TRANSITIONING:
		if (good)
			r->state = DOCUMENT_SUCCESS;
		else if (r->bad >= BAD_MAX)
			r->state = DOCUMENT_ERROR;
		break;
	case DOCUMENT_SUCCESS:
		if (!good)
			r->state = DOCUMENT_TRANSITIONING;
		break;
	case DOCUMENT_ERROR:
		if (good)
			r->state = DOCUMENT_TRANSITIONING;
		break;
	}
}

static bool post(const struct reporter *r, const struct buf *report,
		 struct buf *why)
{
	struct exchange x = {
		.address = address_of(&r->hostga),
		.method = "PUT",
		.target = "/status",
		.header = { "content-type", 12, "application/json", 16 },
		.body = report,
		.timeout_ms = r->timeout,
		.max = ANSWER_MAX,
	};
	bool ok = exchange_run(&x, why);

	if (ok && (x.status < 200 || x.status > 299)) {
		buf_format(why, "PUT %s: answer %u", x.target, x.status);
		ok = false;
	}
	buf_clear(&x.answer);
	return ok;
}

/* Much of it comes from the agent; a terminal must not obey it. */
static void say(FILE *to, const char *what, const struct buf *text)
{
	size_t i;

	fprintf(to, "msp-host: report: %s", what);
	if (text->len)
		fputs(": ", to);
	for (i = 0; i < text->len && i < 1024; i++) {
		char c = text->data[i];

		fputc(c < 0x20 || c > 0x7e ? '?' : c, to);
	}
	fputc('\n', to);
	fflush(to);
}

/* Was the status good, and does the host know? */
static bool round_trip(struct reporter *r)
{
	struct judgement judgement = { 0 };
	struct document document = { .judgement = &judgement,
				     .applied = r->applied };
	struct buf report = { 0 }, why = { 0 };
	bool good, posted = false;

	judge(r, &judgement);
	good = judgement.good;
	move(r, good);
	document.state = r->state;
	document_write(&report, &document);
	say(stdout, document_state_name(r->state), &judgement.why);
	if (report.failed)
		buf_text(&why, "out of memory");
	else
		posted = post(r, &report, &why);
	if (!posted)
		say(stderr, "not posted", &why);
	buf_clear(&report);
	buf_clear(&why);
	judge_clear(&judgement);
	return good && posted;
}

/* "1", "0.05": at most a day, milliseconds at least. */
static bool set_ms(uint32_t *out, const char *option, const char *text)
{
	const char *dot = strchr(text, '.');
	size_t whole = dot ? (size_t)(dot - text) : strlen(text);
	uint64_t seconds = 0, ms = 0, scale = 100;
	bool ok = text_uint(text, whole, &seconds) && seconds <= 86400;

	if (ok && dot) {
		ok = dot[1] && strlen(dot + 1) <= 3;
		for (dot++; ok && *dot; dot++, scale /= 10) {
			ok = *dot >= '0' && *dot <= '9';
			ms += (uint64_t)(*dot - '0') * scale;
		}
	}
	*out = (uint32_t)(seconds * 1000 + ms);
	if (ok && *out)
		return true;
	fprintf(stderr, "msp-host: --%s '%s': want seconds, 86400 at most\n",
		option, text);
	return false;
}

static bool apply(struct reporter *r, int opt, const char *arg)
{
	switch (opt) {
	case OPT_WIRESERVER:
		return options_address(&r->wireserver, "wireserver", arg);
	case OPT_HOSTGA:
		return options_address(&r->hostga, "hostga", arg);
	case OPT_STATUS_FILE:
		r->file = arg;
		return true;
	case OPT_AGENT_VERSION:
		r->version = arg;
		return true;
	case OPT_EVERY:
		return set_ms(&r->every, "every", arg);
	case OPT_TIMEOUT:
		return set_ms(&r->timeout, "timeout", arg);
	default: /* getopt_long() has said what is wrong */
		return false;
	}
}

static enum options_result parse(struct reporter *r, int argc, char **argv)
{
	int opt;

	if (!options_endpoint(&r->wireserver, MSP_ENDPOINT_WIRESERVER) ||
	    !options_endpoint(&r->hostga, MSP_ENDPOINT_HOSTGA))
		return OPTIONS_BAD;
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (opt == OPT_HELP) {
			fputs(help, stdout);
			return OPTIONS_DONE;
		}
		if (!apply(r, opt, optarg))
			return OPTIONS_BAD;
	}
	if (optind == argc)
		return OPTIONS_RUN;
	fprintf(stderr, "msp-host: unexpected argument '%s'\n", argv[optind]);
	return OPTIONS_BAD;
}

int report_main(int argc, char **argv)
{
	struct reporter r = {
		.file = "/var/log/azure-proxy-agent/status.json",
		.timeout = 15000,
		.applied = loop_wall_s(),
		.state = DOCUMENT_TRANSITIONING,
	};
	bool ok;

	switch (parse(&r, argc, argv)) {
	case OPTIONS_RUN:
		break;
	case OPTIONS_DONE:
		return EXIT_SUCCESS;
	case OPTIONS_BAD:
		fputs("msp-host: see report --help\n", stderr);
		return EXIT_FAILURE;
	}
	do {
		ok = round_trip(&r);
		if (r.every)
			poll(NULL, 0, (int)r.every);
	} while (r.every);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
