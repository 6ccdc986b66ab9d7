/* SPDX-License-Identifier: MIT */
/*
 * json_put.h - a string for a document that people read on a terminal.
 */
#ifndef MSPD_JSON_PUT_H
#define MSPD_JSON_PUT_H

#include <yajl/yajl_gen.h>

/**
 * mspd_json_put - name or value; a name must be a constant of ours
 *
 * As mspd_text_json() writes it: yajl lets DEL, C1 and the line separators of
 * Unicode through, and bytes that are no UTF-8. Without memory for that it is
 * "".
 */
void mspd_json_put(yajl_gen gen, const char *text);

#endif
