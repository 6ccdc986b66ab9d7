/* SPDX-License-Identifier: MIT */
/*
 * options.h - the command line.
 */
#ifndef HOST_OPTIONS_H
#define HOST_OPTIONS_H

#include "emulator.h"
#include "net/call.h"

#include <netinet/in.h>

/**
 * struct options
 * @address:  where each port listens; control's port is 0 unless @control
 * @control:  the control port was asked for
 * @log:      file for request lines, NULL: stdout; borrowed from argv
 * @record:   file for raw bytes, or NULL; borrowed from argv
 * @journal:  file for a JSON object per request, or NULL; borrowed from argv
 * @state:    file for what must survive, or NULL; borrowed from argv
 * @ready_fd: gets "ready" and is closed once listening; -1: none
 */
struct options {
	struct sockaddr_in address[PORTS];
	bool control;
	const char *log;
	const char *record;
	const char *journal;
	const char *state;
	int ready_fd;
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE, /* help or version was printed */
	OPTIONS_BAD   /* said on stderr */
};

/* What concerns VMs goes straight into emu, in the order given. */
enum options_result options_parse(struct options *options, struct emulator *emu,
				  int argc, char **argv);

/* "IP:PORT" of an option; false, and said on stderr, if it is none. */
bool options_address(struct sockaddr_in *out, const char *option,
		     const char *text);
/* Where Azure has that endpoint. */
bool options_endpoint(struct sockaddr_in *out, enum msp_endpoint endpoint);

#endif
