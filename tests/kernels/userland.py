# SPDX-License-Identifier: MIT
"""
In: programs for a machine, and where its libraries are. Out: the files that
a root file system needs to run them. Must never run one of them.
"""
import json
import os
import struct

import initramfs

LOAD, DYNAMIC, INTERPRETER = 1, 2, 3
NEEDED, STRINGS = 1, 5
PASSWD = b"""root:x:0:0:root:/:/bin/false
daemon:x:1:1:daemon:/:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
"""
GROUP = b"root:x:0:\ndaemon:x:1:\nnobody:x:65534:\n"
# Root may do everything, a user read the instance, with one program.
PROFILE = {
    "id": "agent-imds", "mode": "enforce", "defaultAccess": "deny",
    "rules": {
        "privileges": [{"name": "instance", "path": "/metadata/instance"}],
        "roles": [{"name": "reader", "privileges": ["instance"]}],
        "identities": [
            {"name": "root", "userName": "root"},
            {"name": "client", "userName": "daemon",
             "exePath": "/usr/bin/client"}],
        "roleAssignments": [
            {"role": "reader", "identities": ["root", "client"]}]}}
CONFIG = {
    "logFolder": "/tmp/mspd/log", "eventFolder": "/tmp/mspd/events",
    "latchKeyFolder": "/tmp/mspd/keys", "statusFolder": "/tmp/mspd/status",
    "runFolder": "/tmp/mspd/run", "consolePath": "",
    "pollKeyStatusIntervalInSeconds": 1, "cgroupPath": "/sys/fs/cgroup",
    "fileLogLevel": "Trace"}


class Broken(Exception):
    """A program cannot be brought along; says why."""


def text_at(data, at):
    return data[at:data.index(b"\0", at)].decode()


def needs(path):
    """The loader of a program, or None, and the names of its libraries."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:6] != b"\x7fELF\x02\x01":
        raise Broken(f"{path} is no 64-bit little-endian program")
    start, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    heads = [struct.unpack_from("<IIQQQQQQ", data, start + i * size)
             for i in range(count)]
    loader = [text_at(data, h[2]) for h in heads if h[0] == INTERPRETER]
    entries = [struct.unpack_from("<QQ", data, at) for h in heads
               if h[0] == DYNAMIC for at in range(h[2], h[2] + h[5], 16)]
    strings = [value for tag, value in entries if tag == STRINGS]
    # an address, as loaded
    at = [h[2] + strings[0] - h[3] for h in heads
          if h[0] == LOAD and strings and h[3] <= strings[0] < h[3] + h[6]]
    return (loader[0] if loader else None,
            [text_at(data, at[0] + value) for tag, value in entries
             if tag == NEEDED])


class Root:
    """Files of a root file system: name in it -> (mode, bytes)."""

    def __init__(self, sysroot, triplet, build):
        self.sysroot = sysroot
        self.folders = [build] + [
            os.path.join(sysroot, at) for at in
            (f"lib/{triplet}", f"usr/lib/{triplet}", "lib64", "lib",
             "usr/lib")]
        self.files = {}

    def put(self, name, data, mode=0o644):
        self.files[name.lstrip("/")] = (mode, data)

    def copy(self, name, path):
        with open(path, "rb") as file:
            self.put(name, file.read(), 0o755)

    def library(self, name):
        for folder in self.folders:
            path = os.path.join(folder, name)
            if os.path.exists(path):
                return path
        raise Broken(f"no {name} in {' '.join(self.folders)}")

    def program(self, name, path):
        """With all it needs."""
        self.copy(name, path)
        loader, names = needs(path)
        if loader:
            self.copy(loader, self.library(os.path.basename(loader)))
        while names:
            library = names.pop()
            if f"usr/lib/{library}" in self.files:
                continue
            found = self.library(library)
            self.copy(f"usr/lib/{library}", found)
            names += needs(found)[1]

    def write(self, path):
        initramfs.write(path, self.files)


def guest(build, machine, sysroot):
    """What every boot has: PID 1, which is also the client."""
    root = Root(sysroot, machine.triplet, build)
    for name in ("init", "usr/bin/client"):
        root.copy(name, os.path.join(build, "tests", "kernels", "guest"))
    root.put("etc/passwd", PASSWD)
    root.put("etc/group", GROUP)
    return root


def add_agent(root, build):
    root.program("usr/sbin/mspd", os.path.join(build, "mspd", "mspd"))
    root.program("usr/bin/msp-host",
                 os.path.join(build, "examples", "msp-host", "msp-host"))
    root.put("etc/mspd.json", json.dumps(CONFIG).encode())
    root.put("etc/imds.json", json.dumps(PROFILE).encode())


def add_units(root, build, names, modules):
    for name in names:
        root.program(f"units/{name}",
                     os.path.join(build, "tests", "unit", name))
    for i, path in enumerate(modules):
        root.copy(f"modules/{i}-{os.path.basename(path)}", path)
