/* SPDX-License-Identifier: MIT */
/*
 * In: values of the configuration file. Out: checked values, errors, warnings.
 * Must never store a value it is not sure of, nor write two lines for one.
 */
#include "mspd/config_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mspd/listener.h"
#include "mspd/text.h"

/* ---- errors and warnings ----------------------------------------------- */

/* Line and column in bytes, from 1, of an offset. */
void mspd_loader_place(const struct mspd_loader *l, size_t offset, size_t *line,
		       size_t *column)
{
	size_t start = 0;
	size_t i;

	*line = 1;
	for (i = 0; i < offset && i < l->len; i++) {
		if (l->data[i] != '\n')
			continue;
		++*line;
		start = i + 1;
	}
	*column = i - start + 1;
}

/* Only the first error counts; one line, whatever is in it. */
static void __attribute__((format(printf, 5, 0)))
refuse(struct mspd_loader *l, int rc, size_t offset, const char *field,
       const char *format, va_list args)
{
	size_t line, column;
	char cause[256];
	char whole[MSPD_LOADER_PATH_MAX + 512];
	struct mspd_text text;
	int n;

	if (l->rc)
		return;
	l->rc = rc;
	vsnprintf(cause, sizeof(cause), format, args);
	n = snprintf(whole, sizeof(whole), "%.*s: ", MSPD_LOADER_PATH_MAX,
		     l->path);
	if (offset != MSPD_LOADER_NOWHERE && n > 0 &&
	    (size_t)n < sizeof(whole)) {
		mspd_loader_place(l, offset, &line, &column);
		n += snprintf(whole + n, sizeof(whole) - (size_t)n,
			      "line %zu column %zu: ", line, column);
	}
	if (n > 0 && (size_t)n < sizeof(whole))
		snprintf(whole + n, sizeof(whole) - (size_t)n, "%s%s%s",
			 field ? field : "", field ? ": " : "", cause);
	if (!l->error_size)
		return;
	mspd_text_init(&text, l->error, l->error_size);
	mspd_text_line(&text, whole, strlen(whole));
}

/* The file as a whole, or a field that is not there. */
int mspd_loader_fail(struct mspd_loader *l, int rc, const char *field,
		     const char *format, ...)
{
	va_list args;

	va_start(args, format);
	refuse(l, rc, MSPD_LOADER_NOWHERE, field, format, args);
	va_end(args);
	return l->rc;
}

/* A place in it. */
int mspd_loader_fail_at(struct mspd_loader *l, size_t offset,
			const char *format, ...)
{
	va_list args;

	va_start(args, format);
	refuse(l, -EINVAL, offset, NULL, format, args);
	va_end(args);
	return l->rc;
}

/* The value of the current field; 0 is what ends yajl's parse. */
int mspd_loader_refuse(struct mspd_loader *l, const char *format, ...)
{
	size_t offset = l->parser ? l->token : MSPD_LOADER_NOWHERE;
	va_list args;

	va_start(args, format);
	refuse(l, -EINVAL, offset, l->field ? l->field->name : NULL, format,
	       args);
	va_end(args);
	return 0;
}

void mspd_loader_warn(struct mspd_loader *l, const char *format, ...)
{
	struct mspd_config *out = l->out;
	char raw[256];
	char line[1024];
	struct mspd_text text;
	va_list args;

	/* The last place is kept for how many there was no room for. */
	if (out->n_warnings >= MSPD_CONFIG_WARNINGS - 1) {
		l->left_out++;
		return;
	}
	va_start(args, format);
	vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	mspd_text_init(&text, line, sizeof(line));
	mspd_text_line(&text, raw, strlen(raw));
	out->warnings[out->n_warnings] = strdup(line);
	if (!out->warnings[out->n_warnings])
		mspd_loader_fail(l, -ENOMEM, NULL, "no memory");
	else
		out->n_warnings++;
}

void mspd_loader_close_warnings(struct mspd_loader *l)
{
	struct mspd_config *out = l->out;
	char line[80];

	if (!l->left_out || l->rc)
		return;
	snprintf(line, sizeof(line), "%zu more warnings were left out",
		 l->left_out);
	out->warnings[out->n_warnings] = strdup(line);
	if (!out->warnings[out->n_warnings])
		mspd_loader_fail(l, -ENOMEM, NULL, "no memory");
	else
		out->n_warnings++;
}

/* ---- values ------------------------------------------------------------ */

static void *target(struct mspd_loader *l)
{
	return (char *)l->out + l->field->offset;
}

static int store_string(struct mspd_loader *l, const char *at, size_t len)
{
	char **out = target(l);

	free(*out);
	*out = strndup(at, len);
	if (*out)
		return 1;
	mspd_loader_fail(l, -ENOMEM, NULL, "no memory");
	return 0;
}

/* Azure's agent takes whatever a path is relative to from where it was
 * started, which for a service is the root. */
static int set_relative(struct mspd_loader *l, const char *at, size_t len)
{
	char whole[MSPD_LOADER_PATH_MAX + PATH_MAX];
	char here[PATH_MAX];
	int n;

	if (!getcwd(here, sizeof(here)))
		return mspd_loader_refuse(l, "must be an absolute path");
	n = snprintf(whole, sizeof(whole), "%s/%.*s",
		     strcmp(here, "/") == 0 ? "" : here, (int)len, at);
	if (n < 0 || n > MSPD_LOADER_PATH_MAX)
		return mspd_loader_refuse(l, "longer than %d bytes",
					  MSPD_LOADER_PATH_MAX);
	mspd_loader_warn(l, "%s: is not an absolute path, %s is used",
			 l->field->name, whole);
	return l->rc == 0 && store_string(l, whole, (size_t)n);
}

static int set_default_path(struct mspd_loader *l)
{
	const char *path = l->field->text;

	mspd_loader_warn(l, "%s: is empty, %s is used", l->field->name, path);
	return l->rc == 0 && store_string(l, path, strlen(path));
}

static int set_path(struct mspd_loader *l, const char *at, size_t len)
{
	bool lenient = l->field->flags & MSPD_FIELD_LENIENT;
	size_t i;

	if (len > MSPD_LOADER_PATH_MAX)
		return mspd_loader_refuse(l, "longer than %d bytes",
					  MSPD_LOADER_PATH_MAX);
	for (i = 0; i < len; i++)
		if ((unsigned char)at[i] < 0x20 || at[i] == 0x7f)
			return mspd_loader_refuse(l, "has a control character");
	if (!len && !(l->field->flags & MSPD_FIELD_EMPTY))
		return lenient ? set_default_path(l)
			       : mspd_loader_refuse(l, "must not be empty");
	if (len && at[0] != '/')
		return lenient ? set_relative(l, at, len)
			       : mspd_loader_refuse(l,
						    "must be an absolute path");
	return store_string(l, at, len);
}

static int set_name(struct mspd_loader *l, const char *at, size_t len)
{
	size_t i;

	if (len > MSPD_LOADER_NAME_MAX)
		return mspd_loader_refuse(l, "longer than %d bytes",
					  MSPD_LOADER_NAME_MAX);
	for (i = 0; i < len; i++)
		if ((unsigned char)at[i] < 0x20 || at[i] == 0x7f)
			return mspd_loader_refuse(l, "has a control character");
	return store_string(l, at, len);
}

static bool word_byte(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') || c == '_';
}

/* Length of NAME in %NAME% at @at, 0 if there is none. */
static size_t variable(const char *at, size_t len)
{
	size_t n = 1;

	if (!len || at[0] != '%')
		return 0;
	while (n < len && word_byte(at[n]))
		n++;
	return n < len && at[n] == '%' && n > 1 ? n - 1 : 0;
}

/* Replace %NAME% (spec 2.2); a longer result than a path may be comes back
 * cut, one byte over the limit, and is refused as a path. */
static size_t expand(char out[MSPD_LOADER_PATH_MAX + 2], const char *at,
		     size_t len)
{
	char name[MSPD_LOADER_PATH_MAX + 2];
	size_t used = 0;
	size_t n, i;

	for (i = 0; i < len && used <= MSPD_LOADER_PATH_MAX; i++) {
		const char *value;

		n = variable(at + i, len - i);
		if (!n || n > MSPD_LOADER_PATH_MAX) {
			out[used++] = at[i];
			continue;
		}
		memcpy(name, at + i + 1, n);
		name[n] = '\0';
		value = getenv(name);
		if (!value)
			value = name;
		while (*value && used <= MSPD_LOADER_PATH_MAX)
			out[used++] = *value++;
		i += n + 1;
	}
	out[used] = '\0';
	return used;
}

static int set_folder(struct mspd_loader *l, const char *at, size_t len)
{
	char whole[MSPD_LOADER_PATH_MAX + 2];

	return set_path(l, whole, expand(whole, at, len));
}

static int set_level(struct mspd_loader *l, const char *at, size_t len)
{
	char word[16] = "";

	if (len < sizeof(word) && !memchr(at, '\0', len))
		memcpy(word, at, len);
	if (!mspd_level_parse(word, target(l)))
		mspd_loader_warn(l, "%s: unknown level, Info is used",
				 l->field->name);
	return l->rc == 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* The strict form is the only one we have (fix Q15, Q40: said once). */
static int set_mode(struct mspd_loader *l, const char *at, size_t len)
{
	static const char word[] = "enforce";
	size_t i;

	while (len && (*at == ' ' || *at == '\t')) {
		at++;
		len--;
	}
	while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
		len--;
	for (i = 0; i < len && i < sizeof(word) - 1; i++)
		if (lower(at[i]) != word[i])
			break;
	if (len != sizeof(word) - 1 || i != len)
		mspd_loader_warn(
			l,
			"%s: has no effect, requests are always matched in "
			"their canonical form",
			l->field->name);
	return l->rc == 0;
}

/* Decimal without sign and leading zeros, as JSON has it. */
static bool parse_whole(const char *at, size_t len, uint64_t *out)
{
	size_t i;

	*out = 0;
	if (!len || (at[0] == '0' && len > 1))
		return false;
	for (i = 0; i < len; i++)
		if (at[i] < '0' || at[i] > '9' ||
		    __builtin_mul_overflow(*out, 10, out) ||
		    __builtin_add_overflow(*out, (uint64_t)(at[i] - '0'), out))
			return false;
	return true;
}

static bool parse_number(const char *at, size_t len, uint32_t *out)
{
	uint64_t value;

	if (!parse_whole(at, len, &value) || value > UINT32_MAX)
		return false;
	*out = (uint32_t)value;
	return true;
}

static int set_address(struct mspd_loader *l, const char *at, size_t len)
{
	struct msp_address *out = target(l);

	if (!mspd_listener_parse(at, len, out))
		return mspd_loader_refuse(
			l, "must be an IPv4 address and a port, as "
			   "in \"127.0.0.1:3080\"");
	/* Never serve the network, even if somebody asks for it. */
	if (l->field->type == MSPD_FIELD_LISTENER &&
	    ntohl(out->ip) >> 24 != 127)
		return mspd_loader_refuse(l, "must be a loopback address");
	return 1;
}

/* Index of a word in "a|b|c", SIZE_MAX if it is none of them. */
static size_t word_index(const char *words, const char *at, size_t len)
{
	size_t i, n;

	for (i = 0;; i++) {
		n = strcspn(words, "|");
		if (n == len && memcmp(words, at, len) == 0)
			return i;
		if (!words[n])
			return SIZE_MAX;
		words += n + 1;
	}
}

static int set_word(struct mspd_loader *l, const char *at, size_t len)
{
	size_t index = word_index(l->field->words, at, len);

	if (index == SIZE_MAX)
		return mspd_loader_refuse(l, "must be one of %s",
					  l->field->words);
	*(uint32_t *)target(l) = (uint32_t)index;
	return 1;
}

/* "0,105"; the last uid there is means "none" to the kernel. */
static int set_uids(struct mspd_loader *l, const char *at, size_t len)
{
	struct mspd_uids *out = target(l);
	const char *end = at + len;
	const char *comma;

	out->n = 0;
	while (at < end) {
		comma = memchr(at, ',', (size_t)(end - at));
		len = (size_t)((comma ? comma : end) - at);
		if (out->n == MSPD_CONFIG_UIDS)
			return mspd_loader_refuse(l, "more than %d uids",
						  MSPD_CONFIG_UIDS);
		if (!parse_number(at, len, &out->uid[out->n]) ||
		    out->uid[out->n] == UINT32_MAX ||
		    (comma && comma + 1 == end))
			return mspd_loader_refuse(
				l, "must be uids separated by commas, as in "
				   "\"0,105\"");
		out->n++;
		at += len + (comma ? 1 : 0);
	}
	return 1;
}

int mspd_loader_set_bool(struct mspd_loader *l, bool value)
{
	if (l->field->offset != MSPD_LOADER_NOWHERE)
		*(bool *)target(l) = value;
	return 1;
}

/* Milliseconds of "15", "0.25": exact, or not taken. */
static bool parse_seconds(const char *at, size_t len, uint32_t *out)
{
	const char *point = memchr(at, '.', len);
	size_t whole = point ? (size_t)(point - at) : len;
	size_t decimals = point ? len - whole - 1 : 0;
	uint32_t seconds;
	uint32_t ms = 0;
	size_t i;

	if (decimals > 3 || (point && !decimals) ||
	    !parse_number(at, whole, &seconds) || seconds > UINT32_MAX / 1000)
		return false;
	for (i = 0; i < 3; i++) {
		char digit = i < decimals ? point[i + 1] : '0';

		if (digit < '0' || digit > '9')
			return false;
		ms = ms * 10 + (uint32_t)(digit - '0');
	}
	if (seconds * 1000 > UINT32_MAX - ms)
		return false;
	*out = seconds * 1000 + ms;
	return true;
}

/* A whole number that Azure's agent works with, and we would not. */
static int clamp(struct mspd_loader *l, uint64_t value, const char *what,
		 uint32_t used, uint32_t stored)
{
	mspd_loader_warn(l, "%s: %" PRIu64 " is too %s, %" PRIu32 " is used",
			 l->field->name, value, what, used);
	*(uint32_t *)target(l) = stored;
	return l->rc == 0;
}

int mspd_loader_set_seconds(struct mspd_loader *l, const char *at, size_t len)
{
	const struct mspd_field *f = l->field;
	uint64_t whole;
	uint32_t ms;

	if ((f->flags & MSPD_FIELD_LENIENT) && parse_whole(at, len, &whole)) {
		if (!whole)
			return clamp(l, whole, "short", 1, 1000);
		if (whole > f->max / 1000)
			return clamp(l, whole, "long", f->max / 1000, f->max);
	}
	if (!parse_seconds(at, len, &ms) || ms < f->min || ms > f->max)
		return mspd_loader_refuse(
			l,
			"must be from %g to %g seconds, with at most three "
			"decimals and no exponent",
			f->min / 1000.0, f->max / 1000.0);
	*(uint32_t *)target(l) = ms;
	return 1;
}

int mspd_loader_set_number(struct mspd_loader *l, const char *at, size_t len)
{
	const struct mspd_field *f = l->field;
	uint64_t whole;
	uint32_t value;

	if ((f->flags & MSPD_FIELD_LENIENT) && parse_whole(at, len, &whole) &&
	    whole > f->max)
		return f->offset == MSPD_LOADER_NOWHERE ||
		       clamp(l, whole, "large", f->max, f->max);
	if (!parse_number(at, len, &value) || value < f->min || value > f->max)
		return mspd_loader_refuse(
			l, "must be a whole number from %u to %u", f->min,
			f->max);
	if (f->offset != MSPD_LOADER_NOWHERE)
		*(uint32_t *)target(l) = value;
	return 1;
}

int mspd_loader_set_text(struct mspd_loader *l, const char *at, size_t len)
{
	switch (l->field->type) {
	case MSPD_FIELD_FOLDER:
		return set_folder(l, at, len);
	case MSPD_FIELD_PATH:
		return set_path(l, at, len);
	case MSPD_FIELD_NAME:
		return set_name(l, at, len);
	case MSPD_FIELD_LEVEL:
		return set_level(l, at, len);
	case MSPD_FIELD_MODE:
		return set_mode(l, at, len);
	case MSPD_FIELD_WORD:
		return set_word(l, at, len);
	case MSPD_FIELD_UIDS:
		return set_uids(l, at, len);
	case MSPD_FIELD_ADDRESS:
	case MSPD_FIELD_LISTENER:
		return set_address(l, at, len);
	case MSPD_FIELD_ANY:
	case MSPD_FIELD_STRING:
		return 1;
	case MSPD_FIELD_BOOL:
	case MSPD_FIELD_NUMBER:
	case MSPD_FIELD_SECONDS:
		break;
	}
	return 0;
}
