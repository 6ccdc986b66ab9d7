/* SPDX-License-Identifier: MIT */
/*
 * In: connections to the listener. Out: 200, 403 or 421, by what /proc says
 * at accept() of the process that the source port stands for. Must never be
 * used for anything but losing: an attack that cannot win here proves nothing
 * where it loses. It keeps the rules of the world in stage.py.
 *
 *	weak --cgroup DIR --log FILE --allowed PROGRAM [--retry]
 *	     [--own-namespace] [--pid-inside] [--gid-as-uid]
 *	     [--effective] [--by-name] [--keep-first] [--by-socket]
 *	     [--established]
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/live/attacks/weak.h"
#include "tests/live/attacks/weak.skel.h"

#define BACKLOG	 16
#define READ_MS	 1000
#define HEAD_MAX 4096
#define RETRY_US 10000
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#define DAEMON	  1
#define ID_REAL	  1
#define ID_EFFECT 2

struct weak {
	const char *cgroup;
	const char *allowed;
	FILE *log;
	bool retry, own_namespace, pid_inside;
	bool gid_as_uid, effective, by_name, keep_first, by_socket;
	bool established;
	int table;
};

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- who ---------------------------------------------------------------- */

/* Field of the line "Uid:" or "Gid:". */
static long id_of(const struct weak *w, __u32 pid)
{
	const char *want = w->gid_as_uid ? "Gid:" : "Uid:";
	char path[64], line[256];
	long id[ID_EFFECT + 1] = { -1, -1, -1 };
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, want, 4) == 0)
			sscanf(line + 4, "%ld %ld", &id[ID_REAL],
			       &id[ID_EFFECT]);
	fclose(f);
	return id[w->effective ? ID_EFFECT : ID_REAL];
}

static bool runs_allowed(const struct weak *w, __u32 pid)
{
	static const char gone[] = " (deleted)";
	const char *base = strrchr(w->allowed, '/') + 1;
	char path[64], text[4096];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/%s", pid,
		 w->by_name ? "comm" : "exe");
	if (!w->by_name) {
		n = readlink(path, text, sizeof(text) - 1);
	} else {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			n = read(fd, text, sizeof(text) - 1) - 1;
		if (fd >= 0)
			close(fd);
	}
	if (n < 0)
		return false;
	text[n] = '\0';
	if (n >= (ssize_t)sizeof(gone) &&
	    strcmp(text + n - (sizeof(gone) - 1), gone) == 0)
		text[n - (ssize_t)(sizeof(gone) - 1)] = '\0';
	return strcmp(text, w->by_name ? base : w->allowed) == 0;
}

static int status_of(const struct weak *w, const struct sockaddr_in *peer)
{
	struct weak_origin origin;
	__u32 port = ntohs(peer->sin_port);
	long id;

	if (bpf_map_lookup_elem(w->table, &port, &origin) < 0)
		return 421;
	id = id_of(w, origin.pid);
	if (origin.ip == inet_addr("168.63.129.16"))
		return id == 0 ? 200 : 403;
	return id == DAEMON || runs_allowed(w, origin.pid) ? 200 : 403;
}

/* ---- HTTP --------------------------------------------------------------- */

/* A descriptor, or -1. */
static int try_listen(const char *ip, int port, int backlog)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	at.sin_addr.s_addr = inet_addr(ip);
	at.sin_port = htons((uint16_t)port);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		die("socket");
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
	    listen(fd, backlog) == 0)
		return fd;
	close(fd);
	return -1;
}

static int listen_at(const struct weak *w, const char *ip, int port,
		     int backlog)
{
	int fd;

	while ((fd = try_listen(ip, port, backlog)) < 0) {
		if (!w->retry)
			die(ip);
		usleep(RETRY_US);
	}
	return fd;
}

/* Path of the request; false if there is none. */
static bool read_path(int fd, char *path)
{
	struct timeval limit = { .tv_usec = READ_MS * 1000L % 1000000,
				 .tv_sec = READ_MS / 1000 };
	char head[HEAD_MAX];
	size_t used = 0;
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	while (used < sizeof(head) - 1) {
		n = recv(fd, head + used, sizeof(head) - 1 - used, 0);
		if (n <= 0)
			return false;
		used += (size_t)n;
		head[used] = '\0';
		if (strstr(head, "\r\n\r\n"))
			return sscanf(head, "%*s %1023s", path) == 1;
	}
	return false;
}

static void answer(int fd, int status)
{
	char text[256];
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 %d -\r\nContent-Length: 0\r\n"
			 "Connection: close\r\n%s\r\n",
			 status,
			 status == 200
				 ? "x-ms-azure-host-authorization: value\r\n"
				 : "");

	send(fd, text, (size_t)n, MSG_NOSIGNAL);
}

static _Noreturn void serve(const struct weak *w, int listener)
{
	struct sockaddr_in peer;
	char path[1024];
	int status, fd;

	for (;;) {
		socklen_t len = sizeof(peer);

		fd = accept(listener, (struct sockaddr *)&peer, &len);
		if (fd < 0) {
			usleep(1000);
			continue;
		}
		/* at accept(), as they do */
		status = w->allowed ? status_of(w, &peer) : 200;
		if (read_path(fd, path)) {
			fprintf(w->log, "%s %s\n",
				!w->allowed	? "reached"
				: status == 200 ? "allowed"
						: "denied",
				path);
			answer(fd, status);
		}
		close(fd);
	}
}

/* In place of the host, so that what comes past the agent is seen. */
static void start_host(const struct weak *w, const char *ip)
{
	struct weak host = { .log = w->log };
	int fd = listen_at(w, ip, 80, 128);
	pid_t parent = getpid();

	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent) /* has been killed already */
			_exit(1);
		serve(&host, fd);
	}
	close(fd);
}

/* ---- begin -------------------------------------------------------------- */

static const struct option options[] = {
	{ "cgroup", required_argument, NULL, 'c' },
	{ "log", required_argument, NULL, 'l' },
	{ "allowed", required_argument, NULL, 'a' },
	{ "retry", no_argument, NULL, 'r' },
	{ "own-namespace", no_argument, NULL, 'o' },
	{ "pid-inside", no_argument, NULL, 'p' },
	{ "gid-as-uid", no_argument, NULL, 'g' },
	{ "effective", no_argument, NULL, 'e' },
	{ "by-name", no_argument, NULL, 'n' },
	{ "keep-first", no_argument, NULL, 'k' },
	{ "established", no_argument, NULL, 'E' },
	{ "by-socket", no_argument, NULL, 's' },
	{ NULL, 0, NULL, 0 },
};

static void take_options(struct weak *w, int argc, char **argv)
{
	int which;

	while ((which = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (which == 'c')
			w->cgroup = optarg;
		else if (which == 'l')
			w->log = fopen(optarg, "ae");
		else if (which == 'a')
			w->allowed = optarg;
		else if (which == 'r')
			w->retry = true;
		else if (which == 'o')
			w->own_namespace = true;
		else if (which == 'p')
			w->pid_inside = true;
		else if (which == 'g')
			w->gid_as_uid = true;
		else if (which == 'e')
			w->effective = true;
		else if (which == 'n')
			w->by_name = true;
		else if (which == 'k')
			w->keep_first = true;
		else if (which == 'E')
			w->established = true;
		else if (which == 's')
			w->by_socket = true;
		else
			exit(2);
	}
	if (!w->cgroup || !w->allowed || !w->log)
		exit(2);
	setvbuf(w->log, NULL, _IOLBF, 0);
}

static __u64 net_cookie(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(__u64);
	__u64 cookie;

	if (fd < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0)
		die("SO_NETNS_COOKIE");
	close(fd);
	return cookie;
}

int main(int argc, char **argv)
{
	struct weak w = { 0 };
	struct weak_bpf *bpf;
	int cgroup, listener;

	take_options(&w, argc, argv);
	bpf = weak_bpf__open();
	if (!bpf)
		die("open");
	if (w.own_namespace)
		bpf->rodata->weak_only_namespace = net_cookie();
	bpf->rodata->weak_pid_inside = w.pid_inside;
	bpf->rodata->weak_how = w.keep_first ? BPF_NOEXIST : BPF_ANY;
	bpf->rodata->weak_established = w.established;
	bpf->rodata->weak_by_socket = w.by_socket;
	cgroup = open(w.cgroup, O_RDONLY | O_CLOEXEC);
	if (weak_bpf__load(bpf) < 0 || cgroup < 0)
		die("load");
	w.table = bpf_map__fd(bpf->maps.weak_by_port);
	bpf->links.weak_connect4 =
		bpf_program__attach_cgroup(bpf->progs.weak_connect4, cgroup);
	bpf->links.weak_sock_create =
		bpf_program__attach_cgroup(bpf->progs.weak_sock_create, cgroup);
	bpf->links.weak_sockops =
		bpf_program__attach_cgroup(bpf->progs.weak_sockops, cgroup);
	if (!bpf->links.weak_connect4 || !bpf->links.weak_sock_create ||
	    !bpf->links.weak_sockops)
		die("attach");
	start_host(&w, "169.254.169.254");
	start_host(&w, "168.63.129.16");
	listener = try_listen("127.0.0.1", 3080, BACKLOG);
	if (listener < 0 && !w.retry)
		die("listener");
	puts("weak: ready");
	fflush(stdout);
	if (listener < 0) /* the port will be free one day */
		listener = listen_at(&w, "127.0.0.1", 3080, BACKLOG);
	serve(&w, listener);
}
