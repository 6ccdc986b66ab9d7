# SPDX-License-Identifier: MIT
"""
In: large bodies in both directions, slow and vanishing clients. Out: every
byte, in bounded memory, and no connection left behind.
"""
import hashlib
import json
import os
import socket
import time
import unittest

import wire
import world
from world import IMDS, INSTANCE, METADATA, WIRESERVER

UPLOAD = 100 * 1024 * 1024
DOWNLOAD = 64 * 1024 * 1024
# What mspd may grow by, whatever passes through it.
GROWTH_KB = 32 * 1024
PATTERN = bytes(range(251))


def expected_digest(count):
    """Of what msp-host generates: the offset modulo 251."""
    digest = hashlib.sha256()
    block = PATTERN * 4096
    while count >= len(block):
        digest.update(block)
        count -= len(block)
    digest.update(block[:count])
    return digest.hexdigest()


def upload(target, size, chunked=False):
    """Send size zero bytes; the answer and the digest of what was sent."""
    block = bytes(65536)
    digest = hashlib.sha256()
    head = (f"PUT {target} HTTP/1.1\r\nHost: {WIRESERVER}\r\n" +
            ("Transfer-Encoding: chunked" if chunked else
             f"Content-Length: {size}") + "\r\n\r\n").encode()
    with wire.connect((WIRESERVER, 80), timeout=60) as s:
        s.sendall(head)
        try:
            for _ in range(size // len(block)):
                s.sendall(b"10000\r\n" + block + b"\r\n" if chunked else block)
                digest.update(block)
            if chunked:
                s.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        return wire.receive(s, b"", False)[0], digest.hexdigest()


class Streams(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = world.World(imds=world.item(), wireserver=world.item())
        cls.addClassCleanup(cls.world.close)
        cls.world.start()

    def memory(self):
        with open(f"/proc/{self.world.mspd.pid}/status",
                  encoding="ascii") as f:
            fields = dict(line.split(":", 1) for line in f)
        return int(fields["VmHWM"].split()[0])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.world.mspd.pid}/fd"))

    def test_hundred_megabytes_of_log_are_uploaded_in_bounded_memory(self):
        for target in ("/vmAgentLog", "/VMAGENTLOG"):
            with self.subTest(target=target):
                before = self.memory()
                answer, digest = self.world.call(upload, target, UPLOAD)
                self.assertEqual(answer.status, 200)
                seen = json.loads(answer.body)
                self.assertEqual((seen["length"], seen["sha256"]),
                                 (UPLOAD, digest))
                self.assertLess(self.memory() - before, GROWTH_KB)

    def test_upload_in_chunks_arrives_whole(self):
        answer, digest = self.world.call(upload, "/vmAgentLog", 8 << 20, True)
        self.assertEqual(json.loads(answer.body)["sha256"], digest)

    def test_upload_over_the_limit_is_413(self):
        data = (f"PUT /vmAgentLog HTTP/1.1\r\nHost: {WIRESERVER}\r\n"
                f"Content-Length: {UPLOAD + 1}\r\n\r\n").encode()
        answer = self.world.talk((WIRESERVER, 80), [data])[0]
        self.assertEqual(answer.status, 413)

    def test_upload_is_for_root(self):
        data = wire.request(b"PUT", "/vmAgentLog", WIRESERVER, body=b"x")
        answer = self.world.talk((WIRESERVER, 80), [data],
                                 uid=world.DAEMON)[0]
        self.assertEqual(answer.status, 403)

    def test_exempt_requests_go_out_unsigned(self):
        data = wire.request(b"POST", "/machine/?comp=telemetrydata",
                            WIRESERVER, body=b"<x/>")
        self.assertEqual(self.world.talk((WIRESERVER, 80), [data])[0].status,
                         200)
        line = [x for x in self.world.host_log() if "telemetry" in x[2]][-1]
        self.assertEqual(line[4], "unsigned")

    def test_large_answer_arrives_whole_in_bounded_memory(self):
        for suffix in ("", "&chunked=1"):
            with self.subTest(suffix=suffix):
                before = self.memory()
                body = self.world.curl(
                    f"http://{WIRESERVER}/msp-host/bytes?count={DOWNLOAD}"
                    + suffix)
                self.assertEqual(len(body), DOWNLOAD)
                self.assertEqual(hashlib.sha256(body).hexdigest(),
                                 expected_digest(DOWNLOAD))
                self.assertLess(self.memory() - before, GROWTH_KB)

    def test_chunked_answer_is_passed_on(self):
        for count in (0, 1, 70000):
            with self.subTest(count=count):
                answer = self.world.get(
                    f"/msp-host/bytes?count={count}&chunked=1", WIRESERVER)
                self.assertEqual(hashlib.sha256(answer.body).hexdigest(),
                                 expected_digest(count))

    def test_answer_without_body_keeps_the_connection(self):
        data = wire.request(b"GET", "/msp-host/bytes?count=0", WIRESERVER)
        answers = self.world.talk((WIRESERVER, 80), [data, data])
        self.assertEqual([a.status for a in answers], [200, 200])

    def test_reader_that_stops_holds_nobody_up(self):
        def stall():
            s = wire.connect((WIRESERVER, 80))
            s.sendall(wire.request(
                b"GET", f"/msp-host/bytes?count={DOWNLOAD}", WIRESERVER))
            time.sleep(2)
            s.close()
        before = self.memory()
        pid = os.fork()
        if pid == 0:
            self.world.become(0, True)
            stall()
            os._exit(0)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            self.assertEqual(self.world.get(INSTANCE).status, 200)
        os.waitpid(pid, 0)
        self.assertLess(self.memory() - before, GROWTH_KB)

    def test_vanishing_clients_leave_no_descriptors(self):
        self.world.get(INSTANCE)
        before = self.descriptors()

        def vanish():
            for i in range(40):
                s = wire.connect((IMDS, 80))
                if i % 4:
                    data = wire.request(b"GET", INSTANCE, IMDS, [METADATA])
                    s.sendall(data[:len(data) - i % 3])
                if i % 2:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 b"\1\0\0\0\0\0\0\0")
                s.close()
        self.world.call(vanish)
        world.wait_until(lambda: self.descriptors() <= before + 2,
                         why="descriptors are closed")

    def test_slow_head_does_not_delay_others(self):
        def drip():
            with wire.connect((IMDS, 80)) as s:
                for byte in wire.request(b"GET", INSTANCE, IMDS, [METADATA]):
                    s.sendall(bytes([byte]))
                    time.sleep(0.005)
                return wire.receive(s, b"", False)[0]
        self.assertEqual(self.world.call(drip).status, 200)
