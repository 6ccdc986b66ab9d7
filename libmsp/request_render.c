/* SPDX-License-Identifier: MIT */
/*
 * In: a canonical request. Out: its form as text (spec 8.6, Rendering), which
 * canonicalizes to the same. Must never write a byte that no target may hold.
 */
#include <msp/request.h>

#include <string.h>

#include "libmsp/request_priv.h"

/* What would be read as something else; of the last ones of each list, no
 * target may hold them in the raw. */
#define PATH_ENCODED  "%#?;<>`"
#define QUERY_ENCODED "%#&=+<>\""

struct sink {
	char *out;
	size_t size;
	size_t n; /* bytes there are, whether they fit or not */
};

static void put(struct sink *s, char c)
{
	if (s->n < s->size)
		s->out[s->n] = c;
	s->n++;
}

static void put_text(struct sink *s, const char *text, size_t len,
		     const char *encoded)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char c;
	size_t i;

	for (i = 0; i < len; i++) {
		c = (unsigned char)text[i];
		if (c > ' ' && c < 0x7f && !strchr(encoded, c)) {
			put(s, (char)c);
			continue;
		}
		put(s, '%');
		put(s, hex[c >> 4]);
		put(s, hex[c & 15]);
	}
}

static void put_request(struct sink *s, const struct msp_request *r)
{
	const struct msp_pair *p;
	size_t i;

	put_text(s, r->text, r->text_len, PATH_ENCODED);
	if (!r->text_len || r->slash)
		put(s, '/');
	for (i = 0; i < r->n_pairs; i++) {
		p = &r->pairs[i];
		put(s, i ? '&' : '?');
		put_text(s, r->text + p->name, p->name_len, QUERY_ENCODED);
		put(s, '=');
		put_text(s, r->text + p->value, p->value_len, QUERY_ENCODED);
	}
}

int msp_request_render(const struct msp_request *request, char *out,
		       size_t size, size_t *len)
{
	struct sink s = { .out = out, .size = size };

	if (len)
		*len = 0;
	if (!out && size)
		return MSP_ERR_INVAL;
	if (size)
		out[0] = '\0';
	if (!request)
		return MSP_ERR_INVAL;
	if (request->canon)
		return MSP_ERR_NOENT;
	put_request(&s, request);
	if (len)
		*len = s.n;
	if (s.n < size) {
		out[s.n] = '\0';
		return 0;
	}
	if (size)
		out[0] = '\0';
	return MSP_ERR_LIMIT;
}
