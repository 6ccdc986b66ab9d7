#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: what strace wrote of every agent of the live suite. Out: which system calls
they made, and with which values of the arguments that the agent's filter looks
at: what the table of mspd/seccomp_table.c is reviewed against. Must never
decide what is allowed.

    make syscalls            runs the suite with TRACE=DIR, and prints
    syscalls.py DIR          prints what was traced before
"""
import collections
import itertools
import os
import re
import sys

# Of each request: a suite that stops the agent at these tests something else.
# They are traced if HOT is set, for which a few cases are enough.
HOT = ("epoll_wait", "epoll_pwait", "epoll_ctl", "recvfrom", "sendto", "read",
       "recvmsg", "sendmsg", "write", "writev", "close", "futex", "accept4",
       "getsockopt", "setsockopt", "shutdown")
# Which of its arguments tell what a call is.
TELLING = {"socket": (0, 1, 2), "prctl": (0, 1), "clone": (0, 1, 2),
           "clone3": (0,),
           "bpf": (0,), "ioctl": (1,), "fcntl": (1,), "mmap": (2, 3),
           "mprotect": (2,), "madvise": (2,), "prlimit64": (0, 1, 2),
           "setsockopt": (1, 2), "getsockopt": (1, 2), "tgkill": (2,),
           "kill": (1,), "seccomp": (0, 1), "rt_sigaction": (0,)}
# What comes before the filter is set ends with this call.
SET = re.compile(r"(seccomp\(SECCOMP_SET_MODE_FILTER|"
                 r"prctl\(PR_SET_SECCOMP, SECCOMP_MODE_FILTER)")
LINE = re.compile(r"(?:\d+ +)?(\w+)\((.*)")
NUMBERS = itertools.count()


def tracer():
    """What to put before the agent's command line: nothing, unless TRACE names
    a directory."""
    folder = os.environ.get("TRACE")
    if not folder:
        return []
    out = os.path.join(folder, f"{os.getpid()}-{next(NUMBERS)}")
    which = "all" if os.environ.get("HOT") else "!" + ",".join(HOT)
    return ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-s", "0", "-o", out,
            "-e", f"trace={which}", "-e", "signal=none"]


def arguments(text):
    """As strace separates them; what is in brackets stays together."""
    depth, at, out = 0, "", []
    for c in text:
        if c in "([{":
            depth += 1
        elif c in ")]}":
            if depth == 0:
                break
            depth -= 1
        if c == "," and depth == 0:
            out.append(at.strip())
            at = ""
        else:
            at += c
    return out + [at.strip()]


def form(name, text):
    """The call, with the arguments that tell; 0x7f... is any address."""
    given = arguments(text.split(" <unfinished")[0])
    told = [given[i] for i in TELLING.get(name, ()) if i < len(given)]
    if name == "mmap" and len(given) > 3:
        told[1] = re.sub(r"\|?MAP_(PRIVATE|SHARED|NORESERVE|STACK)", "",
                         told[1])
    told = [re.sub(r"0x[0-9a-f]{6,}", "*", a) for a in told]
    told = [re.sub(r"(child_stack|stack_size|child_tid|parent_tid|exit_signal|"
                   r"tls)=[^,}]*,? *", "", a) for a in told]
    return f"{name}({', '.join(told)})" if told else name


def read(path):
    """Forms and how often, after the filter was set, or from the start."""
    found, refused = collections.Counter(), False
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            if SET.search(line):
                found.clear()
                refused = False  # its handler was set
                continue
            match = LINE.match(line)
            if match:
                found[form(*match.groups())] += 1
            refused = refused or "SIGSYS" in line
    return found, refused


def main():
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    total, in_files = collections.Counter(), collections.Counter()
    for name in sorted(os.listdir(sys.argv[1])):
        found, refused = read(os.path.join(sys.argv[1], name))
        total += found
        in_files.update(found.keys())
        if refused:
            print(f"refused: {name}")
    for key in sorted(total):
        print(f"{total[key]:9} calls, {in_files[key]:5} agents  {key}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
