#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build directory, root. Out: every scenario of scenarios/*.json run, a
few at a time, each in a process and a network namespace of its own; one
tally. Must never count one that did not run to its end as passed.

    scenarios.py BUILD [WORD...]   only those whose name contains a word
    V=1                            name each as it passes, with its time
    JOBS=N                         so many at a time, default 3 more than there
                                   are processors, for they mostly wait
    SOAK=1                         only those that are marked as soak
    SCALE=60, KEEP=1               see scenario.py
"""
import concurrent.futures
import glob
import json
import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
running = set()
stopped = threading.Event()
lock = threading.Lock()


def run_one(build, path):
    """Exit status, what it printed, seconds."""
    begin = time.monotonic()
    with lock:
        if stopped.is_set():
            return 130, "", 0.0
        process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "scenario.py"), build, path],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        running.add(process)
    out = process.communicate()[0].decode("utf-8", "replace")
    with lock:
        running.discard(process)
    return process.returncode, out, time.monotonic() - begin


def stop(signum, frame):
    """Those that run clean up behind them, the others do not begin."""
    stopped.set()
    for process in list(running):
        process.terminate()


def wanted(words):
    for path in sorted(glob.glob(os.path.join(HERE, "scenarios", "*.json"))):
        name = os.path.basename(path)
        if words and not any(w in name for w in words):
            continue
        if os.environ.get("SOAK"):
            with open(path, encoding="utf-8") as f:
                if not json.load(f).get("soak"):
                    continue
        yield path


def first_longest(paths):
    """By the time that they wait for."""
    def minutes(path):
        with open(path, encoding="utf-8") as f:
            return sum(step.get("minutes", 0)
                       for step in json.load(f)["steps"])
    return sorted(paths, key=minutes, reverse=True)


def run_all(build, paths):
    passed = 0
    jobs = int(os.environ.get("JOBS") or os.cpu_count() + 3)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        begun = {pool.submit(run_one, build, path): path
                 for path in first_longest(paths)}
        for done in concurrent.futures.as_completed(begun):
            name = os.path.splitext(os.path.basename(begun[done]))[0]
            status, out, took = done.result()
            passed += status == 0
            if stopped.is_set():
                continue
            if status != 0:
                print(f"  FAILED  {name}  {took:.1f} s, exit status {status}")
                print("".join(f"      {line}\n"
                              for line in out.splitlines()), flush=True)
            elif os.environ.get("V"):
                print(f"  ok      {name}  {took:.1f} s", flush=True)
    return passed


def main():
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("scenarios need root, to load eBPF programs")
        print("0 passed, 0 failed, 1 skipped")
        return 77
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    paths = list(wanted(sys.argv[2:]))
    if not paths:
        print("there is no such scenario")
        print("0 passed, 1 failed, 0 skipped")
        return 1
    passed = run_all(os.path.abspath(sys.argv[1]), paths)
    if stopped.is_set():
        print("interrupted")
        return 130
    print(f"{passed} passed, {len(paths) - passed} failed, 0 skipped")
    return 0 if passed == len(paths) else 1


if __name__ == "__main__":
    sys.exit(main())
