/* SPDX-License-Identifier: MIT */
/*
 * In:  answered calls.
 * Out: the latest of them, as JSON; all of them, as lines of a file.
 * Never: grows without bound, holds a signature, or stops the host because a
 *        disk is full.
 */
#include "vm/journal.h"

#include "emulator.h"
#include "fault/fault.h"
#include "vm/record.h"
#include "vm/vm.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define FAULT_SIZE 32

/**
 * struct entry - one request
 * @seq:        its number, from 1; 0: empty place
 * @time:       when it was answered
 * @vm:         whose; lives as long as the program
 * @port:       where it came in
 * @client:     "ip:port"
 * @connection: its number
 * @status:     HTTP status
 * @verdict:    of its signature
 * @guid:       of the key it names, or empty
 * @fault:      name of what it met, or empty
 * @body:       bytes received of its body
 * @cut:        bytes of the target that are not in @text
 * @method_len: bytes of it in @text
 * @target_len: bytes of it in @text, after the method
 * @text:       owned
 */
struct entry {
	uint64_t seq;
	char time[RECORD_TIME_SIZE];
	const struct vm *vm;
	enum port port;
	char client[sizeof(((struct peer *)0)->client)];
	uint64_t connection;
	unsigned int status;
	struct verdict verdict;
	char guid[MSP_GUID_LEN + 1];
	char fault[FAULT_SIZE];
	uint64_t body;
	uint64_t cut;
	size_t method_len;
	size_t target_len;
	char *text;
};

/**
 * struct journal
 * @file:    gets each entry as a line, or NULL; borrowed
 * @torn:    its last line has no end
 * @failed:  it could not be written, and that was said
 * @next:    number of the next entry
 * @first:   number of the oldest entry in memory; @next if there is none
 * @entries: the entry with number N is at N modulo JOURNAL_KEPT
 */
struct journal {
	FILE *file;
	bool torn;
	bool failed;
	uint64_t next;
	uint64_t first;
	struct entry entries[JOURNAL_KEPT];
};

struct journal *journal_new(FILE *file)
{
	struct journal *journal = calloc(1, sizeof(*journal));

	if (!journal)
		return NULL;
	journal->file = file;
	journal->next = journal->first = 1;
	return journal;
}

void journal_free(struct journal *journal)
{
	if (!journal)
		return;
	journal_clear(journal);
	free(journal);
}

static void add_text(struct buf *out, const char *name, const char *text,
		     size_t len)
{
	buf_format(out, ",\"%s\":", name);
	buf_json(out, text, len);
}

/* null if it is empty */
static void add_name(struct buf *out, const char *name, const char *text)
{
	if (*text)
		add_text(out, name, text, strlen(text));
	else
		buf_format(out, ",\"%s\":null", name);
}

static void add_number(struct buf *out, const char *name, uint64_t number)
{
	buf_format(out, ",\"%s\":%llu", name, (unsigned long long)number);
}

static void write_entry(const struct entry *e, struct buf *out)
{
	buf_format(out, "{\"seq\":%llu,\"time\":\"%s\"",
		   (unsigned long long)e->seq, e->time);
	add_name(out, "vm", e->vm->who.name);
	add_name(out, "endpoint", port_name(e->port));
	add_name(out, "client", e->client);
	add_number(out, "connection", e->connection);
	add_text(out, "method", e->text, e->method_len);
	add_text(out, "target", e->text + e->method_len, e->target_len);
	add_number(out, "cut", e->cut);
	add_number(out, "status", e->status);
	add_name(out, "verdict", verdict_name(&e->verdict));
	add_name(out, "reason", reason_name(e->verdict.reason));
	add_name(out, "guid", e->guid);
	add_number(out, "body", e->body);
	add_name(out, "fault", e->fault);
	buf_text(out, "}");
}

static bool is_guid(const char *text)
{
	size_t i;

	for (i = 0; i < MSP_GUID_LEN; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return false;
		} else if (!isxdigit((unsigned char)text[i])) {
			return false;
		}
	}
	return true;
}

/* What stands where a guid belongs may be anything: a key, too. */
static void find_guid(const struct call *call, char *out)
{
	const size_t before = sizeof(MSP_SCHEME);
	const struct msp_header *value;

	if (!call_header(call, MSP_HEADER_AUTHORIZATION, &value) ||
	    value->value_len <= before + MSP_GUID_LEN ||
	    value->value[before - 1] != ' ' ||
	    value->value[before + MSP_GUID_LEN] != ' ' ||
	    !is_guid(value->value + before))
		return;
	memcpy(out, value->value + before, MSP_GUID_LEN);
}

static bool fill_entry(struct entry *e, const struct call *call)
{
	size_t method = strlen(call->method), target = strlen(call->target);

	e->method_len = method;
	if (method > JOURNAL_METHOD_MAX)
		e->method_len = JOURNAL_METHOD_MAX;
	e->target_len = target;
	if (target > JOURNAL_TARGET_MAX)
		e->target_len = JOURNAL_TARGET_MAX;
	e->cut = target - e->target_len;
	e->text = malloc(e->method_len + e->target_len + 1);
	if (!e->text)
		return false;
	memcpy(e->text, call->method, e->method_len);
	memcpy(e->text + e->method_len, call->target, e->target_len);
	record_time(e->time);
	e->vm = call->vm;
	e->port = call->peer->port;
	memcpy(e->client, call->peer->client, sizeof(e->client));
	e->connection = call->peer->number;
	e->verdict = call->verdict;
	e->body = call->body_len;
	find_guid(call, e->guid);
	if (call->fault)
		snprintf(e->fault, sizeof(e->fault), "%s",
			 fault_name(call->fault));
	return true;
}

/* Said once: the host goes on, and so does what is in memory. */
static void complain(struct journal *journal, const char *why)
{
	if (!journal->failed)
		fprintf(stderr, "msp-host: --journal: %s\n", why);
	journal->failed = true;
}

/* Not through the stream's buffer, which would keep a line that did not fit
 * and block all later ones. */
static void write_line(struct journal *journal, const struct entry *e)
{
	struct buf line = { 0 };
	ssize_t n;

	if (journal->torn)
		buf_text(&line, "\n");
	write_entry(e, &line);
	buf_text(&line, "\n");
	if (line.failed) {
		complain(journal, strerror(ENOMEM));
		goto out;
	}
	n = write(fileno(journal->file), line.data, line.len);
	if (n < 0)
		complain(journal, strerror(errno));
	else if ((size_t)n < line.len)
		complain(journal, "a line was cut");
	if (n > 0)
		journal->torn = (size_t)n < line.len;
out:
	buf_clear(&line);
}

static struct entry *place(const struct journal *journal, uint64_t seq)
{
	return (struct entry *)&journal->entries[seq % JOURNAL_KEPT];
}

void journal_add(struct journal *journal, const struct call *call,
		 unsigned int status)
{
	struct entry e = { 0 };

	/* without a VM it is the control port's */
	if (!call->vm || call->peer->port == PORT_CONTROL)
		return;
	if (!fill_entry(&e, call))
		return;
	e.status = status;
	e.seq = journal->next++;
	if (journal->next - journal->first > JOURNAL_KEPT)
		journal->first++;
	free(place(journal, e.seq)->text);
	*place(journal, e.seq) = e;
	if (journal->file)
		write_line(journal, &e);
}

void journal_read(const struct journal *journal, uint64_t since, uint64_t limit,
		  const char *vm, struct buf *out)
{
	struct buf list = { 0 };
	uint64_t seq = since;

	if (seq < journal->first)
		seq = journal->first;
	for (; seq < journal->next && limit; seq++) {
		const struct entry *e = place(journal, seq);

		if (vm && strcasecmp(e->vm->who.name, vm))
			continue;
		if (list.failed || list.len > JOURNAL_READ_MAX)
			break;
		if (list.len)
			buf_text(&list, ",");
		write_entry(e, &list);
		limit--;
	}
	if (seq > journal->next)
		seq = journal->next;
	buf_format(out, "{\"first\":%llu,\"next\":%llu,\"requests\":[",
		   (unsigned long long)journal->first, (unsigned long long)seq);
	if (list.len)
		buf_add(out, list.data, list.len);
	buf_text(out, "]}");
	out->failed |= list.failed;
	buf_clear(&list);
}

void journal_clear(struct journal *journal)
{
	for (; journal->first < journal->next; journal->first++) {
		struct entry *e = place(journal, journal->first);

		free(e->text);
		memset(e, 0, sizeof(*e));
	}
}

/* value keeps what it has if there is no such parameter */
static bool number(const struct call *call, const char *name, uint64_t *value)
{
	struct buf text = { 0 };
	bool ok = true;

	if (text_query(call->query, name, &text))
		ok = text_uint(text.data, text.len, value);
	buf_clear(&text);
	return ok;
}

void journal_call(struct call *call)
{
	uint64_t since = 0, limit = JOURNAL_KEPT;
	struct buf vm = { 0 };

	if (!number(call, "since", &since) || !number(call, "limit", &limit)) {
		call_error(call, 400, "number",
			   "since and limit are decimal numbers");
		return;
	}
	if (call_method(call, "DELETE"))
		journal_clear(call->emu->journal);
	call->reply.status = 200;
	call->reply.type = "application/json; charset=utf-8";
	text_query(call->query, "vm", &vm);
	journal_read(call->emu->journal, since, limit, vm.data,
		     &call->reply.body);
	buf_clear(&vm);
}
