#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: the test guest, Debian's kernels, QEMU. Out: a line per kernel and boot,
and one tally. Must never take a guest that did not end for one that passed,
nor give the guest a network.

    check_kernels.py BUILD [WORD...]   only boots whose name has a word
    V=1         show every check
    ARCH=       of Debian; default: amd64
    SYSROOT=    where its libraries are; default: /
    QEMU=       another than the one in PATH
    MIRROR=URL  of Debian's archive, if not the one apt uses here

Kernels come through apt, with folders of its own below BUILD/kernels, so
that the machine's package lists stay as they are.
"""
import collections
import glob
import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import archive  # noqa: E402 - found through the line above
import machine  # noqa: E402
import minimum  # noqa: E402
import userland  # noqa: E402

# A boot takes about 20 s on two slow cores; under emulation a burst may
# stall, so this is no measure of anything.
BOOT_SECONDS = 600
MACHINE = machine.MACHINES[os.environ.get("ARCH", "amd64")]
SYSROOT = os.environ.get("SYSROOT", "/")
QEMU = os.environ.get("QEMU", MACHINE.qemu)
# Modules that "units" needs, each after what it needs itself.
MODULES = ("inet_diag", "tcp_diag")
UNITS = os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "arm64", "unemulated")

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
    least = MACHINE.major
    version = qemu_version()
    if (version is None or version < least) and "QEMU" not in os.environ:
        archive.install_qemu(cache, MACHINE.package)
        version = qemu_version()
    if version is not None and version >= least:
        return None
    found = "none" if version is None else f"version {version}"
    return (f"needs QEMU {least} or newer, found {found}; on Debian 12: "
            f"{archive.BACKPORT} {MACHINE.package}")


def command_line(expect):
    """Lockdown comes from the command line; "expect" goes to PID 1."""
    words = [f"console={MACHINE.console}", "panic=-1", "quiet",
             f"expect={expect}"]
    if expect == "lockdown":
        words.append("lockdown=confidentiality")
    return " ".join(words)


def boot(kernel, image, expect, log):
    """Everything the guest printed, and whether it ended by itself."""
    command = [QEMU, "-accel", "tcg", *MACHINE.options, "-smp", "2",
               "-m", "768", "-nodefaults", "-no-user-config",
               "-display", "none",
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
                    r"^  ok (a user with a role: the host has it .*)",
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


def module(tree, name):
    """Path of it as the kernel takes it."""
    found = glob.glob(os.path.join(glob.escape(tree), "**", f"{name}.ko*"),
                      recursive=True)
    if not found or not found[0].endswith(".ko"):
        raise archive.Missing(f"no module {name} in its package")
    return found[0]


def unit_names():
    with open(UNITS, encoding="utf-8") as file:
        return [line.split()[0] for line in file if not line.startswith("#")]


def image_for(build, expect, tree, cache):
    """Path of the initramfs for a boot."""
    path = os.path.join(cache, f"{expect}.cpio")
    root = userland.guest(build, MACHINE, SYSROOT)
    if expect == "agent":
        userland.add_agent(root, build)
    elif expect == "units":
        userland.add_units(root, build, unit_names(),
                           [module(tree, name) for name in MODULES])
    root.write(path)
    return path


def run(tally, boots, build, cache):
    suites = dict.fromkeys(b.kernel.suite for b in boots)
    index = archive.Index(cache, MACHINE.arch, suites)
    offline = index.update()
    if offline:
        print("  offline: no new package lists of " + ", ".join(offline))
    for kernel in dict.fromkeys(b.kernel for b in boots):
        mine = [b for b in boots if b.kernel == kernel]
        try:
            path, version, tree = index.kernel(
                kernel.suite, kernel.series if kernel.series[0].isdigit()
                else None)
        except archive.Missing as err:
            for b in mine:
                tally.skip(boot_name(b), str(err))
            continue
        for b in mine:
            log = os.path.join(cache, f"{kernel.series}-{b.expect}.log")
            image = image_for(build, b.expect, tree, cache)
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
    cache = os.path.join(build, "kernels")
    words = sys.argv[2:]
    boots = [b for series, suite, ways in MACHINE.kernels for expect in ways
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
        run(tally, boots, build, cache)
    print(f"{tally.passed} passed, {tally.failed} failed, "
          f"{tally.skipped} skipped")
    return 1 if tally.failed else 77 if tally.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
