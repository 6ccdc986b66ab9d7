/* SPDX-License-Identifier: MIT */
/*
 * In: text of files that anybody may have written to. Out: the same without
 * its secrets, line by line. Must never let a secret through because it spans
 * lines, or because its beginning was cut off.
 */
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/collect.h"
#include "mspd/redact.h"

static const char mark[] = "[REDACTED]";
/* Lines of private keys are folded at 64, others at 60 to 76. */
#define FOLDED 40

static size_t line_len(const char *at, size_t len)
{
	const char *end = memchr(at, '\n', len);

	return end ? (size_t)(end - at) : len;
}

static const char *in_line(const char *at, size_t len, const char *words)
{
	return memmem(at, len, words, strlen(words));
}

static bool ends_key(const char *at, size_t len)
{
	const char *end = in_line(at, len, "-----END");

	return end && in_line(end, len - (size_t)(end - at), "PRIVATE KEY");
}

static bool begins_key(const char *at, size_t len)
{
	const char *begin = in_line(at, len, "BEGIN");
	const char *key;

	if (!begin)
		return false;
	len -= (size_t)(begin - at);
	key = in_line(begin, len, "PRIVATE KEY-----");
	return key && !ends_key(key, len - (size_t)(key - begin));
}

/* Where the rest of a key ends whose beginning is not here; 0: there is none.
 */
static size_t rest_of_key(const char *at, size_t len)
{
	size_t done = 0, n;

	while (done < len) {
		n = line_len(at + done, len - done);
		if (begins_key(at + done, n))
			return 0;
		if (ends_key(at + done, n) && !in_line(at + done, n, "BEGIN"))
			return done + n;
		done += n + 1;
	}
	return 0;
}

/* Nothing but base64: part of something that was folded. */
static bool is_folded(const char *at, size_t len)
{
	size_t i;

	while (len && strchr(" \t\r", at[len - 1]))
		len--;
	while (len && strchr(" \t", *at)) {
		at++;
		len--;
	}
	for (i = 0; i < len; i++)
		if (!memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"
			    "yz0123456789+/=-_",
			    at[i], 66))
			return false;
	return len >= FOLDED;
}

static void put_line(struct ctl_text *out, const char *at, size_t len)
{
	size_t shown = len < CTL_COLLECT_LINE ? len : CTL_COLLECT_LINE;
	size_t room = 4 * shown + 64;
	char *buffer = ctl_alloc(room, 1);
	struct mspd_text text;

	if (is_folded(at, len)) {
		ctl_put(out, mark);
	} else {
		mspd_text_init(&text, buffer, room);
		mspd_redact_to(&text, at, len, shown);
		ctl_put_bytes(out, text.at, text.len);
		if (shown < len)
			ctl_put(out, " [cut]");
	}
	ctl_put(out, "\n");
	free(buffer);
}

void ctl_redact(struct ctl_text *out, const char *at, size_t len, bool cut)
{
	size_t done = cut ? rest_of_key(at, len) : 0;
	bool in_key = false;
	size_t n;

	/* the first line is not whole */
	if (cut)
		done += line_len(at + done, len - done) + 1;
	for (; done < len; done += n + 1) {
		n = line_len(at + done, len - done);
		if (in_key)
			in_key = !ends_key(at + done, n);
		else {
			put_line(out, at + done, n);
			in_key = begins_key(at + done, n);
		}
	}
}

void ctl_break_json(struct ctl_text *out, const char *json)
{
	bool in_string = false;
	size_t i;

	for (i = 0; json[i]; i++) {
		ctl_put_bytes(out, json + i, 1);
		if (json[i] == '"')
			in_string = !in_string;
		else if (in_string && json[i] == '\\' && json[i + 1])
			ctl_put_bytes(out, json + ++i, 1);
		else if (!in_string && strchr(",{[", json[i]))
			ctl_put(out, "\n");
	}
}
