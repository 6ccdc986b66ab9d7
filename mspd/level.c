/* SPDX-License-Identifier: MIT */
/*
 * In: levels of logs, and their names. Out: the other of the two. Must never
 * take an unknown word for one that says less.
 */
#include <strings.h>

#include "mspd/log.h"

static const char *const level_names[] = { "ERROR", "WARN", "INFO", "DEBUG",
					   "TRACE" };

const char *mspd_level_name(enum mspd_level level)
{
	if ((unsigned int)level > MSPD_TRACE)
		return "UNKNOWN";
	return level_names[level];
}

bool mspd_level_parse(const char *word, enum mspd_level *out)
{
	int i;

	for (i = MSPD_ERROR; i <= MSPD_TRACE; i++) {
		if (strcasecmp(word, level_names[i]) == 0) {
			*out = (enum mspd_level)i;
			return true;
		}
	}
	*out = MSPD_INFO;
	return false;
}
