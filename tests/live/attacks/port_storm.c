/* SPDX-License-Identifier: MIT */
/*
 * In: a handful of source ports. Out: connections from them by attackers and
 * honest callers in turn, as fast as they come and go. Must never ask again
 * on a connection: each port has another owner a moment later.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

#define FIRST_PORT 19000
#define PORTS	   6
#define ATTACKERS  2
#define HONEST	   2

/* A connection to IMDS from that port, or -1: somebody else has it. */
static int connect_from(const struct attack *a, unsigned int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int fd = attack_socket(a), one = 1, rc;

	at.sin_addr.s_addr = inet_addr("127.0.0.1");
	at.sin_port = htons((uint16_t)(FIRST_PORT + port % PORTS));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		attack_die("bind");
	rc = attack_connect(fd);
	if (rc == 0)
		return fd;
	close(fd);
	errno = -rc;
	if (rc != -EADDRNOTAVAIL)
		attack_die("connect");
	sched_yield();
	return -1;
}

/* Each second one does not wait for the answer: its port is somebody else's
 * when the agent looks. The records say what became of its request. */
static void attack_once(struct attack *a, unsigned int n)
{
	int fd = connect_from(a, n), rc;

	if (fd < 0)
		return;
	rc = attack_send(a, fd, ATTACK_PATH);
	if (rc == 0 && n / PORTS % 2)
		rc = attack_answer(fd);
	else
		rc = -ECANCELED;
	attack_reset(fd);
	attack_try(a, rc);
}

static void ask_once(struct attack *a, unsigned int n)
{
	int fd = connect_from(a, n), rc;

	if (fd < 0)
		return;
	rc = attack_send(a, fd, HONEST_PATH);
	if (rc == 0)
		rc = attack_answer(fd);
	attack_reset(fd);
	atomic_fetch_add(&a->counts->honest, 1);
	if (rc == ATTACK_PASSED)
		atomic_fetch_add(&a->counts->honest_ok, 1);
}

static void start(struct attack *a, unsigned int which)
{
	bool honest = which < HONEST;
	uid_t uid = honest ? ATTACK_DAEMON : ATTACK_NOBODY;
	unsigned int n = which;

	if (attack_fork() > 0)
		return;
	attack_become(uid, uid);
	while (attack_more(a)) {
		if (honest)
			ask_once(a, n);
		else
			attack_once(a, n);
		n++;
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	struct attack a;
	unsigned int i;
	int status;

	attack_open(&a, argc, argv);
	for (i = 0; i < HONEST + ATTACKERS; i++)
		start(&a, i);
	for (i = 0; i < HONEST + ATTACKERS;) {
		pid_t pid = wait(&status);

		if (pid == a.keeper)
			continue;
		if (pid < 0 || status != 0)
			exit(3);
		i++;
	}
	return attack_close(&a);
}
