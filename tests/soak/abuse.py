# SPDX-License-Identifier: MIT
"""
In: a seed. Out: clients that leave in the middle, send too much, too slowly,
too often, or what is no HTTP, until they are killed. Must never wait for
anything longer than a moment: slow ones are many at the same time.
"""
import random
import select
import socket
import struct
import time

IMDS = "169.254.169.254"
TARGET = (IMDS, 80)
LISTENER = ("127.0.0.1", 3080)
RESET = struct.pack("ii", 1, 0)
ABUSE = 1 << 63
LARGE, LARGEST = 2, 3  # lowest bits of a number: length of the answer
LATE = 3 << 4
MOMENT = 0.5
SLOW_ONES, SLOW_STEP, SLOW_S = 16, 0.02, 3
BURST = 40


class Abuser:
    """One user's process."""

    def __init__(self, seed, first):
        self.random = random.Random(seed)
        self.number = first
        self.slow = []
        self.acts = [getattr(self, name) for name in dir(self)
                     if name.startswith("act_")]

    # ---- requests ---------------------------------------------------------
    def path(self, low=None):
        self.number += 1
        if low is None:
            low = self.random.randrange(6) << 4
        return "/metadata/soak/%016x" % (ABUSE | self.number << 8 | low)

    def request(self, method="GET", path=None, more="", body=b""):
        if body:
            more += f"Content-Length: {len(body)}\r\n"
        return (f"{method} {path or self.path()} HTTP/1.1\r\nHost: {IMDS}\r\n"
                f"Metadata: true\r\n{more}\r\n").encode() + body

    def connect(self, at=TARGET):
        s = socket.socket()
        s.settimeout(MOMENT)
        s.connect(at)
        return s

    def send(self, data, at=TARGET):
        s = self.connect(at)
        s.sendall(data)
        return s

    def leave(self, s):
        """With or without a reset."""
        if self.random.random() < 0.5:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        s.close()

    @staticmethod
    def read(s, least=1):
        """Something, and until there is so much or the end."""
        got = 0
        while got < least:
            data = s.recv(65536)
            if not data:
                break
            got += len(data)

    def some(self, data):
        return data[:self.random.randrange(len(data))]

    # ---- what they do -----------------------------------------------------
    def act_connect_only(self):
        self.leave(self.connect())

    def act_leave_in_head(self):
        self.leave(self.send(self.some(self.request())))

    def act_leave_in_body(self):
        data = self.request("POST", body=b"x" * 3000)
        self.leave(self.send(data[:-1 - self.random.randrange(2999)]))

    def act_leave_before_answer(self):
        self.leave(self.send(self.request(path=self.path(LATE))))

    def act_leave_in_answer(self):
        s = self.send(self.request(path=self.path(LARGEST)))
        self.read(s)
        self.leave(s)

    def act_read_slowly(self):
        if len(self.slow) < SLOW_ONES:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.settimeout(MOMENT)
            s.connect(TARGET)
            s.sendall(self.request(path=self.path(
                self.random.choice([LARGE, LARGEST]))))
            self.slow.append((time.monotonic() + SLOW_S, s, None))

    def act_write_slowly(self):
        if len(self.slow) < SLOW_ONES:
            data = self.request("POST", body=b"y" * 100)
            self.slow.append((time.monotonic() + SLOW_S, self.connect(),
                              bytearray(data)))

    def act_garbage(self):
        with self.send(self.random.randbytes(
                self.random.choice([1, 20, 500, 20000]))) as s:
            self.read(s)

    def act_spoilt(self):
        """A request with some bytes changed."""
        data = bytearray(self.request())
        for _ in range(self.random.randrange(1, 4)):
            data[self.random.randrange(len(data))] = \
                self.random.choice(b"\0\t\n\r :;,/%?#\x7f\xff0A")
        with self.send(bytes(data)) as s:
            self.read(s)

    def act_half_close(self):
        with self.send(self.request()) as s:
            s.shutdown(socket.SHUT_WR)
            self.read(s, 200)

    def act_pipeline(self):
        many = self.random.randrange(2, 20)
        s = self.send(b"".join(self.request() for _ in range(many)))
        if self.random.random() < 0.7:
            self.read(s, 200 * many)
        self.leave(s)

    def act_oversized(self):
        path = self.path()
        data = self.random.choice([
            self.request(path=path + "?" + "a" * 20000),
            self.request(path=path + "?" + "a=b&" * 2000),
            self.request(more="X-Long: " + "b" * 40000 + "\r\n"),
            self.request(more="".join(f"X-{i}: c\r\n" for i in range(200))),
            self.request("POST", more="Content-Length: 99999999999\r\n"),
            self.request("POST", body=b"d" * 150000)])
        with self.send(data) as s:
            self.read(s)

    def act_smuggle(self):
        with self.send(self.random.choice([
                self.request("POST", more="Transfer-Encoding: chunked\r\n",
                             body=b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
                self.request(more="Content-Length: 1\r\nContent-Length: 2\r\n"),
                self.request(more="Transfer-Encoding: x\r\n"),
                self.request(more="Bad Name: x\r\n"),
                self.request(more="X: a\r\n folded\r\n")])) as s:
            self.read(s)

    def act_methods(self):
        with self.send(self.request(self.random.choice(
                ["HEAD", "OPTIONS", "TRACE", "CONNECT", "BREW", "DELETE"])) +
                self.request()) as s:
            self.read(s)

    def act_chunked(self):
        head = self.request("POST", more="Transfer-Encoding: chunked\r\n")
        data = head + b"".join(b"%x\r\n%s\r\n" % (n, b"e" * n)
                               for n in (1, 30, 4000)) + b"0\r\n\r\n"
        s = self.send(data if self.random.random() < 0.5 else self.some(data))
        if self.random.random() < 0.5:
            self.read(s)
        self.leave(s)

    def act_expect(self):
        data = self.request("PUT", more="Expect: 100-continue\r\n",
                            body=b"f" * 500)
        with self.send(data[:-500]) as s:
            self.read(s)
            if self.random.random() < 0.8:
                s.sendall(data[-500:])
                self.read(s)

    def act_burst(self):
        all_of_them = [self.send(self.request()) for _ in range(BURST)]
        for s in all_of_them:
            if self.random.random() < 0.5:
                self.read(s)
            self.leave(s)

    def act_refused(self):
        """Again and again, as agents do that do not know it is in vain."""
        with self.connect() as s:
            for _ in range(20):
                s.sendall(self.request(path="/metadata/forbidden"))
                self.read(s)

    def act_directly(self):
        with self.send(self.request(), LISTENER) as s:
            self.read(s)

    def act_behave(self):
        with self.connect() as s:
            for _ in range(5):
                s.sendall(self.request(path=self.path(0)))
                self.read(s, 200)

    # ---- meanwhile --------------------------------------------------------
    def go_on_slowly(self, entry):
        """False: that was the last of it."""
        end, s, left = entry
        if time.monotonic() > end:
            return False
        if left is None:
            return not select.select([s], [], [], 0)[0] or bool(s.recv(700))
        s.send(left[:3])
        del left[:3]
        return bool(left)

    def step(self):
        kept = []
        for entry in self.slow:
            try:
                if self.go_on_slowly(entry):
                    kept.append(entry)
                    continue
            except OSError:
                pass
            self.leave(entry[1])
        self.slow = kept

    def run(self):
        stepped = 0
        while True:
            try:
                self.random.choice(self.acts)()
            except OSError:
                pass  # it was sent away, or not answered in a moment
            if time.monotonic() - stepped > SLOW_STEP:
                stepped = time.monotonic()
                self.step()
            time.sleep(self.random.random() * 0.01)
