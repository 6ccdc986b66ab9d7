#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build directory. Out: whether the profiles of msp_profile(5) do what its
tables of requests say. Must never pass a table it does not understand, nor
a profile that nobody has a table for.

    profile FILE [! REMARK]     one or more; each is asked everything below.
                                Reading it makes no remark, or this one
    endpoint imds | wireserver | hostga
    caller NAME [uid=N] [euid=N] [user=TEXT] [groups=A,B]
           [process-groups=A,B] [exe=PATH] [unverified] [nameless]
           [groups-cut] [unknown]
    CALLER VERDICT REASON[:PRIVILEGE] [METHOD] TARGET

In *.session a line "$ COMMAND", that ends with "\\" if it goes on with the next,
is followed by its standard output, and by its exit status in brackets if that
is not 0. Profiles that the commands write must be those that are here.

REASON is a code if the request has no canonical form. A line that begins with
a blank goes on with the request before it. "#" begins a comment line.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
VERDICTS = ("allow", "deny", "allow-audited")
WORDS = {"unverified": "-verified", "nameless": "-names",
         "groups-cut": "+groups-cut", "unknown": "-known"}
LISTS = ("groups", "process-groups")


class Table:
    """One file of cases."""

    def __init__(self, path):
        self.name = os.path.basename(path).rsplit(".", 1)[0]
        self.profiles = []  # (file, remark or None)
        self.callers = {}
        self.rows = []  # (line, endpoint, caller, method, target, expected)
        self.endpoint = None
        for number, line in joined(path):
            try:
                self.take(number, line)
            except (KeyError, ValueError) as error:
                raise SystemExit(f"{path}:{number}: {error!r}") from error
        if not self.profiles or not self.rows:
            raise SystemExit(f"{path}: no profile, or no request")

    def take(self, number, line):
        word, _, rest = line.partition(" ")
        if word == "profile":
            file, _, remark = rest.partition(" ! ")
            self.profiles.append((file, remark or None))
        elif word == "endpoint":
            self.endpoint = rest
        elif word == "caller":
            name, *facts = rest.split()
            self.callers[name] = caller_line(facts)
        else:
            self.rows.append(self.row(number, line))

    def row(self, number, line):
        caller, verdict, reason, request = line.split(None, 3)
        method, blank, target = request.partition(" ")
        if not blank:
            method, target = "GET", request
        if verdict not in VERDICTS or " " in target:
            raise ValueError(line)
        return (number, self.endpoint, self.callers[caller], method, target,
                f"{verdict} {reason}")


def joined(path):
    """(number, line) with what continues a line at its end"""
    number, whole = 0, ""
    with open(path, encoding="utf-8") as file:
        for at, line in enumerate(file, 1):
            if line.startswith(" ") and whole:
                # a target has no blanks in it, columns have
                whole += ("" if "/" in whole else " ") + line.strip()
                continue
            if whole:
                yield number, whole
            number, whole = at, line.strip()
            if whole.startswith("#"):
                whole = ""
    if whole:
        yield number, whole


# ---- the words of tests/rules/decide.c -------------------------------------

def text(value):
    return "-" if value is None else "=" + value.encode().hex()


def caller_line(facts):
    known = {"uid": "1000", "user": None, "exe": ""}
    flags = {"known", "names", "verified"}
    for fact in facts:
        name, equals, value = fact.partition("=")
        if equals and name in (*known, "euid", *LISTS):
            known[name] = value
            continue
        change = WORDS[fact]
        (flags.add if change[0] == "+" else flags.discard)(change[1:])
    lists = (",".join(text(one) for one in known[name].split(","))
             if name in known else "." for name in LISTS)
    return " ".join(("caller", "+".join(sorted(flags)) or ".", known["uid"],
                     known.get("euid", known["uid"]), "1", text(known["user"]),
                     text(known["exe"]), *lists))


def answer(line):
    verdict, reason, code, privilege = line.split(" ")[:4]
    name = "" if privilege == "-" else bytes.fromhex(privilege[1:]).decode()
    return verdict, code if reason == "canon" else reason, name


def ask(build, profile, rows):
    told = [f"profile 1 {text(profile)}"]
    for _, endpoint, caller, method, target, _ in rows:
        told += [caller, f"decide {endpoint} {text(method)} {text(target)}"]
    done = subprocess.run([f"{build}/tests/rules/decide"], text=True,
                          input="\n".join(told) + "\n", capture_output=True,
                          check=True, timeout=60)
    lines = done.stdout.splitlines()
    if not lines[0].startswith("profile "):
        raise SystemExit(f"the profile is refused: {lines[0]}")
    return [answer(line) for line in lines[2::2]]


# ---- claims ----------------------------------------------------------------

def read(name):
    with open(f"{HERE}/{name}", encoding="utf-8") as file:
        return file.read()


def verdicts(build, table, file):
    answers = ask(build, read(file), table.rows)
    if len(answers) != len(table.rows):
        yield f"{len(answers)} answers to {len(table.rows)} requests"
    for row, (verdict, reason, privilege) in zip(table.rows, answers):
        said = f"{verdict} {reason}"
        if ":" in row[-1]:
            said += f":{privilege}"
        if said != row[-1]:
            yield (f"{table.name}.cases:{row[0]}: {file}: {row[3]} {row[4]}: "
                   f"{said}, expected {row[-1]}")


def remarks(build, file, expected):
    """What reading says; the request is any."""
    env = {**os.environ, "LD_LIBRARY_PATH": build}
    done = subprocess.run([f"{build}/examples/check_profile", file, "x", "/x"],
                          cwd=HERE, env=env, text=True, capture_output=True,
                          check=False)
    lines = [line for line in done.stdout.splitlines()
             if re.match(re.escape(file) + r":\d", line)]
    if done.returncode not in (0, 1) or done.stderr:
        yield f"exit status {done.returncode}: {done.stderr.strip()}"
    if expected is None:
        yield from lines
    elif len(lines) != 1 or expected not in lines[0]:
        yield f"expected '{expected}', there is {lines}"


def same(arm, wire):
    """The same rules in both forms, as they are written."""
    arm, wire = json.loads(read(arm))["properties"], json.loads(read(wire))
    for name in ("mode", "defaultAccess"):
        if arm[name].lower() != wire[name]:
            yield f"{name}: {arm[name]} and {wire[name]}"
    if arm.get("rules") != wire.get("rules"):
        yield "the rules differ"


# ---- sessions --------------------------------------------------------------

def commands(path):
    """(line, command, what it says)"""
    parts = re.split(r"^\$ ", read(path), flags=re.M)
    number = 1 + parts[0].count("\n")
    for part in parts[1:]:
        command, said = re.fullmatch(r"((?:.*\\\n)*.*\n)((?:.*\n)*)",
                                     part).groups()
        yield number, command, said
        number += part.count("\n")


def value_of(path):
    """None: it is no JSON, which no profile is"""
    with open(path, encoding="utf-8") as file:
        try:
            return json.load(file)
        except ValueError:
            return None


def run(build, command, where):
    env = {**os.environ, "LC_ALL": "C", "LD_LIBRARY_PATH": build,
           "PATH": f"{build}/mspd/ctl:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], env=env,
                          cwd=where, text=True, stdin=subprocess.DEVNULL,
                          capture_output=True, check=False, timeout=60)
    status = f"[{done.returncode}]\n" if done.returncode else ""
    return done.stdout + status, done.stderr


def session(build, path):
    """Faults of one; it runs beside copies of all that is here."""
    with tempfile.TemporaryDirectory() as where:
        for name in os.listdir(HERE):
            shutil.copy(f"{HERE}/{name}", where)
        steps = list(commands(path))
        if not steps:
            yield "has no command"
        for number, command, said in steps:
            out, err = run(build, command, where)
            if out != said:
                yield f"{path}:{number}: {command.strip()}: {out}{err}"
        for made in glob.glob(f"{where}/*.json"):
            name = os.path.basename(made)
            if not (os.path.exists(f"{HERE}/{name}") and
                    value_of(made) == value_of(f"{HERE}/{name}")):
                yield f"{path}: makes another {name}"


def strangers(tables):
    """Profiles that no table is about."""
    told = {file for table in tables for file, _ in table.profiles}
    for path in glob.glob(f"{HERE}/*.json"):
        if os.path.basename(path) not in told:
            yield f"{path} is in no table"


def claims(build):
    """(name, faults) of all that is here"""
    tables = [Table(path) for path in sorted(glob.glob(f"{HERE}/*.cases"))]
    yield "profiles_have_tables", strangers(tables)
    for path in sorted(glob.glob(f"{HERE}/*.session")):
        name = os.path.basename(path)
        yield f"{name}_goes_as_told", session(build, name)
    for table in tables:
        for file, remark in table.profiles:
            yield f"{file}_is_well_formed", remarks(build, file, remark)
            yield f"{file}_decides_as_told", verdicts(build, table, file)
        if len(table.profiles) == 2:
            files = [file for file, _ in table.profiles]
            yield f"{table.name}_is_the_same_in_both_forms", same(*files)


def main(build):
    passed = failed = 0
    for name, faults in claims(build):
        faults = list(faults)
        passed, failed = passed + (not faults), failed + bool(faults)
        if faults:
            print(f"  FAILED  {name}")
        elif os.environ.get("V"):
            print(f"  ok      {name}")
        for fault in faults:
            print(f"          {fault}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
