# SPDX-License-Identifier: MIT
"""
In: msp-host. Out: its journal, in memory and as a file. Must never take the
journal's word for what was sent: each case knows what it sent.
"""
import json
import os
import resource
import stat
import tempfile

import client
from client import (AUTH, DATE, SCHEME, Host, case, expect, now, read_all,
                    read_answer, send_request, sign)

KEPT = 16384
TARGET_MAX = 1024


def journal(h, query=""):
    return h.control("GET", "/journal" + query).json()


def requests(h, query=""):
    return journal(h, query)["requests"]


def pick(entry, *names):
    return tuple(entry[name] for name in names)


@case
def journal_tells_each_request_in_order():
    with Host() as h:
        key = h.latch()
        h.call("imds", "GET", "/metadata/versions", [("Metadata", "true")])
        h.call("ws", "GET", "/?comp=versions", key=key)
        h.call("ga", "PUT", "/msp-host/echo", body=b"12345", key=key)
        h.call("ws", "GET", "/?comp=versions",
               key=dict(key, key="11" * 32))
        h.call("ws", "GET", "/?comp=versions")
        seen = [pick(e, "endpoint", "method", "target", "status", "verdict",
                     "reason", "guid", "body", "fault", "cut")
                for e in requests(h)]
        guid = key["guid"]
        expect(seen[2:], [
            ("IMDS", "GET", "/metadata/versions", 200, "unsigned", None,
             None, 0, None, 0),
            ("WireServer", "GET", "/?comp=versions", 200, "verified", None,
             guid, 0, None, 0),
            ("HostGAPlugin", "PUT", "/msp-host/echo", 200, "verified", None,
             guid, 5, None, 0),
            ("WireServer", "GET", "/?comp=versions", 401, "bad", "signature",
             guid, 0, None, 0),
            ("WireServer", "GET", "/?comp=versions", 401, "unsigned", None,
             None, 0, None, 0)])
        entries = requests(h)
        expect([e["seq"] for e in entries],
               list(range(1, len(entries) + 1)))
        expect({e["vm"] for e in entries}, {"msp-host-vm"})
        expect(entries[0]["target"], "/secure-channel/key")


@case
def journal_names_connection_and_client():
    with Host() as h, h.connect("ws") as s:
        me = "%s:%d" % s.getsockname()
        for target in ("/a", "/b"):
            send_request(s, "GET", target, [("host", "h")], b"")
            read_answer(s)
        h.call("ws", "GET", "/c")
        a, b, c = requests(h)
        expect(pick(a, "client", "target"), (me, "/a"))
        expect(pick(b, "client", "target"), (me, "/b"))
        expect(a["connection"], b["connection"])
        expect(c["connection"] == a["connection"], False)


@case
def journal_is_read_in_pieces():
    with Host() as h:
        for i in range(10):
            h.call("ws", "GET", "/n%d" % i)
        seen, since = [], 0
        while True:
            piece = journal(h, "?since=%d&limit=3" % since)
            expect(piece["first"], 1)
            if not piece["requests"]:
                break
            expect(len(piece["requests"]) <= 3, True)
            seen += [e["target"] for e in piece["requests"]]
            since = piece["next"]
        expect(seen, ["/n%d" % i for i in range(10)])
        expect(since, 11)
        expect(journal(h, "?since=99"),
               {"first": 1, "next": 11, "requests": []})
        expect(journal(h, "?limit=0")["next"], 1)
        expect([e["seq"] for e in requests(h, "?since=9")], [9, 10])


@case
def journal_of_a_vm():
    with Host("--fleet", "127.7.0.0/24") as h:
        for source in ("127.7.0.1", "127.7.0.2", "127.7.0.1", "127.0.0.1"):
            h.call("ws", "GET", "/" + source, source=source)
        expect([e["vm"] for e in requests(h)],
               ["vm-127-7-0-1", "vm-127-7-0-2", "vm-127-7-0-1",
                "msp-host-vm"])
        expect([e["seq"] for e in requests(h, "?vm=VM-127-7-0-1")], [1, 3])
        expect(requests(h, "?vm=vm-127-7-0-2&since=3"), [])
        expect(h.control("GET", "/journal?vm=nobody").status, 404)


@case
def journal_names_the_fault_a_request_met():
    with Host("--fault", "503,count=1", "--fault", "close,count=1") as h:
        h.call("ws", "GET", "/a")
        expect(h.raw("ws", b"GET /b HTTP/1.1\r\nhost: h\r\n\r\n"), b"")
        h.call("ws", "GET", "/c")
        expect([pick(e, "target", "status", "fault") for e in requests(h)],
               [("/a", 503, "503"), ("/b", 404, "close"), ("/c", 404, None)])


@case
def journal_refuses_numbers_that_are_none():
    with Host() as h:
        h.call("ws", "GET", "/a")
        for query in ("since=-1", "since=x", "since=", "limit=1e3",
                      "limit=99999999999999999999"):
            for method in ("GET", "DELETE"):
                expect(h.control(method, "/journal?" + query).status, 400,
                       query)
        expect(h.control("POST", "/journal").status, 405)
        expect(len(requests(h)), 1)


@case
def deleted_journal_is_empty_and_numbers_go_on():
    with Host() as h:
        for target in ("/a", "/b"):
            h.call("ws", "GET", target)
        expect(h.control("DELETE", "/journal").json(),
               {"first": 3, "next": 3, "requests": []})
        h.call("ws", "GET", "/c")
        expect(journal(h)["first"], 3)
        expect([pick(e, "seq", "target") for e in requests(h)], [(3, "/c")])


@case
def journal_keeps_a_fixed_number():
    with Host() as h, h.connect("ws") as s:
        f = s.makefile("rb")
        for start in range(0, KEPT + 100, 100):
            s.sendall(b"".join(b"GET /%d HTTP/1.1\r\nhost: h\r\n\r\n" % i
                               for i in range(start, start + 100)))
            for _ in range(100):
                length = 0
                for line in iter(f.readline, b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                f.read(length)
        answer = journal(h)
        sent = answer["next"] - 1
        expect(sent >= KEPT, True)
        expect(answer["first"], sent - KEPT + 1)
        expect([e["target"] for e in answer["requests"]],
               ["/%d" % i for i in range(sent - KEPT, sent)])
        expect(requests(h, "?since=1&limit=1")[0]["seq"], answer["first"])
        h.control("DELETE", "/journal")
        h.call("ws", "GET", "/after")
        expect([e["target"] for e in requests(h)], ["/after"])


@case
def long_and_hostile_targets_are_cut_and_escaped():
    with Host() as h:
        long = "/" + "x" * 8000
        h.call("ws", "GET", long)
        odd = '/"\\\x01\x7f\xff<\u00e9'
        with h.connect("ws") as s:
            s.sendall(("GET %s HTTP/1.1\r\nhost: h\r\n\r\n" % odd)
                      .encode("latin-1"))
            expect(read_answer(s).status, 400)
        h.raw("ws", b"M" * 100 + b" /m HTTP/1.1\r\nhost: h\r\n\r\n")
        first, second, third = requests(h)
        expect(pick(first, "target", "cut"),
               (long[:TARGET_MAX], len(long) - TARGET_MAX))
        expect(second["target"], odd)
        expect(third["method"], "M" * 64)
        raw = h.control("GET", "/journal").body
        expect([c for c in raw if c < 0x20 or c > 0x7e], [])


@case
def no_key_or_signature_is_in_the_journal():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "journal")
        with Host("--journal", path) as h:
            key = h.latch()
            h.call("ws", "GET", "/a", key=key)
            used = []
            for value in (key["key"], SCHEME + " " + key["key"],
                          "%s %s" % (SCHEME, key["key"][:36]),
                          "%s %s %s" % (SCHEME, key["key"][:36],
                                        key["key"]),
                          "Bearer %s" % key["key"]):
                lines = [("host", "h"), (DATE, now()), (AUTH, value)]
                with h.connect("ws") as s:
                    send_request(s, "GET", "/b", lines, b"")
                    read_answer(s)
                used.append(value)
            for target in ("/c", "/d"):
                lines = [("host", "h"), (DATE, now())]
                value = sign(key, "GET", target, lines, b"")
                used.append(value)
                with h.connect("ws") as s:
                    send_request(s, "GET", target,
                                 lines + [(AUTH, value)], b"")
                    read_answer(s)
            told = h.control("GET", "/journal").body.decode()
            with open(path, encoding="ascii") as f:
                told += f.read()
        expect(key["guid"] in told, True)
        for value in used:
            for word in value.split():
                if len(word) > 30 and word != key["guid"]:
                    expect(word in told, False)
        expect(key["key"][:36] in told, False)


@case
def journal_file_has_the_same_objects_0600_and_goes_on():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "journal")
        with Host("--journal", path) as h:
            h.call("ws", "GET", "/a")
            h.call("imds", "GET", '/"b')
            told = requests(h)
            with open(path, encoding="ascii") as f:
                lines = f.read().splitlines()
            expect([json.loads(line) for line in lines], told)
            expect(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            h.control("DELETE", "/journal")
        with Host("--journal", path) as h:
            h.call("ws", "GET", "/c")
        with open(path, encoding="ascii") as f:
            expect([json.loads(line)["target"] for line in f],
                   ["/a", '/"b', "/c"])


def ended(h):
    """What a host said until its orderly end."""
    h.process.terminate()
    expect(h.process.wait(5), 0)
    errors = h.process.stderr.read().decode()
    h.process.stdout.close()
    h.process.stderr.close()
    h.dir.cleanup()
    return errors.splitlines()


@case
def full_disk_is_said_once_and_stops_nothing():
    h = Host("--journal", "/dev/full")
    for _ in range(3):
        expect(h.call("ws", "GET", "/a").status, 404)
    expect(len(requests(h)), 3)
    expect(ended(h), ["msp-host: --journal: No space left on device"])


def limited(folder):
    """A program like msp-host whose files cannot grow beyond 400 bytes."""
    path = os.path.join(folder, "msp-host")
    with open(path, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\ntrap '' XFSZ\nexec prlimit --fsize=400:unlimited "
                '"%s" "$@"\n' % client.HOST)
    os.chmod(path, 0o700)
    return path


@case
def line_that_was_cut_does_not_spoil_the_next_one():
    program = client.HOST
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "journal")
        client.HOST = limited(d)
        try:
            h = Host("--log", "/dev/null", "--journal", path)
        finally:
            client.HOST = program
        for target in ("/a", "/b", "/c"):
            expect(h.call("ws", "GET", target).status, 404)
        resource.prlimit(h.process.pid, resource.RLIMIT_FSIZE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        h.call("ws", "GET", "/d")
        expect([e["target"] for e in requests(h)], ["/a", "/b", "/c", "/d"])
        expect(ended(h), ["msp-host: --journal: a line was cut"])
        with open(path, encoding="ascii") as f:
            lines = f.read().split("\n")
        expect([json.loads(lines[0])["target"], json.loads(lines[2])["target"],
                lines[3:]], ["/a", "/d", [""]])


@case
def control_calls_are_not_in_the_journal():
    with Host() as h:
        h.control("GET", "/state")
        h.raw("ctl", b"GET /state HTTP/9.9\r\n\r\n")
        expect(requests(h), [])


@case
def request_refused_by_its_head_is_in_the_journal_without_a_verdict_of_good():
    with Host() as h:
        with h.connect("ws") as s:
            s.sendall(b"GET / HTTP/1.1\r\n\r\n")
            read_all(s)
        with h.connect("imds") as s:
            s.sendall(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 300 + b"\r\n")
            read_all(s)
        expect([pick(e, "endpoint", "status", "verdict")
                for e in requests(h)],
               [("WireServer", 400, "unsigned"), ("IMDS", 431, "unsigned")])
