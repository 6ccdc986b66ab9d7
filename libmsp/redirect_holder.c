/* SPDX-License-Identifier: MIT */
/*
 * In: an address that could not be bound. Out: who has it. Must never be
 * taken for more than a hint: the process may end while it is looked for.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <msp/redirect.h>

#include "libmsp/diag.h"
#include "libmsp/info.h"
#include "libmsp/opts.h"

struct search {
	struct msp_address address;
	struct msp_port_holder *out;
	bool found;
	bool listens; /* what was found does */
};

/* ---- the socket -------------------------------------------------------- */

static bool in_the_way(const struct search *s,
		       const struct msp_diag_socket *socket)
{
	uint32_t ip;

	return msp_diag_ipv4(socket, socket->id.idiag_src, &ip) &&
	       (ip == s->address.ip || !ip || !s->address.ip) &&
	       !(socket->v6only && !ip);
}

/* One that listens first: others seldom keep anybody from binding. */
static int look_at(void *arg, const struct msp_diag_socket *socket)
{
	struct search *s = arg;
	bool listens = socket->state == MSP_DIAG_LISTEN;

	if (!socket->inode || !in_the_way(s, socket) ||
	    (s->found && (s->listens || !listens)))
		return 0;
	s->found = true;
	s->listens = listens;
	s->out->inode = socket->inode;
	s->out->uid = socket->uid;
	return 0;
}

static int find_socket(struct search *s, struct msp_error_info *info)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct msp_diag_query query = { .states = MSP_DIAG_ALL_STATES,
					.local_port = s->address.port,
					.mark_fd = -1 };
	bool partial = false;
	size_t i;
	int rc = 0;
	int fd;

	fd = msp_diag_open(info);
	if (fd < 0)
		return fd;
	for (i = 0; rc == 0 && i < sizeof(families) / sizeof(*families); i++) {
		query.family = families[i];
		rc = msp_diag_dump(fd, &query, look_at, s, &partial, info);
	}
	close(fd);
	return rc;
}

/* ---- the process ------------------------------------------------------- */

static bool is_number(const char *name)
{
	return name[0] && strspn(name, "0123456789") == strlen(name);
}

/* Does this directory of descriptors have a link with that text? */
static bool has_link(int fd_dir, const char *text)
{
	struct dirent *entry;
	char link[64];
	bool found = false;
	ssize_t n;
	DIR *dir;

	dir = fdopendir(fd_dir);
	if (!dir) {
		close(fd_dir);
		return false;
	}
	while (!found && (entry = readdir(dir)) != NULL) {
		n = readlinkat(dirfd(dir), entry->d_name, link,
			       sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		found = strcmp(link, text) == 0;
	}
	closedir(dir);
	return found;
}

static void read_comm(int proc, const char *pid, char *out, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%.20s/comm", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, out, size - 1);
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

static bool has_socket(int proc, const char *pid, const char *text)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%.20s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && has_link(fd, text);
}

static void find_process(struct msp_port_holder *out)
{
	struct dirent *entry;
	char text[48];
	DIR *proc;

	snprintf(text, sizeof(text), "socket:[%llu]",
		 (unsigned long long)out->inode);
	proc = opendir("/proc");
	if (!proc)
		return;
	while (!out->pid && (entry = readdir(proc)) != NULL) {
		if (!is_number(entry->d_name) ||
		    !has_socket(dirfd(proc), entry->d_name, text))
			continue;
		out->pid = (uint32_t)strtoul(entry->d_name, NULL, 10);
		read_comm(dirfd(proc), entry->d_name, out->comm,
			  sizeof(out->comm));
	}
	closedir(proc);
}

int msp_redirect_holder(const struct msp_address *address,
			struct msp_port_holder *out,
			struct msp_error_info *info)
{
	struct search s = { .out = out };
	int rc;

	if (!out || !msp_out_ok(out->size, sizeof(*out)))
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	msp_out_clear(out, sizeof(*out));
	if (!address || !address->port)
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	s.address = *address;
	rc = find_socket(&s, info);
	if (rc == 0 && !s.found)
		rc = msp_fail(info, MSP_ERR_NOENT,
			      "no socket has port %u at that address",
			      address->port);
	if (rc < 0) {
		msp_out_clear(out, sizeof(*out));
		return rc;
	}
	find_process(out);
	return 0;
}
