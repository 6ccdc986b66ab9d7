/* SPDX-License-Identifier: MIT */
/*
 * attack.h - what the attack programs have in common.
 *
 *	int main(int argc, char **argv)
 *	{
 *		struct attack a;
 *
 *		attack_open(&a, argc, argv);	as root, in the test's network
 *		attack_honest_start(&a, ATTACK_DAEMON);
 *		while (attack_more(&a)) {
 *			...
 *			attack_try(&a, attack_ask(&a, ATTACK_PATH));
 *		}
 *		return attack_close(&a);	prints the counts
 *	}
 *
 * Allowed is: uid daemon, and any user who runs the program a.allowed.
 * Attackers ask for ATTACK_PATH only and honest callers for HONEST_PATH only:
 * whatever of ATTACK_PATH the agent let pass is a win, answered or not.
 */
#ifndef TESTS_LIVE_ATTACK_H
#define TESTS_LIVE_ATTACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ATTACK_DAEMON 1
#define ATTACK_NOBODY 65534

#define IMDS_ADDRESS	   "169.254.169.254"
#define WIRESERVER_ADDRESS "168.63.129.16"
#define LISTENER_ADDRESS   "127.0.0.1"
#define ENDPOINT_PORT	   80
#define LISTENER_PORT	   3080

enum attack_path { ATTACK_PATH, HONEST_PATH };

/* What became of a request; or a negative errno. */
enum attack_answer {
	ATTACK_REFUSED = 0, /* somebody answered, not the host */
	ATTACK_PASSED = 1   /* the host's answer */
};

/* Shared by all processes of an attack. */
struct attack_counts {
	_Atomic uint32_t tries;
	_Atomic uint32_t refused; /* of those: by an answer */
	_Atomic uint32_t wins;
	_Atomic uint32_t honest;
	_Atomic uint32_t honest_ok;
	_Atomic bool stop;
	char missing[64]; /* what the machine does not have; or "" */
};

struct attack {
	const char *name;    /* this program and its variant, for the paths */
	const char *variant; /* "" or the option of that name */
	const char *allowed; /* the program that the rules name */
	const char *client;  /* the same bytes at another path */
	const char *dir;     /* anybody may write here; in it is "tool" */
	pid_t agent;	     /* who decides; 0: not told */
	uint32_t goal;	     /* tries */
	uint32_t seconds;    /* no new try after as many */
	int timeout_ms;	     /* of one connect, read or write */
	bool weak;	     /* a few wins are enough */
	uint64_t end_ms;
	struct attack_counts *counts;
	pid_t honest; /* the background caller, or 0 */
	pid_t keeper; /* stops and continues the agent, or 0 */
	int to_keeper, from_keeper;
};

/* Exits on a bad command line. */
void attack_open(struct attack *a, int argc, char **argv);

/* Ends the honest callers and prints the counts; the exit status. */
int attack_close(struct attack *a);

/* Is there another try to be made? */
bool attack_more(struct attack *a);

/* One try and what attack_ask() or attack_answer() said of it. */
void attack_try(struct attack *a, int answer);

/* ---- processes --------------------------------------------------------- */

/* Ends the program, or with it the test: message and errno on stderr. */
_Noreturn void attack_die(const char *what);

/* Ends this process: the machine has no such thing, so there is no attack. */
_Noreturn void attack_cannot(const struct attack *a, const char *what);

/* Zeroed memory that children share. */
void *attack_share(size_t size);

/* fork(); the child dies with its parent, if the parent may kill it: nobody
 * cannot kill a child that is somebody else. */
pid_t attack_fork(void);

/* Real, effective and saved; no other groups. */
void attack_become(uid_t uid, gid_t gid);

/* waitpid(); -1: killed by a signal. */
int attack_wait(pid_t pid);

/* What a client program (client.c) came to: as attack_ask(). */
int attack_wait_client(pid_t pid);

/* Runs a client program as nobody: one request for ATTACK_PATH. */
int attack_run(const struct attack *a, const char *program);

/* For a child that is still root: it becomes nobody, with mounts of its own
 * and the right to make more. Where users may not have that, it stays root
 * until attack_become(). */
void attack_own_mounts(void);

/* Bytes of file into a new file with that owner and mode. */
void attack_copy(const char *from, const char *to, uid_t owner, mode_t mode);

uint64_t attack_ms(void);

/* All of n processes pass together. In shared memory, zeroed. */
struct attack_barrier {
	_Atomic uint32_t arrived, round;
};
void attack_meet(struct attack_barrier *b, uint32_t n);

/* ---- requests ---------------------------------------------------------- */

/* A socket with timeouts. */
int attack_socket(const struct attack *a);

/* 0 or -errno. */
int attack_connect_to(int fd, const char *ip, uint16_t port);
int attack_connect(int fd); /* to IMDS */
int attack_send(const struct attack *a, int fd, enum attack_path path);

/* Reads an answer: enum attack_answer, or -errno (-EPIPE: closed). */
int attack_answer(int fd);

/* Close with a reset: leaves no port in TIME_WAIT. */
void attack_reset(int fd);

/* All of that on a new connection. */
int attack_ask(const struct attack *a, enum attack_path path);

/* ---- honest callers and the agent -------------------------------------- */

/* A caller with that uid asks all the time, until attack_close(). */
void attack_honest_start(struct attack *a, uid_t uid);

/* One request by this process, counted. */
void attack_honest_ask(struct attack *a);

/* One request by a client program, or a->allowed, run by nobody; counted. */
void attack_honest_run(struct attack *a, const char *program);
void attack_honest_program(struct attack *a);

/* Between these two the agent stands still: whatever it does not know yet it
 * will see as it is at the release. Nothing happens if it was not told. */
void attack_hold(struct attack *a);
void attack_release(struct attack *a);

/* Tells the agent to "start", to "stop", or to end by "kill", and returns when
 * it did: the port it listens at, or 0. Not together with attack_hold(). */
uint16_t attack_agent(const char *what);

#endif
