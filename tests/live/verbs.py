# SPDX-License-Identifier: MIT
"""
In: one step of a scenario, as scenario.py describes them. Out: it is done, or
Failed says what was expected and what was seen. Must never be content with
less than the step asks for.
"""
import glob
import json
import os
import signal
import subprocess
import threading
import time

import crowd
import sign
import wire
import world
from expect import ABSENT, at, differences, fits
from world import Failed

USERS = {"root": 0, "daemon": world.DAEMON, "nobody": world.NOBODY}
PLACES = {"imds": (world.IMDS, 80), "wireserver": (world.WIRESERVER, 80),
          "hostga": (world.WIRESERVER, world.HOSTGA_PORT),
          "listener": world.LISTENER}
ARM_API = "2025-04-01"
EVENTUALLY = 10  # minutes, scaled; but
EVENTUALLY_LEAST = 20  # real seconds, for a machine with much to do


def differ(wanted, document, what):
    faults = list(differences(wanted, document))
    if faults:
        raise Failed(f"{what}: " + "; ".join(faults))


# ---- what the runner asks of the two control planes ------------------------
def ask_control(run, method, target, body):
    if body is not None and not isinstance(body, str):
        body = json.dumps(body)
    data = wire.request(method.encode(), target, world.CONTROL[0],
                        body=None if body is None else body.encode())
    answer = wire.talk(world.CONTROL, [data])[0]
    if answer is None:
        raise Failed(f"{method} {target}: closed without an answer")
    try:
        return answer.status, json.loads(answer.body or b"null")
    except ValueError:
        raise Failed(f"{method} {target}: not JSON: {answer.body}") from None


def judge_control(step, what, status, document):
    want = step.get("status", [200, 201, 202, 204])
    if not fits(want, status):
        raise Failed(f"{what}: expected status {want}, seen {status} "
                     f"{json.dumps(document)[:1000]}")
    differ(step.get("expect", {}), document, what)


def control(run, step):
    method, target = step["control"].split(" ", 1)
    judge_control(step, step["control"],
                  *ask_control(run, method, target, step.get("body")))


def arm(run, step):
    method, path = step["arm"].split(" ", 1)
    target = f"{path}?api-version={step.get('api', ARM_API)}"
    status, document = ask_control(run, method, target, step.get("body"))
    judge_control(step, step["arm"], status, document)
    for field in ("code", "message"):
        if field in step:
            differ({f"error.{field}": step[field]}, document, step["arm"])


def gallery(run, step):
    """The profile, and its versions in short form."""
    place = {"location": "westeurope"}
    v = run.variables
    arm(run, {"arm": f"PUT {v['GALLERY']}", "body": place})
    arm(run, {"arm": f"PUT {v['PROFILE']}", "body": {
        **place, "properties": {"osType": "Linux",
                                "applicableHostEndpoint": "IMDS"}}})
    for version, properties in step["gallery"].items():
        arm(run, {"arm": f"PUT {v['PROFILE']}/versions/{version}", "body": {
            **place, "properties": {
                "mode": "Enforce", "defaultAccess": "Deny",
                "targetLocations": [{"name": "West Europe"}],
                **properties}}})


def fault(run, step):
    status, document = ask_control(run, "POST", "/faults", step["fault"])
    if status not in (200, 201):
        raise Failed(f"fault: {status} {document}")
    run.variables[step.get("as", "FAULT")] = document["number"]


def clear(run, step):
    rest = "" if step["clear"] == "all" else f"/{step['clear']}"
    status, document = ask_control(run, "DELETE", f"/faults{rest}", None)
    if status not in (200, 204):
        raise Failed(f"clear {step['clear']}: {status} {document}")


# ---- clients ----------------------------------------------------------------
def signed_headers(run, step, method, target, host, body):
    """As an agent would sign, with the key in that file of the key folder, or
    with what was copied from there before it was removed."""
    name = run.world.path("keys", step["sign"] + ".key")
    key = json.loads(run.backup.get(name) or run.world.read(name))
    skew = step.get("skew", 0)
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT",
                         time.gmtime(time.time() + skew))
    headers = [world.METADATA, (b"x-ms-azure-host-date", date.encode()),
               (b"x-ms-azure-host-claims", b'{ "isRoot": "true"}')]
    data = wire.request(method, target, host, headers, body)
    value = sign.signature(wire.parse_request(data)[0],
                           bytes.fromhex(key["key"]))
    return headers + [(sign.AUTHORIZATION, b"Azure-HMAC-SHA256 " +
                       key["guid"].encode() + b" " + value)]


def drip(address, data, pieces, pause):
    """One request whose last bytes come slowly."""
    cut = len(data) - pieces
    with wire.connect(address) as s:
        s.sendall(data[:cut])
        for i in range(pieces):
            time.sleep(pause)
            s.sendall(data[cut + i:cut + i + 1])
        return [wire.receive(s, b"", False)[0]]


def attempt(function, *args, **kwargs):
    """Answer, or a word for none; in the client's process."""
    try:
        answer = function(*args, **kwargs)[0]
    except (OSError, wire.Malformed) as e:
        return crowd.outcome_of(e)
    return "closed" if answer is None else answer


def ask(run, step):
    """Answer, or a word for none."""
    method, target = step["request"].split(" ", 1)
    address = PLACES[step.get("of", "imds")]
    host = address[0] if address[1] == 80 else "%s:%d" % address
    body = step.get("body")
    body = body.encode() if isinstance(body, str) else body
    headers = [(k.encode(), v.encode())
               for k, v in step.get("headers", {}).items()]
    if "sign" in step:
        headers += signed_headers(run, step, method.encode(), target, host,
                                  body)
    elif step.get("metadata", True):
        headers.append(world.METADATA)
    data = wire.request(method.encode(), target, host, headers, body)
    who = {"uid": USERS[step.get("as", "root")],
           "inside": step.get("inside", True)}
    if not who["inside"]:
        run.outside.add(target)
    if "drip" in step:
        return run.world.call(attempt, drip, address, data, step["drip"],
                              run.scaled(10), **who)
    return run.world.call(attempt, wire.talk, address, [data], **who,
                          source=step.get("source"))


def text_of(answer):
    body = answer.body.decode("utf-8", "replace")
    try:
        return json.loads(body)
    except ValueError:
        return body


def judge_answer(run, step, answer, since):
    what = f"{step['request']} as {step.get('as', 'root')}"
    status = answer if isinstance(answer, str) else answer.status
    if not fits(step.get("status", 200), status):
        raise Failed(f"{what}: expected status {step.get('status', 200)}, "
                     f"seen {status}")
    if "verdict" in step:
        judge_verdict(run, step, what, since)
    if isinstance(answer, str):
        if "through" in step or "expect" in step:
            raise Failed(f"{what}: {answer}, hence nothing to look at")
        return
    if "through" in step and \
            step["through"] != (world.PASSED in answer.headers):
        raise Failed(f"{what}: {'not ' if step['through'] else ''}"
                     "answered through the agent")
    if "body" in step.get("expect", {}):
        differ({"body": step["expect"]["body"]}, {"body": text_of(answer)},
               what)
    differ({k: v for k, v in step.get("expect", {}).items() if k != "body"},
           text_of(answer), what)


def judge_verdict(run, step, what, since):
    mine = [e for e in run.seen(since)
            if step["request"] == f"{e['method']} {e['target']}"]
    verdict = mine[-1]["verdict"] if mine else None
    if mine and mine[-1]["reason"]:
        verdict += ":" + mine[-1]["reason"]
    if not fits(step["verdict"], verdict):
        raise Failed(f"{what}: expected the host's verdict "
                     f"{step['verdict']!r}, seen {verdict!r}")


def request(run, step):
    if "begin" in step:
        started = {"step": step, "since": run.seen_size()}

        def work():
            started["answer"] = ask(run, step)
        started["thread"] = threading.Thread(target=work, daemon=True)
        run.begun[step["begin"]] = started
        started["thread"].start()
        return
    since = run.seen_size()
    judge_answer(run, step, ask(run, step), since)


def join(run, step):
    started = run.begun.pop(step["join"])
    started["thread"].join(30)
    if "answer" not in started:
        raise Failed(f"{step['join']}: no end within 30 s")
    judge_answer(run, {**started["step"], **step}, started["answer"],
                 started["since"])


# ---- what can be seen -------------------------------------------------------
def status(run, step):
    differ(step["status"], run.status(), "aggregate status")


def state(run, step):
    differ(step["state"], host_state(run, step), "the host's state")


def matching(entries, wanted, since):
    """Those since then. Entries have all fields: what asks for another one
    fits nowhere, and "none of them" would always hold."""
    for name in wanted:
        if entries and at(entries[-1], name) is ABSENT:
            raise Failed(f"no such field: {name}")
    return [e for e in entries[since:]
            if all(fits(v, at(e, k)) for k, v in wanted.items())]


def judge_count(step, what, found, entries):
    want = step.get("count", {"min": 1})
    if not fits(want, len(found)):
        near = "\n  ".join(json.dumps(e)[:400] for e in entries[-5:])
        raise Failed(f"{what} {step[what]}: expected {want} of them, seen "
                     f"{len(found)}; the last of all:\n  {near}")


def audit(run, step):
    entries = run.audit()
    found = matching(entries, step["audit"], run.marks["audit"])
    judge_count(step, "audit", found, entries)


def seen(run, step):
    entries = run.seen(run.marks["seen"])
    judge_count(step, "seen", matching(entries, step["seen"], 0), entries)


def said(run, step):
    lines = run.read_text(step.get("in", "log/ProxyAgent.log"))
    lines = lines[run.marks["log"] if "in" not in step else 0:].splitlines()
    found = [line for line in lines if fits(step["said"], line)]
    judge_count(step, "said", found, lines)


def mark(run, step):
    run.mark()


def files(run, step):
    found = [os.path.relpath(p, run.world.dir) for p in
             glob.glob(run.world.path(step["files"]), recursive=True)]
    judge_count(step, "files", found, sorted(found))


def growth(run, step):
    differ(step["growth"], run.growth(), "growth of mspd")


def host_state(run, step):
    vm = step.get("vm")
    return ask_control(run, "GET", "/state" + (f"?vm={vm}" if vm else ""),
                       None)[1]


def remember(run, step):
    for name, source in step["remember"].items():
        what, _, path = source.partition(".")
        document = host_state(run, step) if what == "state" else run.status()
        run.variables[name] = at(document, path)


# ---- the key folder ---------------------------------------------------------
def change_key(change, data):
    key = json.loads(data)
    if change == "tear":
        return data[:len(data) // 2]
    if change == "empty":
        return b""
    if change == "other":  # the file of another VM under this one's name
        key["guid"] = "11111111-2222-3333-4444-555555555555"
    elif change == "not-hex":
        key["key"] = "zz" + key["key"][2:]
    elif change != "wrong":
        raise KeyError(change)
    if change in ("other", "wrong"):
        key["key"] = "%064X" % (int(key["key"], 16) ^ 1)
    return json.dumps(key).encode()


def keys(run, step):
    if step["keys"] == "restore":
        for name, data in run.backup.items():
            with open(name, "wb") as f:
                f.write(data)
            os.chmod(name, 0o600)
        return
    names = glob.glob(run.world.path("keys", step.get("guid", "*") + ".key"))
    if not names:
        raise Failed("there is no key file to change")
    for name in names:
        run.backup.setdefault(name, run.world.read(name))
        if step["keys"] == "copy":
            continue
        if step["keys"] == "remove":
            os.remove(name)
            continue
        with open(name, "r+b") as f:
            data = change_key(step["keys"], f.read())
            f.seek(0)
            f.truncate()
            f.write(data)


# ---- processes and time -----------------------------------------------------
def mspd(run, step):
    w = run.world
    if step["mspd"] == "start":
        w.start_mspd(wait=step.get("wait", True))
        run.down.discard("mspd")
        return
    run.down.add("mspd")
    sig = {"stop": signal.SIGTERM, "kill": signal.SIGKILL}[step["mspd"]]
    ended = w.stop_mspd(sig)
    if step["mspd"] == "stop" and ended != 0:
        raise Failed(f"mspd ended with {ended}")


def host(run, step):
    w = run.world
    if step["host"] == "start":
        w.host_args += step.get("args", [])
        w.start_host()
        run.down.discard("host")
        return
    run.down.add("host")
    if step["host"] == "stop":
        w.stop_host()
        return
    if step["host"] != "kill":
        raise Failed(f"host: {step['host']}")
    w.host.kill()
    w.host.wait()


def report(run, step):
    """The helper in the guest that posts the status to the host."""
    w = run.world
    done = subprocess.run(
        [os.path.join(w.build, "examples/msp-host/msp-host"), "report"],
        env=w.environment(), capture_output=True, stdin=subprocess.DEVNULL,
        timeout=60, preexec_fn=lambda: w.become(0, True))
    if not fits(step["report"], done.returncode):
        raise Failed(f"msp-host report: expected exit status "
                     f"{step['report']}, seen {done.returncode}: "
                     f"{done.stdout} {done.stderr}")


def minutes(run, step):
    time.sleep(run.scaled(60 * step["minutes"]))


def phase(run, step):
    run.set_phase(step["phase"], step.get("answers"))


def eventually(run, step):
    steps = step["eventually"]
    steps = [steps] if isinstance(steps, dict) else steps
    limit = max(EVENTUALLY_LEAST, run.scaled(60 * step.get("within",
                                                           EVENTUALLY)))
    end = time.monotonic() + limit
    while True:
        try:
            for one in steps:
                do(run, one)
            return
        except (Failed, OSError) as e:
            if time.monotonic() > end:
                raise Failed(f"not within {limit:.0f} s: {e}") from None
        run.check_processes()
        time.sleep(0.05)


VERBS = {f.__name__: f for f in (
    control, arm, gallery, fault, clear, request, join, status, state, audit,
    seen, said, mark, files, growth, remember, keys, mspd, host, report,
    minutes, phase, eventually)}
JUDGED = "status expect through verdict"
# What a step may say besides its verb.
WORDS = {"control": "body status expect",
         "arm": "body status expect code message api",
         "fault": "as", "join": JUDGED, "state": "vm", "audit": "count",
         "request": "of as inside headers body metadata source sign skew "
         "drip begin " + JUDGED,
         "seen": "count", "said": "in count", "files": "count",
         "remember": "vm", "keys": "guid", "mspd": "wait", "host": "args",
         "phase": "answers", "eventually": "within"}
# With nothing in them these would hold whatever is the case.
NEVER_EMPTY = {"status", "state", "growth", "remember", "eventually"}


def verb_of(step):
    # "status" is a verb and what other verbs expect: last
    names = [n for n in VERBS if n in step and n != "status"] or \
        [n for n in ("status",) if n in step]
    if len(names) != 1:
        raise Failed(f"not one verb: {sorted(step)}")
    return names[0]


def check(steps):
    """Before anything is begun: a word that nobody reads is a mistake."""
    for step in [steps] if isinstance(steps, dict) else steps:
        verb = verb_of(step)
        unknown = set(step) - {verb, *WORDS.get(verb, "").split()}
        if unknown:
            raise Failed(f"{verb} takes no {sorted(unknown)}: {step}")
        if verb in NEVER_EMPTY and not step[verb]:
            raise Failed(f"{verb} with nothing in it")
        if verb == "eventually":
            check(step[verb])


def do(run, step):
    # filled in here, for a variable may be set by the step before
    VERBS[verb_of(step)](run, run.fill(step))
