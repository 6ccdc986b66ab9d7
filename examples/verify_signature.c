/* SPDX-License-Identifier: MIT */
/*
 * In: a key document, and a request as it came over the wire, not in chunks.
 * Out: whether who has the key sent it. Never: picks one of two signatures.
 *   verify_signature KEY-FILE < REQUEST   ends with 0: valid, 1: not, 2: error
 */
#include <err.h>
#include <msp/msp.h>
#include <stdio.h>
#include <string.h>

static struct msp_key *read_key(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct msp_key *key;
	char text[65536];

	if (!file ||
	    msp_key_parse(&key, text, fread(text, 1, sizeof(text), file), NULL))
		errx(2, "%s: cannot be read, or no key", path);
	explicit_bzero(text, sizeof(text));
	fclose(file);
	return key;
}

/* Cuts the text at the mark, and returns what is behind it. */
static char *cut(char *text, const char *mark)
{
	char *at = strstr(text, mark);

	if (!at)
		errx(2, "this is no HTTP request");
	*at = '\0';
	return at + strlen(mark);
}

int main(int argc, char **argv)
{
	static char text[1024 * 1024 + 1]; /* ends with a NUL */
	char *body, *line, *next, *target, *value, *proof = NULL;
	struct msp_header h[MSP_MAX_HEADERS];
	struct msp_signer *signer = NULL;
	bool valid = false;
	struct msp_key *key;
	size_t len, n = 0;

	if (argc != 2)
		errx(2, "usage: verify_signature KEY-FILE < REQUEST");
	len = fread(text, 1, sizeof(text) - 1, stdin);
	body = cut(text, "\r\n\r\n");
	memcpy(body - 4, "\r\n", 3); /* each line has its end */
	line = cut(text, "\r\n");
	target = cut(text, " ");
	cut(target, " ");
	for (; *line && n < MSP_MAX_HEADERS; line = next) {
		next = cut(line, "\r\n");
		value = cut(line, ":");
		value += strspn(value, " \t");
		if (strcasecmp(line, MSP_HEADER_AUTHORIZATION) == 0 && proof)
			errx(1, "not valid: signed twice");
		if (strcasecmp(line, MSP_HEADER_AUTHORIZATION) == 0)
			proof = value;
		h[n++] = (struct msp_header){ line, strlen(line), value,
					      strlen(value) };
	}
	struct msp_message m = { sizeof(m), text,	    strlen(text),
				 target,    strlen(target), h,
				 n,	    body,	    text + len - body };

	key = read_key(argv[1]);
	if (*line || msp_signer_new(&signer, key) < 0 ||
	    (proof &&
	     msp_signer_verify(signer, &valid, &m, proof, strlen(proof)) < 0))
		errx(2, "cannot be verified");
	puts(valid ? "valid" : "not valid");
	msp_signer_free(signer);
	msp_key_free(key);
	return valid ? 0 : 1;
}
