/* SPDX-License-Identifier: MIT */
/*
 * In: where to connect, and what to lie about. Out: a connection over which
 * it says who it is, as it and /proc see it. Must never ask the library.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/kernels/guest.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

#define DELETED	   " (deleted)"
#define NESTED_UID 1004
#define RANGE	   "0 0 65536" /* all ids stay what they are */

struct client {
	struct claim claim;
	struct msp_address to;
	unsigned int options;
	int lie;
	int status;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t namespace_number(const char *name)
{
	char path[64], text[64];
	unsigned int number = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/thread-self/ns/%s", name);
	n = readlink(path, text, sizeof(text) - 1);
	if (n < 0)
		return 0;
	text[n] = '\0';
	if (!strchr(text, '[') ||
	    sscanf(strchr(text, '['), "[%u]", &number) != 1)
		return 0;
	return number;
}

/* Name, parent and start of a process; its name may hold anything. */
static bool read_stat(uint32_t pid, struct ancestor *out, uint32_t *parent)
{
	char path[64], text[1024];
	char *start, *end, *field, *save = NULL;
	int i;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	if (read_file(path, text, sizeof(text)) < 0)
		return false;
	start = strchr(text, '(');
	end = strrchr(text, ')');
	if (!start || !end)
		return false;
	*end = '\0';
	out->pid = pid;
	snprintf(out->comm, sizeof(out->comm), "%s", start + 1);
	field = strtok_r(end + 1, " ", &save);
	for (i = 3; field; i++, field = strtok_r(NULL, " ", &save)) {
		if (i == 4)
			*parent = (uint32_t)strtoul(field, NULL, 10);
		if (i == 22)
			out->ticks = strtoull(field, NULL, 10);
	}
	return i > 22;
}

/* What another user namespace would show with other numbers. */
static bool say_ids(struct claim *c)
{
	struct stat exe;
	char text[32];
	int n = getgroups(MAX_GROUPS, (gid_t *)c->gids);
	ssize_t len;

	if (n < 0 || stat("/proc/self/exe", &exe) < 0)
		return false;
	c->n_gids = (uint32_t)n;
	c->uid = getuid();
	c->gid = getgid();
	c->euid = geteuid();
	c->egid = getegid();
	c->ns_owner = c->uid;
	if (read_file("/proc/self/loginuid", text, sizeof(text)) < 0)
		return false;
	c->loginuid = (uint32_t)strtoul(text, NULL, 10);
	c->inode = exe.st_ino;
	c->device = major(exe.st_dev) << 20 | minor(exe.st_dev);
	c->ctime_s = exe.st_ctim.tv_sec;
	c->ctime_ns = (uint32_t)exe.st_ctim.tv_nsec;
	c->mode = exe.st_mode;
	c->owner = exe.st_uid;
	c->links = (uint32_t)exe.st_nlink;
	len = readlink("/proc/self/exe", c->exe, sizeof(c->exe) - 1);
	if (len > (ssize_t)strlen(DELETED) &&
	    strcmp(c->exe + len - strlen(DELETED), DELETED) == 0)
		c->exe[(size_t)len - strlen(DELETED)] = '\0';
	return len > 0;
}

static bool say_parents(struct claim *c, uint32_t parent)
{
	size_t i;

	for (i = 0; i < MSP_CALLER_PARENTS && parent; i++)
		if (!read_stat(parent, &c->parents[i], &parent))
			return false;
	return true;
}

static bool say_process(struct claim *c)
{
	struct ancestor self = { 0 };
	uint32_t parent = 0;
	char text[512];
	ssize_t n;

	/* as PID 1's /proc counts, also in another PID namespace */
	n = readlink("/proc/thread-self", text, sizeof(text) - 1);
	if (n < 0)
		return false;
	text[n] = '\0';
	if (sscanf(text, "%u/task/%u", &c->pid, &c->tid) != 2)
		return false;
	if (!read_stat(c->pid, &self, &parent) || !say_parents(c, parent))
		return false;
	c->start_ticks = self.ticks;
	prctl(PR_GET_NAME, c->comm);
	c->net_ns = namespace_number("net");
	c->mnt_ns = namespace_number("mnt");
	c->pid_ns = namespace_number("pid");
	c->user_ns = namespace_number("user");
	if (read_file("/proc/self/cgroup", text, sizeof(text)) < 0 ||
	    strncmp(text, "0::", 3) != 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	snprintf(c->cgroup, sizeof(c->cgroup), "%.255s", text + 3);
	return c->net_ns && c->mnt_ns && c->pid_ns && c->user_ns;
}

static int connect_to(int fd, int family, const struct msp_address *to)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	v4.sin_addr.s_addr = to->ip;
	v4.sin_port = v6.sin6_port = htons(to->port);
	v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&v6.sin6_addr.s6_addr[12], &to->ip, 4);
	if (family == AF_INET)
		return connect(fd, (struct sockaddr *)&v4, sizeof(v4));
	return connect(fd, (struct sockaddr *)&v6, sizeof(v6));
}

static bool say_socket(struct claim *c, int fd)
{
	struct sockaddr_storage peer = { 0 };
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&peer;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&peer;
	socklen_t len = sizeof(peer), eight = sizeof(c->cookie);

	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &c->cookie, &eight) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &c->net_cookie,
		       &eight) < 0)
		return false;
	c->to.port = ntohs(v4->sin_port);
	if (c->family == AF_INET)
		c->to.ip = v4->sin_addr.s_addr;
	else
		memcpy(&c->to.ip, &v6->sin6_addr.s6_addr[12], 4);
	return true;
}

static void tell_lie(struct claim *c, enum fact about)
{
	uint32_t *const plain[FACTS] = {
		[FACT_UID] = &c->uid,
		[FACT_GID] = &c->gid,
		[FACT_EUID] = &c->euid,
		[FACT_EGID] = &c->egid,
		[FACT_GROUPS] = &c->gids[0],
		[FACT_PID] = &c->pid,
		[FACT_TID] = &c->tid,
		[FACT_LOGINUID] = &c->loginuid,
		[FACT_NET_NS] = &c->net_ns,
		[FACT_MNT_NS] = &c->mnt_ns,
		[FACT_PID_NS] = &c->pid_ns,
		[FACT_USER_NS] = &c->user_ns,
		[FACT_NS_OWNER] = &c->ns_owner,
		[FACT_EXE_FILE] = &c->ctime_ns,
		[FACT_DESTINATION] = &c->to.ip,
		[FACT_PARENTS] = &c->parents[2].pid,
	};

	if (plain[about])
		*plain[about] ^= 1;
	else if (about == FACT_START)
		c->start_ticks++;
	else if (about == FACT_COMM)
		c->comm[0]++;
	else if (about == FACT_CGROUP)
		c->cgroup[1]++;
	else if (about == FACT_EXE_PATH)
		c->exe[1]++;
	else if (about == FACT_FAMILY)
		c->family = c->family == AF_INET ? AF_INET6 : AF_INET;
	else if (about == FACT_COOKIE)
		c->cookie++;
	else if (about == FACT_NET_COOKIE)
		c->net_cookie++;
	else if (about == FACT_TIME)
		c->after_ns = c->before_ns /= 2;
}

static void *talk(void *arg)
{
	struct client *client = arg;
	struct claim *c = &client->claim;
	char name[16], answer = 'n';
	int fd;

	snprintf(name, sizeof(name), "c) %u (x", c->index);
	prctl(PR_SET_NAME, name);
	client->status = CLIENT_BROKEN;
	fd = socket((int)c->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || !say_process(c))
		return NULL;
	c->before_ns = now_ns();
	if (connect_to(fd, (int)c->family, &client->to) < 0) {
		client->status = errno;
		return NULL;
	}
	c->after_ns = now_ns();
	client->status = 0;
	if (client->options & CLIENT_POKE)
		return NULL;
	client->status = CLIENT_BROKEN;
	if (!say_socket(c, fd))
		return NULL;
	if (client->lie >= 0)
		tell_lie(c, (enum fact)client->lie);
	if (send(fd, c, sizeof(*c), MSG_NOSIGNAL) != (ssize_t)sizeof(*c))
		return NULL;
	if (recv(fd, &answer, 1, 0) == 1)
		client->status = answer == 'y' ? 0 : CLIENT_DOUBTED;
	return NULL;
}

static bool map_ids(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	if (write_file(path, RANGE) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	return write_file(path, RANGE) == 0;
}

/* With many ids in it, which only root outside can give it. */
static bool enter_mapped(void)
{
	int ends[2], status;
	char byte = 'm';
	pid_t outside;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	outside = fork();
	if (outside == 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) == 1 && map_ids(getppid()) ? 0
									 : 1);
	}
	if (outside < 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
	    write(ends[1], &byte, 1) != 1)
		return false;
	close(ends[0]);
	close(ends[1]);
	return waitpid(outside, &status, 0) == outside && status == 0;
}

/* Into a user namespace, which belongs to whom it is effectively; or into
 * one that somebody else makes in that: the outer one counts. */
static bool enter_namespace(struct client *client)
{
	struct claim *c = &client->claim;

	c->ns_owner = c->euid;
	if (!(client->options & CLIENT_NESTED))
		return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
	if (!enter_mapped() ||
	    setresuid(NESTED_UID, NESTED_UID, NESTED_UID) < 0)
		return false;
	c->uid = c->euid = NESTED_UID;
	return unshare(CLONE_NEWUSER) == 0;
}

/* client INDEX IP PORT FAMILY OPTIONS LIE; goes when its input ends */
int client_main(int argc, char **argv)
{
	static struct client client;
	pthread_t thread;
	char byte;

	alarm(2 * WAIT_SECONDS);
	if (argc != 7)
		return CLIENT_BROKEN;
	client.claim.index = (uint32_t)strtoul(argv[1], NULL, 10);
	client.to.ip = (uint32_t)strtoul(argv[2], NULL, 10);
	client.to.port = (uint16_t)strtoul(argv[3], NULL, 10);
	client.claim.family = (uint32_t)strtoul(argv[4], NULL, 10);
	client.options = (unsigned int)strtoul(argv[5], NULL, 10);
	client.lie = atoi(argv[6]);
	/* says that it runs: what is done to its program comes after this */
	if (write(STDIN_FILENO, "r", 1) != 1 ||
	    recv(STDIN_FILENO, &byte, 1, 0) != 1)
		return CLIENT_BROKEN;
	if (!say_ids(&client.claim))
		return CLIENT_BROKEN;
	if (client.options & CLIENT_USER_NS && !enter_namespace(&client))
		return CLIENT_BROKEN;
	if (!(client.options & CLIENT_THREAD)) {
		talk(&client);
		return client.status;
	}
	if (pthread_create(&thread, NULL, talk, &client) != 0)
		return CLIENT_BROKEN;
	pthread_join(thread, NULL);
	return client.status;
}
