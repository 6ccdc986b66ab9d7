/* SPDX-License-Identifier: MIT */
/*
 * In: callers that are refused, and rules. Out: what would allow each of them.
 * Must never make the loop go through the rules, nor touch in a worker what is
 * the loop's.
 */
#include "mspd/grants.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "mspd/worker.h"

/* At the end, for a worker. */
#define WAIT_MS 200

/* A copy, and the entry that it is of: only to be compared. */
struct question {
	const struct mspd_refused_entry *of;
	struct mspd_refused_entry entry; /* its names are one more reference */
	char allow[MSPD_REFUSED_ALLOW];
};

/* The worker's while it runs. */
struct round {
	struct mspd_grants *grants; /* NULL: nobody waits any more */
	struct mspd_policy *policy; /* one more reference */
	bool done;
	size_t n;
	struct question questions[MSPD_GRANTS_CALLERS];
};

struct mspd_grants {
	struct mspd_grants_opts opts;
	struct mspd_workers *workers;
	struct mspd_watch finished;
	struct round *now; /* owned unless it hangs; NULL: none */
};

/* ---- a worker's --------------------------------------------------------- */

static void work(void *arg)
{
	struct round *round = arg;
	size_t i;

	for (i = 0; i < round->n; i++) {
		struct question *q = &round->questions[i];

		mspd_refused_allow(&q->entry,
				   round->policy->rules[q->entry.endpoint],
				   q->allow);
	}
	round->done = true;
}

/* ---- the loop's --------------------------------------------------------- */

static void round_free(struct round *round)
{
	size_t i;

	for (i = 0; i < round->n; i++) {
		struct mspd_refused_entry *copy = &round->questions[i].entry;

		mspd_names_free(copy->names);
		explicit_bzero(copy->target, sizeof(copy->target));
	}
	mspd_policy_free(round->policy);
	free(round);
}

/* Unless it was forgotten meanwhile, or is another one's now. */
static void keep(struct mspd_refused *refused, const struct round *round,
		 const struct question *q)
{
	const struct msp_rules *rules = round->policy->rules[q->entry.endpoint];
	size_t i;

	for (i = 0; i < refused->n; i++) {
		struct mspd_refused_entry *e = refused->entries[i];

		if (e == q->of && e->hash == q->entry.hash &&
		    e->names == q->entry.names)
			mspd_refused_keep(e, msp_rules_epoch(rules), q->allow);
	}
}

static void end(void *arg)
{
	struct round *round = arg;
	struct mspd_grants *grants = round->grants;
	size_t i;

	for (i = 0; grants && round->done && i < round->n; i++)
		keep(grants->opts.refused, round, &round->questions[i]);
	round_free(round);
	if (!grants)
		return;
	grants->now = NULL;
	grants->opts.known(grants->opts.arg);
}

static void on_finished(void *arg, uint32_t events)
{
	(void)events;
	mspd_workers_reap(arg);
}

static void add(struct round *round, const struct mspd_refused_entry *e)
{
	struct question *q = &round->questions[round->n++];

	q->of = e;
	q->entry = *e;
	q->entry.allow = NULL;
	if (e->names)
		q->entry.names = mspd_names_ref(e->names);
}

/* NULL: no memory, or nothing to ask. */
static struct round *collect(struct mspd_grants *grants,
			     struct mspd_policy *policy)
{
	const struct mspd_refused_entry *top[MSPD_GRANTS_CALLERS];
	size_t n = mspd_refused_top(grants->opts.refused, top,
				    MSPD_GRANTS_CALLERS);
	struct round *round = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		const struct mspd_refused_entry *e = top[i];

		if (!mspd_refused_by_rules(e) || !policy->rules[e->endpoint] ||
		    mspd_refused_kept(e, policy->rules[e->endpoint]))
			continue;
		if (!round)
			round = calloc(1, sizeof(*round));
		if (!round)
			return NULL;
		add(round, e);
	}
	return round;
}

/* False: nothing was begun. */
static bool start(struct mspd_grants *grants, struct mspd_policy *policy)
{
	struct round *round = collect(grants, policy);
	const struct mspd_work job = { .work = work,
				       .done = end,
				       .arg = round };

	if (!round)
		return false;
	round->grants = grants;
	round->policy = mspd_policy_ref(policy);
	if (mspd_workers_submit(grants->workers, &job) < 0) {
		round_free(round);
		return false;
	}
	grants->now = round;
	return true;
}

bool mspd_grants_ask(struct mspd_grants *grants)
{
	struct mspd_policy *policy = NULL;
	bool begun;

	if (grants->now)
		return false;
	mspd_policy_refresh(grants->opts.policies, &policy);
	begun = policy && start(grants, policy);
	mspd_policy_free(policy);
	return !begun;
}

int mspd_grants_new(struct mspd_grants **out,
		    const struct mspd_grants_opts *opts)
{
	const struct mspd_workers_opts workers = { .threads = 1 };
	struct mspd_grants *grants = calloc(1, sizeof(*grants));
	int err;

	*out = NULL;
	if (!grants)
		return -ENOMEM;
	grants->opts = *opts;
	err = mspd_workers_new(&grants->workers, &workers);
	if (err == 0) {
		grants->finished.fd = mspd_workers_fd(grants->workers);
		grants->finished.call = on_finished;
		grants->finished.arg = grants->workers;
		err = mspd_loop_watch(opts->loop, &grants->finished, EPOLLIN);
	}
	if (err < 0) {
		mspd_workers_free(grants->workers, 0);
		free(grants);
		return err;
	}
	*out = grants;
	return 0;
}

void mspd_grants_free(struct mspd_grants *grants)
{
	if (!grants)
		return;
	if (grants->now)
		grants->now->grants = NULL;
	mspd_loop_unwatch(grants->opts.loop, &grants->finished);
	mspd_workers_free(grants->workers, WAIT_MS);
	free(grants);
}
