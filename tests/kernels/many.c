/* SPDX-License-Identifier: MIT */
/*
 * In: a redirector. Out: whether every one of many clients that connect at
 * the same time is taken for what it is, and whether one that lies is found
 * out. Must never count a client twice, nor miss one.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/kernels/guest.h"

/* Numbers without a common divisor, so that all combinations come up. */
static struct plan plan_one(const struct world *w, uint32_t i)
{
	static const char *const cgroups[] = { CGROUP_MOUNT, CGROUP_MOUNT "/a",
					       CGROUP_MOUNT "/a/b.service",
					       CGROUP_MOUNT "/c" };
	static const uint32_t uids[] = { 0, 1000, 1001, 1002 };
	static const uint32_t groups[] = { 0, 1, 5, MSP_CALLER_GROUPS_MAX,
					   MSP_CALLER_GROUPS_MAX + 1 };
	struct plan plan = plan_new(i, w->endpoints[i % MSP_ENDPOINTS]);
	uint32_t k;

	plan.family = i < CONNECTIONS / 2 ? AF_INET : AF_INET6;
	plan.uid = plan.euid = uids[i % 4];
	plan.gid = plan.egid = 2000 + uids[(i / 4) % 4];
	if (i % 11 == 7)
		plan.euid = 1003;
	if (i % 13 == 5)
		plan.egid = 3003;
	plan.n_gids = groups[i % 5];
	for (k = 0; k < plan.n_gids; k++)
		plan.gids[k] = 5000 - 3 * k - i % 2;
	plan.cgroup = cgroups[(i / 3) % 4];
	plan.depth = i % 6;
	plan.loginuid = i % 7 == 0 ? 4000 + i : 0;
	plan.program = i % 3 == 1 ? "/tmp/client" : CLIENT;
	if (i % 17 == 3)
		plan.unshare |= CLONE_NEWNS;
	if (i % 17 == 11 && plan.depth > 0)
		plan.unshare |= CLONE_NEWPID;
	if (i % 2)
		plan.options |= CLIENT_THREAD;
	if (i % 19 == 2)
		plan.options |= CLIENT_USER_NS;
	if (i % 19 == 2 && plan.uid == 0 && plan.euid == 0)
		plan.options |= CLIENT_NESTED;
	return plan;
}

static void name_differences(uint32_t index, uint32_t differ)
{
	unsigned int i;

	for (i = 0; i < FACTS; i++)
		if (differ & 1u << i)
			printf("     client %u: %s differs\n", index,
			       fact_name(i));
}

/* How many are right: known, no fact differs, the program is verified. */
static unsigned int judge(struct world *w, struct peer *peers, size_t n)
{
	static bool seen[CONNECTIONS];
	uint32_t verified = w->paths ? MSP_CALLER_EXE_VERIFIED : 0;
	unsigned int right = 0;
	uint32_t differ;
	size_t i;

	for (i = 0; i < n; i++) {
		struct claim claim = { 0 };
		bool well = peers[i].rc == 0 &&
			    peer_hear(w, &peers[i], &claim, &differ) &&
			    !differ && claim.index < CONNECTIONS &&
			    !seen[claim.index] &&
			    (peers[i].caller.flags & MSP_CALLER_EXE_VERIFIED) ==
				    verified;

		if (well) {
			seen[claim.index] = true;
			right++;
		} else {
			printf("     client %u: flags %#x\n", claim.index,
			       peers[i].caller.flags);
			name_differences(claim.index, differ);
		}
		peer_dismiss(&peers[i], well);
	}
	return right;
}

static size_t take_all(struct world *w, struct peer *peers)
{
	size_t n = 0;

	while (n < CONNECTIONS) {
		bool known = peer_take(w, &peers[n]);

		if (!known && peers[n].fd < 0)
			break; /* nobody came any more */
		n++;
	}
	return n;
}

void check_many(struct world *w)
{
	static struct child children[CONNECTIONS];
	static struct peer peers[CONNECTIONS];
	unsigned int started = 0, right, content = 0;
	unsigned int escaped;
	uint64_t before = msp_redirect_count(w->redirect, MSP_COUNT_REDIRECTED);
	size_t taken;
	uint32_t i;

	for (i = 0; i < CONNECTIONS; i++) {
		struct plan plan = plan_one(w, i);

		if (launch(&plan, &children[i]) == 0)
			started++;
		else
			printf("     client %u does not start\n", i);
	}
	check(started == CONNECTIONS, "%u of %u clients run", started,
	      CONNECTIONS);
	for (i = 0; i < CONNECTIONS; i++)
		let_go(&children[i]);
	taken = take_all(w, peers);
	check(taken == CONNECTIONS, "%zu of %u connections arrive", taken,
	      CONNECTIONS);
	check(msp_redirect_count(w->redirect, MSP_COUNT_REDIRECTED) - before ==
		      CONNECTIONS,
	      "each was redirected and counted");
	right = judge(w, peers, taken);
	check(right == CONNECTIONS, "%u of %u identities right in %u facts",
	      right, CONNECTIONS, FACTS);
	/* closes them: their clients wait for an answer */
	escaped = world_escaped(w);
	check(escaped == 0, "%u connections reached the host", escaped);
	for (i = 0; i < CONNECTIONS; i++)
		content += wait_for(&children[i]) == 0;
	check(content == CONNECTIONS, "%u of %u clients answered", content,
	      CONNECTIONS);
}

/* The comparison finds exactly what is wrong: otherwise it proves nothing. */
void check_lies(struct world *w)
{
	int lie;

	for (lie = 0; lie < FACTS; lie++) {
		struct plan plan = plan_new(1, w->endpoints[0]);
		struct claim claim = { 0 };
		struct child child;
		struct peer peer;
		uint32_t differ = 0;
		bool heard;

		if (lie == FACT_EXE_PATH && !w->paths)
			continue; /* there is nothing to compare with */
		plan.n_gids = 1;
		plan.gids[0] = 5000;
		plan.depth = 3;
		plan.lie = lie;
		plan.cgroup = CGROUP_MOUNT "/a";
		if (launch(&plan, &child) == 0)
			let_go(&child);
		heard = peer_take(w, &peer) &&
			peer_hear(w, &peer, &claim, &differ);
		check(heard && differ == 1u << lie,
		      "a lie about %s is found (%#x)",
		      fact_name((unsigned int)lie), differ);
		peer_dismiss(&peer, !differ);
		check(wait_for(&child) == CLIENT_DOUBTED,
		      "the liar is told so");
	}
}
