/* SPDX-License-Identifier: MIT */
/*
 * What can be said of redirect and peer without privileges: bad arguments
 * are refused with a sentence and change nothing. The rest is tests/live.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <msp/msp.h>

#include "libmsp/cgroup.h"
#include "libmsp/mem.h"
#include "libmsp/redirect_priv.h"
#include "tests/lib/failalloc.h"

/* One that no program was loaded for, which is as far as these get. */
static struct msp_redirect unloaded;

START_TEST(open_refuses_bad_options)
{
	struct msp_redirect_opts wrong_size = { .size = 4 };
	struct msp_redirect_opts reserved = { .size = sizeof(reserved),
					      .flags = 2 };
	struct msp_redirect_opts empty = { .size = sizeof(empty),
					   .cgroup = "" };
	char byte = 'x';
	struct msp_redirect_opts no_room = { .size = sizeof(no_room),
					     .detail = &byte };
	struct msp_redirect_part part = { .name = "libmsp.1.own", .fd = 0 };
	struct msp_redirect_part nameless = { .name = NULL, .fd = 0 };
	struct msp_redirect_part closed = { .name = "x", .fd = -1 };
	struct msp_redirect_opts no_parts = { .size = sizeof(no_parts),
					      .n_parts = 1 };
	struct msp_redirect_opts no_name = { .size = sizeof(no_name),
					     .parts = &nameless,
					     .n_parts = 1 };
	struct msp_redirect_opts no_fd = { .size = sizeof(no_fd),
					   .parts = &closed,
					   .n_parts = 1 };
	struct msp_redirect_opts too_many = {
		.size = sizeof(too_many),
		.parts = &part,
		.n_parts = MSP_REDIRECT_PARTS_MAX + 1
	};
	const struct msp_redirect_opts *cases[] = { &wrong_size, &reserved,
						    &empty,	 &no_room,
						    &no_parts,	 &no_name,
						    &no_fd,	 &too_many };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct msp_redirect *r = (void *)&info;

		ck_assert_int_eq(msp_redirect_open(&r, cases[i], &info),
				 MSP_ERR_INVAL);
		ck_assert_ptr_null(r);
		ck_assert_str_ne(info.text, "");
	}
	ck_assert_int_eq(byte, 'x');
	ck_assert_int_eq(msp_redirect_open(NULL, NULL, NULL), MSP_ERR_INVAL);
}
END_TEST

START_TEST(open_names_the_cgroup_or_the_program_that_failed)
{
	static const char missing[] = "/nonexistent/cgroup";
	struct msp_redirect_opts opts = { .size = sizeof(opts),
					  .cgroup = missing,
					  .cgroup_len = sizeof(missing) - 1 };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_redirect *r = NULL;
	int rc = msp_redirect_open(&r, &opts, &info);

	ck_assert(rc == MSP_ERR_SYS || rc == MSP_ERR_UNSUPPORTED);
	ck_assert_ptr_null(r);
	ck_assert_msg(strstr(info.text, missing) ||
			      strstr(info.text, "Failed to load") ||
			      rc == MSP_ERR_UNSUPPORTED,
		      "%s", info.text);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* It is not taken for a kernel that refuses to show paths. */
START_TEST(open_survives_every_failed_allocation)
{
	static const char missing[] = "/nonexistent/cgroup";
	struct msp_redirect_opts opts = { .size = sizeof(opts),
					  .cgroup = missing,
					  .cgroup_len = sizeof(missing) - 1 };
	struct msp_redirect *r;
	long n;
	int rc;

	for (n = 0;; n++) {
		failalloc_arm(n);
		rc = msp_redirect_open(&r, &opts, NULL);
		if (!failalloc_disarm())
			break;
		ck_assert_msg(rc == MSP_ERR_NOMEM, "%ld: %d", n, rc);
		ck_assert_ptr_null(r);
		ck_assert_int_eq(failalloc_live(), 0);
	}
	ck_assert(n >= 4 || rc == MSP_ERR_UNSUPPORTED);
}
END_TEST

START_TEST(calls_without_a_redirector_are_refused)
{
	struct msp_caller caller = { .size = sizeof(caller) };
	char path[8] = "before";
	struct msp_redirect_part part = { .name = path };
	struct msp_redirect_others nobody = { .size = sizeof(nobody) };
	unsigned int bits = 7;
	int fd = 7;

	ck_assert_int_eq(
		msp_redirect_set(NULL, MSP_ENDPOINT_IMDS, MSP_REDIRECT_ENFORCE),
		MSP_ERR_INVAL);
	ck_assert_int_eq(msp_redirect_get(NULL, MSP_ENDPOINT_IMDS),
			 MSP_REDIRECT_OFF);
	ck_assert_int_eq(msp_redirect_mark(NULL, 0, MSP_MARK_SKIP, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_redirect_prove(NULL, 0, 0, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_redirect_prove_among(NULL, 0, 0, NULL, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(
		msp_redirect_prove_among(&unloaded, 0, 0, &nobody, NULL),
		MSP_ERR_INVAL);
	ck_assert_uint_eq(msp_redirect_parts(NULL, &part, 1), 0);
	ck_assert_ptr_eq(part.name, path);
	ck_assert_uint_eq(msp_redirect_parts(&unloaded, NULL, 1), 0);
	ck_assert_uint_eq(msp_redirect_parts(&unloaded, &part, 0), 0);
	ck_assert_uint_eq(msp_redirect_taken(NULL), 0);
	ck_assert_uint_eq(msp_redirect_detached(NULL), 0);
	ck_assert_int_eq(msp_redirect_repair(NULL, &bits, NULL), MSP_ERR_INVAL);
	ck_assert_uint_eq(bits, 0);
	ck_assert_int_eq(msp_redirect_repair(&unloaded, NULL, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_peer_identify(NULL, 0, &caller, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_peer_verify_exe(NULL, 0, &caller, 0, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_peer_open_root(NULL, "/", 1, &fd, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(msp_peer_open_root(NULL, "/", 1, NULL, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(
		msp_peer_cgroup_path(NULL, 1, path, sizeof(path), NULL),
		MSP_ERR_INVAL);
	ck_assert_str_eq(path, "");
	ck_assert_uint_eq(msp_redirect_limits(NULL), 0);
	ck_assert_uint_eq(msp_redirect_count(NULL, MSP_COUNT_FOUND), 0);
	msp_redirect_free(NULL);
}
END_TEST

/* ---- callers ------------------------------------------------------------ */

START_TEST(caller_who_is_not_identified_is_nobody)
{
	struct {
		struct msp_caller now;
		uint64_t more;
	} later;
	const struct msp_caller root = { .size = sizeof(later),
					 .flags = MSP_CALLER_KNOWN,
					 .cgroup_path = "/" };
	const struct msp_caller nobody = { .size = sizeof(later) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct {
		struct msp_redirect *redirect;
		int fd, rc;
	} cases[] = {
		{ NULL, fd, MSP_ERR_INVAL },
		{ &unloaded, -1, MSP_ERR_INVAL },
		{ &unloaded, fd, MSP_ERR_UNKNOWN_PEER }, /* not connected */
		{ &unloaded, 1 << 20, MSP_ERR_SYS },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		later.now = root;
		later.more = 7;
		ck_assert_int_eq(msp_peer_identify(cases[i].redirect,
						   cases[i].fd, &later.now,
						   NULL),
				 cases[i].rc);
		ck_assert_mem_eq(&later.now, &nobody, sizeof(nobody));
		ck_assert_uint_eq(later.more, 7);
	}
	close(fd);
}
END_TEST

START_TEST(caller_that_is_too_small_is_left_alone)
{
	const struct msp_caller before = { .size = sizeof(before) - 8,
					   .flags = MSP_CALLER_EXE_CHECKED };
	struct msp_caller after = before;

	ck_assert_int_eq(msp_peer_identify(&unloaded, 0, &after, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_peer_verify_exe(&unloaded, 0, &after, 0, NULL),
			 MSP_ERR_INVAL);
	ck_assert_mem_eq(&after, &before, sizeof(after));
}
END_TEST

START_TEST(cgroup_path_is_empty_after_an_error)
{
	char path[8] = "before", mount[] = "/";
	struct msp_redirect nowhere = { .cgroup_fd = -1, .mount = mount };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	ck_assert_int_eq(
		msp_peer_cgroup_path(&nowhere, 1, path, sizeof(path), &info),
		MSP_ERR_SYS);
	ck_assert_int_eq(info.sys_errno, EBADF);
	ck_assert_str_eq(path, "");
	ck_assert_int_eq(msp_peer_cgroup_path(&nowhere, 1, path, 0, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_peer_cgroup_path(&nowhere, 1, NULL, 8, NULL),
			 MSP_ERR_INVAL);
}
END_TEST

START_TEST(limits_are_those_found_when_it_was_opened)
{
	const struct msp_redirect locked = {
		.limits = MSP_REDIRECT_LIMIT_NO_PATH
	};

	ck_assert_uint_eq(msp_redirect_limits(&unloaded), 0);
	ck_assert_uint_eq(msp_redirect_limits(&locked),
			  MSP_REDIRECT_LIMIT_NO_PATH);
}
END_TEST

START_TEST(verify_exe_says_what_it_could_not_look_at)
{
	static const char missing[] = "/nonexistent/program";
	struct msp_caller caller = { .size = sizeof(caller),
				     .flags = MSP_CALLER_KNOWN };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	memcpy(caller.exe_path, missing, sizeof(missing));
	ck_assert_int_eq(msp_peer_verify_exe(&unloaded, root, &caller,
					     MSP_PEER_EXE_CACHED, &info),
			 MSP_ERR_AGAIN);
	ck_assert_ptr_nonnull(strstr(info.text, missing));
	ck_assert_uint_eq(caller.flags, MSP_CALLER_KNOWN);
	/* that there is none is an answer */
	ck_assert_int_eq(msp_peer_verify_exe(&unloaded, root, &caller, 0, NULL),
			 0);
	ck_assert_uint_eq(caller.flags,
			  MSP_CALLER_KNOWN | MSP_CALLER_EXE_CHECKED);

	memset(caller.exe_path + 1, 'a', 300);
	ck_assert_int_eq(
		msp_peer_verify_exe(&unloaded, root, &caller, 0, &info),
		MSP_ERR_SYS);
	ck_assert_int_eq(info.sys_errno, ENAMETOOLONG);
	ck_assert_uint_eq(caller.flags, MSP_CALLER_KNOWN);
	ck_assert_int_eq(
		msp_peer_verify_exe(&unloaded, root, &caller, 4, &info),
		MSP_ERR_INVAL);
	ck_assert_str_ne(info.text, "");
	close(root);
}
END_TEST

/* ---- messages of libbpf -------------------------------------------------- */

static int first_owner(enum libbpf_print_level level, const char *format,
		       va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 1;
}

static int second_owner(enum libbpf_print_level level, const char *format,
			va_list args)
{
	return first_owner(level, format, args) + 1;
}

/* Two that open at a time, in each order, and an owner who sets another hook
 * meanwhile: the order of events, and whose hook is there in the end. */
static const struct {
	const char *events; /* aA, bB: begins, ends; o: the owner */
	libbpf_print_fn_t hook;
} turns[] = {
	{ "aA", first_owner },	   { "aAbB", first_owner },
	{ "abAB", first_owner },   { "abBA", first_owner },
	{ "abAaBA", first_owner }, { "aoA", second_owner },
	{ "aboBA", second_owner }, { "aboAB", second_owner },
};

START_TEST(messages_of_libbpf_go_to_their_owner_again)
{
	libbpf_print_fn_t before = libbpf_set_print(first_owner);
	libbpf_print_fn_t held[2];
	const char *at;

	for (at = turns[_i].events; *at; at++) {
		if (*at == 'o')
			libbpf_set_print(second_owner);
		else if (*at >= 'a')
			held[*at - 'a'] = msp_redirect_hush();
		else
			msp_redirect_unhush(held[*at - 'A']);
	}
	ck_assert_msg(libbpf_set_print(before) == turns[_i].hook, "%s",
		      turns[_i].events);
}
END_TEST

START_TEST(cgroup_mount_is_a_directory_or_a_clear_error)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *path = NULL;
	int rc = msp_cgroup_mount(&path, &info);

	if (rc == MSP_ERR_NOENT) {
		ck_assert_str_eq(info.text, "cgroup v2 is not mounted");
		return;
	}
	if (rc == MSP_ERR_UNSUPPORTED) {
		ck_assert_ptr_nonnull(strstr(info.text, "only a part of"));
		return;
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_eq(access(path, F_OK), 0);
	msp_mem_free(path);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("redirect");
	TCase *tc = tcase_create("redirect");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, open_refuses_bad_options);
	tcase_add_test(tc, open_names_the_cgroup_or_the_program_that_failed);
	tcase_add_test(tc, open_survives_every_failed_allocation);
	tcase_add_test(tc, calls_without_a_redirector_are_refused);
	tcase_add_test(tc, caller_who_is_not_identified_is_nobody);
	tcase_add_test(tc, caller_that_is_too_small_is_left_alone);
	tcase_add_test(tc, cgroup_path_is_empty_after_an_error);
	tcase_add_test(tc, limits_are_those_found_when_it_was_opened);
	tcase_add_test(tc, verify_exe_says_what_it_could_not_look_at);
	tcase_add_loop_test(tc, messages_of_libbpf_go_to_their_owner_again, 0,
			    sizeof(turns) / sizeof(turns[0]));
	tcase_add_test(tc, cgroup_mount_is_a_directory_or_a_clear_error);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
