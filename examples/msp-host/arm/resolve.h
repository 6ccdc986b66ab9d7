/* SPDX-License-Identifier: MIT */
/*
 * resolve.h - from the id of a profile's version to the rules the guest gets.
 */
#ifndef HOST_ARM_RESOLVE_H
#define HOST_ARM_RESOLVE_H

#include "arm/store.h"

/**
 * struct referrer - who refers to a profile
 * @location: region
 * @os:       of its OS disk
 * @item:     the endpoint it is for
 */
struct referrer {
	const char *location;
	const char *os;
	enum item item;
};

/* The rule item in wire form, its id the reference in upper case. False and
 * refused as the table of errors has it. */
bool resolve(const struct arm *arm, const struct referrer *who,
	     const char *reference, struct buf *out, struct refusal *r);
/* The same of a version's body that need not be the stored one. */
bool resolve_body(const char *reference, const struct buf *body,
		  struct buf *out, struct refusal *r);
/* Is a version with that body to be had in that region? */
bool is_replicated(yajl_val body, const char *location);

#endif
