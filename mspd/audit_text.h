/* SPDX-License-Identifier: MIT */
/*
 * audit_text.h - a record as a line of audit.jsonl. Only audit.c and
 * audit_merge.c need it.
 */
#ifndef MSPD_AUDIT_TEXT_H
#define MSPD_AUDIT_TEXT_H

#include "mspd/audit.h"
#include "mspd/text.h"

/* Room for what ends a line, mspd_audit_text_end(). */
#define MSPD_AUDIT_END 192

#define MSPD_AUDIT_WHO_SLOTS 256
#define MSPD_AUDIT_WHO_BYTES 948

/**
 * struct mspd_audit_who - a caller, as it is told in a line
 * @turn:    another number whenever it is another caller, 0: none
 * @key_len: of the facts that @text tells; 0: too many to be kept
 * @len:     of the text
 * @bytes:   facts, then text
 */
struct mspd_audit_who {
	uint64_t turn;
	uint16_t key_len;
	uint16_t len;
	char bytes[MSPD_AUDIT_WHO_BYTES];
};

/**
 * struct mspd_audit_stamp - what was written before, to be written again
 * @second: of @text
 * @text:   "" at first
 * @turns:  of mspd_audit_who.turn, so far
 * @seen:   in @who, the caller of a mspd_audit_record.version
 * @who:    callers, by process and thread name
 *
 * Saves a calendar for each record, and numbers and quotes for those of one
 * process, be it that each comes with a connection of its own. All zero is a
 * fresh one; not shared by threads. Memory that is not used is not touched.
 */
struct mspd_audit_stamp {
	time_t second;
	char text[MSPD_TEXT_TIME];
	uint64_t turns;
	struct {
		uint64_t version; /* 0: none */
		uint64_t turn;
		size_t who;
	} seen[MSPD_AUDIT_WHO_SLOTS];
	struct mspd_audit_who who[MSPD_AUDIT_WHO_SLOTS];
};
_Static_assert(sizeof(struct mspd_audit_stamp) <= 256 * 1024, "memory");

/**
 * struct mspd_audit_rest - requests of a user that have nothing in common
 * @time:  of the first of them
 * @id:    its number
 * @known: the user is
 * @uid:   it, if it is known
 * @verdict: of all of them
 */
struct mspd_audit_rest {
	struct timespec time;
	uint64_t id;
	bool known;
	uint32_t uid;
	enum msp_verdict verdict;
};

/* Append a line but for its end; MSPD_AUDIT_LINE less MSPD_AUDIT_END bytes are
 * always enough. */
void mspd_audit_text(struct mspd_text *line,
		     const struct mspd_audit_record *record,
		     struct mspd_audit_stamp *stamp);

/* The same for requests of which only the user and the verdict are told. */
void mspd_audit_text_rest(struct mspd_text *line,
			  const struct mspd_audit_rest *rest,
			  struct mspd_audit_stamp *stamp);

/* A whole line, which says that the one before it is not: @bytes of it are
 * there. */
void mspd_audit_text_torn(struct mspd_text *line, struct timespec now,
			  uint64_t bytes, struct mspd_audit_stamp *stamp);

/* End it, with its place in the chain left blank; @merged more requests are
 * counted in it, the last one at @last. */
void mspd_audit_text_end(struct mspd_text *line, uint64_t merged,
			 struct timespec last, struct mspd_audit_stamp *stamp);

#endif
