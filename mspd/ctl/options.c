/* SPDX-License-Identifier: MIT */
/*
 * In: the arguments of one command. Out: its options and operands. Must never
 * guess: what is not understood, or given twice, is an error.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mspd/ctl/ctl.h"

/* ---- words ------------------------------------------------------------- */

bool ctl_endpoint_named(const char *word, enum msp_endpoint *out)
{
	int i;

	for (i = 0; i < MSP_ENDPOINTS; i++) {
		*out = (enum msp_endpoint)i;
		if (!strcasecmp(word, ctl_endpoint_word(*out)) ||
		    !strcasecmp(word, msp_endpoint_name(*out)))
			return true;
	}
	return false;
}

bool ctl_mode_named(const char *word, enum msp_mode *out)
{
	static const enum msp_mode modes[] = { MSP_MODE_ENFORCE, MSP_MODE_AUDIT,
					       MSP_MODE_DISABLED };
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		*out = modes[i];
		if (!strcasecmp(word, msp_mode_name(*out)))
			return true;
	}
	return false;
}

const char *ctl_endpoint_word(enum msp_endpoint endpoint)
{
	switch (endpoint) {
	case MSP_ENDPOINT_WIRESERVER:
		return "wireserver";
	case MSP_ENDPOINT_IMDS:
		return "imds";
	case MSP_ENDPOINT_HOSTGA:
		return "hostga";
	}
	return "unknown";
}

const char *ctl_form_word(enum msp_profile_form form)
{
	switch (form) {
	case MSP_PROFILE_WIRE:
		return "wire";
	case MSP_PROFILE_ARM:
		return "arm";
	case MSP_PROFILE_LOCAL:
		return "local";
	case MSP_PROFILE_ANY:
		break;
	}
	return "any";
}

static bool form_named(const char *word, enum msp_profile_form *out)
{
	static const enum msp_profile_form forms[] = { MSP_PROFILE_WIRE,
						       MSP_PROFILE_ARM,
						       MSP_PROFILE_LOCAL };
	size_t i;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		*out = forms[i];
		if (!strcasecmp(word, ctl_form_word(*out)))
			return true;
	}
	return false;
}

/* Digits only: a user id of strtoul()'s "-1" would be somebody. */
static bool parse_number(const char *text, uint32_t *out)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; text[i]; i++) {
		if (text[i] < '0' || text[i] > '9' || i >= 10)
			return false;
		n = n * 10 + (uint64_t)(text[i] - '0');
	}
	*out = (uint32_t)n;
	return i > 0 && n < UINT32_MAX;
}

/* ---- values ------------------------------------------------------------ */

/* Returns what is wanted instead, or NULL. */
static const char *set_number(const struct ctl_option *o, const char *value)
{
	struct ctl_number *to = o->to;
	enum msp_profile_form form;
	enum msp_endpoint endpoint;
	enum msp_mode mode;

	switch (o->kind) {
	case CTL_ENDPOINT:
		if (!ctl_endpoint_named(value, &endpoint))
			return "imds, wireserver or hostga";
		to->value = endpoint;
		break;
	case CTL_MODE:
		if (!ctl_mode_named(value, &mode))
			return "enforce, audit or disabled";
		to->value = mode;
		break;
	case CTL_FORM:
		if (!form_named(value, &form))
			return "arm, wire or local";
		to->value = form;
		break;
	default:
		if (!parse_number(value, &to->value))
			return "a number";
	}
	to->given = true;
	return NULL;
}

static void add(struct ctl_list *list, const char *text)
{
	list->at =
		ctl_grow(list->at, &list->room, list->n + 1, sizeof(*list->at));
	list->at[list->n++] = text;
}

static bool set(const struct ctl_option *o, const char *value)
{
	const char *wanted;

	switch (o->kind) {
	case CTL_FLAG:
		*(bool *)o->to = true;
		return true;
	case CTL_TEXT:
		*(const char **)o->to = value;
		return true;
	case CTL_LIST:
		add(o->to, value);
		return true;
	default:
		wanted = set_number(o, value);
		if (wanted)
			ctl_fail("--%s '%s': want %s", o->name, value, wanted);
		return !wanted;
	}
}

/* ---- arguments --------------------------------------------------------- */

/* Position in the list; SIZE_MAX: there is no such option. */
static size_t find(const struct ctl_option *options, const char *name,
		   size_t len)
{
	size_t i;

	for (i = 0; options[i].name; i++)
		if (!strncmp(options[i].name, name, len) &&
		    !options[i].name[len])
			return i;
	return SIZE_MAX;
}

/* The word behind it is its value if it is a number. */
static bool take_maybe(const struct ctl_option *o, int argc, char **argv,
		       int *at)
{
	struct ctl_number *to = o->to;
	uint32_t number;

	to->given = true;
	if (*at + 1 < argc && parse_number(argv[*at + 1], &number)) {
		to->value = number;
		++*at;
	}
	return true;
}

/* One option, of which argv[*at] is the first word. */
static bool take(const struct ctl_option *options, int argc, char **argv,
		 int *at, uint32_t *seen)
{
	const char *name = argv[*at] + 2;
	const char *value = strchr(name, '=');
	size_t len = value ? (size_t)(value - name) : strlen(name);
	size_t i = find(options, name, len);

	if (argv[*at][1] != '-' || i == SIZE_MAX) {
		ctl_fail("%s: no such option", argv[*at]);
		return false;
	}
	if (options[i].kind != CTL_LIST && *seen & 1u << i) {
		ctl_fail("--%s: given twice", options[i].name);
		return false;
	}
	*seen |= 1u << i;
	if (options[i].kind == CTL_MAYBE && !value)
		return take_maybe(&options[i], argc, argv, at);
	if (options[i].kind == CTL_FLAG) {
		if (!value)
			return set(&options[i], NULL);
		ctl_fail("--%s: takes no value", options[i].name);
		return false;
	}
	if (value)
		return set(&options[i], value + 1);
	if (*at + 1 < argc)
		return set(&options[i], argv[++*at]);
	ctl_fail("--%s: needs a value", options[i].name);
	return false;
}

bool ctl_parse(const struct ctl_option *options, int argc, char **argv,
	       struct ctl_list *operands)
{
	bool words_only = false;
	uint32_t seen = 0;
	int i;

	for (i = 0; i < argc; i++) {
		if (words_only || argv[i][0] != '-' || !argv[i][1])
			add(operands, argv[i]);
		else if (!strcmp(argv[i], "--"))
			words_only = true;
		else if (!take(options, argc, argv, &i, &seen))
			return false;
	}
	return true;
}
