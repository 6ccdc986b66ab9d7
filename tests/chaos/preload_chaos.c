/* SPDX-License-Identifier: MIT */
/*
 * In: the file named by MSPTEST_CHAOS, two numbers that may change. Out: a
 * wall clock that is off by the first, in seconds, and files that take the
 * second, in milliseconds, for each write, fsync and rename. Must never move a
 * clock that only counts.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

struct page {
	int64_t shift_s;
	int64_t slow_ms;
};

static const volatile struct page *page;

/* Those of the C library, which ask the kernel only where they must. */
static int (*real_gettime)(clockid_t clock, struct timespec *now);

EXPORT int clock_gettime(clockid_t clock, struct timespec *now);
EXPORT time_t time(time_t *out);
EXPORT int gettimeofday(struct timeval *now, void *zone);
EXPORT ssize_t write(int fd, const void *data, size_t len);
EXPORT int fsync(int fd);
EXPORT int fdatasync(int fd);
EXPORT int rename(const char *from, const char *to);
EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to);

/* Mapped, so that a change is seen without a system call. */
__attribute__((constructor)) static void open_file(void)
{
	const char *path = getenv("MSPTEST_CHAOS");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at = MAP_FAILED;

	*(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	if (fd >= 0) {
		at = mmap(NULL, sizeof(*page), PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (at == MAP_FAILED || !real_gettime)
		abort();
	page = at;
}

static int ask(clockid_t clock, struct timespec *now)
{
	if (!real_gettime)
		return (int)syscall(SYS_clock_gettime, clock, now);
	return real_gettime(clock, now);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (ask(clock, now) < 0)
		return -1;
	if (page && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += page->shift_s;
	return 0;
}

time_t time(time_t *out)
{
	struct timespec now = { 0, 0 };

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *now, void *zone)
{
	struct timespec exact = { 0, 0 };

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &exact);
	now->tv_sec = exact.tv_sec;
	now->tv_usec = exact.tv_nsec / 1000;
	return 0;
}

/* ---- slow files -------------------------------------------------------- */

static void wait_for_disk(void)
{
	if (page && page->slow_ms > 0)
		poll(NULL, 0, (int)page->slow_ms);
}

static int is_file(int fd)
{
	struct stat st;

	return page && page->slow_ms > 0 && fstat(fd, &st) == 0 &&
	       (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

ssize_t write(int fd, const void *data, size_t len)
{
	if (is_file(fd))
		wait_for_disk();
	return syscall(SYS_write, fd, data, len);
}

int fsync(int fd)
{
	if (is_file(fd))
		wait_for_disk();
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	if (is_file(fd))
		wait_for_disk();
	return (int)syscall(SYS_fdatasync, fd);
}

int rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	wait_for_disk();
	return (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
}
