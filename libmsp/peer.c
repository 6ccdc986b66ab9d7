/* SPDX-License-Identifier: MIT */
/*
 * In: an accepted socket. Out: the facts the kernel kept about the process
 * at the other end. Must never guess: what cannot be verified is unknown.
 */
#include <msp/peer.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "libmsp/cgroup.h"
#include "libmsp/info.h"
#include "libmsp/opts.h"
#include "libmsp/redirect_priv.h"

_Static_assert((int)MSP_CALLER_DIRECT == MSP_BPF_F_DIRECT, "flags");
_Static_assert((int)MSP_CALLER_V6_MAPPED == MSP_BPF_F_V6_MAPPED, "flags");
_Static_assert((int)MSP_CALLER_KERNEL == MSP_BPF_F_KERNEL, "flags");
_Static_assert((int)MSP_CALLER_PATH_CUT == MSP_BPF_F_PATH_CUT, "flags");
_Static_assert((int)MSP_CALLER_DEVICE == MSP_BPF_F_DEVICE, "flags");
_Static_assert((int)MSP_CALLER_PROBE == MSP_BPF_F_PROBE, "flags");
_Static_assert((int)MSP_CALLER_NO_PATH == MSP_BPF_F_NO_PATH, "flags");
_Static_assert((int)MSP_CALLER_GROUPS_CUT == MSP_BPF_F_GROUPS_CUT, "flags");
_Static_assert((int)MSP_CALLER_EXE_ELSEWHERE == MSP_BPF_F_EXE_ELSEWHERE,
	       "flags");
_Static_assert(MSP_CALLER_GROUPS_MAX == MSP_BPF_GROUPS, "room for groups");
_Static_assert(MSP_CALLER_PARENTS == MSP_BPF_PARENTS, "room for parents");
_Static_assert(MSP_CALLER_PATH_MAX >= MSP_BPF_PATH, "room for the path");

/* None of enum msp_bpf_answer. */
#define NO_ANSWER (MSP_BPF_NO_FACTS + 1)

static const char *answer_text(uint32_t answer)
{
	switch ((enum msp_bpf_answer)answer) {
	case MSP_BPF_KNOWN:
		return "known";
	case MSP_BPF_BAD_ASK:
		return "the question was not understood";
	case MSP_BPF_NO_SERVER:
		return "the accepted connection is gone";
	case MSP_BPF_NO_CLIENT:
		return "the client has closed";
	case MSP_BPF_NOT_CONNECTED:
		return "the client's address belongs to no connection";
	case MSP_BPF_NOT_OURS:
		return "the addresses belong to a later connection";
	case MSP_BPF_NOT_PEERS:
		return "the sockets are not two ends of one connection";
	case MSP_BPF_NO_FACTS:
		return "the client was not seen when it connected";
	}
	return "the kernel gave no usable answer";
}

static enum msp_redirect_counter counter_of(uint32_t answer)
{
	switch ((enum msp_bpf_answer)answer) {
	case MSP_BPF_NO_SERVER:
	case MSP_BPF_NO_CLIENT:
		return MSP_COUNT_CLOSED;
	case MSP_BPF_NOT_CONNECTED:
		return MSP_COUNT_NOT_CONNECTED;
	case MSP_BPF_NOT_OURS:
		return MSP_COUNT_NOT_OURS;
	case MSP_BPF_NOT_PEERS:
		return MSP_COUNT_NOT_PEERS;
	case MSP_BPF_NO_FACTS:
		return MSP_COUNT_NO_FACTS;
	case MSP_BPF_KNOWN:
	case MSP_BPF_BAD_ASK:
		break;
	}
	return MSP_COUNT_FAILED;
}

static void count_up(struct msp_redirect *r, enum msp_redirect_counter which)
{
	atomic_fetch_add_explicit(&r->counts[which], 1, memory_order_relaxed);
}

static int count_call(struct msp_redirect *r, int rc)
{
	count_up(r, rc == MSP_ERR_UNKNOWN_PEER ? MSP_COUNT_CLOSED
					       : MSP_COUNT_FAILED);
	return rc;
}

static int ask_for(int fd, struct msp_bpf_ask *ask, struct msp_error_info *info)
{
	struct sockaddr_in remote = { 0 };
	socklen_t remote_len = sizeof(remote);
	socklen_t cookie_len = sizeof(ask->cookie);

	if (getpeername(fd, (struct sockaddr *)&remote, &remote_len) < 0)
		return errno == ENOTCONN /* reset before it was accepted */
			       ? msp_fail(info, MSP_ERR_UNKNOWN_PEER, "%s",
					  answer_text(MSP_BPF_NO_CLIENT))
			       : msp_fail_sys(info, errno, "no peer");
	if (remote.sin_family != AF_INET)
		return msp_fail(info, MSP_ERR_INVAL, "not an IPv4 connection");
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &ask->cookie, &cookie_len) <
	    0)
		return msp_fail_sys(info, errno, "no socket cookie");
	ask->remote_ip = remote.sin_addr.s_addr;
	ask->remote_port = remote.sin_port;
	return 0;
}

/* Is our end another than the one that is set? Then it is set now. */
static int ask_local(int fd, struct msp_bpf_ask *ask, bool *other,
		     struct msp_error_info *info)
{
	struct sockaddr_in local = { 0 };
	socklen_t local_len = sizeof(local);

	if (getsockname(fd, (struct sockaddr *)&local, &local_len) < 0)
		return msp_fail_sys(info, errno, "no local address");
	*other = ask->local_ip != local.sin_addr.s_addr ||
		 ask->local_port != local.sin_port;
	ask->local_ip = local.sin_addr.s_addr;
	ask->local_port = local.sin_port;
	return 0;
}

/* The kernel wrote the components from the last to the first. */
static bool build_path(char *out, size_t size, const char *parts, uint32_t len)
{
	size_t at = 0;

	if (len == 0 || len > MSP_BPF_PATH || parts[len - 1] != '\0')
		return false;
	while (len > 0) {
		uint32_t end = len - 1; /* index of this component's NUL */
		uint32_t start = end;

		while (start > 0 && parts[start - 1] != '\0')
			start--;
		if (at + 1 + (end - start) >= size)
			return false;
		out[at++] = '/';
		memcpy(out + at, parts + start, end - start);
		at += end - start;
		len = start;
	}
	out[at] = '\0';
	return true;
}

static void set_groups(struct msp_caller *c, const struct msp_bpf_facts *facts)
{
	c->n_gids = facts->n_gids;
	if (c->n_gids > MSP_CALLER_GROUPS_MAX)
		c->n_gids = 0;
	memcpy(c->gids, facts->gids, c->n_gids * sizeof(c->gids[0]));
}

static void set_parents(struct msp_caller *c, const struct msp_bpf_facts *facts)
{
	size_t i;

	for (i = 0; i < MSP_CALLER_PARENTS && facts->parents[i].pid; i++) {
		c->parents[i].pid = facts->parents[i].pid;
		c->parents[i].start_ns = facts->parents[i].start_ns;
		memcpy(c->parents[i].comm, facts->parents[i].comm,
		       sizeof(c->parents[i].comm));
		c->parents[i].comm[sizeof(c->parents[i].comm) - 1] = '\0';
	}
}

static void set_caller(struct msp_caller *c, const struct msp_bpf_facts *facts)
{
	c->flags = facts->flags;
	c->uid = facts->uid;
	c->gid = facts->gid;
	c->euid = facts->euid;
	c->egid = facts->egid;
	c->pid = facts->pid;
	c->tid = facts->tid;
	c->net_ns = facts->net_ns;
	c->loginuid = facts->loginuid;
	c->mnt_ns = facts->mnt_ns;
	c->pid_ns = facts->pid_ns;
	c->user_ns = facts->user_ns;
	c->ns_owner = facts->ns_owner;
	c->start_ns = facts->start_ns;
	c->connect_ns = facts->connect_ns;
	c->net_cookie = facts->net_cookie;
	c->cgroup_id = facts->cgroup_id;
	c->socket_cookie = facts->socket_cookie;
	c->destination = msp_address_from_bpf(&facts->destination);
	msp_file_id_from_bpf(&c->exe, &facts->exe);
	memcpy(c->comm, facts->comm, sizeof(c->comm));
	c->comm[sizeof(c->comm) - 1] = '\0';
	set_groups(c, facts);
	set_parents(c, facts);
	/* a path that was cut has lost its beginning: worse than none */
	if (facts->flags & MSP_BPF_F_PATH_CUT ||
	    !build_path(c->exe_path, sizeof(c->exe_path), facts->path,
			facts->path_len))
		c->exe_path[0] = '\0';
}

/* enum msp_bpf_answer, or an error. */
static int run_who(struct msp_redirect *r, const struct msp_bpf_ask *ask,
		   struct msp_bpf_facts *facts, struct msp_error_info *info)
{
	struct bpf_test_run_opts run = { .sz = sizeof(run) };
	int rc;

	memset(facts, 0, sizeof(*facts));
	memcpy(facts, ask, sizeof(*ask));
	run.data_in = facts;
	run.data_size_in = sizeof(*facts);
	run.data_out = facts;
	run.data_size_out = sizeof(*facts);
	rc = bpf_prog_test_run_opts(r->who_fd, &run);
	if (rc < 0)
		return msp_fail_sys(info, -rc, "cannot run program 'who'");
	if (run.retval == MSP_BPF_KNOWN && run.data_size_out != sizeof(*facts))
		return NO_ANSWER;
	return run.retval <= NO_ANSWER ? (int)run.retval : NO_ANSWER;
}

/* Our end is the listener's: anything else is told by the socket's cookie, for
 * which the kernel has found it by its addresses. So that is only asked for if
 * there is no answer. */
static int find(struct msp_redirect *r, int fd, struct msp_bpf_facts *facts,
		struct msp_error_info *info)
{
	struct msp_bpf_ask ask = { .local_ip = r->listener.ip,
				   .local_port = htons(r->listener.port) };
	bool other = false;
	int rc = ask_for(fd, &ask, info);

	if (rc < 0)
		return count_call(r, rc);
	rc = run_who(r, &ask, facts, info);
	if (rc > 0) {
		int answer = rc;

		rc = ask_local(fd, &ask, &other, info);
		if (rc == 0)
			rc = other ? run_who(r, &ask, facts, info) : answer;
	}
	if (rc < 0)
		return count_call(r, rc);
	if (rc == MSP_BPF_KNOWN)
		return 0;
	count_up(r, counter_of((uint32_t)rc));
	return msp_fail(info, MSP_ERR_UNKNOWN_PEER, "%s",
			answer_text((uint32_t)rc));
}

int msp_peer_identify(struct msp_redirect *redirect, int fd,
		      struct msp_caller *out, struct msp_error_info *info)
{
	struct msp_bpf_facts facts;
	int rc;

	if (!out || !msp_out_ok(out->size, sizeof(*out)))
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	msp_out_clear(out, sizeof(*out));
	if (!redirect || fd < 0)
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	rc = find(redirect, fd, &facts, info);
	if (rc < 0)
		return rc;
	if (facts.pid == 0 && !(facts.flags & MSP_BPF_F_KERNEL)) {
		count_up(redirect, MSP_COUNT_OTHER_PIDS);
		return msp_fail(info, MSP_ERR_UNKNOWN_PEER,
				"its process is not in our PID namespace");
	}
	set_caller(out, &facts);
	out->flags |= MSP_CALLER_KNOWN;
	count_up(redirect, MSP_COUNT_FOUND);
	return 0;
}

static int stat_file(struct msp_redirect *r, int fd, struct msp_file_id *out,
		     struct msp_error_info *info)
{
	struct bpf_test_run_opts run = { .sz = sizeof(run) };
	uint64_t args[1] = { (uint64_t)fd };
	int rc;

	run.ctx_in = args;
	run.ctx_size_in = sizeof(args);
	pthread_mutex_lock(&r->stat_lock);
	rc = bpf_prog_test_run_opts(r->stat_fd, &run);
	if (rc == 0 && run.retval == 0)
		msp_file_id_from_bpf(out, r->stat_result);
	pthread_mutex_unlock(&r->stat_lock);
	if (rc < 0)
		return msp_fail_sys(info, -rc, "cannot run program 'stat'");
	if (run.retval != 0) /* it looks the descriptor up */
		return msp_fail_sys(info, EBADF,
				    "program 'stat' has no answer");
	return 0;
}

static bool same_file(const struct msp_file_id *a, const struct msp_file_id *b)
{
	return a->device == b->device && a->inode == b->inode &&
	       a->generation == b->generation && a->ctime_s == b->ctime_s &&
	       a->ctime_ns == b->ctime_ns && a->mode == b->mode &&
	       a->uid == b->uid && a->gid == b->gid;
}

/* One name after the other. No link is followed: the path is the kernel's own,
 * which has none, so one that is there now was put there since. */
static int walk_below(int root_fd, const char *path)
{
	char name[NAME_MAX + 1];
	int at = root_fd, next;
	size_t len;

	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		len = strcspn(path, "/");
		next = -1;
		errno = len > NAME_MAX ? ENAMETOOLONG : ENOENT;
		if (len <= NAME_MAX) {
			memcpy(name, path, len);
			name[len] = '\0';
			if (strcmp(name, "..") != 0)
				next = openat(at, name,
					      O_PATH | O_NOFOLLOW | O_CLOEXEC);
		}
		if (at != root_fd)
			close(at);
		if (next < 0)
			return -1;
		at = next;
		path += len;
	}
	return at == root_fd ? -1 : at;
}

/* Looked up as if root_fd were "/": a link inside cannot lead out of it.
 * Service managers may forbid openat2(2) (RestrictSUIDSGID= of systemd does,
 * because a filter cannot see the mode). */
static int open_below(int root_fd, const char *path, bool cached)
{
	int fd;
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS |
			   (cached ? RESOLVE_CACHED : 0),
	};

	fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	if (fd < 0 && errno == ENOSYS && !cached)
		fd = walk_below(root_fd, path);
	return fd;
}

/* A program that root installed, and that nobody else could have changed. */
static bool roots_own(const struct msp_file_id *file)
{
	return S_ISREG(file->mode) && file->uid == 0 &&
	       !(file->mode & (S_IWGRP | S_IWOTH));
}

/* Replaced by an upgrade while it ran: both the old and the new are root's.
 * In another mount namespace the path could be anybody's, be it that of the
 * process or that from which the program was opened. */
static bool replaced(const struct msp_redirect *r, const struct msp_caller *c,
		     const struct msp_file_id *now)
{
	return c->exe.nlink == 0 && c->mnt_ns == r->self.init_mnt_ns &&
	       !(c->flags & MSP_CALLER_EXE_ELSEWHERE) && roots_own(&c->exe) &&
	       roots_own(now);
}

static uint32_t compare_exe(const struct msp_redirect *r,
			    const struct msp_caller *c,
			    const struct msp_file_id *now, unsigned int how)
{
	/* nlink 0: the program that ran is deleted, whatever is there now */
	if (c->exe.nlink > 0 && same_file(now, &c->exe))
		return MSP_CALLER_EXE_VERIFIED;
	if ((how & MSP_PEER_EXE_REPLACED) && replaced(r, c, now))
		return MSP_CALLER_EXE_VERIFIED | MSP_CALLER_EXE_REPLACED;
	return 0;
}

/* -1: there is no such file, and what is not there did not run. */
static int open_exe(int *out, int root_fd, const char *path, bool cached,
		    struct msp_error_info *info)
{
	*out = open_below(root_fd, path, cached);
	if (*out >= 0)
		return 0;
	if (cached) /* be it that it cannot be told cheaply */
		return msp_fail(info, MSP_ERR_AGAIN,
				"'%s' is not found without waiting", path);
	if (errno != ENOENT && errno != ENOTDIR)
		return msp_fail_sys(info, errno, "cannot look at '%s'", path);
	return 0;
}

int msp_peer_verify_exe(struct msp_redirect *redirect, int root_fd,
			struct msp_caller *caller, unsigned int how,
			struct msp_error_info *info)
{
	struct msp_file_id now = { 0 };
	int fd, rc;

	if (!redirect || !caller || root_fd < 0 ||
	    !msp_out_ok(caller->size, sizeof(*caller)) ||
	    how & ~(unsigned int)(MSP_PEER_EXE_CACHED | MSP_PEER_EXE_REPLACED))
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	caller->flags &=
		~(uint32_t)(MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_VERIFIED |
			    MSP_CALLER_EXE_REPLACED);
	if (!(caller->flags & MSP_CALLER_KNOWN) || caller->exe_path[0] != '/') {
		caller->flags |= MSP_CALLER_EXE_CHECKED;
		return 0;
	}
	rc = open_exe(&fd, root_fd, caller->exe_path, how & MSP_PEER_EXE_CACHED,
		      info);
	if (fd >= 0) {
		rc = stat_file(redirect, fd, &now, info);
		close(fd);
	}
	if (rc < 0)
		return rc;
	caller->flags |= MSP_CALLER_EXE_CHECKED |
			 compare_exe(redirect, caller, &now, how);
	return 0;
}

int msp_peer_cgroup_path(const struct msp_redirect *redirect,
			 uint64_t cgroup_id, char *out, size_t size,
			 struct msp_error_info *info)
{
	if (out && size)
		out[0] = '\0';
	if (!redirect || !out || !size)
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	return msp_cgroup_path(redirect->cgroup_fd, redirect->mount, cgroup_id,
			       out, size, info);
}

int msp_peer_open_root(struct msp_redirect *redirect, const char *path,
		       size_t len, int *out, struct msp_error_info *info)
{
	char text[256];
	int fd;

	if (out)
		*out = -1;
	if (!redirect || !path || !out || len == 0 || len >= sizeof(text))
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	memcpy(text, path, len);
	text[len] = '\0';
	fd = open(text, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		*out = fd;
		return 0;
	}
	if (errno != EACCES)
		return msp_fail_sys(info, errno,
				    "cannot open the identity root %s", text);
	if (redirect->self.mnt_ns != redirect->self.init_mnt_ns)
		return msp_fail(info, MSP_ERR_UNSUPPORTED,
				"cannot open the identity root %s, and our "
				"own mount namespace is not that of PID 1",
				text);
	fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return msp_fail_sys(info, errno, "cannot open /");
	*out = fd;
	return 0;
}
