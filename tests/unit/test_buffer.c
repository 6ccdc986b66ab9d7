/* SPDX-License-Identifier: MIT */
/*
 * In: buffers that are filled to the brim. Out: whether they grow to their
 * bound and one byte over it, keep what they have, and leave nothing behind.
 */
#include <check.h>
#include <stdint.h>
#include <string.h>

#include <msp/error.h>

#include "libmsp/buffer.h"
#include "tests/lib/failalloc.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const size_t bounds[] = { 0,    1,    4095,  4096,  4097,
				 8191, 8192, 12288, 65536, 100000 };

/* Each byte is another than its neighbours. */
static char byte_at(size_t i)
{
	return (char)(i * 31 + i / 251);
}

START_TEST(buffer_grows_to_one_over_its_bound)
{
	struct msp_buffer b = { NULL, 0, 0 };
	size_t max = bounds[_i], i;
	char *data;

	for (i = 0; i <= max; i++) {
		ck_assert_int_eq(msp_buffer_grow(&b, max), 0);
		ck_assert_uint_lt(b.len, b.cap);
		ck_assert_uint_le(b.cap, max + 1);
		b.data[b.len++] = byte_at(i);
	}
	data = b.data;
	ck_assert_int_eq(msp_buffer_grow(&b, max), MSP_ERR_LIMIT);
	ck_assert_ptr_eq(b.data, data);
	ck_assert_uint_eq(b.len, max + 1);
	for (i = 0; i <= max; i++)
		ck_assert_int_eq(b.data[i], byte_at(i));
	msp_buffer_drop(&b);
	ck_assert_ptr_null(b.data);
	ck_assert_uint_eq(b.len, 0);
	ck_assert_uint_eq(b.cap, 0);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(buffer_never_holds_more_than_it_may)
{
	struct msp_buffer b = { NULL, 0, 0 };

	while (msp_buffer_grow(&b, bounds[_i]) == 0) {
		memset(b.data + b.len, 'x', b.cap - b.len);
		b.len = b.cap;
	}
	ck_assert_uint_eq(b.len, bounds[_i] + 1);
	msp_buffer_drop(&b);
}
END_TEST

START_TEST(buffer_keeps_what_it_has_without_memory)
{
	struct msp_buffer b = { NULL, 0, 0 };
	int i;

	for (i = 0; i < 3; i++) {
		struct msp_buffer before = b;

		failalloc_arm(0);
		ck_assert_int_eq(msp_buffer_grow(&b, 100000), MSP_ERR_NOMEM);
		ck_assert(failalloc_disarm());
		ck_assert_ptr_eq(b.data, before.data);
		ck_assert_uint_eq(b.len, before.len);
		ck_assert_uint_eq(b.cap, before.cap);
		ck_assert_int_eq(msp_buffer_grow(&b, 100000), 0);
		memset(b.data + b.len, 'x', b.cap - b.len);
		b.len = b.cap;
	}
	msp_buffer_drop(&b);
	msp_buffer_drop(&b); /* of what is empty */
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

static Suite *buffer_suite(void)
{
	Suite *s = suite_create("buffer");
	TCase *tc = tcase_create("buffer");

	tcase_add_loop_test(tc, buffer_grows_to_one_over_its_bound, 0,
			    COUNT(bounds));
	tcase_add_loop_test(tc, buffer_never_holds_more_than_it_may, 0,
			    COUNT(bounds));
	tcase_add_test(tc, buffer_keeps_what_it_has_without_memory);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(buffer_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
