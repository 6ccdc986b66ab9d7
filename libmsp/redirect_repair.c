/* SPDX-License-Identifier: MIT */
/*
 * In: an attached redirector whose programs somebody has detached. Out: which,
 * and the same attached again. Must never take a link that the kernel would
 * not tell of for one that is gone.
 */
#include "libmsp/redirect_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "libmsp/info.h"

/* One that was detached belongs to no cgroup any more, whoever has it open;
 * likewise where the cgroup itself was removed. */
static bool is_detached(int fd)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);

	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
	       info.cgroup.cgroup_id == 0;
}

unsigned int msp_redirect_detached(const struct msp_redirect *redirect)
{
	unsigned int bits = 0;
	size_t i;

	for (i = 0; redirect && i < MSP_REDIRECT_HOOKS; i++)
		if (is_detached(redirect->link_fds[i]))
			bits |= 1u << i;
	return bits;
}

/* In the descriptor's place, which other threads may be looking at. */
static int attach_again(struct msp_redirect *r, size_t i,
			struct msp_error_info *info)
{
	struct bpf_program *program;
	const char *name = msp_redirect_hook(r, i, &program);
	int fd = bpf_link_create(bpf_program__fd(program), r->cgroup_fd,
				 bpf_program__expected_attach_type(program),
				 NULL);
	int err = 0;

	if (fd < 0)
		return msp_fail_sys(info, -fd, "cannot attach '%s' again",
				    name);
	if (dup3(fd, r->link_fds[i], O_CLOEXEC) < 0)
		err = errno;
	close(fd);
	if (err)
		return msp_fail_sys(info, err, "cannot keep '%s' attached",
				    name);
	return 0;
}

int msp_redirect_repair(struct msp_redirect *redirect, unsigned int *out,
			struct msp_error_info *info)
{
	unsigned int bits = msp_redirect_detached(redirect);
	size_t i;
	int rc;

	if (out)
		*out = 0;
	if (!redirect || !out)
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	for (i = 0; i < MSP_REDIRECT_HOOKS; i++) {
		if (!(bits & 1u << i))
			continue;
		rc = attach_again(redirect, i, info);
		if (rc < 0)
			return rc;
		*out |= 1u << i;
	}
	return 0;
}
