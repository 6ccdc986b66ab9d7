/* SPDX-License-Identifier: MIT */
/*
 * In: an error code. Out: one phrase. A switch without default, so that the
 * compiler finds a code without a text.
 */
#include <msp/error.h>

const char *msp_error_text(int error)
{
	switch ((enum msp_error)error) {
	case MSP_OK:
		return "success";
	case MSP_ERR_INVAL:
		return "invalid argument";
	case MSP_ERR_NOMEM:
		return "out of memory";
	case MSP_ERR_LIMIT:
		return "over a limit";
	case MSP_ERR_SYNTAX:
		return "not well formed";
	case MSP_ERR_SCHEMA:
		return "not what it must be";
	case MSP_ERR_AGAIN:
		return "in progress";
	case MSP_ERR_TIMEOUT:
		return "timed out";
	case MSP_ERR_SYS:
		return "system call failed";
	case MSP_ERR_CLOSED:
		return "connection closed too early";
	case MSP_ERR_PROTOCOL:
		return "protocol violated by the host";
	case MSP_ERR_STATUS:
		return "refused by the host";
	case MSP_ERR_NOENT:
		return "not found";
	case MSP_ERR_CRYPTO:
		return "cryptographic operation failed";
	case MSP_ERR_UNSUPPORTED:
		return "not supported by this kernel";
	case MSP_ERR_UNKNOWN_PEER:
		return "peer is not known";
	case MSP_ERR_BUSY:
		return "in use by somebody else";
	case MSP_ERR_STATE:
		return "not possible in this state";
	case MSP_ERR_BUG:
		return "the library contradicts itself";
	}
	return "unknown error";
}
