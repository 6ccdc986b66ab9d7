/* SPDX-License-Identifier: MIT */
/*
 * In: what a reader has to say about a value. Out: a finding with its place,
 * and the first error in the caller's info. Must never spend on one that is
 * only counted: a hostile document may deserve a remark per byte.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libmsp/info.h"
#include "libmsp/profile_reader.h"

/* Longer than any pointer or text that is kept, so that those are cut where
 * msp_info_copy() cuts: between two characters. */
#define POINTER_RAW 512
#define POINTER_MAX 256
#define TEXT_MAX    1024

/* What a remark is about. */
struct subject {
	const struct msp_json_value *value;
	const char *member; /* of value, that is not there; or NULL */
	bool at_name;	    /* the place is that of the value's name */
};

static void find_place(struct msp_cursor *c, const char *input, size_t offset,
		       uint32_t *line, uint32_t *column)
{
	const char *at;

	if (offset < c->at)
		memset(c, 0, sizeof(*c));
	while ((at = memchr(input + c->at, '\n', offset - c->at))) {
		c->at = (size_t)(at - input) + 1;
		c->line_start = c->at;
		c->line++;
	}
	c->at = offset;
	*line = c->line + 1;
	*column = (uint32_t)(offset - c->line_start + 1);
}

void msp_reader_place(struct msp_reader *r, struct msp_place *out,
		      const struct msp_json_value *entry)
{
	size_t len;
	const char *input = msp_json_input(entry, &len);

	find_place(&r->entries, input, msp_json_offset(entry), &out->line,
		   &out->column);
}

int msp_reader_no_memory(struct msp_reader *r)
{
	if (r->rc != MSP_ERR_NOMEM)
		r->rc = msp_fail(r->info, MSP_ERR_NOMEM,
				 "no memory for a profile");
	return r->rc;
}

static size_t offset_of(const struct subject *about)
{
	return about->at_name ? msp_json_name_offset(about->value)
			      : msp_json_offset(about->value);
}

static void pointer_of(const struct subject *about, char *out, size_t size)
{
	char raw[POINTER_RAW];
	size_t n;

	msp_json_pointer(about->value, raw, sizeof(raw));
	n = strlen(raw);
	if (about->member)
		snprintf(raw + n, sizeof(raw) - n, "/%s", about->member);
	msp_info_copy(out, size, raw, strlen(raw));
}

/* The first error is also what a caller hears who asked for no more. */
static void tell(struct msp_reader *r, const struct subject *about,
		 const struct msp_finding *finding)
{
	size_t len;
	const char *input = msp_json_input(about->value, &len);

	r->rc = finding->code == MSP_FINDING_LIMIT ? MSP_ERR_LIMIT
						   : MSP_ERR_SCHEMA;
	msp_fail_at(r->info, r->rc, finding->pointer, "%s", finding->text);
	msp_info_place(r->info, input, len, offset_of(about));
}

__attribute__((format(printf, 4, 0))) static void
say(struct msp_reader *r, const struct subject *about,
    struct msp_finding *finding, const char *format, va_list args)
{
	char pointer[POINTER_MAX], text[TEXT_MAX];
	size_t len;

	if (!msp_findings_full(r->findings, finding->severity)) {
		vsnprintf(text, sizeof(text), format, args);
		pointer_of(about, pointer, sizeof(pointer));
		finding->text = text;
		finding->pointer = pointer;
		find_place(&r->remarks, msp_json_input(about->value, &len),
			   offset_of(about), &finding->line, &finding->column);
	}
	if (msp_findings_add(r->findings, finding) < 0)
		msp_reader_no_memory(r);
	else if (r->rc == 0 && finding->severity == MSP_SEVERITY_ERROR)
		tell(r, about, finding);
}

void msp_reader_error(struct msp_reader *r, enum msp_finding_code code,
		      const struct msp_json_value *value, const char *format,
		      ...)
{
	struct msp_finding finding = { .severity = MSP_SEVERITY_ERROR,
				       .code = code };
	struct subject about = { value, NULL, false };
	va_list args;

	va_start(args, format);
	say(r, &about, &finding, format, args);
	va_end(args);
}

void msp_reader_warning(struct msp_reader *r, enum msp_finding_code code,
			const struct msp_json_value *value, const char *format,
			...)
{
	struct msp_finding finding = { .severity = MSP_SEVERITY_WARNING,
				       .code = code };
	struct subject about = { value, NULL, false };
	size_t len;
	va_list args;

	about.at_name =
		code == MSP_FINDING_UNKNOWN_FIELD && msp_json_name(value, &len);
	va_start(args, format);
	say(r, &about, &finding, format, args);
	va_end(args);
}

__attribute__((format(printf, 4, 5))) static void
say_plain(struct msp_reader *r, const struct subject *about,
	  struct msp_finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(r, about, finding, format, args);
	va_end(args);
}

void msp_reader_missing(struct msp_reader *r, enum msp_severity severity,
			const struct msp_json_value *object, const char *name,
			const char *text)
{
	struct msp_finding finding = { .severity = severity,
				       .code = MSP_FINDING_MISSING };
	struct subject about = { object, name, false };

	say_plain(r, &about, &finding, "%s", text);
}

void msp_reader_twice(struct msp_reader *r, const struct msp_json_value *member)
{
	struct msp_finding finding = { .severity = MSP_SEVERITY_ERROR,
				       .code = MSP_FINDING_TWICE };
	struct subject about = { member, NULL, true };

	say_plain(r, &about, &finding, "is given twice");
}
