/* SPDX-License-Identifier: MIT */
/*
 * process.h - what this process may do and how much of it, and the two ways
 * to be told that it is to end.
 */
#ifndef MSPD_PROCESS_H
#define MSPD_PROCESS_H

#include "mspd/loop.h"

/* Standard input, output and error are open: no socket may become one of
 * them, or somebody would get what is meant for a log. */
void mspd_process_fill_descriptors(void);

/* No core dump, and descriptors for @connections as far as there may be. */
void mspd_process_harden(size_t connections);

/* It has started: memory that only the start took is the kernel's again. */
void mspd_process_settle(void);

/* Of @connections as many as the descriptors allow. */
unsigned int mspd_process_places(unsigned int connections);

/* How much memory this process has now, and had at most; a warning if it is
 * more than it should be (spec 9.6). Nothing else comes of it. */
void mspd_process_log_memory(void);

/* Memory in bytes, with the part of what is shared that is ours; 0: not
 * known. */
uint64_t mspd_process_pss(void);

/**
 * struct mspd_ending - SIGTERM, SIGINT, or Enter
 * @asked: called in the loop for each, set before; borrowed, with @arg
 */
struct mspd_ending {
	void (*asked)(void *arg);
	void *arg;
	struct mspd_loop *loop;
	struct mspd_watch signals;
	struct mspd_watch enter;
	struct mspd_timer entered;
};

/* Before any thread starts, so that all of them leave signals to the loop.
 * 0 or -errno. */
int mspd_ending_by_signals(struct mspd_ending *ending, struct mspd_loop *loop);

/* A line on standard input, or its end; what follows the line is left there.
 * After the signals. 0 or -errno. */
int mspd_ending_by_enter(struct mspd_ending *ending);

/* Also if it was only zeroed. */
void mspd_ending_close(struct mspd_ending *ending);

#endif
