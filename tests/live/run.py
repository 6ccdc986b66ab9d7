#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build directory, root. Out: the cases of case_*.py run against real
eBPF, real clients and msp-host; one tally. Must never run on the machine's
own network.

    run.py BUILD [NAME...]   only cases whose name contains one of the words
    V=1                      name each case as it passes
    TIMES=20                 at the end, the cases that took longest
    TOGETHER=1               so many classes at once, 3 unless told: most of
                             their time they wait. What one prints comes whole,
                             at its end. Classes with `alone = True` come last,
                             one by one: they look at what is shared
    TRIES=1000               of each attack, 300 unless told
    KEEP=1                   leave the directories of the worlds
"""
import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import world  # noqa: E402 - it is found through the line above

CASE_SECONDS = 180


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


def classes(suite, words):
    """The cases of each, as one suite."""
    found = {}
    for test in wanted(suite, words):
        found.setdefault(type(test), []).append(test)
    return [(kind, unittest.TestSuite(tests))
            for kind, tests in found.items()]


class Total:
    """What all of it came to."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.times = []

    def run(self, suite):
        """In a network of its own: which class was before is chance, and
        ports of ended connections are in use for a minute."""
        result = Result()
        world.enter_namespace()
        try:
            suite.run(result)
        finally:
            for left in list(world.World.open):
                left.close()
        self.add(result.passed, len(result.failures) + len(result.errors),
                 len(result.skipped), result.times)
        return self

    def add(self, passed, failed, skipped, times):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        self.times += times

    def tally(self, slowest):
        for wall, used, name in sorted(self.times, reverse=True)[:slowest]:
            print(f"  {wall:5.1f} s, {used:5.1f} s of CPU  {name}")
        print(f"{self.passed} passed, {self.failed} failed, "
              f"{self.skipped} skipped")
        return 1 if self.failed else 0


# ---- some classes at once --------------------------------------------------
def printed(work, *args):
    """Its value, and what it and its children wrote meanwhile."""
    with tempfile.TemporaryFile() as f:
        kept = os.dup(1), os.dup(2)
        for fd in (1, 2):
            os.dup2(f.fileno(), fd)
        try:
            value = work(*args)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for fd, was in zip((1, 2), kept):
                os.dup2(was, fd)
                os.close(was)
        f.seek(0)
        return value, f.read().decode("utf-8", "replace")


def worker(pipe, suites):
    """The suites whose numbers it is told."""
    try:
        for number in iter(pipe.recv, None):
            pipe.send(printed(Total().run, suites[number]))
    except KeyboardInterrupt:
        sys.exit(130)


class Workers:

    def __init__(self, count, suites):
        self.waiting = list(enumerate(suites))
        self.at_work = {}
        fork = multiprocessing.get_context("fork")
        sys.stdout.flush()
        self.processes = []
        for _ in range(min(count, len(suites))):
            ours, theirs = fork.Pipe()
            process = fork.Process(target=worker,
                                   args=(theirs, [s for _, s in suites]))
            process.start()
            theirs.close()
            self.processes.append(process)
            self.give(ours)

    def give(self, pipe):
        if self.waiting:
            number, (kind, _) = self.waiting.pop(0)
            self.at_work[pipe] = kind
            pipe.send(number)
        else:
            pipe.send(None)

    def take(self, pipe, total):
        kind = self.at_work.pop(pipe)
        try:
            one, text = pipe.recv()
        except (EOFError, OSError):
            print(f"  FAILED  {kind.__module__}.{kind.__name__}: "
                  "its process has died")
            total.failed += 1
            return
        print(text, end="", flush=True)
        total.add(one.passed, one.failed, one.skipped, one.times)
        self.give(pipe)

    def run(self, total):
        while self.at_work:
            for pipe in multiprocessing.connection.wait(list(self.at_work)):
                self.take(pipe, total)
        for _, (kind, _) in self.waiting:
            print(f"  FAILED  {kind.__module__}.{kind.__name__}: not run")
            total.failed += 1

    def interrupt(self):
        """Each ends what it is at, and leaves nothing behind."""
        for process in self.processes:
            process.terminate()

    def join(self):
        for process in self.processes:
            process.join()


def run_all(found, total):
    together = [x for x in found if not getattr(x[0], "alone", False)]
    workers = Workers(int(os.environ.get("TOGETHER") or 3), together)
    try:
        workers.run(total)
    except KeyboardInterrupt:
        workers.interrupt()
        raise
    finally:
        workers.join()
    for kind, suite in found:
        if getattr(kind, "alone", False):
            total.run(suite)


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
    signal.signal(signal.SIGALRM, too_long)
    # unittest takes any other exception for a failed case and goes on
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = unittest.TestLoader().discover(HERE, "case_*.py", HERE)
    total = Total()
    try:
        run_all(classes(found, sys.argv[2:]), total)
    except KeyboardInterrupt:
        print("interrupted")
        return 130
    return total.tally(int(os.environ.get("TIMES") or 0))


if __name__ == "__main__":
    sys.exit(main())
