# SPDX-License-Identifier: MIT
"""
In: the program decide, a seed, a number of cases. Out: how often libmsp and
the walk of engine.py differ, what part of the cases is what, and each
difference as small as it gets. Must never count a case that neither answered.
"""
import collections
import json
import multiprocessing
import os
import shlex

import driver
import generate

SHOWN = 5
WORLDS_PER_TASK = 125

# What the cases must contain to be worth their number: at least one in
# RARE_ENOUGH each. Absent are CANON_UNDERFLOW, as ".." is refused before it,
# CANON_OVERLONG, which is in the list for its own sake, and the reason
# "error", which is no decision.
RARE_ENOUGH = 2000
WANTED = (
    ["deny", "allow", "allow-audited"]
    + ["reason " + word for word in (
        "unknown-caller direct not-root canon exempt no-rules disabled "
        "granted no-identity default-allow default-deny").split()]
    + ["code CANON_" + word for word in (
        "SCHEME METHOD USERINFO PCT UTF8 NON_ASCII CTRL EMBQ HOST PORT "
        "SLASHES TRAVERSAL AMBIGUOUS DUPLICATE_PARAM FORM").split()]
    + ["form " + word for word in "origin absolute asterisk other".split()])


def classify(counts, answer):
    words = answer.split()
    counts[words[0]] += 1
    counts["reason " + words[1]] += 1
    if words[1] == "canon":
        counts["code " + words[2]] += 1
    if len(words) > 10:
        counts["form " + words[9]] += 1


def compare(program, worlds):
    """(counts, [(world, its case or None, expected, got)])"""
    expected = driver.expect(worlds)
    got = driver.ask(program, worlds)
    for mine, its in zip(expected, got):
        if len(mine) != len(its):
            raise RuntimeError(f"{len(its)} answers instead of {len(mine)}")
    counts = collections.Counter()
    for answer in expected[1]:
        classify(counts, answer)
    differences = [(world, None, mine, its) for world, mine, its
                   in zip(worlds, expected[0], got[0]) if mine != its]
    cases = ((world, case) for world in worlds for case in world.cases)
    differences += [(world, case, mine, its) for (world, case), mine, its
                    in zip(cases, expected[1], got[1]) if mine != its]
    return counts, differences


def deadly(program, worlds):
    """The first case that ends the program, as a difference."""
    for world in worlds:
        for case in [None] + world.cases:
            try:
                compare(program, [alone(world, case)])
            except RuntimeError as error:
                return [(world, case, "an answer", str(error))]
    return [(worlds[0], None, "an answer", "none, to many cases at once")]


def task(arguments):
    program, seed, first, n_cases = arguments
    worlds = []
    while n_cases > 0:
        worlds.append(generate.world(seed, first + len(worlds), min(
            n_cases, generate.CASES_PER_WORLD)))
        n_cases -= generate.CASES_PER_WORLD
    try:
        counts, differences = compare(program, worlds)
    except RuntimeError:
        counts, differences = collections.Counter(), deadly(program, worlds)
    return (sum(len(world.cases) for world in worlds), counts,
            differences[:SHOWN], len(differences))


def tasks(program, seed, count):
    per_task = WORLDS_PER_TASK * generate.CASES_PER_WORLD
    for done in range(0, count, per_task):
        yield (program, seed, done // generate.CASES_PER_WORLD,
               min(per_task, count - done))


# ---- a difference, made small ----------------------------------------------

def alone(world, case, text=None, changed=None):
    return generate.World(world.kind, text or world.text, world.epoch,
                          [] if case is None else [changed or case])


def differs(program, world):
    try:
        return bool(compare(program, [world])[1])
    except RuntimeError:
        return True  # it died: also something to show
    except (KeyError, TypeError, AttributeError, ValueError):
        return False  # no profile any more


def fewer(items):
    """The list without a half, a quarter, ... of it, then single ones."""
    size = len(items)
    while size:
        for start in range(0, len(items), size):
            yield items[:start] + items[start + size:]
        size //= 2


def smaller_profiles(text):
    item = json.loads(text)
    rules = item.get("rules") or {}
    for name, values in rules.items():
        for shorter in fewer(values or []):
            yield json.dumps({**item, "rules": {**rules, name: shorter}})
    for name, inner in (("roles", "privileges"),
                        ("roleAssignments", "identities")):
        for i, value in enumerate(rules.get(name) or []):
            for shorter in fewer(value[inner]):
                changed = list(rules[name])
                changed[i] = {**value, inner: shorter}
                yield json.dumps({**item, "rules": {**rules, name: changed}})


def smaller_cases(case):
    caller, endpoint, method, target = case
    for shorter in fewer(target):
        yield caller, endpoint, method, shorter
    for key in ("groups", "process_groups"):
        for shorter in fewer(caller[key]):
            yield {**caller, key: shorter}, endpoint, method, target
    for flag in sorted(caller["flags"] - {"known"}):
        yield ({**caller, "flags": caller["flags"] - {flag}}, endpoint,
               method, target)


def minimise(program, world, case, rounds=40):
    """The smallest world with one case that still differs."""
    small = alone(world, case)
    if not differs(program, small):
        return small  # only in company: shown as it is
    for _ in range(rounds):
        tries = []
        if small.kind == "profile":
            tries += [alone(small, c, text) for c in small.cases or [None]
                      for text in smaller_profiles(small.text)]
        tries += [alone(small, c, None, changed) for c in small.cases
                  for changed in smaller_cases(c)]
        for smaller in tries:
            if differs(program, smaller):
                small = smaller
                break
        else:
            break
    return small


def latin(value):
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, (set, list, tuple)):
        return [latin(v) for v in
                (sorted(value) if isinstance(value, set) else value)]
    if isinstance(value, dict):
        return {key: latin(v) for key, v in value.items()}
    return value


def save(world):
    """One line that replay() takes."""
    return json.dumps({"kind": world.kind, "text": world.text,
                       "epoch": world.epoch, "cases": latin(world.cases)})


def load(line):
    item = json.loads(line)
    cases = []
    for caller, endpoint, method, target in item["cases"]:
        caller["flags"] = set(caller["flags"])
        for key in ("groups", "process_groups"):
            caller[key] = [g and g.encode("latin-1") for g in caller[key]]
        for key in ("user", "exe"):
            caller[key] = caller[key] and caller[key].encode("latin-1")
        cases.append((caller, endpoint, method.encode("latin-1"),
                      target.encode("latin-1")))
    return generate.World(item["kind"], item["text"], item["epoch"], cases)


def readable(answer):
    """Texts of an answer as text."""
    return " ".join(
        repr(bytes.fromhex(word[1:]).decode("latin-1"))
        if word.startswith("=") else word for word in answer.split(" "))


def show(program, seed, difference):
    world, case = difference[:2]
    small = minimise(program, world, case)
    print(f"  DIFFERS seed {seed}, world {world.epoch - 1}")
    try:
        mine, its = driver.expect([small]), driver.ask(program, [small])
        for title, answers in (("the walk", mine), ("libmsp", its)):
            for line in answers[0] + answers[1]:
                print(f"    {title:<9} {readable(line)}")
    except RuntimeError as error:
        print(f"    {error}")
    for case in small.cases:
        print(f"    request   {case[1]} {case[2]} {case[3]}")
    print(f"    REPLAY={shlex.quote(save(small))}", flush=True)


def replay(program, line):
    """True if both come to the same."""
    try:
        _, differences = compare(program, [load(line)])
    except RuntimeError as error:
        differences = [(None, None, "an answer", str(error))]
    for _, _, mine, its in differences:
        print(f"  DIFFERS\n    the walk  {readable(mine)}\n"
              f"    libmsp    {readable(its)}")
    return not differences


# ---- the run ---------------------------------------------------------------

def run(program, count, seed, verbose):
    """[(what is claimed, whether it holds)]"""
    total, n_differences = 0, 0
    counts, shown = collections.Counter(), []
    with multiprocessing.Pool(len(os.sched_getaffinity(0))) as pool:
        for n, part, some, n_some in pool.imap_unordered(
                task, tasks(program, seed, count)):
            total += n
            counts += part
            n_differences += n_some
            shown = (shown + some)[:SHOWN]
    for difference in shown:
        show(program, seed, difference)
    print(f"  {total} cases, seed {seed}: {n_differences} differences",
          flush=True)
    if verbose:
        for key, n in sorted(counts.items()):
            print(f"    {key:<28} {n:8d} {100 * n / total:6.2f} %")
    claims = [(f"{count} cases without a difference",
               total == count and not n_differences)]
    claims += [(f"cases have {key} often enough ({counts[key]})",
                counts[key] * RARE_ENOUGH >= total) for key in WANTED]
    return claims
