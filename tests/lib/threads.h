/* SPDX-License-Identifier: MIT */
/*
 * threads.h - how many threads a test program has. Included by one file of it.
 */
#ifndef MSP_TEST_THREADS_H
#define MSP_TEST_THREADS_H

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int threads_of_others;

static inline int threads_now(void)
{
	DIR *dir = opendir("/proc/self/task");
	int n = 0;

	if (!dir)
		abort();
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2 - threads_of_others; /* . and .. */
}

static inline void *threads_tell(void *tid)
{
	*(pid_t *)tid = gettid();
	return NULL;
}

/* Call this while there is one: ThreadSanitizer has one too, from the first
 * that is created on. */
static inline void threads_begin(void)
{
	pthread_t thread;
	char path[64];
	pid_t tid;

	threads_of_others = 0;
	if (pthread_create(&thread, NULL, threads_tell, &tid))
		abort();
	pthread_join(thread, NULL);
	/* it is seen a little longer than that */
	snprintf(path, sizeof(path), "/proc/self/task/%d", (int)tid);
	while (access(path, F_OK) == 0)
		usleep(100);
	threads_of_others = threads_now() - 1;
}

#endif
