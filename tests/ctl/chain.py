# SPDX-License-Identifier: MIT
"""
In: the bytes of an audit trail's files, oldest first. Out: whether each record
is tied to the one before it, as mspd(8) tells; and trails made so. Must never
share a line with the programs it is a second opinion on.
"""
import hashlib
import json
import re

LINK = re.compile(rb',"chain":"(\d{15}):([0-9a-f]{32})"}')
TORN = re.compile(rb'{"time":"[^"]{27}","torn":(\d+),"chain":"')
ZERO = b"0" * 32


def digits(before, data):
    return hashlib.sha256(before + data).hexdigest()[:32].encode()


def make(records, number=0, before=ZERO):
    """Lines of these records, behind one with this number and hash."""
    lines = []
    for record in records:
        number += 1
        text = json.dumps(record, separators=(",", ":")).encode()
        text = text[:-1] + b',"chain":"%015d:' % number
        before = digits(before, text)
        lines.append(text + before + b'"}\n')
    return lines


def torn(part, before):
    """What the hash of the next record is made of."""
    return digits(before, part)


def whole(files):
    """The faults, as far as the first of each kind goes: (file, line)."""
    faults, number, before = [], None, ZERO
    part = None
    for name, data in files:
        lines = data.split(b"\n")
        for at, line in enumerate(lines, 1):
            if at == len(lines) and not line:
                break
            place = LINK.search(line, max(0, len(line) - 60))
            if not place or place.end() != len(line) or \
                    line.count(b',"chain":"') != 1:
                if number is not None or at == len(lines):
                    faults.append((name, at))
                part = line
                continue
            its, text = int(place[1]), line[:place.start(2)]
            behind = before
            if part is not None and TORN.match(line):
                behind = torn(part, before)
            if number is None and its != 1:
                # what came before was rotated away, and has a place
                if part is not None and not TORN.match(line):
                    faults.append((name, at))
            elif its != (number or 0) + 1 or \
                    digits(behind, text) != place[2]:
                faults.append((name, at))
            number, before, part = its, place[2], None
    return faults
