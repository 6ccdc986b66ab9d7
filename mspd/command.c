/* SPDX-License-Identifier: MIT */
/*
 * In: a process, by number and start. Out: its first arguments (spec 6.2).
 * Must never show those of another process, nor half a secret at the end of
 * what was read.
 */
#include "mspd/command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mspd/redact.h"

#define STAT_BYTES 1024
/* Field 22 of proc(5)'s stat; the name before field 3 may hold anything. */
#define FIELDS_BEFORE_START 19
/* Where the text was cut: no secret that is shown may begin here. */
#define TAIL 1024
_Static_assert(MSPD_COMMAND_ARGUMENTS <= MSPD_REDACT_ARGUMENTS, "borders");

/* ---- of a process ------------------------------------------------------ */

/* Number of bytes, at most @size, or -errno. */
static ssize_t read_file(int dir, const char *name, char *out, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (len < size && n != 0) {
		n = read(fd, out + len, size - len);
		if (n < 0 && errno != EINTR)
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	n = n < 0 ? -errno : (ssize_t)len;
	close(fd);
	return n;
}

/* Start of the process in clock ticks since boot. */
static int start_ticks(int dir, uint64_t *out)
{
	char text[STAT_BYTES + 1];
	ssize_t n = read_file(dir, "stat", text, STAT_BYTES);
	const char *at;
	int i;

	if (n < 0)
		return (int)n;
	text[n] = '\0';
	at = strrchr(text, ')');
	for (i = 0; at && i <= FIELDS_BEFORE_START; i++)
		at = strchr(at + 1, ' ');
	if (!at)
		return -EPROTO;
	*out = strtoull(at + 1, NULL, 10);
	return 0;
}

static int check_start(int dir, uint64_t start_ns)
{
	uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t ticks;
	int rc = start_ticks(dir, &ticks);

	if (rc < 0)
		return rc;
	return ticks == start_ns / tick_ns ? 0 : -ESRCH;
}

/* Joins in place; the new length. Whether there was more after these. */
static size_t join(char *text, size_t len, struct mspd_arguments *arguments,
		   bool *more)
{
	size_t used = 0;
	size_t at = 0;

	arguments->n = 0;
	while (at < len && arguments->n < MSPD_COMMAND_ARGUMENTS) {
		size_t n = strnlen(text + at, len - at);

		if (n) {
			if (arguments->n)
				text[used++] = ' ';
			memmove(text + used, text + at, n);
			used += n;
			arguments->end[arguments->n++] = used;
		}
		at += n + 1;
	}
	*more = at < len;
	return used;
}

static int read_arguments(int dir, char *out, size_t size)
{
	struct mspd_arguments arguments;
	char text[MSPD_COMMAND_READ];
	struct mspd_text shown;
	size_t len, wanted;
	bool more;
	ssize_t n = read_file(dir, "cmdline", text, sizeof(text));

	if (n < 0)
		return (int)n;
	len = join(text, (size_t)n, &arguments, &more);
	if (!len)
		return -ESRCH;
	wanted = len;
	if (n == MSPD_COMMAND_READ && !more)
		wanted = len > TAIL ? len - TAIL : 0;
	mspd_text_init(&shown, out, size);
	mspd_redact_arguments(&shown, text, len, wanted, &arguments);
	return 0;
}

int mspd_command_read(uint32_t pid, uint64_t start_ns, char *out, size_t size)
{
	char path[32];
	int dir;
	int rc;

	out[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%" PRIu32, pid);
	/* everything below stays that process, whoever gets its number */
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	rc = check_start(dir, start_ns);
	if (rc == 0)
		rc = read_arguments(dir, out, size);
	close(dir);
	return rc;
}

/* ---- what is kept ------------------------------------------------------ */

struct kept {
	char *text; /* NULL: free */
	uint64_t since_ms;
	uint64_t start_ns;
	struct msp_file_id exe;
	uint32_t pid;
};

struct mspd_commands {
	struct kept kept[MSPD_COMMANDS];
};

int mspd_commands_new(struct mspd_commands **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void mspd_commands_free(struct mspd_commands *commands)
{
	size_t i;

	if (!commands)
		return;
	for (i = 0; i < MSPD_COMMANDS; i++)
		free(commands->kept[i].text);
	free(commands);
}

static bool same_file(const struct msp_file_id *a, const struct msp_file_id *b)
{
	return a->inode == b->inode && a->device == b->device &&
	       a->generation == b->generation && a->ctime_s == b->ctime_s &&
	       a->ctime_ns == b->ctime_ns;
}

const char *mspd_commands_get(const struct mspd_commands *commands,
			      const struct msp_caller *caller, uint64_t now_ms)
{
	const struct kept *k = &commands->kept[caller->pid % MSPD_COMMANDS];

	if (!k->text || k->pid != caller->pid ||
	    k->start_ns != caller->start_ns ||
	    !same_file(&k->exe, &caller->exe) ||
	    now_ms - k->since_ms >= MSPD_COMMANDS_KEPT_MS)
		return NULL;
	return k->text;
}

void mspd_commands_put(struct mspd_commands *commands,
		       const struct msp_caller *caller, const char *text,
		       uint64_t now_ms)
{
	struct kept *k = &commands->kept[caller->pid % MSPD_COMMANDS];

	free(k->text);
	k->text = strdup(text);
	k->since_ms = now_ms;
	k->start_ns = caller->start_ns;
	k->exe = caller->exe;
	k->pid = caller->pid;
}
