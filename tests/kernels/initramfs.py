# SPDX-License-Identifier: MIT
"""
In: the static test guest. Out: an initramfs with it as PID 1 and as client,
in the kernel's "newc" format. Must never need root or another program.
"""
import stat

TRAILER = "TRAILER!!!"
# a directory for each mount and each program; the console is where PID 1's
# output goes
FOLDERS = ("dev", "proc", "sys", "tmp", "usr", "usr/bin")
CONSOLE = (5, 1)


def entry(number, name, mode, data=b"", device=(0, 0)):
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device,
              len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % f for f in fields)
    head += name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def write(path, guest):
    with open(guest, "rb") as file:
        program = file.read()
    parts = [entry(0, name, stat.S_IFDIR | 0o755) for name in FOLDERS]
    parts.append(entry(0, "dev/console", stat.S_IFCHR | 0o600,
                       device=CONSOLE))
    parts.append(entry(0, "init", stat.S_IFREG | 0o755, program))
    parts.append(entry(0, "usr/bin/client", stat.S_IFREG | 0o755, program))
    parts.append(entry(0, TRAILER, 0))
    with open(path, "wb") as file:
        file.writelines(entry_ for entry_ in parts)
