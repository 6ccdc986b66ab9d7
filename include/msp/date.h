/* SPDX-License-Identifier: MIT */
/*
 * date.h - seconds -> the text of a date header.
 */
#ifndef MSP_DATE_H
#define MSP_DATE_H

#include <msp/defs.h>

/** Room for an RFC 1123 date and NUL: "Wed, 23 Apr 2025 12:00:00 GMT". */
#define MSP_DATE_SIZE 30

MSP_BEGIN_DECLS

/**
 * msp_date_format - RFC 1123 date in GMT, independent of the locale
 * @out:     not NULL; gets 29 characters and NUL
 * @seconds: since 1970; years 1970 to 9999, others are clamped
 *
 * Threads: any. Does not fail.
 */
MSP_API void msp_date_format(char out[MSP_DATE_SIZE], int64_t seconds);

MSP_END_DECLS

#endif
