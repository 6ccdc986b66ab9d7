/* SPDX-License-Identifier: MIT */
/*
 * In: raw paths, query parts and authorities, hostile to the last byte.
 * Out: their canonical form, or the code that says why there is none
 * (spec 8.6). Must never accept what two readers could read in two ways.
 */
#include "libmsp/canon.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "libmsp/ascii.h"

/* ---- decoding once ----------------------------------------------------- */

struct reader {
	const char *text;
	size_t len;
	size_t at;
	bool plus;	/* '+' is a blank: query parts */
	bool malformed; /* a '%' without two hex digits was seen, and kept */
};

/* next decoded byte, or -1 at the end */
static int next_byte(struct reader *r)
{
	unsigned char c;
	int hi, lo;

	if (r->at == r->len)
		return -1;
	c = (unsigned char)r->text[r->at++];
	if (c == '+' && r->plus)
		return ' ';
	if (c != '%')
		return c;
	if (r->len - r->at >= 2) {
		hi = msp_ascii_hex((unsigned char)r->text[r->at]);
		lo = msp_ascii_hex((unsigned char)r->text[r->at + 1]);
		if (hi >= 0 && lo >= 0) {
			r->at += 2;
			return hi << 4 | lo;
		}
	}
	r->malformed = true;
	return c;
}

/* Strict UTF-8 (RFC 3629), a byte at a time. */
struct utf8 {
	unsigned char left; /* bytes of this character still to come */
	unsigned char low;  /* range of the next one */
	unsigned char high;
	bool bad;
};

static void utf8_begin(struct utf8 *u, int c)
{
	u->low = 0x80;
	u->high = 0xbf;
	if (c < 0x80) {
		u->left = 0;
	} else if (c < 0xc2 || c > 0xf4) {
		u->bad = true;
	} else if (c < 0xe0) {
		u->left = 1;
	} else if (c < 0xf0) {
		u->left = 2;
		u->low = c == 0xe0 ? 0xa0 : 0x80;  /* below: overlong */
		u->high = c == 0xed ? 0x9f : 0xbf; /* above: surrogates */
	} else {
		u->left = 3;
		u->low = c == 0xf0 ? 0x90 : 0x80;  /* below: overlong */
		u->high = c == 0xf4 ? 0x8f : 0xbf; /* above: past U+10FFFF */
	}
}

static void utf8_push(struct utf8 *u, int c)
{
	if (!u->left) {
		utf8_begin(u, c);
		return;
	}
	if (c < u->low || c > u->high)
		u->bad = true;
	u->left--;
	u->low = 0x80;
	u->high = 0xbf;
}

/* What there is in a text once decoded. */
struct seen {
	bool malformed;
	bool bad_utf8;
	bool control;
	bool non_ascii;
	bool question;
};

static void scan(struct seen *seen, const char *text, size_t len)
{
	struct reader r = { .text = text, .len = len };
	struct utf8 u = { 0 };
	int c;

	memset(seen, 0, sizeof(*seen));
	while ((c = next_byte(&r)) >= 0) {
		utf8_push(&u, c);
		seen->control = seen->control || c < 0x20 || c == 0x7f;
		seen->non_ascii = seen->non_ascii || c >= 0x80;
		seen->question = seen->question || c == '?';
	}
	seen->malformed = r.malformed;
	seen->bad_utf8 = u.bad || u.left;
}

static bool hex_byte(int c)
{
	return c >= 0 && msp_ascii_hex((unsigned char)c) >= 0;
}

/* Reads ahead on a copy of the reader; the text is short and '%' is rare. */
static bool ambiguous(struct reader r)
{
	struct reader ahead;
	int c;

	while ((c = next_byte(&r)) >= 0) {
		if (c == '\\')
			return true;
		if (c != '%')
			continue;
		ahead = r;
		c = next_byte(&ahead);
		if (hex_byte(c) && hex_byte(next_byte(&ahead)))
			return true;
	}
	return false;
}

bool msp_canon_ambiguous(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (text[i] == '\\')
			return true;
		if (text[i] == '%' && len - i > 2 && hex_byte(text[i + 1]) &&
		    hex_byte(text[i + 2]))
			return true;
	}
	return false;
}

/* ---- paths ------------------------------------------------------------- */

enum msp_canon msp_canon_guard(const char *path, size_t len)
{
	struct reader r = { .text = path, .len = len };
	int c, before = 0;
	size_t i;

	for (i = 1; i < len; i++) {
		if (path[i - 1] == '/' && path[i] == '/')
			return MSP_CANON_SLASHES;
	}
	while ((c = next_byte(&r)) >= 0) {
		if (c == '.' && before == '.')
			return MSP_CANON_TRAVERSAL;
		before = c;
	}
	return MSP_CANON_OK;
}

/* Steps 2 and 3 of the path; the order of the codes is a contract. */
static enum msp_canon check_bytes(const char *path, size_t len)
{
	struct reader r = { .text = path, .len = len };
	struct seen seen;

	scan(&seen, path, len);
	if (seen.malformed)
		return MSP_CANON_PCT;
	if (seen.bad_utf8)
		return MSP_CANON_UTF8;
	if (seen.control)
		return MSP_CANON_CTRL;
	if (seen.non_ascii)
		return MSP_CANON_NON_ASCII;
	if (seen.question)
		return MSP_CANON_EMBQ;
	if (ambiguous(r))
		return MSP_CANON_AMBIGUOUS;
	return MSP_CANON_OK;
}

/* Step 5 of the path, a byte at a time. */
struct splitter {
	char *out;    /* NULL: only depth is kept */
	size_t n;     /* written, the piece being read included */
	size_t mark;  /* where that piece began */
	size_t depth; /* whole segments before it */
	size_t piece; /* its bytes */
	bool dots;    /* all of them dots */
	bool cut;     /* a ';' was seen: the rest of the piece is dropped */
};

static void put(struct splitter *s, char c)
{
	if (s->out)
		s->out[s->n] = c;
	s->n++;
}

static void push_byte(struct splitter *s, int c)
{
	s->cut = s->cut || c == ';';
	if (s->cut)
		return;
	if (!s->piece) {
		put(s, '/');
		s->dots = true;
	}
	s->dots = s->dots && c == '.';
	s->piece++;
	put(s, (char)msp_ascii_lower((unsigned char)c));
}

/* false if the piece goes past the root */
static bool end_piece(struct splitter *s)
{
	size_t piece = s->piece;

	s->piece = 0;
	s->cut = false;
	if (!piece)
		return true;
	if (!s->dots || piece > 2) {
		s->depth++;
		s->mark = s->n;
		return true;
	}
	s->n = s->mark;
	if (piece == 1)
		return true;
	if (!s->depth)
		return false;
	s->depth--;
	if (s->out) {
		do {
			s->n--;
		} while (s->out[s->n] != '/');
		s->mark = s->n;
	}
	return true;
}

enum msp_canon msp_canon_path(char *out, size_t *out_len, const char *path,
			      size_t len)
{
	struct reader r = { .text = path, .len = len };
	struct splitter s = { .out = out };
	enum msp_canon code;
	int c;

	code = check_bytes(path, len);
	if (code)
		return code;
	while ((c = next_byte(&r)) >= 0) {
		if (c != '/')
			push_byte(&s, c);
		else if (!end_piece(&s))
			return MSP_CANON_UNDERFLOW;
	}
	if (!end_piece(&s))
		return MSP_CANON_UNDERFLOW;
	*out_len = s.n;
	return MSP_CANON_OK;
}

enum msp_canon msp_canon_check_path(const char *path, size_t len)
{
	size_t unused;

	return msp_canon_path(NULL, &unused, path, len);
}

/* ---- query parts ------------------------------------------------------- */

enum msp_canon msp_canon_query(char *out, size_t *out_len, const char *text,
			       size_t len)
{
	struct reader r = { .text = text, .len = len, .plus = true };
	struct seen seen;
	size_t n = 0;
	int c;

	scan(&seen, text, len);
	if (seen.malformed)
		return MSP_CANON_PCT;
	if (seen.bad_utf8)
		return MSP_CANON_UTF8;
	if (seen.control)
		return MSP_CANON_CTRL;
	while ((c = next_byte(&r)) >= 0)
		out[n++] = (char)msp_ascii_lower((unsigned char)c);
	*out_len = n;
	return MSP_CANON_OK;
}

/* ---- places of faults -------------------------------------------------- */

static bool at_fault(enum msp_canon code, const struct reader *r, int c,
		     int before)
{
	struct reader ahead = *r;

	switch (code) {
	case MSP_CANON_PCT:
		return r->malformed;
	case MSP_CANON_CTRL:
		return c < 0x20 || c == 0x7f;
	case MSP_CANON_NON_ASCII:
		return c >= 0x80;
	case MSP_CANON_EMBQ:
		return c == '?';
	case MSP_CANON_SLASHES:
		return c == '/' && before == '/';
	case MSP_CANON_TRAVERSAL:
		return c == '.' && before == '.';
	case MSP_CANON_AMBIGUOUS:
		return c == '\\' || (c == '%' && hex_byte(next_byte(&ahead)) &&
				     hex_byte(next_byte(&ahead)));
	default:
		return false;
	}
}

size_t msp_canon_place(enum msp_canon code, const char *text, size_t len)
{
	struct reader r = { .text = text, .len = len };
	struct utf8 u = { 0 };
	size_t begin = 0, at;
	int c, before = 0;

	for (;;) {
		at = r.at;
		if (!u.left)
			begin = at;
		c = next_byte(&r);
		if (code == MSP_CANON_UTF8 && u.left && (c < 0 || c == '&'))
			return begin;
		if (c < 0)
			return len;
		utf8_push(&u, c);
		if (code == MSP_CANON_UTF8 ? u.bad
					   : at_fault(code, &r, c, before))
			return code == MSP_CANON_UTF8 ? begin : at;
		before = c;
	}
}

/* ---- authorities ------------------------------------------------------- */

static bool parse_port(uint16_t *out, const char *text, size_t len)
{
	uint32_t port = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if (!msp_ascii_digit((unsigned char)text[i]))
			return false;
		port = port * 10 + (uint32_t)(text[i] - '0');
		if (port > UINT16_MAX)
			return false;
	}
	*out = (uint16_t)port;
	return len > 0;
}

/* One part of a number as inet_aton reads it: decimal, 0x hex, 0 octal. */
static bool parse_part(uint32_t *out, const char *text, size_t len)
{
	unsigned int base = 10;
	uint64_t value = 0;
	size_t i = 0;
	int digit;

	if (len >= 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		i = 2;
		if (len > 10)
			return false;
	} else if (len >= 2 && text[0] == '0') {
		base = 8;
		i = 1;
	}
	if (i == len)
		return false;
	for (; i < len; i++) {
		digit = msp_ascii_hex((unsigned char)text[i]);
		if (digit < 0 || (unsigned int)digit >= base)
			return false;
		value = value * base + (unsigned int)digit;
		if (value > UINT32_MAX)
			return false;
	}
	*out = (uint32_t)value;
	return true;
}

/* 1 to 4 parts; the last fills what the others leave (inet_aton). */
static bool parse_ipv4(uint32_t *out, const char *text, size_t len)
{
	uint32_t part = 0, ip = 0;
	size_t i, start = 0;
	unsigned int n = 0;

	for (i = 0; i <= len; i++) {
		if (i < len && text[i] != '.')
			continue;
		if (!parse_part(&part, text + start, i - start))
			return false;
		if (i == len)
			break;
		start = i + 1;
		if (part > 0xff || n == 3)
			return false;
		ip |= part << (24 - 8 * n++);
	}
	if (n && part >> (32 - 8 * n))
		return false;
	*out = htonl(ip | part);
	return true;
}

/* Is it to be read as a number, right or wrong? The alphabet is that of spec
 * 8.6; the last part decides, so that "face" and "abc.de" stay names. */
static bool looks_numeric(const char *text, size_t len)
{
	const char *last;
	size_t i, n;

	for (i = 0; i < len; i++) {
		if (msp_ascii_hex((unsigned char)text[i]) < 0 &&
		    !strchr("xX.", text[i]))
			return false;
	}
	last = memrchr(text, '.', len);
	last = last ? last + 1 : text;
	n = len - (size_t)(last - text);
	if (n >= 2 && last[0] == '0' && (last[1] == 'x' || last[1] == 'X'))
		return true;
	for (i = 0; i < n; i++) {
		if (!msp_ascii_digit((unsigned char)last[i]))
			return false;
	}
	return true;
}

static bool name_valid(const char *text, size_t len)
{
	bool any = false;
	unsigned char c;
	size_t i;

	for (i = 0; i < len; i++) {
		c = (unsigned char)text[i];
		if (msp_ascii_alpha(c) || msp_ascii_digit(c))
			any = true;
		else if (c != '-' && c != '.')
			return false;
	}
	return any;
}

static bool parse_ipv6(struct msp_authority *out, const char *text, size_t len)
{
	char buf[INET6_ADDRSTRLEN];
	struct in6_addr v6;

	if (len >= sizeof(buf) || memchr(text, '\0', len))
		return false;
	memcpy(buf, text, len);
	buf[len] = '\0';
	if (inet_pton(AF_INET6, buf, &v6) != 1)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&v6))
		memcpy(&out->address.ip, &v6.s6_addr[12], 4);
	return true;
}

static bool parse_host(struct msp_authority *out, const char *text, size_t len)
{
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']')
		return parse_ipv6(out, text + 1, len - 2);
	while (len && text[len - 1] == '.')
		len--;
	if (!len || memchr(text, '\0', len))
		return false;
	if (looks_numeric(text, len))
		return parse_ipv4(&out->address.ip, text, len);
	out->is_name = true;
	return name_valid(text, len);
}

enum msp_canon msp_canon_authority(struct msp_authority *out, const char *text,
				   size_t len)
{
	struct msp_authority a = { .text = text, .text_len = len };
	const char *bracket, *colon;
	size_t host_len = len;

	if (memchr(text, '@', len))
		return MSP_CANON_USERINFO;
	a.address.port = 80;
	bracket = memrchr(text, ']', len);
	colon = memrchr(text, ':', len);
	if (colon && (!bracket || colon > bracket)) {
		host_len = (size_t)(colon - text);
		if (!parse_port(&a.address.port, colon + 1, len - host_len - 1))
			return MSP_CANON_PORT;
	}
	if (!parse_host(&a, text, host_len))
		return MSP_CANON_HOST;
	*out = a;
	return MSP_CANON_OK;
}
