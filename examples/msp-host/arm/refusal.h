/* SPDX-License-Identifier: MIT */
/*
 * refusal.h - why the control plane does not do what it was asked, and in what
 * words. What Azure documents for MSP is here, word for word.
 */
#ifndef HOST_ARM_REFUSAL_H
#define HOST_ARM_REFUSAL_H

#include "net/call.h"
#include "vm/vm.h"

/**
 * struct refusal - an error under construction; zeroed memory is none
 * @status: HTTP status; 0: nothing was refused
 * @code:   a constant
 * @detail: code of error.details[0], a constant, or NULL
 * @text:   the message, UTF-8; owned
 */
struct refusal {
	unsigned int status;
	const char *code;
	const char *detail;
	struct buf text;
};

void refusal_clear(struct refusal *r);
/* {"error":{"code","message"[,"details"]}} */
void refusal_answer(struct call *call, const struct refusal *r);

/* All of these return false, so that a check can end with one. The first
 * refusal stays. */
bool refuse(struct refusal *r, unsigned int status, const char *code,
	    const char *format, ...) __attribute__((format(printf, 4, 5)));
bool refuse_memory(struct refusal *r);
/* The file behind --state cannot be written; nothing has changed. */
bool refuse_state(struct refusal *r);
bool refuse_room(struct refusal *r);
/* A member is there and wrong; hint: what it may be, or "". */
bool refuse_value(struct refusal *r, const char *name, const char *hint);

/* The rows of "You got an error code". */
bool refuse_region(struct refusal *r);
bool refuse_subscription(struct refusal *r);
bool refuse_both(struct refusal *r, enum item item);
bool refuse_incarnation(struct refusal *r);
/* of an endpoint, or of the model's first version with name NULL */
bool refuse_mode(struct refusal *r, const enum item *item);
bool refuse_reference(struct refusal *r, const char *reference);
bool refuse_os(struct refusal *r, const char *version, const char *supported,
	       const char *current);
bool refuse_endpoint(struct refusal *r, const char *version, const char *made,
		     enum item item);
bool refuse_profile(struct refusal *r, const char *reference);
bool refuse_content(struct refusal *r, const char *reference, const char *why);

/* "wireServer", "imds": as the VM model spells them. */
const char *item_member(enum item item);
/* "WireServer", "IMDS": as applicableHostEndpoint does. */
const char *item_endpoint(enum item item);

#endif
