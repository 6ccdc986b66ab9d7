# SPDX-License-Identifier: MIT
"""
In: a host that breaks HTTP, clients that send no HTTP, no descriptors left.
Out: one answer, one audit line, nothing of one caller's for another, and a
process that does not spin.
"""
import ctypes
import os
import resource
import subprocess
import sys
import time
import unittest

import wire
import world
from world import DAEMON, IMDS, METADATA

HOST = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                    "hostile_host.py")
# msp-host's own metadata service moves away for the hostile one.
AWAY = "127.0.0.1:8099"
CUT = "cut"
CLONE_NEWNS = 0x00020000
LIBC = ctypes.CDLL(None, use_errno=True)
ANSWERS = [
    ("ok", 200), ("excess", 200), ("nothing", 502), ("reset", 502),
    ("half-a-head", 502), ("half-a-body", CUT), ("half-a-chunk", CUT),
    ("bad-chunks", CUT), ("huge-chunk", CUT), ("no-http", 503),
    ("interim-flood", 503), ("large-head", 503), ("many-headers", 503),
    ("two-lengths", 503), ("upgrade", 503), ("silence", 503),
]
MALFORMED = [
    (b"no host", b"GET /x HTTP/1.1\r\n\r\n"),
    (b"blank in target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    (b"control byte in method", b"G\x01T /x HTTP/1.1\r\nHost: a\r\n\r\n"),
    (b"version", b"GET /x HTTP/1.2\r\nHost: a\r\n\r\n"),
    (b"blank before colon", b"GET /x HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n"),
    (b"two lengths", b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                     b"Content-Length: 2\r\n\r\na"),
]


def get(name, method=b"GET"):
    return wire.request(method, f"/metadata/{name}", IMDS, [METADATA])


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Hostile(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = world.World(
            imds=world.item(), wireserver=world.item(),
            host_args=["--imds", AWAY],
            config={"upstreamTimeoutInSeconds": 1})
        cls.addClassCleanup(cls.world.close)
        cls.log = cls.world.path("hostile.log")
        cls.host = subprocess.Popen(
            [sys.executable, HOST, IMDS, "80", cls.log],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        cls.addClassCleanup(cls.end_host)
        cls.host.stdout.readline()
        cls.world.start_host()
        cls.world.start_mspd(wait=False)
        world.wait_until(cls.is_ready, why="mspd ready")

    @classmethod
    def end_host(cls):
        cls.host.kill()
        cls.host.wait()
        cls.host.stdout.close()

    @classmethod
    def is_ready(cls):
        try:
            return world.PASSED in cls.world.talk((IMDS, 80),
                                                  [get("ok")])[0].headers
        except OSError:
            return False

    def ask(self, *requests, **kwargs):
        return self.world.talk((IMDS, 80), list(requests), **kwargs)

    def seen(self):
        """Requests that reached the host, as (connection, method, name)."""
        with open(self.log, encoding="latin-1") as f:
            for line in f:
                number, method, target = line.split()
                yield int(number), method, target.split("/")[-1]

    def recorded(self, before, count):
        """Audit lines since, of which there must be so many."""
        world.wait_until(lambda: len(self.world.audit()) >= before + count,
                         why="audit lines")
        lines = self.world.audit()[before:]  # waits for what follows at once
        self.assertEqual(len(lines), count)
        return lines

    def test_each_broken_answer_is_one_refusal_and_one_record(self):
        for name, expected in ANSWERS:
            with self.subTest(answer=name):
                before = len(self.world.audit())
                if expected == CUT:
                    with self.assertRaisesRegex(world.Failed, "cut short"):
                        self.ask(get(name))
                else:
                    self.assertEqual(self.ask(get(name))[0].status, expected)
                line = self.recorded(before, 1)[0]
                self.assertEqual(line["path"], f"/metadata/{name}")

    def test_silent_host_is_not_asked_again(self):
        self.ask(get("ok"))  # leaves a connection to be used again
        before = len(list(self.seen()))
        self.assertEqual(self.ask(get("silence", b"DELETE"))[0].status, 503)
        self.assertEqual([x[1:] for x in list(self.seen())[before:]],
                         [("DELETE", "silence")])

    def test_connection_that_was_closed_is_replaced(self):
        before = len(list(self.seen()))
        answers = self.ask(get("ok"), get("reset"), get("ok"))
        self.assertEqual([a.status for a in answers[:2]], [200, 502])
        seen = [x[0] for x in list(self.seen())[before:]]
        self.assertEqual(len(set(seen)), 2)

    def test_connection_to_the_host_stays_with_its_caller(self):
        before = len(list(self.seen()))
        for uid in (0, DAEMON, 0, DAEMON):
            self.assertEqual(self.ask(get("ok"), uid=uid)[0].status, 200)
        a, b, c, d = [x[0] for x in list(self.seen())[before:]]
        self.assertNotEqual(a, b)
        self.assertEqual((a, b), (c, d))

    def test_excess_bytes_reach_nobody(self):
        for _ in range(20):
            answers = self.ask(get("excess"), get("ok"))
            self.assertEqual([a.body for a in answers], [b"ok", b"ok"])

    def test_excess_that_nobody_has_read_reaches_nobody(self):
        def both_at_once():
            with wire.connect((IMDS, 80)) as s:
                s.sendall(get("unread-excess") + get("ok"))
                first, rest = wire.receive(s, b"", False)
                return len(first.body), wire.receive(s, rest, False)[0].body
        for _ in range(20):
            self.assertEqual(self.world.call(both_at_once), (16384, b"ok"))

    def test_malformed_request_is_recorded_as_itself_and_once(self):
        for name, data in MALFORMED:
            with self.subTest(fault=name):
                before = len(self.world.audit())
                answers = self.ask(get("ok"), data)
                self.assertEqual([a.status for a in answers], [200, 400])
                good, bad = self.recorded(before, 2)
                self.assertEqual((good["path"], good["status"]),
                                 ("/metadata/ok", 200))
                self.assertNotEqual(bad["path"], good["path"])
                self.assertEqual((bad["status"], bad["verdict"], bad["uid"]),
                                 (400, "deny", 0))
                self.assertEqual(bad["id"], good["id"] + 1)
                self.assertGreaterEqual(bad["time"], good["time"])

    def test_no_descriptors_left_does_not_spin(self):
        pid = self.world.mspd.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        room = len(os.listdir(f"/proc/{pid}/fd")) + 8
        child = os.fork()
        if child == 0:
            self.world.become(0, True)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (room, limits[1]))
            kept = [wire.connect((IMDS, 80)) for _ in range(40)]
            time.sleep(3)
            os._exit(len(kept) != 40)
        time.sleep(1)
        before = processor_seconds(pid)
        time.sleep(1)
        spent = processor_seconds(pid) - before
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        self.assertLess(spent, 0.25)
        self.assertEqual(self.ask(get("ok"))[0].status, 200)


class FullDisk(unittest.TestCase):
    """The trail's own: 300 KiB, in a mount namespace of this case."""

    def setUp(self):
        self.world = world.World(imds=world.item(), wireserver=world.item(),
                                 config={"fileLogLevel": "Error"})
        self.addCleanup(self.world.close)
        log = self.world.path("log")
        os.mkdir(log)
        before = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        self.addCleanup(self.back_into, before)
        if LIBC.unshare(CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        for args in (["--make-rprivate", "/"],
                     ["-t", "tmpfs", "-o", "size=300k", "none", log]):
            subprocess.run(["mount", *args], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", log], check=True)
        self.world.start()

    @staticmethod
    def back_into(before):
        """An agent elsewhere than PID 1 is told apart from one beside it."""
        if LIBC.setns(before, CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(before)

    @staticmethod
    def statuses(data, count):
        found = set()
        for _ in range(count):
            answer = wire.talk((IMDS, 80), [data], timeout=20)[0]
            found.add(answer.status)
        return found

    def test_malformed_requests_do_not_stop_the_loop(self):
        bad = b"GET /" + b"x" * 400 + b" HTTP/1.1\r\n\r\n"
        self.assertEqual(self.world.call(self.statuses, bad, 4000), {400})
        self.assertEqual(self.world.call(self.statuses, get("instance"), 1),
                         {503})
        self.assertEqual(self.world.stop_mspd(), 0)
