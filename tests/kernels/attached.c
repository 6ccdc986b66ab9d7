/* SPDX-License-Identifier: MIT */
/*
 * In: the kernel's own lists. Out: whether programs of ours are attached or
 * loaded. Must never ask the library, which is what is being checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "tests/kernels/guest.h"

#define OURS "msp_"

static const enum bpf_attach_type types[] = {
	BPF_CGROUP_INET4_CONNECT,     BPF_CGROUP_INET6_CONNECT,
	BPF_CGROUP_INET4_BIND,	      BPF_CGROUP_INET6_BIND,
	BPF_CGROUP_INET4_GETPEERNAME, BPF_CGROUP_INET6_GETPEERNAME,
};

void check_attached(unsigned int each, const char *when)
{
	int fd = open(CGROUP_MOUNT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t i, right = 0, n = sizeof(types) / sizeof(types[0]);

	for (i = 0; i < n; i++) {
		__u32 ids[16], count = 16, flags = 0;

		if (bpf_prog_query(fd, types[i], 0, &flags, ids, &count) == 0 &&
		    count == each)
			right++;
	}
	close(fd);
	check(right == n, "%s: %u program%s at each of %zu hooks", when, each,
	      each == 1 ? "" : "s", n);
}

static unsigned int loaded(void)
{
	unsigned int n = 0;
	__u32 id = 0;

	while (bpf_prog_get_next_id(id, &id) == 0) {
		struct bpf_prog_info info = { 0 };
		__u32 len = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0 ||
		    strncmp(info.name, OURS, strlen(OURS)) == 0)
			n++;
		close(fd);
	}
	return n;
}

/* The kernel frees them when nobody can be running them any more. */
void check_unloaded(const char *when)
{
	unsigned int n = 0;
	int i;

	for (i = 0; i < 10 * WAIT_SECONDS; i++) {
		n = loaded();
		if (n == 0)
			break;
		usleep(100 * 1000);
	}
	check(n == 0, "%s: %u programs of ours are loaded", when, n);
}
