#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: man/ and a build directory. Out: whether the pages are well formed and say
what the code does - its options, keys, names, numbers. Must never pass a page
because a list it is compared with could not be found.
"""
import fnmatch
import glob
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "profiles"))
import check as profiles  # noqa: E402
import man_calls  # noqa: E402

# Escapes of roff that occur in the pages, and what they stand for.
ESCAPES = ((r"\e", "\\"), (r"\&", ""), (r"\ ", " "))
# What mandoc says of pages that this machine does not have.
ELSEWHERE = re.compile(r"referenced manual not found")
# One row of mspd/config.c's table; it ends where the next one, or nothing, is.
FIELD = re.compile(r'^\t(TEXT|NUMBER|TIMEOUT|INTERVAL|IGNORED|WORD|SWITCH)'
                   r'(?:_WITH)?\("(\w+)",(.*?)\),$(?=\n\t?[A-Z}])',
                   re.M | re.S)
# Names of codes; not those of requests that have a canonical form.
CANON = "CANON_(?!OK|UNKNOWN)[A-Z0-9_]+"


class Suite:
    """Counts claims; a claim that does not hold says where."""

    def __init__(self):
        self.passed = self.failed = 0

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

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed, 0 skipped")
        return 1 if self.failed else 0


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def page(name):
    return read(f"man/{name}")


def plain(text):
    for escape, char in ESCAPES:
        text = text.replace(escape, char)
    return text


def compare(page_has, code_has, least):
    """Both ways; code_has must not be a list that was not found."""
    page_has, code_has = set(page_has), set(code_has)
    if len(code_has) < least:
        yield f"only {len(code_has)} found in the code: {sorted(code_has)}"
    for name in sorted(code_has - page_has):
        yield f"{name} is not in the page"
    for name in sorted(page_has - code_has):
        yield f"{name} is not in the code"


def items(text, macro):
    """Tags of a list: .It Ic a , b"""
    for line in re.findall(rf"^\.It {macro} (.*)$", text, re.M):
        yield from (word for word in line.split() if word != ",")


def section(text, name):
    return re.split(r"^\.S[hs] ", text.split(f" {name}\n", 1)[1],
                    maxsplit=1, flags=re.M)[0]


# ---- what is compared ------------------------------------------------------

def lint(path):
    done = subprocess.run(["mandoc", "-T", "lint", path], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=False)
    for line in done.stdout.splitlines():
        if not ELSEWHERE.search(line):
            yield line
    if done.returncode not in range(0, 5):
        yield f"mandoc: exit status {done.returncode}"


def quotes_in_quotes(path):
    """A macro of a quoted list quotes on, and its marks end up nested."""
    done = subprocess.run(["mandoc", "-T", "utf8", path], check=True,
                          encoding="utf-8", stdout=subprocess.PIPE)
    # bold and underlined are overstruck
    shown = re.sub(".\b", "", done.stdout)
    return [f"a quote within a quote: {line.strip()}"
            for line in shown.splitlines()
            if re.search("\u2018[^\u2019]*\u2018", line)]


def is_another_name(path):
    return re.search(r"^\.so ", read(path), re.M)


def stands_for(path):
    """A page that is only another name of one; that one says so, too."""
    lines = [line for line in read(path).splitlines()
             if not line.startswith('.\\"')]
    target = re.fullmatch(r"\.so man(\d)/(\S+\.\1)", "\n".join(lines))
    if not target or not os.path.exists(f"man/{target.group(2)}"):
        yield f"{path}: {lines}"
        return
    name = os.path.basename(path).rsplit(".", 1)[0]
    if name not in items_of_name(page(target.group(2))):
        yield f"{target.group(2)} is not a page of {name}"


def items_of_name(text):
    return re.findall(r"^\.Nm (\S+)", section(text, "NAME"), re.M)


def references(path):
    """Our own pages exist; those of the system are its own business."""
    for name, number in re.findall(r"^\.Xr (\S*msp\S*) (\d)", read(path), re.M):
        if not os.path.exists(f"man/{name}.{number}"):
            yield f"{path}: {name}({number}) does not exist"


def copies(path):
    """A display marked verbatim is part of the file it is taken from."""
    marked = re.findall(r'^\.\\" verbatim: (\S+)\n\.Bd -literal.*\n'
                        r"((?:(?!\.Ed\n).*\n)*)", read(path), re.M)
    for source, code in marked:
        if not code.strip() or plain(code) not in read(source) + "\n":
            yield f"{path}: is not what {source} has"


def program(build, name, *command):
    path = {"mspd": "mspd/mspd", "mspctl": "mspd/ctl/mspctl",
            "msp-host": "examples/msp-host/msp-host"}
    env = {**os.environ, "LD_LIBRARY_PATH": build}
    return subprocess.run([f"{build}/{path[name]}", *command, "--help"],
                          env=env, text=True, stdout=subprocess.PIPE,
                          check=True).stdout


def options(build, name, least, *commands):
    text = program(build, name) + "".join(program(build, name, command)
                                          for command in commands)
    told = re.findall(r"(?<![\w-])--([a-z][a-z-]*)", text)
    told.append("help")
    text = page(f"{name}.8")
    documented = re.findall(r"^\.(?:It|Nm|Op|Fl).*", text, re.M)
    return compare(re.findall(r"Fl Fl ([a-z-]+)", "\n".join(documented))
                   + re.findall(r"^\.Fl Fl ([a-z-]+)", text, re.M),
                   told, least)


def ctl_options(build):
    """Each command's own, in the section that is called like it."""
    commands = re.findall(r"^  ([a-z]+)  ", program(build, "mspctl"), re.M)
    if len(commands) < 5:
        yield f"only {commands} found"
    for name in commands:
        told = program(build, "mspctl", name)
        told = set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", told))
        said = page("mspctl.8").split(f"\n.Ss {name}\n", 1)[-1]
        said = re.split(r"^\.S[hs] ", said, maxsplit=1, flags=re.M)[0]
        said = set(re.findall(r"Fl Fl ([a-z-]+)", "\n".join(
            re.findall(r"^\.It .*", said, re.M))))
        for option in sorted((told - {"select"}) ^ (said - {"select"})):
            yield f"{name}: --{option}"


def config_fields():
    return [(kind, name, [part.strip() for part in rest.split(",")])
            for kind, name, rest in FIELD.findall(read("mspd/config.c"))]


def range_of(kind):
    """The range of all keys of that kind, in seconds."""
    row = read("mspd/config.c").split(f"#define {kind}(", 1)[1]
    row = row.split("}", 1)[0].split(",")
    return int(row[-3]) / 1000, int(row[-2]) / 1000


def config_values():
    """Defaults and ranges, as each key's own paragraph has them."""
    text = page("mspd.conf.5")
    for kind, name, rest in config_fields():
        said = text.split(f".It Ic {name}\n", 1)[-1].split("\n.It ", 1)[0]
        wanted = []
        if kind == "NUMBER":
            most = rest[3].replace("UINT32_MAX", "4294967295")
            wanted = [f"from {rest[2]} to {most}, default {rest[1]}."]
        elif kind in ("TIMEOUT", "INTERVAL"):
            least, most = range_of(kind)
            wanted = [f"Time from {least:g} to {most:g}, "
                      f"default {int(rest[1]) / 1000:g}."]
        elif kind == "TEXT" and rest[-1] != "NULL":
            wanted = [rest[-1].strip('"')]
        if any("REQUIRED" in part for part in rest):
            wanted.append("required")
        for words in wanted:
            if words not in said:
                yield f"{name}: '{words}' is not said"


def metrics():
    text = page("mspd-metrics.7")
    return compare(items(text, "Ic"),
                   re.findall(r'"(mspd_\w+)",\s*"(?:counter|gauge|histogram)"',
                              read("mspd/metrics.c")), 20)


def metric_labels():
    """Values of labels that are words of the agent's own."""
    text = section(page("mspd-metrics.7"), "METRICS")
    words = re.findall(r'\{ MSP_COUNT_\w+, "(\w+)" \}', read("mspd/sight.c"))
    code = read("mspd/meter.c")
    for table in re.findall(r"names\[MSPD_METER_\w+\] = \{(.*?)\};", code, re.S):
        words += re.findall(r'"(\w+)"', table)
    words += re.findall(r'return "(\w+)";', code)
    said = set(re.findall(r"^\.Ql (\S+)", text, re.M))
    return compare(said & set(words), words, 25)


def audit_keys():
    code = read("mspd/audit_text.c")
    names = re.findall(r'[A-Z]+\(line, "(\w+)"', code)
    return compare(items(section(page("mspd.8"), "Audit record"), "Ic"),
                   names + ["time", "chain"], 15)


def audit_states():
    code = read("mspd/audit_text.c")
    code = code.split("*exe_state(", 1)[1].split("\n}", 1)[0]
    return compare(items(section(page("mspd.8"), "Audit record"), "Sy"),
                   re.findall(r'"([a-z-]+)"', code), 6)


def audit_flags():
    text = section(page("mspd.8"), "Audit record")
    text = text.split(".It Ic flags\n", 1)[-1].split("\n.It ", 1)[0]
    return compare(re.findall(r"^\.Ql (\S+) :$", text, re.M),
                   re.findall(r'MSP_CALLER_\w+, "([a-z0-9-]+)"',
                              read("mspd/audit_text.c")), 7)


def audit_reasons():
    code = read("libmsp/decision.c").split("msp_reason_name", 1)[1]
    names = set(re.findall(r'return "([a-z-]+)"', code)) - {"unknown"}
    return compare(items(section(page("mspd.8"), "Audit record"), "Cm"),
                   names | {"refused", "other"}, 10)


def host_reasons():
    code = read("examples/msp-host/net/call.c").split("reason_name", 1)[1]
    names = re.findall(r'return "([a-z-]+)"', code.split("\n}\n", 1)[0])
    return compare(items(section(page("msp-host.8"), "Log and record"), "Cm"),
                   names, 8)


def host_faults():
    code = read("examples/msp-host/fault/kinds.c").split("kinds[] = {", 1)[1]
    rows = re.findall(r'^\t\{ "([a-z0-9-]+)",', code.split("\n};", 1)[0], re.M)
    text = page("msp-host-control.8").split("\n.Sh FAULTS\n", 1)[1]
    text = text.split("\n.Sh ", 1)[0]
    names = []
    for line in re.findall(r"^\.It Cm (.*)$", text, re.M):
        names += re.split(" Ic ", line)[0].split(" , ")
    return compare(names, rows, 30)


def host_routes():
    """Each call of the control port has an entry, and no entry has none."""
    code = read("examples/msp-host/control.c")
    for name, value in re.findall(r'^#define (\w+)\s+"(/[^"]*)"', code, re.M):
        code = code.replace(f'{name} "', f'"{value}')
    rows = re.findall(r'^\t\t\{ "([A-Z]+)", "([^"]+)", NULL, \w+ \},$', code,
                      re.M)
    if len(rows) < 20:
        yield f"only {rows} found in the code"
    said = [line.split("?")[0].split() for line in re.findall(
        r"^\.It Li (.*)$", page("msp-host-control.8"), re.M)]
    said = [(words[0] if len(words) > 1 else "*", words[-1])
            for words in said]
    for method, path in rows:
        if not any(have in (method, "*") and fnmatch.fnmatch(at, path)
                   for have, at in said):
            yield f"{method} {path} is not in the page"
    for method, at in said:
        if not any(method in (have, "*") and fnmatch.fnmatch(at, path)
                   for have, path in rows):
            yield f"{method} {at} is not in the code"


def host_refusals():
    """Codes of the control plane, with their HTTP status."""
    code = "".join(read(path) for path in
                   sorted(glob.glob("examples/msp-host/arm/*.c")))
    rows = re.findall(r'refuse\([\w&>-]+, (\d+), "(\w+)"', code)
    said = []
    for line in re.findall(r"^\.It Er (.*)$", page("msp-host-control.8"),
                           re.M):
        names, _, status = line.partition(" No ")
        said += [(status, name) for name in names.split(" , ")]
    return compare(said, rows, 15)


def calls():
    exported = set(re.findall(r"\b(msp_\w+);", read("libmsp/libmsp.map")))
    for name in set(re.findall(r"^\.Fn (msp_\w+)", page("libmsp.3"), re.M)):
        if name not in exported and name != "msp_NOUN_verb":
            yield f"{name} is not exported"


def headers():
    public = {os.path.basename(p) for p in glob.glob("include/msp/*.h")}
    named = set(re.findall(r"^\.In msp/([\w.]+)", page("libmsp.3"), re.M))
    return compare(named - {"NOUN.h"}, public - {"defs.h"}, 10)


def errors():
    enum = re.findall(r"^\t(MSP_ERR_\w+) = -", read("include/msp/error.h"),
                      re.M)
    return compare(items(page("libmsp.3"), "Dv"), enum, 10)


def displays():
    """Everything that could be tried is taken from a file."""
    text = page("msp_profile.5")
    plain_ones = re.findall(r"^(?!\.\\\" verbatim: ).*\n\.Bd -literal.*\n(.*)",
                            text, re.M)
    if text.count("\n.Bd ") < 10:
        yield "has too few displays"
    for line in plain_ones:
        yield f"a display is from no file: {line}"


def profile_words(pattern, source, least):
    """Codes: those of one kind have a beginning that others do not."""
    documented = items(page("msp_profile.5"), "Cm")
    return compare([word for word in documented
                    if re.fullmatch(pattern, word)],
                   re.findall(rf'"({pattern})"', source), least)


def finding_codes():
    code = read("libmsp/finding.c").split("msp_finding_code_name", 1)[1]
    return profile_words("(?!unknown\")[a-z-]+", code, 20)


def canon_codes():
    code = read("libmsp/request.c")
    return profile_words(CANON, code, 15)


def canon_requests():
    """Each code has a request, but those that none can have."""
    table = read("tests/profiles/codes.cases")
    return compare(re.findall(rf"^me +deny +({CANON}) ", table, re.M)
                   + ["CANON_OVERLONG", "CANON_UNDERFLOW"],
                   re.findall(f'"({CANON})"', read("libmsp/request.c")), 15)


def profile_fields():
    code = "".join(read(f"libmsp/profile_{part}.c")
                   for part in ("read", "rules"))
    text = section(page("msp_profile.5"), "Fields")
    return compare(items(text, "Ic"),
                   re.findall(r'\.name = "(\w+)"', code), 14)


def profile_limits():
    """The numbers that headers and the reader have, in words of the page."""
    numbers = {"include/msp/profile.h": ("MSP_PROFILE_MAX_BYTES",
                                         "MSP_PROFILE_MAX_ITEMS"),
               "include/msp/finding.h": ("MSP_FINDINGS_MAX",),
               "include/msp/caller.h": ("MSP_CALLER_GROUPS_MAX",),
               "libmsp/profile_read.c": ("PROFILE_DEPTH",)}
    text = page("msp_profile.5")
    for path, names in numbers.items():
        for name in names:
            product = 1
            for factor in re.search(rf"#define {name}\s+\(?([\d *]+)",
                                    read(path)).group(1).split("*"):
                product *= int(factor)
            if not re.search(rf"\b{product}\b", text):
                yield f"{name} is {product}, which the page does not say"


# ---- compatibility ---------------------------------------------------------

COMPATIBILITY = "COMPATIBILITY"
KINDS = ("fixed", "kept", "chosen", "ours")


def compat_section():
    return page("mspd.8").split(f"\n.Sh {COMPATIBILITY}\n", 1)[1].split(
        "\n.Sh ", 1)[0]


def compat_rows():
    """Each of the list is in the table, as what it is, and no other one."""
    wanted = [tuple(line.split()) for line in
              read("tests/data/compatibility").splitlines()
              if line and not line.startswith("#")]
    for row in wanted:
        if len(row) != 2 or row[1] not in KINDS:
            yield f"tests/data/compatibility: {' '.join(row)}"
    said = re.findall(r"^\.It Sy (\S+) No (\S+)$", compat_section(), re.M)
    if len(set(said)) != len(said):
        yield "a row is there twice"
    yield from compare(said, wanted, 50)


def compat_test(file, name):
    """Is there such a test?"""
    if re.fullmatch(r"case_\w+", file):
        path, pattern = f"tests/live/{file}.py", rf"^    def {name}\("
    elif re.fullmatch(r"test_\w+", file):
        path, pattern = f"tests/unit/{file}.c", rf"^START_TEST\({name}\)$"
    elif file == "check":
        path, pattern = "Makefile", rf"^check-{name}:"
    else:
        path = {"scenario": f"tests/live/scenarios/{name}.json",
                "attack": f"tests/live/attacks/{name}.c",
                "claims": f"tests/profiles/{name}"}.get(file, "/nonexistent")
        pattern = ""
    return os.path.exists(path) and re.search(pattern, read(path), re.M)


def compat_tests():
    """Each row names tests, and they exist."""
    rows = re.split(r"^\.It ?", compat_section(), flags=re.M)[1:]
    for row in rows:
        tests = re.findall(r"^\.Li (\S+) (\S+)(?: ,)?$", row, re.M)
        if not tests or len(tests) != row.count("\n.Li "):
            yield f"{row.splitlines()[0]}: has no test"
        for file, name in tests:
            if not compat_test(file, name):
                yield f"{row.splitlines()[0]}: there is no {file} {name}"


def main(build):
    suite = Suite()
    for path in sorted(glob.glob("man/*.[1-9]")):
        name = os.path.basename(path)
        if is_another_name(path):
            suite.claim(f"{name}_stands_for_a_page_that_names_it",
                        stands_for(path))
            continue
        suite.claim(f"{name}_is_well_formed",
                    [*lint(path), *quotes_in_quotes(path)])
        suite.claim(f"{name}_refers_to_pages_that_exist", references(path))
        suite.claim(f"{name}_has_examples_as_they_are", copies(path))
    suite.claim("mspd_options", options(build, "mspd", 4))
    suite.claim("mspctl_options", ctl_options(build))
    suite.claim("msp_host_options", options(build, "msp-host", 20, "report"))
    suite.claim("mspd_conf_keys",
                compare(items(page("mspd.conf.5"), "Ic"),
                        [name for _, name, _ in config_fields()], 20))
    suite.claim("mspd_conf_defaults_and_ranges", config_values())
    suite.claim("mspd_metrics", metrics())
    suite.claim("mspd_metrics_labels", metric_labels())
    suite.claim("mspd_audit_keys", audit_keys())
    suite.claim("mspd_audit_states", audit_states())
    suite.claim("mspd_audit_flags", audit_flags())
    suite.claim("mspd_audit_reasons", audit_reasons())
    suite.claim("msp_host_reasons", host_reasons())
    suite.claim("msp_host_faults", host_faults())
    suite.claim("msp_host_calls", host_routes())
    suite.claim("msp_host_refusals", host_refusals())
    suite.claim("libmsp_calls_are_exported", calls())
    suite.claim("libmsp_headers", headers())
    suite.claim("libmsp_errors", errors())
    suite.claim("msp_profile_displays", displays())
    suite.claim("msp_profile_finding_codes", finding_codes())
    suite.claim("msp_profile_canon_codes", canon_codes())
    suite.claim("msp_profile_canon_requests", canon_requests())
    suite.claim("msp_profile_fields", profile_fields())
    suite.claim("msp_profile_limits", profile_limits())
    suite.claim("mspd_compatibility_rows", compat_rows())
    suite.claim("mspd_compatibility_tests", compat_tests())
    for name, faults in (*man_calls.claims(), *profiles.claims(build)):
        suite.claim(name, faults)
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
