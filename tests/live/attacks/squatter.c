/* SPDX-License-Identifier: MIT */
/*
 * In: the port that the agent wants, or has. Out: nobody listens there as soon
 * as he can, and honest requests all the time. Must never connect to himself:
 * whoever comes to him was sent there.
 *
 * Variants: loopback, any, ipv6 (where he sits before the agent comes), stop,
 * kill (how the agent ends each time; he tries all three, at the port the
 * agent has by then). A try is a request. It is an honest caller's who must be
 * served, unless the agent was told to end meanwhile.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

#define ROUNDS	  3
#define PLACES	  3
#define SEATS	  ((ROUNDS + 1) * PLACES)
#define WAIT_MS	  10000
#define STEP_US	  200
#define HONEST_US 2000

/* Shared by all. */
struct squat {
	_Atomic uint32_t phase; /* odd while there is no agent */
	_Atomic uint32_t seats; /* where he listens */
	_Atomic uint16_t port;
	_Atomic bool hurry; /* the agent is about to end */
	bool waits;	    /* for the agent to end */
};

static const struct {
	const char *variant, *address;
} places[PLACES] = {
	{ "loopback", "127.0.0.1" },
	{ "any", "0.0.0.0" },
	{ "ipv6", "::" },
};

/* ---- the squatter ------------------------------------------------------ */

static int bind_at(int fd, const char *address, uint16_t port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };

	six.sin6_port = four.sin_port = htons(port);
	if (inet_pton(AF_INET, address, &four.sin_addr) == 1)
		return bind(fd, (struct sockaddr *)&four, sizeof(four));
	return bind(fd, (struct sockaddr *)&six, sizeof(six));
}

/* A listening socket, or -1. */
static int sit_down(const char *address, uint16_t port)
{
	bool six = strchr(address, ':') != NULL;
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK,
			0);
	int one = 1, no = 0;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    (six &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) < 0))
		attack_die(address);
	if (bind_at(fd, address, port) == 0 && listen(fd, 100) == 0)
		return fd;
	close(fd);
	return -1;
}

static void look_for_a_seat(const struct attack *a, struct squat *s, int *seats)
{
	uint32_t n = atomic_load(&s->seats);
	int i;

	for (i = 0; i < PLACES && n < SEATS; i++) {
		if (!s->waits && strcmp(a->variant, places[i].variant) != 0)
			continue;
		seats[n] = sit_down(places[i].address, atomic_load(&s->port));
		if (seats[n] >= 0)
			atomic_store(&s->seats, ++n);
	}
}

static _Noreturn void squat(struct attack *a, struct squat *s)
{
	int seats[SEATS], fd;
	uint32_t i;

	attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	for (;;) {
		look_for_a_seat(a, s, seats);
		for (i = 0; i < atomic_load(&s->seats); i++) {
			fd = accept(seats[i], NULL, NULL);
			if (fd < 0)
				continue;
			atomic_fetch_add(&a->counts->wins, 1);
			attack_reset(fd);
		}
		if (!atomic_load(&s->hurry))
			usleep(STEP_US);
	}
}

/* ---- honest callers ---------------------------------------------------- */

static _Noreturn void be_honest(struct attack *a, struct squat *s)
{
	struct attack_counts *c = a->counts;
	uint32_t phase;
	int answer;

	attack_become(ATTACK_DAEMON, ATTACK_DAEMON);
	while (!atomic_load(&c->stop)) {
		phase = atomic_load(&s->phase);
		answer = attack_ask(a, HONEST_PATH);
		/* passed or not: it is no win of the squatter's */
		attack_try(a, answer < 0 ? answer : ATTACK_REFUSED);
		if (phase & 1 && !atomic_load(&s->hurry))
			usleep(HONEST_US);
		if (phase & 1 || atomic_load(&s->phase) != phase)
			continue;
		atomic_fetch_add(&c->honest, 1);
		if (answer == ATTACK_PASSED)
			atomic_fetch_add(&c->honest_ok, 1);
	}
	_exit(0);
}

/* ---- what happens to the agent ----------------------------------------- */

static void wait_for_seats(const struct squat *s, uint32_t n)
{
	uint64_t end = attack_ms() + WAIT_MS;

	while (atomic_load(&s->seats) < n) {
		if (attack_ms() > end)
			attack_die("the port does not become free");
		usleep(STEP_US);
	}
}

/* Of requests while there is an agent, or for a win where that is enough. */
static void wait_for_honest(const struct attack *a, uint32_t n)
{
	while (atomic_load(&a->counts->honest) < n && attack_ms() < a->end_ms) {
		if (a->weak && atomic_load(&a->counts->wins))
			return;
		usleep(STEP_US);
	}
}

static void start_agent(struct squat *s)
{
	atomic_store(&s->port, attack_agent("start"));
	atomic_fetch_add(&s->phase, 1);
}

/* He gets each of the agent's ports, one after the other. */
static void restart(struct attack *a, struct squat *s)
{
	/* the weak one never takes another port */
	uint32_t rounds = a->weak ? 1 : ROUNDS;
	uint32_t round, seats;

	for (round = 1; round <= rounds; round++) {
		wait_for_honest(a, a->goal * round / (rounds + 1));
		seats = atomic_load(&s->seats);
		atomic_store(&s->hurry, true);
		atomic_fetch_add(&s->phase, 1);
		attack_agent(a->variant);
		wait_for_seats(s, seats + 1);
		atomic_store(&s->hurry, false);
		start_agent(s);
	}
}

static pid_t start(struct attack *a, struct squat *s,
		   void (*play)(struct attack *a, struct squat *s))
{
	pid_t pid = attack_fork();

	if (pid == 0)
		play(a, s);
	return pid;
}

int main(int argc, char **argv)
{
	struct attack a;
	struct squat *s;
	pid_t honest;

	attack_open(&a, argc, argv);
	s = attack_share(sizeof(*s));
	atomic_store(&s->phase, 1);
	atomic_store(&s->port, LISTENER_PORT);
	s->waits = strcmp(a.variant, "stop") == 0 ||
		   strcmp(a.variant, "kill") == 0;
	attack_agent("stop");
	if (s->waits)
		start_agent(s);
	start(&a, s, squat);
	if (!s->waits) {
		wait_for_seats(s, 1);
		start_agent(s);
	}
	honest = start(&a, s, be_honest);
	if (s->waits)
		restart(&a, s);
	wait_for_honest(&a, a.weak ? UINT32_MAX : a.goal);
	atomic_store(&a.counts->stop, true);
	if (attack_wait(honest) != 0)
		attack_die("honest caller");
	return attack_close(&a);
}
