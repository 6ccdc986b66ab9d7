/* SPDX-License-Identifier: MIT */
/*
 * caller.h - the facts about the process that opened a connection.
 *
 * A plain struct: filled by msp_peer_identify() from the kernel, completed
 * with names by whoever may block, read by msp_decision_make(). Core code:
 * nothing here looks at the machine.
 */
#ifndef MSP_CALLER_H
#define MSP_CALLER_H

#include <msp/endpoint.h>
#include <msp/error.h>

/** Bytes of an executable's path that the kernel side can carry. */
#define MSP_CALLER_PATH_MAX 512
/** Supplementary groups that are looked at. */
#define MSP_CALLER_GROUPS_MAX 64

/** Bits of msp_caller.flags. */
enum msp_caller_flag {
	MSP_CALLER_KNOWN = 1,	    /* filled from the kernel, and complete */
	MSP_CALLER_DIRECT = 2,	    /* connected to the listener itself */
	MSP_CALLER_V6_MAPPED = 4,   /* used an IPv6 socket, ::ffff:a.b.c.d */
	MSP_CALLER_KERNEL = 8,	    /* no user process: a kernel thread */
	MSP_CALLER_PATH_CUT = 16,   /* exe_path is longer than it can carry */
	MSP_CALLER_DEVICE = 32,	    /* was bound to a network device */
	MSP_CALLER_PROBE = 64,	    /* a connection of the agent's own */
	MSP_CALLER_EXE_VERIFIED = 128, /* the file at exe_path is the one run */
	MSP_CALLER_NO_PATH = 256,   /* the kernel refused to show paths */
	MSP_CALLER_NAMES = 512	    /* user_name and groups are filled in */
};

/**
 * struct msp_file_id - one file, in the kernel's own terms
 *
 * Not comparable with stat(2) on overlayfs and btrfs. Inode numbers are
 * re-used at once, so device, number, generation and change time together
 * are the identity.
 */
struct msp_file_id {
	uint64_t inode;
	int64_t ctime_s;
	uint32_t ctime_ns;
	uint32_t device;
	uint32_t generation;
	uint32_t mode;	/* st_mode */
	uint32_t uid;	/* owner */
	uint32_t gid;
	uint32_t nlink;
	uint32_t reserved;
};

/**
 * struct msp_caller - who connected
 * @size:        sizeof(struct msp_caller)
 * @flags:       enum msp_caller_flag
 * @uid:         real uid, in the initial user namespace
 * @gid:         real gid
 * @euid:        effective uid; elevated means uid 0 and euid 0
 * @egid:        effective gid
 * @pid:         process (thread group) number as the agent's /proc counts
 * @tid:         thread that called connect()
 * @ppid:        parent
 * @loginuid:    audit login uid, UINT32_MAX if unset
 * @mnt_ns, @pid_ns, @user_ns: namespace inode numbers
 * @start_ns:    start of the process, CLOCK_BOOTTIME nanoseconds
 * @connect_ns:  time of connect(), CLOCK_MONOTONIC nanoseconds
 * @net_cookie:  network namespace cookie
 * @cgroup_id:   cgroup v2 id
 * @socket_cookie: cookie of the client's socket
 * @destination: where it wanted to go
 * @exe:         the running executable
 * @comm:        thread name, NUL-terminated
 * @exe_path:    path of the executable as its own mount tree shows it,
 *               NUL-terminated, "" if unknown
 * @user_name:   from the user database, NULL if unknown; borrowed
 * @groups:      names of its groups; borrowed
 * @n_groups:    how many
 */
struct msp_caller {
	size_t size;
	uint32_t flags;
	uint32_t uid;
	uint32_t gid;
	uint32_t euid;
	uint32_t egid;
	uint32_t pid;
	uint32_t tid;
	uint32_t ppid;
	uint32_t loginuid;
	uint32_t mnt_ns;
	uint32_t pid_ns;
	uint32_t user_ns;
	uint64_t start_ns;
	uint64_t connect_ns;
	uint64_t net_cookie;
	uint64_t cgroup_id;
	uint64_t socket_cookie;
	struct msp_address destination;
	struct msp_file_id exe;
	char comm[16];
	char exe_path[MSP_CALLER_PATH_MAX];
	const char *user_name;
	const char *const *groups;
	size_t n_groups;
};

MSP_BEGIN_DECLS

/**
 * msp_caller_elevated - uid 0 and euid 0 of a known user process
 * Threads: any. NULL is not elevated.
 */
MSP_API bool msp_caller_elevated(const struct msp_caller *caller);

/**
 * msp_caller_process_name - last component of exe_path; "" if unknown
 * Borrowed from @caller.
 */
MSP_API const char *msp_caller_process_name(const struct msp_caller *caller);

MSP_END_DECLS

#endif
