#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build of the library with debug information, and what was promised:
libmsp.map, numbers.c, libmsp.<machine>.abi. Out: whether a program that was
built with the library before still runs with it. Must never pass because a
tool saw nothing to compare.

check.py BUILD            compare
check.py BUILD --write    promise what BUILD has

Who includes whom, and that headers, map and library have the same names, is
tests/layers.py's.
"""
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import numbers_of_headers as numbers  # noqa: E402

# Of one machine: sizes and registers are others elsewhere.
BASELINE = "tests/abi/libmsp.x86_64.abi"
MACHINE = "x86_64"
# What a caller sees, and nothing that changes with a compiler or a line. No
# places in files, so no option of abidiff that sorts types by them: it would
# find all of them private, and every change harmless.
ABIDW = ["abidw", "--headers-dir", "include", "--drop-private-types",
         "--exported-interfaces-only", "--no-corpus-path",
         "--no-comp-dir-path", "--no-show-locs", "--no-parameter-names",
         "--no-elf-needed", "--type-id-style", "hash"]
# Of abidiff's exit status: a change, one that breaks for sure. The other bits
# are its own trouble.
CHANGED = 4 | 8


class Suite:
    """Counts claims; a claim that does not hold says where."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def claim(self, name, faults):
        faults = list(faults)
        if faults:
            self.failed += 1
            print(f"  FAILED  {name}")
            for fault in faults:
                print(f"          {fault}")
            return
        self.passed += 1
        if os.environ.get("V"):
            print(f"  ok      {name}")

    def skip(self, name, why):
        self.skipped += 1
        print(f"  SKIPPED {name}: {why}")

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed, "
              f"{self.skipped} skipped")
        return 1 if self.failed else 0


def run(*command):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)


# ---- symbols ---------------------------------------------------------------

def mapped():
    with open("libmsp/libmsp.map", encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    return set(re.findall(r"\b(msp_\w+)\s*;", text))


def visible(build):
    """What objects would export if the map did not stand in between."""
    objects = sorted(os.path.join(build, "libmsp", name[:-2] + ".o")
                     for name in os.listdir("libmsp") if name.endswith(".c"))
    done = run("readelf", "-sW", *objects)
    for line in done.stdout.splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[4] in ("GLOBAL", "WEAK") and \
                fields[5] == "DEFAULT" and fields[6] != "UND":
            yield fields[7]


def hidden_calls(build):
    """A call that is MSP_API and not in the map vanishes without a word."""
    there, named = set(visible(build)), mapped()
    if len(there) < 100:
        yield f"only {len(there)} symbols found in {build}"
    yield from (f"{name}: visible, not in libmsp.map"
                for name in sorted(there - named))
    yield from (f"{name}: in libmsp.map, not visible"
                for name in sorted(named - there))


# ---- types -----------------------------------------------------------------

def library(build):
    return os.path.join(build, "libmsp.so")


def blindness(build):
    """Without it abidiff has nothing to say of a real break."""
    sections = run("readelf", "-SW", library(build)).stdout
    if ".debug_info" not in sections:
        yield f"{library(build)} has no debug information"


def represent(build, path):
    done = run(*ABIDW, "--out-file", path, library(build))
    if done.returncode or not os.path.exists(path):
        yield f"abidw: exit status {done.returncode}"
        yield from done.stdout.splitlines()[:10]


def difference(before, after):
    """An addition, too: who reviews it sees it in the baseline."""
    done = run("abidiff", before, after)
    if done.returncode:
        yield f"abidiff: exit status {done.returncode}; make abi-baseline?"
        yield from done.stdout.splitlines()[:40]


def unseen(path, folder):
    """Breaks that abidiff has to find, made in a copy."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    breaks = {
        "a moved field": (r"(<data-member access='public' layout-offset-in-"
                          r"bits=')64(')", r"\g<1>96\2"),
        "another number": (r"(<enumerator name='MSP_LATCH_LOST' value=')5'",
                           r"\g<1>6'"),
        "a renamed call": (r"msp_latch_run'", "msp_latch_walk'"),
    }
    for name, (pattern, replacement) in breaks.items():
        worse = os.path.join(folder, "worse.abi")
        with open(worse, "w", encoding="utf-8") as file:
            changed, count = re.subn(pattern, replacement, text, flags=re.S)
            file.write(changed)
        if not count:
            yield f"{name}: nowhere to make it"
        elif not run("abidiff", path, worse).returncode & CHANGED:
            yield f"{name}: not found"


def check_types(suite, build):
    name = "types_are_those_of_the_baseline"
    if platform.machine() != MACHINE:
        suite.skip(name, f"{BASELINE} is of {MACHINE}, this is "
                   f"{platform.machine()}; numbers.c holds here")
        return
    if not shutil.which("abidiff"):
        suite.skip(name, "no abidiff (Debian: abigail-tools)")
        return
    suite.claim("library_has_debug_information", blindness(build))
    with tempfile.TemporaryDirectory() as folder:
        now = os.path.join(folder, "now.abi")
        faults = list(represent(build, now))
        suite.claim(name, faults or difference(BASELINE, now))
        suite.claim("a_break_of_the_types_is_found", unseen(BASELINE, folder))


# ---- numbers ---------------------------------------------------------------

def check_numbers(suite):
    suite.claim("each_number_of_the_headers_is_pinned", numbers.unpinned())
    for compiler in ("gcc", "clang"):
        name = f"numbers_are_what_they_were_with_{compiler}"
        if shutil.which(compiler):
            suite.claim(name, numbers.broken(compiler))
        else:
            suite.skip(name, f"no {compiler}")


def check_the_checks(suite):
    """Headers with one thing changed are found out."""
    breaks = {
        "an_error": ("error.h", "MSP_ERR_BUG = -18", "MSP_ERR_BUG = -19"),
        "a_macro": ("signer.h", "MSP_MAX_HEADERS 100", "MSP_MAX_HEADERS 99"),
        "a_text": ("signer.h", '"Azure-HMAC-SHA256"', '"Azure-HMAC-SHA512"'),
        "a_field": ("latch.h", "\tuint32_t eager_ms;",
                    "\tuint32_t odd_ms;\n\tuint32_t eager_ms;"),
        "padding": ("client.h", "\tvoid *on_socket_arg;",
                    "\tvoid *on_socket_arg;\n\tuint32_t more;"),
    }
    for name, (header, before, after) in breaks.items():
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree("include/msp", os.path.join(folder, "msp"))
            path = os.path.join(folder, "msp", header)
            with open(path, encoding="utf-8") as file:
                text = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace(before, after))
            found = before in text and list(numbers.broken("cc", folder))
            suite.claim(f"a_changed_number_is_found_{name}",
                        [] if found else ["it is not"])


def write(build):
    numbers.write()
    faults = list(blindness(build)) + list(represent(build, BASELINE))
    print("\n".join(faults) or f"wrote {BASELINE} and {numbers.TARGET}")
    return 1 if faults else 0


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          "../.."))
    build = sys.argv[1]
    if sys.argv[2:] == ["--write"]:
        return write(build)
    suite = Suite()
    suite.claim("objects_show_what_the_map_exports", hidden_calls(build))
    check_types(suite, build)
    check_numbers(suite)
    check_the_checks(suite)
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
