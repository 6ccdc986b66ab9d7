#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# In: a build with --coverage (make coverage makes it), test programs. Out: how
# many lines of each file that parses, compiles and decides the unit tests and
# the corpora of the fuzzers reach. Must never count what other tests reach.

set -u

build=$1
shift
wanted=95 # percent
passed=0 failed=0

find "$build" -name '*.gcda' -delete
V='' tests/unit.sh "$@" >"$build/coverage.log" 2>&1 || {
	grep -A 4 FAILED "$build/coverage.log"
	exit 1
}
for file in libmsp/{canon,request,rules,decision,explain,profile,finding,lint}*.c; do
	[ -e "$file" ] || continue
	line=$(cd "$build" && gcov -n "${file%.c}.o" 2>/dev/null |
		grep -A 1 "^File '$file'" | tail -n 1)
	percent=${line#*:}
	percent=${percent%%\%*}
	printf '  %-28s %s\n' "$file" "${line#Lines executed:}"
	if [ "${percent%.*}" -ge "$wanted" ] 2>/dev/null; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
done
echo "files with $wanted % and more:"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
