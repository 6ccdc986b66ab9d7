/* SPDX-License-Identifier: MIT */
/*
 * measure.h - what every bench needs: a clock, a median, one way to report.
 *
 * A bench prints one line per figure (measure_result()), which run.py makes a
 * table of. Times are reported, never judged: the exit status is about right
 * and wrong only.
 */
#ifndef MSP_BENCH_MEASURE_H
#define MSP_BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#define NO_GOAL (-1.0)

/* Print why and end with status 2: nothing was measured. */
__attribute__((noreturn, format(printf, 1, 2))) void
measure_die(const char *format, ...);
/* Ends the bench unless @rc is 0 or more; @what says what failed. */
void measure_need(int rc, const char *what);

/* CLOCK_MONOTONIC, ns. */
uint64_t measure_now(void);
/* The middle of n > 0 values, which are sorted by it. */
double measure_median(double *values, size_t n);
/* The middle of what b has above a, pair by pair; @spread: half the distance
 * between the quartiles, may be NULL. */
double measure_excess(const double *a, const double *b, size_t n,
		      double *spread);
/* A short run was asked for (QUICK=1): @few, else @many. */
unsigned int measure_count(unsigned int many, unsigned int few);

/**
 * measure_result - one line of the table
 * @name: what was measured
 * @unit: "ns", "ratio", ...
 * @goal: at most this much is wanted; NO_GOAL: none
 * @note: printf format of a remark, may be ""
 */
__attribute__((format(printf, 5, 6))) void
measure_result(const char *name, double value, const char *unit, double goal,
	       const char *note, ...);

#endif
