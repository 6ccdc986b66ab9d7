/* SPDX-License-Identifier: MIT */
/*
 * report.h - "msp-host report": what the VM extension does in a real guest.
 *
 * It asks the agent for its aggregate status, judges it, and posts the result
 * to the host, where the instance view shows it. Nothing else of msp-host runs
 * in that process.
 */
#ifndef HOST_REPORT_H
#define HOST_REPORT_H

/** Largest aggregate status read, in bytes. */
#define REPORT_STATUS_MAX (4 * 1024 * 1024)
/** Largest report posted: a signed request carries no more (spec 6.6). */
#define REPORT_MAX (100 * 1024)

/* argv[0] is "report". The program's exit status: 0 if the status was good and
 * has been posted. */
int report_main(int argc, char **argv);

#endif
