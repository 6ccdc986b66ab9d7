#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# In: suites and unit test programs made up here. Out: whether tally.sh and
# unit.sh count them, and say last what failed. Must never need a build.

set -u

verbose=${V-}
unset CI V UNDER JOBS
passed=0 failed=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/tally"

# claim NAME COMMAND...
claim() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then
		passed=$((passed + 1))
		[ -z "$verbose" ] || echo "  ok      $name"
	else
		failed=$((failed + 1))
		printf '  FAILED  %s\n%s\n' "$name" "$out"
	fi
}

# $1: name; its text from stdin
program() {
	{
		echo '#!/bin/sh'
		cat
	} >"$dir/$1"
	chmod 755 "$dir/$1"
}

# $1: name, $2: seconds it takes
good_program() {
	program "$1" <<-END
	sleep $2
	echo '100%: Checks: 2, Failures: 0, Errors: 0'
	END
}

bad_program() {
	program "$1" <<-'END'
	echo '50%: Checks: 2, Failures: 1, Errors: 0'
	echo 'tests/unit/bad.c:7:F:case:two_is_three:0: 2 == 3'
	exit 1
	END
}

# $1: name, $2: exit status, the rest: lines it prints
suite() {
	local name=$1 status=$2
	shift 2
	tests/tally.sh run "$dir/tally" "$name" \
		sh -c 'printf "%s\n" "$@"; exit '"$status" x "$@"
}

# $1: number of lines, the rest: of these
sum_says() {
	local lines=$1
	shift
	tests/tally.sh sum "$dir/tally" "$@" | tail -n "$lines"
}

# $1: expected, $2: seen
same() {
	[ "$1" = "$2" ] || { diff <(echo "$1") <(echo "$2"); return 1; }
}

sum_counts_what_passed() {
	suite one 0 "3 passed, 0 failed, 0 skipped" &&
		suite two 0 "4 passed, 0 failed, 0 skipped" || return 1
	tests/tally.sh sum "$dir/tally" one two &&
		same "$(sum_says 2 one two | tr -s ' ')" \
" two 4 passed, 0 failed, 0 skipped
7 passed, 0 failed, 0 skipped"
}

sum_fails_with_one_that() {
	local want=$1
	shift
	! suite bad "$@" || return 1
	! tests/tally.sh sum "$dir/tally" one bad || return 1
	same "$want" "$(sum_says 2 one bad)"
}

sum_fails_without_one() {
	! tests/tally.sh sum "$dir/tally" one never &&
		same "3 passed, 1 failed, 0 skipped" "$(sum_says 1 one never)"
}

sum_shows_failures_last() {
	! suite bad 1 "  TEST    good 3" "  TEST    bad 2  1 FAILED" noise \
		"tests/unit/bad.c:7:F:case:two_is_three:0: 2 == 3" \
		"x.c:3:9: runtime error: shift" "AssertionError: 1 != 2" \
		"4 passed, 1 failed, 0 skipped" || return 1
	same "== bad failed
    TEST    bad 2  1 FAILED
  tests/unit/bad.c:7:F:case:two_is_three:0: 2 == 3
  x.c:3:9: runtime error: shift
  AssertionError: 1 != 2
7 passed, 1 failed, 0 skipped" "$(sum_says 6 one bad)"
}

sum_stays_short() {
	local lines
	mapfile -t lines < <(seq -f '  FAILED  case %g' 1000)
	! suite bad 1 "${lines[@]}" "1 passed, 1000 failed, 0 skipped" ||
		return 1
	[ "$(sum_says 1000 one bad | wc -l)" -le 48 ] &&
		same "  and 960 lines more" "$(sum_says 2 one bad | head -n 1)"
}

skipped_is_failed_where_nobody_looks() {
	suite skips 0 "1 passed, 0 failed, 1 skipped" &&
		! CI=true suite skips 0 "1 passed, 0 failed, 1 skipped"
}

units() {
	JOBS=$jobs tests/unit.sh "$@"
}

units_are_told_in_their_order() {
	local jobs
	good_program test_slow 0.3
	good_program test_fast 0
	bad_program test_bad
	for jobs in 1 2 9; do
		! units "$dir"/test_{slow,bad,fast} >"$dir/out" || return 1
		same "test_slow test_bad test_fast" \
			"$(echo $(awk '$1 == "TEST" && !seen[$2]++ { print $2 }' \
				"$dir/out"))" || return 1
	done
}

# After test_fast passed: what failed, and the tally.
units_say_last_what_failed() {
	local jobs=2
	same "failed:
    TEST    test_bad                         2  1 FAILED
  tests/unit/bad.c:7:F:case:two_is_three:0: 2 == 3
5 passed, 1 failed, 0 skipped" \
		"$(units "$dir"/test_{slow,bad,fast} | tail -n 4)"
}

unit_that_dies_is_failed() {
	local jobs=2
	program test_dies <<<'kill -9 $$'
	program test_nothing <<<'exit 0'
	! units "$dir"/test_{dies,fast,nothing} >"$dir/out" || return 1
	same "2 passed, 2 failed, 0 skipped" "$(tail -n 1 "$dir/out")" &&
		grep "test_dies: exit status 137" "$dir/out"
}

claim sum_counts_what_passed sum_counts_what_passed
claim sum_fails_with_one_that_failed sum_fails_with_one_that \
	"== bad failed
3 passed, 2 failed, 0 skipped" 1 "0 passed, 2 failed, 0 skipped"
claim sum_fails_with_one_that_died sum_fails_with_one_that \
	"  bad: ended early, exit status 9
3 passed, 1 failed, 0 skipped" 9 "1 of"
claim sum_fails_with_one_that_did_nothing sum_fails_with_one_that \
	"  bad: no test was run
3 passed, 1 failed, 0 skipped" 0 "0 passed, 0 failed, 0 skipped"
claim sum_fails_with_one_of_another_status sum_fails_with_one_that \
	"  bad: exit status 3
6 passed, 1 failed, 0 skipped" 3 "3 passed, 0 failed, 0 skipped"
for name in sum_fails_without_one sum_shows_failures_last sum_stays_short \
	skipped_is_failed_where_nobody_looks units_are_told_in_their_order \
	units_say_last_what_failed unit_that_dies_is_failed; do
	claim "$name" "$name"
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
