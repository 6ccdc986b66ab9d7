/* SPDX-License-Identifier: MIT */
/*
 * In: our own descriptors. Out: what the kernel says about the programs
 * behind them. Must never count a program of another process, which may run
 * the same ones.
 */
#include "tests/bench/programs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/bench/measure.h"

#define ATTACHED_MAX 64

static const struct {
	enum bpf_attach_type type;
	const char *program;
} hooks_wanted[] = {
	{ BPF_CGROUP_INET4_CONNECT, "msp_connect4" },
	{ BPF_CGROUP_INET6_CONNECT, "msp_connect6" },
	{ BPF_CGROUP_INET4_BIND, "msp_bind4" },
	{ BPF_CGROUP_INET6_BIND, "msp_bind6" },
	{ BPF_CGROUP_INET4_GETPEERNAME, "msp_getpeer4" },
	{ BPF_CGROUP_INET6_GETPEERNAME, "msp_getpeer6" },
};
#define HOOKS (sizeof(hooks_wanted) / sizeof(hooks_wanted[0]))

static const struct program *by_id(const struct program *programs, size_t n,
				   uint32_t id)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (programs[i].id == id)
			return &programs[i];
	return NULL;
}

static int is_program(const char *name)
{
	char path[300], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%s", name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return 0;
	target[n] = '\0';
	return strstr(target, "bpf-prog") != NULL;
}

size_t programs_find(struct program out[PROGRAMS_MAX])
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	size_t n = 0;

	if (!dir)
		measure_die("cannot read /proc/self/fd");
	while ((entry = readdir(dir))) {
		struct bpf_prog_info info = { 0 };
		__u32 len = sizeof(info);

		if (!is_program(entry->d_name))
			continue;
		measure_need(bpf_obj_get_info_by_fd(atoi(entry->d_name), &info,
						    &len),
			     "cannot ask about a program");
		if (by_id(out, n, info.id))
			continue; /* a second descriptor of the same */
		if (n == PROGRAMS_MAX)
			measure_die("more programs than there is room for");
		out[n].id = info.id;
		out[n].runs = info.run_cnt;
		out[n].ns = info.run_time_ns;
		memcpy(out[n].name, info.name, sizeof(out[n].name));
		out[n++].name[sizeof(out[0].name) - 1] = '\0';
	}
	closedir(dir);
	return n;
}

int programs_stats_on(void)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	measure_need(fd, "cannot switch statistics of programs on");
	return fd;
}

double programs_mean(const struct program *before, const struct program *after,
		     size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++) {
		uint64_t runs;

		if (strcmp(after[i].name, name) != 0)
			continue;
		runs = after[i].runs - before[i].runs;
		return runs ? (double)(after[i].ns - before[i].ns) /
				       (double)runs
			    : -1.0;
	}
	return -1.0;
}

uint64_t programs_runs(const struct program *before,
		       const struct program *after, size_t n)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += after[i].runs - before[i].runs;
	return sum;
}

/* Name of the program that belongs to a hook, NULL: it is none of the six. */
static const char *wanted_at(unsigned int type)
{
	size_t i;

	for (i = 0; i < HOOKS; i++)
		if ((unsigned int)hooks_wanted[i].type == type)
			return hooks_wanted[i].program;
	return NULL;
}

/* Is it a link of this program to its own hook, and of this cgroup? */
static int is_hook(const struct bpf_link_info *info,
		   const struct program *program, uint64_t cgroup_id)
{
	const char *wanted;

	if (info->type != BPF_LINK_TYPE_CGROUP ||
	    info->cgroup.cgroup_id != cgroup_id)
		return 0;
	wanted = wanted_at(info->cgroup.attach_type);
	return wanted && strcmp(wanted, program->name) == 0;
}

static unsigned int stray_links(const struct program *programs, size_t n,
				uint64_t cgroup_id)
{
	unsigned int strays = 0;
	__u32 id = 0;

	while (bpf_link_get_next_id(id, &id) == 0) {
		struct bpf_link_info info = { 0 };
		const struct program *program;
		__u32 len = sizeof(info);
		int fd = bpf_link_get_fd_by_id(id);

		if (fd < 0)
			continue; /* gone meanwhile: not ours */
		measure_need(bpf_obj_get_info_by_fd(fd, &info, &len),
			     "cannot ask about a link");
		close(fd);
		program = by_id(programs, n, info.prog_id);
		if (!program || is_hook(&info, program, cgroup_id))
			continue;
		fprintf(stderr, "%s is attached by link %u of type %u\n",
			program->name, id, info.type);
		strays++;
	}
	return strays;
}

/* Asked the other way round as well: what runs at each hook of the cgroup,
 * by a link or without one. */
static unsigned int stray_hooks(const struct program *programs, size_t n,
				int cgroup_fd, unsigned int *hooks)
{
	unsigned int strays = 0;
	unsigned int type;

	*hooks = 0;
	for (type = 0; type < __MAX_BPF_ATTACH_TYPE; type++) {
		const char *wanted = wanted_at(type);
		__u32 ids[ATTACHED_MAX], count = ATTACHED_MAX, i;

		/* refused for what is not a hook of cgroups */
		if (bpf_prog_query(cgroup_fd, type, 0, NULL, ids, &count) < 0)
			continue;
		for (i = 0; i < count; i++) {
			const struct program *p = by_id(programs, n, ids[i]);

			if (!p)
				continue;
			if (wanted && strcmp(wanted, p->name) == 0) {
				(*hooks)++;
				continue;
			}
			fprintf(stderr, "%s is attached to hook %u\n", p->name,
				type);
			strays++;
		}
	}
	return strays;
}

unsigned int programs_strays(const struct program *programs, size_t n,
			     int cgroup_fd, unsigned int *hooks)
{
	struct stat cgroup; /* its number is the id of the cgroup */

	measure_need(fstat(cgroup_fd, &cgroup), "cannot stat the cgroup");
	return stray_links(programs, n, cgroup.st_ino) +
	       stray_hooks(programs, n, cgroup_fd, hooks);
}
