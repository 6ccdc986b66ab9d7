/* SPDX-License-Identifier: MIT */
/*
 * In: a host, and how many agents it has. Out: agents that have all done the
 * same. Must never wait for an agent in particular, nor for ever.
 */
#include "tests/bench/fleet.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/measure.h"

#define EVENTS 256
/* Deadlines are seconds long: looking at all of them so often is enough. */
#define SWEEP_MS 100
/* Nothing at all has happened: it will not any more. */
#define PATIENCE_MS 30000

/* What they do now, and whether one is through with it. */
typedef bool (*fleet_aim)(const struct agent *agent);

static struct msp_time clock_now(void)
{
	struct timespec boot, wall;
	struct msp_time now;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &wall);
	now.boot_ms =
		(uint64_t)boot.tv_sec * 1000 + (uint64_t)boot.tv_nsec / 1000000;
	now.wall_s = wall.tv_sec;
	return now;
}

/* ---- life -------------------------------------------------------------- */

static void raise_limit(void)
{
	struct rlimit limit;

	measure_need(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
	limit.rlim_cur = limit.rlim_max;
	measure_need(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

void fleet_open(struct fleet *f, size_t n, struct msp_address wireserver,
		struct msp_address imds, uint32_t poll_ms, const char *keys)
{
	size_t i;

	if (!n || n > FLEET_MAX)
		measure_die("a fleet has 1 to %d agents", FLEET_MAX);
	raise_limit();
	f->n = n;
	f->host.wireserver = wireserver;
	f->host.imds = imds;
	f->host.poll_ms = poll_ms;
	f->host.why[0] = '\0';
	f->host.epoll = epoll_create1(EPOLL_CLOEXEC);
	measure_need(f->host.epoll, "epoll_create1");
	f->agents = calloc(n, sizeof(*f->agents));
	if (!f->agents)
		measure_die("out of memory");
	for (i = 0; i < n; i++)
		agent_open(&f->agents[i], &f->host,
			   htonl(FLEET_FIRST + (uint32_t)i), keys);
}

void fleet_close(struct fleet *f)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		agent_close(&f->agents[i]);
	free(f->agents);
	close(f->host.epoll);
}

/* ---- the loop ---------------------------------------------------------- */

static void settle(struct fleet *f, struct agent *a, fleet_aim through)
{
	if (a->done || !through || !through(a))
		return;
	a->done = true;
	f->left--;
}

static void sweep(struct fleet *f, struct msp_time now, fleet_aim through)
{
	size_t i;

	for (i = 0; i < f->n; i++) {
		struct agent *a = &f->agents[i];

		if (agent_deadline(a) > now.boot_ms)
			continue;
		agent_step(a, now);
		settle(f, a, through);
	}
}

/* The same for all of them, whatever they wait for. */
static void begin(struct fleet *f, fleet_aim through)
{
	struct msp_time now = clock_now();
	size_t i;

	f->left = f->n;
	for (i = 0; i < f->n; i++) {
		f->agents[i].done = false;
		agent_step(&f->agents[i], now);
		settle(f, &f->agents[i], through);
	}
}

/* How many events there were. */
static int turn(struct fleet *f, fleet_aim through)
{
	struct epoll_event events[EVENTS];
	struct msp_time now;
	int i, n = epoll_wait(f->host.epoll, events, EVENTS, SWEEP_MS);

	now = clock_now();
	for (i = 0; i < n; i++) {
		struct agent_line *line = events[i].data.ptr;

		if (!line) /* the descriptor that ends it all */
			return -1;
		agent_ready(line, now);
		settle(f, line->agent, through);
	}
	return n;
}

__attribute__((noreturn)) static void give_up(const struct fleet *f)
{
	size_t i;

	for (i = 0; i < f->n && f->agents[i].done; i++)
		;
	measure_die("%zu of %zu agents are stuck, the first is %s, %s: %s",
		    f->left, f->n, f->agents[i].name,
		    msp_latch_state_name(msp_latch_state(f->agents[i].latch)),
		    f->host.why[0] ? f->host.why
				   : msp_latch_message(f->agents[i].latch));
}

static void run_until(struct fleet *f, fleet_aim through)
{
	uint64_t swept = clock_now().boot_ms, moved = swept;

	begin(f, through);
	while (f->left) {
		size_t before = f->left;
		int n = turn(f, through);
		struct msp_time now = clock_now();

		if (now.boot_ms - swept >= SWEEP_MS) {
			swept = now.boot_ms;
			sweep(f, now, through);
		}
		if (n > 0 || f->left < before)
			moved = now.boot_ms;
		if (now.boot_ms - moved > PATIENCE_MS)
			give_up(f);
	}
}

/* ---- what they do ------------------------------------------------------ */

void fleet_latch(struct fleet *f)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		f->agents[i].latching = true;
	run_until(f, agent_latched);
}

static bool has_polled(const struct agent *a)
{
	return a->polls >= a->polls_wanted;
}

void fleet_poll(struct fleet *f, unsigned int times)
{
	size_t i;

	for (i = 0; i < f->n; i++) {
		f->agents[i].polls_wanted = f->agents[i].polls + times;
		msp_latch_poll_now(f->agents[i].latch);
	}
	run_until(f, has_polled);
}

static bool has_asked(const struct agent *a)
{
	return !a->left && !a->asking;
}

void fleet_ask(struct fleet *f, enum how how, unsigned int times)
{
	size_t i;

	for (i = 0; i < f->n; i++) {
		f->agents[i].how = how;
		f->agents[i].left = times;
		f->agents[i].asked = 0;
		f->agents[i].borrowed = f->agents[(i + 1) % f->n].signer;
	}
	run_until(f, has_asked);
}

void fleet_tend(struct fleet *f, int until)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
	uint64_t swept = clock_now().boot_ms;
	size_t i;

	measure_need(epoll_ctl(f->host.epoll, EPOLL_CTL_ADD, until, &event),
		     "epoll_ctl");
	for (i = 0; i < f->n; i++) {
		f->agents[i].how = ASK_SIGNED;
		f->agents[i].curious = true;
	}
	while (turn(f, NULL) >= 0) {
		struct msp_time now = clock_now();

		if (now.boot_ms - swept < SWEEP_MS)
			continue;
		swept = now.boot_ms;
		sweep(f, now, NULL);
	}
	for (i = 0; i < f->n; i++)
		f->agents[i].curious = false;
	measure_need(epoll_ctl(f->host.epoll, EPOLL_CTL_DEL, until, NULL),
		     "epoll_ctl");
}

unsigned int fleet_wrong(const struct fleet *f)
{
	unsigned int wrong = 0;
	size_t i;

	for (i = 0; i < f->n; i++)
		wrong += f->agents[i].wrong;
	return wrong;
}
