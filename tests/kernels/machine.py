# SPDX-License-Identifier: MIT
"""
In: an architecture of Debian. Out: the machine QEMU makes of it, and what is
tried there. Must never differ in what a kernel must be able to do.
"""
import collections

# A series, the suite that has it, and what must happen: everything works,
# also where a lockdown hides paths, or it is refused; the agent itself serves
# clients; unit tests pass that QEMU cannot run without a kernel. 5.15, the
# documented minimum, is in no suite: minimum.py stands for it. "newest" moves
# on.
AMD64_KERNELS = (
    ("5.10", "bullseye", ("refuse",)),
    ("6.1", "bookworm", ("full", "lockdown")),
    ("6.12", "trixie", ("full", "lockdown", "agent")),
    ("7.2", "trixie-backports", ("full", "lockdown")),
    ("newest", "trixie-backports", ("full", "agent")),
)
ARM64_KERNELS = (
    ("6.1", "bookworm", ("full", "agent", "units")),
    ("7.2", "trixie-backports", ("full", "lockdown", "agent")),
)

Machine = collections.namedtuple(
    "Machine", "arch triplet qemu package major options console kernels")

MACHINES = {
    # QEMU 7.2 damages kernels from 6.12 on right after cmpxchg16b, which those
    # from 7.1 on cannot do without: the emulator's fault, and nothing in the
    # guest can show it beforehand.
    "amd64": Machine("amd64", "x86_64-linux-gnu", "qemu-system-x86_64",
                     "qemu-system-x86", 10, ("-cpu", "Nehalem"), "ttyS0",
                     AMD64_KERNELS),
    "arm64": Machine("arm64", "aarch64-linux-gnu", "qemu-system-aarch64",
                     "qemu-system-arm", 7,
                     ("-machine", "virt", "-cpu", "cortex-a72"), "ttyAMA0",
                     ARM64_KERNELS),
}
