/* SPDX-License-Identifier: MIT */
/*
 * In: what a test wants of a redirector. Out: that. Must never touch the
 * kernel's.
 */
#include "tests/lib/fakeredirect.h"

#include <unistd.h>

struct fake_redirect fake;

const char *fake_part(size_t i)
{
	static const char *const names[MSP_REDIRECT_PARTS] = {
		"libmsp.1.a", "libmsp.1.b", "libmsp.1.c",
		"libmsp.1.d", "libmsp.1.e", "libmsp.1.f",
		"libmsp.1.g", "libmsp.1.h", "libmsp.1.i",
	};

	return names[i];
}

size_t __wrap_msp_redirect_parts(const struct msp_redirect *redirect,
				 struct msp_redirect_part *out, size_t room)
{
	size_t i;

	(void)redirect;
	for (i = 0; i < MSP_REDIRECT_PARTS && i < room; i++)
		out[i] = (struct msp_redirect_part){ fake_part(i), fake.fd, 0 };
	return i;
}

unsigned int __wrap_msp_redirect_taken(const struct msp_redirect *redirect)
{
	(void)redirect;
	return fake.taken;
}

enum msp_redirect_state
__wrap_msp_redirect_get(const struct msp_redirect *redirect,
			enum msp_endpoint endpoint)
{
	(void)redirect;
	return fake.states[endpoint];
}

int __wrap_msp_redirect_set(struct msp_redirect *redirect,
			    enum msp_endpoint endpoint,
			    enum msp_redirect_state state)
{
	(void)redirect;
	if (!fake.set_fails)
		fake.states[endpoint] = state;
	return fake.set_fails;
}

int __wrap_msp_redirect_prove_among(struct msp_redirect *redirect,
				    int listen_fd, uint32_t timeout_ms,
				    const struct msp_redirect_others *others,
				    struct msp_error_info *info)
{
	int i;

	(void)redirect;
	(void)listen_fd;
	(void)info;
	fake.patience_ms = timeout_ms;
	for (i = 0; i < fake.others; i++)
		others->take(others->arg, dup(STDERR_FILENO));
	return fake.proof;
}
