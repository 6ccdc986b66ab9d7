/* SPDX-License-Identifier: MIT */
/*
 * In: command lines, and answers of a listener. Out: whether each is taken for
 * what it is in Azure's agent, and nothing else for finished.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/cli.h"
#include "mspd/cli_answer.h"
#include "mspd/listener.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define ARGS	 8

/* ---- command lines ----------------------------------------------------- */

static const struct line {
	const char *args; /* separated by blanks */
	enum mspd_command command;
	uint64_t wait_s;
	const char *said; /* part of the message of a wrong one */
} lines[] = {
	{ "", MSPD_COMMAND_RUN, 0, NULL },
	{ "--foreground --config /c", MSPD_COMMAND_RUN, 0, NULL },
	{ "console", MSPD_COMMAND_CONSOLE, 0, NULL },
	{ "--config /c console", MSPD_COMMAND_CONSOLE, 0, NULL },
	{ "--version", MSPD_COMMAND_VERSION, 0, NULL },
	{ "-v", MSPD_COMMAND_VERSION, 0, NULL },
	{ "--status", MSPD_COMMAND_STATUS, 0, NULL },
	{ "-s", MSPD_COMMAND_STATUS, 0, NULL },
	{ "--status --wait 120", MSPD_COMMAND_STATUS, 120, NULL },
	{ "--wait 120 --status", MSPD_COMMAND_STATUS, 120, NULL },
	{ "--status --wait=120", MSPD_COMMAND_STATUS, 120, NULL },
	{ "-s -w 120", MSPD_COMMAND_STATUS, 120, NULL },
	{ "-s -w120", MSPD_COMMAND_STATUS, 120, NULL },
	{ "-sw120", MSPD_COMMAND_STATUS, 120, NULL },
	{ "-s -w 0", MSPD_COMMAND_STATUS, 0, NULL },
	{ "-s -w 18446744073709551615", MSPD_COMMAND_STATUS, UINT64_MAX, NULL },
	/* which of them wins */
	{ "-s -v", MSPD_COMMAND_VERSION, 0, NULL },
	{ "--version --status --wait 3 console", MSPD_COMMAND_VERSION, 3,
	  NULL },
	{ "--version console", MSPD_COMMAND_VERSION, 0, NULL },
	{ "--status console", MSPD_COMMAND_STATUS, 0, NULL },
	{ "--help", MSPD_COMMAND_HELP, 0, NULL },
	{ "-h", MSPD_COMMAND_HELP, 0, NULL },
	{ "help", MSPD_COMMAND_HELP, 0, NULL },
	{ "help help", MSPD_COMMAND_HELP, 0, NULL },
	{ "-h --nonsense", MSPD_COMMAND_HELP, 0, NULL },
	{ "help console", MSPD_COMMAND_HELP_CONSOLE, 0, NULL },
	{ "console --help", MSPD_COMMAND_HELP_CONSOLE, 0, NULL },
	{ "console -h", MSPD_COMMAND_HELP_CONSOLE, 0, NULL },
	/* what is none */
	{ "-V", MSPD_COMMAND_USAGE, 0, "-V" },
	{ "--nonsense", MSPD_COMMAND_USAGE, 0, "--nonsense" },
	{ "--nonsense -h", MSPD_COMMAND_USAGE, 0, "--nonsense" },
	{ "--stat", MSPD_COMMAND_USAGE, 0, "--stat" },
	{ "--status --wai 3", MSPD_COMMAND_USAGE, 0, "--wai" },
	{ "--status --wai=3", MSPD_COMMAND_USAGE, 0, "--wai" },
	{ "--version=1", MSPD_COMMAND_USAGE, 0, "--version=1" },
	{ "nonsense", MSPD_COMMAND_USAGE, 0, "nonsense" },
	{ "--version nonsense", MSPD_COMMAND_USAGE, 0, "nonsense" },
	{ "Console", MSPD_COMMAND_USAGE, 0, "Console" },
	{ "console now", MSPD_COMMAND_USAGE, 0, "now" },
	{ "console --status", MSPD_COMMAND_USAGE, 0, "--status" },
	{ "help nonsense", MSPD_COMMAND_USAGE, 0, "nonsense" },
	{ "help console now", MSPD_COMMAND_USAGE, 0, "now" },
	{ "--wait 120", MSPD_COMMAND_USAGE, 0, "--status" },
	{ "--version --wait 1", MSPD_COMMAND_USAGE, 0, "--status" },
	{ "--wait 1 console", MSPD_COMMAND_USAGE, 0, "--status" },
	{ "--status --wait", MSPD_COMMAND_USAGE, 0, "--wait" },
	{ "--status -w", MSPD_COMMAND_USAGE, 0, "-w" },
	{ "--status --wait=", MSPD_COMMAND_USAGE, 0, "seconds" },
	{ "--status --wait x", MSPD_COMMAND_USAGE, 0, "'x'" },
	{ "--status --wait -1", MSPD_COMMAND_USAGE, 0, "'-1'" },
	{ "--status --wait 1.5", MSPD_COMMAND_USAGE, 0, "'1.5'" },
	{ "--status --wait 1s", MSPD_COMMAND_USAGE, 0, "'1s'" },
	{ "--status --wait 18446744073709551616", MSPD_COMMAND_USAGE, 0,
	  "'18446744073709551616'" },
	{ "--status --status", MSPD_COMMAND_USAGE, 0, "twice: --status" },
	{ "-s --wait 1 -w 2", MSPD_COMMAND_USAGE, 0, "twice: --wait" },
	{ "--config /a --config /b", MSPD_COMMAND_USAGE, 0, "--config" },
};

static int split(char *text, char *argv[ARGS + 2], const char *name)
{
	int argc = 0;
	char *word;

	argv[argc++] = (char *)name;
	for (word = strtok(text, " "); word; word = strtok(NULL, " ")) {
		ck_assert_int_lt(argc, ARGS);
		argv[argc++] = word;
	}
	argv[argc] = NULL;
	return argc;
}

START_TEST(command_lines_are_those_of_azures_agent)
{
	const struct line *line = &lines[_i];
	char *text = strdup(line->args);
	char *argv[ARGS + 2];
	struct mspd_cli cli;

	ck_assert_ptr_nonnull(text);
	mspd_cli_parse(&cli, split(text, argv, "mspd"), argv);
	ck_assert_msg(cli.command == line->command, "'%s' is %d (%s)",
		      line->args, (int)cli.command, cli.error);
	if (line->said)
		ck_assert_msg(strstr(cli.error, line->said), "'%s': %s",
			      line->args, cli.error);
	else
		ck_assert_uint_eq(cli.wait_s, line->wait_s);
	free(text);
}
END_TEST

START_TEST(command_line_keeps_what_it_was_told)
{
	char text[] = "--foreground --config /c console";
	char *argv[ARGS + 2];
	struct mspd_cli cli;
	int argc = split(text, argv, "/usr/sbin/azure-proxy-agent");

	mspd_cli_parse(&cli, argc, argv);
	ck_assert_str_eq(cli.name, "azure-proxy-agent");
	ck_assert_str_eq(cli.config, "/c");
	ck_assert(cli.foreground);
}
END_TEST

START_TEST(command_line_may_be_empty)
{
	char *argv[] = { NULL };
	struct mspd_cli cli;

	mspd_cli_parse(&cli, 0, argv);
	ck_assert_int_eq(cli.command, MSPD_COMMAND_RUN);
	ck_assert_str_eq(cli.name, "mspd");
}
END_TEST

/* ---- answers ----------------------------------------------------------- */

#define YES "{\"finished\":true,\"errorMessage\":\"\"}"

static const struct {
	const char *json;
	bool taken;
	bool finished;
	const char *error;
} answers[] = {
	{ YES, true, true, "" },
	{ "{\"finished\":false,\"errorMessage\":\"a\\r\\nb\"}", true, false,
	  "a\r\nb" },
	{ " { \"errorMessage\" : \"x\" , \"finished\" : true } ", true, true,
	  "x" },
	{ "{\"more\":[{\"finished\":1}],\"finished\":true,"
	  "\"errorMessage\":\"\",\"n\":null,\"i\":3}",
	  true, true, "" },
	{ "", false, false, "" },
	{ "true", false, false, "" },
	{ "[" YES "]", false, false, "" },
	{ "\"finished\"", false, false, "" },
	{ "1", false, false, "" },
	{ "null", false, false, "" },
	{ "{}", false, false, "" },
	{ "{\"finished\":true}", false, false, "" },
	{ "{\"errorMessage\":\"\"}", false, false, "" },
	{ "{\"finished\":\"true\",\"errorMessage\":\"\"}", false, false, "" },
	{ "{\"finished\":1,\"errorMessage\":\"\"}", false, false, "" },
	{ "{\"finished\":null,\"errorMessage\":\"\"}", false, false, "" },
	{ "{\"finished\":{},\"errorMessage\":\"\"}", false, false, "" },
	{ "{\"finished\":[true],\"errorMessage\":\"\"}", false, false, "" },
	{ "{\"finished\":true,\"errorMessage\":null}", false, false, "" },
	{ "{\"finished\":true,\"errorMessage\":false}", false, false, "" },
	{ "{\"Finished\":true,\"errorMessage\":\"\"}", false, false, "" },
	{ "{\"a\":" YES "}", false, false, "" },
	{ "{\"finished\":true,\"finished\":true,\"errorMessage\":\"\"}", false,
	  false, "" },
	{ YES "x", false, false, "" },
	{ YES YES, false, false, "" },
	{ "{\"finished\":true,\"errorMessage\":\"", false, false, "" },
	{ "{\"finished\":true,\"errorMessage\":\"\xff\"}", false, false, "" },
};

START_TEST(only_a_whole_answer_is_finished)
{
	struct mspd_answer *answer = malloc(sizeof(*answer));
	const char *json = answers[_i].json;

	ck_assert_ptr_nonnull(answer);
	memset(answer, 0xff, sizeof(*answer));
	ck_assert_msg(mspd_answer_parse(answer, json, strlen(json)) ==
			      answers[_i].taken,
		      "%s", json);
	ck_assert_int_eq(answer->finished, answers[_i].finished);
	ck_assert_uint_eq(answer->error_len, strlen(answers[_i].error));
	ck_assert_mem_eq(answer->error, answers[_i].error, answer->error_len);
	free(answer);
}
END_TEST

/* 64 KiB of brackets are neither a crash nor an answer. */
START_TEST(deep_answers_are_none)
{
	struct mspd_answer *answer = malloc(sizeof(*answer));
	char *json = malloc(MSPD_ANSWER_MAX);

	ck_assert_ptr_nonnull(answer);
	ck_assert_ptr_nonnull(json);
	memset(json, '[', MSPD_ANSWER_MAX);
	memcpy(json, "{\"a\":", 5);
	ck_assert(!mspd_answer_parse(answer, json, MSPD_ANSWER_MAX));
	free(json);
	free(answer);
}
END_TEST

/* ---- where the agent is ------------------------------------------------ */

static const struct {
	const char *text;
	bool taken;
} addresses[] = {
	{ "127.0.0.1:3080", true },
	{ "1.2.3.4:1", true },
	{ "255.255.255.255:65535", true },
	{ "", false },
	{ ":", false },
	{ "127.0.0.1", false },
	{ "127.0.0.1:", false },
	{ ":3080", false },
	{ "127.0.0.1:0", false },
	{ "127.0.0.1:03080", false },
	{ "127.0.0.1:65536", false },
	{ "127.0.0.1:30 80", false },
	{ "127.0.0.1:3080x", false },
	{ "127.0.0.1:+3080", false },
	{ "127.0.0.1:3080:1", false },
	{ "127.0.0.1 :3080", false },
	{ "127.1:3080", false },
	{ "0.0.0.0:3080", false },
	{ "localhost:3080", false },
	{ "127.0.0.1:99999999999999999999", false },
};

START_TEST(addresses_are_taken_as_they_are_written)
{
	const char *text = addresses[_i].text;
	struct msp_address address;
	char again[MSPD_LISTENER_TEXT];

	ck_assert_msg(mspd_listener_parse(text, strlen(text), &address) ==
			      addresses[_i].taken,
		      "%s", text);
	if (!addresses[_i].taken)
		return;
	mspd_listener_text(&address, again);
	ck_assert_str_eq(again, text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_cli");
	TCase *tc = tcase_create("cli");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_loop_test(tc, command_lines_are_those_of_azures_agent, 0,
			    COUNT(lines));
	tcase_add_test(tc, command_line_keeps_what_it_was_told);
	tcase_add_test(tc, command_line_may_be_empty);
	tcase_add_loop_test(tc, only_a_whole_answer_is_finished, 0,
			    COUNT(answers));
	tcase_add_test(tc, deep_answers_are_none);
	tcase_add_loop_test(tc, addresses_are_taken_as_they_are_written, 0,
			    COUNT(addresses));
	suite_add_tcase(s, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
