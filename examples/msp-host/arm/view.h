/* SPDX-License-Identifier: MIT */
/*
 * view.h - what Azure tells about a running VM: its instance view.
 */
#ifndef HOST_ARM_VIEW_H
#define HOST_ARM_VIEW_H

#include "vm/vm.h"

/* From the guest's last report (spec 10.5), which nobody has looked at. */
void view_write(struct buf *out, const struct vm *vm, int64_t now);

/* "2025-04-23T12:00:00+00:00" */
void view_time(struct buf *out, int64_t seconds);

#endif
