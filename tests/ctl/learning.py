# SPDX-License-Identifier: MIT
"""
In: audit trails made up here. Out: whether the profile learnt allows what they
show and nothing else, and is no larger than that takes. Must never ask the
program under test what to expect of it.
"""
import json
import random
import re

import kit

WORDS = ("instance", "identity", "oauth2", "token", "a.b", "X", "%41b")
USERS = ("alice", "bob", "carol")
PROGRAMS = ("/opt/a/app", "/opt/b/app", "/usr/bin/curl")
ALLOWED = ("allow", "allow-audited")


def request(rng):
    path = "/" + "/".join(rng.choice(WORDS)
                          for _ in range(rng.randint(1, 3)))
    state = rng.choice(("verified",) * 5 + ("unchecked", "deleted"))
    return {"user": rng.choice(USERS), "exe": rng.choice(PROGRAMS),
            "exe_state": state, "path": path + rng.choice(("", "?a&b", "/")),
            "verdict": rng.choice(ALLOWED)}


def canonical(path):
    """Of the paths above."""
    return path.split("?")[0].rstrip("/").replace("%41", "a").lower()


def identity(change):
    return (change["user"], change["exe"]
            if change["exe_state"] == "verified" else None)


def covers(above, path):
    return path == above or path.startswith(above + "/")


def needed(changes):
    """Pairs of an identity and a path that no other pair makes needless."""
    pairs = {(identity(c), canonical(c["path"])) for c in changes}

    def needless(who, path):
        for other, above in pairs:
            if (other, above) != (who, path) and covers(above, path) and \
                    other in (who, (who[0], None)):
                return True
        return False
    return {pair for pair in pairs if not needless(*pair)}


def allowed(pairs, user, exe, path):
    return any(who[0] == user and who[1] in (None, exe) and covers(p, path)
               for who, p in pairs)


def sizes(pairs):
    roles = {}
    for who, path in pairs:
        roles.setdefault(who, set()).add(path)
    return {"privileges": len({path for _, path in pairs}),
            "identities": len(roles),
            "roles": len(set(map(frozenset, roles.values()))),
            "roleAssignments": len(set(map(frozenset, roles.values())))}


def verdicts(ctl, wanted):
    """Every kind of caller asks for every path: one run of diff against a
    profile that denies everything tells which are allowed."""
    corpus = [f"GET imds {path} user={user} exe={exe}"
              for user, exe, path in wanted]
    ctl.file("corpus", "\n".join(corpus) + "\n")
    ctl.file("nothing", {"id": "n", "mode": "enforce",
                         "defaultAccess": "deny"})
    _, answer = ctl.json("diff", "--json", "--requests", "corpus", "nothing",
                         "learnt")
    return answer.get("tried"), {
        (change["user"], change["exe"], change["url"])
        for change in answer.get("changes", ())}


def properties(ctl, seed):
    rng = random.Random(seed)
    changes = [request(rng) for _ in range(rng.randint(1, 40))]
    ctl.file("trail", kit.lines(*changes))
    status, out, err = ctl.run("learn", "--form", "wire", "--mode", "enforce",
                               "trail")
    ctl.file("learnt", out)
    pairs = needed(changes)
    rules = json.loads(out)["rules"] if status == 0 else {}
    ctl.claim(f"learn_{seed}_is_the_smallest",
              {k: len(v) for k, v in rules.items()} == sizes(pairs),
              f"{status} {err}\n{sizes(pairs)}\n{out}")
    ctl.claim(f"learn_{seed}_is_in_order",
              all(names == sorted(names) for names in (
                  [x["path"] for x in rules.get("privileges", ())],
                  [(x["userName"], x.get("exePath", ""))
                   for x in rules.get("identities", ())])), out)
    paths = {canonical(c["path"]) for c in changes}
    paths |= {p + "-beside" for p in paths} | {p + "/below" for p in paths}
    paths |= {p.rsplit("/", 1)[0] or "/" for p in paths}
    asked = [(user, exe, path) for user in (*USERS, "mallory")
             for exe in (*PROGRAMS, "/tmp/app") for path in sorted(paths)]
    tried, got = verdicts(ctl, asked)
    wanted = {ask for ask in asked if allowed(pairs, *ask)}
    ctl.claim(f"learn_{seed}_allows_exactly_that",
              tried == len(asked) and got == wanted,
              f"tried {tried}\n{sorted(got ^ wanted)[:5]}")
    once_more(ctl, seed, changes, out)


def once_more(ctl, seed, changes, out):
    shuffled = changes * 2
    random.Random(seed + 1).shuffle(shuffled)
    half = len(shuffled) // 2
    ctl.file("one", kit.lines(*shuffled[:half]))
    ctl.file("two", kit.lines(*shuffled[half:]))
    got = ctl.run("learn", "--form", "wire", "--mode", "enforce", "one",
                  "two")
    ctl.claim(f"learn_{seed}_does_not_depend_on_order", got[1] == out, got)


def explained(ctl):
    """The same by explain, for one trail, as an operator would."""
    changes = ({}, {"path": "/metadata/identity/oauth2/token?resource"},
               {"user": "bob", "exe_state": "not-at-path", "path": "/bob"})
    ctl.file("trail", kit.lines(*changes))
    status, out, err = ctl.run("learn", "--mode", "enforce", "trail")
    ctl.file("learnt", out)
    ctl.claim("learn_writes_a_template",
              status == 0 and '"applicableHostEndpoint": "IMDS"' in out, out)
    ctl.claim("learn_says_what_it_could_not_learn",
              "1 learnt by user" in err and "no queryParameters" in err, err)
    app = ("--user", "alice", "--exe", "/opt/app/bin/app")
    for name, args, wanted in (
            ("audited", ("/metadata/instance", *app), 0),
            ("audited_with_other_parameters",
             ("/metadata/identity/oauth2/token?resource=x", *app), 0),
            ("other_program", ("/metadata/instance", "--user", "alice",
                               "--exe", "/opt/other"), 1),
            ("other_user", ("/metadata/instance", "--user", "bob", "--exe",
                            "/opt/app/bin/app"), 1),
            ("sibling", ("/metadata/instances", *app), 1),
            ("parent", ("/metadata", *app), 1),
            ("unverified_by_user", ("/bob", "--user", "bob"), 0)):
        ctl.expect(f"learnt_{name}", ("explain", "--profile", "learnt",
                                      "--endpoint", "imds", "--url", *args),
                   wanted)
    got = ctl.run("lint", "--no-files", "learnt")
    ctl.claim("lint_is_content_with_what_was_learnt", got[0] == 0, got)


def forms(ctl):
    ctl.file("trail", kit.lines({}))
    got = {form: ctl.run("learn", "--form", form, "trail")
           for form in ("arm", "wire", "both")}
    ctl.claim("learn_both_is_arm_and_wire",
              got["both"][1] == got["arm"][1] + got["wire"][1] and
              got["both"][0] == 0, got)
    ctl.claim("learn_defaults_to_arm_and_audit",
              ctl.run("learn", "trail")[1] == got["arm"][1] and
              '"mode": "Audit"' in got["arm"][1], got["arm"])
    wire = json.loads(got["wire"][1])
    ctl.claim("learn_names_are_for_people",
              [x["name"] for x in wire["rules"]["privileges"]] +
              [x["name"] for x in wire["rules"]["identities"]] ==
              ["metadata-instance", "alice-app"], wire)
    ctl.file("trail", kit.lines({"user": "b"}, {"user": "a"}))
    _, out, _ = ctl.run("learn", "--form", "wire", "trail")
    ctl.claim("learn_names_a_role_after_the_first_who_has_it",
              json.loads(out)["rules"]["roles"][0]["name"] == "a-app", out)
    clashes = kit.lines({"path": "/a/b"}, {"path": "/a-b"}, {"path": "/a_/b"},
                        {"path": "/a-b-2"}, {"path": "/%7e"})
    ctl.file("trail", clashes)
    _, out, _ = ctl.run("learn", "--form", "wire", "trail")
    names = re.findall(r'"name": "([^"]*)",\s*"path"', out)
    ctl.claim("learn_names_are_unique", len(names) == len(set(names)) == 5,
              names)


def skipped(ctl):
    """What is left out is counted, and what is left out is right."""
    other = {"path": "/other"}
    table = (
        ("denied", {**other, "verdict": "deny", "reason": "default-deny"},
         "1 skipped: denied"),
        ("other_endpoint", {**other, "endpoint": "WireServer"},
         "1 skipped: about other endpoints"),
        ("no_endpoint", {**other, "endpoint": None},
         "1 skipped: about other endpoints"),
        ("exempt", {**other, "reason": "exempt"},
         "1 skipped: allowed whatever"),
        ("uncanonical", {"path": "/other/%zz", "verdict": "allow-audited",
                         "reason": "canon"}, "1 skipped: refused whatever"),
        ("unknown_caller", {**other, "uid": None, "euid": None, "gid": None,
                            "user": None, "groups": None},
         "1 skipped: refused whatever"),
        ("nameless_user", {**other, "user": None}, "1 skipped: the user has"),
        ("user_not_utf8", {**other, "user": "al\ufffd"},
         "1 skipped: the user has"),
        ("cut_path", {"path": "/other/" + "x" * 505},
         "1 skipped: the path is cut"),
        ("merged_paths", {"path": None, "method": None, "merged": 8},
         "1 skipped: merged"),
        ("merged_rest", {"path": None, "method": None, "endpoint": None,
                         "reason": "other", "euid": None, "gid": None},
         "1 skipped: merged"),
    )
    for name, change, said in table:
        ctl.file("trail", kit.lines({}, change))
        status, out, err = ctl.run("learn", "trail")
        ctl.claim(f"learn_skips_{name}",
                  status == 0 and said in err and "other" not in out and
                  "2 lines, 1 learnt from" in err, err + out)
    ctl.file("trail", kit.lines({}, {"merged": 5000000000}, {"merged": 1}))
    ctl.expect("learn_counts_what_is_merged", ("learn", "trail"), 0,
               ["/metadata/instance"],
               err=["3 lines, 3 learnt from",
                    "5000000001 requests more are merged"])
    for merged in ("-1", '"1"', "1.5", "1000000000001", "{}"):
        line = kit.lines({"merged": 77}).replace("77", merged)
        ctl.file("trail", kit.lines({}) + line)
        ctl.expect(f"learn_does_not_take_merged_{merged}", ("learn", "trail"),
                   0, err=["1 skipped: not readable"])
    for reason in ("refused", "unknown-caller", "direct", "not-root", "error"):
        ctl.file("trail", kit.lines({}, {**other, "verdict": "deny",
                                         "reason": reason}))
        status, out, err = ctl.run("learn", "--include-denied", "trail")
        ctl.claim(f"learn_skips_{reason}", status == 0 and
                  "1 skipped: refused whatever" in err and
                  "other" not in out, err)
    ctl.file("trail", kit.lines({"verdict": "deny", "reason": "no-identity"}))
    ctl.expect("learn_of_nothing_writes_nothing", ("learn", "trail"), 2,
               err=["nothing to learn from"])
    ctl.expect("learn_include_denied", ("learn", "--include-denied", "trail"),
               0, ["/metadata/instance"])
    ctl.file("trail", kit.lines({"path": "/other/" + "x" * 504 + "?"}))
    ctl.expect("learn_keeps_a_path_whose_query_is_cut", ("learn", "trail"), 0,
               ["x" * 504])
    ctl.file("trail", kit.lines({"path": "/"}, {}))
    got = ctl.expect("learn_of_the_root_says_so", ("learn", "trail"), 0,
                     ['"everything"'], ["allowed everything"])
    ctl.claim("learn_of_the_root_needs_no_more",
              "/metadata/instance" not in got[1], got[1])


def malformed(ctl):
    """What is not quite a line of a trail is not learnt from."""
    good = kit.lines({"path": "/other"}).rstrip("\n")
    short = {k: v for k, v in kit.LINE.items() if k != "exe_state"}
    table = (
        ("member_twice", good[:-1] + ', "user": "bob"}'),
        ("member_missing", json.dumps(short)),
        ("half_a_pair", good.replace("/other", "/other\\ud800")),
        ("nul", good.replace("/other", "/other\\u0000x")),
        ("long_text", good.replace("/other", "/" + "x" * 512)),
        ("number_for_text", good.replace('"/other"', "5")),
        ("text_for_number", good.replace('"uid": 1000', '"uid": "1000"')),
        ("negative", good.replace('"uid": 1000', '"uid": -1')),
        ("fraction", good.replace('"uid": 1000', '"uid": 1.5')),
        ("large", good.replace('"uid": 1000', '"uid": 4294967296')),
        ("object_for_text", good.replace('"/other"', '{"a": 1}')),
        ("list_for_text", good.replace('"/other"', '["/other"]')),
        ("groups_of_text", good.replace("[1000]", '["a"]')),
        ("groups_of_lists", good.replace("[1000]", "[[1]]")),
        ("many_groups", good.replace("[1000]", str(list(range(65))))),
        ("no_verdict", good.replace('"allow"', "null")),
        ("more_behind", good + " {}"), ("cut", good[:-1]),
        ("list", f"[{good}]"), ("null", "null"), ("true", "true"),
        ("number", "1"), ("text", '"x"'),
        ("deep", good[:-1] + ', "new": ' + "[" * 20 + "]" * 20 + "}"))
    for name, line in table:
        ctl.file("trail", kit.lines({}) + line + "\n")
        status, out, err = ctl.run("learn", "trail")
        ctl.claim(f"malformed_{name}",
                  status == 0 and "1 skipped: not readable" in err and
                  "other" not in out and "bob" not in out, err + out)
    ctl.file("trail", good[:-1] + ', "new": [{"user": "bob"}, 1, true]}\n')
    got = ctl.run("learn", "trail")
    ctl.claim("new_members_are_passed_over", got[0] == 0 and
              "/other" in got[1] and "bob" not in got[1], got)


def wireserver(ctl):
    root = {"user": "root", "uid": 0, "euid": 0}
    ctl.file("trail", kit.lines(
        {**root, "endpoint": "WireServer", "path": "/machine"},
        {**root, "endpoint": "HostGAPlugin", "path": "/vmSettings"}, {}))
    status, out, _ = ctl.run("learn", "--endpoint", "wireserver", "--mode",
                             "enforce", "trail")
    ctl.file("learnt", out)
    ctl.claim("learn_wireserver", status == 0 and
              '"applicableHostEndpoint": "WireServer"' in out, out)
    for endpoint, path in (("wireserver", "/machine"),
                           ("hostga", "/vmsettings")):
        ctl.expect(f"learnt_for_{endpoint}", (
            "explain", "--profile", "learnt", "--endpoint", endpoint,
            "--url", path, "--user", "root", "--exe", "/opt/app/bin/app"), 0)


def groups_of_members(ctl):
    """The members learn looks at are ones that the agent writes."""
    with open("mspd/audit_text.c", encoding="utf-8") as file:
        written = set(re.findall(r'[A-Z]+\(line, "(\w+)"', file.read()))
    with open("mspd/ctl/audit_line.c", encoding="utf-8") as file:
        looked = set(re.findall(r'{ "(\w+)", KIND_', file.read()))
    ctl.claim("members_are_those_of_the_trail",
              len(looked) == 18 and looked <= written | {"time"},
              looked - written)
    ctl.claim("lines_here_are_those_of_the_trail",
              set(kit.LINE) == (written | {"time"}) -
              {"canon", "merged", "last", "torn"},
              set(kit.LINE) ^ (written | {"time"}))


def run(ctl):
    for seed in range(1, 13):
        properties(ctl, seed)
    for part in (explained, forms, skipped, malformed, wireserver,
                 groups_of_members):
        part(ctl)
