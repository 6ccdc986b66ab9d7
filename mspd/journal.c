/* SPDX-License-Identifier: MIT */
/*
 * In: messages. Out: datagrams with fields, as the journal reads them. Must
 * never let a message become a field, nor wait for the journal.
 */
#include "mspd/journal.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "mspd/text.h"

#define FIELDS 512

bool mspd_journal_behind(int fd, const char *stream)
{
	char expected[64];
	struct stat st;

	if (!stream || fstat(fd, &st) < 0)
		return false;
	snprintf(expected, sizeof(expected), "%ju:%ju", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	return strcmp(stream, expected) == 0;
}

int mspd_journal_open(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int rc;
	int fd;

	if (!path)
		path = MSPD_JOURNAL_SOCKET;
	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* As syslog(3) counts them. */
static int priority(enum mspd_level level)
{
	static const int of[] = { 3, 4, 6, 7, 7 };

	return (unsigned int)level > MSPD_TRACE ? 7 : of[level];
}

static size_t put_fields(char out[FIELDS], enum mspd_level level,
			 const struct mspd_code *place)
{
	struct mspd_text text;
	char line[128];

	mspd_text_init(&text, out, FIELDS);
	snprintf(line, sizeof(line), "PRIORITY=%d\nSYSLOG_IDENTIFIER=%.64s\n",
		 priority(level), program_invocation_short_name);
	mspd_text_put(&text, line);
	if (place) {
		snprintf(line, sizeof(line), "CODE_FILE=%.100s\n", place->file);
		mspd_text_put(&text, line);
		snprintf(line, sizeof(line), "CODE_LINE=%d\nCODE_FUNC=%.80s\n",
			 place->line, place->function);
		mspd_text_put(&text, line);
	}
	/* with its length in front, a text may hold anything */
	mspd_text_put(&text, "MESSAGE\n");
	return text.len;
}

int mspd_journal_send(int fd, enum mspd_level level,
		      const struct mspd_code *place, const char *text,
		      size_t len)
{
	char fields[FIELDS];
	uint64_t size;
	struct iovec parts[] = {
		{ fields, put_fields(fields, level, place) },
		{ &size, sizeof(size) },
		{ (void *)text, 0 },
		{ (void *)"\n", 1 },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 4 };

	len = mspd_utf8_cut(text, len, MSPD_JOURNAL_MESSAGE);
	parts[2].iov_len = len;
	size = htole64(len);
	if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return errno == EWOULDBLOCK || errno == ENOBUFS ? -EAGAIN
								: -errno;
	return 0;
}
