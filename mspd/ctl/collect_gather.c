/* SPDX-License-Identifier: MIT */
/*
 * In: the agent's files, its process, its machine. Out: members of the archive.
 * Must never open a file with a key, nor take the value of an environment
 * variable.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "mspd/ctl/collect.h"
#include "mspd/ctl/control.h"
#include "mspd/ctl/links.h"
#include "mspd/ctl/trail.h"

/* ---- the agent's files -------------------------------------------------- */

static char *join(const char *folder, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		ctl_no_memory();
	return path;
}

static size_t add_from(struct ctl_collect *c, const char *folder,
		       const char *name)
{
	char *path = join(folder, name);
	char *as = join("agent", name);
	size_t len = ctl_collect_file(c, as, path);

	free(as);
	free(path);
	return len;
}

static bool begins(const char *prefix, const char *name)
{
	return !strncmp(name, prefix, strlen(prefix));
}

/* The newest, by its name, of those that are so; owned, NULL: none. */
static char *find_newest(const struct ctl_doctor *d, const char *folder,
			 bool (*is)(const char *base, const char *name),
			 const char *base)
{
	DIR *dir = ctl_open_folder(d, folder);
	const struct dirent *entry;
	char *out = NULL;

	while (dir && (entry = readdir(dir))) {
		if (!is(base, entry->d_name) ||
		    (out && strcmp(entry->d_name, out) <= 0))
			continue;
		free(out);
		out = ctl_copy(entry->d_name, strlen(entry->d_name));
	}
	if (dir)
		closedir(dir);
	return out;
}

/* Soon after it was renamed, a log says little of what was before. */
static void add_log(struct ctl_collect *c, const char *folder, const char *name)
{
	size_t len = add_from(c, folder, name);
	char *before = find_newest(c->d, folder, ctl_trail_renamed, name);
	char as[64];
	char *path;

	if (before && len < CTL_COLLECT_FILE) {
		path = join(folder, before);
		snprintf(as, sizeof(as), "agent/%s.before", name);
		ctl_collect_file(c, as, path);
		free(path);
	}
	free(before);
}

static void add_logs(struct ctl_collect *c)
{
	static const char *const names[] = { "ProxyAgent.log",
					     "ProxyAgent.Connection.log" };
	const struct mspd_config *config = &c->d->config;
	const char *trail =
		*config->log_dir ? config->log_dir : config->status_dir;
	size_t i;

	for (i = 0; *config->log_dir && i < 2; i++)
		add_log(c, config->log_dir, names[i]);
	add_log(c, trail, "audit.jsonl");
}

static void add_rules(struct ctl_collect *c)
{
	static const char *const names[] = { "IMDS_Rules.json",
					     "WireServer_Rules.json" };
	const char *keys = c->d->config.key_dir;
	const char *status = c->d->config.status_dir;
	char *newest = find_newest(c->d, status, begins, "AuthorizationRules_");
	char *folder = join(keys, "../rules");
	char *path;
	size_t i;

	if (newest) {
		path = join(status, newest);
		ctl_collect_file(c, "agent/AuthorizationRules.json", path);
		free(path);
	}
	for (i = 0; i < 2; i++)
		add_from(c, folder, names[i]);
	free(folder);
	free(newest);
}

/* Names, owners, modes and sizes. */
static void add_keys(struct ctl_collect *c)
{
	const char *folder = c->d->config.key_dir;
	DIR *dir = ctl_open_folder(c->d, folder);
	struct ctl_text out = { 0 };
	const struct dirent *entry;
	char line[160];
	struct stat st;

	ctl_put(&out, folder);
	ctl_put(&out, dir ? "\n" : ": cannot be listed\n");
	while (dir && (entry = readdir(dir)) && out.len < CTL_COLLECT_FILE) {
		if (fstatat(dirfd(dir), entry->d_name, &st,
			    AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		snprintf(line, sizeof(line), "%06o %u:%u %lld bytes %lld  ",
			 st.st_mode, st.st_uid, st.st_gid,
			 (long long)st.st_size, (long long)st.st_mtim.tv_sec);
		ctl_put(&out, line);
		ctl_put_shown(&out, entry->d_name);
		ctl_put(&out, "\n");
	}
	if (dir)
		closedir(dir);
	ctl_collect_add(c, "agent/keys.txt", out.at, out.len);
	ctl_text_free(&out);
}

static void add_control(struct ctl_collect *c)
{
	struct ctl_text out = { 0 }, lines = { 0 };
	char why[CTL_CONTROL_WHY];
	char *path = ctl_doctor_socket(c->d);

	if (ctl_control_ask(&out, path, "status", why) != CTL_ASKED) {
		out.len = 0;
		ctl_put(&out, "{\"error\":");
		ctl_put_json(&out, why);
		ctl_put(&out, "}\n");
	}
	ctl_break_json(&lines, out.at);
	ctl_collect_add(c, "agent/control.json", lines.at, lines.len);
	ctl_text_free(&lines);
	ctl_text_free(&out);
	free(path);
}

/* ---- its process -------------------------------------------------------- */

/* Arguments, or variables, one a line; of those nothing behind the '='. */
static void add_words(struct ctl_collect *c, const char *name, bool variables)
{
	struct ctl_text in = { 0 }, out = { 0 };
	char path[64];
	size_t i, n;

	snprintf(path, sizeof(path), "/proc/%u/%s", c->d->agent, name);
	ctl_peek(c->d, &in, path);
	for (i = 0; i < in.len; i += n + 1) {
		n = strlen(in.at + i);
		ctl_put_bytes(&out, in.at + i,
			      variables ? strcspn(in.at + i, "=") : n);
		ctl_put(&out, variables ? "\n" : " ");
	}
	snprintf(path, sizeof(path), "process/%s", name);
	ctl_collect_add(c, path, out.at ? out.at : "", out.len);
	ctl_text_free(&in);
	ctl_text_free(&out);
}

static void add_process(struct ctl_collect *c)
{
	static const char *const names[] = { "status", "limits", "cgroup",
					     "mountinfo" };
	char path[64], as[64];
	size_t i;

	if (!c->d->agent)
		return;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%u/%s", c->d->agent,
			 names[i]);
		snprintf(as, sizeof(as), "process/%s", names[i]);
		ctl_collect_file(c, as, path);
	}
	add_words(c, "cmdline", false);
	add_words(c, "environ", true);
}

/* ---- the machine -------------------------------------------------------- */

static void put_link(void *arg, const struct ctl_bpf_link *link)
{
	struct ctl_text *out = arg;
	char line[128];

	snprintf(line, sizeof(line),
		 "link %u type %u attach %u cgroup %llu program ", link->id,
		 link->type, link->attach, (unsigned long long)link->cgroup);
	ctl_put(out, line);
	ctl_put_shown(out, link->program);
	ctl_put(out, "\n");
}

static void add_links(struct ctl_collect *c)
{
	struct ctl_text out = { 0 };
	int rc;

	if (!c->d->live)
		return;
	rc = ctl_links_walk(put_link, &out);
	if (rc < 0) {
		ctl_put(&out, strerror(-rc));
		ctl_put(&out, "\n");
	}
	ctl_collect_add(c, "machine/bpf-links.txt", out.at ? out.at : "",
			out.len);
	ctl_text_free(&out);
}

static void add_name(struct ctl_collect *c)
{
	char text[sizeof(struct utsname) + 8];
	struct utsname name;

	if (!c->d->live || uname(&name) < 0)
		return;
	snprintf(text, sizeof(text), "%s %s %s %s\n", name.sysname,
		 name.release, name.version, name.machine);
	ctl_collect_add(c, "machine/uname.txt", text, strlen(text));
}

static bool is_wanted(const char *paragraph, size_t len)
{
	static const char *const packages[] = {
		"mspd",	   "libmsp0", "azure-proxy-agent", "cloud-init",
		"systemd", "libbpf",  "walinuxagent",	   "linux-image",
	};
	static const char field[] = "Package: ";
	size_t i, n;

	for (i = 0; i < sizeof(packages) / sizeof(packages[0]); i++) {
		n = strlen(packages[i]);
		if (len > sizeof(field) - 1 + n &&
		    !strncmp(paragraph, field, sizeof(field) - 1) &&
		    !strncmp(paragraph + sizeof(field) - 1, packages[i], n))
			return true;
	}
	return false;
}

static bool is_fact(const char *line)
{
	return !strncmp(line, "Package:", 8) || !strncmp(line, "Status:", 7) ||
	       !strncmp(line, "Version:", 8);
}

/* Of dpkg; another package manager's database is not text. */
static void add_packages(struct ctl_collect *c)
{
	FILE *file = ctl_open_file(c->d, "/var/lib/dpkg/status");
	struct ctl_text out = { 0 };
	bool wanted = false;
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	while (file && (n = getline(&line, &room, file)) > 0) {
		if (!strncmp(line, "Package:", 8))
			wanted = is_wanted(line, (size_t)n);
		if (wanted && is_fact(line))
			ctl_put(&out, line);
	}
	free(line);
	if (file)
		fclose(file);
	ctl_collect_add(c, "machine/packages.txt", out.at ? out.at : "",
			out.len);
	ctl_text_free(&out);
}

/* Its other lines are not about the agent, and none of the support's. */
static void add_cloud_init(struct ctl_collect *c)
{
	FILE *file = ctl_open_file(c->d, "/var/log/cloud-init.log");
	struct ctl_text out = { 0 };
	char *line = NULL;
	size_t room = 0;

	while (file && out.len < CTL_COLLECT_FILE &&
	       getline(&line, &room, file) > 0)
		if (strstr(line, "azure-proxy-agent"))
			ctl_put(&out, line);
	free(line);
	if (file)
		fclose(file);
	if (out.len)
		ctl_collect_add(c, "machine/cloud-init.log", out.at, out.len);
	ctl_text_free(&out);
}

static void add_machine(struct ctl_collect *c)
{
	static const struct {
		const char *path;
		const char *as;
	} files[] = {
		{ "/proc/cmdline", "machine/cmdline" },
		{ "/proc/filesystems", "machine/filesystems" },
		{ "/proc/meminfo", "machine/meminfo" },
		{ "/proc/loadavg", "machine/loadavg" },
		{ "/sys/kernel/security/lockdown", "machine/lockdown" },
		{ "/etc/systemd/system/azure-proxy-agent.service",
		  "machine/etc-azure-proxy-agent.service" },
		{ "/usr/lib/systemd/system/azure-proxy-agent.service",
		  "machine/azure-proxy-agent.service" },
		{ "/usr/lib/systemd/system/mspd.service",
		  "machine/mspd.service" },
	};
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		ctl_collect_file(c, files[i].as, files[i].path);
	ctl_collect_link(c, "machine/os-release", "/etc/os-release");
	add_cloud_init(c);
	add_name(c);
	add_packages(c);
	add_links(c);
}

void ctl_collect_gather(struct ctl_collect *c)
{
	ctl_collect_file(c, "agent/config.json", c->d->path);
	add_control(c);
	add_from(c, c->d->config.status_dir, "status.json");
	add_rules(c);
	add_keys(c);
	add_process(c);
	add_machine(c);
	add_logs(c);
}
