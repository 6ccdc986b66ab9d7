/* SPDX-License-Identifier: MIT */
/*
 * In: bytes a caller might choose. Out: whether lines and JSON survive them.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/text.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define FFFD	 "\xef\xbf\xbd"

static const struct {
	const char *in;
	size_t step;
} steps[] = {
	{ "a", 1 },
	{ "\x7f", 1 },
	{ "\xc2\x80", 2 },
	{ "\xdf\xbf", 2 },
	{ "\xe0\xa0\x80", 3 },
	{ "\xed\x9f\xbf", 3 },
	{ "\xee\x80\x80", 3 },
	{ "\xf0\x90\x80\x80", 4 },
	{ "\xf4\x8f\xbf\xbf", 4 },
	{ "\x80", 0 },		   /* stray continuation */
	{ "\xc0\xaf", 0 },	   /* overlong '/' */
	{ "\xc1\xbf", 0 },	   /* overlong */
	{ "\xe0\x80\xaf", 0 },	   /* overlong '/' */
	{ "\xed\xa0\x80", 0 },	   /* surrogate */
	{ "\xf0\x80\x80\xaf", 0 }, /* overlong */
	{ "\xf4\x90\x80\x80", 0 }, /* beyond U+10FFFF */
	{ "\xf5\x80\x80\x80", 0 },
	{ "\xff", 0 },
	{ "\xe2\x82", 0 },     /* cut short */
	{ "\xe2\x82z", 0 },    /* third byte missing */
	{ "\xf0\x9f\x98z", 0 } /* fourth byte missing */
};

START_TEST(utf8_step_follows_rfc_3629)
{
	ck_assert_uint_eq(mspd_utf8_step(steps[_i].in, strlen(steps[_i].in)),
			  steps[_i].step);
}
END_TEST

static const struct {
	const char *in;
	const char *line;
	const char *json;
} texts[] = {
	{ "plain", "plain", "\"plain\"" },
	{ "", "", "\"\"" },
	{ "a\nb", "a\\nb", "\"a\\u000ab\"" },
	{ "a\r\tb", "a\\x0d\\tb", "\"a\\u000d\\u0009b\"" },
	{ "\x1b[2J", "\\x1b[2J", "\"\\u001b[2J\"" },
	{ "\x7f", "\\x7f", "\"\\u007f\"" },
	{ "\xc2\x9b", "\\u009b", "\"\\u009b\"" },
	{ "\xc2\x80\xc2\x9f\xc2\xa0", "\\u0080\\u009f\xc2\xa0",
	  "\"\\u0080\\u009f\xc2\xa0\"" },
	{ "\xe2\x80\xa8", "\\u2028", "\"\\u2028\"" },
	{ "\xe2\x80\xa9", "\\u2029", "\"\\u2029\"" },
	{ "\xc3\xa9\xe2\x82\xac", "\xc3\xa9\xe2\x82\xac",
	  "\"\xc3\xa9\xe2\x82\xac\"" },
	{ "a\xff"
	  "b",
	  "a" FFFD "b", "\"a" FFFD "b\"" },
	{ "\xed\xa0\x80", FFFD FFFD FFFD, "\"" FFFD FFFD FFFD "\"" },
	{ "\",\"x\":\"", "\",\"x\":\"", "\"\\\",\\\"x\\\":\\\"\"" },
	{ "a\\", "a\\", "\"a\\\\\"" },
};

START_TEST(text_line_and_json_escape)
{
	char buffer[128];
	struct mspd_text t;

	mspd_text_init(&t, buffer, sizeof(buffer));
	ck_assert(mspd_text_line(&t, texts[_i].in, strlen(texts[_i].in)));
	ck_assert_str_eq(buffer, texts[_i].line);
	mspd_text_init(&t, buffer, sizeof(buffer));
	mspd_text_json(&t, texts[_i].in, 100);
	ck_assert_str_eq(buffer, texts[_i].json);
}
END_TEST

START_TEST(text_line_escapes_nul)
{
	char buffer[32];
	struct mspd_text t;

	mspd_text_init(&t, buffer, sizeof(buffer));
	ck_assert(mspd_text_line(&t, "a\0b", 3));
	ck_assert_str_eq(buffer, "a\\x00b");
}
END_TEST

START_TEST(text_json_keeps_as_much_as_has_room)
{
	char buffer[6];
	struct mspd_text t;

	mspd_text_init(&t, buffer, sizeof(buffer));
	mspd_text_json(&t, "abcdefgh", 100);
	ck_assert_str_eq(buffer, "\"abc\"");
}
END_TEST

START_TEST(text_json_of_nothing_is_null)
{
	char buffer[32];
	struct mspd_text t;

	mspd_text_init(&t, buffer, sizeof(buffer));
	mspd_text_json(&t, NULL, 100);
	ck_assert_str_eq(buffer, "null");
}
END_TEST

/* For every size of the buffer and every limit the result is a whole string
 * in quotes, and nothing is written behind the buffer. */
START_TEST(text_json_of_bytes_stops_at_their_end)
{
	char buffer[64];
	struct mspd_text t;

	mspd_text_init(&t, buffer, sizeof(buffer));
	mspd_text_json_bytes(&t, "ssh.service/x", 11, 255);
	mspd_text_json_bytes(&t, "a\"\0\xff", 4, 255);
	mspd_text_json_bytes(&t, "abc", 3, 2);
	mspd_text_json_bytes(&t, NULL, 0, 2);
	ck_assert_str_eq(buffer, "\"ssh.service\""
				 "\"a\\\"\\u0000\xef\xbf\xbd\""
				 "\"ab\"null");
}
END_TEST

START_TEST(text_json_is_whole_wherever_it_is_cut)
{
	static const char in[] = "a\xe2\x82\xac\n\"\xf0\x9f\x98\x80z\xff";
	size_t size, max, i;

	for (size = 3; size < 48; size++) {
		for (max = 0; max < 24; max++) {
			char *buffer = malloc(size); /* for ASan */
			struct mspd_text t;

			ck_assert_ptr_nonnull(buffer);
			mspd_text_init(&t, buffer, size);
			mspd_text_json(&t, in, max);
			ck_assert_uint_ge(t.len, 2);
			ck_assert_uint_lt(t.len, size);
			ck_assert_int_eq(buffer[0], '"');
			ck_assert_int_eq(buffer[t.len - 1], '"');
			for (i = 0; i < t.len; i++) {
				size_t n =
					mspd_utf8_step(buffer + i, t.len - i);

				ck_assert_uint_gt(n, 0);
				i += n - 1;
			}
			free(buffer);
		}
	}
}
END_TEST

static const struct {
	const char *in;
	size_t max;
	size_t cut;
} cuts[] = {
	{ "abc", 5, 3 },
	{ "abc", 3, 3 },
	{ "abc", 2, 2 },
	{ "abc", 0, 0 },
	{ "a\xc3\xa9z", 2, 1 },
	{ "a\xc3\xa9z", 3, 3 },
	{ "\xe2\x82\xacz", 1, 0 },
	{ "\xe2\x82\xacz", 2, 0 },
	{ "\xe2\x82\xacz", 3, 3 },
	{ "\xf0\x9f\x98\x80z", 3, 0 },
	{ "\xf0\x9f\x98\x80z", 4, 4 },
	{ "\x80\x80\x80\x80\x80\x80", 5, 5 } /* no text at all */
};

START_TEST(utf8_cut_ends_between_characters)
{
	ck_assert_uint_eq(
		mspd_utf8_cut(cuts[_i].in, strlen(cuts[_i].in), cuts[_i].max),
		cuts[_i].cut);
}
END_TEST

START_TEST(text_clean_says_when_it_was_cut)
{
	char buffer[4];
	struct mspd_text t;

	mspd_text_init(&t, buffer, sizeof(buffer));
	ck_assert(mspd_text_clean(&t, "abc", 3));
	mspd_text_init(&t, buffer, sizeof(buffer));
	ck_assert(!mspd_text_clean(&t, "ab\xc3\xa9", 4));
	ck_assert_str_eq(buffer, "ab");
}
END_TEST

START_TEST(text_time_has_23_characters)
{
	char out[MSPD_TEXT_TIME];
	struct timespec when = { 1767323045, 678901234 };

	mspd_text_time(out, when, ':');
	ck_assert_str_eq(out, "2026-01-02T03:04:05.678");
	mspd_text_time(out, when, '.');
	ck_assert_str_eq(out, "2026-01-02T03.04.05.678");
	when.tv_sec = (time_t)INT64_MAX;
	mspd_text_time(out, when, ':');
	ck_assert_uint_eq(strlen(out), 23);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_text");
	TCase *tc = tcase_create("text");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, utf8_step_follows_rfc_3629, 0, COUNT(steps));
	tcase_add_loop_test(tc, text_line_and_json_escape, 0, COUNT(texts));
	tcase_add_test(tc, text_line_escapes_nul);
	tcase_add_test(tc, text_json_keeps_as_much_as_has_room);
	tcase_add_test(tc, text_json_of_nothing_is_null);
	tcase_add_test(tc, text_json_of_bytes_stops_at_their_end);
	tcase_add_test(tc, text_json_is_whole_wherever_it_is_cut);
	tcase_add_loop_test(tc, utf8_cut_ends_between_characters, 0,
			    COUNT(cuts));
	tcase_add_test(tc, text_clean_says_when_it_was_cut);
	tcase_add_test(tc, text_time_has_23_characters);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
