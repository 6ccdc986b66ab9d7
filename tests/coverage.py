#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build with --coverage (make coverage makes it), test programs. Out: how
many lines of each file of the core, and how many of their branches, the unit
tests and the corpora of the fuzzers reach. Must never count what other tests
reach, nor leave out a file.
"""
import json
import os
import subprocess
import sys

import layers

LINES = 95      # percent of the core
BRANCHES = 85   # percent of the core
OF_A_FILE = 90  # percent of its lines


def core_files():
    return [path for path in layers.files("libmsp", ".c")
            if layers.LAYER.get(layers.noun(path)) == "core"]


def run_tests(build, programs):
    for base, _, names in os.walk(build):
        for name in names:
            if name.endswith(".gcda"):
                os.unlink(os.path.join(base, name))
    with open(os.path.join(build, "coverage.log"), "w+") as log:
        done = subprocess.run(["tests/unit.sh", *programs], stdout=log,
                              env={**os.environ, "V": ""})
        if done.returncode:
            log.seek(0)
            print(log.read())
            sys.exit("the tests fail: nothing is counted")


def counted(build, path):
    """Lines reached, lines, branches taken, branches of one source file."""
    done = subprocess.run(
        ["gcov", "--json-format", "--stdout", "--branch-probabilities",
         path[:-2] + ".o"], cwd=build, capture_output=True)
    if done.returncode:
        return None
    lines = {}
    for file in json.loads(done.stdout)["files"]:
        if file["file"] != path:
            continue
        # a line of an inlined or static function may come more than once
        for line in file["lines"]:
            lines.setdefault(line["line_number"], []).append(line)
    taken = branches = reached = 0
    for same in lines.values():
        reached += any(line["count"] for line in same)
        for line in same:
            branches += len(line["branches"])
            taken += sum(b["count"] > 0 for b in line["branches"])
    return reached, len(lines), taken, branches


def percent(part, whole):
    return 100 * part / whole if whole else 100.0


def report(name, counts):
    reached, lines, taken, branches = counts
    print(f"  {name:28} {percent(reached, lines):6.1f} % of {lines:5} lines"
          f"  {percent(taken, branches):6.1f} % of {branches:5} branches")


def main(build, programs):
    suite = layers.Suite()
    total = [0, 0, 0, 0]
    run_tests(build, programs)
    for path in core_files():
        counts = counted(build, path)
        if not counts or not counts[1]:
            suite.claim(path, ["nothing is known of it"])
            continue
        report(path, counts)
        total = [a + b for a, b in zip(total, counts)]
        suite.claim(f"{path}: {OF_A_FILE} % of its lines",
                    [] if percent(*counts[:2]) >= OF_A_FILE
                    else ["below the goal"])
    report("the core", total)
    suite.claim(f"{LINES} % of the core's lines", []
                if percent(*total[:2]) >= LINES else ["below the goal"])
    suite.claim(f"{BRANCHES} % of the core's branches", []
                if percent(*total[2:]) >= BRANCHES else ["below the goal"])
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
