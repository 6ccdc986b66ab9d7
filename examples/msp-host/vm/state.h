/* SPDX-License-Identifier: MIT */
/*
 * state.h - the file behind --state: all VMs, their keys, networks and
 * reports, and the galleries, as one JSON document.
 *
 * {"msp-host":2,"sha256":"<of the bytes of state>","state":{...}}
 *
 * It holds keys: mode 0600. It is not meant to be edited.
 */
#ifndef HOST_STATE_H
#define HOST_STATE_H

#include "base/text.h"

#include <yajl/yajl_tree.h>

/** Bytes of it at most; a change that would make it larger is refused. */
#define STATE_MAX (128 * 1024 * 1024)

struct emulator;

/* False, said on stderr. A file that is not there is a new host. */
bool state_load(struct emulator *emu);
/* Write it all, to disk, before what changed is told to anybody. False and
 * said on stderr: the caller takes the change back. True without a file. */
bool state_save(struct emulator *emu);

/* state_json.c: what is in it. */
void state_write(const struct emulator *emu, struct buf *out);
/* False, and in error what is wrong; some of it may have been taken over. */
bool state_read(struct emulator *emu, yajl_val state, struct buf *error);

#endif
