#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: nothing. Out: signer.vectors, messages with what must be signed for them
(spec 6.9). Written from the specification alone: must never share a line with
the library it checks, nor give other messages on another Python.

    signer_vectors.py           write signer.vectors beside this file
    signer_vectors.py --check   exit 1 if that file is not what we would write

One vector per line, nine fields with a blank between, all but the first in
hex, "-" for an empty one:

    label guid key method target headers body string-to-sign signature

headers is name:value[,name:value...]; guid is text, its hex that of the text.
"""
import hashlib
import hmac
import os
import sys

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                    "signer.vectors")
AUTHORIZATION = b"x-ms-azure-host-authorization"
MAX_HEADERS = 100

LOWER = b"abcdefghijklmnopqrstuvwxyz"
UPPER = LOWER.upper()
DIGITS = b"0123456789"
TOKEN = LOWER + UPPER + DIGITS + b"!#$%&'*+-.^_`|~"
VISIBLE = bytes(range(0x21, 0x7f))
HIGH = bytes(range(0x80, 0x100))
# Of a target; "#" would start a fragment, which is refused.
PATH_BYTES = LOWER + UPPER + DIGITS + b"/-._~%!$&'()*+,;=:@"
QUERY_BYTES = LOWER + UPPER + DIGITS + b"-._~%!$'()*+,;:@/?"


# ---- the specification ----------------------------------------------------

def is_blank(byte):
    return byte in (0x20, 0x09)


def trimmed(value):
    start, end = 0, len(value)
    while start < end and is_blank(value[start]):
        start += 1
    while end > start and is_blank(value[end - 1]):
        end -= 1
    return value[start:end]


def ascii_lower(text):
    return bytes(b + 32 if 65 <= b <= 90 else b for b in text)


def header_lines(headers):
    names = {ascii_lower(name) for name, _ in headers} - {AUTHORIZATION}
    lines = []
    for wanted in sorted(names):
        values = [v for name, v in headers if ascii_lower(name) == wanted]
        lines.append(wanted + b":" + trimmed(values[-1]) + b"\n")
    return b"".join(lines)


def path_and_query(target):
    at = target.find(b"?")
    before = target if at < 0 else target[:at]
    query = b"" if at < 0 else target[at + 1:]
    if before.startswith(b"/") or target == b"*":
        return before, query
    authority = before.index(b"://") + 3
    slash = before.find(b"/", authority)
    return (b"/" if slash < 0 else before[slash:]), query


def parameters(query):
    """A piece that comes later with the same sort key replaces the first."""
    found = []
    for piece in query.split(b"&"):
        at = piece.find(b"=")
        name = ascii_lower(piece if at < 0 else piece[:at])
        value = b"" if at < 0 else piece[at + 1:]
        if not name:
            continue
        found = [p for p in found if p[0] + p[1] != name + value]
        found.append((name, value))
    found.sort(key=lambda p: p[0] + p[1])
    return b"&".join(n + b"=" + v if v else n for n, v in found)


def string_to_sign(message):
    path, query = path_and_query(message["target"])
    return (message["method"] + b"\n" + message["body"] + b"\n" +
            header_lines(message["headers"]) + path + b"\n" +
            parameters(query))


# ---- chance: the same on every Python, unlike its random module -----------

class Dice:
    def __init__(self, seed):
        self.seed = seed
        self.turn = 0

    def bytes(self, n):
        out = b""
        while len(out) < n:
            out += hashlib.sha256(b"%s %d" % (self.seed, self.turn)).digest()
            self.turn += 1
        return out[:n]

    def below(self, n):
        return int.from_bytes(self.bytes(8), "big") % n

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def pick(self, things):
        return things[self.below(len(things))]

    def text(self, alphabet, low, high):
        return bytes(alphabet[b % len(alphabet)]
                     for b in self.bytes(self.between(low, high)))

    def mixed_case(self, text):
        coins = self.bytes(len(text))
        return bytes(ord(chr(b).upper()) if c & 1 else b
                     for b, c in zip(text, coins))

    def shuffled(self, things):
        rest, out = list(things), []
        while rest:
            out.append(rest.pop(self.below(len(rest))))
        return out


# ---- parts of messages ----------------------------------------------------

COMMON = [b"host", b"accept", b"user-agent", b"metadata", b"content-length",
          b"content-type", b"x-ms-version", b"x-ms-azure-host-claims",
          b"x-ms-azure-host-date", b"x-ms-client-request-id", b"connection"]
METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH",
           b"get", b"Get", b"M-SEARCH", b"!#$%&'*+-.^_`|~"]


def value(d):
    return d.text(VISIBLE + b" \t", 0, 24)


def distinct_headers(d, n):
    names = d.shuffled(COMMON)[:n]
    while len(names) < n:
        names.append(b"x-%d-" % len(names) + d.text(LOWER + DIGITS, 0, 5))
    return [(d.mixed_case(name), value(d)) for name in d.shuffled(names)]


def param(d):
    return d.text(QUERY_BYTES, 1, 6) + b"=" + d.text(QUERY_BYTES, 0, 6)


def path(d):
    return b"/" + d.text(PATH_BYTES, 0, 20)


def plain(d):
    query = b"&".join(param(d) for _ in range(d.below(4)))
    return {"method": d.pick(METHODS[:3]), "body": b"",
            "target": path(d) + (b"?" + query if query else b""),
            "headers": distinct_headers(d, d.between(0, 6))}


def with_query(d, pieces):
    return {**plain(d), "target": path(d) + b"?" + b"&".join(pieces)}


# ---- the families; the name of each says what is odd ----------------------

def duplicate_headers(d):
    m = plain(d)
    name = d.pick(COMMON)
    twins = [(d.mixed_case(name), value(d))
             for _ in range(d.between(2, 5))]
    return {**m, "headers": d.shuffled(m["headers"] + twins)}


def last_duplicate_empty(d):
    m = plain(d)
    name = d.mixed_case(b"x-twice")
    return {**m, "headers": [(name, value(d))] + m["headers"] +
            [(d.mixed_case(b"X-Twice"), d.pick([b"", b" ", b"\t \t"]))]}


def blanks(d):
    return d.text(b" \t", 0, 4)


def blanks_around_values(d):
    return {**plain(d), "headers": [
        (name, blanks(d) + value(d) + blanks(d))
        for name, _ in distinct_headers(d, d.between(1, 6))]}


def empty_values(d):
    return {**plain(d), "headers": [
        (name, d.pick([b"", b" ", b"\t", b" \t  "]))
        for name, _ in distinct_headers(d, d.between(1, 6))]}


def high_bytes_in_values(d):
    edge = [b"\xa0", b"\x85", b"\xc2\xa0", b"\xe3\x80\x80", b"\xff"]
    return {**plain(d), "headers": [
        (name, d.pick(edge) + d.text(HIGH + VISIBLE, 0, 12) + d.pick(edge))
        for name, _ in distinct_headers(d, d.between(1, 4))]}


def names_of_odd_token_bytes(d):
    m = plain(d)
    names = {ascii_lower(d.text(TOKEN, 1, 4)) for _ in range(12)}
    return {**m, "headers": [(d.mixed_case(n), value(d))
                             for n in d.shuffled(sorted(names))]}


def names_that_prefix_each_other(d):
    stem = d.text(LOWER, 1, 3)
    names = [stem + tail for tail in (b"", b"-", b"-a", b"a", b"_", b"~",
                                      b"0", b"!", b"aa")]
    return {**plain(d), "headers": [(d.mixed_case(n), value(d))
                                    for n in d.shuffled(names)]}


def authorization_left_out(d):
    m = plain(d)
    odd = [AUTHORIZATION, AUTHORIZATION + b"x", AUTHORIZATION[:-1]]
    odd += [AUTHORIZATION] * d.below(3)
    return {**m, "headers": d.shuffled(
        m["headers"] + [(d.mixed_case(n), value(d)) for n in odd])}


def many_headers(d):
    n = d.pick([31, 32, 33, 34, 62, 63, 99, MAX_HEADERS])
    headers = [(n, v[:4]) for n, v in distinct_headers(d, n)]
    for _ in range(d.below(8)):
        headers[d.below(n)] = (d.mixed_case(d.pick(headers)[0].lower()),
                               value(d))
    return {**plain(d), "headers": headers}


def bodies(d):
    m = plain(d)
    odd = [b"\0", b"\n", b"\r\n", b"\n\n/x\n", b"\xff\xfe", b"a=b&c"]
    body = b"".join(d.pick(odd) + d.text(bytes(range(256)), 0, 10)
                    for _ in range(d.between(1, 6)))
    return {**m, "method": d.pick(METHODS[2:5]), "body": body}


def long_body(d):
    # around the block of SHA-256, and so on
    n = d.pick([54, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 300])
    return {**plain(d), "method": b"POST", "body": d.bytes(n)}


def methods(d):
    return {**plain(d), "method": d.pick(METHODS)}


def duplicate_parameters(d):
    base = [param(d) for _ in range(d.between(1, 3))]
    return with_query(d, d.shuffled(base * d.between(2, 3)))


def parameter_case(d):
    name, val = d.text(LOWER, 1, 4), d.text(LOWER, 0, 3)
    pieces = [d.mixed_case(name) + b"=" + d.mixed_case(val)
              for _ in range(d.between(2, 6))]
    return with_query(d, pieces)


def key_collisions(d):
    text = d.text(LOWER + DIGITS, 2, 6)
    pieces = [text[:i] + b"=" + text[i:] for i in range(len(text) + 1)]
    pieces += [text, d.mixed_case(text)]
    return with_query(d, d.shuffled(pieces)[:d.between(2, len(pieces))])


def order_without_separator(d):
    pieces = [b"a=9", b"a=10", b"a2=0", b"a-b=c", b"a=z", b"a", b"a=", b"aa",
              b"A=B", b"a==", b"a=b=c", b"ab==c", b"a=%62", b"a%62"]
    return with_query(d, d.shuffled(pieces)[:d.between(3, len(pieces))])


def empty_names(d):
    pieces = [b"", b"=", b"=x", b"==", b"=a=b", b"b", b"b=", b"c=1", b"="]
    return with_query(d, d.shuffled(pieces)[:d.between(1, len(pieces))])


def equals_and_nothing(d):
    name = d.text(LOWER, 1, 2)
    pieces = [name, name + b"=", name.upper(), name.upper() + b"=",
              name + b"=="]
    return with_query(d, d.shuffled(pieces)[:d.between(1, len(pieces))])


def escapes_untouched(d):
    pieces = [b"%41=%61", b"%4a=%4A", b"a+b=c+d", b"a%20b=c%20d", b"%=%", b"+",
              b"%zz=%", b"a%26b=c%3Dd", b"a%00=%00", b"%2F=/", b"q=?", b"?=?"]
    m = with_query(d, d.shuffled(pieces)[:d.between(1, len(pieces))])
    at = d.pick([b"/%41", b"/a+b", b"/%2F%2f", b"/a//b", b"/.", b"/A/../B"])
    return {**m, "target": at + m["target"]}


def many_parameters(d):
    n = d.pick([31, 32, 33, 34, 64, 65, 150])
    return with_query(d, [d.text(b"abAB12", 1, 2) + b"=" + d.text(b"ab12", 0, 2)
                          for _ in range(n)])


def high_bytes_in_target(d):
    m = with_query(d, [d.text(b"aAb", 1, 2) + b"=" + d.text(HIGH + LOWER, 1, 4)
                       for _ in range(d.between(2, 8))])
    return {**m, "target": b"/" + d.text(HIGH, 1, 4) + m["target"]}


def bare_question_mark(d):
    tail = d.pick([b"?", b"??", b"?&", b"?&&", b"?=", b"?/", b"?a", b"?&a&"])
    return {**plain(d), "target": path(d) + tail}


def absolute_form(d):
    m = plain(d)
    scheme = d.mixed_case(d.pick([b"http", b"https"]))
    host = d.pick([b"169.254.169.254", b"h:80", b"[::1]:80", b"u@H", b"x"])
    query = b"&".join(param(d) for _ in range(d.below(3)))
    tail = d.pick([b"", b"/", path(d), b"/a://b/c"])
    if query or d.below(2):
        tail += b"?" + query
    return {**m, "target": scheme + b"://" + host + tail}


def absolute_form_slash_in_query_only(d):
    tail = d.pick([b"?a=/b", b"?/", b"?u=http://x/y", b"?//"])
    return {**plain(d), "target": b"http://" + d.text(LOWER, 1, 4) + tail}


def origin_form_like_absolute(d):
    target = d.pick([b"/http://a/b", b"//a/b", b"/?u=http://a/b", b"/*", b"/",
                     b"/:", b"/a:b//c?d://e"])
    return {**plain(d), "target": target}


def asterisk(d):
    return {**plain(d), "method": d.pick([b"OPTIONS", b"GET"]), "target": b"*"}


def everything(d):
    n = d.between(0, 20)
    pool = [d.mixed_case(d.pick(COMMON + [b"x-1", b"x-2", AUTHORIZATION]))
            for _ in range(n)]
    query = b"&".join(d.text(b"aAbB=%+", 0, 5)
                      for _ in range(d.between(0, 12)))
    return {"method": d.pick(METHODS),
            "target": path(d) + d.pick([b"", b"?", b"?" + query]),
            "headers": [(name, d.text(VISIBLE + HIGH + b" \t", 0, 10))
                        for name in pool],
            "body": d.bytes(d.pick([0, 0, 1, 17]))}


FAMILIES = [
    (plain, 20), (duplicate_headers, 25), (last_duplicate_empty, 8),
    (blanks_around_values, 20), (empty_values, 12),
    (high_bytes_in_values, 16), (names_of_odd_token_bytes, 10),
    (names_that_prefix_each_other, 8), (authorization_left_out, 10),
    (many_headers, 16), (bodies, 25), (long_body, 16), (methods, 15),
    (duplicate_parameters, 20), (parameter_case, 20), (key_collisions, 30),
    (order_without_separator, 20), (empty_names, 20),
    (equals_and_nothing, 15), (escapes_untouched, 20), (many_parameters, 14),
    (high_bytes_in_target, 10), (bare_question_mark, 10),
    (absolute_form, 25), (absolute_form_slash_in_query_only, 6),
    (origin_form_like_absolute, 8), (asterisk, 5), (everything, 60),
]


# ---- the file -------------------------------------------------------------

def guid_text(d):
    digits = d.bytes(16).hex()
    if d.below(2):
        digits = digits.upper()
    cut = (0, 8, 12, 16, 20, 32)
    return "-".join(digits[a:b] for a, b in zip(cut, cut[1:])).encode()


def field(data):
    return data.hex() or "-"


def line(label, guid, key, m):
    assert len(m["headers"]) <= MAX_HEADERS
    text = string_to_sign(m)
    headers = ",".join(n.hex() + ":" + v.hex() for n, v in m["headers"])
    mac = hmac.new(key, text, hashlib.sha256).hexdigest()
    return " ".join([label, field(guid), field(key), field(m["method"]),
                     field(m["target"]), headers or "-", field(m["body"]),
                     field(text), field(mac.encode())])


def generate():
    yield "# Made by signer_vectors.py, which says what the fields are."
    for family, count in FAMILIES:
        for i in range(count):
            name = family.__name__
            d = Dice(b"%s %d" % (name.encode(), i))
            yield line(f"{name}_{i}", guid_text(d), d.bytes(32), family(d))


def worked_example_holds():
    """The example the specification gives, before anything is derived."""
    key = bytes.fromhex("4A404E635266556A586E3272357538782F413F4428472B4B"
                        "6250645367566B59")
    text = string_to_sign({
        "method": b"GET", "body": b"",
        "target": b"/metadata/instance?format=json&api-version=2021-02-01",
        "headers": [(b"Host", b"169.254.169.254"),
                    (b"User-Agent", b"curl/8.5.0"), (b"Accept", b"*/*"),
                    (b"Metadata", b"true "),
                    (b"x-ms-azure-host-claims", b'{ "isRoot": "false"}'),
                    (b"x-ms-azure-host-date",
                     b"Wed, 23 Apr 2025 12:00:00 GMT")]})
    return hmac.new(key, text, hashlib.sha256).hexdigest() == (
        "13750084151509ba36adee0b633c8438723d6799434e4c90ec2dc95983c8f323")


def main(args):
    if args not in ([], ["--check"]):
        sys.exit("usage: signer_vectors.py [--check]")
    if not worked_example_holds():
        sys.exit("signer_vectors.py: the example of spec 6.9 does not hold")
    text = "\n".join(generate()) + "\n"
    if not args:
        with open(PATH, "w", encoding="ascii") as f:
            f.write(text)
        return
    with open(PATH, encoding="ascii") as f:
        if f.read() != text:
            sys.exit(f"{PATH}: not what signer_vectors.py writes")


if __name__ == "__main__":
    main(sys.argv[1:])
