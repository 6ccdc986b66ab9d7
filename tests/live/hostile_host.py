#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: an address, a log file. Out: a host that breaks HTTP in the way that the
last segment of each target names; one line "connection method target" in the
log per request. Must never be a part of the clients' processes: a descriptor
that they inherit would keep its connections open.

    hostile_host.py IP PORT LOG
"""
import socket
import struct
import sys
import threading
import time

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# Too long to be read before it is passed on.
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nshort"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
FOREIGN = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nFOREIGN"
# The longest that is read as a whole: more than one read, the last of which
# ends with the body.
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 16384\r\n\r\n" + b"w" * 16384
# What is sent, and what then becomes of the connection: True if it is kept.
ANSWERS = {
    "ok": (OK, True),
    "nothing": (b"", False),
    "half-a-head": (OK[:20], False),
    "half-a-body": (LONG, False),
    "half-a-chunk": (CHUNKED + b"64\r\nabc", False),
    "no-http": (b"\x16\x03\x01 what is this?\r\n\r\n", False),
    "bad-chunks": (CHUNKED + b"2\r\nabcdef\r\n", False),
    "huge-chunk": (CHUNKED + b"f" * 16 + b"\r\nabc", False),
    "interim-flood": (b"HTTP/1.1 100 Continue\r\n\r\n" * 20000 + OK, False),
    "large-head": (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 65536 + b"\r\n\r\n",
                   False),
    "many-headers": (b"HTTP/1.1 200 OK\r\n" + b"A: a\r\n" * 101 + b"\r\n",
                     False),
    "two-lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
                    b"Content-Length: 3\r\n\r\nok", False),
    "upgrade": (b"HTTP/1.1 101 Done\r\nUpgrade: x\r\n\r\nabc", False),
    "excess": (OK + FOREIGN, True),
    "unread-excess": (WHOLE + FOREIGN, True),
    "silence": (None, True),
}


class Host:

    def __init__(self, ip, port, log):
        self.log = open(log, "w", encoding="latin-1", buffering=1)
        self.lock = threading.Lock()
        self.listener = socket.create_server((ip, port), backlog=512)

    def run(self):
        number = 0
        while True:
            s, _ = self.listener.accept()
            number += 1
            threading.Thread(target=self.serve, args=(s, number),
                             daemon=True).start()

    def serve(self, s, number):
        try:
            with s, s.makefile("rb") as stream:
                while self.one(s, stream, number):
                    pass
        except OSError:
            pass  # the other side has gone

    def one(self, s, stream, number):
        line = stream.readline().decode("latin-1").split()
        if len(line) != 3:
            return False
        length = 0
        for header in iter(stream.readline, b"\r\n"):
            name, _, value = header.partition(b":")
            if name == b"content-length":
                length = int(value)
        stream.read(length)
        with self.lock:
            self.log.write(f"{number} {line[0]} {line[1]}\n")
        return self.answer(s, line[1].split("/")[-1])

    @staticmethod
    def answer(s, name):
        if name == "reset":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         struct.pack("ii", 1, 0))
            return False
        data, keep = ANSWERS[name]
        if data is None:
            time.sleep(20)
        else:
            s.sendall(data)
        return keep


if __name__ == "__main__":
    host = Host(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    print("ready", flush=True)
    host.run()
