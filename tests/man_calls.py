#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: include/msp/, libmsp.map and man/*.3. Out: whether each public call has a
page that says of it what the header says. Must never take a header that it
cannot read for one that has nothing to say.
"""
import glob
import os
import re

# A page has these, in this order; ERRORS if a call of it can fail.
SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "OWNERSHIP", "THREADS",
            "RETURN VALUES", "EXAMPLES", "ERRORS", "SEE ALSO", "HISTORY"]
CALL = re.compile(r"(?:/\*\*((?:(?!\*/).)*)\*/\s*)?^MSP_API([^;{]*?)"
                  r"\b(msp_\w+)\s*\(([^;{]*)\);", re.M | re.S)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def squeeze(text):
    """One spelling of a declaration."""
    text = re.sub(r"\bMSP_MUST_CHECK\b", "", text)
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"\s*([*(),\[\]])\s*", r"\1", text)


class Header:
    """What the headers say of one call."""

    def __init__(self, path, comment, result, name, args):
        self.include = path.split("include/", 1)[1]
        self.name = name
        self.comment = re.sub(r"\n \* ?", "\n", comment)
        self.prototype = squeeze(f"{result} {name}({args})")


def headers():
    """By name. A call that has no comment of its own shares the one before."""
    found = {}
    for path in sorted(glob.glob("include/msp/*.h")):
        comment = ""
        for said, result, name, args in CALL.findall(read(path)):
            comment = said or comment
            found[name] = Header(path, comment, result, name, args)
    return found


def exported():
    return re.findall(r"\b(msp_\w+);", read("libmsp/libmsp.map"))


def errors_of(calls, name, seen=()):
    """Codes that a comment lists, or that it says are those of another."""
    if name in seen or name not in calls:
        return set()
    text = calls[name].comment
    codes = set(re.findall(r"\bMSP_ERR_\w+", text))
    listed = re.search(r"(?:Errors|Returns)\b.*", text, re.S)
    for other in re.findall(r"\b(?:[Aa]s|[Tt]hose of|and)\s+(msp_\w+)\(\)",
                            listed.group(0) if listed else ""):
        codes |= errors_of(calls, other, (*seen, name))
    return codes


# ---- pages -----------------------------------------------------------------

def sections(text):
    parts = re.split(r"^\.Sh (.+)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def names(text):
    return re.findall(r"^\.Nm (\S+)", sections(text).get("NAME", ""), re.M)


def pages():
    """Those of calls, without those that only stand for another."""
    for path in sorted(glob.glob("man/msp_*.3")):
        text = read(path)
        if not re.search(r"^\.so ", text, re.M):
            yield os.path.basename(path), text


def prototypes(text):
    """Of the synopsis: .Ft, then .Fn or .Fo to .Fc."""
    result = name = ""
    args = []
    for line in sections(text).get("SYNOPSIS", "").splitlines():
        macro, _, rest = line.partition(" ")
        words = [quoted or bare for quoted, bare in
                 re.findall(r'"([^"]*)"|(\S+)', rest)]
        if macro == ".Ft":
            result = " ".join(words)
        elif macro == ".Fo":
            name, args = words[0], []
        elif macro == ".Fa":
            args += words
        elif macro == ".Fc":
            yield squeeze(f"{result} {name}({', '.join(args)})")
        elif macro == ".Fn":
            yield squeeze(f"{result} {words[0]}({', '.join(words[1:])})")


# ---- claims ----------------------------------------------------------------

def each_call_has_a_page():
    wanted = exported()
    if len(wanted) < 100:
        yield f"only {len(wanted)} calls found in libmsp.map"
    for name in wanted:
        if not os.path.exists(f"man/{name}.3"):
            yield f"{name} has no page"


def each_page_has_a_call():
    wanted = set(exported())
    for path in sorted(glob.glob("man/msp_*.3")):
        name = os.path.basename(path)[:-2]
        if name not in wanted:
            yield f"{path}: libmsp.map has no such call"


def right_sections(text, codes):
    found = list(sections(text))
    wanted = [name for name in SECTIONS if name != "ERRORS" or codes]
    if found != wanted:
        yield f"sections are {found}, not {wanted}"


def right_prototypes(text, calls):
    said = list(prototypes(text))
    wanted = [calls[name].prototype for name in names(text) if name in calls]
    for line in wanted:
        if line not in said:
            yield f"the header has: {line}"
    for line in said:
        if line not in wanted:
            yield f"only the page has: {line}"
    for name in names(text):
        include = f".In {calls[name].include}" if name in calls else "?"
        if include not in text and ".In msp/msp.h" not in text:
            yield f"{name}: {include} is missing"


def right_errors(text, codes):
    said = re.findall(r"^\.It (?:Bq )?(?:Dv|Er) (MSP_ERR_\w+)",
                      sections(text).get("ERRORS", ""), re.M)
    for code in sorted(codes - set(said)):
        yield f"{code} is not said"
    for code in sorted(set(said) - codes):
        yield f"the header has no {code}"


def real_examples(text):
    """A program that is compiled has it, and it shows what the page tells."""
    example = sections(text).get("EXAMPLES", "")
    marked = re.findall(r'^\.\\" verbatim: (?:examples|mspd|tests/unit)/\S+\n'
                        r"\.Bd -literal.*\n((?:(?!\.Ed\n).*\n)*)", example,
                        re.M)
    if not marked or example.count("\n.Bd ") != len(marked):
        yield "a display is of no program here, or there is none"
    shown = set(re.findall(r"\bmsp_\w+(?= ?\()", "".join(marked)))
    if marked and not shown & set(names(text)):
        yield f"the display has none of {names(text)}"


def claims():
    calls = headers()
    yield "each_call_has_a_page", each_call_has_a_page()
    yield "call_pages_have_calls", each_page_has_a_call()
    for page, text in pages():
        codes = set().union(*(errors_of(calls, name) for name in names(text)))
        stem = page.replace(".", "_")
        yield f"{stem}_sections", right_sections(text, codes)
        yield f"{stem}_synopsis", right_prototypes(text, calls)
        yield f"{stem}_errors", right_errors(text, codes)
        yield f"{stem}_examples", real_examples(text)
