/* SPDX-License-Identifier: MIT */
/*
 * msp_bpf.h - what the kernel side and libmsp tell each other.
 *
 * Compiled by both compilers: only fixed-size fields, no implicit padding,
 * sizes asserted at the end.
 */
#ifndef MSP_BPF_H
#define MSP_BPF_H

#define MSP_BPF_PATH	  512
#define MSP_BPF_ENDPOINTS 3
#define MSP_BPF_GROUPS	  64
#define MSP_BPF_PARENTS	  4

/* Of what sockets carry: another number whenever struct msp_bpf_facts, or what
 * a field or a mark means, becomes another. It is in the names that a successor
 * finds the maps by. A number alone, since it is made part of a text. */
#define MSP_BPF_LAYOUT 1

/* Bits of facts.flags; the values of enum msp_caller_flag. */
#define MSP_BPF_F_DIRECT	2u
#define MSP_BPF_F_V6_MAPPED	4u
#define MSP_BPF_F_KERNEL	8u
#define MSP_BPF_F_PATH_CUT	16u
#define MSP_BPF_F_DEVICE	32u
#define MSP_BPF_F_PROBE		64u
#define MSP_BPF_F_NO_PATH	256u
#define MSP_BPF_F_GROUPS_CUT	1024u
#define MSP_BPF_F_EXE_ELSEWHERE 8192u

/* Values of the "own" socket storage; enum msp_redirect_mark. */
#define MSP_BPF_SKIP  1u
#define MSP_BPF_PROBE 2u

/* Per endpoint; enum msp_redirect_state. */
#define MSP_BPF_OFF	0u
#define MSP_BPF_AUDIT	1u
#define MSP_BPF_ENFORCE 2u

/* Connections of other network namespaces; enum msp_redirect_foreign. */
#define MSP_BPF_FOREIGN_AUTO 0u
#define MSP_BPF_FOREIGN_DENY 1u
#define MSP_BPF_FOREIGN_PASS 2u

/* Index of the per-CPU counters; the first of enum msp_redirect_counter. */
enum msp_bpf_counter {
	MSP_BPF_REDIRECTED,
	MSP_BPF_DIRECT,
	MSP_BPF_SKIPPED,
	MSP_BPF_FOREIGN_DENIED,
	MSP_BPF_FOREIGN_PASSED,
	MSP_BPF_NO_STORAGE,
	MSP_BPF_BIND_DENIED,
	MSP_BPF_DEVICE_DENIED,
	MSP_BPF_COUNTERS
};

/* An address as struct bpf_sock_addr has it: both in network byte order,
 * the port in the low 16 bits. */
struct msp_bpf_address {
	__u32 ip;
	__u32 port;
};

/* Constants, set before load. */
struct msp_bpf_config {
	__u64 net_cookie; /* the namespace of the listener */
	struct msp_bpf_address listener;
	struct msp_bpf_address endpoints[MSP_BPF_ENDPOINTS];
	__u32 foreign;
	/* 0: read no kernel memory but through typed pointers */
	__u32 walk;
};

/* Written by user space while the programs run. A map of its own, which a
 * successor goes on with: its layout must never change. */
struct msp_bpf_states {
	__u32 state[MSP_BPF_ENDPOINTS];
	__u32 pad;
};

/* Likewise, but each process has its own. */
struct msp_bpf_runtime {
	/* The PID namespace the agent counts processes in. */
	__u32 pid_level;
	__u32 pid_ns;
};

struct msp_bpf_file {
	__u64 inode;
	__s64 ctime_s;
	__u32 ctime_ns;
	__u32 device;
	__u32 generation;
	__u32 mode;
	__u32 uid;
	__u32 gid;
	__u32 nlink;
	__u32 pad;
};

/* An ancestor; pid 0: none, or not in the agent's PID namespace. */
struct msp_bpf_parent {
	__u64 start_ns;
	__u32 pid;
	__u32 pad;
	char comm[16];
};

/* Facts of one connect(), kept on the client's own socket. */
struct msp_bpf_facts {
	__u64 start_ns;
	__u64 connect_ns;
	__u64 net_cookie;
	__u64 cgroup_id;
	__u64 socket_cookie;
	struct msp_bpf_file exe;
	struct msp_bpf_address destination;
	__u32 flags;
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u32 pid;
	__u32 tid;
	__u32 loginuid;
	__u32 net_ns;
	__u32 mnt_ns;
	__u32 pid_ns;
	__u32 user_ns;
	__u32 ns_owner;
	__u32 pad;
	char comm[16];
	__u32 n_gids;
	__u32 path_len;
	__u32 gids[MSP_BPF_GROUPS];
	struct msp_bpf_parent parents[MSP_BPF_PARENTS];
	/* components from the last to the first, each NUL-terminated */
	char path[MSP_BPF_PATH];
};

/* The question to "who", at the start of its packet; the answer is a struct
 * msp_bpf_facts in the same place. Addresses as "who" looks them up: remote
 * is the client's end. */
struct msp_bpf_ask {
	__u8 ethernet[14];
	__u8 pad[2];
	__u32 remote_ip;
	__u32 local_ip;
	__u16 remote_port;
	__u16 local_port;
	__u32 pad2;
	__u64 cookie; /* of the accepted socket */
};

/* What "who" returns. */
enum msp_bpf_answer {
	MSP_BPF_KNOWN = 0,
	MSP_BPF_BAD_ASK = 1,
	MSP_BPF_NO_SERVER = 2,	   /* no socket with the tuple as we see it */
	MSP_BPF_NO_CLIENT = 3,	   /* the client has closed its end */
	MSP_BPF_NOT_CONNECTED = 4, /* one of them is no connected socket */
	MSP_BPF_NOT_OURS = 5,	   /* not the socket that was accepted */
	MSP_BPF_NOT_PEERS = 6,	   /* they are not two ends of a connection */
	MSP_BPF_NO_FACTS = 7	   /* the client was never seen at connect() */
};

/* What "self" reports about the process that runs it. */
struct msp_bpf_self {
	__u32 pid_level;
	__u32 pid_ns;
	__u32 mnt_ns;	   /* of the calling process */
	__u32 init_mnt_ns; /* of PID 1 of its PID namespace */
};

_Static_assert(sizeof(struct msp_bpf_file) == 48, "layout of a file");
_Static_assert(sizeof(struct msp_bpf_parent) == 32, "layout of a parent");
_Static_assert(sizeof(struct msp_bpf_facts) ==
		       5 * 8 + 48 + 8 + 14 * 4 + 16 + 8 + 4 * MSP_BPF_GROUPS +
			       32 * MSP_BPF_PARENTS + MSP_BPF_PATH,
	       "layout of the facts");
_Static_assert(sizeof(struct msp_bpf_states) == 16, "layout of the states");
_Static_assert(sizeof(struct msp_bpf_ask) == 40, "layout of the question");

#endif
