/* SPDX-License-Identifier: MIT */
/*
 * In: one question to each endpoint, asked by this process. Out: where its
 * connection ended, and who answered. Must never take an answer for proof that
 * the kernel does not confirm.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "mspd/ctl/doctor.h"
#include "mspd/ctl/probe.h"
#include "mspd/listener.h"

/* By enum msp_endpoint. */
static const char *const names[MSP_ENDPOINTS] = {
	[MSP_ENDPOINT_WIRESERVER] = "probe wireserver",
	[MSP_ENDPOINT_IMDS] = "probe imds",
	[MSP_ENDPOINT_HOSTGA] = "probe hostga",
};

/**
 * struct wish - what the agent says is to become of an endpoint's connections
 * @redirect: they are to come to it
 * @disabled: the host wants them to be left alone
 * @known:    it has said so
 */
struct wish {
	bool redirect;
	bool disabled;
	bool known;
};

static struct wish wish_for(const struct ctl_doctor *d,
			    enum msp_endpoint endpoint)
{
	yajl_val at = ctl_told_endpoint(d, endpoint);
	const char *mode = ctl_json_text(at, "mode");
	const char *state = ctl_json_text(at, "redirection");

	return (struct wish){ .redirect = state && strcmp(state, "off") != 0,
			      .disabled = mode && !strcmp(mode, "disabled"),
			      .known = state != NULL };
}

static bool same(const struct msp_address *a, const struct msp_address *b)
{
	return a->ip == b->ip && a->port == b->port;
}

/* Why the hooks need not see this process; NULL: they must. */
static const char *outside(const struct ctl_doctor *d)
{
	const char *governed = d->config.cgroup_path;
	char here[PATH_MAX];
	size_t len;
	bool in;

	if (ctl_other_network(d))
		return "this shell is in another network namespace than the "
		       "agent";
	if (!governed)
		return NULL;
	ctl_own_cgroup(d, here);
	len = strlen(governed);
	in = !strncmp(here, governed, len) && (!here[len] || here[len] == '/');
	return in ? NULL : "this shell is not in the agent's cgroup";
}

/* ---- what that means ---------------------------------------------------- */

static void tell_redirected(struct ctl_doctor *d, const struct ctl_probe *p,
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
	else if (p->passed && p->status >= 500)
		ctl_find(d, CTL_DOUBT, name, "try again; it is the host's",
			 "redirected to %s; the host answers %u", at,
			 p->status);
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

static void tell_direct(struct ctl_doctor *d, const struct ctl_probe *p,
			const char *name, const struct wish *wish)
{
	const char *why = wish->redirect ? outside(d) : NULL;

	if (!p->status)
		ctl_find(d, CTL_ILL, name, ctl_remedy_network,
			 "goes to the host directly: %s", p->error);
	else if (why)
		ctl_find(d, CTL_DOUBT, name,
			 "run mspctl doctor where the programs run that ask "
			 "for metadata",
			 "goes to the host directly (%u): %s", p->status, why);
	else if (wish->redirect)
		ctl_find(d, CTL_ILL, name, ctl_remedy_restart,
			 "goes to the host directly (%u): the hooks are not "
			 "in effect",
			 p->status);
	else if (p->status == 401)
		ctl_find(d, CTL_ILL, name, "see key and status",
			 "goes to the host directly, which wants a signature "
			 "(401)");
	else if (wish->disabled)
		ctl_find(d, CTL_WELL, name, NULL,
			 "not redirected, as the host wants it (%u)",
			 p->status);
	else
		ctl_find(d, CTL_DOUBT, name,
			 wish->known ? "see protection"
				     : "see agent; without one nothing is "
				       "protected",
			 "goes to the host directly (%u)", p->status);
}

static void tell_refused(struct ctl_doctor *d, const struct ctl_probe *p,
			 const char *name, const struct wish *wish)
{
	const char *why = wish->redirect ? outside(d) : NULL;

	if (p->err == EPERM)
		ctl_find(d, why ? CTL_DOUBT : CTL_ILL, name,
			 "see foreignNamespaces in mspd.conf(5)",
			 "a hook refuses the connection%s%s", why ? ": " : "",
			 why ? why : "");
	else if (p->err == ECONNREFUSED && wish->redirect)
		ctl_find(d, CTL_ILL, name, ctl_remedy_start,
			 "redirected, but nobody listens there");
	else
		ctl_find(d, CTL_ILL, name, ctl_remedy_network, "%s", p->error);
}

static void tell(struct ctl_doctor *d, const struct ctl_probe *p,
		 enum msp_endpoint endpoint)
{
	const struct wish wish = wish_for(d, endpoint);
	const char *name = names[endpoint];
	char at[MSPD_LISTENER_TEXT];

	mspd_listener_text(&p->to, at);
	if (!p->to.port)
		tell_refused(d, p, name, &wish);
	else if (same(&p->to, &d->listener))
		tell_redirected(d, p, name, at);
	else if (same(&p->to, &d->config.endpoints[endpoint]))
		tell_direct(d, p, name, &wish);
	else
		ctl_find(d, CTL_ILL, name,
			 "end what redirects it, then restart the agent",
			 "redirected to %s, which is not the agent's", at);
}

void ctl_check_probes(struct ctl_doctor *d)
{
	struct ctl_probe probes[MSP_ENDPOINTS] = { 0 };
	unsigned int i;

	if (!d->live)
		return;
	ctl_probe_all(probes, d->config.endpoints);
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		tell(d, &probes[i], (enum msp_endpoint)i);
		if (!probes[i].date || d->host_date)
			continue;
		d->host_date = probes[i].date;
		d->host_date_at = time(NULL);
	}
}
