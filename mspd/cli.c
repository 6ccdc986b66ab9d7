/* SPDX-License-Identifier: MIT */
/*
 * In: a command line. Out: what is wanted; the answers that need no agent.
 * Must never read a file, nor take half a word for an option.
 */
#include "mspd/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/msp.h>

static const char usage_text[] =
	"usage: %s [--config FILE] [--foreground] [console]\n"
	"       %s --status [--wait SECONDS] [--config FILE]\n"
	"       %s --version | --help | help [console]\n"
	"\n"
	"Without a command, run as a service, until stopped by a signal.\n"
	"\n"
	"  console             run until Enter is pressed\n"
	"  --config FILE       configuration, JSON; else the first there is "
	"of\n"
	"                      /etc/azure/proxy-agent.json,\n"
	"                      proxy-agent.json beside this program,\n"
	"                      /etc/mspd/mspd.json\n"
	"  --foreground        say on the terminal what is going on\n"
	"  -s, --status        has the machine been provisioned? Exit status:\n"
	"                      0 yes, 1 not yet, 2 it failed\n"
	"  -w, --wait SECONDS  with --status: keep asking so long\n"
	"  -v, --version       print the version\n"
	"  -h, --help          print this\n";

static const char console_text[] =
	"usage: %s [--config FILE] [--foreground] console\n"
	"\n"
	"Run as the service does, until Enter is pressed or standard input "
	"ends.\n";

enum { SEEN_VERSION = 1, SEEN_STATUS = 2, SEEN_WAIT = 4, SEEN_CONFIG = 8 };

static const struct option options[] = {
	{ "version", no_argument, NULL, 'v' },
	{ "status", no_argument, NULL, 's' },
	{ "wait", required_argument, NULL, 'w' },
	{ "config", required_argument, NULL, 'c' },
	{ "foreground", no_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void wrong(struct mspd_cli *out, const char *what, const char *word)
{
	out->command = MSPD_COMMAND_USAGE;
	snprintf(out->error, sizeof(out->error), "%s '%.64s'", what, word);
}

/* Decimal digits and nothing else. */
static bool parse_seconds(const char *text, uint64_t *out)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' ||
		    __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *text - '0', &value))
			return false;
	}
	*out = value;
	return true;
}

/* The word of the option that was just read; its value may be the next. */
static const char *option_word(char **argv)
{
	const char *last = argv[optind - 1];

	return optarg && optarg == last ? argv[optind - 2] : last;
}

/* getopt takes any beginning of a name that no other has; who adds an option
 * would change what such a command line means. */
static bool is_whole(const char *word, int index)
{
	return index < 0 || /* one letter */
	       strcspn(word + 2, "=") == strlen(options[index].name);
}

/* Of '?' and ':'. */
static void bad_option(struct mspd_cli *out, char **argv, int c)
{
	const char *word = argv[optind - 1];
	char letter[3] = { '-', (char)optopt, '\0' };

	if (strncmp(word, "--", 2) != 0)
		word = letter;
	if (c == ':')
		wrong(out, "no value for option", word);
	else if (strchr(word, '='))
		wrong(out, "unknown option, or one that takes no value,", word);
	else
		wrong(out, "unknown option", word);
}

/* Returns whether to go on. */
static bool take_option(struct mspd_cli *out, unsigned int *seen, int c)
{
	const char letters[] = { 'v', 's', 'w', 'c', 'f' };
	const char *at = memchr(letters, c, sizeof(letters));
	unsigned int bit = at ? 1U << (at - letters) : 0;

	if (*seen & bit) {
		out->command = MSPD_COMMAND_USAGE;
		snprintf(out->error, sizeof(out->error),
			 "option given twice: --%s",
			 options[at - letters].name);
		return false;
	}
	*seen |= bit;
	if (c == 'h') {
		out->command = MSPD_COMMAND_HELP;
		return false;
	}
	if (c == 'c')
		out->config = optarg;
	else if (c == 'f')
		out->foreground = true;
	else if (c == 'w' && !parse_seconds(optarg, &out->wait_s)) {
		wrong(out, "--wait takes a number of seconds, not", optarg);
		return false;
	}
	return true;
}

/* "console", "help", "help console", and help for console. */
static void take_words(struct mspd_cli *out, char **words)
{
	bool help = strcmp(words[0], "help") == 0;
	const char *next = words[1];

	if (!help && strcmp(words[0], "console") != 0) {
		wrong(out, "unexpected argument", words[0]);
		return;
	}
	out->command = help ? MSPD_COMMAND_HELP : MSPD_COMMAND_CONSOLE;
	if (!next)
		return;
	if (help ? strcmp(next, "console") == 0
		 : strcmp(next, "--help") == 0 || strcmp(next, "-h") == 0)
		out->command = MSPD_COMMAND_HELP_CONSOLE;
	else if (!help || strcmp(next, "help") != 0)
		wrong(out, "unexpected argument", next);
	if (out->command != MSPD_COMMAND_USAGE && words[2])
		wrong(out, "unexpected argument", words[2]);
}

static bool take_options(struct mspd_cli *out, unsigned int *seen, int argc,
			 char **argv)
{
	int index = -1;
	int c;

	optind = 0; /* from the beginning, also when called again */
	while ((c = getopt_long(argc, argv, "+:vsw:h", options, &index)) !=
	       -1) {
		if (c == '?' || c == ':') {
			bad_option(out, argv, c);
			return false;
		}
		if (!is_whole(option_word(argv), index)) {
			wrong(out, "unknown option", option_word(argv));
			return false;
		}
		if (!take_option(out, seen, c))
			return false;
		index = -1;
	}
	return true;
}

void mspd_cli_parse(struct mspd_cli *out, int argc, char **argv)
{
	const char *name = argc > 0 ? argv[0] : "mspd";
	const char *slash = strrchr(name, '/');
	unsigned int seen = 0;

	memset(out, 0, sizeof(*out));
	out->name = slash ? slash + 1 : name;
	if (argc < 1)
		return;
	if (!take_options(out, &seen, argc, argv))
		return;
	if (optind < argc)
		take_words(out, argv + optind);
	if (out->command != MSPD_COMMAND_RUN &&
	    out->command != MSPD_COMMAND_CONSOLE)
		return;
	if ((seen & SEEN_WAIT) && !(seen & SEEN_STATUS)) {
		out->command = MSPD_COMMAND_USAGE;
		snprintf(out->error, sizeof(out->error),
			 "--wait is for --status only");
	} else if (seen & SEEN_VERSION) {
		out->command = MSPD_COMMAND_VERSION;
	} else if (seen & SEEN_STATUS) {
		out->command = MSPD_COMMAND_STATUS;
	}
}

int mspd_cli_say(const struct mspd_cli *cli)
{
	if (cli->command == MSPD_COMMAND_VERSION) {
		puts(msp_version());
	} else if (cli->command == MSPD_COMMAND_HELP) {
		printf(usage_text, cli->name, cli->name, cli->name);
	} else if (cli->command == MSPD_COMMAND_HELP_CONSOLE) {
		printf(console_text, cli->name);
	} else {
		fprintf(stderr, "%s: %s\nSee '%s --help'.\n", cli->name,
			cli->error, cli->name);
		return MSPD_EXIT_USAGE;
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
