#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: Debian's archive. Out: a folder with the headers and libraries of arm64
that everything here is built with, or one line with what must be installed.
Must never change what the machine's own apt and dpkg know, nor need root.

    sysroot.py FOLDER

apt chooses and checks the packages, with lists of its own; the machine needs
no foreign architecture. What is there is kept until the archive has others.
"""
import glob
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "kernels"))

import archive  # noqa: E402 - found through the line above

SUITE = "bookworm"
PACKAGES = ("libc6-dev", "libssl-dev", "libyajl-dev", "libbpf-dev",
            "libmicrohttpd-dev", "libelf-dev", "zlib1g-dev", "check")
# Of Debian 12 and Ubuntu 24.04.
TOOLS = {"aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
         "qemu-aarch64": "qemu-user",
         "qemu-system-aarch64": "qemu-system-arm"}


def missing():
    """Packages that have to be installed here."""
    packages = [package for tool, package in TOOLS.items()
                if not shutil.which(tool)]
    if not os.path.exists(archive.KEYRING):
        packages.append("debian-archive-keyring")
    return packages


def fetch(apt, folder):
    """Paths of the packages, and of those they depend on; none if that
    fails."""
    for old in glob.glob(os.path.join(glob.escape(folder), "archives",
                                      "*.deb")):
        os.remove(old)
    # the machine's lock is for the machine's packages
    apt.run("apt-get", "-o", "Debug::NoLocking=true", "install", "-y", "-qq",
            "--no-install-recommends", "--download-only", *PACKAGES)
    return sorted(glob.glob(os.path.join(glob.escape(folder), "archives",
                                         "*.deb")))


def wanted(apt):
    """What apt would install, as text; "" if it does not know."""
    lines = apt.run("apt-get", "-o", "Debug::NoLocking=true", "install", "-s",
                    "--no-install-recommends", *PACKAGES).splitlines()
    return "\n".join(sorted(line for line in lines
                            if line.startswith("Inst ")))


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def make(folder, apt, text):
    """Whether the folder is there at last."""
    debs = fetch(apt, folder + ".apt")
    if not debs or len(debs) < text.count("\n") + 1:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
        os.remove(deb)
    with open(folder + ".list", "w", encoding="utf-8") as file:
        file.write(text)
    return True


def main():
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    folder = os.path.abspath(sys.argv[1])
    packages = missing()
    if packages:
        print(f"missing here; run: {archive.INSTALL} " + " ".join(packages),
              file=sys.stderr)
        return 1
    reason = archive.unusable()
    if reason:
        print(reason, file=sys.stderr)
        return 1
    apt = archive.Apt(folder + ".apt", (SUITE,), arch="arm64")
    there = read(folder + ".list")
    if not apt.update():
        if there:
            print("  offline: the libraries are those of last time")
            return 0
        print(f"no package lists of {SUITE}: offline?", file=sys.stderr)
        return 1
    text = wanted(apt)
    if text and text == there:
        return 0
    if text and make(folder, apt, text):
        print(f"  {text.count(chr(10)) + 1} packages of arm64 in {folder}")
        return 0
    print("the libraries of arm64 cannot be downloaded", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
