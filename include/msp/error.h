/* SPDX-License-Identifier: MIT */
/*
 * error.h - the closed set of errors, and the detail a failing call may add.
 *
 * One code per reaction of the caller, not per cause. A refusal by policy is
 * not an error: see decision.h.
 */
#ifndef MSP_ERROR_H
#define MSP_ERROR_H

#include <msp/defs.h>

enum msp_error {
	MSP_OK = 0,
	MSP_ERR_INVAL = -1,	  /* the caller passed a wrong argument */
	MSP_ERR_NOMEM = -2,	  /* out of memory; nothing has changed */
	MSP_ERR_LIMIT = -3,	  /* input is over a documented limit */
	MSP_ERR_SYNTAX = -4,	  /* not well formed (JSON, hex, HTTP) */
	MSP_ERR_SCHEMA = -5,	  /* well formed, but not what it must be */
	MSP_ERR_AGAIN = -6,	  /* in progress: poll and call again */
	MSP_ERR_TIMEOUT = -7,	  /* the deadline passed */
	MSP_ERR_SYS = -8,	  /* a system call failed; see sys_errno */
	MSP_ERR_CLOSED = -9,	  /* the other side closed too early */
	MSP_ERR_PROTOCOL = -10,	  /* the host broke HTTP or MSP */
	MSP_ERR_STATUS = -11,	  /* the host answered; see http_status */
	MSP_ERR_NOENT = -12,	  /* there is no such thing */
	MSP_ERR_CRYPTO = -13,	  /* libcrypto failed */
	MSP_ERR_UNSUPPORTED = -14, /* the kernel lacks what is needed */
	MSP_ERR_UNKNOWN_PEER = -15, /* the connection's owner is not known */
	MSP_ERR_BUSY = -16,	  /* somebody else owns the resource */
	MSP_ERR_STATE = -17,	  /* not now: the object is in another state */
	MSP_ERR_BUG = -18	  /* the library contradicts itself: report it */
};

/**
 * struct msp_error_info - why a call failed, for people and logs
 * @size:        in: sizeof(struct msp_error_info)
 * @offset:      byte offset into the input, 0 if there is none
 * @line:        line in the input, from 1; 0 if there is none
 * @column:      column in bytes, from 1; 0 if there is none
 * @sys_errno:   errno of the failing system call, 0 if none
 * @http_status: status the host answered with, 0 if none
 * @endpoint:    enum msp_endpoint that failed, -1 if it was none of them
 * @reserved:    0
 * @pointer:     JSON pointer (RFC 6901) of the offending field, "" if none;
 *               cut at a character boundary if too long
 * @text:        one sentence, UTF-8, NUL-terminated, no line break; never
 *               contains a key, a signature or a body
 *
 * Every call that takes one accepts NULL. On success it is left alone, and so
 * is always one whose size is smaller than ours; of a longer one what we know
 * is set (see defs.h). A call that refuses its arguments may leave it alone as
 * well: set it to MSP_ERROR_INFO_INIT before.
 */
struct msp_error_info {
	size_t size;
	uint64_t offset;
	uint32_t line;
	uint32_t column;
	int32_t sys_errno;
	uint32_t http_status;
	int32_t endpoint;
	uint32_t reserved;
	char pointer[192];
	char text[320];
};
#define MSP_ERROR_INFO_INIT                                                    \
	{                                                                      \
		sizeof(struct msp_error_info), 0, 0, 0, 0, 0, -1, 0, "", ""    \
	}

MSP_BEGIN_DECLS

/**
 * msp_error_text - one English phrase for an error code
 * @error: value returned by a call of this library
 *
 * Threads: any. Returns a constant, never NULL; "unknown error" for a number
 * that is not in enum msp_error.
 */
MSP_API const char *msp_error_text(int error);

MSP_END_DECLS

#endif
