/* SPDX-License-Identifier: MIT */
/*
 * programs.h - the eBPF programs that this process has loaded, as the kernel
 * knows them: how often they ran, how long, and where they are attached.
 */
#ifndef MSP_BENCH_PROGRAMS_H
#define MSP_BENCH_PROGRAMS_H

#include <stddef.h>
#include <stdint.h>

#define PROGRAMS_MAX 16

/* One moment; runs and ns grow only while statistics are on. */
struct program {
	char name[16];
	uint64_t runs;
	uint64_t ns;
	uint32_t id;
};

/* Those among our own descriptors, so nobody else's; how many. */
size_t programs_find(struct program out[PROGRAMS_MAX]);
/* Descriptor that keeps the kernel's statistics on until it is closed. */
int programs_stats_on(void);
/* The mean ns of one run between two moments; -1: it did not run. */
double programs_mean(const struct program *before, const struct program *after,
		     size_t n, const char *name);
/* How often any of them ran between two moments. */
uint64_t programs_runs(const struct program *before,
		       const struct program *after, size_t n);

/**
 * programs_strays - count attachments to anything but the six hooks
 * @programs:  our own
 * @cgroup_fd: where the hooks are
 * @hooks:     set to how many of the six hooks were found there
 *
 * Legacy traffic classifiers cannot be listed by program; that packets run
 * none of ours shows that there is none where they pass.
 * Each stray is named on stderr.
 */
unsigned int programs_strays(const struct program *programs, size_t n,
			     int cgroup_fd, unsigned int *hooks);

#endif
