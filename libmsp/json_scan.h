/* SPDX-License-Identifier: MIT */
/*
 * json_scan.h - one look over JSON text before the parser sees it.
 */
#ifndef MSP_JSON_SCAN_H
#define MSP_JSON_SCAN_H

#include <msp/error.h>

struct msp_json_scan {
	size_t tokens;	/* strings, scalars, '{' and '[': values and names */
	size_t longest; /* bytes of the longest token, quotes included */
};

/* Checks from offset start on; offsets in info count from text. SYNTAX. */
int msp_json_scan(struct msp_json_scan *out, const char *text, size_t len,
		  size_t start, struct msp_error_info *info);

#endif
