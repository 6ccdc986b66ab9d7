# SPDX-License-Identifier: MIT
"""
In: requests that are refused, one after the other and all at once, with bodies
that are sent, announced, or never end; answers that come before a body has.
Out: each its status, an open connection where the framing is sound, and no
part of a refused request at the host.
"""
import time

import wire
import world
from recorded import CLOSED, PROBE, Recorded, send
from world import DAEMON, IMDS, LISTENER, WIRESERVER

MIB = 1024 * 1024
LOG = MIB * 100  # most of what /vmAgentLog may carry
TIMES = 120
UPLOADS = 25
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LARGE = ("HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n"
         "Connection: close\r\n\r\nlarge")
STORED = "HTTP/1.1 201 Created\r\nContent-Length: 6\r\n\r\nstored"


def asked(method, target, headers=(), **body):
    return wire.request(method, target, IMDS, headers, **body)


# What is refused, as which user, where, with which status.
REFUSALS = [
    ("rules", asked(b"GET", "/rules"), DAEMON, (IMDS, 80), 403),
    ("not root", asked(b"GET", "/x"), DAEMON, (WIRESERVER, 80), 403),
    ("dots", asked(b"GET", "/a/../b"), 0, (IMDS, 80), 403),
    ("two slashes", asked(b"GET", "/a//b"), 0, (IMDS, 80), 403),
    ("no canonical form", asked(b"GET", "/%zz"), 0, (IMDS, 80), 403),
    ("method", asked(b"TRACE", "/x"), 0, (IMDS, 80), 405),
    ("elsewhere", asked(b"GET", "http://10.0.0.1/x"), 0, (IMDS, 80), 421),
    ("to the listener", asked(b"GET", "/x"), 0, LISTENER, 421),
    ("no form", asked(b"GET", "x"), 0, (IMDS, 80), 400),
    ("no Metadata", asked(b"GET", "/provision"), 0, (IMDS, 80), 400),
]
# name, of the body what is sent; is the connection open afterwards
BODIES = [
    ("length", {"body": b"x" * 10}, True),
    ("100 KiB", {"body": b"x" * 102400}, True),
    ("1 MiB", {"body": b"x" * MIB}, True),
    ("chunks", {"chunks": [b"x" * 10, b"y" * 70000]}, True),
    ("looks like a request", {"body": asked(b"GET", "/smuggled")}, True),
    ("looks like one, in chunks", {"chunks": [asked(b"GET", "/smuggled")]},
     True),
    ("over 1 MiB", {"body": b"x" * (MIB + 1)}, False),
]
EARLY = {
    # the host has heard so much when it answers
    "none-of-it": [["send", STORED]],
    "a-part": [["hear", 1000], ["send", STORED]],
    "a-part-and-end": [["hear", 1000], ["send", LARGE], ["wait", 0.3],
                       ["close"]],
    "slowly": [["hear", 1000], ["wait", 0.1], ["body"], ["send", STORED]],
    "all-but-slowly": [["hear", 1000], ["wait", 0.3], ["body"],
                       ["send", STORED]],
}


def say(s, pieces, count):
    """Statuses of so many answers."""
    send(s, pieces)
    out, rest = [], b""
    for _ in range(count):
        answer, rest = wire.receive(s, rest, False)
        out.append(answer.status if answer else CLOSED)
        if answer is None:
            break
    return out


def pipeline(address, pieces, count):
    with wire.connect(address) as s:
        return say(s, pieces, count)


def expect(address, data, body):
    """What comes before the body is sent, and the answer; body: sent only
    after 100. The connection ends: no other answer."""
    with wire.connect(address) as s:
        s.sendall(data)
        first = s.recv(1 << 16)
        if first == CONTINUE:
            s.sendall(body)
            return True, say(s, [PROBE], 2)
        answer, _ = wire.receive(s, first, False)
        return False, [answer.status, CLOSED if not s.recv(1) else "more"]


def endless(address, head, most):
    """How much was sent of a body in chunks that does not end, and what the
    client read."""
    chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
    sent = 0
    with wire.connect(address) as s:
        s.sendall(head)
        while sent < most:
            try:
                s.sendall(chunk)
            except (BrokenPipeError, ConnectionResetError):
                break
            sent += len(chunk)
        return sent, wire.receive(s, b"", False)[0]


def every_moment(address, data, times):
    with wire.connect(address) as s:
        return {tuple(say(s, [data], 1)) for _ in range(times)}


class Flow(Recorded):
    answers = EARLY
    config = {"fileLogLevel": "Info"}

    def paths(self):
        return {r.target for r in (x[1] for x in self.recorder.requests())}

    def test_refusal_leaves_pipelined_requests_and_the_connection(self):
        for name, data, uid, address, status in REFUSALS:
            other = [200] if uid == 0 and address[0] == IMDS else \
                [403 if uid else 421]
            with self.subTest(refused=name):
                self.assertEqual(
                    self.world.call(pipeline, address,
                                    [(data + PROBE) * 3 + data], 7, uid=uid),
                    ([status] + other) * 3 + [status])

    def test_body_of_a_refused_request_is_dropped_and_nothing_else(self):
        for name, body, stays in BODIES:
            with self.subTest(body=name):
                data = asked(b"PUT", "/vmAgentLog", **body)
                self.assertEqual(
                    self.world.call(pipeline, (IMDS, 80), [data, PROBE], 2,
                                    uid=DAEMON),
                    [403, 403 if stays else CLOSED])
                data = data.replace(b"/vmAgentLog", b"/refused/../x")
                if len(data) < 102400:
                    self.assertEqual(self.world.call(
                        pipeline, (IMDS, 80), [data, PROBE], 2), [403, 200])
        self.assertFalse(self.paths() & {b"/smuggled", b"/refused/../x"})

    def test_body_that_does_not_end_is_cut_off_with_the_status(self):
        head = asked(b"POST", "/endless/../x", chunks=[])[:-5]
        sent, answer = self.world.call(endless, (IMDS, 80), head, 64 * MIB)
        self.assertLess(sent, 64 * MIB)
        self.assertEqual((answer.status, answer.body), (403, b""))

    def test_body_in_chunks_over_the_limit_is_413(self):
        data = asked(b"POST", "/large", chunks=[b"x" * 60000, b"y" * 60000])
        self.assertEqual(self.world.call(pipeline, (IMDS, 80), [data, PROBE],
                                         2), [413, 200])
        data = asked(b"POST", "/large", body=b"x" * 120000)
        self.assertEqual(self.world.call(pipeline, (IMDS, 80), [data, PROBE],
                                         2), [413, CLOSED])
        self.assertNotIn(b"/large", self.paths())

    # ---- Expect: 100-continue
    def expect(self, target, framing, body, version=b"HTTP/1.1"):
        head = b"POST %s %s\r\nHost: %s\r\n%s\r\nExpect: 100-Continue\r\n\r\n"
        return self.world.call(expect, (IMDS, 80), head % (
            target, version, IMDS.encode(), framing), body)

    def test_who_waits_for_100_gets_it_if_the_body_is_wanted(self):
        for number, (framing, body) in enumerate((
                (b"Content-Length: 3", b"abc"),
                (b"Content-Length: 102400", b"x" * 102400),
                (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n"))):
            path = b"/expect/%d" % number
            with self.subTest(framing=framing):
                self.assertEqual(self.expect(path, framing, body),
                                 (True, [200, 200]))
                self.assertEqual(len(self.came(path)), 1)
        self.check_all_that_came()

    def test_who_waits_for_100_gets_the_refusal_instead(self):
        for target, framing, status in (
                (b"/expect/../x", b"Content-Length: 3", 403),
                (b"/expect/../x", b"Transfer-Encoding: chunked", 403),
                (b"http://10.0.0.1/expect", b"Content-Length: 3", 421),
                (b"/expect", b"Content-Length: 102401", 413),
                (b"/expect", b"Content-Length: 3\r\nContent-Length: 3", 400)):
            with self.subTest(target=target, framing=framing):
                self.assertEqual(self.expect(target, framing, b""),
                                 (False, [status, CLOSED]))

    def test_who_does_not_wait_for_100_gets_the_answer(self):
        data = asked(b"POST", "/expect/at-once",
                     [(b"Expect", b"100-continue")], body=b"abc")
        self.assertEqual(self.world.call(pipeline, (IMDS, 80), [data + PROBE],
                                         2), [200, 200])
        self.assertEqual(self.came(b"/expect/at-once")[0].body, b"abc")

    # ---- answers before the end of the body
    def test_early_answer_comes_when_the_body_has_ended(self):
        for name in EARLY:
            for framing in ("body", "chunks"):
                for size in (5000, MIB + MIB // 8):
                    with self.subTest(host=name, framing=framing, size=size):
                        self.check_early(name, framing, size)

    def test_end_of_an_upload_arrives_however_much_waits_for_the_host(self):
        """Nothing follows it that would wake the agent. In one of some thirty
        its last bytes find no room, if they can be missed at all."""
        for i in range(UPLOADS):
            for name in ("none-of-it", "slowly"):
                with self.subTest(i=i, host=name):
                    self.check_early(name, "chunks", MIB + MIB // 8)

    def check_early(self, name, framing, size):
        body = b"x" * size
        data = asked(b"PUT", "/vmAgentLog", [(b"x-steps", name.encode())],
                     **{framing: body if framing == "body" else
                        [body[i:i + 50000] for i in range(0, size, 50000)]})
        status = 413 if name == "a-part-and-end" else 201
        self.assertEqual(self.world.call(pipeline, (IMDS, 80), [data, PROBE],
                                         2), [status, 200])

    def test_early_answer_to_a_signed_request_is_passed_on(self):
        for name, status in (("a-part", 201), ("a-part-and-end", 413),
                             ("none-of-it", 201)):
            with self.subTest(host=name):
                data = asked(b"POST", f"/early/{name}", body=b"x" * 100000)
                self.assertEqual(
                    self.world.call(pipeline, (IMDS, 80), [data, PROBE], 2),
                    [status, 200])

    def test_streamed_body_with_bad_chunks_does_not_become_a_request(self):
        for size in (b"0x3", b"+3", b"fffffffffffffffff", b"xyz", b""):
            with self.subTest(size=size):
                before = len(self.recorder.requests())
                data = asked(b"PUT", "/vmAgentLog", chunks=[b"a" * 1000])
                data = data[:-5] + size + b"\r\nabc\r\n0\r\n\r\n" + PROBE
                status = 413 if size.startswith(b"f") else 400
                self.assertEqual(self.world.call(
                    pipeline, (IMDS, 80), [data], 2), [status, CLOSED])
                self.assertEqual(len(self.recorder.requests()), before)

    # ---- those who do not give up
    def test_who_is_refused_may_ask_again_for_ever_and_fills_no_log(self):
        data = asked(b"GET", "/again")
        time.sleep(1.2)  # what was before is in the log by then
        before = self.log_size()
        for _ in range(3):
            self.assertEqual(self.world.call(
                every_moment, (IMDS, 80), data, TIMES, uid=DAEMON), {(403,)})
        for _ in range(TIMES):
            self.assertEqual(self.world.call(pipeline, (IMDS, 80), [data], 1,
                                             uid=DAEMON), [403])
        self.assertEqual(self.world.call(pipeline, (IMDS, 80), [PROBE], 1),
                         [200])
        self.assertLess(self.log_size() - before, TIMES)

    def log_size(self):
        """Lines of the agent's log, where it is not a record of requests."""
        return self.world.read("log", "ProxyAgent.log").count(b"\n")
