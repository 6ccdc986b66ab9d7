/* SPDX-License-Identifier: MIT */
/*
 * In: texts, each ended by a NUL; \x01 between the arguments of a command line.
 * Out: the same without their secrets, with blanks there, each ended by a NUL.
 * Must never look at a byte behind the text it is at.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/redact.h"
#include "tests/lib/borders.h"

/* A buffer of exactly the text: a sanitizer sees one byte too far. */
static int filter(const char *line, size_t len)
{
	size_t room = 4 * len + 64;
	char *text = malloc(len ? len : 1);
	char *buffer = malloc(room);
	struct mspd_arguments arguments;
	struct mspd_text out;
	int rc = -1;
	bool known;

	if (text && buffer) {
		memcpy(text, line, len);
		known = split_borders(text, len, &arguments);
		mspd_text_init(&out, buffer, room);
		if (mspd_redact_arguments(&out, text, len, len,
					  known ? &arguments : NULL))
			rc = fwrite(out.at, 1, out.len + 1, stdout) ==
					     out.len + 1
				     ? 0
				     : -1;
	}
	free(text);
	free(buffer);
	return rc;
}

int main(void)
{
	char *line = NULL;
	size_t size = 0;
	int rc = 0;
	ssize_t n;

	while (rc == 0 && (n = getdelim(&line, &size, '\0', stdin)) > 0)
		rc = filter(line, (size_t)n - (line[n - 1] == '\0'));
	free(line);
	if (rc < 0 || ferror(stdin) || fflush(stdout) != 0)
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
