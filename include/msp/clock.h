/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the clocks of this machine, for callers who have none of their
 * own. No other call of the library reads one, but for those that wait: of
 * session.h, unless they are given one, and msp_redirect_prove().
 */
#ifndef MSP_CLOCK_H
#define MSP_CLOCK_H

#include <msp/defs.h>

MSP_BEGIN_DECLS

/**
 * msp_clock_read - what time it is
 * @out: not NULL; set to CLOCK_BOOTTIME in milliseconds and CLOCK_REALTIME in
 *       seconds since 1970
 *
 * Threads: any. Does not fail.
 */
MSP_API void msp_clock_read(struct msp_time *out);

MSP_END_DECLS

#endif
