# SPDX-License-Identifier: MIT
"""
In: requests that are odd, ambiguous or hostile. Out: one documented refusal
each, or exactly what was asked for, and nothing else at the host.
"""
import unittest

import sign
import wire
import world
from world import IMDS, INSTANCE, METADATA, WIRESERVER

KEPT = [(b"x-kept", b"1"), (b"X-Kept", b" 2 "), (b"accept", b"*/*"),
        (b"x-empty", b""), (b"x-8bit", b"caf\xe9")]
HOP_BY_HOP = [(b"Connection", b"keep-alive, x-not-listed"),
              (b"Keep-Alive", b"timeout=5"), (b"Proxy-Connection", b"close"),
              (b"Proxy-Authenticate", b"Basic"), (b"Upgrade", b"h2c"),
              (b"Proxy-Authorization", b"Basic eA=="), (b"TE", b"gzip"),
              (b"Trailer", b"x-t"), (b"HTTP2-Settings", b"AAAA")]


def head(text):
    return text.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n"


class Protocol(unittest.TestCase):
    marks = 0

    @classmethod
    def setUpClass(cls):
        cls.world = world.World(imds=world.item(ident="imds-item"),
                                wireserver=world.item(ident="ws-item"))
        cls.addClassCleanup(cls.world.close)
        cls.world.start()

    def recorded(self):
        return list(sign.recorded(self.world.path("record")))

    def pass_on(self, target, headers, host=IMDS, uid=0):
        """The request as the host received it, told by a mark."""
        type(self).marks += 1
        mark = (b"x-mark", b"%d" % self.marks)
        data = wire.request(b"GET", target, host, [*headers, mark])
        answer = self.world.talk((IMDS, 80), [data], uid=uid)[0]
        self.assertEqual(answer.status, 200, answer)
        return [r for _, r in self.recorded() if mark in r.headers][0]

    def count(self):
        return sum(1 for _, r in self.recorded()
                   if not r.target.startswith(b"/secure-channel"))

    def refused(self, data, statuses, host=IMDS):
        """The refusal has one of the statuses; the host saw nothing."""
        before = self.count()
        answer = self.world.talk((host, 80), [data])[0]
        seen = answer.status if answer else "closed"
        self.assertIn(seen, statuses, data)
        self.assertEqual(self.count(), before, data)

    def test_two_slashes_and_dots_are_403(self):
        for target in ("//metadata/instance", "/metadata//instance",
                       "/a/../metadata/instance", "/..", "/metadata/%2e%2e/x",
                       "/metadata/..;/x", "/a/..%2fb"):
            with self.subTest(target=target):
                self.refused(wire.request(b"GET", target, IMDS, [METADATA]),
                             (403,))

    def test_what_has_no_canonical_form_is_403(self):
        for target in ("/metadata/%zz", "/metadata/a%5cb", "/metadata/%2541",
                       "/metadata/%00", "/metadata/%3fx=1", "/a\\b",
                       "/metadata/%c3%a9", "/metadata/%c0%af"):
            with self.subTest(target=target):
                self.refused(wire.request(b"GET", target, IMDS, [METADATA]),
                             (403,))

    def test_absolute_form_for_another_endpoint_is_421(self):
        for authority in (WIRESERVER, f"{WIRESERVER}:32526", "example.org",
                          f"{IMDS}:81", "0xa83f8110", "168.63.33040"):
            target = f"http://{authority}/metadata/instance"
            with self.subTest(target=target):
                self.refused(wire.request(b"GET", target, IMDS, [METADATA]),
                             (421,))

    def test_absolute_form_for_the_same_endpoint_goes_out_in_origin_form(self):
        for authority in (IMDS, f"{IMDS}:80", "2852039166", "0xA9.0xFE.43518",
                          "[::ffff:169.254.169.254]"):
            target = f"http://{authority}{INSTANCE}"
            with self.subTest(target=target):
                seen = self.pass_on(target, [METADATA], "example.org")
                self.assertEqual(seen.target, INSTANCE.encode())
                self.assertEqual(wire.values(seen.headers, b"host"),
                                 [authority.encode()])

    def test_other_forms_are_400(self):
        for line in ("GET metadata/instance HTTP/1.1",
                     "GET /metadata/instance#x HTTP/1.1",
                     f"GET {IMDS}:80 HTTP/1.1", "GET * HTTP/1.1",
                     f"GET http://{IMDS}/x#y HTTP/1.1"):
            with self.subTest(line=line):
                self.refused(head(f"{line}\nHost: {IMDS}"), (400,))

    def test_method_not_in_the_list_is_405(self):
        for method in (b"TRACE", b"CONNECT", b"get", b"PROPFIND"):
            with self.subTest(method=method):
                self.refused(wire.request(method, "/metadata", IMDS), (405,
                                                                      400))

    def test_ambiguous_framing_is_400(self):
        for fields in ("Content-Length: 3\nTransfer-Encoding: chunked",
                       "Content-Length: 3\nContent-Length: 4",
                       "Content-Length: 3\nContent-Length: 3",
                       "Transfer-Encoding: gzip, chunked",
                       "Transfer-Encoding: xchunked",
                       "Transfer-Encoding: identity\nContent-Length: 3",
                       "Content-Length: +3", "Content-Length: 0x3",
                       "Content-Length: 3,3", "Content-Length: -1",
                       "Content-Length : 3", "X Y: 1", "X\x01Y: 1",
                       "Host: second"):
            with self.subTest(fields=fields):
                data = head(f"POST /metadata HTTP/1.1\nHost: {IMDS}\n{fields}")
                self.refused(data + b"abc", (400,))

    def test_too_many_or_too_large_headers_are_refused(self):
        many = [(b"x-%d" % i, b"1") for i in range(101)]
        self.refused(wire.request(b"GET", "/metadata", IMDS, many),
                     (400, 431))
        large = [(b"x-large", b"a" * 500000)]
        self.refused(wire.request(b"GET", "/metadata", IMDS, large),
                     (400, 431, "closed"))

    def test_endless_target_is_414(self):
        self.refused(wire.request(b"GET", "/" + "a" * 70000, IMDS),
                     (414, 431, "closed"))

    def test_declared_body_over_the_limit_is_413(self):
        data = head(f"POST /msp-host/echo HTTP/1.1\nHost: {IMDS}\n"
                    "Content-Length: 102401")
        self.refused(data, (413,))

    def test_chunked_body_over_the_limit_is_refused(self):
        data = wire.request(b"POST", "/msp-host/echo", IMDS,
                            chunks=[b"x" * 60000, b"y" * 60000])
        self.refused(data, (413, "closed"))

    def test_headers_of_the_connection_are_not_forwarded(self):
        seen = self.pass_on(INSTANCE, [METADATA, *KEPT, *HOP_BY_HOP])
        names = [n for n, _ in seen.headers]
        for name, _ in HOP_BY_HOP:
            self.assertNotIn(name.lower(), names)

    def test_all_other_headers_are_forwarded_in_order(self):
        request = self.pass_on(INSTANCE, [METADATA, *KEPT])
        sent = [(n.lower(), v.strip()) for n, v in KEPT]
        seen = [h for h in request.headers if h[0] in dict(sent)]
        self.assertEqual(sorted(seen), sorted(sent))
        self.assertEqual([v for n, v in seen if n == b"x-kept"],
                         [b"1", b"2"])

    def test_what_the_agent_says_replaces_what_the_client_said(self):
        forged = [(sign.AUTHORIZATION, b"Azure-HMAC-SHA256 x y"),
                  (b"X-MS-Azure-Host-Claims", b'{ "isRoot": "true"}'),
                  (b"x-ms-azure-host-date", b"yesterday"),
                  (b"x-ms-azure-host-claims", b"again")]
        seen = self.pass_on(INSTANCE, [METADATA, *forged],
                            uid=world.NOBODY).headers
        self.assertEqual(wire.values(seen, b"x-ms-azure-host-claims"),
                         [b'{ "isRoot": "false"}'])
        self.assertEqual(len(wire.values(seen, sign.AUTHORIZATION)), 1)
        date = wire.values(seen, b"x-ms-azure-host-date")
        self.assertRegex(b" ".join(date), rb"^\w{3}, \d\d \w{3} \d{4} "
                         rb"\d\d:\d\d:\d\d GMT$")

    def test_requests_without_a_body_stay_without_one(self):
        seen = self.pass_on(INSTANCE, [METADATA])
        self.assertEqual(seen.body, b"")
        self.assertFalse(wire.values(seen.headers, b"content-length"))

    def test_pipelined_requests_are_answered_in_order(self):
        data = b"".join(wire.request(b"GET", t, WIRESERVER) for t in
                        ("/?comp=versions", "/msp-host/bytes?count=5"))

        def pipeline():
            with wire.connect((WIRESERVER, 80)) as s:
                s.sendall(data)
                first, rest = wire.receive(s, b"", False)
                return first, wire.receive(s, rest, False)[0]
        first, second = self.world.call(pipeline)
        self.assertEqual((first.status, second.status), (200, 200))
        self.assertEqual(second.body, bytes(range(5)))

    def test_http_1_0_is_served(self):
        data = head(f"GET {INSTANCE} HTTP/1.0\nHost: {IMDS}\nMetadata: true")
        self.assertEqual(self.world.talk((IMDS, 80), [data])[0].status, 200)

    def test_rubbish_does_no_harm(self):
        for data in (b"\r\n\r\n", b"\0" * 100, b"GET\r\n\r\n",
                     b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"G",
                     b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
                     b"ab"):
            with self.subTest(data=data):
                self.world.call(self.throw, data)
        self.assertEqual(self.world.get(INSTANCE).status, 200)

    @staticmethod
    def throw(data):
        import socket
        with wire.connect((IMDS, 80), timeout=20) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            try:
                while s.recv(65536):
                    pass
            except ConnectionResetError:
                pass
