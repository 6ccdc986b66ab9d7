/* SPDX-License-Identifier: MIT */
/*
 * In: texts with secrets and texts that only look like it. Out: whether what
 * is secret is gone, and the rest is there.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/redact.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define R	 "[REDACTED]"

#define N10 "abcDEF0123"
#define N33 N10 N10 N10 "abc"
#define N40 N10 N10 N10 N10
#define N43 N40 "+/x"
#define N44 N40 "wxyz"
#define N52 "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst"
#define N86 N43 N43
#define H63 "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDE"
#define D50 ".................................................."
#define JWT "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0"

struct row {
	const char *before;
	const char *after; /* NULL: the same */
};

/* What Azure's agent takes out, by number of its pattern. */
static const struct row documented[] = {
	/* 1 */ { "app pwd=hunter2;user=x", "app " R ";user=x" },
	/* 2 */ { "password=a b c;x", R ";x" },
	{ "app --password=x --verbose", "app --" R },
	/* 3 */ { "AccountName=a;AccountKey=k;x", "AccountName=a;" R ";x" },
	/* 4 */ { "PrimaryKey=k", R },
	/* 5 */ { "SecondaryKey=k;", R ";" },
	/* 6 */
	{ "https://a/b?sv=1&sig=abc%2F&se=2", "https://a/b?sv=1&" R "&se=2" },
	/* 7 */ { "x " N33 "AzCaPabcde=", "x " R },
	{ N44 "AzCaabcdeg y", R " y" },
	/* 8 */
	{ "-----BEGIN RSA PRIVATE KEY-----\nMII=\n"
	  "-----END RSA PRIVATE KEY-----\nz",
	  "-----" R "-----\nz" },
	{ "BEGIN PRIVATE KEY-----x-----END CERTIFICATE-----y"
	  "-----END PRIVATE KEY-----",
	  R "-----" },
	/* 9 */ { "vsts:" N52, R },
	{ "AzureDevOps " N52, R },
	{ "TOKEN\xc3\xa4" N52 "!", R "!" },
	/* 10 */ { "key is " N43 "=", R },
	{ "shared" D50 D50 D50 "................................."
	  "................ " N43 "= z",
	  R " z" },
	{ "sas " N43 "= access " N43 "=;", R ";" },
	/* 11 */ { "password : hunter2 x", R " x" },
	{ "{\"password\": \"hunter2\", \"a\": 1}", "{\"" R "\", \"a\": 1}" },
	/* 12 */ { "credential " N86 "==", R "=" },
	/* 13 */ { "aws secret_key \"" N40 "\"", "aws " R },
	{ "amazon access-token=" N40, "amazon " R },
	/* 14 */ { "--api-key=abcd next", "--" R " next" },
	{ "client_secret: 'a b' c", R "' c" },
	{ "applicationSecret => x&y", R "&y" },
	{ "twilio sid := AC12", R },
	{ "refresh_token=a;b", R ";b" },
	/* 15 */ { "x " JWT, "x " R },
	{ JWT ".c2ln-_ x", R " x" },
	/* 16 */
	{ "git clone https://me:pat1@h.example:8/r", "git clone " R "/r" },
	/* 17 */
	{ "Authorization: Bearer abc def\r\nHost: a", R "\r\nHost: a" },
};

/* And what it misses. */
static const struct row missed[] = {
	{ "PASSWORD=hunter2", R },
	{ "PWD=x;PassWord=y", R ";" R },
	{ "Server=a;Password=\"b;c\";User=d", "Server=a;" R "\";User=d" },
	{ "AccountKey='b;c' d;e", R "' d;e" },
	{ "pwd=\"\";user=x", R ";user=x" },
	{ "ACCOUNTKEY=k", R },
	{ "a?SIG=abc&x=1", "a?" R "&x=1" },
	{ "mysql --password hunter2 -h a", "mysql --password " R " -h a" },
	{ "tool --token abc", "tool --token " R },
	{ "tool --TOKEN=abc def", "tool --" R " def" },
	{ "tool --db-password  'a b' c", "tool --db-password  " R "' c" },
	{ "az -u x --account-key abc", "az -u x --account-key " R },
	{ "az --sas abc --x", "az --sas " R " --x" },
	{ "tool --password", NULL },
	{ "openssl -passin pass:hunter2", "openssl -passin " R },
	{ "GITHUB_TOKEN=ghp_x env", "GITHUB_" R " env" },
	{ "redis://:hunter2@h/0", R "/0" },
	{ "postgres://u:p@ss@h x", R " x" },
	{ "dev.azure.com/" N52, R },
	{ "visualstudio.com/" N52, R },
	{ "pat=" N52, R },
	{ "latched " H63 "f", "latched " R },
	{ H63 "F" H63, R },
	{ "BEGIN EC PRIVATE KEY-----\nMII", R },
	{ "x-ms-azure-host-authorization: Azure-HMAC-SHA256 g s", "x-ms-azure-"
								  "host-" R },
};

/* What must stay for people to read. */
static const struct row near[] = {
	{ "", NULL },
	{ "curl -s -H Metadata:true "
	  "http://169.254.169.254/metadata/instance?api-version=2021-02-01",
	  NULL },
	{ "python3 -u /usr/sbin/waagent -daemon", NULL },
	{ "passwd root", NULL },
	{ "ssh-keygen -t ed25519", NULL },
	{ "vi --password-file /etc/x", NULL },
	{ "tool --token-file=/run/token", NULL },
	{ "tokenizer=fast max_tokens=5 token_type=x", NULL },
	{ "design=5 sign=1 SIGTERM", NULL },
	{ "bypass: yes compass:x", NULL },
	{ "monkey=1 key=value --key-file a", NULL },
	{ "https://user@host/ https://host:80/a@b", NULL },
	{ "git@github.com:me/secret.git", NULL },
	{ "kubectl get secret/x", NULL },
	{ "author: me authorization", NULL },
	{ "id " H63, NULL },
	{ H63 "g", NULL },
	{ "key " N43 "a=", NULL },
	{ "key " N43, NULL },
	{ "monk " N43 "=", NULL },
	{ "secret " N40 "a", NULL },
	{ "token:", NULL },
	{ "token \"\" x", NULL },
	{ "x token=\"\" y", NULL },
	{ "vsts:abc", NULL },
	{ "eyJhbGciOiJub25lIn0.abc", NULL },
	{ "BEGIN CERTIFICATE-----\nMII", NULL },
	{ N33 "AzCaQabcde=", NULL },
	{ "Gr\xc3\xbc\xc3\x9f"
	  "e",
	  NULL },
};

static void check_row(const struct row *row)
{
	const char *after = row->after ? row->after : row->before;
	size_t len = strlen(row->before);
	char *exact = malloc(len + 1); /* a sanitizer sees one too far */
	char buffer[1024];
	struct mspd_text out;

	memcpy(exact, row->before, len);
	mspd_text_init(&out, buffer, sizeof(buffer));
	ck_assert(mspd_redact_to(&out, exact, len, len));
	ck_assert_str_eq(buffer, after);
	free(exact);
}

START_TEST(redact_takes_out_what_is_documented)
{
	check_row(&documented[_i]);
}
END_TEST

START_TEST(redact_takes_out_what_azures_agent_misses)
{
	check_row(&missed[_i]);
}
END_TEST

START_TEST(redact_leaves_what_only_looks_like_it)
{
	check_row(&near[_i]);
}
END_TEST

START_TEST(redact_makes_one_of_secrets_that_overlap)
{
	const struct row rows[] = {
		{ "sig=a;pwd=x&y z", R },
		{ "password=password=x;token=y;", R ";" R ";" },
		{ "key " N43 "=" N43 "=", R },
	};
	int i;

	for (i = 0; i < COUNT(rows); i++)
		check_row(&rows[i]);
}
END_TEST

START_TEST(redact_replaces_bytes_that_are_no_characters)
{
	const struct row row = { "a\xff pwd=\xff;\xc3",
				 "a\xef\xbf\xbd " R ";\xef\xbf\xbd" };

	check_row(&row);
}
END_TEST

START_TEST(redact_never_shows_part_of_what_it_has_no_room_for)
{
	const char *in = "ab pwd=hunter2;cd";
	const char *whole = "ab " R ";cd";
	char buffer[32];
	struct mspd_text out;
	size_t size;

	for (size = 1; size <= strlen(whole) + 1; size++) {
		bool fits;

		mspd_text_init(&out, buffer, size);
		fits = mspd_redact_to(&out, in, strlen(in), strlen(in));
		ck_assert(fits == (size == strlen(whole) + 1));
		ck_assert(strncmp(buffer, whole, out.len) == 0);
		/* the mark whole or not at all */
		ck_assert(out.len <= 3 || out.len >= 3 + strlen(R));
	}
}
END_TEST

/* A token that was cut before its second part looks like any word. */
START_TEST(redact_looks_further_than_it_shows)
{
	const char *in = "x " JWT;
	char buffer[64];
	struct mspd_text out;

	mspd_text_init(&out, buffer, sizeof(buffer));
	ck_assert(mspd_redact_to(&out, in, strlen(in), 10));
	ck_assert_str_eq(buffer, "x " R);
	mspd_text_init(&out, buffer, sizeof(buffer));
	ck_assert(mspd_redact_to(&out, in, strlen(in), 2));
	ck_assert_str_eq(buffer, "x ");
}
END_TEST

START_TEST(redact_in_place_never_grows)
{
	char longer[] = "a password=hunter2;b";
	char shorter[] = "pwd=x;ab pwd=x";
	size_t n;

	n = mspd_redact(longer, strlen(longer));
	ck_assert_uint_eq(n, strlen("a " R ";b"));
	ck_assert(memcmp(longer, "a " R ";b", n) == 0);
	n = mspd_redact(shorter, strlen(shorter));
	ck_assert_uint_eq(n, strlen(R ";ab "));
	ck_assert(memcmp(shorter, R ";ab ", n) == 0);
	ck_assert_uint_eq(mspd_redact(shorter, 0), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd redact");
	TCase *tc = tcase_create("texts");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, redact_takes_out_what_is_documented, 0,
			    COUNT(documented));
	tcase_add_loop_test(tc, redact_takes_out_what_azures_agent_misses, 0,
			    COUNT(missed));
	tcase_add_loop_test(tc, redact_leaves_what_only_looks_like_it, 0,
			    COUNT(near));
	tcase_add_test(tc, redact_makes_one_of_secrets_that_overlap);
	tcase_add_test(tc, redact_replaces_bytes_that_are_no_characters);
	tcase_add_test(tc, redact_never_shows_part_of_what_it_has_no_room_for);
	tcase_add_test(tc, redact_looks_further_than_it_shows);
	tcase_add_test(tc, redact_in_place_never_grows);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
