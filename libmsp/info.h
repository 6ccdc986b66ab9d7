/* SPDX-License-Identifier: MIT */
/*
 * info.h - fill in struct msp_error_info; every call takes a NULL info.
 */
#ifndef MSP_INFO_H
#define MSP_INFO_H

#include <msp/endpoint.h>
#include <msp/error.h>

/* Set the text, clear the rest, return rc: "return msp_fail(info, rc, ...)". */
int msp_fail(struct msp_error_info *info, int rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with a system call's errno, whose text is appended. */
int msp_fail_sys(struct msp_error_info *info, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with a JSON pointer; offset, line and column are set later. */
int msp_fail_at(struct msp_error_info *info, int rc, const char *pointer,
		const char *format, ...) __attribute__((format(printf, 4, 5)));
/* What analyzers cannot see from where it is called: it does return rc. */
#ifdef MSP_ANALYZED
#define msp_fail(info, rc, ...) ((msp_fail)(info, rc, __VA_ARGS__), (rc))
#define msp_fail_sys(info, err, ...)                                           \
	((msp_fail_sys)(info, err, __VA_ARGS__), MSP_ERR_SYS)
#define msp_fail_at(info, rc, ...) ((msp_fail_at)(info, rc, __VA_ARGS__), (rc))
#endif

/* offset in an input -> offset, line and column of info */
void msp_info_place(struct msp_error_info *info, const char *input, size_t len,
		    size_t offset);
/* all that another one says */
void msp_info_take(struct msp_error_info *info,
		   const struct msp_error_info *from);
/* after any of these: which endpoint it was */
void msp_info_endpoint(struct msp_error_info *info, enum msp_endpoint endpoint);
/* copy, cut at a UTF-8 character boundary, replace each byte of a control
 * character (C0, DEL, C1) and of U+2028 and U+2029 by '?', always
 * NUL-terminate */
void msp_info_copy(char *out, size_t size, const char *text, size_t len);

#endif
