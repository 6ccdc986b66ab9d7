/* SPDX-License-Identifier: MIT */
/*
 * json_scan.h - one look over JSON text before the parser sees it.
 */
#ifndef MSP_JSON_SCAN_H
#define MSP_JSON_SCAN_H

#include <msp/error.h>

/*
 * Checks from offset start on; offsets in info count from text. tokens gets
 * how many strings, scalars, '{' and '[' there are: values and names. SYNTAX.
 */
int msp_json_scan(size_t *tokens, const char *text, size_t len, size_t start,
		  struct msp_error_info *info);

#endif
