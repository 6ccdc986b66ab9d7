/* SPDX-License-Identifier: MIT */
/*
 * In: a kernel that has just started its first program. Out: the mounts,
 * addresses and files the checks need. Must never hide a failed step.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/kernels/guest.h"

static int mount_at(const char *type, const char *where)
{
	if (mkdir(where, 0755) < 0 && errno != EEXIST)
		return -1;
	return mount(type, where, type, 0, NULL);
}

int guest_mount(void)
{
	if (mount_at("proc", "/proc") < 0 || mount_at("sysfs", "/sys") < 0 ||
	    mount_at("tmpfs", "/tmp") < 0 ||
	    mount_at("cgroup2", CGROUP_MOUNT) < 0 ||
	    mount_at("securityfs", "/sys/kernel/security") < 0)
		return -1;
	if (chmod("/tmp", 01777) < 0)
		return -1;
	if (mkdir(CGROUP_MOUNT "/a", 0755) < 0 ||
	    mkdir(CGROUP_MOUNT "/a/b.service", 0755) < 0)
		return -1;
	return mkdir(CGROUP_MOUNT "/c", 0755);
}

static int set_address(int fd, const char *name, const char *ip)
{
	struct ifreq request = { 0 };
	struct sockaddr_in address = { .sin_family = AF_INET };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	inet_pton(AF_INET, ip, &address.sin_addr);
	memcpy(&request.ifr_addr, &address, sizeof(address));
	if (ioctl(fd, SIOCSIFADDR, &request) < 0)
		return -1;
	inet_pton(AF_INET, "255.255.255.255", &address.sin_addr);
	memcpy(&request.ifr_netmask, &address, sizeof(address));
	return ioctl(fd, SIOCSIFNETMASK, &request);
}

int guest_network(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -1;
	rc = ioctl(fd, SIOCSIFFLAGS, &lo);
	if (rc == 0)
		rc = set_address(fd, "lo:1", "169.254.169.254");
	if (rc == 0)
		rc = set_address(fd, "lo:2", "168.63.129.16");
	close(fd);
	return rc;
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

int read_file(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	out[0] = '\0';
	if (fd < 0)
		return -1;
	n = read(fd, out, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	out[n] = '\0';
	return 0;
}

int copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ssize_t n = -1;

	if (in >= 0 && out >= 0)
		while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
			;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return n == 0 ? 0 : -1;
}
