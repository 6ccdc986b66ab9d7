/* SPDX-License-Identifier: MIT */
/*
 * health.h - what the status shows of the redirector and of the listener,
 * beside their messages.
 */
#ifndef MSPD_HEALTH_H
#define MSPD_HEALTH_H

#include <stdatomic.h>

#include "mspd/config.h"
#include "mspd/listener.h"
#include "mspd/status.h"
#include "mspd/sweeper.h"

enum mspd_root {
	MSPD_ROOT_UNKNOWN = 0, /* nobody has tried to open it yet */
	MSPD_ROOT_OPEN = 1,
	MSPD_ROOT_FAILED = 2
};

/**
 * struct mspd_health - where to look; borrowed, constant once it is a source
 * @root:       of the tree executables are verified in; enum mspd_root
 * @mended:     programs attached again after somebody had detached them
 * @root_fault: set before @root becomes MSPD_ROOT_FAILED
 */
struct mspd_health {
	const struct mspd_config *config;
	const struct mspd_listener *listener;
	const struct msp_redirect *redirect;
	const struct mspd_sweeper *sweeper;
	atomic_int root;
	atomic_uint_fast64_t mended;
	char root_fault[256];
};

/* How it went to open the identity root; fault NULL: well. Once. */
void mspd_health_root(struct mspd_health *health, const char *fault);

/* Why rules that name a program match nothing, NULL: they do match. */
const char *mspd_health_no_paths(const struct mspd_health *health);

/* Sources for mspd_status_source(); arg: the struct mspd_health. */
mspd_source mspd_health_redirector, mspd_health_listener;

#endif
