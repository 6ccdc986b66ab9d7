# SPDX-License-Identifier: MIT
"""
In: the raw bytes that a host received, as msp-host --record has them, and the
key. Out: for each request whether its signature is good. Must never use what
it checks: neither msp-host's or libmsp's code, nor an HTTP library.

Requests are taken apart as RFC 9112 has it, and refused where two readers
could see two things. What is signed is written from the protocol's grammar.
"""
import base64
import calendar
import hashlib
import hmac
import json
import re
import time

SCHEME = b"Azure-HMAC-SHA256"
AUTH = b"x-ms-azure-host-authorization"
DATE = b"x-ms-azure-host-date"
WINDOW = 300
BODY_MAX = 100 * 1024
TARGET_MAX = 65534
LINES_MAX = 100

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
TARGET = re.compile(rb"[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+")
FORM = re.compile(rb"/|\*$|[A-Za-z][A-Za-z0-9+.-]*://")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
CREDENTIALS = re.compile(rb"(\S+) ([0-9A-Fa-f-]{36}) ([0-9a-f]{64})")
DAYS = "Mon Tue Wed Thu Fri Sat Sun".split()
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


class Refused(Exception):
    """No request that could be judged; nothing behind it can be read."""


class Incomplete(Exception):
    """The bytes end within it."""


class Request:
    """method, target: bytes. lines: (name in lower case, value), in order.
    body: after transfer decoding. last: what follows is no request."""

    def __init__(self, method, target, lines, version=b"HTTP/1.1"):
        self.method, self.target, self.lines = method, target, lines
        self.body = b""
        options = b",".join(self.values(b"connection")).lower()
        options = {option.strip() for option in options.split(b",")}
        self.last = b"close" in options or (
            version == b"HTTP/1.0" and b"keep-alive" not in options)

    def values(self, name):
        return [value for seen, value in self.lines if seen == name]


class Reader:
    """The bytes of one connection."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if len(self.data) - self.at < count:
            raise Incomplete
        self.at += count
        return self.data[self.at - count:self.at]

    def line(self):
        """A lone LF ends a line, too (RFC 9112 2.2)."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise Incomplete
        line = self.take(end + 1 - self.at)[:-1]
        return line[:-1] if line.endswith(b"\r") else line


def read_head(reader):
    line = reader.line()
    while not line:  # RFC 9112 2.2
        line = reader.line()
    words = line.split(b" ")
    if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise Refused("request line")
    lines = []
    while True:
        line = reader.line()
        if not line:
            break
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.fullmatch(name):
            raise Refused("header name")
        value = value.strip(b" \t")
        if not VALUE.fullmatch(value):
            raise Refused("header value")
        lines.append((name.lower(), value))
    request = Request(words[0], words[1], lines, words[2])
    check_head(request, words[2])
    return request


def check_head(request, version):
    hosts = len(request.values(b"host"))
    if not TOKEN.fullmatch(request.method):
        raise Refused("method")
    if not TARGET.fullmatch(request.target) or \
            len(request.target) > TARGET_MAX:
        raise Refused("target")
    if not FORM.match(request.target):
        raise Refused("target")
    if hosts > 1 or (not hosts and version == b"HTTP/1.1"):
        raise Refused("Host")
    if len(request.lines) > LINES_MAX:
        raise Refused("too many lines")


def origin(request):
    """Path and query of the target; nothing if it has none, which can be read
    but not signed."""
    target = request.target
    if target.startswith(b"/") or target == b"*":
        return target
    absolute = re.fullmatch(rb"(?i:http)://[^/?#]+(.*)", target)
    if not absolute:
        return b""
    rest = absolute.group(1)
    return rest if rest.startswith(b"/") else b"/" + rest


def read_body(reader, request):
    coding = request.values(b"transfer-encoding")
    length = request.values(b"content-length")
    if len(coding) + len(length) > 1:
        raise Refused("two lengths")
    if coding:
        if coding[0].lower() != b"chunked":
            raise Refused("transfer coding")
        return read_chunks(reader)
    if length:
        if not re.fullmatch(rb"[0-9]{1,18}", length[0]):
            raise Refused("length")
        if int(length[0]) > BODY_MAX and not exempt(request):
            raise Refused("too long")
        return reader.take(int(length[0]))
    return b""


def read_chunks(reader):
    body = b""
    while True:
        size = reader.line().partition(b";")[0]
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size):
            raise Refused("chunk")
        if not int(size, 16):
            break
        body += reader.take(int(size, 16))
        if reader.line():
            raise Refused("chunk")
    while reader.line():
        pass  # trailers are not header lines
    return body


def exempt(request):
    return (request.method, request.target.lower()) in (
        (b"PUT", b"/vmagentlog"), (b"POST", b"/machine/?comp=telemetrydata"))


def parameters(query):
    """Sorted by name and value run together; of two that are the same then,
    the last."""
    found = {}
    for piece in query.split(b"&"):
        name, _, value = piece.partition(b"=")
        if name:
            found[name.lower() + value] = (name.lower(), value)
    return b"&".join(name + (b"=" + value if value else b"")
                     for _, (name, value) in sorted(found.items()))


def string_to_sign(request):
    path, _, query = origin(request).partition(b"?")
    last = {name: value for name, value in request.lines if name != AUTH}
    head = b"".join(b"%s:%s\n" % line for line in sorted(last.items()))
    return b"%s\n%s\n%s%s\n%s" % (request.method, request.body, head, path,
                                  parameters(query))


def signature(request, key):
    return hmac.new(bytes.fromhex(key["key"]), string_to_sign(request),
                    hashlib.sha256).hexdigest().encode()


def date(text):
    """Seconds since 1970 of an IMF-fixdate, the only form; or None."""
    form = re.fullmatch(rb"(\w{3}), (\d\d) (\w{3}) (\d{4}) "
                        rb"(\d\d):(\d\d):(\d\d) GMT", text)
    if not form:
        return None
    day, date_of, month, *rest = [part.decode() for part in form.groups()]
    if month not in MONTHS:
        return None
    fields = (int(rest[0]), MONTHS.index(month) + 1, int(date_of),
              int(rest[1]), int(rest[2]), int(rest[3]))
    seconds = calendar.timegm(fields)
    back = time.gmtime(seconds)
    good = tuple(back[:6]) == fields and DAYS[back.tm_wday] == day
    return seconds if good else None


def judge(request, key, now):
    """"unsigned", "verified" or "bad"."""
    values = request.values(AUTH)
    if not values:
        return "unsigned"
    credentials = CREDENTIALS.fullmatch(values[0])
    dates = request.values(DATE)
    then = date(dates[-1]) if dates else None
    # what is exempt is not kept, hence cannot be verified
    kept = not (exempt(request) and request.body)
    if len(values) == 1 and key and origin(request) and credentials and kept and \
            len(request.body) <= BODY_MAX and \
            credentials.group(1) == SCHEME and \
            credentials.group(2).decode().lower() == key["guid"].lower() and \
            hmac.compare_digest(credentials.group(3),
                                signature(request, key)) and \
            then is not None and abs(now - then) <= WINDOW:
        return "verified"
    return "bad"


def connections(lines):
    """Number of a connection -> its bytes, from lines of a record."""
    pieces = {}
    for line in lines:
        piece = json.loads(line)
        pieces.setdefault(piece["connection"], []).append(
            base64.b64decode(piece["bytes"], validate=True))
    return {number: b"".join(parts) for number, parts in pieces.items()}


def verdicts(data, key, now):
    """One word per request of a connection, "refused" for the one behind
    which nothing can be read."""
    reader, found = Reader(data), []
    while True:
        try:
            request = read_head(reader)
            request.body = read_body(reader, request)
        except Incomplete:
            return found
        except Refused:
            return found + ["refused"]
        found.append(judge(request, key, now))
        if request.last:
            return found
