# SPDX-License-Identifier: MIT
"""
In: bodies of any size, thousands of heads that never end, crowds of clients
that read or write slowly, requests sent without waiting for answers. Out: the
memory of the agent stays what it is, and the others are served. Must never
take a byte for granted that it did not count.
"""
import hashlib
import socket
import threading
import time

import case_flood
import case_limits
import wire
import world
from case_limits import BYTES, Limited
from world import DAEMON, IMDS, INSTANCE, METADATA, NOBODY, WIRESERVER

WEB = (WIRESERVER, 80)
GIB = 1 << 30
UPLOAD = 100 << 20
ROOM_KIB = 2 * 1024  # what large bodies may cost
HALF = b"GET /metadata/x HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 4000
PIPELINED = 2000


def own_kib(pid):
    """What it has taken. Its part of what is shared grows whenever another
    agent on the machine ends, and says nothing."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        for line in f:
            if line.startswith("Pss_Anon:"):
                return int(line.split()[1])
    raise world.Failed("no Pss_Anon")


def download(target):
    """Bytes of an answer that is looked at only at its ends."""
    with wire.connect(WEB, timeout=60) as s:
        s.sendall(wire.request(b"GET", target, WIRESERVER,
                               [(b"Connection", b"close")]))
        data = b""
        while b"\r\n\r\n" not in data:
            data += s.recv(65536)
        head, _, rest = data.partition(b"\r\n\r\n")
        got = len(rest)
        room = bytearray(1 << 22)
        while True:
            # counted, and not even copied
            n = s.recv_into(room, len(room), socket.MSG_TRUNC)
            if not n:
                return head.split(b" ")[1], got
            got += n


def upload(size):
    block = bytes(1 << 20)
    with wire.connect(WEB, timeout=60) as s:
        s.sendall(wire.request(b"PUT", "/vmAgentLog", WIRESERVER,
                               [(b"Content-Length", b"%d" % size)]))
        for _ in range(size // len(block)):
            s.sendall(block)
        return wire.receive(s, b"", False)[0].status


def hold_heads(ready, count, first):
    """So many connections, each with the start of a head."""
    case_flood.hold(ready, count, first)


def ask_and_stay(ready, count):
    """So many connections that have asked once, and are idle."""
    crowd = []
    for _ in range(count):
        s = wire.connect((IMDS, 80))
        s.sendall(case_flood.REQUEST)
        if wire.receive(s, b"", False)[0].status != 200:
            return
        crowd.append(s)
    ready()
    while True:
        time.sleep(60)


def read_slowly(ready, count):
    """So many large answers, of each a little now and then."""
    crowd = []
    for _ in range(count):
        s = wire.connect((IMDS, 80))
        s.sendall(wire.request(b"GET", BYTES, IMDS))
        crowd.append(s)
    for s in crowd:
        s.recv(1)
    ready()
    while True:
        for s in crowd:
            s.recv(100)
        time.sleep(0.05)


def write_slowly(ready, count):
    """So many uploads, a little now and then, fast enough to be kept."""
    crowd = []
    for _ in range(count):
        s = wire.connect((IMDS, 80))
        s.sendall(wire.request(b"POST", "/msp-host/echo", IMDS,
                               [(b"Content-Length", b"100000")]))
        crowd.append(s)
    ready()
    while True:
        for s in crowd:
            s.send(b"x" * 100)
        time.sleep(0.05)


def send_all_then_read(count, pause):
    """The numbers in the answers, of requests sent at once."""
    requests = b"".join(
        wire.request(b"POST", f"/msp-host/echo?n={i}", IMDS, body=b"%d" % i)
        for i in range(count))
    with wire.connect((IMDS, 80), timeout=60) as s:
        # nobody reads answers yet: it is not for the agent to keep all this
        sender = threading.Thread(target=s.sendall, args=(requests,))
        sender.start()
        time.sleep(pause)
        seen, data = [], b""
        for _ in range(count):
            answer, data = wire.receive(s, data, False)
            seen.append((answer.status, answer.body))
        sender.join()
        return seen


class Bodies(Limited):
    """With every limit as it is by default."""

    alone = True  # of the memory that agents share each has a part

    def most_during(self, function, *args):
        """How much memory grew by while that ran, KiB, and its result."""
        pid = self.world.mspd.pid
        for _ in range(5):
            self.world.get(INSTANCE)
        idle = own_kib(pid)
        most, end = [0], threading.Event()

        def watch():
            while not end.wait(0.02):
                most[0] = max(most[0], own_kib(pid))
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            result = self.as_user(function, *args)
        finally:
            end.set()
            watcher.join()
        self.assertGreater(most[0], 0)
        return most[0] - idle, result

    def test_gigabyte_of_answer_in_bounded_memory(self):
        for suffix in ("", "&chunked=1"):
            with self.subTest(suffix=suffix):
                grown, (status, got) = self.most_during(
                    download, f"/msp-host/bytes?count={GIB}{suffix}")
                self.assertEqual(status, b"200")
                self.assertGreaterEqual(got, GIB)
                self.assertLess(grown, ROOM_KIB)

    def test_hundred_megabytes_of_log_in_bounded_memory(self):
        grown, status = self.most_during(upload, UPLOAD)
        self.assertEqual(status, 200)
        self.assertLess(grown, ROOM_KIB)

    def test_pipelined_requests_are_answered_in_turn_in_bounded_memory(self):
        grown, seen = self.most_during(send_all_then_read, PIPELINED, 0.5)
        self.assertEqual([x[0] for x in seen], [200] * PIPELINED)
        self.assertEqual([i for i, x in enumerate(seen) if hashlib.sha256(
            b"%d" % i).hexdigest().encode() not in x[1]], [])
        self.assertLess(grown, ROOM_KIB)

    def test_client_that_repeats_a_refused_request_is_not_locked_out(self):
        """As agents do, every second for minutes."""
        data = wire.request(b"GET", "/machine?comp=goalstate", WIRESERVER)

        def repeat():
            return [wire.talk(WEB, [data])[0].status for _ in range(600)]
        self.assertEqual(set(self.as_user(repeat, uid=DAEMON)), {403})
        self.assertEqual(self.world.get(INSTANCE, uid=DAEMON).status, 200)


class Crowds(case_flood.Flooded):
    """As many places as there are by default."""

    alone = True
    places = 4096
    config = {}

    @classmethod
    def setUpClass(cls):
        cls.world = world.World(
            imds=world.item(), wireserver=world.item(),
            config={"maxConnections": cls.places, "fileLogLevel": "Warn",
                    **cls.config})
        cls.addClassCleanup(cls.world.close)
        cls.world.start()

    def test_slow_readers_and_writers_hold_nobody_up(self):
        for uid in case_flood.OTHERS[:3]:
            self.flood([uid], read_slowly, 40)
            self.flood([uid], write_slowly, 40)
        self.honest(50)
        self.still_flooding()
        self.stop()

    def growth_kib(self, uids, count, first):
        before = own_kib(self.world.mspd.pid)
        self.flood(uids, hold_heads, count, first)
        world.wait_until(lambda: self.descriptors() >=
                         self.before + len(uids) * count - 64,
                         why="heads are held")
        last, now = None, own_kib(self.world.mspd.pid)
        while last is None or abs(now - last) > 64:  # until they are read
            time.sleep(0.5)
            last, now = now, own_kib(self.world.mspd.pid)
        return now - before

    def test_four_thousand_unfinished_heads_in_bounded_memory(self):
        grown = self.growth_kib(case_flood.OTHERS[:4], 1000, HALF)
        # 8 KiB for the head, and what a connection takes
        self.assertLess(grown, 4000 * 14)
        self.honest(10)
        self.stop()


    def test_idle_crowd_takes_little_and_gives_it_back(self):
        def grown():
            return own_kib(self.world.mspd.pid) - before
        # what the first of all crowds leaves in caches is no leak
        before = own_kib(self.world.mspd.pid)
        self.flood(case_flood.OTHERS[:4], ask_and_stay, 1000)
        self.all_is_back()
        world.wait_until(lambda: grown() < 2 * ROOM_KIB, 30, "memory back")
        before = own_kib(self.world.mspd.pid)
        self.flood(case_flood.OTHERS[:4], ask_and_stay, 1000)
        # 10,000 of them fit in 120 MB, 8 KiB of each are libmicrohttpd's
        self.assertLess(grown(), 4000 * 11.5)
        self.still_flooding()
        self.all_is_back()
        world.wait_until(lambda: grown() < ROOM_KIB, 30, "memory back")


class LargeHeads(Crowds):
    """Heads may be large: then it is they who win."""

    places = 256
    config = case_limits.WEAK
    test_slow_readers_and_writers_hold_nobody_up = None
    test_idle_crowd_takes_little_and_gives_it_back = None

    def test_four_thousand_unfinished_heads_in_bounded_memory(self):
        grown = self.growth_kib([NOBODY], 60, HALF + b"x" * 100000)
        self.assertGreater(grown, 60 * 64)
        self.stop()
