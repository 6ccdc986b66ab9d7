/* SPDX-License-Identifier: MIT */
/*
 * In: events that found no room, and files of them. Out: files, and events
 * (spec 9.1). Must never write a secret, believe a file that another user
 * could have written, nor hold more of one than its limit.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <yajl/yajl_parse.h>

#include "mspd/file.h"
#include "mspd/log.h"
#include "mspd/redact.h"
#include "mspd/telemetry_priv.h"
#include "mspd/text.h"

#define FILE_MAX   (6 * 1024 * 1024)
#define NAME_BYTES 64
#define PREFIX	   "extension_"
#define JSON_DEPTH 3

/* ---- names ------------------------------------------------------------- */

/* [prefix]DIGITS.json (spec 9.1) */
static bool is_name(const char *name, enum mspd_event_kind kind)
{
	size_t n;

	if (kind == MSPD_EVENT_REPORTED) {
		if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
			return false;
		name += strlen(PREFIX);
	}
	n = strspn(name, "0123456789");
	return n && n < NAME_BYTES / 2 && strcmp(name + n, ".json") == 0;
}

static bool is_older(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	return n != m ? n < m : strcmp(a, b) < 0;
}

/* What has the name of one and is a directory cannot be removed, and would be
 * the oldest for ever. */
static bool is_directory(DIR *dir, const char *name)
{
	struct stat st;

	return fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

/* How many there are; @oldest gets its name, "" if there is none. */
static size_t count_files(const char *dir, enum mspd_event_kind kind,
			  char oldest[NAME_BYTES])
{
	DIR *files = opendir(dir);
	struct dirent *entry;
	size_t n = 0;

	oldest[0] = '\0';
	while (files && (entry = readdir(files))) {
		if (!is_name(entry->d_name, kind) ||
		    is_directory(files, entry->d_name))
			continue;
		n++;
		if (!oldest[0] || is_older(entry->d_name, oldest))
			snprintf(oldest, NAME_BYTES, "%.*s", NAME_BYTES - 1,
				 entry->d_name);
	}
	if (files)
		closedir(files);
	return n;
}

/* ---- writing ----------------------------------------------------------- */

static void put_pair(struct mspd_text *out, const char *name, const char *value,
		     const char *end)
{
	mspd_text_put(out, "\"");
	mspd_text_put(out, name);
	mspd_text_put(out, "\":");
	mspd_text_json(out, value, SIZE_MAX);
	mspd_text_put(out, end);
}

static void put_word(struct mspd_text *out, const char *name, const char *word)
{
	mspd_text_put(out, "\"");
	mspd_text_put(out, name);
	mspd_text_put(out, "\":");
	mspd_text_put(out, word);
	mspd_text_put(out, ",");
}

/* Without secrets: a file is read by more people than the host. */
static void put_message(struct mspd_text *out, const char *name,
			const struct mspd_event *event, const char *end)
{
	size_t size = 3 * event->len + 64;
	char *redacted = malloc(size);
	struct mspd_text text;

	if (redacted) {
		mspd_text_init(&text, redacted, size);
		mspd_redact_to(&text, event->message, event->len, event->len);
	}
	put_pair(out, name, redacted ? redacted : "", end);
	free(redacted);
}

static void put_generic(struct mspd_text *out, const struct mspd_event *event)
{
	mspd_text_put(out, "{");
	put_pair(out, "EventLevel", event->level, ",");
	put_message(out, "Message", event, ",");
	put_pair(out, "Version", event->version, ",");
	put_pair(out, "TaskName", event->task, ",");
	put_pair(out, "EventPid", event->pid, ",");
	put_pair(out, "EventTid", event->tid, ",");
	put_pair(out, "OperationId", event->operation, ",");
	put_pair(out, "TimeStamp", event->time, "}");
}

static void put_report(struct mspd_text *out, const struct mspd_event *event)
{
	mspd_text_put(out, "{\"extension\":{");
	put_pair(out, "name", event->name, ",");
	put_pair(out, "version", event->version, ",");
	put_word(out, "is_internal", event->internal ? "true" : "false");
	put_pair(out, "extension_type", event->type,
		 "},\"operation_status\":{");
	put_word(out, "operation_success", event->success ? "true" : "false");
	put_pair(out, "operation", event->operation, ",");
	put_pair(out, "task_name", event->task, ",");
	put_message(out, "message", event, ",\"duration\":");
	mspd_text_number(out, event->duration);
	mspd_text_put(out, "},");
	put_pair(out, "event_pid", event->pid, ",");
	put_pair(out, "event_tid", event->tid, ",");
	put_pair(out, "time_stamp", event->time, "}");
}

static bool write_file(const char *dir, enum mspd_event_kind kind, uint32_t max,
		       const struct mspd_text *text)
{
	char name[NAME_BYTES];
	struct timespec now;
	int err;

	if (count_files(dir, kind, name) >= max) {
		mspd_log(MSPD_WARN,
			 "%s holds %lu files of events: the next "
			 "are dropped",
			 dir, (unsigned long)max);
		return false;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, sizeof(name), "%s%lld%09ld.json",
		 kind == MSPD_EVENT_REPORTED ? PREFIX : "",
		 (long long)now.tv_sec, now.tv_nsec);
	err = mspd_file_write(dir, name, 0600, text->at, text->len);
	if (err < 0)
		mspd_log(MSPD_WARN, "cannot keep events in %s: %s", dir,
			 strerrordesc_np(-err));
	return err == 0;
}

/* All of the queue but the reports, which are @rest afterwards. Returns how
 * many are not in @out. */
static size_t put_array(struct mspd_text *out, struct mspd_events *queue,
			struct mspd_events *rest)
{
	struct mspd_event *event;
	const char *before = "[";
	size_t dropped = 0;

	while ((event = mspd_events_pop(queue))) {
		if (event->kind == MSPD_EVENT_REPORTED) {
			mspd_events_push(rest, event);
			continue;
		}
		/* of the longest one, and its end, each byte may be escaped */
		if (out->size - out->len > 6 * (3 * event->len + 512) + 1024) {
			mspd_text_put(out, before);
			before = ",";
			put_generic(out, event);
		} else {
			dropped++;
		}
		free(event);
	}
	if (out->len)
		mspd_text_put(out, "]");
	return dropped;
}

size_t mspd_event_files_write(const char *dir, uint32_t max,
			      struct mspd_events *queue)
{
	struct mspd_events reports = { NULL, NULL, 0 };
	char *buffer = dir[0] && queue->n ? malloc(FILE_MAX) : NULL;
	size_t dropped = queue->n;
	struct mspd_event *event;
	struct mspd_text text;
	size_t generic;

	if (!buffer || mspd_dir_make(dir, 0700) < 0)
		goto out;
	generic = queue->n;
	mspd_text_init(&text, buffer, FILE_MAX);
	dropped = put_array(&text, queue, &reports);
	generic -= dropped + reports.n;
	if (text.len && !write_file(dir, MSPD_EVENT_GENERIC, max, &text))
		dropped += generic;
	while ((event = mspd_events_pop(&reports))) {
		mspd_text_init(&text, buffer, FILE_MAX);
		put_report(&text, event);
		if (!write_file(dir, MSPD_EVENT_REPORTED, MSPD_REPORT_FILES,
				&text))
			dropped++;
		free(event);
	}
out:
	mspd_events_clear(queue);
	free(buffer);
	return dropped;
}

/* ---- reading ----------------------------------------------------------- */

struct reader {
	struct mspd_events *out;
	size_t dropped; /* events that could not be kept */
	enum mspd_event_kind kind;
	unsigned int depth;
	unsigned int maps;	  /* open ones */
	struct mspd_event *draft; /* owned; of the open map */
	char *message;		  /* of the draft; owned */
	size_t message_len;
	char name[32];
};

static void drop_draft(struct reader *r)
{
	free(r->message);
	free(r->draft);
	r->draft = NULL;
	r->message = NULL;
	r->message_len = 0;
}

static int on_open_map(void *ctx)
{
	struct reader *r = ctx;

	if (r->maps++ == 0) {
		drop_draft(r);
		r->draft = calloc(1, sizeof(*r->draft));
	}
	return r->draft && ++r->depth <= JSON_DEPTH;
}

/* What has no message or time is no event. */
static void keep_draft(struct reader *r)
{
	struct mspd_event *event;

	if (!r->message || !r->draft->time[0])
		return;
	event = realloc(r->draft, sizeof(*event) + r->message_len + 1);
	if (!event) {
		r->dropped++;
		return;
	}
	r->draft = NULL;
	event->kind = r->kind;
	event->len = r->message_len;
	memcpy(event->message, r->message, event->len);
	event->message[event->len] = '\0';
	if (!mspd_events_push(r->out, event)) {
		r->dropped++;
		free(event);
	}
}

static int on_close_map(void *ctx)
{
	struct reader *r = ctx;

	r->depth--;
	if (--r->maps == 0) {
		keep_draft(r);
		drop_draft(r);
	}
	return 1;
}

static int on_open_array(void *ctx)
{
	struct reader *r = ctx;

	return ++r->depth <= JSON_DEPTH;
}

static int on_close_array(void *ctx)
{
	struct reader *r = ctx;

	r->depth--;
	return 1;
}

static int on_name(void *ctx, const unsigned char *at, size_t len)
{
	struct reader *r = ctx;

	r->name[0] = '\0';
	if (len < sizeof(r->name)) {
		memcpy(r->name, at, len);
		r->name[len] = '\0';
	}
	return 1;
}

static bool take_message(struct reader *r, const char *at, size_t len)
{
	size_t max = r->kind == MSPD_EVENT_GENERIC ? MSPD_EVENT_MESSAGE
						   : MSPD_EVENT_REPORT;

	free(r->message);
	r->message_len = mspd_utf8_cut(at, len, max);
	r->message = malloc(r->message_len + 1);
	if (!r->message)
		return false;
	memcpy(r->message, at, r->message_len);
	return true;
}

/* Numbers must be some: they go where the host expects one. */
static bool is_number(const char *at, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (at[i] < '0' || at[i] > '9')
			return false;
	return len > 0;
}

static int on_string(void *ctx, const unsigned char *bytes, size_t len)
{
	static const struct {
		const char *names[2]; /* by kind */
		size_t offset;
		size_t size;
		bool number;
	} members[] = {
#define MEMBER(generic, report, member, number)                                \
	{ { generic, report },                                                 \
	  offsetof(struct mspd_event, member),                                 \
	  sizeof(((struct mspd_event *)NULL)->member),                         \
	  number }
		MEMBER("EventLevel", NULL, level, false),
		MEMBER("Version", "version", version, false),
		MEMBER("TaskName", "task_name", task, false),
		MEMBER("OperationId", "operation", operation, false),
		MEMBER("EventPid", "event_pid", pid, true),
		MEMBER("EventTid", "event_tid", tid, true),
		MEMBER("TimeStamp", "time_stamp", time, false),
		MEMBER(NULL, "name", name, false),
		MEMBER(NULL, "extension_type", type, false),
#undef MEMBER
	};
	struct reader *r = ctx;
	const char *at = (const char *)bytes;
	struct mspd_text text;
	size_t i;

	if (!r->draft) /* in no event, whatever name came last */
		return 1;
	if (strcmp(r->name,
		   r->kind == MSPD_EVENT_GENERIC ? "Message" : "message") == 0)
		return take_message(r, at, len);
	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const char *name = members[i].names[r->kind];

		if (!name || strcmp(r->name, name) != 0)
			continue;
		if (members[i].number && !is_number(at, len)) {
			at = "0";
			len = 1;
		}
		mspd_text_init(&text, (char *)r->draft + members[i].offset,
			       members[i].size);
		mspd_text_clean(&text, at, len);
	}
	return 1;
}

static int on_boolean(void *ctx, int value)
{
	struct reader *r = ctx;

	if (!r->draft)
		return 1;
	if (strcmp(r->name, "is_internal") == 0)
		r->draft->internal = value;
	else if (strcmp(r->name, "operation_success") == 0)
		r->draft->success = value;
	return 1;
}

static int on_number(void *ctx, const char *at, size_t len)
{
	struct reader *r = ctx;

	if (r->draft && strcmp(r->name, "duration") == 0 &&
	    is_number(at, len) && len < 19)
		r->draft->duration = strtoull(at, NULL, 10);
	return 1;
}

/* Returns how many events are lost. */
static size_t parse(const char *data, size_t len, enum mspd_event_kind kind,
		    struct mspd_events *out)
{
	static const yajl_callbacks callbacks = {
		.yajl_start_map = on_open_map,
		.yajl_end_map = on_close_map,
		.yajl_start_array = on_open_array,
		.yajl_end_array = on_close_array,
		.yajl_map_key = on_name,
		.yajl_string = on_string,
		.yajl_boolean = on_boolean,
		.yajl_number = on_number,
	};
	struct reader r = { .out = out, .kind = kind };
	yajl_handle parser = yajl_alloc(&callbacks, NULL, &r);

	if (!parser)
		return 1;
	/* What came before a fault is as good as it was; how many would have
	 * come after it nobody can say. */
	if (yajl_parse(parser, (const unsigned char *)data, len) !=
		    yajl_status_ok ||
	    yajl_complete_parse(parser) != yajl_status_ok)
		r.dropped++;
	yajl_free(parser);
	drop_draft(&r);
	return r.dropped;
}

/* Malloc'ed content, NULL if it is none of ours. */
static char *read_file(int dir, const char *name, size_t *len)
{
	int fd = openat(dir, name,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char *data = NULL;
	struct stat st;
	ssize_t n;

	*len = 0;
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_uid == geteuid() && !(st.st_mode & 022) && st.st_size > 0 &&
	    st.st_size <= FILE_MAX)
		data = malloc((size_t)st.st_size);
	while (data && *len < (size_t)st.st_size) {
		n = read(fd, data + *len, (size_t)st.st_size - *len);
		if (n <= 0)
			break;
		*len += (size_t)n;
	}
	close(fd);
	return data;
}

/* Generic ones go the other way round (spec 9.1). Returns how many found no
 * room. */
static size_t pass_on(struct mspd_events *from, struct mspd_events *to,
		      bool reverse)
{
	struct mspd_events turned = { NULL, NULL, 0 };
	struct mspd_event *event;
	size_t dropped = 0;

	while (reverse && (event = mspd_events_pop(from))) {
		event->next = turned.first;
		turned.first = event;
		if (!turned.last)
			turned.last = event;
		turned.n++;
	}
	if (reverse)
		*from = turned;
	while ((event = mspd_events_pop(from))) {
		if (mspd_events_push(to, event))
			continue;
		free(event);
		dropped++;
	}
	return dropped;
}

bool mspd_event_files_read(const char *dir, enum mspd_event_kind kind,
			   struct mspd_events *out, size_t *dropped)
{
	struct mspd_events found = { NULL, NULL, 0 };
	char name[NAME_BYTES] = "";
	bool removed;
	char *data;
	size_t len;
	int fd;

	*dropped = 0;
	if (!dir[0] || !count_files(dir, kind, name))
		return false;
	fd = open(dir, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	if (fd < 0)
		return false;
	data = read_file(fd, name, &len);
	/* first: what cannot be removed would be sent again and again */
	removed = unlinkat(fd, name, 0) == 0;
	close(fd);
	if (data && removed) {
		*dropped = parse(data, len, kind, &found);
		*dropped += pass_on(&found, out, kind == MSPD_EVENT_GENERIC);
	} else if (!data) {
		*dropped = removed ? 1 : 0;
		mspd_log(MSPD_WARN,
			 "%s/%s is not sent: it is empty, too long or could "
			 "be written by others",
			 dir, name);
	}
	free(data);
	return removed;
}
