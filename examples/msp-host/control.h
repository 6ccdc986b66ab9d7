/* SPDX-License-Identifier: MIT */
/*
 * control.h - the emulator's own calls on the control port.
 */
#ifndef HOST_CONTROL_H
#define HOST_CONTROL_H

#include "net/call.h"

#define CONTROL_JSON "application/json; charset=utf-8"

/* Answer with the state of call->vm. */
void control_state(struct call *call, unsigned int status);
/* 500: the change was taken back. */
void control_not_stored(struct call *call);

/* GET /vms, PUT /vms/NAME[?network=], GET /fleets, PUT /fleet?network= */
void control_vms(struct call *call);
void control_put_vm(struct call *call);
void control_fleets(struct call *call);
void control_put_fleet(struct call *call);

#endif
