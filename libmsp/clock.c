/* SPDX-License-Identifier: MIT */
/*
 * In: the clocks of the machine. Out: a struct msp_time. Must never be called
 * by code that is handed the time.
 */
#include <msp/clock.h>

#include <time.h>

void msp_clock_read(struct msp_time *out)
{
	struct timespec boot, wall;

	/* neither can fail: both clocks are older than what we need */
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &wall);
	out->boot_ms =
		(uint64_t)boot.tv_sec * 1000 + (uint64_t)boot.tv_nsec / 1000000;
	out->wall_s = wall.tv_sec;
}
