#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build directory, root. Out: the cases of case_*.py run against real
eBPF, real clients and msp-host; one tally. Must never run on the machine's
own network.

    run.py BUILD [NAME...]   only cases whose name contains one of the words
    V=1                      name each case as it passes
    TIMES=20                 at the end, the cases that took longest
    KEEP=1                   leave the directories of the worlds
"""
import os
import resource
import signal
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import world  # noqa: E402 - it is found through the line above

CASE_SECONDS = 120


def too_long(signum, frame):
    raise world.Failed(f"took more than {CASE_SECONDS} s")


def cpu():
    """Seconds of CPU of this process and of the children it waited for."""
    used = [resource.getrusage(who) for who in
            (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


class Result(unittest.TestResult):
    """Names what failed, and with V=1 what passed."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.verbose = bool(os.environ.get("V"))
        self.started = 0.0
        self.used = 0.0
        self.times = []

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()
        self.used = cpu()
        signal.alarm(CASE_SECONDS)

    def stopTest(self, test):
        signal.alarm(0)
        self.times.append((time.monotonic() - self.started,
                           cpu() - self.used, self.name(test)))
        super().stopTest(test)

    def slowest(self, n):
        for wall, used, name in sorted(self.times, reverse=True)[:n]:
            print(f"  {wall:5.1f} s, {used:5.1f} s of CPU  {name}")

    @staticmethod
    def name(test):
        return test.id() if hasattr(test, "id") else str(test)

    def say(self, word, test):
        took = time.monotonic() - self.started if self.started else 0
        print(f"  {word:<7} {self.name(test)}  {took:.1f} s", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        if self.verbose:
            self.say("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"  SKIPPED {self.name(test)}: {reason}", flush=True)

    def bad(self, test, err):
        self.say("FAILED", test)
        print(self._exc_info_to_string(err, test)
              if isinstance(test, unittest.TestCase)
              else "".join(str(err[1])), flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.bad(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.bad(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.bad(subtest, err)


def wanted(suite, words):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from wanted(test, words)
        elif not words or any(w in test.id() for w in words):
            yield test


def main():
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("the live suite needs root, to load eBPF programs")
        print("0 passed, 0 failed, 1 skipped")
        return 77
    world.World.build = os.path.abspath(sys.argv[1])
    os.chdir("/")
    os.umask(0o022)
    world.enter_namespace()
    signal.signal(signal.SIGALRM, too_long)
    # unittest takes any other exception for a failed case and goes on
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = unittest.TestLoader().discover(HERE, "case_*.py", HERE)
    result = Result()
    try:
        unittest.TestSuite(wanted(found, sys.argv[2:])).run(result)
    except KeyboardInterrupt:
        print("interrupted")
        return 130
    finally:
        for left in list(world.World.open):
            left.close()
    result.slowest(int(os.environ.get("TIMES") or 0))
    failed = len(result.failures) + len(result.errors)
    print(f"{result.passed} passed, {failed} failed, "
          f"{len(result.skipped)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
