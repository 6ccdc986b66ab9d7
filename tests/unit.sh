#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# In: unit test programs and fuzz replay programs. Out: one line each, in the
# order given, the output of those that failed, what failed once more, and a
# tally. Must never need root or a network, nor pass one that was not run.
#
#   V=1             show all output
#   UNDER=valgrind  run the programs under valgrind
#   JOBS=N          so many at a time, default one for each processor

set -u

LIMIT=300
SUMMARY='^[0-9]+%: Checks: ([0-9]+), Failures: ([0-9]+), Errors: ([0-9]+)$'
passed=0 failed=0 skipped=0
prefix=() without=/dev/null

jobs=${JOBS:-$(nproc 2>/dev/null || echo 1)}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# Check forks per test and gives each 4 s; slow builds, and machines that others
# use, need more.
export CK_TIMEOUT_MULTIPLIER=15
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

# $1 program, $2 cases, $3 failures, $4 output; of the program to be tried
report() {
	printf '  %-7s %-28s %5d' TEST "${1##*/}" "$2"
	if [ "$3" -ne 0 ]; then
		printf '  %d FAILED\n%s\n' "$3" "$4"
	elif [ -n "${V-}" ]; then
		printf '\n%s\n' "$4"
	else
		printf '\n'
	fi
	echo "$(($2 - $3)) $3 0" >"$counts"
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

# $1 program; counts: a file for how many passed, failed and were skipped
try() {
	local reason
	if reason=$(grep "^${1##*/} " "$without"); then
		printf '  SKIPPED %s\n' "$reason"
		echo "0 0 1" >"$counts"
		return
	fi
	case ${1##*/} in
	fuzz_*) replay "$1" ;;
	*) run_check "$1" ;;
	esac
}

# $1 program, $2 its place
begin() {
	{
		local counts=$work/$2.new
		try "$1" >"$work/$2.out" 2>&1
		mv "$counts" "$work/$2"
	} &
}

# What ended, as far as all before it did; shown: how many that are
show() {
	local p f s
	while [ -f "$work/$shown" ]; do
		cat "$work/$shown.out"
		read -r p f s <"$work/$shown"
		passed=$((passed + p))
		failed=$((failed + f))
		skipped=$((skipped + s))
		[ "$f" -eq 0 ] || cat "$work/$shown.out" >>"$work/failed"
		shown=$((shown + 1))
	done
}

begun=0 shown=0
for program in "$@"; do
	if [ "$begun" -ge "$jobs" ]; then
		wait -n
		show
	fi
	begin "$program" "$begun"
	begun=$((begun + 1))
done
wait
show
if [ "$shown" -ne "$begun" ]; then
	echo "FAILED: only $shown of $begun programs could be run" |
		tee -a "$work/failed"
	failed=$((failed + begun - shown))
fi
if [ "$failed" -ne 0 ]; then
	echo "failed:"
	tests/tally.sh failures "$work/failed"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
