/* SPDX-License-Identifier: MIT */
/*
 * In: a request as it will be sent, and a key. Out: its authorization value
 * (spec 6.9). Must never sign what it would not spell the same way as the
 * host, and never leave key bytes in its buffers.
 */
#include <msp/signer.h>

#include <string.h>

#include <openssl/crypto.h>

#include "libmsp/ascii.h"
#include "libmsp/ascii_wide.h"
#include "libmsp/key_priv.h"
#include "libmsp/mem.h"
#include "libmsp/opts.h"
#include "libmsp/signer_mac.h"

/* Up to here insertion sort beats heap sort. */
#define FEW 32
/* Room for so many headers or parameters there is always. */
#define FIRST_ENTRIES 64
/* scheme, blank, guid, blank */
#define PREFIX_LEN (MSP_AUTHORIZATION_LEN - 2 * (size_t)MSP_MAC_BYTES)

/* One header or query parameter to be signed. */
struct entry {
	struct msp_signer_span name;
	struct msp_signer_span value;
	size_t order;	/* position in the request */
	uint64_t first; /* what most are told apart by; the smaller is before */
};

struct msp_signer {
	struct msp_key *key;
	struct msp_signer_mac mac;
	char prefix[PREFIX_LEN]; /* of all authorization values */
	char *text;		 /* method LF | LF headers path LF parameters */
	size_t text_room;
	char *whole; /* only for msp_signer_string() */
	size_t whole_room;
	struct entry *entries;
	size_t entries_room;
};

/* The string-to-sign in three pieces; the body is never copied. */
struct pieces {
	struct msp_signer_span head;
	struct msp_signer_span body;
	struct msp_signer_span tail;
};

static char *put(char *at, const char *text, size_t len)
{
	if (len)
		memcpy(at, text, len);
	return at + len;
}

/* Of a parameter, which need not be a token. */
static char *put_lower(char *at, struct msp_signer_span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		at[i] = (char)msp_ascii_lower((unsigned char)s.at[i]);
	return at + s.len;
}

/* ---- sorting ----------------------------------------------------------- */

typedef int (*entry_order)(const struct entry *a, const struct entry *b);

static int by_order(const struct entry *a, const struct entry *b)
{
	return a->order < b->order ? -1 : a->order > b->order;
}

static int compare_names(const struct entry *a, const struct entry *b)
{
	size_t n = a->name.len < b->name.len ? a->name.len : b->name.len;
	size_t i = 0;

	/* many begin alike */
	while (n - i >= 8 && memcmp(a->name.at + i, b->name.at + i, 8) == 0)
		i += 8;
	for (; i < n; i++) {
		int d = msp_ascii_lower((unsigned char)a->name.at[i]) -
			msp_ascii_lower((unsigned char)b->name.at[i]);

		if (d)
			return d;
	}
	return a->name.len < b->name.len ? -1 : a->name.len > b->name.len;
}

static int header_order(const struct entry *a, const struct entry *b)
{
	int d = compare_names(a, b);

	return d ? d : by_order(a, b);
}

/* Byte i of the sort key: lower-cased name and value, nothing between them,
 * so that "a=bc" and "ab=c" are one key (Q7: the host does the same). */
static int key_byte(const struct entry *e, size_t i)
{
	if (i < e->name.len)
		return msp_ascii_lower((unsigned char)e->name.at[i]);
	return (unsigned char)e->value.at[i - e->name.len];
}

static int compare_keys(const struct entry *a, const struct entry *b)
{
	size_t a_len = a->name.len + a->value.len;
	size_t b_len = b->name.len + b->value.len;
	size_t n = a_len < b_len ? a_len : b_len;
	size_t i;

	for (i = 0; i < n; i++) {
		int d = key_byte(a, i) - key_byte(b, i);

		if (d)
			return d;
	}
	return a_len < b_len ? -1 : a_len > b_len;
}

static int param_order(const struct entry *a, const struct entry *b)
{
	int d = compare_keys(a, b);

	return d ? d : by_order(a, b);
}

/* Is a before b? */
static bool less(const struct entry *a, const struct entry *b,
		 entry_order order)
{
	return a->first < b->first || (a->first == b->first && order(a, b) < 0);
}

static void sort_few(struct entry *e, size_t n, entry_order order)
{
	size_t i, k;

	for (i = 1; i < n; i++) {
		struct entry moving;

		if (!less(&e[i], &e[i - 1], order))
			continue;
		moving = e[i];
		for (k = i; k > 0 && less(&moving, &e[k - 1], order); k--)
			e[k] = e[k - 1];
		e[k] = moving;
	}
}

/* Let e[at] sink until it is not before one of its children. */
static void sift(struct entry *e, size_t at, size_t n, entry_order order)
{
	struct entry moving = e[at];
	size_t child;

	while ((child = 2 * at + 1) < n) {
		if (child + 1 < n && less(&e[child], &e[child + 1], order))
			child++;
		if (!less(&moving, &e[child], order))
			break;
		e[at] = e[child];
		at = child;
	}
	e[at] = moving;
}

/* Not qsort(): it takes memory of its own, and where it gets none, a query
 * made for that costs the square of its length. */
static void sort_entries(struct entry *e, size_t n, entry_order order)
{
	size_t i;

	if (n <= FEW) {
		sort_few(e, n, order);
		return;
	}
	for (i = n / 2; i > 0; i--)
		sift(e, i - 1, n, order);
	for (i = n - 1; i > 0; i--) {
		struct entry last = e[i];

		e[i] = e[0];
		e[0] = last;
		sift(e, 0, i, order);
	}
}

/* ---- taking a message apart -------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct msp_signer_span trim(const char *value, size_t len)
{
	struct msp_signer_span s = { value, len };

	if (len && value[0] > ' ' && value[len - 1] > ' ')
		return s;
	while (s.len && is_blank(s.at[0])) {
		s.at++;
		s.len--;
	}
	while (s.len && is_blank(s.at[s.len - 1]))
		s.len--;
	return s;
}

static int check_message(const struct msp_message *m)
{
	if (!m || !msp_opts_ok(m, m->size, sizeof(*m)) || !m->method ||
	    !m->target || (m->n_headers && !m->headers) ||
	    (m->body_len && !m->body))
		return MSP_ERR_INVAL;
	if (m->n_headers > MSP_MAX_HEADERS)
		return MSP_ERR_LIMIT;
	if (!msp_ascii_token(m->method, m->method_len))
		return MSP_ERR_INVAL;
	if (m->target_len == 0 ||
	    !msp_ascii_line(m->target, m->target_len, '#'))
		return MSP_ERR_INVAL;
	return 0;
}

/* Length of "scheme://" (RFC 3986 3.1), 0 if the text does not begin so. */
static size_t scheme_len(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && (msp_ascii_alpha((unsigned char)text[n]) ||
			   (n && (msp_ascii_digit((unsigned char)text[n]) ||
				  memchr("+-.", text[n], 3)))))
		n++;
	return n && len - n >= 3 && memcmp(text + n, "://", 3) == 0 ? n + 3 : 0;
}

/* path and query of origin, absolute or asterisk form */
static int split_target(const struct msp_message *m,
			struct msp_signer_span *path,
			struct msp_signer_span *query)
{
	const char *at = m->target;
	const char *end = m->target + m->target_len;
	const char *mark = memchr(at, '?', m->target_len);
	const char *path_end = mark ? mark : end;
	size_t scheme;

	query->at = mark ? mark + 1 : end;
	query->len = (size_t)(end - query->at);
	if (*at != '/' && !(m->target_len == 1 && *at == '*')) {
		scheme = scheme_len(at, (size_t)(path_end - at));
		at += scheme;
		/* no scheme, or nothing where the authority should be */
		if (!scheme || at == path_end || *at == '/')
			return MSP_ERR_INVAL;
		at = memchr(at, '/', (size_t)(path_end - at));
		if (!at) {
			*path = (struct msp_signer_span){ "/", 1 };
			return 0;
		}
	}
	*path = (struct msp_signer_span){ at, (size_t)(path_end - at) };
	return 0;
}

static bool is_signature(const struct msp_header *h)
{
	return msp_ascii_equal(h->name, h->name_len, MSP_HEADER_AUTHORIZATION,
			       sizeof(MSP_HEADER_AUTHORIZATION) - 1);
}

/* How many there are to be signed, and how many bytes they take at most: no
 * line is longer than in the request, but for its LF and its colon. What is
 * not signed may not be sent either. */
static int collect_headers(struct entry *out, size_t *n, size_t *bytes,
			   const struct msp_message *m)
{
	size_t i, longest = 0;

	*n = 0;
	*bytes = 2 * m->n_headers;
	for (i = 0; i < m->n_headers; i++) {
		const struct msp_header *h = &m->headers[i];
		struct entry *e = &out[*n];

		if (!h->name || (h->value_len && !h->value))
			return MSP_ERR_INVAL;
		if (is_signature(h)) {
			if (!msp_ascii_line(h->value, h->value_len, '\0'))
				return MSP_ERR_INVAL;
			continue;
		}
		longest |= h->name_len | h->value_len; /* none is longer */
		*bytes += h->name_len + h->value_len;
		e->name = (struct msp_signer_span){ h->name, h->name_len };
		e->value = trim(h->value, h->value_len);
		e->order = i;
		e->first = msp_wide_first(h->name, h->name_len);
		++*n;
	}
	return longest > SIZE_MAX / 4 / MSP_MAX_HEADERS ? MSP_ERR_LIMIT : 0;
}

static size_t collect_params(struct entry *out, struct msp_signer_span query)
{
	const char *at = query.at;
	const char *end = query.at + query.len;
	size_t n = 0;

	while (at < end) {
		const char *stop = memchr(at, '&', (size_t)(end - at));
		const char *equal;

		if (!stop)
			stop = end;
		equal = memchr(at, '=', (size_t)(stop - at));
		out[n].name.at = at;
		out[n].name.len = (size_t)((equal ? equal : stop) - at);
		out[n].value.at = equal ? equal + 1 : stop;
		out[n].value.len = (size_t)(stop - out[n].value.at);
		out[n].order = n;
		out[n].first = 0;
		if (out[n].name.len)
			n++;
		at = stop + 1;
	}
	return n;
}

/* At least as many as there are. */
static size_t count_params(struct msp_signer_span query)
{
	size_t n = 1, i;

	if (query.len < FIRST_ENTRIES)
		return query.len + 1;
	for (i = 0; i < query.len; i++)
		n += query.at[i] == '&';
	return n;
}

/* ---- putting the string together --------------------------------------- */

static bool same_name(const struct entry *a, const struct entry *b)
{
	return a->first == b->first && a->name.len == b->name.len &&
	       compare_names(a, b) == 0;
}

/* NULL: a name that is no token, or a value that ends its line. */
static char *put_headers(char *at, struct entry *e, size_t n)
{
	size_t i;

	sort_entries(e, n, header_order);
	for (i = 0; i < n; i++) {
		struct msp_signer_span name = e[i].name, value = e[i].value;

		/* of several with one name only the last is signed */
		if (i + 1 < n && same_name(&e[i], &e[i + 1])) {
			if (!msp_ascii_line(value.at, value.len, '\0'))
				return NULL;
			continue;
		}
		if (!msp_wide_copy_token(at, name.at, name.len))
			return NULL;
		at += name.len;
		*at++ = ':';
		if (!msp_wide_copy_line(at, value.at, value.len))
			return NULL;
		at += value.len;
		*at++ = '\n';
	}
	return at;
}

static char *put_params(char *at, struct entry *e, size_t n)
{
	const char *start = at;
	size_t i;

	if (n > 1)
		sort_entries(e, n, param_order);
	for (i = 0; i < n; i++) {
		if (i + 1 < n && compare_keys(&e[i], &e[i + 1]) == 0)
			continue;
		if (at != start)
			*at++ = '&';
		at = put_lower(at, e[i].name);
		if (e[i].value.len) {
			*at++ = '=';
			at = put(at, e[i].value.at, e[i].value.len);
		}
	}
	return at;
}

/* Nothing in the old buffer is needed any more. Not realloc(): it would leave
 * behind what clients sent, where msp_signer_free() cannot wipe it. */
static int grow(void **buffer, size_t *room, size_t need, size_t unit)
{
	void *grown;

	if (need <= *room)
		return 0;
	if (need > SIZE_MAX / unit / 2)
		return MSP_ERR_LIMIT;
	grown = msp_mem_alloc(need * unit);
	if (!grown)
		return MSP_ERR_NOMEM;
	msp_mem_wipe(*buffer, *room * unit);
	msp_mem_free(*buffer);
	*buffer = grown;
	*room = need;
	return 0;
}

static int grow_entries(struct msp_signer *s, size_t headers, size_t params)
{
	size_t need = FIRST_ENTRIES;

	if (headers > need)
		need = headers;
	if (params > need)
		need = params;
	return grow((void **)&s->entries, &s->entries_room, need,
		    sizeof(*s->entries));
}

static int build(struct msp_signer *s, struct pieces *out,
		 const struct msp_message *m)
{
	struct msp_signer_span path, query;
	size_t n, bytes;
	char *at;
	int rc;

	rc = check_message(m);
	if (rc == 0)
		rc = split_target(m, &path, &query);
	if (rc == 0)
		rc = grow_entries(s, m->n_headers, count_params(query));
	if (rc == 0)
		rc = collect_headers(s->entries, &n, &bytes, m);
	if (rc < 0)
		return rc;
	if (m->method_len > SIZE_MAX / 4 || m->target_len > SIZE_MAX / 4)
		return MSP_ERR_LIMIT;
	/* LFs, and the "/" an absolute form may lack */
	rc = grow((void **)&s->text, &s->text_room,
		  m->method_len + m->target_len + bytes + 8, 1);
	if (rc < 0)
		return rc;

	at = put(s->text, m->method, m->method_len);
	*at++ = '\n';
	out->head.at = s->text;
	out->head.len = (size_t)(at - s->text);
	out->body.at = m->body;
	out->body.len = m->body_len;
	out->tail.at = at;
	*at++ = '\n';
	at = put_headers(at, s->entries, n);
	if (!at)
		return MSP_ERR_INVAL;
	at = put(at, path.at, path.len);
	*at++ = '\n';
	n = collect_params(s->entries, query);
	at = put_params(at, s->entries, n);
	out->tail.len = (size_t)(at - out->tail.at);
	return 0;
}

/* ---- the MAC ----------------------------------------------------------- */

static int compute(struct msp_signer *s, unsigned char out[MSP_MAC_BYTES],
		   const struct msp_message *m)
{
	struct msp_signer_span spans[3];
	struct pieces p;
	int rc;

	rc = build(s, &p, m);
	if (rc < 0)
		return rc;
	if (!p.body.len) { /* the others are one behind the other */
		p.head.len += p.tail.len;
		return msp_signer_mac_run(&s->mac, out, &p.head, 1);
	}
	spans[0] = p.head;
	spans[1] = p.body;
	spans[2] = p.tail;
	return msp_signer_mac_run(&s->mac, out, spans, 3);
}

typedef unsigned char bytes8 __attribute__((vector_size(8)));
typedef uint16_t digits8 __attribute__((vector_size(16)));

/* Sixteen digits of eight bytes. */
static void write_hex(char out[16], const unsigned char in[8])
{
	msp_wide_vector text;
	digits8 pairs;
	bytes8 bytes;

	memcpy(&bytes, in, sizeof(bytes));
	pairs = __builtin_convertvector(bytes, digits8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	pairs = pairs >> 4 | (pairs & 15) << 8;
#else
	pairs = pairs >> 4 << 8 | (pairs & 15);
#endif
	text = (msp_wide_vector)pairs;
	text += '0' + ((msp_wide_vector)(text > 9) & ('a' - '0' - 10));
	msp_wide_store16(out, text);
}

static void write_authorization(char *out, const char prefix[PREFIX_LEN],
				const unsigned char mac[MSP_MAC_BYTES])
{
	size_t i;

	memcpy(out, prefix, PREFIX_LEN);
	out += PREFIX_LEN;
	for (i = 0; i < MSP_MAC_BYTES; i += 8)
		write_hex(out + 2 * i, mac + i);
	out[2 * i] = '\0';
}

static void write_prefix(char prefix[PREFIX_LEN], const char *guid)
{
	char *at = put(prefix, MSP_SCHEME " ", sizeof(MSP_SCHEME));

	at = put(at, guid, MSP_GUID_LEN);
	*at = ' ';
}

int msp_signer_new(struct msp_signer **out, struct msp_key *key)
{
	struct msp_signer *s;
	int rc;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if (!key)
		return MSP_ERR_INVAL;
	s = msp_mem_zalloc(sizeof(*s));
	if (!s)
		return MSP_ERR_NOMEM;
	s->key = msp_key_ref(key);
	write_prefix(s->prefix, msp_key_guid(key));
	rc = msp_signer_mac_set(&s->mac, msp_key_bytes(key));
	if (rc < 0) {
		msp_signer_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void msp_signer_free(struct msp_signer *signer)
{
	if (!signer)
		return;
	msp_signer_mac_drop(&signer->mac);
	msp_key_free(signer->key);
	msp_mem_wipe(signer->text, signer->text_room);
	msp_mem_free(signer->text);
	msp_mem_wipe(signer->whole, signer->whole_room);
	msp_mem_free(signer->whole);
	msp_mem_free(signer->entries);
	msp_mem_free(signer);
}

struct msp_key *msp_signer_key(const struct msp_signer *signer)
{
	return signer ? signer->key : NULL;
}

int msp_signer_sign(struct msp_signer *signer, char *out, size_t out_size,
		    const struct msp_message *message)
{
	unsigned char mac[MSP_MAC_BYTES];
	int rc;

	if (!out || out_size == 0)
		return MSP_ERR_INVAL;
	out[0] = '\0';
	if (!signer || out_size < MSP_AUTHORIZATION_LEN + 1)
		return MSP_ERR_INVAL;
	rc = compute(signer, mac, message);
	if (rc < 0)
		return rc;
	write_authorization(out, signer->prefix, mac);
	return 0;
}

int msp_signer_verify(struct msp_signer *signer, bool *valid,
		      const struct msp_message *message, const char *value,
		      size_t len)
{
	const size_t guid_at = sizeof(MSP_SCHEME);
	const size_t mac_at = guid_at + MSP_GUID_LEN + 1;
	char expected[MSP_AUTHORIZATION_LEN + 1];
	int rc;

	if (!valid)
		return MSP_ERR_INVAL;
	*valid = false;
	if (!signer || (len && !value))
		return MSP_ERR_INVAL;
	rc = msp_signer_sign(signer, expected, sizeof(expected), message);
	if (rc < 0)
		return rc;
	if (len != MSP_AUTHORIZATION_LEN ||
	    memcmp(value, expected, guid_at) != 0 || value[mac_at - 1] != ' ' ||
	    !msp_ascii_equal(value + guid_at, MSP_GUID_LEN, expected + guid_at,
			     MSP_GUID_LEN))
		return 0;
	*valid = CRYPTO_memcmp(value + mac_at, expected + mac_at,
			       MSP_AUTHORIZATION_LEN - mac_at) == 0;
	return 0;
}

int msp_signer_string(struct msp_signer *signer, const char **out,
		      size_t *out_len, const struct msp_message *message)
{
	struct pieces p;
	char *at;
	int rc;

	if (!out || !out_len)
		return MSP_ERR_INVAL;
	*out = NULL;
	*out_len = 0;
	if (!signer)
		return MSP_ERR_INVAL;
	rc = build(signer, &p, message);
	if (rc < 0)
		return rc;
	if (p.body.len > SIZE_MAX - p.head.len - p.tail.len)
		return MSP_ERR_LIMIT;
	rc = grow((void **)&signer->whole, &signer->whole_room,
		  p.head.len + p.body.len + p.tail.len, 1);
	if (rc < 0)
		return rc;
	at = put(signer->whole, p.head.at, p.head.len);
	at = put(at, p.body.at, p.body.len);
	at = put(at, p.tail.at, p.tail.len);
	*out = signer->whole;
	*out_len = (size_t)(at - signer->whole);
	return 0;
}
