/* SPDX-License-Identifier: MIT */
/*
 * audit_chain.h - what ties each line of a trail to the one before it, as
 * mspd(8) tells, read anew: not the agent's own code.
 */
#ifndef MSPD_CTL_AUDIT_CHAIN_H
#define MSPD_CTL_AUDIT_CHAIN_H

#include "mspd/ctl/ctl.h"

#define CTL_HASH	  32
#define CTL_NUMBER_DIGITS 15

/**
 * struct ctl_link - the place of a line in the chain
 * @number: from 1
 * @hash:   CTL_HASH characters
 * @from:   bytes of the line that @hash is of
 */
struct ctl_link {
	uint64_t number;
	char hash[CTL_HASH + 1];
	size_t from;
};

/* Before the first line. */
extern const struct ctl_link ctl_link_none;

/* What the line says itself; false: nothing. */
bool ctl_link_parse(struct ctl_link *out, const char *line, size_t len);
/* The hash of @len bytes that come behind @before. */
void ctl_link_hash(char out[CTL_HASH + 1], const char *before, const char *line,
		   size_t len);
bool ctl_link_ties(const struct ctl_link *link, const char *before,
		   const char *line);
/* Does it, had it this number? */
bool ctl_link_ties_as(const struct ctl_link *link, const char *before,
		      const char *line, uint64_t number);
/* Does the line say that the one before it is not whole? */
bool ctl_link_torn(const char *line, size_t len);

#endif
