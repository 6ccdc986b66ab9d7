# SPDX-License-Identifier: MIT
"""
In: msp-host with faults that wait, hang or never end. Out: other clients are
served, nothing grows, nothing is left. Must never assert how long a thing took:
only what came before what, and what it cost.
"""
import os
import resource
import select
import socket
import time
import traceback

from case_faults import STATUS, collect, fault, listed, until
from client import (Host, case, expect, read_all, read_answer, send_request,
                    ticks)

# Descriptors given to a host that is to run short of connections: a few
# hundred of them, as man/msp-host.8 says.
FEW = 1864
MAX = (FEW - 64) // 3


def ask(h, port="ws", target=STATUS, buffer=None):
    s = socket.socket()
    if buffer:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    s.settimeout(20)
    s.connect(h.at[port])
    send_request(s, "GET", target, [("host", "h")], b"")
    return s


class Buffered:
    """Reads no more than it is asked for, so that answers come one by one."""

    def __init__(self, s):
        self.s = s

    def makefile(self, mode):
        return self.s.makefile(mode, buffering=0)


def silent(s):
    poll = select.poll()
    poll.register(s, select.POLLIN)
    return not poll.poll(0)


def served(h):
    expect(h.call("ws", "GET", "/?comp=versions").status, 200)


def rss(h):
    """KiB"""
    with open("/proc/%d/status" % h.process.pid) as f:
        return [int(line.split()[1]) for line in f
                if line.startswith("VmRSS")][0]


def descriptors(h):
    return len(os.listdir("/proc/%d/fd" % h.process.pid))


def with_few_descriptors(function):
    """In a process of its own: a hard limit cannot be raised again."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, FEW))
            function()
            code = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)
    expect(os.waitpid(pid, 0)[1], 0, "see above:")


def idle(h):
    """Ticks of half a second, once it has come to rest."""
    for _ in range(20):
        before = ticks(h.process)
        time.sleep(0.5)
        spent = ticks(h.process) - before
        if spent < 5:
            break
    return spent


@case
def late_answer_comes_after_those_of_others():
    with Host() as h:
        fault(h, "delay", ms=1500, path=STATUS)
        late = [ask(h) for _ in range(20)]
        for _ in range(20):
            served(h)
        expect([silent(s) for s in late], [True] * 20)
        for s in late:
            with s:
                expect(read_answer(s).json()["version"], "2.0")


@case
def late_answers_come_in_the_order_they_are_due():
    with Host() as h:
        order = [2400, 1, 1600, 800]
        socks = {}
        for ms in order:
            fault(h, "delay", ms=ms, path="/%d" % ms)
        for ms in order:
            socks[ask(h, target="/%d" % ms)] = ms
        came = []
        while socks:
            for s in select.select(list(socks), [], [], 20)[0]:
                came.append(socks.pop(s))
                s.close()
        expect(came, sorted(order))


@case
def drip_comes_in_pieces_and_is_complete():
    with Host() as h:
        fault(h, "drip", piece=10, ms=10)
        with ask(h) as s:
            data, pieces = b"", 0
            while True:
                piece = s.recv(65536)
                if not piece:
                    break
                data += piece
                pieces += 1
        expect(pieces > 5, True, "pieces: %d" % pieces)
        head, _, body = data.partition(b"\r\n\r\n")
        expect(b"\r\nContent-Length: %d" % len(body) in head, True)


@case
def many_drips_are_cheap():
    with Host() as h:
        fault(h, "drip", piece=1, ms=50)
        dripping = [ask(h) for _ in range(200)]
        before = ticks(h.process)
        time.sleep(0.5)
        # 200 pieces of one byte per 50 ms are 2,000 writes
        spent = ticks(h.process) - before
        expect(spent < 40, True, "ticks spent: %d" % spent)
        for s in dripping:
            s.close()
        expect(until(lambda: descriptors(h) < 25), True, "descriptors left:")


@case
def a_hundred_that_hang_disturb_nobody():
    with Host() as h:
        for name in ("hang", "delay", "drip", "short-length", "upgrade"):
            fault(h, name, path="/" + name,
                  **{"delay": {"ms": 3600000},
                     "drip": {"ms": 3600000}}.get(name, {}))
        hanging = [ask(h, target="/" + name) for _ in range(20) for name in
                   ("hang", "delay", "drip", "short-length", "upgrade")]
        for _ in range(50):
            served(h)
        h.latch()
        expect(h.status()["version"], "2.0")
        expect(sum(f["hits"] for f in listed(h)), 100)
        spent = idle(h)
        expect(spent < 5, True, "ticks spent waiting %d:" % spent)
        # what hangs is there until the client goes
        expect(descriptors(h) > 100, True)
        for s in hanging:
            s.close()
        # a client that is gone is noticed at once if nothing is to be sent
        expect(until(lambda: descriptors(h) < 25 + 40), True)


@case
def held_connection_ends_with_its_client():
    for leave in (lambda s: s.close(), lambda s: s.shutdown(socket.SHUT_WR),
                  lambda s: (s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                          b"\1\0\0\0\0\0\0\0"), s.close())):
        with Host() as h:
            fault(h, "hang", bytes=30)
            held = [ask(h) for _ in range(50)]
            for s in held:
                expect(len(s.recv(100)), 30)
            expect(descriptors(h) > 60, True)
            for s in held:
                leave(s)
            expect(until(lambda: descriptors(h) < 25), True, "left:")
            for s in held:
                s.close()


def hold_too_many():
    with Host() as h:
        fault(h, "hang", path=STATUS)
        held = [ask(h) for _ in range(MAX // 2)]
        expect(until(lambda: listed(h)[0]["hits"] == len(held)), True)
        expect([silent(held[i]) for i in (0, 1, -1)], [True] * 3)
        held.append(ask(h))
        # the oldest makes room, and the others stay
        expect(collect(held[0], 20).end, "closed")
        expect([silent(held[i]) for i in (1, 2, -1)], [True] * 3)
        served(h)
        expect(idle(h) < 5, True)
        for s in held:
            s.close()
        expect(until(lambda: descriptors(h) < 25), True, "left:")


def leave_while_waiting():
    with Host() as h:
        fault(h, "delay", ms=3600000, path=STATUS)
        waits = ask(h)
        for i in range(MAX + 100):
            with ask(h):
                expect(until(lambda: listed(h)[0]["hits"] == i + 2), True)
        served(h)
        expect(silent(waits), True, "who did not leave:")
        waits.close()


@case
def clients_that_left_before_the_answer_make_room():
    with_few_descriptors(leave_while_waiting)


@case
def the_oldest_of_too_many_held_makes_room():
    with_few_descriptors(hold_too_many)


@case
def earlier_answers_go_out_before_and_later_requests_do_not():
    one = b"GET /?comp=versions HTTP/1.1\r\nHost: h\r\n\r\n"
    two = b"GET " + STATUS.encode() + b" HTTP/1.1\r\nHost: h\r\n\r\n"
    big = b"GET /msp-host/bytes?count=3000000 HTTP/1.1\r\nHost: h\r\n\r\n"
    with Host() as h:
        for name, fields, left in (("close", {}, b""),
                                   ("hang", {"bytes": 17},
                                    b"HTTP/1.1 200 OK\r\n"),
                                   ("no-http", {}, b"220 ")):
            for first in (one, one + one, big):
                h.control("DELETE", "/journal")
                number = fault(h, name, path=STATUS, **fields)
                with h.connect("ws") as s:
                    s.sendall(first + two + one + one)
                    f = s.makefile("rb")
                    for _ in range(first.count(b"GET")):
                        expect(f.readline(), b"HTTP/1.1 200 OK\r\n")
                        for line in iter(f.readline, b"\r\n"):
                            if line.lower().startswith(b"content-length"):
                                n = int(line.split(b":")[1])
                        expect(len(f.read(n)), n)
                    expect(f.read(4) if name == "no-http"
                           else f.read(len(left)), left)
                targets = [r["target"] for r in
                           h.control("GET", "/journal").json()["requests"]]
                expect(targets[-1], STATUS, name)
                h.control("DELETE", "/faults/%d" % number)


@case
def huge_bodies_and_slow_readers_cost_no_memory():
    with Host() as h:
        served(h)
        for style in ("length", "chunked", "endless"):
            fault(h, "huge-body", bytes=1 << 40, style=style, path="/" + style)
        fault(h, "huge-headers", bytes=1 << 40, path="/head")
        fault(h, "huge-headers", lines=1 << 30, path="/lines")
        fault(h, "interim", repeat=1 << 30, path="/interim")
        targets = ["/length", "/chunked", "/endless", "/head", "/lines",
                   "/interim"]
        before = rss(h)
        slow = [ask(h, target=t, buffer=4096) for t in targets * 20]
        for s in slow:
            expect(len(s.recv(1000)) > 0, True)
        # one fast reader takes 60 MB of each
        for t in targets:
            with ask(h, target=t) as s:
                n = 0
                while n < 60 << 20:
                    n += len(s.recv(1 << 20))
        for _ in range(10):
            served(h)
        grown = rss(h) - before
        expect(grown < 8192, True, "KiB more: %d" % grown)
        expect(idle(h) < 5, True)
        for s in slow:
            s.close()
        expect(until(lambda: descriptors(h) < 25), True, "left:")


@case
def a_greedy_reader_does_not_get_the_host_for_itself():
    with Host() as h:
        fault(h, "huge-body", bytes=1 << 40, path=STATUS)
        pid = os.fork()
        if not pid:
            try:
                with ask(h) as s:
                    while s.recv(1 << 20):
                        pass
            finally:
                os._exit(0)
        try:
            for _ in range(50):
                served(h)
            expect(os.waitpid(pid, os.WNOHANG), (0, 0), "it still reads:")
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


@case
def who_talks_to_a_host_that_hangs_is_not_heard():
    with Host() as h:
        fault(h, "hang", path=STATUS)
        before = rss(h)
        with ask(h) as s:
            for _ in range(50):
                s.sendall(b"x" * (1 << 20))
            expect(silent(s), True)
            served(h)
        expect(rss(h) - before < 4096, True)


@case
def half_closed_client_still_gets_its_spoilt_answer():
    with Host() as h:
        for name, fields, want in (
                ("delay", {"ms": 300}, 200), ("drip", {"ms": 1}, 200),
                ("huge-body", {"bytes": 30 << 20}, 200), ("503", {}, 503)):
            fault(h, name, count=1, **fields)
            with ask(h) as s:
                s.shutdown(socket.SHUT_WR)
                data = read_all(s)
            expect(data[:12], b"HTTP/1.1 %d" % want, name)
            head, _, body = data.partition(b"\r\n\r\n")
            expect(b"Content-Length: %d\r\n" % len(body) in head + b"\r\n",
                   True, name)


@case
def upload_is_taken_before_it_is_spoilt():
    with Host() as h:
        for name in ("close", "hang", "503", "close-body", "delay"):
            fault(h, name, count=1, **({"ms": 1} if name == "delay" else {}))
            body = os.urandom(3 << 20)
            lines = [("host", "h"), ("content-length", str(len(body)))]
            with h.connect("ga") as s:
                send_request(s, "PUT", "/vmAgentLog", lines, body)
                expect(until(lambda: listed(h)[-1]["hits"]), True)
                collect(s, 0.2)
            request = h.control("GET", "/journal").json()["requests"][-1]
            expect((request["body"], request["fault"]), (len(body), name))


@case
def connections_between_requests_are_one_descriptor_each():
    with Host() as h:
        kept = [h.connect("ws") for _ in range(100)]
        bare = descriptors(h) - 300 if until(
            lambda: descriptors(h) >= 300) else None
        for _ in range(3):
            for s in kept:
                send_request(s, "GET", "/?comp=versions", [("host", "h")], b"")
                expect(read_answer(s).status, 200)
            expect(until(lambda: descriptors(h) <= bare + 110), True)
        body = b"x" * 1000
        for s in kept:
            send_request(s, "PUT", "/vmAgentLog",
                         [("host", "h"), ("content-length", "1000")], body)
            expect(read_answer(s).status, 200)
        expect(until(lambda: descriptors(h) <= bare + 110), True)
        # still one connection each for whoever reads the journal
        numbers = [r["connection"] for r in
                   h.control("GET", "/journal").json()["requests"]]
        expect([numbers.count(n) for n in set(numbers)], [4] * 100)
        for s in kept:
            s.close()
        expect(until(lambda: descriptors(h) < 25), True, "left:")


@case
def end_of_a_connection_between_requests_is_nobody_elses():
    with Host() as h:
        h.control("GET", "/state")
        bare = descriptors(h)
        first = [h.connect("ws") for _ in range(20)]
        for s in first:
            send_request(s, "GET", "/?comp=versions", [("host", "h")], b"")
            expect(read_answer(s).status, 200)
        expect(until(lambda: descriptors(h) <= bare + 22), True)
        second = [h.connect("ws") for _ in range(20)]
        for s in second:
            s.sendall(b"GET /?comp=versions HTTP/1.1\r\n")
        expect(until(lambda: descriptors(h) >= bare + 70), True)
        for s in first:
            s.close()
        served(h)
        for s in second:
            s.sendall(b"Host: h\r\n\r\n")
            expect(read_answer(s).status, 200)
            s.close()


@case
def half_a_request_waits_for_its_rest():
    one = b"GET /?comp=versions HTTP/1.1\r\nHost: h\r\n\r\n"
    put = (b"PUT /vmAgentLog HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
           b"12345")
    chunked = (b"PUT /vmAgentLog HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
               b"chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n")
    with Host() as h:
        for first in (one, put, chunked, b"\r\n" + one, one + put + one):
            for rest in (one, put):
                for before, after in ((1, 0), (0, len(rest) - 2)):
                    cut = before + after
                    with h.connect("ws") as s:
                        s.sendall(first + rest[:before])
                        for _ in range(first.count(b"HTTP/1.1")):
                            expect(read_answer(Buffered(s)).status, 200)
                        s.sendall(rest[before:cut])
                        time.sleep(0.3)
                        s.sendall(rest[cut:])
                        expect(read_answer(Buffered(s)).status, 200)


@case
def clearing_lets_the_next_request_through():
    with Host() as h:
        fault(h, "hang")
        with ask(h) as stuck:
            expect(until(lambda: listed(h)[0]["hits"] == 1), True)
            h.control("DELETE", "/faults")
            expect(h.status()["version"], "2.0")
            expect(silent(stuck), True)


@case
def host_ends_with_scripts_under_way():
    # Host.__exit__ wants a clean exit
    with Host() as h:
        for name, fields in (("hang", {}), ("drip", {"ms": 60000}),
                             ("delay", {"ms": 60000}),
                             ("huge-body", {"bytes": 1 << 40})):
            fault(h, name, path="/" + name, **fields)
        stuck = [ask(h, target="/" + name) for name in
                 ("hang", "drip", "delay", "huge-body") for _ in range(10)]
        expect(until(lambda: sum(f["hits"] for f in listed(h)) == 40), True)
    for s in stuck:
        s.close()


def crowd_the_host():
    with Host() as h:
        crowd = []
        # more than the host takes: the rest wait in the backlog
        for _ in range(MAX + 100):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(h.at["ws"])
            crowd.append(s)
        full = 3 * (MAX - MAX // 32)
        expect(until(lambda: descriptors(h) >= full), True, "crowded:")
        expect(h.control("GET", "/state").status, 200)
        expect(idle(h) < 5, True)
        expect(descriptors(h) < FEW - 40, True)
        for s in crowd:
            s.close()
        expect(until(lambda: descriptors(h) < 25), True, "left:")
        served(h)


@case
def control_port_has_connections_of_its_own():
    with_few_descriptors(crowd_the_host)
