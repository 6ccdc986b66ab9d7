/* SPDX-License-Identifier: MIT */
/*
 * In: a cgroup, and which of the eBPF programs attached there. Out: these are
 * detached, as another program of root's could do; without which, how many are
 * attached. Must never touch what is attached elsewhere.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

/* Descriptor of that link if it is attached to that cgroup, else -1. */
static int link_there(__u32 id, __u64 cgroup)
{
	struct bpf_link_info info;
	__u32 len = sizeof(info);
	int fd = bpf_link_get_fd_by_id(id);

	if (fd < 0)
		return -1;
	memset(&info, 0, sizeof(info));
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
	    info.type == BPF_LINK_TYPE_CGROUP &&
	    info.cgroup.cgroup_id == cgroup)
		return fd;
	close(fd);
	return -1;
}

/* In the order they were attached, which the bits of which are for. */
static int each(__u64 cgroup, unsigned long which)
{
	int found = 0, failed = 0;
	__u32 id = 0;
	int fd;

	while (bpf_link_get_next_id(id, &id) == 0) {
		fd = link_there(id, cgroup);
		if (fd < 0)
			continue;
		if (which >> found & 1 && bpf_link_detach(fd) < 0)
			failed = errno;
		found++;
		close(fd);
	}
	printf("%d\n", found);
	if (failed)
		fprintf(stderr, "links: cannot detach: %s\n", strerror(failed));
	return failed != 0;
}

int main(int argc, char **argv)
{
	struct stat st;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: links CGROUP [MASK]\n");
		return 2;
	}
	if (stat(argv[1], &st) < 0) {
		perror(argv[1]);
		return 1;
	}
	return each(st.st_ino, argc == 3 ? strtoul(argv[2], NULL, 0) : 0);
}
