# SPDX-License-Identifier: MIT
"""
In: a script of what to answer. Out: a listener that does so, one connection
after the other, and what it was asked. Must never answer better than told.
"""
import os
import socket
import threading

import wire


def answer(body, status=b"200 OK", more=b""):
    return (b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json; "
            b"charset=utf-8\r\n" + more +
            b"Content-Length: %d\r\n\r\n" % len(body) + body)


YES = answer(b'{"finished":true,"errorMessage":""}')
NO = answer(b'{"finished":false,"errorMessage":"wait for it"}')
ERROR = answer(b"", b"503 Service Unavailable")
CLOSE = b""
HANG = None


class FakeAgent:
    """The last answer of the script is given for ever."""

    def __init__(self, script, address=("127.0.0.1", 3080), uid=0, **more):
        self.script = list(script)
        self.requests = []
        self.held = []  # connections that get no answer
        os.seteuid(uid)  # whose the socket is
        try:
            self.socket = socket.create_server(address, **more)
        finally:
            os.seteuid(0)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:  # closed
                return
            connection.settimeout(10)
            with connection:
                self.talk(connection)

    def talk(self, connection):
        data = b""
        try:
            while b"\r\n\r\n" not in data:
                piece = connection.recv(4096)
                if not piece:
                    return
                data += piece
            self.requests.append(wire.parse_headers(
                data.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]))
            said = self.script[0]
            if len(self.script) > 1:
                self.script.pop(0)
            if said is HANG:
                self.held.append(connection.dup())
            else:
                connection.sendall(said)
        except OSError:  # it was given up
            pass

    def close(self):
        # shut down first: close alone does not end accept()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()
        for connection in self.held:
            connection.close()
