/* SPDX-License-Identifier: MIT */
/*
 * In: what the agent answers, or what it left. Out: one screen of it, again and
 * again if asked, and an exit status. Must never call an agent healthy that has
 * not said so just now.
 */
#include "mspd/ctl/status.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "mspd/ctl/agent.h"
#include "mspd/ctl/control.h"

static const char help[] =
	"Usage: mspctl status [OPTION]...\n"
	"How the agent of this machine is, on one screen. Root's to ask.\n"
	"\n"
	"  --json           what it says, as one object\n"
	"  --watch [N]      again every N seconds, 2 unless told\n"
	"  --wait healthy   until it is\n"
	"  --timeout N      but no longer than so many seconds, 60 unless "
	"told\n"
	"  --file FILE      what --json wrote once, instead of asking\n"
	"  --config FILE    of the agent, which names its socket and folders\n"
	"\n"
	"Of an agent that does not answer it tells what the files say. Lines "
	"are\n"
	"as long as the terminal is wide, or COLUMNS, or 80. NO_COLOR is\n"
	"respected.\n"
	"\n"
	"Exit status: 0 healthy; 1 not healthy, with --wait not in time; 3 it\n"
	"does not answer; 2 it could not be asked; 64 usage.\n";

#define WIDTH	  80
#define WIDTH_MIN 40
#define WIDTH_MAX 1000
/* Between two questions while it is waited for. */
#define STEP_MS	 200
#define FILE_MAX ((size_t)256 * 1024)

/**
 * struct status - one run of the command
 * @watch, @timeout: in seconds
 * @config: of the agent
 * @answer: its latest; @document: the same, or NULL
 * @asked:  how the latest question went
 * @why:    there is no answer
 */
struct status {
	bool json;
	struct ctl_number watch, timeout;
	const char *wait, *file, *config_path;
	struct mspd_config config;
	char *socket;
	struct ctl_text answer;
	yajl_val document;
	enum ctl_asked asked;
	char why[CTL_AGENT_WHY + CTL_CONTROL_WHY];
};

/* ---- asking ------------------------------------------------------------ */

static void forget(struct status *s)
{
	yajl_tree_free(s->document);
	s->document = NULL;
	ctl_text_free(&s->answer);
}

static void fail(struct status *s, enum ctl_asked asked, const char *why)
{
	s->asked = asked;
	snprintf(s->why, sizeof(s->why), "%s: %s",
		 *s->socket ? s->socket : "control socket", why);
}

static void ask(struct status *s)
{
	char why[CTL_CONTROL_WHY];

	forget(s);
	if (!*s->socket) {
		fail(s, CTL_ASKED_FAILED, "switched off, as configured");
		return;
	}
	s->asked = ctl_control_ask(&s->answer, s->socket, "status", why);
	if (s->asked != CTL_ASKED) {
		fail(s, s->asked, why);
		return;
	}
	while (s->answer.len && s->answer.at[s->answer.len - 1] == '\n')
		s->answer.at[--s->answer.len] = '\0';
	s->document = ctl_json_parse(s->answer.at, s->answer.len);
	if (!s->document)
		fail(s, CTL_ASKED_FAILED, "its answer is no JSON object");
	else if (ctl_json_text(s->document, "error"))
		fail(s, CTL_ASKED_FAILED, ctl_json_text(s->document, "error"));
}

static bool is_healthy(const struct status *s)
{
	return s->asked == CTL_ASKED && ctl_json_true(s->document, "healthy");
}

static int verdict(const struct status *s)
{
	switch (s->asked) {
	case CTL_ASKED:
		return is_healthy(s) ? CTL_OK : CTL_NO;
	case CTL_ASKED_DENIED:
		return CTL_ERROR;
	default:
		return CTL_DOWN;
	}
}

/* ---- showing ----------------------------------------------------------- */

static unsigned int number_of(const char *text)
{
	unsigned int n = 0;

	for (; text && *text >= '0' && *text <= '9' && n < WIDTH_MAX; text++)
		n = n * 10 + (unsigned int)(*text - '0');
	return n;
}

/* Of the terminal; 0, 0 for anything else. */
static struct winsize terminal(void)
{
	struct winsize size = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		memset(&size, 0, sizeof(size));
	return size;
}

static unsigned int width(void)
{
	unsigned int n = terminal().ws_col;

	if (!n)
		n = number_of(getenv("COLUMNS"));
	if (!n)
		n = WIDTH;
	if (n < WIDTH_MIN)
		return WIDTH_MIN;
	return n < WIDTH_MAX ? n : WIDTH_MAX;
}

static bool has_colours(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && term &&
	       strcmp(term, "dumb") != 0;
}

static void put_json(const struct status *s, struct ctl_text *out)
{
	const char *rest = s->answer.at;
	struct ctl_known known;

	if (s->asked != CTL_ASKED) {
		ctl_known_look(&known, &s->config);
		ctl_status_put_known(out, &known, s->asked == CTL_ASKED_NOBODY,
				     s->why);
		ctl_known_free(&known);
	} else {
		rest += strspn(rest, " \t\r\n{");
		ctl_put(out, "{\"running\":true");
		ctl_put(out, *rest == '}' ? "" : ",");
		ctl_put_json_text(out, rest);
	}
	ctl_put(out, "\n");
}

static void put_screen(const struct status *s, struct ctl_text *out)
{
	struct ctl_screen screen = { .out = out,
				     .width = width(),
				     .colours = has_colours() };
	struct ctl_known known;

	if (s->asked == CTL_ASKED) {
		ctl_status_show(&screen, s->document);
	} else {
		ctl_known_look(&known, &s->config);
		ctl_status_show_known(&screen, &known,
				      s->asked == CTL_ASKED_NOBODY, s->why);
		ctl_known_free(&known);
	}
	ctl_screen_free(&screen);
}

static int show(const struct status *s, int status)
{
	struct ctl_text out = { 0 };

	if (s->asked == CTL_ASKED_DENIED)
		return ctl_fail("%s", s->why);
	if (s->json)
		put_json(s, &out);
	else
		put_screen(s, &out);
	status = ctl_answer(&out, status);
	ctl_text_free(&out);
	return status;
}

/* ---- again and again --------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_healthy(struct status *s)
{
	const int64_t end = now_ms() + (int64_t)s->timeout.value * 1000;

	for (;;) {
		ask(s);
		if (is_healthy(s) || s->asked == CTL_ASKED_DENIED ||
		    !*s->socket)
			return show(s, verdict(s));
		if (now_ms() >= end)
			break;
		usleep(STEP_MS * 1000);
	}
	ctl_note("not healthy within %u s", s->timeout.value);
	return show(s, CTL_NO);
}

/* On a terminal each takes the place of the one before, as far as it fits. */
static void put_over(struct ctl_text *to, const struct ctl_text *from)
{
	const unsigned short rows = terminal().ws_row;
	const char *at = from->at ? from->at : "", *end;
	unsigned int n = 0;

	ctl_put(to, "\x1b[H");
	for (; (end = strchr(at, '\n')) && (!rows || n + 1 < rows); n++) {
		ctl_put_bytes(to, at, (size_t)(end - at));
		ctl_put(to, "\x1b[K\n");
		at = end + 1;
	}
	ctl_put(to, "\x1b[J");
}

static int watch(struct status *s)
{
	const bool over = isatty(STDOUT_FILENO) && !s->json;
	struct ctl_text out = { 0 }, screen = { 0 };
	bool fine = true;

	while (fine) {
		ask(s);
		if (s->asked == CTL_ASKED_DENIED)
			break;
		out.len = screen.len = 0;
		if (s->json)
			put_json(s, &out);
		else
			put_screen(s, &screen);
		if (over)
			put_over(&out, &screen);
		else if (!s->json)
			ctl_put_bytes(&out, screen.at, screen.len);
		fine = fwrite(out.at, 1, out.len, stdout) == out.len &&
		       (over || s->json || putchar('\n') != EOF) &&
		       fflush(stdout) == 0;
		if (fine)
			sleep(s->watch.value);
	}
	ctl_text_free(&screen);
	ctl_text_free(&out);
	return fine ? ctl_fail("%s", s->why) : CTL_ERROR;
}

/* ---- the command ------------------------------------------------------- */

/* What was said once; of one that did not answer then there is no more to say
 * than that. */
static int show_file(struct status *s)
{
	if (!ctl_read_file(&s->answer, s->file, FILE_MAX))
		return CTL_ERROR;
	s->document = ctl_json_parse(s->answer.at, s->answer.len);
	if (!s->document || !ctl_json_get(s->document, "healthy"))
		return ctl_fail("%s: is not what --json writes",
				ctl_file_name(s->file));
	s->asked = CTL_ASKED;
	if (ctl_json_get(s->document, "known"))
		return ctl_fail("%s: of an agent that did not answer",
				ctl_file_name(s->file));
	return show(s, verdict(s));
}

static bool complete(struct status *s, const struct ctl_list *operands)
{
	if (operands->n)
		ctl_fail("%s: not expected", operands->at[0]);
	else if (s->wait && strcmp(s->wait, "healthy") != 0)
		ctl_fail("--wait '%s': want healthy", s->wait);
	else if (s->timeout.given && !s->wait)
		ctl_fail("--timeout: only with --wait");
	else if (!s->watch.value)
		ctl_fail("--watch '0': want 1 or more");
	else if (s->watch.given && s->wait)
		ctl_fail("--watch: not with --wait");
	else if (s->file && (s->watch.given || s->wait || s->json))
		ctl_fail("--file: not with --watch, --wait or --json");
	else
		return true;
	return false;
}

static int ask_agent(struct status *s)
{
	char why[CTL_AGENT_WHY];
	int status;

	if (!ctl_agent_config(&s->config, s->config_path, why))
		return CTL_ERROR;
	s->socket = ctl_agent_socket(&s->config);
	if (s->wait) {
		status = wait_healthy(s);
	} else if (s->watch.given) {
		status = watch(s);
	} else {
		ask(s);
		status = show(s, verdict(s));
	}
	if (s->asked != CTL_ASKED && *why)
		ctl_note("%s: so it is taken to be as by default", why);
	free(s->socket);
	mspd_config_free(&s->config);
	return status;
}

static int run(int argc, char **argv)
{
	struct status s = { .timeout.value = 60, .watch.value = 2 };
	struct ctl_list operands = { 0 };
	const struct ctl_option options[] = {
		{ "json", CTL_FLAG, &s.json },
		{ "watch", CTL_MAYBE, &s.watch },
		{ "wait", CTL_TEXT, &s.wait },
		{ "timeout", CTL_NUMBER, &s.timeout },
		{ "file", CTL_TEXT, &s.file },
		{ "config", CTL_TEXT, &s.config_path },
		{ NULL, CTL_FLAG, NULL },
	};
	int status = CTL_USAGE;

	if (ctl_parse(options, argc, argv, &operands) &&
	    complete(&s, &operands))
		status = s.file ? show_file(&s) : ask_agent(&s);
	forget(&s);
	free(operands.at);
	return status;
}

const struct ctl_command ctl_status_command = {
	.name = "status",
	.about = "how the agent of this machine is",
	.help = help,
	.run = run,
};
