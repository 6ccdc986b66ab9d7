/* SPDX-License-Identifier: MIT */
/*
 * In: what has become ready, notifications, the time. Out: whether and when
 * provisioning has finished, two tags, one line on the console. Must never
 * say "finished" of the key to somebody who asked about a later time, nor let
 * anybody but root undo it.
 */
#include "mspd/provision.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "mspd/file.h"
#include "mspd/log.h"
#include "mspd/text.h"

#define STATE_TAG "status.tag"
#define TIME_TAG  "provisioned.tag"
/* "&quot;" stands for one byte, "\u009b" for two. */
#define ESCAPED_MAX (6 * MSPD_PROVISION_ERROR)
#define MESSAGE_MAX 1100
/* Who has it reset waits for as long, and is to hear how it went. */
#define HEARD_MS 500
_Static_assert(3 * (MESSAGE_MAX + 32) < MSPD_PROVISION_ERROR,
	       "a line for each module");

struct mspd_provision {
	struct mspd_provision_opts opts;
	int wake_fd;

	pthread_mutex_t lock; /* of all below; held for no system call */
	unsigned int flags;   /* enum mspd_provision_flag */
	uint64_t finished_ns; /* since 1970; 0: not finished */
	uint64_t until_ms;    /* MSP_NEVER: finished, well or not */
	bool said;	      /* that it has finished well */
	bool enabled;	      /* the host wants a channel */
	unsigned int notices;
	bool hastened;	      /* ever, by a user who is not root */
	uint64_t hastened_ms; /* when last */
};

static void lock(struct mspd_provision *p)
{
	pthread_mutex_lock(&p->lock);
}

static void unlock(struct mspd_provision *p)
{
	pthread_mutex_unlock(&p->lock);
}

/* ---- life -------------------------------------------------------------- */

int mspd_provision_new(struct mspd_provision **out,
		       const struct mspd_provision_opts *opts, uint64_t now_ms)
{
	struct mspd_provision *p = calloc(1, sizeof(*p));
	int err;

	*out = NULL;
	if (!p)
		return -ENOMEM;
	p->opts = *opts;
	p->until_ms = now_ms + opts->timeout_ms;
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->wake_fd < 0) {
		err = -errno;
		free(p);
		return err;
	}
	pthread_mutex_init(&p->lock, NULL);
	*out = p;
	return 0;
}

void mspd_provision_free(struct mspd_provision *provision)
{
	if (!provision)
		return;
	pthread_mutex_destroy(&provision->lock);
	close(provision->wake_fd);
	free(provision);
}

/* ---- what is not ready (spec 3.5) -------------------------------------- */

static void tell_error(const struct mspd_provision *p, unsigned int flags,
		       char out[MSPD_PROVISION_ERROR])
{
	static const struct {
		enum mspd_provision_flag flag;
		enum mspd_module module;
		const char *name;
	} parts[] = {
		{ MSPD_PROVISION_REDIRECTOR, MSPD_MODULE_REDIRECTOR,
		  "ebpfProgramStatus" },
		{ MSPD_PROVISION_KEY, MSPD_MODULE_KEY_KEEPER,
		  "keyLatchStatus" },
		{ MSPD_PROVISION_LISTENER, MSPD_MODULE_LISTENER,
		  "proxyListenerStatus" },
	};
	char message[MESSAGE_MAX];
	size_t len = 0;
	size_t i;

	out[0] = '\0';
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (flags & parts[i].flag)
			continue;
		mspd_status_message(p->opts.status, parts[i].module, message,
				    sizeof(message));
		len += (size_t)snprintf(out + len, MSPD_PROVISION_ERROR - len,
					"%s - %s\r\n", parts[i].name, message);
	}
}

/* ---- tags (spec 3.5) --------------------------------------------------- */

/* The five of XML, and what would drive a terminal as in a line of the log:
 * whoever looks at it has nothing that reads XML. */
static size_t escape(char out[ESCAPED_MAX], const char *in)
{
	size_t left = strlen(in), n;
	struct mspd_text text;
	const char *entity;

	mspd_text_init(&text, out, ESCAPED_MAX);
	for (; left; in += n, left -= n) {
		n = mspd_utf8_step(in, left);
		if (!n)
			n = 1; /* of no character */
		entity = mspd_xml_entity(*in);
		if (entity)
			mspd_text_put(&text, entity);
		else if (strchr("\r\n\t", *in))
			mspd_text_clean(&text, in, n);
		else
			mspd_text_line(&text, in, n);
	}
	return text.len;
}

static void write_tag(const struct mspd_provision *p, const char *name,
		      const char *text, size_t len)
{
	int err = mspd_file_write(p->opts.tag_dir, name, 0600, text, len);

	if (err < 0)
		mspd_log(MSPD_ERROR, "cannot write %s in %s: %s", name,
			 p->opts.tag_dir, strerror(-err));
}

/* The one whose presence means "finished" comes last. */
static void write_tags(const struct mspd_provision *p, uint64_t finished_ns,
		       const char *error)
{
	const struct timespec when = {
		.tv_sec = (time_t)(finished_ns / 1000000000),
		.tv_nsec = (long)(finished_ns % 1000000000),
	};
	char stamp[MSPD_TEXT_TIME];
	char text[ESCAPED_MAX];

	mspd_text_time(stamp, when, ':');
	write_tag(p, TIME_TAG, stamp, strlen(stamp));
	write_tag(p, STATE_TAG, text, escape(text, error));
}

/* ---- the keeper's side ------------------------------------------------- */

static uint64_t wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void tell_end(const struct mspd_provision *p, enum mspd_level level,
		     const char *text)
{
	mspd_console_say(p->opts.console, text);
	for (; *text; text += strspn(text, "\r\n")) {
		int len = (int)strcspn(text, "\r\n");

		mspd_log(level, "%.*s", len, text);
		text += len;
	}
}

void mspd_provision_ready(struct mspd_provision *provision,
			  enum mspd_provision_flag flag)
{
	struct mspd_provision *p = provision;
	uint64_t now = wall_ns();
	bool all, said;

	lock(p);
	p->flags |= flag;
	all = p->flags == MSPD_PROVISION_ALL;
	said = p->said;
	if (all) {
		p->finished_ns = now;
		p->until_ms = MSP_NEVER;
		p->said = true;
	}
	unlock(p);
	if (!all)
		return;
	write_tags(p, now, "");
	if (!said)
		tell_end(p, MSPD_INFO, "Provision finished successfully");
}

void mspd_provision_channel(struct mspd_provision *provision, bool enabled)
{
	lock(provision);
	provision->enabled = enabled;
	unlock(provision);
}

void mspd_provision_reset(struct mspd_provision *provision, uint64_t now_ms)
{
	struct mspd_provision *p = provision;
	uint32_t early = p->opts.timeout_ms / 8;

	if (early > HEARD_MS)
		early = HEARD_MS;
	lock(p);
	p->flags &= ~(unsigned int)MSPD_PROVISION_KEY;
	p->finished_ns = 0;
	p->until_ms = now_ms + p->opts.timeout_ms - early;
	p->said = false;
	unlock(p);
}

uint64_t mspd_provision_deadline(struct mspd_provision *provision)
{
	uint64_t until;

	lock(provision);
	until = provision->until_ms;
	unlock(provision);
	return until;
}

void mspd_provision_run(struct mspd_provision *provision, uint64_t now_ms)
{
	struct mspd_provision *p = provision;
	char error[MSPD_PROVISION_ERROR];
	uint64_t now = wall_ns();
	unsigned int flags;
	bool late;

	lock(p);
	flags = p->flags;
	late = p->until_ms != MSP_NEVER && now_ms >= p->until_ms;
	if (late) {
		p->until_ms = MSP_NEVER;
		p->finished_ns = now;
	}
	unlock(p);
	if (!late)
		return;
	tell_error(p, flags, error);
	write_tags(p, now, error);
	tell_end(p, MSPD_ERROR, error);
}

unsigned int mspd_provision_notices(struct mspd_provision *provision)
{
	unsigned int notices;
	uint64_t n;

	/* first the descriptor: what comes in between wakes once more */
	if (read(provision->wake_fd, &n, sizeof(n)) != (ssize_t)sizeof(n))
		return 0;
	lock(provision);
	notices = provision->notices;
	provision->notices = 0;
	unlock(provision);
	return notices;
}

int mspd_provision_fd(const struct mspd_provision *provision)
{
	return provision->wake_fd;
}

/* ---- the loop's side --------------------------------------------------- */

/* With the lock held. */
static bool within_budget(struct mspd_provision *p, uint64_t now_ms)
{
	if (p->hastened && now_ms - p->hastened_ms < p->opts.hasten_ms)
		return false;
	p->hastened = true;
	p->hastened_ms = now_ms;
	return true;
}

bool mspd_provision_notify(struct mspd_provision *provision, bool root,
			   uint64_t now_ms)
{
	struct mspd_provision *p = provision;
	const uint64_t one = 1;
	bool taken;

	lock(p);
	taken = root || within_budget(p, now_ms);
	if (taken)
		p->notices |= root ? MSPD_NOTICE_ROOT : MSPD_NOTICE_OTHER;
	unlock(p);
	if (taken && write(p->wake_fd, &one, sizeof(one)) < 0)
		mspd_log(MSPD_ERROR, "cannot wake the key keeper");
	return taken;
}

uint64_t mspd_provision_tick(const char *text, size_t len)
{
	static const char max[] = "170141183460469231731687303715884105727";
	uint64_t tick = 0;
	size_t i;

	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	if (len && text[0] == '+') {
		text++;
		len--;
	}
	while (len > 1 && text[0] == '0') {
		text++;
		len--;
	}
	for (i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return 0;
	if (len >= sizeof(max) ||
	    (len == sizeof(max) - 1 && memcmp(text, max, len) > 0))
		return 0;
	if (len > 19)
		return UINT64_MAX;
	for (i = 0; i < len; i++)
		tick = tick * 10 + (uint64_t)(text[i] - '0');
	return tick;
}

/* With the lock held. The machine's own part, which does not depend on the
 * host: once it has been given up nobody has to wait for it anew, and without
 * it nobody could be known for root and have the time begin again. */
static bool is_broken(const struct mspd_provision *p)
{
	const unsigned int own =
		MSPD_PROVISION_REDIRECTOR | MSPD_PROVISION_LISTENER;

	return (p->flags & own) != own;
}

bool mspd_provision_ask(struct mspd_provision *provision, uint64_t tick,
			char error[MSPD_PROVISION_ERROR])
{
	const struct mspd_provision *p = provision;
	unsigned int flags;
	bool finished;

	/* both of the same moment: "finished", and yet something not ready,
	 * is a failure */
	lock(provision);
	flags = p->flags;
	finished = tick && p->finished_ns &&
		   (p->finished_ns >= tick || p->enabled || is_broken(p));
	unlock(provision);
	tell_error(p, flags, error);
	return finished;
}
