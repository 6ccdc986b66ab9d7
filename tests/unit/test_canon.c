/* SPDX-License-Identifier: MIT */
/*
 * In: paths of privileges and authorities, good and hostile. Out: pass or
 * fail. Must never need a network, a file or a privilege.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/canon.h"
#include "tests/lib/guard.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ---- paths of privileges ----------------------------------------------- */

static const struct {
	const char *path;
	enum msp_canon canon;
	const char *canonical;
} rule_path[] = {
	{ "", MSP_CANON_OK, "" },
	{ "/", MSP_CANON_OK, "" },
	{ "metadata", MSP_CANON_OK, "/metadata" },
	{ "/A//B/", MSP_CANON_OK, "/a/b" },
	{ "/a/../b", MSP_CANON_OK, "/b" },
	{ "/a/b/../../c", MSP_CANON_OK, "/c" },
	{ "a/..", MSP_CANON_OK, "" },
	{ "/a/...", MSP_CANON_OK, "/a/..." },
	{ "/a/..;b/c", MSP_CANON_OK, "/c" },
	{ "/a b", MSP_CANON_OK, "/a b" },
	{ "/%61", MSP_CANON_OK, "/a" },
	{ "/..", MSP_CANON_UNDERFLOW, "" },
	{ "/a/../../b", MSP_CANON_UNDERFLOW, "" },
	{ "/a/%2e%2e%2f..", MSP_CANON_UNDERFLOW, "" },
	{ "/a?b", MSP_CANON_EMBQ, "" },
	{ "/a\\b", MSP_CANON_AMBIGUOUS, "" },
	{ "/a%2520", MSP_CANON_AMBIGUOUS, "" },
	{ "/\xc3\xa9", MSP_CANON_NON_ASCII, "" },
	{ "/\xc3", MSP_CANON_UTF8, "" },
	{ "/\n", MSP_CANON_CTRL, "" },
	{ "/%", MSP_CANON_PCT, "" },
};

START_TEST(canon_path_and_check_agree)
{
	const char *path = rule_path[_i].path;
	size_t len = strlen(path), n = 0, mapped;
	char *copy = guarded(path, len, &mapped);
	char *out = malloc(len + 1);

	ck_assert_int_eq(msp_canon_check_path(copy, len), rule_path[_i].canon);
	ck_assert_int_eq(msp_canon_path(out, &n, copy, len),
			 rule_path[_i].canon);
	ck_assert_uint_eq(n, strlen(rule_path[_i].canonical));
	ck_assert_int_eq(memcmp(out, rule_path[_i].canonical, n), 0);
	free_guarded(copy, len, mapped);
	free(out);
}
END_TEST

/* ---- authority --------------------------------------------------------- */

struct authority {
	const char *text;
	enum msp_canon canon;
	const char *ip; /* NULL: none */
	uint16_t port;
	bool is_name;
};

#define IMDS "169.254.169.254"

static const struct authority authority[] = {
	{ IMDS, MSP_CANON_OK, IMDS, 80, false },
	{ IMDS ":80", MSP_CANON_OK, IMDS, 80, false },
	{ IMDS ":00080", MSP_CANON_OK, IMDS, 80, false },
	{ IMDS ":65535", MSP_CANON_OK, IMDS, 65535, false },
	{ IMDS ":65536", MSP_CANON_PORT, NULL, 0, false },
	{ IMDS ":99999999999999999999", MSP_CANON_PORT, NULL, 0, false },
	{ IMDS ":", MSP_CANON_PORT, NULL, 0, false },
	{ IMDS ":+80", MSP_CANON_PORT, NULL, 0, false },
	{ IMDS ":8a", MSP_CANON_PORT, NULL, 0, false },
	{ IMDS ".", MSP_CANON_OK, IMDS, 80, false },
	{ IMDS "...:80", MSP_CANON_OK, IMDS, 80, false },
	{ "2852039166", MSP_CANON_OK, IMDS, 80, false },
	{ "0xA9FEA9FE", MSP_CANON_OK, IMDS, 80, false },
	{ "0Xa9fea9fe", MSP_CANON_OK, IMDS, 80, false },
	{ "025177524776", MSP_CANON_OK, IMDS, 80, false },
	{ "0251.0376.0251.0376", MSP_CANON_OK, IMDS, 80, false },
	{ "0xa9.0xfe.0xa9.0xfe", MSP_CANON_OK, IMDS, 80, false },
	{ "169.254.43518", MSP_CANON_OK, IMDS, 80, false },
	{ "169.16689662", MSP_CANON_OK, IMDS, 80, false },
	{ "169.0xfe.0251.254", MSP_CANON_OK, IMDS, 80, false },
	{ "[::ffff:169.254.169.254]", MSP_CANON_OK, IMDS, 80, false },
	{ "[::FFFF:a9fe:a9fe]:81", MSP_CANON_OK, IMDS, 81, false },
	{ "[0:0:0:0:0:ffff:a9fe:a9fe]", MSP_CANON_OK, IMDS, 80, false },
	{ "[::1]", MSP_CANON_OK, NULL, 80, false },
	{ "[::a9fe:a9fe]", MSP_CANON_OK, NULL, 80, false },
	{ "[fe80::1]:65536", MSP_CANON_PORT, NULL, 0, false },
	{ "[fe80::1%25eth0]", MSP_CANON_HOST, NULL, 0, false },
	{ "[::1]x", MSP_CANON_HOST, NULL, 0, false },
	{ "[::1", MSP_CANON_HOST, NULL, 0, false },
	{ "[]", MSP_CANON_HOST, NULL, 0, false },
	{ "[", MSP_CANON_HOST, NULL, 0, false },
	{ "[::1]]", MSP_CANON_HOST, NULL, 0, false },
	{ "[169.254.169.254]", MSP_CANON_HOST, NULL, 0, false },
	{ "::1", MSP_CANON_HOST, NULL, 0, false },
	{ "0", MSP_CANON_OK, "0.0.0.0", 80, false },
	{ "1", MSP_CANON_OK, "0.0.0.1", 80, false },
	{ "4294967295", MSP_CANON_OK, "255.255.255.255", 80, false },
	{ "4294967296", MSP_CANON_HOST, NULL, 0, false },
	{ "1.16777216", MSP_CANON_HOST, NULL, 0, false },
	{ "1.2.65536", MSP_CANON_HOST, NULL, 0, false },
	{ "1.2.3.256", MSP_CANON_HOST, NULL, 0, false },
	{ "256.2.3.4", MSP_CANON_HOST, NULL, 0, false },
	{ "1.2.3.4.5", MSP_CANON_HOST, NULL, 0, false },
	{ "1..2", MSP_CANON_HOST, NULL, 0, false },
	{ ".1", MSP_CANON_HOST, NULL, 0, false },
	{ "0x", MSP_CANON_HOST, NULL, 0, false },
	{ "0x123456789", MSP_CANON_HOST, NULL, 0, false },
	{ "08", MSP_CANON_HOST, NULL, 0, false },
	{ "abc.1", MSP_CANON_HOST, NULL, 0, false },
	{ "", MSP_CANON_HOST, NULL, 0, false },
	{ ":80", MSP_CANON_HOST, NULL, 0, false },
	{ "...", MSP_CANON_HOST, NULL, 0, false },
	/* names, also those made of hex letters (Q46) */
	{ "face", MSP_CANON_OK, NULL, 80, true },
	{ "abc.de:8080", MSP_CANON_OK, NULL, 8080, true },
	{ "x", MSP_CANON_OK, NULL, 80, true },
	{ "1.2.3.face", MSP_CANON_OK, NULL, 80, true },
	{ "0xzz", MSP_CANON_OK, NULL, 80, true },
	{ "metadata.example.", MSP_CANON_OK, NULL, 80, true },
	{ "a-1.b", MSP_CANON_OK, NULL, 80, true },
	{ "-.-", MSP_CANON_HOST, NULL, 0, false },
	{ "a_b", MSP_CANON_HOST, NULL, 0, false },
	{ "a%2eb", MSP_CANON_HOST, NULL, 0, false },
	{ "a@b", MSP_CANON_USERINFO, NULL, 0, false },
	{ "@", MSP_CANON_USERINFO, NULL, 0, false },
};

START_TEST(canon_authority_understands_every_spelling)
{
	const struct authority *a = &authority[_i];
	size_t len = strlen(a->text), mapped;
	char *copy = guarded(a->text, len, &mapped);
	struct msp_authority out = { .text = NULL };
	struct in_addr ip = { 0 };
	enum msp_canon canon;

	canon = msp_canon_authority(&out, copy, len);
	ck_assert_msg(canon == a->canon, "%s: %s", a->text,
		      msp_canon_name(canon));
	if (canon) {
		ck_assert_ptr_null(out.text);
		free_guarded(copy, len, mapped);
		return;
	}
	if (a->ip)
		ck_assert_int_eq(inet_pton(AF_INET, a->ip, &ip), 1);
	ck_assert_msg(out.address.ip == ip.s_addr, "%s", a->text);
	ck_assert_uint_eq(out.address.port, a->port);
	ck_assert_uint_eq(out.address.reserved, 0);
	ck_assert_int_eq(out.is_name, a->is_name);
	ck_assert_ptr_eq(out.text, copy);
	ck_assert_uint_eq(out.text_len, len);
	free_guarded(copy, len, mapped);
}
END_TEST

static const struct {
	const char *text;
	bool ambiguous;
} ambiguous[] = {
	{ "", false },	  { "a", false },   { "\\", true },
	{ "a\\", true },  { "%", false },   { "%4", false },
	{ "%41", true },  { "a%fF", true }, { "%4g", false },
	{ "%g4", false }, { "%%41", true }, { "%\xe9\xe9", false },
};

START_TEST(canon_ambiguous_is_what_a_second_decoding_changes)
{
	size_t len = strlen(ambiguous[_i].text), mapped;
	char *copy = guarded(ambiguous[_i].text, len, &mapped);

	ck_assert_int_eq(msp_canon_ambiguous(copy, len),
			 ambiguous[_i].ambiguous);
	free_guarded(copy, len, mapped);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("canon");
	TCase *t = tcase_create("parts");
	SRunner *runner = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, canon_path_and_check_agree, 0, COUNT(rule_path));
	tcase_add_loop_test(t, canon_authority_understands_every_spelling, 0,
			    COUNT(authority));
	tcase_add_loop_test(t,
			    canon_ambiguous_is_what_a_second_decoding_changes,
			    0, COUNT(ambiguous));
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}
