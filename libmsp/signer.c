/* SPDX-License-Identifier: MIT */
/*
 * In: a request as it will be sent, and a key. Out: its authorization value
 * (spec 6.9). Must never sign what it would not spell the same way as the
 * host, and never leave key bytes in its buffers.
 */
#include <msp/signer.h>

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "libmsp/ascii.h"
#include "libmsp/key_priv.h"
#include "libmsp/mem.h"
#include "libmsp/opts.h"

#define MAC_BYTES 32
/* Up to here insertion sort beats heap sort. */
#define FEW 32

struct span {
	const char *at;
	size_t len;
};

/* One header or query parameter to be signed. */
struct entry {
	struct span name;
	struct span value;
	size_t order; /* position in the request */
};

struct msp_signer {
	struct msp_key *key;
	EVP_MAC_CTX *mac;
	char *text; /* method LF | LF headers path LF parameters */
	size_t text_room;
	char *whole; /* only for msp_signer_string() */
	size_t whole_room;
	struct entry *entries;
	size_t entries_room;
};

/* The string-to-sign in three pieces; the body is never copied. */
struct pieces {
	struct span head;
	struct span body;
	struct span tail;
};

struct writer {
	char *at;
};

static void put(struct writer *w, const char *text, size_t len)
{
	if (len)
		memcpy(w->at, text, len);
	w->at += len;
}

static void put_char(struct writer *w, char c)
{
	*w->at++ = c;
}

static void put_lower(struct writer *w, struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		*w->at++ = (char)msp_ascii_lower((unsigned char)s.at[i]);
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
	size_t i;

	for (i = 0; i < n; i++) {
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

static void sort_few(struct entry *e, size_t n, entry_order order)
{
	size_t i, k;

	for (i = 1; i < n; i++) {
		struct entry moving = e[i];

		for (k = i; k > 0 && order(&e[k - 1], &moving) > 0; k--)
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
		if (child + 1 < n && order(&e[child], &e[child + 1]) < 0)
			child++;
		if (order(&moving, &e[child]) >= 0)
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

static bool clean_value(const char *value, size_t len)
{
	return len == 0 ||
	       (!memchr(value, '\r', len) && !memchr(value, '\n', len) &&
		!memchr(value, '\0', len));
}

static struct span trim(const char *value, size_t len)
{
	struct span s = { value, len };

	while (s.len && (s.at[0] == ' ' || s.at[0] == '\t')) {
		s.at++;
		s.len--;
	}
	while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static int check_message(const struct msp_message *m)
{
	size_t i;

	if (!m || !msp_opts_ok(m, m->size, sizeof(*m)) || !m->method ||
	    !m->target || (m->n_headers && !m->headers) ||
	    (m->body_len && !m->body))
		return MSP_ERR_INVAL;
	if (m->n_headers > MSP_MAX_HEADERS)
		return MSP_ERR_LIMIT;
	if (!msp_ascii_token(m->method, m->method_len))
		return MSP_ERR_INVAL;
	if (m->target_len == 0 || !clean_value(m->target, m->target_len) ||
	    memchr(m->target, '#', m->target_len))
		return MSP_ERR_INVAL;
	for (i = 0; i < m->n_headers; i++) {
		const struct msp_header *h = &m->headers[i];

		if (!h->name || (h->value_len && !h->value) ||
		    !msp_ascii_token(h->name, h->name_len) ||
		    !clean_value(h->value, h->value_len))
			return MSP_ERR_INVAL;
	}
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
static int split_target(const struct msp_message *m, struct span *path,
			struct span *query)
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
			*path = (struct span){ "/", 1 };
			return 0;
		}
	}
	*path = (struct span){ at, (size_t)(path_end - at) };
	return 0;
}

static size_t collect_headers(struct entry *out, const struct msp_message *m)
{
	size_t n = 0, i;

	for (i = 0; i < m->n_headers; i++) {
		const struct msp_header *h = &m->headers[i];

		if (msp_ascii_equal(h->name, h->name_len,
				    MSP_HEADER_AUTHORIZATION,
				    sizeof(MSP_HEADER_AUTHORIZATION) - 1))
			continue;
		out[n].name = (struct span){ h->name, h->name_len };
		out[n].value = trim(h->value, h->value_len);
		out[n].order = i;
		n++;
	}
	return n;
}

static size_t collect_params(struct entry *out, struct span query)
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
		if (out[n].name.len)
			n++;
		at = stop + 1;
	}
	return n;
}

static size_t count_params(struct span query)
{
	size_t n = 1, i;

	for (i = 0; i < query.len; i++)
		n += query.at[i] == '&';
	return n;
}

/* ---- putting the string together --------------------------------------- */

static void put_headers(struct writer *w, struct entry *e, size_t n)
{
	size_t i;

	sort_entries(e, n, header_order);
	for (i = 0; i < n; i++) {
		/* of several with one name only the last is signed */
		if (i + 1 < n && compare_names(&e[i], &e[i + 1]) == 0)
			continue;
		put_lower(w, e[i].name);
		put_char(w, ':');
		put(w, e[i].value.at, e[i].value.len);
		put_char(w, '\n');
	}
}

static void put_params(struct writer *w, struct entry *e, size_t n)
{
	bool first = true;
	size_t i;

	sort_entries(e, n, param_order);
	for (i = 0; i < n; i++) {
		if (i + 1 < n && compare_keys(&e[i], &e[i + 1]) == 0)
			continue;
		if (!first)
			put_char(w, '&');
		first = false;
		put_lower(w, e[i].name);
		if (e[i].value.len) {
			put_char(w, '=');
			put(w, e[i].value.at, e[i].value.len);
		}
	}
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

/* No line is longer in the string than in the request, but for its LF, its
 * colon, and the "/" an absolute form may lack. */
static int reserve(struct msp_signer *s, const struct msp_message *m,
		   size_t n_params)
{
	size_t need = m->method_len + m->target_len + 8;
	size_t entries = m->n_headers > n_params ? m->n_headers : n_params;
	size_t i;
	int rc;

	for (i = 0; i < m->n_headers; i++) {
		const struct msp_header *h = &m->headers[i];

		if (h->name_len > SIZE_MAX / 4 || h->value_len > SIZE_MAX / 4 ||
		    need > SIZE_MAX / 4)
			return MSP_ERR_LIMIT;
		need += h->name_len + h->value_len + 2;
	}
	rc = grow((void **)&s->text, &s->text_room, need, 1);
	if (rc < 0)
		return rc;
	return grow((void **)&s->entries, &s->entries_room, entries,
		    sizeof(*s->entries));
}

static int build(struct msp_signer *s, struct pieces *out,
		 const struct msp_message *m)
{
	struct span path, query;
	struct writer w;
	size_t n;
	int rc;

	rc = check_message(m);
	if (rc < 0)
		return rc;
	rc = split_target(m, &path, &query);
	if (rc < 0)
		return rc;
	rc = reserve(s, m, count_params(query));
	if (rc < 0)
		return rc;

	w.at = s->text;
	put(&w, m->method, m->method_len);
	put_char(&w, '\n');
	out->head = (struct span){ s->text, (size_t)(w.at - s->text) };
	out->body = (struct span){ m->body, m->body_len };
	out->tail.at = w.at;
	put_char(&w, '\n');
	n = collect_headers(s->entries, m);
	put_headers(&w, s->entries, n);
	put(&w, path.at, path.len);
	put_char(&w, '\n');
	n = collect_params(s->entries, query);
	put_params(&w, s->entries, n);
	out->tail.len = (size_t)(w.at - out->tail.at);
	return 0;
}

/* ---- the MAC ----------------------------------------------------------- */

static bool update(EVP_MAC_CTX *mac, struct span s)
{
	return s.len == 0 ||
	       EVP_MAC_update(mac, (const unsigned char *)s.at, s.len) == 1;
}

static int compute(struct msp_signer *s, unsigned char out[MAC_BYTES],
		   const struct msp_message *m)
{
	struct pieces p;
	size_t len = 0;
	int rc;

	rc = build(s, &p, m);
	if (rc < 0)
		return rc;
	/* no key: start over with the one already set */
	if (EVP_MAC_init(s->mac, NULL, 0, NULL) != 1 ||
	    !update(s->mac, p.head) || !update(s->mac, p.body) ||
	    !update(s->mac, p.tail) ||
	    EVP_MAC_final(s->mac, out, &len, MAC_BYTES) != 1 ||
	    len != MAC_BYTES)
		return MSP_ERR_CRYPTO;
	return 0;
}

static void write_authorization(char *out, const char *guid,
				const unsigned char mac[MAC_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	struct writer w = { out };
	size_t i;

	put(&w, MSP_SCHEME " ", sizeof(MSP_SCHEME));
	put(&w, guid, MSP_GUID_LEN);
	put_char(&w, ' ');
	for (i = 0; i < MAC_BYTES; i++) {
		put_char(&w, digits[mac[i] >> 4]);
		put_char(&w, digits[mac[i] & 15]);
	}
	put_char(&w, '\0');
}

static int set_key(struct msp_signer *s)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest,
				       sizeof(digest) - 1),
		OSSL_PARAM_END,
	};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	if (!hmac)
		return MSP_ERR_CRYPTO;
	s->mac = EVP_MAC_CTX_new(hmac);
	EVP_MAC_free(hmac); /* the context holds its own reference */
	if (!s->mac)
		return MSP_ERR_CRYPTO;
	if (EVP_MAC_init(s->mac, msp_key_bytes(s->key), MSP_KEY_BYTES,
			 params) != 1)
		return MSP_ERR_CRYPTO;
	return 0;
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
	rc = set_key(s);
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
	EVP_MAC_CTX_free(signer->mac); /* wipes its copy of the key */
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
	unsigned char mac[MAC_BYTES];
	int rc;

	if (!out || out_size == 0)
		return MSP_ERR_INVAL;
	out[0] = '\0';
	if (!signer || out_size < MSP_AUTHORIZATION_LEN + 1)
		return MSP_ERR_INVAL;
	rc = compute(signer, mac, message);
	if (rc < 0)
		return rc;
	write_authorization(out, msp_key_guid(signer->key), mac);
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
	struct writer w;
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
	w.at = signer->whole;
	put(&w, p.head.at, p.head.len);
	put(&w, p.body.at, p.body.len);
	put(&w, p.tail.at, p.tail.len);
	*out = signer->whole;
	*out_len = (size_t)(w.at - signer->whole);
	return 0;
}
