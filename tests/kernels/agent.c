/* SPDX-License-Identifier: MIT */
/*
 * In: the agent, the host it is tried with, and clients, as they are
 * installed. Out: whether clients are redirected, told apart, signed for and
 * answered. Must never take the agent's word where the host has one.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/kernels/guest.h"

#define OTHER_CLIENT "/tmp/client" /* a copy, which no rule names */
#define HOST_OUT     "/tmp/host.out"
#define HOST_LOG     "/tmp/host.log"
#define AGENT_OUT    "/tmp/mspd.out"
#define AGENT_LOG    "/tmp/mspd/log/ProxyAgent.log"
#define AGENT_AUDIT  "/tmp/mspd/log/audit.jsonl"
#define IMDS	     "169.254.169.254"
#define WIRESERVER   "168.63.129.16"
#define TEXT_MAX     (1 << 20)
#define FETCH_BROKEN 99

struct question {
	const char *who;
	const char *program;
	uid_t uid;
	const char *user;
	int status;
	const char *verdict; /* of the host; NULL: it is not asked */
	bool audited;	     /* the agent has it in its log */
};

/* A client that has asked, and when it did so. */
struct asked {
	pid_t pid;
	int status; /* of HTTP; 0: no answer */
	char target[64];
};

static const struct question before = {
	"before there is an agent", CLIENT, 0, "root", 200, "unsigned", false
};
static const struct question questions[] = {
	{ "root", CLIENT, 0, "root", 200, "verified", true },
	{ "a user with a role", CLIENT, 1, "daemon", 200, "verified", true },
	{ "that user with another program", OTHER_CLIENT, 1, "daemon", 403,
	  NULL, true },
	{ "another user", CLIENT, 65534, "nobody", 403, NULL, true },
};
static const struct question after = {
	"when the agent has gone", CLIENT, 0, "root", 401, "unsigned", false
};

/* fetch TARGET, as any client would; exits with the status in tens */
int fetch_main(int argc, char **argv)
{
	struct timeval limit = { .tv_sec = WAIT_SECONDS };
	struct sockaddr_in to = { .sin_family = AF_INET };
	char text[512];
	int fd, len, status;
	ssize_t n;

	if (argc != 2)
		return FETCH_BROKEN;
	to.sin_addr.s_addr = htonl(0xa9fea9fe); /* IMDS */
	to.sin_port = htons(80);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return FETCH_BROKEN;
	len = snprintf(text, sizeof(text),
		       "GET %s HTTP/1.1\r\nHost: " IMDS "\r\n"
		       "Metadata: true\r\nConnection: close\r\n\r\n",
		       argv[1]);
	if (send(fd, text, (size_t)len, MSG_NOSIGNAL) != len)
		return FETCH_BROKEN;
	n = recv(fd, text, sizeof(text) - 1, MSG_WAITALL);
	if (n <= 0)
		return FETCH_BROKEN;
	text[n] = '\0';
	if (sscanf(text, "HTTP/1.1 %d ", &status) != 1 || status < 100 ||
	    status > 599)
		return FETCH_BROKEN;
	/* 200 -> 20, 401 -> 41, 403 -> 43: what does not fit is not needed */
	return status / 100 * 10 + status % 10;
}

static int status_of(int code)
{
	if (code == FETCH_BROKEN || code < 10 || code > 59)
		return 0;
	return code / 10 * 100 + code % 10;
}

static int wait_exit(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A program with nothing but its output, which goes to a file. */
static pid_t start(const char *out, const char *const argv[])
{
	char *none[] = { NULL };
	pid_t pid = fork();
	int fd;

	if (pid != 0)
		return pid;
	fd = open(out, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
	    dup2(fd, STDERR_FILENO) < 0)
		_exit(FETCH_BROKEN);
	close(fd);
	close(STDIN_FILENO);
	if (open("/dev/null", O_RDONLY) != STDIN_FILENO)
		_exit(FETCH_BROKEN);
	execve(argv[0], (char *const *)argv, none);
	_exit(FETCH_BROKEN);
}

static bool file_has(const char *path, const char *text)
{
	static char content[TEXT_MAX];

	return read_file(path, content, sizeof(content)) == 0 &&
	       strstr(content, text) != NULL;
}

static bool wait_for_text(const char *path, const char *text)
{
	int i;

	for (i = 0; i < 10 * WAIT_SECONDS; i++) {
		if (file_has(path, text))
			return true;
		usleep(100 * 1000);
	}
	return false;
}

/* Each asks for something else, so that the logs can be searched for it. */
static struct asked ask(const struct question *q)
{
	static unsigned int number;
	struct asked asked = { 0 };

	snprintf(asked.target, sizeof(asked.target),
		 "/metadata/instance?api-version=2021-02-01&n=%u", ++number);
	asked.pid = fork();
	if (asked.pid == 0) {
		char *argv[] = { (char *)"fetch", asked.target, NULL };
		char *none[] = { NULL };

		if (setgroups(0, NULL) == 0 &&
		    setresgid(q->uid, q->uid, q->uid) == 0 &&
		    setresuid(q->uid, q->uid, q->uid) == 0)
			execve(q->program, argv, none);
		_exit(FETCH_BROKEN);
	}
	if (asked.pid > 0)
		asked.status = status_of(wait_exit(asked.pid));
	return asked;
}

/* The host has put it into its log before it answered. */
static bool host_says(const struct asked *asked, const char *verdict)
{
	char line[128];

	snprintf(line, sizeof(line), "\"GET %s\" %d %s\n", asked->target,
		 asked->status, verdict ? verdict : "");
	if (verdict)
		return file_has(HOST_LOG, line);
	return !file_has(HOST_LOG, asked->target);
}

/* As the agent wrote it, a little later. */
static bool agent_knows(const struct question *q, const struct asked *asked)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "\"uid\":%u,\"user\":\"%s\",\"pid\":%d,\"exe\":\"%s\",",
		 q->uid, q->user, asked->pid, q->program);
	return wait_for_text(AGENT_AUDIT, text);
}

static void check_question(const struct question *q)
{
	struct asked asked = ask(q);

	check(asked.status == q->status, "%s: answer %d", q->who, asked.status);
	check(host_says(&asked, q->verdict), "%s: the host has it %s", q->who,
	      q->verdict ? q->verdict : "not");
	if (q->audited)
		check(agent_knows(q, &asked), "%s: is known as %s, %s", q->who,
		      q->user, q->program);
}

/* Once a key is attested, the channel is proved and its rules are there. */
static bool wait_for_agent(void)
{
	int i;

	if (!wait_for_text(HOST_LOG, "key-attestation\" 200 verified"))
		return false;
	for (i = 0; i < WAIT_SECONDS; i++) {
		struct asked asked = ask(&questions[0]);

		if (host_says(&asked, "verified"))
			return true;
		usleep(500 * 1000);
	}
	return false;
}

static pid_t start_host(void)
{
	static const char *const argv[] = { "/usr/bin/msp-host",
					    "--wireserver",
					    WIRESERVER ":80",
					    "--hostga",
					    WIRESERVER ":32526",
					    "--imds",
					    IMDS ":80",
					    "--control",
					    "127.0.0.1:3081",
					    "--profile",
					    "imds=/etc/imds.json",
					    "--mode",
					    "wireserver=Enforce",
					    "--log",
					    HOST_LOG,
					    NULL };

	return start(HOST_OUT, argv);
}

static pid_t start_agent(void)
{
	static const char *const argv[] = { "/usr/sbin/mspd", "--foreground",
					    "--config", "/etc/mspd.json",
					    NULL };

	return start(AGENT_OUT, argv);
}

static void stop(pid_t pid, const char *what)
{
	if (pid <= 0)
		return;
	kill(pid, SIGTERM);
	check(wait_exit(pid) == 0, "%s ends when it is told to", what);
}

static void show(const char *path)
{
	static char text[TEXT_MAX];
	size_t len;

	if (read_file(path, text, sizeof(text)) < 0)
		return;
	len = strlen(text);
	printf("--- %s\n%s\n", path, text + (len > 6000 ? len - 6000 : 0));
}

void check_agent(void)
{
	pid_t host = start_host();
	pid_t agent = 0;
	size_t i;

	check(wait_for_text(HOST_OUT, "msp-host: ready"), "the host is ready");
	check_question(&before);
	agent = start_agent();
	if (wait_for_agent()) {
		for (i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
			check_question(&questions[i]);
		check_attached(1, "the agent's");
	} else {
		check(false, "the agent signs");
	}
	stop(agent, "the agent");
	check_attached(0, "afterwards");
	check_unloaded("afterwards");
	check_question(&after);
	stop(host, "the host");
	if (!all_well()) {
		show(HOST_OUT);
		show(HOST_LOG);
		show(AGENT_OUT);
		show(AGENT_LOG);
		show(AGENT_AUDIT);
	}
}
