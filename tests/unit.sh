#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# In: unit test programs and fuzz replay programs. Out: one line each, the
# output of those that failed, and a tally. Must never need root or a network.
#
#   V=1             show all output
#   UNDER=valgrind  run the programs under valgrind

set -u

LIMIT=120
SUMMARY='^[0-9]+%: Checks: ([0-9]+), Failures: ([0-9]+), Errors: ([0-9]+)$'
passed=0 failed=0 skipped=0
prefix=() without=/dev/null

# Check forks per test and gives each 4 s; slow builds need more.
export CK_TIMEOUT_MULTIPLIER=5
if [ "${UNDER-}" = valgrind ]; then
	# Each test stays a process of its own: one that leaks, or does worse,
	# is then the one that fails.
	export CK_TIMEOUT_MULTIPLIER=50
	LIMIT=1200
	# Not as arguments: a test looks at its command line.
	VALGRIND_OPTS="-q --error-exitcode=99 --leak-check=full"
	VALGRIND_OPTS+=" --suppressions=tests/valgrind.supp"
	export VALGRIND_OPTS
	prefix=(valgrind)
	without=tests/not-under-valgrind
fi
export ASAN_OPTIONS=${ASAN_OPTIONS-detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS-print_stacktrace=1}

# $1 program, $2 cases, $3 failures, $4 output
report() {
	printf '  %-7s %-28s %5d' TEST "${1##*/}" "$2"
	passed=$((passed + $2 - $3))
	failed=$((failed + $3))
	if [ "$3" -ne 0 ]; then
		printf '  %d FAILED\n%s\n' "$3" "$4"
	elif [ -n "${V-}" ]; then
		printf '\n%s\n' "$4"
	else
		printf '\n'
	fi
}

run_check() {
	local out rc cases=0 bad=0 line
	out=$(timeout -k 5 "$LIMIT" "${prefix[@]}" "$1" 2>&1 </dev/null)
	rc=$?
	while read -r line; do
		[[ $line =~ $SUMMARY ]] || continue
		cases=$((cases + BASH_REMATCH[1]))
		bad=$((bad + BASH_REMATCH[2] + BASH_REMATCH[3]))
	done <<<"$out"
	# A program that died, or reports no case, is itself a failed case.
	if { [ "$rc" -ne 0 ] && [ "$bad" -eq 0 ]; } || [ "$cases" -eq 0 ]; then
		out="$out"$'\n'"${1##*/}: exit status $rc"
		cases=$((cases + 1))
		bad=$((bad + 1))
	fi
	report "$1" "$cases" "$bad" "$out"
}

# One case per file of the corpus; one that crashes ends the program.
replay() {
	local noun=${1##*/fuzz_} out rc cases bad=0
	local corpus="tests/fuzz/corpus/$noun"
	cases=$(find "$corpus" -type f 2>/dev/null | wc -l)
	if [ "$cases" -eq 0 ]; then
		report "$1" 1 1 "$corpus: no files"
		return
	fi
	out=$(timeout -k 5 "$LIMIT" "$1" "$corpus" 2>&1 </dev/null)
	rc=$?
	if [ "$rc" -ne 0 ]; then
		out="$out"$'\n'"${1##*/}: exit status $rc"
		bad=1
	fi
	report "$1" "$cases" "$bad" "$out"
}

for program in "$@"; do
	if reason=$(grep "^${program##*/} " "$without"); then
		printf '  SKIPPED %s\n' "$reason"
		skipped=$((skipped + 1))
		continue
	fi
	case ${program##*/} in
	fuzz_*) replay "$program" ;;
	*) run_check "$program" ;;
	esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
