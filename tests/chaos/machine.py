# SPDX-License-Identifier: MIT
"""
In: a world whose agent has a service manager. Out: the same with disks, a wall
clock and a limit of memory of its own, which faults can change; how its agent
says that it is, and how busy the machine is. Must never touch the machine's
own clock, mounts or cgroups.
"""
import json
import os
import signal
import socket
import struct
import subprocess
import time

import faults
import manager
import world

DISKS = {"log": "192m", "keys": "1m", "run": "4m"}
CLONE_NEWNS = 0x20000
SLOWER = 8  # times at most


def isolate():
    """A network and mounts of its own."""
    if world.ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise OSError(world.ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True,
                   env={"PATH": world.PATH})
    world.enter_namespace()


class Machine(manager.Managed):
    """With disks of its own, a clock that jumps, memory that can be short."""

    def __init__(self, **kwargs):
        self.preload = False
        super().__init__(**kwargs)
        self.mount = world.cgroup_mount()
        self.procs = os.open(os.path.join(self.cgroup, "cgroup.procs"),
                             os.O_WRONLY | os.O_CLOEXEC)
        self.memory = faults.MemoryGroup(os.path.basename(self.dir))
        for name, size in DISKS.items():
            os.mkdir(self.disk(name))
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}",
                            "none", self.disk(name)], check=True,
                           env={"PATH": world.PATH})
        faults.new_page(self.path("page"))
        self.config.update({
            "logFolder": self.disk("log", "log"),
            "eventFolder": self.disk("log", "events"),
            "latchKeyFolder": self.disk("keys", "keys"),
            "statusFolder": self.disk("run", "status"),
            "runFolder": self.disk("run", "run"), "fileLogLevel": "Info"})

    def disk(self, *parts):
        return self.path("disks." + parts[0], *parts[1:])

    def page(self, **values):
        """In place, because it is mapped."""
        with open(self.path("page"), "r+b") as f:
            shift, slow = struct.unpack("=qq", f.read(16))
            f.seek(0)
            f.write(struct.pack("=qq", values.get("shift_s", shift),
                                values.get("slow_ms", slow)))

    def join(self):
        """Also while nothing is mounted there."""
        os.write(self.procs, b"0")

    def prepare_mspd(self):
        super().prepare_mspd()
        self.memory.join()

    def environment(self):
        env = super().environment()
        if self.preload:
            env["LD_PRELOAD"] = self.built("tests/chaos/preload_chaos.so")
            env["MSPTEST_CHAOS"] = self.path("page")
        return env

    def start_mspd(self, wait=True):
        self.preload = True
        try:
            super().start_mspd(wait)
        finally:
            self.preload = False

    def close(self):
        if self not in self.open:
            return
        if self.mspd and self.mspd.poll() is None:
            self.mspd.send_signal(signal.SIGCONT)
            self.mspd.kill()
            self.mspd.wait()
        self.memory.close()
        for name in DISKS:
            subprocess.run(["umount", "-l", self.disk(name)], check=False,
                           env={"PATH": world.PATH})
        super().close()
        os.close(self.procs)


def ask(path, seconds):
    """The status as the control socket tells it; None: nobody does."""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(seconds)
            s.connect(path)
            s.sendall(b"status\n")
            data = b""
            while True:
                piece = s.recv(1 << 16)
                if not piece:
                    return json.loads(data)
                data += piece
    except (OSError, ValueError):
        return None


class Pace:
    """How much longer a fixed piece of work takes than it could."""

    def __init__(self):
        self.best = min(self.piece() for _ in range(50))
        self.latest = []

    @staticmethod
    def piece():
        begin = time.monotonic()
        sum(range(20000))
        return time.monotonic() - begin

    def look(self):
        took = self.piece()
        self.best = min(self.best, took)
        self.latest = self.latest[-49:] + [took]

    def slower(self):
        mean = sum(self.latest) / max(1, len(self.latest))
        return min(SLOWER, max(1, mean / self.best))
