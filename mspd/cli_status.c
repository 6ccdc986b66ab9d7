/* SPDX-License-Identifier: MIT */
/*
 * In: --status. Out: an exit status, after the agent here has been asked as
 * often as it takes. Must never believe anybody but root's, nor wait for a
 * listener longer than the caller does, nor let what answered play tricks on a
 * terminal.
 */
#include "mspd/cli.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "mspd/cli_answer.h"
#include "mspd/cli_owner.h"
#include "mspd/config.h"
#include "mspd/listener.h"
#include "mspd/text.h"

#define STEP_MS	     100
#define LEAST_MS     2000 /* for one attempt, however little time is left */
#define MOST_MS	     5000
#define LINES	     10 /* of failures, however long it takes */
#define REASON	     512
#define RUN_FOLDER   "/run/mspd"
#define HEADERS	     4
#define EXIT_WAITING 1
#define EXIT_FAILED  2

/**
 * struct asker - one run of --status
 * @listener: where the agent is, if nothing else says where
 * @run_dir:  whose file may; owned
 * @tick:     when it began, Unix time in nanoseconds: what was true before
 *            does not count
 * @end:      boot_ms until which it asks; 0: once
 * @notify:   the agent has not heard yet that it is to look again
 * @said:     the reason last said, "": none
 * @lines:    reasons said
 * @body:     of the answer, MSPD_ANSWER_MAX and one more
 */
struct asker {
	struct msp_address listener;
	char *run_dir;
	char tick[24];
	uint64_t end;
	bool notify;
	char said[REASON];
	unsigned int lines;
	struct mspd_answer answer;
	char body[MSPD_ANSWER_MAX + 1];
};

static struct msp_time now(void)
{
	struct timespec boot, wall;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct msp_time){ (uint64_t)boot.tv_sec * 1000 +
					  (uint64_t)boot.tv_nsec / 1000000,
				  wall.tv_sec };
}

/* ---- what is said ------------------------------------------------------ */

/* Verbatim, but for control characters other than these three: whoever has
 * the port while the agent is away may have written it. */
static void put_text(const char *text, size_t len)
{
	char piece[REASON * 6]; /* a byte takes no more, escaped */
	struct mspd_text out;
	size_t run, n;

	while (len) {
		for (run = 0; run < len; run++)
			if (memchr("\r\n\t", text[run], 3))
				break;
		n = mspd_utf8_cut(text, run, REASON);
		if (run && !n)
			n = 1; /* of no character */
		mspd_text_init(&out, piece, sizeof(piece));
		mspd_text_line(&out, text, n);
		fwrite(out.at, 1, out.len, stdout);
		if (!run)
			putchar(text[n++]);
		text += n;
		len -= n;
	}
}

/* One line for a reason, not one for every attempt (Q37). */
static void say_failure(struct asker *a, const char *reason)
{
	if (strcmp(a->said, reason) == 0 || a->lines >= LINES)
		return;
	snprintf(a->said, sizeof(a->said), "%s", reason);
	a->lines++;
	fputs("Failed to query the current provision state with error: ",
	      stdout);
	put_text(reason, strlen(reason));
	puts(".");
	fflush(stdout);
}

static void describe(char reason[REASON], int rc,
		     const struct msp_error_info *info)
{
	if (rc == MSP_ERR_SYS && info->sys_errno)
		snprintf(reason, REASON, "%s (os error %d)",
			 strerrordesc_np(info->sys_errno), info->sys_errno);
	else if (rc == MSP_ERR_TIMEOUT)
		snprintf(reason, REASON, "no answer in time");
	else
		snprintf(reason, REASON, "%s",
			 info->text[0] ? info->text : msp_error_text(rc));
}

/* ---- one attempt ------------------------------------------------------- */

/* Until the client has something to do. 0, MSP_ERR_TIMEOUT or MSP_ERR_SYS. */
static int wait_for(const struct msp_client *client, uint64_t until)
{
	struct pollfd fd = { .fd = msp_client_fd(client),
			     .events = msp_client_events(client) };
	uint64_t due = msp_client_deadline(client);
	uint64_t at = now().boot_ms;

	if (at >= until)
		return MSP_ERR_TIMEOUT;
	if (due < until)
		until = due;
	if (until > at && poll(&fd, 1, (int)(until - at)) < 0 && errno != EINTR)
		return MSP_ERR_SYS;
	return 0;
}

static int await_head(struct msp_client *client, uint64_t until,
		      struct msp_error_info *info)
{
	int rc;

	do {
		rc = msp_client_run(client, now(), info);
		if (rc != MSP_ERR_AGAIN)
			return rc;
		rc = wait_for(client, until);
	} while (rc == 0);
	return rc;
}

static int read_body(struct asker *a, struct msp_client *client, uint64_t until,
		     size_t *len, struct msp_error_info *info)
{
	size_t got;
	int rc;

	*len = 0;
	while (*len < sizeof(a->body)) {
		rc = msp_client_read(client, now(), a->body + *len,
				     sizeof(a->body) - *len, &got, info);
		if (rc == MSP_ERR_AGAIN)
			rc = wait_for(client, until);
		else if (rc == 0 && !got)
			return 0;
		if (rc < 0)
			return rc;
		*len += got;
	}
	snprintf(info->text, sizeof(info->text), "the answer is too long");
	return MSP_ERR_LIMIT;
}

static struct msp_header header(const char *name, const char *value)
{
	return (struct msp_header){ name, strlen(name), value, strlen(value) };
}

static int send_question(const struct asker *a, struct msp_client *client,
			 const char *host, struct msp_error_info *info)
{
	static const char target[] = "/provision";
	struct msp_header headers[HEADERS];
	struct msp_message message = {
		.size = sizeof(message),
		.method = "GET",
		.method_len = 3,
		.target = target,
		.target_len = sizeof(target) - 1,
		.headers = headers,
	};

	headers[message.n_headers++] = header("Host", host);
	headers[message.n_headers++] = header("Metadata", "true");
	headers[message.n_headers++] = header("x-ms-azure-time-tick", a->tick);
	if (a->notify)
		headers[message.n_headers++] =
			header("x-ms-azure-notify", "true");
	return msp_client_send(client, now(), &message, 0, NULL, info);
}

static bool succeeded(const struct msp_response *answer, const char *where,
		      char reason[REASON])
{
	if (answer->status / 100 == 2)
		return true;
	snprintf(reason, REASON,
		 "Failed to get response from http://%s/provision, status "
		 "code: %u %.64s",
		 where, answer->status, answer->reason);
	return false;
}

static int exchange(struct asker *a, struct msp_client *client,
		    const char *where, uint64_t until, char reason[REASON])
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char host[MSPD_LISTENER_TEXT];
	size_t len = 0;
	int rc;

	snprintf(host, sizeof(host), "%.*s", (int)strcspn(where, ":"), where);
	rc = send_question(a, client, host, &info);
	if (rc == 0)
		rc = await_head(client, until, &info);
	if (rc == 0 && !succeeded(msp_client_response(client), where, reason))
		return MSP_ERR_STATUS;
	if (rc == 0)
		rc = read_body(a, client, until, &len, &info);
	if (rc < 0) {
		describe(reason, rc, &info);
		return rc;
	}
	if (mspd_answer_parse(&a->answer, a->body, len))
		return 0;
	snprintf(reason, REASON,
		 "Deserialization failed: the answer is not the JSON object it "
		 "must be");
	return MSP_ERR_SCHEMA;
}

static int call(struct asker *a, const struct msp_address *address,
		const char *where, char reason[REASON])
{
	struct msp_client_opts opts = { .size = sizeof(opts),
					.address = *address };
	struct msp_client *client = NULL;
	uint64_t at = now().boot_ms;
	uint64_t left = a->end > at ? a->end - at : 0;
	int rc;

	if (left < LEAST_MS)
		left = LEAST_MS;
	if (left > MOST_MS)
		left = MOST_MS;
	rc = msp_client_new(&client, &opts);
	if (rc == 0)
		rc = exchange(a, client, where, at + left, reason);
	else
		snprintf(reason, REASON, "%s", msp_error_text(rc));
	msp_client_free(client);
	return rc;
}

/* Anybody may have the port while there is no agent. None at all: let it be
 * tried, the error says more. */
static int find_owner(struct mspd_owner *owner,
		      const struct msp_address *address, const char *where,
		      char reason[REASON])
{
	int err = mspd_owner_find(owner, address);

	if (err < 0)
		snprintf(reason, REASON,
			 "cannot tell who listens on %s, so it is not asked: "
			 "%s (os error %d)",
			 where, strerrordesc_np(-err), -err);
	else if (owner->inode && owner->uid)
		snprintf(reason, REASON,
			 "%s is held by user %u and not by root, so it is not "
			 "asked",
			 where, owner->uid);
	else
		return 0;
	return MSP_ERR_STATE;
}

/* What listened before and after the answer is what gave it. */
static int call_root(struct asker *a, const struct msp_address *address,
		     const char *where, char reason[REASON])
{
	struct mspd_owner before, after;
	int rc = find_owner(&before, address, where, reason);

	if (rc == 0)
		rc = call(a, address, where, reason);
	if (rc == 0)
		rc = find_owner(&after, address, where, reason);
	if (rc < 0 || (before.inode && before.inode == after.inode))
		return rc;
	snprintf(reason, REASON,
		 "who listens on %s has changed, so what it said does not "
		 "count",
		 where);
	return MSP_ERR_STATE;
}

/* A connection of its own for each attempt: the agent may be another one. */
static bool ask(struct asker *a)
{
	struct msp_address address = a->listener;
	char where[MSPD_LISTENER_TEXT];
	char reason[REASON] = "";
	int rc;

	if (mspd_listener_ask(a->run_dir, &address) < 0)
		address = a->listener;
	mspd_listener_text(&address, where);
	rc = call_root(a, &address, where, reason);
	if (rc < 0)
		say_failure(a, reason);
	return rc == 0;
}

/* ---- until it has finished --------------------------------------------- */

/* What is not ready, if the agent has said. */
static int conclude(const struct asker *a, bool told)
{
	if (told && a->answer.error_len) {
		put_text(a->answer.error, a->answer.error_len);
		putchar('\n');
		fflush(stdout);
	}
	if (!told || !a->answer.finished)
		return EXIT_WAITING;
	return a->answer.error_len ? EXIT_FAILED : EXIT_SUCCESS;
}

static int keep_asking(struct asker *a)
{
	for (;;) {
		bool told = ask(a);

		a->notify &= !told;
		if ((told && a->answer.finished) || now().boot_ms > a->end)
			return conclude(a, told);
		poll(NULL, 0, STEP_MS);
	}
}

static int set_place(struct asker *a, const struct msp_address *address,
		     const char *run_dir)
{
	a->listener = *address;
	a->run_dir = strdup(run_dir);
	return a->run_dir ? 0 : -ENOMEM;
}

/* A file that is there and wrong is most likely why the agent is not: said,
 * but it is the agent's fault and not the caller's. */
static int find_place(struct asker *a, const struct mspd_cli *cli)
{
	const struct msp_address usual = { htonl(INADDR_LOOPBACK), 3080, 0 };
	const char *path = cli->config;
	struct mspd_config config;
	char beside[PATH_MAX];
	char error[512];
	int rc;

	if (!path)
		path = mspd_config_find(beside);
	rc = mspd_config_load(&config, path, error, sizeof(error));
	if (rc < 0 && (cli->config || rc == -EINVAL))
		fprintf(stderr, "%s: %s\n", cli->name, error);
	if (rc < 0)
		return cli->config ? rc : set_place(a, &usual, RUN_FOLDER);
	rc = set_place(a, &config.listener, config.run_dir);
	mspd_config_free(&config);
	return rc;
}

static void begin(struct asker *a, uint64_t wait_s)
{
	struct timespec wall;

	if (__builtin_mul_overflow(wait_s, 1000, &a->end) ||
	    __builtin_add_overflow(a->end, now().boot_ms, &a->end))
		a->end = MSP_NEVER;
	if (!wait_s)
		a->end = 0;
	clock_gettime(CLOCK_REALTIME, &wall);
	snprintf(a->tick, sizeof(a->tick), "%lld%09ld", (long long)wall.tv_sec,
		 wall.tv_nsec);
	a->notify = true;
}

int mspd_cli_status(const struct mspd_cli *cli)
{
	struct asker *a = calloc(1, sizeof(*a));
	int status = EXIT_WAITING;
	int rc = -ENOMEM;

	signal(SIGPIPE, SIG_IGN); /* the exit status is what counts */
	if (a) {
		begin(a, cli->wait_s);
		rc = find_place(a, cli);
	}
	if (rc == 0)
		status = keep_asking(a);
	else if (rc == -ENOMEM)
		fprintf(stderr, "%s: no memory\n", cli->name);
	else
		status = EX_CONFIG;
	if (a)
		free(a->run_dir);
	free(a);
	return status;
}
