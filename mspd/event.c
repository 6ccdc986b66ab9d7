/* SPDX-License-Identifier: MIT */
/*
 * In: what modules say has happened. Out: a queue of it. Must never grow
 * without a bound, nor make whoever adds wait for a file or the network.
 */
#include "mspd/event.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <msp/msp.h>

#include "mspd/text.h"

static struct {
	pthread_mutex_t lock; /* of all but open */
	atomic_bool open;
	struct mspd_events queue;
	uint64_t dropped;
} the_events = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void set(char *out, size_t size, const char *in)
{
	struct mspd_text text;

	mspd_text_init(&text, out, size);
	mspd_text_clean(&text, in, strlen(in));
}

struct mspd_event *mspd_event_new(enum mspd_event_kind kind, const char *task,
				  const char *operation, const char *message,
				  size_t len)
{
	struct mspd_event *event;
	struct timespec now;

	event = calloc(1, sizeof(*event) + len + 1);
	if (!event)
		return NULL;
	event->kind = kind;
	event->len = len;
	memcpy(event->message, message, len);
	set(event->version, sizeof(event->version), msp_version());
	set(event->task, sizeof(event->task), task);
	set(event->operation, sizeof(event->operation), operation);
	snprintf(event->pid, sizeof(event->pid), "%ld", (long)getpid());
	snprintf(event->tid, sizeof(event->tid), "%08ld", (long)gettid());
	clock_gettime(CLOCK_REALTIME, &now);
	mspd_text_time(event->time, now, ':');
	return event;
}

bool mspd_events_push(struct mspd_events *queue, struct mspd_event *event)
{
	if (queue->n >= MSPD_EVENTS_MAX)
		return false;
	event->next = NULL;
	if (queue->last)
		queue->last->next = event;
	else
		queue->first = event;
	queue->last = event;
	queue->n++;
	return true;
}

struct mspd_event *mspd_events_pop(struct mspd_events *queue)
{
	struct mspd_event *event = queue->first;

	if (!event)
		return NULL;
	queue->first = event->next;
	if (!queue->first)
		queue->last = NULL;
	queue->n--;
	event->next = NULL;
	return event;
}

void mspd_events_clear(struct mspd_events *queue)
{
	struct mspd_event *event;

	while ((event = mspd_events_pop(queue)))
		free(event);
}

/* ---- of the process ---------------------------------------------------- */

void mspd_events_open(void)
{
	atomic_store(&the_events.open, true);
}

void mspd_events_close(void)
{
	pthread_mutex_lock(&the_events.lock);
	atomic_store(&the_events.open, false);
	mspd_events_clear(&the_events.queue);
	the_events.dropped = 0;
	pthread_mutex_unlock(&the_events.lock);
}

bool mspd_events_wanted(void)
{
	return atomic_load(&the_events.open);
}

void mspd_event_add(enum mspd_level level, const char *task,
		    const char *operation, const char *message, size_t len)
{
	struct mspd_event *event;
	bool taken = false;

	if (!mspd_events_wanted())
		return;
	len = mspd_utf8_cut(message, len, MSPD_EVENT_MESSAGE);
	event = mspd_event_new(MSPD_EVENT_GENERIC, task, operation, message,
			       len);
	if (event)
		set(event->level, sizeof(event->level), mspd_level_name(level));
	pthread_mutex_lock(&the_events.lock);
	/* it may have been closed since */
	if (event && mspd_events_wanted())
		taken = mspd_events_push(&the_events.queue, event);
	if (!taken)
		the_events.dropped++;
	pthread_mutex_unlock(&the_events.lock);
	if (!taken)
		free(event);
}

uint64_t mspd_events_take(struct mspd_events *out)
{
	uint64_t dropped;

	pthread_mutex_lock(&the_events.lock);
	while (the_events.queue.first && out->n < MSPD_EVENTS_MAX)
		mspd_events_push(out, mspd_events_pop(&the_events.queue));
	dropped = the_events.dropped;
	the_events.dropped = 0;
	pthread_mutex_unlock(&the_events.lock);
	return dropped;
}

size_t mspd_events_waiting(void)
{
	size_t n;

	pthread_mutex_lock(&the_events.lock);
	n = the_events.queue.n;
	pthread_mutex_unlock(&the_events.lock);
	return n;
}
