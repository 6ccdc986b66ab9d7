/* SPDX-License-Identifier: MIT */
/*
 * stage.h - how far the keeper has come, for the loop; and whose turn it is
 * to accept connections from the one listening socket.
 */
#ifndef MSPD_STAGE_H
#define MSPD_STAGE_H

#include <pthread.h>
#include <stdbool.h>

/* From one to the next, or from PROVING back to LISTENING. */
enum mspd_stage {
	MSPD_STAGE_DOWN = 0,
	/* Take clients in: nothing is redirected, but those who ask the agent
	 * itself how it is are to be told. */
	MSPD_STAGE_LISTENING,
	/* Accept nobody, and say so with mspd_stages_let_go(): the connection
	 * that is to prove the channel comes to the same socket. */
	MSPD_STAGE_PROVING,
	/* Connections are redirected to the listener. The last one. */
	MSPD_STAGE_UP
};

/* Belongs to the keeper; all but fd under the lock. */
struct mspd_stages {
	int fd; /* readable when the stage is another one */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum mspd_stage stage;
	bool let_go;
	bool stop;
};

/* 0 or -errno; close it in any case. */
int mspd_stages_open(struct mspd_stages *stages);
void mspd_stages_close(struct mspd_stages *stages);

/* ---- the keeper's side ------------------------------------------------- */

void mspd_stages_enter(struct mspd_stages *stages, enum mspd_stage stage);
/* Stage PROVING, once the loop has let go of the listener; false: it has not,
 * and the stage is LISTENING again. Waits for @wait_ms at most. */
bool mspd_stages_prove(struct mspd_stages *stages, unsigned int wait_ms);

/* ---- the loop's side --------------------------------------------------- */

/* The stage now; the descriptor is not readable until the next one. */
enum mspd_stage mspd_stages_get(struct mspd_stages *stages);
/* Nobody but the keeper accepts connections now. */
void mspd_stages_let_go(struct mspd_stages *stages);
/* Nobody will let go any more. */
void mspd_stages_stop(struct mspd_stages *stages);

#endif
