/* SPDX-License-Identifier: MIT */
/*
 * In: what the keeper has reached, what the loop has let go of. Out: the
 * stage. Must never have both accept connections, nor one wait for the other
 * for ever.
 */
#include "mspd/stage.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mspd/log.h"
#include "mspd/worker.h"

int mspd_stages_open(struct mspd_stages *stages)
{
	pthread_condattr_t attr;

	*stages = (struct mspd_stages){ .stage = MSPD_STAGE_DOWN };
	pthread_mutex_init(&stages->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&stages->changed, &attr);
	pthread_condattr_destroy(&attr);
	stages->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return stages->fd < 0 ? -errno : 0;
}

void mspd_stages_close(struct mspd_stages *stages)
{
	if (stages->fd >= 0)
		close(stages->fd);
	stages->fd = -1;
	pthread_cond_destroy(&stages->changed);
	pthread_mutex_destroy(&stages->lock);
}

void mspd_stages_enter(struct mspd_stages *stages, enum mspd_stage stage)
{
	uint64_t one = 1;

	pthread_mutex_lock(&stages->lock);
	stages->stage = stage;
	stages->let_go = false;
	pthread_mutex_unlock(&stages->lock);
	if (write(stages->fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
		mspd_log(MSPD_ERROR, "cannot wake the loop");
}

bool mspd_stages_prove(struct mspd_stages *stages, unsigned int wait_ms)
{
	struct timespec until = mspd_deadline(wait_ms);
	bool ours;
	int rc = 0;

	mspd_stages_enter(stages, MSPD_STAGE_PROVING);
	pthread_mutex_lock(&stages->lock);
	while (!stages->let_go && !stages->stop && rc == 0)
		rc = pthread_cond_timedwait(&stages->changed, &stages->lock,
					    &until);
	ours = stages->let_go;
	pthread_mutex_unlock(&stages->lock);
	if (!ours)
		mspd_stages_enter(stages, MSPD_STAGE_LISTENING);
	return ours;
}

enum mspd_stage mspd_stages_get(struct mspd_stages *stages)
{
	enum mspd_stage stage;
	uint64_t n;

	if (read(stages->fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		mspd_log(MSPD_ERROR, "cannot read the key keeper's stage");
	pthread_mutex_lock(&stages->lock);
	stage = stages->stage;
	pthread_mutex_unlock(&stages->lock);
	return stage;
}

void mspd_stages_let_go(struct mspd_stages *stages)
{
	pthread_mutex_lock(&stages->lock);
	stages->let_go = stages->stage == MSPD_STAGE_PROVING;
	pthread_cond_signal(&stages->changed);
	pthread_mutex_unlock(&stages->lock);
}

void mspd_stages_stop(struct mspd_stages *stages)
{
	pthread_mutex_lock(&stages->lock);
	stages->stop = true;
	pthread_cond_signal(&stages->changed);
	pthread_mutex_unlock(&stages->lock);
}
