# SPDX-License-Identifier: MIT
"""
In: the network, once; root. Out: a Debian system that boots in namespaces, with
systemd, a serial console and Azure's addresses, and runs commands. Must never
leave a process, a mount or a cgroup behind, nor change the cached system.
"""
import os
import pty
import shutil
import subprocess
import tempfile
import threading
import time

from system import ENV, Failed, command

HERE = os.path.dirname(os.path.abspath(__file__))
# What a machine in Azure has anyhow, and what the tests use.
PRESENT = ("systemd", "systemd-sysv", "dbus", "curl", "iproute2")
SPACES = ("--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup")


def cgroup_root():
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        for line in f:
            before, _, after = line.partition(" - ")
            if after.startswith("cgroup2 "):
                return before.split()[4]
    raise Failed("no cgroup v2 file system is mounted")


class Machine:
    """One that can be switched off and on again."""

    def __init__(self, system):
        self.system = system
        self.scratch = tempfile.mkdtemp(prefix="msp-machine-")
        self.cgroup = os.path.join(cgroup_root(),
                                   os.path.basename(self.scratch))
        self.process = None
        self.console = b""

    def path(self, *parts):
        """Of a file that was changed or added."""
        return os.path.join(self.scratch, "upper", *parts)

    def copy_in(self, source, name):
        target = self.path(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(source, target)

    def boot(self):
        os.mkdir(self.cgroup)
        ours, theirs = pty.openpty()
        threading.Thread(target=self.listen, args=(ours,), daemon=True).start()
        self.process = subprocess.Popen(
            ["unshare", *SPACES, "--fork", "--kill-child",
             os.path.join(HERE, "boot.sh"), self.system, self.scratch,
             os.ttyname(theirs)],
            stdin=theirs, stdout=theirs, stderr=theirs, env=ENV,
            preexec_fn=self.join)
        os.close(theirs)
        self.wait_for(lambda: self.state() in ("running", "degraded"), 60,
                      "the machine has booted")

    def join(self):
        with open(os.path.join(self.cgroup, "cgroup.procs"), "w",
                  encoding="ascii") as f:
            f.write("0")

    def listen(self, fd):
        while True:
            try:
                data = os.read(fd, 4096)
            except OSError:
                break
            if not data:
                break
            self.console += data
        os.close(fd)

    def init(self):
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            children = f.read().split()
        if not children:
            raise Failed(f"no init: {self.console.decode(errors='replace')}")
        return children[0]

    def enter(self, *args):
        return ["nsenter", "--target", self.init(), "--all", "--root", "--wd",
                *args]

    def state(self):
        if self.process.poll() is not None:
            raise Failed(self.console.decode(errors="replace"))
        try:
            return subprocess.run(
                self.enter("systemctl", "is-system-running"), env=ENV,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                check=False).stdout.strip()
        except Failed:
            return "off"

    def run(self, script):
        """Output of a script that is a service of the machine's own, and so
        in its cgroup."""
        return command(*self.enter(
            "systemd-run", "--quiet", "--wait", "--pipe", "--collect",
            "--setenv=DEBIAN_FRONTEND=noninteractive", "--setenv=LC_ALL=C",
            # it would put its own variables in
            "/bin/sh", "-ec", script.replace("$", "$$")))

    @staticmethod
    def wait_for(condition, seconds, why):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise Failed(f"not within {seconds} s: {why}")
            time.sleep(0.1)

    def power_off(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
        self.wait_for(self.is_gone, 10, "the cgroups are empty")

    def is_gone(self):
        for folder, _, _ in os.walk(self.cgroup, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                return False
        return not os.path.exists(self.cgroup)

    def close(self):
        self.power_off()
        shutil.rmtree(self.scratch, ignore_errors=True)
