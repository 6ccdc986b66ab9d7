# SPDX-License-Identifier: MIT
"""
In: what a scenario wants, and what was seen. Out: do they fit, and if not, a
sentence. Must never take what is absent for something that fits.

A wanted value is one of
    7, "text", true, null    exactly that
    [A, B]                   one of these
    {"not": A}               anything but
    {"contains": A}          a text with that text, a list with that item
    {"matches": "regex"}     a text in which that is found
    {"min": 1, "max": 3}     a number, either bound may be left out
    {"upper": A}             A in upper case
    {"is": A}                exactly A, also if A is a list or an object
    {"absent": true}         is not there at all
"""
import re


class Absent:
    """What a path leads to when it leads nowhere."""

    def __repr__(self):
        return "(absent)"


ABSENT = Absent()
VARIABLE = re.compile(r"\$([A-Z][A-Z_0-9]*)")


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def in_bounds(want, seen):
    return is_number(seen) and want.get("min", seen) <= seen <= \
        want.get("max", seen)


OPERATORS = {
    "not": lambda a, seen: not fits(a, seen),
    "contains": lambda a, seen: isinstance(seen, (str, list)) and a in seen,
    "matches": lambda a, seen: isinstance(seen, str) and
    re.search(a, seen, re.S) is not None,
    "upper": lambda a, seen: seen == a.upper(),
    "is": lambda a, seen: type(a) is type(seen) and a == seen,
    "absent": lambda a, seen: (seen is ABSENT) == a}


def fits(want, seen):
    if isinstance(want, list):
        return any(fits(one, seen) for one in want)
    if isinstance(want, dict):
        if want and set(want) <= {"min", "max"}:
            return in_bounds(want, seen)
        (name, argument), = want.items()
        if seen is ABSENT and name != "absent":
            return False
        return OPERATORS[name](argument, seen)
    return type(want) is type(seen) and want == seen


def at(document, path):
    """What "a.0.b" leads to in a JSON document."""
    for part in path.split(".") if path else []:
        if isinstance(document, list) and part.isdigit() and \
                int(part) < len(document):
            document = document[int(part)]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            return ABSENT
    return document


def differences(wanted, document):
    """Sentences: what of {path: wanted value} does not hold."""
    for path, want in wanted.items():
        seen = at(document, path)
        if not fits(want, seen):
            yield f"{path}: expected {want!r}, seen {seen!r}"


def fill(value, variables):
    """The value with $NAME replaced, whole values by what they stand for."""
    if isinstance(value, dict):
        return {fill(k, variables): fill(v, variables)
                for k, v in value.items()}
    if isinstance(value, list):
        return [fill(v, variables) for v in value]
    if not isinstance(value, str):
        return value
    whole = VARIABLE.fullmatch(value)
    if whole:
        return variables[whole.group(1)]
    return VARIABLE.sub(lambda m: str(variables[m.group(1)]), value)
