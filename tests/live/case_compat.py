# SPDX-License-Identifier: MIT
"""
In: requests and rules that Azure's agent handles in a way nobody can depend
on. Out: what they get here. The table in mspd(8) names the tests of the
others.
"""
import json
import os
import unittest

import alone
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
    """Its agent cannot run a program."""

    def __init__(self, **kwargs):
        super().__init__(sandbox=alone.sandbox, **kwargs)

    def environment(self):
        env = super().environment()  # to look for leaks is to make a process
        env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        return env


class Limited(world.World):
    """Its agent has 15% of a processor, as Azure's leaves the unit."""

    V1 = "/sys/fs/cgroup/cpu"

    @staticmethod
    def write(folder, name, text):
        with open(os.path.join(folder, name), "w", encoding="ascii") as f:
            f.write(text)

    def limit(self):
        """Path of what the agent is to name."""
        if os.path.isdir(self.V1):
            self.limited = os.path.join(self.V1, os.path.basename(self.dir))
            os.mkdir(self.limited)
            self.write(self.limited, "cpu.cfs_quota_us", "15000")
            return os.path.join(self.limited, "cpu.cfs_quota_us")
        self.write(os.path.dirname(self.cgroup), "cgroup.subtree_control",
                   "+cpu")
        self.write(self.cgroup, "cpu.max", "15000 100000")
        return os.path.join(self.cgroup, "cpu.max")

    def prepare_mspd(self):
        super().prepare_mspd()
        if os.path.isdir(self.V1):
            self.write(self.limited, "cgroup.procs", "0")

    def close(self):
        super().close()
        if os.path.isdir(getattr(self, "limited", "")):
            os.rmdir(self.limited)


class Alone(unittest.TestCase):

    def test_quota_that_somebody_left_is_said_and_lived_with(self):
        made = Limited(imds=world.item(), wireserver=world.item())
        self.addCleanup(made.close)
        path = made.limit()
        made.start()
        self.assertIn(f"{path} allows 15% of a processor's time".encode(),
                      made.read("log", "ProxyAgent.log"))
        for _ in range(50):
            self.assertEqual(made.get(INSTANCE).status, 200)
        self.assertEqual(made.stop_mspd(), 0)

    def test_agent_sets_no_quota_and_runs_no_program(self):
        made = Watched(imds=world.item(), wireserver=world.item())
        self.addCleanup(made.close)
        made.start()
        self.assertEqual(made.get(INSTANCE).status, 200)
        self.assertEqual(made.status()["proxyAgentStatus"]["status"],
                         "SUCCESS")
        self.assertEqual(os.readlink(f"/proc/{made.mspd.pid}/exe"),
                         os.path.join(made.build, "mspd/mspd"))
        self.assertEqual(made.stop_mspd(), 0)

    def test_canonical_form_decides_and_a_wrong_word_is_said_once(self):
        for mode, said in (("off", 1), ("Shadow", 1), ("enforced", 1),
                           (" Enforce\t", 0)):
            with self.subTest(mode=mode):
                statuses, *texts = self.asked_with(mode)
                # of what is allowed the host knows one
                self.assertEqual(statuses, [200, 404, 403, 403, 403])
                for text in texts:
                    self.assertEqual(text.count(
                        b"canonicalRequestMode: has no effect"), said)

    @staticmethod
    def asked_with(mode):
        """Answers to some spellings; what the agent printed, and its log."""
        made = world.World(
            imds=world.item(access="deny", rules=world.grant(
                ["/metadata/instance"], {"root": {"userName": "root"}})),
            wireserver=world.item(), config={"canonicalRequestMode": mode})
        try:
            made.start()
            statuses = [made.get(target).status for target in (
                INSTANCE, "/metadata/inst%61nce",
                "/metadata/instance/../identity/oauth2/token",
                "/metadata/instance/%2e%2e/identity",
                "/metadata/instance%2f..%2fidentity")]
            made.stop_mspd()
            return (statuses, made.read("mspd.out"),
                    made.read("log", "ProxyAgent.log"))
        finally:
            made.close()

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
