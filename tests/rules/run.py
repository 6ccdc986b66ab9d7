#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build directory. Out: whether libmsp decides as a second engine does,
whether its faults would be found, and whether no spelling dodges a rule; one
tally. Must never need root, a network, or anything but this machine.

    run.py BUILD [NAME...]   only parts whose name contains one of the words
    COUNT=20000 SEED=1       cases of the comparison
    FAULTS=0                 how many faults, 0: all
    REPLAY='...'             only this case of an earlier run
    V=1                      tables of what was found
"""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import differential  # noqa: E402 - they are found through the line above
import faults  # noqa: E402
import tables  # noqa: E402
import twins  # noqa: E402


def parts(build, program):
    verbose = bool(os.environ.get("V"))
    seed = os.environ.get("SEED") or "1"
    count = int(os.environ.get("COUNT") or 20000)
    some = int(os.environ.get("FAULTS") or 0)
    return (("tables", lambda: tables.run(verbose)),
            ("differential",
             lambda: differential.run(program, count, seed, verbose)),
            ("twins", lambda: twins.run(program, verbose)),
            ("faults", lambda: faults.run(build, some, verbose)))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build, words = os.path.abspath(sys.argv[1]), sys.argv[2:]
    os.chdir(os.path.join(HERE, "..", ".."))
    program = os.path.join(build, "tests", "rules", "decide")
    if os.environ.get("REPLAY"):
        sys.exit(not differential.replay(program, os.environ["REPLAY"]))
    passed = failed = 0
    for name, part in parts(build, program):
        if words and not any(word in name for word in words):
            continue
        claims = part()
        wrong = [claim for claim, holds in claims if not holds]
        for claim in wrong:
            print(f"  FAILED  {name}: {claim}")
        print(f"  {'TEST':<7} {name:<28} {len(claims):5d}"
              + (f"  {len(wrong)} FAILED" if wrong else ""), flush=True)
        passed += len(claims) - len(wrong)
        failed += len(wrong)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
