/* SPDX-License-Identifier: MIT */
/*
 * fakeredirect.h - a redirector that is none: for programs which are linked
 * with --wrap for each of its calls.
 */
#ifndef TESTS_FAKEREDIRECT_H
#define TESTS_FAKEREDIRECT_H

#include <msp/msp.h>

#define FAKE ((struct msp_redirect *)1) /* never looked into */

extern struct fake_redirect {
	int fd; /* of each part */
	unsigned int taken;
	enum msp_redirect_state states[MSP_ENDPOINTS];
	int set_fails; /* the error; 0: none */
	/* what msp_redirect_prove_among() does */
	int proof;
	int others; /* each is a new descriptor */
	uint32_t patience_ms;
} fake;

/* Names of its parts, as a predecessor of this version would have them. */
const char *fake_part(size_t i);

size_t __wrap_msp_redirect_parts(const struct msp_redirect *redirect,
				 struct msp_redirect_part *out, size_t room);
unsigned int __wrap_msp_redirect_taken(const struct msp_redirect *redirect);
enum msp_redirect_state
__wrap_msp_redirect_get(const struct msp_redirect *redirect,
			enum msp_endpoint endpoint);
int __wrap_msp_redirect_set(struct msp_redirect *redirect,
			    enum msp_endpoint endpoint,
			    enum msp_redirect_state state);
int __wrap_msp_redirect_prove_among(struct msp_redirect *redirect,
				    int listen_fd, uint32_t timeout_ms,
				    const struct msp_redirect_others *others,
				    struct msp_error_info *info);

#endif
