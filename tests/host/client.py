# SPDX-License-Identifier: MIT
"""
In: an msp-host program. Out: one running on loopback, and calls to it, raw or
signed by an HMAC computed here. Must never use libmsp: it checks libmsp.
"""
import email.utils
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import tempfile
import time

HOST = "build/examples/msp-host/msp-host"
SCHEME = "Azure-HMAC-SHA256"
AUTH = "x-ms-azure-host-authorization"
DATE = "x-ms-azure-host-date"
CLAIMS = "x-ms-azure-host-claims"
NAMES = {"WireServer": "ws", "IMDS": "imds", "HostGAPlugin": "ga",
         "Control": "ctl"}


CASES = []


def case(function):
    """The function is a case: it raises if msp-host does not do as it says."""
    CASES.append(function)
    return function


def use(program):
    """Run this program, with the library it was built with."""
    global HOST
    HOST = os.path.abspath(program)
    build = os.path.dirname(os.path.dirname(os.path.dirname(HOST)))
    os.environ["LD_LIBRARY_PATH"] = build


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Host:
    """One msp-host; a context manager that also wants a clean exit."""

    def __init__(self, *options):
        self.at = {}
        self.complains = False  # a case that wants a word on stderr says so
        self.dir = tempfile.TemporaryDirectory()
        self.log = os.path.join(self.dir.name, "log")
        self.process = subprocess.Popen(
            [HOST, "--wireserver", "127.0.0.1:0", "--hostga", "127.0.0.1:0",
             "--imds", "127.0.0.1:0", "--control", "127.0.0.1:0",
             "--log", self.log, *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for raw in self.process.stdout:
            words = raw.decode().split()
            if words[1] == "ready":
                break
            ip, port = words[2].rsplit(":", 1)
            self.at[NAMES[words[1]]] = (ip, int(port))
        if len(self.at) != 4:
            raise AssertionError(self.process.stderr.read().decode())

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "killed"
        errors = self.process.stderr.read().decode()
        self.process.stdout.close()
        self.process.stderr.close()
        self.dir.cleanup()
        if kind is None:
            assert code == 0, (code, errors)
            assert bool(errors) == self.complains, errors

    def connect(self, port, source=None):
        """source: the address it comes from, which tells VMs apart."""
        return socket.create_connection(
            self.at[port], timeout=10,
            source_address=(source, 0) if source else None)

    def raw(self, port, data):
        """Send bytes as they are, return everything that comes back."""
        with self.connect(port) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            return read_all(s)

    def call(self, port, method, target, headers=(), body=b"", key=None,
             date=None, source=None):
        lines = [("host", "%s:%d" % self.at[port]), *headers]
        if body or method in ("POST", "PUT"):
            lines.append(("content-length", str(len(body))))
        if key:
            lines.append((CLAIMS, '{ "isRoot": "true"}'))
            if date != "":
                lines.append((DATE, date or now()))
            lines.append((AUTH, sign(key, method, target, lines, body)))
        with self.connect(port, source) as s:
            send_request(s, method, target, lines, body)
            return read_answer(s, method)

    def control(self, method, target, body=b""):
        return self.call("ctl", method, target, body=body)

    def acquire(self, **more):
        answer = self.call(
            "ws", "POST", "/secure-channel/key",
            [("metadata", "True "), ("content-type", "application/json")],
            b'{"authorizationScheme": "Azure-HMAC-SHA256"}', **more)
        return answer.json() if answer.status == 200 else answer

    def attest(self, key, **more):
        return self.call("ws", "POST", "/secure-channel/key/%s/key-attestation"
                         % key["guid"], [("metadata", "True ")], key=key,
                         **more)

    def latch(self, **more):
        key = self.acquire(**more)
        expect(self.attest(key, **more).status, 200)
        return key

    def status(self, **more):
        return self.call("ws", "GET", "/secure-channel/status", **more).json()

    def lines(self):
        with open(self.log) as f:
            return f.read().splitlines()


def now(offset=0):
    return email.utils.formatdate(time.time() + offset, usegmt=True)


def string_to_sign(method, target, headers, body):
    """Spec 6.9, written from the text and from nothing else."""
    last = {}
    for name, value in headers:
        last[name.lower()] = value.strip(" \t")
    last.pop(AUTH, None)
    out = method.encode() + b"\n" + body + b"\n"
    for name in sorted(last):
        out += ("%s:%s\n" % (name, last[name])).encode("latin-1")
    path, _, query = target.partition("?")
    if path.startswith("http://"):
        path = "/" + path[7:].partition("/")[2]
    params = {}
    for piece in query.split("&"):
        name, _, value = piece.partition("=")
        if name:
            params[name.lower() + value] = (name.lower(), value)
    texts = ["%s=%s" % nv if nv[1] else nv[0]
             for _, nv in sorted(params.items())]
    return out + path.encode() + b"\n" + "&".join(texts).encode()


def sign(key, method, target, headers, body):
    text = string_to_sign(method, target, headers, body)
    mac = hmac.new(bytes.fromhex(key["key"]), text, hashlib.sha256)
    return "%s %s %s" % (SCHEME, key["guid"], mac.hexdigest())


def send_request(s, method, target, lines, body):
    head = "%s %s HTTP/1.1\r\n" % (method, target)
    head += "".join("%s: %s\r\n" % line for line in lines) + "\r\n"
    s.sendall(head.encode("latin-1") + body)


def read_all(s):
    pieces = []
    while True:
        pieces.append(s.recv(65536))
        if not pieces[-1]:
            return b"".join(pieces)


def read_answer(s, method="GET"):
    f = s.makefile("rb")
    status = int(f.readline().split()[1])
    headers = {}
    for raw in iter(f.readline, b"\r\n"):
        if not raw:
            raise AssertionError("answer cut in its head")
        name, _, value = raw.decode().partition(":")
        expect(name.lower() in headers, False, name)
        headers[name.lower()] = value.strip()
    body = b""
    if method == "HEAD" or status == 204:
        pass
    elif headers.get("transfer-encoding") == "chunked":
        while True:
            n = int(f.readline(), 16)
            body += f.read(n)
            f.readline()
            if not n:
                break
    else:
        body = f.read(int(headers["content-length"]))
    return Answer(status, headers, body)


def expect(seen, wanted, what=""):
    if seen != wanted:
        raise AssertionError("%s saw %r, want %r" % (what, seen, wanted))


def pattern(count):
    return (bytes(range(251)) * (count // 251 + 1))[:count]


def ticks(process):
    """CPU time used so far, user and system, 1/100 s."""
    with open("/proc/%d/stat" % process.pid) as f:
        return sum(map(int, f.read().split()[13:15]))
