/* SPDX-License-Identifier: MIT */
/*
 * ctl.h - what the commands of mspctl share. A program that ends soon: without
 * memory it says so and ends.
 */
#ifndef MSPD_CTL_CTL_H
#define MSPD_CTL_CTL_H

#include <stdio.h>

#include <msp/msp.h>

/** Exit statuses of every command. */
enum ctl_status {
	CTL_OK = 0,    /* allowed, clean, the same */
	CTL_NO = 1,    /* denied, findings, changes */
	CTL_ERROR = 2, /* no answer: usage, unreadable, refused */
	CTL_DOWN = 3,  /* the agent does not answer */
	CTL_USAGE = 64 /* of commands that tell it from the others */
};

/**
 * struct ctl_command - one word after "mspctl"
 * @name:  the word
 * @about: one line for the list of commands
 * @help:  all of --help
 * @run:   gets the arguments behind the word; returns enum ctl_status
 */
struct ctl_command {
	const char *name;
	const char *about;
	const char *help;
	int (*run)(int argc, char **argv);
};

extern const struct ctl_command ctl_explain;
extern const struct ctl_command ctl_lint;
extern const struct ctl_command ctl_diff;
extern const struct ctl_command ctl_learn;
extern const struct ctl_command ctl_convert;
extern const struct ctl_command ctl_audit_command;
extern const struct ctl_command ctl_status_command;
extern const struct ctl_command ctl_doctor_command;
extern const struct ctl_command ctl_collect_command;

/* ---- memory ------------------------------------------------------------ */

/* Zeroed; never NULL. */
void *ctl_alloc(size_t count, size_t size);
/* Room for @need elements, doubling; @room is how many there was room for. */
void *ctl_grow(void *at, size_t *room, size_t need, size_t size);
char *ctl_copy(const char *text, size_t len);

/* ---- texts (text.c) ---------------------------------------------------- */

/**
 * struct ctl_text - a text that grows; all zero is empty
 * @at:  NUL-terminated once something was put; owned
 * @len: bytes
 * @room: bytes allocated
 */
struct ctl_text {
	char *at;
	size_t len;
	size_t room;
};

void ctl_put(struct ctl_text *text, const char *words);
void ctl_put_bytes(struct ctl_text *text, const char *at, size_t len);
void ctl_put_number(struct ctl_text *text, uint64_t number);
/* Fit for a terminal: what is not printable, or not UTF-8, as \xHH. */
void ctl_put_shown(struct ctl_text *text, const char *words);
/* A JSON string in ASCII; what is not UTF-8 as U+FFFD; NULL is null. */
void ctl_put_json(struct ctl_text *text, const char *words);
/* JSON that says the same, fit for a terminal; not as ASCII, for people read
 * profiles. */
void ctl_put_json_text(struct ctl_text *text, const char *json);
/* ,"name": or, right behind '{', "name": */
void ctl_put_member(struct ctl_text *text, const char *name);
void ctl_text_free(struct ctl_text *text);

/* ---- what is said (say.c) ---------------------------------------------- */

/* mspctl: ... on standard error. */
void ctl_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Likewise; returns CTL_ERROR, and --json tells the first of them. */
int ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the program. */
void ctl_no_memory(void) __attribute__((noreturn));
/* The command's answer on standard output, and @status; CTL_ERROR if it cannot
 * be written. Called once at most. */
int ctl_answer(const struct ctl_text *text, int status);
/* Standard output has exactly one JSON text, whatever happened. */
int ctl_say_end(int status, bool json);

/* ---- options (options.c) ----------------------------------------------- */

enum ctl_kind {
	CTL_FLAG,     /* bool */
	CTL_TEXT,     /* const char * */
	CTL_LIST,     /* struct ctl_list: may be given again */
	CTL_NUMBER,   /* struct ctl_number */
	CTL_MAYBE,    /* likewise; without a value it keeps the one it has */
	CTL_ENDPOINT, /* struct ctl_number: enum msp_endpoint */
	CTL_MODE,     /* struct ctl_number: enum msp_mode */
	CTL_FORM      /* struct ctl_number: enum msp_profile_form */
};

struct ctl_list {
	const char **at; /* owned; what it points to is not */
	size_t n;
	size_t room;
};

struct ctl_number {
	bool given;
	uint32_t value;
};

/**
 * struct ctl_option - "--name VALUE"; a list ends with a name of NULL
 * @name: without dashes
 * @kind: what its value is
 * @to:   where that goes
 */
struct ctl_option {
	const char *name;
	enum ctl_kind kind;
	void *to;
};

/**
 * ctl_parse - options and operands of one command
 * @options:  what it takes
 * @operands: what is no option, in order; free its at
 * Returns false, and has said why.
 */
bool ctl_parse(const struct ctl_option *options, int argc, char **argv,
	       struct ctl_list *operands);
bool ctl_endpoint_named(const char *word, enum msp_endpoint *out);
bool ctl_mode_named(const char *word, enum msp_mode *out);
/* "imds", "enforce": as they are written on the command line */
const char *ctl_endpoint_word(enum msp_endpoint endpoint);
const char *ctl_form_word(enum msp_profile_form form);

/* ---- files (file.c) ---------------------------------------------------- */

/**
 * ctl_read_file - a whole file; "-" is standard input
 * @limit: most bytes
 * Returns false, and has said why. Free the text in either case.
 */
bool ctl_read_file(struct ctl_text *out, const char *path, size_t limit);
/* As messages call it. */
const char *ctl_file_name(const char *path);

struct ctl_lines;

/** Longest line, without its LF; twice what the agent writes. */
#define CTL_LINE_MAX 65536

/* NULL, and has said why. */
struct ctl_lines *ctl_lines_open(const char *path);
/**
 * ctl_lines_next - one line
 * @at:  NUL-terminated, without its LF; NULL: it is too long
 * @len: its length
 * Returns false at the end.
 */
bool ctl_lines_next(struct ctl_lines *lines, const char **at, size_t *len);
/* false: reading failed before the end; has said so */
bool ctl_lines_close(struct ctl_lines *lines);

/* ---- profiles (profile.c) ---------------------------------------------- */

/**
 * ctl_read_profile - a profile of any form
 * @select: of a template, or NULL
 * Returns NULL, and has said all that is wrong with it.
 */
struct msp_profile *ctl_read_profile(const char *path, const char *select);
struct msp_rules *ctl_compile(const struct msp_profile *profile,
			      const char *path);
/* The same profile in another mode; NULL, and has said why. */
struct msp_profile *ctl_with_mode(const struct msp_profile *profile,
				  enum msp_mode mode, const char *path);
/* Put in one of its forms, with a newline; on one line if only that is small
 * enough to be read back. False, and has said why. */
bool ctl_put_profile(struct ctl_text *out, const struct msp_profile *profile,
		     const struct msp_profile_write_opts *opts,
		     const char *path);
/* file:line:column: severity: pointer: text [code], without a newline */
void ctl_put_finding(struct ctl_text *text, const char *path,
		     const struct msp_finding *finding);
void ctl_put_finding_json(struct ctl_text *text,
			  const struct msp_finding *finding);

#endif
