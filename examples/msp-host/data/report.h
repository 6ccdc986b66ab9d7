/* SPDX-License-Identifier: MIT */
/*
 * report.h - what the guest says about its own agent.
 */
#ifndef HOST_DATA_REPORT_H
#define HOST_DATA_REPORT_H

#include "net/call.h"

/* PUT /status of HostGAPlugin: a status report (spec 10.5), kept in the VM;
 * 400 and the field if it is none. */
void status_call(struct call *call);

#endif
