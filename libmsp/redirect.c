/* SPDX-License-Identifier: MIT */
/*
 * In: addresses and a cgroup. Out: eBPF programs that send connections to
 * our listener. Must never leave anything behind when it fails or is freed,
 * and never report a state the kernel does not have.
 */
#include "libmsp/redirect_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>

#include "libmsp/cgroup.h"
#include "libmsp/info.h"
#include "libmsp/mem.h"
#include "libmsp/opts.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define BTF_FILE      "/sys/kernel/btf/vmlinux"
#define LISTENER_IP   0x7f000001u
#define LISTENER_PORT 3080

_Static_assert((int)MSP_COUNT_FOUND == MSP_BPF_COUNTERS, "counters");
_Static_assert((int)MSP_FOREIGN_PASS == MSP_BPF_FOREIGN_PASS, "foreign");
_Static_assert((int)MSP_FOREIGN_DENY == MSP_BPF_FOREIGN_DENY, "foreign");

struct msp_address msp_address_from_bpf(const struct msp_bpf_address *in)
{
	struct msp_address out = { in->ip, ntohs((uint16_t)in->port), 0 };

	return out;
}

static struct msp_bpf_address to_bpf(const struct msp_address *in)
{
	struct msp_bpf_address out = { in->ip, htons(in->port) };

	return out;
}

void msp_file_id_from_bpf(struct msp_file_id *out,
			  const struct msp_bpf_file *in)
{
	out->inode = in->inode;
	out->ctime_s = in->ctime_s;
	out->ctime_ns = in->ctime_ns;
	out->device = in->device;
	out->generation = in->generation;
	out->mode = in->mode;
	out->uid = in->uid;
	out->gid = in->gid;
	out->nlink = in->nlink;
	out->reserved = 0;
}

/* Needs no privilege and says most about an old kernel. */
static int net_cookie(uint64_t *out, struct msp_error_info *info)
{
	socklen_t len = sizeof(*out);
	int rc = 0;
	int fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return msp_fail_sys(info, errno, "cannot open a socket");
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, out, &len) < 0) {
		if (errno == ENOPROTOOPT)
			rc = msp_fail(info, MSP_ERR_UNSUPPORTED,
				      "this kernel is too old: socket option "
				      "SO_NETNS_COOKIE is missing; Linux 5.15 "
				      "or newer is required");
		else
			rc = msp_fail_sys(info, errno,
					  "cannot read SO_NETNS_COOKIE");
	}
	close(fd);
	return rc;
}

static int check_kernel(uint64_t *cookie, struct msp_error_info *info)
{
	int rc = net_cookie(cookie, info);

	if (rc < 0)
		return rc;
	if (access(BTF_FILE, R_OK) < 0)
		return msp_fail(info, MSP_ERR_UNSUPPORTED,
				"this kernel was built without BTF: %s cannot "
				"be read",
				BTF_FILE);
	return 0;
}

static int load(struct msp_redirect *r, uint64_t cookie,
		const struct msp_redirect_opts *opts,
		struct msp_error_info *info)
{
	struct msp_bpf_config config = { 0 };
	size_t i;

	config.net_cookie = cookie;
	config.foreign = opts ? opts->foreign : MSP_FOREIGN_AUTO;
	config.listener = to_bpf(&r->listener);
	for (i = 0; i < MSP_ENDPOINTS; i++)
		config.endpoints[i] = to_bpf(&r->endpoints[i]);
	return msp_redirect_load(r, &config, opts, info);
}

/* Which PID namespace do we count in, and is our mount tree PID 1's? */
static int learn_self(struct msp_redirect *r, struct msp_error_info *info)
{
	struct bpf_test_run_opts run = { .sz = sizeof(run) };
	int rc = bpf_prog_test_run_opts(r->self_fd, &run);

	if (rc < 0)
		return msp_fail_sys(info, -rc, "cannot run program 'self'");
	r->self = *r->self_result;
	r->runtime->pid_level = r->self.pid_level;
	r->runtime->pid_ns = r->self.pid_ns;
	return 0;
}

/* The words are those of the page that tells what to do about it. */
static int attach_failed(const struct msp_redirect *r, const char *name,
			 const char *cgroup, int err,
			 struct msp_error_info *info)
{
	static const char format[] = "Failed to attach program '%s' with "
				     "error: `bpf_link_create` failed: %s '%s'";
	struct statfs fs;

	if (fstatfs(r->cgroup_fd, &fs) == 0 && fs.f_type != CGROUP2_SUPER_MAGIC)
		return msp_fail(info, MSP_ERR_UNSUPPORTED, format, name,
				"there is no cgroup v2 file system at", cgroup);
	return msp_fail_sys(info, err, format, name, "cgroup", cgroup);
}

static int attach_hooks(struct msp_redirect *r, const char *cgroup,
			struct msp_error_info *info)
{
	struct bpf_program *program;
	const char *name;
	size_t i;

	for (i = 0; i < MSP_REDIRECT_HOOKS; i++) {
		name = msp_redirect_hook(r, i, &program);
		r->link_fds[i] = msp_redirect_take_link(r, i, program);
		if (r->link_fds[i] >= 0)
			continue;
		r->link_fds[i] = bpf_link_create(
			bpf_program__fd(program), r->cgroup_fd,
			bpf_program__expected_attach_type(program), NULL);
		if (r->link_fds[i] < 0)
			return attach_failed(r, name, cgroup, -r->link_fds[i],
					     info);
	}
	return 0;
}

static int attach(struct msp_redirect *r, const char *cgroup,
		  struct msp_error_info *info)
{
	libbpf_print_fn_t before;
	int rc;

	r->cgroup_fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->cgroup_fd < 0)
		return msp_fail_sys(info, errno,
				    "Failed to open cgroup '%s' with error",
				    cgroup);
	before = msp_redirect_hush();
	rc = attach_hooks(r, cgroup, info);
	msp_redirect_unhush(before);
	if (rc < 0)
		return rc;
	return msp_cgroup_place(r->cgroup_fd, &r->mount, &r->cgroup, info);
}

static int take_addresses(struct msp_redirect *r,
			  const struct msp_redirect_opts *opts)
{
	size_t i;
	int rc;

	if (opts)
		r->listener = opts->listener;
	if (!r->listener.ip)
		r->listener.ip = htonl(LISTENER_IP);
	if (!r->listener.port)
		r->listener.port = LISTENER_PORT;
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		if (opts && opts->endpoints[i].ip) {
			r->endpoints[i] = opts->endpoints[i];
			continue;
		}
		rc = msp_endpoint_address(&r->endpoints[i],
					  (enum msp_endpoint)i);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int find_cgroup(char **out, const struct msp_redirect_opts *opts,
		       struct msp_error_info *info)
{
	if (!opts || !opts->cgroup)
		return msp_cgroup_mount(out, info);
	*out = msp_mem_strndup(opts->cgroup, opts->cgroup_len);
	if (!*out)
		return msp_fail(info, MSP_ERR_NOMEM, "out of memory");
	return 0;
}

static bool parts_valid(const struct msp_redirect_opts *opts)
{
	size_t i;

	if (opts->n_parts > MSP_REDIRECT_PARTS_MAX ||
	    (!opts->parts && opts->n_parts > 0))
		return false;
	for (i = 0; i < opts->n_parts; i++)
		if (!opts->parts[i].name || opts->parts[i].fd < 0 ||
		    opts->parts[i].reserved)
			return false;
	return true;
}

static bool opts_valid(const struct msp_redirect_opts *opts)
{
	if (!opts)
		return true;
	return msp_opts_ok(opts, opts->size, sizeof(*opts)) &&
	       !(opts->flags & ~(uint32_t)MSP_REDIRECT_NO_PATH) &&
	       opts->foreign <= MSP_FOREIGN_PASS &&
	       (!opts->cgroup || opts->cgroup_len > 0) &&
	       (!opts->detail || opts->detail_size > 0) && parts_valid(opts);
}

static void prepare(struct msp_redirect *r,
		    const struct msp_redirect_opts *opts)
{
	size_t i;

	pthread_mutex_init(&r->stat_lock, NULL);
	r->cgroup_fd = -1;
	for (i = 0; i < MSP_REDIRECT_HOOKS; i++)
		r->link_fds[i] = -1;
	r->cpus = libbpf_num_possible_cpus();
	if (opts && opts->flags & MSP_REDIRECT_NO_PATH)
		r->limits |= MSP_REDIRECT_LIMIT_NO_PATH;
	if (opts) {
		r->parts = opts->parts;
		r->n_parts = opts->n_parts;
	}
}

int msp_redirect_open(struct msp_redirect **out,
		      const struct msp_redirect_opts *opts,
		      struct msp_error_info *info)
{
	struct msp_redirect *r = NULL;
	char *cgroup = NULL;
	uint64_t cookie = 0;
	int rc;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if (!opts_valid(opts))
		return msp_fail(info, MSP_ERR_INVAL, "options are not valid");
	if (opts && opts->detail)
		opts->detail[0] = '\0';
	rc = check_kernel(&cookie, info);
	if (rc < 0)
		return rc;
	r = msp_mem_zalloc(sizeof(*r));
	if (!r)
		return msp_fail(info, MSP_ERR_NOMEM, "out of memory");
	prepare(r, opts);
	rc = take_addresses(r, opts);
	if (rc < 0)
		goto out;
	rc = find_cgroup(&cgroup, opts, info);
	if (rc < 0)
		goto out;
	rc = load(r, cookie, opts, info);
	if (rc < 0)
		goto out;
	msp_redirect_check_states(r);
	rc = learn_self(r, info);
	if (rc < 0)
		goto out;
	rc = attach(r, cgroup, info);
	if (rc < 0)
		goto out;

	r->parts = NULL;
	*out = r;
	r = NULL; /* now the caller's */
out:
	msp_mem_free(cgroup);
	msp_redirect_free(r);
	return rc;
}

void msp_redirect_free(struct msp_redirect *redirect)
{
	size_t i;

	if (!redirect)
		return;
	for (i = 0; i < MSP_REDIRECT_HOOKS; i++)
		if (redirect->link_fds[i] >= 0)
			close(redirect->link_fds[i]);
	msp_redirect_unload(redirect);
	if (redirect->cgroup_fd >= 0)
		close(redirect->cgroup_fd);
	pthread_mutex_destroy(&redirect->stat_lock);
	msp_mem_free(redirect->cgroup);
	msp_mem_free(redirect->mount);
	msp_mem_free(redirect);
}

int msp_redirect_set(struct msp_redirect *redirect, enum msp_endpoint endpoint,
		     enum msp_redirect_state state)
{
	if (!redirect || (unsigned int)endpoint >= MSP_ENDPOINTS ||
	    (unsigned int)state > MSP_REDIRECT_ENFORCE)
		return MSP_ERR_INVAL;
	__atomic_store_n(&redirect->states->state[endpoint], (uint32_t)state,
			 __ATOMIC_RELEASE);
	return 0;
}

enum msp_redirect_state msp_redirect_get(const struct msp_redirect *redirect,
					 enum msp_endpoint endpoint)
{
	if (!redirect || (unsigned int)endpoint >= MSP_ENDPOINTS)
		return MSP_REDIRECT_OFF;
	return (enum msp_redirect_state)__atomic_load_n(
		&redirect->states->state[endpoint], __ATOMIC_ACQUIRE);
}

int msp_redirect_mark(struct msp_redirect *redirect, int fd,
		      enum msp_redirect_mark mark, struct msp_error_info *info)
{
	__u32 value = (__u32)mark;
	int rc;

	if (!redirect || fd < 0 ||
	    (mark != MSP_MARK_SKIP && mark != MSP_MARK_PROBE))
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	rc = bpf_map_update_elem(redirect->own_fd, &fd, &value, BPF_ANY);
	if (rc < 0)
		return msp_fail_sys(info, -rc, "cannot mark own socket");
	return 0;
}

static uint64_t kernel_count(const struct msp_redirect *r, uint32_t which)
{
	uint64_t sum = 0;
	__u64 *values;
	int i;

	if (r->cpus <= 0)
		return 0;
	values = msp_mem_array((size_t)r->cpus, sizeof(*values));
	if (!values)
		return 0;
	if (bpf_map_lookup_elem(r->counters_fd, &which, values) == 0)
		for (i = 0; i < r->cpus; i++)
			sum += values[i];
	msp_mem_free(values);
	return sum;
}

uint64_t msp_redirect_count(const struct msp_redirect *redirect,
			    enum msp_redirect_counter counter)
{
	if (!redirect || (unsigned int)counter >= MSP_COUNTERS)
		return 0;
	if ((unsigned int)counter >= MSP_BPF_COUNTERS)
		return atomic_load(&redirect->counts[counter]);
	return kernel_count(redirect, (uint32_t)counter);
}

unsigned int msp_redirect_limits(const struct msp_redirect *redirect)
{
	return redirect ? redirect->limits : 0;
}
