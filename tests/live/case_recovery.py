# SPDX-License-Identifier: MIT
"""
In: signals, kills, restarts, a full or damaged disk. Out: no data without a
signature, the key re-used, and a clean end.
"""
import json
import os
import signal
import threading
import time
import unittest

import wire
import world
from world import IMDS, INSTANCE, WIRESERVER


class Recovery(unittest.TestCase):

    def setUp(self):
        self.world = world.World(imds=world.item(), wireserver=world.item())
        self.addCleanup(self.world.close)
        self.world.start()

    def guid(self):
        return self.world.state()["guid"]

    def acquired(self):
        return sum(1 for line in self.world.host_log()
                   if line[2].startswith("POST /secure-channel/key "))

    def test_killed_agent_leaves_no_data_and_no_redirection(self):
        self.world.stop_mspd(signal.SIGKILL)
        answer = self.world.get(INSTANCE)
        self.assertEqual(answer.status, 401)

    def test_stopped_agent_leaves_no_data_and_no_redirection(self):
        self.assertEqual(self.world.stop_mspd(), 0)
        self.assertEqual(self.world.get(INSTANCE).status, 401)

    def test_restart_re_uses_the_key_on_disk(self):
        for sig in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(signal=sig):
                guid, acquired = self.guid(), self.acquired()
                self.world.stop_mspd(sig)
                self.world.start_mspd()
                self.assertEqual(self.guid(), guid)
                self.assertEqual(self.acquired(), acquired)
                message = self.world.status()["proxyAgentStatus"][
                    "keyLatchStatus"]["message"]
                self.assertIn("Found key details from local", message)
                self.assertEqual(self.world.verdict(),
                                 "verified")

    def test_damaged_key_file_is_not_used_and_does_not_crash(self):
        self.world.stop_mspd()
        name = self.world.path("keys", self.guid() + ".key")
        with open(name, "r+b") as f:
            f.truncate(20)
        # The host refuses a second key while it has one: closed, not open.
        self.world.start_mspd(wait=False)
        time.sleep(2.5)
        self.assertIsNone(self.world.mspd.poll())
        self.assertIn(self.world.get(INSTANCE).status, (401, 503))
        log = self.world.read("log", "ProxyAgent.log").decode()
        said = [line for line in log.splitlines()
                if f"key file '{os.path.basename(name)}': line " in line]
        self.assertEqual(len(said), 1, said)
        self.world.control("POST", "/key/reset")
        self.world.wait_ready()

    def test_key_file_is_private(self):
        keys = self.world.path("keys")
        self.assertEqual(os.stat(keys).st_mode & 0o7777, 0o700)
        names = [n for n in os.listdir(keys) if n.endswith(".key")]
        self.assertEqual(names, [self.guid() + ".key"])
        self.assertEqual(os.stat(os.path.join(keys, names[0])).st_mode &
                         0o7777, 0o600)
        self.assertEqual(
            set(json.loads(self.world.read("keys", names[0]))),
            {"authorizationScheme", "guid", "incarnationId", "issued", "key"})

    def test_termination_lets_a_request_in_flight_finish(self):
        result = {}

        def slow():
            result["answer"] = self.world.call(slow_upload)

        thread = threading.Thread(target=slow)
        thread.start()
        time.sleep(0.5)
        status = self.world.stop_mspd()
        thread.join()
        self.assertEqual(status, 0)
        self.assertIsNotNone(result["answer"], "cut off")
        self.assertEqual(result["answer"].status, 200)

    def test_termination_does_not_wait_for_idle_clients(self):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            self.world.become(0, True)
            with wire.connect((IMDS, 80)) as s:
                s.sendall(wire.request(b"GET", INSTANCE, IMDS,
                                       [world.METADATA]))
                wire.receive(s, b"", False)
                os.write(writer, b"x")
                time.sleep(30)
            os._exit(0)
        os.read(reader, 1)
        begin = time.monotonic()
        try:
            self.assertEqual(self.world.stop_mspd(), 0)
            self.assertLess(time.monotonic() - begin, 5)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(reader)
            os.close(writer)

    def test_second_agent_does_not_take_over(self):
        first = self.world.mspd
        try:
            self.world.start_mspd(wait=False)
            time.sleep(1.5)
        finally:
            second, self.world.mspd = self.world.mspd, first
            second.kill()
            second.wait()
        answer = self.world.get(INSTANCE)
        self.assertEqual(answer.status, 200)
        self.assertIn(world.PASSED, answer.headers)


def slow_upload():
    """One request whose body takes two seconds."""
    pieces = [b"x" * 100] * 20
    head = (f"PUT /vmAgentLog HTTP/1.1\r\nHost: {WIRESERVER}\r\n"
            f"Content-Length: {sum(map(len, pieces))}\r\n\r\n").encode()
    with wire.connect((WIRESERVER, 80)) as s:
        s.sendall(head)
        for piece in pieces:
            s.sendall(piece)
            time.sleep(0.1)
        return wire.receive(s, b"", False)[0]
