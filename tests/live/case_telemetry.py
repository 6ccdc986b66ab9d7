# SPDX-License-Identifier: MIT
"""
In: agents with telemetry on and off. Out: what the host gets of it, byte by
byte as it was recorded, and what it never gets.
"""
import json
import os
import stat
import sys
import unittest
import xml.etree.ElementTree as xml

import world
from world import INSTANCE, World, wait_until

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "host"))
import verifier  # noqa: E402 - it is found through the line above

TARGET = b"/machine/?comp=telemetrydata"
GOAL = b"/machine?comp=goalstate"
COMPUTE = b"/metadata/instance?api-version=2018-02-01"
LOGS = "FFF0196F-EE4C-4EAF-9AA5-776F622DEB4F"
REPORTS = "69B669B9-4AF8-4C50-BDC4-6006FA76E975"
COMMON = [
    ("KeywordName", "wstr"), ("TenantName", "wstr"), ("RoleName", "wstr"),
    ("RoleInstanceName", "wstr"), ("ContainerId", "wstr"),
    ("ResourceGroupName", "wstr"), ("SubscriptionId", "wstr"),
    ("VMId", "wstr"), ("ImageOrigin", "uint64"), ("OSVersion", "wstr"),
    ("RAM", "uint64"), ("Processors", "uint64"), ("EventPid", "uint64"),
    ("EventTid", "uint64"), ("GAVersion", "wstr"), ("ExecutionMode", "wstr"),
    ("TaskName", "wstr"), ("OpcodeName", "wstr")]
GENERIC = [("EventName", "wstr"), ("CapabilityUsed", "wstr"),
           ("Context1", "wstr"), ("Context2", "wstr"), ("Context3", "wstr")]
REPORT = [("ExtensionType", "wstr"), ("IsInternal", "bool"), ("Name", "wstr"),
          ("Version", "wstr"), ("Operation", "wstr"),
          ("OperationSuccess", "bool"), ("Message", "wstr"),
          ("Duration", "uint64")]
NASTY = "a ]]> b <c> & \"d\" 'e' \u0001\ufffe \u20ac password=hunter2"
CLEAN = "a ]]> b <c> & \"d\" 'e' \ufffd\ufffd \u20ac [REDACTED]"


def agent(**config):
    return World(world.item(), world.item(), config={
        "telemetry": True, "telemetryIntervalInSeconds": 0.2,
        "pollKeyStatusIntervalInSeconds": 0.2,
        "fileLogLevelForEvents": "Info", **config})


def requests(w):
    """All that came to the host, as (connection, request)."""
    lines = w.read("record").split(b"\n")
    # the last line may still be under way
    for number, data in sorted(verifier.connections(lines[:-1]).items()):
        reader = verifier.Reader(data)
        try:
            while True:
                request = verifier.read_head(reader)
                request.body = verifier.read_body(reader, request)
                yield request
        except (verifier.Incomplete, verifier.Refused):
            pass


def batches(w):
    return [r for r in requests(w) if r.target == TARGET]


def events(batch):
    """(provider, parameters) of each event; fails if it is not well formed."""
    root = xml.fromstring(batch.body.decode())
    for provider in root:
        for event in provider:
            inner = xml.fromstring("<e>" + event.text + "</e>")
            yield provider.get("id"), [
                (p.get("Name"), p.get("T").partition("mt:")[2],
                 p.get("Value")) for p in inner]


def parameters(w, provider):
    return [{name: value for name, _, value in params}
            for batch in batches(w) for ident, params in events(batch)
            if ident == provider]


def messages(w):
    return [p["Context1"] for p in parameters(w, LOGS)]


def detail(w):
    return w.status()["proxyAgentStatus"]["telemetryLoggerStatus"]


def event(message, **more):
    return {"EventLevel": "WARN", "Message": message, "Version": "0.0.1",
            "TaskName": "task", "EventPid": "812", "EventTid": "00000812",
            "OperationId": "of a file",
            "TimeStamp": "2026-01-02T03:04:05.678", **more}


REPORTED = {
    "extension": {"name": "x", "version": "1", "is_internal": False,
                  "extension_type": "y"},
    "operation_status": {"operation_success": True, "operation": "z",
                         "task_name": "t", "message": "m", "duration": 1},
    "event_pid": "1", "event_tid": "00000001",
    "time_stamp": "2026-01-02T03:04:05.678"}


def put_events(w, name, content):
    os.makedirs(w.path("events"), exist_ok=True)
    with open(w.path("events", name), "w", encoding="utf-8") as f:
        json.dump(content, f)
    os.chmod(w.path("events", name), 0o600)


def kept(w):
    try:
        return sorted(os.listdir(w.path("events")))
    except FileNotFoundError:
        return []


class On(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = w = agent()
        cls.addClassCleanup(w.close)
        put_events(w, "1.json", [event(NASTY)])
        w.start()
        wait_until(lambda: CLEAN in messages(w) and parameters(w, REPORTS) and
                   any("attest" in m for m in messages(w)),
                   why="events at the host")

    def test_batches_are_sent_unsigned_as_the_protocol_has_it(self):
        for batch in batches(self.world):
            self.assertEqual(batch.method, b"POST")
            self.assertEqual(batch.values(b"x-ms-version"), [b"2012-11-30"])
            self.assertEqual(batch.values(b"content-type"),
                             [b"text/xml; charset=utf-8"])
            self.assertEqual(batch.values(verifier.AUTH), [])
            self.assertEqual(len(batch.values(verifier.DATE)), 1)
            self.assertLess(len(batch.body), 65536)
            self.assertTrue(batch.body.startswith(
                b'<?xml version="1.0"?><TelemetryData version="1.0">'
                b'<Provider id="'))

    def test_parameters_are_in_order(self):
        wanted = {LOGS: COMMON + GENERIC, REPORTS: COMMON + REPORT}
        seen = set()
        for batch in batches(self.world):
            for provider, params in events(batch):
                self.assertEqual([p[:2] for p in params], wanted[provider])
                seen.add(provider)
        self.assertEqual(seen, set(wanted))

    def test_events_say_which_machine_they_are_of(self):
        w = self.world
        compute = json.loads(w.get(INSTANCE).body)["compute"]
        goal = w.get("/machine?comp=goalstate", world.WIRESERVER,
                     headers=[(b"x-ms-version", b"2012-11-30")]).body.decode()
        params = parameters(w, LOGS)[-1]
        self.assertEqual(
            (params["VMId"], params["SubscriptionId"],
             params["ResourceGroupName"]),
            (compute["vmId"], compute["subscriptionId"],
             compute["resourceGroupName"]))
        self.assertIn(f"<ContainerId>{params['ContainerId']}</ContainerId>",
                      goal)
        self.assertIn(f"<InstanceId>{params['RoleInstanceName']}</InstanceId>",
                      goal)
        self.assertTrue(params["TenantName"] and params["RoleName"])
        self.assertEqual(int(params["Processors"]), os.cpu_count())
        self.assertRegex(params["OSVersion"], "^Linux:.+-.+$")
        self.assertEqual(json.loads(params["KeywordName"]),
                         {"CpuArchitecture": os.uname().machine})

    def test_message_ends_nothing_it_stands_in_and_tells_no_secret(self):
        params = [p for p in parameters(self.world, LOGS)
                  if p["Context3"] == "of a file"]
        self.assertEqual([p["Context1"] for p in params], [CLEAN])
        self.assertEqual((params[0]["GAVersion"], params[0]["TaskName"],
                          params[0]["EventPid"], params[0]["Context2"]),
                         ("0.0.1", "task", "812", "2026-01-02T03:04:05.678"))
        self.assertNotIn(b"hunter2", self.world.read("record"))

    def test_messages_of_modules_are_events(self):
        found = {(p["TaskName"], p["Context3"])
                 for p in parameters(self.world, LOGS)}
        for module in ("KeyKeeper", "Redirector", "ProxyServer",
                       "TelemetryLogger"):
            self.assertIn(("set_module_status_message", module), found)
        self.assertIn(("CommonLogger", "ProxyAgent"), found)
        said = messages(self.world)
        started = "Telemetry event logger thread started."
        self.assertEqual(said.count(started), 1)

    def test_first_request_of_a_group_is_an_event(self):
        w = self.world
        wait_until(lambda: any(p["TaskName"] == "log_connection_summary"
                               for p in parameters(w, LOGS)), why="summary")
        found = [p for p in parameters(w, LOGS)
                 if p["TaskName"] == "log_connection_summary"][0]
        self.assertEqual((found["CapabilityUsed"], found["Context3"]),
                         ("INFO", "proxy_server"))
        summary = json.loads(found["Context1"])
        self.assertEqual((summary["method"], summary["userName"]),
                         ("GET", "root"))

    def test_status_is_reported(self):
        report = parameters(self.world, REPORTS)[0]
        self.assertEqual(
            (report["Name"], report["ExtensionType"], report["IsInternal"],
             report["Operation"], report["TaskName"],
             report["OperationSuccess"]),
            ("azure-proxy-agent", "Monitoring", "True",
             "report_proxy_agent_status", "loop_status", "True"))
        status = json.loads(report["Message"])
        self.assertEqual(status["status"], "SUCCESS")
        self.assertEqual(status["version"], report["Version"])
        self.assertGreaterEqual(int(report["Duration"]), 15 * 200)

    def test_metadata_is_asked_for_signed_and_past_the_listener(self):
        w = self.world
        # before there is a key it cannot be signed
        verdicts = [verdict for _, _, line, status, verdict in w.host_log()
                    if COMPUTE.decode() in line and status == 200]
        self.assertEqual(verdicts[-1], "verified")
        shared = [r for r in requests(w) if b"type=sharedConfig" in r.target]
        self.assertTrue(shared[-1].values(verifier.AUTH))
        paths = {record["path"] for record in w.audit()}
        self.assertFalse([p for p in paths if "comp" in p and
                          "/machine/" in p])

    def test_logger_runs_and_says_so(self):
        found = detail(self.world)
        self.assertEqual((found["status"], found["message"]),
                         ("RUNNING", "Telemetry event logger thread started."))
        self.assertGreater(int(found["states"]["eventsSent"]), 0)
        self.assertEqual(found["states"]["eventsDropped"], "0")

    def test_file_that_was_sent_is_gone(self):
        self.assertNotIn("1.json", kept(self.world))


class Off(unittest.TestCase):

    def test_nothing_is_read_kept_or_sent(self):
        w = agent(telemetry=False, telemetryIntervalInSeconds=0.05)
        self.addCleanup(w.close)
        put_events(w, "1.json", [event("x")])
        w.start()
        polls = sum("/secure-channel/status" in line[2]
                    for line in w.host_log())
        wait_until(lambda: sum("/secure-channel/status" in line[2] for line
                               in w.host_log()) > polls + 5, why="polls")
        self.assertEqual(detail(w), {
            "status": "UNKNOWN",
            "message": "Telemetry is off, as configured: nothing is collected "
            "or sent."})
        self.assertEqual(w.status()["proxyAgentStatus"]["status"], "SUCCESS")
        asked = {r.target.partition(b"?")[0] for r in requests(w)}
        self.assertEqual({target for target in asked
                          if not target.startswith(b"/secure-channel/")},
                         {INSTANCE.partition("?")[0].encode()})
        self.assertEqual(kept(w), ["1.json"])


class Trouble(unittest.TestCase):

    def refuse(self, w, name, method, path, **more):
        return w.control("POST", "/faults", json.dumps(
            {"name": name, "endpoint": "wireserver", "method": method,
             "path": path, **more}).encode())["number"]

    def test_batch_that_is_refused_five_times_is_dropped(self):
        w = agent()
        self.addCleanup(w.close)
        w.start_host()
        self.refuse(w, "503", "POST", "/machine/")
        w.start_mspd()
        wait_until(lambda: len({b.body for b in batches(w)}) > 1,
                   why="the next batch")
        first = batches(w)[0].body
        self.assertEqual([b.body for b in batches(w)].count(first), 5)
        self.assertGreater(int(detail(w)["states"]["eventsDropped"]), 0)
        self.assertEqual(detail(w)["states"]["eventsSent"], "0")
        self.assertEqual(w.get(INSTANCE).status, 200)

    def test_host_that_talks_nonsense_or_hangs_hurts_nobody(self):
        w = agent(keyChannelTimeoutInSeconds=0.2)
        self.addCleanup(w.close)
        w.start()
        for name, more in (("garbage", {}), ("empty", {}), ("not-json", {}),
                           ("huge-body", {"bytes": 1 << 28}), ("hang", {}),
                           ("interim", {}), ("drip", {"ms": 100})):
            for method, path in (("GET", "/machine"), ("POST", "/machine/")):
                self.refuse(w, name, method, path, count=2, **more)
        self.refuse(w, "deep-json", "GET", "/metadata/instance", count=2,
                    endpoint="imds")
        reports = 0
        while any(f["left"] for f in w.control("GET", "/faults")):
            reports += 1
            put_events(w, f"extension_{reports}.json", REPORTED)
            wait_until(lambda: not kept(w), why="the report read")
        w.get(INSTANCE)
        sent = int(detail(w)["states"]["eventsSent"])
        put_events(w, "extension_1.json", REPORTED)
        wait_until(lambda: int(detail(w)["states"]["eventsSent"]) > sent,
                   why="events after the faults")
        self.assertEqual(w.get(INSTANCE).status, 200)

    def test_without_a_key_metadata_is_asked_for_unsigned(self):
        """Q29: the key of clients' requests, and no older one."""
        w = agent()
        self.addCleanup(w.close)
        w.start()
        wait_until(lambda: any(r.values(verifier.AUTH) for r in requests(w)
                               if r.target == GOAL), why="signed")
        w.control("POST", "/channel?enabled=false")
        wait_until(lambda: not [r for r in requests(w) if r.target == GOAL][
            -1].values(verifier.AUTH), why="unsigned")

    def test_event_folder_is_bounded(self):
        w = agent(maxEventFileCount=2, keyChannelTimeoutInSeconds=30)
        self.addCleanup(w.close)
        # as many as the queue holds, few of which fit in a batch
        put_events(w, "1.json", [event('&' * 4000) for _ in range(1000)])
        w.start_host()
        slow = self.refuse(w, "delay", "POST", "/machine/", ms=300)
        w.start_mspd()
        wait_until(lambda: "1.json" not in kept(w), why="the file read")
        self.refuse(w, "hang", "POST", "/machine/")
        w.control("DELETE", f"/faults/{slow}")
        for _ in range(60):
            w.control("POST", "/key/reset")  # about which there is much to say
            wait_until(lambda: w.status()["proxyAgentStatus"][
                "keyLatchStatus"]["states"].get("keyGuid") ==
                w.state()["guid"])
            if int(detail(w)["states"]["eventsDropped"]):
                break
        # reports have files of their own
        names = [n for n in kept(w) if not n.startswith("extension_")]
        self.assertEqual(len(names), 2)
        self.assertGreater(int(detail(w)["states"]["eventsDropped"]), 0)
        for name in names:
            self.assertRegex(name, r"^[0-9]+\.json$")
            self.assertEqual(stat.S_IMODE(
                os.stat(w.path("events", name)).st_mode), 0o600)
            for found in json.loads(w.read("events", name)):
                self.assertEqual(set(found), set(event("x")))
        self.assertEqual(w.stop_mspd(), 0)

    def test_what_was_not_sent_is_sent_after_a_restart(self):
        w = agent()
        self.addCleanup(w.close)
        w.start_host()
        fault = self.refuse(w, "500", "GET", "/machine")
        w.start_mspd()
        self.assertEqual(w.stop_mspd(), 0)
        self.assertEqual(len(kept(w)), 1)
        self.assertEqual(stat.S_IMODE(os.stat(w.path("events")).st_mode),
                         0o700)
        w.control("DELETE", f"/faults/{fault}")
        w.start_mspd()
        wait_until(lambda: [m for m in messages(w) if m.startswith(
            "Stop signal received, exiting")], why="the file sent")
        self.assertEqual(kept(w), [])
