/* SPDX-License-Identifier: MIT */
/*
 * In: the file named by MSPTEST_SUSPEND, a number of seconds. Out: clocks as
 * they are after the machine was suspended that long. Must never move the one
 * that stops during suspend.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static const volatile int64_t *seconds;

EXPORT int clock_gettime(clockid_t clock, struct timespec *now);

/* Mapped, so that a change is seen without a system call. */
__attribute__((constructor)) static void open_file(void)
{
	const char *path = getenv("MSPTEST_SUSPEND");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *page;

	if (fd < 0)
		abort();
	page = mmap(NULL, sizeof(*seconds), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (page == MAP_FAILED)
		abort();
	seconds = page;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (syscall(SYS_clock_gettime, clock, now) < 0)
		return -1;
	/* before the constructor, a sanitizer may ask */
	if (seconds && (clock == CLOCK_BOOTTIME || clock == CLOCK_REALTIME ||
			clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += *seconds;
	return 0;
}
