/* SPDX-License-Identifier: MIT */
/*
 * defs.h - attributes and the few plain types every other header needs.
 */
#ifndef MSP_DEFS_H
#define MSP_DEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define MSP_API __attribute__((visibility("default")))
#define MSP_MUST_CHECK __attribute__((warn_unused_result))
#else
#define MSP_API
#define MSP_MUST_CHECK
#endif

#ifdef __cplusplus
#define MSP_BEGIN_DECLS extern "C" {
#define MSP_END_DECLS }
#else
#define MSP_BEGIN_DECLS
#define MSP_END_DECLS
#endif

/**
 * struct msp_time - the caller's clock, read once and passed in
 * @boot_ms: CLOCK_BOOTTIME in milliseconds; all deadlines are on this clock,
 *           because it goes on while the machine is suspended
 * @wall_s:  CLOCK_REALTIME in seconds since 1970, used for the date header
 *           until the host's own time is known
 *
 * The library does not read a clock by itself: see clock.h.
 */
struct msp_time {
	uint64_t boot_ms;
	int64_t wall_s;
};

/*
 * Structs that begin with a size may get more fields in a later version, at
 * their end. The caller sets the size to sizeof, and the rule is the same
 * everywhere:
 *
 * - One that is shorter than in the first version that has the struct is
 *   MSP_ERR_INVAL, and left alone. Of a struct msp_error_info it is no error.
 * - Options and messages may be longer than the library knows, as long as all
 *   beyond that is zero; else MSP_ERR_INVAL: it would not be done.
 * - What a call fills in may be longer as well: the fields that the library
 *   knows are set, and what follows is left as it was, so begin with zeroes.
 *   The same goes for facts, struct msp_caller: unknown ones are not looked at.
 * - Where the library makes the struct, as struct msp_response, it sets the
 *   size: a field beyond that is not there.
 *
 * A struct without a size does not change.
 */

/** No deadline: the value returned by msp_*_deadline() when nothing is due. */
#define MSP_NEVER UINT64_MAX

#endif
