/* SPDX-License-Identifier: MIT */
/*
 * In: an object and the fields it may have. Out: their values, and a remark
 * about everything else in it. Must never take one of two fields of a name
 * without saying that there were two.
 */
#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/info.h"
#include "libmsp/mem.h"
#include "libmsp/profile_reader.h"

bool msp_text_expression(const char *text, size_t len)
{
	return len >= 2 && text[0] == '[' && text[len - 1] == ']' &&
	       text[1] != '[';
}

static bool is_expression(const struct msp_reader *r,
			  const struct msp_json_value *value)
{
	const char *text;
	size_t len;

	if (!r->expressions || msp_json_type(value) != MSP_JSON_STRING)
		return false;
	text = msp_json_text(value, &len);
	return msp_text_expression(text, len);
}

static void refuse_expression(struct msp_reader *r,
			      const struct msp_json_value *value)
{
	msp_reader_error(r, MSP_FINDING_VALUE, value,
			 "is a template expression, which only Azure can "
			 "evaluate");
}

/* "[[a]" is how a template writes "[a]"; "[[a" is as it stands */
static void unescape(const struct msp_reader *r, const char **text, size_t *len)
{
	if (!r->expressions || *len < 3 || (*text)[*len - 1] != ']' ||
	    memcmp(*text, "[[", 2) != 0)
		return;
	++*text;
	--*len;
}

void msp_reader_label(const struct msp_reader *r, const char **text,
		      size_t *len, const struct msp_json_value *value)
{
	*text = msp_json_text(value, len);
	unescape(r, text, len);
}

static void read_value(struct msp_reader *r, const struct msp_json_value *value,
		       struct msp_field *field)
{
	enum msp_json_type type = msp_json_type(value);

	if (type == field->type || (field->flags & MSP_FIELD_ANY)) {
		field->value = value;
		return;
	}
	if (type == MSP_JSON_NULL && !(field->flags & MSP_FIELD_REQUIRED))
		return;
	field->wrong = true;
	if (is_expression(r, value))
		refuse_expression(r, value);
	else
		msp_reader_error(r, MSP_FINDING_TYPE, value,
				 "is %s, expected %s", msp_json_type_text(type),
				 msp_json_type_text(field->type));
}

bool msp_reader_string(struct msp_reader *r, const char **text, size_t *len,
		       const struct msp_json_value *value)
{
	struct msp_field whole = { .type = MSP_JSON_STRING,
				   .flags = MSP_FIELD_REQUIRED };

	read_value(r, value, &whole);
	if (!whole.value)
		return false;
	if (is_expression(r, value)) {
		refuse_expression(r, value);
		return false;
	}
	msp_reader_label(r, text, len, value);
	return true;
}

bool msp_reader_name(struct msp_reader *r, const char **text, size_t *len,
		     const struct msp_json_value *member)
{
	*text = msp_json_name(member, len);
	if (r->expressions && msp_text_expression(*text, *len)) {
		refuse_expression(r, member);
		return false;
	}
	unescape(r, text, len);
	return true;
}

static bool is_named(const struct msp_json_value *member, const char *name)
{
	size_t len;
	const char *text = msp_json_name(member, &len);

	return len == strlen(name) && memcmp(text, name, len) == 0;
}

const struct msp_json_value *
msp_reader_member(const struct msp_json_value *object, const char *name)
{
	const struct msp_json_value *member, *found = NULL;

	if (msp_json_type(object) != MSP_JSON_OBJECT)
		return NULL;
	for (member = msp_json_first(object); member;
	     member = msp_json_next(member)) {
		if (!is_named(member, name))
			continue;
		if (found)
			return NULL;
		found = member;
	}
	return found;
}

static void read_field(struct msp_reader *r,
		       const struct msp_json_value *object,
		       struct msp_field *field)
{
	const struct msp_json_value *member = msp_json_first(object);
	const struct msp_json_value *found = NULL;

	for (; member; member = msp_json_next(member)) {
		if (!is_named(member, field->name))
			continue;
		if (found)
			msp_reader_twice(r, member);
		else
			found = member;
	}
	if (!found && (field->flags & MSP_FIELD_REQUIRED))
		msp_reader_missing(r, MSP_SEVERITY_ERROR, object, field->name,
				   "is missing");
	field->given = found;
	if (found)
		read_value(r, found, field);
}

static void note_unknown(struct msp_reader *r,
			 const struct msp_json_value *member,
			 const struct msp_field *fields, size_t n)
{
	size_t i, len;
	const char *name = msp_json_name(member, &len);

	for (i = 0; i < n; i++)
		if (msp_ascii_equal(name, len, fields[i].name,
				    strlen(fields[i].name)))
			break;
	/* a loop makes entries that are not seen here */
	if (r->expressions && msp_ascii_equal(name, len, "copy", 4)) {
		msp_reader_error(r, MSP_FINDING_VALUE, member,
				 "is a template loop, which only Azure can "
				 "evaluate");
		return;
	}
	if (i == n) {
		msp_reader_warning(r, MSP_FINDING_UNKNOWN_FIELD, member,
				   "is not known: ignored");
		return;
	}
	/* Azure takes it: without a parameter a privilege would be wider here
	 * and in what is written */
	if (r->form == MSP_PROFILE_ARM) {
		msp_reader_error(r, MSP_FINDING_UNKNOWN_FIELD, member,
				 "is '%s' in another letter case: Azure takes "
				 "it, the agent does not",
				 fields[i].name);
		return;
	}
	msp_reader_warning(r, MSP_FINDING_UNKNOWN_FIELD, member,
			   fields[i].given
				   ? "differs from '%s' in letter case only: "
				     "ignored"
				   : "is not known, but '%s' is: letter case "
				     "counts, ignored",
			   fields[i].name);
}

void msp_reader_fields(struct msp_reader *r,
		       const struct msp_json_value *object,
		       struct msp_field *fields, size_t n)
{
	const struct msp_json_value *member = msp_json_first(object);
	size_t i;

	for (i = 0; i < n; i++)
		read_field(r, object, &fields[i]);
	for (; member; member = msp_json_next(member)) {
		for (i = 0; i < n; i++)
			if (is_named(member, fields[i].name))
				break;
		if (i == n)
			note_unknown(r, member, fields, n);
	}
}

bool msp_reader_object(struct msp_reader *r, const struct msp_json_value *value)
{
	struct msp_field whole = { .type = MSP_JSON_OBJECT,
				   .flags = MSP_FIELD_REQUIRED };

	read_value(r, value, &whole);
	return whole.value;
}

bool msp_reader_entry(struct msp_reader *r, const struct msp_json_value *entry,
		      struct msp_field *fields, size_t n)
{
	if (!msp_reader_object(r, entry))
		return false;
	msp_reader_fields(r, entry, fields, n);
	return true;
}

bool msp_reader_room(struct msp_reader *r, const struct msp_json_value *value)
{
	r->profile->texts = msp_mem_alloc(msp_json_span(value));
	if (!r->profile->texts)
		msp_reader_no_memory(r);
	return r->profile->texts;
}

/* The block has the size of the item as written: the quotes of each string pay
 * for its NUL. */
struct msp_text msp_reader_keep(struct msp_reader *r, const char *text,
				size_t len)
{
	struct msp_profile *p = r->profile;
	struct msp_text kept = { p->texts + p->texts_used, len };

	memcpy(kept.text, text, len);
	kept.text[len] = '\0';
	p->texts_used += len + 1;
	return kept;
}

bool msp_reader_count(struct msp_reader *r, const struct msp_json_value *value)
{
	if (msp_json_count(value) <= MSP_PROFILE_MAX_ITEMS)
		return true;
	msp_reader_error(r, MSP_FINDING_LIMIT, value,
			 "has %zu entries, at most %d are taken",
			 msp_json_count(value), MSP_PROFILE_MAX_ITEMS);
	return false;
}
