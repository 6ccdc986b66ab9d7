# SPDX-License-Identifier: MIT
"""
In: a machine with this agent in the place of Azure's. Out: what reads that
agent's output - the VM extension, end-to-end scripts, a penetration test -
finds what it looks for (spec 1.7, 1.9). Must never read more leniently than
they do.
"""
import base64
import datetime
import json
import os
import stat
import subprocess
import unittest

import world
from case_dropin import COMMAND, Image
from world import WIRESERVER

ENFORCED = "WireServer Enforce -  IMDS Enforce - HostGA Enforce"
STALE = datetime.timedelta(minutes=5)


def local_id(name, on=True):
    """A rule id that says whether local files count (spec 8.5)."""
    text = json.dumps({"id": name, "useLocalFileRules": on})
    return base64.b64encode(text.encode()).decode()


class Consumers(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = w = Image(imds=world.item(ident=local_id("imds")),
                              wireserver=world.item(ident=local_id("wire")))
        cls.addClassCleanup(w.close)
        w.start_host()
        w.start_agent()
        w.wait_ready()

    def version(self, program):
        return subprocess.run([program, "--version"], check=True, text=True,
                              env=self.world.environment(),
                              stdout=subprocess.PIPE).stdout.strip()

    def logs(self, *parts):
        return self.world.path("varlog/azure-proxy-agent", *parts)

    def status_file(self):
        """The one that tells of a latched key: it is written on change."""
        def read():
            with open(self.logs("status.json"), encoding="utf-8") as f:
                status = json.load(f)
            return status["proxyAgentStatus"]["status"] == "SUCCESS" and status
        return world.wait_until(read, why="status.json of SUCCESS")

    def judge(self, status):
        """As the extension does, which knows the version it brought along."""
        own = self.version(os.path.join(self.world.build, "mspd/mspd"))
        then = datetime.datetime.strptime(status["timestamp"],
                                          "%Y-%m-%dT%H:%M:%S.%f")
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        self.assertLess(abs(now - then), STALE)
        self.assertEqual(len(status["timestamp"]), 23)
        agent = status["proxyAgentStatus"]
        self.assertEqual(own.rsplit(None, 1)[-1], agent["version"])
        self.assertEqual(agent["status"], "SUCCESS")

    def test_extension_compares_versions(self):
        installed = self.version(self.world.path("sbin", COMMAND[0]))
        self.assertRegex(installed, r"\A[0-9]+\.[0-9]+\.[0-9]+\Z")
        self.assertEqual(installed, self.world.status()[
            "proxyAgentStatus"]["version"])

    def test_extension_reads_the_status_over_http(self):
        answer = self.world.get("/gpa-aggregated-status", host=WIRESERVER)
        self.assertEqual(answer.status, 200)
        self.judge(json.loads(answer.body))

    def test_extension_reads_the_status_file_instead(self):
        self.judge(self.status_file())
        self.assertEqual(stat.S_IMODE(os.stat(self.logs("status.json"))
                                      .st_mode), 0o640)

    def test_what_the_extension_reports_has_the_status_inside(self):
        w = self.world
        program = os.path.join(w.build, "examples/msp-host/msp-host")
        subprocess.run([program, "report"], check=True, preexec_fn=w.join,
                       env=w.environment(), stdout=subprocess.DEVNULL)
        first = w.control("GET", "/report")[0]["status"]
        self.assertEqual(first["status"], "success")
        message = first["substatus"][1]["formattedMessage"]["message"]
        self.assertIn("SUCCESS", message)
        self.assertEqual(json.loads(message)["version"],
                         self.version(w.path("sbin", COMMAND[0])))

    def test_end_to_end_scripts_find_the_channel_state(self):
        for status in (self.world.status(), self.status_file()):
            states = status["proxyAgentStatus"]["keyLatchStatus"]["states"]
            self.assertEqual(states["secureChannelState"], ENFORCED)

    def test_penetration_test_finds_local_rules_in_the_newest_snapshot(self):
        newest = max(n for n in os.listdir(self.logs())
                     if n.startswith("AuthorizationRules_"))
        with open(self.logs(newest), encoding="utf-8") as f:
            text = f.read()
        self.assertIn("useLocalFileRules-true", text)
        computed = json.loads(text)["computedRules"]
        self.assertEqual((computed["imds"]["mode"],
                          computed["wireserver"]["mode"]),
                         ("Enforce", "Enforce"))

    def test_penetration_test_finds_nothing_open(self):
        w = self.world
        state = "varlib/azure-proxy-agent"
        limits = {w.path(state, "keys"): 0o700, w.path(state, "rules"): 0o755,
                  self.logs(): 0o755, w.path("sbin", COMMAND[0]): 0o755}
        for name in os.listdir(w.path(state, "keys")):
            limits[w.path(state, "keys", name)] = 0o600
        self.assertGreater(len(limits), 4)
        for path, limit in limits.items():
            found = os.stat(path)
            self.assertEqual((found.st_uid, found.st_mode & 0o7777 & ~limit),
                             (0, 0), path)
