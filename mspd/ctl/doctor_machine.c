/* SPDX-License-Identifier: MIT */
/*
 * In: what else is on this machine. Out: what does not go together with the
 * agent: Azure's own one, a provisioning agent that does not wait, a service
 * that does not start. Must never run what it finds.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mspd/ctl/doctor.h"

#define PROGRAM "/usr/sbin/azure-proxy-agent"
#define OBJECT	"/usr/lib/azure-proxy-agent/ebpf_cgroup.o"
#define UNIT	"azure-proxy-agent.service"
#define WANTS	"/etc/systemd/system/multi-user.target.wants/"
/* What a program that is linked with us names near its beginning. */
#define LINKED "libmsp.so"

static const char one_agent[] =
	"systemctl disable --now azure-proxy-agent and remove it, or replace "
	"it by the package azure-proxy-agent-compat";
/* Where the program of that name is this one, so is the unit. */
static const char one_process[] =
	"ps -fp tells who started it; end it for good, but keep " UNIT
	", which is this agent's own";
static const char one_file[] =
	"remove that file, then systemctl daemon-reload; the program is this "
	"agent's own already";

/* ---- Azure's agent ------------------------------------------------------ */

static bool has(const struct ctl_doctor *d, const char *path, const char *words)
{
	struct ctl_text text = { 0 };
	bool is;

	ctl_peek(d, &text, path);
	is = memmem(text.at, text.len, words, strlen(words)) != NULL;
	ctl_text_free(&text);
	return is;
}

/* Not of what cannot be read, or has ended meanwhile. */
static bool lacks(const struct ctl_doctor *d, const char *path,
		  const char *words)
{
	struct ctl_text text = { 0 };
	bool is;

	is = ctl_peek(d, &text, path) == 0 && text.len &&
	     !memmem(text.at, text.len, words, strlen(words));
	ctl_text_free(&text);
	return is;
}

static const char *remedy(const struct ctl_doctor *d, const char *if_ours)
{
	return has(d, PROGRAM, LINKED) ? if_ours : one_agent;
}

static bool find_file(struct ctl_doctor *d)
{
	static const char *const units[] = { "/etc/systemd/system/" UNIT,
					     "/usr/lib/systemd/system/" UNIT,
					     "/lib/systemd/system/" UNIT };
	const char *found = NULL;
	size_t i;

	if (lacks(d, PROGRAM, LINKED))
		found = PROGRAM;
	else if (ctl_there(d, OBJECT))
		found = OBJECT;
	for (i = 0; !found && i < sizeof(units) / sizeof(units[0]); i++)
		if (has(d, units[i], "GuestProxyAgent"))
			found = units[i];
	if (found)
		ctl_find(d, CTL_DOUBT, "other agent", remedy(d, one_file),
			 "%s is of Azure's agent", found);
	return found;
}

/* Was it started by root? Its own uid tells: who owns its folder, or what it
 * may do, changes with programs that anybody may start. */
static bool is_roots(const struct ctl_doctor *d, const char *pid)
{
	struct ctl_text text = { 0 };
	char path[64], uids[64];
	bool is;

	snprintf(path, sizeof(path), "/proc/%.16s/status", pid);
	ctl_peek(d, &text, path);
	is = ctl_line_of(text.at, "Uid:", uids, sizeof(uids)) && *uids == '0';
	ctl_text_free(&text);
	return is;
}

/* A link to any program, as sudo(8), gives a process its name, too. */
static bool is_its_program(const struct ctl_doctor *d, const char *path)
{
	int fd = ctl_open(d, path, O_PATH | O_NOFOLLOW);
	char target[PATH_MAX];
	const char *name;
	ssize_t n;

	if (fd < 0)
		return false;
	n = readlinkat(fd, "", target, sizeof(target) - 1);
	close(fd);
	target[n > 0 ? n : 0] = '\0';
	name = strrchr(target, '/');
	return name && !strncmp(name + 1, CTL_GPA_COMM, strlen(CTL_GPA_COMM));
}

static bool is_other(const struct ctl_doctor *d, const char *pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	if (strspn(pid, "0123456789") != strlen(pid) ||
	    strtoul(pid, NULL, 10) == d->agent || !has(d, path, CTL_GPA_COMM) ||
	    !is_roots(d, pid))
		return false;
	snprintf(path, sizeof(path), "/proc/%.16s/exe", pid);
	return is_its_program(d, path) && lacks(d, path, LINKED);
}

static bool find_process(struct ctl_doctor *d)
{
	DIR *dir = ctl_open_folder(d, "/proc");
	const struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		found = is_other(d, entry->d_name);
		if (found)
			ctl_find(d, CTL_ILL, "other agent",
				 remedy(d, one_process),
				 "process %s is Azure's agent: two would take "
				 "turns at latching the key",
				 entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

void ctl_check_others(struct ctl_doctor *d)
{
	bool found = find_process(d);

	found |= find_file(d);
	found |= d->live && ctl_find_links(d);
	if (!found)
		ctl_find(d, CTL_WELL, "other agent", NULL,
			 "nothing of Azure's agent is left");
}

/* ---- the provisioning agent --------------------------------------------- */

/* Folder of its modules, owned; NULL: it is not installed. */
static char *find_cloud_init(const struct ctl_doctor *d)
{
	static const char *const kinds[] = { "dist-packages", "site-packages" };
	DIR *dir = ctl_open_folder(d, "/usr/lib");
	char *out = NULL, *try = NULL;
	const struct dirent *entry;
	size_t i;

	while (dir && !out && (entry = readdir(dir)))
		for (i = 0; !out && i < 2; i++) {
			if (strncmp(entry->d_name, "python3", 7) != 0 ||
			    asprintf(&try, "/usr/lib/%s/%s/cloudinit",
				     entry->d_name, kinds[i]) < 0)
				continue;
			if (ctl_there(d, try))
				out = try;
			else
				free(try);
		}
	if (dir)
		closedir(dir);
	return out;
}

/* "24.1.3" of the line __VERSION__ = "24.1.3"; "" if there is none */
static void read_version(const struct ctl_doctor *d, const char *folder,
			 char *out, size_t size)
{
	struct ctl_text text = { 0 };
	char path[PATH_MAX], line[64];

	*out = '\0';
	snprintf(path, sizeof(path), "%s/version.py", folder);
	ctl_peek(d, &text, path);
	if (ctl_line_of(text.at, "__VERSION__ = \"", line, sizeof(line)))
		snprintf(out, size, "%.*s", (int)strcspn(line, "\""), line);
	ctl_text_free(&text);
}

/* From 24.3 on it does; what a distribution has taken into an older one counts
 * as well, so the module is asked before the number is. */
static bool waits(const struct ctl_doctor *d, const char *folder,
		  const char *version)
{
	unsigned int major = 0, minor = 0;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/sources/DataSourceAzure.py", folder);
	if (ctl_there(d, path))
		return has(d, path, "azure-proxy-agent");
	return sscanf(version, "%u.%u", &major, &minor) == 2 &&
	       (major > 24 || (major == 24 && minor >= 3));
}

void ctl_check_cloud_init(struct ctl_doctor *d)
{
	char *folder = find_cloud_init(d);
	char version[64];

	if (!folder)
		return;
	read_version(d, folder, version, sizeof(version));
	if (!waits(d, folder, version))
		ctl_find(d, CTL_DOUBT, "cloud-init", ctl_remedy_cloud_init,
			 "%s does not know of the agent: new VMs of this image "
			 "may fail with Linux.OSProvisioningInternalError",
			 version);
	else if (!ctl_there(d, PROGRAM))
		ctl_find(d, CTL_DOUBT, "cloud-init", ctl_remedy_install,
			 "%s asks for %s, which is not there: new VMs of this "
			 "image fail",
			 version, PROGRAM);
	else
		ctl_find(d, CTL_WELL, "cloud-init", NULL,
			 "%s waits for the agent", version);
	free(folder);
}

void ctl_check_provisioning(struct ctl_doctor *d)
{
	struct ctl_text text = { 0 };
	char *path = NULL;

	if (asprintf(&path, "%s/status.tag", d->config.key_dir) < 0)
		ctl_no_memory();
	if (ctl_peek(d, &text, path) == 0 && text.len) {
		ctl_find(d, CTL_DOUBT, "provisioning",
			 ctl_doctor_remedy(d, text.at), "has failed: %.*s",
			 (int)strcspn(text.at, "\r\n"), text.at);
	} else if (!text.len && ctl_there(d, path)) {
		ctl_find(d, CTL_WELL, "provisioning", NULL, "has finished");
	}
	ctl_text_free(&text);
	free(path);
}

/* ---- the service -------------------------------------------------------- */

static bool is_linked(const struct ctl_doctor *d, const char *path)
{
	struct stat st;

	return ctl_stat(d, path, &st) == 0;
}

void ctl_check_service(struct ctl_doctor *d)
{
	bool azure = is_linked(d, WANTS UNIT);
	bool own = is_linked(d, WANTS "mspd.service");

	if (!ctl_there(d, "/run/systemd/system"))
		return;
	if (azure && own)
		ctl_find(d, CTL_DOUBT, "service",
			 "systemctl disable mspd.service",
			 "two units of the agent are enabled: each ends the "
			 "other");
	else if (azure || own)
		ctl_find(d, CTL_WELL, "service", NULL, "%s starts at boot",
			 azure ? UNIT : "mspd.service");
	else
		ctl_find(
			d, CTL_DOUBT, "service", ctl_remedy_start,
			"no unit of the agent is enabled: it does not start at "
			"boot");
}
