/* SPDX-License-Identifier: MIT */
/*
 * In: documents of the host, of any length and content. Out: the few fields of
 * them that telemetry names. Must never follow, expand or nest anything.
 */
#include "mspd/telemetry_priv.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <yajl/yajl_parse.h>

#include "mspd/json_end.h"
#include "mspd/text.h"

#define JSON_DEPTH 16

/* ---- XML --------------------------------------------------------------- */

struct span {
	const char *at;
	size_t len;
};

struct tag {
	struct span name;
	struct span attributes;
	bool start; /* of an element, and not its end */
};

static bool begins(struct span text, const char *with)
{
	size_t n = strlen(with);

	return text.len >= n && memcmp(text.at, with, n) == 0;
}

static void skip(struct span *text, size_t n)
{
	text->at += n;
	text->len -= n;
}

/* Go behind the next @mark. */
static bool pass(struct span *text, const char *mark)
{
	const char *at = memmem(text->at, text->len, mark, strlen(mark));

	if (!at)
		return false;
	skip(text, (size_t)(at - text->at) + strlen(mark));
	return true;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t name_length(struct span text)
{
	size_t n = 0;

	while (n < text.len && !blank(text.at[n]) &&
	       !strchr("=/><\"'", text.at[n]))
		n++;
	return n;
}

/* Length up to the '>' that is in no quotes; text.len if there is none. */
static size_t tag_length(struct span text)
{
	char quote = '\0';
	size_t n;

	for (n = 0; n < text.len; n++) {
		char c = text.at[n];

		if (quote)
			quote = c == quote ? '\0' : quote;
		else if (c == '"' || c == '\'')
			quote = c;
		else if (c == '>')
			break;
	}
	return n;
}

/* The tag behind a '<'; false: there is none that we know. */
static bool read_tag(struct span *rest, struct tag *tag)
{
	size_t len = tag_length(*rest);

	if (len == rest->len)
		return false;
	tag->start = len && rest->at[0] != '/';
	tag->attributes = (struct span){ rest->at, len };
	tag->name.at = rest->at;
	tag->name.len = name_length(tag->attributes);
	skip(&tag->attributes, tag->name.len);
	skip(rest, len + 1);
	return true;
}

/* The next tag; false at the end, or at what has no place here. */
static bool next_tag(struct span *rest, struct tag *tag)
{
	while (pass(rest, "<")) {
		if (begins(*rest, "?")) {
			if (!pass(rest, "?>"))
				return false;
		} else if (begins(*rest, "!--")) {
			if (!pass(rest, "-->"))
				return false;
		} else if (begins(*rest, "![CDATA[")) {
			if (!pass(rest, "]]>"))
				return false;
		} else if (begins(*rest, "!")) {
			return false; /* it could define what things mean */
		} else {
			return read_tag(rest, tag);
		}
	}
	return false;
}

static bool find_element(struct span *rest, const char *name, struct tag *tag)
{
	while (next_tag(rest, tag))
		if (tag->start && tag->name.len == strlen(name) &&
		    memcmp(tag->name.at, name, tag->name.len) == 0)
			return true;
	return false;
}

/* One character of an entity; '\0': not one of those that are taken. */
static char entity(struct span name)
{
	static const struct {
		const char *name;
		char c;
	} known[] = { { "amp", '&' },
		      { "lt", '<' },
		      { "gt", '>' },
		      { "quot", '"' },
		      { "apos", '\'' } };
	char digits[8] = "";
	char *end;
	unsigned long n;
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (name.len == strlen(known[i].name) &&
		    begins(name, known[i].name))
			return known[i].c;
	if (name.len < 2 || name.len >= sizeof(digits) || name.at[0] != '#')
		return '\0';
	memcpy(digits, name.at + 1, name.len - 1);
	n = digits[0] == 'x' ? strtoul(digits + 1, &end, 16)
			     : strtoul(digits, &end, 10);
	return *end || n < 0x20 || n > 0x7e ? '\0' : (char)n;
}

/* Bytes of one character of the text, 0 if it is none that is taken. */
static size_t decode_one(struct span in, char out[4], size_t *out_len)
{
	const char *end;
	size_t n;

	*out_len = 1;
	if (in.at[0] == '&') {
		end = memchr(in.at, ';', in.len < 12 ? in.len : 12);
		if (!end)
			return 0;
		n = (size_t)(end - in.at);
		out[0] = entity((struct span){ in.at + 1, n - 1 });
		return out[0] ? n + 1 : 0;
	}
	n = mspd_utf8_step(in.at, in.len);
	if (!n || (unsigned char)in.at[0] < 0x20 || in.at[0] == 0x7f)
		return 0;
	memcpy(out, in.at, n);
	*out_len = n;
	return n;
}

static bool decode(struct span in, char *out, size_t size)
{
	size_t len = 0, n, got;
	char c[4];

	out[0] = '\0';
	while (in.len && blank(in.at[0]))
		skip(&in, 1);
	while (in.len && blank(in.at[in.len - 1]))
		in.len--;
	for (; in.len; skip(&in, n)) {
		n = decode_one(in, c, &got);
		if (!n || len + got >= size) {
			out[0] = '\0';
			return false;
		}
		memcpy(out + len, c, got);
		len += got;
	}
	out[len] = '\0';
	return true;
}

bool mspd_xml_text(const char *doc, size_t len, const char *element, char *out,
		   size_t size)
{
	struct span rest = { doc, len };
	struct span text;
	struct tag tag;
	const char *end;

	out[0] = '\0';
	if (!find_element(&rest, element, &tag))
		return false;
	if (tag.attributes.len &&
	    tag.attributes.at[tag.attributes.len - 1] == '/')
		return false;
	end = memchr(rest.at, '<', rest.len);
	if (!end)
		return false;
	text = (struct span){ rest.at, (size_t)(end - rest.at) };
	skip(&rest, text.len);
	if (!begins(rest, "</"))
		return false;
	return decode(text, out, size);
}

/* One NAME="VALUE" of a tag; false at the end, or at what is none. */
static bool next_attribute(struct span *rest, struct span *name,
			   struct span *value)
{
	const char *end;

	while (rest->len && blank(rest->at[0]))
		skip(rest, 1);
	name->at = rest->at;
	name->len = name_length(*rest);
	skip(rest, name->len);
	if (!name->len || rest->len < 3 || rest->at[0] != '=' ||
	    !strchr("\"'", rest->at[1]))
		return false;
	value->at = rest->at + 2;
	end = memchr(value->at, rest->at[1], rest->len - 2);
	if (!end)
		return false;
	value->len = (size_t)(end - value->at);
	skip(rest, value->len + 3);
	return true;
}

bool mspd_xml_attribute(const char *doc, size_t len, const char *element,
			const char *attribute, char *out, size_t size)
{
	struct span rest = { doc, len };
	struct span name, value;
	struct tag tag;

	out[0] = '\0';
	if (!find_element(&rest, element, &tag))
		return false;
	while (next_attribute(&tag.attributes, &name, &value))
		if (name.len == strlen(attribute) &&
		    memcmp(name.at, attribute, name.len) == 0)
			return decode(value, out, size);
	return false;
}

bool mspd_vm_goal(struct mspd_vm *vm, const char *doc, size_t len, char *url,
		  size_t url_size)
{
	url[0] = '\0';
	return mspd_xml_text(doc, len, "ContainerId", vm->container,
			     sizeof(vm->container)) &&
	       mspd_xml_text(doc, len, "SharedConfig", url, url_size);
}

bool mspd_vm_shared(struct mspd_vm *vm, const char *doc, size_t len)
{
	return mspd_xml_attribute(doc, len, "Deployment", "name", vm->tenant,
				  sizeof(vm->tenant)) &&
	       mspd_xml_attribute(doc, len, "Role", "name", vm->role,
				  sizeof(vm->role)) &&
	       mspd_xml_attribute(doc, len, "Instance", "id", vm->instance,
				  sizeof(vm->instance));
}

/* ---- JSON -------------------------------------------------------------- */

struct reader {
	struct mspd_vm *vm;
	unsigned int depth;
	bool compute;	 /* in the object of that name */
	bool name_is_it; /* the name before was that one */
	char *out;	 /* MSPD_VM_TEXT bytes for the next value, or NULL */
	char offer[8];
};

static int on_open(void *ctx)
{
	struct reader *r = ctx;

	r->depth++;
	if (r->depth == 2)
		r->compute = r->name_is_it;
	r->out = NULL;
	return r->depth <= JSON_DEPTH;
}

static int on_close(void *ctx)
{
	struct reader *r = ctx;

	r->depth--;
	if (r->depth < 2)
		r->compute = false;
	return 1;
}

static bool is(const unsigned char *at, size_t len, const char *name)
{
	return len == strlen(name) && memcmp(at, name, len) == 0;
}

static int on_name(void *ctx, const unsigned char *at, size_t len)
{
	struct reader *r = ctx;
	struct mspd_vm *vm = r->vm;

	r->out = NULL;
	r->name_is_it = r->depth == 1 && is(at, len, "compute");
	if (r->depth != 2 || !r->compute)
		return 1;
	if (is(at, len, "subscriptionId"))
		r->out = vm->subscription;
	else if (is(at, len, "resourceGroupName"))
		r->out = vm->group;
	else if (is(at, len, "vmId"))
		r->out = vm->vm_id;
	if (is(at, len, "offer"))
		r->out = r->offer;
	return 1;
}

static int on_string(void *ctx, const unsigned char *at, size_t len)
{
	struct reader *r = ctx;
	struct mspd_text text;

	if (r->out == r->offer) {
		r->vm->image = len > 0;
	} else if (r->out) {
		mspd_text_init(&text, r->out, MSPD_VM_TEXT);
		mspd_text_clean(&text, (const char *)at, len);
	}
	r->out = NULL;
	return 1;
}

bool mspd_vm_compute(struct mspd_vm *vm, const char *doc, size_t len)
{
	static const yajl_callbacks callbacks = {
		.yajl_start_map = on_open,
		.yajl_end_map = on_close,
		.yajl_start_array = on_open,
		.yajl_end_array = on_close,
		.yajl_map_key = on_name,
		.yajl_string = on_string,
	};
	struct reader r = { .vm = vm };
	yajl_handle parser = yajl_alloc(&callbacks, NULL, &r);
	bool good;

	vm->image = false;
	vm->subscription[0] = vm->group[0] = vm->vm_id[0] = '\0';
	if (!parser)
		return false;
	good = yajl_parse(parser, (const unsigned char *)doc, len) ==
		       yajl_status_ok &&
	       mspd_json_ended(parser);
	yajl_free(parser);
	return good && vm->vm_id[0];
}

/* ---- address ----------------------------------------------------------- */

const char *mspd_url_target(const char *url, const struct msp_address *address)
{
	char text[INET_ADDRSTRLEN];
	char whole[sizeof("http://:65535/") + INET_ADDRSTRLEN];
	struct in_addr in = { address->ip };
	const char *at;
	size_t n;

	if (!inet_ntop(AF_INET, &in, text, sizeof(text)))
		return NULL;
	snprintf(whole, sizeof(whole), "http://%s:%u/", text,
		 (unsigned int)address->port);
	n = strlen(whole);
	if (strncmp(url, whole, n) != 0) {
		snprintf(whole, sizeof(whole), "http://%s/", text);
		n = strlen(whole);
		if (address->port != 80 || strncmp(url, whole, n) != 0)
			return NULL;
	}
	for (at = url + n - 1; *at; at++)
		if (*at <= ' ' || *at > '~' || *at == '#')
			return NULL;
	return url + n - 1;
}

/* ---- this machine ------------------------------------------------------ */

/* VALUE of NAME=VALUE or NAME="VALUE", as os-release(5) has it. */
static bool release_value(const char *line, const char *name, char *out,
			  size_t size)
{
	size_t n = strlen(name);
	struct mspd_text text;
	size_t len;

	if (strncmp(line, name, n) != 0 || line[n] != '=')
		return false;
	line += n + 1;
	len = strcspn(line, "\n");
	if (len >= 2 && (line[0] == '"' || line[0] == '\'') &&
	    line[len - 1] == line[0]) {
		line++;
		len -= 2;
	}
	mspd_text_init(&text, out, size);
	mspd_text_clean(&text, line, len);
	return text.len > 0;
}

static void read_release(char type[64], char version[64])
{
	FILE *f = fopen("/etc/os-release", "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		release_value(line, "NAME", type, 64);
		release_value(line, "VERSION_ID", version, 64);
	}
	if (f)
		fclose(f);
}

void mspd_vm_local(struct mspd_vm *vm)
{
	struct utsname kernel = { .sysname = "" };
	char version[64] = "";
	char type[64] = "Linux";
	struct sysinfo memory;
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	uname(&kernel);
	read_release(type, version);
	snprintf(vm->os, sizeof(vm->os), "Linux:%s-%s", type,
		 version[0] ? version : kernel.release);
	snprintf(vm->arch, sizeof(vm->arch), "%s", kernel.machine);
	if (sysinfo(&memory) == 0)
		vm->ram_mb = (uint64_t)memory.totalram * memory.mem_unit >> 20;
	vm->processors = n > 0 ? (uint64_t)n : 1;
}
