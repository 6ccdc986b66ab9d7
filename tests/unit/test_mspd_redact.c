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
#define N20 N10 N10
#define N19 N10 "abcDEF012"
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
	{ "a?next=token%3Dabc&x=1", "a?next=" R "&x=1" },
	{ "a?u=https%3A%2F%2Fh%2F%3Fsig%253Dabc%252F+d x",
	  "a?u=https%3A%2F%2Fh%2F%3F" R " x" },
	{ "PassWord%253a x y", R " y" },
	{ "curl -u bob:pw http://h/", "curl -u " R " http://h/" },
	{ "/usr/bin/curl -sSU 'b:p w' -v", "/usr/bin/curl -sSU " R "' -v" },
	{ "curl -ubob:pw --user b:p", "curl -u" R " --user " R },
	{ "curl --proxy-user=b:p --pass abc",
	  "curl --proxy-user=" R " --pass " R },
	{ "wget --proxy-user b:p", "wget --proxy-user " R },
	{ "sudo sshpass -p pw ssh h", "sudo sshpass -p " R " ssh h" },
	{ "sshpass -ppw ssh h", "sshpass -p" R " ssh h" },
	{ "mysqldump -u root -phunter2 db", "mysqldump -u root -p" R " db" },
	{ "sh -c \"mariadb -p'a b' db\"", "sh -c \"mariadb -p" R "' db\"" },
	{ "redis-cli -a pw; sqlcmd -P pw; ldapsearch -w pw",
	  "redis-cli -a " R " sqlcmd -P " R " ldapsearch -w " R },
	{ "Bearer opaque", R },
	{ "x auth=bearer%20a.b-c; y", "x auth=" R "; y" },
	{ "oauth --bearer abc", "oauth --" R },
	{ "password = = pw x", R " x" },
	{ "token = : => pw x", R " x" },
	{ "sb://x/;SharedAccessKeyName=n;SharedAccessKey=a=;E=p",
	  "sb://x/;SharedAccessKeyName=n;Shared" R ";E=p" },
	{ "Ocp-Apim-Subscription-Key: abc", "Ocp-Apim-" R },
	{ "-d {\\\"password\\\": \\\"p w\\\"} x", "-d {\\\"" R "\"} x" },
	{ "x=https%3A%2F%2Fu%3Apw%40h%2Fp", "x=" R "%2Fp" },
	{ "x%3Dhttps%253a%252f%252fu:pw%2540h&y", "x%3D" R "&y" },
	{ "x-ms-azure-host-authorization: Azure-HMAC-SHA256 g s", "x-ms-azure-"
								  "host-" R },
	{ "x ghp_" N20 " y", "x " R " y" },
	{ "x%3Dgithub_pat_" N20 "_" N20 "&y", "x%3D" R "&y" },
	{ "Set-Cookie: a=b; Path=/\r\nHost: a", "Set-" R "\r\nHost: a" },
	{ "\"customData\":\"YWJj=\",\"x\"", "\"" R "\",\"x\"" },
	{ "user-data: YWJj x", R " x" },
	{ "a password hunter2 and", "a " R " and" },
	{ "a passphrase 'hunter2' and", "a " R "' and" },
};

/* What must stay for people to read. */
static const struct row near[] = {
	{ "", NULL },
	{ "curl -s -H Metadata:true "
	  "http://169.254.169.254/metadata/instance?api-version=2021-02-01",
	  NULL },
	{ "python3 -u /usr/sbin/waagent -daemon", NULL },
	{ "passwd root", NULL },
	{ "passwd user01", NULL },
	{ "password 1 of 3", NULL },
	{ "password expired; the password is wrong", NULL },
	{ "password authentication failed for user42", NULL },
	{ "password 1234567", NULL },
	{ "ghp_" N19 " ghx_" N20 " GHP_" N20, NULL },
	{ "cookies: 5; Cookie Monster", NULL },
	{ "/compute/userData?api-version=2021-02-01 userData", NULL },
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
	{ "docker run -u 1000:1000 --user 0:0 -p 80:80 nginx", NULL },
	{ "curl -u bob --user bob -XPUT -HUser-Agent:x http://h:80/", NULL },
	{ "sudo -u a:b curl", NULL },
	{ "mysql -p -P 3306 -u root db", NULL },
	{ "mkdir -p a; ssh -p 22 h; grep -a b -w c", NULL },
	{ "az --auth-type bearer --x", NULL },
	{ "x=https%3A%2F%2Fu%40h%3A80%2Fa%40b", NULL },
	{ "a%3Db token%2Fx", NULL },
	{ "accesskeyid=AKIA", NULL },
	{ "Gr\xc3\xbc\xc3\x9f"
	  "e",
	  NULL },
};

/* Where the arguments are known; \1 between them. */
static const struct row bordered[] = {
	{ "tool\1--token\1abc def\1x", "tool --token " R " x" },
	{ "tool\1--token\1 abc def\1x", "tool --token  " R " x" },
	{ "tool\1--token\1\"abc\" def\1x", "tool --token " R " x" },
	{ "tool\1--db-passphrase=a b;c\1x", "tool --db-" R " x" },
	{ "tool\1--password=a;b\1x", "tool --" R " x" },
	{ "tool\1--sas=a b\1x", "tool --sas=" R " x" },
	{ "tool\1password:\1a b\1x", "tool " R " x" },
	{ "env\1GITHUB_TOKEN=abc def,ghi\1x", "env GITHUB_" R " x" },
	{ "curl\1-H\1X-Api-Key: abc def\1http://h/",
	  "curl -H X-" R " http://h/" },
	{ "curl\1-u\1bob:p w\1x", "curl -u " R " x" },
	{ "curl\1-subob:p w\1x", "curl -su" R " x" },
	{ "mysql\1-pa b\1x", "mysql -p" R " x" },
	{ "sshpass\1-p\1a b\1x", "sshpass -p " R " x" },
	{ "x\1bearer\1a b\1y", "x " R " y" },
	{ "sh\1-c\1tool --token abc def", "sh -c tool --token " R " def" },
	{ "sh\1-c\1x; token=abc def", "sh -c x; " R " def" },
	/* and the rest as if they were not */
	{ "app\1--password=x\1--verbose", "app --" R },
	{ "app\1pwd=\1a b;c", "app " R ";c" },
	{ "app\1sig=a\1b&c", "app " R "&c" },
	{ "BEGIN\1PRIVATE KEY-----\1x", R },
	{ "curl\1-s\1-H\1Metadata: true", "curl -s -H Metadata: true" },
	{ "tool\1--token", "tool --token" },
	{ "tool\1--sas=\1b", "tool --sas= b" },
};

static const struct mspd_arguments *split(char *text, size_t len,
					  struct mspd_arguments *arguments)
{
	size_t i;

	arguments->n = 0;
	for (i = 0; i < len; i++) {
		if (text[i] != '\1')
			continue;
		text[i] = ' ';
		arguments->end[arguments->n++] = i;
	}
	if (!arguments->n)
		return NULL;
	arguments->end[arguments->n++] = len;
	return arguments;
}

static void check_row(const struct row *row)
{
	struct mspd_arguments arguments;
	const char *after = row->after ? row->after : row->before;
	size_t len = strlen(row->before);
	char *exact = malloc(len + 1); /* a sanitizer sees one too far */
	char buffer[1024];
	struct mspd_text out;

	memcpy(exact, row->before, len);
	mspd_text_init(&out, buffer, sizeof(buffer));
	ck_assert(mspd_redact_arguments(&out, exact, len, len,
					split(exact, len, &arguments)));
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

START_TEST(redact_takes_out_a_whole_argument)
{
	check_row(&bordered[_i]);
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

/* What would tell that they are secrets was cut off. */
START_TEST(redact_takes_what_reaches_the_cut_for_a_secret)
{
	static const char *const cut[] = { "x eyJhbGciOiJub25lIn0abc",
					   "x https://u:longpassword",
					   "x https%3A%2F%2Fu%3Alongpassword",
					   "x github_pat_abcdef",
					   "x password abcdefgh" };
	char buffer[64];
	struct mspd_text out;
	int i;

	for (i = 0; i < COUNT(cut); i++) {
		mspd_text_init(&out, buffer, sizeof(buffer));
		ck_assert(mspd_redact_to(&out, cut[i], strlen(cut[i]), 15));
		ck_assert_str_eq(buffer, "x " R);
		mspd_text_init(&out, buffer, sizeof(buffer));
		ck_assert(mspd_redact_to(&out, cut[i], strlen(cut[i]),
					 strlen(cut[i])));
		ck_assert_str_eq(buffer, cut[i]);
	}
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
	tcase_add_loop_test(tc, redact_takes_out_a_whole_argument, 0,
			    COUNT(bordered));
	tcase_add_loop_test(tc, redact_leaves_what_only_looks_like_it, 0,
			    COUNT(near));
	tcase_add_test(tc, redact_makes_one_of_secrets_that_overlap);
	tcase_add_test(tc, redact_replaces_bytes_that_are_no_characters);
	tcase_add_test(tc, redact_never_shows_part_of_what_it_has_no_room_for);
	tcase_add_test(tc, redact_looks_further_than_it_shows);
	tcase_add_test(tc, redact_takes_what_reaches_the_cut_for_a_secret);
	tcase_add_test(tc, redact_in_place_never_grows);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
