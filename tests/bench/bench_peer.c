/* SPDX-License-Identifier: MIT */
/*
 * In: a cgroup. Out: what it costs the accepting side to learn who connected
 * and to verify it. Must never time a call that did not succeed.
 */
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/allocs.h"
#include "tests/bench/kit.h"
#include "tests/bench/measure.h"
#include "tests/bench/programs.h"

#define ROUNDS_MAX  64
#define CONNECTIONS 200
#define CALLS	    2000

static struct msp_redirect *redirect;
static int root_fd = -1;

struct pair {
	int client, server;
};

static void connect_all(struct pair pairs[CONNECTIONS], int listener)
{
	struct target at = kit_target("169.254.169.254", 80);
	size_t i;

	for (i = 0; i < CONNECTIONS; i++) {
		pairs[i].client = kit_socket(AF_INET);
		measure_need(connect(pairs[i].client, &at.to.any, at.len),
			     "cannot connect");
		pairs[i].server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		measure_need(pairs[i].server, "cannot accept");
	}
}

static void close_all(const struct pair pairs[CONNECTIONS])
{
	size_t i;

	for (i = 0; i < CONNECTIONS; i++) {
		close(pairs[i].client);
		close(pairs[i].server);
	}
}

/* Once per connection, as an agent does it. */
static double identify(const struct pair pairs[CONNECTIONS],
		       struct msp_caller *caller)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	uint64_t start = measure_now();
	size_t i;

	for (i = 0; i < CONNECTIONS; i++)
		if (msp_peer_identify(redirect, pairs[i].server, caller,
				      &info) < 0)
			measure_die("not identified: %s", info.text);
	return (double)(measure_now() - start) / CONNECTIONS;
}

/* The three questions about the socket that identify() asks first. */
static double addresses(const struct pair pairs[CONNECTIONS])
{
	uint64_t start = measure_now();
	size_t i;

	for (i = 0; i < CONNECTIONS; i++) {
		struct sockaddr_in remote, local;
		socklen_t a = sizeof(remote), b = sizeof(local);
		uint64_t cookie;
		socklen_t c = sizeof(cookie);
		int fd = pairs[i].server;

		if (getpeername(fd, (struct sockaddr *)&remote, &a) < 0 ||
		    getsockname(fd, (struct sockaddr *)&local, &b) < 0 ||
		    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &c) < 0)
			measure_die("no addresses");
	}
	return (double)(measure_now() - start) / CONNECTIONS;
}

static double verify(struct msp_caller *caller, unsigned int how)
{
	unsigned int n = measure_count(CALLS, CALLS / 10), i;
	uint64_t start = measure_now();

	for (i = 0; i < n; i++)
		if (msp_peer_verify_exe(redirect, root_fd, caller, how, NULL) <
			    0 ||
		    !(caller->flags & MSP_CALLER_EXE_VERIFIED))
			measure_die("%s: not verified", caller->exe_path);
	return (double)(measure_now() - start) / n;
}

static double cgroup_path(const struct msp_caller *caller)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	unsigned int n = measure_count(CALLS, CALLS / 10), i;
	uint64_t start = measure_now();
	char path[4096];

	for (i = 0; i < n; i++)
		if (msp_peer_cgroup_path(redirect, caller->cgroup_id, path,
					 sizeof(path), &info) < 0)
			measure_die("no cgroup path: %s", info.text);
	return (double)(measure_now() - start) / n;
}

static double who_alone(const struct pair pairs[CONNECTIONS],
			struct msp_caller *caller)
{
	struct program before[PROGRAMS_MAX], after[PROGRAMS_MAX];
	int stats = programs_stats_on();
	size_t n = programs_find(before);

	identify(pairs, caller);
	programs_find(after);
	close(stats);
	return programs_mean(before, after, n, "msp_who");
}

/* What is timed must be the whole: all ancestors, all groups, the path. */
static void check_facts(const struct msp_caller *c)
{
	if (c->n_gids != MSP_CALLER_GROUPS_MAX || c->exe_path[0] != '/' ||
	    !c->parents[MSP_CALLER_PARENTS - 1].pid ||
	    c->pid != (uint32_t)getpid())
		measure_die("facts are missing: %u groups, path \"%s\"",
			    c->n_gids, c->exe_path);
}

/* For one identification. */
static double allocations(int listener, struct msp_caller *caller)
{
	struct pair pairs[CONNECTIONS];
	uint64_t start;

	connect_all(pairs, listener);
	start = allocs_count();
	identify(pairs, caller);
	start = allocs_count() - start;
	close_all(pairs);
	return (double)start / CONNECTIONS;
}

static void measure(int listener, size_t rounds)
{
	double whole[ROUNDS_MAX], ask[ROUNDS_MAX], who[ROUNDS_MAX];
	double cached[ROUNDS_MAX], fresh[ROUNDS_MAX], cgroup[ROUNDS_MAX];
	struct pair pairs[CONNECTIONS];
	struct msp_caller caller = { .size = sizeof(caller) };
	double rest;
	size_t i;

	for (i = 0; i < rounds; i++) {
		connect_all(pairs, listener);
		whole[i] = identify(pairs, &caller);
		ask[i] = addresses(pairs);
		who[i] = who_alone(pairs, &caller);
		check_facts(&caller);
		close_all(pairs);
		cached[i] = verify(&caller, MSP_PEER_EXE_CACHED);
		fresh[i] = verify(&caller, 0);
		cgroup[i] = cgroup_path(&caller);
	}
	rest = measure_excess(ask, whole, rounds, NULL);
	measure_result("msp_peer_identify()", measure_median(whole, rounds),
		       "ns", 4000, "64 groups, 4 parents, %s", caller.exe_path);
	measure_result("- its allocations", allocations(listener, &caller),
		       "1/call", 0, "%s", "");
	measure_result("- its addresses and cookie",
		       measure_median(ask, rounds), "ns", NO_GOAL,
		       "three system calls");
	measure_result("- its test run", rest, "ns", NO_GOAL,
		       "the whole without those three");
	measure_result("- its program alone", measure_median(who, rounds), "ns",
		       NO_GOAL, "msp_who as the kernel counts it");
	measure_result("msp_peer_verify_exe(), cached only",
		       measure_median(cached, rounds), "ns", NO_GOAL,
		       "never waits");
	measure_result("msp_peer_verify_exe()", measure_median(fresh, rounds),
		       "ns", NO_GOAL, "may wait for a disk");
	measure_result("msp_peer_cgroup_path()", measure_median(cgroup, rounds),
		       "ns", NO_GOAL, "an agent keeps the answer");
}

int main(int argc, char **argv)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	gid_t groups[MSP_CALLER_GROUPS_MAX];
	struct target at;
	int listener, i;

	if (argc != 2)
		measure_die("usage: %s CGROUP", argv[0]);
	kit_descend(MSP_CALLER_PARENTS);
	for (i = 0; i < MSP_CALLER_GROUPS_MAX; i++)
		groups[i] = (gid_t)(30000 + i);
	measure_need(setgroups(MSP_CALLER_GROUPS_MAX, groups),
		     "cannot set groups");
	listener = kit_listen(&at);
	redirect = kit_redirect(argv[1], &at);
	if (msp_peer_open_root(redirect, "/proc/1/root", strlen("/proc/1/root"),
			       &root_fd, &info) < 0)
		measure_die("%s", info.text);
	measure(listener, measure_count(41, 5));
	close(root_fd);
	msp_redirect_free(redirect);
	return 0;
}
