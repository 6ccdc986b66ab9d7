# SPDX-License-Identifier: MIT
"""
In: a folder with audit.jsonl, which is written and rotated meanwhile. Out:
how many requests it tells of, by whom, and which. Must never pass over a
line, nor a file.
"""
import collections
import json
import os

from world import NOBODY, Failed

NAME = "audit.jsonl"
PATH = "/metadata/soak/"
ABUSE = 1 << 63
PIECE = 1 << 20


class Numbers:
    """A set of whole numbers from 0 on, most of them there."""

    def __init__(self):
        self.bits = bytearray(1 << 16)
        self.count = self.twice = 0
        self.top = -1

    def add(self, number):
        byte, bit = number >> 3, 1 << (number & 7)
        if byte >= len(self.bits):
            self.bits.extend(bytes(max(byte + 1 - len(self.bits),
                                       len(self.bits))))
        if self.bits[byte] & bit:
            self.twice += 1
            return
        self.bits[byte] |= bit
        self.count += 1
        self.top = max(self.top, number)


class Trail:
    """requests, merged: by uid, None for callers nobody knows."""

    def __init__(self, folder):
        self.folder = folder
        self.file, self.rest = None, b""
        self.ids, self.honest, self.abuse = Numbers(), Numbers(), set()
        self.requests = collections.Counter()
        self.merged = collections.Counter()
        self.statuses = collections.Counter()
        self.files = self.lines = self.bytes = self.torn = 0
        self.general = 0  # lines of those who behave, of no request alone
        self.bad, self.again = [], []

    # ---- files ------------------------------------------------------------
    def names(self):
        """Oldest first: those that were put aside carry their time."""
        found = sorted(n for n in os.listdir(self.folder)
                       if n.startswith(NAME + "."))
        return found + [NAME]

    def inode(self, name):
        try:
            return os.stat(os.path.join(self.folder, name)).st_ino
        except FileNotFoundError:
            return None

    def next(self):
        """Name of the file that comes behind ours, None: it is the last."""
        mine = os.fstat(self.file.fileno()).st_ino
        if self.inode(NAME) == mine:
            return None
        names = self.names()
        places = [i for i, n in enumerate(names) if self.inode(n) == mine]
        if not places:
            raise Failed("audit files went away before they were read")
        return names[places[0] + 1] if places[0] + 1 < len(names) else None

    def poll(self):
        """Take in all there is."""
        if not self.file:
            self.open(NAME)
        while True:
            self.drain()
            name = self.next()
            if not name:
                return
            self.drain()  # what came before it was put aside
            if self.rest:
                self.bad.append(self.rest)
                self.rest = b""
            self.file.close()
            self.open(name)

    def open(self, name):
        self.file = open(os.path.join(self.folder, name), "rb", buffering=0)
        self.files += 1

    def drain(self):
        while True:
            data = self.file.read(PIECE)
            if not data:
                return
            self.bytes += len(data)
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                self.take(line)

    # ---- lines ------------------------------------------------------------
    def take(self, line):
        self.lines += 1
        try:
            record = json.loads(line)
            if "torn" in record:  # the line before it is not whole
                self.bad.pop()
                self.torn += 1
            else:
                self.count(record)
        except (ValueError, KeyError, TypeError, IndexError):
            self.bad.append(line)

    def count(self, record):
        merged = record.get("merged", 0)
        uid, path, status = record["uid"], record["path"], record["status"]
        self.ids.add(record["id"])
        self.requests[uid] += 1 + merged
        self.merged[uid] += merged
        self.statuses[status] += 1 + merged
        if not path or not path.startswith(PATH):
            self.general += uid == NOBODY
            return
        try:
            number = int(path[len(PATH):].partition("?")[0], 16)
        except ValueError:
            return  # cut short, or garbled, by who asked
        if uid == NOBODY:
            twice = self.honest.twice
            self.honest.add(number >> 8)
            if self.honest.twice > twice:
                self.again.append(record)
        elif record["verdict"] == "allow":
            self.abuse.add(number)

    def all_merged(self):
        return sum(self.merged.values())

    def missing(self):
        """Numbers of requests that no line tells of, nor counts."""
        return self.ids.top - self.ids.count - self.all_merged()
