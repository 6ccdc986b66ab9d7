# SPDX-License-Identifier: MIT
"""
In: what the host says of keys and policy, good and bad. Out: it takes effect
by itself; what is wrong changes nothing, and the status says why.
"""
import json
import time
import unittest

import wire
import world
from world import DAEMON, IMDS, INSTANCE, METADATA, NOBODY, WIRESERVER

POLL = 0.2
POLLS = 1  # seconds in which two polls have certainly been


def deny_all(mode="enforce", ident="deny"):
    return world.item(mode=mode, access="deny", ident=ident)


class Policy(unittest.TestCase):

    def setUp(self):
        self.world = world.World(
            imds=world.item(), wireserver=world.item(),
            config={"pollKeyStatusIntervalInSeconds": POLL})
        self.addCleanup(self.world.close)
        self.world.start()

    def wait_status(self, status, uid=NOBODY, host=IMDS, target=INSTANCE):
        world.wait_until(
            lambda: self.world.get(target, host, uid=uid).status == status,
            why=f"{status} from {host}")

    def states(self):
        return self.world.status()["proxyAgentStatus"]["keyLatchStatus"]

    def wait_message(self, *words):
        return world.wait_until(
            lambda: next((m for m in [self.states()["message"]]
                          if all(w in m for w in words)), None),
            why=f"status message with {words}")

    def test_new_rules_take_effect_and_old_ones_end(self):
        self.world.set_item("imds", deny_all())
        self.wait_status(403)
        self.world.set_item("imds", world.item(ident="open-again"))
        self.wait_status(200)
        self.assertEqual(self.states()["states"]["imdsRuleId"], "open-again")

    def test_new_content_under_the_same_id_takes_effect(self):
        self.world.set_item("imds", deny_all(ident="same"))
        self.wait_status(403)
        self.world.set_item("imds", world.item(ident="same"))
        self.wait_status(200)

    def test_audit_forwards_signed_and_records_the_denial(self):
        self.world.set_item("imds", deny_all("audit", "audited"))
        world.wait_until(lambda: self.states()["states"]["imdsRuleId"] ==
                         "audited", why="rules")
        self.assertEqual(self.world.get(INSTANCE, uid=NOBODY).status, 200)
        line = world.wait_until(
            lambda: next((a for a in self.world.audit()
                          if a["rule"] == world.in_force("audited")), None),
            why="audit line")
        self.assertEqual((line["verdict"], line["status"], line["uid"]),
                         ("allow-audited", 200, NOBODY))
        self.assertEqual(self.world.verdict(), "verified")
        failed = self.world.status()["failedAuthenticateSummary"]
        self.assertIn("nobody", [e["userName"] for e in failed])

    def test_audit_keeps_refusing_slashes_and_dots(self):
        self.world.set_item("imds", deny_all("audit", "audited"))
        world.wait_until(lambda: self.states()["states"]["imdsRuleId"] ==
                         "audited", why="rules")
        self.assertEqual(self.world.get("//metadata/instance").status, 403)
        self.assertEqual(self.world.get("/metadata/..").status, 403)

    def test_disabled_endpoint_is_not_redirected(self):
        self.world.control("POST", "/endpoints/imds/mode?mode=Disabled")
        world.wait_until(lambda: world.PASSED not in
                         self.world.get(INSTANCE).headers, why="direct")
        answer = self.world.get("/msp-host/bytes?count=1", WIRESERVER)
        self.assertIn(world.PASSED, answer.headers)
        self.world.control("POST", "/endpoints/imds/mode?mode=Enforce")
        world.wait_until(self.world.is_ready, why="redirected again")

    def test_disabled_channel_ends_redirection_and_enabling_starts_it(self):
        self.world.control("POST", "/channel?enabled=false")
        world.wait_until(lambda: world.PASSED not in
                         self.world.get(INSTANCE).headers, why="direct")
        self.world.control("POST", "/channel?enabled=true")
        world.wait_until(self.world.is_ready, why="redirected again")

    def test_bad_documents_keep_the_last_good_state(self):
        guid = self.states()["states"]["keyGuid"]
        for body, words in (
                (b"{ this is no JSON", ("line 1",)),
                (b"\xff\xfe{}", ("Failed to get key status",)),
                (b"[" * 100000, ("Failed to get key status",)),
                (b"{}", ("authorizationScheme",)),
                (b'{"authorizationScheme":"Azure-HMAC-SHA256",'
                 b'"keyDeliveryMethod":"http","version":"2.0"}',
                 ("secureChannelEnabled",)),
                (b'{"authorizationScheme":"Azure-HMAC-SHA256",\n'
                 b'"keyDeliveryMethod":7,"version":"2.0",\n'
                 b'"secureChannelEnabled":true}', ("keyDeliveryMethod",)),
                (b'{"authorizationScheme":"none","keyDeliveryMethod":"http",'
                 b'"version":"2.0","secureChannelEnabled":true}',
                 ("authorizationScheme",))):
            with self.subTest(body=body[:40]):
                self.world.control("POST", "/status/raw", body)
                message = self.wait_message("Failed to get key status", *words)
                self.assertNotIn("\n", message)
                self.assertLess(len(message), 1100)
                self.assertEqual(self.world.get(INSTANCE).status, 200)
                self.assertEqual(self.states()["states"]["keyGuid"], guid)
                self.world.control("DELETE", "/status/raw")
                world.wait_until(lambda: "Failed" not in
                                 self.states()["message"], why="good again")

    def document(self):
        """The host's status document, as it is now."""
        answer = wire.talk((WIRESERVER, 80), [wire.request(
            b"GET", "/secure-channel/status", WIRESERVER, [METADATA])])[0]
        return json.loads(answer.body)

    def test_bad_item_affects_its_own_endpoint_only(self):
        document = self.document()
        rules = document["authorizationRules"]
        rules["imds"] = deny_all(ident="good")
        self.world.control("POST", "/status/raw",
                           json.dumps(document).encode())
        self.wait_status(403)
        rules["imds"] = {**world.item(ident="bad"),
                         "rules": {"privileges": [{"name": "p", "path": 7}]}}
        rules["wireserver"] = deny_all(ident="ws-deny")
        self.world.control("POST", "/status/raw",
                           json.dumps(document).encode())
        # the other endpoint follows, so the document was taken
        self.wait_status(403, uid=0, host=WIRESERVER,
                         target="/msp-host/bytes?count=1")
        self.assertEqual(self.world.get(INSTANCE, uid=NOBODY).status, 403)
        self.assertTrue(any("/privileges/0/path" in line for line in
                            self.world.read("log", "ProxyAgent.log")
                            .decode().splitlines()))

    def test_key_reset_is_recovered_from(self):
        before = self.states()["states"]["keyGuid"]
        self.world.control("POST", "/key/reset")
        world.wait_until(lambda: self.world.state()["latched"],
                         why="a new key")
        self.wait_status(200)
        self.assertNotEqual(self.states()["states"]["keyGuid"], before)
        self.assertEqual(self.world.verdict(), "verified")

    def test_unreachable_host_keeps_the_last_good_state(self):
        self.world.set_item("imds", deny_all())
        self.wait_status(403)
        self.world.stop_host()
        time.sleep(POLLS)
        self.assertEqual(self.world.get(INSTANCE, uid=NOBODY).status, 403)
        # nobody is there to answer what is allowed
        answer = self.world.get("/msp-host/bytes?count=1", WIRESERVER)
        self.assertIn(answer.status, (502, 503))
        self.assertIn("Failed to get key status", self.states()["message"])


class FirstContact(unittest.TestCase):
    """Before there is a key, and hosts that give none."""

    def make(self, *args, **kwargs):
        made = world.World(*args, **kwargs)
        self.addCleanup(made.close)
        return made

    def test_nothing_is_redirected_before_a_key_is_latched(self):
        w = self.make(imds=world.item(), host_args=["--no-key"])
        w.start_host()
        w.start_mspd(wait=False)
        world.wait_until(
            lambda: any("/secure-channel/key" in line[2]
                        for line in w.host_log()), why="acquire")
        answer = w.get(INSTANCE)
        self.assertEqual(answer.status, 200)
        self.assertNotIn(world.PASSED, answer.headers)
        self.assertEqual(w.verdict(), "unsigned")

    def test_invalid_first_item_closes_its_endpoint(self):
        w = self.make(imds=world.item(), wireserver=world.item())
        w.start_host()
        answer = wire.talk((WIRESERVER, 80), [wire.request(
            b"GET", "/secure-channel/status", WIRESERVER, [METADATA])])[0]
        document = json.loads(answer.body)
        document["authorizationRules"]["imds"]["defaultAccess"] = "perhaps"
        w.control("POST", "/status/raw", json.dumps(document).encode())
        w.start_mspd(wait=False)
        world.wait_until(lambda: w.get(INSTANCE).status == 403,
                         why="closed endpoint")
        self.assertEqual(w.get(INSTANCE, uid=DAEMON).status, 403)
        self.assertEqual(w.get("/?comp=versions", WIRESERVER).status, 200)

    def test_host_that_comes_late_is_found(self):
        w = self.make(imds=world.item())
        w.start_mspd(wait=False)
        time.sleep(2.5)  # it is asked every second
        w.start_host()
        w.wait_ready()

    def test_version_1_status_is_served(self):
        w = self.make(imds=world.item(), wireserver=world.item(),
                      host_args=["--status-version", "1.0"])
        w.start()
        self.assertEqual(
            w.status()["proxyAgentStatus"]["keyLatchStatus"]["states"]
            ["secureChannelState"], "wireserverandimds")
