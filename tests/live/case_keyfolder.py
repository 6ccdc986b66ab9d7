# SPDX-License-Identifier: MIT
"""
In: a key folder of another user, open to others, or no folder at all. Out: the
agent takes it over or says what is in its way, and goes on once it is not; it
never ends for it, nor uses a key that another user could have made.
"""
import ctypes
import json
import os
import time
import unittest

import case_provision
import world
from case_keys import key_files, key_status, wait_for
from world import NOBODY, wait_until

LIBC = ctypes.CDLL(None, use_errno=True)
PR_CAPBSET_DROP = 24
# CHOWN, DAC_OVERRIDE, FOWNER: the service has none of them.
WITHOUT = (0, 1, 3)
QUICK = {"pollKeyStatusIntervalInSeconds": 0.2}
PLANTED = "00000000-0316-4ad3-94a7-8ccbdee8ccbf.key"


def as_in_the_service():
    for capability in WITHOUT:
        if LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


class Foreign(unittest.TestCase):

    def setUp(self):
        self.world = w = world.World(imds=world.item(), config=QUICK,
                                     wireserver=world.item(),
                                     sandbox=as_in_the_service)
        self.addCleanup(w.close)
        w.start_host()

    def test_folder_of_somebody_else_is_taken_over(self):
        w = self.world
        os.mkdir(w.path("keys"), 0o755)
        with open(w.path("keys", PLANTED), "w", encoding="ascii"):
            pass
        for name in ("keys/" + PLANTED, "keys"):
            os.chown(w.path(name), NOBODY, NOBODY)
        w.start_mspd()
        st = os.stat(w.path("keys"))
        self.assertEqual((st.st_uid, st.st_mode & 0o7777), (0, 0o700))
        self.assertEqual(key_files(w), [w.state()["guid"] + ".key"])
        log = w.read("log", "ProxyAgent.log").decode()
        self.assertIn(f"'{w.path('keys')}' belonged to user {NOBODY}", log)
        self.assertIn(f"key file '{PLANTED}'", log)

    def test_key_of_root_survives_that_the_folder_was_given_away(self):
        w = self.world
        w.start_mspd()
        guid = w.state()["guid"]
        self.assertEqual(w.stop_mspd(), 0)
        os.chown(w.path("keys"), NOBODY, NOBODY)
        os.chmod(w.path("keys"), 0o777)
        w.start_mspd()
        self.assertEqual(w.state()["guid"], guid)
        self.assertTrue(wait_for(w, "Found key details from local"))
        self.assertEqual(key_files(w), [guid + ".key"])

    def test_folder_that_others_can_write_to_is_closed(self):
        w = self.world
        os.mkdir(w.path("keys"))
        os.chmod(w.path("keys"), 0o777)
        w.start_mspd()
        self.assertEqual(os.stat(w.path("keys")).st_mode & 0o7777, 0o700)


class NoFolder(case_provision.Provision):

    def begin(self, **config):
        """Where the folder should be there is a file."""
        self.world = w = world.World(imds=world.item(), config={
            **QUICK, "provisioningTimeoutInSeconds": 1, **config},
            wireserver=world.item())
        self.addCleanup(w.close)
        for name in ("console", "keys"):
            with open(w.path(name), "wb"):
                pass
        self.reason = ("Failed to open the key folder: "
                       f"'{w.path('keys')}' is not a directory")
        w.start_host()
        self.began = case_provision.tick()
        w.start_mspd(wait=False)

    def test_agent_says_what_is_in_the_way_until_it_is_not(self):
        self.begin()
        w = self.world
        pid = w.mspd.pid
        self.wait_finished()
        told = self.told(self.began)
        self.assertEqual(told, {"finished": True, "errorMessage":
                                f"keyLatchStatus - {self.reason}\r\n"})
        self.assertEqual(key_status(w)["message"], self.reason)
        self.assertEqual(key_status(w)["status"], "STOPPED")
        status = json.loads(w.read("status", "status.json"))
        self.assertEqual(status["proxyAgentStatus"]["status"], "ERROR")
        # several attempts later it is still the same one, and has said it once
        time.sleep(1)
        self.assertIsNone(w.mspd.poll())
        log = w.read("log", "ProxyAgent.log").decode()
        self.assertEqual(log.count(self.reason),
                         1 + log.count(f"keyLatchStatus - {self.reason}"))
        self.assertEqual(list(self.console()).count(self.reason), 1)
        # nobody is kept from the host meanwhile
        self.assertEqual(w.get("/msp-host/bytes?count=9").status, 200)

        os.remove(w.path("keys"))
        # who provisions anew does not wait for the next attempt
        self.ask(notify=True)
        self.wait_finished(case_provision.tick())
        wait_until(lambda: self.ask(self.began).body == case_provision.DONE)
        self.assertEqual(w.mspd.pid, pid)
        self.assertEqual(key_files(w), [w.state()["guid"] + ".key"])
        self.assertEqual(self.tag("status.tag"), b"")
