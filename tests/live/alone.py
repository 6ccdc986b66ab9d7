# SPDX-License-Identifier: MIT
"""
In: a process, before it starts. Out: it ends with SIGSYS should it ever make
another process, which it has to in order to run a program, by whatever path.
Must never be in the way of its threads.
"""
import ctypes
import errno
import os
import struct

import refusal

# clone, and fork and vfork where there are such calls
NUMBERS = {"x86_64": (56, 57, 58), "aarch64": (220,)}
CLONE3 = 435  # its flags are in memory: who calls it is told to use clone
CLONE_THREAD = 0x10000
ANY_BIT = 0x45  # classic BPF
KILL, ERRNO = 0x80000000, 0x50000


def rows():
    clone, *forks = NUMBERS[os.uname().machine]
    yield refusal.LOAD, 0, 0, 0
    yield refusal.EQUAL, 0, 1, CLONE3
    yield refusal.RETURN, 0, 0, ERRNO | errno.ENOSYS
    for number in forks:
        yield refusal.EQUAL, 0, 1, number
        yield refusal.RETURN, 0, 0, KILL
    yield refusal.EQUAL, 0, 3, clone
    yield refusal.LOAD, 0, 0, 16
    yield ANY_BIT, 1, 0, CLONE_THREAD
    yield refusal.RETURN, 0, 0, KILL
    yield refusal.RETURN, 0, 0, refusal.ALLOW


def sandbox():
    code = [struct.pack("=HBBI", *row) for row in rows()]
    text = ctypes.create_string_buffer(b"".join(code))
    program = ctypes.create_string_buffer(
        struct.pack("@HP", len(code), ctypes.addressof(text)))
    _, seccomp = refusal.NUMBERS[os.uname().machine]
    if ctypes.CDLL(None, use_errno=True).syscall(
            seccomp, refusal.SET_MODE_FILTER, 0, program) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")
