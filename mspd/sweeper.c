/* SPDX-License-Identifier: MIT */
/*
 * In: what is done with connections to each endpoint. Out: those that bypass
 * it reset where it enforces, counted where it audits. Must never reset one
 * that somebody only wants to watch.
 */
#include "mspd/sweeper.h"

#include <string.h>

#include "mspd/log.h"

/* After the switch: a connect() that was under way is not seen at first. */
static const uint64_t looks_ms[] = { 0, 1000, 5000 };
#define LOOKS (sizeof(looks_ms) / sizeof(looks_ms[0]))

static int sweep_redirect(void *arg, const unsigned int *flags,
			  struct msp_redirect_swept *const *out, size_t count,
			  struct msp_error_info *info)
{
	return msp_redirect_sweep_all(arg, flags, out, count, info);
}

void mspd_sweeper_init(struct mspd_sweeper *sweeper, mspd_sweep *sweep,
		       void *arg, uint32_t steady_ms)
{
	size_t i;

	memset(sweeper, 0, sizeof(*sweeper));
	sweeper->sweep = sweep ? sweep : sweep_redirect;
	sweeper->arg = arg;
	sweeper->steady_ms = steady_ms;
	for (i = 0; i < MSP_ENDPOINTS; i++)
		sweeper->endpoint[i].due_ms = MSP_NEVER;
}

/* One that was left and is reset later was found once. */
static void take_left(struct mspd_sweeper *s, size_t i, uint32_t left)
{
	uint64_t sum;

	atomic_fetch_add(&s->left, (uint64_t)left - s->endpoint[i].left);
	s->endpoint[i].left = left;
	sum = atomic_load(&s->destroyed) + atomic_load(&s->left);
	if (sum > atomic_load(&s->found))
		atomic_store(&s->found, sum);
}

void mspd_sweeper_set(struct mspd_sweeper *s, enum msp_endpoint i,
		      enum msp_redirect_state state, uint64_t now_ms)
{
	if (s->endpoint[i].state == state)
		return;
	s->endpoint[i].state = state;
	s->endpoint[i].looks = 0;
	s->endpoint[i].switched_ms = now_ms;
	s->endpoint[i].due_ms = now_ms;
	if (state == MSP_REDIRECT_OFF) { /* all of them bypass us then */
		s->endpoint[i].due_ms = MSP_NEVER;
		take_left(s, i, 0);
		if (mspd_sweeper_deadline(s) == MSP_NEVER)
			atomic_store(&s->failing, false);
	}
}

void mspd_sweeper_again(struct mspd_sweeper *s, uint64_t now_ms)
{
	size_t i;

	for (i = 0; i < MSP_ENDPOINTS; i++) {
		if (s->endpoint[i].state == MSP_REDIRECT_OFF)
			continue;
		s->endpoint[i].looks = 0;
		s->endpoint[i].switched_ms = now_ms;
		s->endpoint[i].due_ms = now_ms;
	}
}

/* One that was looked at for another's sake is looked at again when it was
 * due anyway, unless it is steady. */
static void schedule(struct mspd_sweeper *s, size_t i, uint64_t now_ms)
{
	unsigned int looks = s->endpoint[i].looks;

	if (now_ms >= s->endpoint[i].due_ms)
		looks = ++s->endpoint[i].looks;
	s->endpoint[i].due_ms =
		looks < LOOKS ? s->endpoint[i].switched_ms + looks_ms[looks]
			      : now_ms + s->steady_ms;
}

static bool take_result(struct mspd_sweeper *s, size_t i,
			const struct msp_redirect_swept *result)
{
	bool news = result->destroyed || result->left > s->endpoint[i].left;

	if (news)
		mspd_log(MSPD_WARN,
			 "%s: %u connections went to the host directly; %u of "
			 "them were reset, %u go on",
			 msp_endpoint_name((enum msp_endpoint)i), result->found,
			 result->destroyed, result->left);
	atomic_fetch_add(&s->destroyed, result->destroyed);
	take_left(s, i, result->left);
	return news;
}

static bool is_on(const struct mspd_sweeper *s, size_t i)
{
	return s->endpoint[i].state != MSP_REDIRECT_OFF;
}

static bool look(struct mspd_sweeper *s)
{
	struct msp_redirect_swept result[MSP_ENDPOINTS];
	struct msp_redirect_swept *out[MSP_ENDPOINTS] = { NULL };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	unsigned int flags[MSP_ENDPOINTS] = { 0 };
	bool failed, news = false;
	size_t i;

	for (i = 0; i < MSP_ENDPOINTS; i++) {
		result[i].size = sizeof(result[i]);
		if (is_on(s, i))
			out[i] = &result[i];
		if (s->endpoint[i].state == MSP_REDIRECT_ENFORCE)
			flags[i] = MSP_SWEEP_DESTROY;
	}
	failed = s->sweep(s->arg, flags, out, MSP_ENDPOINTS, &info) < 0;
	if (failed && !atomic_load(&s->failing))
		mspd_log(MSPD_ERROR,
			 "connections that bypass the agent are not found: %s",
			 info.text);
	atomic_store(&s->failing, failed);
	for (i = 0; i < MSP_ENDPOINTS; i++)
		if (out[i] && !failed)
			news |= take_result(s, i, out[i]);
	return news;
}

bool mspd_sweeper_run(struct mspd_sweeper *s, uint64_t now_ms)
{
	bool news;
	size_t i;

	if (now_ms < mspd_sweeper_deadline(s))
		return false;
	news = look(s);
	for (i = 0; i < MSP_ENDPOINTS; i++)
		if (is_on(s, i))
			schedule(s, i, now_ms);
	return news;
}

uint64_t mspd_sweeper_deadline(const struct mspd_sweeper *s)
{
	uint64_t due = MSP_NEVER;
	size_t i;

	for (i = 0; i < MSP_ENDPOINTS; i++)
		if (s->endpoint[i].due_ms < due)
			due = s->endpoint[i].due_ms;
	return due;
}

void mspd_sweeper_count(const struct mspd_sweeper *s,
			struct mspd_sweeper_counts *out)
{
	out->destroyed = atomic_load(&s->destroyed);
	out->left = atomic_load(&s->left);
	out->found = atomic_load(&s->found);
	out->failing = atomic_load(&s->failing);
}
