/* SPDX-License-Identifier: MIT */
/*
 * In: one question to each endpoint, asked by this process. Out: where its
 * connection ended, and who answered. Must never take an answer for proof that
 * the kernel does not confirm.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mspd/ctl/doctor.h"
#include "mspd/listener.h"

#define CONNECT_MS 3000
#define ANSWER_MS  5000

/**
 * struct probe - one of them
 * @endpoint: that is asked
 * @state:    "enforce", "audit", "off", or "": of its redirection, the agent
 *            says
 * @fd:       of its socket, kept open until it has been found in /proc
 * @to:       where the kernel has it go; port 0: it does not say
 * @status:   of the answer, 0: none
 * @passed:   on by an agent
 * @date:     of the host, 0: unknown
 * @error:    why there is no answer
 * @err:      errno, if it is one
 */
struct probe {
	enum msp_endpoint endpoint;
	const char *state;
	int fd;
	struct msp_address to;
	unsigned int status;
	bool passed;
	int64_t date;
	char error[320];
	int err;
};

static const struct {
	const char *name;
	const char *target;
} asked[MSP_ENDPOINTS] = {
	[MSP_ENDPOINT_WIRESERVER] = { "probe wireserver", "/?comp=versions" },
	[MSP_ENDPOINT_IMDS] = { "probe imds", "/metadata/versions" },
	[MSP_ENDPOINT_HOSTGA] = { "probe hostga", "/versions" },
};

/* ---- asking ------------------------------------------------------------- */

static struct msp_time now(void)
{
	struct timespec boot;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (struct msp_time){ (uint64_t)boot.tv_sec * 1000 +
					  (uint64_t)boot.tv_nsec / 1000000,
				  time(NULL) };
}

static int keep_socket(void *arg, int fd)
{
	struct probe *p = arg;

	if (p->fd >= 0)
		close(p->fd);
	p->fd = dup(fd);
	return 0;
}

static struct msp_header header(const char *name, const char *value)
{
	return (struct msp_header){ name, strlen(name), value, strlen(value) };
}

static int send_question(const struct probe *p, struct msp_client *client,
			 const struct msp_address *to,
			 struct msp_error_info *info)
{
	char host[MSPD_LISTENER_TEXT];
	struct msp_header headers[2];
	struct msp_message message = {
		.size = sizeof(message),
		.method = "GET",
		.method_len = 3,
		.target = asked[p->endpoint].target,
		.target_len = strlen(asked[p->endpoint].target),
		.headers = headers,
		.n_headers = 2,
	};

	mspd_listener_text(to, host);
	host[strcspn(host, ":")] = '\0';
	headers[0] = header("Host", host);
	headers[1] = header("Metadata", "true");
	return msp_client_send(client, now(), &message, 0, NULL, info);
}

/* Until the head of the answer is there. */
static int await(struct msp_client *client, struct msp_error_info *info)
{
	uint64_t end = now().boot_ms + CONNECT_MS + ANSWER_MS;
	struct pollfd fd;
	uint64_t due, at;
	int rc;

	for (;;) {
		rc = msp_client_run(client, now(), info);
		if (rc != MSP_ERR_AGAIN)
			return rc;
		at = now().boot_ms;
		if (at >= end)
			return MSP_ERR_TIMEOUT;
		due = msp_client_deadline(client);
		due = due < end ? due : end;
		fd = (struct pollfd){ .fd = msp_client_fd(client),
				      .events = msp_client_events(client) };
		if (due > at && poll(&fd, 1, (int)(due - at)) < 0 &&
		    errno != EINTR)
			return MSP_ERR_SYS;
	}
}

static int64_t parse_date(const char *value, size_t len)
{
	char text[64];
	struct tm tm = { 0 };

	snprintf(text, sizeof(text), "%.*s", (int)len, value);
	return strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) ? timegm(&tm)
								: 0;
}

static void take_answer(struct probe *p, const struct msp_response *answer)
{
	static const char passed[] = "x-ms-azure-host-authorization";
	size_t i;

	p->status = answer->status;
	for (i = 0; i < answer->n_headers; i++) {
		const struct msp_header *h = &answer->headers[i];

		if (h->name_len == 4 && !strncasecmp(h->name, "date", 4))
			p->date = parse_date(h->value, h->value_len);
		if (h->name_len == sizeof(passed) - 1 &&
		    !strncasecmp(h->name, passed, h->name_len))
			p->passed = true;
	}
}

static void ask(struct probe *p, const struct msp_address *to)
{
	const struct msp_client_opts opts = { .size = sizeof(opts),
					      .address = *to,
					      .connect_ms = CONNECT_MS,
					      .first_byte_ms = ANSWER_MS,
					      .idle_ms = ANSWER_MS,
					      .on_socket = keep_socket,
					      .on_socket_arg = p };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_client *client = NULL;
	int rc = msp_client_new(&client, &opts);

	if (rc == 0)
		rc = send_question(p, client, to, &info);
	if (rc == 0)
		rc = await(client, &info);
	if (rc == 0)
		take_answer(p, msp_client_response(client));
	else if (rc == MSP_ERR_TIMEOUT)
		snprintf(p->error, sizeof(p->error), "no answer in time");
	else
		snprintf(p->error, sizeof(p->error), "%s",
			 info.text[0] ? info.text : msp_error_text(rc));
	p->err = rc < 0 ? info.sys_errno : 0;
	msp_client_free(client);
}

/* ---- where it went ------------------------------------------------------ */

/* getpeername() tells clients what they asked for; /proc/net/tcp tells what
 * the kernel made of it. */
static void find_socket(struct probe *p)
{
	FILE *file = fopen("/proc/net/tcp", "re");
	unsigned long long inode;
	unsigned int ip, port;
	char *line = NULL;
	size_t room = 0;
	struct stat st;

	if (file && p->fd >= 0 && fstat(p->fd, &st) == 0)
		while (getline(&line, &room, file) > 0)
			if (sscanf(line,
				   " %*u: %*8X:%*4X %8X:%4X %*s %*s %*s %*s "
				   "%*s %*s %llu",
				   &ip, &port, &inode) == 3 &&
			    inode == st.st_ino)
				p->to = (struct msp_address){ ip,
							      (uint16_t)port,
							      0 };
	free(line);
	if (file)
		fclose(file);
}

static bool same(const struct msp_address *a, const struct msp_address *b)
{
	return a->ip == b->ip && a->port == b->port;
}

/* Why the hooks need not see this process; NULL: they must. */
static const char *outside(const struct ctl_doctor *d)
{
	const char *governed = d->config.cgroup_path;
	struct ctl_text text = { 0 };
	char own[256] = "", path[64], here[PATH_MAX];
	struct stat ours, theirs;
	size_t len;
	bool in;

	snprintf(path, sizeof(path), "/proc/%u/ns/net", d->agent);
	if (stat("/proc/self/ns/net", &ours) == 0 && stat(path, &theirs) == 0 &&
	    ours.st_ino != theirs.st_ino)
		return "this shell is in another network namespace than the "
		       "agent";
	if (!governed)
		return NULL;
	ctl_peek(d, &text, "/proc/self/cgroup");
	ctl_line_of(text.at, "0::", own, sizeof(own));
	ctl_text_free(&text);
	snprintf(here, sizeof(here), "%s%s", d->mount, own);
	len = strlen(governed);
	in = !strncmp(here, governed, len) && (!here[len] || here[len] == '/');
	return in ? NULL : "this shell is not in the agent's cgroup";
}

/* ---- what that means ---------------------------------------------------- */

static void tell_redirected(struct ctl_doctor *d, const struct probe *p,
			    const char *name, const char *at)
{
	if (!p->status)
		ctl_find(d, CTL_ILL, name, ctl_remedy_restart,
			 "redirected to %s, but: %s", at, p->error);
	else if (p->passed && p->status == 401)
		ctl_find(d, CTL_ILL, name, ctl_remedy_key,
			 "redirected to %s; the host rejects what the agent "
			 "signs (401)",
			 at);
	else if (p->passed || p->status == 403)
		ctl_find(d, CTL_WELL, name, NULL,
			 "redirected to %s, answered by the %s (%u)", at,
			 p->passed ? "host" : "agent: the rules refuse this",
			 p->status);
	else if (p->status == 421)
		ctl_find(d, CTL_ILL, name, ctl_remedy_restart,
			 "redirected to %s, but the agent cannot tell who "
			 "connects (421)",
			 at);
	else
		ctl_find(d, CTL_ILL, name,
			 "see agent, host and key: it has no key, or cannot "
			 "reach the host",
			 "redirected to %s, and refused by the agent (%u)", at,
			 p->status);
}

static void tell_direct(struct ctl_doctor *d, const struct probe *p,
			const char *name)
{
	bool wanted =
		!strcmp(p->state, "enforce") || !strcmp(p->state, "audit");
	const char *why = wanted ? outside(d) : NULL;

	if (!p->status)
		ctl_find(d, CTL_ILL, name, ctl_remedy_network,
			 "goes to the host directly: %s", p->error);
	else if (why)
		ctl_find(d, CTL_DOUBT, name,
			 "run mspctl doctor where the programs run that ask "
			 "for metadata",
			 "goes to the host directly (%u): %s", p->status, why);
	else if (wanted)
		ctl_find(d, CTL_ILL, name, ctl_remedy_restart,
			 "goes to the host directly (%u): the hooks are not "
			 "in effect",
			 p->status);
	else if (*p->state)
		ctl_find(d, CTL_WELL, name, NULL,
			 "not redirected, as the host wants it (%u)",
			 p->status);
	else
		ctl_find(d, CTL_DOUBT, name,
			 "see agent; without one nothing is protected",
			 "goes to the host directly (%u)", p->status);
}

static void tell_refused(struct ctl_doctor *d, const struct probe *p,
			 const char *name)
{
	bool wanted =
		!strcmp(p->state, "enforce") || !strcmp(p->state, "audit");
	const char *why = wanted ? outside(d) : NULL;

	if (p->err == EPERM)
		ctl_find(d, why ? CTL_DOUBT : CTL_ILL, name,
			 "see foreignNamespaces in mspd.conf(5)",
			 "a hook refuses the connection%s%s", why ? ": " : "",
			 why ? why : "");
	else if (p->err == ECONNREFUSED && wanted)
		ctl_find(d, CTL_ILL, name, ctl_remedy_start,
			 "redirected, but nobody listens there");
	else
		ctl_find(d, CTL_ILL, name, ctl_remedy_network, "%s", p->error);
}

static void tell(struct ctl_doctor *d, const struct probe *p)
{
	const char *name = asked[p->endpoint].name;
	char at[MSPD_LISTENER_TEXT];

	mspd_listener_text(&p->to, at);
	if (!p->to.port)
		tell_refused(d, p, name);
	else if (same(&p->to, &d->listener))
		tell_redirected(d, p, name, at);
	else if (same(&p->to, &d->config.endpoints[p->endpoint]))
		tell_direct(d, p, name);
	else
		ctl_find(d, CTL_ILL, name,
			 "end what redirects it, then restart the agent",
			 "redirected to %s, which is not the agent's", at);
}

void ctl_check_probes(struct ctl_doctor *d)
{
	unsigned int i;

	for (i = 0; d->live && i < MSP_ENDPOINTS; i++) {
		struct probe p = { .endpoint = (enum msp_endpoint)i, .fd = -1 };
		const char *state = ctl_tree_text(
			ctl_told_endpoint(d, p.endpoint), "redirection", NULL);

		p.state = state ? state : "";
		ask(&p, &d->config.endpoints[i]);
		find_socket(&p);
		if (p.fd >= 0)
			close(p.fd);
		tell(d, &p);
		if (p.date && !d->host_date) {
			d->host_date = p.date;
			d->host_date_at = time(NULL);
		}
	}
}
