#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build directory. Out: whether mspctl answers what it must, and survives
what it is given; one tally. Must never need root, a network, or a file
outside its own directory.

    run.py BUILD [NAME...]   only parts whose name contains one of the words
    V=1                      each claim
"""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import auditing  # noqa: E402 - they are found through the line above
import collecting  # noqa: E402
import commands  # noqa: E402
import converting  # noqa: E402
import differing  # noqa: E402
import doctoring  # noqa: E402
import hostile  # noqa: E402
import kit  # noqa: E402
import learning  # noqa: E402
import showing  # noqa: E402

PARTS = (commands, converting, differing, learning, auditing, collecting, doctoring,
         showing, hostile)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build, words = os.path.abspath(sys.argv[1]), sys.argv[2:]
    os.chdir(os.path.join(HERE, "..", ".."))
    passed = failed = 0
    for part in PARTS:
        if words and not any(word in part.__name__ for word in words):
            continue
        ctl = kit.Ctl(build, bool(os.environ.get("V")))
        try:
            part.run(ctl)
        finally:
            ctl.holder.cleanup()
        print(f"  {'TEST':<7} {part.__name__:<28} "
              f"{ctl.passed + ctl.failed:5d}"
              + (f"  {ctl.failed} FAILED" if ctl.failed else ""), flush=True)
        passed += ctl.passed
        failed += ctl.failed
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
