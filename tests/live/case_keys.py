# SPDX-License-Identifier: MIT
"""
In: a second agent, a suspend, a key folder that goes away, and a host that
forbids. Out: one agent at a time goes after the key, its dates are those of
now, and its status says in the words of the reference what is wrong.
"""
import json
import os
import shutil
import signal
import struct
import time
import unittest

import world
from world import INSTANCE, wait_until

HOUR = 3600
QUICK = {"pollKeyStatusIntervalInSeconds": 0.2}


def key_status(w):
    """Of the file: it is there whether or not anything leads to the agent."""
    try:
        status = json.loads(w.read("status", "status.json"))
    except OSError:
        return {"message": "", "states": {}}
    return status["proxyAgentStatus"]["keyLatchStatus"]


def wait_for(w, words, seconds=30):
    """The message that contains them."""
    def said():
        message = key_status(w)["message"]
        return message if words in message else None
    return wait_until(said, seconds, f"'{words}' in the status")


def key_files(w):
    return sorted(n for n in os.listdir(w.path("keys")) if n.endswith(".key"))


def asked_for_keys(w):
    return [line[2] for line in w.host_log()
            if line[2].startswith("POST /secure-channel/key")]


def wait_for_polls(w, count=2):
    """By then the host has named the key that is latched now."""
    def polls():
        return sum("/secure-channel/status" in line[2]
                   for line in w.host_log())
    enough = polls() + count
    wait_until(lambda: polls() >= enough, why="polls")


class TwoAgents(unittest.TestCase):

    def setUp(self):
        self.first = world.World(imds=world.item(), wireserver=world.item(),
                                 config=QUICK)
        self.addCleanup(self.first.close)
        self.first.start()
        self.second = world.World(config={
            **QUICK, "latchKeyFolder": self.first.path("keys"),
            "eagerPollIntervalInSeconds": 0.2,
            "listenAddress": "127.0.0.1:3090"})
        self.addCleanup(self.second.close)
        self.second.start_mspd(wait=False)

    def test_second_agent_names_the_one_that_has_the_keys(self):
        guid = self.first.state()["guid"]
        asked = asked_for_keys(self.first)
        keys = self.first.path("keys")
        self.assertIn(
            f"Failed to lock the key folder: '{keys}' is in use by another "
            f"agent, process {self.first.mspd.pid}",
            wait_for(self.second, "Failed to lock"))
        self.assertNotIn("keyGuid", key_status(self.second)["states"])
        self.assertEqual(self.first.state()["guid"], guid)
        self.assertEqual(asked_for_keys(self.first), asked)
        self.assertEqual(self.first.get(INSTANCE).status, 200)
        # a crash leaves no lock, and the key is there for the next one
        self.first.stop_mspd(signal.SIGKILL)
        wait_for(self.second, "Found key details from local")
        self.second.wait_ready()
        self.assertEqual(key_status(self.second)["states"]["keyGuid"], guid)
        self.assertEqual(asked_for_keys(self.first), asked)


class SuspendWorld(world.World):

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.suspend(0)

    def suspend(self, seconds):
        """Of the agent's machine; in place, because it is mapped."""
        fd = os.open(self.path("suspend"), os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(fd, struct.pack("=q", seconds), 0)
        os.close(fd)

    def start_mspd(self, wait=True):
        self.preload = True
        super().start_mspd(wait)

    def environment(self):
        env = super().environment()
        if getattr(self, "preload", False):
            env["LD_PRELOAD"] = self.built("tests/live/preload_suspend.so")
            env["MSPTEST_SUSPEND"] = self.path("suspend")
            env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + \
                ":verify_asan_link_order=0"
        return env


class Suspend(unittest.TestCase):

    def test_signatures_are_fresh_right_after_a_suspend(self):
        w = SuspendWorld(imds=world.item(), wireserver=world.item(),
                         config=QUICK)
        self.addCleanup(w.close)
        w.start()
        # the host cannot tell its time anew
        w.control("POST", "/faults", json.dumps(
            {"name": "503", "endpoint": "wireserver",
             "path": "/secure-channel/status"}).encode())
        wait_for(w, "Failed to get key status")
        w.control("POST", "/faults", json.dumps(
            {"name": "clock-skew", "seconds": HOUR}).encode())
        self.assertEqual(w.get(INSTANCE).status, 401)
        self.assertEqual(w.verdict(), "bad:stale")
        w.suspend(HOUR)
        self.assertEqual(w.get(INSTANCE).status, 200)
        self.assertEqual(w.verdict(), "verified")


class Words(unittest.TestCase):

    def setUp(self):
        self.world = world.World(imds=world.item(), wireserver=world.item(),
                                 config=QUICK)
        self.addCleanup(self.world.close)
        self.world.start()

    def fault(self, **fault):
        return self.world.control("POST", "/faults",
                                  json.dumps(fault).encode())

    def reset(self):
        self.world.control("POST", "/key/reset")

    def test_status_has_the_words_of_the_reference(self):
        w = self.world
        self.assertRegex(wait_for(w, "Successfully"),
                         r"^Successfully attest the key and ready to use\. "
                         r"- \d+$")
        for fault, words in (
                ({"name": "500", "path": "/secure-channel/status"},
                 "Failed to get key status - Failed to get response from "
                 "http://168.63.129.16:80/secure-channel/status, status "
                 "code: 500 Internal Server Error"),
                ({"name": "wrong-scheme", "path": "/secure-channel/status"},
                 "Failed to get key status - Key error: Key status "
                 "validation failed with the error: authorizationScheme must "
                 "be 'Azure-HMAC-SHA256'; "),
                ({"name": "not-json", "path": "/secure-channel/status"},
                 "Failed to get key status - Deserialization failed: Failed "
                 "to json deserialize response body with "),
                ({"name": "key-not-offered", "path": "/secure-channel/key"},
                 "Failed to acquire key details: Key error: Failed to "
                 "acquire key with status code: 403 Forbidden"),
                ({"name": "close", "path": "/secure-channel/key"},
                 "Failed to acquire key details: Key error: Failed to send "
                 "acquire key with error: "),
                ({"name": "attest-refused", "path": "/secure-channel/key/*"},
                 "Failed to attest the key: Key error: Failed to attest key "
                 "with status code: 401 Unauthorized")):
            with self.subTest(words=words):
                self.fault(endpoint="wireserver", **fault)
                self.reset()
                self.assertTrue(wait_for(w, words).startswith(words))
                w.control("DELETE", "/faults")
                wait_for(w, "Successfully attest the key")
        w.control("POST", "/channel?enabled=false")
        self.assertRegex(wait_for(w, "Customer"),
                         r"^Customer has not enforce the secure channel "
                         r"state\. - \d+$")
        w.control("POST", "/channel?enabled=true")
        self.assertRegex(wait_for(w, "Found"),
                         r"^Found key details from local and ready to use\. "
                         r"- \d+$")

    def test_key_folder_that_went_away_is_made_again(self):
        w = self.world
        keys = w.path("keys")
        shutil.rmtree(keys)
        with open(keys, "w", encoding="ascii"):
            pass
        self.reset()
        message = wait_for(w, "Failed to save key details to file: ")
        self.assertIn(f"'{keys}'", message)
        self.assertFalse(w.state()["latched"])
        os.remove(keys)
        wait_for(w, "Successfully attest the key")
        self.assertEqual(key_files(w), [w.state()["guid"] + ".key"])
        self.assertEqual(os.stat(keys).st_mode & 0o7777, 0o700)

    def test_reset_leaves_one_key(self):
        w = self.world
        for _ in range(3):
            wait_for_polls(w)
            old = w.state()["guid"]
            self.reset()
            wait_until(lambda: w.state()["guid"] not in (None, old))
            guid = w.state()["guid"]
            wait_until(lambda: key_files(w) == [guid + ".key"],
                       why="the old key removed")

    def test_channel_that_is_off_redirects_nothing(self):
        w = self.world
        w.control("POST", "/channel?enabled=false")
        wait_for(w, "Customer has not")
        for host, port in ((world.IMDS, 80), (world.WIRESERVER, 80),
                           (world.WIRESERVER, world.HOSTGA_PORT)):
            with self.subTest(host=host, port=port):
                answer = w.get("/msp-host/bytes?count=9", host=host, port=port,
                               uid=world.NOBODY)
                self.assertEqual(answer.status, 200)
                self.assertNotIn(world.PASSED, answer.headers)
        states = key_status(w)["states"]
        self.assertEqual(states["secureChannelState"], "disabled")
        self.assertNotIn("keyGuid", states)
