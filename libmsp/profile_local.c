/* SPDX-License-Identifier: MIT */
/*
 * In: a local rule file of the VM (spec 8.5). Out: its id and default, if it
 * has any; its rules are read as all others. Must never say a violation in
 * other words than the specification's: they are a contract.
 */
#include "libmsp/ascii.h"
#include "libmsp/info.h"
#include "libmsp/profile_reader.h"

/* White_Space of Unicode; len bytes of text, valid UTF-8, start with it.
 * Returns its length, or 0. */
static size_t space_at(const char *text, size_t len)
{
	static const char *const wide[] = {
		"\xc2\x85",	"\xc2\xa0",	"\xe1\x9a\x80", "\xe2\x80\xa8",
		"\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
	};
	unsigned char c = (unsigned char)text[0];
	size_t i;

	if (c == ' ' || (c >= '\t' && c <= '\r'))
		return 1;
	if (c < 0x80)
		return 0;
	for (i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
		size_t n = strlen(wide[i]);

		if (n <= len && memcmp(text, wide[i], n) == 0)
			return n;
	}
	/* U+2000 to U+200A */
	if (len >= 3 && memcmp(text, "\xe2\x80", 2) == 0 &&
	    (unsigned char)text[2] >= 0x80 && (unsigned char)text[2] <= 0x8a)
		return 3;
	return 0;
}

void msp_text_trim(const char **text, size_t *len)
{
	size_t n, i, end;

	while (*len && (n = space_at(*text, *len))) {
		*text += n;
		*len -= n;
	}
	/* from the front, because characters can only be told that way */
	for (i = 0, end = 0; i < *len; i += n ? n : 1) {
		n = space_at(*text + i, *len - i);
		if (!n)
			end = i + 1;
	}
	*len = end;
}

bool msp_text_blank(const char *text, size_t len)
{
	msp_text_trim(&text, &len);
	return len == 0;
}

static void read_access(struct msp_reader *r,
			const struct msp_json_value *value)
{
	char quote[MSP_QUOTE_WHOLE];
	const char *text, *word;
	size_t len, n;

	msp_reader_place(r, &r->profile->access_place, value);
	text = msp_json_text(value, &len);
	word = text;
	n = len;
	msp_text_trim(&word, &n);
	r->profile->has_access = msp_access_parse(&r->profile->access, word, n);
	if (r->profile->has_access)
		return;
	msp_info_copy(quote, sizeof(quote), text, len);
	msp_reader_error(r, MSP_FINDING_VALUE, value,
			 "local rules defaultAccess must be 'allow' or 'deny', "
			 "got '%s'",
			 quote);
}

static void read_id(struct msp_reader *r, const struct msp_json_value *value)
{
	const char *text;
	size_t len;

	text = msp_json_text(value, &len);
	if (msp_text_blank(text, len))
		msp_reader_error(
			r, MSP_FINDING_VALUE, value,
			"local rules id cannot be empty when provided");
	else
		r->profile->id = msp_reader_keep(r, text, len);
}

/* The mode is the host's, whatever a file says. */
void msp_reader_local(struct msp_reader *r, const struct msp_json_value *file)
{
	struct msp_field fields[] = {
		{ .name = "defaultAccess", MSP_JSON_STRING },
		{ .name = "id", MSP_JSON_STRING },
		{ .name = "rules", MSP_JSON_OBJECT },
		{ .name = "mode", MSP_JSON_STRING, MSP_FIELD_ANY },
	};

	r->profile->mode = MSP_MODE_ENFORCE;
	r->profile->access = MSP_ACCESS_DENY;
	if (!msp_reader_room(r, file) || !msp_reader_owner(r, file))
		return;
	msp_reader_fields(r, file, fields, 4);
	if (fields[0].value)
		read_access(r, fields[0].value);
	if (fields[1].value)
		read_id(r, fields[1].value);
	msp_reader_rules(r, fields[2].value);
}
