/* SPDX-License-Identifier: MIT */
/*
 * cli.h - the command line, that of Azure's agent (spec 1.1) and ours, and
 * what can be answered without becoming the agent.
 *
 * Any name the program was started under does: it only shows in messages.
 */
#ifndef MSPD_CLI_H
#define MSPD_CLI_H

#include <stdbool.h>
#include <stdint.h>

enum mspd_command {
	MSPD_COMMAND_RUN = 0,
	MSPD_COMMAND_CONSOLE, /* until Enter is pressed */
	MSPD_COMMAND_STATUS,
	MSPD_COMMAND_VERSION,
	MSPD_COMMAND_HELP,
	MSPD_COMMAND_HELP_CONSOLE,
	MSPD_COMMAND_USAGE /* nothing that there is, see error */
};

/** Exit status of a usage error; also of --status, see there (Q38). */
#define MSPD_EXIT_USAGE 2

/**
 * struct mspd_cli - a command line; strings are borrowed from it
 * @command:    what is wanted
 * @name:       the program was started under, without folder
 * @config:     configuration file; NULL: look for one
 * @foreground: say more on standard output
 * @wait_s:     patience of --status, seconds
 * @error:      what is wrong with it, one line, if it is
 */
struct mspd_cli {
	enum mspd_command command;
	const char *name;
	const char *config;
	bool foreground;
	uint64_t wait_s;
	char error[160];
};

/**
 * mspd_cli_parse - understand a command line
 *
 * Options are written out, each once, before "console" or "help". --version
 * goes before --status, and that before console; --help is never read past.
 */
void mspd_cli_parse(struct mspd_cli *out, int argc, char **argv);

/* Version, help, or what is wrong. Returns the exit status. */
int mspd_cli_say(const struct mspd_cli *cli);

/**
 * mspd_cli_status - has the machine been provisioned? (spec 1.3)
 *
 * Asks the agent that runs here, every 100 ms for @cli->wait_s, once at least.
 * Each time it is given what is left of that, but two seconds at least and
 * five at most, so a listener that hangs keeps nobody longer.
 * On standard output: what is not ready, if that is how it ended, or what was
 * the last to be heard before it gave up; and why it could not be asked, each
 * time the reason is another one, ten times at most.
 *
 * Where: the address in runFolder/listener, else listenAddress. A configuration
 * that was not named and cannot be read is done without. What listens there and
 * is not root's is not asked, nor is anybody while /proc does not tell.
 *
 * Returns the exit status: 0 it has; 1 not yet; 2 it has failed; EX_CONFIG
 * for a configuration that was named and is no use.
 */
int mspd_cli_status(const struct mspd_cli *cli);

#endif
