/* SPDX-License-Identifier: MIT */
/*
 * message.h - the example of spec 6.9 and its key, and what a test of the
 * signer asks again and again. Included by one test program at a time.
 */
#ifndef MSP_TEST_MESSAGE_H
#define MSP_TEST_MESSAGE_H

#include <check.h>
#include <string.h>

#include <msp/signer.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#define GUID	   "9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf"
#define GUID_UP	   "9CF81E97-0316-4AD3-94A7-8CCBDEE8CCBF"
#define GUID_OTHER "8cf81e97-0316-4ad3-94a7-8ccbdee8ccbf"
#define HEX                                                                    \
	"4A404E635266556A586E327235753878"                                     \
	"2F413F4428472B4B6250645367566B59"
#define HEX_OTHER                                                              \
	"4A404E635266556A586E327235753878"                                     \
	"2F413F4428472B4B6250645367566B58"
#define EXAMPLE_MAC                                                            \
	"13750084151509ba36adee0b633c8438723d6799434e4c90ec2dc95983c8f323"
#define EXAMPLE_VALUE "Azure-HMAC-SHA256 " GUID " " EXAMPLE_MAC

#define TEXT(t) (t), sizeof(t) - 1
#define LINE(n, v)                                                             \
	{                                                                      \
		TEXT(n), TEXT(v)                                               \
	}

static inline struct msp_key *new_key(const char *guid, const char *hex)
{
	struct msp_key *key;

	ck_assert_int_eq(
		msp_key_new(&key, guid, strlen(guid), hex, strlen(hex)), 0);
	return key;
}

/* The signer is the only owner of its key. */
static inline struct msp_signer *new_signer(const char *guid, const char *hex)
{
	struct msp_key *key = new_key(guid, hex);
	struct msp_signer *s;

	ck_assert_int_eq(msp_signer_new(&s, key), 0);
	msp_key_free(key);
	return s;
}

static inline struct msp_message get(const char *target)
{
	return (struct msp_message){
		.size = sizeof(struct msp_message),
		.method = "GET",
		.method_len = 3,
		.target = target,
		.target_len = strlen(target),
	};
}

/* spec 6.9, in the order a client might send it */
static const struct msp_header example_headers[] = {
	LINE("Host", "169.254.169.254"),
	LINE("User-Agent", "curl/8.5.0"),
	LINE("Accept", "*/*"),
	LINE("Metadata", " true\t"),
	LINE("X-MS-Azure-Host-Authorization", "Azure-HMAC-SHA256 x y"),
	LINE("x-ms-azure-host-claims", "{ \"isRoot\": \"false\"}"),
	LINE("x-ms-azure-host-date", "Wed, 23 Apr 2025 12:00:00 GMT"),
};

static inline struct msp_message example(void)
{
	struct msp_message m =
		get("/metadata/instance?format=json&api-version=2021-02-01");

	m.headers = example_headers;
	m.n_headers = (size_t)COUNT(example_headers);
	return m;
}

static inline void assert_string(struct msp_signer *s,
				 const struct msp_message *m, const char *want,
				 size_t want_len, const char *label)
{
	const char *text;
	size_t len;

	ck_assert_msg(msp_signer_string(s, &text, &len, m) == 0, "%s", label);
	ck_assert_msg(len == want_len && memcmp(text, want, len) == 0,
		      "%s: got\n%.*s\nexpected\n%.*s", label, (int)len, text,
		      (int)want_len, want);
}

static inline void assert_signed(struct msp_signer *s,
				 const struct msp_message *m, const char *want,
				 const char *label)
{
	char value[MSP_AUTHORIZATION_LEN + 1];

	ck_assert_msg(msp_signer_sign(s, value, sizeof(value), m) == 0, "%s",
		      label);
	ck_assert_msg(strcmp(value, want) == 0, "%s: got\n%s\nexpected\n%s",
		      label, value, want);
}

#endif
