/* SPDX-License-Identifier: MIT */
/*
 * metrics.h - how the agent is, in the text format of Prometheus, version
 * 0.0.4. Each metric is in mspd-metrics(7).
 */
#ifndef MSPD_METRICS_H
#define MSPD_METRICS_H

#include "mspd/sight.h"

/* Of HTTP, for this text. */
#define MSPD_METRICS_TYPE "text/plain; version=0.0.4"

/* 0 or -errno; @text is malloc'ed. Labels have values of ours only, so there
 * is a bounded number of lines. */
int mspd_metrics_text(const struct mspd_sight *sight, char **text, size_t *len);

#endif
