/* SPDX-License-Identifier: MIT */
/*
 * In: a redirector. Out: whether direct connections, the listener's port and
 * other network namespaces are treated as the documentation says. Must never
 * pass because nothing happened: each refusal has its counter or control.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kernels/guest.h"

/* Where nothing is redirected the very same connect() reaches the host. */
void check_off(struct world *w, const char *when)
{
	int i;

	for (i = 0; i < 2 * MSP_ENDPOINTS; i++) {
		struct plan plan = plan_new(0, w->endpoints[i % MSP_ENDPOINTS]);
		int status;

		plan.options = CLIENT_POKE;
		plan.uid = plan.euid = 1000;
		if (i >= MSP_ENDPOINTS)
			plan.family = AF_INET6;
		status = run(&plan);
		check(status == 0 && world_escaped(w) == 1,
		      "%s, endpoint %d is the host (%d)", when, i, status);
	}
}

/* To the listener itself, by each name that leads there. */
static void direct(struct world *w, uint32_t name, int family)
{
	uint64_t before = msp_redirect_count(w->redirect, MSP_COUNT_DIRECT);
	struct msp_address to = { htonl(name), LISTENER_PORT, 0 };
	struct plan plan = plan_new(0, to);
	struct claim claim = { 0 };
	struct child child;
	struct peer peer;
	uint32_t differ = 0;
	bool known;

	plan.family = family;
	if (launch(&plan, &child) == 0)
		let_go(&child);
	known = peer_take(w, &peer) && peer_hear(w, &peer, &claim, &differ);
	/* 0.0.0.0 is what it asked for, and 127.0.0.1 what it got */
	if (name == INADDR_ANY)
		differ &= ~(1u << FACT_DESTINATION);
	check(known && !differ && peer.caller.flags & MSP_CALLER_DIRECT,
	      "a direct connection is known as such (%#x)", differ);
	check(msp_redirect_count(w->redirect, MSP_COUNT_DIRECT) == before + 1,
	      "and counted");
	peer_dismiss(&peer, true);
	wait_for(&child);
}

void check_direct(struct world *w)
{
	direct(w, INADDR_LOOPBACK, AF_INET);
	direct(w, INADDR_LOOPBACK, AF_INET6);
	direct(w, INADDR_ANY, AF_INET);
	direct(w, INADDR_ANY, AF_INET6);
}

/* errno of bind() to the listener's port at an address that is free. */
static int try_bind(struct world *w, int family, bool marked)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(LISTENER_PORT) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(LISTENER_PORT),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	inet_pton(AF_INET, "127.0.0.2", &v4.sin_addr);
	if (marked &&
	    msp_redirect_mark(w->redirect, fd, MSP_MARK_SKIP, NULL) < 0) {
		close(fd);
		return ENOTSUP;
	}
	if (family == AF_INET)
		rc = bind(fd, (struct sockaddr *)&v4, sizeof(v4));
	else
		rc = bind(fd, (struct sockaddr *)&v6, sizeof(v6));
	rc = rc < 0 ? errno : 0;
	close(fd);
	return rc;
}

void check_bind(struct world *w, bool guarded)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int i;

	for (i = 0; i < 2; i++) {
		uint64_t before =
			msp_redirect_count(w->redirect, MSP_COUNT_BIND_DENIED);
		int rc = try_bind(w, families[i], false);
		const char *name = families[i] == AF_INET ? "IPv4" : "IPv6";

		check(rc == (guarded ? EPERM : 0),
		      "the listener's port is %s, %s (%d)",
		      guarded ? "guarded" : "free", name, rc);
		if (!guarded)
			continue;
		check(msp_redirect_count(w->redirect, MSP_COUNT_BIND_DENIED) ==
			      before + 1,
		      "and that is counted");
		rc = try_bind(w, families[i], true);
		check(rc == 0, "a socket of ours may have it, %s (%d)", name,
		      rc);
	}
}

static void foreign(struct world *w, enum msp_redirect_state state,
		    enum msp_redirect_counter counter, bool refused)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int i;

	world_set(w, state);
	for (i = 0; i < 2; i++) {
		uint64_t before = msp_redirect_count(w->redirect, counter);
		struct plan plan = plan_new(0, w->endpoints[i]);
		int status;

		plan.options = CLIENT_POKE;
		plan.family = families[i];
		plan.unshare = CLONE_NEWNET;
		status = run(&plan);
		/* in audit it passes, to find that nothing is there */
		check(refused ? status == EPERM : status == ENETUNREACH,
		      "another network namespace is %s (%d)",
		      refused ? "refused" : "let pass", status);
		check(msp_redirect_count(w->redirect, counter) == before + 1,
		      "and that is counted");
	}
}

void check_foreign(struct world *w)
{
	foreign(w, MSP_REDIRECT_ENFORCE, MSP_COUNT_FOREIGN_DENIED, true);
	foreign(w, MSP_REDIRECT_AUDIT, MSP_COUNT_FOREIGN_PASSED, false);
	world_set(w, MSP_REDIRECT_ENFORCE);
}
