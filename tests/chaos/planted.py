# SPDX-License-Identifier: MIT
"""
In: what must never be so, planted by hand. Out: each is noticed by what looks
for it, and nothing is where nothing was planted. Must never plant what could
not happen.
"""
import base64
import json
import os
import random
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "live")]

import chaos  # noqa: E402 - found through the line above
import invariants  # noqa: E402
import plan  # noqa: E402
import sign  # noqa: E402
import traffic  # noqa: E402
import wire  # noqa: E402
import world  # noqa: E402
from invariants import chain  # noqa: E402

GUID = "24d5409c-2ee2-45f0-855d-eae13416f254"
KEY = bytes(range(32))
DOCUMENT = {"authorizationScheme": "Azure-HMAC-SHA256", "guid": GUID,
            "incarnationId": 1, "issued": "2026-01-01T00:00:00Z",
            "key": KEY.hex()}


class Folder(unittest.TestCase):

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="msp-chaos-")
        self.addCleanup(shutil.rmtree, self.dir)

    def put(self, name, data, mode=0o600):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            f.write(data)
        os.chmod(path, mode)
        return path

    def noticed(self, found, *words):
        """Each word in a fault of its own, in this order."""
        found = list(found)
        self.assertEqual(len(found), len(words), found)
        for fault, word in zip(found, words):
            self.assertIn(word, fault)


class Files(Folder):

    def setUp(self):
        super().setUp()
        self.put(GUID + ".key", json.dumps(DOCUMENT).encode())
        self.put("status.json", b"{}", 0o640)
        self.put("listener", b"127.0.0.1:3080\n", 0o644)

    def test_whole_files_are_no_fault(self):
        self.put("AuthorizationRules_x.json", b"{}", 0o644)
        self.put(GUID + ".tmp", b'{"auth', 0o600)
        self.noticed(invariants.files(self.dir))

    def test_torn_files(self):
        text = json.dumps(DOCUMENT).encode()
        for name, data in ((GUID + ".key", text[:100]), (GUID + ".key", b""),
                           ("status.json", b'{"a":'), ("listener", b"127.0")):
            with self.subTest(name, data=data):
                self.setUp()
                self.put(name, data)
                self.noticed(invariants.files(self.dir), "torn")

    def test_key_file_that_is_not_whole(self):
        for change in ({"guid": GUID[::-1]}, {"key": "00"}, {"more": 1}):
            with self.subTest(change):
                self.put(GUID + ".key",
                         json.dumps({**DOCUMENT, **change}).encode())
                self.noticed(invariants.files(self.dir), "key file")

    def test_files_open_to_the_world(self):
        for name in GUID + ".key", "status.json":
            with self.subTest(name):
                os.chmod(os.path.join(self.dir, name), 0o644)
                self.noticed(invariants.files(self.dir), "open to the world")
                os.chmod(os.path.join(self.dir, name), 0o600)
        self.put(GUID + ".tmp", b"", 0o604)
        self.noticed(invariants.files(self.dir), "open to the world")

    def test_key_folder_that_is_open(self):
        for mode, words in ((0o700, ()), (0o750, ("open",))):
            os.chmod(self.dir, mode)
            self.noticed(invariants.folder_of_keys(self.dir), *words)

    def test_what_kills_leave_over(self):
        for i in range(invariants.LEFT_OVER + 1):
            self.put(f"{i}.tmp", b"")
        self.noticed(invariants.files(self.dir), "left over")

    def test_lost_key(self):
        for state, words in (({"latched": True, "guid": GUID.upper()}, ()),
                             ({"latched": False, "guid": None}, ()),
                             ({"latched": True, "guid": GUID[::-1]},
                              ("not on disk",))):
            self.noticed(invariants.lost_key(state, self.dir), *words)


def signed(request, key=KEY, guid=GUID):
    """The same with the authorization that is due."""
    data, _ = wire.parse_request(request)
    value = sign.signature(data, key)
    head, body = request.split(b"\r\n\r\n", 1)
    return head + b"\r\n" + sign.AUTHORIZATION + b": Azure-HMAC-SHA256 " + \
        guid.encode() + b" " + value + b"\r\n\r\n" + body


def ask(who, owner, root=b"false"):
    place = next(p for p in traffic.PLACES if p.owner == owner)
    data, _ = traffic.asked(place, who, 1, random.Random(1))
    head, body = data.split(b"\r\n\r\n", 1)
    return head + b"\r\n" + invariants.CLAIMS + \
        b': { "isRoot": "' + root + b'"}\r\n\r\n' + body


class Received(Folder):

    def judge(self, *pieces):
        keys = invariants.Keys(self.dir)
        self.put(GUID + ".key", json.dumps(DOCUMENT).encode())
        path = self.put("record", b"".join(json.dumps(
            {"connection": 1, "endpoint": "IMDS",
             "bytes": base64.b64encode(p).decode()}).encode() + b"\n"
            for p in pieces))
        self.received = invariants.Received(path, keys)
        self.received.poll()
        return self.received.taken()

    def test_what_is_right_is_no_fault(self):
        request = signed(ask(1, 1))
        self.noticed(self.judge(request[:50], request[50:], request))
        self.assertEqual(self.received.signed, 2)

    def test_unsigned(self):
        self.noticed(self.judge(ask(1, 1)), "without a signature")

    def test_past_the_agent_is_counted(self):
        place = traffic.PLACES[0]
        data, _ = traffic.asked(place, 1, 1, random.Random(1))
        self.noticed(self.judge(data))
        self.assertEqual(self.received.direct, 1)

    def test_wrong_signature(self):
        self.noticed(self.judge(signed(ask(1, 1), KEY[::-1])),
                     "signature is wrong")
        request = signed(ask(1, 1)).replace(b"n=1", b"n=2")
        self.noticed(self.judge(request), "signature is wrong")

    def test_key_that_never_was_on_disk(self):
        self.noticed(self.judge(signed(ask(1, 1), guid=GUID[::-1])),
                     "never was on disk")

    def test_wrong_identity(self):
        self.noticed(self.judge(signed(ask(65534, 1))), "was taken for uid 1")
        self.noticed(self.judge(signed(ask(1, 1, b"true"))), "not its own")

    def test_what_is_no_request(self):
        self.noticed(self.judge(b"GET\r\n\r\n"), "no request")


RECORDS = [{"time": "2026-01-01T00:00:00.0000000Z", "uid": 1, "verdict":
            "allow", "path": "/metadata/instance/compute?who"}] * 5


class Trail(Folder):

    def judge(self, lines):
        self.trail = invariants.Trail(self.dir)
        self.put("audit.jsonl", b"".join(lines))
        self.trail.poll()
        return self.trail.taken()

    def test_whole_trail_is_no_fault(self):
        self.noticed(self.judge(chain.make(RECORDS)))
        self.assertEqual(self.trail.records, 5)

    def test_edited_removed_and_reordered_records(self):
        good = chain.make(RECORDS)
        edited = good[2].replace(b'"uid":1', b'"uid":0')
        for lines in (good[:2] + [edited] + good[3:], good[:2] + good[3:],
                      [good[0], good[2], good[1], *good[3:]]):
            self.assertTrue(any("is not tied" in f for f in
                                self.judge(lines)))

    def test_records_that_are_cut_off(self):
        good = chain.make(RECORDS)
        self.judge(good)
        self.put("audit.jsonl", b"".join(good[:3]))
        self.trail.poll()
        self.assertTrue(any("cut off" in f for f in self.trail.taken()))

    def test_wrong_identity(self):
        wrong = {**RECORDS[0], "uid": 65534}
        self.noticed(self.judge(chain.make([*RECORDS, wrong])),
                     "uid 65534 was allowed")
        wrong = {**wrong, "reason": "no-rules", "status": 503, "epoch": 0,
                 "rule": ""}
        self.noticed(self.judge(chain.make([*RECORDS, wrong])))
        for name, value in (("status", 200), ("epoch", 3), ("rule", "id"),
                            ("reason", "granted")):
            self.noticed(self.judge(chain.make([*RECORDS,
                                                {**wrong, name: value}])),
                         "uid 65534 was allowed")

    def test_mspctl_is_asked_as_well(self):
        good = chain.make(RECORDS)
        self.put("audit.jsonl", b"".join(good))
        build = world.World.build
        self.noticed(invariants.verified(build, self.dir))
        self.put("audit.jsonl", b"".join(good[:2] + good[3:]))
        self.noticed(invariants.verified(build, self.dir), "removed")


def answer(status, body, *headers):
    return wire.Answer(b"HTTP/1.1", status, b"", list(headers), body)


class Answers(unittest.TestCase):

    def word(self, uid, got):
        caller = traffic.Caller(uid, 1, None)
        return caller.word(traffic.PLACES[0], got, lambda body: body == b"{}")

    def test_secret_to_one_without_a_right(self):
        for headers in (world.PASSED,), ():
            self.assertIsNotNone(self.word(65534, answer(200, b"{}",
                                                         *headers))[1])
        for status in 401, 403, 503:
            self.assertIsNone(self.word(65534, answer(status, b""))[1])

    def test_answer_of_another_request(self):
        self.assertIsNone(self.word(1, answer(200, b"{}", world.PASSED))[1])
        self.assertIsNotNone(self.word(1, answer(200, b"[]",
                                                 world.PASSED))[1])


class Stub:
    """Of a fault, or of a process."""

    def __init__(self, **values):
        self.__dict__.update(values)


class Whole(unittest.TestCase):
    """What only the run itself can see."""

    def setUp(self):
        self.run = chaos.Run.__new__(chaos.Run)
        self.run.faults, self.run.deaths = [], chaos.Counter()
        self.run.direct, self.run.direct_until = 0, 0.0
        self.run.fault_now = None
        self.run.pace = Stub(slower=lambda: 1)
        self.run.received = Stub(direct=0)

    def test_requests_past_the_agent(self):
        self.run.received.direct = 3
        self.run.check_direct(Stub(direct=True))
        self.assertEqual(self.run.faults, [])
        self.run.direct_until = 0.0
        self.run.received.direct = 4
        self.run.check_direct(Stub(direct=False))
        self.assertIn("1 requests went past", self.run.faults[0])

    def test_agent_that_ends_by_itself(self):
        self.run.world = Stub(mspd=Stub(returncode=-11), tail=lambda n: "")
        self.run.died()
        self.assertIn("by itself with -11", self.run.faults[0])
        self.run.fault_now = Stub(deaths=True)
        self.run.died()
        self.assertEqual(len(self.run.faults), 2)
        self.run.world.mspd.returncode = -9
        self.run.died()
        self.assertEqual(len(self.run.faults), 2)

    def test_agent_that_does_not_recover(self):
        self.run.wait_healthy = lambda: None
        self.run.longest = {}
        self.run.traffic = Stub(served={})
        self.run.world = Stub(disk=lambda *parts: "/nowhere",
                              names=lambda: [])
        self.run.recover("full")
        self.assertIn("not healthy 10 s after 'full'", self.run.faults[0])

    def test_programs_that_stay_detached(self):
        seen = iter((6, 3, 3, 3, 3))
        self.run.links = lambda mask=None: next(seen)
        self.run.wait = lambda seconds: None
        self.run.noticed, self.run.attached = [], lambda: 0
        before = chaos.NOTICED_S
        chaos.NOTICED_S = 0
        try:
            self.run.detach(7)
        finally:
            chaos.NOTICED_S = before
        self.assertIn("were detached", self.run.faults[0])

    def test_repair_that_the_status_does_not_tell(self):
        self.run.noticed = []
        self.run.wait = lambda seconds: None
        for told, faults in ((3, 0), (0, 1)):
            seen, counts = iter((6, 3, 6, 6)), iter((0, told))
            self.run.links = lambda mask=None, s=seen: next(s)
            self.run.attached = lambda c=counts: next(c)
            self.run.detach(7)
            self.assertEqual(len(self.run.faults), faults)


class Plan(unittest.TestCase):

    def first(self, seed, n=200):
        events = plan.make(seed)
        return [next(events) for _ in range(n)]

    def test_the_same_seed_is_the_same_plan(self):
        self.assertEqual(self.first(5), self.first(5))
        self.assertNotEqual(self.first(5), self.first(6))

    def test_everything_comes(self):
        kinds = {e.kind for e in self.first(5, 2000)}
        self.assertEqual(kinds, set(plan.WEIGHTS))
        groups = {e.what["group"] for e in self.first(5, 2000)
                  if e.kind == "host"}
        self.assertEqual(groups, {g for g, _ in plan.HOST_FAULTS})
