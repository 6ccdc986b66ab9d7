# SPDX-License-Identifier: MIT
"""
In: the files of a root file system. Out: an initramfs with them, in the
kernel's "newc" format. Must never need root or another program.
"""
import os
import stat

TRAILER = "TRAILER!!!"
# a directory for each mount; what is below /usr and /etc comes with its files
FOLDERS = ("dev", "proc", "sys", "tmp")
# PID 1's output goes to the console
DEVICES = (("dev/console", 0o600, (5, 1)), ("dev/null", 0o666, (1, 3)),
           ("dev/urandom", 0o666, (1, 9)))


def entry(number, name, mode, data=b"", device=(0, 0)):
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device,
              len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % f for f in fields)
    head += name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def folders_of(files):
    """All that have to be there, each after the one it is in."""
    found = set(FOLDERS)
    for name in files:
        while name := os.path.dirname(name):
            found.add(name)
    return sorted(found)


def write(path, files):
    """files: name -> (mode, bytes)"""
    parts = [entry(0, name, stat.S_IFDIR | 0o755)
             for name in folders_of(files)]
    parts += [entry(0, name, stat.S_IFCHR | mode, device=device)
              for name, mode, device in DEVICES]
    parts += [entry(0, name, stat.S_IFREG | mode, data)
              for name, (mode, data) in sorted(files.items())]
    parts.append(entry(0, TRAILER, 0))
    with open(path, "wb") as file:
        file.writelines(parts)
