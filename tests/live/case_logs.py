# SPDX-License-Identifier: MIT
"""
In: requests of all kinds of callers, with secrets wherever they can be. Out:
what people and Azure's tools find in the logs, and nothing that is secret.
"""
import base64
import ctypes
import json
import os
import re
import signal
import socket
import stat
import struct
import threading
import unittest

import case_control
import sign
import wire
import world
from world import DAEMON, IMDS, INSTANCE, METADATA, NOBODY

LOG = "ProxyAgent.log"
CONNECTIONS = "ProxyAgent.Connection.log"
HEADER = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} "
                    r"\[(ERROR|WARN|INFO|DEBUG|TRACE)\] *")
NUMBERS = re.compile(r"(\d+)\[(\d+)\] - ")
FIELDS = ["id", "method", "url", "clientIp", "clientPort", "ip", "port",
          "userId", "userName", "userGroups", "processFullPath",
          "processCmdLine", "runAsElevated", "responseStatus", "elapsedTime",
          "errorDetails"]
CLAIMS = ["userId", "userName", "userGroups", "processId", "processName",
          "processFullPath", "processCmdLine", "runAsElevated", "clientIp",
          "clientPort"]
ENDED = ("------------------------ ConnectionLogger is dropped "
         "------------------------")
TOKEN = ("/metadata/identity/oauth2/token?api-version=2018-02-01"
         "&resource=https://vault.example/")
SECRET = "hunter2hunter2"
LIMIT = 10 * 1024 * 1024


class Logs:
    """What is in the connection log of a world."""

    def __init__(self, w):
        self.world = w

    def lines(self):
        """(level, request, connection, text) of each; all are well formed."""
        for line in self.world.read("log", CONNECTIONS).decode().splitlines():
            header = HEADER.match(line)
            if not header or header.end() != 34:
                raise world.Failed(f"header of {line!r}")
            numbers = NUMBERS.match(line, 34)
            if numbers:
                yield (header.group(1), int(numbers.group(1)),
                       int(numbers.group(2)), line[numbers.end():])

    def summaries(self):
        """Oldest first; what is in the order of the fields."""
        return [json.loads(text) for _, _, _, text in self.lines()
                if text.startswith('{"id":')]

    def wait_for(self, found, why):
        """The log is written by a thread of its own."""
        world.wait_until(lambda: any(found(s) for s in self.summaries()),
                         why=why)
        return next(s for s in self.summaries() if found(s))


def entries(w):
    document = w.status()
    return document["proxyConnectionSummary"] + \
        document["failedAuthenticateSummary"]


class Connections(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        allowed = {"root": {"userName": "root"},
                   "daemon": {"userName": "daemon"}}
        cls.world = w = world.World(
            imds=world.item(access="deny", ident="imds-item",
                            rules=world.grant(["/metadata"], allowed)),
            config={"fileLogLevelForSystemEvents": "Trace",
                    "enableHttpProxyTrace": True})
        cls.addClassCleanup(w.close)
        w.start()
        cls.logs = Logs(w)
        cls.token = json.loads(w.get(TOKEN, uid=DAEMON).body)["access_token"]
        # three of one group
        for _ in range(3):
            w.curl("-o", "/dev/null", "--oauth2-bearer", SECRET,
                   "-HMetadata:true", f"http://{IMDS}{INSTANCE}", uid=DAEMON)
        w.curl("-o/dev/null", "-HMetadata:true", "-HAuthorization:" + SECRET,
               f"http://{IMDS}{INSTANCE}&sig={SECRET}", uid=DAEMON)
        w.get(INSTANCE, uid=NOBODY, headers=(
            METADATA, (b"x-ms-azure-host-authorization", SECRET.encode())))
        w.get("/metadata/..", uid=NOBODY)
        w.get("/x\x1b[2J", uid=NOBODY)
        w.talk((IMDS, 80), [b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n"], uid=2)
        w.get(INSTANCE, *world.LISTENER)

    def test_summaries_name_the_command_without_its_secrets(self):
        commands = {e["processCmdLine"] for e in entries(self.world)
                    if (e["processFullPath"] or "").endswith("/curl")}
        # and no more than the first four arguments
        self.assertIn("curl -s -S -m", commands)
        self.assertFalse([c for c in commands if len(c.split(" ")) > 4])
        mine = {e["processCmdLine"] for e in entries(self.world)
                if e["userName"] == "nobody"}
        with open("/proc/self/cmdline", "rb") as f:
            words = [a for a in f.read().decode().split("\0") if a][:4]
        self.assertEqual(mine, {" ".join(words)})

    def test_a_secret_among_the_first_arguments_is_taken_out(self):
        self.world.call(
            os.system, "curl -s --proxy-header token=%s http://%s%s >/dev/null"
            % (SECRET, IMDS, INSTANCE), uid=DAEMON)
        self.assertIn("curl -s --proxy-header [REDACTED]",
                      {e["processCmdLine"] for e in entries(self.world)})

    def test_the_first_request_of_a_group_is_one_json_line(self):
        found = self.logs.wait_for(
            lambda s: s["userName"] == "daemon" and
            s["processCmdLine"].startswith("curl"), "line of curl")
        self.assertEqual(list(found), FIELDS)
        self.assertEqual(
            (found["method"], found["url"], found["ip"], found["port"],
             found["userId"], found["runAsElevated"], found["responseStatus"],
             found["errorDetails"]),
            ("GET", INSTANCE, IMDS, 80, DAEMON, False, "200 OK", ""))
        self.assertEqual(found["processCmdLine"], "curl -s -S -m")
        self.assertIn("daemon", found["userGroups"])
        # the others of the group are only counted
        same = [s for s in self.logs.summaries() if s["userName"] == "daemon"
                and s["processCmdLine"] == "curl -s -S -m"]
        self.assertEqual(len(same), 1)

    def test_a_refusal_says_why(self):
        denied = self.logs.wait_for(
            lambda s: s["errorDetails"].startswith("Block"), "denied")
        self.assertEqual(denied["responseStatus"], "403 Forbidden")
        before = "Block unauthorized request: "
        claims = json.loads(denied["errorDetails"][len(before):])
        self.assertEqual(list(claims), CLAIMS)
        self.assertEqual((claims["userId"], claims["userName"]),
                         (NOBODY, "nobody"))
        self.logs.wait_for(
            lambda s: s["errorDetails"].startswith("No remote"), "direct")
        said = {s["errorDetails"]: s["responseStatus"]
                for s in self.logs.summaries()}
        self.assertEqual(said["Authorize failed"], "403 Forbidden")
        self.assertEqual(said["Rejected unsupported HTTP method 'BREW'"],
                         "405 Method Not Allowed")
        self.assertEqual(said["No remote destination_ip found in the request,"
                              " return!"], "421 Misdirected Request")

    def test_requests_are_told_when_all_is_logged(self):
        self.logs.wait_for(lambda s: True, "lines")
        lines = list(self.logs.lines())
        by_request = {}
        for level, request, connection, text in lines:
            by_request.setdefault(request, []).append((level, text))
        whole = [x for x in by_request.values() if x[-1][1] == ENDED]
        self.assertGreater(len(whole), 5)
        for texts in whole:
            self.assertRegex(texts[0][1], r"^Got request from 127\.0\.0\.1:\d+"
                             r" for [A-Z]+ /")
            self.assertTrue(texts[1][1].startswith("Use claims: {"))
            self.assertEqual(list(json.loads(texts[1][1][12:])), CLAIMS)
            self.assertRegex(texts[-2][1], r"^\d+ after \d+\.\d{3} ms$")
        self.assertEqual(len({(r, c) for _, r, c, _ in lines}),
                         len({r for _, r, _, _ in lines}))

    def test_targets_are_shown_without_their_secrets(self):
        lines = [t for _, _, _, t in self.logs.lines()
                 if t.startswith("Got request") and "&[REDACTED]" in t]
        self.assertEqual(len(lines), 1)

    def test_both_logs_are_private_and_have_their_format(self):
        for name in (LOG, CONNECTIONS):
            mode = os.stat(self.world.path("log", name)).st_mode
            self.assertEqual(stat.S_IMODE(mode), 0o640, name)
        for line in self.world.read("log", LOG).decode().splitlines():
            header = HEADER.match(line)
            self.assertIsNotNone(header, line)
            self.assertGreaterEqual(header.end(), 34)

    def test_output_tells_when_a_request_came_to_which_stage(self):
        text = self.world.read("mspd.out").decode()
        stages = re.findall(r"^\[(\d+)\] - (\d+) - \d{4}-\d\d-\d\dT\d\d:\d\d:"
                            r"\d\d\.\d{3} - (.*)$", text, re.M)
        of = {}
        for request, _, stage in stages:
            of.setdefault(request, []).append(stage)
        self.assertIn(["request received", "caller identified", "authorized",
                       "sent to the host", "host answers", "answered"],
                      list(of.values()))

    def secrets(self):
        """In every form in which they could get into a file."""
        yield SECRET
        yield self.token
        yield self.token.rsplit(".", 1)[1]
        for key in self.world.key_hex():
            raw = bytes.fromhex(key)
            yield from (key.lower(), key.upper())
            yield base64.b64encode(raw).decode().rstrip("=")
            yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
        for _, request in sign.recorded(self.world.path("record")):
            claim = sign.claimed(request)
            if claim:
                yield claim[1].decode()
                yield claim[1].decode().upper()
                yield base64.b64encode(bytes.fromhex(
                    claim[1].decode())).decode().rstrip("=")

    def content(self, path):
        """Of a socket what it tells."""
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return self.world.read(path)
        told = case_control.ask(path) if "control" in path else \
            "".join(case_control.scrape(path)).encode()
        self.assertGreater(len(told), 1000)
        return told

    def test_nothing_that_is_written_holds_a_secret(self):
        self.world.status()
        secrets = sorted(set(self.secrets()))
        self.assertGreater(len(secrets), 20)
        pattern = re.compile("|".join(map(re.escape, secrets)).encode())
        looked = []
        for base, dirs, names in os.walk(self.world.dir):
            if base == self.world.dir:
                # where they belong, and what the host was sent
                dirs[:] = [d for d in dirs if d not in ("keys", "record")]
            for name in names:
                if name == "host.log":  # of what it was asked
                    continue
                path = os.path.join(base, name)
                found = pattern.search(self.content(path))
                self.assertIsNone(found, f"{name}: {found}")
                looked.append(name)
        for name in (LOG, CONNECTIONS, "audit.jsonl", "mspd.out",
                     "status.json", "control.sock", "metrics.sock"):
            self.assertIn(name, looked)


class Rotation(unittest.TestCase):

    def test_full_logs_are_renamed_and_strangers_stay(self):
        w = world.World(imds=world.item(), config={"fileLogLevel": "Info"})
        self.addCleanup(w.close)
        log = w.path("log")
        os.mkdir(log)
        old = [f"{name}.2020-01-02T03.04.05.00{i}-157793424500{i}000000.log"
               for name in (LOG, CONNECTIONS) for i in range(5)]
        strangers = [LOG + ".bak", LOG + "rotate", CONNECTIONS + ".1.log",
                     LOG + ".2020-01-02T03.04.05.000-1.log.gz"]
        for name in old + strangers:
            with open(os.path.join(log, name), "w", encoding="ascii") as f:
                f.write(name)
        with open(os.path.join(log.encode(), LOG.encode() + b".\xff.log"),
                  "w", encoding="ascii"):
            pass
        for name in (LOG, CONNECTIONS):
            with open(os.path.join(log, name), "wb") as f:
                f.write(b"x\n" * (LIMIT // 2))
            os.chmod(os.path.join(log, name), 0o644)
        w.start()
        world.wait_until(lambda: os.path.getsize(
            os.path.join(log, CONNECTIONS)) < LIMIT, why="a new file")
        Logs(w).wait_for(lambda s: True, "a line in the new file")
        names = os.listdir(log.encode())
        self.assertIn(LOG.encode() + b".\xff.log", names)
        names = [n.decode() for n in names if b"\xff" not in n]
        for name in strangers:
            self.assertIn(name, names)
        for name in (LOG, CONNECTIONS):
            path = os.path.join(log, name)
            self.assertLess(os.path.getsize(path), LIMIT)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o640)
            mine = sorted(n for n in names if n not in strangers and re.match(
                re.escape(name) +
                r"\.\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}-\d+\.log$", n))
            self.assertEqual(len(mine), 4, mine)
            self.assertEqual(os.path.getsize(os.path.join(log, mine[-1])),
                             LIMIT)


# ---- the journal -----------------------------------------------------------
def journal_fields(data):
    """As systemd's journal reads them."""
    out = {}
    while data:
        line, rest = data.split(b"\n", 1)
        name, equals, value = line.partition(b"=")
        if not equals:
            size = struct.unpack_from("<Q", rest)[0]
            value, rest = rest[8:8 + size], rest[8 + size:]
            if rest[:1] != b"\n":
                raise world.Failed(f"no end: {rest[:20]!r}")
            rest = rest[1:]
        out[name.decode()] = value.decode()
        data = rest
    return out


class Journal(unittest.TestCase):

    def setUp(self):
        self.world = w = world.World(
            imds=world.item(),
            config={"fileLogLevelForSystemEvents": "Info",
                    "enableHttpProxyTrace": True}, sandbox=self.enter)
        self.addCleanup(w.close)
        # of its own, over that of the machine
        os.makedirs(w.path("journal", "systemd", "journal"))
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.server.close)
        self.server.bind(w.path("journal", "systemd", "journal", "socket"))
        self.got = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        with open(w.path("mspd.out"), "wb") as f:
            st = os.fstat(f.fileno())
        before = w.environment
        w.environment = lambda: {
            **before(), "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"}

    def enter(self):
        libc = ctypes.CDLL(None, use_errno=True)
        new_ns, rec_private, bind = 0x20000, 0x4000 | 1 << 18, 0x1000
        if libc.unshare(new_ns) or \
                libc.mount(b"none", b"/", None, rec_private, None) or \
                libc.mount(self.world.path("journal").encode(), b"/run", None,
                           bind, None):
            os._exit(99)

    def read(self):
        """As it comes: the kernel keeps few messages for a journal."""
        while True:
            data = self.server.recv(65536)
            if data == b"end":
                return
            self.got.append(journal_fields(data))

    def messages(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.connect(self.server.getsockname())
            s.send(b"end")
        self.reader.join()
        return self.got

    def test_messages_come_with_level_and_place_and_once(self):
        w = self.world
        w.start()
        w.stop_mspd()
        got = self.messages()
        texts = [m["MESSAGE"] for m in got]
        self.assertEqual(len([t for t in texts if "is starting with" in t]), 1)
        start = next(m for m in got if "is starting with" in m["MESSAGE"])
        self.assertEqual(start["PRIORITY"], "6")
        self.assertRegex(start["CODE_FILE"], r"mspd/.*\.c$")
        self.assertGreater(int(start["CODE_LINE"]), 0)
        self.assertIn("CODE_FUNC", start)
        self.assertEqual(start["SYSLOG_IDENTIFIER"], "mspd")
        stages = [m for m in got if "- request received\n" in m["MESSAGE"]]
        self.assertTrue(stages, "several lines are one message")
        self.assertEqual(stages[0]["PRIORITY"], "4")
        self.assertNotIn(b"is starting with", w.read("mspd.out"))

    def test_without_the_journal_they_are_lines(self):
        self.messages()
        os.unlink(self.server.getsockname())
        self.world.start()
        self.assertIn(b"is starting with", self.world.read("mspd.out"))


# ---- what is looked for in it ----------------------------------------------

class Texts(unittest.TestCase):
    """The words by which log collectors and operators go."""

    def setUp(self):
        self.world = w = world.World(
            imds=world.item(), wireserver=world.item("audit"),
            config={"statusIntervalInSeconds": 0.2,
                    "pollKeyStatusIntervalInSeconds": 0.2})
        self.addCleanup(w.close)
        w.start()

    def lines(self):
        """(level, message) of each."""
        for line in self.world.read("log", LOG).decode().splitlines():
            yield HEADER.match(line).group(1), line[34:]

    def levels(self, pattern):
        """Of the lines that are that, in their order."""
        return [level for level, text in self.lines()
                if re.fullmatch(pattern, text)]

    def wait_for(self, pattern, times=1):
        world.wait_until(lambda: len(self.levels(pattern)) >= times,
                         why=pattern)
        return self.levels(pattern)

    def test_log_begins_like_that_of_azures_agent(self):
        level, text = next(self.lines())
        self.assertEqual(level, "INFO")
        self.assertRegex(text, r"^={14} GuestProxyAgent \(\d+\.\d+\.\d+\) is "
                         r"starting on Linux:\S+-\S+\(\S+\), elapsed: \d+$")

    def test_what_was_achieved_at_the_start_is_an_object(self):
        for text in ("Started proxy listener, ready to accept request",
                     "Started Redirector with eBPF maps",
                     "Successfully attest the key and ready to use."):
            self.assertEqual(self.wait_for(
                r'\{"elapsed":\d+, "message":"' + text + r'"\}'), ["INFO"])

    def test_monitor_says_that_it_runs(self):
        self.assertEqual(self.wait_for(r"Proxy agent status is running\."),
                         ["WARN"])

    def test_memory_is_said_with_each_round(self):
        self.assertLessEqual(
            set(self.wait_for(r"Current process memory usage: [1-9]\d* MB, "
                              r"peak: [1-9]\d* MB", times=2)), {"INFO"})

    def answer(self, guid, imds="enforce"):
        state = ("WireServer Audit -  IMDS %s - HostGA Audit" %
                 imds.capitalize())
        return re.escape(
            "Got key status successfully: authorizationScheme: "
            "Azure-HMAC-SHA256, keyDeliveryMethod: http, keyGuid: "
            f"{guid}, secureChannelState: {state}, version: 2.0, "
            f"WireServerMode: audit, IMDSMode: {imds}.")

    def test_answer_of_the_host_is_a_warning_when_it_is_another_one(self):
        self.assertEqual(self.wait_for(self.answer("None")), ["WARN"])
        guid = self.world.status()["proxyAgentStatus"]["keyLatchStatus"][
            "states"]["keyGuid"]
        said = self.wait_for(self.answer(guid), times=3)
        self.assertEqual(set(said[1:]), {"TRACE"})
        self.assertEqual(said[0], "WARN")
        self.world.set_item("imds", world.item("audit"))
        said = self.wait_for(self.answer(guid, "audit"), times=2)
        self.assertEqual(said[:2], ["WARN", "TRACE"])


# ---- a caller without arguments --------------------------------------------
PAGE = 4096
PROT_READ, MAP_PRIVATE_FIXED = 1, 0x12


def hide_arguments(path):
    """They are in that file from now on. Where they are is in proc(5)'s stat,
    field 48."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    with open("/proc/self/stat", encoding="ascii") as f:
        start = int(f.read().rsplit(")", 1)[1].split()[45]) & -PAGE
    with open(path, "rb", buffering=0) as f:
        at = libc.mmap(ctypes.c_void_p(start), ctypes.c_size_t(PAGE),
                       PROT_READ, MAP_PRIVATE_FIXED, f.fileno(), 0)
    if at != start:
        raise world.Failed("mmap: " + os.strerror(ctypes.get_errno()))


class Hidden(unittest.TestCase):

    def hide_and_ask(self, path):
        hide_arguments(path)
        return wire.talk((IMDS, 80), [wire.request(b"GET", INSTANCE, IMDS,
                                                   (METADATA,))])[0].status

    def test_who_hides_its_arguments_is_served_and_has_none(self):
        w = world.World(imds=world.item())
        self.addCleanup(w.close)
        w.start()
        with open(w.path("page"), "wb") as f:
            f.write(b"forged\0".ljust(PAGE, b"x"))
        os.chmod(w.path("page"), 0o644)
        self.assertEqual(w.call(self.hide_and_ask, w.path("page"), uid=DAEMON),
                         200)
        self.assertEqual([e["processCmdLine"] for e in entries(w)
                          if e["userName"] == "daemon"], ["undefined"])


if __name__ == "__main__":
    unittest.main()
