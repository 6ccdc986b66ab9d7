#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: sources, and a build directory that has the generated headers. Out: what
clang-tidy, cppcheck and gcc's analyzer find in them; each finding is a
failure. Must never count a tool that did not run as one that found nothing.

  lint.py BUILD SOURCE...
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

import layers

FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-DMSP_ANALYZED", "-Iinclude", "-I."]
# what is generated is looked at where it is generated
FINDING = re.compile(r"^(?!/usr/|build)([^:\s]+):\d+:\d+: (warning|error): ")
PACKAGES = {"clang-tidy": "clang-tidy", "cppcheck": "cppcheck", "gcc": "gcc"}


def clang_tidy(build, source):
    return ["clang-tidy", "--quiet", source, "--", *FLAGS, "-isystem", build]


def gcc(build, source):
    # at -O1 it knows the most, and warns of nothing that is optimized away
    return ["gcc", *FLAGS, "-isystem", build, "-O1", "-fanalyzer", "-c",
            source, "-o", os.devnull]


def cppcheck(_build, source):
    return ["cppcheck", "--quiet", "--std=c11", "--inline-suppr",
            "--enable=warning,performance,portability",
            "--suppress=missingIncludeSystem", "--error-exitcode=0",
            "--template={file}:{line}:{column}: warning: {message} [{id}]",
            *[flag for flag in FLAGS if not flag.startswith("-std")], source]


def findings(command):
    """Lines that are findings, or why the tool did not run."""
    done = subprocess.run(command, text=True, capture_output=True)
    here = os.getcwd() + "/"
    lines = (done.stdout + done.stderr).replace(here, "").splitlines()
    found = sorted({line for line in lines if FINDING.match(line)})
    if done.returncode and not found:
        return [f"exit status {done.returncode}", *lines[:5]]
    return found


def main(build, sources):
    suite = layers.Suite()
    missing = [name for name in PACKAGES if not shutil.which(name)]
    if missing:
        print("to install: " + " ".join(PACKAGES[name] for name in missing))
    tools = {"clang-tidy": clang_tidy, "cppcheck": cppcheck, "gcc": gcc}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, tool in tools.items():
            if name in missing:
                suite.claim(name, ["is not installed"])
                continue
            commands = [tool(build, source) for source in sources]
            for source, found in zip(sources, pool.map(findings, commands)):
                suite.claim(f"{name} finds nothing in {source}", found)
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
