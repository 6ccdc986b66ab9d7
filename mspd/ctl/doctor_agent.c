/* SPDX-License-Identifier: MIT */
/*
 * In: the agent's configuration, its control socket, its port. Out: whether it
 * is there, and its own word on how it is. Must never take another process for
 * it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mspd/ctl/agent.h"
#include "mspd/ctl/control.h"
#include "mspd/ctl/doctor.h"
#include "mspd/listener.h"

/* ---- configuration ------------------------------------------------------ */

static const char *usual_path(struct ctl_doctor *d)
{
	static const char azure[] = "/etc/azure/proxy-agent.json";

	if (d->live)
		return mspd_config_find(d->beside);
	return ctl_there(d, azure) ? azure : "/etc/mspd/mspd.json";
}

/* Through a descriptor, which its messages then name, if there is a root. */
static int load_config(struct ctl_doctor *d, char *error, size_t size)
{
	char path[32], said[512];
	int fd, rc;

	if (d->live)
		return mspd_config_load(&d->config, d->path, error, size);
	fd = ctl_open(d, d->path, O_RDONLY);
	if (fd < 0) {
		rc = -errno;
		snprintf(error, size, "%s: %s", d->path, strerror(-rc));
		return rc;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = mspd_config_load(&d->config, path, said, sizeof(said));
	close(fd);
	if (rc < 0)
		snprintf(error, size, "%s%s", d->path,
			 strncmp(said, path, strlen(path))
				 ? ": cannot be read"
				 : said + strlen(path));
	return rc;
}

void ctl_check_config(struct ctl_doctor *d, bool named)
{
	char error[512] = "";
	int rc;

	if (!named)
		d->path = usual_path(d);
	rc = load_config(d, error, sizeof(error));
	if (rc < 0 && !ctl_agent_defaults(&d->config))
		ctl_no_memory();
	if (rc == -ENOENT)
		ctl_find(d, CTL_ILL, "config",
			 named ? "name the file that the agent reads"
			       : ctl_remedy_install,
			 "%s", error);
	else if (rc < 0)
		ctl_find(d, CTL_ILL, "config",
			 rc == -EACCES ? ctl_remedy_root
				       : "correct it as mspd.conf(5) says, "
					 "then restart the agent",
			 "%s", error);
	else if (d->config.n_warnings)
		ctl_find(d, CTL_DOUBT, "config", "see mspd.conf(5)",
			 "%s: %zu warnings; the first: %s", d->path,
			 d->config.n_warnings, d->config.warnings[0]);
	else
		ctl_find(d, CTL_WELL, "config", NULL, "%s", d->path);
}

/* ---- the agent ---------------------------------------------------------- */

static void take_status(struct ctl_doctor *d, const struct ctl_text *text)
{
	int64_t pid;

	d->told = ctl_json_parse(text->at, text->len);
	if (ctl_json_number(d->told, "pid", &pid) && pid > 0 &&
	    pid <= INT32_MAX)
		d->agent = (uint32_t)pid;
}

static void tell_status(struct ctl_doctor *d)
{
	const char *version = ctl_json_text(d->told, "version");
	const char *state = ctl_json_text(d->told, "state");
	const char *message = ctl_json_text(d->told, "message");
	bool failure = message && (ctl_failure_find(message) ||
				   !strncmp(message, "Failed", 6));
	bool well = ctl_json_true(d->told, "healthy");

	if (!d->agent || !version || !state) {
		ctl_find(d, CTL_ILL, "agent", ctl_remedy_restart,
			 "what answers at the control socket is no mspd");
		return;
	}
	ctl_find(d, well ? CTL_WELL : CTL_ILL, "agent",
		 well	   ? NULL
		 : failure ? ctl_doctor_remedy(d, message)
			   : "see what else failed",
		 "mspd %s, process %u: %s%s%s", version, d->agent,
		 well ? "healthy" : "not healthy", message ? ": " : "",
		 message ? message : "");
}

char *ctl_doctor_socket(const struct ctl_doctor *d)
{
	char *socket = ctl_agent_socket(&d->config);
	char *path = NULL;

	if (asprintf(&path, "%s%s", d->root, socket) < 0)
		ctl_no_memory();
	free(socket);
	return path;
}

void ctl_check_agent(struct ctl_doctor *d)
{
	char *path = ctl_doctor_socket(d);
	struct ctl_text text = { 0 };
	char why[CTL_CONTROL_WHY];

	switch (d->config.control_socket && !*d->config.control_socket
			? CTL_ASKED_NOBODY
			: ctl_control_ask(&text, path, "status", why)) {
	case CTL_ASKED:
		take_status(d, &text);
		tell_status(d);
		break;
	case CTL_ASKED_NOBODY:
		if (d->config.control_socket && !*d->config.control_socket)
			ctl_find(d, CTL_DOUBT, "agent",
				 "set controlSocket in the configuration",
				 "it has no control socket to ask");
		else
			ctl_find(d, CTL_ILL, "agent", ctl_remedy_start,
				 "does not run: %s: %s", path, why);
		break;
	case CTL_ASKED_DENIED:
		ctl_find(d, CTL_DOUBT, "agent", ctl_remedy_root, "%s: %s", path,
			 why);
		break;
	case CTL_ASKED_FAILED:
		ctl_find(d, CTL_ILL, "agent", ctl_remedy_restart, "%s: %s",
			 path, why);
		break;
	}
	ctl_text_free(&text);
	free(path);
}

/* ---- its port ----------------------------------------------------------- */

static void describe(const struct msp_port_holder *h, char *out, size_t size)
{
	if (h->pid)
		snprintf(out, size, "process %u (%s) of user %u", h->pid,
			 h->comm, h->uid);
	else
		snprintf(out, size, "a process of user %u", h->uid);
}

/* The port that is configured is another's: the agent found one beside it. */
static void tell_taken(struct ctl_doctor *d, const char *wanted)
{
	struct msp_port_holder h = { .size = sizeof(h) };
	char who[96] = "somebody who is gone";
	char now[MSPD_LISTENER_TEXT];

	mspd_listener_text(&d->listener, now);
	if (msp_redirect_holder(&d->config.listener, &h, NULL) == 0)
		describe(&h, who, sizeof(who));
	ctl_find(d, CTL_DOUBT, "listener",
		 "end what has the port, or set listenAddress; then restart "
		 "the agent",
		 "%s is taken by %s; the agent listens at %s", wanted, who,
		 now);
}

/* One that does not answer has a name all the same. */
static void guess_agent(struct ctl_doctor *d, const struct msp_port_holder *h)
{
	if (!d->agent && !h->uid &&
	    (!strcmp(h->comm, "mspd") || !strcmp(h->comm, CTL_GPA_COMM)))
		d->agent = h->pid;
}

static void tell_holder(struct ctl_doctor *d, const char *wanted,
			const char *at)
{
	struct msp_port_holder h = { .size = sizeof(h) };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char who[96] = "";
	int rc = msp_redirect_holder(&d->listener, &h, &info);

	guess_agent(d, &h);
	describe(&h, who, sizeof(who));
	if (rc < 0 && rc != MSP_ERR_NOENT)
		ctl_find(d, CTL_DOUBT, "listener", ctl_remedy_root,
			 "cannot tell who listens at %s: %s", at, info.text);
	else if (rc < 0)
		ctl_find(d, CTL_ILL, "listener", ctl_remedy_start,
			 "nobody listens at %s", at);
	else if (h.uid != 0 || (h.pid && h.pid != d->agent && d->agent))
		ctl_find(d, CTL_ILL, "listener",
			 "end that process, then restart the agent",
			 "%s is held by %s, which is not the agent", at, who);
	else if (!d->agent || !h.pid)
		ctl_find(
			d, CTL_DOUBT, "listener", ctl_remedy_root,
			"%s is held by %s; whether that is the agent cannot be "
			"told",
			at, who);
	else if (strcmp(wanted, at) != 0)
		tell_taken(d, wanted);
	else
		ctl_find(d, CTL_WELL, "listener", NULL, "%s is the agent's",
			 at);
}

void ctl_check_listener(struct ctl_doctor *d)
{
	char wanted[MSPD_LISTENER_TEXT], at[MSPD_LISTENER_TEXT];

	if (!d->live)
		return;
	if (mspd_listener_ask(d->config.run_dir, &d->listener) < 0)
		d->listener = d->config.listener;
	mspd_listener_text(&d->config.listener, wanted);
	mspd_listener_text(&d->listener, at);
	if (ctl_other_network(d))
		ctl_find(d, CTL_DOUBT, "listener",
			 "run mspctl doctor where the agent runs",
			 "%s cannot be looked at: this shell is in another "
			 "network namespace than the agent",
			 at);
	else
		tell_holder(d, wanted, at);
}
