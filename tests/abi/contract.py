#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: the public headers. Out: what the comment of a call does not say - a
parameter, the threads, an error, who owns what it hands out. Must never pass a
call because its comment could not be read.
"""
import glob
import re
import sys

CALL = re.compile(r"^(?:/\*\*(?P<comment>(?:(?!\*/).)*)\*/\n)?"
                  r"MSP_API(?P<type>[^;(]*?)\b(?P<name>msp_[a-z0-9_]+)\s*\("
                  r"(?P<params>[^;]*)\);", re.M | re.S)
ERROR = re.compile(r"\bMSP_ERR_\w+")
# Who frees, or why nobody does.
OWNERS = re.compile(r"\b(borrowed|owned|constant|free with|gives? up|"
                    r"closes|Returns @)", re.I)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def enum_errors(folder):
    return set(re.findall(r"^\t(MSP_ERR_\w+) = -", read(f"{folder}/error.h"),
                          re.M))


def parameters(text):
    """Names, in the order of the prototype; void has none."""
    text = " ".join(text.split())
    if text == "void":
        return []
    return [re.search(r"(\w+)(?:\[\w*\])?$", part.strip()).group(1)
            for part in text.split(",")]


def documented(comment):
    """Names in front of a colon: "@rules, @endpoint: ..." has two."""
    for line in re.findall(r"^ \* ((?:@\w+(?:, )?)+):", comment, re.M):
        yield from re.findall(r"@(\w+)", line)


class Call:
    """One declaration with the comment in front of it."""

    def __init__(self, match):
        self.name = match["name"]
        self.comment = match["comment"] or ""
        self.words = " ".join(re.sub(r"^ \*", "", self.comment, flags=re.M)
                              .split())
        self.must_check = "MSP_MUST_CHECK" in match["type"]
        self.hands_out = "*" in match["type"] or \
            re.search(r"\*\*out\b", match["params"]) is not None
        self.parameters = parameters(match["params"])

    def errors(self):
        """Those that it lists, the only ones it may end in."""
        listed = self.words.split("Errors:", 1)
        return set(ERROR.findall(listed[1])) if len(listed) == 2 else set()

    def faults(self, known):
        said = list(documented(self.comment))
        if not self.words.startswith(f"{self.name} - "):
            yield "has no comment that begins with its name"
            return
        for name in self.parameters:
            if name not in said:
                yield f"does not say what @{name} is"
        for name in said:
            if name not in self.parameters:
                yield f"tells of @{name}, which it does not have"
        if "Threads:" not in self.words:
            yield "does not say which threads may call it"
        if self.must_check and not self.errors():
            yield "lists no errors"
        if self.must_check and "MSP_ERR_INVAL" not in self.errors():
            yield "has no error for a wrong argument"
        for name in sorted(set(ERROR.findall(self.words)) - known):
            yield f"{name} is no error"
        if self.hands_out and not OWNERS.search(self.words):
            yield "does not say who owns what it hands out"
        if re.search(r"\bas above\b", self.words):
            yield "says 'as above', and has a page of its own"


def calls(folder="include/msp"):
    for path in sorted(glob.glob(f"{folder}/*.h")):
        for match in CALL.finditer(read(path)):
            yield path, Call(match)


def faults(folder="include/msp"):
    known = enum_errors(folder)
    found = list(calls(folder))
    if not known or not found:
        yield f"nothing found in {folder}"
    for path, call in found:
        yield from (f"{path}: {call.name}() {fault}"
                    for fault in call.faults(known))


if __name__ == "__main__":
    lines = list(faults())
    print("\n".join(lines))
    sys.exit(1 if lines else 0)
