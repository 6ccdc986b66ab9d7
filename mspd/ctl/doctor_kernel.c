/* SPDX-License-Identifier: MIT */
/*
 * In: the kernel. Out: whether it has what the agent is made of, found by
 * trying. Must never go by a version, nor leave anything in the kernel.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "mspd/ctl/doctor.h"

/* Headers of older systems do not have them. */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define CGROUP2_MAGIC 0x63677270

/* ---- features ----------------------------------------------------------- */

static int quiet(enum libbpf_print_level level, const char *format,
		 va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

struct helper {
	enum bpf_prog_type type;
	enum bpf_func_id id;
	const char *name;
};

static const struct helper helpers[] = {
	{ BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_sk_storage_get,
	  "bpf_sk_storage_get in connect hooks" },
	{ BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_get_netns_cookie,
	  "bpf_get_netns_cookie in connect hooks" },
	{ BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_setsockopt,
	  "bpf_setsockopt in connect hooks" },
	{ BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_get_current_task_btf,
	  "bpf_get_current_task_btf in connect hooks" },
	{ BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_sk_lookup_tcp,
	  "bpf_sk_lookup_tcp" },
	{ BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_skc_to_tcp_sock,
	  "bpf_skc_to_tcp_sock" },
	{ BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_sk_storage_get,
	  "bpf_sk_storage_get" },
};

static void lack(struct ctl_text *missing, const char *name)
{
	if (missing->len)
		ctl_put(missing, ", ");
	ctl_put(missing, name);
}

static void try_kinds(struct ctl_text *missing)
{
	static const struct {
		enum bpf_prog_type type;
		const char *name;
	} programs[] = {
		{ BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "cgroup connect hooks" },
		{ BPF_PROG_TYPE_SCHED_CLS, "tc programs" },
		{ BPF_PROG_TYPE_RAW_TRACEPOINT, "raw tracepoint programs" },
	};
	size_t i;

	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (libbpf_probe_bpf_prog_type(programs[i].type, NULL) != 1)
			lack(missing, programs[i].name);
	if (libbpf_probe_bpf_map_type(BPF_MAP_TYPE_SK_STORAGE, NULL) != 1)
		lack(missing, "socket storage");
}

/* Without programs of a kind all its helpers are missing, too. */
static void try_helpers(struct ctl_text *missing)
{
	size_t i;

	for (i = 0; !missing->len && i < sizeof(helpers) / sizeof(helpers[0]);
	     i++)
		if (libbpf_probe_bpf_helper(helpers[i].type, helpers[i].id,
					    NULL) == 0)
			lack(missing, helpers[i].name);
}

static void try_cookie(struct ctl_text *missing)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t cookie;
	socklen_t len = sizeof(cookie);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0 &&
	    errno == ENOPROTOOPT)
		lack(missing, "SO_NETNS_COOKIE");
	close(fd);
}

static bool may_try(void)
{
	struct ctl_text text = { 0 };
	const struct ctl_doctor here = { .root = "" };
	char value[32] = "0";
	uint64_t has;

	ctl_peek(&here, &text, "/proc/self/status");
	ctl_line_of(text.at, "CapEff:", value, sizeof(value));
	ctl_text_free(&text);
	has = strtoull(value, NULL, 16);
	return has & 1ull << CAP_BPF && has & 1ull << CAP_NET_ADMIN &&
	       has & 1ull << CAP_PERFMON;
}

void ctl_check_features(struct ctl_doctor *d)
{
	struct ctl_text missing = { 0 };
	struct utsname name;

	if (!d->live)
		return;
	uname(&name);
	if (!may_try()) {
		ctl_find(d, CTL_DOUBT, "kernel", ctl_remedy_root,
			 "Linux %s; its features cannot be tried without "
			 "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN",
			 name.release);
		return;
	}
	libbpf_set_print(quiet);
	try_kinds(&missing);
	try_helpers(&missing);
	try_cookie(&missing);
	if (missing.len)
		ctl_find(d, CTL_ILL, "kernel", ctl_remedy_image,
			 "Linux %s lacks: %s", name.release, missing.at);
	else
		ctl_find(d, CTL_WELL, "kernel", NULL,
			 "Linux %s has each eBPF feature that is needed",
			 name.release);
	ctl_text_free(&missing);
}

void ctl_check_btf(struct ctl_doctor *d)
{
	static const char path[] = "/sys/kernel/btf/vmlinux";
	int fd = ctl_open(d, path, O_RDONLY);

	if (fd >= 0)
		ctl_find(d, CTL_WELL, "btf", NULL, "%s is there", path);
	else
		ctl_find(d, CTL_ILL, "btf", ctl_remedy_image,
			 "%s: %s: this kernel does not tell its types", path,
			 strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* ---- cgroup v2 ---------------------------------------------------------- */

/* "36 35 98:0 /a /mnt rw,noatime shared:1 - cgroup2 cgroup2 rw": of the first
 * whole hierarchy the mount point. Returns how many mounts there are. */
static size_t find_mount(const char *text, char *point, size_t size)
{
	char root[256], where[256];
	size_t n = 0;

	*point = '\0';
	for (; text; text = strchr(text, '\n')) {
		const char *dash;

		text += *text == '\n';
		dash = strstr(text, " - ");
		if (!dash || dash > text + strcspn(text, "\n") ||
		    strncmp(dash, " - cgroup2 ", 11) != 0)
			continue;
		n++;
		if (!*point &&
		    sscanf(text, "%*u %*u %*s %255s %255s", root, where) == 2 &&
		    !strcmp(root, "/"))
			snprintf(point, size, "%s", where);
	}
	return n;
}

static bool is_supported(const struct ctl_doctor *d)
{
	struct ctl_text text = { 0 };
	bool is;

	ctl_peek(d, &text, "/proc/filesystems");
	is = strstr(text.at, "\tcgroup2\n") != NULL;
	ctl_text_free(&text);
	return is;
}

static void check_path(struct ctl_doctor *d, const char *path)
{
	int fd = ctl_open(d, path, O_PATH);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		ctl_find(d, CTL_ILL, "cgroup2",
			 "correct cgroupPath in the configuration, or leave it "
			 "out; then restart the agent",
			 "cgroupPath %s: %s", path, strerror(errno));
	else if (d->live && fs.f_type != CGROUP2_MAGIC)
		ctl_find(d, CTL_ILL, "cgroup2",
			 "correct cgroupPath in the configuration, or leave it "
			 "out; then restart the agent",
			 "cgroupPath %s is not in a cgroup v2 file system",
			 path);
	else
		ctl_find(d, CTL_WELL, "cgroup2", NULL, "the hooks belong at %s",
			 path);
	if (fd >= 0)
		close(fd);
}

void ctl_check_cgroup(struct ctl_doctor *d)
{
	struct ctl_text text = { 0 };
	size_t n;

	if (!is_supported(d)) {
		ctl_find(d, CTL_ILL, "cgroup2", ctl_remedy_image,
			 "/proc/filesystems does not list cgroup2: this kernel "
			 "has no cgroup v2");
		return;
	}
	ctl_peek(d, &text, "/proc/self/mountinfo");
	n = find_mount(text.at, d->mount, sizeof(d->mount));
	ctl_text_free(&text);
	if (!n)
		ctl_find(d, CTL_ILL, "cgroup2", ctl_remedy_mount,
			 "cgroup v2 is not mounted");
	else if (d->config.cgroup_path)
		check_path(d, d->config.cgroup_path);
	else if (!*d->mount)
		ctl_find(d, CTL_ILL, "cgroup2", ctl_remedy_mount,
			 "only parts of the cgroup v2 hierarchy are mounted");
	else
		ctl_find(d, CTL_WELL, "cgroup2", NULL, "mounted at %s",
			 d->mount);
}

/* ---- what may be done --------------------------------------------------- */

void ctl_check_lockdown(struct ctl_doctor *d)
{
	struct ctl_text text = { 0 };

	if (ctl_peek(d, &text, "/sys/kernel/security/lockdown") < 0)
		ctl_find(d, CTL_WELL, "lockdown", NULL,
			 "none: the kernel does not know of it");
	else if (!strstr(text.at, "[confidentiality]"))
		ctl_find(d, CTL_WELL, "lockdown", NULL, "%.*s",
			 (int)strcspn(text.at, "\n"), text.at);
	else
		ctl_find(
			d, CTL_DOUBT, "lockdown",
			"name users and groups in the rules, not programs; or "
			"boot with lockdown=integrity",
			"confidentiality: paths of programs cannot be read, so "
			"rules that name a program match nothing");
	ctl_text_free(&text);
}

/* What the agent gives away at its start, and could not. */
static bool find_excess(struct ctl_doctor *d, const char *status, uint64_t has)
{
	const uint64_t most = 1ull << CAP_BPF | 1ull << CAP_PERFMON |
			      1ull << CAP_NET_ADMIN | 1ull << CAP_SYS_PTRACE |
			      1ull << CAP_DAC_READ_SEARCH |
			      1ull << CAP_NET_BIND_SERVICE;
	/* it may be under a filter that is not its own */
	const char *cause =
		ctl_json_text(ctl_json_get(d->told, "privileges"), "cause");
	char gains[8] = "", filter[8] = "";
	struct ctl_text text = { 0 };
	bool found;

	ctl_line_of(status, "NoNewPrivs:", gains, sizeof(gains));
	ctl_line_of(status, "Seccomp:", filter, sizeof(filter));
	if (has & ~most)
		lack(&text, "capabilities that it does not need");
	if (strcmp(gains, "0") == 0)
		lack(&text, "programs it executes may gain privileges");
	if (strcmp(filter, "2") != 0)
		lack(&text, "no filter of system calls");
	if (cause)
		lack(&text, cause);
	found = text.len > 0;
	if (found)
		ctl_find(d, CTL_DOUBT, "capabilities",
			 "look in its log for what it could not give away, set "
			 "seccomp to enforce, then restart it",
			 "the agent is not confined: %s", text.at);
	ctl_text_free(&text);
	return found;
}

void ctl_check_capabilities(struct ctl_doctor *d)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} needed[] = {
		{ CAP_BPF, "CAP_BPF" },
		{ CAP_PERFMON, "CAP_PERFMON" },
		{ CAP_NET_ADMIN, "CAP_NET_ADMIN" },
		{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE" },
		{ CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH" },
	};
	struct ctl_text text = { 0 }, missing = { 0 };
	char path[64], value[32] = "";
	uint64_t has;
	size_t i;

	if (!d->agent)
		return;
	snprintf(path, sizeof(path), "/proc/%u/status", d->agent);
	ctl_peek(d, &text, path);
	if (!ctl_line_of(text.at, "CapEff:", value, sizeof(value))) {
		ctl_find(d, CTL_DOUBT, "capabilities", ctl_remedy_root,
			 "those of the agent cannot be read");
		ctl_text_free(&text);
		return;
	}
	has = strtoull(value, NULL, 16);
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!(has & 1ull << needed[i].bit))
			lack(&missing, needed[i].name);
	if (missing.len)
		ctl_find(d, CTL_ILL, "capabilities",
			 "give them to the unit (CapabilityBoundingSet=), or "
			 "to the container, then restart the agent",
			 "the agent lacks %s", missing.at);
	else if (!find_excess(d, text.at, has))
		ctl_find(d, CTL_WELL, "capabilities", NULL,
			 "the agent has those it needs");
	ctl_text_free(&missing);
	ctl_text_free(&text);
}
