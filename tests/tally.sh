#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# In: the output of test suites, each ending with a tally. Out: one tally for
# all. Must never count a suite that died, or did nothing, as passed.
#
#   tally.sh run DIR NAME COMMAND...   run one suite, remember its tally
#   tally.sh sum DIR NAME...           print what failed, once more, and the
#                                      sum; exit 0 if all is well
#   tally.sh failures FILE...          lines of the output of suites that name
#                                      what failed, and why

set -u -o pipefail

SHOWN=40
TALLY='^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$'

# With CI set nothing may be skipped: nobody would notice.
judge() {
	[ "$2" -eq 0 ] && { [ "$3" -eq 0 ] || [ -z "${CI-}" ]; }
}

# $1: of a suite, the rest: what it did not say itself
say() {
	local suite=$1
	shift
	echo "${suite##*/}: $*" | tee -a "$suite.out"
}

run_suite() {
	local dir=$1 name=$2 status last passed=0 failed=1 skipped=0
	shift 2
	mkdir -p "$dir" || return 1
	rm -f "$dir/$name"
	echo "== $name"
	"$@" 2>&1 | tee "$dir/$name.out"
	status=${PIPESTATUS[0]}
	last=$(tail -n 1 "$dir/$name.out")
	if [[ $last =~ $TALLY ]]; then
		passed=${BASH_REMATCH[1]}
		failed=${BASH_REMATCH[2]}
		skipped=${BASH_REMATCH[3]}
		if [ $((passed + failed + skipped)) -eq 0 ]; then
			say "$dir/$name" "no test was run"
			failed=1
		elif [ "$status" -ne 0 ] && [ "$failed" -eq 0 ] &&
			[ "$skipped" -eq 0 ]; then
			say "$dir/$name" "exit status $status"
			failed=1
		fi
	else
		say "$dir/$name" "ended early, exit status $status"
	fi
	echo "$passed $failed $skipped" >"$dir/$name"
	judge "$passed" "$failed" "$skipped"
}

# What suites, Check, sanitizers and Python say, each once: who sees only the
# end of a log has to know what to look for.
failures() {
	awk -v most="$SHOWN" '
		/FAILED|SKIPPED/ ||
		/^[^ ]+:[0-9]+:[EFS]:/ ||
		/: runtime error: |ERROR: [A-Za-z]+Sanitizer|^SUMMARY: / ||
		/exit status [1-9]|: ended early|: no test was run/ ||
		/^ *([A-Za-z_]+\.)*([A-Z][A-Za-z]*)?(Error|Exception|Failed): / {
			if (seen[$0]++)
				next
			if (++n > most)
				next
			print "  " substr($0, 1, 240)
		}
		END {
			if (n > most)
				print "  and " n - most " lines more"
		}' "$@"
}

# $1: of which directory, the rest: the suites that failed
show_failures() {
	local dir=$1 name
	shift
	[ "$#" -le 8 ] && SHOWN=$((SHOWN / $#)) || SHOWN=5
	for name in "$@"; do
		[ -f "$dir/$name.out" ] || continue
		echo "== $name failed"
		failures "$dir/$name.out"
	done
}

sum_suites() {
	local dir=$1 name p f s passed=0 failed=0 skipped=0 wrong=()
	shift
	echo "== all"
	for name in "$@"; do
		p=0 f=1 s=0
		if [ -f "$dir/$name" ]; then
			read -r p f s <"$dir/$name"
		else
			echo "$name: could not be run"
		fi
		printf '  %-10s %5d passed, %d failed, %d skipped\n' \
			"$name" "$p" "$f" "$s"
		judge "$p" "$f" "$s" || wrong+=("$name")
		passed=$((passed + p))
		failed=$((failed + f))
		skipped=$((skipped + s))
	done
	[ "${#wrong[@]}" -eq 0 ] || show_failures "$dir" "${wrong[@]}"
	echo "$passed passed, $failed failed, $skipped skipped" |
		tee "$dir/all"
	judge "$passed" "$failed" "$skipped"
}

case ${1-} in
run)
	shift
	run_suite "$@"
	;;
failures)
	shift
	failures "$@"
	;;
sum)
	shift
	sum_suites "$@"
	;;
*)
	echo "usage: $0 run DIR NAME COMMAND... | sum DIR NAME... |" \
		"failures FILE..." >&2
	exit 2
	;;
esac
