# SPDX-License-Identifier: MIT
"""
In: an address. Out: clients in processes of their own, each says a line when
it is so far. Must never go on after the one who started it has let go of it.
"""
import os
import select
import socket
import time
import traceback

PAUSE_S = 0.0005
PATIENCE_S = 10


class Client:
    """function(say, wait, *args) in another process, which has prepared.
    Not a program: a user may not be allowed to run this interpreter."""

    def __init__(self, prepare, function, *args):
        here, self.hold = os.pipe()
        said, there = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.hold)
            os.close(said)
            self.live(prepare, function, here, there, args)
        os.close(here)
        os.close(there)
        self.said = os.fdopen(said, encoding="ascii")

    @staticmethod
    def live(prepare, function, here, there, args):
        status = 1
        try:
            prepare()
            function(lambda what: os.write(there, f"{what}\n".encode()),
                     lambda: os.read(here, 1), *args)
            status = 0
        except Exception:  # nobody else would say it
            traceback.print_exc()
        finally:
            os._exit(status)

    def line(self):
        return self.said.readline().strip()

    def end(self):
        """Its last line."""
        os.close(self.hold)
        with self.said:
            last = self.said.read().strip()
        os.waitpid(self.pid, 0)
        return last


def head(ip, path, more=""):
    return (f"GET {path} HTTP/1.1\r\nHost: {ip}\r\nMetadata: true\r\n"
            f"{more}\r\n").encode()


def answer(s, request):
    """Status and body of an answer with a Content-Length."""
    s.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        more = s.recv(65536)
        if not more:
            raise OSError("closed")
        data += more
    first, _, body = data.partition(b"\r\n\r\n")
    lines = first.lower().split(b"\r\n")
    size = next((int(line.split(b":")[1]) for line in lines
                 if line.startswith(b"content-length:")), 0)
    while len(body) < size:
        more = s.recv(65536)
        if not more:
            raise OSError("cut off")
        body += more
    return int(lines[0].split()[1]), body


def hold(say, wait, at, path, count):
    """Connections with one answer each, kept; says how many there could be,
    and how many of them are left at the end."""
    kept, request = [], head(at[0], path)
    for _ in range(count):
        try:
            s = socket.create_connection(at, PATIENCE_S)
            if answer(s, request)[0] != 200:
                break
        except OSError:
            break
        kept.append(s)
    say(len(kept))
    wait()
    # one that was closed can be read
    poll = select.poll()
    for s in kept:
        poll.register(s, select.POLLIN)
    say(len(kept) - len(poll.poll(0)))


def first(say, _wait, at, path):
    """Ask until there is an answer that is not empty; says when it came, in
    ns of CLOCK_MONOTONIC."""
    request = head(at[0], path, "Connection: close\r\n")
    end = time.monotonic() + PATIENCE_S
    say("asking")
    while time.monotonic() < end:
        try:
            with socket.create_connection(at, 5) as s:
                status, body = answer(s, request)
            if status == 200 and body:
                say(time.monotonic_ns())
                return
        except OSError:
            pass
        time.sleep(PAUSE_S)
