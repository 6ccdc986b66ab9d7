#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build directory with bench programs, root. Out: one Markdown table, and
the same as JSON beside them. Must never run on the machine's own network,
nor judge a time: what fails a run is a wrong answer.

    run.py BUILD [NAME...]   only benches whose name contains one of the words
    QUICK=1                  a short run, to see that they work
    AGENTS=1000              how many bench_fleet has

Each bench is a program bench_<noun> that is given a cgroup of its own, which
it is in, and prints lines of five fields, TAB between them: name, value,
unit, goal or "-", remark.
"""
import datetime
import glob
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "live"))

import world  # noqa: E402 - it is found through the line above

FIELDS = ("name", "value", "unit", "goal", "note")
QUIET_LOAD = 1.0


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def machine():
    """What the figures depend on."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return {"date": now.strftime("%Y-%m-%d %H:%M UTC"),
            "kernel": f"{platform.release()} {platform.machine()}",
            "cpu": f"{os.cpu_count()} x {cpu_model()}",
            "load": round(os.getloadavg()[0], 2),
            "quick": bool(os.environ.get("QUICK"))}


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


def text(number, unit):
    return f"{number:.3f}" if unit == "ratio" else f"{number:,.0f}"


def verdict(f):
    if f["goal"] is None:
        return ""
    return "met" if f["value"] <= f["goal"] else "missed"


def print_table(about, figures):
    print("\n%(date)s, Linux %(kernel)s, %(cpu)s, load %(load)s" % about)
    if about["quick"]:
        print("A short run: the figures mean little.")
    elif about["load"] > QUIET_LOAD:
        print("The machine was busy: the figures are too high.")
    rows = [("what", "value", "unit", "goal", "", "remark")]
    for f in figures:
        goal = "" if f["goal"] is None else text(f["goal"], f["unit"])
        rows.append((f["name"], text(f["value"], f["unit"]), f["unit"], goal,
                     verdict(f), f["note"]))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rows.insert(1, tuple("-" * w for w in widths))
    print()
    for row in rows:
        print("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) +
              " |")


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
    about, figures, failed = machine(), [], []
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
    print_table(about, figures)
    with open(os.path.join(build, "bench.json"), "w",
              encoding="utf-8") as f:
        json.dump({**about, "figures": figures}, f, indent=1)
    for line in failed:
        print(f"FAILED: {line}")
    if not figures:
        print("FAILED: there was nothing to run")
    return 1 if failed or not figures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted")
        sys.exit(130)
