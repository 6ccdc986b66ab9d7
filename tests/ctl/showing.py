# SPDX-License-Identifier: MIT
"""
In: what an agent may say of itself, or leave behind, made up here. Out: whether
mspctl status shows it on lines as long as they may be, without anything that
drives a terminal, and asks nobody it must not. Must never count on being root.
"""
import contextlib
import copy
import ctypes
import json
import os
import pty
import re
import select
import shutil
import socket
import struct
import subprocess
import threading
import time
import unicodedata

import kit

GUID = "38f5f1f8-3946-4785-8e91-7c63b25ff355"
KEY = f"/var/lib/azure-proxy-agent/keys/{GUID}.key"
ID = ("/subscriptions/6a7f/resourceGroups/rg/providers/Microsoft.Compute/"
      "galleries/g/inVMAccessControlProfiles/imds/versions/1.2.0")


def endpoint(name, mode, redirection, ident, epoch, source, errors=0,
             texts=()):
    return {"name": name, "mode": mode, "redirection": redirection,
            "rules": {"id": ident, "epoch": epoch, "source": source,
                      "findings": {"errors": errors, "warnings": 0,
                                   "texts": list(texts)}}}


def counts(*numbers):
    return dict(zip(("allowed", "audited", "denied", "failed"), numbers))


DOCUMENT = {
    "version": "0.1.0", "pid": 4711, "startedAt": "2026-11-22T08:00:00Z",
    "uptimeSeconds": 11520, "state": "SUCCESS", "message": "all is well",
    "healthy": True,
    "endpoints": [
        endpoint("wireserver", "audit", "audit", "wire-1", 1, "host"),
        endpoint("imds", "enforce", "enforce", ID, 12, "last good", 1,
                 ["/defaultAccess: neither allow nor deny"]),
        {"name": "hostga", "mode": "disabled", "redirection": "off",
         "rules": {"epoch": 0, "source": "none"}}],
    "key": {"present": True, "guid": GUID, "ageSeconds": 100000,
            "incarnation": 3, "stored": KEY},
    "identity": {"redirected": 120, "direct": 2, "found": 115, "closed": 4,
                 "noFacts": 1, "bindDenied": 1, "foreignDenied": 7,
                 "foreignPassed": 0},
    "host": {"lastContact": "2026-11-22T11:11:56Z", "ageSeconds": 4,
             "clockSkewSeconds": -2},
    "requests": {"minute": counts(10, 0, 3, 0), "hour": counts(900, 1, 33, 2),
                 "total": counts(123456789012, 1, 33, 2)},
    "refused": [
        {"user": "nobody", "uid": 65534, "exe": "/opt/app/bin/app",
         "endpoint": "imds", "method": "GET", "path": "/metadata/instance",
         "reason": "no-identity", "count": 33,
         "last": "2026-11-22T11:11:00Z",
         "allow": "assign a role with privilege 'p0' to an identity with "
                  "userName 'nobody', exePath '/opt/app/bin/app'"}],
    "connections": {"open": 5, "refusedOverShare": 0, "refusedFull": 0,
                    "evicted": 0},
    "audit": {"queueBytes": 0, "failed": False},
    "memory": {"pssBytes": 4950000},
    "privileges": {"forbiddenSyscalls": 0},
    "programs": {"detached": 0, "attachedAgain": 0},
    "restart": {"takenOver": True}}

AT_80 = f"""\
mspd 0.1.0: healthy, up 3 h 12 min, pid 4711, took over the channel

endpoint   mode     redirection rules of   epoch id
wireserver audit    audit       host       1     wire-1
imds       enforce  enforce     last good  12
            /subscriptions/6a7f/resourceGroups/rg/providers/Microsoft.Compute/ga
            lleries/g/inVMAccessControlProfiles/imds/versions/1.2.0
            rules: 1 error, 0 warnings
              /defaultAccess: neither allow nor deny
hostga     disabled off         none       -     -

key         {GUID}, incarnation 3, 27 h 46 min old
            ...b/azure-proxy-agent/keys/{GUID}.key
host        answered 4 s ago, its clock is 2 s behind
identity    115 hits, 5 misses (4 closed, 1 noFacts), 1 refused (1 bindDenied)
            120 redirected, 2 direct; other namespaces: 7 refused, 0 passed
clients     5 connected, 0 over their share, 0 too many, 0 evicted
audit       written, 0 bytes to go
process     4.9 MB of memory, 0 forbidden system calls

requests         allowed     audited      denied      failed
last minute           10           0           3           0
last hour            900           1          33           2
in all      123456789012           1          33           2

    refused last           who, why, what, and what would allow it
         33 1 min ago      nobody(65534) /opt/app/bin/app
            no-identity: imds GET /metadata/instance
            assign a role with privilege 'p0' to an identity with userName
            'nobody', exePath '/opt/app/bin/app'
"""

# What a wider terminal shows otherwise.
AT_132 = AT_80.replace(f"""\
            {ID[:68]}
            {ID[68:]}
""", f"""\
            {ID[:120]}
            {ID[120:]}
""").replace("...b/azure", "/var/lib/azure").replace("""\
with userName
            'nobody', exePath '/opt/app/bin/app'
""", """\
with userName 'nobody', exePath '/opt/app/bin/app'
""")

# Of callers: each would do something to a terminal, or look like our own.
HOSTILE = (
    "\x1b[2J\x1b[31mred", "a\nmspd 0.1.0: healthy", "a\r\nb\tc\x07\x08",
    "\x9b31mC1\x85", "\u202eright to left\u2066", "\u200b\ufeffzero",
    "\u2028line\u2029", "\ud83d\ude00 smile", "漢字" * 100, "x" * 3000,
    "\x7f\x00null", "%s%n%d", "a b " * 300, "é" * 500, "")


def columns(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in line)


def faults_of(text, width):
    """What is wrong with a screen, whatever it shows."""
    for line in text.split("\n"):
        if columns(line) > width:
            yield f"{columns(line)} columns: {line}"
        for c in line:
            if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs"):
                yield f"U+{ord(c):04X} in: {line!r}"


def show(ctl, document, width=80):
    ctl.env["COLUMNS"] = str(width)
    return ctl.run("status", "--file", "-",
                   stdin=document if isinstance(document, (str, bytes))
                   else json.dumps(document))


def changed(path, value):
    """The document with one member of it other."""
    document = copy.deepcopy(DOCUMENT)
    at = document
    for name in path[:-1]:
        at = at[name]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return document


def paths(value, path=()):
    """Of everything in it."""
    items = value.items() if isinstance(value, dict) else \
        enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield (*path, name)
        yield from paths(inner, (*path, name))


# ---- screens ---------------------------------------------------------------
def screens(ctl):
    for width, wanted in ((80, AT_80), (132, AT_132)):
        status, out, err = show(ctl, DOCUMENT, width)
        ctl.claim(f"status_at_{width}_columns",
                  (status, out, err) == (0, wanted, ""), f"{status}\n{out}")
    for width, told in ((0, 80), (1, 40), (40, 40), (5000, 1000)):
        _, out, _ = show(ctl, changed(("refused", 0, "allow"), "x" * 9000),
                         width)
        longest = max(columns(line) for line in out.split("\n"))
        ctl.claim(f"status_width_{width}_is_{told}", longest == told, longest)


CHANGES = (
    # name, member, value, exit status, what is on the screen then
    ("not_healthy", ("healthy",), False, 1, ["not healthy"]),
    ("healthy_of_no_type", ("healthy",), "yes", 1, ["not healthy"]),
    ("no_key", ("key", "present"), False, 0, ["key         none"]),
    ("key_nowhere", ("key", "stored"), None, 0, ["in memory only"]),
    ("no_contact", ("host", "ageSeconds"), None, 0, ["has not answered"]),
    ("clock_ahead", ("host", "clockSkewSeconds"), 90, 0, ["90 s ahead"]),
    ("closed", ("endpoints", 0, "rules", "source"), "closed", 0,
     ["audit       closed"]),
    ("two_errors", ("endpoints", 0, "rules", "findings", "errors"), 2, 0,
     ["rules: 2 errors, 0 warnings"]),
    ("one_warning", ("endpoints", 0, "rules", "findings", "warnings"), 1, 0,
     ["rules: 0 errors, 1 warning\n"]),
    ("seconds", ("uptimeSeconds",), 59, 0, ["up 59 s,"]),
    ("minutes", ("uptimeSeconds",), 3599, 0, ["up 59 min,"]),
    ("days", ("uptimeSeconds",), 200000, 0, ["up 2 d 7 h,"]),
    ("audit_error", ("audit", "lastError"), "No space left", 0,
     ["last error: No space left"]),
    ("audit_failed", ("audit", "failed"), True, 0, ["cannot be written"]),
    ("nobody_known", ("refused", 0, "uid"), None, 0, ["nobody known"]),
    ("many_refused", ("refused",), DOCUMENT["refused"] * 9, 0,
     ["and 4 more: see --json"]),
    ("none_refused", ("refused",), [], 0, []),
    ("too_large_a_number", ("identity", "closed"), (1 << 53) + 1, 0,
     [" 1 misses (1 noFacts)"]),
    ("unconfined", ("privileges", "cause"), "cannot filter: No", 0,
     ["\n            not confined:\n              cannot filter: No\n"]),
    ("attached_again", ("programs", "attachedAgain"), 6, 0,
     ["\n            6 programs attached again, which somebody had detached\n"]),
    ("no_user", ("refused", 0, "user"), None, 0, ["-(65534) /opt"]),
)


def changes(ctl):
    for name, path, value, status, texts in CHANGES:
        got, out, _ = show(ctl, changed(path, value))
        ctl.claim(f"status_shows_{name}",
                  got == status and all(t in out for t in texts) and
                  not list(faults_of(out, 80)), f"{got}\n{out}")
    sick = changed(("healthy",), False)
    sick.update(state="ERROR", message="Failed to attest",
                host={"failure": "connection refused"},
                audit={"failed": True}, programs={"detached": 2})
    _, out, _ = show(ctl, sick)
    ctl.claim("status_says_all_that_is_wrong", all(
        f"\n  {text}" in out for text in (
            "Failed to attest", "connection refused", "the host has not",
            "the audit trail cannot",
            "somebody has detached 2 of the agent's programs\n")), out)
    sick = changed(("healthy",), False)
    _, out, _ = show(ctl, sick)
    ctl.claim("status_says_what_it_can_of_a_fault_of_no_known_kind",
              "\n  all is well\n" in out, out)


def hostile(ctl):
    names = ("user", "exe", "path", "method", "reason", "endpoint", "allow")
    for width in (80, 132):
        for i, text in enumerate(HOSTILE):
            document = copy.deepcopy(DOCUMENT)
            for name in names:
                document["refused"][0][name] = text
            document["endpoints"][0]["rules"]["id"] = text
            document["message"] = document["version"] = text
            document["host"]["failure"] = text
            document["healthy"] = False
            status, out, _ = show(ctl, document, width)
            heads = re.findall(r"^\S+", out, re.M)
            known = {"mspd", "endpoint", "wireserver", "imds", "hostga", "key",
                     "host", "identity", "clients", "audit", "process",
                     "requests", "last", "in"}
            faults = [*faults_of(out, width), *(set(heads) - known)]
            ctl.claim(f"status_escapes_{i}_at_{width}",
                      status == 1 and not faults and heads.count("mspd") == 1,
                      f"{status} {faults}\n{out}")


def anything(ctl):
    """Each member absent, and of each other type."""
    wrong = []
    for path in paths(DOCUMENT):
        for value in (None, 7, -(1 << 63), (1 << 63) - 1, "text", [], [1, "a", None], {},
                      True, 1.5):
            status, out, err = show(ctl, changed(path, value))
            if path == ("healthy",) and value is None:
                fine = status == 2
            else:
                fine = status in (0, 1) and out and not err
            if not fine or list(faults_of(out, 80)):
                wrong.append((path, value, status, err))
    ctl.claim("status_shows_what_there_is_of_any_document", not wrong,
              wrong[:5])


def no_documents(ctl):
    deep = '{"healthy":true,"a":' + "[" * 40000 + "]" * 40000 + "}"
    for name, text in (("nothing", b""), ("no_json", b"healthy"),
                       ("array", b"[]"), ("null", b"null"),
                       ("half", json.dumps(DOCUMENT)[:300].encode()),
                       ("deep", deep.encode()), ("nul", b'{"healthy"\0:1}'),
                       ("other", b'{"a":1}'), ("large", b" " * 300000),
                       ("latin", b'{"healthy":"\xff"}')):
        status, out, err = show(ctl, text)
        ctl.claim(f"status_of_{name}_is_no_answer",
                  status == 2 and not out and err.startswith("mspctl: "),
                  f"{status}\n{out}{err}")


def usage(ctl):
    for args in (["x"], ["--wait"], ["--wait", "sick"], ["--timeout", "1"],
                 ["--watch", "--wait", "healthy"], ["--watch", "0"],
                 ["--watch=soon"], ["--file", "-", "--json"],
                 ["--file", "-", "--watch"], ["--json", "--json"],
                 ["--timeout", "-1", "--wait", "healthy"], ["--watch", "x"]):
        ctl.expect("status_usage_" + "_".join(args), ["status", *args], 64,
                   err=["mspctl: "])


# ---- an agent that is played here ------------------------------------------
class Agent:
    """A socket, and what becomes of who connects."""

    def __init__(self, path, answer):
        self.asked = []
        self.answer = answer
        if os.path.lexists(path):
            os.unlink(path)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen(4)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                with client, contextlib.suppress(OSError):
                    self.asked.append(client.recv(300))
                    self.answer(client)

    def close(self):
        self.socket.close()


def line(document):
    return json.dumps(document).encode() + b"\n"


def says(data):
    return lambda client: client.sendall(data)


def drip(client):
    while True:
        client.sendall(b" ")
        time.sleep(0.1)


ANSWERS = (
    # name, answer, exit status, what is told
    ("healthy", says(line(DOCUMENT)), 0, "mspd 0.1.0: healthy"),
    ("sick", says(line(changed(("healthy",), False))), 1, "not healthy"),
    ("nothing", says(b""), 3, "no answer"),
    ("half", says(line(DOCUMENT)[:500]), 3, "half an answer"),
    ("unended", says(line(DOCUMENT)[:-1]), 3, "half an answer"),
    ("garbage", says(b"\x1b[31m\n"), 3, "is no JSON object"),
    ("error", says(b'{"error":"no \\u001b memory"}\n'), 3, "no \\x1b memory"),
    ("endless", says(b"x" * 70000), 3, "too long an answer"),
    ("silent", lambda client: time.sleep(20), 3, "no answer in time"),
    ("slow", drip, 3, "no answer in time"))


def configure(ctl, name="run", **more):
    """An agent's folders, with nothing in them; its configuration's path."""
    base = os.path.join(ctl.dir, name)
    shutil.rmtree(base, ignore_errors=True)
    for folder in ("", "keys", "status", "log"):
        os.mkdir(os.path.join(base, folder))
    return ctl.file(f"{name}.json", {
        "logFolder": f"{base}/log", "latchKeyFolder": f"{base}/keys",
        "eventFolder": f"{base}/events", "statusFolder": f"{base}/status",
        "pollKeyStatusIntervalInSeconds": 15, "runFolder": base,
        "monitorIntervalInSeconds": 60, "ebpfProgramName": "ebpf_cgroup.o",
        **more})


def asking(ctl):
    config = configure(ctl)
    path = os.path.join(ctl.dir, "run", "control.sock")
    for name, answer, status, text in ANSWERS:
        agent = Agent(path, answer)
        begun = time.monotonic()
        got, out, err = ctl.run("status", "--config", config)
        took = time.monotonic() - begun
        agent.close()
        ctl.claim(f"status_of_an_agent_that_says_{name}",
                  got == status and text in out and not err and
                  agent.asked == [b"status\n"] and took < 20 and
                  not list(faults_of(out, 80)), f"{got} {took}\n{out}{err}")
        if name in ("silent", "slow"):
            continue
        agent = Agent(path, answer)
        got, answer = ctl.json("status", "--json", "--config", config)
        agent.close()
        wanted = {"running": True, **DOCUMENT} if status == 0 else None
        ctl.claim(f"status_json_of_an_agent_that_says_{name}",
                  got == status and answer.get("running") is (
                      True if status < 3 else None) and
                  answer["healthy"] is (status == 0) and
                  (not wanted or answer == wanted), answer)
    deep = os.path.join(ctl.dir, "d" * 100, "e" * 100)
    os.makedirs(deep)
    agent = Agent("/proc/self/fd/%d/c" % os.open(deep, os.O_RDONLY),
                  says(line(DOCUMENT)))
    config = configure(ctl, controlSocket=f"{deep}/c")
    ctl.expect("status_of_a_socket_with_a_long_name",
               ["status", "--config", config], 0, out=["healthy"])
    os.symlink(f"{deep}/c", f"{deep}/link")
    config = configure(ctl, controlSocket=f"{deep}/link")
    before = len(agent.asked)
    got = ctl.run("status", "--config", config)
    ctl.claim("status_follows_no_link", got[0] == 3 and
              len(agent.asked) == before, got)
    agent.close()


def waiting(ctl):
    config = configure(ctl)
    path = os.path.join(ctl.dir, "run", "control.sock")
    sick, well = line(changed(("healthy",), False)), line(DOCUMENT)
    agent = Agent(path, lambda client: client.sendall(
        well if len(agent.asked) > 3 else sick))
    got, out, err = ctl.run("status", "--wait", "healthy", "--config", config)
    agent.close()
    ctl.claim("status_waits_until_it_is_healthy", got == 0 and not err and
              len(agent.asked) == 4 and out.count("mspd 0.1.0: healthy") == 1,
              f"{got} {agent.asked}\n{out}{err}")
    for name, answer in (("sick", says(sick)), ("silent", drip)):
        agent = Agent(path, answer)
        got = ctl.run("status", "--wait", "healthy", "--timeout", "1",
                      "--config", config)
        agent.close()
        ctl.claim(f"status_waits_no_longer_for_a_{name}_one", got[0] == 1 and
                  "not healthy within 1 s" in got[2], got)
    os.unlink(path)
    got = ctl.run("status", "--wait=healthy", "--timeout=0", "--config",
                  config)
    ctl.claim("status_waits_not_at_all", got[0] == 1 and
              "not running" in got[1], got)
    config = configure(ctl, controlSocket=False)
    got = ctl.run("status", "--wait=healthy", "--config", config)
    ctl.claim("status_does_not_wait_for_what_is_switched_off", got[0] == 3 and
              "switched off" in got[1], got)


def watching(ctl):
    config = configure(ctl)
    agent = Agent(os.path.join(ctl.dir, "run", "control.sock"),
                  says(line(DOCUMENT)))
    for args in (["--json"], []):
        process = subprocess.Popen(
            [ctl.program, "status", "--watch", "1", "--config", config, *args],
            env={**ctl.env, "COLUMNS": "80"}, stdout=subprocess.PIPE)
        out, end = b"", time.monotonic() + 30
        while out.count(b"4711") < 3 and time.monotonic() < end:
            out += os.read(process.stdout.fileno(), 65536)
        process.terminate()
        process.wait()
        process.stdout.close()
        ctl.claim("status_watches" + "".join(args), out.decode().count(
            '\n{"running":true,"version"' if args else AT_80 + "\n") >= 2, out)
    agent.close()


# ---- terminals -------------------------------------------------------------
def on_terminal(ctl, args, env, size=(40, 100), until=b"allow it"):
    """What it writes to one, until that is among it."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.clear()
        os.environ.update(env)
        os.execv(ctl.program, [ctl.program, *args])
    import fcntl  # pylint: disable=import-outside-toplevel
    import termios  # pylint: disable=import-outside-toplevel
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    out = b""
    while until not in out and select.select([fd], [], [], 20)[0]:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        out += piece
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(fd)
    return out.decode()


def colours(ctl):
    config = configure(ctl)
    agent = Agent(os.path.join(ctl.dir, "run", "control.sock"),
                  says(line(changed(("refused", 0, "path"), "\x1b[35mx"))))
    args = ["status", "--config", config]
    env = {**ctl.env, "TERM": "xterm"}
    env.pop("NO_COLOR", None)
    for name, more, yes in (("", {}, True), ("NO_COLOR", {"NO_COLOR": "1"},
                                             False),
                            ("empty_NO_COLOR", {"NO_COLOR": ""}, True),
                            ("dumb", {"TERM": "dumb"}, False)):
        out = on_terminal(ctl, args, {**env, **more}, until=b"exePath")
        ctl.claim(f"status_colours_{name}", ("\x1b[32mhealthy\x1b[0m" in out,
                                             "\x1b" in out) == (yes, yes), out)
        plain = re.sub(r"\x1b\[(0|1|3[123])m", "", out).replace("\r", "")
        ctl.claim(f"status_colours_only_its_own_{name}",
                  not list(faults_of(plain, 100)) and "\\x1b[35mx" in plain,
                  out)
    out = on_terminal(ctl, [*args, "--watch", "1"], {**env, "NO_COLOR": "1"},
                      size=(12, 60), until=b"\x1b[J\x1b[H")
    first = out.split("\x1b[J")[0].replace("\r", "")
    ctl.claim("status_watch_is_as_high_as_the_terminal",
              first.startswith("\x1b[Hmspd 0.1.0") and
              first.count("\n") == 11 and not list(faults_of(
                  first.replace("\x1b[H", "").replace("\x1b[K", ""), 60)), out)
    agent.close()


# ---- an agent that is gone -------------------------------------------------
def leave_behind(ctl, **more):
    """What an agent leaves that is killed; its configuration's path."""
    config = configure(ctl, **more)
    base = os.path.join(ctl.dir, "run")

    def put(name, data):
        path = os.path.join(base, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(data if isinstance(data, str) else json.dumps(data))
        os.chmod(path, 0o600)
        return path

    put("listener", "127.0.0.1:3080\n")
    put("status/status.json", {"proxyAgentStatus": {
        "version": "0.1.0", "status": "SUCCESS",
        "keyLatchStatus": {
            "status": "RUNNING", "message": "latched \x1b[31m",
            "states": {"secureChannelState": "IMDS Enforce",
                       "keyGuid": GUID, "imdsRuleId": "rule-7",
                       "keyIncarnationId": "3"}}}})
    old = put("keys/11111111-1111-1111-1111-111111111111.key", "secret-old")
    os.utime(old, (1, 1))
    put(f"keys/{GUID}.key", "secret-new")
    for name in ("other.key", f"{GUID}.key.tmp", f"x{GUID[1:]}.key"):
        put(f"keys/{name}", "secret")
    records = [{**kit.LINE, "id": i, "path": f"/metadata/{i}\x1b[31m"}
               for i in range(5)]
    put("log/audit.jsonl", "".join(json.dumps(r) + "\n" for r in records) +
        '{"half')
    return config


def opened(folder, command):
    """Names of files in it that were opened meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0 or libc.inotify_add_watch(fd, folder.encode(), 0x20) < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    result = command()
    names = set()
    with contextlib.suppress(BlockingIOError):
        data = os.read(fd, 65536)
        while data:
            size = struct.unpack("iIII", data[:16])[3]
            names.add(data[16:16 + size].rstrip(b"\0").decode())
            data = data[16 + size:]
    os.close(fd)
    return result, names - {""}


def gone(ctl):
    config = leave_behind(ctl)
    base = os.path.join(ctl.dir, "run")
    ctl.env["COLUMNS"] = "80"
    (status, out, err), names = opened(
        f"{base}/keys", lambda: ctl.run("status", "--config", config))
    ctl.claim("status_of_one_that_is_gone", status == 3 and not err and all(
        text in out for text in (
            "mspd: not running", "SUCCESS, mspd 0.1.0", f"{GUID}, incarnation "
            "3, ", "127.0.0.1:3080: left behind", "latched \\x1b[31m",
            "IMDS Enforce", "rules of imds: rule-7", "/metadata/2\\x1b[31m",
            "/metadata/4\\x1b[31m")) and "/metadata/1" not in out and
        not list(faults_of(out, 80)), f"{status}\n{out}{err}")
    ctl.claim("status_opens_no_key", not names and "secret" not in out, names)
    status, answer = ctl.json("status", "--json", "--config", config)
    known = answer["known"]
    ctl.claim("status_json_of_one_that_is_gone", status == 3 and
              answer["running"] is False and answer["healthy"] is False and
              known["key"]["guid"] == GUID and
              known["key"]["incarnation"] == "3" and
              known["key"]["openToOthers"] is (os.geteuid() != 0) and
              known["listener"]["address"] == "127.0.0.1:3080" and
              known["status"]["state"] == "SUCCESS" and
              known["status"]["rules"] == {"imds": "rule-7"} and
              [r["id"] for r in known["audit"]["records"]] == [2, 3, 4],
              answer)
    os.chmod(f"{base}/keys/{GUID}.key", 0o640)
    ctl.expect("status_tells_of_a_key_that_others_can_read",
               ["status", "--config", config], 3,
               out=["others than root can read or replace it"])


def little_left(ctl):
    config = configure(ctl)
    base = os.path.join(ctl.dir, "run")
    ctl.expect("status_of_one_that_left_nothing", ["status", "--config",
                                                   config], 3,
               out=["not running", "not known: No such file or directory: ",
                    "/run/status/status.json\n", "/run/keys\n",
                    "listener    none: "])
    leave_behind(ctl)
    for name in ("status/status.json", "log/audit.jsonl", "listener"):
        path = os.path.join(base, name)
        os.unlink(path)
        os.mkfifo(path)
    os.unlink(f"{base}/keys/{GUID}.key")
    os.symlink("/etc/passwd", f"{base}/keys/{GUID}.key")
    status, out, _ = ctl.run("status", "--config", config)
    ctl.claim("status_waits_for_no_pipe_and_follows_no_link", status == 3 and
              "11111111-1111" in out and GUID not in out, out)
    for text in ("", "{", "[]", "[" * 100000, "\0" * 100, '{"a":' * 9000):
        os.unlink(f"{base}/status/status.json")
        ctl.file("run/status/status.json", text)
        status, out, _ = ctl.run("status", "--config", config)
        ctl.claim(f"status_of_a_bad_file_{text[:5]!r}", status == 3 and
                  not list(faults_of(out, 80)), out)
    status, out, err = ctl.run("status", "--config", f"{base}/none")
    ctl.claim("status_of_no_configuration", status == 2 and not out and
              "none" in err, err)


def run(ctl):
    screens(ctl)
    changes(ctl)
    hostile(ctl)
    anything(ctl)
    no_documents(ctl)
    usage(ctl)
    asking(ctl)
    waiting(ctl)
    watching(ctl)
    colours(ctl)
    gone(ctl)
    little_left(ctl)
