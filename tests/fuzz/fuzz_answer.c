/* SPDX-License-Identifier: MIT */
/*
 * In: what some listener may answer to --status. Out: nothing; aborts if it is
 * taken for more than it says, or if a prefix of it is taken as well. Must
 * never keep anything from one input to the next.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/cli_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

static bool mentions(const char *json, size_t len, const char *word)
{
	return memmem(json, len, word, strlen(word)) != NULL;
}

static void check_empty(const struct mspd_answer *answer)
{
	must(!answer->finished && !answer->error_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mspd_answer answer;
	const char *json = (const char *)data;

	if (size > MSPD_ANSWER_MAX)
		return 0;
	answer.finished = true;
	answer.error_len = 1;
	if (!mspd_answer_parse(&answer, json, size)) {
		check_empty(&answer);
		return 0;
	}
	/* a text is never longer than what it is written as */
	must(answer.error_len < size);
	must(!answer.finished || mentions(json, size, "true"));
	/* an object is whole with its last brace, and not before */
	while (json[size - 1] != '}')
		size--;
	must(mspd_answer_parse(&answer, json, size));
	must(!mspd_answer_parse(&answer, json, size - 1));
	check_empty(&answer);
	return 0;
}
