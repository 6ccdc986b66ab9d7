# SPDX-License-Identifier: MIT
"""
In: bytes that clients send, and what is to become of them. Out: a world whose
metadata service is a recorder, exact statuses, and proof on the bytes that
came there. Must never take a request for good that another reader could read
in another way.
"""
import collections
import json
import os
import re
import unittest

import recorder
import sign
import wire
import world
from world import IMDS

# msp-host's own metadata service moves away for the recorder.
AWAY = "127.0.0.1:8099"
END_SECONDS = 20  # time for a connection to end
CLOSED = None  # instead of a status: closed without an answer
HOP_BY_HOP = (b"connection", b"keep-alive", b"proxy-connection",
              b"proxy-authenticate", b"proxy-authorization", b"te",
              b"trailer", b"upgrade", b"http2-settings")
EXEMPT = ((b"PUT", b"/vmagentlog"), (b"POST", b"/machine/?comp=telemetrydata"))
OURS = (b"x-ms-azure-host-claims", b"x-ms-azure-host-date")
PROBE = wire.request(b"GET", "/probe", IMDS)
# answers: their statuses, or None in the end; open: was another one answered
Talk = collections.namedtuple("Talk", "statuses answers open")


def send(s, pieces):
    for piece in pieces if isinstance(pieces, (list, tuple)) else [pieces]:
        try:
            s.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            return  # what was answered before can still be read


def is_open(s, rest, stays):
    """Is a request answered after all this? If it is not expected to be, the
    end must come without one. False, too, if there is more than the answers,
    but for libmicrohttpd's second line of status where it refuses."""
    if not stays:
        s.settimeout(END_SECONDS)
        try:
            while s.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return True
        return False
    if rest:
        return False
    send(s, PROBE)
    try:
        answer, rest = wire.receive(s, b"", False)
    except wire.Malformed:
        return False
    return bool(answer) and answer.status == 200 and not rest


def converse(address, pieces, methods=(b"GET",), stays=True):
    """What comes of sending all this: an answer for each method, and whether
    the connection lives on."""
    answers, rest = [], b""
    with wire.connect(address, timeout=20) as s:
        send(s, pieces)
        for method in methods:
            try:
                answer, rest = wire.receive(s, rest, method == b"HEAD")
            except wire.Malformed as e:
                return Talk([str(e)], answers, False)
            answers.append(answer)
            if answer is None:
                return Talk([None], answers, False)
        return Talk([a.status for a in answers], answers, is_open(s, rest, stays))


def converse_all(address, rows):
    return [converse(address, *row) for row in rows]


def is_exempt(request):
    return (request.method, request.target.lower()) in EXEMPT


def record_text(target):
    """What the record says of such a target: no values of its query, and
    nothing of what has no name there."""
    path, _, query = target.partition(b"?")
    names = [p.partition(b"=")[0] for p in query.split(b"&")]
    names = b"&".join(n for n in names if n)
    text = path + (b"?" + names if names else b"")
    return re.sub(rb'["\\]', lambda m: b"%%%02X" % ord(m.group()),
                  text).decode("ascii")


class Recorded(unittest.TestCase):
    """Root may do everything, but for /denied; others nothing."""

    answers = {}
    config = {}
    # A request that the host hangs up on comes again, with one record.
    hangs_up = False

    @classmethod
    def setUpClass(cls):
        rules = world.grant(["/"], {"root": {"userName": "root"}})
        cls.world = world.World(
            imds=world.item(access="deny", rules=rules),
            wireserver=world.item(), host_args=["--imds", AWAY],
            # a record of its own for each, however many there are
            config={"auditRecordsPerUser": 1000000, **cls.config})
        cls.addClassCleanup(cls.world.close)
        cls.recorder = recorder.Recorder(cls.world.path("recorder"), IMDS, 80,
                                         cls.answers)
        cls.addClassCleanup(cls.recorder.close)
        cls.world.start_host()
        cls.world.start_mspd(wait=False)
        # until then requests go to the host unsigned, past the agent
        world.wait_until(cls.is_ready, why="mspd ready")
        cls.warm = len(cls.recorder.requests())
        cls.key = bytes.fromhex(next(cls.world.key_hex()))

    @classmethod
    def is_ready(cls):
        try:
            answer = cls.world.get("/metadata/ready")
            return answer and world.PASSED in answer.headers
        except OSError:
            return False

    def talk(self, pieces, methods=(b"GET",), stays=True, address=(IMDS, 80),
             uid=0):
        return self.world.call(converse, address, pieces, methods, stays,
                               uid=uid)

    def came(self, path):
        """Requests for that path which reached the host."""
        path = path.partition(b"?")[0]
        return [r for _, r, _ in self.recorder.requests()
                if r.target.partition(b"?")[0] == path]

    # ---- proof on the bytes -----------------------------------------------
    def check_bytes(self, data, request):
        """Strictly read it was before; this is what else must be true."""
        head = data[:data.index(b"\r\n\r\n")]
        self.assertNotRegex(head, rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
        self.assertEqual(head.count(b"\r"), head.count(b"\n"))
        self.assertTrue(request.target[:1] == b"/" or
                        (request.method, request.target) ==
                        (b"OPTIONS", b"*"))
        names = [n for n, _ in request.headers]
        for name in head.split(b"\r\n")[1:]:
            self.assertNotRegex(name.partition(b":")[0], rb"[A-Z]")
        self.assertEqual(names.count(b"host"), 1)
        for name in OURS:
            self.assertEqual(names.count(name), 1, name)
        for name in HOP_BY_HOP:
            self.assertNotIn(name, names)
        frames = names.count(b"content-length") + \
            names.count(b"transfer-encoding")
        self.assertLessEqual(frames, 1)
        self.assertTrue(frames or not request.body)

    def check_signature(self, request):
        claim = sign.claimed(request)
        if is_exempt(request):
            self.assertIsNone(claim)
            return
        self.assertIsNotNone(claim, request)
        self.assertEqual(claim[1], sign.signature(request, self.key), request)

    def check_all_that_came(self):
        """Each request is one, unambiguous, signed and recorded."""
        found = self.recorder.requests()[self.warm:]
        self.assertFalse([e for e in self.recorder.entries()
                          if "malformed" in e])
        world.wait_until(lambda: not self.unrecorded(found),
                         why="a record of each request")
        for _, request, data in found:
            self.check_bytes(data, request)
            self.check_signature(request)
        return found

    def records(self):
        lines = []
        for name in os.listdir(self.world.path("log")):
            if name.startswith("audit.jsonl"):  # and those before it
                lines += self.world.read("log", name).splitlines()
        return [json.loads(line) for line in lines]

    def unrecorded(self, found):
        """Requests that were sent on without a record of their own that says
        so."""
        allowed = collections.Counter(
            (a["method"], a["path"]) for a in self.records()
            if a["verdict"] == "allow")
        came = collections.Counter(
            (r.method.decode(), record_text(r.target)) for _, r, _ in found)
        return came.keys() - allowed if self.hangs_up else came - allowed
