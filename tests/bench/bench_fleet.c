/* SPDX-License-Identifier: MIT */
/*
 * In: an msp-host, named by the environment. Out: what 1,000 agents cost
 * themselves and that one host. Must never report a figure when an agent has
 * no key of its own, or the host says anything else of it than the agent.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/fleet.h"
#include "tests/bench/fleet_host.h"
#include "tests/bench/measure.h"

/* Agents poll when they are told to: the interval is for the long run. */
#define POLL_MS	  600000
#define POLLS	  4
#define QUESTIONS 20
#define WARM_UP	  4
#define BORROWED  2

/* How long something took, and whose time. */
struct cost {
	double wall_s;
	double agents_s; /* CPU of this process */
	double host_s;	 /* CPU of msp-host */
};

struct bench {
	struct fleet fleet;
	struct fleet_host host;
	struct cost begun;
	double agents_rss;   /* without agents, bytes */
	double host_rss;     /* without VMs, bytes */
	unsigned int faults; /* what must not be */
};

/* ---- cost -------------------------------------------------------------- */

static struct cost cost_now(const struct bench *b)
{
	struct timespec used;
	struct cost now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	now.wall_s = (double)measure_now() / 1e9;
	now.agents_s = (double)used.tv_sec + (double)used.tv_nsec / 1e9;
	now.host_s = (double)fleet_host_cpu(&b->host) / 1e9;
	return now;
}

static void begin(struct bench *b)
{
	b->begun = cost_now(b);
}

static struct cost end(const struct bench *b)
{
	struct cost c = cost_now(b);

	c.wall_s -= b->begun.wall_s;
	c.agents_s -= b->begun.agents_s;
	c.host_s -= b->begun.host_s;
	return c;
}

/* @n of something took this long. */
static void report(const char *what, const char *unit, unsigned int n,
		   const struct cost *c)
{
	measure_result(what, n / c->wall_s, unit, NO_GOAL,
		       "CPU of one: %.0f us of the agents, %.0f us of msp-host",
		       c->agents_s * 1e6 / n, c->host_s * 1e6 / n);
}

static void report_ratios(const struct cost *plain, const struct cost *with)
{
	measure_result("signed over unsigned: time",
		       with->wall_s / plain->wall_s, "ratio", NO_GOAL,
		       "the same requests, in the same run");
	measure_result("signed over unsigned: CPU of the agents",
		       with->agents_s / plain->agents_s, "ratio", NO_GOAL,
		       "signing");
	measure_result("signed over unsigned: CPU of msp-host",
		       with->host_s / plain->host_s, "ratio", NO_GOAL,
		       "verifying");
}

/* ---- what the host says ------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static void fault(struct bench *b,
							const char *format, ...)
{
	va_list args;

	if (b->faults++ >= 10) /* the others are most likely like them */
		return;
	va_start(args, format);
	fputs("bench_fleet: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

static yajl_val get(yajl_val from, const char *a, const char *b, const char *c)
{
	const char *path[] = { a, b, c, NULL };

	return yajl_tree_get(from, path, yajl_t_any);
}

static long long number(yajl_val v)
{
	return YAJL_IS_INTEGER(v) ? YAJL_GET_INTEGER(v) : -1;
}

static const char *text(yajl_val v)
{
	return YAJL_IS_STRING(v) ? YAJL_GET_STRING(v) : "";
}

static yajl_val vm_named(yajl_val vms, const char *name)
{
	size_t i;

	for (i = 0; YAJL_IS_ARRAY(vms) && i < YAJL_GET_ARRAY(vms)->len; i++) {
		yajl_val vm = YAJL_GET_ARRAY(vms)->values[i];

		if (!strcmp(text(get(vm, "name", NULL, NULL)), name))
			return vm;
	}
	return NULL;
}

/* Are the host's counts those of the agent's questions? */
static void compare_counts(struct bench *b, const struct agent *a, yajl_val vm,
			   const char *endpoint, unsigned int verified,
			   unsigned int borrowed)
{
	yajl_val c = get(vm, "requests", endpoint, NULL);
	long long good = number(get(c, "verified", NULL, NULL));
	long long bad = number(get(c, "bad", NULL, NULL));
	long long others = number(get(c, "reasons", "other-vm", NULL));

	if (good != verified)
		fault(b, "%s: %s verified %lld requests of %u", a->name,
		      endpoint, good, verified);
	if (bad != borrowed || (borrowed && others != borrowed))
		fault(b,
		      "%s: %s refused %lld requests, %lld of them as of "
		      "another VM, of %u",
		      a->name, endpoint, bad, others, borrowed);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void compare_keys(struct bench *b)
{
	const char **guids = calloc(b->fleet.n, sizeof(*guids));
	size_t i;

	if (!guids)
		measure_die("out of memory");
	for (i = 0; i < b->fleet.n; i++)
		guids[i] = agent_guid(&b->fleet.agents[i]);
	qsort(guids, b->fleet.n, sizeof(*guids), by_text);
	for (i = 1; i < b->fleet.n; i++)
		if (!strcmp(guids[i - 1], guids[i]))
			fault(b, "two agents have the key '%s'", guids[i]);
	free(guids);
}

/* Each agent asked so many questions with its own key, and so many with that
 * of another one. */
static void audit(struct bench *b, unsigned int own, unsigned int borrowed)
{
	yajl_val vms = fleet_host_get(&b->host, "/vms");
	unsigned int own_imds = agent_asks_imds(own);
	unsigned int others_imds = agent_asks_imds(borrowed);
	size_t i;

	if (fleet_wrong(&b->fleet))
		fault(b, "%u wrong answers, the first: %s",
		      fleet_wrong(&b->fleet), b->fleet.host.why);
	compare_keys(b);
	for (i = 0; i < b->fleet.n; i++) {
		const struct agent *a = &b->fleet.agents[i];
		yajl_val vm = vm_named(vms, a->name);

		if (!agent_latched(a))
			fault(b, "%s has not latched", a->name);
		if (strcmp(text(get(vm, "guid", NULL, NULL)), agent_guid(a)))
			fault(b, "%s: host and agent name two keys", a->name);
		compare_counts(b, a, vm, "IMDS", own_imds, others_imds);
		/* and the attestation */
		compare_counts(b, a, vm, "WireServer", own - own_imds + 1,
			       borrowed - others_imds);
	}
	yajl_tree_free(vms);
}

/* ---- the runs ---------------------------------------------------------- */

static void open_fleet(struct bench *b, unsigned int n, const char *state,
		       const char *keys)
{
	fleet_host_start(&b->host, state);
	b->agents_rss = fleet_rss(0);
	b->host_rss = fleet_rss(b->host.pid);
	fleet_open(&b->fleet, n, b->host.wireserver, b->host.imds, POLL_MS,
		   keys);
}

/* Connections cost a host more than VMs do: @what says how many there are. */
static void report_host_memory(const struct bench *b, unsigned int n,
			       const char *what)
{
	double host = fleet_rss(b->host.pid);

	measure_result(what, (host - b->host_rss) / n, "bytes", NO_GOAL,
		       "resident, of a process of %.0f KiB", host / 1024);
}

static void report_agent_memory(const struct bench *b, unsigned int n)
{
	double agents = fleet_rss(0);

	measure_result("memory of an agent", (agents - b->agents_rss) / n,
		       "bytes", NO_GOAL,
		       "resident, of a process of %.0f KiB; two connections",
		       agents / 1024);
}

/* All in memory; the rate at which agents latched. */
static double run_in_memory(struct bench *b, unsigned int n)
{
	struct cost plain, latched, polled, with;

	open_fleet(b, n, NULL, NULL);
	/* the first request of a connection opens it */
	fleet_ask(&b->fleet, ASK_PLAIN, WARM_UP);
	begin(b);
	fleet_ask(&b->fleet, ASK_PLAIN, QUESTIONS);
	plain = end(b);
	begin(b);
	fleet_latch(&b->fleet);
	latched = end(b);
	begin(b);
	fleet_poll(&b->fleet, POLLS);
	polled = end(b);
	begin(b);
	fleet_ask(&b->fleet, ASK_SIGNED, QUESTIONS);
	with = end(b);
	fleet_ask(&b->fleet, ASK_BORROWED, BORROWED);
	audit(b, QUESTIONS, BORROWED);

	report("agents latched", "1/s", n, &latched);
	report("polls", "1/s", n * POLLS, &polled);
	report("unsigned requests", "1/s", n * QUESTIONS, &plain);
	report("signed requests", "1/s", n * QUESTIONS, &with);
	report_ratios(&plain, &with);
	report_agent_memory(b, n);
	report_host_memory(b, n, "memory of a VM with two connections");
	fleet_close(&b->fleet);
	fleet_host_stop(&b->host, SIGTERM);
	return n / latched.wall_s;
}

static char (*note_guids(const struct fleet *f))[MSP_GUID_LEN + 1]
{
	char(*guids)[MSP_GUID_LEN + 1] = calloc(f->n, sizeof(*guids));
	size_t i;

	if (!guids)
		measure_die("out of memory");
	for (i = 0; i < f->n; i++)
		strcpy(guids[i], agent_guid(&f->agents[i]));
	return guids;
}

/* The keys are those of before, and the host takes them. */
static void audit_kept(struct bench *b, char (*guids)[MSP_GUID_LEN + 1])
{
	size_t i;

	fleet_ask(&b->fleet, ASK_SIGNED, 1);
	if (fleet_wrong(&b->fleet))
		fault(b, "%u wrong answers after a restart, the first: %s",
		      fleet_wrong(&b->fleet), b->fleet.host.why);
	for (i = 0; i < b->fleet.n; i++)
		if (strcmp(guids[i], agent_guid(&b->fleet.agents[i])))
			fault(b, "%s has another key after a restart",
			      b->fleet.agents[i].name);
}

/* Keys and state on disk: the host is killed, and new agents go on with the
 * next one where the old ones were. */
static void run_on_disk(struct bench *b, unsigned int n, const char *folder,
			double in_memory)
{
	char state[256], keys[256], (*guids)[MSP_GUID_LEN + 1];
	struct cost latched;

	snprintf(state, sizeof(state), "%s/state", folder);
	snprintf(keys, sizeof(keys), "%s/keys", folder);
	open_fleet(b, n, state, keys);
	begin(b);
	fleet_latch(&b->fleet);
	latched = end(b);
	report_host_memory(b, n, "memory of a VM");
	audit(b, 0, 0);
	guids = note_guids(&b->fleet);
	fleet_host_stop(&b->host, SIGKILL);
	fleet_close(&b->fleet);

	open_fleet(b, n, state, keys);
	fleet_latch(&b->fleet);
	audit_kept(b, guids);
	free(guids);
	report("agents latched, on disk", "1/s", n, &latched);
	measure_result("latched in memory over on disk",
		       in_memory * latched.wall_s / n, "ratio", NO_GOAL,
		       "with --state, and a key file each");
	fleet_close(&b->fleet);
	fleet_host_stop(&b->host, SIGTERM);
}

int main(void)
{
	const char *folder = getenv("TMPDIR"), *agents = getenv("AGENTS");
	unsigned int n = measure_count(1000, 100);
	struct bench b = { .faults = 0 };
	double rate;

	if (!folder)
		measure_die("TMPDIR does not name a folder");
	if (agents && *agents)
		n = (unsigned int)strtoul(agents, NULL, 10);
	rate = run_in_memory(&b, n);
	run_on_disk(&b, n, folder, rate);
	if (b.faults)
		fprintf(stderr, "bench_fleet: %u faults\n", b.faults);
	return b.faults ? EXIT_FAILURE : EXIT_SUCCESS;
}
