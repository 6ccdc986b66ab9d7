# SPDX-License-Identifier: MIT
"""
In: a process that loads eBPF programs. Out: its kernel refuses those that the
test chooses, for as long as it chooses. Must never touch another system call,
nor another process.

The process asks for each load and waits (seccomp_unotify(2)); so a refusal
can end while it runs, which no capability and no sysctl can.
"""
import array
import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import threading

NUMBERS = {"x86_64": (321, 317), "aarch64": (280, 277)}  # bpf, seccomp
PROG_LOAD = 5
SET_MODE_FILTER, NEW_LISTENER = 1, 8
ALLOW, USER_NOTIF = 0x7fff0000, 0x7fc00000
CONTINUE = 1
NOTIF = struct.Struct("=QIIiIQ6Q")
RESPONSE = struct.Struct("=QqiI")
RECV = 3 << 30 | NOTIF.size << 16 | ord("!") << 8
SEND = 3 << 30 | RESPONSE.size << 16 | ord("!") << 8 | 1
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # classic BPF


def code():
    """Loads are asked about, all else is allowed."""
    bpf, _ = NUMBERS[os.uname().machine]
    rows = [(LOAD, 0, 0, 0), (EQUAL, 0, 3, bpf),
            (LOAD, 0, 0, 16), (EQUAL, 0, 1, PROG_LOAD),
            (RETURN, 0, 0, USER_NOTIF), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *row) for row in rows)


def install():
    """Descriptor that is asked, of the filter of this process."""
    rows = ctypes.create_string_buffer(code())
    program = ctypes.create_string_buffer(
        struct.pack("@HP", len(rows) // 8, ctypes.addressof(rows)))
    _, seccomp = NUMBERS[os.uname().machine]
    fd = ctypes.CDLL(None, use_errno=True).syscall(
        seccomp, SET_MODE_FILTER, NEW_LISTENER, program)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return fd


class Refusal:
    """With statement around the start of the process."""

    def __init__(self):
        self.ours, self.theirs = socket.socketpair()
        self.end, self.stop = os.pipe()
        self.lock = threading.Lock()
        self.wanted = lambda name: None
        self.refused = []  # names of programs
        self.thread = None

    def __enter__(self):
        return self

    def __exit__(self, *args):
        os.close(self.stop)
        if self.thread:
            self.thread.join()
        os.close(self.end)
        self.ours.close()
        self.theirs.close()

    def sandbox(self):
        """In the process, before it starts."""
        fd = install()
        self.theirs.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                      array.array("i", [fd]))])

    def begin(self):
        """Once the process has started."""
        _, parts, _, _ = self.ours.recvmsg(1, socket.CMSG_SPACE(4))
        fd = array.array("i", parts[0][2])[0]
        self.thread = threading.Thread(target=self.serve, args=(fd,))
        self.thread.start()

    def refuse(self, wanted):
        """wanted(name): None, or (errno, what the verifier says)."""
        with self.lock:
            self.wanted = wanted
            self.refused.clear()

    def count(self):
        with self.lock:
            return len(self.refused)

    def serve(self, fd):
        with os.fdopen(fd, "rb", buffering=0):
            while True:
                ready, _, _ = select.select([fd, self.end], [], [])
                if self.end in ready:
                    return
                try:
                    self.answer(fd)
                except OSError as e:  # it was killed meanwhile
                    if e.errno not in (errno.ENOENT, errno.ESRCH):
                        raise

    def answer(self, fd):
        data = bytearray(NOTIF.size)
        fcntl.ioctl(fd, RECV, data)
        ident, pid, _, _, _, _, _, at, *_ = NOTIF.unpack(data)
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(at)
            attr = memory.read(64)
            level, size, log = struct.unpack_from("=IIQ", attr, 24)
            name = attr[48:64].split(b"\0")[0].decode()
            with self.lock:
                what = self.wanted(name)
                if what:
                    self.refused.append(name)
            if what and level and log and what[1]:
                memory.seek(log)
                memory.write(what[1][:size - 1] + b"\0")
        fcntl.ioctl(fd, SEND, bytearray(
            RESPONSE.pack(ident, 0, -what[0], 0) if what
            else RESPONSE.pack(ident, 0, 0, CONTINUE)))
