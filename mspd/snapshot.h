/* SPDX-License-Identifier: MIT */
/*
 * snapshot.h - the rules in force, written down whenever they change (spec
 * 3.4): what auditors and tests of the platform look at.
 */
#ifndef MSPD_SNAPSHOT_H
#define MSPD_SNAPSHOT_H

#include <time.h>

#include <msp/msp.h>

/** Snapshots that remain, with the new one. */
#define MSPD_SNAPSHOTS 5
/** Like Azure's: everybody may know the rules, nobody may change them. */
#define MSPD_SNAPSHOT_MODE 0644

/**
 * mspd_snapshot_write - one more AuthorizationRules_<time>-<nanos>.json
 * @dir:   an existing directory
 * @items: by endpoint, the items in force; NULL: there is none
 * @rules: by endpoint, compiled; NULL: there are none
 * @when:  wall clock, for the name
 *
 * Older ones are deleted first, but only if the directory can be read. Of
 * rules that would take more than MSP_RULES_TEXT_MAX bytes only the item is
 * written. Blocks. Returns 0 or -errno.
 */
int mspd_snapshot_write(const char *dir,
			struct msp_profile *const items[MSP_ENDPOINTS],
			struct msp_rules *const rules[MSP_ENDPOINTS],
			struct timespec when);

#endif
