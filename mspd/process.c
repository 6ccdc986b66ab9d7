/* SPDX-License-Identifier: MIT */
/*
 * In: limits, signals, a key that is pressed. Out: a process that keeps its
 * memory to itself, says how much it is, and knows when to end. Must never wait
 * for a terminal.
 */
#include "mspd/process.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mspd/door.h"
#include "mspd/log.h"

#define MEMORY_MB 20

/* ---- limits ------------------------------------------------------------ */

void mspd_process_fill_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* As many as there may be, and as the connections need. */
static void raise_descriptors(size_t connections)
{
	rlim_t need = mspd_door_descriptors(connections);
	struct rlimit files, more;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	more = (struct rlimit){ need, need };
	if (files.rlim_max < need && setrlimit(RLIMIT_NOFILE, &more) == 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* No core dump may hold the key. */
void mspd_process_harden(size_t connections)
{
	struct rlimit none = { 0, 0 };

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	raise_descriptors(connections);
}

/* Of one file: what nobody has written to. It is read again when it is needed,
 * which most of what starts an agent never is. */
static int forget_pages(struct dl_phdr_info *info, size_t size, void *arg)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	size_t i;

	(void)size;
	(void)arg;
	/* the program has no name here; the kernel's own is no path */
	if (info->dlpi_name[0] && info->dlpi_name[0] != '/')
		return 0;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + part->p_vaddr;
		uintptr_t end = start + part->p_memsz;

		start &= ~(page - 1);
		if (part->p_type == PT_LOAD && !(part->p_flags & PF_W))
			madvise((void *)start, end - start, MADV_DONTNEED);
	}
	return 0;
}

void mspd_process_settle(void)
{
	dl_iterate_phdr(forget_pages, NULL);
}

unsigned int mspd_process_places(unsigned int connections)
{
	struct rlimit files;
	size_t n;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return connections;
	n = mspd_door_places(files.rlim_cur, connections);
	if (n < connections)
		mspd_log(MSPD_WARN,
			 "%llu descriptors are enough for %zu connections "
			 "only, not for %u",
			 (unsigned long long)files.rlim_cur, n, connections);
	return (unsigned int)n;
}

void mspd_process_log_memory(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long now = 0, peak = 0;
	char line[256];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		(void)sscanf(line, "VmHWM: %lu kB", &peak);
		(void)sscanf(line, "VmRSS: %lu kB", &now);
	}
	fclose(f);
	mspd_log(MSPD_INFO,
		 "Current process memory usage: %lu MB, peak: %lu MB",
		 now / 1024, peak / 1024);
	if (now / 1024 > MEMORY_MB)
		mspd_log(MSPD_WARN,
			 "Current process memory usage %lu MB exceeds the "
			 "limit of %d MB.",
			 now / 1024, MEMORY_MB);
}

uint64_t mspd_process_pss(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	unsigned long kib = 0;
	char line[256];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f) &&
	       sscanf(line, "Pss: %lu kB", &kib) != 1)
		;
	fclose(f);
	return (uint64_t)kib * 1024;
}

/* ---- the end ----------------------------------------------------------- */

static void on_signal(void *arg, uint32_t events)
{
	struct mspd_ending *e = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(e->signals.fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		e->asked(e->arg);
}

int mspd_ending_by_signals(struct mspd_ending *ending, struct mspd_loop *loop)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return -EINVAL;
	ending->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (ending->signals.fd < 0)
		return -errno;
	ending->loop = loop;
	ending->signals.call = on_signal;
	ending->signals.arg = ending;
	return mspd_loop_watch(loop, &ending->signals, EPOLLIN);
}

static void on_entered(void *arg)
{
	struct mspd_ending *e = arg;

	mspd_loop_unwatch(e->loop, &e->enter);
	e->asked(e->arg);
}

/* One byte at a time: what follows the line is for whoever reads next. */
static void on_enter(void *arg, uint32_t events)
{
	struct mspd_ending *e = arg;
	ssize_t n;
	char c;

	(void)events;
	n = read(e->enter.fd, &c, 1);
	if (n == 0 || (n == 1 && c == '\n') ||
	    (n < 0 && errno != EINTR && errno != EAGAIN))
		on_entered(e);
}

int mspd_ending_by_enter(struct mspd_ending *ending)
{
	int err;

	ending->enter.fd = STDIN_FILENO;
	ending->enter.call = on_enter;
	ending->enter.arg = ending;
	ending->entered.call = on_entered;
	ending->entered.arg = ending;
	err = mspd_loop_watch(ending->loop, &ending->enter, EPOLLIN);
	if (err != -EPERM)
		return err;
	/* no terminal and no pipe: a file has its line, or its end, at once */
	mspd_loop_timer(ending->loop, &ending->entered, 0);
	return 0;
}

void mspd_ending_close(struct mspd_ending *ending)
{
	if (ending->loop)
		close(ending->signals.fd);
}
