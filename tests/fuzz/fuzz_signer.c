/* SPDX-License-Identifier: MIT */
/*
 * In: bytes, cut into a message: "method target LF *(name:value LF) LF body".
 * Out: nothing, or abort() when sign, verify and string do not agree, or a
 * used signer and a new one. Must never repair what it cuts out.
 */
#include <msp/signer.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUID "9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf"
#define HEX  "4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* the bytes HEX stands for */
static const unsigned char key_bytes[] = "J@NcRfUjXn2r5u8x/A?D(G+KbPdSgVkY";

struct cut {
	struct msp_message m;
	/* one more than allowed, and room for one of ours */
	struct msp_header headers[MSP_MAX_HEADERS + 2];
};

static void must(bool holds, const char *claim)
{
	if (holds)
		return;
	fprintf(stderr, "does not hold: %s\n", claim);
	abort();
}

/* Up to the next stop, or all; *at is set behind it. */
static size_t piece(const char **at, const char *end, char stop)
{
	const char *start = *at;
	size_t room = (size_t)(end - start);
	const char *found = room ? memchr(start, stop, room) : NULL;

	*at = found ? found + 1 : end;
	return (size_t)((found ? found : end) - start);
}

static void cut_message(struct cut *c, const char *at, size_t size)
{
	const char *end = at + size;
	struct msp_message *m = &c->m;

	*m = (struct msp_message){ .size = sizeof(*m), .headers = c->headers };
	m->method = at;
	m->method_len = piece(&at, end, ' ');
	m->target = at;
	m->target_len = piece(&at, end, '\n');
	while (at < end && m->n_headers <= MSP_MAX_HEADERS) {
		struct msp_header *h = &c->headers[m->n_headers];
		const char *line = at;
		const char *line_end = line + piece(&at, end, '\n');

		if (line == line_end)
			break;
		h->name = line;
		h->name_len = piece(&line, line_end, ':');
		h->value = line;
		h->value_len = (size_t)(line_end - line);
		m->n_headers++;
	}
	m->body = at;
	m->body_len = (size_t)(end - at);
}

static struct msp_signer *new_signer(void)
{
	struct msp_signer *s = NULL;
	struct msp_key *key = NULL;

	must(msp_key_new(&key, GUID, MSP_GUID_LEN, HEX, strlen(HEX)) == 0,
	     "there is a key");
	must(msp_signer_new(&s, key) == 0, "there is a signer");
	msp_key_free(key);
	return s;
}

/* the value, from the string alone */
static void expect(char *out, size_t size, const char *text, size_t len)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int mac_len = 0, i;
	int n;

	must(HMAC(EVP_sha256(), key_bytes, MSP_KEY_BYTES,
		  (const unsigned char *)text, len, mac, &mac_len) != NULL,
	     "OpenSSL computes a HMAC");
	n = snprintf(out, size, "%s %s ", MSP_SCHEME, GUID);
	for (i = 0; i < mac_len; i++)
		n += snprintf(out + n, size - (size_t)n, "%02x", mac[i]);
}

static void check_refused(struct msp_signer *s, const struct msp_message *m,
			  int rc)
{
	const char *text = "~";
	bool valid = true;
	size_t len = 1;

	must(rc == MSP_ERR_INVAL || rc == MSP_ERR_LIMIT,
	     "only a wrong message is refused");
	must(msp_signer_verify(s, &valid, m, "x", 1) == rc && !valid,
	     "verify refuses what sign refuses");
	must(msp_signer_string(s, &text, &len, m) == rc && !text && !len,
	     "string refuses what sign refuses");
}

static void check_string(struct msp_signer *s, const struct msp_message *m,
			 const char *value)
{
	char want[MSP_AUTHORIZATION_LEN + 1];
	const char *text;
	size_t len;

	must(msp_signer_string(s, &text, &len, m) == 0,
	     "string takes what sign takes");
	expect(want, sizeof(want), text, len);
	must(strcmp(want, value) == 0, "what is signed is the string");
	must(len >= m->method_len + m->body_len + 2 &&
		     memcmp(text, m->method, m->method_len) == 0 &&
		     text[m->method_len] == '\n' &&
		     memcmp(text + m->method_len + 1, m->body, m->body_len) ==
			     0 &&
		     text[m->method_len + 1 + m->body_len] == '\n',
	     "the string begins with method and body as they are");
}

static void check_verify(struct msp_signer *s, const struct msp_message *m,
			 const char *value, size_t flip)
{
	char changed[MSP_AUTHORIZATION_LEN];
	bool valid = false;

	must(msp_signer_verify(s, &valid, m, value, MSP_AUTHORIZATION_LEN) ==
			     0 &&
		     valid,
	     "verify accepts what was signed");
	memcpy(changed, value, sizeof(changed));
	/* the lowest bit: never a change of case alone */
	changed[flip % sizeof(changed)] ^= 1;
	must(msp_signer_verify(s, &valid, m, changed, sizeof(changed)) == 0 &&
		     !valid,
	     "verify refuses a changed value");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* keeps its buffers from one input to the next */
	static struct msp_signer *used;
	char value[MSP_AUTHORIZATION_LEN + 1];
	char again[MSP_AUTHORIZATION_LEN + 1];
	struct msp_signer *fresh = new_signer();
	struct cut c;
	int rc;

	if (!used)
		used = new_signer();
	cut_message(&c, size ? (const char *)data : "", size);
	rc = msp_signer_sign(used, value, sizeof(value), &c.m);
	must(msp_signer_sign(fresh, again, sizeof(again), &c.m) == rc &&
		     strcmp(value, again) == 0,
	     "a used signer and a new one agree");
	msp_signer_free(fresh);
	if (rc < 0) {
		must(value[0] == '\0', "an error leaves no value");
		check_refused(used, &c.m, rc);
		return 0;
	}
	check_string(used, &c.m, value);
	check_verify(used, &c.m, value, size);

	if (c.m.n_headers == MSP_MAX_HEADERS)
		return 0;
	c.headers[c.m.n_headers++] =
		(struct msp_header){ MSP_HEADER_AUTHORIZATION,
				     sizeof(MSP_HEADER_AUTHORIZATION) - 1,
				     value, MSP_AUTHORIZATION_LEN };
	must(msp_signer_sign(used, again, sizeof(again), &c.m) == 0 &&
		     strcmp(value, again) == 0,
	     "the value itself is not signed");
	return 0;
}
