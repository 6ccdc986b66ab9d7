# SPDX-License-Identifier: MIT
"""
In: a working system. Out: the status document, the audit trail and the logs,
complete, well formed and without a secret.
"""
import json
import os
import re
import stat
import subprocess
import unittest

import sign
import wire
import world
from world import DAEMON, IMDS, INSTANCE, METADATA, NOBODY, WIRESERVER

TOKEN = ("/metadata/identity/oauth2/token?api-version=2018-02-01"
         "&resource=https://vault.example/&secretparam=hunter2")
AUDIT_FIELDS = ["time", "id", "uid", "user", "pid", "exe", "comm", "exe_state",
                "gid", "groups", "euid", "loginuid", "parents", "cgroup",
                "unit", "container", "netns", "mntns", "pidns", "userns",
                "flags", "endpoint", "method", "path", "verdict", "reason",
                "rule", "privilege", "identity", "epoch", "status", "us",
                "mode", "port", "chain"]
DETAILS = ["monitorStatus", "keyLatchStatus", "ebpfProgramStatus",
           "proxyListenerStatus", "telemetryLoggerStatus"]
STATES = ["keyLatchStatus", "ebpfProgramStatus", "proxyListenerStatus"]
SUMMARY_FIELDS = {"userName", "ip", "port", "processCmdLine", "responseStatus",
                  "count", "userGroups", "processFullPath"}
UNSAFE_TARGET = "/metadata/%22%0a%7f/\"x\""


class Status(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        allowed = {"root": {"userName": "root"},
                   "daemon": {"userName": "daemon"}}
        cls.world = world.World(
            imds=world.item(access="deny", ident="imds-item",
                            rules=world.grant(["/metadata"], allowed)),
            wireserver=world.item(ident="ws-item"))
        cls.addClassCleanup(cls.world.close)
        cls.world.start()
        w = cls.world
        cls.tokens = [json.loads(w.get(TOKEN, uid=uid).body)["access_token"]
                      for uid in (0, DAEMON)]
        w.get(INSTANCE, uid=NOBODY)
        w.get(UNSAFE_TARGET, uid=DAEMON)
        w.get("/metadata/..", uid=NOBODY)
        w.get("/machine?comp=goalstate", WIRESERVER,
              headers=[(b"x-ms-version", b"2012-11-30")])
        w.get("/machine?comp=goalstate", WIRESERVER, uid=NOBODY)
        w.get(INSTANCE, *world.LISTENER)
        w.curl("-o", "/dev/null", "-H", "Metadata:true",
               f"http://{IMDS}{INSTANCE}", uid=DAEMON)

    def test_status_has_the_schema(self):
        document = self.world.status()
        self.assertEqual(list(document), [
            "timestamp", "proxyAgentStatus", "proxyConnectionSummary",
            "failedAuthenticateSummary"])
        self.assertRegex(document["timestamp"],
                         r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$")
        agent = document["proxyAgentStatus"]
        self.assertEqual(list(agent), ["version", "status", *DETAILS,
                                       "proxyConnectionsCount"])
        self.assertEqual(agent["status"], "SUCCESS")
        for name in DETAILS:
            self.assertIn(agent[name]["status"],
                          ("UNKNOWN", "RUNNING", "STOPPED"), name)
            self.assertIsInstance(agent[name]["message"], str)
            self.assertEqual("states" in agent[name], name in STATES)
            for value in agent[name].get("states", {}).values():
                self.assertIsInstance(value, str)
        self.assertGreater(agent["proxyConnectionsCount"], 5)

    def test_status_tells_the_keys_state(self):
        states = self.world.status()["proxyAgentStatus"]["keyLatchStatus"][
            "states"]
        self.assertEqual(
            states["secureChannelState"],
            "WireServer Enforce -  IMDS Enforce - HostGA Enforce")
        self.assertEqual(states["keyGuid"], self.world.state()["guid"])
        self.assertEqual((states["wireServerRuleId"], states["imdsRuleId"],
                          states["hostGARuleId"]),
                         ("ws-item", "imds-item", "ws-item"))
        self.assertEqual(states["keyIncarnationId"],
                         str(self.world.state()["incarnation"]))

    def test_summaries_tell_who_got_what(self):
        document = self.world.status()
        for name in ("proxyConnectionSummary", "failedAuthenticateSummary"):
            for entry in document[name]:
                self.assertEqual(set(entry), SUMMARY_FIELDS)
        seen = {(e["userName"], e["ip"], e["responseStatus"])
                for e in document["proxyConnectionSummary"]}
        self.assertIn(("daemon", IMDS, "200 OK"), seen)
        self.assertIn(("root", WIRESERVER, "200 OK"), seen)
        self.assertIn(("nobody", IMDS, "403 Forbidden"), seen)
        failed = {(e["userName"], e["responseStatus"])
                  for e in document["failedAuthenticateSummary"]}
        self.assertIn(("nobody", "403 Forbidden"), failed)
        curl = [e for e in document["proxyConnectionSummary"]
                if os.path.basename(e["processFullPath"] or "") == "curl"]
        self.assertEqual([(e["userName"], e["count"]) for e in curl],
                         [("daemon", 1)])

    def test_what_never_came_to_the_rules_is_not_counted_as_denied(self):
        answer = self.world.talk(
            (IMDS, 80), [b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n"], uid=2)[0]
        self.assertEqual(answer.status, 405)
        document = self.world.status()
        self.assertIn(("bin", "405 Method Not Allowed"),
                      {(e["userName"], e["responseStatus"])
                       for e in document["proxyConnectionSummary"]})
        self.assertNotIn("bin", {e["userName"] for e in
                                 document["failedAuthenticateSummary"]})

    def test_status_file_is_written_and_private(self):
        path = self.world.path("status", "status.json")
        world.wait_until(lambda: os.path.exists(path), why="status.json")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o640)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        self.assertTrue(text.startswith('{\n  "timestamp": "'))
        self.assertFalse(text.endswith("\n"))
        self.assertEqual(list(json.loads(text)), list(self.world.status()))

    def ask_status(self, uid=0, headers=(METADATA,), host=WIRESERVER):
        return self.world.get("/gpa-aggregated-status", host, uid=uid,
                              headers=headers)

    def test_aggregate_status_is_for_root_with_the_metadata_header(self):
        answer = self.ask_status()
        self.assertEqual(answer.status, 200)
        self.assertEqual(wire.values(answer.headers, b"content-type"),
                         [b"application/json; charset=utf-8"])
        self.assertEqual(self.ask_status(headers=()).status, 400)
        self.assertEqual(self.ask_status(uid=NOBODY).status, 403)
        self.assertEqual(self.ask_status(host=IMDS).status, 200)
        self.assertEqual(self.ask_status(host=IMDS, uid=DAEMON).status, 403)

    def test_aggregate_status_never_reaches_the_host(self):
        self.ask_status()
        self.assertFalse([line for line in self.world.host_log()
                          if "aggregated" in line[2]])

    def audit_lines(self):
        self.world.get(INSTANCE + "&last=1", uid=DAEMON)
        world.wait_until(lambda: len(self.world.audit()) >= 10,
                         why="audit lines")
        return self.world.audit()

    def test_audit_lines_have_the_fields_in_order(self):
        for line in self.audit_lines():
            self.assertEqual([k for k in line if k != "canon"], AUDIT_FIELDS)
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
                             r"\.\d{6}Z$")
            self.assertIn(line["verdict"], ("allow", "deny", "allow-audited"))

    def test_audit_names_caller_rule_and_outcome(self):
        lines = self.audit_lines()
        mine = [x for x in lines if x["uid"] == DAEMON and
                x["path"].startswith("/metadata/identity")]
        self.assertEqual(len(mine), 1)
        line = mine[0]
        self.assertEqual(
            (line["user"], line["endpoint"], line["method"], line["verdict"],
             line["reason"], line["rule"], line["privilege"],
             line["identity"], line["status"], line["mode"]),
            ("daemon", "IMDS", "GET", "allow", "granted",
             world.in_force("imds-item"), "p0", "daemon", 200, "Enforce"))
        self.assertTrue(line["exe"].startswith("/"))
        self.assertGreater(line["pid"], 1)
        self.assertGreater(line["epoch"], 0)

    def test_audit_has_one_line_per_refusal(self):
        lines = self.audit_lines()
        denied = [x for x in lines if x["verdict"] == "deny"]
        self.assertIn((NOBODY, 403, "no-identity"),
                      [(x["uid"], x["status"], x["reason"]) for x in denied])
        self.assertIn((NOBODY, 403, "not-root"),
                      [(x["uid"], x["status"], x["reason"]) for x in denied])
        self.assertIn((0, 421, "direct"),
                      [(x["uid"], x["status"], x["reason"]) for x in denied])
        self.assertIn("CANON_TRAVERSAL", [x.get("canon") for x in denied])

    def test_audit_has_no_query_values(self):
        for line in self.audit_lines():
            self.assertNotIn("hunter2", json.dumps(line))
            if "identity/oauth2" in (line["path"] or ""):
                self.assertIn("?api-version&resource&secretparam",
                              line["path"])

    def test_audit_file_is_private(self):
        mode = os.stat(self.world.path("log", "audit.jsonl")).st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o640)

    def secrets(self):
        for key in self.world.key_hex():
            yield from (key, key.lower(), key.upper())
        for token in self.tokens:
            yield token
            yield token.rsplit(".", 1)[1]
        for _, request in sign.recorded(self.world.path("record")):
            claim = sign.claimed(request)
            if claim:
                yield claim[1].decode()

    def test_no_secret_is_in_any_log_or_status(self):
        self.world.status()
        secrets = sorted(set(self.secrets()))
        self.assertGreater(len(secrets), 8)
        pattern = re.compile("|".join(map(re.escape, secrets)).encode())
        looked = 0
        for folder in ("log", "status", "events"):
            for base, _, names in os.walk(self.world.path(folder)):
                for name in names:
                    data = self.world.read(os.path.join(base, name))
                    self.assertIsNone(pattern.search(data), name)
                    looked += 1
        for name in ("mspd.out", "host.out", "host.log"):
            self.assertIsNone(pattern.search(self.world.read(name)), name)
        self.assertGreaterEqual(looked, 3)

    def test_log_lines_cannot_be_forged(self):
        for line in self.world.read("log", "ProxyAgent.log").splitlines():
            self.assertRegex(line, rb"^\d{4}-\d\d-\d\dT")


class Terminal(unittest.TestCase):
    """A client whose command line would drive one: CSI, OSC, DEL and more."""

    nasty = "\x1b[31m\x7f\u009b31m\u009d0;x\u2028\u2029"
    raw = re.compile("[\x1b\x7f\u0080-\u009f\u2028\u2029]")

    def test_no_status_or_log_drives_a_terminal(self):
        w = world.World(imds=world.item(), wireserver=world.item(),
                        config={"statusIntervalInSeconds": 0.2})
        self.addCleanup(w.close)
        w.start()
        # of a command line the first words are shown
        subprocess.run(["curl", "-s", "-w" + self.nasty, "-m30",
                        "-HMetadata:true", f"http://{IMDS}{INSTANCE}"],
                       stdout=subprocess.DEVNULL, check=True,
                       preexec_fn=lambda: w.become(0, True))

        def in_file():
            try:
                document = json.loads(w.read("status", "status.json"))
            except OSError:  # not written yet
                return False
            return any(self.nasty in e["processCmdLine"]
                       for e in document["proxyConnectionSummary"])
        world.wait_until(in_file, why="the command in status.json")
        self.assertTrue(any(self.nasty in e["processCmdLine"] for e in
                            w.status()["proxyConnectionSummary"]))
        looked = [w.read("status", "status.json"), w.read("mspd.out"),
                  w.get("/gpa-aggregated-status", WIRESERVER).body]
        looked += [w.read("log", name) for name in os.listdir(w.path("log"))]
        for text in looked:
            self.assertIsNone(self.raw.search(text.decode()))
        self.assertGreaterEqual(len(looked), 5)
