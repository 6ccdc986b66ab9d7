// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * In: connect() and bind() of every process in a cgroup. Out: connections to
 * governed endpoints go to the listener, and the facts about who made them
 * are kept on the client's own socket, where "who" finds them from the other
 * end. Must never let a connection pass unredirected because something here
 * failed, and keeps no table that a user could fill.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "msp_bpf.h"

char msp_license[] SEC("license") = "Dual MIT/GPL";

#define PASS   1
#define REFUSE 0 /* connect() and bind() fail with EPERM */

#define IPPROTO_TCP	 6
#define SOL_SOCKET	 1
#define SO_BINDTODEVICE	 25
#define LOOPBACK_IFINDEX 1
#define NAME_MAX_	 256
#define PATH_STEPS	 48
#define NO_UID		 0xffffffffu
#define USER_NAMESPACES	 33 /* one in another, at most */
/* Looks at a connection that is busy. Another CPU writes the two fields one
 * after the other, and may have to wait for the second one's cache line: that
 * takes as long as many looks. */
#define LOOKS 256

const volatile struct msp_bpf_config msp_config = {};
/* A section is a map: this one is handed on to a successor. */
struct msp_bpf_states msp_states SEC(".data.states") = {};
struct msp_bpf_runtime msp_runtime = {};
struct msp_bpf_file msp_stat_result = {};
struct msp_bpf_self msp_self_result = {};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct msp_bpf_facts);
} msp_facts SEC(".maps");

/* Sockets of the agent itself, marked from user space by descriptor. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} msp_own SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MSP_BPF_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} msp_counters SEC(".maps");

static __always_inline void count(__u32 which)
{
	__u64 *value = bpf_map_lookup_elem(&msp_counters, &which);

	if (value)
		*value += 1;
}

/* A field of a kernel structure, on from field to field. `walk` is a constant
 * where this is inlined. Typed loads work under every lockdown, but at each
 * pointer the verifier looks through the names of all types there are, more
 * than once: most of the time a start took. */
#define FIELD(walk, from, ...)                                                 \
	((walk) ? BPF_CORE_READ(from, __VA_ARGS__)                             \
		: ___arrow(from, __VA_ARGS__))

static __always_inline void fill_file(struct msp_bpf_file *out,
				      struct inode *inode, const bool walk)
{
	out->inode = FIELD(walk, inode, i_ino);
	out->device = FIELD(walk, inode, i_sb, s_dev);
	out->generation = FIELD(walk, inode, i_generation);
	out->mode = FIELD(walk, inode, i_mode);
	out->uid = FIELD(walk, inode, i_uid.val);
	out->gid = FIELD(walk, inode, i_gid.val);
	out->nlink = FIELD(walk, inode, i_nlink);
	if (bpf_core_field_exists(((struct inode___split *)0)->i_ctime_sec)) {
		struct inode___split *i = (void *)inode;

		out->ctime_s = FIELD(walk, i, i_ctime_sec);
		/* from 6.13 the top bit says that somebody asked for it */
		out->ctime_ns = FIELD(walk, i, i_ctime_nsec) & 0x7fffffff;
	} else if (bpf_core_field_exists(
			   ((struct inode___hidden *)0)->__i_ctime)) {
		struct inode___hidden *i = (void *)inode;

		out->ctime_s = FIELD(walk, i, __i_ctime.tv_sec);
		out->ctime_ns = FIELD(walk, i, __i_ctime.tv_nsec);
	} else {
		struct inode___named *i = (void *)inode;

		out->ctime_s = FIELD(walk, i, i_ctime.tv_sec);
		out->ctime_ns = FIELD(walk, i, i_ctime.tv_nsec);
	}
}

/* A process has a number in each PID namespace from the first (level 0)
 * down to its own. */
static __always_inline struct upid *number_at(struct pid *pid, __u32 level)
{
	void *numbers =
		(void *)pid + bpf_core_field_offset(struct pid, numbers);

	return numbers + level * bpf_core_type_size(struct upid);
}

static __always_inline __u32 pid_namespace_of(struct pid *pid, const bool walk)
{
	__u32 level = FIELD(walk, pid, level);

	if (level == 0)
		return FIELD(walk, pid, numbers[0].ns, ns.inum);
	if (!walk)
		return 0;
	return BPF_CORE_READ(number_at(pid, level), ns, ns.inum);
}

/* Number of a process as the agent's PID namespace counts it; 0: not there.
 * Every process has a number in the first namespace, and typed loads reach
 * it; for the others the array has to be indexed. */
static __always_inline __u32 pid_number(struct pid *pid, const bool walk)
{
	__u32 level = *(volatile __u32 *)&msp_runtime.pid_level;
	__u32 ns = *(volatile __u32 *)&msp_runtime.pid_ns;
	struct upid *at;

	if (level == 0)
		return FIELD(walk, pid, numbers[0].nr);
	if (!walk || !pid || BPF_CORE_READ(pid, level) < level)
		return 0;
	at = number_at(pid, level);
	if (BPF_CORE_READ(at, ns, ns.inum) != ns)
		return 0;
	return BPF_CORE_READ(at, nr);
}

/* From the executable up to the root of its mount tree. bpf_d_path() is not
 * allowed in these programs. */
static __always_inline void path_walk(struct msp_bpf_facts *facts,
				      struct file *exe)
{
	struct dentry *at = BPF_CORE_READ(exe, f_path.dentry);
	struct vfsmount *vfs = BPF_CORE_READ(exe, f_path.mnt);
	struct mount *mount =
		(void *)vfs - bpf_core_field_offset(struct mount, mnt);
	bool complete = false;

	/* run by descriptor: its path means nothing where the process is */
	if (BPF_CORE_READ(mount, mnt_ns, ns.inum) != facts->mnt_ns)
		facts->flags |= MSP_BPF_F_EXE_ELSEWHERE;
	for (int i = 0; i < PATH_STEPS; i++) {
		struct dentry *parent;
		__u32 offset;
		long n;

		if (at == BPF_CORE_READ(mount, mnt.mnt_root)) {
			struct mount *up = BPF_CORE_READ(mount, mnt_parent);

			if (up == mount) {
				complete = true;
				break;
			}
			at = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = up;
			continue;
		}
		parent = BPF_CORE_READ(at, d_parent);
		if (parent == at) {
			complete = true;
			break;
		}
		/* Read back from the map each time: otherwise the verifier
		 * follows every possible length and gives up. */
		offset = *(volatile __u32 *)&facts->path_len;
		if (offset > MSP_BPF_PATH - NAME_MAX_)
			break;
		n = bpf_probe_read_kernel_str(&facts->path[offset], NAME_MAX_,
					      BPF_CORE_READ(at, d_name.name));
		if (n <= 0 || n > NAME_MAX_)
			break;
		*(volatile __u32 *)&facts->path_len = offset + n;
		at = parent;
	}
	if (!complete)
		facts->flags |= MSP_BPF_F_PATH_CUT;
}

/* Supplementary groups, in the initial user namespace's numbers. */
static __always_inline void fill_groups(struct msp_bpf_facts *facts,
					struct group_info *info,
					const bool walk)
{
	__u32 n = FIELD(walk, info, ngroups);

	if (n > MSP_BPF_GROUPS) {
		facts->flags |= MSP_BPF_F_GROUPS_CUT;
		n = MSP_BPF_GROUPS;
	}
	facts->n_gids = n;
	if (walk) {
		if (bpf_probe_read_kernel(facts->gids, n * sizeof(kgid_t),
					  info->gid))
			facts->flags |= MSP_BPF_F_GROUPS_CUT;
		return;
	}
	/* a typed pointer takes no variable offset */
#pragma unroll
	for (__u32 i = 0; i < MSP_BPF_GROUPS; i++) {
		if (i < n)
			facts->gids[i] = info->gid[i].val;
	}
}

/* Who made the outermost of the user namespaces that a process is in: in its
 * own namespaces a user can have any uid it was given a range of. */
static __always_inline __u32 namespace_owner(struct user_namespace *ns,
					     __u32 uid, const bool walk)
{
	struct user_namespace *parent = FIELD(walk, ns, parent);

	if (!parent)
		return uid;
	for (int i = 0; i < USER_NAMESPACES; i++) {
		struct user_namespace *next = FIELD(walk, parent, parent);

		if (!next)
			return FIELD(walk, ns, owner.val);
		ns = parent;
		parent = next;
	}
	return NO_UID;
}

static __always_inline void fill_parents(struct msp_bpf_facts *facts,
					 struct task_struct *leader,
					 const bool walk)
{
	struct task_struct *at = leader;

#pragma unroll
	for (int i = 0; i < MSP_BPF_PARENTS; i++) {
		struct msp_bpf_parent *parent = &facts->parents[i];
		struct task_struct *up =
			FIELD(walk, at, real_parent, group_leader);

		parent->pid = up == at ? 0
				       : pid_number(FIELD(walk, up, thread_pid),
						    walk);
		parent->start_ns =
			parent->pid ? FIELD(walk, up, start_boottime) : 0;
		parent->comm[0] = '\0';
		if (walk && parent->pid)
			bpf_probe_read_kernel(parent->comm,
					      sizeof(parent->comm), up->comm);
		at = up;
	}
}

static __always_inline void fill_process(struct msp_bpf_facts *facts,
					 struct task_struct *task,
					 const bool walk)
{
	struct task_struct *leader = FIELD(walk, task, group_leader);
	const struct cred *cred = FIELD(walk, task, cred);
	struct user_namespace *user_ns = FIELD(walk, cred, user_ns);
	struct nsproxy *namespaces = FIELD(walk, task, nsproxy);
	struct pid *pid = FIELD(walk, task, thread_pid);
	__u64 ids = bpf_get_current_uid_gid();

	facts->uid = (__u32)ids; /* the low half is the uid */
	facts->gid = ids >> 32;
	facts->euid = FIELD(walk, cred, euid.val);
	facts->egid = FIELD(walk, cred, egid.val);
	facts->user_ns = FIELD(walk, user_ns, ns.inum);
	facts->ns_owner = namespace_owner(user_ns, facts->uid, walk);
	facts->net_ns = FIELD(walk, namespaces, net_ns, ns.inum);
	facts->mnt_ns = FIELD(walk, namespaces, mnt_ns, ns.inum);
	facts->pid_ns = pid_namespace_of(pid, walk);
	facts->pid = pid_number(FIELD(walk, leader, thread_pid), walk);
	facts->tid = pid_number(pid, walk);
	facts->start_ns = FIELD(walk, leader, start_boottime);
	if (bpf_core_field_exists(task->loginuid))
		facts->loginuid = FIELD(walk, task, loginuid.val);
	else
		facts->loginuid = NO_UID;
	bpf_get_current_comm(facts->comm, sizeof(facts->comm));
	fill_groups(facts, FIELD(walk, cred, group_info), walk);
	fill_parents(facts, leader, walk);
}

static __always_inline void fill_executable(struct msp_bpf_facts *facts,
					    struct task_struct *task,
					    const bool walk)
{
	struct mm_struct *mm = FIELD(walk, task, mm);
	struct file *exe = mm ? FIELD(walk, mm, exe_file) : 0;

	facts->path_len = 0;
	if (!exe) {
		/* a kernel thread would look like uid 0 */
		facts->flags |= MSP_BPF_F_KERNEL;
		__builtin_memset(&facts->exe, 0, sizeof(facts->exe));
		return;
	}
	fill_file(&facts->exe, FIELD(walk, exe, f_inode), walk);
	if (walk)
		path_walk(facts, exe);
	else
		facts->flags |= MSP_BPF_F_NO_PATH;
}

static __always_inline void fill_caller(struct msp_bpf_facts *facts,
					const bool walk)
{
	struct task_struct *task = bpf_get_current_task_btf();

	fill_process(facts, task, walk);
	fill_executable(facts, task, walk);
}

static __always_inline int remember(struct bpf_sock_addr *ctx, __u32 ip,
				    __u32 port, __u32 flags)
{
	struct msp_bpf_facts *facts;

	facts = bpf_sk_storage_get(&msp_facts, ctx->sk, 0,
				   BPF_SK_STORAGE_GET_F_CREATE);
	if (!facts) {
		count(MSP_BPF_NO_STORAGE);
		return REFUSE;
	}
	facts->flags = flags;
	facts->destination.ip = ip;
	facts->destination.port = port;
	facts->socket_cookie = bpf_get_socket_cookie(ctx);
	facts->net_cookie = bpf_get_netns_cookie(ctx);
	facts->cgroup_id = bpf_get_current_cgroup_id();
	facts->connect_ns = bpf_ktime_get_ns();
	if (msp_config.walk)
		fill_caller(facts, true);
	else
		fill_caller(facts, false);
	return PASS;
}

static __always_inline int endpoint_of(__u32 ip, __u32 port)
{
	for (int i = 0; i < MSP_BPF_ENDPOINTS; i++)
		if (msp_config.endpoints[i].ip == ip &&
		    msp_config.endpoints[i].port == port)
			return i;
	return -1;
}

static __always_inline __u32 state_of(int endpoint)
{
	if (endpoint < 0 || endpoint >= MSP_BPF_ENDPOINTS)
		return MSP_BPF_OFF;
	return *(volatile __u32 *)&msp_states.state[endpoint];
}

/* A socket bound to a network device cannot reach loopback: unbind it. The
 * kernel lets only those do that who may use raw sockets (CAP_NET_RAW); what
 * others send would leave through the device. */
static __always_inline bool release_device(struct bpf_sock_addr *ctx)
{
	char none[4] = "";

	return bpf_setsockopt(ctx, SOL_SOCKET, SO_BINDTODEVICE, none,
			      sizeof(none)) == 0;
}

static __always_inline int forget(struct bpf_sock_addr *ctx)
{
	if (ctx->sk)
		bpf_sk_storage_delete(&msp_facts, ctx->sk);
	return PASS;
}

/* In another namespace 127.0.0.1 is not ours. */
static __always_inline int foreign(struct bpf_sock_addr *ctx, bool direct,
				   __u32 state)
{
	if (direct || state == MSP_BPF_OFF)
		return forget(ctx);
	if (msp_config.foreign == MSP_BPF_FOREIGN_DENY ||
	    (msp_config.foreign == MSP_BPF_FOREIGN_AUTO &&
	     state == MSP_BPF_ENFORCE)) {
		count(MSP_BPF_FOREIGN_DENIED);
		return REFUSE;
	}
	count(MSP_BPF_FOREIGN_PASSED);
	return forget(ctx);
}

static __always_inline int on_connect(struct bpf_sock_addr *ctx, __u32 ip,
				      __u32 port, __u32 flags, bool *redirect)
{
	/* the kernel takes 0.0.0.0 for loopback */
	bool direct = port == msp_config.listener.port &&
		      (ip == msp_config.listener.ip || ip == 0);
	int endpoint = direct ? -1 : endpoint_of(ip, port);
	__u32 state = state_of(endpoint);
	__u32 *mark;
	int verdict;

	if (!direct && endpoint < 0)
		return forget(ctx);
	if (!ctx->sk)
		return REFUSE;
	mark = bpf_sk_storage_get(&msp_own, ctx->sk, 0, 0);
	if (mark && *mark == MSP_BPF_SKIP) {
		count(MSP_BPF_SKIPPED);
		return forget(ctx);
	}
	if (bpf_get_netns_cookie(ctx) != msp_config.net_cookie)
		return foreign(ctx, direct, state);
	if (mark && *mark == MSP_BPF_PROBE)
		flags |= MSP_BPF_F_PROBE;
	else if (!direct && state == MSP_BPF_OFF)
		return forget(ctx);
	if (direct)
		flags |= MSP_BPF_F_DIRECT;
	if (ctx->sk->bound_dev_if > LOOPBACK_IFINDEX) {
		/* direct: can only be meant to confuse */
		if (direct || !release_device(ctx)) {
			count(MSP_BPF_DEVICE_DENIED);
			return REFUSE;
		}
		flags |= MSP_BPF_F_DEVICE;
	}
	verdict = remember(ctx, ip, port, flags);
	if (verdict == REFUSE)
		return REFUSE;
	count(direct ? MSP_BPF_DIRECT : MSP_BPF_REDIRECTED);
	*redirect = !direct;
	return PASS;
}

SEC("cgroup/connect4")
int msp_connect4(struct bpf_sock_addr *ctx)
{
	bool redirect = false;
	int verdict;

	if (ctx->protocol != IPPROTO_TCP)
		return PASS;
	verdict = on_connect(ctx, ctx->user_ip4, (__u16)ctx->user_port, 0,
			     &redirect);
	if (redirect) {
		ctx->user_ip4 = msp_config.listener.ip;
		ctx->user_port = msp_config.listener.port;
	}
	return verdict;
}

/* ::ffff:a.b.c.d never reaches connect4. */
SEC("cgroup/connect6")
int msp_connect6(struct bpf_sock_addr *ctx)
{
	bool redirect = false;
	int verdict;

	if (ctx->protocol != IPPROTO_TCP)
		return PASS;
	if (ctx->user_ip6[0] || ctx->user_ip6[1] ||
	    ctx->user_ip6[2] != __builtin_bswap32(0xffff))
		return forget(ctx); /* of an earlier connect() */
	verdict = on_connect(ctx, ctx->user_ip6[3], (__u16)ctx->user_port,
			     MSP_BPF_F_V6_MAPPED, &redirect);
	if (redirect) {
		ctx->user_ip6[3] = msp_config.listener.ip;
		ctx->user_port = msp_config.listener.port;
	}
	return verdict;
}

/* Nobody but the agent may listen where clients are sent. */
static __always_inline int on_bind(struct bpf_sock_addr *ctx)
{
	__u32 port = (__u16)ctx->user_port;

	if (port != msp_config.listener.port || ctx->protocol != IPPROTO_TCP)
		return PASS;
	if (!ctx->sk)
		return REFUSE;
	if (bpf_sk_storage_get(&msp_own, ctx->sk, 0, 0))
		return PASS;
	if (bpf_get_netns_cookie(ctx) != msp_config.net_cookie)
		return PASS;
	count(MSP_BPF_BIND_DENIED);
	return REFUSE;
}

SEC("cgroup/bind4")
int msp_bind4(struct bpf_sock_addr *ctx)
{
	return on_bind(ctx);
}

SEC("cgroup/bind6")
int msp_bind6(struct bpf_sock_addr *ctx)
{
	return on_bind(ctx);
}

static __always_inline struct msp_bpf_facts *
redirected(struct bpf_sock_addr *ctx)
{
	struct msp_bpf_facts *facts;

	if (!ctx->sk)
		return 0;
	facts = bpf_sk_storage_get(&msp_facts, ctx->sk, 0, 0);
	if (!facts || facts->flags & MSP_BPF_F_DIRECT)
		return 0;
	return facts;
}

/* Clients that look see the address they asked for. */
SEC("cgroup/getpeername4")
int msp_getpeer4(struct bpf_sock_addr *ctx)
{
	struct msp_bpf_facts *facts = redirected(ctx);

	if (facts) {
		ctx->user_ip4 = facts->destination.ip;
		ctx->user_port = facts->destination.port;
	}
	return PASS;
}

SEC("cgroup/getpeername6")
int msp_getpeer6(struct bpf_sock_addr *ctx)
{
	struct msp_bpf_facts *facts = redirected(ctx);

	if (facts) {
		ctx->user_ip6[3] = facts->destination.ip;
		ctx->user_port = facts->destination.port;
	}
	return PASS;
}

/* Number that a sender started from, as it counts itself: all that it sent
 * and was acknowledged, taken off. No two fields can be read at once. */
static __always_inline __u32 first_sent(struct bpf_tcp_sock *tp)
{
	__u64 bytes = *(volatile __u64 *)&tp->bytes_acked;

	return *(volatile __u32 *)&tp->snd_una - (__u32)bytes;
}

/* The same as its peer counts. */
static __always_inline __u32 first_received(struct bpf_tcp_sock *tp)
{
	__u64 bytes = *(volatile __u64 *)&tp->bytes_received;

	return *(volatile __u32 *)&tp->rcv_nxt - (__u32)bytes;
}

/* The starting numbers do not change while a connection lives. The kernel
 * takes that of an accepting socket from a clock of 64 ns per number, so it is
 * another for the next connection with the same addresses, but may be near:
 * both have to be the same. The client's alone would not do, since a socket
 * that disconnects and connects again goes on from its last number. Only
 * whether the SYN is counted as a byte differs between the ends. */
static __always_inline bool one_connection(struct bpf_tcp_sock *a,
					   struct bpf_tcp_sock *b)
{
	for (int i = 0; i < LOOKS; i++)
		if (first_received(b) - first_sent(a) <= 1 &&
		    first_received(a) - first_sent(b) <= 1)
			return true;
	return false;
}

static __always_inline bool connected(struct bpf_sock *sk)
{
	return sk->state != BPF_TCP_LISTEN && sk->state != BPF_TCP_SYN_SENT &&
	       sk->state != BPF_TCP_CLOSE;
}

/* Both looked up, both alive: are they the two ends of one connection, and
 * is "server" the very socket that was accepted? A reset connection stays in
 * the accept queue while its tuple may already be somebody else's. */
static __always_inline int examine(struct bpf_sock *server,
				   struct bpf_sock *client, __u64 cookie)
{
	struct bpf_tcp_sock *ts = bpf_tcp_sock(server);
	struct bpf_tcp_sock *tc = bpf_tcp_sock(client);
	struct tcp_sock *full;

	if (!ts || !tc || !connected(server) || !connected(client))
		return MSP_BPF_NOT_CONNECTED;
	if (!one_connection(tc, ts))
		return MSP_BPF_NOT_PEERS;
	full = bpf_skc_to_tcp_sock(server);
	if (!full || (__u64)full->inet_conn.icsk_inet.sk.__sk_common.skc_cookie
				     .counter != cookie)
		return MSP_BPF_NOT_OURS;
	return MSP_BPF_KNOWN;
}

/* Run by the agent for one accepted connection, attached nowhere. */
SEC("tc")
int msp_who(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *server, *client;
	struct msp_bpf_facts *facts;
	struct msp_bpf_ask ask;
	int rc;

	if (bpf_skb_load_bytes(skb, 0, &ask, sizeof(ask)))
		return MSP_BPF_BAD_ASK;
	tuple.ipv4.saddr = ask.remote_ip;
	tuple.ipv4.daddr = ask.local_ip;
	tuple.ipv4.sport = ask.remote_port;
	tuple.ipv4.dport = ask.local_port;
	server = bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4),
				   BPF_F_CURRENT_NETNS, 0);
	if (!server)
		return MSP_BPF_NO_SERVER;
	tuple.ipv4.saddr = ask.local_ip;
	tuple.ipv4.daddr = ask.remote_ip;
	tuple.ipv4.sport = ask.local_port;
	tuple.ipv4.dport = ask.remote_port;
	client = bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4),
				   BPF_F_CURRENT_NETNS, 0);
	if (!client) {
		bpf_sk_release(server);
		return MSP_BPF_NO_CLIENT;
	}
	facts = bpf_sk_storage_get(&msp_facts, client, 0, 0);
	if (!facts)
		rc = MSP_BPF_NO_FACTS;
	else if (bpf_skb_store_bytes(skb, 0, facts, sizeof(*facts), 0))
		rc = MSP_BPF_BAD_ASK;
	else /* last: the socket could connect anew while they are copied */
		rc = examine(server, client, ask.cookie);
	bpf_sk_release(server);
	bpf_sk_release(client);
	return rc;
}

/* A file's identity in the kernel's own terms: stat(2) shows other numbers
 * on overlayfs and btrfs. Run by the agent with one of its descriptors. */
SEC("raw_tp")
int msp_stat(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **slot = BPF_CORE_READ(table, fd);
	struct file *file = 0;
	__u64 fd = ctx->args[0];

	if (fd >= BPF_CORE_READ(table, max_fds))
		return 1;
	bpf_probe_read_kernel(&file, sizeof(file), slot + fd);
	if (!file)
		return 1;
	fill_file(&msp_stat_result, BPF_CORE_READ(file, f_inode), true);
	return 0;
}

static __always_inline void fill_self(struct msp_bpf_self *out, const bool walk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pid *pid = FIELD(walk, task, thread_pid);
	__u32 level = FIELD(walk, pid, level);
	struct pid_namespace *ns;

	out->pid_level = level;
	out->mnt_ns = FIELD(walk, task, nsproxy, mnt_ns, ns.inum);
	out->init_mnt_ns = 0;
	out->pid_ns = 0;
	if (walk)
		ns = BPF_CORE_READ(number_at(pid, level), ns);
	else if (level == 0)
		ns = pid->numbers[0].ns;
	else
		return;
	out->pid_ns = FIELD(walk, ns, ns.inum);
	out->init_mnt_ns =
		FIELD(walk, ns, child_reaper, nsproxy, mnt_ns, ns.inum);
}

/* Where the agent itself stands. */
SEC("raw_tp")
int msp_self(struct bpf_raw_tracepoint_args *ctx)
{
	if (msp_config.walk)
		fill_self(&msp_self_result, true);
	else
		fill_self(&msp_self_result, false);
	return 0;
}
