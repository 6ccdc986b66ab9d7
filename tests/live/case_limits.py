# SPDX-License-Identifier: MIT
"""
In: clients that ask too often, say too much, or take too long. Out: each is
refused or given up, is recorded, and the others do not notice; and where a
limit is switched off, the same client gets what it wants. Must never count on
how fast this machine is.
"""
import contextlib
import os
import signal
import socket
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import wire
import world
from world import DAEMON, IMDS, INSTANCE, METADATA, NOBODY, WIRESERVER

TARGET = (IMDS, 80)
FAKE = (WIRESERVER, 8097)  # takes the place of HostGAPlugin
OTHER, EXEMPT = 2, 3
REQUEST = wire.request(b"GET", INSTANCE, IMDS, [METADATA])
ECHO = "/msp-host/echo"
BURST = 20
SHARE = 8  # connections of one user
PATIENCE = 10  # until a limit must have been felt
UNLIMITED = 2.5  # so long nothing may happen where there is none
BYTES = f"/msp-host/bytes?count={64 << 20}"

STRICT = {"requestsPerSecondPerUser": 1, "requestBurstPerUser": BURST,
          "requestRateExemptUids": f"0,{EXEMPT}",
          "requestHeaderTimeoutInSeconds": 0.5, "idleTimeoutInSeconds": 1.5,
          "bodyTimeoutInSeconds": 0.5, "connectTimeoutInSeconds": 0.5,
          "totalTimeoutInSeconds": 3, "maxConnectionsPerUser": SHARE}
WEAK = {"requestsPerSecondPerUser": 0, "maxRequestLineBytes": 131072,
        "maxRequestHeadBytes": 131072, "requestHeaderTimeoutInSeconds": 3600,
        "idleTimeoutInSeconds": 3600, "minBodyBytesPerSecond": 0,
        "connectTimeoutInSeconds": 3600, "upstreamTimeoutInSeconds": 3600,
        "totalTimeoutInSeconds": 86400}


# ---- what clients do -------------------------------------------------------
def ask_often(times):
    """Answers to so many requests on one connection, and to one more when
    somebody who has no token has one again."""
    with wire.connect(TARGET) as s:
        seen = []
        for i in range(times + 1):
            if i == times:
                time.sleep(1.1)
            s.sendall(REQUEST)
            answer, rest = wire.receive(s, b"", False)
            seen.append(answer and (answer.status, wire.values(
                answer.headers, b"retry-after"), rest))
        return seen


def ask_on_many(count):
    """Status on each of so many connections that are open at a time."""
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(wire.connect(TARGET))
                 for _ in range(count)]
        return [ask_on(s) for s in crowd]


def ask_on(s):
    """None: closed."""
    try:
        s.sendall(REQUEST)
        answer = wire.receive(s, b"", False)[0]
    except (BrokenPipeError, ConnectionResetError):
        return None
    return answer and answer.status


def drip(first, piece, seconds):
    """Sends it bit by bit: the answer's status, "closed", or "open"."""
    end = time.monotonic() + seconds
    with wire.connect(TARGET, timeout=PATIENCE) as s:
        s.sendall(first)
        s.settimeout(0.05)
        while time.monotonic() < end:
            try:
                s.send(piece)
                data = s.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            return int(data.split(b" ")[1]) if data else "closed"
    return "open"


def send_at_speed(size, piece):
    """Status of a body that comes piece by piece."""
    head = wire.request(b"POST", ECHO, IMDS,
                        [(b"Content-Length", b"%d" % size)])
    with wire.connect(TARGET) as s:
        s.sendall(head)
        for _ in range(size // piece):
            time.sleep(0.02)
            s.sendall(b"x" * piece)
        return wire.receive(s, b"", False)[0].status


def read_slowly(say, size):
    """Size bytes of a large answer at a time; 0: none at all."""
    with wire.connect((WIRESERVER, 80)) as s:
        s.sendall(wire.request(b"GET", BYTES, WIRESERVER))
        s.recv(1)
        say(s.getsockname()[1])
        while True:
            time.sleep(0.02)
            if size:
                s.recv(size)


def status_of(data, timeout=PATIENCE, address=TARGET):
    """Of the answer to these bytes; None: closed, "open": nothing came."""
    try:
        answer = wire.talk(address, [data], timeout=timeout)[0]
    except TimeoutError:
        return "open"
    except (BrokenPipeError, ConnectionResetError):
        return None
    return answer and answer.status


def line_of(length):
    """A request whose first line has so many bytes."""
    start = f"/metadata/instance?{world.API}&x="
    fill = length - len(f"GET {start} HTTP/1.1")
    return wire.request(b"GET", start + "x" * fill, IMDS, [METADATA])


def headers_of(count, **body):
    """A request with so many headers, Host and framing among them."""
    more = [(b"x-%d" % i, b"1") for i in range(count - 2)]
    return wire.request(b"POST", ECHO, IMDS, more, **body)


def parameters(count):
    return wire.request(b"POST", f"{ECHO}?" + "a&" * (count - 1) + "b", IMDS,
                        body=b"")


# ---- worlds ----------------------------------------------------------------
def is_held(port):
    """Has mspd still the connection of the client that has this port?"""
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return any(row[2].endswith(f":{port:04X}") and row[3] == "01" and
               row[1].endswith(f":{world.LISTENER[1]:04X}") for row in rows)


class Limited(unittest.TestCase):
    """A world with these limits, and what the cases need of it."""

    config = {}

    @classmethod
    def setUpClass(cls):
        cls.world = world.World(
            imds=world.item(), wireserver=world.item(),
            config={"hostGAPluginAddress": "%s:%d" % FAKE,
                    "fileLogLevel": "Warn", **cls.config})
        cls.addClassCleanup(cls.world.close)
        cls.world.start()

    def as_user(self, function, *args, uid=0):
        return self.world.call(function, *args, uid=uid)

    def background(self, function, *args, uid=0):
        """The number it says, of a process that goes on."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reader)
                self.world.become(uid, True)
                function(lambda n: os.write(writer, b"%d\n" % n), *args)
                time.sleep(PATIENCE)
            finally:
                os._exit(0)
        os.close(writer)
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.kill, pid, signal.SIGKILL)
        with os.fdopen(reader, "rb") as f:
            return int(f.readline())

    def all_drips(self, seconds):
        """What becomes of each, side by side."""
        with ThreadPoolExecutor() as pool:
            return dict(zip(DRIPS, pool.map(
                lambda what: self.as_user(drip, *what, seconds),
                DRIPS.values())))

    def recorded(self, **fields):
        """Requests with these fields, merged ones among them."""
        return sum(1 + (x.get("merged") or 0) for x in self.world.audit()
                   if all(x[k] == v for k, v in fields.items()))

    def is_recorded(self, count=1, **fields):
        world.wait_until(lambda: self.recorded(**fields) == count, PATIENCE,
                         f"{count} records with {fields}")

    def full_listener(self):
        """A host that takes no connection: its backlog is full."""
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(FAKE)
        listener.listen(0)
        for _ in range(4):
            s = socket.socket()
            self.addCleanup(s.close)
            s.setblocking(False)
            s.connect_ex(FAKE)


class Strict(Limited):

    config = STRICT

    def test_who_asks_too_often_gets_429_and_keeps_the_connection(self):
        seen = self.as_user(ask_often, 3 * BURST, uid=NOBODY)
        # nobody else pays for it
        others = self.as_user(ask_often, BURST // 2, uid=OTHER)
        self.assertEqual({x[0] for x in others}, {200}, others)
        self.assertNotIn(None, seen)
        self.assertEqual({x[0] for x in seen[:BURST]}, {200}, seen)
        self.assertEqual(seen[-1][0], 200, seen)
        over = [x for x in seen if x[0] == 429]
        self.assertTrue(over)
        self.assertEqual([x for x in seen if x[0] not in (200, 429)], [])
        self.assertEqual([x for x in over if x[1:] != ([b"1"], b"")], [])
        self.is_recorded(len(over), uid=NOBODY, status=429)
        self.is_recorded(len(seen) - len(over), uid=NOBODY, status=200)

    def test_who_is_exempt_may_ask_as_often_as_they_like(self):
        for uid in (0, EXEMPT):
            with self.subTest(uid=uid):
                seen = self.as_user(ask_often, 4 * BURST, uid=uid)
                self.assertEqual({x[0] for x in seen}, {200})

    def test_user_may_have_so_many_connections(self):
        self.assertEqual(self.as_user(ask_on_many, 2 * SHARE, uid=7),
                         [200] * SHARE + [None] * SHARE)

    def test_429_comes_after_the_body_it_refuses(self):
        data = wire.request(b"POST", ECHO, IMDS, body=b"x" * 70000)

        def post():
            return [a and a.status for a in wire.talk(
                TARGET, [data] * (2 * BURST))]
        seen = self.as_user(post, uid=4)
        self.assertIn(429, seen)
        self.assertEqual(len(seen), 2 * BURST)
        self.assertEqual(set(seen) - {200, 429}, set())

    def test_log_does_not_grow_with_what_is_refused(self):
        def lines():
            return len([x for x in self.world.read(
                "log", "ProxyAgent.log").splitlines()
                if b"requestsPerSecondPerUser" in x])
        before, start = lines(), time.monotonic()
        self.as_user(ask_often, 10 * BURST, uid=5)
        spent = time.monotonic() - start
        self.assertGreater(lines(), before)
        self.assertLessEqual(lines() - before, spent + 2)

    def test_first_line_may_have_so_many_bytes(self):
        self.assertEqual(self.as_user(status_of, line_of(4096), uid=6), 200)
        self.assertEqual(self.as_user(status_of, line_of(4097), uid=6), 414)
        self.is_recorded(1, status=414, uid=6)

    def test_first_line_that_has_no_room_is_414_and_recorded(self):
        before = self.recorded(status=414, uid=DAEMON)
        self.assertEqual(self.as_user(status_of, line_of(10000), uid=DAEMON),
                         414)
        self.is_recorded(before + 1, status=414, uid=DAEMON)

    def test_head_that_has_no_room_is_431_and_recorded(self):
        data = wire.request(b"GET", "/too/large", IMDS,
                            [(b"x-%d" % i, b"y" * 1000) for i in range(9)])
        self.assertEqual(self.as_user(status_of, data), 431)
        self.is_recorded(1, status=431, path="/too/large")

    def test_client_may_send_so_many_headers(self):
        """And ours fit, whatever the framing."""
        for what in ({"body": b""}, {"body": b"abc"}, {"chunks": [b"abc"]}):
            with self.subTest(**what):
                self.assertEqual(self.as_user(
                    status_of, headers_of(94, **what)), 200)
                self.assertEqual(self.world.verdict(), "verified")
                self.assertEqual(self.as_user(
                    status_of, headers_of(95, **what)), 431)
        self.is_recorded(3, status=431, path=ECHO)

    def test_query_of_many_parameters_is_answered_at_once(self):
        for count in (5000, 50000):
            with self.subTest(count=count):
                self.assertEqual(self.as_user(
                    status_of, parameters(count)), 414)
                self.assertIn(self.world.call(
                    status_of, parameters(count), inside=False), (401, 414))

    def test_query_of_many_parameters_that_fits_arrives_whole(self):
        target = f"{INSTANCE}&" + "&" * 4000
        data = wire.request(b"GET", target, IMDS, [METADATA])
        self.assertEqual(self.as_user(status_of, data), 200)
        self.assertIn(target.encode(), self.world.read("host.log"))

    def test_what_drips_is_given_up(self):
        for what, seen in self.all_drips(PATIENCE).items():
            self.assertIn(seen, ("closed", 408), what)
        self.is_recorded(1, status=408, path="/drip/head")
        self.is_recorded(2, status=408, path=ECHO)

    def test_body_that_comes_fast_enough_is_taken(self):
        """Over several times the time after which it is looked at."""
        self.assertEqual(self.as_user(send_at_speed, 40000, 500), 200)

    def test_host_that_takes_its_time_is_not_held_against_the_client(self):
        """It reads nothing of a body for longer than a client may pause."""
        listener = socket.create_server(FAKE, backlog=5)
        self.addCleanup(listener.close)
        # else the kernel would take for it more than there is
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)

        def host():
            with listener.accept()[0] as s:
                time.sleep(1.2)
                got = 0
                while got < size:
                    got += len(s.recv(1 << 20))
                s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        size = 16 << 20
        data = wire.request(b"PUT", "/vmAgentLog", FAKE[0], body=bytes(size))
        thread = threading.Thread(target=host, daemon=True)
        thread.start()
        self.assertEqual(self.as_user(status_of, data, PATIENCE, FAKE), 200)
        thread.join()

    def test_reader_that_reads_nothing_or_too_slowly_is_given_up(self):
        ports = [self.background(read_slowly, size) for size in (0, 20000)]
        self.assertEqual([is_held(port) for port in ports], [True, True])
        for port in ports:
            world.wait_until(lambda: not is_held(port), PATIENCE,
                             "connection closed")

    def test_host_that_takes_no_connection_is_not_waited_for(self):
        self.full_listener()
        data = wire.request(b"GET", "/x", FAKE[0])
        self.assertIn(self.as_user(status_of, data, PATIENCE, FAKE),
                      (502, 503))


DRIPS = {
    "line": (b"GET /drip/line", b"x"),
    "head": (b"GET /drip/head HTTP/1.1\r\nHost: a\r\nX: ", b"x"),
    "body": (wire.request(b"POST", ECHO, IMDS, [(b"Content-Length", b"9000")]),
             b"ab"),
    "chunks": (wire.request(b"POST", ECHO, IMDS,
                            [(b"Transfer-Encoding", b"chunked")]),
               b"2\r\nab\r\n")}


def line_without_room():
    """On a connection that was in use."""
    with wire.connect(TARGET) as s:
        s.sendall(REQUEST)
        first = wire.receive(s, b"", False)[0]
        s.sendall(line_of(10000))
        return [first.status, wire.receive(s, b"", False)[0].status]


def head_without_end():
    """The same; what comes when that is given up."""
    with wire.connect(TARGET) as s:
        s.sendall(REQUEST)
        first = wire.receive(s, b"", False)[0]
        s.sendall(b"GET /not/refused HTTP/1.1\r\nHost: x\r\n")
        return [first.status, s.recv(1)]


class Idle(Limited):
    """What is not sent on ends before the time for a head is over."""

    config = {"idleTimeoutInSeconds": 1, "requestHeaderTimeoutInSeconds": 60}

    def test_nobody_is_told_to_have_sent_what_another_did(self):
        self.assertEqual(self.as_user(line_without_room, uid=NOBODY),
                         [200, 414])
        self.assertEqual(self.as_user(head_without_end, uid=OTHER),
                         [200, b""])
        self.assertEqual(self.as_user(ask_on_many, 1, uid=OTHER), [200])
        self.is_recorded(2, uid=OTHER, status=200)
        self.assertEqual(self.recorded(status=414), 0)


class Weak(Limited):
    """The same clients where no limit stops them: they must win."""

    config = WEAK

    def test_who_asks_too_often_gets_all(self):
        seen = self.as_user(ask_often, 3 * BURST, uid=NOBODY)
        self.assertEqual({x[0] for x in seen}, {200})

    def test_user_may_have_many_connections(self):
        self.assertEqual(self.as_user(ask_on_many, 2 * SHARE, uid=7),
                         [200] * 2 * SHARE)

    def test_long_lines_and_large_heads_are_taken(self):
        large = wire.request(b"GET", INSTANCE, IMDS, [METADATA] + [
            (b"x-%d" % i, b"y" * 1000) for i in range(9)])
        for data in (line_of(4097), line_of(10000), parameters(5000), large):
            with self.subTest(data=data[-50:], length=len(data)):
                self.assertEqual(self.as_user(status_of, data), 200)

    def test_what_drips_is_waited_for(self):
        self.assertEqual(self.all_drips(UNLIMITED),
                         dict.fromkeys(DRIPS, "open"))

    def test_reader_that_reads_nothing_or_slowly_is_waited_for(self):
        ports = [self.background(read_slowly, size) for size in (0, 20000)]
        time.sleep(UNLIMITED + 1.5)
        self.assertEqual([is_held(port) for port in ports], [True, True])

    def test_host_that_takes_no_connection_is_waited_for(self):
        self.full_listener()
        data = wire.request(b"GET", "/x", FAKE[0])
        self.assertEqual(self.as_user(status_of, data, UNLIMITED, FAKE),
                         "open")
