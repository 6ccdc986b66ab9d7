/* SPDX-License-Identifier: MIT */
/*
 * In:  bytes, texts and numbers.
 * Out: buffers and texts in the forms of text.h.
 * Never: writes past a buffer, or leaves a freed byte of one unwiped.
 */
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const day_names[] = { "Sun", "Mon", "Tue", "Wed",
					 "Thu", "Fri", "Sat" };
static const char *const month_names[] = { "Jan", "Feb", "Mar", "Apr",
					   "May", "Jun", "Jul", "Aug",
					   "Sep", "Oct", "Nov", "Dec" };

/* Not realloc(): it may leave a copy of a key behind. */
static bool buf_reserve(struct buf *b, size_t more)
{
	size_t want, room = b->room ? b->room : 256;
	char *data;

	if (b->failed || more > SIZE_MAX / 4 - b->len)
		goto fail;
	want = b->len + more + 1;
	if (want <= b->room)
		return true;
	while (room < want)
		room *= 2;
	data = malloc(room);
	if (!data)
		goto fail;
	if (b->data) {
		memcpy(data, b->data, b->len);
		OPENSSL_cleanse(b->data, b->room);
		free(b->data);
	}
	data[b->len] = '\0';
	b->data = data;
	b->room = room;
	return true;
fail:
	b->failed = true;
	return false;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (!buf_reserve(b, len))
		return;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_text(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_format(struct buf *b, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if (!buf_reserve(b, (size_t)n))
		return;
	va_start(ap, format);
	vsnprintf(b->data + b->len, (size_t)n + 1, format, ap);
	va_end(ap);
	b->len += (size_t)n;
}

static void json_text(struct buf *b, const char *text, size_t len, bool utf8)
{
	size_t i, plain = 0;

	buf_text(b, "\"");
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c != '"' && c != '\\' && c >= 0x20 && c != 0x7f &&
		    (c < 0x7f || utf8))
			continue;
		buf_add(b, text + plain, i - plain);
		plain = i + 1;
		if (c == '"' || c == '\\')
			buf_format(b, "\\%c", c);
		else
			buf_format(b, "\\u%04x", c);
	}
	buf_add(b, text + plain, len - plain);
	buf_text(b, "\"");
}

void buf_json(struct buf *b, const char *text, size_t len)
{
	json_text(b, text, len, false);
}

void buf_json_utf8(struct buf *b, const char *text)
{
	json_text(b, text, strlen(text), true);
}

void buf_base64(struct buf *b, const void *data, size_t len)
{
	const unsigned char *in = data;
	unsigned char out[68];

	/* pieces of 48 bytes, so that only the last one is padded */
	while (len) {
		size_t n = len < 48 ? len : 48;
		int made = EVP_EncodeBlock(out, in, (int)n);

		buf_add(b, out, (size_t)made);
		in += n;
		len -= n;
	}
}

void buf_base64url(struct buf *b, const void *data, size_t len)
{
	size_t start = b->len;
	size_t i;

	buf_base64(b, data, len);
	if (b->failed)
		return;
	for (i = start; i < b->len && b->data[i] != '='; i++) {
		if (b->data[i] == '+')
			b->data[i] = '-';
		else if (b->data[i] == '/')
			b->data[i] = '_';
	}
	if (b->data)
		b->data[i] = '\0';
	b->len = i;
}

bool buf_read_file(struct buf *b, const char *path, size_t limit)
{
	char piece[4096];
	ssize_t n = -1;
	int fd, err = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while (!err && (n = read(fd, piece, sizeof(piece))) != 0) {
		if (n < 0)
			err = errno == EINTR ? 0 : errno;
		else if ((size_t)n > limit - b->len)
			err = EFBIG;
		else
			buf_add(b, piece, (size_t)n);
		if (b->failed)
			err = ENOMEM;
	}
	OPENSSL_cleanse(piece, sizeof(piece));
	close(fd);
	errno = err;
	return !err;
}

bool buf_read_regular(struct buf *b, const char *path, size_t limit)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	if (S_ISREG(st.st_mode))
		return buf_read_file(b, path, limit);
	errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	return false;
}

void buf_clear(struct buf *b)
{
	if (b->data) {
		OPENSSL_cleanse(b->data, b->room);
		free(b->data);
	}
	memset(b, 0, sizeof(*b));
}

void text_hex(char *out, const void *data, size_t len, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	const unsigned char *in = data;
	size_t i;

	for (i = 0; i < len; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
	out[2 * len] = '\0';
}

bool text_equal(const char *a, size_t len, const char *b)
{
	return strlen(b) == len && !memcmp(a, b, len);
}

bool text_equal_nocase(const char *a, size_t len, const char *b)
{
	return strlen(b) == len && !strncasecmp(a, b, len);
}

bool text_uint(const char *text, size_t len, uint64_t *out)
{
	uint64_t value = 0;
	size_t i;

	if (!len)
		return false;
	for (i = 0; i < len; i++) {
		unsigned int digit = (unsigned char)text[i] - '0';

		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* A malformed escape stays as it is. */
void text_decode(struct buf *out, const char *text, size_t len)
{
	size_t i;

	buf_add(out, "", 0);
	for (i = 0; i < len; i++) {
		char c = text[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%' && len - i > 2 &&
			   hex_digit(text[i + 1]) >= 0 &&
			   hex_digit(text[i + 2]) >= 0) {
			c = (char)(hex_digit(text[i + 1]) * 16 +
				   hex_digit(text[i + 2]));
			i += 2;
		}
		buf_add(out, &c, 1);
	}
}

bool text_query(const char *query, const char *name, struct buf *out)
{
	const char *p = query;

	while (p && *p) {
		const char *end = strchrnul(p, '&');
		const char *eq = memchr(p, '=', (size_t)(end - p));
		const char *stop = eq ? eq : end;

		if (text_equal_nocase(p, (size_t)(stop - p), name)) {
			if (eq)
				stop = eq + 1;
			text_decode(out, stop, (size_t)(end - stop));
			return !out->failed;
		}
		p = *end ? end + 1 : end;
	}
	return false;
}

void text_http_date(char *out, size_t size, int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	/* not strftime(): it would follow the locale */
	if (!gmtime_r(&t, &tm))
		memset(&tm, 0, sizeof(tm));
	snprintf(out, size, "%s, %02d %s %04d %02d:%02d:%02d GMT",
		 day_names[tm.tm_wday % 7], tm.tm_mday,
		 month_names[tm.tm_mon % 12], (tm.tm_year + 1900) % 10000,
		 tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static int two_digits(const char *text)
{
	if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
		return -1;
	return (text[0] - '0') * 10 + text[1] - '0';
}

bool text_parse_http_date(const char *text, size_t len, int64_t *out)
{
	char again[TEXT_DATE_SIZE];
	struct tm tm = { 0 };
	int high, low;

	if (len != 29)
		return false;
	high = two_digits(text + 12);
	low = two_digits(text + 14);
	if (high < 19 || low < 0)
		return false;
	tm.tm_year = high * 100 + low - 1900;
	while (tm.tm_mon < 12 && memcmp(text + 8, month_names[tm.tm_mon], 3))
		tm.tm_mon++;
	tm.tm_mday = two_digits(text + 5);
	tm.tm_hour = two_digits(text + 17);
	tm.tm_min = two_digits(text + 20);
	tm.tm_sec = two_digits(text + 23);
	*out = timegm(&tm);
	/* separators, weekday and range are right if it comes back the same */
	text_http_date(again, sizeof(again), *out);
	return text_equal(text, len, again);
}
