# SPDX-License-Identifier: MIT
"""
In: generated requests, the bytes the host received. Out: every signature is
what an independent computation says, and nothing was changed on the way.
"""
import random
import unittest

import sign
import wire
import world
from world import IMDS, METADATA, WIRESERVER

REQUESTS = 300
PER_CONNECTION = 10
SEED = 20250423
REPLACED = {sign.AUTHORIZATION, b"x-ms-azure-host-claims",
            b"x-ms-azure-host-date", b"content-length", b"transfer-encoding",
            b"connection"}
QUERY_BYTES = ("abcxyzABCXYZ0189-._~!$'()*+,;:@/?=", "%20", "%41", "%2B", "%26",
               "%3D", "%C3%A9")
NAMES = (b"x-a", b"X-A", b"x-b", b"X-Long-Name_1", b"Accept", b"User-Agent",
         b"Cookie", b"x-ms-version", b"!#$%&'*+-.^_`|~", b"Range", b"0")


def text(rng, alphabet, most):
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(0, most)))


def make_query(rng):
    """Odd pieces: empty names, empty values, duplicates, several signs."""
    letters = list(QUERY_BYTES[0]) + list(QUERY_BYTES[1:])
    pieces = []
    for _ in range(rng.randint(0, 8)):
        shape = rng.randint(0, 5)
        name, value = text(rng, letters[:12], 4), text(rng, letters, 8)
        pieces.append({0: name, 1: name + "=", 2: "=" + value, 3: "",
                       4: "a=bc", 5: name + "=" + value}[shape])
        if pieces and rng.random() < 0.3:
            pieces.append(rng.choice(pieces))
    return "&".join(pieces)


def make_value(rng):
    alphabet = [b"a", b"Z", b"0", b" ", b"\t", b"\"", b",", b";", b"=", b":",
                b"\xe9", b"\xff", b"\x80", b"\xc3\xa9"]
    value = b"".join(rng.choice(alphabet) for _ in range(rng.randint(0, 20)))
    return value.strip(b" \t")


def make_request(rng, number):
    host, method = rng.choice([
        (IMDS, b"GET"), (IMDS, b"HEAD"), (IMDS, b"DELETE"), (IMDS, b"OPTIONS"),
        (WIRESERVER, b"GET"), (WIRESERVER, b"POST"), (WIRESERVER, b"PUT"),
        (WIRESERVER, b"PATCH"), (WIRESERVER, b"POST")])
    path = rng.choice(["/metadata/instance", "/msp-host/echo", "/", "/a%20b",
                       "/A/b;c=d/E", "/a/./b/", "/x%2Fy"])
    query = make_query(rng)
    headers = [(b"x-case", b"%d" % number)]
    if rng.random() < 0.8:
        headers.append(METADATA)
    for _ in range(rng.randint(0, 8)):
        headers.append((rng.choice(NAMES), make_value(rng)))
    body = chunks = None
    if method in (b"POST", b"PUT", b"PATCH"):
        body = rng.randbytes(rng.choice([0, 1, 10, 1000, 20000]))
        if rng.random() < 0.4:
            half = len(body) // 2
            body, chunks = None, [body[:half], body[half:]]
    target = path + (rng.choice(["?", ""]) if not query else "?" + query)
    return host, wire.request(method, target, host, headers, body, chunks)


def number_of(request):
    found = wire.values(request.headers, b"x-case")
    return int(found[0]) if found else None


class Signature(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = world.World(imds=world.item(), wireserver=world.item())
        cls.addClassCleanup(cls.world.close)
        cls.world.start()
        cls.before = len(list(cls.world.host_log()))
        rng = random.Random(SEED)
        cls.sent = [make_request(rng, n) for n in range(REQUESTS)]
        cls.answers = 0
        for host in (IMDS, WIRESERVER):
            mine = [data for h, data in cls.sent if h == host]
            for i in range(0, len(mine), PER_CONNECTION):
                answers = cls.world.talk((host, 80),
                                         mine[i:i + PER_CONNECTION])
                cls.answers += sum(1 for a in answers if a and
                                   world.PASSED in a.headers)
        cls.received = [r for _, r in
                        sign.recorded(cls.world.path("record"))]
        cls.key = bytes.fromhex(next(cls.world.key_hex()))

    def test_the_computation_reproduces_the_specifications_example(self):
        data = (b"GET /metadata/instance?api-version=2021-02-01&format=json "
                b"HTTP/1.1\r\nhost: 169.254.169.254\r\naccept: */*\r\n"
                b"metadata: true\r\nuser-agent: curl/8.5.0\r\n"
                b"x-ms-azure-host-date: Wed, 23 Apr 2025 12:00:00 GMT\r\n"
                b'x-ms-azure-host-claims: { "isRoot": "false"}\r\n\r\n')
        key = bytes.fromhex("4A404E635266556A586E3272357538782F413F4428472B4B"
                            "6250645367566B59")
        self.assertEqual(
            sign.signature(wire.parse_request(data)[0], key),
            b"13750084151509ba36adee0b633c8438723d6799434e4c90ec2dc95983c8f323")

    def test_every_generated_request_was_answered_by_the_host(self):
        self.assertEqual(self.answers, REQUESTS)

    def test_every_signature_equals_an_independent_computation(self):
        checked = 0
        guid = self.world.state()["guid"].encode()
        for request in self.received:
            if number_of(request) is None and not \
                    request.target.endswith(b"/key-attestation"):
                continue
            claim = sign.claimed(request)
            self.assertIsNotNone(claim, request)
            self.assertEqual(claim[0].lower(), guid.lower())
            self.assertEqual(claim[1], sign.signature(request, self.key),
                             request)
            checked += 1
        self.assertGreaterEqual(checked, 201)

    def test_the_host_found_all_of_them_good(self):
        lines = list(self.world.host_log())[self.before:]
        verdicts = {line[4] for line in lines
                    if "/secure-channel/" not in line[2]}
        self.assertEqual(verdicts, {"verified"})

    def test_target_headers_and_body_are_as_sent(self):
        received = {number_of(r): r for r in self.received}
        for _, data in self.sent:
            sent, rest = wire.parse_request(data)
            self.assertEqual(rest, b"")
            seen = received[number_of(sent)]
            self.assertEqual((seen.method, seen.target, seen.body),
                             (sent.method, sent.target, sent.body))
            self.assertEqual(self.kept(seen), self.kept(sent))

    @staticmethod
    def kept(request):
        """Values per name, in order."""
        out = {}
        for name, value in request.headers:
            if name not in REPLACED:
                out.setdefault(name, []).append(value)
        return out

    def test_agents_own_headers_are_there_exactly_once(self):
        for request in self.received:
            if number_of(request) is None:
                continue
            for name in (b"x-ms-azure-host-claims", b"x-ms-azure-host-date"):
                self.assertEqual(len(wire.values(request.headers, name)), 1)
            self.assertEqual(
                wire.values(request.headers, b"x-ms-azure-host-claims"),
                [b'{ "isRoot": "true"}'])

    def test_key_calls_look_as_the_protocol_says(self):
        calls = {r.target.split(b"/")[-1]: r for r in self.received
                 if r.target.startswith(b"/secure-channel/")}
        self.assertEqual(set(calls), {b"status", b"key", b"key-attestation"})
        for request in calls.values():
            self.assertEqual(wire.values(request.headers, b"metadata"),
                             [b"True"])
            self.assertEqual(wire.values(request.headers, b"content-length"),
                             [b"%d" % len(request.body)])
            self.assertEqual(wire.values(request.headers, b"host"),
                             [WIRESERVER.encode()])
        self.assertEqual(calls[b"key"].body,
                         b'{"authorizationScheme": "Azure-HMAC-SHA256"}')
        self.assertIsNone(sign.claimed(calls[b"status"]))
        self.assertIsNone(sign.claimed(calls[b"key"]))
