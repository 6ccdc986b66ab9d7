/* SPDX-License-Identifier: MIT */
/*
 * lint.h - what a valid profile does that its owner may not have meant.
 */
#ifndef MSP_LINT_H
#define MSP_LINT_H

#include <msp/caller.h>
#include <msp/profile.h>

/**
 * struct msp_lint_file - a file on the machine the profile is for
 * @size:     in: sizeof(struct msp_lint_file)
 * @uid:      owner
 * @mode:     st_mode
 * @exists:   else nothing else counts
 * @others_can_write: somebody but root can write, replace or rename it, or a
 *            directory of its path; what @uid and @mode say is seen anyway
 * @reserved: 0
 * @real:     its path without symbolic links, NUL-terminated; "" if unknown
 *            or too long
 *
 * All of it is 0 but the size when the callback is called.
 */
struct msp_lint_file {
	size_t size;
	uint32_t uid;
	uint32_t mode;
	bool exists;
	bool others_can_write;
	uint8_t reserved[6];
	char real[MSP_CALLER_PATH_MAX];
};

/** The field endpoint counts. */
#define MSP_LINT_ENDPOINT 1u

/**
 * struct msp_lint_opts - what is known beside the profile
 * @size:     sizeof(struct msp_lint_opts)
 * @flags:    MSP_LINT_ENDPOINT
 * @endpoint: with MSP_LINT_ENDPOINT: what the profile is used for. Without it
 *            msp_profile_endpoint() tells, else the paths of its privileges,
 *            else it may be any
 * @file:     looks at the file at an exePath, which is absolute; fills in the
 *            last argument and returns 0, or a negative number if it cannot
 *            tell. Called once for each identity with an exePath that a program
 *            can have, in their order. NULL: files are not looked at
 * @arg:      first argument of @file
 */
struct msp_lint_opts {
	size_t size;
	uint32_t flags;
	enum msp_endpoint endpoint;
	int (*file)(void *arg, const char *path, struct msp_lint_file *out);
	void *arg;
};
#define MSP_LINT_OPTS_INIT                                                     \
	{                                                                      \
		sizeof(struct msp_lint_opts), 0, MSP_ENDPOINT_WIRESERVER,      \
			NULL, NULL                                             \
	}

MSP_BEGIN_DECLS

/**
 * msp_profile_lint - all there is to say about a profile that is valid
 * @out:     new list, or NULL on error; free with msp_findings_free()
 * @profile: borrowed for this call
 * @opts:    NULL: nothing is known
 *
 * The warnings of reading it, and those of enum msp_finding_code from 40 on, in
 * the order of their places. None of the latter is an error. Where more
 * deserve one than a list keeps, each code has its share of it.
 *
 * shadowed: a wider privilege (same or shorter path, no other parameters) has
 * all identities of a narrower one, or ones that match whoever those match. A
 * note if it has no others: the narrower one adds nothing. A warning if it has:
 * the narrower one keeps nobody out, because any grant wins. Of very many
 * privileges for the same paths not all pairs are compared; a finding of code
 * limit says so.
 *
 * never: a path with two dots in a row, or longer than any target; parameters
 * with control characters, or with a backslash or %HH, which are refused where
 * they are constrained; an exePath that no program has (not absolute, "..", too
 * long, leads through a symbolic link); a processName that is not the last
 * component of the exePath, or no file name.
 *
 * spelling (note): a path that is not written in its canonical form, and a
 * parameter with a plus sign, which is no blank.
 *
 * secret-open: tokens and attested documents (IMDS), certificates and the
 * settings of extensions (WireServer, HostGAPlugin). With defaultAccess allow:
 * no privilege covers one of them whatever the parameters are, or one does and
 * nobody is assigned. With either: an identity without selectors may have it.
 *
 * interpreter, writable, no-file (note), case: see enum msp_finding_code.
 *
 * process-only: exePath (note) or processName alone (warning: any user can give
 * a program that name). Not where only root gets as far as the rules.
 *
 * Pure but for @file. Takes time in proportion to the profile, times the
 * logarithm of it, and a bounded time for what shadows what.
 * Threads: any. Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_profile_lint(struct msp_findings **out,
					    const struct msp_profile *profile,
					    const struct msp_lint_opts *opts);

MSP_END_DECLS

#endif
