/* SPDX-License-Identifier: MIT */
/*
 * Local rule files: which count, what they make of the host's item, and what
 * is said about it. The clock is the test's own.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mspd/localrules.h"
#include "mspd/log.h"
#include "tests/lib/scratch.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define CHECK_MS     1000
#define FILE_NAME    "rules/IMDS_Rules.json"
/* {"id":"sig","useLocalFileRules":true} */
#define USE_IT "eyJpZCI6InNpZyIsInVzZUxvY2FsRmlsZVJ1bGVzIjp0cnVlfQ=="
#define GRANTS "{'privileges':[{'name':'p','path':'/'}]}"

static struct mspd_localrules *local;
static struct msp_time now;

static void setup(void)
{
	scratch_make();
	ck_assert_int_eq(
		mspd_log_open(scratch_path("."), MSPD_TRACE, MSPD_ERROR), 0);
	ck_assert_int_eq(
		mspd_localrules_open(&local, scratch_path("keys"), CHECK_MS),
		0);
	memset(&now, 0, sizeof(now));
	now.boot_ms = 5000;
	now.wall_s = INT32_MAX; /* all files have settled long ago */
}

static void teardown(void)
{
	mspd_localrules_free(local);
	mspd_log_close();
	scratch_remove();
}

static char *with_quotes(const char *json)
{
	char *copy = strdup(json), *c;

	for (c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	return copy;
}

static void put_file(const char *json, mode_t mode)
{
	char *text = with_quotes(json);

	unlink(scratch_path(FILE_NAME));
	scratch_write(FILE_NAME, text, strlen(text));
	ck_assert_int_eq(chmod(scratch_path(FILE_NAME), mode), 0);
	free(text);
}

static struct msp_profile *host_item(const char *id, const char *rest)
{
	struct msp_profile *p;
	char json[1024], *text;

	snprintf(json, sizeof(json),
		 "{'defaultAccess':'allow','mode':'audit','id':'%s'%s}", id,
		 rest);
	text = with_quotes(json);
	ck_assert_int_eq(msp_profile_parse(&p, text, strlen(text), NULL), 0);
	free(text);
	return p;
}

/* One look; NULL: it goes on later. */
static struct msp_profile *look(const char *id, const char *rest)
{
	struct msp_profile *host = host_item(id, rest), *out;
	int rc =
		mspd_localrules_take(local, MSP_ENDPOINT_IMDS, host, now, &out);

	msp_profile_free(host);
	ck_assert_int_eq(rc, out ? 0 : -EAGAIN);
	return out;
}

/* All attempts; how many it took. */
static int decide(struct msp_profile **out, const char *id, const char *rest)
{
	int n = 1;

	now.boot_ms += CHECK_MS;
	while (!(*out = look(id, rest))) {
		ck_assert_uint_eq(mspd_localrules_deadline(local),
				  now.boot_ms + MSPD_LOCALRULES_RETRY_MS);
		now.boot_ms = mspd_localrules_deadline(local);
		n++;
	}
	return n;
}

/* id and default of what is in force, and privileges it has */
static void expect(const char *id, enum msp_access access, const char *want)
{
	struct msp_profile *p;
	char text[256];

	decide(&p, id, ",'rules':" GRANTS);
	snprintf(text, sizeof(text), "%s %s", msp_profile_id(p),
		 msp_profile_access(p) == MSP_ACCESS_ALLOW ? "allow" : "deny");
	ck_assert_str_eq(text, want);
	ck_assert_int_eq(msp_profile_access(p), access);
	ck_assert_int_eq(msp_profile_mode(p), MSP_MODE_AUDIT);
	msp_profile_free(p);
}

static size_t privileges(void)
{
	struct msp_profile *p;
	char *text, *at;
	size_t n = 0;

	decide(&p, USE_IT, ",'rules':" GRANTS);
	ck_assert_int_eq(msp_profile_write(&text, NULL, p, NULL, NULL), 0);
	for (at = text; (at = strstr(at, "\"path\"")); at++)
		n++;
	msp_text_free(text);
	msp_profile_free(p);
	return n;
}

/* Lines of the log that end in this text; %s is the path of the file. */
static int said(const char *format)
{
	char *log = scratch_read("ProxyAgent.log", NULL), *line, *end;
	const char *hole = strstr(format, "%s");
	char want[1024];
	int n = 0;

	if (hole)
		snprintf(want, sizeof(want), "%.*s%s%s", (int)(hole - format),
			 format, scratch_path(FILE_NAME), hole + 2);
	else
		snprintf(want, sizeof(want), "%s", format);
	for (line = log; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		n += strlen(line) >= strlen(want) &&
		     strcmp(end - strlen(want), want) == 0;
	}
	free(log);
	return n;
}

/* ---- the decision table ------------------------------------------------ */

START_TEST(switch_off_means_the_hosts_item)
{
	put_file("{'defaultAccess':'deny'}", 0600);
	expect("plain", MSP_ACCESS_ALLOW,
	       "plain-useLocalFileRules-false allow");
	ck_assert_uint_eq(mspd_localrules_deadline(local), UINT64_MAX);
	ck_assert_int_eq(said("IMDS local rules file found at %s."), 0);
}
END_TEST

START_TEST(missing_file_means_the_hosts_item)
{
	expect(USE_IT, MSP_ACCESS_ALLOW, "sig-useLocalFileRules-true allow");
	ck_assert_int_eq(said("IMDS local rules file deleted or not found at "
			      "%s."),
			 1);
	expect(USE_IT, MSP_ACCESS_ALLOW, "sig-useLocalFileRules-true allow");
	ck_assert_int_eq(said("IMDS local rules file deleted or not found at "
			      "%s."),
			 1);
	ck_assert_str_eq(mspd_localrules_fault(local, MSP_ENDPOINT_IMDS), "");
}
END_TEST

START_TEST(file_is_merged)
{
	put_file("{'id':'mine','defaultAccess':'deny','rules':" GRANTS "}",
		 0644);
	expect(USE_IT, MSP_ACCESS_DENY, "sig-useLocalFileRules-true_mine deny");
	ck_assert_uint_eq(privileges(), 2);
	ck_assert_int_eq(said("IMDS local file rules enabled."), 1);
	ck_assert_int_eq(said("IMDS local rules file found at %s."), 1);
	ck_assert_int_eq(said("Successfully parsed IMDS local rules file %s "
			      "with id 'mine' on attempt 1."),
			 1);
	expect("plain", MSP_ACCESS_ALLOW,
	       "plain-useLocalFileRules-false allow");
	ck_assert_int_eq(said("IMDS local file rules disabled."), 1);
}
END_TEST

START_TEST(file_that_changes_is_read_again_and_one_that_does_not_is_not)
{
	put_file("{'id':'one'}", 0600);
	expect(USE_IT, MSP_ACCESS_ALLOW,
	       "sig-useLocalFileRules-true_one allow");
	expect(USE_IT, MSP_ACCESS_ALLOW,
	       "sig-useLocalFileRules-true_one allow");
	ck_assert_int_eq(said("Successfully parsed IMDS local rules file %s "
			      "with id 'one' on attempt 1."),
			 1);
	put_file("{'id':'two'}", 0600);
	expect(USE_IT, MSP_ACCESS_ALLOW,
	       "sig-useLocalFileRules-true_two allow");
	ck_assert_int_eq(said("IMDS local rules file changed at %s."), 1);
	unlink(scratch_path(FILE_NAME));
	expect(USE_IT, MSP_ACCESS_ALLOW, "sig-useLocalFileRules-true allow");
	put_file("{'id':'two'}", 0600);
	expect(USE_IT, MSP_ACCESS_ALLOW,
	       "sig-useLocalFileRules-true_two allow");
	ck_assert_int_eq(said("IMDS local rules file found at %s."), 2);
	ck_assert_int_eq(said("IMDS local rules file deleted or not found at "
			      "%s."),
			 1);
}
END_TEST

/* It is read once more, because it may be written to once more within one tick
 * of the file system's clock. */
START_TEST(file_that_has_just_been_written_is_not_said_twice)
{
	struct stat st;
	int i;

	put_file("{'id':'one'}", 0600);
	ck_assert_int_eq(stat(scratch_path(FILE_NAME), &st), 0);
	now.wall_s = st.st_ctim.tv_sec;
	for (i = 0; i < 3; i++)
		expect(USE_IT, MSP_ACCESS_ALLOW,
		       "sig-useLocalFileRules-true_one allow");
	/* and nothing is said about it */
	ck_assert_int_eq(said("Successfully parsed IMDS local rules file %s "
			      "with id 'one' on attempt 1."),
			 1);
	ck_assert_int_eq(said("IMDS local rules file changed at %s."), 0);
}
END_TEST

START_TEST(the_hosts_new_content_is_merged_with_what_was_read)
{
	put_file("{'id':'mine','rules':" GRANTS "}", 0600);
	ck_assert_uint_eq(privileges(), 2);
	expect(USE_IT, MSP_ACCESS_ALLOW,
	       "sig-useLocalFileRules-true_mine allow");
	expect("eyJpZCI6InR3byIsInVzZUxvY2FsRmlsZVJ1bGVzIjp0cnVlfQ==",
	       MSP_ACCESS_ALLOW, "two-useLocalFileRules-true_mine allow");
}
END_TEST

/* ---- what cannot be used ----------------------------------------------- */

static void expect_closed(int attempts, const char *why)
{
	struct msp_profile *p;
	char text[1024], *json;

	ck_assert_int_eq(decide(&p, USE_IT, ",'rules':" GRANTS), attempts);
	ck_assert_str_eq(msp_profile_id(p), "sig-useLocalFileRules-true");
	ck_assert_int_eq(msp_profile_access(p), MSP_ACCESS_DENY);
	ck_assert_int_eq(msp_profile_mode(p), MSP_MODE_AUDIT);
	ck_assert_int_eq(msp_profile_write(&json, NULL, p, NULL, NULL), 0);
	ck_assert_ptr_null(strstr(json, "rules\""));
	msp_text_free(json);
	msp_profile_free(p);
	snprintf(text, sizeof(text),
		 "Failed to parse IMDS local rules file %s: %s. Apply "
		 "fail-closed rules.",
		 scratch_path(FILE_NAME), why);
	ck_assert_str_eq(mspd_localrules_fault(local, MSP_ENDPOINT_IMDS), text);
	ck_assert_int_eq(said(text), 1);
	ck_assert_str_eq(mspd_localrules_fault(local, MSP_ENDPOINT_WIRESERVER),
			 "");
}

/* Back to order by itself. */
static void expect_mended(void)
{
	put_file("{'id':'good'}", 0600);
	expect(USE_IT, MSP_ACCESS_ALLOW,
	       "sig-useLocalFileRules-true_good allow");
	ck_assert_str_eq(mspd_localrules_fault(local, MSP_ENDPOINT_IMDS), "");
}

#define P(more) "{'rules':{'privileges':[{'name':'p','path':'/'" more "}]"

static const struct {
	const char *json;
	const char *why;
	int attempts;
} invalid[] = {
	/* the table of spec 8.5 */
	{ "{'defaultAccess':'perhaps'}",
	  "local rules defaultAccess must be 'allow' or 'deny', got 'perhaps' "
	  "is invalid",
	  1 },
	{ "{'id':' '}",
	  "local rules id cannot be empty when provided is invalid", 1 },
	{ "{'rules':{'privileges':[{'name':' ','path':'/'}]}}",
	  "privilege name cannot be empty is invalid", 1 },
	{ "{'rules':{'privileges':[{'name':'p','path':' '}]}}",
	  "privilege 'p' path cannot be empty is invalid", 1 },
	{ "{'rules':{'privileges':[{'name':'p','path':'/'},{'name':'p','path':"
	  "'/'}]}}",
	  "duplicate privilege name 'p' is invalid", 1 },
	{ P(",'queryParameters':{'':'x'}") "}}",
	  "privilege 'p' queryParameters cannot contain empty keys or values "
	  "is invalid",
	  1 },
	{ P(",'queryParameters':{'x':' '}") "}}",
	  "privilege 'p' queryParameters cannot contain empty keys or values "
	  "is invalid",
	  1 },
	{ "{'rules':{'roles':[{'name':'','privileges':['p']}]}}",
	  "role name cannot be empty is invalid", 1 },
	{ "{'rules':{'roles':[{'name':'r','privileges':[]}]}}",
	  "role 'r' must reference at least one privilege is invalid", 1 },
	{ P("") ",'roles':[{'name':'r','privileges':['p']},{'name':'r',"
		"'privileges':['p']}]}}",
	  "duplicate role name 'r' is invalid", 1 },
	{ P("") ",'roles':[{'name':'r','privileges':['']}]}}",
	  "role 'r' contains an empty privilege reference is invalid", 1 },
	{ P("") ",'roles':[{'name':'r','privileges':['p','p']}]}}",
	  "role 'r' contains duplicate privilege reference 'p' is invalid", 1 },
	{ P("") ",'roles':[{'name':'r','privileges':['q']}]}}",
	  "role 'r' references unknown privilege 'q' is invalid", 1 },
	{ "{'rules':{'identities':[{'name':'','userName':'u'}]}}",
	  "identity name cannot be empty is invalid", 1 },
	{ "{'rules':{'identities':[{'name':'i','userName':'u'},{'name':'i',"
	  "'userName':'u'}]}}",
	  "duplicate identity name 'i' is invalid", 1 },
	{ "{'rules':{'identities':[{'name':'i','userName':' '}]}}",
	  "identity 'i' must specify at least one selector is invalid", 1 },
	{ "{'rules':{'roleAssignments':[{'role':'','identities':['i']}]}}",
	  "roleAssignment role cannot be empty is invalid", 1 },
	{ "{'rules':{'identities':[{'name':'i','userName':'u'}],"
	  "'roleAssignments':[{'role':'r','identities':['i']}]}}",
	  "roleAssignment references unknown role 'r' is invalid", 1 },
	{ P("") ",'roles':[{'name':'r','privileges':['p']}],"
		"'roleAssignments':[{'role':'r','identities':[]}]}}",
	  "roleAssignment for role 'r' must reference at least one identity is "
	  "invalid",
	  1 },
	{ P("") ",'roles':[{'name':'r','privileges':['p']}],"
		"'roleAssignments':[{'role':'r','identities':['']}]}}",
	  "roleAssignment for role 'r' contains an empty identity reference is "
	  "invalid",
	  1 },
	{ P("") ",'identities':[{'name':'i','userName':'u'}],'roles':[{'name':"
		"'r','privileges':['p']}],'roleAssignments':[{'role':'r',"
		"'identities':['i','i']}]}}",
	  "roleAssignment for role 'r' contains duplicate identity reference "
	  "'i' is invalid",
	  1 },
	{ P("") ",'roles':[{'name':'r','privileges':['p']}],"
		"'roleAssignments':[{'role':'r','identities':['j']}]}}",
	  "roleAssignment for role 'r' references unknown identity 'j' is "
	  "invalid",
	  1 },
	/* what is not a rule file at all; the place is said */
	{ "{'id':'a','id':'b'}", "line 1 column 11: /id is given twice", 1 },
	{ "{'id':7}", "line 1 column 7: /id is a number, expected a string",
	  1 },
	{ "{'rules':{'privileges':[{'name':'p','path':'/%zz'}]}}",
	  "line 1 column 44: /rules/privileges/0/path cannot be canonicalized: "
	  "malformed percent-encoding",
	  1 },
	/* perhaps not written yet: tried again */
	{ "", "line 1 column 1: is not JSON: parse error: premature EOF", 3 },
	{ "{'id':'a'",
	  "line 1 column 10: is not JSON: parse error: premature EOF", 3 },
};

START_TEST(file_that_is_not_valid_closes)
{
	put_file(invalid[_i].json, 0600);
	expect_closed(invalid[_i].attempts, invalid[_i].why);
	expect_mended();
}
END_TEST

static void make_owned_by_another(void)
{
	put_file("{}", 0600);
	if (chown(scratch_path(FILE_NAME), 65534, 65534) < 0)
		ck_assert_int_eq(geteuid() == 0, 0);
}

static void make_group_writable(void)
{
	put_file("{}", 0660);
}

static void make_writable(void)
{
	put_file("{}", 0602);
}

static void make_fifo(void)
{
	ck_assert_int_eq(mkfifo(scratch_path(FILE_NAME), 0600), 0);
}

static void make_dir(void)
{
	ck_assert_int_eq(mkdir(scratch_path(FILE_NAME), 0700), 0);
}

static void make_huge(void)
{
	put_file("{}", 0600);
	ck_assert_int_eq(
		truncate(scratch_path(FILE_NAME), MSP_PROFILE_MAX_BYTES + 1),
		0);
}

static void make_dir_writable(void)
{
	put_file("{}", 0600);
	ck_assert_int_eq(chmod(scratch_path("rules"), 0720), 0);
}

static const struct {
	void (*make)(void);
	const char *why;
} untrusted[] = {
	{ make_group_writable, "can be written to by its group (mode 0660)" },
	{ make_writable, "can be written to by everybody (mode 0602)" },
	{ make_fifo, "is not a regular file" },
	{ make_dir, "is not a regular file" },
	{ make_huge, "has 1048577 bytes, at most 1048576 are read" },
	{ make_dir_writable,
	  "its directory can be written to by its group (mode 0720)" },
	{ make_owned_by_another, "belongs to user 65534, not to root" },
};

START_TEST(file_that_others_may_have_written_closes)
{
	if (untrusted[_i].make == make_owned_by_another && geteuid() != 0)
		return; /* nobody can give a file away; the live suite does */
	untrusted[_i].make();
	expect_closed(3, untrusted[_i].why);
	ck_assert_int_eq(chmod(scratch_path("rules"), 0700), 0);
	remove(scratch_path(FILE_NAME));
	expect_mended();
}
END_TEST

START_TEST(file_that_cannot_even_be_looked_at_closes)
{
	struct msp_profile *p;
	char text[1024];

	scratch_write("elsewhere", "{\"defaultAccess\":\"allow\"}", 25);
	ck_assert_int_eq(
		symlink(scratch_path("elsewhere"), scratch_path(FILE_NAME)), 0);
	ck_assert_int_eq(decide(&p, USE_IT, ""), 1);
	ck_assert_int_eq(msp_profile_access(p), MSP_ACCESS_DENY);
	msp_profile_free(p);
	ck_assert_int_eq(said("IMDS local rules file metadata read failed at "
			      "%s: is a symbolic link"),
			 1);
	snprintf(text, sizeof(text),
		 "Failed to read IMDS local rules file metadata %s: is a "
		 "symbolic link. Treat it as parse failure and apply "
		 "fail-closed rules.",
		 scratch_path(FILE_NAME));
	ck_assert_str_eq(mspd_localrules_fault(local, MSP_ENDPOINT_IMDS), text);
	ck_assert_int_eq(said(text), 1);
	expect_mended();
}
END_TEST

START_TEST(directory_that_is_a_link_closes)
{
	struct msp_profile *p;

	ck_assert_int_eq(rename(scratch_path("rules"), scratch_path("other")),
			 0);
	ck_assert_int_eq(symlink(scratch_path("other"), scratch_path("rules")),
			 0);
	decide(&p, USE_IT, "");
	ck_assert_int_eq(msp_profile_access(p), MSP_ACCESS_DENY);
	msp_profile_free(p);
	ck_assert_ptr_nonnull(
		strstr(mspd_localrules_fault(local, MSP_ENDPOINT_IMDS),
		       "its directory: "));
}
END_TEST

START_TEST(missing_directory_is_a_missing_file)
{
	ck_assert_int_eq(rmdir(scratch_path("rules")), 0);
	expect(USE_IT, MSP_ACCESS_ALLOW, "sig-useLocalFileRules-true allow");
}
END_TEST

START_TEST(broken_file_is_said_again_with_each_look)
{
	struct msp_profile *p;

	put_file("{'id':''}", 0600);
	decide(&p, USE_IT, "");
	msp_profile_free(p);
	decide(&p, USE_IT, "");
	msp_profile_free(p);
	ck_assert_int_eq(said("Failed to parse IMDS local rules file %s: local "
			      "rules id cannot be empty when provided is "
			      "invalid. Apply fail-closed rules."),
			 2);
	/* its details are not */
	ck_assert_int_eq(said("IMDS_Rules.json: line 1 column 7: /id: local "
			      "rules id cannot be empty when provided"),
			 1);
}
END_TEST

START_TEST(half_a_file_is_waited_for)
{
	struct msp_profile *p;

	put_file("{'id':'go", 0600);
	ck_assert_ptr_null(look(USE_IT, ""));
	/* too early: not even looked at */
	ck_assert_ptr_null(look(USE_IT, ""));
	put_file("{'id':'good'}", 0600);
	now.boot_ms = mspd_localrules_deadline(local);
	p = look(USE_IT, "");
	ck_assert_ptr_nonnull(p);
	ck_assert_str_eq(msp_profile_id(p), "sig-useLocalFileRules-true_good");
	msp_profile_free(p);
	ck_assert_int_eq(said("Successfully parsed IMDS local rules file %s "
			      "with id 'good' on attempt 2."),
			 1);
}
END_TEST

START_TEST(names_that_meet_close)
{
	struct msp_profile *p;

	put_file("{'rules':{'privileges':[{'name':'p','path':'/'}]}}", 0600);
	decide(&p, USE_IT,
	       ",'rules':{'privileges':[{'name':'LocalFileRules_p','path':'/'}"
	       "]}");
	ck_assert_int_eq(msp_profile_access(p), MSP_ACCESS_DENY);
	msp_profile_free(p);
	ck_assert_ptr_nonnull(
		strstr(mspd_localrules_fault(local, MSP_ENDPOINT_IMDS),
		       "privilege 'LocalFileRules_p' of the host"));
}
END_TEST

START_TEST(host_without_an_item_switches_off)
{
	struct msp_profile *p;

	put_file("{'id':''}", 0600);
	decide(&p, USE_IT, "");
	msp_profile_free(p);
	ck_assert_int_eq(
		mspd_localrules_take(local, MSP_ENDPOINT_IMDS, NULL, now, &p),
		0);
	ck_assert_ptr_null(p);
	ck_assert_str_eq(mspd_localrules_fault(local, MSP_ENDPOINT_IMDS), "");
	ck_assert_uint_eq(mspd_localrules_deadline(local), UINT64_MAX);
}
END_TEST

START_TEST(directory_is_made_for_its_owner_alone)
{
	ck_assert_uint_eq(scratch_mode("rules"), 0700);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd_localrules");
	TCase *tc = tcase_create("localrules");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, switch_off_means_the_hosts_item);
	tcase_add_test(tc, missing_file_means_the_hosts_item);
	tcase_add_test(tc, file_is_merged);
	tcase_add_test(
		tc,
		file_that_changes_is_read_again_and_one_that_does_not_is_not);
	tcase_add_test(tc, file_that_has_just_been_written_is_not_said_twice);
	tcase_add_test(tc, the_hosts_new_content_is_merged_with_what_was_read);
	tcase_add_loop_test(tc, file_that_is_not_valid_closes, 0,
			    COUNT(invalid));
	tcase_add_loop_test(tc, file_that_others_may_have_written_closes, 0,
			    COUNT(untrusted));
	tcase_add_test(tc, file_that_cannot_even_be_looked_at_closes);
	tcase_add_test(tc, directory_that_is_a_link_closes);
	tcase_add_test(tc, missing_directory_is_a_missing_file);
	tcase_add_test(tc, broken_file_is_said_again_with_each_look);
	tcase_add_test(tc, half_a_file_is_waited_for);
	tcase_add_test(tc, names_that_meet_close);
	tcase_add_test(tc, host_without_an_item_switches_off);
	tcase_add_test(tc, directory_is_made_for_its_owner_alone);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
