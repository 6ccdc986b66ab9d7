# SPDX-License-Identifier: MIT
"""
In: requests that end in every way one can. Out: each is counted once, as what
it was. Must never take a request that was given up for one that was served.
"""
import json
import os
import subprocess
import threading
import unittest

import wire
import world
from case_control import samples, scrape
from world import IMDS, INSTANCE, NOBODY, WIRESERVER

PREFIX = "mspd_requests_total"


class Counts(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = world.World(
            imds=world.item(access="deny", rules=world.grant(
                ["/metadata/instance"], {"root": {"userName": "root"}})),
            wireserver=world.item(),
            config={"bodyTimeoutInSeconds": 0.5,
                    "upstreamTimeoutInSeconds": 0.5})
        cls.addClassCleanup(cls.world.close)
        cls.world.start()

    def tearDown(self):
        self.world.control("DELETE", "/faults")

    def fault(self, **fault):
        self.world.control("POST", "/faults", json.dumps(fault).encode())

    def seen(self):
        return samples(scrape(self.world.path("run", "metrics.sock"))[1])

    def counted(self, act):
        """What act() adds: requests by labels, errors of the host, and how
        many were timed."""
        before = self.seen()
        act()
        world.wait_until(lambda: self.total(self.seen()) > self.total(before),
                         why="it is counted")
        after = self.seen()
        more = {k: int(v - before.get(k, 0)) for k, v in after.items()
                if v != before.get(k, 0)}
        requests = {tuple(part.split('"')[1] for part in k.split(",")): n
                    for k, n in more.items() if k.startswith(PREFIX)}
        timed = more.get('mspd_request_seconds_count{stage="total"}', 0)
        self.assertEqual(timed, sum(requests.values()))
        return requests, sum(n for k, n in more.items()
                             if k.startswith("mspd_host_errors_total"))

    def host_errors(self):
        return sum(v for k, v in self.seen().items()
                   if k.startswith("mspd_host_errors_total"))

    @staticmethod
    def total(seen):
        return sum(v for k, v in seen.items() if k.startswith(PREFIX))

    def get(self, target=INSTANCE, **kwargs):
        try:
            return self.world.get(target, **kwargs)
        except (OSError, world.Failed):
            return None

    def test_served_and_refused(self):
        self.assertEqual(self.counted(self.get),
                         ({("imds", "allow", "granted"): 1}, 0))
        self.assertEqual(self.counted(lambda: self.get(uid=NOBODY)),
                         ({("imds", "deny", "no-identity"): 1}, 0))

    def test_error_of_the_host_itself_is_its_answer(self):
        self.fault(name="500", endpoint="imds")
        self.assertEqual(self.counted(self.get),
                         ({("imds", "allow", "granted"): 1}, 0))

    def test_host_that_does_not_answer(self):
        for fault in ("close", "reset", "garbage", "close-head", "hang"):
            with self.subTest(fault=fault):
                self.fault(name=fault, endpoint="imds")
                self.assertEqual(self.counted(self.get),
                                 ({("imds", "error", "granted"): 1}, 1))
                self.tearDown()

    def test_answer_that_is_cut_short(self):
        """Too long to be read before it is passed on."""
        self.fault(name="close-body", endpoint="wireserver", bytes=1 << 20)
        before = self.host_errors()
        requests, _ = self.counted(lambda: self.get(
            "/msp-host/bytes?count=4000000", host=WIRESERVER))
        self.assertEqual(requests, {("wireserver", "allow", "default-allow"): 1})
        world.wait_until(lambda: self.host_errors() > before,
                         why="the host's error is counted")
        self.assertEqual(self.host_errors(), before + 1)

    def test_answer_that_does_not_fit(self):
        self.fault(name="huge-headers", endpoint="imds", bytes=8000)
        self.assertEqual(self.counted(self.get),
                         ({("imds", "error", "granted"): 1}, 0))

    def send(self, data, wait):
        def act():
            with wire.connect((WIRESERVER, 80)) as s:
                s.sendall(data)
                while wait and s.recv(4096):
                    pass
        return lambda: self.world.call(act)

    POST = (b"POST /machine?comp=health HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 100\r\n\r\n")

    def test_body_that_does_not_come(self):
        self.assertEqual(self.counted(self.send(self.POST + b"half", True)),
                         ({("wireserver", "deny", "refused"): 1}, 0))

    def test_client_that_leaves(self):
        self.assertEqual(self.counted(self.send(self.POST + b"half", False)),
                         ({("wireserver", "error", "default-allow"): 1}, 0))

    def test_body_that_is_too_long(self):
        for head, body in ((b"Content-Length: 200000", b""),
                           (b"Transfer-Encoding: chunked",
                            b"30d40\r\n" + b"x" * 200000 + b"\r\n0\r\n\r\n")):
            data = (b"POST /machine?comp=health HTTP/1.1\r\nHost: x\r\n"
                    b"Connection: close\r\n" + head + b"\r\n\r\n" + body)

            def act(data=data):
                try:
                    self.send(data, True)()
                except world.Failed:
                    pass
            with self.subTest(head=head):
                self.assertEqual(self.counted(act), (
                    {("wireserver", "deny", "refused"): 1}, 0))

    def test_malformed(self):
        self.assertEqual(
            self.counted(self.send(b"GET  /x HTTP/1.1\r\nHost: x\r\n"
                                   b"Content-Length: no\r\n\r\n", True)),
            ({("wireserver", "deny", "refused"): 1}, 0))

    def test_many_on_one_connection(self):
        requests, errors = self.counted(lambda: self.world.talk(
            (IMDS, 80), [wire.request(b"GET", INSTANCE, IMDS,
                                      [world.METADATA])] * 20))
        self.assertEqual((requests, errors),
                         ({("imds", "allow", "granted"): 20}, 0))

    def test_what_the_agent_answers_itself_is_not_counted(self):
        before = self.seen()
        self.world.get("/provision", host=IMDS)
        self.world.get("/gpa-aggregated-status", host=IMDS)
        self.assertEqual(self.total(self.seen()), self.total(before))


class Held(unittest.TestCase):
    """A disk that is full for a moment."""

    def setUp(self):
        self.world = w = world.World(imds=world.item(), wireserver=world.item())
        self.addCleanup(w.close)
        os.mkdir(w.path("log"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none",
                        w.path("log")], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", w.path("log")],
                        check=True)
        w.start()

    def seconds(self, stage):
        return samples(scrape(self.world.path("run", "metrics.sock"))[1])[
            f'mspd_request_seconds_sum{{stage="{stage}"}}']

    def fill(self):
        with open(self.world.path("log", "filler"), "wb", 0) as f:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    pass

    def one(self):
        """Held back and served: what both stages took more."""
        self.fill()
        world.wait_until(lambda: self.world.get(INSTANCE).status == 503,
                         why="the disk is full")
        before = self.seconds("identity"), self.seconds("total")
        timer = threading.Timer(0.3, os.unlink, [
            self.world.path("log", "filler")])
        timer.start()
        status = self.world.get(INSTANCE).status
        timer.join()
        world.wait_until(lambda: self.world.get(INSTANCE).status == 200,
                         why="there is room")
        if status != 200:
            return None  # it took too long, on this machine
        return (self.seconds("identity") - before[0],
                self.seconds("total") - before[1])

    def test_time_of_the_trail_is_not_that_of_the_identity(self):
        identity, total = world.wait_until(self.one, seconds=60,
                                           why="one is held and served")
        self.assertLess(identity, total / 2)


if __name__ == "__main__":
    unittest.main()
