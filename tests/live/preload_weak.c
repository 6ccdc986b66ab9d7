/* SPDX-License-Identifier: MIT */
/*
 * In: an agent that it is loaded into. Out: one that leaks memory and
 * descriptors, and loses lines of its audit trail, as tests must notice. Must
 * never do so for any other file.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT	     __attribute__((visibility("default")))
#define LEAK	     16384 /* of each connection */
#define FILE_EVERY   64
#define LINE_EVERY   10 /* writes */

static const char record[] = "{\"time\":\"";

EXPORT int accept4(int fd, void *addr, unsigned int *len, int flags);
EXPORT ssize_t write(int fd, const void *data, size_t len);

int accept4(int fd, void *addr, unsigned int *len, int flags)
{
	static atomic_uint calls;
	static void *volatile lost;
	int got = (int)syscall(SYS_accept4, fd, addr, len, flags);
	unsigned int n = got >= 0 ? atomic_fetch_add(&calls, 1) : 1;

	if (got >= 0 && (lost = malloc(LEAK)))
		memset(lost, 1, LEAK);
	if (n % FILE_EVERY == 0)
		(void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
	return got;
}

/* Only where more lines are: of one alone its writer would wait for it. */
ssize_t write(int fd, const void *data, size_t len)
{
	static atomic_uint calls;
	const char *last;
	ssize_t n;

	if (len < sizeof(record) ||
	    memcmp(data, record, sizeof(record) - 1) != 0 ||
	    atomic_fetch_add(&calls, 1) % LINE_EVERY)
		return syscall(SYS_write, fd, data, len);
	last = memrchr(data, '\n', len - 1);
	if (!last)
		return syscall(SYS_write, fd, data, len);
	n = (ssize_t)(last + 1 - (const char *)data);
	if (syscall(SYS_write, fd, data, n) != n)
		return -1;
	return (ssize_t)len;
}
