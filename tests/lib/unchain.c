/* SPDX-License-Identifier: MIT */
/*
 * In: lines of an audit trail. Out: these without ,"chain":"...". Must never
 * pass one that has none, or has more behind it.
 */
#include "tests/lib/unchain.h"

#include <check.h>
#include <string.h>

char *unchain(char *lines)
{
	static const char name[] = ",\"chain\":\"";
	const size_t len = strlen(name) + 15 + 1 + 32 + 1;
	char *from = lines, *to = lines, *lf;

	while ((lf = strchr(from, '\n')) != NULL) {
		const size_t whole = (size_t)(lf - from);

		ck_assert_uint_gt(whole, len + 2);
		ck_assert_int_eq(memcmp(lf - 1 - len, name, strlen(name)), 0);
		ck_assert_int_eq(memcmp(lf - 2, "\"}", 2), 0);
		memmove(to, from, whole - len - 1);
		to += whole - len - 1;
		memcpy(to, "}\n", 2);
		to += 2;
		from = lf + 1;
	}
	ck_assert_int_eq(*from, '\0');
	*to = '\0';
	return lines;
}
