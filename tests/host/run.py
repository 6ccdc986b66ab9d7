#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: an msp-host program. Out: the cases of case_*.py, on loopback, without
privileges. Must never hide one that did not run.

    run.py MSP-HOST [WORD...]   only cases whose name contains one of the words
"""
import glob
import importlib
import multiprocessing
import os
import sys
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import client  # noqa: E402 - it is found through the line above


def tried(number):
    """What went wrong in one case, or None."""
    try:
        client.CASES[number]()
        return None
    except Exception:
        return traceback.format_exc()


def main():
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    client.use(sys.argv[1])
    for path in sorted(glob.glob(os.path.join(HERE, "case_*.py"))):
        importlib.import_module(os.path.basename(path)[:-3])
    numbers = [i for i, f in enumerate(client.CASES)
               if not sys.argv[2:]
               or any(w in f.__name__ for w in sys.argv[2:])]
    failed = 0
    # forked: they have the cases already
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        for i, fault in zip(numbers, pool.imap(tried, numbers)):
            name = client.CASES[i].__name__
            if fault is None:
                print("ok", name)
                continue
            failed += 1
            print("FAIL", name)
            print(fault)
    print(f"{len(numbers) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
