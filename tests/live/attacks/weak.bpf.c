// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * In: connect() of every process in a cgroup. Out: connections to the
 * endpoints go to the listener, and who made them stands in a table by source
 * port. Must never be used for anything but losing: it is the identity that
 * the attacks are tried against, with the faults that first designs have.
 */
#include <linux/bpf.h>

#include <stdbool.h>

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "weak.h"

char weak_license[] SEC("license") = "Dual MIT/GPL";

#define IPPROTO_TCP 6
#define IMDS	    bpf_htonl(0xa9fea9fe)
#define WIRESERVER  bpf_htonl(0xa83f8110)
#define LOOPBACK    bpf_htonl(0x7f000001)
#define WEAK_MARK   0x77656b

/* BPF_NOEXIST: whoever had a port first, has it. */
const volatile __u64 weak_how = BPF_ANY;
/* Sockets are chosen when they are made: by what they then are. */
const volatile __u32 weak_by_socket = 0;

/* A socket is in the table when its connection is made, not before. */
const volatile bool weak_established;

/* What is in other network namespaces is left alone; 0: it is not. */
const volatile __u64 weak_only_namespace;

/* Processes have the numbers that they know themselves by. */
const volatile bool weak_pid_inside;

/* From connect() to the SYN. Stays if there never is a SYN. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEAK_ENTRIES);
	__type(key, __u64);
	__type(value, struct weak_origin);
} weak_by_thread SEC(".maps");

/* From the SYN to accept(). Never cleaned: the next user of the port
 * overwrites it, or not even that. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEAK_ENTRIES);
	__type(key, __u32);
	__type(value, struct weak_origin);
} weak_by_port SEC(".maps");

SEC("cgroup/sock_create")
int weak_sock_create(struct bpf_sock *ctx)
{
	if (weak_by_socket && ctx->protocol == IPPROTO_TCP)
		ctx->mark = WEAK_MARK;
	return 1;
}

/* From the SYN to the end of the handshake, where that is waited for. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct weak_origin);
} weak_waiting SEC(".maps");

static __u32 pid_inside(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	void *numbers =
		(void *)pid + bpf_core_field_offset(struct pid, numbers);
	struct upid *at = numbers + level * bpf_core_type_size(struct upid);

	return BPF_CORE_READ(at, nr);
}

SEC("cgroup/connect4")
int weak_connect4(struct bpf_sock_addr *ctx)
{
	__u64 thread = bpf_get_current_task();
	struct weak_origin origin = {
		.pid = bpf_get_current_pid_tgid() >> 32,
		.ip = ctx->user_ip4,
		.port = ctx->user_port,
	};

	if (ctx->protocol != IPPROTO_TCP ||
	    (origin.ip != IMDS && origin.ip != WIRESERVER) ||
	    origin.port != bpf_htons(80))
		return 1;
	if (weak_only_namespace &&
	    bpf_get_netns_cookie(ctx) != weak_only_namespace)
		return 1;
	if (weak_by_socket && (!ctx->sk || ctx->sk->mark != WEAK_MARK))
		return 1;
	if (weak_pid_inside)
		origin.pid = pid_inside();
	bpf_map_update_elem(&weak_by_thread, &thread, &origin, BPF_ANY);
	ctx->user_ip4 = LOOPBACK;
	ctx->user_port = bpf_htons(3080);
	return 1;
}

static int on_syn(struct bpf_sock_ops *ctx, __u32 port)
{
	__u64 thread = bpf_get_current_task();
	struct weak_origin *origin;

	origin = bpf_map_lookup_elem(&weak_by_thread, &thread);
	if (!origin)
		return 1;
	if (!weak_established)
		bpf_map_update_elem(&weak_by_port, &port, origin, weak_how);
	else if (ctx->sk)
		bpf_sk_storage_get(&weak_waiting, ctx->sk, origin,
				   BPF_SK_STORAGE_GET_F_CREATE);
	bpf_map_delete_elem(&weak_by_thread, &thread);
	return 1;
}

static int on_established(struct bpf_sock_ops *ctx, __u32 port)
{
	struct weak_origin *origin = NULL;

	if (ctx->sk)
		origin = bpf_sk_storage_get(&weak_waiting, ctx->sk, NULL, 0);
	if (origin)
		bpf_map_update_elem(&weak_by_port, &port, origin, weak_how);
	return 1;
}

SEC("sockops")
int weak_sockops(struct bpf_sock_ops *ctx)
{
	__u32 port = ctx->local_port;

	if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		return on_syn(ctx, port);
	if (ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		return on_established(ctx, port);
	return 1;
}
