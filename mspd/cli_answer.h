/* SPDX-License-Identifier: MIT */
/*
 * cli_answer.h - what /provision answers (spec 6.4).
 */
#ifndef MSPD_CLI_ANSWER_H
#define MSPD_CLI_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

/** Longest document that is read. */
#define MSPD_ANSWER_MAX 65536

/**
 * struct mspd_answer
 * @finished:  well or not
 * @error:     bytes as they came, not ended by NUL
 * @error_len: how many
 */
struct mspd_answer {
	bool finished;
	char error[MSPD_ANSWER_MAX];
	size_t error_len;
};

/* {"finished":BOOL,"errorMessage":TEXT}, both of them once; other members are
 * passed over. False: it is something else. */
bool mspd_answer_parse(struct mspd_answer *out, const char *json, size_t len);

#endif
