/* SPDX-License-Identifier: MIT */
/*
 * In:  a judged aggregate status.
 * Out: a status report with three sub-statuses, JSON.
 * Never: larger than a signed request may be, or not UTF-8, whatever the
 *        agent said.
 */
#include "report/document.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS_SHOWN 100
#define FAILED_SHOWN	  50
/* Both summaries together (spec 10.5). */
#define SUMMARIES_MAX (80 * 1024)
#define WHY_MAX	      1024
/* Code of a sub-status, and of the whole, that is not good. */
#define CODE_BAD 4

/**
 * struct texts - messages of the three sub-statuses
 * @dropped: the connections' has been replaced
 */
struct texts {
	struct buf connections;
	struct buf agent;
	struct buf failed;
	bool dropped;
};

/** One group of a summary, for sorting. */
struct group {
	uint64_t count;
	size_t index;
	yajl_val node;
};

const char *document_state_name(enum document_state state)
{
	switch (state) {
	case DOCUMENT_TRANSITIONING:
		return "transitioning";
	case DOCUMENT_SUCCESS:
		return "success";
	case DOCUMENT_ERROR:
		return "error";
	}
	return "";
}

/* Bytes of the character at the beginning, 0 if it is none (RFC 3629). */
static size_t utf8_len(const unsigned char *p, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *p < 0x80 ? 1 : *p < 0xc0 ? 0 : *p < 0xe0 ? 2 : 3, i;
	uint32_t c;

	if (*p >= 0xf0)
		n = *p < 0xf8 ? 4 : 0;
	if (n < 2 || n > len)
		return n == 1;
	c = *p & (0xffU >> (n + 1));
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return n;
}

/* What parses as JSON here may still be no text elsewhere. */
static void clean(struct buf *text)
{
	size_t i, n;

	for (i = 0; i < text->len; i += n) {
		n = utf8_len((unsigned char *)text->data + i, text->len - i);
		if (!n) {
			text->data[i] = '?';
			n = 1;
		}
	}
}

static void cut(struct buf *text, size_t len)
{
	if (text->len <= len)
		return;
	text->len = len;
	text->data[len] = '\0';
	clean(text);
}

static uint64_t count_of(yajl_val node)
{
	yajl_val count = json_member(node, "count");
	const char *text;
	uint64_t n;

	if (!YAJL_IS_NUMBER(count))
		return 0;
	text = YAJL_GET_NUMBER(count);
	return text_uint(text, strlen(text), &n) ? n : 0;
}

static int by_count(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

/* The most frequent groups, the most frequent one last. */
static void write_groups(struct buf *out, yajl_val list, size_t shown,
			 const char *none)
{
	size_t n = list->u.array.len, i;
	struct group *groups;

	if (!n) {
		buf_text(out, none);
		return;
	}
	groups = calloc(n, sizeof(*groups));
	if (!groups) {
		out->failed = true;
		return;
	}
	for (i = 0; i < n; i++) {
		groups[i].node = list->u.array.values[i];
		groups[i].count = count_of(groups[i].node);
		groups[i].index = i;
	}
	qsort(groups, n, sizeof(*groups), by_count);
	for (i = n > shown ? n - shown : 0; i < n; i++) {
		buf_text(out, out->len ? "," : "[");
		json_write(out, groups[i].node);
	}
	buf_text(out, "]");
	free(groups);
}

static void drop_connections(struct texts *t)
{
	buf_clear(&t->connections);
	buf_text(&t->connections,
		 "Substatus of proxy agent connection message and failed auth "
		 "message size exceeds max size, dropping connection summary");
	t->dropped = true;
}

static void write_texts(struct texts *t, const struct judgement *j)
{
	if (!j->usable) {
		buf_add(&t->connections, j->why.data, j->why.len);
		buf_add(&t->failed, j->why.data, j->why.len);
		buf_add(&t->agent, j->why.data, j->why.len);
		cut(&t->connections, WHY_MAX);
		cut(&t->failed, WHY_MAX);
		cut(&t->agent, WHY_MAX);
	} else {
		write_groups(&t->connections,
			     json_member(j->tree, "proxyConnectionSummary"),
			     CONNECTIONS_SHOWN,
			     "proxy connection summary is empty");
		write_groups(&t->failed,
			     json_member(j->tree, "failedAuthenticateSummary"),
			     FAILED_SHOWN,
			     "proxy failed auth summary is empty");
		json_write(&t->agent, json_member(j->tree, "proxyAgentStatus"));
	}
	if (t->connections.len + t->failed.len > SUMMARIES_MAX) {
		drop_connections(t);
		cut(&t->failed, SUMMARIES_MAX);
	}
	clean(&t->connections);
	clean(&t->failed);
	clean(&t->agent);
}

static void write_message(struct buf *out, const struct buf *text)
{
	buf_text(out, "\"formattedMessage\":{\"lang\":\"en-US\",\"message\":");
	buf_json_utf8(out, text->data ? text->data : "");
	buf_text(out, "}");
}

static void write_substatus(struct buf *out, const char *name, bool good,
			    const struct buf *text)
{
	buf_format(out, "{\"name\":\"%s\",\"status\":\"%s\",\"code\":%d,", name,
		   document_state_name(good ? DOCUMENT_SUCCESS
					    : DOCUMENT_TRANSITIONING),
		   good ? 0 : CODE_BAD);
	write_message(out, text);
	buf_text(out, "}");
}

static void write_time(struct buf *out, int64_t seconds)
{
	char text[32];
	time_t t = seconds;
	struct tm tm;

	if (gmtime_r(&t, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm))
		buf_text(out, text);
}

static void write_head(struct buf *out, const struct document *d)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	buf_text(out, "[{\"version\":\"1.0\",\"timestampUTC\":\"");
	write_time(out, now.tv_sec);
	buf_format(out, ".%03ld\",", now.tv_nsec / 1000000);
	buf_text(out, "\"status\":{\"name\":\"ProxyAgentVMExtension\","
		      "\"operation\":\"Enable\","
		      "\"configurationAppliedTime\":\"");
	write_time(out, d->applied);
	buf_format(out, "Z\",\"status\":\"%s\",\"code\":%d,",
		   document_state_name(d->state),
		   d->state == DOCUMENT_ERROR ? CODE_BAD : 0);
}

static void write_sentence(struct buf *out, const struct document *d)
{
	struct buf text = { 0 };

	if (!d->judgement->good)
		buf_add(&text, d->judgement->why.data, d->judgement->why.len);
	else if (d->state == DOCUMENT_SUCCESS)
		buf_text(&text, "ProxyAgent extension is reporting successful "
				"status.");
	else
		buf_text(&text, "The agent's status is good again.");
	cut(&text, WHY_MAX);
	clean(&text);
	write_message(out, &text);
	out->failed |= text.failed;
	buf_clear(&text);
}

static void write_whole(struct buf *out, const struct document *d,
			const struct texts *t)
{
	bool good = d->judgement->good;

	write_head(out, d);
	write_sentence(out, d);
	buf_text(out, ",\"substatus\":[");
	write_substatus(out, "ProxyAgentConnectionSummary", good,
			&t->connections);
	buf_text(out, ",");
	write_substatus(out, "ProxyAgentStatus", good, &t->agent);
	buf_text(out, ",");
	write_substatus(out, "ProxyAgentFailedAuthenticationSummary", good,
			&t->failed);
	buf_text(out, "]}}]");
	out->failed |=
		t->connections.failed | t->agent.failed | t->failed.failed;
}

/* The limits above are those of the texts; quoted in quotes they are larger.
 * Gives up the least telling part first. */
static void shrink(struct texts *t, size_t over)
{
	if (!t->dropped) {
		drop_connections(t);
	} else if (t->failed.len) {
		cut(&t->failed,
		    t->failed.len > over ? t->failed.len - over : 0);
	} else {
		buf_clear(&t->agent);
		buf_text(&t->agent, "Substatus of proxy agent status exceeds "
				    "max size, dropping it");
	}
}

void document_write(struct buf *out, const struct document *document)
{
	struct texts texts = { 0 };

	write_texts(&texts, document->judgement);
	write_whole(out, document, &texts);
	while (!out->failed && out->len > REPORT_MAX) {
		shrink(&texts, out->len - REPORT_MAX);
		buf_clear(out);
		write_whole(out, document, &texts);
	}
	buf_clear(&texts.connections);
	buf_clear(&texts.agent);
	buf_clear(&texts.failed);
}
