/* SPDX-License-Identifier: MIT */
/*
 * In: a host, and an address to talk to it from. Out: a latched key, answers,
 * and how many of them were wrong. Must never use more of the library than its
 * public headers: this is what an agent's author would write.
 */
#include "tests/bench/fleet_agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "tests/bench/measure.h"

#define OK	     200
#define UNAUTHORIZED 401
/* Between two steps the latch may want another at once, e.g. to acquire. */
#define STEPS 8

/* What is asked; @wants: how the answer begins, "%" is the VM's name. */
struct question {
	enum line line;
	const char *method;
	const char *target;
	const char *body;
	const char *wants;
};

static const struct question questions[] = {
	{ LINE_IMDS, "GET",
	  "/metadata/instance/compute/name?api-version=2021-02-01&format=text",
	  "", "%" },
	{ LINE_WIRESERVER, "GET", "/machine?comp=goalstate", "", "<?xml" },
	{ LINE_IMDS, "GET", "/metadata/versions", "", "{" },
	{ LINE_WIRESERVER, "POST", "/machine?comp=health",
	  "<Health><State>Ready</State></Health>", "" },
};
#define QUESTIONS (sizeof(questions) / sizeof(questions[0]))

static const struct question *question_of(const struct agent *a)
{
	return &questions[a->asked % QUESTIONS];
}

unsigned int agent_asks_imds(unsigned int n)
{
	unsigned int i, to_imds = 0;

	for (i = 0; i < n; i++)
		to_imds += questions[i % QUESTIONS].line == LINE_IMDS;
	return to_imds;
}

/* ---- sockets ----------------------------------------------------------- */

/* The library opens and closes sockets as it sees fit, and a number may come
 * back: this is where a new one enters the set. Closing takes it out. */
static int enter(void *arg, int fd)
{
	struct agent_line *line = arg;
	struct agent *a = line->agent;
	struct sockaddr_in from = { .sin_family = AF_INET,
				    .sin_addr = a->source };
	struct epoll_event event = { .events = EPOLLONESHOT, .data.ptr = line };
	int yes = 1;

	line->events = 0;
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes,
		       sizeof(yes)) < 0 ||
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		return -1;
	return epoll_ctl(a->host->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* One event at most, then the line waits for nothing: what a host does to an
 * idle connection wakes nobody. */
static void wait_for(struct agent_line *line, int fd, short events)
{
	struct epoll_event event = { .data.ptr = line };

	if (fd < 0 || events == line->events)
		return;
	line->events = events;
	event.events = (uint32_t)events | EPOLLONESHOT; /* POLLIN is EPOLLIN */
	measure_need(
		epoll_ctl(line->agent->host->epoll, EPOLL_CTL_MOD, fd, &event),
		"epoll_ctl");
}

void agent_ready(struct agent_line *line, struct msp_time now)
{
	line->events = 0;
	agent_step(line->agent, now);
}

static struct msp_client_opts client_opts(struct agent *a, enum line line)
{
	struct msp_client_opts opts = { .size = sizeof(opts) };

	opts.address = line == LINE_IMDS ? a->host->imds : a->host->wireserver;
	opts.on_socket = enter;
	opts.on_socket_arg = &a->lines[line];
	return opts;
}

/* ---- life -------------------------------------------------------------- */

static void need_ok(int rc, const char *what, const char *why)
{
	if (rc < 0)
		measure_die("%s: %s: %s", what, msp_error_text(rc), why);
}

static void name_it(struct agent *a)
{
	const unsigned char *b = (const unsigned char *)&a->source;

	snprintf(a->name, sizeof(a->name), "vm-%u-%u-%u-%u", b[0], b[1], b[2],
		 b[3]);
}

static void open_store(struct agent *a, const char *keys)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char path[256];
	int len = snprintf(path, sizeof(path), "%s/%s", keys, a->name);

	need_ok(msp_keystore_open(&a->store, path, (size_t)len, &info), path,
		info.text);
}

void agent_open(struct agent *a, struct agent_host *host, in_addr_t source,
		const char *keys)
{
	struct msp_channel_opts channel = { .size = sizeof(channel) };
	struct msp_latch_opts latch = { .size = sizeof(latch) };
	struct msp_client_opts client;
	int i;

	a->host = host;
	a->source.s_addr = source;
	name_it(a);
	if (keys)
		open_store(a, keys);
	for (i = 0; i < LINES; i++)
		a->lines[i].agent = a;
	channel.client = client_opts(a, LINE_LATCH);
	need_ok(msp_channel_new(&a->channel, &channel), "channel", a->name);
	latch.poll_ms = host->poll_ms;
	need_ok(msp_latch_new(&a->latch, a->channel, a->store, &latch), "latch",
		a->name);
	for (i = LINE_WIRESERVER; i < LINES; i++) {
		client = client_opts(a, (enum line)i);
		need_ok(msp_client_new(&a->lines[i].client, &client), "client",
			a->name);
	}
}

void agent_close(struct agent *a)
{
	int i;

	for (i = 0; i < LINES; i++)
		msp_client_free(a->lines[i].client);
	msp_signer_free(a->signer);
	msp_latch_free(a->latch);
	msp_channel_free(a->channel);
	msp_keystore_free(a->store);
}

bool agent_latched(const struct agent *a)
{
	return a->signer && msp_latch_state(a->latch) == MSP_LATCH_LATCHED;
}

const char *agent_guid(const struct agent *a)
{
	return a->signer ? msp_key_guid(msp_signer_key(a->signer)) : "";
}

/* ---- the latch --------------------------------------------------------- */

static void take_changes(struct agent *a)
{
	unsigned int changes = msp_latch_changes(a->latch);
	struct msp_key *key = msp_latch_key(a->latch);

	if (changes & MSP_LATCH_CHANGED_KEY) {
		msp_signer_free(a->signer);
		a->signer = NULL;
		if (key)
			need_ok(msp_signer_new(&a->signer, key), "signer",
				a->name);
	}
	if (!(changes & MSP_LATCH_CHANGED_STATUS))
		return;
	if (a->curious && !a->left)
		a->left++;
	if (++a->polls < a->polls_wanted)
		msp_latch_poll_now(a->latch);
}

static void run_latch(struct agent *a, struct msp_time now)
{
	struct agent_line *line = &a->lines[LINE_LATCH];
	int i;

	if (!a->latching)
		return;
	for (i = 0; i < STEPS; i++) {
		need_ok(msp_latch_run(a->latch, now), "latch", a->name);
		take_changes(a);
		if (msp_latch_deadline(a->latch) > now.boot_ms)
			break;
	}
	wait_for(line, msp_latch_fd(a->latch), msp_latch_events(a->latch));
}

/* ---- questions --------------------------------------------------------- */

static void set_header(struct msp_header *h, const char *name,
		       const char *value)
{
	h->name = name;
	h->name_len = strlen(name);
	h->value = value;
	h->value_len = strlen(value);
}

/* The host's clock, as far as it is known: it refuses what is stale. */
static void host_date(const struct agent *a, struct msp_time now,
		      char out[MSP_DATE_SIZE])
{
	int64_t offset;

	if (msp_latch_clock(a->latch, &offset))
		now.wall_s = ((int64_t)now.boot_ms + offset) / 1000;
	msp_date_format(out, now.wall_s);
}

static struct msp_signer *signer_of(const struct agent *a)
{
	if (a->how == ASK_PLAIN)
		return NULL;
	return a->how == ASK_BORROWED ? a->borrowed : a->signer;
}

static int send_question(struct agent *a, struct msp_time now,
			 struct msp_error_info *info)
{
	const struct question *q = question_of(a);
	struct msp_message message = { .size = sizeof(message) };
	char date[MSP_DATE_SIZE];
	struct msp_header headers[5];

	host_date(a, now, date);
	set_header(&headers[0], "host", "fleet");
	set_header(&headers[1], "metadata", "true");
	set_header(&headers[2], MSP_HEADER_CLAIMS, MSP_CLAIMS_ROOT);
	set_header(&headers[3], MSP_HEADER_DATE, date);
	set_header(&headers[4], "x-ms-version", "2012-11-30");
	message.method = q->method;
	message.method_len = strlen(q->method);
	message.target = q->target;
	message.target_len = strlen(q->target);
	message.headers = headers;
	message.n_headers = sizeof(headers) / sizeof(headers[0]);
	message.body = q->body;
	message.body_len = strlen(q->body);
	a->got = 0;
	return msp_client_send(a->lines[q->line].client, now, &message,
			       message.body_len, signer_of(a), info);
}

/* Reads to the end; what does not fit is dropped. */
static int read_answer(struct agent *a, struct msp_client *client,
		       struct msp_time now, struct msp_error_info *info)
{
	char piece[4096];
	size_t got, room;
	int rc = msp_client_run(client, now, info);

	while (rc == 0) {
		rc = msp_client_read(client, now, piece, sizeof(piece), &got,
				     info);
		if (rc < 0 || !got)
			break;
		room = sizeof(a->text) - 1 - a->got;
		memcpy(a->text + a->got, piece, got < room ? got : room);
		a->got += got < room ? got : room;
	}
	a->text[a->got] = '\0';
	return rc;
}

static bool is_right(const struct agent *a, unsigned int status)
{
	const char *wants = question_of(a)->wants;

	if (a->how == ASK_BORROWED)
		return status == UNAUTHORIZED;
	if (status != OK)
		return false;
	if (*wants == '%')
		return !strcmp(a->text, a->name);
	return !strncmp(a->text, wants, strlen(wants));
}

/* Of the first one only: the others are most likely like it. */
static void complain(struct agent *a, unsigned int status, const char *text)
{
	const struct question *q = question_of(a);

	if (!a->host->why[0])
		snprintf(a->host->why, sizeof(a->host->why),
			 "%s: %s %s: status %u, %s", a->name, q->method,
			 q->target, status, text);
	a->wrong++;
}

/* The question under way has come to its end. */
static void judge(struct agent *a, int rc, const struct msp_response *response,
		  const char *why)
{
	if (rc < 0)
		complain(a, 0, *why ? why : msp_error_text(rc));
	else if (!is_right(a, response->status))
		complain(a, response->status, a->text);
	a->asked++;
	a->asking = a->retried = false;
}

static void start_question(struct agent *a, struct msp_time now)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int rc;

	a->left--;
	a->asking = true;
	rc = send_question(a, now, &info);
	if (rc < 0)
		judge(a, rc, NULL, info.text);
}

/* True when it has come to its end. */
static bool go_on(struct agent *a, struct msp_time now)
{
	struct agent_line *line = &a->lines[question_of(a)->line];
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int rc = read_answer(a, line->client, now, &info);

	/* the host may close an idle connection just when it is used */
	if (rc < 0 && rc != MSP_ERR_AGAIN && !a->retried &&
	    msp_client_untouched(line->client)) {
		a->retried = true;
		rc = send_question(a, now, &info);
		if (rc == 0)
			rc = read_answer(a, line->client, now, &info);
	}
	if (rc == MSP_ERR_AGAIN) {
		wait_for(line, msp_client_fd(line->client),
			 msp_client_events(line->client));
		return false;
	}
	judge(a, rc, msp_client_response(line->client), info.text);
	return true;
}

static bool may_ask(const struct agent *a)
{
	return a->left && (a->how == ASK_PLAIN || signer_of(a));
}

static void run_questions(struct agent *a, struct msp_time now)
{
	while (a->asking || may_ask(a)) {
		if (!a->asking)
			start_question(a, now);
		if (a->asking && !go_on(a, now))
			return;
	}
}

void agent_step(struct agent *a, struct msp_time now)
{
	run_latch(a, now);
	run_questions(a, now);
}

uint64_t agent_deadline(const struct agent *a)
{
	uint64_t at = a->latching ? msp_latch_deadline(a->latch) : MSP_NEVER;
	uint64_t other;

	if (!a->asking)
		return at;
	other = msp_client_deadline(a->lines[question_of(a)->line].client);
	return other < at ? other : at;
}
