/* SPDX-License-Identifier: MIT */
/*
 * In: the command line. Out: the answer of one command, its exit status. Must
 * never exit with 0 or 1 when there was no answer.
 */
#include <string.h>

#include "mspd/ctl/ctl.h"

static const struct ctl_command *const commands[] = {
	&ctl_explain,	     &ctl_lint,
	&ctl_diff,	     &ctl_learn,
	&ctl_convert,	     &ctl_audit_command,
	&ctl_doctor_command, &ctl_collect_command,
	&ctl_status_command,
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
	size_t i;

	fputs("Usage: mspctl COMMAND [OPTION]...\n"
	      "Access control profiles of the Metadata Security Protocol, and "
	      "its agent.\n\n",
	      to);
	for (i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-8s  %s\n", commands[i]->name,
			commands[i]->about);
	fputs("\n  mspctl COMMAND --help   what it takes\n"
	      "  mspctl --version\n"
	      "\n"
	      "A profile is in any of its three forms; '-' is standard input.\n"
	      "Exit status: 0 allowed, clean or the same; 1 denied, findings\n"
	      "or changes; 2 no answer.\n",
	      to);
}

static const struct ctl_command *find(const char *name)
{
	size_t i;

	for (i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

/* Is it among the options? Known before they are understood. */
static bool asks(int argc, char **argv, const char *option)
{
	int i;

	for (i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (!strcmp(argv[i], option))
			return true;
	return false;
}

static int run(int argc, char **argv)
{
	const struct ctl_command *command;

	if (argc < 2) {
		usage(stderr);
		return CTL_ERROR;
	}
	if (!strcmp(argv[1], "--help")) {
		usage(stdout);
		return CTL_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("mspctl %s\n", msp_version());
		return CTL_OK;
	}
	command = find(argv[1]);
	if (!command)
		return ctl_fail("%s: no such command; see mspctl --help",
				argv[1]);
	if (asks(argc - 2, argv + 2, "--help")) {
		fputs(command->help, stdout);
		return CTL_OK;
	}
	return command->run(argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
	int status = run(argc, argv);

	return ctl_say_end(status, asks(argc - 1, argv + 1, "--json"));
}
