/* SPDX-License-Identifier: MIT */
/*
 * In: nothing; records as the agent makes them. Out: what one costs until it
 * is in the file, and what one costs that is merged, in processor time of all
 * threads. Must never time records that did not get there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mspd/audit.h"
#include "mspd/audit_chain.h"
#include "tests/bench/allocs.h"
#include "tests/bench/measure.h"

#define ROUNDS	31
#define RECORDS 10000
#define GOAL_NS 2500
#define NAME	"audit.jsonl"

static char dir[] = "/tmp/bench-audit-XXXXXX";
static struct mspd_audit *audit;
static struct msp_caller caller = {
	.size = sizeof(caller),
	.flags = MSP_CALLER_KNOWN | MSP_CALLER_EXE_CHECKED |
		 MSP_CALLER_EXE_VERIFIED,
	.uid = 1000,
	.pid = 123456,
	.gid = 1000,
	.euid = 1000,
	.loginuid = 1000,
	.n_gids = 4,
	.gids = { 4, 24, 27, 1000 },
	.net_ns = 4026531840,
	.mnt_ns = 4026531841,
	.pid_ns = 4026531836,
	.user_ns = 4026531837,
	.exe = { .inode = 3, .nlink = 1 },
	.parents = { { .pid = 12345, .comm = "bash" },
		     { .pid = 1234, .comm = "sshd" },
		     { .pid = 1, .comm = "systemd" } },
	.cgroup_path = "/user.slice/user-1000.slice/session-3.scope",
	.comm = "python3",
	.exe_path = "/usr/bin/python3.11"
};
static struct msp_decision decision = { .size = sizeof(decision),
					.verdict = MSP_ALLOW,
					.reason = MSP_REASON_GRANTED,
					.epoch = 7,
					.rule_id = "bench-rules",
					.privilege = "instance",
					.identity = "alice-python" };
static struct mspd_audit_record record = {
	.caller = &caller,
	.user = "alice",
	.endpoint = MSP_ENDPOINT_IMDS,
	.method = "GET",
	.path = "/metadata/instance?api-version",
	.decision = &decision,
	.status = 200,
	.us = 1234,
	.client_port = 50000,
	.owner = 1000,
};

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void open_trail(uint32_t records)
{
	const struct mspd_audit_opts opts = { .dir = dir,
					      .records = records,
					      .merge_ms = 3600000 };

	measure_need(mspd_audit_open(&audit, &opts), "audit trail");
}

static void clear(void)
{
	char path[sizeof(dir) + sizeof(NAME) + 1];

	snprintf(path, sizeof(path), "%s/%s", dir, NAME);
	measure_need(truncate(path, 0), "truncate");
}

static size_t size_of_file(void)
{
	char path[sizeof(dir) + sizeof(NAME) + 1];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, NAME);
	measure_need(stat(path, &st), "stat");
	return (size_t)st.st_size;
}

static void add_records(void)
{
	const struct timespec pause = { 0, 1000000 };
	unsigned int i;

	for (i = 0; i < RECORDS; i++) {
		while (!mspd_audit_ready(audit))
			nanosleep(&pause, NULL);
		clock_gettime(CLOCK_REALTIME, &record.time);
		record.id++;
		mspd_audit_write(audit, &record);
	}
	measure_need(mspd_audit_flush(audit, 10000), "flush");
}

static void report(const char *name, double goal, bool merged)
{
	unsigned int rounds = measure_count(ROUNDS, 5), r;
	double took[ROUNDS];
	uint64_t allocs;
	size_t len = 0;

	add_records(); /* all memory has been touched, the budget is used up */
	allocs = allocs_count();
	for (r = 0; r < rounds; r++) {
		uint64_t before;

		clear();
		before = cpu_ns();
		add_records();
		took[r] = (double)(cpu_ns() - before) / RECORDS;
		len = size_of_file();
		if (merged != (len == 0))
			measure_die("%zu bytes of %u records", len, RECORDS);
	}
	allocs = allocs_count() - allocs;
	measure_result(name, measure_median(took, rounds), "ns", goal,
		       "%zu bytes each, %llu allocations in %u", len / RECORDS,
		       (unsigned long long)allocs, rounds * RECORDS);
}

/* What of that is the place in the chain: lines as they are above. */
static void report_chain(void)
{
	enum { LINES = 500, LENGTH = 760 };
	unsigned int rounds = measure_count(ROUNDS, 5), r, i;
	static char lines[LINES * LENGTH];
	struct mspd_chain chain;
	double took[ROUNDS];

	memset(lines, 'x', sizeof(lines));
	for (i = 1; i <= LINES; i++)
		memcpy(lines + i * LENGTH - MSPD_CHAIN_END - 1,
		       MSPD_CHAIN_BLANK "\n", MSPD_CHAIN_END + 1);
	measure_need(mspd_chain_init(&chain), "chain");
	for (r = 0; r < rounds; r++) {
		uint64_t before = cpu_ns();

		for (i = 0; i < RECORDS / LINES; i++)
			measure_need(
				mspd_chain_fill(&chain, lines, sizeof(lines)),
				"fill");
		took[r] = (double)(cpu_ns() - before) / RECORDS;
	}
	mspd_chain_free(&chain);
	measure_result("audit record, its place in the chain",
		       measure_median(took, rounds), "ns", NO_GOAL,
		       "%d bytes each", LENGTH);
}

int main(void)
{
	char command[sizeof(dir) + 16];

	if (!mkdtemp(dir))
		measure_die("no directory");
	open_trail(1000000000);
	report("audit record, to the file", GOAL_NS, false);
	measure_need(mspd_audit_close(audit), "close");
	report_chain();
	open_trail(1);
	report("audit record, merged", NO_GOAL, true);
	measure_need(mspd_audit_close(audit), "close");
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) ? 1 : 0;
}
