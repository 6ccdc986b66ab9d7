/* SPDX-License-Identifier: MIT */
/*
 * In: the agent's configuration. Out: the folder its audit trail is in, and
 * which files there are of it, in order. Must never guess one that is not
 * configured.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

#include "mspd/ctl/trail.h"

#define CONFIG_MAX ((size_t)1024 * 1024)

static const char *find(void)
{
	static const char azure[] = "/etc/azure/proxy-agent.json";

	return access(azure, F_OK) == 0 ? azure : "/etc/mspd/mspd.json";
}

static const char *text_of(yajl_val tree, const char *name)
{
	const char *path[] = { name, NULL };
	yajl_val value = yajl_tree_get(tree, path, yajl_t_string);

	return value ? YAJL_GET_STRING(value) : "";
}

char *ctl_trail_folder(const char *config)
{
	const char *path = config ? config : find();
	struct ctl_text text = { 0 };
	yajl_val tree = NULL;
	const char *folder;
	char *out = NULL;
	char error[256];

	if (!ctl_read_file(&text, path, CONFIG_MAX))
		goto out;
	tree = yajl_tree_parse(text.at ? text.at : "", error, sizeof(error));
	if (!tree) {
		ctl_fail("%s: not JSON", path);
		goto out;
	}
	folder = text_of(tree, "logFolder");
	if (!*folder) /* then it is where the status is */
		folder = text_of(tree, "statusFolder");
	if (*folder == '/')
		out = ctl_copy(folder, strlen(folder));
	else
		ctl_fail("%s: no logFolder; name the files", path);
out:
	yajl_tree_free(tree);
	ctl_text_free(&text);
	return out;
}

int ctl_trail_order(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (!*a || !*b)
		return !*a - !*b;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

bool ctl_trail_renamed(const char *base, const char *name)
{
	size_t len = strlen(base);

	return !strncmp(name, base, len) && name[len] == '.' &&
	       !fnmatch("[0-9]*.log", name + len + 1, 0);
}
