/* SPDX-License-Identifier: MIT */
/*
 * In: error codes, texts, offsets, endpoints and modes. Out: pass or fail.
 * Must never need a network or a privilege.
 */
#include <msp/endpoint.h>
#include <msp/error.h>
#include <msp/version.h>

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/info.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#define LAST_ERROR MSP_ERR_BUG

/* ---- error codes ------------------------------------------------------- */

START_TEST(every_code_has_a_text_of_its_own)
{
	const char *text = msp_error_text(-_i);
	int other;

	ck_assert_ptr_nonnull(text);
	ck_assert_str_ne(text, "");
	ck_assert_str_ne(text, "unknown error");
	for (other = LAST_ERROR; other <= 0; other++)
		if (other != -_i)
			ck_assert_str_ne(text, msp_error_text(other));
}
END_TEST

START_TEST(a_number_that_is_no_code_has_a_text_too)
{
	static const int strange[] = { 1, LAST_ERROR - 1, INT_MIN, INT_MAX };
	int i;

	for (i = 0; i < COUNT(strange); i++)
		ck_assert_str_eq(msp_error_text(strange[i]), "unknown error");
	ck_assert_str_eq(msp_error_text(MSP_OK), "success");
}
END_TEST

/* ---- the detail of an error -------------------------------------------- */

/* all there is to see that something else is left */
static struct msp_error_info used_info(void)
{
	struct msp_error_info info;

	memset(&info, 'x', sizeof(info));
	info.size = sizeof(info);
	return info;
}

static void assert_no_place(const struct msp_error_info *info)
{
	ck_assert_uint_eq(info->size, sizeof(*info));
	ck_assert_uint_eq(info->offset, 0);
	ck_assert_uint_eq(info->line, 0);
	ck_assert_uint_eq(info->column, 0);
	ck_assert_uint_eq(info->http_status, 0);
}

START_TEST(fail_sets_the_text_and_clears_the_rest)
{
	struct msp_error_info info = used_info();

	ck_assert_int_eq(msp_fail(&info, MSP_ERR_LIMIT, "%s of %d", "one", 2),
			 MSP_ERR_LIMIT);
	ck_assert_str_eq(info.text, "one of 2");
	ck_assert_str_eq(info.pointer, "");
	ck_assert_int_eq(info.sys_errno, 0);
	assert_no_place(&info);
}
END_TEST

START_TEST(fail_at_sets_pointer_and_text)
{
	struct msp_error_info info = used_info();

	ck_assert_int_eq(msp_fail_at(&info, MSP_ERR_SCHEMA, "/a/0", "is %d", 7),
			 MSP_ERR_SCHEMA);
	ck_assert_str_eq(info.pointer, "/a/0");
	ck_assert_str_eq(info.text, "is 7");
	ck_assert_int_eq(info.sys_errno, 0);
	assert_no_place(&info);
}
END_TEST

START_TEST(fail_sys_keeps_errno_and_appends_its_text)
{
	struct msp_error_info info = used_info();

	ck_assert_int_eq(msp_fail_sys(&info, ENOENT, "cannot open %s", "x"),
			 MSP_ERR_SYS);
	ck_assert_str_eq(info.text, "cannot open x: No such file or directory");
	ck_assert_int_eq(info.sys_errno, ENOENT);
	ck_assert_str_eq(info.pointer, "");
	assert_no_place(&info);

	ck_assert_int_eq(msp_fail_sys(&info, 98765, "x"), MSP_ERR_SYS);
	ck_assert_str_eq(info.text, "x: Unknown error 98765");
}
END_TEST

START_TEST(fail_sys_drops_what_does_not_fit)
{
	static const char reason[] = ": No such file or directory";
	struct msp_error_info info = used_info();
	char want[sizeof(info.text) + sizeof(reason)];
	char path[sizeof(info.text)];
	size_t n, room = sizeof(info.text) - 1;

	for (n = room - sizeof(reason) - 2; n <= room; n++) {
		memset(path, 'p', n);
		path[n] = '\0';
		snprintf(want, sizeof(want), "%s%s", path, reason);
		want[room] = '\0';
		info = used_info();
		ck_assert_int_eq(msp_fail_sys(&info, ENOENT, "%s", path),
				 MSP_ERR_SYS);
		ck_assert_str_eq(info.text, want);
		ck_assert_int_eq(info.sys_errno, ENOENT);
	}
}
END_TEST

/* An info of another build is not written to past what it has. */
START_TEST(fail_leaves_null_and_smaller_structs_alone)
{
	struct msp_error_info info = used_info(), before;

	ck_assert_int_eq(msp_fail(NULL, MSP_ERR_NOMEM, "x"), MSP_ERR_NOMEM);
	ck_assert_int_eq(msp_fail_sys(NULL, EIO, "x"), MSP_ERR_SYS);
	ck_assert_int_eq(msp_fail_at(NULL, MSP_ERR_SCHEMA, "/", "x"),
			 MSP_ERR_SCHEMA);
	msp_info_place(NULL, "x", 1, 0);

	info.size = _i ? sizeof(info) - 1 : 0;
	before = info;
	ck_assert_int_eq(msp_fail(&info, MSP_ERR_NOMEM, "x"), MSP_ERR_NOMEM);
	ck_assert_int_eq(msp_fail_sys(&info, EIO, "x"), MSP_ERR_SYS);
	ck_assert_int_eq(msp_fail_at(&info, MSP_ERR_SCHEMA, "/", "x"),
			 MSP_ERR_SCHEMA);
	msp_info_place(&info, "x", 1, 0);
	ck_assert_mem_eq(&info, &before, sizeof(info));
}
END_TEST

START_TEST(fail_accepts_a_larger_struct_of_a_later_build)
{
	struct {
		struct msp_error_info info;
		char more[8];
	} later = { .info = used_info(), .more = "more..." };

	later.info.size = sizeof(later);
	ck_assert_int_eq(msp_fail(&later.info, MSP_ERR_NOMEM, "text"),
			 MSP_ERR_NOMEM);
	ck_assert_str_eq(later.info.text, "text");
	ck_assert_uint_eq(later.info.size, sizeof(later));
	ck_assert_str_eq(later.more, "more...");
}
END_TEST

START_TEST(init_is_an_empty_info)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	assert_no_place(&info);
	ck_assert_int_eq(info.sys_errno, 0);
	ck_assert_str_eq(info.pointer, "");
	ck_assert_str_eq(info.text, "");
}
END_TEST

/* ---- copying text of strangers ----------------------------------------- */

static const struct {
	const char *text;
	size_t size;
	const char *want;
} copies[] = {
	{ "", 8, "" },
	{ "plain", 8, "plain" },
	{ "exactly", 8, "exactly" },
	{ "too long", 8, "too lon" },
	{ "x", 1, "" },
	{ "a\nb\rc\td", 16, "a?b?c?d" },
	{ "\x1b[31m\x7f\x01", 16, "?[31m??" },
	/* C1, and what is next to it; two separators, and theirs */
	{ "a\xc2\x9b"
	  "31m",
	  16, "a??31m" },
	{ "\xc2\x80\xc2\x9f\xc2\xa0", 16, "????\xc2\xa0" },
	{ "a\xc2\x9b", 3, "a" },
	{ "\xe2\x80\xa8\xe2\x80\xa9", 16, "??????" },
	{ "\xe2\x80\xa7\xe2\x80\xaa", 16, "\xe2\x80\xa7\xe2\x80\xaa" },
	/* U+00E9, U+20AC, U+1F600 */
	{ "abc\xc3\xa9", 6, "abc\xc3\xa9" },
	{ "abc\xc3\xa9", 5, "abc" },
	{ "ab\xe2\x82\xac", 6, "ab\xe2\x82\xac" },
	{ "ab\xe2\x82\xac", 5, "ab" },
	{ "ab\xe2\x82\xac", 4, "ab" },
	{ "a\xf0\x9f\x98\x80", 6, "a\xf0\x9f\x98\x80" },
	{ "a\xf0\x9f\x98\x80", 5, "a" },
	{ "a\xf0\x9f\x98\x80", 3, "a" },
	{ "\xc3\xa9\xc3\xa9", 4, "\xc3\xa9" },
	/* not UTF-8 at all: cut somewhere, never read before the start */
	{ "\x80\x80\x80\x80", 3, "" },
};

START_TEST(copy_cuts_between_characters_and_replaces_controls)
{
	size_t len = strlen(copies[_i].text);
	/* of exactly this length, so that a byte too far is seen */
	char *in = malloc(len ? len : 1);
	char *out = malloc(copies[_i].size);

	ck_assert_ptr_nonnull(in);
	ck_assert_ptr_nonnull(out);
	memcpy(in, copies[_i].text, len);
	memset(out, 'x', copies[_i].size);
	msp_info_copy(out, copies[_i].size, in, len);
	ck_assert_str_eq(out, copies[_i].want);
	free(in);
	free(out);
}
END_TEST

START_TEST(copy_stops_at_its_length_not_at_nul)
{
	char out[8];

	msp_info_copy(out, sizeof(out), "a\0b", 3);
	ck_assert_str_eq(out, "a?b");
	out[0] = 'x';
	msp_info_copy(out, 0, "abc", 3);
	ck_assert_int_eq(out[0], 'x');
}
END_TEST

START_TEST(long_text_and_pointer_are_cut_between_characters)
{
	static const char euro[] = "\xe2\x82\xac";
	struct msp_error_info info = used_info();
	char text[4000] = "", pointer[4000] = "/";
	int i;

	for (i = 0; i < 1000; i++) {
		strcat(text, euro);
		strcat(pointer, euro);
	}
	ck_assert_int_eq(
		msp_fail_at(&info, MSP_ERR_SCHEMA, pointer, "%s", text),
		MSP_ERR_SCHEMA);
	/* 319 = 106 * 3 + 1, 191 = 1 + 63 * 3 + 1 */
	ck_assert_uint_eq(strlen(info.text), 106 * 3);
	ck_assert_uint_eq(strlen(info.pointer), 1 + 63 * 3);
	ck_assert_int_eq(strncmp(info.text, text, 106 * 3), 0);
	ck_assert_int_eq(strncmp(info.pointer, pointer, 1 + 63 * 3), 0);
}
END_TEST

START_TEST(text_has_no_line_break)
{
	struct msp_error_info info = used_info();

	ck_assert_int_eq(msp_fail_at(&info, MSP_ERR_SCHEMA, "/a\nb", "%s",
				     "c\r\nforged: line"),
			 MSP_ERR_SCHEMA);
	ck_assert_str_eq(info.text, "c??forged: line");
	ck_assert_str_eq(info.pointer, "/a?b");
}
END_TEST

static const struct {
	const char *input;
	uint64_t offset;
	uint64_t want_offset;
	uint32_t line;
	uint32_t column;
} places[] = {
	{ "", 0, 0, 1, 1 },
	{ "", 5, 0, 1, 1 },
	{ "abc", 0, 0, 1, 1 },
	{ "abc", 2, 2, 1, 3 },
	{ "abc", 3, 3, 1, 4 },
	{ "abc", 4, 3, 1, 4 },
	{ "abc", UINT64_MAX, 3, 1, 4 },
	{ "a\nb", 1, 1, 1, 2 },
	{ "a\nb", 2, 2, 2, 1 },
	{ "a\nb", 3, 3, 2, 2 },
	{ "\n\n\n", 3, 3, 4, 1 },
	{ "\r\nx", 2, 2, 2, 1 },
	/* columns are bytes */
	{ "\xc3\xa9x", 2, 2, 1, 3 },
};

START_TEST(place_counts_lines_and_bytes_from_one)
{
	struct msp_error_info info = used_info();
	size_t len = strlen(places[_i].input);
	char *input = malloc(len ? len : 1);

	ck_assert_ptr_nonnull(input);
	memcpy(input, places[_i].input, len);
	ck_assert_int_eq(msp_fail_at(&info, MSP_ERR_SYNTAX, "/p", "text"),
			 MSP_ERR_SYNTAX);
	msp_info_place(&info, input, len, (size_t)places[_i].offset);
	ck_assert_uint_eq(info.offset, places[_i].want_offset);
	ck_assert_uint_eq(info.line, places[_i].line);
	ck_assert_uint_eq(info.column, places[_i].column);
	ck_assert_str_eq(info.text, "text");
	ck_assert_str_eq(info.pointer, "/p");
	free(input);
}
END_TEST

/* ---- endpoints, modes, version ----------------------------------------- */

static const struct {
	enum msp_endpoint endpoint;
	const char *name;
	const char *ip;
	uint16_t port;
} endpoints[] = {
	{ MSP_ENDPOINT_WIRESERVER, "WireServer", "168.63.129.16", 80 },
	{ MSP_ENDPOINT_IMDS, "IMDS", "169.254.169.254", 80 },
	{ MSP_ENDPOINT_HOSTGA, "HostGAPlugin", "168.63.129.16", 32526 },
};

START_TEST(endpoint_has_the_name_and_address_azure_gives_it)
{
	struct msp_address address;
	struct in_addr ip;

	ck_assert_int_eq(COUNT(endpoints), MSP_ENDPOINTS);
	memset(&address, 'x', sizeof(address));
	ck_assert_int_eq(msp_endpoint_address(&address, endpoints[_i].endpoint),
			 0);
	ip.s_addr = address.ip;
	ck_assert_str_eq(inet_ntoa(ip), endpoints[_i].ip);
	ck_assert_uint_eq(address.port, endpoints[_i].port);
	ck_assert_uint_eq(address.reserved, 0);
	ck_assert_str_eq(msp_endpoint_name(endpoints[_i].endpoint),
			 endpoints[_i].name);
}
END_TEST

START_TEST(endpoint_that_does_not_exist_is_refused)
{
	static const int strange[] = { -1, MSP_ENDPOINTS, INT_MAX, INT_MIN };
	struct msp_address address;
	int i;

	for (i = 0; i < COUNT(strange); i++) {
		enum msp_endpoint e = (enum msp_endpoint)strange[i];

		ck_assert_int_eq(msp_endpoint_address(&address, e),
				 MSP_ERR_INVAL);
		ck_assert_str_eq(msp_endpoint_name(e), "unknown");
	}
	ck_assert_int_eq(msp_endpoint_address(NULL, MSP_ENDPOINT_IMDS),
			 MSP_ERR_INVAL);
}
END_TEST

START_TEST(mode_is_named_as_the_status_spells_it_and_zero_is_closed)
{
	ck_assert_int_eq(MSP_MODE_ENFORCE, 0);
	ck_assert_str_eq(msp_mode_name(MSP_MODE_ENFORCE), "Enforce");
	ck_assert_str_eq(msp_mode_name(MSP_MODE_AUDIT), "Audit");
	ck_assert_str_eq(msp_mode_name(MSP_MODE_DISABLED), "Disabled");
	ck_assert_str_eq(msp_mode_name((enum msp_mode)3), "unknown");
}
END_TEST

START_TEST(version_is_what_its_three_numbers_say)
{
	char text[32];

	snprintf(text, sizeof(text), "%d.%d.%d", MSP_VERSION_MAJOR,
		 MSP_VERSION_MINOR, MSP_VERSION_PATCH);
	ck_assert_str_eq(MSP_VERSION, text);
	ck_assert_str_eq(msp_version(), text);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("error");
	TCase *t = tcase_create("error");

	tcase_add_loop_test(t, every_code_has_a_text_of_its_own, 0,
			    -LAST_ERROR + 1);
	tcase_add_test(t, a_number_that_is_no_code_has_a_text_too);
	suite_add_tcase(s, t);

	t = tcase_create("info");
	tcase_add_test(t, fail_sets_the_text_and_clears_the_rest);
	tcase_add_test(t, fail_at_sets_pointer_and_text);
	tcase_add_test(t, fail_sys_keeps_errno_and_appends_its_text);
	tcase_add_test(t, fail_sys_drops_what_does_not_fit);
	tcase_add_loop_test(t, fail_leaves_null_and_smaller_structs_alone, 0,
			    2);
	tcase_add_test(t, fail_accepts_a_larger_struct_of_a_later_build);
	tcase_add_test(t, init_is_an_empty_info);
	tcase_add_loop_test(t,
			    copy_cuts_between_characters_and_replaces_controls,
			    0, COUNT(copies));
	tcase_add_test(t, copy_stops_at_its_length_not_at_nul);
	tcase_add_test(t, long_text_and_pointer_are_cut_between_characters);
	tcase_add_test(t, text_has_no_line_break);
	tcase_add_loop_test(t, place_counts_lines_and_bytes_from_one, 0,
			    COUNT(places));
	suite_add_tcase(s, t);

	t = tcase_create("endpoint");
	tcase_add_loop_test(t, endpoint_has_the_name_and_address_azure_gives_it,
			    0, COUNT(endpoints));
	tcase_add_test(t, endpoint_that_does_not_exist_is_refused);
	tcase_add_test(
		t, mode_is_named_as_the_status_spells_it_and_zero_is_closed);
	tcase_add_test(t, version_is_what_its_three_numbers_say);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
