#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: the sources, root. Out: for each row of changes.py, whether the scenario it
names fails when the behaviour is taken out. Must never touch the sources: what
is changed and built is a copy.

    mutants.py SOURCES [WORD...]   only rows whose scenario, file or text has
                                   one of the words
    CC=, JOBS=                     for the build
    V=1                            say how each one failed

A row whose text is not there any more is stale and fails the run, as does one
that survives: then the scenario is too weak, or the behaviour is not needed.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from changes import CHANGES  # noqa: E402 - found through the line above

SCENARIO = os.path.join(HERE, "scenario.py")
# What the runner says of a scenario that came to its verdict.
FAILED = 1


class Broken(Exception):
    """Neither survived nor killed: the row, or the build, is no good."""


def copy_sources(sources, to):
    """What git knows of, so that nothing else can be what is tested."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=sources, check=True,
                           stdout=subprocess.PIPE).stdout.decode()
    for name in filter(None, names.split("\0")):
        path = os.path.join(sources, name)
        if not os.path.isfile(path):
            continue
        target = os.path.join(to, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(path, target)


class Copy:
    """A tree of sources that is changed and built, again and again."""

    def __init__(self, sources):
        self.dir = tempfile.mkdtemp(prefix="msp-mutants-")
        # mspd leaves its privileges and still needs the library
        os.chmod(self.dir, 0o755)
        self.whole = os.path.join(self.dir, "whole")
        self.build = os.path.join(self.dir, "out")
        copy_sources(sources, self.dir)

    def make(self, build):
        jobs = os.environ.get("JOBS") or str(os.cpu_count())
        done = subprocess.run(
            ["make", "-j" + jobs, "O=" + build, "all"], cwd=self.dir,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise Broken("does not build:\n" +
                         done.stdout.decode("utf-8", "replace")[-2000:])

    def read(self, name):
        with open(os.path.join(self.dir, name), encoding="utf-8") as f:
            return f.read()

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(text)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def run(build, scenario):
    """Exit status, and what was said."""
    path = os.path.join(HERE, "scenarios", scenario + ".json")
    if not os.path.exists(path):
        raise Broken(f"there is no scenario {scenario}")
    process = subprocess.Popen([sys.executable, SCENARIO, build, path],
                               stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    try:
        said = process.communicate()[0]
    except BaseException:
        process.terminate()  # not killed: its world must be closed
        process.wait()
        raise
    return process.returncode, said.decode("utf-8", "replace")


def mutate(tree, row):
    """The file as it was."""
    text = tree.read(row.file)
    count = text.count(row.old)
    if count != 1:
        raise Broken(f"stale: the text is there {count} times")
    tree.write(row.file, text.replace(row.old, row.new))
    return text


def check_failure(row, status, said):
    """It failed for what it is about, not for want of a start."""
    if status != FAILED:
        raise Broken(f"the scenario ended with {status}:\n{said[-2000:]}")
    if said.startswith(row.scenario + ": the start"):
        raise Broken("nothing starts any more:\n" + said[:500])


def try_row(tree, row):
    """What the scenario said when it failed, or None if it passed."""
    original = mutate(tree, row)
    try:
        tree.make(tree.build)
        status, said = run(tree.build, row.scenario)
    finally:
        tree.write(row.file, original)
    if status == 0:
        return None
    check_failure(row, status, said)
    return said


def check_sound(tree, name, sound):
    """It passes as long as nothing is taken out; sound remembers that."""
    if name not in sound:
        sound[name] = run(tree.whole, name)
    status, said = sound[name]
    if status:
        raise Broken("the scenario fails without the change too:\n" + said)


def judge(tree, row, sound):
    """A word, and detail for V=1."""
    try:
        check_sound(tree, row.scenario, sound)
        said = try_row(tree, row)
    except Broken as e:
        return "BROKEN", str(e)
    return ("SURVIVED", "") if said is None else ("killed", said)


def wanted(words):
    for row in CHANGES:
        text = " ".join((row.scenario, row.file, row.takes_out))
        if not words or any(w in text for w in words):
            yield row


def show(row, word, detail):
    print(f"  {word:8}  {row.file}: {row.takes_out}  "
          f"[{row.scenario}]", flush=True)
    if word != "killed" or os.environ.get("V"):
        for line in re.sub(r"\n+", "\n", detail).splitlines()[:30]:
            print("      " + line)


def main():
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("scenarios need root, to load eBPF programs")
        print("0 passed, 0 failed, 1 skipped")
        return 77
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows = list(wanted(sys.argv[2:]))
    killed, sound = 0, {}
    tree = Copy(os.path.abspath(sys.argv[1]))
    try:
        tree.make(tree.whole)
        for row in rows:
            word, detail = judge(tree, row, sound)
            killed += word == "killed"
            show(row, word, detail)
    finally:
        tree.close()
    print(f"{killed} passed, {len(rows) - killed} failed, 0 skipped")
    return 0 if rows and killed == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
