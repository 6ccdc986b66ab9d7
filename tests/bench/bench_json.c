/* SPDX-License-Identifier: MIT */
/*
 * In: documents of some sizes, made here. Out: what it costs to read them, in
 * time and allocations. Must never time a document that was refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/msp.h>

#include "tests/bench/allocs.h"
#include "tests/bench/measure.h"

#define ROUNDS 31
#define ROOM   (1u << 20)

static const char key[] =
	"{\"authorizationScheme\":\"Azure-HMAC-SHA256\","
	"\"guid\":\"01234567-89ab-cdef-0123-456789abcdef\","
	"\"incarnationId\":1,\"issued\":\"2026-11-21T12:00:00Z\","
	"\"key\":\"000102030405060708090A0B0C0D0E0F"
	"101112131415161718191A1B1C1D1E1F\"}";

static void read_profile(const char *text, size_t len)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *profile;

	if (msp_profile_parse(&profile, text, len, &info) < 0)
		measure_die("profile: %s: %s", info.pointer, info.text);
	msp_profile_free(profile);
}

static void read_key(const char *text, size_t len)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_key *out;

	if (msp_key_parse(&out, text, len, &info) < 0)
		measure_die("key: %s: %s", info.pointer, info.text);
	msp_key_free(out);
}

/* In the form that the host sends. */
static size_t write_profile(char *out, unsigned int privileges)
{
	size_t n;
	unsigned int i;

	n = (size_t)snprintf(out, ROOM,
			     "{\"id\":\"bench\",\"mode\":\"enforce\","
			     "\"defaultAccess\":\"deny\",\"rules\":{"
			     "\"privileges\":[");
	for (i = 0; i < privileges; i++)
		n += (size_t)snprintf(
			out + n, ROOM - n,
			"%s{\"name\":\"p%u\",\"path\":\"/metadata/item%u\","
			"\"queryParameters\":{\"api-version\":\"2021-02-01\"}}",
			i ? "," : "", i, i);
	n += (size_t)snprintf(
		out + n, ROOM - n,
		"],\"roles\":[{\"name\":\"r\",\"privileges\":[\"p0\"]}],"
		"\"identities\":[{\"name\":\"i\",\"userName\":\"root\"}],"
		"\"roleAssignments\":[{\"role\":\"r\",\"identities\":[\"i\"]}]}"
		"}");
	return n;
}

static void report(const char *name, void (*read)(const char *, size_t),
		   const char *text, size_t len)
{
	unsigned int rounds = measure_count(ROUNDS, 5), r, i;
	unsigned int calls = (unsigned int)(400000 / len + 1);
	double took[ROUNDS];
	uint64_t start;

	for (r = 0; r < rounds; r++) {
		start = measure_now();
		for (i = 0; i < calls; i++)
			read(text, len);
		took[r] = (double)(measure_now() - start) / calls;
	}
	start = allocs_count();
	read(text, len);
	measure_result(name, measure_median(took, rounds), "ns", NO_GOAL,
		       "%zu bytes, %u allocations", len,
		       (unsigned int)(allocs_count() - start));
}

int main(void)
{
	char *text = malloc(ROOM);
	size_t len;

	if (!text)
		measure_die("out of memory");
	report("reading a key", read_key, key, strlen(key));
	len = write_profile(text, 20);
	report("reading rules, 20 privileges", read_profile, text, len);
	len = write_profile(text, 1000);
	report("reading rules, 1000 privileges", read_profile, text, len);
	free(text);
	return 0;
}
