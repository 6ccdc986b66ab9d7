/* SPDX-License-Identifier: MIT */
/*
 * In: types of a kernel, made up and the running one's. Out: whether each
 * field asked for is among the few that are left, and where it was. Must never
 * need privileges.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libmsp/redirect_types.h"
#include "tests/lib/failalloc.h"

#define NOWHERE (-1)

/* Bits from the start of a structure, also through parts without a name. */
static long place(const struct btf *btf, int type, const char *field,
		  long *size)
{
	const struct btf_type *t = btf__type_by_id(btf, (__u32)type);
	const struct btf_member *m = btf_members(t);
	const char *name;
	long inside;
	__u32 i;

	for (i = 0; i < btf_vlen(t); i++) {
		name = btf__name_by_offset(btf, m[i].name_off);
		if (strcmp(name, field) == 0) {
			*size = btf_member_bitfield_size(t, i)
					? btf_member_bitfield_size(t, i)
					: 8 * btf__resolve_size(btf, m[i].type);
			return btf_member_bit_offset(t, i);
		}
		if (name[0])
			continue;
		inside = place(btf, (int)m[i].type, field, size);
		if (inside != NOWHERE)
			return btf_member_bit_offset(t, i) + inside;
	}
	return NOWHERE;
}

static void same_place(const struct btf *few, const struct btf *all,
		       const char *type, const char *field)
{
	int a = btf__find_by_name_kind(all, type, BTF_KIND_STRUCT);
	int b = btf__find_by_name_kind(few, type, BTF_KIND_STRUCT);
	long size[2] = { 0, 0 };

	ck_assert_msg((a < 0) == (b < 0), "%s", type);
	if (a < 0)
		return;
	ck_assert_int_eq(btf__type_by_id(all, (__u32)a)->size,
			 btf__type_by_id(few, (__u32)b)->size);
	ck_assert_msg(place(all, a, field, &size[0]) ==
			      place(few, b, field, &size[1]),
		      "%s.%s", type, field);
	ck_assert_msg(size[0] == size[1], "%s.%s", type, field);
}

static int add_struct(struct btf *btf, const char *name, const char *field,
		      int type)
{
	int id = btf__add_struct(btf, name, 64);

	ck_assert_int_gt(id, 0);
	if (field)
		ck_assert_int_eq(btf__add_field(btf, field, type, 0, 0), 0);
	return id;
}

/* ---- types made up ----------------------------------------------------- */

/* What a program asks for; the second is one of three layouts of "file". */
static struct btf *make_ours(void)
{
	static const char *const fields[] = { "owner", "bits", "inside",
					      "slots", "next", "gone" };
	struct btf *btf = btf__new_empty();
	int number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		add_struct(btf, i ? "unrelated" : "thing", fields[i], number);
	add_struct(btf, "file___split", "owner", number);
	add_struct(btf, "ours_alone", "owner", number);
	ck_assert_int_gt(btf__add_typedef(btf, "handle_t", number), 0);
	return btf;
}

static void add_field(struct btf *btf, const char *name, int type, __u32 bit,
		      __u32 bits)
{
	ck_assert_int_eq(btf__add_field(btf, name, type, bit, bits), 0);
}

/* Ids are those of the order they are added in, so these go before. */
static void add_thing(struct btf *btf, int number, int wide)
{
	int pointer = btf__add_ptr(btf, 1000); /* of no type that is there */
	int owner = btf__add_typedef(btf, "owner_t", wide);
	int array = btf__add_array(btf, number, wide, 7);
	int readonly = btf__add_const(btf, array);
	int hidden = btf__add_union(btf, NULL, 8);

	add_field(btf, "inside", number, 0, 0);
	add_field(btf, "other", wide, 0, 0);
	ck_assert_int_gt(btf__add_struct(btf, "thing", 120), 0);
	add_field(btf, "before", wide, 0, 0);
	add_field(btf, "next", pointer, 64, 0);
	add_field(btf, "owner", owner, 128, 0);
	add_field(btf, "spare", number, 192, 3);
	add_field(btf, "bits", number, 195, 5);
	add_field(btf, NULL, hidden, 256, 0);
	add_field(btf, "slots", readonly, 320, 0);
}

static struct btf *make_all(void)
{
	struct btf *btf = btf__new_empty();
	int number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	int wide = btf__add_int(btf, "long", 8, 0);
	char name[32];
	int i;

	/* as many as have to be looked for in more than one stride */
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "filler%d", i);
		add_struct(btf, name, "owner", number);
	}
	ck_assert_int_gt(btf__add_enum(btf, "colour", 4), 0);
	ck_assert_int_eq(btf__add_enum_value(btf, "red", 1), 0);
	add_thing(btf, number, wide);
	add_struct(btf, "file", "owner", wide);
	ck_assert_int_gt(btf__add_typedef(btf, "handle_t", wide), 0);
	ck_assert_int_gt(btf__add_func_proto(btf, number), 0);
	return btf;
}

START_TEST(fields_asked_for_are_where_they_were)
{
	static const char *const fields[] = { "owner", "bits", "inside",
					      "slots", "next", "gone" };
	struct btf *ours = make_ours(), *all = make_all(), *few;
	const void *raw;
	__u32 len;
	size_t i;

	raw = btf__raw_data(all, &len);
	ck_assert_int_eq(msp_redirect_types(&few, raw, len, ours), 0);
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		same_place(few, all, "thing", fields[i]);
	same_place(few, all, "file", "owner");
	same_place(few, all, "ours_alone", "owner");
	ck_assert_int_eq(btf__resolve_size(few, (__u32)btf__find_by_name_kind(
							few, "handle_t",
							BTF_KIND_TYPEDEF)),
			 8);
	btf__free(few);
	btf__free(all);
	btf__free(ours);
}
END_TEST

START_TEST(nothing_else_is_kept)
{
	struct btf *ours = make_ours(), *all = make_all(), *few;
	const void *raw;
	long size;
	__u32 len;
	int thing;

	raw = btf__raw_data(all, &len);
	ck_assert_int_eq(msp_redirect_types(&few, raw, len, ours), 0);
	thing = btf__find_by_name_kind(few, "thing", BTF_KIND_STRUCT);
	ck_assert_int_eq(place(few, thing, "before", &size), NOWHERE);
	ck_assert_int_eq(place(few, thing, "spare", &size), NOWHERE);
	ck_assert_int_lt(btf__find_by_name(few, "filler7"), 0);
	ck_assert_int_lt(btf__find_by_name(few, "colour"), 0);
	ck_assert_uint_lt(btf__type_cnt(few), 20);
	btf__free(few);
	btf__free(all);
	btf__free(ours);
}
END_TEST

/* A copy, so that a byte too far is found. */
static void try(const unsigned char *raw, size_t len, size_t at, int value)
{
	struct btf *ours = make_ours();
	unsigned char *copy = malloc(len ? len : 1);
	struct btf *few;
	int rc;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, raw, len);
	if (at < len)
		copy[at] = (unsigned char)value;
	rc = msp_redirect_types(&few, copy, len, ours);
	ck_assert_int_eq(!few, rc < 0);
	btf__free(few);
	free(copy);
	btf__free(ours);
}

START_TEST(types_that_are_damaged_do_no_harm)
{
	struct btf *all = make_all();
	const unsigned char *raw;
	__u32 len;
	size_t i;

	raw = btf__raw_data(all, &len);
	for (i = 0; i < len; i++) {
		try(raw, i, len, 0);
		try(raw, len, i, 0xff);
		try(raw, len, i, 0);
		try(raw, len, i, raw[i] + 1);
	}
	btf__free(all);
}
END_TEST

START_TEST(types_cut_off_are_no_types)
{
	struct btf *ours = make_ours(), *all = make_all(), *few;
	const void *raw;
	__u32 len;

	raw = btf__raw_data(all, &len);
	ck_assert_int_eq(msp_redirect_types(&few, raw, len - 1, ours), -EINVAL);
	ck_assert_ptr_null(few);
	ck_assert_int_eq(msp_redirect_types(&few, raw, 8, ours), -EINVAL);
	ck_assert_ptr_null(few);
	ck_assert_int_eq(msp_redirect_types(&few, raw, 0, ours), -EINVAL);
	ck_assert_ptr_null(few);
	btf__free(all);
	btf__free(ours);
}
END_TEST

START_TEST(a_structure_in_itself_is_no_type)
{
	struct btf *ours = make_ours(), *all = btf__new_empty(), *few;
	const void *raw;
	__u32 len;

	add_struct(all, "thing", "owner", 1);
	raw = btf__raw_data(all, &len);
	ck_assert_int_eq(msp_redirect_types(&few, raw, len, ours), -EINVAL);
	ck_assert_ptr_null(few);
	btf__free(all);
	btf__free(ours);
}
END_TEST

START_TEST(types_survive_every_failed_allocation)
{
	struct btf *ours = make_ours(), *all = make_all(), *few;
	long before = failalloc_live();
	const void *raw;
	__u32 len;
	long n;
	int rc;

	raw = btf__raw_data(all, &len);
	for (n = 0;; n++) {
		failalloc_arm(n);
		rc = msp_redirect_types(&few, raw, len, ours);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, -ENOMEM);
		ck_assert_ptr_null(few);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_gt(n, 0);
	btf__free(few);
	ck_assert_int_eq(failalloc_live(), before);
	btf__free(all);
	btf__free(ours);
}
END_TEST

/* ---- those of this kernel ---------------------------------------------- */

static const struct {
	const char *type, *field;
} fields[] = {
	{ "task_struct", "mm" },
	{ "task_struct", "group_leader" },
	{ "task_struct", "start_boottime" },
	{ "task_struct", "loginuid" },
	{ "task_struct", "comm" },
	{ "cred", "euid" },
	{ "pid", "numbers" },
	{ "pid_namespace", "ns" },
	{ "ns_common", "inum" },
	{ "upid", "nr" },
	{ "file", "f_path" },
	{ "inode", "i_ctime_sec" },
	{ "inode", "__i_ctime" },
	{ "inode", "i_ctime" },
	{ "inode", "i_nlink" },
	{ "mount", "mnt" },
	{ "dentry", "d_name" },
	{ "qstr", "name" },
	{ "group_info", "gid" },
	{ "sock_common", "skc_cookie" },
	{ "no_such_structure", "comm" },
};

START_TEST(fields_of_this_kernel_are_where_they_were)
{
	struct btf *all = btf__load_vmlinux_btf(), *ours = btf__new_empty();
	int number = btf__add_int(ours, "int", 4, BTF_INT_SIGNED);
	struct btf *few;
	char path[32];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		add_struct(ours, fields[i].type, fields[i].field, number);
	fd = msp_redirect_types_file(ours);
	btf__free(ours);
	if (!all) { /* a kernel without them */
		ck_assert_int_lt(fd, 0);
		return;
	}
	ck_assert_int_ge(fd, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	few = btf__parse(path, NULL);
	ck_assert_ptr_nonnull(few);
	close(fd);
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		same_place(few, all, fields[i].type, fields[i].field);
	btf__free(few);
	btf__free(all);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("redirect_types");
	TCase *tc = tcase_create("redirect_types");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, fields_asked_for_are_where_they_were);
	tcase_add_test(tc, nothing_else_is_kept);
	tcase_add_test(tc, types_that_are_damaged_do_no_harm);
	tcase_add_test(tc, types_cut_off_are_no_types);
	tcase_add_test(tc, a_structure_in_itself_is_no_type);
	tcase_add_test(tc, types_survive_every_failed_allocation);
	tcase_add_test(tc, fields_of_this_kernel_are_where_they_were);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
