#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: an address, a folder with answers.json. Out: a host that writes each byte
it receives into the folder and answers with the steps that the last segment of
the path names, or else a header x-steps. Must never repair what it receives, nor answer what is not one
request exactly. A process of its own, for clients that are forked would hold
its connections open.

    recorder.py IP PORT FOLDER

A step is ["send", text], ["body"]: read the request's to its end, ["hear",
N]: N bytes of it, ["wait", seconds], ["close"], ["reset"], ["once", A, B]: the
steps A the first time this path comes, then B. Without a step that ends the
connection, it stays for the next request.
"""
import base64
import bisect
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import wire

USUAL = [["body"], ["send", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]]


class Closed(Exception):
    """No more of this connection."""


class Connection:

    def __init__(self, host, s, number):
        self.host, self.socket, self.number = host, s, number
        self.data = b""

    def hear(self):
        piece = self.socket.recv(1 << 16)
        if not piece:
            raise Closed("the client's end")
        self.data += piece
        self.host.write(self.number, bytes=base64.b64encode(piece).decode())

    def head(self):
        while True:
            try:
                return wire.split_head(self.data)
            except wire.Incomplete:
                self.hear()

    def body(self):
        while True:
            try:
                return wire.parse_request(self.data)[1]
            except wire.Incomplete:
                self.hear()

    def serve(self):
        while True:
            self.left = None  # of data, after this request
            line, headers, rest = self.head()
            before = len(self.data) - len(rest)
            path = line.split(b" ")[1].partition(b"?")[0].decode("latin-1")
            self.steps(self.host.steps_of(path, headers), path, before)
            self.data = self.body() if self.left is None else self.left

    def steps(self, steps, path, head):
        for name, *args in steps:
            if name == "send":
                self.socket.sendall(args[0].encode("latin-1"))
            elif name == "body":
                self.left = self.body()
            elif name == "hear":
                while len(self.data) < head + args[0]:
                    self.hear()
            elif name == "wait":
                time.sleep(args[0])
            elif name == "once":
                self.steps(args[self.host.seen(path)], path, head)
            elif name == "reset":
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
                raise Closed("reset")
            else:
                raise Closed(name)

    def run(self):
        with self.socket:
            try:
                self.serve()
            except (Closed, OSError) as e:
                self.host.write(self.number, end=str(e))
            except wire.Malformed as e:
                self.host.write(self.number, malformed=str(e))


class Host:

    def __init__(self, ip, port, folder):
        with open(os.path.join(folder, "answers.json"),
                  encoding="utf-8") as f:
            self.answers = json.load(f)
        self.log = open(os.path.join(folder, "bytes"), "w", encoding="utf-8",
                        buffering=1)
        self.lock = threading.Lock()
        self.paths = set()
        self.listener = socket.create_server((ip, port), backlog=512)

    def write(self, number, **what):
        with self.lock:
            self.log.write(json.dumps({"connection": number, **what}) + "\n")

    def steps_of(self, path, headers):
        names = [path.rpartition("/")[2]]
        names += [v.decode() for v in wire.values(headers, b"x-steps")]
        for name in names:
            if name in self.answers:
                return self.answers[name]
        return USUAL

    def seen(self, path):
        with self.lock:
            known = path in self.paths
            self.paths.add(path)
        return known

    def run(self):
        number = 0
        while True:
            s, _ = self.listener.accept()
            number += 1
            threading.Thread(target=Connection(self, s, number).run,
                             daemon=True).start()


class Recorder:
    """One in a process, as a test sees it."""

    def __init__(self, folder, ip, port, answers=None):
        self.folder = folder
        # of the file: what was read, its entries, and of each connection the
        # bytes that make no request yet, and where entries end
        self.at, self.known, self.found = 0, [], []
        self.pieces, self.ends = {}, {}
        os.mkdir(folder)
        with open(os.path.join(folder, "answers.json"), "w",
                  encoding="utf-8") as f:
            json.dump(answers or {}, f)
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), ip, str(port),
             folder], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.process.stdout.readline()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def entries(self):
        """What was written down. Read once: of some tests it is a lot."""
        with open(os.path.join(self.folder, "bytes"), "rb") as f:
            f.seek(self.at)
            data = f.read()
        data = data[:data.rfind(b"\n") + 1]
        self.at += len(data)
        for line in data.splitlines():
            entry = json.loads(line)
            if "bytes" in entry:
                self.add(entry["connection"], base64.b64decode(
                    entry.pop("bytes"), validate=True))
            self.known.append(entry)
        return self.known

    def add(self, number, data):
        self.pieces.setdefault(number, []).append(data)
        ends = self.ends.setdefault(number, [(0, 0)])
        ends.append((ends[-1][0] + len(data), len(self.known)))

    def parse(self, number):
        """Take what is whole of what was received there."""
        ends, data = self.ends[number], b"".join(self.pieces[number])
        while data:
            try:
                request, rest = wire.parse_request(data)
            except wire.Incomplete:
                break
            at = bisect.bisect_left(ends, (ends[-1][0] - len(rest), 0))
            self.found.append((ends[at][1], number, request,
                               data[:len(data) - len(rest)]))
            data = rest
            self.pieces[number] = [data]

    def read(self):
        """What was received: (connection, request, its bytes) in the order in
        which they ended, and by connection what has not ended."""
        self.entries()
        for number in self.pieces:
            self.parse(number)
        self.found.sort(key=lambda x: x[0])
        left = {number: b"".join(pieces)
                for number, pieces in self.pieces.items() if any(pieces)}
        return [x[1:] for x in self.found], left

    def requests(self):
        return self.read()[0]

    def unfinished(self):
        return self.read()[1]


if __name__ == "__main__":
    host = Host(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    print("ready", flush=True)
    host.run()
