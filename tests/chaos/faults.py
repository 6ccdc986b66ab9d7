# SPDX-License-Identifier: MIT
"""
In: a run and an event of the plan. Out: that fault, from begin to end. Must
never reach what is not the run's own: the machine's clock, disks, cgroups and
mounts stay as they are.
"""
import json
import os
import resource
import signal
import struct
import subprocess

import traffic
import world

FILLER = "filler"


class Fault:
    """deaths: the agent may end of it by itself; direct: connections may go to
    the host past the agent, which refuses them; garbles: the host does not say
    what it was asked for."""

    deaths = direct = garbles = False

    def __init__(self, run, event):
        self.run, self.world = run, run.world
        self.event, self.what = event, event.what

    def begin(self):
        """From here on it is so, until the end."""

    def again(self):
        """Another agent has been started meanwhile."""

    def end(self):
        """Afterwards nothing is left of it."""


class Kill(Fault):
    pass


class Restart(Fault):

    def begin(self):
        self.run.restart()


class Full(Fault):
    """A disk without a byte left."""

    def path(self):
        return self.world.disk(self.what["disk"], FILLER)

    def begin(self):
        with open(self.path(), "wb", 0,
                  opener=lambda *a: os.open(*a, mode=0o600)) as f:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        f.write(bytes(size))
                except OSError:
                    pass

    def end(self):
        os.unlink(self.path())


class ReadOnly(Fault):
    """As the kernel makes it after an error; what is open for writing keeps
    it from that, and so the agent has to be killed where it has a log."""

    def remount(self, mode):
        return subprocess.run(
            ["mount", "-o", f"remount,{mode}",
             self.world.disk(self.what["disk"])], env={"PATH": world.PATH},
            stderr=subprocess.DEVNULL, check=False).returncode == 0

    def begin(self):
        for _ in range(10):
            if self.remount("ro"):
                return
            self.run.kill(lambda: self.remount("ro"))
        raise world.Failed("a disk cannot be made read-only")

    def end(self):
        if not self.remount("rw"):
            raise world.Failed("a disk stays read-only")


class Slow(Fault):

    def begin(self):
        self.world.page(slow_ms=self.what["ms"])

    def end(self):
        self.world.page(slow_ms=0)


class Clock(Fault):
    """The agent's wall clock jumps, and back again."""

    def begin(self):
        self.world.page(shift_s=self.what["seconds"])

    def end(self):
        self.world.page(shift_s=0)


class Limit(Fault):
    """Of the process that runs; the next one is without it."""

    what_limit = None

    def limit(self, pid):
        raise NotImplementedError

    def begin(self):
        self.pid = self.world.mspd.pid
        try:
            self.before = resource.prlimit(self.pid, self.what_limit)
            resource.prlimit(self.pid, self.what_limit,
                             (self.limit(self.pid), self.before[1]))
        except (ProcessLookupError, FileNotFoundError):
            self.pid = None

    def end(self):
        if self.pid != self.world.mspd.pid:
            return
        try:
            resource.prlimit(self.pid, self.what_limit, self.before)
        except ProcessLookupError:
            pass


class Descriptors(Limit):
    what_limit = resource.RLIMIT_NOFILE

    def limit(self, pid):
        used = max(map(int, os.listdir(f"/proc/{pid}/fd")), default=0)
        return used + 1 + self.what["more"]


class AddressSpace(Limit):
    """No memory, and the program is told so."""

    what_limit = resource.RLIMIT_AS

    def limit(self, pid):
        with open(f"/proc/{pid}/statm", encoding="ascii") as f:
            pages = int(f.read().split()[0])
        return pages * resource.getpagesize() + self.what["more"]


class Memory(Fault):
    """No memory, of which the program is not told: the kernel kills it."""

    deaths = True

    def begin(self):
        self.world.memory.limit(self.what["more"])

    def end(self):
        self.world.memory.limit(None)


class Skew(Fault):
    """The host's clock jumps."""

    def begin(self):
        self.run.fault({"name": "clock-skew",
                        "seconds": self.what["seconds"]})

    def end(self):
        self.run.clear()


class Host(Fault):

    @property
    def garbles(self):
        return self.what["group"] == "garbage"

    def begin(self):
        self.run.fault(self.what["fault"])

    def end(self):
        self.run.clear()


class HostRestart(Fault):
    """It is away for a while, and knows what it knew."""

    def begin(self):
        self.run.host_away()

    def end(self):
        self.run.host_back()


class Pause(Fault):
    """The machine has no time for it."""

    def begin(self):
        self.stopped = self.world.mspd
        self.stopped.send_signal(signal.SIGSTOP)

    def end(self):
        self.stopped.send_signal(signal.SIGCONT)


class Remount(Fault):
    """The cgroup v2 file system is away for a while, in the mounts that the
    run has for itself. An agent that starts meanwhile cannot redirect."""

    direct = True

    def begin(self):
        self.mount = self.world.mount
        subprocess.run(["umount", "-l", self.mount], check=True,
                       env={"PATH": world.PATH})

    def end(self):
        subprocess.run(["mount", "-t", "cgroup2", "none", self.mount],
                       check=True, env={"PATH": world.PATH})


class Detach(Fault):
    """Somebody detaches what the agent has attached."""

    direct = True

    def begin(self):
        self.run.detach(self.what["links"])


KINDS = {"kill": Kill, "restart": Restart, "full": Full, "readonly": ReadOnly,
         "slow": Slow, "descriptors": Descriptors,
         "address-space": AddressSpace, "memory": Memory, "clock": Clock,
         "skew": Skew, "remount": Remount, "detach": Detach, "pause": Pause,
         "host": Host, "host-restart": HostRestart}


# ---- what the agent's memory is limited by ---------------------------------
def controller():
    """Folder of the memory controller that this process is in, and the name
    of the limit; of version 2 if it has one, else of version 1."""
    with open("/proc/self/cgroup", encoding="utf-8") as f:
        lines = [line.rstrip("\n").split(":", 2) for line in f]
    mounts = []
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        for line in f:
            before, _, after = line.partition(" - ")
            fields = before.split()
            mounts.append((after.split()[0], fields[3], fields[4],
                           after.split()[2].split(",")))
    for kind, root, at, options in mounts:
        if kind == "cgroup2" and offers_memory(at):
            return at, "memory.max"
        if kind == "cgroup" and "memory" in options:
            own = next(p for _, names, p in lines
                       if "memory" in names.split(","))
            own = own[len(root):] if root != "/" and own.startswith(root) \
                else own
            return at + own.rstrip("/"), "memory.limit_in_bytes"
    return None, None


def offers_memory(mount):
    try:
        with open(os.path.join(mount, "cgroup.subtree_control"),
                  encoding="ascii") as f:
            return "memory" in f.read().split()
    except OSError:
        return False


class MemoryGroup:
    """A cgroup for the agent alone; where there is no controller, the limit is
    one of its address space."""

    def __init__(self, name):
        above, self.file = controller()
        self.path = self.procs = None
        if above:
            self.path = os.path.join(above, name)
            os.mkdir(self.path)
            self.procs = os.open(os.path.join(self.path, "cgroup.procs"),
                                 os.O_WRONLY | os.O_CLOEXEC)

    def join(self):
        if self.path:
            os.write(self.procs, b"0")

    def used(self):
        """With what it has written into files that are in memory."""
        name = "memory.current" if self.file == "memory.max" else \
            "memory.usage_in_bytes"
        with open(os.path.join(self.path, name), encoding="ascii") as f:
            return int(f.read())

    def limit(self, more):
        """So many bytes more than it has now; None: no limit."""
        if not self.path:
            return
        tries = [-1]
        if more is not None:
            used = self.used()
            tries = [used + more + (i << 18) for i in range(64)]
        for value in tries:
            text = "max" if value < 0 and self.file == "memory.max" \
                else str(value)
            try:
                with open(os.path.join(self.path, self.file), "w",
                          encoding="ascii") as f:
                    f.write(text)
                return
            except OSError:
                continue  # it uses more, and cannot give it back
        raise world.Failed("the memory cannot be limited")

    def close(self):
        if not self.path:
            return
        os.close(self.procs)
        for _ in range(50):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                signal.sigtimedwait([], 0.05)


def new_page(path):
    """What preload_chaos.c maps."""
    with open(path, "wb") as f:
        f.write(struct.pack("=qq", 0, 0))


def as_json(value):
    return json.dumps(value).encode()


ITEMS = [
    {"imds": traffic.item(world.IMDS, f"imds-{n}", users),
     "wireserver": traffic.item(world.WIRESERVER, f"wireserver-{n}", users)}
    for n, users in enumerate(((0, 1, 2), (0, 1, 2, 4), (0, 1, 2)))]
