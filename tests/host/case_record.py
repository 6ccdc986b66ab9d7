# SPDX-License-Identifier: MIT
"""
In: msp-host with --record. Out: whether its verdict on several hundred made
requests is that of verifier.py, which sees the recorded bytes and the key and
nothing else. Must never let the two share code.
"""
import hashlib
import hmac
import os
import random
import socket
import tempfile
import time

import verifier
from client import Host, case, expect, now

SEED = 1863
PORTS = ("ws", "imds", "ga")
AUTH = "x-ms-azure-host-authorization"
DATE = "x-ms-azure-host-date"
SCHEME = "Azure-HMAC-SHA256"

TARGETS = [
    "/", "/?", "/??", "/?=", "/?&&", "/?a", "/?a=", "/?A=1&a=2", "/?a=bc&ab=c",
    "/?a=9&a=10&a2=0", "/?a-b=c&a=z", "/?b=2&a=1&b=2", "/?x=%2F+%zz&&=v",
    "/?a=b=c==", "/a;b=1?c;d", "//", "//x//", "/./../%2e%2e/", "/%00%0a",
    "/a?b/c?d", "/:80", "/msp-host/bytes?count=3",
    "/msp-host/echo?n", "/metadata/instance?api-version=2021-02-01&format=json",
    "http://168.63.129.16/x?y=1", "http://h", "http://h?q=1", "HTTP://h:80/p",
    "*", "/vmAgentLog", "/VMAGENTLOG", "/machine/?comp=telemetrydata",
    "/?" + "&".join("p%d=%d" % (i % 7, i) for i in range(90)),
    "/" + "x" * 8000, "/" + "x" * 30000, "/?q=" + "y%20" * 1000]
BAD_TARGETS = ["foo", "?a", "/a#b", "/a b", "/\x7f", "/\xe9", "/\x01", "h:80",
               "/a<b>", "/a`b", "/?a=\"b\"",
               "ftp://h/", "http://", "http:///p", "/" + "x" * 65534]
LINES = [("Accept", "*/*"), ("X-Dup", "1"), ("x-dup", "2"), ("X-DUP", ""),
         ("X-Blank", " \t a  b\t "), ("X-8bit", "\xe9\xff\x80"), ("X-Empty", ""),
         ("Metadata", "True "), ("x-a", "0"), ("x-a-b", "1"), ("X_a", ":"),
         ("user-agent", "curl/8.5.0"), ("Cookie", "a=b; c"), ("!#$%&'*", "t"),
         ("Date", "yesterday"), (AUTH + "x", "1"), ("connection", "keep-alive"),
         ("x-ms-azure-host-claims", '{ "isRoot": "true"}'),
         ("Expect", "200-ok"), ("TE", "trailers"), ("X-Long", "z" * 3000)]
# Not among them: a line without a name, a NUL, a line that goes on in the next
# one. libmicrohttpd hides those from msp-host.
BAD_LINES = ["a b: c", "a : c", "noline", "\xe9: c", "a: \x01",
             "a: b\rc", "a: b\x7f", "host: second",
             "transfer-encoding: gzip", "transfer-encoding: chunked, chunked",
             "content-length: 1\r\ncontent-length: 1", "content-length: -1",
             "content-length: 0x1", "content-length: 99999999",
             "transfer-encoding: chunked\r\ncontent-length: 5"]
FRAMING = ("Content-Length", "Transfer-Encoding")
METHODS = ["GET"] * 4 + ["PUT", "POST"] * 3 + ["HEAD", "DELETE", "OPTIONS",
                                               "PATCH", "get", "X-Y.Z"]


class Made:
    """One request under construction, and then its bytes."""

    def __init__(self, rng, key, other):
        self.rng, self.key, self.other = rng, key, other
        self.method = rng.choice(METHODS)
        self.target = rng.choice(TARGETS)
        self.lines = [("Host", "h")] + rng.sample(LINES, rng.randrange(5))
        rng.shuffle(self.lines)
        self.body, self.chunked = b"", False
        if self.method in ("PUT", "POST", "PATCH"):
            self.add_body()

    def add_body(self):
        rng = self.rng
        size = rng.choice([0, 0, 1, 2, 100, 5000, 5000, 102400])
        self.body = rng.randbytes(size)
        self.chunked = rng.random() < 0.4
        if self.chunked:
            coding = rng.choice(["chunked", "Chunked"])
            self.lines.append(("Transfer-Encoding", coding))
        else:
            self.lines.append(("Content-Length", str(size)))

    def framed(self):
        if not self.chunked:
            return self.body
        out, at = b"", 0
        while at < len(self.body):
            size = self.rng.choice([1, 7, 500, 40000])
            piece = self.body[at:at + size]
            out += b"%x%s\r\n%s\r\n" % (
                len(piece), self.rng.choice([b"", b";a=b; c"]), piece)
            at += size
        return out + b"0\r\n" + self.rng.choice([b"", b"T: r\r\n"]) + b"\r\n"

    def add_date(self):
        good = [now(self.rng.randrange(-200, 200))] * 50
        odd = [now(500), now(-500), now(86400), now(-10 ** 8), "", "today",
               now()[:-3] + "UTC", now()[:-4], "X" + now()[1:],
               now().replace(" 20", " 19"), now().lower()]
        text = self.rng.choice(good + odd)
        self.lines += [(DATE, text)] * (self.rng.random() < 0.95)
        if self.rng.random() < 0.1:
            self.lines.append((DATE.upper(), self.rng.choice(good + odd)))

    def value(self, key):
        """By this file's own reading of the grammar, not the verifier's."""
        last = {}
        for name, value in self.lines:
            last[name.lower()] = value.strip(" \t")
        text = "%s\n" % self.method
        text = text.encode() + self.body + b"\n"
        for name in sorted(last):
            text += ("%s:%s\n" % (name, last[name])).encode("latin-1")
        target = self.target
        if target.lower().startswith("http://"):
            target = target[7:]
            cut = min(target.find(c) % (len(target) + 1) for c in "/?")
            target = target[cut:]
            if not target.startswith("/"):
                target = "/" + target
        path, _, query = target.partition("?")
        pairs = [p.partition("=") for p in query.split("&")]
        pairs = {n.lower() + v: n.lower() + (v and "=" + v)
                 for n, _, v in pairs if n}
        text += ("%s\n%s" % (path, "&".join(
            pairs[p] for p in sorted(pairs)))).encode("latin-1")
        mac = hmac.new(bytes.fromhex(key["key"]), text, hashlib.sha256)
        return "%s %s %s" % (SCHEME, key["guid"], mac.hexdigest())

    def add_authorization(self):
        rng = self.rng
        good = self.value(self.key)
        flip = rng.randrange(len(SCHEME) + 38, len(good))
        odd = [self.value(self.other),
               self.value(dict(self.other, guid=self.key["guid"])),
               self.value(dict(self.key, guid=self.other["guid"])),
               good[:flip] + ("1" if good[flip] != "1" else "2")
               + good[flip + 1:],
               good[:-1], good + "0", "", SCHEME, good.lower(),
               good.replace(SCHEME, "Azure-HMAC-SHA512"),
               good[:-64] + good[-64:].upper(), good.replace(" ", "  "),
               good[:-64] + "0" * 64]
        kind = rng.random()
        if kind < 0.15:
            return
        value = good if kind < 0.7 else rng.choice(odd)
        name = rng.choice([AUTH, AUTH.title()])
        self.lines.insert(rng.randrange(len(self.lines) + 1), (name, value))
        if rng.random() < 0.05:
            self.lines.append((AUTH, rng.choice([good, odd[0]])))

    def alter(self):
        """Something on the way changes what was signed."""
        rng = self.rng
        what = rng.choice(["method", "target", "line", "more", "order",
                           "body", "none"])
        if what == "method":
            self.method = "GET" if self.method == "OPTIONS" else "OPTIONS"
        elif what == "target":
            self.target = rng.choice(TARGETS)
        elif what == "line":
            i = rng.randrange(len(self.lines))
            if self.lines[i][0].lower() not in (AUTH, "content-length",
                                                "transfer-encoding"):
                self.lines[i] = (self.lines[i][0], "changed")
        elif what == "more":
            self.lines.append(rng.choice(LINES))
        elif what == "order":  # of these it is no matter
            self.lines.reverse()
        elif what == "body" and self.body:
            i = rng.randrange(len(self.body))
            self.body = (self.body[:i] + bytes([self.body[i] ^ 1])
                         + self.body[i + 1:])

    def bytes(self, spoil=None):
        version = "HTTP/1.0" if self.rng.random() < 0.05 else "HTTP/1.1"
        end = "\n" if self.rng.random() < 0.03 else "\r\n"
        blank = self.rng.choice(["", " ", "\t "])
        # behind a length the library takes a blank amiss
        lines = ["%s:%s%s%s" % (n, blank, v, blank if n not in FRAMING else "")
                 for n, v in self.lines]
        if spoil:
            lines.append(spoil)
        head = [" ".join((self.method, self.target, version))] + lines
        return (end.join(head) + end * 2).encode("latin-1") + self.framed()


def make(rng, key, other):
    made = Made(rng, key, other)
    spoil = None
    if rng.random() < 0.05:
        made.target = rng.choice(BAD_TARGETS)
    made.add_date()
    made.add_authorization()
    if rng.random() < 0.2:
        made.alter()
    if rng.random() < 0.05:
        spoil = rng.choice(BAD_LINES)
    if rng.random() < 0.01:
        made.lines += [("x-many", "1")] * 101
    if rng.random() < 0.02:
        made.lines = [x for x in made.lines if x[0] != "Host"]
    return made.method, made.bytes(spoil)


class Line:
    """A connection that is opened again when the host has closed it."""

    def __init__(self, host, port):
        self.host, self.port, self.socket, self.file = host, port, None, None
        self.sent = []

    def close(self):
        if self.socket:
            self.file.close()
            self.socket.close()
        self.socket = None

    def send(self, requests):
        """All at once, then all answers."""
        if not self.socket:
            self.socket = self.host.connect(self.port)
            self.file = self.socket.makefile("rb")
            self.sent.append(b"")
        data = b"".join(raw for _, raw in requests)
        self.sent[-1] += data
        try:
            self.socket.sendall(data)
            for method, _ in requests:
                if not self.answered(method):
                    self.close()
                    return
        except (ConnectionError, socket.timeout):
            self.close()

    def answered(self, method):
        """False: the connection is at its end."""
        status, headers = self.head()
        while status and 100 <= status < 200:
            status, headers = self.head()
        if not status:
            return False
        if method == "HEAD" or status in (204, 304):
            pass
        elif headers.get(b"transfer-encoding"):
            while int(self.file.readline() or b"0", 16):
                pass
        else:
            self.file.read(int(headers[b"content-length"]))
        return headers.get(b"connection") != b"close"

    def head(self):
        first = self.file.readline()
        headers = {}
        for raw in iter(self.file.readline, b"\r\n"):
            if not raw:
                return None, headers
            name, _, value = raw.partition(b":")
            headers[name.lower()] = value.strip().lower()
        return int(first.split()[1]), headers


def drive(h, rng, key, other, count):
    """Some requests, many of them one after the other on a connection."""
    lines = [Line(h, port) for port in PORTS]
    while count > 0:
        line = rng.choice(lines)
        batch = [make(rng, key, other)
                 for _ in range(rng.choice([1, 1, 1, 4]))]
        line.send(batch)
        count -= len(batch)
        if rng.random() < 0.2:
            line.close()
    for line in lines:
        line.close()
    return lines


def recorded(path):
    with open(path, encoding="ascii") as f:
        return verifier.connections(f)


def entries(h):
    """Connection -> its requests as the journal has them."""
    found = {}
    for e in h.control("GET", "/journal").json()["requests"]:
        found.setdefault(e["connection"], []).append(e)
    return found


def agree(journal, record, keys):
    """Both say the same of each request; how often each word was said."""
    said = {}
    for number, data in record.items():
        mine = verifier.verdicts(data, keys(number), time.time())
        theirs = [e["verdict"] for e in journal.get(number, [])]
        expect(len(theirs) <= len(mine), True, (number, mine, theirs, data))
        for i, word in enumerate(mine):
            said[word] = said.get(word, 0) + 1
            if word == "refused":
                # by its head, unread, or by the library without a word
                expect(theirs[i:] in ([], ["unsigned"]), True,
                       (data[:500], theirs[i:]))
            else:
                expect(theirs[i:i + 1], [word],
                       (journal.get(number, [])[i:i + 1], data[:2000]))
    expect(set(journal) - set(record), set())
    return said


@case
def verifier_has_the_worked_example():
    request = verifier.Request(
        b"GET", b"/metadata/instance?api-version=2021-02-01&format=json",
        [(b"accept", b"*/*"), (b"host", b"169.254.169.254"),
         (b"metadata", b"true"), (b"user-agent", b"curl/8.5.0"),
         (b"x-ms-azure-host-claims", b'{ "isRoot": "false"}'),
         (b"x-ms-azure-host-date", b"Wed, 23 Apr 2025 12:00:00 GMT")])
    key = {"key": "4A404E635266556A586E3272357538782F413F4428472B4B62506453"
                  "67566B59"}
    expect(verifier.signature(request, key), b"13750084151509ba36adee0b633c8"
           b"438723d6799434e4c90ec2dc95983c8f323")


@case
def record_has_every_byte_received():
    rng = random.Random(SEED + 1)
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "record")
        with Host("--record", path) as h:
            sent = []
            for i in range(20):
                data = rng.randbytes(rng.choice([1, 100, 70000]))
                data = b"PUT /msp-host/echo?%d HTTP/1.1\r\nhost: h\r\n" \
                    b"content-length: %d\r\n\r\n" % (i, len(data)) + data
                h.raw(rng.choice(PORTS), data)
                sent.append(data)
            h.raw("ctl", b"GET /state HTTP/1.0\r\n\r\n")
        expect(sorted(recorded(path).values()), sorted(sent))
        expect(os.stat(path).st_mode & 0o777, 0o600)


@case
def every_verdict_is_that_of_an_independent_verifier():
    rng = random.Random(SEED)
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "record")
        with Host("--record", path, "--mode", "imds=Audit") as h:
            key = h.latch()
            other = {"guid": "0" * 8 + key["guid"][8:], "key": "5A" * 32}
            drive(h, rng, key, other, 700)
            h.control("POST", "/key/reset")
            reset = max(recorded(path))
            drive(h, rng, key, other, 60)
            none = max(recorded(path))
            new = h.latch()
            drive(h, rng, new, key, 200)
            said = agree(entries(h), recorded(path), lambda number: (
                key if number <= reset else None if number <= none else new))
    # each word often enough to mean something
    for word, least in (("verified", 200), ("bad", 200), ("unsigned", 50),
                        ("refused", 30)):
        expect(said.get(word, 0) >= least, True, said)
