/* SPDX-License-Identifier: MIT */
/*
 * In: network namespaces other than the agent's. Out: requests from in there,
 * and connections with the source port of one out here. Must never count a
 * namespace without a way to the endpoints as one that was refused.
 *
 * Variants: route (nobody in a container that root made, with a route to the
 * endpoints), listener (nobody listens in the container where the agent does
 * out here, and the container's root asks), port (nobody asks out here, with
 * the source port of daemon in the container), user (nobody in namespaces that
 * he made himself connects with the source port of daemon out here).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

#define DEVICE	   "attack0"
#define CLOSED	   81
#define FIRST_PORT 20000
#define PORTS	   10000
#define STEP_US	   1000

struct stage {
	struct attack *a;
	struct attack_barrier barrier;
	_Atomic bool ready;
	bool more;
	unsigned int number;
};

/* ---- namespaces -------------------------------------------------------- */

static void loopback_up(void)
{
	struct ifreq request = { .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	strcpy(request.ifr_name, "lo");
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		attack_die("loopback of the namespace");
	close(fd);
}

static void enter_container(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		attack_die("unshare");
	loopback_up();
}

/* As nobody, without root's help. */
static void enter_own(const struct attack *a)
{
	attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		attack_cannot(a, "namespaces of a user");
	loopback_up();
}

static void run(const char *command)
{
	if (system(command) != 0)
		attack_die(command);
}

/* From out here, for the container that a process is in. */
static void make_route(pid_t pid)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "ip link add " DEVICE " type veth peer name eth0 netns %d && "
		 "ip addr add 192.0.2.1/30 dev " DEVICE " && "
		 "ip link set " DEVICE " up && nsenter -t %d -n sh -c '"
		 "ip addr add 192.0.2.2/30 dev eth0 && ip link set eth0 up && "
		 "ip route add default via 192.0.2.1'",
		 (int)pid, (int)pid);
	run(command);
}

/* ---- route ------------------------------------------------------------- */

static void check_route(const struct attack *a, const char *address)
{
	int fd = attack_socket(a);

	if (attack_connect_to(fd, address, CLOSED) != -ECONNREFUSED)
		attack_die("no route to the endpoints");
	close(fd);
}

static int connect_mapped(int fd, const char *address)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	char text[64];

	snprintf(text, sizeof(text), "::ffff:%s", address);
	to.sin6_port = htons(ENDPOINT_PORT);
	if (inet_pton(AF_INET6, text, &to.sin6_addr) != 1)
		attack_die(text);
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

static int finish(const struct attack *a, int fd, int connected)
{
	int rc = connected;

	/* nothing but the agent may keep it from arriving */
	if (rc < 0 && rc != -EPERM && !a->weak)
		attack_die("not refused");
	if (rc == 0)
		rc = attack_send(a, fd, ATTACK_PATH);
	if (rc == 0)
		rc = attack_answer(fd);
	attack_reset(fd);
	return rc;
}

static void ask_from_container(struct attack *a)
{
	const char *address;
	unsigned int number;
	bool mapped;
	int fd, rc;

	for (number = 0; attack_more(a); number++) {
		address = number & 2 ? WIRESERVER_ADDRESS : IMDS_ADDRESS;
		/* the weak one has no eyes for those, wherever they are */
		mapped = number & 1 && !a->weak;
		fd = mapped ? socket(AF_INET6, SOCK_STREAM, 0)
			    : attack_socket(a);
		if (fd < 0)
			attack_die("socket");
		rc = mapped ? connect_mapped(fd, address)
			    : attack_connect_to(fd, address, ENDPOINT_PORT);
		attack_try(a, finish(a, fd, rc));
	}
}

static _Noreturn void play_route(struct stage *s)
{
	enter_container();
	attack_meet(&s->barrier, 2);
	/* the route is made */
	attack_meet(&s->barrier, 2);
	attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	check_route(s->a, IMDS_ADDRESS);
	check_route(s->a, WIRESERVER_ADDRESS);
	ask_from_container(s->a);
	_exit(0);
}

/* ---- listener ---------------------------------------------------------- */

static _Noreturn void listen_as_nobody(struct stage *s)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int fd, listener = socket(AF_INET, SOCK_STREAM, 0);

	attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	at.sin_addr.s_addr = inet_addr(LISTENER_ADDRESS);
	at.sin_port = htons(LISTENER_PORT);
	if (listener < 0 ||
	    bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(listener, 100) < 0)
		attack_die("listener in the container");
	atomic_store(&s->ready, true);
	for (;;) {
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			attack_die("accept");
		atomic_fetch_add(&s->a->counts->wins, 1);
		attack_reset(fd);
	}
}

/* Where 127.0.0.1 is nobody's. */
static _Noreturn void play_listener(struct stage *s)
{
	struct attack *a = s->a;
	int fd, rc;

	enter_container();
	if (attack_fork() == 0)
		listen_as_nobody(s);
	while (!atomic_load(&s->ready))
		usleep(STEP_US);
	while (attack_more(a)) {
		fd = attack_socket(a);
		rc = finish(a, fd, attack_connect(fd));
		/* what the container's root is told is no win */
		attack_try(a, rc < 0 ? rc : ATTACK_REFUSED);
	}
	_exit(0);
}

/* ---- port and user ----------------------------------------------------- */

static int from_port(const struct stage *s)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int fd = attack_socket(s->a), one = 1;

	at.sin_port = htons((uint16_t)(FIRST_PORT + s->number % PORTS));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		attack_die("bind");
	return fd;
}

/* In between the other's connect() and the agent's look at it. */
static void play_inside(struct stage *s)
{
	int fd, rc;

	for (;;) {
		attack_meet(&s->barrier, 2);
		if (!s->more)
			_exit(0);
		fd = from_port(s);
		rc = attack_connect(fd);
		if (rc == 0 || (rc != -EPERM && !s->a->weak))
			attack_die("not refused");
		attack_reset(fd);
		attack_meet(&s->barrier, 2);
	}
}

static int ask_outside(struct stage *s, enum attack_path path)
{
	int fd = from_port(s);
	int rc;

	attack_hold(s->a);
	rc = attack_connect(fd);
	if (rc == 0)
		rc = attack_send(s->a, fd, path);
	attack_meet(&s->barrier, 2);
	/* the other one connects */
	attack_meet(&s->barrier, 2);
	attack_release(s->a);
	if (rc == 0)
		rc = attack_answer(fd);
	attack_reset(fd);
	return rc;
}

/* Whoever is out here; daemon must be served each time. */
static _Noreturn void play_outside(struct stage *s, uid_t uid)
{
	struct attack_counts *c = s->a->counts;
	int answer;

	attack_become(uid, uid);
	for (s->more = true; attack_more(s->a); s->number++) {
		answer = ask_outside(s, uid == ATTACK_DAEMON ? HONEST_PATH
							     : ATTACK_PATH);
		if (uid == ATTACK_NOBODY) {
			attack_try(s->a, answer);
			continue;
		}
		attack_try(s->a, ATTACK_REFUSED);
		atomic_fetch_add(&c->honest, 1);
		if (answer == ATTACK_PASSED)
			atomic_fetch_add(&c->honest_ok, 1);
	}
	s->more = false;
	attack_meet(&s->barrier, 2);
	_exit(0);
}

static _Noreturn void play_port(struct stage *s)
{
	enter_container();
	attack_become(ATTACK_DAEMON, ATTACK_DAEMON);
	play_inside(s);
	_exit(0);
}

static _Noreturn void play_user(struct stage *s)
{
	enter_own(s->a);
	play_inside(s);
	_exit(0);
}

/* ---- begin ------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*inside)(struct stage *s);
	uid_t outside; /* 0: nobody is needed */
} variants[] = {
	{ "route", play_route, 0 },
	{ "listener", play_listener, 0 },
	{ "port", play_port, ATTACK_NOBODY },
	{ "user", play_user, ATTACK_DAEMON },
};

static void play(struct stage *s, size_t i)
{
	pid_t inside = attack_fork(), outside = 0;

	if (inside == 0)
		variants[i].inside(s);
	if (variants[i].inside == play_route) {
		attack_meet(&s->barrier, 2);
		make_route(inside);
		attack_meet(&s->barrier, 2);
	}
	if (variants[i].outside)
		outside = attack_fork();
	if (variants[i].outside && outside == 0)
		play_outside(s, variants[i].outside);
	if (attack_wait(inside) != 0 || (outside && attack_wait(outside) != 0))
		attack_die("one of them");
}

int main(int argc, char **argv)
{
	struct stage *s = attack_share(sizeof(*s));
	struct attack a;
	size_t i;

	attack_open(&a, argc, argv);
	s->a = &a;
	attack_honest_start(&a, ATTACK_DAEMON);
	for (i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		if (strcmp(variants[i].name, a.variant) == 0)
			play(s, i);
	return attack_close(&a);
}
