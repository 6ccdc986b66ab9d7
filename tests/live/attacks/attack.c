/* SPDX-License-Identifier: MIT */
/*
 * In: what an attack wants done. Out: requests, processes with other ids, and
 * one line of counts. Must never call a try lost that the agent let pass, nor
 * leave a process behind.
 */
#include "tests/live/attacks/attack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX	 8192
#define ENOUGH_WINS	 3
#define HONEST_PAUSE_US	 3000
#define SPINS_PER_YIELD	 200
#define STOPPED_WAIT_MAX 200000

/* The host says this in each of its answers, the agent in none of its own. */
static const char mark[] = "x-ms-azure-host-authorization:";

void attack_die(const char *what)
{
	perror(what);
	_exit(3);
}

void attack_cannot(const struct attack *a, const char *what)
{
	snprintf(a->counts->missing, sizeof(a->counts->missing), "%s: %s", what,
		 strerror(errno));
	_exit(0);
}

uint64_t attack_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- processes --------------------------------------------------------- */

void *attack_share(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		attack_die("mmap");
	return p;
}

pid_t attack_fork(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		attack_die("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

void attack_become(uid_t uid, gid_t gid)
{
	uid_t real, effective, saved;

	/* an attacker's child is an attacker */
	if (getresuid(&real, &effective, &saved) == 0 && real == uid &&
	    effective == uid && saved == uid)
		return;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		attack_die("setresuid");
	/* a change of ids clears it */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 1);
}

int attack_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			attack_die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int attack_wait_client(pid_t pid)
{
	int status = attack_wait(pid);

	return status == ATTACK_PASSED || status == ATTACK_REFUSED ? status
								   : -EIO;
}

static pid_t start_client(const struct attack *a, const char *program,
			  const char *path)
{
	pid_t pid = attack_fork();

	if (pid == 0) {
		attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
		execl(program, program, path, a->name, (char *)NULL);
		attack_die(program);
	}
	return pid;
}

int attack_run(const struct attack *a, const char *program)
{
	return attack_wait_client(start_client(a, program, "attack"));
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = write(fd, text, strlen(text));
		close(fd);
	}
	return n == (ssize_t)strlen(text);
}

/* Mounts can be made by who is root in a user namespace, and anybody is in
 * his own. */
static bool own_user_namespace(void)
{
	attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
	       write_file("/proc/self/setgroups", "deny") &&
	       write_file("/proc/self/uid_map", "65534 65534 1") &&
	       write_file("/proc/self/gid_map", "65534 65534 1");
}

void attack_own_mounts(void)
{
	pid_t pid = attack_fork();
	bool works;

	if (pid == 0)
		_exit(own_user_namespace() ? 1 : 0);
	works = attack_wait(pid) == 1;
	if (works ? !own_user_namespace() : unshare(CLONE_NEWNS) < 0)
		attack_die("unshare");
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		attack_die("private mounts");
}

void attack_copy(const char *from, const char *to, uid_t owner, mode_t mode)
{
	char block[16384];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	ssize_t n;

	if (in < 0 || out < 0)
		attack_die(to);
	while ((n = read(in, block, sizeof(block))) > 0)
		if (write(out, block, (size_t)n) != n)
			attack_die("write");
	/* a new owner takes the set-uid bit away: the mode comes last */
	if (n < 0 || fchown(out, owner, owner) < 0 || fchmod(out, mode) < 0)
		attack_die(to);
	close(in);
	close(out);
}

void attack_meet(struct attack_barrier *b, uint32_t n)
{
	uint32_t round = atomic_load(&b->round);
	unsigned int spins = 0;

	if (atomic_fetch_add(&b->arrived, 1) + 1 == n) {
		atomic_store(&b->arrived, 0);
		atomic_fetch_add(&b->round, 1);
		return;
	}
	while (atomic_load(&b->round) == round)
		if (++spins % SPINS_PER_YIELD == 0)
			sched_yield();
}

/* ---- requests ---------------------------------------------------------- */

int attack_socket(const struct attack *a)
{
	struct timeval limit = { .tv_sec = a->timeout_ms / 1000,
				 .tv_usec = a->timeout_ms % 1000 * 1000 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)))
		attack_die("socket");
	return fd;
}

int attack_connect_to(int fd, const char *ip, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	to.sin_port = htons(port);
	if (inet_pton(AF_INET, ip, &to.sin_addr) != 1)
		return -EINVAL;
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

int attack_connect(int fd)
{
	return attack_connect_to(fd, IMDS_ADDRESS, ENDPOINT_PORT);
}

int attack_send(const struct attack *a, int fd, enum attack_path path)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "GET /metadata/%s/%s HTTP/1.1\r\n"
			 "Host: " IMDS_ADDRESS "\r\nMetadata: true\r\n"
			 "Connection: close\r\n\r\n",
			 path == ATTACK_PATH ? "attack" : "honest", a->name);

	return send(fd, text, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -errno;
}

static int judge(const char *head)
{
	const char *line;

	if (strncmp(head, "HTTP/1.", 7) != 0)
		return -EPROTO;
	for (line = head; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncasecmp(line, mark, sizeof(mark) - 1) == 0)
			return ATTACK_PASSED;
	}
	return ATTACK_REFUSED;
}

int attack_answer(int fd)
{
	char head[HEAD_MAX];
	size_t used = 0;
	ssize_t n;

	while (used < sizeof(head) - 1) {
		n = recv(fd, head + used, sizeof(head) - 1 - used, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EPIPE;
		used += (size_t)n;
		head[used] = '\0';
		if (strstr(head, "\r\n\r\n"))
			return judge(head);
	}
	return -EMSGSIZE;
}

void attack_reset(int fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

int attack_ask(const struct attack *a, enum attack_path path)
{
	int fd = attack_socket(a);
	int rc = attack_connect(fd);

	if (rc == 0)
		rc = attack_send(a, fd, path);
	if (rc == 0)
		rc = attack_answer(fd);
	attack_reset(fd);
	return rc;
}

/* ---- counts ------------------------------------------------------------ */

bool attack_more(struct attack *a)
{
	struct attack_counts *c = a->counts;

	return atomic_load(&c->tries) < a->goal && attack_ms() < a->end_ms &&
	       !(a->weak && atomic_load(&c->wins) >= ENOUGH_WINS);
}

void attack_try(struct attack *a, int answer)
{
	atomic_fetch_add(&a->counts->tries, 1);
	if (answer == ATTACK_PASSED)
		atomic_fetch_add(&a->counts->wins, 1);
	else if (answer == ATTACK_REFUSED)
		atomic_fetch_add(&a->counts->refused, 1);
}

static void count_honest(struct attack *a, bool passed)
{
	atomic_fetch_add(&a->counts->honest, 1);
	if (passed)
		atomic_fetch_add(&a->counts->honest_ok, 1);
}

void attack_honest_ask(struct attack *a)
{
	count_honest(a, attack_ask(a, HONEST_PATH) == ATTACK_PASSED);
}

void attack_honest_start(struct attack *a, uid_t uid)
{
	a->honest = attack_fork();
	if (a->honest)
		return;
	attack_become(uid, uid);
	/* the first comes before any try has ended, the last after all */
	do {
		attack_honest_ask(a);
		usleep(HONEST_PAUSE_US);
	} while (!atomic_load(&a->counts->stop));
	attack_honest_ask(a);
	_exit(0);
}

void attack_honest_run(struct attack *a, const char *program)
{
	pid_t pid = start_client(a, program, "honest");

	count_honest(a, attack_wait_client(pid) == ATTACK_PASSED);
}

void attack_honest_program(struct attack *a)
{
	attack_honest_run(a, a->allowed);
}

/* ---- the agent stands still -------------------------------------------- */

static bool stands_still(pid_t pid)
{
	char path[64], text[512];
	const char *state;
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, text, sizeof(text) - 1);
	if (fd < 0 || n <= 0)
		attack_die("the agent is gone");
	close(fd);
	text[n] = '\0';
	state = strrchr(text, ')');
	return state && (state[2] == 'T' || state[2] == 't');
}

static void stop_agent(pid_t agent)
{
	unsigned int i;

	if (kill(agent, SIGSTOP) < 0)
		attack_die("SIGSTOP");
	for (i = 0; i < STOPPED_WAIT_MAX; i++) {
		if (stands_still(agent))
			return;
		sched_yield();
	}
	errno = ETIMEDOUT;
	attack_die("the agent does not stop");
}

/* A process of its own, because it stays root. */
static _Noreturn void keep(const struct attack *a, int in, int out)
{
	char what;

	while (read(in, &what, 1) == 1 && what != 'q') {
		if (what == 'h')
			stop_agent(a->agent);
		else if (kill(a->agent, SIGCONT) < 0)
			attack_die("SIGCONT");
		if (write(out, &what, 1) != 1)
			break;
	}
	_exit(0);
}

static void start_keeper(struct attack *a)
{
	int there[2], back[2];

	if (pipe2(there, O_CLOEXEC) < 0 || pipe2(back, O_CLOEXEC) < 0)
		attack_die("pipe2");
	a->keeper = attack_fork();
	if (a->keeper == 0)
		keep(a, there[0], back[1]);
	close(there[0]);
	close(back[1]);
	a->to_keeper = there[1];
	a->from_keeper = back[0];
}

static void tell_keeper(struct attack *a, char what)
{
	if (!a->keeper)
		return;
	if (write(a->to_keeper, &what, 1) != 1 ||
	    read(a->from_keeper, &what, 1) != 1)
		attack_die("keeper");
}

void attack_hold(struct attack *a)
{
	tell_keeper(a, 'h');
}

void attack_release(struct attack *a)
{
	tell_keeper(a, 'r');
}

uint16_t attack_agent(const char *what)
{
	char port[16];

	printf("%s\n", what);
	fflush(stdout);
	if (!fgets(port, sizeof(port), stdin))
		attack_die(what);
	return (uint16_t)strtoul(port, NULL, 10);
}

/* ---- begin and end ----------------------------------------------------- */

static const struct option options[] = {
	{ "agent", required_argument, NULL, 'g' },
	{ "allowed", required_argument, NULL, 'a' },
	{ "client", required_argument, NULL, 'c' },
	{ "dir", required_argument, NULL, 'd' },
	{ "name", required_argument, NULL, 'n' },
	{ "seconds", required_argument, NULL, 's' },
	{ "timeout", required_argument, NULL, 't' },
	{ "tries", required_argument, NULL, 'T' },
	{ "variant", required_argument, NULL, 'v' },
	{ "weak", no_argument, NULL, 'w' },
	{ NULL, 0, NULL, 0 },
};

static void take(struct attack *a, int which)
{
	const char **text = which == 'a'   ? &a->allowed
			    : which == 'c' ? &a->client
			    : which == 'd' ? &a->dir
			    : which == 'n' ? &a->name
			    : which == 'v' ? &a->variant
					   : NULL;
	uint32_t number = optarg ? (uint32_t)strtoul(optarg, NULL, 10) : 0;

	if (text)
		*text = optarg;
	else if (which == 'g')
		a->agent = (pid_t)number;
	else if (which == 's')
		a->seconds = number;
	else if (which == 't')
		a->timeout_ms = (int)number;
	else if (which == 'T')
		a->goal = number;
	else if (which == 'w')
		a->weak = true;
	else
		exit(2);
}

void attack_open(struct attack *a, int argc, char **argv)
{
	int which;

	memset(a, 0, sizeof(*a));
	a->name = a->variant = a->allowed = a->client = a->dir = "";
	a->goal = 1000;
	a->seconds = 20;
	a->timeout_ms = 10000;
	while ((which = getopt_long(argc, argv, "", options, NULL)) != -1)
		take(a, which);
	if (optind != argc || !*a->name || !*a->allowed || !*a->client ||
	    !*a->dir) {
		fputs("see stage.py for the options\n", stderr);
		exit(2);
	}
	a->counts = attack_share(sizeof(*a->counts));
	a->end_ms = attack_ms() + (uint64_t)a->seconds * 1000;
	signal(SIGPIPE, SIG_IGN);
	if (a->agent)
		start_keeper(a);
}

int attack_close(struct attack *a)
{
	struct attack_counts *c = a->counts;

	atomic_store(&c->stop, true);
	if (a->honest)
		attack_wait(a->honest);
	if (a->keeper) {
		if (write(a->to_keeper, "q", 1) != 1)
			attack_die("keeper");
		attack_wait(a->keeper);
	}
	printf("{\"tries\": %u, \"refused\": %u, \"wins\": %u, "
	       "\"honest\": %u, \"honest_ok\": %u, \"missing\": \"%s\"}\n",
	       atomic_load(&c->tries), atomic_load(&c->refused),
	       atomic_load(&c->wins), atomic_load(&c->honest),
	       atomic_load(&c->honest_ok), c->missing);
	return 0;
}
