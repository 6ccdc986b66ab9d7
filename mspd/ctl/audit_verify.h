/* SPDX-License-Identifier: MIT */
/*
 * audit_verify.h - what is found out about an audit trail, and what is said of
 * it.
 */
#ifndef MSPD_CTL_AUDIT_VERIFY_H
#define MSPD_CTL_AUDIT_VERIFY_H

#include "mspd/ctl/audit.h"
#include "mspd/ctl/audit_chain.h"
#include "mspd/ctl/trail.h"

/* More are counted. */
#define CTL_FAULTS_MAX 1000

enum ctl_fault_kind { CTL_REMOVED, CTL_EDITED, CTL_REORDERED, CTL_TORN };

/**
 * struct ctl_fault - a place where the chain is broken
 * @from, @to: numbers that are missing there, CTL_REMOVED
 * @found:     so many of them came later
 */
struct ctl_fault {
	enum ctl_fault_kind what;
	char *file;
	uint64_t line;
	uint64_t from, to;
	uint64_t found;
	char text[96];
};

/* A line that the next one is to be tied to. */
struct ctl_place {
	struct ctl_link link;
	bool edited; /* then it may have had another hash: */
	char hash[CTL_HASH + 1];
};

struct ctl_verify {
	struct ctl_trail_line now;
	struct ctl_place last; /* the line before */
	struct ctl_place top;  /* the one with the greatest number */
	bool begun;
	bool whole;	/* it begins with its first record */
	bool complete;	/* it should */
	uint64_t first; /* number of the first */
	uint64_t records;
	uint64_t unchained; /* lines before that */
	/* a line without a place in the chain, which the next may explain */
	bool odd;
	bool odd_ended;
	char *odd_file;
	uint64_t odd_line;
	char odd_hash[CTL_HASH + 1];
	uint64_t slack; /* such lines since the last that has one */
	/* what the operator has kept elsewhere; number 0: nothing */
	struct ctl_link expect;
	bool met; /* a record has that number */
	struct ctl_fault *faults;
	size_t n, room;
	uint64_t more;
};

/* NUMBER:HASH, as it is printed; false: it is not. */
bool ctl_verify_expect(struct ctl_verify *v, const char *text);
/* All that is left of a trail. */
void ctl_verify_run(struct ctl_verify *v, struct ctl_trail *trail);
void ctl_verify_free(struct ctl_verify *v);
/* How many places there are. */
uint64_t ctl_verify_count(const struct ctl_verify *v);
void ctl_verify_put(struct ctl_text *out, const struct ctl_verify *v,
		    size_t files, bool json);

#endif
