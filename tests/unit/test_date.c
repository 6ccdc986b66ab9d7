/* SPDX-License-Identifier: MIT */
/*
 * In: seconds, and texts that look like dates. Out: whether only real RFC
 * 1123 dates are taken, and whether ours are those of the C library.
 */
#include <check.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <msp/latch.h>

#include "libmsp/date_priv.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const struct {
	int64_t seconds;
	const char *text;
} dates[] = {
	{ 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
	{ 86399, "Thu, 01 Jan 1970 23:59:59 GMT" },
	{ 951782399, "Mon, 28 Feb 2000 23:59:59 GMT" },
	{ 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
	{ 1745409600, "Wed, 23 Apr 2025 12:00:00 GMT" },
	{ 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT" },
	{ 4107542399, "Sun, 28 Feb 2100 23:59:59 GMT" },
	{ 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
};

START_TEST(date_goes_both_ways)
{
	char text[MSP_DATE_SIZE];
	int64_t seconds = -1;

	msp_date_format(text, dates[_i].seconds);
	ck_assert_str_eq(text, dates[_i].text);
	ck_assert(msp_date_parse(text, 29, &seconds));
	ck_assert_int_eq(seconds, dates[_i].seconds);
}
END_TEST

START_TEST(date_is_clamped)
{
	char text[MSP_DATE_SIZE];

	msp_date_format(text, INT64_MIN);
	ck_assert_str_eq(text, dates[0].text);
	msp_date_format(text, INT64_MAX);
	ck_assert_str_eq(text, dates[COUNT(dates) - 1].text);
}
END_TEST

START_TEST(date_is_that_of_the_c_library)
{
	char ours[MSP_DATE_SIZE], theirs[64];
	int64_t seconds, again;

	for (seconds = 0; seconds < 253402300799; seconds += 86399 * 1009) {
		time_t t = (time_t)seconds;
		struct tm tm;

		ck_assert_ptr_nonnull(gmtime_r(&t, &tm));
		ck_assert(strftime(theirs, sizeof(theirs),
				   "%a, %d %b %Y %H:%M:%S GMT", &tm));
		msp_date_format(ours, seconds);
		ck_assert_str_eq(ours, theirs);
		ck_assert(msp_date_parse(ours, 29, &again));
		ck_assert(again == seconds);
	}
}
END_TEST

static const char *const wrong[] = {
	"",
	"Wed, 23 Apr 2025 12:00:00 UTC",
	"Thu, 23 Apr 2025 12:00:00 GMT",
	"wed, 23 Apr 2025 12:00:00 GMT",
	"Wed, 23 apr 2025 12:00:00 GMT",
	"Wed, 23 Apr 2025 12:00:00 GM",
	"Wed, 23 Apr 2025 12:00:00 GMT ",
	" Wed, 23 Apr 2025 12:00:00 GMT",
	"Wed,  3 Apr 2025 12:00:00 GMT",
	"Wed  23 Apr 2025 12:00:00 GMT",
	"Wed, 23-Apr-2025 12:00:00 GMT",
	"Wed, +3 Apr 2025 12:00:00 GMT",
	"Wed, 23 Apr 2025 24:00:00 GMT",
	"Wed, 23 Apr 2025 12:60:00 GMT",
	"Wed, 23 Apr 2025 12:00:60 GMT",
	"Wed, 23 Apr 2025 12.00.00 GMT",
	"Sat, 29 Feb 2025 12:00:00 GMT",
	"Thu, 00 Jan 1970 00:00:00 GMT",
	"Wed, 00 Jan 1970 00:00:00 GMT",
	"Wed, 31 Dec 1969 23:59:59 GMT",
	"Wednesday, 23-Apr-25 12:00:00",
	"Wed Apr 23 12:00:00 2025     ",
};

START_TEST(date_refuses_other_shapes)
{
	int64_t seconds = 42;

	ck_assert_msg(!msp_date_parse(wrong[_i], strlen(wrong[_i]), &seconds),
		      "%s", wrong[_i]);
	ck_assert_int_eq(seconds, 42);
	ck_assert(!msp_date_parse(NULL, 29, &seconds));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("date");
	TCase *tc = tcase_create("date");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, date_goes_both_ways, 0, COUNT(dates));
	tcase_add_test(tc, date_is_clamped);
	tcase_add_test(tc, date_is_that_of_the_c_library);
	tcase_add_loop_test(tc, date_refuses_other_shapes, 0, COUNT(wrong));
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
