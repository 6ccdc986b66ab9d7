/* SPDX-License-Identifier: MIT */
/*
 * In: the path of a control socket, a word. Out: what the agent says. Must
 * never wait longer than told, take more than there is room for, nor believe
 * somebody who is not trusted.
 */
#include "mspd/ctl/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NOT_TRUSTED "the socket is neither root's nor ours, so it is not asked"

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum ctl_asked say(char why[CTL_CONTROL_WHY], enum ctl_asked asked,
			  const char *words)
{
	snprintf(why, CTL_CONTROL_WHY, "%s", words);
	return asked;
}

static enum ctl_asked say_errno(char why[CTL_CONTROL_WHY])
{
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
	case ECONNREFUSED:
		return say(why, CTL_ASKED_NOBODY, strerror(errno));
	case EACCES:
	case EPERM:
		return say(why, CTL_ASKED_DENIED, strerror(errno));
	case EAGAIN:
		return say(why, CTL_ASKED_FAILED, "lets nobody in");
	case EOWNERDEAD:
		return say(why, CTL_ASKED_FAILED, NOT_TRUSTED);
	default:
		return say(why, CTL_ASKED_FAILED, strerror(errno));
	}
}

static bool trusts(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/* A descriptor of the socket itself, and of no link to one; -1: none that is
 * to be trusted. */
static int find(const char *path)
{
	struct stat st;
	int at = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	int err = ENOTSOCK;

	if (at < 0)
		return -1;
	if (fstat(at, &st) == 0 && S_ISSOCK(st.st_mode)) {
		if (trusts(st.st_uid))
			return at;
		err = EOWNERDEAD; /* said in words below */
	}
	close(at);
	errno = err;
	return -1;
}

/* Through a descriptor: an address has room for 107 bytes. */
static int connect_to(const char *path, int fd)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int at = find(path);
	int rc, err;

	if (at < 0)
		return -1;
	snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d", at);
	rc = connect(fd, (struct sockaddr *)&to, sizeof(to));
	err = errno;
	close(at);
	errno = err;
	return rc;
}

static bool is_trusted(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	       trusts(who.uid);
}

/* False: not in time. */
static bool wait_for(int fd, int64_t end)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left = end - now_ms();
	int rc;

	do
		rc = left > 0 ? poll(&p, 1, (int)left) : 0;
	while (rc < 0 && errno == EINTR);
	return rc > 0;
}

static enum ctl_asked read_answer(struct ctl_text *out, int fd,
				  char why[CTL_CONTROL_WHY])
{
	int64_t end = now_ms() + CTL_CONTROL_MS;
	char piece[4096];
	ssize_t n;

	for (;;) {
		if (!wait_for(fd, end))
			return say(why, CTL_ASKED_FAILED, "no answer in time");
		n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return say_errno(why);
		if (n == 0)
			break;
		ctl_put_bytes(out, piece, (size_t)n);
		if (out->len > CTL_CONTROL_MAX)
			return say(why, CTL_ASKED_FAILED, "too long an answer");
	}
	if (out->len && out->at[out->len - 1] == '\n')
		return CTL_ASKED;
	/* it hangs up on who is not root */
	return say(why,
		   out->len || !geteuid() ? CTL_ASKED_FAILED : CTL_ASKED_DENIED,
		   out->len ? "half an answer" : "no answer");
}

static enum ctl_asked talk(struct ctl_text *out, int fd, const char *word,
			   char why[CTL_CONTROL_WHY])
{
	struct ctl_text line = { 0 };
	ssize_t n;

	if (!is_trusted(fd))
		return say(why, CTL_ASKED_FAILED, NOT_TRUSTED);
	ctl_put(&line, word);
	ctl_put(&line, "\n");
	n = send(fd, line.at, line.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	ctl_text_free(&line);
	/* who hung up at once has left nothing to read */
	if (n < 0 && errno != EPIPE && errno != ECONNRESET)
		return say_errno(why);
	return read_answer(out, fd, why);
}

enum ctl_asked ctl_control_ask(struct ctl_text *out, const char *path,
			       const char *word, char why[CTL_CONTROL_WHY])
{
	const struct timeval patience = { .tv_sec = CTL_CONTROL_MS / 1000 };
	enum ctl_asked asked;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*why = '\0';
	if (fd < 0)
		return say_errno(why);
	/* of connect(), which waits while there are too many */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
		       sizeof(patience)) < 0 ||
	    connect_to(path, fd) < 0)
		asked = say_errno(why);
	else
		asked = talk(out, fd, word, why);
	close(fd);
	return asked;
}
