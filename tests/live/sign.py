# SPDX-License-Identifier: MIT
"""
In: requests as the host received them, and the key. Out: the authorization
value they must carry (spec 6.9). Written from the specification alone: must
never share a line with the library it checks.
"""
import base64
import hashlib
import hmac
import json
import re

import wire

AUTHORIZATION = b"x-ms-azure-host-authorization"
SHAPE = re.compile(rb"Azure-HMAC-SHA256 ([0-9A-Fa-f-]{36}) ([0-9a-f]{64})")


def header_lines(headers):
    last = {}
    for name, value in headers:
        last[name.lower()] = value.strip(b" \t")
    last.pop(AUTHORIZATION, None)
    return b"".join(n + b":" + last[n] + b"\n" for n in sorted(last))


def parameters(query):
    pieces = {}
    for piece in query.split(b"&"):
        name, _, value = piece.partition(b"=")
        if name:
            name = name.lower()
            pieces[name + value] = name + b"=" + value if value else name
    return b"&".join(pieces[key] for key in sorted(pieces))


def string_to_sign(request):
    path, _, query = request.target.partition(b"?")
    return (request.method + b"\n" + request.body + b"\n" +
            header_lines(request.headers) + path + b"\n" + parameters(query))


def signature(request, key):
    return hmac.new(key, string_to_sign(request),
                    hashlib.sha256).hexdigest().encode()


def recorded(path):
    """Requests by endpoint, read strictly from what the host recorded."""
    streams = {}
    with open(path, "rb") as f:
        for line in f:
            entry = json.loads(line)
            name = (entry["connection"], entry["endpoint"])
            streams.setdefault(name, []).append(
                base64.b64decode(entry["bytes"], validate=True))
    for (_, endpoint), pieces in streams.items():
        for request in wire.parse_requests(b"".join(pieces)):
            yield endpoint, request


def claimed(request):
    """Guid and signature that a request carries, or None."""
    given = wire.values(request.headers, AUTHORIZATION)
    if not given:
        return None
    if len(given) != 1 or not SHAPE.fullmatch(given[0]):
        raise wire.Malformed(given)
    return SHAPE.fullmatch(given[0]).groups()
