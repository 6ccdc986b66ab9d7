# SPDX-License-Identifier: MIT
"""
In: msp-host --state. Out: what a restart or a crash leaves, and what becomes
of a file that is not as it was written. Must never need a privilege.
"""
import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import tempfile
import threading

import client
from client import (Host, case, expect, now, read_all, send_request, sign)

A, B = "127.0.0.2", "127.0.0.3"
VERSIONS = "/?comp=versions"
ITEM = {"defaultAccess": "deny", "mode": "enforce", "id": "\u00e4\"1\\",
        "rules": {
            "privileges": [{"name": "p", "path": "/metadata/instance"}],
            "roles": [{"name": "r", "privileges": ["p"]}],
            "identities": [{"name": "i", "userName": "root"}],
            "roleAssignments": [{"role": "r", "identities": ["i"]}]}}


@contextlib.contextmanager
def file():
    with tempfile.TemporaryDirectory() as d:
        yield os.path.join(d, "state")


def vms(h):
    """What is the same after a restart: all but the counts."""
    out = []
    for vm in h.control("GET", "/vms").json():
        for passing in ("requests", "offered"):
            vm.pop(passing)
        out.append(vm)
    return out


def kill(h):
    h.process.send_signal(signal.SIGKILL)
    h.process.wait()
    h.process.stdout.close()
    h.process.stderr.close()
    h.dir.cleanup()


def ended(path):
    """How msp-host ends that finds this file, and what it says."""
    done = subprocess.run(
        [client.HOST, "--wireserver", "127.0.0.1:0", "--hostga",
         "127.0.0.1:0", "--imds", "127.0.0.1:0", "--state", path],
        capture_output=True, timeout=10)
    return done.returncode, done.stderr.decode()


@case
def restart_keeps_everything():
    with file() as path:
        options = ["--state", path, "--vm", "a=" + A]
        with Host(*options) as h:
            h.control("PUT", "/fleet?network=127.4.0.0/16")
            h.control("PUT", "/vms/b?network=" + A)
            h.control("PUT", "/endpoints/imds?vm=b",
                      json.dumps(ITEM).encode())
            h.control("POST", "/endpoints/wireserver/mode?mode=Audit&vm=a")
            h.control("POST", "/channel?enabled=false&vm=a")
            old = h.latch(source=A)
            h.control("POST", "/key/reset?vm=b")
            key = h.latch(source=A)
            fleet = h.latch(source="127.4.0.7")
            before = vms(h)
            status = h.status(source=A)
            expect(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with Host(*options) as h:
            expect(vms(h), before)
            expect(h.status(source=A), status)
            expect(status["authorizationRules"]["imds"], ITEM)
            expect(h.control("GET", "/fleets").json(), ["127.4.0.0/16"])
            for k, source in ((key, A), (fleet, "127.4.0.7")):
                expect(h.call("ws", "GET", VERSIONS, key=k,
                              source=source).status, 200)
            # also what was, and whose it is
            for k, source, reason in ((old, A, "incarnation"),
                                      (fleet, A, "other-vm"),
                                      (old, "127.4.0.7", "other-vm")):
                answer = h.call("ws", "GET", VERSIONS, key=k, source=source)
                expect((answer.status, answer.json()["message"]),
                       (401, reason))
            expect(h.acquire(source=A).status, 403)
        expect(os.listdir(os.path.dirname(path)), ["state"])


@case
def restart_keeps_who_a_vm_is():
    """Also of a VM of a fleet that never stored anything."""
    def ids(h):
        return [h.call("imds", "GET", "/metadata/instance/compute/vmId?"
                       "api-version=2021-02-01&format=text",
                       [("Metadata", "true")], source=s).body
                for s in (None, A, "127.4.0.1")]
    with file() as path:
        options = ["--state", path, "--fleet", "127.4.0.0/16", "--vm",
                   "a=" + A]
        h = Host(*options)
        h.latch(source=A)
        before = ids(h)
        kill(h)
        with Host(*options) as h:
            expect(ids(h), before)


@case
def what_is_nested_as_deeply_as_may_be_comes_back():
    """What the file adds around it must not make it too deep to be read."""
    at = ("/subscriptions/8d10da13-8125-4ba9-a717-bf7490507b3d/"
          "resourceGroups/g/providers/Microsoft.Compute/virtualMachines/deep"
          "?api-version=2025-04-01")

    def put(h, levels):
        inner = json.loads("[" * levels + "]" * levels)
        body = {"location": "westus", "properties": {"hardwareProfile": inner}}
        return h.control("PUT", at, json.dumps(body).encode()).status
    with file() as path:
        with Host("--state", path) as h:
            levels = 70
            while put(h, levels) != 201:
                levels -= 1
            expect(levels > 20, True, levels)
            before = h.control("GET", at).body
        with Host("--state", path) as h:
            expect(h.control("GET", at).body, before)


@case
def seed_draws_no_key_twice_after_a_restart():
    with file() as path:
        options = ["--state", path, "--seed", "x"]
        with Host(*options) as h:
            first = h.latch()
            h.control("POST", "/key/reset")
        with Host(*options) as h:
            second = h.latch()
        expect(first["key"] != second["key"], True)
        with Host("--seed", "x") as h:
            h.latch()
            h.control("POST", "/key/reset")
            expect(h.latch()["key"], second["key"])


@case
def first_start_takes_the_command_line_later_ones_the_file():
    with file() as path:
        with Host("--state", path, "--mode", "imds=Audit") as h:
            h.control("POST", "/endpoints/imds/mode?mode=Enforce")
        with Host("--state", path, "--mode", "imds=Audit", "--no-key",
                  "--vm", "late=" + B) as h:
            expect(h.control("GET", "/state").json()["modes"]["IMDS"],
                   "Enforce")
            # how the host behaves is never in the file
            expect(h.acquire().status, 403)
            expect(h.control("GET", "/state?vm=late").status, 200)


@case
def killed_between_two_latches_it_has_the_first():
    with file() as path:
        h = Host("--state", path, "--fleet", "127.5.0.0/16")
        key = h.latch(source="127.5.0.1")
        other = h.acquire(source="127.5.0.2")
        kill(h)
        with Host("--state", path) as h:
            expect(h.status(source="127.5.0.1")["keyGuid"], key["guid"])
            expect(h.attest(other, source="127.5.0.2").status, 401)
            h.latch(source="127.5.0.2")


@case
def killed_at_any_time_it_has_all_that_it_answered():
    """Many latch at once while it is killed: who got a 200 is latched."""
    for round_ in range(4):
        with file() as path:
            h = Host("--state", path, "--fleet", "127.6.0.0/16")
            answered = []

            def agent(number):
                source = "127.6.%d." % number
                with contextlib.suppress(OSError, ValueError, IndexError):
                    for i in range(1, 255):
                        key = h.acquire(source=source + str(i))
                        if h.attest(key, source=source + str(i)).status == 200:
                            answered.append((source + str(i), key["guid"]))
            threads = [threading.Thread(target=agent, args=(n,))
                       for n in range(8)]
            for t in threads:
                t.start()
            while len(answered) < 20 * (round_ + 1):
                threads[0].join(0.01)
            h.process.send_signal(signal.SIGKILL)
            for t in threads:
                t.join()
            kill(h)
            with Host("--state", path) as h:
                kept = {vm["networks"][0][:-3]: vm["guid"]
                        for vm in h.control("GET", "/vms").json()[1:]}
                lost = [x for x in answered if kept.get(x[0]) != x[1]]
                expect(lost, [])


@case
def attestations_that_come_together_are_stored_together():
    """One file for all; and if it cannot be written, for none."""
    with tempfile.TemporaryDirectory() as d:
        folder = os.path.join(d, "folder")
        os.mkdir(folder)
        path = os.path.join(folder, "state")
        at = ["127.7.0.%d" % i for i in range(1, 41)]
        with Host("--state", path, "--fleet", "127.7.0.0/24") as h:
            h.complains = True
            keys = {source: h.acquire(source=source) for source in at}

            def attest_all():
                """The status is asked for on the same connection."""
                sockets = []
                h.process.send_signal(signal.SIGSTOP)
                for source in at:
                    to = ("/secure-channel/key/%s/key-attestation"
                          % keys[source]["guid"])
                    lines = [("host", "h"), (client.DATE, now()),
                             ("content-length", "0")]
                    lines.append((client.AUTH, sign(keys[source], "POST", to,
                                                    lines, b"")))
                    s = h.connect("ws", source)
                    send_request(s, "POST", to, lines, b"")
                    send_request(s, "GET", "/secure-channel/status",
                                 [("host", "h"), ("connection", "close")],
                                 b"")
                    sockets.append(s)
                h.process.send_signal(signal.SIGCONT)
                seen = []
                for s in sockets:
                    with s:
                        whole = read_all(s).decode()
                    first, _, second = whole.partition("HTTP/1.1")[2] \
                        .partition("HTTP/1.1 200")
                    seen.append((first[:4], json.loads(
                        second.partition("\r\n\r\n")[2])["keyGuid"]))
                return seen
            os.rename(folder, folder + ".away")
            expect(attest_all(), [(" 500", None)] * 40)
            os.rename(folder + ".away", folder)
            every = [(" 200", keys[source]["guid"]) for source in at]
            expect(attest_all(), every)
        with Host("--state", path) as h:
            expect([h.status(source=source)["keyGuid"] for source in at],
                   [guid for _, guid in every])


def facts(h):
    """What a refused change must leave as it was."""
    return (vms(h), h.status(), h.status(source=A),
            h.control("GET", "/events").json())


@case
def change_that_cannot_be_stored_does_not_happen():
    with tempfile.TemporaryDirectory() as d:
        folder = os.path.join(d, "folder")
        path = os.path.join(folder, "state")
        os.mkdir(folder)
        with Host("--state", path, "--vm", "a=" + A) as h:
            h.complains = True
            latched = h.latch(source=A)
            offered = h.acquire()
            expect(h.control("POST", "/events",
                             b'{"EventType":"Freeze"}').status, 200)
            # not chmod: that means nothing to root
            os.rename(folder, folder + ".away")
            before = facts(h)
            expect(h.attest(offered).status, 500)
            item = json.dumps(ITEM).encode()
            for method, target, body in (
                    ("POST", "/key/reset", b""),
                    ("POST", "/key/reset?vm=a", b""),
                    ("POST", "/key/lose", b""),
                    ("POST", "/key/lose?vm=a", b""),
                    ("POST", "/channel?enabled=false", b""),
                    ("PUT", "/endpoints/imds", item),
                    ("POST", "/endpoints/imds/mode?mode=Enforce", b""),
                    ("PUT", "/vms/new?network=127.0.0.9", b""),
                    ("PUT", "/vms/a?network=127.0.0.9", b""),
                    ("PUT", "/vms/msp-host-vm?network=" + A, b""),
                    ("PUT", "/fleet?network=127.9.0.0/16", b""),
                    ("POST", "/events", b'{"EventType":"Reboot"}'),
                    ("DELETE", "/events", b"")):
                answer = h.control(method, target, body)
                expect((answer.status, answer.json()["error"]),
                       (500, "state"), target)
                expect(facts(h), before, target)
            expect(h.call("ws", "GET", VERSIONS, key=latched,
                          source=A).status, 200)
            expect(h.control("GET", "/fleets").json(), [])
            os.rename(folder + ".away", folder)
            # the key that was offered is still good
            expect(h.attest(offered).status, 200)
            expect(h.control("POST", "/key/reset").json()["incarnation"], 2)
            expect(h.control("DELETE", "/events").status, 200)
            after = facts(h)[0], facts(h)[-1]
        with Host("--state", path) as h:
            expect((facts(h)[0], facts(h)[-1]), after)


@case
def file_that_is_not_as_it_was_written_is_refused():
    with file() as path:
        with Host("--state", path, "--vm", "a=" + A) as h:
            key = h.latch(source=A)
        with open(path, "rb") as f:
            good = f.read()
        guid = key["guid"].encode()
        middle = len(good) // 2
        for bad in (b"", b"\n", b"{}", b"[]", good[:1], good[:middle],
                    good[:-1], good[:-2], good + b"x", good + good,
                    b"msp-host 1 2\n{}", b"\xef\xbb\xbf" + good,
                    good[:middle] + b"\0" + good[middle + 1:],
                    good.replace(guid, guid[:-1] + b"0" if guid[-1:] != b"0"
                                 else guid[:-1] + b"1"),
                    good.replace(b'"incarnation":1', b'"incarnation":2'),
                    good.replace(b'{"msp-host":2', b'{"msp-host":3'),
                    b"[" * 100000, os.urandom(5000)):
            expect(bad != good, True)
            with open(path, "wb") as f:
                f.write(bad)
            code, text = ended(path)
            expect((code, text.startswith("msp-host: %s: " % path),
                    text.count("\n")), (1, True, 1), (bad[:40], text))
            expect(key["key"] in text or key["guid"] in text, False)
            with open(path, "rb") as f:
                expect(f.read() == bad, True, "the file it refused:")
        with open(path, "wb") as f:
            f.write(good)
        with Host("--state", path) as h:
            expect(h.status(source=A)["keyGuid"], key["guid"])


@case
def sealed_nonsense_is_refused_too():
    """Who can write the file can seal it anew; it must not crash msp-host."""
    import hashlib
    with file() as path:
        with Host("--state", path, "--vm", "a=" + A) as h:
            h.latch(source=A)
            h.control("POST", "/key/reset?vm=a")
            h.latch(source=A)
        with open(path, "rb") as f:
            whole = json.load(f)

        def end(change):
            state = json.loads(json.dumps(whole["state"]))
            change(state)
            text = json.dumps(state)
            with open(path, "w") as f:
                f.write('{"msp-host":2,"sha256":"%s","state":%s}\n' % (
                    hashlib.sha256(text.encode()).hexdigest(), text))
            return ended(path)

        def setting(field, value):
            return lambda s: s["vms"][1].__setitem__(field, value)
        for change in (
                lambda s: s.clear(), lambda s: s.update(vms=1),
                lambda s: s.update(names="00"), lambda s: s.update(vms=[1]),
                lambda s: s.pop("arm"), lambda s: s.update(arm="[]"),
                lambda s: s.update(arm="{"), lambda s: s.update(arm={}),
                lambda s: s.pop("networks"),
                lambda s: s["networks"].append({"network": "x", "vm": None}),
                lambda s: s["networks"].append({"network": "1.2.3.4",
                                                "vm": "nobody"}),
                setting("name", "../x"), setting("name", 7),
                setting("name", ""), setting("id", "x"),
                setting("id", "x" * 5000),
                setting("id", "<" * 36), setting("os", "CP/M"),
                setting("subscription", None), setting("enabled", 1),
                setting("legacyMode", "Never"), setting("imds", None),
                setting("imds", {"mode": "Sometimes"}),
                setting("imds", {"mode": "Audit", "json": "{"}),
                setting("model", "[" * 70 + "]" * 70), setting("model", "{"),
                setting("incarnation", -1), setting("incarnation", 2 ** 32),
                setting("incarnation", 1.5), setting("drawn", "1"),
                setting("key", "{}"), setting("key", 5),
                setting("retired", ["x"]), setting("retired", {}),
                setting("retired", [1] * 17), setting("report", []),
                setting("reportTime", 2 ** 63), setting("events", "nope"),
                setting("goal", "0"), setting("goal", "-1" * 32)):
            code, text = end(change)
            expect((code, text.count("\n")), (1, 1), text)


@case
def key_on_disk_stays_latched_when_the_disk_fails():
    """Attested once more, alone and beside one that cannot be stored."""
    with tempfile.TemporaryDirectory() as d:
        folder = os.path.join(d, "gone")
        os.mkdir(folder)
        with Host("--state", os.path.join(folder, "state"), "--vm", "a=" + A,
                  "--vm", "b=" + B) as h:
            h.complains = True
            mine, other = h.latch(source=A), h.acquire(source=B)
            os.rename(folder, folder + ".away")
            expect(h.attest(mine, source=A).status, 200)
            with h.connect("ws", A) as a, h.connect("ws", B) as b, \
                    h.connect("ws", B) as c:
                # all three in one turn
                h.process.send_signal(signal.SIGSTOP)
                for s, key in (a, mine), (b, other), (c, other):
                    send_attestation(s, key)
                h.process.send_signal(signal.SIGCONT)
                expect([client.read_answer(s).status for s in (a, b, c)],
                       [200, 500, 500])
            for name, latched in ("a", True), ("b", False):
                expect(h.control("GET", "/state?vm=" + name).json()["latched"],
                       latched, name)
            expect(h.call("ws", "GET", "/machine/?comp=goalstate",
                          source=A).status, 401)
            expect(h.acquire(source=A).status, 403)
            os.rename(folder + ".away", folder)
            expect(h.attest(other, source=B).status, 200)


def send_attestation(s, key):
    target = "/secure-channel/key/%s/key-attestation" % key["guid"]
    lines = [("host", "a"), ("content-length", "0"), (client.DATE, now())]
    lines.append((client.AUTH, sign(key, "POST", target, lines, b"")))
    send_request(s, "POST", target, lines, b"")


@case
def what_a_sealed_state_says_is_quoted():
    import hashlib
    odd = '","x":"' + "'" * 29
    with file() as path:
        with Host("--state", path) as h:
            h.latch()
            h.control("POST", "/key/reset")
        with open(path, "rb") as f:
            state = json.load(f)["state"]
        state["vms"][0]["retired"] = [odd]
        state["vms"][0]["events"] = json.dumps(
            [{"EventId": odd, "EventType": odd, "NotBefore": odd,
              "EventSource": odd, "Description": odd}])
        text = json.dumps(state)
        with open(path, "w") as f:
            f.write('{"msp-host":2,"sha256":"%s","state":%s}\n' % (
                hashlib.sha256(text.encode()).hexdigest(), text))
        with Host("--state", path) as h:
            event = h.control("GET", "/events").json()["Events"][0]
            for name in ("EventId", "EventType", "NotBefore", "EventSource",
                         "Description"):
                expect(event[name], odd, name)
            h.latch()
        with Host("--state", path) as h:
            expect(h.control("GET", "/state").json()["latched"], True)


@case
def other_things_than_files_are_refused_or_not_waited_for():
    with tempfile.TemporaryDirectory() as d:
        code, text = ended(d)
        expect((code, "irectory" in text), (1, True), text)
        path = os.path.join(d, "socket")
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
            expect(ended(path)[0], 1)
        path = os.path.join(d, "fifo")
        os.mkfifo(path)
        expect(ended(path)[0], 1)
        # not through a link that somebody put in the way
        path = os.path.join(d, "state")
        victim = os.path.join(d, "victim")
        with open(victim, "w") as f:
            f.write("mine")
        os.symlink(victim, path + ".new")
        with Host("--state", path) as h:
            h.latch()
        with open(victim) as f:
            expect(f.read(), "mine")
