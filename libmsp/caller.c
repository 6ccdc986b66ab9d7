/* SPDX-License-Identifier: MIT */
/*
 * In: facts about a process, as the kernel told them. Out: what follows from
 * them. Must never look at the machine, nor take a missing fact for a good one.
 */
#include <msp/caller.h>

#include <string.h>

bool msp_caller_elevated(const struct msp_caller *caller)
{
	if (!caller || !(caller->flags & MSP_CALLER_KNOWN))
		return false;
	/* kernel threads have uid 0, but nobody answers for what they send */
	if (caller->flags & MSP_CALLER_KERNEL)
		return false;
	return caller->uid == 0 && caller->euid == 0;
}

const char *msp_caller_process_name(const struct msp_caller *caller)
{
	const char *slash;

	if (!caller)
		return "";
	slash = strrchr(caller->exe_path, '/');
	return slash ? slash + 1 : caller->exe_path;
}

/* ---- cgroup paths ------------------------------------------------------ */

/* One component of a path. */
struct part {
	const char *at;
	size_t len;
};

#define UNIT_MAX 255
#define ID_LEN	 64

static bool ends_in(struct part part, const char *end)
{
	size_t len = strlen(end);

	return part.len > len && !memcmp(part.at + part.len - len, end, len);
}

/* Next component; false at the end. "//" has an empty one. */
static bool next_part(const char **path, size_t *len, struct part *out)
{
	const char *slash;

	if (!*len || **path != '/')
		return false;
	out->at = *path + 1;
	slash = memchr(out->at, '/', *len - 1);
	out->len = slash ? (size_t)(slash - out->at) : *len - 1;
	*path += 1 + out->len;
	*len -= 1 + out->len;
	return true;
}

static bool unit_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr(":-_.\\@", c));
}

/* Could systemd have given this name? systemd.unit(5) */
static bool unit_name(struct part part)
{
	size_t i;

	if (!part.len || part.len > UNIT_MAX || *part.at == '@' ||
	    *part.at == '.')
		return false;
	for (i = 0; i < part.len; i++) {
		if (!unit_char(part.at[i]))
			return false;
	}
	return true;
}

/* The kinds of units that have processes of their own. */
static bool unit_with_processes(struct part part)
{
	return ends_in(part, ".service") || ends_in(part, ".scope") ||
	       ends_in(part, ".socket") || ends_in(part, ".mount") ||
	       ends_in(part, ".swap");
}

/* Slices are root's, and so is what stands directly in one. The first that is
 * no slice may have been handed to a user or a container, who name what is
 * below as they like: nothing there is looked at, whatever it is called. */
static void find_unit(struct msp_unit *out, const char *path, size_t len)
{
	struct part part;

	while (next_part(&path, &len, &part)) {
		/* systemd does so to "memory.service", and to "_x" */
		if (part.len && *part.at == '_') {
			part.at++;
			part.len--;
		}
		if (!unit_name(part))
			return;
		if (ends_in(part, ".slice"))
			continue;
		if (!unit_with_processes(part))
			return;
		out->unit = part.at;
		out->unit_len = part.len;
		return;
	}
}

static bool hex_digits(const char *at, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (!((at[i] >= '0' && at[i] <= '9') ||
		      (at[i] >= 'a' && at[i] <= 'f')))
			return false;
	}
	return true;
}

/* The id in "ID", "docker-ID.scope", "crio-ID" or "x.slice:cri-containerd:ID";
 * NULL: it is not a container's. */
static const char *container_id(struct part part)
{
	static const char watcher[] = "conmon-";
	const char *id;

	if (ends_in(part, ".scope"))
		part.len -= strlen(".scope");
	if (part.len < ID_LEN)
		return NULL;
	part.len -= ID_LEN;
	id = part.at + part.len;
	if (!hex_digits(id, ID_LEN))
		return NULL;
	if (part.len && id[-1] != '-' && id[-1] != ':')
		return NULL;
	if (part.len >= strlen(watcher) &&
	    !memcmp(id - strlen(watcher), watcher, strlen(watcher)))
		return NULL;
	return id;
}

static void find_container(struct msp_unit *out, const char *path, size_t len)
{
	struct part part;
	const char *id;

	while (next_part(&path, &len, &part)) {
		id = container_id(part);
		if (!id)
			continue;
		out->container = id;
		out->container_len = ID_LEN;
	}
}

void msp_caller_unit(struct msp_unit *out, const char *path, size_t len)
{
	if (!out)
		return;
	memset(out, 0, sizeof(*out));
	if (!path)
		return;
	find_unit(out, path, len);
	find_container(out, path, len);
}
