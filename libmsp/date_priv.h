/* SPDX-License-Identifier: MIT */
/*
 * date_priv.h - reading an RFC 1123 date; writing one is msp_date_format().
 */
#ifndef MSP_DATE_PRIV_H
#define MSP_DATE_PRIV_H

#include <msp/date.h>

/* Exactly "Wed, 23 Apr 2025 12:00:00 GMT", weekday and all; *out is set to
 * seconds since 1970 only when true is returned. */
bool msp_date_parse(const char *text, size_t len, int64_t *out);

#endif
