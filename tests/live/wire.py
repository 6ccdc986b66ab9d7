# SPDX-License-Identifier: MIT
"""
In: bytes. Out: HTTP/1.1 requests and answers, as bytes, strictly read. Must
never repair anything: what is not exactly HTTP/1.1 is an error.
"""
import re
import socket
from collections import namedtuple

Answer = namedtuple("Answer", "version status reason headers body")
Request = namedtuple("Request", "method target version headers body")

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
TARGET = re.compile(rb"[\x21-\x7e]+")


class Malformed(ValueError):
    """Not HTTP/1.1."""


class Incomplete(ValueError):
    """More bytes are needed."""


def request(method, target, host, headers=(), body=None, chunks=None):
    """One request; chunks is a list of pieces for a chunked body."""
    target = target.encode() if isinstance(target, str) else target
    lines = [method + b" " + target + b" HTTP/1.1"]
    if host is not None:
        host = host.encode() if isinstance(host, str) else host
        lines.append(b"Host: " + host)
    lines += [name + b": " + value for name, value in headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    data = body or b""
    if chunks is not None:
        lines.append(b"Transfer-Encoding: chunked")
        data = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks if c)
        data += b"0\r\n\r\n"
    return b"\r\n".join(lines) + b"\r\n\r\n" + data


def parse_headers(lines):
    headers = []
    for line in lines:
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if not colon or not TOKEN.fullmatch(name) or \
                not VALUE.fullmatch(value):
            raise Malformed(line)
        headers.append((name.lower(), value))
    return headers


def split_head(data):
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise Incomplete
    lines = data[:end].split(b"\r\n")
    if any(b"\n" in line or b"\r" in line for line in lines):
        raise Malformed("bare CR or LF")
    return lines[0], parse_headers(lines[1:]), data[end + 4:]


def values(headers, name):
    return [v for n, v in headers if n == name]


def take(data, length):
    if len(data) < length:
        raise Incomplete
    return data[:length], data[length:]


def read_chunks(data):
    """Never copies what follows: bodies of many chunks would take for ever."""
    body, at = [], 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            raise Incomplete
        size = data[at:end]
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size):
            raise Malformed(size)
        length = int(size, 16)
        at = end + 2 + length
        if len(data) < at + 2:
            raise Incomplete
        if data[at:at + 2] != b"\r\n":
            raise Malformed("chunk without end")
        at += 2
        if length == 0:
            return b"".join(body), data[at:]
        body.append(data[end + 2:at - 2])


def framing(headers):
    """Length, "chunked", or None."""
    lengths = values(headers, b"content-length")
    codings = values(headers, b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise Malformed("two framings")
    if codings:
        if codings[0] != b"chunked":
            raise Malformed(codings[0])
        return "chunked"
    if lengths:
        if not lengths[0].isdigit():
            raise Malformed(lengths[0])
        return int(lengths[0])
    return None


def read_body(headers, data, at_end=None):
    """Body and rest; at_end: the connection is closed (None: a request)."""
    frame = framing(headers)
    if frame == "chunked":
        return read_chunks(data)
    if frame is not None:
        return take(data, frame)
    if at_end is None:
        return b"", data
    if not at_end:
        raise Incomplete
    return data, b""


def parse_request(data):
    """First request in data, and the rest."""
    line, headers, rest = split_head(data)
    fields = line.split(b" ")
    if len(fields) != 3 or not TOKEN.fullmatch(fields[0]) or \
            not TARGET.fullmatch(fields[1]) or fields[2] != b"HTTP/1.1":
        raise Malformed(line)
    if len(values(headers, b"host")) != 1:
        raise Malformed("not one Host")
    body, rest = read_body(headers, rest)
    return Request(fields[0], fields[1], fields[2], headers, body), rest


def parse_requests(data):
    out = []
    while data:
        one, data = parse_request(data)
        out.append(one)
    return out


def parse_answer(data, is_head, at_end):
    line, headers, rest = split_head(data)
    match = re.fullmatch(rb"(HTTP/1\.[01]) ([0-9]{3}) (.*)", line)
    if not match:
        raise Malformed(line)
    status = int(match.group(2))
    if is_head or status in (204, 304) or status < 200:
        body = b""
    else:
        body, rest = read_body(headers, rest, at_end)
    return Answer(match.group(1), status, match.group(3), headers, body), rest


def final_answer(data, is_head, at_end):
    """Skips 1xx answers."""
    while True:
        answer, data = parse_answer(data, is_head, at_end)
        if answer.status >= 200:
            return answer, data


def connect(address, v6=False, timeout=20, source=None):
    """source: address to connect from, None: the kernel's choice."""
    if v6:
        s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        address = ("::ffff:" + address[0], address[1])
    else:
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(timeout)
    if source:
        s.bind((source, 0))
    s.connect(address)
    return s


def receive(s, data, is_head):
    """One answer and what follows it; None if closed without an answer."""
    at_end = False
    while True:
        try:
            return final_answer(data, is_head, at_end)
        except Incomplete:
            if at_end:
                if data:
                    raise Malformed("answer cut short") from None
                return None, b""
        try:
            piece = s.recv(1 << 20)
        except ConnectionResetError:
            piece = b""
        at_end = not piece
        data += piece


def talk(address, requests, v6=False, timeout=20, source=None):
    """Answers to requests sent one after the other on one connection; an
    answer is None, the last, if the connection was closed without one."""
    answers = []
    rest = b""
    with connect(address, v6, timeout, source) as s:
        for data in requests:
            try:
                s.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # an early answer may still be there
            answer, rest = receive(s, rest, data.startswith(b"HEAD "))
            answers.append(answer)
            if answer is None:
                break
    return answers
