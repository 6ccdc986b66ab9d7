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
/**
 * Groups that are looked at: of a user as the user database has them, and
 * supplementary ones of a process. Whoever has more matches no group at all,
 * see MSP_CALLER_GROUPS_CUT.
 */
#define MSP_CALLER_GROUPS_MAX 64
/** Ancestors that are recorded. */
#define MSP_CALLER_PARENTS 4

/** Bits of msp_caller.flags. */
enum msp_caller_flag {
	MSP_CALLER_KNOWN = 1,	  /* filled from the kernel, and complete */
	MSP_CALLER_DIRECT = 2,	  /* connected to the listener itself */
	MSP_CALLER_V6_MAPPED = 4, /* used an IPv6 socket, ::ffff:a.b.c.d */
	MSP_CALLER_KERNEL = 8,	  /* no user process: a kernel thread */
	MSP_CALLER_PATH_CUT = 16, /* exe_path is longer than it can carry */
	MSP_CALLER_DEVICE = 32,	  /* was bound to a network device */
	MSP_CALLER_PROBE = 64,	  /* a connection of the agent's own */
	MSP_CALLER_EXE_VERIFIED = 128, /* the file at exe_path is the one run */
	MSP_CALLER_NO_PATH = 256,      /* the kernel refused to show paths */
	MSP_CALLER_NAMES = 512,	       /* user_name, groups, process_groups are
					* filled in, as far as there are any */
	MSP_CALLER_GROUPS_CUT = 1024,  /* process or user has more groups than
					* are looked at: group selectors match
					* nothing, neither list */
	MSP_CALLER_EXE_CHECKED = 2048, /* compared with the file at its path */
	MSP_CALLER_EXE_REPLACED = 4096, /* verified, though the file at its
					 * path is another by now */
	MSP_CALLER_EXE_ELSEWHERE = 8192 /* exe_path is a path in another mount
					 * namespace than the process's */
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
	uint32_t mode; /* st_mode */
	uint32_t uid;  /* owner */
	uint32_t gid;
	uint32_t nlink;
	uint32_t reserved;
};

/**
 * struct msp_caller_parent - one ancestor of the process at connect()
 * @start_ns: its start, CLOCK_BOOTTIME nanoseconds
 * @pid:      as the agent's /proc counts; 0: no such ancestor, or outside
 *            the agent's PID namespace
 * @comm:     its name, NUL-terminated; chosen by itself, so for people only
 */
struct msp_caller_parent {
	uint64_t start_ns;
	uint32_t pid;
	uint32_t reserved;
	char comm[16];
};

/**
 * struct msp_caller - who connected
 * @size:        sizeof(struct msp_caller), set by the caller of any call that
 *               gets one; a longer one is fine (see defs.h)
 * @flags:       enum msp_caller_flag
 * @uid:         real uid, in the initial user namespace
 * @gid:         real gid
 * @euid:        effective uid; elevated means uid 0 and euid 0
 * @egid:        effective gid
 * @pid:         process (thread group) number as the agent's /proc counts
 * @tid:         thread that called connect()
 * @loginuid:    audit login uid, UINT32_MAX if unset
 * @net_ns, @mnt_ns, @pid_ns, @user_ns: inode numbers of the process's
 *               namespaces
 * @ns_owner:    who made the outermost user namespace it is in, where one
 *               user can have many uids; its own uid in the initial one
 * @n_gids:      how many supplementary groups
 * @gids:        supplementary groups the process had, in the initial user
 *               namespace; without a particular order
 * @start_ns:    start of the process, CLOCK_BOOTTIME nanoseconds
 * @connect_ns:  time of connect(), CLOCK_MONOTONIC nanoseconds
 * @net_cookie:  network namespace of the socket, SO_NETNS_COOKIE
 * @cgroup_id:   cgroup v2 id
 * @socket_cookie: cookie of the client's socket
 * @destination: where it wanted to go
 * @exe:         the running executable
 * @comm:        thread name, NUL-terminated
 * @exe_path:    path of the executable as its own mount tree shows it,
 *               NUL-terminated, "" if unknown; exe.nlink 0: it is deleted
 * @parents:     ancestors, nearest first
 * @user_name:   from the user database, NULL if unknown; borrowed
 * @groups:      names of the groups the user database gives the user, as
 *               Azure Guest Proxy Agent reads them; borrowed; NULL entries
 *               are passed over
 * @n_groups:    how many, at most MSP_CALLER_GROUPS_MAX
 * @process_groups: names of @gid and @gids, the groups the process really
 *               had; likewise. A groupName selector matches a name of either
 *               list: a service may have been given a group the database
 *               does not know of, and a user keeps its groups when a program
 *               drops them
 * @n_process_groups: how many, at most 1 + MSP_CALLER_GROUPS_MAX
 * @cgroup_path: of @cgroup_id below the mount point, "/..."; NULL if unknown
 *               or gone; borrowed
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
	uint32_t loginuid;
	uint32_t net_ns;
	uint32_t mnt_ns;
	uint32_t pid_ns;
	uint32_t user_ns;
	uint32_t ns_owner;
	uint32_t n_gids;
	uint32_t gids[MSP_CALLER_GROUPS_MAX];
	uint64_t start_ns;
	uint64_t connect_ns;
	uint64_t net_cookie;
	uint64_t cgroup_id;
	uint64_t socket_cookie;
	struct msp_address destination;
	struct msp_file_id exe;
	char comm[16];
	char exe_path[MSP_CALLER_PATH_MAX];
	struct msp_caller_parent parents[MSP_CALLER_PARENTS];
	const char *user_name;
	const char *const *groups;
	size_t n_groups;
	const char *const *process_groups;
	size_t n_process_groups;
	const char *cgroup_path;
};

/**
 * struct msp_unit - what a cgroup path tells; borrowed from the path
 * @unit:          the systemd unit that stands first, slices aside, NULL:
 *                 none. Only root chooses it, while a user or a container
 *                 names what is below
 * @unit_len:      its length, at most 255
 * @container:     innermost container id, 64 hex digits, NULL: none. For
 *                 people: a user can make a path that looks like one
 * @container_len: its length
 */
struct msp_unit {
	const char *unit;
	size_t unit_len;
	const char *container;
	size_t container_len;
};

MSP_BEGIN_DECLS

/**
 * msp_caller_elevated - uid 0 and euid 0 of a known user process
 * @caller: borrowed for this call; NULL is not elevated
 *
 * Threads: any.
 */
MSP_API bool msp_caller_elevated(const struct msp_caller *caller);

/**
 * msp_caller_process_name - last component of exe_path
 * @caller: not changed; NULL: ""
 *
 * Borrowed from @caller; "" if the path is not known. Never NULL. Threads: any.
 */
MSP_API const char *msp_caller_process_name(const struct msp_caller *caller);

/**
 * msp_caller_unit - systemd unit and container id a cgroup path shows
 * @out:  filled in; all NULL and 0 if there is neither
 * @path: e.g. caller->cgroup_path, "/..."; NULL is fine
 * @len:  its length
 *
 * Unit: "/system.slice/ssh.service" is ssh.service,
 * "/user.slice/user-1000.slice/user@1000.service/app.slice/x.service" is
 * user@1000.service, "/lxc/c1/system.slice/ssh.service" is none: it is c1's.
 * Escapes such as "\x2d" stay; the "_" is left out that systemd puts in front
 * of a name the kernel could take for its own. Container: docker-ID.scope,
 * cri-containerd-ID.scope, crio-ID.scope, libpod-ID.scope and the like, with
 * or without ".scope", what ends in ":ID", and a component that is nothing
 * but ID; not what watches over a container, libpod-conmon-ID.scope.
 * Threads: any.
 */
MSP_API void msp_caller_unit(struct msp_unit *out, const char *path,
			     size_t len);

MSP_END_DECLS

#endif
