/* SPDX-License-Identifier: MIT */
/*
 * In: the number of a process. Out: its user, groups and program as /proc has
 * them now. Must never call a program verified that was not compared.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mspd/ctl/caller.h"

#define STATUS_MAX (1024 * 1024)
#define PROC_NAME  64

static void file_of(char out[PROC_NAME], pid_t pid, const char *name)
{
	snprintf(out, PROC_NAME, "/proc/%ld/%s", (long)pid, name);
}

/* ---- numbers ----------------------------------------------------------- */

/* What follows "Uid:" on its line; NULL if there is none. */
static const char *field(const char *status, const char *name)
{
	size_t len = strlen(name);
	const char *line = status;

	while (line && strncmp(line, name, len) != 0) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return line ? line + len : NULL;
}

/* The next number of the line, and what is behind it; NULL: no more. */
static const char *number(const char *at, uint32_t *out)
{
	char *end;

	while (*at == ' ' || *at == '\t')
		at++;
	if (*at < '0' || *at > '9')
		return NULL;
	*out = (uint32_t)strtoul(at, &end, 10);
	return end;
}

static bool take_ids(struct ctl_caller *caller, const char *status)
{
	struct msp_caller *c = &caller->facts;
	const char *uids = field(status, "Uid:");
	const char *gids = field(status, "Gid:");
	uint32_t uid = 0, euid = 0, gid = 0, egid = 0;

	uids = uids ? number(uids, &uid) : NULL;
	uids = uids ? number(uids, &euid) : NULL;
	gids = gids ? number(gids, &gid) : NULL;
	gids = gids ? number(gids, &egid) : NULL;
	if (!uids || !gids)
		return false;
	ctl_nss_uid(caller, uid);
	/* its own, whatever the user database has */
	c->euid = euid;
	c->gid = gid;
	c->egid = egid;
	return true;
}

static bool take_groups(struct ctl_caller *caller, const char *status)
{
	struct msp_caller *c = &caller->facts;
	const char *at = field(status, "Groups:");
	uint32_t gid;

	if (!at)
		return false;
	ctl_nss_process_group(caller, c->gid);
	while ((at = number(at, &gid))) {
		if (c->n_gids == MSP_CALLER_GROUPS_MAX) {
			c->flags |= MSP_CALLER_GROUPS_CUT;
			break;
		}
		c->gids[c->n_gids++] = gid;
		if (gid != c->gid)
			ctl_nss_process_group(caller, gid);
	}
	return true;
}

/* ---- program ----------------------------------------------------------- */

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static void take_exe(struct ctl_caller *caller, pid_t pid)
{
	static const char gone[] = " (deleted)";
	char link[PROC_NAME], path[MSP_CALLER_PATH_MAX + sizeof(gone)];
	const size_t tail = sizeof(gone) - 1;
	ssize_t n;

	file_of(link, pid, "exe");
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0) {
		ctl_note("process %ld: its program: %s", (long)pid,
			 strerror(errno));
		return;
	}
	path[n] = '\0';
	if (!ctl_caller_set_exe(caller, path)) {
		if ((size_t)n >= tail && !strcmp(path + n - tail, gone))
			ctl_note("process %ld: its program is deleted",
				 (long)pid);
		return;
	}
	if (same_file(link, path))
		return;
	caller->facts.flags &= ~(uint32_t)MSP_CALLER_EXE_VERIFIED;
	ctl_note("process %ld: the file at %s is not the one it runs: not "
		 "verified",
		 (long)pid, path);
}

/* ---- public ------------------------------------------------------------ */

bool ctl_process_caller(struct ctl_caller *caller, pid_t pid)
{
	struct ctl_text status = { 0 };
	char name[PROC_NAME];
	bool fine;

	file_of(name, pid, "status");
	fine = ctl_read_file(&status, name, STATUS_MAX);
	if (fine && !(status.at && take_ids(caller, status.at) &&
		      take_groups(caller, status.at))) {
		ctl_fail("%s: is not understood", name);
		fine = false;
	}
	ctl_text_free(&status);
	if (!fine)
		return false;
	caller->facts.pid = (uint32_t)pid;
	take_exe(caller, pid);
	return true;
}
