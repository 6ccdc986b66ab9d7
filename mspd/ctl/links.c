/* SPDX-License-Identifier: MIT */
/*
 * In: the kernel's list of eBPF links. Out: each, with the name of its program.
 * Must never keep one open: a link lives as long as somebody has it.
 */
#include "mspd/ctl/links.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static void read_name(char out[16], uint32_t program)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(program);

	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
		snprintf(out, 16, "%s", info.name);
	close(fd);
}

static bool read_link(struct ctl_bpf_link *out, uint32_t id)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_link_get_fd_by_id(id);
	int rc;

	if (fd < 0)
		return false;
	rc = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	if (rc < 0)
		return false;
	memset(out, 0, sizeof(*out));
	out->id = id;
	out->type = info.type;
	if (info.type == BPF_LINK_TYPE_CGROUP) {
		out->attach = info.cgroup.attach_type;
		out->cgroup = info.cgroup.cgroup_id;
	}
	read_name(out->program, info.prog_id);
	return true;
}

int ctl_links_walk(void (*take)(void *arg, const struct ctl_bpf_link *link),
		   void *arg)
{
	struct ctl_bpf_link link;
	uint32_t id = 0;
	size_t n;

	for (n = 0; n < CTL_LINKS; n++) {
		if (bpf_link_get_next_id(id, &id) < 0)
			return errno == ENOENT ? 0 : -errno;
		if (read_link(&link, id))
			take(arg, &link);
	}
	return 0;
}
