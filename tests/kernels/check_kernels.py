#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: the test guest, Debian's kernels, QEMU. Out: a line per kernel and boot,
and one tally. Must never take a guest that did not end for one that passed,
nor give the guest a network.

    check_kernels.py BUILD [WORD...]   only boots whose name has a word
    V=1         show every check
    QEMU=       another than the one in PATH
    MIRROR=URL  of Debian's archive, if not the one apt uses here

Kernels come through apt, with folders of its own below BUILD/kernels, so
that the machine's package lists stay as they are.
"""
import collections
import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import archive  # noqa: E402 - found through the line above
import initramfs  # noqa: E402
import minimum  # noqa: E402

# A series, the suite that has it, and what must happen: everything works,
# also where a lockdown hides paths, or it is refused. 5.15, the documented
# minimum, is in no suite: minimum.py stands for it. "newest" moves on.
KERNELS = (
    ("5.10", "bullseye", ("refuse",)),
    ("6.1", "bookworm", ("full", "lockdown")),
    ("6.12", "trixie", ("full", "lockdown")),
    ("7.2", "trixie-backports", ("full", "lockdown")),
    ("newest", "trixie-backports", ("full",)),
)
# A boot takes about 20 s on two slow cores; under emulation a burst may
# stall, so this is no measure of anything.
BOOT_SECONDS = 600
# QEMU 7.2 damages kernels from 6.12 on right after cmpxchg16b, which those
# from 7.1 on cannot do without: the emulator's fault, and nothing in the
# guest can show it beforehand.
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
QEMU_MAJOR = 10
CPU = "Nehalem"

Kernel = collections.namedtuple("Kernel", "series suite")
Boot = collections.namedtuple("Boot", "kernel expect")


def boot_name(b):
    return f"{b.kernel.series} ({b.kernel.suite}) {b.expect}"


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def say(self, word, name, text):
        print(f"  {word:<7} {name}: {text}", flush=True)

    def skip(self, name, text):
        self.skipped += 1
        self.say("SKIPPED", name, text)


def qemu_version():
    try:
        text = subprocess.run([QEMU, "--version"], capture_output=True,
                              text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"version (\d+)\.", text)
    return int(found.group(1)) if found else None


def need_qemu(cache):
    """None, or why there is no QEMU that can be used."""
    version = qemu_version()
    if (version is None or version < QEMU_MAJOR) and "QEMU" not in os.environ:
        archive.install_qemu(cache)
        version = qemu_version()
    if version is not None and version >= QEMU_MAJOR:
        return None
    found = "none" if version is None else f"version {version}"
    return (f"needs QEMU {QEMU_MAJOR} or newer, found {found}; on Debian 12: "
            + archive.QEMU_LINE)


def command_line(expect):
    """Lockdown comes from the command line; "expect" goes to PID 1."""
    words = ["console=ttyS0", "panic=-1", "quiet", f"expect={expect}"]
    if expect == "lockdown":
        words.append("lockdown=confidentiality")
    return " ".join(words)


def boot(kernel, image, expect, log):
    """Everything the guest printed, and whether it ended by itself."""
    command = [QEMU, "-accel", "tcg", "-cpu", CPU, "-smp", "2", "-m", "768",
               "-nodefaults", "-no-user-config", "-display", "none",
               "-serial", "stdio", "-no-reboot", "-kernel", kernel,
               "-initrd", image, "-append", command_line(expect)]
    with open(log, "wb") as out:
        qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT)
        try:
            ended = qemu.wait(BOOT_SECONDS) == 0
        except subprocess.TimeoutExpired:
            ended = False
        finally:
            if qemu.poll() is None:
                qemu.kill()
                qemu.wait()
    with open(log, encoding="utf-8", errors="replace") as text:
        return text.read().replace("\r", ""), ended


def summary(output):
    """What is worth telling of a boot in which all went well."""
    for pattern in (r"^KERNEL (.*)", r"load and attach, (in \d+ ms)",
                    r"(\d+ of \d+ identities right in \d+ facts)",
                    r"the reason is said: (.*)"):
        found = re.search(pattern, output, re.M)
        if found:
            yield found.group(1)


def show_failure(output, result):
    lines = output.splitlines()
    bad = [i for i, line in enumerate(lines) if "FAILED" in line]
    # what was wrong is in the lines before that of the check
    show = {j for i in bad[:10] for j in range(max(0, i - 5), i + 1)}
    print("\n".join(lines[i] for i in sorted(show)))
    if not result:
        print("it did not come to its end; the last lines:")
        print("\n".join(lines[-15:]))


def judge(tally, name, output, ended, took, log):
    result = re.search(r"^RESULT (\d+) passed, (\d+) failed$", output, re.M)
    if os.environ.get("V"):
        print(output)
    if re.search(r"^LOCKDOWN is not to be had", output, re.M):
        tally.skip(name, "this kernel has no lockdown")
    elif ended and result and result.group(2) == "0" and int(result.group(1)):
        tally.passed += 1
        tally.say("ok", name, ", ".join(
            [*summary(output), f"{result.group(1)} checks, {took:.0f} s"]))
    else:
        tally.failed += 1
        tally.say("FAILED", name, f"see {log}")
        show_failure(output, result)


def run(tally, boots, guest, cache):
    image = os.path.join(cache, "guest.cpio")
    initramfs.write(image, guest)
    index = archive.Index(cache)
    offline = index.update()
    if offline:
        print("  offline: no new package lists of " + ", ".join(offline))
    for kernel in dict.fromkeys(b.kernel for b in boots):
        mine = [b for b in boots if b.kernel == kernel]
        try:
            path, version = index.kernel(
                kernel.suite, kernel.series if kernel.series[0].isdigit()
                else None)
        except archive.Missing as err:
            for b in mine:
                tally.skip(boot_name(b), str(err))
            continue
        for b in mine:
            log = os.path.join(cache, f"{kernel.series}-{b.expect}.log")
            start = time.monotonic()
            output, ended = boot(path, image, b.expect, log)
            judge(tally, f"{boot_name(b)}, {version}", output, ended,
                  time.monotonic() - start, log)


def check_minimum(tally, build):
    top = os.path.dirname(os.path.dirname(os.path.dirname(
        os.path.abspath(__file__))))
    lines, calls, fields = minimum.doubts(
        os.path.join(build, "bpf", "msp.bpf.o"),
        os.path.join(top, "bpf", "kernel.h"))
    name = "5.15 (not booted)"
    if not lines and calls and fields:
        tally.passed += 1
        tally.say("ok", name, f"{calls} calls of helpers and {fields} fields "
                  "are in its source, see minimum.py")
        return
    tally.failed += 1
    tally.say("FAILED", name, "; ".join(lines) or "nothing was looked at")


def main():
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    build = os.path.abspath(sys.argv[1])
    guest = os.path.join(build, "tests", "kernels", "guest")
    cache = os.path.join(build, "kernels")
    words = sys.argv[2:]
    boots = [b for series, suite, ways in KERNELS for expect in ways
             for b in [Boot(Kernel(series, suite), expect)]
             if not words or any(w in boot_name(b) for w in words)]
    os.makedirs(cache, exist_ok=True)
    tally = Tally()
    check_minimum(tally, build)
    reason = archive.unusable() or need_qemu(cache)
    if reason:
        for b in boots:
            tally.skip(boot_name(b), reason)
    else:
        run(tally, boots, guest, cache)
    print(f"{tally.passed} passed, {tally.failed} failed, "
          f"{tally.skipped} skipped")
    return 1 if tally.failed else 77 if tally.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
