# SPDX-License-Identifier: MIT
"""
In: "msp-host report" between a made-up agent and a made-up host. Out: what it
posts of which status, and how it ends. Must never let it read a real agent's.
"""
import datetime
import json
import os
import socket
import subprocess
import tempfile
import threading
import time

import client
from client import Host, case, expect, read_all

NAMES = ["ProxyAgentConnectionSummary", "ProxyAgentStatus",
         "ProxyAgentFailedAuthenticationSummary"]
REPORT_MAX = 102400
DROPPED = ("Substatus of proxy agent connection message and failed auth "
           "message size exceeds max size, dropping connection summary")


class Fake:
    """An endpoint that answers each request with the next of some bytes, the
    last one for ever; None: not at all; a generator: piece by piece."""

    def __init__(self, *answers):
        self.answers, self.requests = list(answers), []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.at = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        # shutdown() wakes accept(), close() does not
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()

    def serve(self):
        held = []
        while True:
            try:
                s = self.socket.accept()[0]
            except OSError:
                break
            try:
                self.requests.append(read_request(s))
                answer = self.answers[0]
                if len(self.answers) > 1:
                    self.answers.pop(0)
                if answer is None:
                    held.append(s)
                    continue
                for piece in [answer] if isinstance(answer, bytes) else answer:
                    s.sendall(piece)
                s.shutdown(socket.SHUT_WR)
                read_all(s)
            except OSError:
                pass
            s.close()
        for s in held:
            s.close()


def read_request(s):
    f = s.makefile("rb")
    line = f.readline().decode().split()
    headers = {}
    for raw in iter(f.readline, b"\r\n"):
        if not raw:
            break
        name, _, value = raw.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = f.read(int(headers.get("content-length", 0)))
    return line[0], line[1], headers, body


def http(body, status="200 OK"):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return (b"HTTP/1.1 %s\r\ncontent-type: application/json; charset=utf-8"
            b"\r\ncontent-length: %d\r\n\r\n" % (status.encode(), len(body))
            ) + body


def drip(answer, quick):
    """Never silent for long, and complete in the end."""
    yield answer[:quick]
    for i in range(quick, len(answer)):
        time.sleep(0.01)
        yield answer[i:i + 1]


def stamp(seconds=0):
    at = datetime.datetime.now(datetime.timezone.utc)
    at += datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + "%03d" % (at.microsecond / 1000)


def module(status="RUNNING", message="fine", **more):
    return dict({"status": status, "message": message}, **more)


def group(count, name="root", size=0):
    return {"userName": name, "ip": "169.254.169.254", "port": 80,
            "processCmdLine": "curl " + "x" * size,
            "responseStatus": "200 OK", "count": count,
            "userGroups": ["root"], "processFullPath": "/usr/bin/curl"}


def status(connections=(), failed=(), age=0, **agent):
    return {"timestamp": stamp(-age),
            "proxyAgentStatus": dict({
                "version": "1.0.39", "status": "SUCCESS",
                "monitorStatus": module(),
                "keyLatchStatus": module(states={"keyIncarnationId": "1"}),
                "ebpfProgramStatus": module(),
                "proxyListenerStatus": module(),
                "telemetryLoggerStatus": module("UNKNOWN"),
                "proxyConnectionsCount": 2 ** 90}, **agent),
            "proxyConnectionSummary": list(connections),
            "failedAuthenticateSummary": list(failed)}


def command(wireserver, hostga, *options):
    return [client.HOST, "report", "--wireserver", wireserver, "--hostga",
            hostga, "--status-file", "/nonexistent", *options]


def run(answer, *options):
    """Report once; how that ended, and what was posted."""
    with Fake(answer) as ws, Fake(http(b"", "200 OK")) as ga:
        done = subprocess.run(command(ws.at, ga.at, *options),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False)
        expect((len(ga.requests), done.stderr), (1, b""))
        done.asked, done.posted = ws.requests[0], ga.requests[0]
    return done


def parts(done):
    """The posted report: overall status, and the sub-statuses by name."""
    body = done.posted[3]
    expect(len(body) <= REPORT_MAX, True, len(body))
    document = json.loads(body.decode())
    expect(len(document), 1)
    overall = document[0]["status"]
    expect([part["name"] for part in overall["substatus"]], NAMES)
    return overall, [(part["status"], part["code"],
                      part["formattedMessage"]["message"])
                     for part in overall["substatus"]]


def is_bad(done, word):
    """No usable status: all three say why."""
    overall, subs = parts(done)
    expect((overall["status"], overall["code"]), ("transitioning", 0))
    why = overall["formattedMessage"]["message"]
    expect(word in why, True, why)
    expect(subs, [("transitioning", 4, why)] * 3)
    expect(done.returncode, 1)


@case
def report_of_a_healthy_agent():
    sent = status([group(3), group(1, "daemon")], [group(7, "nobody")])
    done = run(http(sent), "--agent-version", "1.0.39")
    expect(done.asked[:2], ("GET", "/gpa-aggregated-status"))
    expect(done.asked[2]["metadata"], "true")
    expect(done.posted[:2], ("PUT", "/status"))
    expect(done.posted[2]["content-type"], "application/json")
    overall, subs = parts(done)
    expect([(s, c) for s, c, _ in subs], [("success", 0)] * 3)
    expect(json.loads(subs[0][2]), [group(1, "daemon"), group(3)])
    expect(json.loads(subs[1][2]), sent["proxyAgentStatus"])
    expect(json.loads(subs[2][2]), [group(7, "nobody")])
    expect({k: v for k, v in overall.items() if k not in
            ("substatus", "configurationAppliedTime")}, {
        "name": "ProxyAgentVMExtension", "operation": "Enable",
        "status": "success", "code": 0, "formattedMessage": {
            "lang": "en-US", "message":
            "ProxyAgent extension is reporting successful status."}})
    document = json.loads(done.posted[3])[0]
    expect(sorted(document), ["status", "timestampUTC", "version"])
    expect((document["version"], len(document["timestampUTC"])), ("1.0", 23))
    expect(len(overall["configurationAppliedTime"]), 20)
    expect((done.returncode, done.stdout),
           (0, b"msp-host: report: success\n"))


@case
def report_says_that_summaries_are_empty():
    overall, subs = parts(run(http(status())))
    expect(overall["status"], "success")
    expect((subs[0][2], subs[2][2]), ("proxy connection summary is empty",
                                      "proxy failed auth summary is empty"))


@case
def module_that_does_not_run_is_named_and_shown():
    for name in ("keyLatchStatus", "ebpfProgramStatus",
                 "proxyListenerStatus"):
        for word in ("STOPPED", "UNKNOWN", "running"):
            sent = status([group(1)], status="ERROR",
                          **{name: module(word, "it broke")})
            done = run(http(sent))
            overall, subs = parts(done)
            expect((overall["status"], overall["formattedMessage"]["message"]),
                   ("transitioning", "%s is %s: it broke" % (name, word)))
            expect([(s, c) for s, c, _ in subs], [("transitioning", 4)] * 3)
            expect(json.loads(subs[1][2]), sent["proxyAgentStatus"])
            expect(json.loads(subs[0][2]), [group(1)])
            expect(done.returncode, 1)
    overall = parts(run(http(status(status="ERROR"))))[0]
    expect(overall["formattedMessage"]["message"],
           "the agent's status is ERROR")


@case
def stale_status_or_one_of_another_agent_is_bad():
    is_bad(run(http(status(age=310))), "stale")
    is_bad(run(http(status(age=-310))), "stale")
    expect(run(http(status(age=250))).returncode, 0)
    is_bad(run(http(status()), "--agent-version", "1.0.40"),
           "version is 1.0.39 instead of 1.0.40")
    is_bad(run(http(status(version=""))), "no version")
    is_bad(run(http(status(version=39))), "no version")
    now = stamp()
    for text in (now + "Z", now[:-1], now.replace("T", " "), now[:-4], "",
                 "yesterday", None, 1234567890, "2026-02-31T00:00:00.000",
                 "+026-02-03T00:00:00.000", "2026-01-02T24:00:00.000"):
        is_bad(run(http(dict(status(), timestamp=text))), "timestamp")


@case
def what_is_no_aggregate_status_is_bad():
    good = json.dumps(status()).encode()
    for body in (b"", b"nonsense", good[:-1], good + b"x", b"[]", b"null",
                 b"{}", b"\xef\xbb\xbf" + good, good.decode().encode("utf-16"),
                 b"[" * 100000, b'{"proxyAgentStatus":' * 1000,
                 b'{"proxyAgentStatus":[]}',
                 good.replace(b"fine", b"a\\u0000b"),
                 good.replace(b"fine", b"\xff\xfe")):
        is_bad(run(http(body)), "aggregate status")
    for name in ("proxyConnectionSummary", "failedAuthenticateSummary"):
        is_bad(run(http(dict(status(), **{name: {}}))), name)
        short = status()
        del short[name]
        is_bad(run(http(short)), name)
    for answer in (http(b"no", "404 Not Found"), http(b"no", "403 Forbidden"),
                   http(b"no", "500 x"), http(b"", "204 No Content")):
        is_bad(run(answer), "answer %s" % answer[9:12].decode())
    for answer in (b"", b"\x00\xff" * 100, b"HTTP/1.1 200 OK\r\n",
                   b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{",
                   b"HTTP/1.1 200 OK\r\na: " + b"b" * 40000 + b"\r\n\r\n",
                   b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                   b"zz\r\n"):
        is_bad(run(answer), "GET http://127.0.0.1:")


@case
def status_that_never_ends_is_cut_off():
    is_bad(run(http(b"[" + b"1," * 3000000)), "larger than 4194304 bytes")
    is_bad(run(None, "--timeout", "0.2"), "GET http://")
    slow = http(b" " * 200)
    for quick in (0, len(slow) - 200):
        is_bad(run(drip(slow, quick), "--timeout", "0.2"), "GET http://")


@case
def most_frequent_groups_are_shown():
    connections = [group(n * 7919 % 2003, "u%d" % n) for n in range(2000)]
    failed = [group(n) for n in range(60)]
    subs = parts(run(http(status(connections, failed))))[1]
    expect([g["count"] for g in json.loads(subs[0][2])],
           sorted(g["count"] for g in connections)[-100:])
    expect([g["count"] for g in json.loads(subs[2][2])], list(range(10, 60)))
    odd = [dict(group(2 ** 63 + n), count=2 ** 63 + n) for n in (2, 1)]
    odd += [dict(group(0), count=c) for c in ("9", -1, 1.5, None, 2 ** 70)]
    odd += [7, None, []]
    shown = json.loads(parts(run(http(status(odd))))[1][0][2])
    expect(shown[-2:], [odd[1], odd[0]])
    expect(len(shown), len(odd))


@case
def large_summaries_are_cut_and_say_so():
    much = [group(n, size=1500) for n in range(60)]
    subs = parts(run(http(status(much, much[:5]))))[1]
    expect(subs[0][2], DROPPED)
    expect(len(json.loads(subs[2][2])), 5)
    subs = parts(run(http(status([], much * 2))))[1]
    expect(subs[0][2], DROPPED)
    expect(subs[2][2].startswith('[{"userName":"root"'), True)
    expect(len(subs[2][2]) <= 80 * 1024, True)
    # the quotes that quotes need do not count above, but in what is posted
    quotes = [dict(group(n), processCmdLine='"' * 500) for n in range(50)]
    expect(parts(run(http(status(quotes, quotes))))[1][0][2], DROPPED)
    subs = parts(run(http(status([], quotes, version='"\x01' * 20000))))[1]
    expect("exceeds max size" in subs[1][2], True)


@case
def hostile_texts_become_neither_bad_json_nor_terminal_commands():
    # yajl takes these for text: overlong, surrogates, beyond Unicode
    for text in (b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
                 b"\\udc00", b"\\ud800\\u0041", b"\xf5\x80\x80\x80"):
        body = json.dumps(status([group(1)], status="ERROR",
                                 keyLatchStatus=module("STOPPED", "FINE")))
        body = body.encode().replace(b"FINE", text).replace(b"root", text)
        done = run(http(body))
        parts(done)
        expect(done.returncode, 1)
    euro = status([group(1, "\u20ac\U0001f600")])
    subs = parts(run(http(json.dumps(euro, ensure_ascii=False).encode())))[1]
    expect(json.loads(subs[0][2])[0]["userName"], "\u20ac\U0001f600")
    done = run(http(status(keyLatchStatus=module(
        "STOPPED", "\x1b[2J\r\n\u009b" + "x" * 100000))))
    expect([c for c in done.stdout if c < 0x20 or c > 0x7e], [ord("\n")])
    expect(len(done.stdout) < 2000, True)
    said = parts(done)[0]["formattedMessage"]["message"]
    expect(len(said.encode()), 1024)


@case
def file_is_read_when_the_agent_does_not_answer():
    with tempfile.TemporaryDirectory() as d, Fake(http(b"")) as ga:
        path = os.path.join(d, "status.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(status([group(5)]), f)
        with socket.create_server(("127.0.0.1", 0)) as s:
            nobody = "127.0.0.1:%d" % s.getsockname()[1]

        def tried(*options):
            return subprocess.run(
                command(nobody, ga.at, *options), check=False,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        expect(tried("--status-file", path).returncode, 0)
        expect(json.loads(ga.requests[-1][3])[0]["status"]["status"],
               "success")
        done = tried()
        expect(done.returncode, 1)
        said = json.loads(ga.requests[-1][3])[0]["status"]
        said = said["formattedMessage"]["message"]
        expect(("Connection refused" in said,
                "/nonexistent: No such file" in said), (True, True), said)


@case
def pipe_instead_of_a_status_file_is_not_waited_for():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "pipe")
        os.mkfifo(path)
        nowhere = "127.0.0.1:1"
        done = subprocess.run(
            [*command(nowhere, nowhere), "--status-file", path],
            capture_output=True, timeout=60)
        expect(done.returncode, 1)
        expect(path in done.stdout.decode(), True, done.stdout)


@case
def report_that_could_not_be_posted_is_a_failure():
    with Fake(http(status())) as ws:
        with socket.create_server(("127.0.0.1", 0)) as s:
            nobody = "127.0.0.1:%d" % s.getsockname()[1]
        done = subprocess.run(command(ws.at, nobody), check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        expect((done.returncode, b"not posted: PUT" in done.stderr), (1, True))
        for answer in (http(b"", "401 Unauthorized"), http(b"", "500 x"),
                       http(b"x" * 100000), b"garbage", b"", None):
            with Fake(answer) as ga:
                done = subprocess.run(
                    command(ws.at, ga.at, "--timeout", "0.2"), check=False,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            expect((done.returncode, b"not posted: PUT" in done.stderr),
                   (1, True), answer)


@case
def repeated_reports_move_from_state_to_state():
    good, bad = http(status()), http(b"x", "503 x")
    rounds = [good, good, bad, good] + [bad] * 21 + [good, good]
    wanted = ["success", "success", "transitioning", "success"]
    wanted += ["transitioning"] * 19 + ["error"] * 2
    wanted += ["transitioning", "success"]
    with Fake(*rounds) as ws, Fake(http(b"")) as ga:
        process = subprocess.Popen(
            command(ws.at, ga.at, "--every", "0.001"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            said = [process.stdout.readline().decode() for _ in wanted]
            # its report is posted before the next round is told
            process.stdout.readline()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
        seen = [json.loads(r[3])[0]["status"] for r in ga.requests]
    expect([line.split(":")[2].strip() for line in said], wanted)
    expect([s["status"] for s in seen][:len(wanted)], wanted)
    expect({s["code"] for s in seen if s["status"] == "error"}, {4})
    expect({s["code"] for s in seen if s["status"] != "error"}, {0})
    expect({s["substatus"][0]["status"] for s in seen
            if s["status"] == "error"}, {"transitioning"})


@case
def report_options_that_are_none_are_refused():
    for options in (["--every", "0"], ["--every", "-1"], ["--every", "1.0001"],
                    ["--every", "1."], ["--every", "1.x"],
                    ["--every", "86401"], ["--timeout", ""], ["--hostga", "x"],
                    ["--wireserver", "127.0.0.1"], ["--nonsense"], ["more"]):
        done = subprocess.run([client.HOST, "report", *options], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        expect((done.returncode, done.stdout), (1, b""), options)
        expect(b"see report --help" in done.stderr, True, options)
    done = subprocess.run([client.HOST, "report", "--help"], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    expect((done.returncode, done.stderr), (0, b""))


VIEW = ("/subscriptions/8d10da13-8125-4ba9-a717-bf7490507b3d/resourceGroups/"
        "msp-host-rg/providers/Microsoft.Compute/virtualMachines/msp-host-vm/"
        "instanceView?api-version=2025-04-01")


@case
def host_shows_the_report():
    names = ("a\"\\\x01", "\u20ac", "x" * 3000)
    sent = status([group(n, names[n]) for n in range(3)],
                  [group(1, size=30000)] * 4)
    with Host() as h, Fake(http(sent)) as ws:
        expect(h.control("GET", "/report").status, 404)
        done = subprocess.run(command(ws.at, "%s:%d" % h.at["ga"]),
                              check=False, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        expect((done.returncode, done.stderr), (0, b""))
        last = h.control("GET", "/journal").json()["requests"][-1]
        expect((last["endpoint"], last["method"], last["target"],
                last["status"]), ("HostGAPlugin", "PUT", "/status", 200))
        kept = h.control("GET", "/report").json()[0]["status"]
        expect([part["name"] for part in kept["substatus"]], NAMES)
        h.latch()
        shown = h.control("GET", VIEW).json()["guestProxyAgent"]
        expect(shown, sent["proxyAgentStatus"])
