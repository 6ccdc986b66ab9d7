/* SPDX-License-Identifier: MIT */
/*
 * In: a method and a raw target as a client sent them. Out: the canonical
 * request, or the code of the first step that failed (spec 8.6). Must never
 * change a byte of what will be forwarded and signed.
 */
#include <msp/request.h>

#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/canon.h"
#include "libmsp/mem.h"
#include "libmsp/request_priv.h"

/* First capacity: nearly every real target fits. */
#define FIRST_CAPACITY 512
/* Up to here a simple sort is the fastest. */
#define FEW_PAIRS 16

/* Empty requests deny, like those that are no request at all. */
static void clear(struct msp_request *r)
{
	void *block = r->block;
	size_t capacity = r->capacity;

	memset(r, 0, sizeof(*r));
	r->block = block;
	r->capacity = capacity;
	r->form = MSP_FORM_OTHER;
	r->canon = MSP_CANON_FORM;
}

int msp_request_new(struct msp_request **out)
{
	struct msp_request *r;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	r = msp_mem_zalloc(sizeof(*r));
	if (!r)
		return MSP_ERR_NOMEM;
	clear(r);
	*out = r;
	return 0;
}

void msp_request_free(struct msp_request *request)
{
	if (!request)
		return;
	msp_mem_free(request->block);
	msp_mem_free(request);
}

/* One block for everything, sized for the worst target of this length, so
 * that another of the same length never allocates. */
static int reserve(struct msp_request *r, size_t len)
{
	size_t capacity = r->capacity ? r->capacity : FIRST_CAPACITY;
	void *block;

	if (r->block && len <= r->capacity)
		return 0;
	while (capacity < len)
		capacity *= 2;
	/* pairs: one per two bytes; method NUL target '/' NUL; text */
	block = msp_mem_alloc((capacity / 2 + 1) * sizeof(struct msp_pair) +
			      (capacity + 3) + (capacity + 2));
	if (!block)
		return MSP_ERR_NOMEM;
	msp_mem_free(r->block);
	r->block = block;
	r->capacity = capacity;
	return 0;
}

static void copy_in(struct msp_request *r, const char *method,
		    size_t method_len, const char *target, size_t target_len)
{
	r->pairs = r->block;
	r->method = (char *)(r->pairs + r->capacity / 2 + 1);
	memcpy(r->method, method, method_len);
	r->method[method_len] = '\0';
	r->target = r->method + method_len + 1;
	memcpy(r->target, target, target_len);
	r->target[target_len] = '\0';
	r->target_len = target_len;
	r->text = r->method + r->capacity + 3;
}

/* ---- parts of the target (RFC 9112 3.2) -------------------------------- */

/* Length of "scheme://", 0 if the target does not begin so. */
static size_t scheme_prefix(const char *t, size_t len)
{
	size_t i = 0;

	if (!msp_ascii_alpha((unsigned char)t[0]))
		return 0;
	while (i < len && (msp_ascii_alpha((unsigned char)t[i]) ||
			   msp_ascii_digit((unsigned char)t[i]) ||
			   t[i] == '+' || t[i] == '-' || t[i] == '.'))
		i++;
	if (len - i < 3 || memcmp(t + i, "://", 3) != 0)
		return 0;
	return i + 3;
}

static size_t find_any(const struct msp_request *r, size_t from,
		       const char *stop)
{
	size_t end = r->target_len;
	const char *at;

	for (; *stop; stop++) {
		at = memchr(r->target + from, *stop, end - from);
		if (at)
			end = (size_t)(at - r->target);
	}
	return end;
}

/* An absolute form without a path is sent with "/" (spec 6.8, C1). */
static void add_root(struct msp_request *r, size_t at)
{
	memmove(r->target + at + 1, r->target + at, r->target_len - at + 1);
	r->target[at] = '/';
	r->target_len++;
	r->rooted = true;
}

static void split_path(struct msp_request *r, size_t from)
{
	size_t end;

	r->path = from;
	end = find_any(r, from, "?#");
	r->path_len = end - from;
	if (end == r->target_len || r->target[end] == '#')
		return;
	r->query = end + 1;
	r->query_len = find_any(r, r->query, "#") - r->query;
}

/* Returns MSP_CANON_SCHEME or the code of the authority. */
static enum msp_canon split_absolute(struct msp_request *r, size_t prefix)
{
	size_t end = find_any(r, prefix, "/?#");
	enum msp_canon code;

	r->form = MSP_FORM_ABSOLUTE;
	if (end == r->target_len || r->target[end] != '/')
		add_root(r, end);
	split_path(r, end);
	if (!msp_ascii_equal(r->target, prefix, "http://", 7))
		return MSP_CANON_SCHEME;
	code = msp_canon_authority(&r->authority, r->target + prefix,
				   end - prefix);
	r->has_authority = code == MSP_CANON_OK;
	return code;
}

static enum msp_canon split_target(struct msp_request *r)
{
	size_t prefix;

	if (r->target[0] == '/') {
		r->form = MSP_FORM_ORIGIN;
		split_path(r, 0);
		return MSP_CANON_OK;
	}
	if (r->target_len == 1 && r->target[0] == '*') {
		r->form = MSP_FORM_ASTERISK;
		r->path_len = 1;
		return strcmp(r->method, "OPTIONS") ? MSP_CANON_FORM
						    : MSP_CANON_OK;
	}
	prefix = scheme_prefix(r->target, r->target_len);
	if (prefix)
		return split_absolute(r, prefix);
	return MSP_CANON_FORM;
}

/* Bytes that no target may hold in the raw. They are refused before anything
 * else could forward them: a blank or a line feed splits the request, and the
 * reference answers 400 to all of them (spec 6.1, C2). */
static enum msp_canon check_raw(const struct msp_request *r)
{
	unsigned char c;
	size_t i;

	for (i = 0; i < r->target_len; i++) {
		c = (unsigned char)r->target[i];
		if (c <= ' ' || c == 0x7f)
			return MSP_CANON_CTRL;
		if (c >= 0x80)
			return MSP_CANON_NON_ASCII;
		if (c == '#' || c == '<' || c == '>')
			return MSP_CANON_FORM;
	}
	if (memchr(r->target + r->path, '`', r->path_len) ||
	    memchr(r->target + r->query, '"', r->query_len))
		return MSP_CANON_FORM;
	return MSP_CANON_OK;
}

static bool method_allowed(const char *method, size_t len)
{
	static const char *const allowed[] = { "GET",  "HEAD",	 "POST",
					       "PUT",  "DELETE", "OPTIONS",
					       "PATCH" };
	size_t i;

	for (i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		if (len == strlen(allowed[i]) &&
		    !memcmp(method, allowed[i], len))
			return true;
	}
	return false;
}

/* ---- query ------------------------------------------------------------- */

static int compare_names(const struct msp_request *r, const struct msp_pair *p,
			 const char *name, size_t len)
{
	size_t n = p->name_len < len ? p->name_len : len;
	int cmp = memcmp(r->text + p->name, name, n);

	if (cmp)
		return cmp;
	return p->name_len < len ? -1 : p->name_len > len;
}

/* Names are decoded one after the other: their offsets keep the order of the
 * query. */
static bool pair_less(const struct msp_request *r, const struct msp_pair *a,
		      const struct msp_pair *b)
{
	int cmp = compare_names(r, a, r->text + b->name, b->name_len);

	return cmp < 0 || (!cmp && a->name < b->name);
}

static void sift_down(struct msp_request *r, size_t at, size_t n)
{
	struct msp_pair moved = r->pairs[at];
	size_t child;

	while ((child = 2 * at + 1) < n) {
		if (child + 1 < n &&
		    pair_less(r, &r->pairs[child], &r->pairs[child + 1]))
			child++;
		if (!pair_less(r, &moved, &r->pairs[child]))
			break;
		r->pairs[at] = r->pairs[child];
		at = child;
	}
	r->pairs[at] = moved;
}

/* Few, or in order already. */
static void sort_few(struct msp_request *r)
{
	struct msp_pair moved;
	size_t i, k;

	for (i = 1; i < r->n_pairs; i++) {
		moved = r->pairs[i];
		for (k = i; k && pair_less(r, &moved, &r->pairs[k - 1]); k--)
			r->pairs[k] = r->pairs[k - 1];
		r->pairs[k] = moved;
	}
}

/* Heap sort: no worst case for a client to find, and unlike qsort(3) it does
 * not allocate. */
static void sort_pairs(struct msp_request *r)
{
	struct msp_pair last;
	size_t i;

	if (r->n_pairs <= FEW_PAIRS) {
		sort_few(r);
		return;
	}
	for (i = r->n_pairs / 2; i-- > 0;)
		sift_down(r, i, r->n_pairs);
	for (i = r->n_pairs; i-- > 1;) {
		last = r->pairs[i];
		r->pairs[i] = r->pairs[0];
		r->pairs[0] = last;
		sift_down(r, 0, i);
	}
}

static bool is_ambiguous(const struct msp_request *r, const struct msp_pair *p)
{
	return msp_canon_ambiguous(r->text + p->name, p->name_len) ||
	       msp_canon_ambiguous(r->text + p->value, p->value_len);
}

static void note_duplicates(struct msp_request *r)
{
	const struct msp_pair *p;
	size_t i;

	for (i = 1; i < r->n_pairs && !r->duplicates; i++) {
		p = &r->pairs[i];
		r->duplicates = !compare_names(r, p - 1, r->text + p->name,
					       p->name_len);
	}
}

static void note_ambiguous(struct msp_request *r)
{
	size_t i;

	for (i = 0; i < r->n_pairs && !r->ambiguous; i++)
		r->ambiguous = is_ambiguous(r, &r->pairs[i]);
}

/* One piece between '&'s -> a pair; *at is where free text begins. */
static enum msp_canon add_pair(struct msp_request *r, size_t *at,
			       const char *piece, size_t len)
{
	struct msp_pair *p = &r->pairs[r->n_pairs];
	const char *equals = memchr(piece, '=', len);
	size_t raw = equals ? (size_t)(equals - piece) : len;
	size_t name_len, value_len = 0;
	enum msp_canon code;

	code = msp_canon_query(r->text + *at, &name_len, piece, raw);
	if (code)
		return code;
	if (equals)
		code = msp_canon_query(r->text + *at + name_len, &value_len,
				       equals + 1, len - raw - 1);
	if (code || !name_len)
		return code;
	p->name = (uint16_t)*at;
	p->name_len = (uint16_t)name_len;
	p->value = (uint16_t)(*at + name_len);
	p->value_len = (uint16_t)value_len;
	*at += name_len + value_len;
	r->n_pairs++;
	return MSP_CANON_OK;
}

static enum msp_canon canon_query(struct msp_request *r)
{
	const char *query = r->target + r->query;
	size_t i, end, at = r->text_len;
	enum msp_canon code;

	for (i = 0; i < r->query_len; i = end + 1) {
		end = i;
		while (end < r->query_len && query[end] != '&')
			end++;
		if (end == i)
			continue;
		code = add_pair(r, &at, query + i, end - i);
		if (code)
			return code;
	}
	sort_pairs(r);
	note_duplicates(r);
	note_ambiguous(r);
	return MSP_CANON_OK;
}

const struct msp_pair *msp_request_find(const struct msp_request *request,
					const char *name, size_t len,
					size_t *count)
{
	const struct msp_pair *pairs = request->pairs;
	size_t low = 0, high = request->n_pairs, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (compare_names(request, &pairs[mid], name, len) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	high = low;
	while (high < request->n_pairs &&
	       !compare_names(request, &pairs[high], name, len))
		high++;
	*count = high - low;
	return high > low ? &pairs[low] : NULL;
}

/* ---- the whole --------------------------------------------------------- */

/* Spec 8.6, first failing step wins; before it spec 6.3 step 2, which is
 * refused in every mode, and what is not HTTP at all. */
static enum msp_canon canonicalize(struct msp_request *r, size_t method_len)
{
	enum msp_canon target, raw, code;

	target = split_target(r);
	if (!target && method_allowed(r->method, method_len) &&
	    msp_request_plain(r)) {
		sort_pairs(r);
		note_duplicates(r);
		return MSP_CANON_OK;
	}
	raw = check_raw(r);
	if (raw)
		r->form = MSP_FORM_OTHER;
	code = msp_canon_guard(r->target + r->path, r->path_len);
	if (code)
		return code;
	if (target == MSP_CANON_SCHEME)
		return target;
	if (!method_allowed(r->method, method_len))
		return MSP_CANON_METHOD;
	if (raw)
		return raw;
	if (target)
		return target;
	code = msp_canon_path(r->text, &r->text_len, r->target + r->path,
			      r->path_len);
	if (code)
		return code;
	r->slash = r->text_len && r->target[r->path + r->path_len - 1] == '/';
	return canon_query(r);
}

int msp_request_set(struct msp_request *request, const char *method,
		    size_t method_len, const char *target, size_t target_len)
{
	int rc;

	if (!request)
		return MSP_ERR_INVAL;
	clear(request);
	if (!method || !method_len || !target || !target_len)
		return MSP_ERR_INVAL;
	if (method_len > MSP_TARGET_MAX || target_len > MSP_TARGET_MAX)
		return MSP_ERR_LIMIT;
	rc = reserve(request, method_len + target_len);
	if (rc < 0)
		return rc;
	copy_in(request, method, method_len, target, target_len);
	request->canon = canonicalize(request, method_len);
	return 0;
}

/* ---- getters ----------------------------------------------------------- */

enum msp_canon msp_request_canon(const struct msp_request *request)
{
	return request ? request->canon : MSP_CANON_FORM;
}

enum msp_form msp_request_form(const struct msp_request *request)
{
	return request ? request->form : MSP_FORM_OTHER;
}

bool msp_request_authority(const struct msp_request *request,
			   struct msp_authority *out)
{
	if (!request || !out || request->form != MSP_FORM_ABSOLUTE ||
	    !request->has_authority)
		return false;
	*out = request->authority;
	return true;
}

const char *msp_request_origin(const struct msp_request *request, size_t *len)
{
	bool none = !request || request->form == MSP_FORM_OTHER;

	if (len)
		*len = none ? 0 : request->target_len - request->path;
	return none ? NULL : request->target + request->path;
}

const char *msp_request_method(const struct msp_request *request)
{
	return request && request->method ? request->method : "";
}

bool msp_request_exempt(const struct msp_request *request)
{
	static const struct {
		const char *method;
		const char *target;
	} exempt[] = {
		{ "PUT", "/vmagentlog" },
		{ "POST", "/machine/?comp=telemetrydata" },
	};
	size_t i;

	if (!request || request->canon || request->form != MSP_FORM_ORIGIN)
		return false;
	for (i = 0; i < sizeof(exempt) / sizeof(exempt[0]); i++) {
		if (!strcmp(request->method, exempt[i].method) &&
		    msp_ascii_equal(request->target, request->target_len,
				    exempt[i].target, strlen(exempt[i].target)))
			return true;
	}
	return false;
}

/* Codes that no mode softens: spec 6.3 step 2, and what is no request that
 * could be forwarded to this endpoint (design D3, D5). */
bool msp_request_refused(const struct msp_request *request)
{
	if (!request || request->form == MSP_FORM_OTHER)
		return true;
	switch (request->canon) {
	case MSP_CANON_SLASHES:
	case MSP_CANON_TRAVERSAL:
	case MSP_CANON_FORM:
	case MSP_CANON_METHOD:
	case MSP_CANON_SCHEME:
	case MSP_CANON_USERINFO:
	case MSP_CANON_HOST:
	case MSP_CANON_PORT:
		return true;
	case MSP_CANON_OK:
	case MSP_CANON_PCT:
	case MSP_CANON_OVERLONG:
	case MSP_CANON_UTF8:
	case MSP_CANON_NON_ASCII:
	case MSP_CANON_CTRL:
	case MSP_CANON_UNDERFLOW:
	case MSP_CANON_EMBQ:
	case MSP_CANON_AMBIGUOUS:
	case MSP_CANON_DUPLICATE_PARAM:
		return false;
	}
	return true;
}

/* ---- for logs ---------------------------------------------------------- */

struct sink {
	char *out;
	size_t size; /* without the NUL */
	size_t n;
};

/* false if it does not fit; an escape is never cut */
static bool print_byte(struct sink *s, unsigned char c)
{
	static const char hex[] = "0123456789ABCDEF";

	if (c > ' ' && c < 0x7f && c != '"' && c != '\\') {
		if (s->size - s->n < 1)
			return false;
		s->out[s->n++] = (char)c;
		return true;
	}
	if (s->size - s->n < 3)
		return false;
	s->out[s->n++] = '%';
	s->out[s->n++] = hex[c >> 4];
	s->out[s->n++] = hex[c & 15];
	return true;
}

static bool print(struct sink *s, const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (!print_byte(s, (unsigned char)text[i]))
			return false;
	}
	return true;
}

static void print_query(struct sink *s, const char *query, size_t len)
{
	unsigned char before = '?';
	const char *equals;
	size_t i, end, n;

	for (i = 0; i < len; i = end + 1) {
		end = i;
		while (end < len && query[end] != '&')
			end++;
		equals = memchr(query + i, '=', end - i);
		n = equals ? (size_t)(equals - (query + i)) : end - i;
		if (!n)
			continue;
		if (!print_byte(s, before) || !print(s, query + i, n))
			return;
		before = '&';
	}
}

size_t msp_request_path_text(const struct msp_request *request, char *out,
			     size_t size)
{
	const struct msp_request *r = request;
	struct sink s = { .out = out };

	if (!out || !size)
		return 0;
	s.size = size - 1;
	if (r && r->path_len) {
		if (print(&s, r->target + r->path, r->path_len))
			print_query(&s, r->target + r->query, r->query_len);
	} else if (r && r->target) {
		print(&s, r->target, find_any(r, 0, "?#"));
	}
	out[s.n] = '\0';
	return s.n;
}

/* ---- names of the codes: a contract (spec 8.6) ----------------------------
 */

static const struct {
	const char *name;
	const char *text;
} codes[] = {
	[MSP_CANON_OK] = { "CANON_OK", "canonical" },
	[MSP_CANON_SCHEME] = { "CANON_SCHEME", "scheme not http" },
	[MSP_CANON_METHOD] = { "CANON_METHOD", "method not allowed" },
	[MSP_CANON_USERINFO] = { "CANON_USERINFO", "userinfo present in URL" },
	[MSP_CANON_PCT] = { "CANON_PCT", "malformed percent-encoding" },
	[MSP_CANON_OVERLONG] = { "CANON_OVERLONG",
				 "overlong UTF-8 in path/query" },
	[MSP_CANON_UTF8] = { "CANON_UTF8", "invalid UTF-8 in path/query" },
	[MSP_CANON_NON_ASCII] = { "CANON_NON_ASCII",
				  "non-ASCII codepoint in path" },
	[MSP_CANON_CTRL] = { "CANON_CTRL", "control character in path/query" },
	[MSP_CANON_UNDERFLOW] = { "CANON_UNDERFLOW",
				  "path traversal past root" },
	[MSP_CANON_EMBQ] = { "CANON_EMBQ", "embedded '?' after decoding" },
	[MSP_CANON_HOST] = { "CANON_HOST", "unparseable host" },
	[MSP_CANON_PORT] = { "CANON_PORT", "unparseable port" },
	[MSP_CANON_SLASHES] = { "CANON_SLASHES", "'//' in the path" },
	[MSP_CANON_TRAVERSAL] = { "CANON_TRAVERSAL",
				  "'..' in the decoded path" },
	[MSP_CANON_AMBIGUOUS] = { "CANON_AMBIGUOUS",
				  "backslash or escape left after decoding" },
	[MSP_CANON_DUPLICATE_PARAM] = { "CANON_DUPLICATE_PARAM",
					"constrained parameter given twice" },
	[MSP_CANON_FORM] = { "CANON_FORM", "not a form of target to forward" },
};

const char *msp_canon_name(enum msp_canon code)
{
	if ((size_t)code >= sizeof(codes) / sizeof(codes[0]))
		return "CANON_UNKNOWN";
	return codes[code].name;
}

const char *msp_canon_text(enum msp_canon code)
{
	if ((size_t)code >= sizeof(codes) / sizeof(codes[0]))
		return "unknown code";
	return codes[code].text;
}
