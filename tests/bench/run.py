#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build directory with bench programs, root. Out: Markdown tables, and the
same as bench.json beside them. Must never run on the machine's own network,
nor judge a time: what fails a run is a wrong answer.

    run.py BUILD [WORD...]   only benches whose name contains one of the words:
                             proxies, or that of a program
    QUICK=1                  a short run, to see that they work
    AGENTS=1000              how many bench_fleet has

Each bench is a program bench_<noun> that is given a cgroup of its own, which
it is in, and prints lines of five fields, TAB between them: name, value,
unit, goal or "-", remark.
"""
import glob
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "live")]

import proxybench  # noqa: E402 - found through the lines above
import table  # noqa: E402
import world  # noqa: E402

FIELDS = ("name", "value", "unit", "goal", "note")


def figure(bench, line):
    parts = dict(zip(FIELDS, line.split("\t")))
    goal = parts["goal"]
    return {"bench": bench, "name": parts["name"],
            "value": float(parts["value"]), "unit": parts["unit"],
            "goal": None if goal == "-" else float(goal),
            "note": parts["note"]}


class Room:
    """A copy of the program three directories deep, as /usr/bin/curl is, and
    a cgroup for it."""

    def __init__(self, program):
        self.dir = tempfile.mkdtemp(prefix="msp-bench-")
        self.cgroup = os.path.join(world.cgroup_mount(),
                                   os.path.basename(self.dir))
        self.program = os.path.join(self.dir, os.path.basename(program))
        os.chmod(self.dir, 0o755)
        os.mkdir(self.cgroup)
        shutil.copy(program, self.program)

    def join(self):
        with open(os.path.join(self.cgroup, "cgroup.procs"), "w",
                  encoding="ascii") as f:
            f.write("0")

    def close(self):
        shutil.rmtree(self.dir)
        # its processes end with their parent, but not at once
        world.wait_until(self.left_empty, why="the cgroup is empty")

    def left_empty(self):
        try:
            os.rmdir(self.cgroup)
        except OSError:
            return False
        return True


def run(program, build):
    """Figures and exit status of one bench."""
    room = Room(program)
    env = {"PATH": world.PATH, "LD_LIBRARY_PATH": build, "TMPDIR": room.dir,
           "MSP_HOST": os.path.join(build, "examples/msp-host/msp-host")}
    for name in ("QUICK", "AGENTS"):
        if os.environ.get(name):
            env[name] = os.environ[name]
    try:
        done = subprocess.run([room.program, room.cgroup], env=env, text=True,
                              stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, preexec_fn=room.join)
    finally:
        room.close()
    name = os.path.basename(program)
    return ([figure(name, line) for line in done.stdout.splitlines()],
            done.returncode)


def run_programs(build, words):
    """Figures, and what went wrong."""
    figures, failed = [], []
    found = sorted(p for p in glob.glob(
        os.path.join(build, "tests/bench/bench_*")) if os.access(p, os.X_OK))
    for program in found:
        name = os.path.basename(program)
        if not any(w in name for w in words):
            continue
        print(f"  BENCH   {name}", flush=True)
        more, status = run(program, build)
        figures += more
        if status:
            failed.append(f"{name}: exit status {status}")
    return figures, failed


def run_proxies(build, words):
    """The same, and the rows of loads."""
    if not any(w in "proxies" for w in words):
        return [], [], []
    absent = proxybench.missing()
    if absent:
        print(absent, flush=True)
        return [], [], [absent]
    try:
        rows, figures = proxybench.run(build)
    except (world.Failed, OSError, subprocess.SubprocessError) as e:
        return [], [], [f"proxies: {e}"]
    return rows, figures, []


def main():
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("the benches need root, to load eBPF programs")
        return 77
    build = os.path.abspath(sys.argv[1])
    words = sys.argv[2:] or [""]
    # so that what is open is closed
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    world.enter_namespace()
    about = table.machine()
    rows, figures, failed = run_proxies(build, words)
    more, wrong = run_programs(build, words)
    failed += wrong
    if rows:
        about["others"] = statistics.median(
            one["others"] for row in rows for one in row["runs"])
    table.heading(about)
    if rows:
        table.loads(rows)
    if figures + more:
        table.figures(figures + more)
    with open(os.path.join(build, "bench.json"), "w",
              encoding="utf-8") as f:
        json.dump({**about, "traffic": rows, "figures": figures + more}, f,
                  indent=1)
    for line in failed:
        print(f"FAILED: {line}")
    if not figures + more and not failed:
        print("FAILED: there was nothing to run")
    return 1 if failed or not figures + more else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted")
        sys.exit(130)
