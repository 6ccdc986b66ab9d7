/* SPDX-License-Identifier: MIT */
/*
 * In: a cgroup. Out: what connect() costs more while the programs are
 * attached, by destination, and what an established connection pays: nothing.
 * Must never compare two loops that differ in anything but the programs.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/kit.h"
#include "tests/bench/measure.h"
#include "tests/bench/programs.h"

#define ROUNDS_MAX   64
#define WARM_UP	     10 /* one part in so many of a loop, beforehand */
#define GROUPS_FIRST 30000
#define HOOKS	     6
#define PACKETS	     20000
#define GOVERNED     "169.254.169.254"

static const char *cgroup;
static int listener;
static struct target listener_at;

/* One kind of connect(), and what each round said about it. */
struct load {
	const char *name;
	const char *program; /* that runs for it */
	const char *address;
	uint16_t port;
	int type;	/* SOCK_STREAM or SOCK_DGRAM */
	int expect;	/* errno of connect() */
	bool governed;	/* without programs: straight to the listener */
	size_t groups;	/* the process has */
	unsigned int n; /* connects in a round */
	double hook_goal, extra_goal;
	double without[ROUNDS_MAX], with[ROUNDS_MAX], hook[ROUNDS_MAX];
};

/* A destination without a route is the shortest connect() there is: the hook
 * runs before the route is looked up. So nothing hides what it costs. */
static struct load loads[] = {
	{ .name = "foreign TCP/IPv4, no route",
	  .program = "msp_connect4",
	  .address = "192.0.2.1",
	  .port = 80,
	  .type = SOCK_STREAM,
	  .expect = ENETUNREACH,
	  .n = 20000,
	  .hook_goal = 150,
	  .extra_goal = 150 },
	{ .name = "foreign TCP/IPv4, refused by its port",
	  .program = "msp_connect4",
	  .address = "127.0.0.1",
	  .port = 9,
	  .type = SOCK_STREAM,
	  .expect = ECONNREFUSED,
	  .n = 4000,
	  .hook_goal = 150,
	  .extra_goal = 150 },
	{ .name = "foreign TCP/IPv6, no route",
	  .program = "msp_connect6",
	  .address = "2001:db8::1",
	  .port = 80,
	  .type = SOCK_STREAM,
	  .expect = ENETUNREACH,
	  .n = 20000,
	  .hook_goal = 150,
	  .extra_goal = 150 },
	{ .name = "foreign TCP/IPv6 mapped, no route",
	  .program = "msp_connect6",
	  .address = "::ffff:192.0.2.1",
	  .port = 80,
	  .type = SOCK_STREAM,
	  .expect = ENETUNREACH,
	  .n = 20000,
	  .hook_goal = 150,
	  .extra_goal = 150 },
	{ .name = "UDP/IPv4",
	  .program = "msp_connect4",
	  .address = "127.0.0.1",
	  .port = 9,
	  .type = SOCK_DGRAM,
	  .n = 20000,
	  .hook_goal = 150,
	  .extra_goal = 150 },
	{ .name = "governed, 0 groups",
	  .program = "msp_connect4",
	  .address = GOVERNED,
	  .port = 80,
	  .type = SOCK_STREAM,
	  .governed = true,
	  .n = 1000,
	  .hook_goal = 6000,
	  .extra_goal = NO_GOAL },
	{ .name = "governed, 8 groups",
	  .program = "msp_connect4",
	  .address = GOVERNED,
	  .port = 80,
	  .type = SOCK_STREAM,
	  .governed = true,
	  .groups = 8,
	  .n = 1000,
	  .hook_goal = 6000,
	  .extra_goal = NO_GOAL },
	{ .name = "governed, 64 groups",
	  .program = "msp_connect4",
	  .address = GOVERNED,
	  .port = 80,
	  .type = SOCK_STREAM,
	  .governed = true,
	  .groups = 64,
	  .n = 1000,
	  .hook_goal = 6000,
	  .extra_goal = NO_GOAL },
	{ .name = "governed, 64 groups, IPv6 mapped",
	  .program = "msp_connect6",
	  .address = "::ffff:" GOVERNED,
	  .port = 80,
	  .type = SOCK_STREAM,
	  .governed = true,
	  .groups = 64,
	  .n = 1000,
	  .hook_goal = 6000,
	  .extra_goal = NO_GOAL },
};
#define LOADS (sizeof(loads) / sizeof(loads[0]))

static void take_groups(size_t n)
{
	gid_t groups[64];
	size_t i;

	for (i = 0; i < n; i++)
		groups[i] = (gid_t)(GROUPS_FIRST + i);
	measure_need(setgroups(n, groups), "cannot set groups");
}

static void expect(const struct load *load, int rc)
{
	if ((rc < 0 ? errno : 0) != load->expect)
		measure_die("%s: connect() says: %s", load->name,
			    strerror(rc < 0 ? errno : 0));
}

/* One socket again and again: it stays unconnected. */
static double repeat(const struct load *load, const struct target *at,
		     unsigned int n)
{
	uint64_t start;
	unsigned int i;
	int fd = socket(at->to.any.sa_family, load->type | SOCK_CLOEXEC, 0);

	measure_need(fd, "cannot open a socket");
	start = measure_now();
	for (i = 0; i < n; i++)
		expect(load, connect(fd, &at->to.any, at->len));
	start = measure_now() - start;
	close(fd);
	return (double)start / n;
}

/* Only connect() is timed, which on loopback is the whole handshake. */
static double accepted(const struct load *load, const struct target *at,
		       unsigned int n)
{
	uint64_t sum = 0, start;
	unsigned int i;

	for (i = 0; i < n; i++) {
		int fd = kit_socket(at->to.any.sa_family);
		int other, rc;

		start = measure_now();
		rc = connect(fd, &at->to.any, at->len);
		sum += measure_now() - start;
		expect(load, rc);
		other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		measure_need(other, "cannot accept");
		close(fd);
		close(other);
	}
	return (double)sum / n;
}

/* Where the load goes while there are no programs to send it to us. */
static struct target straight(const struct load *load)
{
	struct target at = kit_target(load->address, load->port);

	if (!load->governed)
		return at;
	if (at.to.any.sa_family == AF_INET)
		return listener_at;
	at = kit_target("::ffff:127.0.0.1", 0);
	at.to.v6.sin6_port = listener_at.to.v4.sin_port;
	return at;
}

static double run(const struct load *load, bool attached)
{
	struct target at = attached ? kit_target(load->address, load->port)
				    : straight(load);
	unsigned int n = measure_count(load->n, load->n / 10);

	take_groups(load->groups);
	if (load->governed) {
		accepted(load, &at, n / WARM_UP);
		return accepted(load, &at, n);
	}
	repeat(load, &at, n / WARM_UP);
	return repeat(load, &at, n);
}

/* The kernel's own count; it costs time itself, so that it is on only here. */
static double run_counted(const struct load *load)
{
	struct program before[PROGRAMS_MAX], after[PROGRAMS_MAX];
	int stats = programs_stats_on();
	double mean;
	size_t n;

	n = programs_find(before);
	run(load, true);
	programs_find(after);
	close(stats);
	mean = programs_mean(before, after, n, load->program);
	if (mean < 0)
		measure_die("%s: %s did not run", load->name, load->program);
	return mean;
}

/* An established connection, made while it may or may not be redirected. */
static void connection(const struct target *at, int *client, int *server)
{
	*client = kit_socket(AF_INET);
	measure_need(connect(*client, &at->to.any, at->len), "cannot connect");
	*server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	measure_need(*server, "cannot accept");
}

/* One byte there and one back, per turn. */
static double packets(int client, int server, unsigned int n)
{
	uint64_t start = measure_now();
	unsigned int i;
	char byte = 'x';

	for (i = 0; i < n; i++)
		if (send(client, &byte, 1, 0) != 1 ||
		    recv(server, &byte, 1, 0) != 1 ||
		    send(server, &byte, 1, 0) != 1 ||
		    recv(client, &byte, 1, 0) != 1)
			measure_die("the connection broke");
	return (double)(measure_now() - start) / n;
}

static double packets_of(const struct target *at)
{
	unsigned int n = measure_count(PACKETS / 4, PACKETS / 40);
	int client, server;
	double ns;

	connection(at, &client, &server);
	packets(client, server, n / WARM_UP);
	ns = packets(client, server, n);
	close(client);
	close(server);
	return ns;
}

/* A UDP socket that knows its own address and no other. */
static int datagram_socket(struct target *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*at = kit_target("127.0.0.1", 0);
	measure_need(fd, "cannot open a socket");
	measure_need(bind(fd, &at->to.any, at->len), "cannot bind");
	measure_need(getsockname(fd, &at->to.any, &at->len), "no address");
	return fd;
}

static void datagrams(int fd, const struct target *at, unsigned int n)
{
	char byte = 'x';

	while (n--)
		if (sendto(fd, &byte, 1, 0, &at->to.any, at->len) != 1 ||
		    recvfrom(fd, &byte, 1, 0, NULL, NULL) != 1)
			measure_die("a datagram was lost");
}

/* Nothing of ours may run for what is not connect(), bind() or getpeername():
 * how often it did. */
static uint64_t runs_of_packets(const struct target *at)
{
	struct program before[PROGRAMS_MAX], after[PROGRAMS_MAX];
	int client, server, stats, udp;
	struct target udp_at;
	uint64_t runs;
	size_t n;

	connection(at, &client, &server);
	udp = datagram_socket(&udp_at);
	stats = programs_stats_on();
	n = programs_find(before);
	packets(client, server, PACKETS);
	datagrams(udp, &udp_at, PACKETS);
	close(udp);
	close(client);
	close(server);
	programs_find(after);
	runs = programs_runs(before, after, n);
	close(stats);
	return runs;
}

/* Attached where they should be, nowhere else, and not run by packets. */
static unsigned int check_paths(void)
{
	struct msp_redirect *redirect = kit_redirect(cgroup, &listener_at);
	struct target governed = kit_target(GOVERNED, 80);
	struct program programs[PROGRAMS_MAX];
	unsigned int hooks = 0, strays;
	uint64_t runs;
	size_t n;
	int fd;

	fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	measure_need(fd, "cannot open the cgroup");
	n = programs_find(programs);
	strays = programs_strays(programs, n, fd, &hooks);
	close(fd);
	measure_result("hooks of the cgroup not in place",
		       (double)HOOKS - hooks, "hooks", 0,
		       "of %d: connect, bind, getpeername", HOOKS);
	measure_result("programs attached elsewhere", strays, "programs", 0,
		       "of %zu loaded", n);
	runs = runs_of_packets(&governed);
	measure_result("program runs for packets", (double)runs, "runs", 0,
		       "%d redirected, %d datagrams, and closing", 2 * PACKETS,
		       PACKETS);
	msp_redirect_free(redirect);
	return strays || runs || hooks != HOOKS;
}

static void round_of(size_t i, double *plain, double *redirected)
{
	struct target governed = kit_target(GOVERNED, 80);
	struct msp_redirect *redirect;
	size_t k;

	for (k = 0; k < LOADS; k++)
		loads[k].without[i] = run(&loads[k], false);
	plain[i] = packets_of(&listener_at);

	redirect = kit_redirect(cgroup, &listener_at);
	for (k = 0; k < LOADS; k++)
		loads[k].with[i] = run(&loads[k], true);
	redirected[i] = packets_of(&governed);
	for (k = 0; k < LOADS; k++)
		loads[k].hook[i] = run_counted(&loads[k]);
	msp_redirect_free(redirect);
}

static void report(struct load *load, size_t rounds)
{
	double spread;
	double extra =
		measure_excess(load->without, load->with, rounds, &spread);
	double base = measure_median(load->without, rounds);
	char name[96];

	snprintf(name, sizeof(name), "connect, %s: hook", load->name);
	measure_result(name, measure_median(load->hook, rounds), "ns",
		       load->hook_goal, "%s as the kernel counts it",
		       load->program);
	snprintf(name, sizeof(name), "connect, %s: extra", load->name);
	measure_result(name, extra, "ns", load->extra_goal,
		       "+- %.0f, on %.0f without programs", spread, base);
}

int main(int argc, char **argv)
{
	double plain[ROUNDS_MAX], redirected[ROUNDS_MAX];
	size_t rounds = measure_count(41, 5), i;
	double base, more, spread;

	if (argc != 2)
		measure_die("usage: %s CGROUP", argv[0]);
	cgroup = argv[1];
	kit_descend(MSP_CALLER_PARENTS);
	listener = kit_listen(&listener_at);
	if (check_paths())
		return 1;
	for (i = 0; i < rounds; i++)
		round_of(i, plain, redirected);
	for (i = 0; i < LOADS; i++)
		report(&loads[i], rounds);
	more = measure_excess(plain, redirected, rounds, &spread);
	base = measure_median(plain, rounds);
	measure_result("packet there and back, redirected to plain",
		       1 + more / base, "ratio", NO_GOAL,
		       "+- %.3f, on %.0f ns without programs", spread / base,
		       base);
	return 0;
}
