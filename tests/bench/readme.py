#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: bench.json of a whole run. Out: the part of a text between two marks, made
of it anew, and shown. Must never show a short run, nor a part of one.

    readme.py BENCH.JSON README.md
"""
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import table  # noqa: E402 - found through the line above

BEGIN, END = "<!-- bench: made by make bench README=1 -->\n", "<!-- end -->\n"
WAYS = ("mspd", "nginx", "haproxy", "relay")
# Whose goals are of interest to those who use it.
BENCHES = ("proxies", "bench_sign")


def by_load(traffic):
    out = {}
    for row in traffic:
        out.setdefault(row["load"], {})[row["way"]] = row
    return out


def loads(traffic):
    head = ("load", *(f"CPU us: {name}" for name in WAYS),
            *(f"{what}: {name}" for what in ("requests/s", "p50 us", "p99 us")
              for name in WAYS[:2]))
    return table.markdown(head, [
        (load, *(table.text(ways[name]["cpu_us"], "") for name in WAYS),
         *(table.text(ways[name][key], "") for key in
           ("rate", "p50_us", "p99_us") for name in WAYS[:2]))
        for load, ways in by_load(traffic).items()])


def goals(figures):
    """A figure that begins with a dash says more of the one above it."""
    lines, above = [], ""
    for f in figures:
        if not f["name"].startswith("- "):
            above = f["name"]
        if f["goal"] is None or f["bench"] not in BENCHES:
            continue
        name, *rest = table.line(f)
        if name.startswith("- "):
            name = f"{above}: {name[2:]}"
        lines.append((name, *rest))
    return table.markdown(table.FIGURE, lines)


def fragment(bench):
    return "\n\n".join((table.where(bench), loads(bench["traffic"]),
                        goals(bench["figures"]), table.HOW)) + "\n"


def main():
    if len(sys.argv) != 3:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as f:
        bench = json.load(f)
    missing = set(BENCHES) - {f["bench"] for f in bench["figures"]}
    if bench["quick"] or missing:
        print("not a whole run: README stays as it is")
        return 1
    with open(sys.argv[2], encoding="utf-8") as f:
        before, begin, rest = f.read().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        print(f"{sys.argv[2]} has no place for it", file=sys.stderr)
        return 1
    text = fragment(bench)
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        f.write(before + BEGIN + text + END + after)
    print("\n" + text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
