#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: the source tree and its build directory. Out: whether the layers hold -
who includes whom, what core code calls, which names are visible. Must never
pass a file it does not know: each source of libmsp is in exactly one layer.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "abi"))
import contract  # noqa: E402

# By noun: rules stands for rules.c, rules_priv.h and rules_anything.c too.
CORE = ("arena ascii buffer canon caller decision endpoint error explain finding "
        "info json key keystatus lint mem opts profile request rules signer text "
        "version").split()
HOST = "channel client clock date document http keystore latch session".split()
KERNEL = "cgroup diag peer prove redirect verifier".split()
LAYER = {**dict.fromkeys(CORE, "core"), **dict.fromkeys(HOST, "host"),
         **dict.fromkeys(KERNEL, "kernel")}
# Headers every layer may use.
NEUTRAL = {"defs"}
# Public headers of one layer may use those of the layers named here.
MAY_USE = {"core": {"core"}, "host": {"core", "host"},
           "kernel": {"core", "kernel"}}

# What pure code has no use for: sockets, files, clocks, environment, logging,
# threads. mmap() and friends are how a key is locked.
IMPURE = re.compile(
    r"^(socket|connect|accept4?|bind|listen|send(to|msg)?|recv(from|msg)?|"
    r"poll|select|epoll_\w+|open(at)?(64)?|fopen(64)?|read|write|pread|pwrite|"
    r"stat|fstat(at)?|rename(at)?|unlink(at)?|time|gettimeofday|clock_gettime|"
    r"getenv|secure_getenv|setlocale|v?f?printf|__v?f?printf_chk|puts|fputs|"
    r"fwrite|perror|syslog|pthread_\w+|thrd_\w+|fork|exec\w+|system|exit|"
    r"signal|sigaction|stdout|stderr)(@.*)?$")

# What is the embedding program's alone, whatever the layer: its environment,
# locale, output, threads, signals, and its end.
INTRUSIVE = re.compile(
    r"^((secure_)?getenv|(un)?setenv|putenv|setlocale|umask|chdir|dlopen|"
    r"_?exit|_Exit|quick_exit|abort|atexit|raise|kill|v?fork|exec\w+|system|"
    r"posix_spawnp?|popen|pthread_create|thrd_create|pthread_atfork|signal|"
    r"sig\w+|pthread_sigmask|alarm|timer_create|(__)?v?d?f?printf(_chk)?|puts|"
    r"fputs|putchar|perror|v?(err|warn)x?|(__)?v?syslog(_chk)?|openlog|"
    r"stdin|stdout|stderr|environ)$")

# What mspctl shares with the agent: how its configuration is read, and what is
# a secret. None of it runs anything.
OF_THE_AGENT = {"mspd/config.h", "mspd/listener.h", "mspd/redact.h",
                "mspd/rotate.h", "mspd/text.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
PUBLIC_NAME = re.compile(r"^MSP_API[^;(]*?\b(msp_[a-z0-9_]+)\s*\(", re.M)
INITIALIZER = re.compile(r"^#define (MSP_(\w+)_INIT)\b", re.M)
# What other languages cannot call: they see a symbol or nothing.
NO_SYMBOL = re.compile(r"^\s*#\s*define\s+(\w+)\(|\b(inline)\b", re.M)
CC_FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-pedantic-errors", "-Werror",
            "-Wconversion", "-Wundef", "-fsyntax-only",
            "-Iinclude"]


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


def files(folder, suffixes, deep=False):
    for base, dirs, names in os.walk(folder):
        dirs.sort()
        for name in sorted(names):
            if name.endswith(suffixes):
                yield os.path.join(base, name)
        if not deep:
            return


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def includes(path):
    """Our own headers that a file includes: (bracketed, name)."""
    for kind, name in INCLUDE.findall(text_of(path)):
        yield kind == "<", name


def noun(path):
    name = os.path.basename(path).rsplit(".", 1)[0]
    return name.split("_")[0]


def layer_faults(path):
    mine = LAYER.get(noun(path))
    if mine is None:
        yield f"{path}: in no layer; add it to one in {sys.argv[0]}"
        return
    for _, name in includes(path):
        if name.startswith(("mspd/", "examples/", "tests/")):
            yield f"{path} includes {name}"
        elif name.startswith("bpf/") and mine != "kernel":
            yield f"{path} ({mine}) includes {name}"
        elif name == "msp/msp.h":
            yield f"{path} includes everything"
        elif name.startswith(("libmsp/", "msp/")):
            if noun(name) in NEUTRAL:
                continue
            theirs = LAYER.get(noun(name), "no layer")
            if theirs not in MAY_USE[mine]:
                yield f"{path} ({mine}) includes {name} ({theirs})"


def outsider_faults(path, own, besides=()):
    """What uses the library sees <msp/...> and its own folder only."""
    for bracketed, name in includes(path):
        if name in besides:
            continue
        if name.startswith("libmsp/") or (  # libbpf's are anybody's
                name.startswith("bpf/") and not bracketed):
            yield f"{path} includes {name}"
        elif name.startswith(("mspd/", "examples/")) and \
                not name.startswith(own):
            yield f"{path} includes {name}"
        elif name.startswith("msp/") and not bracketed:
            yield f'{path} includes "{name}", not <{name}>'


def compile_alone(header, compiler, language, standard):
    """Twice, and what it has to start a struct with is used."""
    name = os.path.relpath(header, "include")
    code = f"#include <{name}>\n#include <{name}>\nint used;\n"
    for macro, noun_of in INITIALIZER.findall(text_of(header)):
        code += (f"extern struct msp_{noun_of.lower()} msp_{noun_of};\n"
                 f"struct msp_{noun_of.lower()} msp_{noun_of} = {macro};\n")
    done = subprocess.run(
        [compiler, "-x", language, f"-std={standard}", *CC_FLAGS, "-"],
        input=code, text=True, capture_output=True)
    return [] if done.returncode == 0 else done.stderr.splitlines()[:5]


def symbols(path, *options):
    done = subprocess.run(["nm", *options, path], text=True, check=True,
                          capture_output=True)
    for line in done.stdout.splitlines():
        fields = line.split()
        if len(fields) >= 2:
            yield fields[-2], fields[-1].split("@")[0]


def impure_calls(objects):
    for path in objects:
        if LAYER.get(noun(path)) != "core":
            continue
        for _, name in symbols(path, "-u"):
            if IMPURE.match(name):
                yield f"{path} uses {name}"


def misnamed(objects, prefix):
    for path in objects:
        for kind, name in symbols(path, "-g", "--defined-only"):
            if kind in "TDBRCWV" and not name.startswith(prefix):
                yield f"{path} defines {name}"


def variables(objects):
    """Data that can be written: the library has no globals."""
    for path in objects:
        for kind, name in symbols(path, "--defined-only"):
            if kind in "dDbBcC" and not is_relocated_const(path, name):
                yield f"{path} has the variable {name}"


def is_relocated_const(path, name):
    """Constant tables of pointers sit in .data.rel.ro, which nm calls d."""
    done = subprocess.run(["objdump", "-t", path], text=True, check=True,
                          capture_output=True)
    for line in done.stdout.splitlines():
        fields = line.split()
        if fields and fields[-1] == name:
            return any(f.startswith(".data.rel.ro") for f in fields)
    return False


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def declared():
    names = set()
    for path in files("include/msp", (".h",)):
        names.update(PUBLIC_NAME.findall(without_comments(text_of(path))))
    return names


def mapped():
    body = without_comments(text_of("libmsp/libmsp.map"))
    return set(re.findall(r"\b(msp_[a-z0-9_]+)\s*;", body))


def difference(a, b, a_name, b_name):
    yield from (f"{n}: in {a_name}, not in {b_name}" for n in sorted(a - b))
    yield from (f"{n}: in {b_name}, not in {a_name}" for n in sorted(b - a))


def check_includes(suite):
    library = list(files("libmsp", (".c", ".h")))
    public = [p for p in files("include/msp", (".h",))
              if noun(p) not in NEUTRAL and noun(p) != "msp"]
    suite.claim("library_layers_point_one_way",
                (f for p in library + public for f in layer_faults(p)))
    suite.claim("public_headers_include_only_public_headers",
                (f"{p} includes {n}" for p in public
                 for _, n in includes(p)
                 if n.startswith(("libmsp/", "bpf/", "mspd/"))))
    suite.claim("mspd_sees_only_the_public_library",
                (f for p in files("mspd", (".c", ".h"))
                 for f in outsider_faults(p, "mspd/")))
    suite.claim("mspctl_sees_the_public_library_itself_and_little_else",
                (f for p in files("mspd/ctl", (".c", ".h"))
                 for f in outsider_faults(p, "mspd/ctl/", OF_THE_AGENT)))
    suite.claim("mspd_includes_the_library_as_msp_h",
                (f"{p} includes {n}"
                 for p in files("mspd", (".c", ".h"), deep=True)
                 for _, n in includes(p)
                 if n.startswith("msp/") and n != "msp/msp.h"))
    suite.claim("examples_see_only_the_public_library",
                (f for p in files("examples", (".c", ".h"), deep=True)
                 for f in outsider_faults(p, "examples/")))


def check_text(suite):
    sources = [p for folder in ("libmsp", "mspd", "bpf", "include", "examples",
                                "tests")
               for p in files(folder, (".c", ".h"), deep=True)]
    suite.claim("every_source_names_its_license",
                (p for p in sources
                 if "SPDX-License-Identifier:" not in text_of(p)[:80]))
    suite.claim("no_source_is_over_800_lines",
                (f"{p}: {text_of(p).count(chr(10))} lines" for p in sources
                 if text_of(p).count("\n") > 800))
    suite.claim("no_source_of_mspctl_is_over_400_lines",
                (p for p in files("mspd/ctl", (".c", ".h"))
                 if text_of(p).count("\n") > 400))
    suite.claim("examples_are_under_80_lines",
                (p for p in files("examples", (".c",))
                 if text_of(p).count("\n") >= 80))


def check_headers(suite):
    for compiler, language, standard in (
            ("gcc", "c", "c11"), ("clang", "c", "c11"),
            ("g++", "c++", "c++17"), ("clang++", "c++", "c++17")):
        name = f"each_header_compiles_alone_with_{compiler}_as_{standard}"
        if not shutil.which(compiler):
            suite.skip(name, f"no {compiler}")
            continue
        suite.claim(name, (line for h in files("include/msp", (".h",))
                           for line in compile_alone(h, compiler, language,
                                                     standard)))


def check_calls(suite):
    """A call that exists as a macro or inline only is none for others."""
    suite.claim("every_call_has_a_symbol",
                (f"{path}: {' '.join(found).strip()}"
                 for path in files("include/msp", (".h",))
                 for found in NO_SYMBOL.findall(
                     without_comments(text_of(path)))))
    suite.claim("a_call_without_a_symbol_is_found",
                [] if NO_SYMBOL.search("#define msp_x(a) 1\n") and
                NO_SYMBOL.search("static inline int msp_x(void)") else ["no"])


def untested(calls, tests):
    return sorted(set(calls) - set(re.findall(r"\bmsp_\w+", tests)))


def check_tested(suite):
    tests = "".join(map(text_of, files("tests/unit", (".c",))))
    suite.claim("every_call_is_in_a_unit_test", untested(mapped(), tests))
    suite.claim("a_call_in_no_unit_test_is_found",
                [] if untested(["msp_x"], "msp_xy();") else ["msp_x"])


def named_twice(header, calls):
    """Structs whose tag is a call's name: C++ would hide the struct, and other
    languages have one name space for both."""
    tags = re.findall(r"\bstruct\s+(\w+)", header)
    return sorted(set(tags) & set(calls))


def check_tags(suite):
    headers = "".join(without_comments(text_of(path))
                      for path in files("include/msp", (".h",)))
    suite.claim("no_struct_has_the_name_of_a_call",
                named_twice(headers, declared()))
    suite.claim("a_struct_with_the_name_of_a_call_is_found",
                [] if named_twice("int msp_x(struct msp_x *out);", ["msp_x"])
                else ["msp_x"])


def check_contracts(suite):
    suite.claim("each_call_says_its_contract", contract.faults())
    bad = {"errors": ("/** msp_x - y\n * @a: z\n * Threads: any. */\n",
                      "lists no errors"),
           "threads": ("/** msp_x - y\n * @a: z\n * Errors: MSP_ERR_INVAL. */\n",
                       "does not say which threads may call it"),
           "parameters": ("/** msp_x - y\n * Threads: any.\n"
                          " * Errors: MSP_ERR_INVAL. */\n",
                          "does not say what @a is"),
           "comment": ("", "has no comment that begins with its name")}
    for name, (comment, fault) in bad.items():
        text = f"{comment}MSP_API MSP_MUST_CHECK int msp_x(int a);\n"
        found = [f for match in contract.CALL.finditer(text)
                 for f in contract.Call(match).faults({"MSP_ERR_INVAL"})]
        suite.claim(f"a_gap_in_a_contract_is_found_{name}",
                    [] if fault in found else [f"found: {found}"])


def built(build, folder):
    """Objects of sources that exist; a build directory may hold older ones."""
    for source in files(folder, (".c",)):
        yield os.path.join(build, source[:-2] + ".o")


def check_symbols(suite, build):
    library = list(built(build, "libmsp"))
    shared = os.path.join(build, "libmsp.so")
    exported = {n for _, n in symbols(shared, "-D", "--defined-only")
                if n.startswith("msp_")}
    suite.claim("core_is_pure", impure_calls(library))
    suite.claim("library_leaves_alone_what_is_the_program_s",
                (f"it uses {name}" for _, name in symbols(shared, "-D", "-u")
                 if INTRUSIVE.match(name)))
    suite.claim("library_has_no_variables", variables(library))
    suite.claim("library_names_start_with_msp",
                misnamed(library, ("msp_", "__odr_asan")))
    suite.claim("daemon_names_start_with_mspd",
                misnamed((o for o in built(build, "mspd")
                          if noun(o) != "main"), ("mspd_", "__odr_asan")))
    suite.claim("mspctl_names_start_with_ctl",
                misnamed((o for o in built(build, "mspd/ctl")
                          if noun(o) != "main"), ("ctl_", "__odr_asan")))
    suite.claim("headers_declare_what_the_map_exports",
                difference(declared(), mapped(), "a header", "libmsp.map"))
    suite.claim("shared_library_exports_what_the_map_says",
                difference(exported, mapped(), "libmsp.so", "libmsp.map"))


def check_vectors(suite):
    """The committed signatures are those of the second implementation."""
    done = subprocess.run(
        [sys.executable, "tests/data/signer_vectors.py", "--check"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    suite.claim("signer_vectors_are_those_of_their_generator",
                done.stdout.splitlines() or ["exit status"]
                if done.returncode else [])


def check_the_checks(suite):
    """The include check finds a bad include in each place it looks."""
    bad = {"core": ("rules.c", '"libmsp/latch.h"'),
           "host": ("client.c", "<msp/redirect.h>"),
           "kernel": ("peer.c", '"libmsp/client.h"'),
           "daemon": ("rules.h", '"mspd/policy.h"'),
           "stray": ("surprise.c", "<msp/error.h>")}
    with tempfile.TemporaryDirectory() as folder:
        for name, (file, header) in bad.items():
            path = os.path.join(folder, file)
            with open(path, "w", encoding="utf-8") as f:
                f.write(f"#include {header}\n")
            suite.claim(f"a_bad_include_is_found_{name}",
                        [] if list(layer_faults(path)) else [header])


def stale_changes():
    """A behaviour that is to be taken out must be there, and once."""
    sys.path.insert(0, "tests/live")
    from changes import CHANGES
    if len(CHANGES) < 40:
        yield f"only {len(CHANGES)} rows"
    for change in CHANGES:
        with open(change.file, encoding="utf-8") as file:
            found = file.read().count(change.old)
        if found != 1:
            yield f"{change.file}: not there, or not once: {change.takes_out}"


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    suite = Suite()
    check_includes(suite)
    check_text(suite)
    check_headers(suite)
    check_calls(suite)
    check_tags(suite)
    check_tested(suite)
    check_contracts(suite)
    check_the_checks(suite)
    check_vectors(suite)
    suite.claim("changes_of_check_mutants_are_not_stale", stale_changes())
    if len(sys.argv) > 1:
        check_symbols(suite, sys.argv[1])
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
