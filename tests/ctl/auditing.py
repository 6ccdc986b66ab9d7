# SPDX-License-Identifier: MIT
"""
In: audit trails made up here, and what was done to them. Out: whether audit
verify finds each, in its place and by its name, and audit shows what it is
asked for. Must never be content with a fault that is not where it was made.
"""
import json
import os
import random
import subprocess
import time

import chain
import kit

OLD = "audit.jsonl.2026-01-02T03.04.05.678-17673230456789.log"
MIDDLE = "audit.jsonl.2026-01-02T03.04.06.678-17673230466789.log"
NAME = "audit.jsonl"
EACH = 6


def stamp(second):
    return f"2026-11-21T11:05:{second:02d}.108000Z"


def records(n=3 * EACH, **more):
    return [{**kit.LINE, "id": i, "time": stamp(i), **more}
            for i in range(n)]


def write(ctl, files):
    """These files, of lines, in a folder of their own; their names."""
    names = []
    for name in (OLD, MIDDLE, NAME):
        path = os.path.join(ctl.dir, name)
        if name in files:
            ctl.file(name, b"".join(files[name]))
            names.append(name)
        elif os.path.exists(path):
            os.unlink(path)
    return names


def split(lines):
    return {OLD: lines[:EACH], MIDDLE: lines[EACH:2 * EACH],
            NAME: lines[2 * EACH:]}


def verify(ctl, files):
    """Exit status and breaks: (file, line, what)."""
    names = write(ctl, files)
    random.Random(len(names)).shuffle(names)  # the order does not matter
    status, answer = ctl.json("audit", "verify", "--json", *names)
    return status, [(b["file"], b["line"], b["what"])
                    for b in answer.get("breaks", [answer])], answer


def second(files):
    return chain.whole([(n, b"".join(files[n])) for n in (OLD, MIDDLE, NAME)
                        if n in files])


def edit(line):
    return line.replace(b'"verdict":"allow"', b'"verdict":"deny!"')


def rehash(line):
    return line[:-4] + (b"0" if line[-4:-3] != b"0" else b"1") + line[-3:]


def renumber(line):
    at = line.index(b'"chain":"') + 9
    return line[:at] + b"%015d" % (int(line[at:at + 15]) + 500) + \
        line[at + 15:]


def unchained(line):
    return line[:line.index(b',"chain"')] + b"}\n"


# Where each is done: index of the line, of 3 files of EACH.
PLACES = {"second_of_all": 1, "middle": 8, "last_of_a_file": 5,
          "first_of_a_file": 6, "before_the_last": 16, "last": 17}


def at_place(i):
    return ((OLD, MIDDLE, NAME)[i // EACH], i % EACH + 1)


def tampering(ctl):
    lines = chain.make(records())
    for where, i in {**PLACES, "first": 0}.items():
        for name, change in (("body", edit), ("hash", rehash),
                             ("number", renumber), ("chain", unchained)):
            files = split(lines[:i] + [change(lines[i])] + lines[i + 1:])
            if (name == "number" and i in (0, 17)) or \
                    (name == "chain" and i == 0):
                continue  # at the ends it is something else: see below
            status, found, _ = verify(ctl, files)
            ctl.claim(f"verify_finds_edited_{name}_{where}",
                      status == 1 and found == [(*at_place(i), "edited")] and
                      second(files), found)
        files = split(lines)
        name, line = at_place(i)
        del files[name][line - 1]
        status, found, _ = verify(ctl, files)
        if i == 17:
            ctl.claim("verify_cannot_know_of_the_last_one",
                      status == 0 and not found, found)
        elif i == 0:
            # as if it had been rotated away
            ctl.claim("verify_takes_the_first_for_rotated",
                      status == 0 and not found, found)
        else:
            after = (name, line)
            if line > len(files[name]):
                after = ((OLD, MIDDLE, NAME)[i // EACH + 1], 1)
            ctl.claim(f"verify_finds_removed_{where}",
                      status == 1 and found == [(*after, "removed")] and
                      second(files), found)
    for where, i in {**PLACES, "first": 0}.items():
        if i == 17:
            continue
        swapped = lines[:i] + [lines[i + 1], lines[i]] + lines[i + 2:]
        files = split(swapped)
        status, found, _ = verify(ctl, files)
        ctl.claim(f"verify_finds_swapped_{where}", status == 1 and
                  found == [(*at_place(i + 1), "reordered")] and
                  second(files), found)


def moved(ctl):
    lines = chain.make(records())
    files = split(lines)
    del files[MIDDLE]
    status, found, _ = verify(ctl, files)
    ctl.claim("verify_finds_a_removed_file",
              status == 1 and found == [(NAME, 1, "removed")], found)
    del files[NAME]
    status, found, answer = verify(ctl, files)
    ctl.claim("verify_of_one_file_is_whole", status == 0 and not found and
              answer["records"] == EACH and answer["first"] == 1, answer)
    files = split(lines)
    del files[OLD]
    status, found, answer = verify(ctl, files)
    ctl.claim("verify_begins_where_rotation_ended", status == 0 and
              answer["first"] == EACH + 1, answer)
    block = lines[:2] + lines[8:11] + lines[2:8] + lines[11:]
    status, found, _ = verify(ctl, split(block))
    ctl.claim("verify_tells_once_of_a_block_that_was_moved",
              status == 1 and found == [(*at_place(5), "reordered")], found)
    files = split(lines)
    files[NAME].insert(3, lines[2])
    status, found, _ = verify(ctl, files)
    ctl.claim("verify_finds_a_copy", status == 1 and
              found == [(NAME, 4, "reordered")], found)
    files = split(lines)
    files[MIDDLE].insert(2, b'{"made":"up"}\n')
    status, found, _ = verify(ctl, files)
    ctl.claim("verify_finds_one_put_between", status == 1 and
              found == [(MIDDLE, 3, "edited")], found)
    files = split(lines[:12])
    files[NAME] = chain.make(records(3))
    status, found, _ = verify(ctl, files)
    ctl.claim("verify_finds_a_new_chain", status == 1 and
              found == [(NAME, 1, "removed")], found)
    files[NAME] = chain.make(records(12))[3:]
    many = lines[:3] + [edit(lines[3]), lines[4], lines[6], lines[8],
                        lines[7]] + lines[9:]
    status, found, _ = verify(ctl, {NAME: many})
    ctl.claim("verify_goes_on_behind_a_break", status == 1 and
              [(n, w) for _, n, w in found] ==
              [(4, "edited"), (6, "removed"), (8, "reordered")] or
              [(n, w) for _, n, w in found] ==
              [(4, "edited"), (6, "removed"), (7, "removed"),
               (8, "reordered")], found)


def expected(ctl):
    """A place that was kept elsewhere: number 12."""
    lines = chain.make(records())
    kept = chain.LINK.search(lines[11])
    place = f"{int(kept[1])}:{kept[2].decode()}"
    made_up = chain.make(records(3 * EACH, status=404))
    for name, files, want in (
            ("the_same", split(lines), []),
            ("more_since", {NAME: lines}, []),
            ("nothing_since", {NAME: lines[:12]}, []),
            ("the_end_gone", {NAME: lines[:11]}, [(NAME, 11, "removed")]),
            ("all_gone", {NAME: []}, [("", 0, "removed")]),
            ("all_new", {NAME: made_up}, [(NAME, 12, "edited")]),
            ("new_from_there_on",
             {NAME: lines[:11] + chain.make(
                 records(3), 11, chain.LINK.search(lines[10])[2])},
             [(NAME, 12, "edited")]),
            ("rotated_away", {NAME: lines[12:]}, [(NAME, 6, "removed")])):
        names = write(ctl, files)
        status, answer = ctl.json("audit", "verify", "--json", "--expect",
                                  place, *names)
        found = [(b["file"], b["line"], b["what"]) for b in answer["breaks"]]
        ctl.claim(f"verify_expects_{name}", found == want and
                  status == bool(want), answer)
        if name != "all_gone":
            status, found, _ = verify(ctl, files)
            ctl.claim(f"verify_alone_knows_nothing_of_{name}",
                      status == 0 and not found, found)
    for bad in ("", "12", "12:", ":" + place[3:], "0" + place[2:],
                place + "0", place[:-1] + "X", "1" * 16 + place[2:]):
        ctl.expect(f"verify_expect_usage {bad}",
                   ("audit", "verify", "--expect", bad, NAME), 64)


def torn(ctl):
    lines = chain.make(records(4))
    end = chain.LINK.search(lines[-1])
    for cut in (1, 20, 200, len(lines[0]) - 20):
        part = chain.make([records(5)[4]], 4, end[2])[0][:cut]
        files = {NAME: lines + [part]}
        status, found, _ = verify(ctl, files)
        ctl.claim(f"verify_finds_a_torn_end_{cut}", status == 1 and
                  found == [(NAME, 5, "torn")] and second(files), found)
        rest = chain.make([{"time": stamp(5), "torn": cut}, *records(2)], 4,
                          chain.torn(part, end[2]))
        files = {NAME: lines + [part, b"\n"] + rest}
        status, found, _ = verify(ctl, files)
        ctl.claim(f"verify_goes_on_behind_a_torn_line_{cut}", status == 1 and
                  found == [(NAME, 5, "torn")] and
                  second(files) == [(NAME, 5)], found)
        changed = bytes([part[0] ^ 1]) + part[1:]
        files = {NAME: lines + [changed, b"\n"] + rest}
        status, found, _ = verify(ctl, files)
        ctl.claim(f"verify_finds_an_edited_torn_line_{cut}", status == 1 and
                  found[0] == (NAME, 5, "edited"), found)
        status, out, _ = ctl.run("audit", NAME)
        ctl.claim(f"audit_shows_what_is_whole_{cut}",
                  status == 0 and out.count("\n") == 6, out)
    files = {NAME: [lines[0][:50], b"\n"] + chain.make(
        [{"time": stamp(5), "torn": 50}, *records(2)], 0,
        chain.torn(lines[0][:50], chain.ZERO))}
    status, found, _ = verify(ctl, files)
    ctl.claim("verify_of_a_trail_that_begins_torn", status == 1 and
              found == [(NAME, 1, "torn")], found)
    files = {NAME: [*lines[:3], lines[3][:-1]]}
    status, found, _ = verify(ctl, files)
    ctl.claim("verify_misses_no_line_end", status == 0 and not found, found)
    old = [json.dumps(r).encode() + b"\n" for r in records(3)]
    status, found, answer = verify(ctl, {NAME: old + lines})
    ctl.claim("verify_begins_behind_records_without_a_chain", status == 0 and
              answer["unchained"] == 3 and answer["records"] == 4, answer)
    status, found, _ = verify(ctl, {NAME: [unchained(x) for x in lines]})
    ctl.claim("verify_of_no_chain_at_all", status == 1 and
              found == [(NAME, 4, "edited")], found)


def every_byte(ctl):
    """Whatever bit of it is changed."""
    lines = chain.make([{"time": stamp(i), "id": i} for i in range(5)])
    data, missed, apart = b"".join(lines), [], []
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1:]
        status, found, _ = verify(ctl, {NAME: [changed]})
        if status != 1 or not found:
            missed.append(at)
        if bool(second({NAME: [changed]})) != bool(found):
            apart.append(at)
    # the LF of the last line is none of a record
    ctl.claim("verify_finds_each_byte", not missed, missed)
    ctl.claim("both_agree_on_each_byte", not apart, apart)


def shown(ctl):
    made = records(4) + [
        {**kit.LINE, "time": stamp(10), "uid": 0, "user": "root",
         "exe": "/usr/bin/curl", "endpoint": "WireServer", "status": 403,
         "verdict": "deny", "reason": "no-identity", "path": "/m\x1b[2J\u202e",
         "merged": 41, "last": stamp(20)},
        {**kit.LINE, "time": stamp(30), "uid": None, "euid": None,
         "gid": None, "user": None, "exe": None, "reason": "refused",
         "verdict": "deny", "status": 421}]
    ctl.file(NAME, b"".join(chain.make(made)))
    rows = (
        ("nothing", (), 6), ("uid", ("--uid", "1000"), 4),
        ("root", ("--uid", "0"), 1), ("user", ("--user", "root"), 1),
        ("exe", ("--exe", "/usr/bin/curl"), 1),
        ("endpoint", ("--endpoint", "wireserver"), 1),
        ("verdict", ("--verdict", "deny"), 2),
        ("reason", ("--reason", "refused"), 1),
        ("status", ("--status", "200"), 4),
        ("since", ("--since", stamp(2)), 4),
        ("since_the_end_of_what_is_merged", ("--since", stamp(19)), 2),
        ("until", ("--until", "2026-11-21T11:05:02Z"), 3),
        ("day", ("--since", "2026-11-21", "--until", "2026-11-21"), 6),
        ("long_ago", ("--since", "1s"), None),
        ("both", ("--verdict", "deny", "--status", "403"), 1))
    for name, args, want in rows:
        status, out, err = ctl.run("audit", *args, NAME)
        got = out.count("\n")
        ctl.claim(f"audit_by_{name}", status == 0 and
                  (want is None or got == want), f"{got}: {out}{err}")
        status, out, _ = ctl.run("audit", "--json", *args, NAME)
        ctl.claim(f"audit_by_{name}_as_json", status == 0 and len(
            [json.loads(x) for x in out.splitlines()]) == got, out)
    for more in ((), ("--json",), ("--summary",), ("--summary", "--json")):
        _, out, _ = ctl.run("audit", *more, NAME)
        ctl.claim(f"audit_escapes {more}", "\x1b" not in out and
                  "\u202e" not in out, out)
    status, answer = ctl.json("audit", "--summary", "--json", NAME)
    ctl.claim("audit_sums_what_is_merged", status == 0 and
              answer["requests"] == 47 and
              [g["requests"] for g in answer["groups"]] == [42, 4, 1], answer)
    ctl.expect("audit_sum_for_people", ("audit", "--summary", NAME), 0,
               ["        42  WireServer deny no-identity root(0) "
                "/usr/bin/curl\n", "47 requests\n"])


def configured(ctl):
    lines = chain.make(records())
    write(ctl, split(lines))
    ctl.file("conf", {"logFolder": ctl.dir})
    status, out, err = ctl.run("audit", "--config", "conf")
    times = [line[:27] for line in out.splitlines()]
    ctl.claim("audit_of_the_configured_folder_in_order", status == 0 and
              times == [stamp(i) for i in range(18)], out + err)
    ctl.expect("verify_of_the_configured_folder",
               ("audit", "verify", "--config", "conf"), 0,
               ["whole: 18 records in 3 files, from the first record on"])
    for name, left in (("the_first", [lines[1:6], lines[6:12], lines[12:]]),
                       ("more_than_a_file", [[], lines[8:12], lines[12:]]),
                       ("the_first_two_files", [[], [], lines[12:]])):
        write(ctl, dict(zip((OLD, MIDDLE, NAME), left)))
        first = 18 - sum(map(len, left))
        ctl.expect(f"verify_finds_that_{name}_was_removed",
                   ("audit", "verify", "--config", "conf"), 1,
                   [":1: removed: before this one "
                    f"{first} are missing of number 1 to {first}\nbroken: ",
                    "of which the first ones are gone\nlast: "])
    more = [f"audit.jsonl.2026-11-21T00.00.0{i}.000-{i}.log" for i in range(2)]
    write(ctl, {OLD: lines[2:6], MIDDLE: lines[6:12], NAME: lines[12:]})
    for name in more:
        ctl.file(name, "")
    ctl.expect("verify_knows_that_rotation_may_have_removed_the_first",
               ("audit", "verify", "--config", "conf"), 0,
               ["older ones were rotated away"])
    for name in more:
        os.unlink(os.path.join(ctl.dir, name))
    write(ctl, split(lines))
    loop = os.path.join(ctl.dir, OLD + ".log")
    os.symlink(loop, loop)
    ctl.expect("audit_says_what_it_cannot_open", ("audit", "--config", "conf"),
               2)
    os.unlink(loop)
    ctl.file("elsewhere", lines[0])
    os.symlink(os.path.join(ctl.dir, "elsewhere"), loop)
    ctl.expect("audit_is_not_led_elsewhere", ("audit", "--config", "conf"), 2)
    os.unlink(loop)
    os.mkfifo(loop)
    ctl.expect("audit_waits_for_no_pipe", ("audit", "--config", "conf"), 0)
    os.unlink(loop)
    many = [f"audit.jsonl.2026-01-01T00.00.00.{i:03d}-{i}.log"
            for i in range(70)]
    for name in many:
        ctl.file(name, lines[0])
    ctl.expect("audit_passes_over_no_file", ("audit", "--config", "conf"), 2)
    ctl.expect("verify_passes_over_no_file",
               ("audit", "verify", "--config", "conf"), 2)
    for name in many:
        os.unlink(os.path.join(ctl.dir, name))
    for name, args, status in (
            ("option", ("--nothing",), 64), ("time", ("--since", "x"), 64),
            ("endpoint", ("--endpoint", "x"), 64),
            ("follow_and_sum", ("--follow", "--summary"), 64),
            ("verify_option", ("verify", "--uid", "1"), 64),
            ("absent", ("absent",), 2), ("verify_absent",
                                         ("verify", "absent"), 2),
            ("no_config", ("--config", "absent"), 2)):
        ctl.expect(f"audit_usage_{name}", ("audit", *args), status)


def follow(ctl):
    """Over two rotations, with a line in two pieces."""
    lines = chain.make(records())
    write(ctl, {NAME: lines[:2]})
    ctl.file("conf", {"logFolder": ctl.dir})
    path = os.path.join(ctl.dir, NAME)
    with subprocess.Popen([ctl.program, "audit", "--follow", "--config",
                           "conf"], env=ctl.env, cwd=ctl.dir,
                          stdout=subprocess.PIPE, text=True) as p:
        got = [p.stdout.readline() for _ in range(2)]
        with open(path, "ab", 0) as f:
            f.write(lines[2] + lines[3][:99])
            got.append(p.stdout.readline())
            time.sleep(0.5)  # longer than it waits
            f.write(lines[3][99:])
            got.append(p.stdout.readline())
            f.write(lines[4])
            os.rename(path, os.path.join(ctl.dir, OLD))
        with open(path, "ab", 0) as f:
            f.write(lines[5])
        os.rename(path, os.path.join(ctl.dir, MIDDLE))
        with open(path, "ab", 0) as f:
            f.write(lines[6])
        got += [p.stdout.readline() for _ in range(3)]
        p.kill()
    ctl.claim("audit_follows_over_rotation",
              [g[:27] for g in got] == [stamp(i) for i in range(7)], got)


def run(ctl):
    for part in (tampering, moved, expected, torn, every_byte, shown, configured,
                 follow):
        part(ctl)
