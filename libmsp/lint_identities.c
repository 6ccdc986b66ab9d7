/* SPDX-License-Identifier: MIT */
/*
 * In: the identities of a profile, and what the caller's callback says of the
 * files they name. Out: identities that are nobody, and those that are more
 * than they seem. Must never open a file itself.
 */
#include <string.h>
#include <sys/stat.h>

#include "libmsp/ascii.h"
#include "libmsp/info.h"
#include "libmsp/lint_priv.h"

/* longest file name */
#define FILE_NAME_MAX 255

/* ---- paths of programs ------------------------------------------------- */

/* A path by its components, as it is compared (spec 8.2). */
struct program {
	const char *name; /* last component */
	size_t name_len;
	size_t len; /* of the path without what does not count */
	bool up;    /* has a ".." */
};

/* Next component that counts; false at the end. */
static bool next_part(const char **path, const char **part, size_t *len)
{
	const char *p = *path;

	do {
		p += strspn(p, "/");
		*part = p;
		*len = strcspn(p, "/");
		p += *len;
	} while (*len == 1 && **part == '.');
	*path = p;
	return *len;
}

static void take_apart(struct program *out, const char *path)
{
	const char *part;
	size_t len;

	memset(out, 0, sizeof(*out));
	out->name = "";
	while (next_part(&path, &part, &len)) {
		out->len += 1 + len;
		out->name = part;
		out->name_len = len;
		out->up = out->up || (len == 2 && !memcmp(part, "..", 2));
	}
}

static bool same_path(const char *a, const char *b)
{
	const char *a_part, *b_part;
	size_t a_len, b_len;
	bool more;

	do {
		more = next_part(&a, &a_part, &a_len);
		if (next_part(&b, &b_part, &b_len) != more || a_len != b_len ||
		    memcmp(a_part, b_part, a_len) != 0)
			return false;
	} while (more);
	return true;
}

/* ---- programs that are whatever they run ------------------------------- */

static const char *const interpreters[] = {
	"R",	  "Rscript", "ash",    "awk",	 "bash",   "busybox", "csh",
	"dash",	  "dotnet",  "expect", "fish",	 "gawk",   "gdb",     "guile",
	"java",	  "jshell",  "ksh",    "lua",	 "luajit", "mawk",    "mksh",
	"mono",	  "node",    "nodejs", "octave", "perl",   "php",     "pwsh",
	"pypy",	  "python",  "rbash",  "ruby",	 "sh",	   "tclsh",   "tcsh",
	"toybox", "wish",    "yash",   "zsh",
};

/* They start another program, which has an exePath of its own. */
static const char *const launchers[] = {
	"chroot",  "doas",   "env", "nice", "nohup",   "nsenter", "runuser",
	"setpriv", "setsid", "su",  "sudo", "timeout", "unshare", "xargs",
};

/* "python" and "python3.11", but not "pythonista" */
static bool is_version_of(const char *name, size_t len, const char *word)
{
	size_t n = strlen(word), i;

	if (len < n || memcmp(name, word, n) != 0)
		return false;
	for (i = n; i < len; i++)
		if (!msp_ascii_digit((unsigned char)name[i]) &&
		    !strchr("._-", name[i]))
			return false;
	return true;
}

static bool is_listed(const char *name, size_t len, const char *const *words,
		      size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (is_version_of(name, len, words[i]))
			return true;
	return false;
}

/* The dynamic loader runs any program that it is given, and is its own exe. */
static bool is_loader(const char *name, size_t len)
{
	return len >= 5 && memcmp(name, "ld", 2) == 0 &&
	       (name[2] == '-' || name[2] == '.') &&
	       memmem(name, len, ".so", 3);
}

static bool is_interpreter(const char *name, size_t len)
{
	return is_loader(name, len) ||
	       is_listed(name, len, interpreters,
			 sizeof(interpreters) / sizeof(interpreters[0]));
}

static void check_program(struct msp_lint *l,
			  const struct msp_identity *identity,
			  const struct msp_lint_about *about, const char *name,
			  size_t len)
{
	char shown[MSP_LINT_NAME];

	msp_info_copy(shown, sizeof(shown), name, len);
	if (is_listed(name, len, launchers,
		      sizeof(launchers) / sizeof(launchers[0])))
		msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_INTERPRETER,
			     about,
			     "'%s' starts another program, and that is the one "
			     "which connects: name that",
			     shown);
	else if (!is_interpreter(name, len))
		return;
	else if (identity->user_name.text || identity->group_name.text)
		msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_INTERPRETER,
			     about,
			     "'%s' is whatever it is told to run: all that "
			     "these users run with it is this identity, name "
			     "a program of its own",
			     shown);
	else
		msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_INTERPRETER,
			     about,
			     "'%s' is whatever it is told to run, by any user: "
			     "name a program of its own, or add a userName",
			     shown);
}

/* ---- the file ---------------------------------------------------------- */

static void check_link(struct msp_lint *l, const struct msp_lint_about *about,
		       const struct msp_lint_file *file)
{
	char shown[MSP_LINT_PATH];

	msp_info_copy(shown, sizeof(shown), file->real, strlen(file->real));
	msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_NEVER, about,
		     "leads through a symbolic link, and no program is known "
		     "by such a path: write '%s'",
		     shown);
}

static void check_file(struct msp_lint *l, const struct msp_lint_about *about,
		       const struct msp_lint_file *file)
{
	if (!file->exists) {
		msp_lint_say(l, MSP_SEVERITY_NOTE, MSP_FINDING_NO_FILE, about,
			     "is not on this machine: check the path");
		return;
	}
	if (!S_ISREG(file->mode) || !(file->mode & 0111))
		msp_lint_say(l, MSP_SEVERITY_NOTE, MSP_FINDING_NO_FILE, about,
			     "is not a program on this machine: check the "
			     "path");
	if (file->uid != 0 || file->mode & 022 || file->others_can_write)
		msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_WRITABLE,
			     about,
			     "can be written or replaced by others than root, "
			     "who then are this identity: give it and its "
			     "directories to root alone");
}

/* What is at the end of a link is what runs: *path is set to it. */
static void look_at_file(struct msp_lint *l, const struct msp_lint_about *about,
			 struct msp_lint_file *file, const char **path)
{
	int rc;

	memset(file, 0, sizeof(*file));
	file->size = sizeof(*file);
	rc = l->opts->file(l->opts->arg, *path, file);
	file->real[sizeof(file->real) - 1] = '\0';
	if (rc < 0) {
		msp_lint_say(l, MSP_SEVERITY_NOTE, MSP_FINDING_NO_FILE, about,
			     "could not be looked at: check it as root");
		return;
	}
	check_file(l, about, file);
	if (!file->exists || !file->real[0] || same_path(file->real, *path))
		return;
	check_link(l, about, file);
	*path = file->real;
}

/* ---- one identity ------------------------------------------------------ */

/* Why no program has this path, or NULL. */
static const char *impossible(const char *path, const struct program *program)
{
	if (path[0] != '/')
		return "is not absolute, as the path of every program is: "
		       "write it from the root on";
	if (program->up)
		return "has '..', which the path of no program has: write it "
		       "without";
	if (!program->name_len)
		return "is a directory: name a program";
	if (program->len >= MSP_CALLER_PATH_MAX)
		return "is longer than what can be compared: move the program "
		       "to a shorter path";
	return NULL;
}

static void check_exe(struct msp_lint *l, const struct msp_identity *identity)
{
	struct msp_lint_about about = { "identities", &identity->place,
					"exePath" };
	const char *path = identity->exe_path.text, *why;
	struct msp_lint_file file;
	struct program program;

	take_apart(&program, path);
	why = impossible(path, &program);
	if (why) {
		msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_NEVER, &about,
			     "%s", why);
		return;
	}
	if (l->opts->file)
		look_at_file(l, &about, &file, &path);
	take_apart(&program, path);
	check_program(l, identity, &about, program.name, program.name_len);
}

static void check_process(struct msp_lint *l,
			  const struct msp_identity *identity)
{
	struct msp_lint_about about = { "identities", &identity->place,
					"processName" };
	const struct msp_text *name = &identity->process_name;
	struct program program;
	char shown[MSP_LINT_NAME];

	if (memchr(name->text, '/', name->len) || name->len > FILE_NAME_MAX) {
		msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_NEVER, &about,
			     "is no file name, as the name of every program "
			     "is: write the last component of its path");
		return;
	}
	if (!identity->exe_path.text) {
		check_program(l, identity, &about, name->text, name->len);
		return;
	}
	take_apart(&program, identity->exe_path.text);
	if (program.name_len == name->len &&
	    memcmp(program.name, name->text, name->len) == 0)
		return;
	msp_info_copy(shown, sizeof(shown), program.name, program.name_len);
	msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_NEVER, &about,
		     "is not the last component of exePath, '%s': no program "
		     "matches, leave it out",
		     shown);
}

/* WireServer and HostGAPlugin are root's before any rule is looked at. */
static void check_alone(struct msp_lint *l, const struct msp_identity *identity)
{
	struct msp_lint_about about = { "identities", &identity->place, NULL };

	if (identity->user_name.text || identity->group_name.text ||
	    !(l->endpoints & 1U << MSP_ENDPOINT_IMDS))
		return;
	if (identity->exe_path.text)
		msp_lint_say(l, MSP_SEVERITY_NOTE, MSP_FINDING_PROCESS_ONLY,
			     &about,
			     "has an exePath and no user: anybody who may run "
			     "the program is this identity, add a userName");
	else if (identity->process_name.text)
		msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_PROCESS_ONLY,
			     &about,
			     "has a processName alone, and any user can give a "
			     "program that name: add a userName and an "
			     "exePath");
}

/* What is empty matches nobody, and reading says so. */
static bool is_nobody(const struct msp_identity *identity)
{
	const struct msp_text *selectors[] = { &identity->user_name,
					       &identity->group_name,
					       &identity->exe_path,
					       &identity->process_name };
	size_t i;

	for (i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++)
		if (selectors[i]->text && !selectors[i]->len)
			return true;
	return false;
}

void msp_lint_identities(struct msp_lint *l)
{
	const struct msp_identity *identity;
	size_t i;

	for (i = 0; i < l->profile->n_identities; i++) {
		identity = &l->profile->identities[i];
		if (is_nobody(identity))
			continue;
		check_alone(l, identity);
		if (identity->exe_path.text)
			check_exe(l, identity);
		if (identity->process_name.text)
			check_process(l, identity);
	}
}
