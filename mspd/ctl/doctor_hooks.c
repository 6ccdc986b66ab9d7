/* SPDX-License-Identifier: MIT */
/*
 * In: the agent's descriptors, as /proc shows them. Out: whether its programs
 * are attached, all of them, where they belong. Must never believe the agent's
 * word for it.
 */
#include <dirent.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mspd/ctl/doctor.h"

static const struct {
	int type;
	const char *name;
} hooks[] = {
	{ BPF_CGROUP_INET4_CONNECT, "connect4" },
	{ BPF_CGROUP_INET6_CONNECT, "connect6" },
	{ BPF_CGROUP_INET4_BIND, "bind4" },
	{ BPF_CGROUP_INET6_BIND, "bind6" },
	{ BPF_CGROUP_INET4_GETPEERNAME, "getpeername4" },
	{ BPF_CGROUP_INET6_GETPEERNAME, "getpeername6" },
};

#define HOOKS (sizeof(hooks) / sizeof(hooks[0]))

/**
 * struct links - of the agent
 * @cgroup:   where each hook is attached, as the kernel numbers them; 0: it is
 *            not
 * @detached: links that are no longer attached to anything
 */
struct links {
	uint64_t cgroup[HOOKS];
	size_t detached;
};

static void take_link(struct links *links, const char *text)
{
	char type[16], cgroup[32], attach[16];
	uint64_t id;
	size_t i;

	if (!ctl_line_of(text, "link_type:", type, sizeof(type)) ||
	    strcmp(type, "cgroup") != 0 ||
	    !ctl_line_of(text, "cgroup_id:", cgroup, sizeof(cgroup)) ||
	    !ctl_line_of(text, "attach_type:", attach, sizeof(attach)))
		return;
	id = strtoull(cgroup, NULL, 10);
	if (!id)
		links->detached++;
	for (i = 0; id && i < HOOKS; i++)
		if (atoi(attach) == hooks[i].type)
			links->cgroup[i] = id;
}

static bool read_links(struct ctl_doctor *d, struct links *links)
{
	char folder[64], path[sizeof(folder) + NAME_MAX + 1];
	const struct dirent *entry;
	char *whole;
	DIR *dir;

	snprintf(folder, sizeof(folder), "/proc/%u/fdinfo", d->agent);
	whole = ctl_below(d, folder);
	dir = opendir(whole);
	free(whole);
	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		struct ctl_text text = { 0 };

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		ctl_peek(d, &text, path);
		take_link(links, text.at);
		ctl_text_free(&text);
	}
	closedir(dir);
	return true;
}

static void put_missing(struct ctl_text *out, const struct links *links)
{
	size_t i;

	for (i = 0; i < HOOKS; i++) {
		if (links->cgroup[i])
			continue;
		ctl_put(out, out->len ? ", " : "");
		ctl_put(out, hooks[i].name);
	}
}

/* Is everything attached to this very directory? */
static bool are_at(const struct links *links, uint64_t id)
{
	size_t i;

	for (i = 0; i < HOOKS; i++)
		if (links->cgroup[i] != id)
			return false;
	return true;
}

static void tell_place(struct ctl_doctor *d, const struct links *links)
{
	const char *path = d->config.cgroup_path;
	struct stat st;

	if (d->live && path && stat(path, &st) == 0 &&
	    !are_at(links, (uint64_t)st.st_ino))
		ctl_find(d, CTL_ILL, "hooks", ctl_remedy_restart,
			 "all %zu are attached, but not at %s", HOOKS, path);
	else
		ctl_find(d, CTL_WELL, "hooks", NULL,
			 "all %zu are attached, at cgroup %llu", HOOKS,
			 (unsigned long long)links->cgroup[0]);
}

void ctl_check_hooks(struct ctl_doctor *d)
{
	struct ctl_text missing = { 0 };
	struct links links = { 0 };

	if (!d->agent)
		return;
	if (!read_links(d, &links)) {
		ctl_find(d, CTL_DOUBT, "hooks", ctl_remedy_root,
			 "those of process %u cannot be seen", d->agent);
		return;
	}
	put_missing(&missing, &links);
	if (!missing.len)
		tell_place(d, &links);
	else if (links.detached)
		ctl_find(d, CTL_ILL, "hooks", ctl_remedy_restart,
			 "somebody has detached %s", missing.at);
	else
		ctl_find(d, CTL_ILL, "hooks",
			 "see agent and status above for why; then restart it",
			 "not attached: %s", missing.at);
	ctl_text_free(&missing);
}
