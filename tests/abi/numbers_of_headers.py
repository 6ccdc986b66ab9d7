#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: the public headers. Out: what a program that was built with them has in
it - values of enums and macros, places of fields - as static assertions. Must
never pass over a name because it is written in a way not thought of here.

numbers_of_headers.py --write makes numbers.c anew, which changes what is promised.
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

TARGET = "tests/abi/numbers.c"
# Not numbers: attributes, initializers; and what each release changes.
NO_NUMBER = re.compile(r"MSP_(API|MUST_CHECK|BEGIN_DECLS|END_DECLS|\w+_INIT|"
                       r"\w+_H|VERSION(_\w+)?)")
HEAD = """\
/* SPDX-License-Identifier: MIT */
/*
 * In: the public headers. Out: nothing, if numbers and places are those that
 * programs were built with. Made by tests/abi/numbers_of_headers.py: a difference breaks
 * programs, and one that only adds lines does not.
 */
#include <msp/msp.h>

#include <stddef.h>

#define SAME(text, was) (__builtin_strcmp(text, was) == 0)
#define PLACE(type, field, at, bytes)                                          \\
	_Static_assert(offsetof(type, field) == (at) &&                        \\
			       sizeof(((type *)0)->field) == (bytes),          \\
		       #type " " #field)
#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
/* Else a new field could come where an old caller left what was there. */
#define FULL(type, last)                                                       \\
	_Static_assert(offsetof(type, last) + sizeof(((type *)0)->last) ==     \\
			       sizeof(type),                                   \\
		       #type " ends in padding")
#define VALUE(name, was) _Static_assert((name) == (was), #name)
#define TEXT(name, was) _Static_assert(SAME(name, was), #name)
"""


def headers():
    for path in sorted(glob.glob("include/msp/*.h")):
        with open(path, encoding="utf-8") as file:
            yield path, re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.S)


def enums(text):
    """(name, [constants])"""
    for name, body in re.findall(r"\benum (\w+) \{([^}]*)\}", text):
        yield name, [part.split("=")[0].strip() for part in body.split(",")
                     if part.strip()]


def macros(text):
    text = text.replace("\\\n", " ")
    for name in re.findall(r"^\s*#\s*define\s+(\w+)", text, re.M):
        if not NO_NUMBER.fullmatch(name):
            yield name


def fields(body):
    """Names, whatever is declared: int a; T *b[3]; int (*c)(void *);"""
    for part in body.split(";"):
        if not part.strip():
            continue
        pointer = re.search(r"\(\*(\w+)\)\(", part)
        yield pointer.group(1) if pointer else \
            re.search(r"(\w+)\s*(?:\[[^]]*\])?\s*$", part).group(1)


def structs(text):
    for name, body in re.findall(r"^struct (\w+) \{\n(.*?)^\};", text,
                                 re.M | re.S):
        yield name, list(fields(body))


def everything():
    """Enums, macros, structs of all headers."""
    found = [], [], []
    for _, text in headers():
        for kind, parse in zip(found, (enums, macros, structs)):
            kind.extend(parse(text))
    return found


def uncounted():
    """What braces there are, and the parsers above did not see."""
    for path, text in headers():
        for keyword, parse in (("enum", enums), ("struct", structs)):
            seen = len(list(parse(text)))
            there = len(re.findall(rf"\b{keyword}\b[^;(){{}}]*\{{", text))
            if seen != there:
                yield f"{path}: {there} of {keyword}, {seen} are understood"
        if re.search(r"\bunion\b|^\s*typedef\b", text, re.M):
            yield f"{path}: has a union or a typedef"


# ---- writing ---------------------------------------------------------------

def probe_code(names, types):
    """Prints each value, and each place."""
    lines = ["#include <msp/msp.h>", "#include <stdio.h>",
             "static void text(const char *n, const char *v)"
             '{ printf("%s \\"%s\\"\\n", n, v); }',
             "static void show(const char *n, long long v, int u)"
             '{ if (u) printf("%s %lluu\\n", n, (unsigned long long)v);'
             ' else printf("%s %lld\\n", n, v); }',
             "int main(void) {"]
    for name in names:
        lines.append(
            f"_Generic(({name}), char *: (void)0, default: show(\"{name}\", "
            f"(long long)_Generic(({name}), char *: 0, default: ({name})), "
            f"_Generic(({name}), unsigned long: 1, unsigned long long: 1, "
            "default: 0)));")
        lines.append(
            f"_Generic(({name}), char *: text(\"{name}\", "
            f"_Generic(({name}), char *: ({name}), default: \"\")), "
            "default: (void)0);")
    for name, members in types:
        lines.append(f'printf("S {name} %zu\\n", sizeof(struct {name}));')
        for field in members:
            lines.append(
                f'printf("F {name} {field} %zu %zu\\n", '
                f"offsetof(struct {name}, {field}), "
                f"sizeof(((struct {name} *)0)->{field}));")
    lines.append("return 0; }")
    return "\n".join(lines)


def measure(names, types):
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "probe")
        subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-w",
                        "-Iinclude", "-x", "c", "-", "-o", program],
                       input=probe_code(names, types), text=True, check=True)
        return subprocess.run([program], stdout=subprocess.PIPE, text=True,
                              check=True).stdout.splitlines()


def assertion(line, last):
    words = line.split(" ", 1)
    if words[0] == "S":
        name, size = words[1].split()
        yield f"SIZE(struct {name}, {size});"
    elif words[0] == "F":
        name, field, at, size = words[1].split()
        yield f"PLACE(struct {name}, {field}, {at}, {size});"
        if last.get(name) == field:
            yield f"FULL(struct {name}, {field});"
    else:
        kind = "TEXT" if words[1].startswith('"') else "VALUE"
        value = words[1]
        if kind == "TEXT":
            value = '"' + value[1:-1].replace('"', '\\"') + '"'
        yield f"{kind}({words[0]}, {value});"


def write():
    all_enums, all_macros, all_structs = everything()
    names = [c for _, constants in all_enums for c in constants] + all_macros
    # Structs that begin with their size can grow.
    last = {name: members[-1] for name, members in all_structs
            if members[0] == "size"}
    lines = measure(names, all_structs)
    plain = [l for l in lines if l[:2] not in ("S ", "F ")]
    placed = [l for l in lines if l[:2] in ("S ", "F ")]
    with open(TARGET, "w", encoding="utf-8") as file:
        file.write(HEAD + "\n")
        for line in plain:
            file.writelines(f"{text}\n" for text in assertion(line, last))
        for name, _ in all_enums:
            file.write(f"SIZE(enum {name}, 4);\n")
        file.write("\n/* where pointers have 64 bits */\n#ifdef __LP64__\n")
        for line in placed:
            file.writelines(f"{text}\n" for text in assertion(line, last))
        file.write("#endif\n")


# ---- checking --------------------------------------------------------------

def unpinned():
    """Names of the headers that numbers.c does not have, and the reverse."""
    yield from uncounted()
    with open(TARGET, encoding="utf-8") as file:
        text = file.read()
    all_enums, all_macros, all_structs = everything()
    there = {c for _, constants in all_enums for c in constants}
    there.update(all_macros)
    there.update(f"enum {name}" for name, _ in all_enums)
    there.update(f"struct {name}" for name, _ in all_structs)
    there.update(f"struct {name} {field}" for name, members in all_structs
                 for field in members)
    pinned = set(re.findall(r"^(?:VALUE|TEXT)\((\w+),", text, re.M))
    pinned.update(re.findall(r"^SIZE\((\w+ \w+),", text, re.M))
    pinned.update(" ".join(pair) for pair in
                  re.findall(r"^PLACE\((struct \w+), (\w+),", text, re.M))
    if len(there) < 400:
        yield f"only {len(there)} names found in the headers"
    yield from (f"{name}: in a header, not in {TARGET}; make abi-baseline"
                for name in sorted(there - pinned))
    yield from (f"{name}: in {TARGET}, in no header"
                for name in sorted(pinned - there))


def broken(compiler, include="include"):
    """Numbers and places that are others by now."""
    done = subprocess.run([compiler, "-std=c11", "-fsyntax-only",
                           f"-I{include}", TARGET], text=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          check=False)
    if done.returncode:
        yield from re.findall(r"error: (.*)", done.stderr) or [done.stderr]


if __name__ == "__main__":
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          "../.."))
    if sys.argv[1:] == ["--write"]:
        write()
    FAULTS = list(unpinned()) + list(broken(os.environ.get("CC", "cc")))
    print("\n".join(FAULTS))
    sys.exit(1 if FAULTS else 0)
