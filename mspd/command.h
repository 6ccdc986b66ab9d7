/* SPDX-License-Identifier: MIT */
/*
 * command.h - a process -> its command line as people may see it.
 *
 * Whoever reads it waits until the memory of the process can be looked at,
 * which the process can keep busy: not for the loop.
 */
#ifndef MSPD_COMMAND_H
#define MSPD_COMMAND_H

#include <msp/msp.h>

/** Arguments that are shown. */
#define MSPD_COMMAND_ARGUMENTS 4
/** Bytes that are read. */
#define MSPD_COMMAND_READ 4096
/** Room for as much of them as is shown, with the NUL. */
#define MSPD_COMMAND_TEXT 1024

/**
 * mspd_command_read - first arguments of a process, without secrets
 * @pid:      as /proc counts
 * @start_ns: its start, CLOCK_BOOTTIME nanoseconds: whoever has its number
 *            since then is another process
 * @out:      set to the first four arguments that are not empty, with a blank
 *            between them, UTF-8; control characters are kept. "" on error
 * @size:     of @out; what does not fit is left out
 *
 * What a process shows as its arguments is its own choice: for people only.
 * Returns 0, -ESRCH if it is gone or has no arguments, or another -errno.
 * Blocks. Threads: any.
 */
int mspd_command_read(uint32_t pid, uint64_t start_ns, char *out, size_t size);

/** Command lines that are kept, and for how long: a process that connects for
 * each request is looked at once. */
#define MSPD_COMMANDS	      256
#define MSPD_COMMANDS_KEPT_MS 10000

struct mspd_commands;

/* 0 or -ENOMEM. The rest belongs to one thread. */
int mspd_commands_new(struct mspd_commands **out);
/* NULL is fine. */
void mspd_commands_free(struct mspd_commands *commands);

/* Of a process that runs the same executable as when it was kept; NULL: not
 * known. Borrowed until the next call. */
const char *mspd_commands_get(const struct mspd_commands *commands,
			      const struct msp_caller *caller, uint64_t now_ms);
/* Keeps a copy, or nothing without memory. */
void mspd_commands_put(struct mspd_commands *commands,
		       const struct msp_caller *caller, const char *text,
		       uint64_t now_ms);

#endif
