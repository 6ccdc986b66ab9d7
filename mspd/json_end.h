/* SPDX-License-Identifier: MIT */
/*
 * json_end.h - is a JSON text over where the parser says so?
 */
#ifndef MSPD_JSON_END_H
#define MSPD_JSON_END_H

#include <stdbool.h>
#include <yajl/yajl_parse.h>

/**
 * mspd_json_ended - no more comes; was it all?
 *
 * yajl 2.1 passes over a string without end behind the document. What is fed
 * to it here ends such a string, which is then garbage, and is a blank and the
 * beginning of such a string if there was none.
 */
static inline bool mspd_json_ended(yajl_handle parser)
{
	return yajl_complete_parse(parser) == yajl_status_ok &&
	       yajl_parse(parser, (const unsigned char *)" \"", 2) ==
		       yajl_status_ok;
}

#endif
