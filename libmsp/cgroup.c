/* SPDX-License-Identifier: MIT */
/*
 * In: /proc/self/mountinfo. Out: the mount point of cgroup v2. Must never
 * run another program to find out.
 */
#include "libmsp/cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/info.h"
#include "libmsp/mem.h"

#define MOUNTINFO	  "/proc/self/mountinfo"
#define MOUNT_POINT_FIELD 5

/* proc(5): blank, tab, line feed and backslash are written as \ooo. */
static void unescape(char *text)
{
	char *out = text;

	while (*text) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' &&
		    text[2] >= '0' && text[2] <= '7' && text[3] >= '0' &&
		    text[3] <= '7') {
			*out++ = (char)((text[1] - '0') * 64 +
					(text[2] - '0') * 8 + (text[3] - '0'));
			text += 4;
			continue;
		}
		*out++ = *text++;
	}
	*out = '\0';
}

/* "36 35 98:0 / /mnt rw,noatime shared:1 - cgroup2 cgroup2 rw" -> "/mnt" */
static char *cgroup2_point(char *line)
{
	char *dash = strstr(line, " - ");
	char *save = NULL;
	char *field;
	int i;

	if (!dash || strncmp(dash + 3, "cgroup2 ", 8) != 0)
		return NULL;
	*dash = '\0';
	field = strtok_r(line, " ", &save);
	for (i = 1; field && i < MOUNT_POINT_FIELD; i++)
		field = strtok_r(NULL, " ", &save);
	if (field)
		unescape(field);
	return field;
}

int msp_cgroup_mount(char **out, struct msp_error_info *info)
{
	size_t size = 0;
	char *line = NULL;
	char *point = NULL;
	FILE *file;
	int rc = 0;

	*out = NULL;
	file = fopen(MOUNTINFO, "re");
	if (!file)
		return msp_fail_sys(info, errno, "cannot read %s", MOUNTINFO);
	while (!point && getline(&line, &size, file) > 0)
		point = cgroup2_point(line);
	if (!point) {
		rc = msp_fail(info, MSP_ERR_UNSUPPORTED,
			      "cgroup v2 is not mounted");
		goto out;
	}
	*out = msp_mem_strndup(point, strlen(point));
	if (!*out)
		rc = msp_fail(info, MSP_ERR_NOMEM, "out of memory");
out:
	free(line);
	fclose(file);
	return rc;
}
