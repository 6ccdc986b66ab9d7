/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * kernel.h - the few fields of the few kernel structures that are read.
 *
 * CO-RE: libbpf finds the real offsets in the running kernel's BTF, so only
 * names and types matter here, not order or size.
 */
#ifndef MSP_KERNEL_H
#define MSP_KERNEL_H

#pragma clang attribute push(__attribute__((preserve_access_index)),           \
			     apply_to = record)

typedef struct {
	unsigned int val;
} kuid_t;

typedef struct {
	unsigned int val;
} kgid_t;

struct ns_common {
	unsigned int inum;
};

struct task_struct;

struct pid_namespace {
	struct ns_common ns;
	struct task_struct *child_reaper; /* its PID 1 */
};

struct mnt_namespace {
	struct ns_common ns;
};

struct user_namespace {
	struct user_namespace *parent; /* NULL: the initial one */
	kuid_t owner;
	struct ns_common ns;
};

struct net {
	struct ns_common ns;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct group_info {
	int ngroups;
	kgid_t gid[];
};

struct cred {
	kuid_t euid;
	kgid_t egid;
	struct user_namespace *user_ns;
	struct group_info *group_info;
};

struct super_block {
	unsigned int s_dev;
};

struct timespec64 {
	long long tv_sec;
	long tv_nsec;
};

struct inode {
	unsigned short i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	unsigned int i_generation;
};

/* The change time has had three layouts: to 6.5, 6.6 to 6.12, from 6.13. */
struct inode___named {
	struct timespec64 i_ctime;
};

struct inode___hidden {
	struct timespec64 __i_ctime;
};

struct inode___split {
	long long i_ctime_sec;
	unsigned int i_ctime_nsec;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns; /* NULL: mounted nowhere */
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct mm_struct {
	struct file *exe_file;
};

struct task_struct {
	struct mm_struct *mm;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	unsigned long long start_boottime;
	const struct cred *cred;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	kuid_t loginuid;
	char comm[16];
};

typedef struct {
	long long counter;
} atomic64_t;

struct sock_common {
	atomic64_t skc_cookie;
};

struct sock {
	struct sock_common __sk_common;
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
};

#pragma clang attribute pop

#endif
