# SPDX-License-Identifier: MIT
"""
In: a table of answers, byte by byte, and of ends. Out: what the client gets of
each, whether its connection stays, and which requests the host sees again.
"""
import collections
import socket
import time

import wire
from recorded import Recorded
from world import IMDS, PASSED

OK = "HTTP/1.1 200 OK\r\n"
END = "\r\n"
TWO = "Content-Length: 2\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
GARBAGE = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nFOREIGN"
CUT = "answer cut short"
OPEN, SHUT = True, False
# The host's connection carries the next request, too; or it must not; or
# nothing is said of it.
REUSED, ENDED, EITHER = True, False, None

Row = collections.namedtuple(
    "Row", "name sends status body open reused has lacks method",
    defaults=("ok", OPEN, REUSED, (), (), "GET"))


def many(count, size):
    return "".join(f"X-{i}: {'a' * size}\r\n" for i in range(count))


# What the host sends; CLOSE in it: the connection ends there.
CLOSE = "<close>"
ANSWERS = [
    # ---- framing
    Row("length", OK + TWO + END + "ok", 200,
        has=[("content-length", "2")], lacks=["transfer-encoding"]),
    Row("chunks", OK + CHUNKED + END + "1\r\no\r\n1\r\nk\r\n0\r\n\r\n", 200,
        has=[("transfer-encoding", "chunked")], lacks=["content-length"]),
    Row("chunks with extensions and trailers", OK + CHUNKED +
        "Trailer: X-T\r\n\r\n2;a=b\r\nok\r\n0\r\nX-T: 1\r\n\r\n", 200,
        lacks=["x-t", "trailer"]),
    Row("to the end", OK + END + "ok" + CLOSE, 200, reused=ENDED,
        has=[("transfer-encoding", "chunked")]),
    Row("nothing to the end", OK + END + CLOSE, 200, "", reused=ENDED),
    Row("HTTP/1.0 to the end", "HTTP/1.0 200 OK\r\n\r\nok" + CLOSE, 200,
        reused=ENDED),
    Row("HTTP/1.0 with a length", "HTTP/1.0 200 OK\r\n" + TWO +
        "Connection: keep-alive\r\n\r\nok", 200, reused=ENDED),
    Row("length of nothing", OK + "Content-Length: 0\r\n\r\n", 200, ""),
    *(Row(f"{size} bytes", OK + f"Content-Length: {size}\r\n" + END +
          "large" * (size // 5), 200, "large" * (size // 5))
      for size in (10000, 100000, 1000000)),
    Row("100000 bytes and one more", OK + "Content-Length: 100000\r\n" + END +
        "large" * 20000 + "x", 200, "large" * 20000, reused=ENDED),
    Row("Connection: close", OK + TWO + "Connection: close\r\n\r\nok", 200,
        reused=ENDED, lacks=["connection"]),
    # ---- interim answers
    Row("100 before it", "HTTP/1.1 100 Continue\r\n\r\n" + OK + TWO + END +
        "ok", 200),
    Row("102 and 103 before it", "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 "
        "Early Hints\r\nLink: </x>\r\nContent-Length: 9\r\n\r\n" + OK + TWO +
        END + "ok", 200, lacks=["link"]),
    Row("101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" +
        CLOSE, 503, "", SHUT, ENDED),
    # ---- no body
    Row("204", "HTTP/1.1 204 No Content\r\n\r\n", 204, "",
        lacks=["content-length", "transfer-encoding"]),
    Row("204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 2"
        "\r\n\r\n", 204, "", lacks=["content-length", "transfer-encoding"]),
    Row("204 with a body", "HTTP/1.1 204 No Content\r\n" + TWO + END + "ok",
        204, "", reused=ENDED, lacks=["content-length"]),
    Row("304", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", 304, "",
        SHUT, EITHER, has=[("etag", '"x"')],
        lacks=["content-length", "transfer-encoding"]),
    Row("304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: "
        "1234\r\n\r\n", 304, "", has=[("content-length", "1234")],
        lacks=["transfer-encoding"]),
    Row("304 with a length of 0", "HTTP/1.1 304 Not Modified\r\nContent-Length"
        ": 0\r\n\r\n", 304, "", has=[("content-length", "0")]),
    Row("304 in chunks", "HTTP/1.1 304 Not Modified\r\n" + CHUNKED + END, 304,
        "", SHUT, EITHER, lacks=["content-length", "transfer-encoding"]),
    Row("HEAD", OK + "Content-Length: 1234\r\n\r\n", 200, "", method="HEAD",
        has=[("content-length", "1234")]),
    Row("HEAD of nothing", OK + "Content-Length: 0\r\n\r\n", 200, "",
        method="HEAD", has=[("content-length", "0")]),
    Row("HEAD of chunks", OK + CHUNKED + END, 200, "", SHUT, EITHER,
        lacks=["content-length", "transfer-encoding"], method="HEAD"),
    Row("HEAD without framing", OK + END, 200, "", SHUT, EITHER,
        lacks=["content-length", "transfer-encoding"], method="HEAD"),
    Row("HEAD with a body", OK + TWO + END + "ok", 200, "", reused=ENDED,
        method="HEAD", has=[("content-length", "2")]),
    Row("HEAD, 404", "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n",
        404, "", method="HEAD", has=[("content-length", "9")]),
    # ---- more than the answer
    Row("another answer behind it", OK + TWO + END + "ok" + GARBAGE, 200,
        reused=ENDED),
    Row("a byte behind chunks", OK + CHUNKED + END + "2\r\nok\r\n0\r\n\r\nx",
        200, reused=ENDED),
    Row("an empty line behind it", OK + TWO + END + "ok\r\n", 200,
        reused=ENDED),
    # ---- headers
    Row("hop-by-hop headers", OK + TWO + "Connection: keep-alive, X-A\r\n"
        "Keep-Alive: timeout=5\r\nProxy-Connection: close\r\nTE: gzip\r\n"
        "Proxy-Authenticate: Basic\r\nProxy-Authorization: x\r\n"
        "Trailer: x\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nX-A: 1\r\n\r\nok",
        200, has=[("x-a", "1")],
        lacks=["connection", "keep-alive", "proxy-connection", "te",
               "proxy-authenticate", "proxy-authorization", "trailer",
               "upgrade", "http2-settings"]),
    Row("forged mark", OK + TWO + "X-MS-Azure-Host-Authorization: a\r\n"
        "x-ms-azure-host-authorization: b\r\n\r\nok", 200),
    Row("date", OK + TWO + "Date: Wed, 23 Apr 2025 12:00:00 GMT\r\n\r\nok",
        200, has=[("date", "Wed, 23 Apr 2025 12:00:00 GMT")]),
    Row("8-bit value", OK + TWO + "X-A: caf\xe9\r\n\r\nok", 200,
        has=[("x-a", "caf\xe9")]),
    Row("empty value", OK + TWO + "X-A:\r\nX-B: 1\r\n\r\nok", 200,
        has=[("x-b", "1")], lacks=["x-a"]),
    Row("unusual status", "HTTP/1.1 299 Whatever You Say\r\n" + TWO + END +
        "ok", 299),
    Row("no reason", "HTTP/1.1 200\r\n" + TWO + END + "ok", 200),
    Row("99 headers", OK + TWO + many(98, 5) + END + "ok", 200,
        has=[("x-97", "a" * 5)]),
    Row("head of 5 KiB", OK + TWO + many(5, 1000) + END + "ok", 200,
        has=[("x-4", "a" * 1000)]),
    # ---- what has two readings, or none
    *(Row(name, head + CLOSE, 503, "", SHUT, ENDED) for name, head in (
        ("length and chunks", OK + TWO + CHUNKED + END + "0\r\n\r\n"),
        ("two lengths", OK + TWO + TWO + END + "ok"),
        ("list of lengths", OK + "Content-Length: 2, 2\r\n\r\nok"),
        ("length with a sign", OK + "Content-Length: +2\r\n\r\nok"),
        ("coding that ends in chunked", OK + "Transfer-Encoding: gzip, chunked"
         "\r\n\r\n0\r\n\r\n"),
        ("chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\n" + CHUNKED + END +
         "0\r\n\r\n"),
        ("folded line", OK + TWO + "X-A: b\r\n c\r\n\r\nok"),
        ("LF after a header", OK + "X-A: b\n" + TWO + END + "ok"),
        ("CR in a value", OK + "X-A: b\rc\r\n" + TWO + END + "ok"),
        ("NUL in a value", OK + "X-A: b\0c\r\n" + TWO + END + "ok"),
        ("blank before the colon", OK + "Content-Length : 2\r\n\r\nok"),
        ("no name", OK + ": b\r\n" + TWO + END + "ok"),
        ("no colon", OK + "X-A\r\n" + TWO + END + "ok"),
        ("HTTP/2", "HTTP/2 200 OK\r\n" + TWO + END + "ok"),
        ("status of four digits", "HTTP/1.1 2000 OK\r\n" + TWO + END + "ok"),
        ("status below 100", "HTTP/1.1 099 OK\r\n" + TWO + END + "ok"))),
    *(Row(name, body + CLOSE, CUT, "", SHUT, ENDED) for name, body in (
        ("chunk size with a prefix", OK + CHUNKED + END + "0x2\r\nok\r\n"),
        ("chunk longer than its size", OK + CHUNKED + END + "2\r\nokok\r\n"),
        ("end within a chunk", OK + CHUNKED + END + "5\r\nok"),
        ("end before the last chunk", OK + CHUNKED + END + "2\r\nok\r\n"),
        ("end before the length", OK + "Content-Length: 999999\r\n\r\nok"))),
    Row("end within the status line", OK[:9] + CLOSE, 502, "", SHUT, ENDED),
    Row("end within the head", OK + "Content-" + CLOSE, 502, "", SHUT, ENDED),
    Row("end after an interim answer", "HTTP/1.1 100 Continue\r\n\r\n" +
        CLOSE, 502, "", SHUT, ENDED),
]


def steps(sends):
    data, close, _ = sends.partition(CLOSE)
    return [["body"], ["send", data]] + [["close"]] * bool(close)


USUAL = steps(OK + TWO + END + "ok")
# What becomes of a request on a connection on which another was answered:
# its steps the first time, then.
LOST = {
    "lost": ([["body"], ["close"]], USUAL),
    "lost-at-once": ([["close"]], USUAL),
    "reset": ([["body"], ["reset"]], USUAL),
    "lost-twice": ([["body"], ["close"]], [["body"], ["close"]]),
    "touched": (steps("H" + CLOSE), USUAL),
    "half-a-head": (steps(OK + CLOSE), USUAL),
    "interim": (steps("HTTP/1.1 100 Continue\r\n\r\n" + CLOSE), USUAL),
}
# method, what becomes of it, status, how often the host saw it
REPEATED = [
    *((method, "lost", 200, 2) for method in
      ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")),
    ("POST", "lost", 502, 1), ("PATCH", "lost", 502, 1),
    ("GET", "reset", 200, 2), ("POST", "reset", 502, 1),
    ("GET", "lost-twice", 502, 2), ("GET", "touched", 502, 1),
    ("GET", "half-a-head", 502, 1), ("GET", "interim", 502, 1),
]
# The host ends the connection between two requests: then nothing is lost.
IDLE = {"idle-close": USUAL + [["close"]], "idle-reset": USUAL + [["wait", 0.1], ["reset"]],
        "idle-garbage": USUAL + [["wait", 0.1], ["send", GARBAGE]]}


class Answers(Recorded):
    hangs_up = True
    answers = {**{str(i): steps(row.sends) for i, row in enumerate(ANSWERS)},
               **{name: [["once", *both]] for name, both in LOST.items()},
               **IDLE}

    def ask(self, target, method="GET", body=None, stays=OPEN):
        data = wire.request(method.encode(), target, IMDS, body=body)
        return self.talk(data, (method.encode(),), stays)

    def leave(self, target):
        """A request after which nothing is asked on that connection, nor on
        that to the host."""
        data = wire.request(b"GET", target, IMDS)
        self.assertEqual(self.world.talk((IMDS, 80), [data])[0].status, 200)

    def test_each_answer_comes_as_the_client_can_read_it(self):
        for number, row in enumerate(ANSWERS):
            path = f"/answers/{number}"
            with self.subTest(row=row.name):
                self.ask("/metadata/before")  # leaves a connection
                talk = self.ask(path, row.method, stays=row.open)
                self.assertEqual((talk.statuses, talk.open),
                                 ([row.status], row.open))
                if row.status != CUT:
                    self.check_answer(row, talk.answers[0])
                self.check_reused(row, path.encode())
        self.check_all_that_came()

    def check_answer(self, row, answer):
        self.assertEqual(answer.body, row.body.encode())
        for name, value in row.has:
            self.assertEqual(wire.values(answer.headers, name.encode()),
                             [value.encode("latin-1")])
        for name in row.lacks:
            self.assertFalse(wire.values(answer.headers, name.encode()), name)
        self.assertEqual(len(wire.values(answer.headers, b"date")), 1)
        self.assertEqual(wire.values(answer.headers, PASSED[0]),
                         [] if row.status in (502, 503) else [PASSED[1]])

    def check_reused(self, row, path):
        """One request, once; and on which connection the next one came."""
        found = self.recorder.requests()
        mine = [i for i, (_, r, _) in enumerate(found) if r.target == path]
        self.assertEqual(len(mine), 1)
        if row.reused is not EITHER:
            self.ask("/metadata/after")
            after = self.recorder.requests()[mine[0] + 1][0]
            self.assertEqual(found[mine[0]][0] == after, row.reused,
                             "the host's connection is used again")

    def test_lost_requests_are_repeated_once_if_that_does_no_harm(self):
        for number, (method, name, status, times) in enumerate(REPEATED):
            path = f"/repeated/{number}/{name}"
            body = b"x" if method in ("POST", "PUT", "PATCH") else None
            with self.subTest(method=method, what=name):
                self.ask("/metadata/before")
                talk = self.ask(path, method, body, status == 200)
                self.assertEqual((talk.statuses, talk.open),
                                 ([status], status == 200))
                self.assertEqual(len(self.came(path.encode())), times)
        self.check_all_that_came()

    def test_fresh_connection_that_is_closed_is_not_tried_again(self):
        self.leave("/metadata/idle-close")
        time.sleep(0.2)
        self.assertEqual(self.ask("/fresh/lost", stays=SHUT).statuses, [502])
        self.assertEqual(len(self.came(b"/fresh/lost")), 1)

    def test_connection_that_ended_while_idle_costs_no_request(self):
        for name in IDLE:
            for method in ("GET", "POST"):
                with self.subTest(end=name, method=method):
                    path = f"/after/{method}/after-{name}"
                    self.leave(f"/idle/{method}/{name}")
                    time.sleep(0.2)  # the end, or the garbage, has come
                    talk = self.ask(path, method, b"x")
                    self.assertEqual(talk.statuses, [200])
                    self.assertEqual(talk.answers[0].body, b"ok")
                    self.assertEqual(len(self.came(path.encode())), 1)


WMEM = "/proc/sys/net/ipv4/tcp_wmem"
LATE = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nlate"
MANY = OK + CHUNKED + END + ("3e8\r\n" + "c" * 1000 + "\r\n") * 15 + \
    "0\r\n\r\n"


def read_late(address, data):
    """Two answers to what is sent at once, begun to be read much later, with
    little room until then."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        s.settimeout(20)
        s.connect(address)
        s.sendall(data)
        time.sleep(1)
        first, rest = wire.receive(s, b"", False)
        second = wire.receive(s, rest, False)[0]
        return [(a.status, len(a.body)) if a else None
                for a in (first, second)]


class Stale(Recorded):
    """The host says more while the client has not taken its answer yet, which
    the agent has had as a whole for long."""

    hangs_up = True
    answers = {
        "more": [["body"], ["send", MANY], ["wait", 0.3], ["send", LATE]],
        "closed": [["body"], ["send", MANY], ["wait", 0.3], ["close"]]}

    def setUp(self):
        super().setUp()
        with open(WMEM, encoding="ascii") as f:
            self.addCleanup(self.set_room, f.read())
        self.set_room("4096 16384 16384")

    @staticmethod
    def set_room(text):
        with open(WMEM, "w", encoding="ascii") as f:
            f.write(text)

    def test_next_request_does_not_get_what_came_late(self):
        for name in self.answers:
            for method in ("GET", "POST"):
                with self.subTest(host=name, method=method):
                    self.world.talk((IMDS, 80), [
                        wire.request(b"GET", "/metadata/before", IMDS)])
                    data = wire.request(b"GET", "/metadata/" + name, IMDS) + \
                        wire.request(method.encode(), "/metadata/mine", IMDS,
                                     body=b"x" if method == "POST" else None)
                    self.assertEqual(
                        self.world.call(read_late, (IMDS, 80), data),
                        [(200, 15000), (200, 2)])
