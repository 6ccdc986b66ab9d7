# SPDX-License-Identifier: MIT
"""
In: requests and rules that Azure's agent handles in a way nobody can depend
on. Out: what they get here. The table in mspd(8) names the tests of the
others.
"""
import json
import os
import unittest

import wire
import world
from world import IMDS, INSTANCE, METADATA, WIRESERVER, wait_until

ECHO = "/msp-host/echo"


class Compat(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = world.World(
            imds=world.item(), wireserver=world.item(),
            config={"pollKeyStatusIntervalInSeconds": 0.1})
        cls.addClassCleanup(cls.world.close)
        cls.world.start()

    def is_verified(self, data, host=WIRESERVER):
        answer = self.world.talk((host, 80), [data])[0]
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(self.world.verdict(), "verified")

    def test_chunked_request_without_a_body_is_signed_as_it_is_sent(self):
        self.is_verified(wire.request(b"POST", ECHO, WIRESERVER, chunks=[]))

    def test_8_bit_header_is_signed_as_it_is_sent(self):
        for value in (b"caf\xe9", b"\xff\x80", "\u2603".encode()):
            with self.subTest(value=value):
                self.is_verified(wire.request(
                    b"GET", INSTANCE, IMDS, [METADATA, (b"x-name", value)]),
                    IMDS)

    def test_redirection_follows_the_rules_whatever_was_before(self):
        def is_direct():
            return world.PASSED not in self.world.get(INSTANCE).headers

        for before in (" enforce", "Enforced", "", "audit"):
            with self.subTest(before=before):
                self.say_mode(before)
                self.say_mode("DISABLED")
                wait_until(is_direct, why="not redirected")
                self.say_mode("Enforce")
                wait_until(lambda: not is_direct(), why="redirected")
        self.world.control("DELETE", "/status/raw")

    def say_mode(self, mode):
        """What the host says, taken by the agent."""
        rules = {"imds": world.item(mode=mode, ident="imds-" + mode),
                 "wireserver": world.item(ident="ws-" + mode)}
        self.world.control("POST", "/status/raw", json.dumps({
            "authorizationScheme": "Azure-HMAC-SHA256",
            "keyDeliveryMethod": "http", "version": "2.0",
            "keyGuid": self.world.state()["guid"], "keyIncarnationId": 1,
            "secureChannelEnabled": True,
            "authorizationRules": rules}).encode())
        wait_until(lambda: self.world.status()["proxyAgentStatus"][
            "keyLatchStatus"]["states"]["wireServerRuleId"] == "ws-" + mode,
            why=f"mode {mode!r} seen")


class Watched(world.World):
    """Its agent finds programs that tell when they are run."""

    def environment(self):
        return {**super().environment(), "PATH": self.path("bin")}

    def offer(self, *names):
        os.mkdir(self.path("bin"))
        for name in names:
            with open(self.path("bin", name), "w", encoding="ascii") as f:
                f.write(f"#!/bin/sh\necho {name} >> {self.path('run.txt')}\n")
            os.chmod(self.path("bin", name), 0o755)


class Alone(unittest.TestCase):

    def test_agent_sets_no_quota_and_runs_no_program(self):
        made = Watched(imds=world.item(), wireserver=world.item())
        self.addCleanup(made.close)
        made.offer("systemctl", "findmnt", "mount", "uname", "ip", "sh")
        made.start()
        self.assertEqual(made.get(INSTANCE).status, 200)
        self.assertEqual(made.stop_mspd(), 0)
        self.assertFalse(os.path.exists(made.path("run.txt")),
                         made.tail("run.txt"))

    def test_refused_request_opens_no_connection_to_the_host(self):
        made = world.World(
            imds=world.item(access="deny", rules=world.grant(
                ["/"], {name: {"userName": name}
                        for name in ("root", "daemon")})),
            config={"pollKeyStatusIntervalInSeconds": 60})
        self.addCleanup(made.close)
        made.start()
        for uid, status, opened in ((world.NOBODY, 403, 1),
                                    (world.DAEMON, 200, 2)):
            with self.subTest(uid=uid):
                before = connects()
                self.assertEqual(made.get(INSTANCE, uid=uid).status, status)
                self.assertEqual(connects() - before, opened)


def connects():
    """How many there were in this network; the client's own is one."""
    with open("/proc/self/net/snmp", encoding="ascii") as f:
        names, values = [line.split() for line in f
                         if line.startswith("Tcp:")]
    return int(values[names.index("ActiveOpens")])
