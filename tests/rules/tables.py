# SPDX-License-Identifier: MIT
"""
In: the tables of tests/sim. Out: their rows as cases with the answer that was
written down by hand, and whether the walk of engine.py gives it. Must never
pass over a line it does not understand.
"""
import glob
import os

import engine
import generate

START = frozenset(("known", "names", "verified"))
FLAGS = {"nameless": "-names", "groups-cut": "+groups-cut",
         "unverified": "-verified", "replaced": "+replaced",
         "unknown": "-known", "kernel": "+kernel", "direct": "+direct"}


def read_caller(words):
    caller = {"flags": set(START), "uid": 1000, "euid": 1000, "nlink": 1,
              "user": None, "exe": b"", "groups": [], "process_groups": []}
    for word in words:
        key, given, value = word.partition("=")
        if key == "uid":
            caller["uid"] = caller["euid"] = int(value)
        elif key == "euid":
            caller["euid"] = int(value)
        elif key in ("user", "exe"):
            caller[key] = value.encode()
        elif key in ("groups", "process-groups"):
            caller[key.replace("-", "_")] = value.encode().split(b",")
        elif given or key not in FLAGS:
            raise ValueError(f"no such fact: {word}")
        elif FLAGS[key][0] == "+":
            caller["flags"].add(FLAGS[key][1:])
        else:
            caller["flags"].discard(FLAGS[key][1:])
    return caller


class Table:
    """worlds, each of one profile, and per world the answers wanted"""

    def __init__(self, path):
        self.name = os.path.basename(path)
        self.world = generate.World("none", None, 0, [])
        self.worlds, self.wanted = [self.world], []
        self.endpoint, self.callers = "imds", {}
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                self.read(line.rstrip("\n"), lines)

    def read(self, line, lines):
        word, _, rest = line.partition(" ")
        if not line or line.startswith("#"):
            return
        if word == "endpoint":
            self.endpoint = rest
        elif word == "profile":
            text = "".join(iter(lambda: next(lines), "end\n"))
            self.world = generate.World("profile", text, 1, [])
            self.worlds.append(self.world)
        elif word == "caller":
            name, *facts = rest.split(" ")
            self.callers[name] = read_caller([f for f in facts if f])
        else:
            row, _, wanted = line.partition(" -> ")
            method, target, caller = row.split(" ")
            self.world.cases.append((self.callers[caller], self.endpoint,
                                     method.encode(), target.encode()))
            self.wanted.append(wanted)


def describe(decision):
    words = [decision.verdict, decision.reason]
    if decision.canon != "CANON_OK":
        words.append(decision.canon)
    elif decision.privilege:
        words.append((decision.privilege + b"/"
                      + (decision.identity or b"-")).decode())
    return " ".join(words)


def load():
    paths = sorted(glob.glob("tests/sim/*.tests"))
    if not paths:
        raise RuntimeError("tests/sim: no tables")
    return [Table(path) for path in paths]


def run(verbose):
    claims = []
    for table in load():
        got = []
        for world in table.worlds:
            rules = world.text and engine.Rules(world.text)
            for caller, endpoint, method, target in world.cases:
                request = engine.Request(method, target)
                got.append(describe(engine.decide(rules, endpoint, request,
                                                  caller)))
        cases = [case for world in table.worlds for case in world.cases]
        for case, wanted, answer in zip(cases, table.wanted, got):
            if wanted != answer:
                print(f"  {table.name}: {case[2]} {case[3]}: the walk says "
                      f"'{answer}', the table '{wanted}'")
        if verbose:
            print(f"    {table.name:<28} {len(got)} rows")
        claims.append((f"the walk follows {table.name}",
                       bool(got) and got == table.wanted))
    return claims
