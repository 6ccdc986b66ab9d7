/* SPDX-License-Identifier: MIT */
/*
 * verify.h - was a request signed with the VM's key, and just now?
 */
#ifndef HOST_VERIFY_H
#define HOST_VERIFY_H

#include "net/call.h"

/**
 * verify_call - judge the signature of a complete request
 * @call:   body included, and whose it is
 * @signer: for the key it must be signed with; NULL if there is none
 * @now:    seconds since 1970
 * @skew:   seconds its date may be away from @now; 0: not looked at
 */
struct verdict verify_call(const struct call *call, struct msp_signer *signer,
			   int64_t now, uint32_t skew);

#endif
