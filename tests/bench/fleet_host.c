/* SPDX-License-Identifier: MIT */
/*
 * In: the path of msp-host, from the environment. Out: one that runs, its
 * figures and its own words. Must never outlive the bench.
 */
#include "tests/bench/fleet_host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/fleet.h"
#include "tests/bench/kit.h"
#include "tests/bench/measure.h"

#define ANSWER_MAX (256u * 1024 * 1024)

/* ---- start and stop ---------------------------------------------------- */

__attribute__((noreturn)) static void become_host(int out, const char *state)
{
	const char *program = getenv("MSP_HOST");
	const char *args[20] = { program,	"--wireserver", "127.0.0.1:0",
				 "--imds",	"127.0.0.1:0",	"--hostga",
				 "127.0.0.1:0", "--control",	"127.0.0.1:0",
				 "--mode",	"imds=Enforce", "--fleet",
				 FLEET_NETWORK, "--log",	"/dev/null" };

	if (!program)
		measure_die("MSP_HOST does not name an msp-host");
	if (state) {
		args[15] = "--state";
		args[16] = state;
	}
	kit_end_with_parent();
	measure_need(dup2(out, STDOUT_FILENO), "dup2");
	execv(program, (char *const *)(uintptr_t)args);
	measure_die("%s: %s", program, strerror(errno));
}

static void note_address(struct fleet_host *h, const char *line)
{
	char name[16], ip[16];
	struct msp_address at = { 0 };
	unsigned int port;

	if (sscanf(line, "msp-host: %15s %15[0-9.]:%u", name, ip, &port) != 3)
		return;
	at.ip = inet_addr(ip);
	at.port = (uint16_t)port;
	if (!strcmp(name, "WireServer"))
		h->wireserver = at;
	else if (!strcmp(name, "IMDS"))
		h->imds = at;
	else if (!strcmp(name, "Control"))
		h->control = at;
}

void fleet_host_start(struct fleet_host *h, const char *state)
{
	char line[128] = "";
	int out[2];
	FILE *said;

	measure_need(pipe(out), "pipe");
	h->pid = fork();
	measure_need(h->pid, "cannot fork");
	if (h->pid == 0)
		become_host(out[1], state);
	close(out[1]);
	said = fdopen(out[0], "r");
	if (!said)
		measure_die("out of memory");
	while (strcmp(line, "msp-host: ready\n")) {
		if (!fgets(line, sizeof(line), said))
			measure_die("msp-host does not start");
		note_address(h, line);
	}
	fclose(said);
}

void fleet_host_stop(struct fleet_host *h, int with)
{
	int status = 0;

	measure_need(kill(h->pid, with), "kill");
	measure_need(waitpid(h->pid, &status, 0), "waitpid");
	if (with == SIGTERM && status)
		measure_die("msp-host ended with status %#x",
			    (unsigned int)status);
}

/* ---- figures ----------------------------------------------------------- */

uint64_t fleet_host_cpu(const struct fleet_host *h)
{
	struct timespec used;
	clockid_t id;

	if (clock_getcpuclockid(h->pid, &id) != 0 ||
	    clock_gettime(id, &used) < 0)
		measure_die("msp-host has no CPU clock");
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

double fleet_rss(pid_t pid)
{
	unsigned long pages = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm",
		 (int)(pid ? pid : getpid()));
	file = fopen(path, "re");
	if (!file || fscanf(file, "%*u %lu", &pages) != 1)
		measure_die("%s: not as expected", path);
	fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* ---- control port ------------------------------------------------------ */

static struct msp_time clock_now(void)
{
	struct msp_time now = { measure_now() / 1000000, time(NULL) };

	return now;
}

/* Waits, and says whether to go on. */
static bool once_more(struct msp_client *client, int rc)
{
	struct pollfd fd = { .fd = msp_client_fd(client),
			     .events = msp_client_events(client) };

	if (rc != MSP_ERR_AGAIN)
		return false;
	poll(&fd, 1, 1000);
	return true;
}

static char *read_body(struct msp_client *client, size_t *len)
{
	size_t got, room = 1024 * 1024;
	char *text = malloc(room);
	int rc;

	for (*len = 0;; *len += got) {
		if (text && *len + 1 >= room && room < ANSWER_MAX)
			text = realloc(text, room *= 2);
		if (!text || *len + 1 >= room)
			measure_die("an answer that is too long");
		do {
			rc = msp_client_read(client, clock_now(), text + *len,
					     room - *len - 1, &got, NULL);
		} while (once_more(client, rc));
		if (rc < 0)
			measure_die("control port: %s", msp_error_text(rc));
		if (!got)
			break;
	}
	text[*len] = '\0';
	return text;
}

yajl_val fleet_host_get(const struct fleet_host *h, const char *target)
{
	struct msp_client_opts opts = { .size = sizeof(opts) };
	struct msp_header host = { "host", 4, "fleet", 5 };
	struct msp_message message = { .size = sizeof(message) };
	struct msp_client *client;
	yajl_val value;
	size_t len;
	char *text;
	int rc;

	opts.address = h->control;
	message.method = "GET";
	message.method_len = 3;
	message.target = target;
	message.target_len = strlen(target);
	message.headers = &host;
	message.n_headers = 1;
	rc = msp_client_new(&client, &opts);
	if (rc == 0)
		rc = msp_client_send(client, clock_now(), &message, 0, NULL,
				     NULL);
	while (rc == 0) {
		rc = msp_client_run(client, clock_now(), NULL);
		if (rc == 0)
			break;
		if (once_more(client, rc))
			rc = 0;
	}
	if (rc < 0 || msp_client_response(client)->status != 200)
		measure_die("control port: GET %s: %s", target,
			    rc < 0 ? msp_error_text(rc) : "refused");
	text = read_body(client, &len);
	value = yajl_tree_parse(text, NULL, 0);
	if (!value)
		measure_die("control port: GET %s: no JSON", target);
	free(text);
	msp_client_free(client);
	return value;
}
