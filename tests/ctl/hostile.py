# SPDX-License-Identifier: MIT
"""
In: files that are not what they should be. Out: whether each command ends with
an answer, or with 2, in bounded memory. Must never accept a death by signal.
"""
import json
import os
import random
import subprocess

import kit

# Of resident memory. What sanitizers add is their own.
MEMORY_KB = 16 * 1024
LONG = 100 * 1024 * 1024


def contents():
    rng = random.Random(7)
    good = json.dumps(kit.simple())
    yield "empty", b""
    yield "newlines", b"\n" * 1000
    yield "binary", rng.randbytes(100000)
    yield "zeroes", bytes(100000)
    yield "not_json", b"hello {]\n" * 100
    yield "deep", b"[" * 500000
    yield "deep_objects", b'{"a":' * 100000
    yield "half", good[:len(good) // 2].encode()
    yield "twice", (good + good).encode()
    yield "not_utf8", good.replace("metadata", "\udcff").encode(
        "utf-8", "surrogateescape")
    yield "numbers", b'{"uid":' + b"9" * 60000 + b"}\n"
    yield "many_names", json.dumps({f"k{i}": i for i in range(9000)}).encode()
    yield "large", b'{"id": "' + b"x" * 2000000 + b'"}'


def commands(path):
    at = ("--endpoint", "imds", "--url", "/x")
    return (("explain", "--profile", path, *at), ("lint", path),
            ("diff", path, "good"), ("diff", "good", path),
            ("diff", "--requests", path, "good", "good"), ("learn", path),
            ("convert", "--to", "arm", path))


def documents(ctl):
    ctl.file("good", kit.simple())
    for name, content in contents():
        ctl.file("bad", content)
        for args in commands("bad"):
            status, _, err = ctl.run(*args)
            fine = status == 2 or (status == 1 and args[0] == "lint")
            # an object of unknown members is a local file, which is closed
            if name in ("numbers", "many_names"):
                fine = status == 1 or fine
            # no lines, no requests, no change
            if args[:2] == ("diff", "--requests") and \
                    name in ("empty", "newlines"):
                fine = status == 0
            ctl.claim(f"hostile_{name}_for_{args[0]}_{args.index('bad')}",
                      fine and (err or status == 1 or
                               args[0] == "explain"), (status, err[:300]))
            status, answer = ctl.json(*args, "--json")
            ctl.claim(f"hostile_{name}_for_{args[0]}_{args.index('bad')}_json",
                      "not JSON" not in answer or args[0] == "convert" or
                      (args[0] == "learn" and status == 0), answer)


def mutated(ctl):
    """Lines with some bytes changed: skipped or learnt from, no more."""
    rng = random.Random(11)
    ctl.file("good", kit.simple())
    for part in range(4):
        trail = bytearray()
        for _ in range(500):
            line = bytearray(kit.lines({"user": "\u00e9\\\"",
                                        "path": "/a%41?b"}).encode())
            for _ in range(rng.randint(1, 4)):
                at = rng.randrange(len(line) - 1)
                line[at:at + rng.randint(0, 2)] = rng.randbytes(
                    rng.randint(0, 2)).replace(b"\n", b"")
            trail += line.rstrip(b"\n") + b"\n"
        ctl.file("trail", bytes(trail))
        status, _, err = ctl.run("learn", "trail")
        ctl.claim(f"mutated_{part}_learnt", status in (0, 2) and
                  "500 lines" in err, (status, err))
        status, answer = ctl.json("diff", "--json", "--requests", "trail",
                                  "good", "good")
        ctl.claim(f"mutated_{part}_compared", status in (0, 2) and
                  answer.get("changed") == 0, answer)


def pieces():
    yield kit.lines({}).encode()
    for _ in range(LONG // 1000000):
        yield b"x" * 1000000
    yield b"\n" + kit.lines({"path": "/last"}).encode()


def peak(pid):
    """Most memory of a process so far, in KiB; 0: it has ended. What its
    parent has used is in what wait() tells, and not in this."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next((int(line.split()[1]) for line in file
                     if line.startswith("VmHWM:")), 0)


def measure(ctl, args, feed):
    """Exit status, output, errors, and the most memory in KiB."""
    process = subprocess.Popen([ctl.program, *args], cwd=ctl.dir, env=ctl.env,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    most = 0
    try:
        for piece in feed:
            process.stdin.write(piece)
            process.stdin.flush()
            most = max(most, peak(process.pid))
        process.stdin.close()
    except BrokenPipeError:
        pass
    process.stdin = None
    out, err = process.communicate()
    return process.returncode, out.decode(), err.decode(), most


def sanitized(ctl):
    with open(ctl.program, "rb") as file:
        return b"__asan_init" in file.read()


def long_line(ctl):
    ctl.file("good", kit.simple())
    for args, status in ((("learn", "-"), 0),
                         (("diff", "--requests", "-", "good", "good"), 2),
                         (("lint", "-"), 2)):
        got = measure(ctl, args, pieces())
        ctl.claim(f"long_line_for_{args[0]}", got[0] == status, got)
        if args[0] == "learn":
            ctl.claim("long_line_is_skipped_and_the_next_is_read",
                      "1 skipped: not readable" in got[2] and
                      "/last" in got[1] and "3 lines, 2 learnt" in got[2],
                      got)
        ctl.claim(f"long_line_takes_no_memory_for_{args[0]}",
                  sanitized(ctl) or 0 < got[3] < MEMORY_KB, got[3])


def endless(ctl):
    """A file without an end is not read to it."""
    for args in (("lint", "/dev/zero"), ("convert", "--to", "wire",
                                         "/dev/zero"),
                 ("explain", "--profile", "/dev/zero", "--endpoint", "imds",
                  "--url", "/")):
        ctl.expect(f"endless_{args[0]}", args, 2, err=["/dev/zero: larger"])


def line_lengths(ctl):
    """Around the longest line that is read, with and without a last LF."""
    line = kit.lines({}).rstrip("\n")
    for length, readable in ((65535, 1), (65536, 1), (65537, 0),
                             (131072, 0), (131073, 0), (131074, 0)):
        padded = line[:-1] + " " * (length - len(line)) + "}"
        for end in ("", "\n"):
            text = padded + "\n" + line + "\n" + padded + end
            got = ctl.run("learn", "-", stdin=text)
            ctl.claim(f"line_of_{length}_{'lf' if end else 'end'}",
                      f"3 lines, {1 + 2 * readable} learnt" in got[2], got)


def many(ctl):
    """More than a profile can have is refused, not cut."""
    text = "".join(kit.lines({"path": f"/p{i}"}) for i in range(70000))
    got = ctl.run("learn", "-", stdin=text)
    ctl.claim("too_many_paths", got[0] == 2 and not got[1] and
              "than a profile can have" in got[2], got[2])
    text = "".join(kit.lines({"path": f"/{'x' * 200}{i}"})
                   for i in range(8000))
    got = ctl.run("learn", "-", stdin=text)
    ctl.claim("too_large_a_profile", got[0] == 2 and not got[1] and
              "than a profile can have" in got[2], got[2])
    ctl.file("wide", kit.profile(
        [(f"p{i}", f"/p{i}", None) for i in range(8000)],
        [("r", [])], [(f"i{i}", {"userName": f"u{i}"}) for i in range(8000)],
        []))
    if os.path.getsize(os.path.join(ctl.dir, "wide")) < 1024 * 1024:
        ctl.expect("too_many_requests_to_make_up", ("diff", "wide", "wide"),
                   2, err=["too many; give --requests"])


def read_back(ctl):
    """What is written can be read, or is not written."""
    for paths in (1400, 1950):
        trail = "".join(kit.lines({"path": f"/{'x' * 480}{i:04}"})
                        for i in range(paths))
        for form in ("arm", "wire"):
            status, out, err = ctl.run("learn", "--form", form, "-",
                                       stdin=trail)
            name = f"learnt_{paths}_long_paths_{form}"
            if status:
                ctl.claim(name, status == 2 and not out and "bytes" in err,
                          err)
                continue
            got = ctl.run("convert", "--to", "wire", "-", stdin=out)
            ctl.claim(name, got[0] == 0, got[2])


def run(ctl):
    for part in (documents, mutated, long_line, endless, line_lengths, many,
                 read_back):
        part(ctl)
