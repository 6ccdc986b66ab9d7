/* SPDX-License-Identifier: MIT */
/*
 * In: mount tables, ours and made up. Out: pass or fail. Must never mount
 * anything: the code under test is compiled here once more, with a file of
 * ours in the place of /proc/self/mountinfo.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <linux/magic.h>

#include "libmsp/cgroup.h"
#include "libmsp/mem.h"
#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* what open_table() opens; NULL: the system's own */
static const char *table;

static FILE *open_table(const char *path, const char *mode)
{
	ck_assert_str_eq(path, "/proc/self/mountinfo");
	if (!table)
		return fopen(path, mode);
	if (*table)
		return fmemopen((char *)table, strlen(table), "r");
	errno = ENOENT;
	return NULL;
}

int cgroup_mount_of_table(char **out, struct msp_error_info *info);
int cgroup_place_of_table(int dir_fd, char **mount, char **below,
			  struct msp_error_info *info);
int cgroup_path_of_table(int dir_fd, const char *mount, uint64_t id, char *out,
			 size_t size, struct msp_error_info *info);
bool cgroup_inside_of_table(const char *path, const char *below);

#define fopen		  open_table
#define msp_cgroup_mount  cgroup_mount_of_table
#define msp_cgroup_place  cgroup_place_of_table
#define msp_cgroup_path	  cgroup_path_of_table
#define msp_cgroup_inside cgroup_inside_of_table
#include "libmsp/cgroup.c"
#undef fopen
#undef msp_cgroup_mount
#undef msp_cgroup_place
#undef msp_cgroup_path
#undef msp_cgroup_inside

#define ROOT "22 1 0:20 / / rw,relatime - overlay overlay rw,lowerdir=/x\n"
#define V1                                                                     \
	"30 22 0:26 / /sys/fs/cgroup/cpu rw,nosuid shared:9 - cgroup cgroup "  \
	"rw,cpu\n"
#define V2                                                                     \
	"31 22 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 "    \
	"rw,nsdelegate\n"

#define PART "29 22 0:27 /a.slice /srv/part rw - cgroup2 cgroup2 rw\n"

static const struct {
	const char *table;
	const char *point; /* NULL: there is none */
} tables[] = {
	{ V2, "/sys/fs/cgroup" },
	{ ROOT V1 V2, "/sys/fs/cgroup" },
	/* hybrid, with several and with no optional field, no line end */
	{ V1 "31 22 0:27 / /sys/fs/cgroup/unified rw master:1 shared:2 "
	     "propagate_from:3 - cgroup2 none rw\n",
	  "/sys/fs/cgroup/unified" },
	{ "31 22 0:27 / /cg rw - cgroup2 cgroup2 rw", "/cg" },
	/* a part of it, mounted earlier */
	{ PART V2, "/sys/fs/cgroup" },
	{ V2 PART, "/sys/fs/cgroup" },
	{ V2 "32 22 0:27 / /second rw - cgroup2 cgroup2 rw\n",
	  "/sys/fs/cgroup" },
	{ "31 22 0:27 / /a\\040b\\011c\\012d\\134e rw - cgroup2 x rw\n",
	  "/a b\tc\nd\\e" },
	{ "31 22 0:27 / /\\303\\251 rw - cgroup2 x rw\n", "/\xc3\xa9" },
	{ "31 22 0:27 / /a\\04 rw - cgroup2 x rw\n", "/a\\04" },
	{ "31 22 0:27 / /a\\ rw - cgroup2 x rw\n", "/a\\" },
	{ "31 22 0:27 / /a\\480 rw - cgroup2 x rw\n", "/a\\480" },
	{ "31 22 0:27 / /a\\400 rw - cgroup2 x rw\n", "/a\\400" },
	{ "31 22 0:27 / /a-b rw - cgroup2 x rw\n", "/a-b" },
	{ ROOT V1, NULL },
	/* the words in a place where they mean something else */
	{ "31 22 0:27 /cgroup2 /cgroup2 rw - tmpfs cgroup2 rw\n", NULL },
	{ "31 22 0:27 / /x rw - cgroup2fs cgroup2 rw\n", NULL },
	{ "31 22 0:27 / /x rw - tmpfs x - cgroup2 x\n", NULL },
	/* not what the kernel writes */
	{ "\n\n", NULL },
	{ "31 22 0:27 - cgroup2 cgroup2 rw\n", NULL },
	{ "no mount table", NULL },
};

START_TEST(mount_point_is_that_of_the_first_cgroup2)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *point = (char *)1;
	int rc;

	table = tables[_i].table;
	rc = cgroup_mount_of_table(&point, &info);
	if (tables[_i].point) {
		ck_assert_int_eq(rc, 0);
		ck_assert_str_eq(point, tables[_i].point);
		ck_assert_str_eq(info.text, "");
	} else {
		ck_assert_int_eq(rc, MSP_ERR_NOENT);
		ck_assert_ptr_null(point);
		ck_assert_str_eq(info.text, "cgroup v2 is not mounted");
	}
	msp_mem_free(point);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* In a container, say, that has its cgroup mounted but no namespace. */
START_TEST(part_of_the_hierarchy_alone_is_not_taken_for_it)
{
	static const char *const parts[] = {
		PART,
		ROOT V1 PART,
		"31 22 0:27 /docker/1f /sys/fs/cgroup ro - cgroup2 cgroup rw",
		("31 22 0:27 /.. /sys/fs/cgroup rw - cgroup2 x rw\n" PART),
	};
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *point = (char *)1;

	table = parts[_i];
	ck_assert_int_eq(cgroup_mount_of_table(&point, &info),
			 MSP_ERR_UNSUPPORTED);
	ck_assert_ptr_null(point);
	ck_assert_str_eq(info.text,
			 _i < 2 ? "only a part of the cgroup v2 hierarchy is "
				  "mounted, at '/srv/part'"
				: "only a part of the cgroup v2 hierarchy is "
				  "mounted, at '/sys/fs/cgroup'");
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(missing_table_is_a_system_error_with_its_name)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *point = (char *)1;

	table = "";
	ck_assert_int_eq(cgroup_mount_of_table(&point, &info), MSP_ERR_SYS);
	ck_assert_ptr_null(point);
	ck_assert_int_eq(info.sys_errno, ENOENT);
	ck_assert_str_eq(info.text, "cannot read /proc/self/mountinfo: "
				    "No such file or directory");
	ck_assert_int_eq(cgroup_mount_of_table(&point, NULL), MSP_ERR_SYS);
}
END_TEST

START_TEST(failed_allocation_leaves_nothing)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *point = (char *)1;

	table = _i ? PART : V2;
	failalloc_arm(0);
	ck_assert_int_eq(cgroup_mount_of_table(&point, &info), MSP_ERR_NOMEM);
	ck_assert(failalloc_disarm());
	ck_assert_ptr_null(point);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* The library's own, on this machine, whichever way it is set up. */
START_TEST(what_is_found_here_is_a_cgroup2_directory)
{
	struct statfs fs;
	char *point;
	int rc;

	rc = msp_cgroup_mount(&point, NULL);
	if (rc == MSP_ERR_UNSUPPORTED || rc == MSP_ERR_NOENT) {
		ck_assert_ptr_null(point);
		return;
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_eq(point[0], '/');
	if (statfs(point, &fs) == 0)
		ck_assert_int_eq(fs.f_type, CGROUP2_SUPER_MAGIC);
	msp_mem_free(point);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("cgroup");
	TCase *t = tcase_create("cgroup");

	tcase_add_loop_test(t, mount_point_is_that_of_the_first_cgroup2, 0,
			    COUNT(tables));
	tcase_add_loop_test(t, part_of_the_hierarchy_alone_is_not_taken_for_it,
			    0, 4);
	tcase_add_test(t, missing_table_is_a_system_error_with_its_name);
	tcase_add_loop_test(t, failed_allocation_leaves_nothing, 0, 2);
	tcase_add_test(t, what_is_found_here_is_a_cgroup2_directory);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
