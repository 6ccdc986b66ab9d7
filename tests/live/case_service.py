# SPDX-License-Identifier: MIT
"""
In: an agent under a service manager that is a socket of the test's. Out: it
says when clients can be served, how it is, and that it leaves; and its watchdog
goes hungry while the loop or the key keeper hangs.
"""
import ctypes
import errno
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import time
import unittest

import refusal
import world
from world import DAEMON, IMDS, INSTANCE

WATCHDOG_USEC = 400000
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000
OPENAT2 = 437  # everywhere
REFUSE = 0x50000
CURL = shutil.which("curl")


class Managed(world.World):
    """Its agent is started the way systemd does it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(self.path("notify"))

    def environment(self):
        return {**super().environment(),
                "NOTIFY_SOCKET": self.path("notify"),
                "WATCHDOG_USEC": str(WATCHDOG_USEC)}

    def close(self):
        self.manager.close()
        super().close()

    def hear(self, wanted, seconds=60):
        """All messages until the one that contains this, in order."""
        heard, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.manager], [], [], 0.1)[0]:
                heard.append(self.manager.recv(4096).decode())
                if wanted in heard[-1]:
                    return heard
        raise world.Failed(f"no {wanted!r} in {heard}")

    def drain(self):
        """How many times the watchdog was fed, in what waits."""
        fed = 0
        while select.select([self.manager], [], [], 0)[0]:
            fed += self.manager.recv(4096) == b"WATCHDOG=1\n"
        return fed


class Stopped:
    """One thread of a process does not run, the others do."""

    def __init__(self, tid):
        self.tid = tid
        self.libc = ctypes.CDLL(None, use_errno=True)

    def trace(self, request):
        if self.libc.ptrace(request, self.tid, None, None) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    def __enter__(self):
        self.trace(PTRACE_SEIZE)
        self.trace(PTRACE_INTERRUPT)
        os.waitpid(self.tid, WALL)

    def __exit__(self, *what):
        self.trace(PTRACE_DETACH)


class Service(unittest.TestCase):

    def setUp(self):
        self.world = Managed(imds=world.item(), wireserver=world.item())
        self.addCleanup(self.world.close)
        self.world.start_host()

    def test_ready_means_that_connections_are_redirected(self):
        self.world.start_mspd(wait=False)
        heard = self.world.hear("READY=1\n")
        self.assertEqual(sum("READY=1" in text for text in heard), 1)
        # The key may come later, and redirection waits for it.
        self.world.wait_ready()
        module = self.world.status()["proxyAgentStatus"]["ebpfProgramStatus"]
        self.assertEqual(module["status"], "RUNNING")
        # with READY=1, where that was said late; else without
        if not any("STATUS=Successfully" in text for text in heard):
            status = self.world.hear("STATUS=Successfully")[-1]
            self.assertNotIn("READY", status)
        self.assertEqual(self.world.stop_mspd(), 0)
        self.world.hear("STOPPING=1\nSTATUS=stopping, ")

    def test_why_it_is_not_ready_is_the_status(self):
        self.world.config["cgroupPath"] = self.world.path("none")
        self.world.start_mspd(wait=False)
        heard = self.world.hear("STATUS=Failed to start redirector: ")
        self.assertFalse([t for t in heard if "READY=1" in t])
        self.assertEqual(self.world.stop_mspd(), 0)

    def thread(self, name):
        task = f"/proc/{self.world.mspd.pid}/task"
        for tid in os.listdir(task):
            with open(f"{task}/{tid}/comm", encoding="ascii") as f:
                if f.read() == name + "\n":
                    return int(tid)
        raise world.Failed(f"no thread {name!r}")

    def starve(self, tid):
        """Times the watchdog was fed while this thread did not run."""
        self.world.drain()
        with Stopped(tid):
            time.sleep(WATCHDOG_USEC / 1e6)  # what was on its way, and slack
            self.world.drain()
            time.sleep(2 * WATCHDOG_USEC / 1e6)
            fed = self.world.drain()
        self.world.hear("WATCHDOG=1")
        return fed

    def test_a_part_that_hangs_starves_the_watchdog(self):
        # polls often, so that its thread is late soon
        self.world.config["pollKeyStatusIntervalInSeconds"] = 0.1
        self.world.start_mspd()
        self.world.hear("WATCHDOG=1")
        for name in "key keeper", "mspd":  # the loop is the main thread
            with self.subTest(name):
                self.assertEqual(self.starve(self.thread(name)), 0)
        self.assertEqual(self.world.get(INSTANCE).status, 200)
        self.assertEqual(self.world.stop_mspd(signal.SIGINT), 0)


def without_openat2():
    """The filter of RestrictSUIDSGID=, as far as openat2(2) goes."""
    rows = ((refusal.LOAD, 0, 0, 0), (refusal.EQUAL, 0, 1, OPENAT2),
            (refusal.RETURN, 0, 0, REFUSE | errno.ENOSYS),
            (refusal.RETURN, 0, 0, refusal.ALLOW))
    code = ctypes.create_string_buffer(
        b"".join(struct.pack("=HBBI", *row) for row in rows))
    program = ctypes.create_string_buffer(
        struct.pack("@HP", len(rows), ctypes.addressof(code)))
    _, seccomp = refusal.NUMBERS[os.uname().machine]
    if ctypes.CDLL(None, use_errno=True).syscall(
            seccomp, refusal.SET_MODE_FILTER, 0, program) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


class Filtered(unittest.TestCase):
    """An agent that its service manager restricts."""

    def setUp(self):
        rules = world.grant(["/metadata"], {
            "curl": {"userName": "daemon", "exePath": CURL},
            "root": {"userName": "root"}})
        # /proc/1/root cannot be opened in every container
        self.world = world.World(
            imds=world.item(access="deny", rules=rules),
            wireserver=world.item(), config={"identityRoot": "/"},
            sandbox=without_openat2)
        self.addCleanup(self.world.close)
        self.world.start()

    def status(self, program):
        """Of a request of daemon's, made by this program."""
        return self.world.call(
            lambda: subprocess.run(
                [program, "-s", "-m", "10", "-o", "/dev/null", "-w",
                 "%{http_code}", "-H", "Metadata: true",
                 f"http://{IMDS}{INSTANCE}"], check=True,
                stdout=subprocess.PIPE, env={"PATH": world.PATH}).stdout,
            uid=DAEMON)

    def test_programs_are_told_apart_without_openat2(self):
        self.assertEqual(self.status(CURL), b"200", self.world.audit()[-1:])
        other = self.world.path("curl")
        shutil.copy(CURL, other)
        self.assertEqual(self.status(other), b"403")
        self.assertEqual([r["exe_state"] for r in self.world.audit()[-2:]],
                         ["verified", "verified"])
        # where it was, there is a link to it now
        os.rename(other, other + ".moved")
        os.symlink(other + ".moved", other)
        self.assertEqual(self.status(other), b"403")
