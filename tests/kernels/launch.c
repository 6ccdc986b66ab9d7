/* SPDX-License-Identifier: MIT */
/*
 * In: how a client shall be: its ids, groups, cgroup, namespaces, program.
 * Out: such a process, waiting to be let go. Must never start another one
 * where something could not be had.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/kernels/guest.h"

struct plan plan_new(uint32_t index, struct msp_address to)
{
	struct plan plan = { 0 };

	plan.program = CLIENT;
	plan.program_fd = -1;
	plan.index = index;
	plan.cgroup = CGROUP_MOUNT;
	plan.family = AF_INET;
	plan.lie = -1;
	plan.to = to;
	return plan;
}

static int exit_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return CLIENT_BROKEN;
	return WIFEXITED(status) ? WEXITSTATUS(status) : CLIENT_BROKEN;
}

/* Goes on in the last of a chain of processes; the others wait for it. */
static void go_deeper(const struct plan *plan)
{
	unsigned int i;

	for (i = 0; i < plan->depth; i++) {
		char name[16];
		pid_t pid = fork();

		if (pid < 0)
			_exit(CLIENT_BROKEN);
		if (pid > 0)
			_exit(exit_status(pid));
		snprintf(name, sizeof(name), "(level) %u", i % 10);
		prctl(PR_SET_NAME, name);
	}
}

static int join_cgroup(const char *cgroup)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	return write_file(path, "0");
}

static int become(const struct plan *plan)
{
	char login[16];

	if (plan->loginuid) {
		snprintf(login, sizeof(login), "%u", plan->loginuid);
		if (write_file("/proc/self/loginuid", login) < 0)
			return -1;
	}
	if (setgroups(plan->n_gids, plan->gids) < 0 ||
	    setresgid(plan->gid, plan->egid, plan->egid) < 0)
		return -1;
	return setresuid(plan->uid, plan->euid, plan->euid);
}

static int cover(const struct plan *plan)
{
	if (!plan->mount_over)
		return 0;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	return mount(plan->mount_over, plan->program, NULL, MS_BIND, NULL);
}

static void execute(const struct plan *plan)
{
	char index[16], ip[16], port[16], family[16], options[16], lie[16];
	char *argv[] = { (char *)"client", index,   ip,	 port,
			 family,	   options, lie, NULL };
	char *envp[] = { NULL };

	snprintf(index, sizeof(index), "%u", plan->index);
	snprintf(ip, sizeof(ip), "%u", plan->to.ip);
	snprintf(port, sizeof(port), "%u", plan->to.port);
	snprintf(family, sizeof(family), "%d", plan->family);
	snprintf(options, sizeof(options), "%u", plan->options);
	snprintf(lie, sizeof(lie), "%d", plan->lie);
	if (plan->program_fd >= 0)
		fexecve(plan->program_fd, argv, envp);
	else
		execve(plan->program, argv, envp);
}

static void child_main(const struct plan *plan, int fd)
{
	if (dup2(fd, STDIN_FILENO) < 0 || join_cgroup(plan->cgroup) < 0)
		_exit(CLIENT_BROKEN);
	if (plan->unshare && unshare((int)plan->unshare) < 0)
		_exit(CLIENT_BROKEN);
	go_deeper(plan);
	if (become(plan) < 0 || cover(plan) < 0)
		_exit(CLIENT_BROKEN);
	execute(plan);
	_exit(CLIENT_BROKEN);
}

static int wait_byte(int fd)
{
	struct timeval limit = { .tv_sec = WAIT_SECONDS };
	char byte;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return recv(fd, &byte, 1, 0) == 1 ? 0 : -1;
}

/* Returns when the client runs its program, and waits. */
int launch(const struct plan *plan, struct child *out)
{
	int ends[2];

	out->pid = -1;
	out->fd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	out->pid = fork();
	if (out->pid == 0)
		child_main(plan, ends[1]);
	close(ends[1]);
	out->fd = ends[0];
	return out->pid > 0 ? wait_byte(out->fd) : -1;
}

int let_go(struct child *child)
{
	return send(child->fd, "g", 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

int wait_for(struct child *child)
{
	int status = CLIENT_BROKEN;

	if (child->pid > 0)
		status = exit_status(child->pid);
	if (child->fd >= 0)
		close(child->fd);
	child->pid = -1;
	child->fd = -1;
	return status;
}

/* For clients that nobody has to answer. */
int run(const struct plan *plan)
{
	struct child child;

	if (launch(plan, &child) == 0)
		let_go(&child);
	return wait_for(&child);
}
