/* SPDX-License-Identifier: MIT */
/*
 * programs.h - executables that were found at their path a moment ago: a
 * program that connects for each request is looked up once in a while.
 *
 * What makes this sound: a caller's facts hold the path, the change time and
 * the link count of the file it runs as they were at its connect(). Whoever
 * writes that file, removes or replaces it, or renames it or a directory above
 * it, changes one of them, and then it is not what was kept. What does not show
 * there, a mount over the path, counts MSPD_PROGRAMS_KEPT_MS later. So that the
 * change time can tell, a file that changed only just now is not kept: file
 * systems count in steps, the coarsest of two seconds.
 */
#ifndef MSPD_PROGRAMS_H
#define MSPD_PROGRAMS_H

#include <msp/msp.h>

/** Programs that are kept, in about 38 KB. */
#define MSPD_PROGRAMS 64
/** For how long. */
#define MSPD_PROGRAMS_KEPT_MS 1000
/** Seconds that a file has been as it is. */
#define MSPD_PROGRAMS_REST_S 3

struct mspd_programs;

/* 0 or -ENOMEM. The rest belongs to one thread. */
int mspd_programs_new(struct mspd_programs **out);
/* NULL is fine. */
void mspd_programs_free(struct mspd_programs *programs);

/**
 * mspd_programs_verified - was it at its path just now?
 * @how:   as for msp_peer_verify_exe(), and
 * @epoch: of the rules: both the same as when it was kept
 * @now:   the loop's
 *
 * False: it has to be looked up.
 */
bool mspd_programs_verified(const struct mspd_programs *programs,
			    const struct msp_caller *caller, unsigned int how,
			    uint64_t epoch, struct msp_time now);

/* To be told after each look. Keeps that it is MSP_CALLER_EXE_VERIFIED, and
 * nothing else: no refusal, no program that was replaced. */
void mspd_programs_put(struct mspd_programs *programs,
		       const struct msp_caller *caller, unsigned int how,
		       uint64_t epoch, struct msp_time now);

#endif
