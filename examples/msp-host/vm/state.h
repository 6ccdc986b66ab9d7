/* SPDX-License-Identifier: MIT */
/*
 * state.h - the file behind --state: all VMs, their keys, networks and
 * reports, and the galleries, as one JSON document.
 */
#ifndef HOST_STATE_H
#define HOST_STATE_H

#include <stdbool.h>

struct emulator;

/* False, said on stderr. A file that is not there is a new host. */
bool state_load(struct emulator *emu);
/* Write it all, to disk, before what changed is told to anybody. False and
 * said on stderr: the caller takes the change back. True without a file. */
bool state_save(struct emulator *emu);

#endif
