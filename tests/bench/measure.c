/* SPDX-License-Identifier: MIT */
/*
 * In: figures. Out: their median, and lines for run.py. Must never turn a
 * time into a verdict.
 */
#include "tests/bench/measure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void measure_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

void measure_need(int rc, const char *what)
{
	if (rc < 0)
		measure_die("%s: %s", what, strerror(errno));
}

uint64_t measure_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double measure_median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), by_value);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double measure_excess(const double *a, const double *b, size_t n,
		      double *spread)
{
	double *more = calloc(n, sizeof(*more));
	double middle;
	size_t i;

	if (!more)
		measure_die("out of memory");
	for (i = 0; i < n; i++)
		more[i] = b[i] - a[i];
	middle = measure_median(more, n);
	if (spread)
		*spread = (more[n * 3 / 4] - more[n / 4]) / 2;
	free(more);
	return middle;
}

unsigned int measure_count(unsigned int many, unsigned int few)
{
	const char *quick = getenv("QUICK");

	return quick && *quick ? few : many;
}

void measure_result(const char *name, double value, const char *unit,
		    double goal, const char *note, ...)
{
	va_list args;

	printf("%s\t%.6g\t%s\t", name, value, unit);
	if (goal < 0)
		printf("-\t");
	else
		printf("%.6g\t", goal);
	va_start(args, note);
	vprintf(note, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}
