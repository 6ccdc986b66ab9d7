/* SPDX-License-Identifier: MIT */
/*
 * control.h - the agent's control socket, asked.
 */
#ifndef MSPD_CTL_CONTROL_H
#define MSPD_CTL_CONTROL_H

#include "mspd/ctl/ctl.h"

/** Longest answer, in bytes, and how long it may take, in milliseconds. */
#define CTL_CONTROL_MAX 65536
#define CTL_CONTROL_MS	2000
/** Of a reason, with its NUL. */
#define CTL_CONTROL_WHY 256

enum ctl_asked {
	CTL_ASKED,	  /* there is an answer */
	CTL_ASKED_NOBODY, /* nobody is there to ask */
	CTL_ASKED_DENIED, /* it is not for us */
	CTL_ASKED_FAILED  /* who is there gave none, or may not be believed */
};

/**
 * ctl_control_ask - send a word, read what comes back
 * @out:  gets the answer, of at most CTL_CONTROL_MAX bytes
 * @path: of the socket, which may be longer than an address of one
 * @word: without a line break
 * @why:  there is no answer
 *
 * Only who is root, or the same user as this program, is believed.
 */
enum ctl_asked ctl_control_ask(struct ctl_text *out, const char *path,
			       const char *word, char why[CTL_CONTROL_WHY]);

#endif
