/* SPDX-License-Identifier: MIT */
/*
 * In: sizes, small and absurd. Out: pass or fail. Must never need a file or a
 * privilege.
 */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/arena.h"
#include "tests/lib/failalloc.h"

/* Pieces of all sizes, each filled to the brim, keep what was put in them. */
START_TEST(arena_pieces_do_not_overlap)
{
	enum { PIECES = 3000 };
	static unsigned char *piece[PIECES];
	static size_t size[PIECES];
	struct msp_arena a = { 0 };
	size_t i, k, sum = 0;
	char *text;

	srand(5);
	for (i = 0; i < PIECES; i++) {
		size[i] = (size_t)(rand() % (i % 100 ? 90 : 9000));
		sum += size[i];
		if (i % 2) {
			piece[i] = msp_arena_get(&a, size[i], 1);
			ck_assert_uint_eq(
				(uintptr_t)piece[i] % _Alignof(max_align_t), 0);
			for (k = 0; k < size[i]; k++)
				ck_assert_uint_eq(piece[i][k], 0);
			memset(piece[i], (int)i % 251, size[i]);
			continue;
		}
		text = malloc(size[i] + 1);
		memset(text, (int)i % 251, size[i]);
		piece[i] = (unsigned char *)msp_arena_text(&a, text, size[i]);
		free(text);
		ck_assert_uint_eq(piece[i][size[i]], 0);
	}
	for (i = 0; i < PIECES; i++)
		for (k = 0; k < size[i]; k++)
			ck_assert_uint_eq(piece[i][k], i % 251);
	ck_assert_uint_ge(a.bytes, sum);
	ck_assert_uint_lt(a.bytes, 2 * sum + 65536);
	msp_arena_free(&a);
	ck_assert_int_eq(failalloc_live(), 0);
	ck_assert_uint_eq(a.bytes, 0);
}
END_TEST

START_TEST(arena_has_no_room_for_what_cannot_be)
{
	struct msp_arena a = { 0 };

	ck_assert_ptr_null(msp_arena_get(&a, SIZE_MAX, 2));
	ck_assert_ptr_null(msp_arena_get(&a, 2, SIZE_MAX));
	ck_assert_ptr_null(msp_arena_get(&a, SIZE_MAX / 2 + 2, 1));
	ck_assert_ptr_null(msp_arena_text(&a, NULL, SIZE_MAX));
	ck_assert_ptr_nonnull(msp_arena_get(&a, 0, 8));
	ck_assert_str_eq(msp_arena_text(&a, NULL, 0), "");
	failalloc_arm(0);
	ck_assert_ptr_null(msp_arena_get(&a, 100000, 1));
	failalloc_disarm();
	ck_assert_str_eq(msp_arena_text(&a, "abc", 2), "ab");
	msp_arena_free(&a);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arena");
	TCase *t = tcase_create("pieces");
	SRunner *runner = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, arena_pieces_do_not_overlap);
	tcase_add_test(t, arena_has_no_room_for_what_cannot_be);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}
