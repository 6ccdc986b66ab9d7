/* SPDX-License-Identifier: MIT */
/*
 * In: a key document, as the host hands it out, and a request.
 * Out: the header that proves who sent the request. Never: prints the key.
 *   sign_request KEY-FILE METHOD TARGET [NAME:VALUE]... [< BODY]
 */
#include <err.h>
#include <msp/msp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct msp_key *read_key(const char *path)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char text[65536];
	struct msp_key *key;
	FILE *file = fopen(path, "rb");
	size_t len;

	if (!file)
		err(1, "%s", path);
	len = fread(text, 1, sizeof(text), file);
	fclose(file);
	if (msp_key_parse(&key, text, len, &info) < 0)
		errx(1, "%s: %s: %s", path, info.pointer, info.text);
	explicit_bzero(text, sizeof(text));
	return key;
}

static void split(struct msp_header *header, const char *line)
{
	size_t colon = strcspn(line, ":");

	header->name = line;
	header->name_len = colon;
	header->value = line[colon] ? line + colon + 1 : "";
	header->value_len = strlen(header->value);
}

int main(int argc, char **argv)
{
	struct msp_header headers[MSP_MAX_HEADERS];
	struct msp_message message = { .size = sizeof(message) };
	char value[MSP_AUTHORIZATION_LEN + 1], body[102400];
	struct msp_signer *signer = NULL;
	struct msp_key *key;
	int i, rc;

	if (argc < 4 || argc - 4 > MSP_MAX_HEADERS)
		errx(2, "usage: KEY-FILE METHOD TARGET [NAME:VALUE]...");
	key = read_key(argv[1]);
	message.method = argv[2];
	message.method_len = strlen(argv[2]);
	message.target = argv[3];
	message.target_len = strlen(argv[3]);
	message.headers = headers;
	message.body = body;
	for (i = 4; i < argc; i++)
		split(&headers[message.n_headers++], argv[i]);
	if (!isatty(STDIN_FILENO))
		message.body_len = fread(body, 1, sizeof(body), stdin);

	rc = msp_signer_new(&signer, key);
	if (rc == 0)
		rc = msp_signer_sign(signer, value, sizeof(value), &message);
	if (rc == 0)
		printf("%s: %s\n", MSP_HEADER_AUTHORIZATION, value);
	else
		fprintf(stderr, "%s\n", msp_error_text(rc));
	msp_signer_free(signer);
	msp_key_free(key);
	return rc == 0 ? 0 : 1;
}
