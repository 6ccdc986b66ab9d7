# SPDX-License-Identifier: MIT
"""
In: generated cases. Out: the line each engine answers, libmsp through the
program decide, the walk through engine.py. Must never repair an answer.
"""
import subprocess

import engine

SECONDS = 120


def text(value):
    return "-" if value is None else "=" + value.hex()


def texts(values):
    return ",".join(text(value) for value in values) or "."


def caller_line(caller):
    return " ".join((
        "caller", "+".join(sorted(caller["flags"])) or ".",
        str(caller["uid"]), str(caller["euid"]), str(caller["nlink"]),
        text(caller["user"]), text(caller["exe"]), texts(caller["groups"]),
        texts(caller["process_groups"])))


def case_line(case):
    _, endpoint, method, target = case
    return f"decide {endpoint} {text(method)} {text(target)}"


def rules_line(world):
    if world.kind == "none":
        return "none"
    if world.kind == "closed":
        return f"closed {world.epoch} {text(b'closed')}"
    return f"profile {world.epoch} {text(world.text.encode())}"


def lines(worlds):
    """What decide is told; callers only where they change."""
    for world in worlds:
        yield rules_line(world)
        last = None
        for case in world.cases:
            if case[0] is not last:
                last = case[0]
                yield caller_line(last)
            yield case_line(case)


def ask(program, worlds):
    """(answers to the profiles, answers to the cases)"""
    told = "\n".join(lines(worlds)) + "\n"
    try:
        done = subprocess.run([program], input=told, capture_output=True,
                              text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{program}: exit status none, ended after "
                           f"{SECONDS} s") from error
    if done.returncode:
        raise RuntimeError(f"{program}: exit status {done.returncode}: "
                           + done.stderr.strip())
    profiles, cases = [], []
    for line in done.stdout.splitlines():
        word = line.partition(" ")[0]
        if word in ("none", "closed", "profile", "refused"):
            profiles.append(line)
        elif word != "caller":
            cases.append(line)
    return profiles, cases


# ---- the same of the walk --------------------------------------------------

def installed(world):
    """(rules or None, the line that says so)"""
    if world.kind == "none":
        return None, "none"
    if world.kind == "closed":
        return engine.Rules(None, b"closed"), "closed"
    try:
        rules = engine.Rules(world.text)
    except engine.Refused:
        return engine.Rules(None, b"refused"), "refused"
    return rules, f"profile {rules.needs()}"


def dotted(address):
    return ".".join(str(byte) for byte in address.to_bytes(4, "big"))


def request_words(request):
    if request.too_long_or_empty():
        return "unset"
    authority = "-"
    named = request.authority()
    if named:
        address, port, is_name = named
        authority = (f"{dotted(address)}:{port}/"
                     + ("name" if is_name else "address"))
    return " ".join((request.form, request.code, authority,
                     "exempt" if request.exempt else "signed",
                     text(request.origin()), text(request.render()),
                     "stable"))


def expect_case(rules, epoch, case):
    caller, endpoint, method, target = case
    request = engine.Request(method, target)
    decision = engine.decide(rules, endpoint, request, caller)
    used = (f"{rules.mode.title()} {epoch} {text(rules.id)}" if rules
            else f"Enforce 0 {text(b'')}")
    return " ".join((decision.verdict, decision.reason, decision.canon,
                     text(decision.privilege), text(decision.identity),
                     used, "explained", request_words(request)))


def expect(worlds):
    profiles, cases = [], []
    for world in worlds:
        rules, line = installed(world)
        profiles.append(line)
        cases.extend(expect_case(rules, world.epoch, case)
                     for case in world.cases)
    return profiles, cases
