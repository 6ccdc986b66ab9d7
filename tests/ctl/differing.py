# SPDX-License-Identifier: MIT
"""
In: pairs of profiles. Out: whether diff finds the requests that change, and no
others. Must never expect a change because diff found it: explain is asked.
"""
import json
import random

import kit

PATHS = ("/a", "/a/b", "/a/b/c", "/d", "/d?k=v", "/")
USERS = ("alice", "bob")
EXES = ("/x", "/y")


def random_profile(rng):
    privileges = [(f"p{i}", rng.choice(PATHS).split("?")[0],
                   rng.choice((None, None, {"k": "v"})))
                  for i in range(rng.randint(1, 4))]
    identities = []
    for i in range(rng.randint(1, 3)):
        selectors = {"userName": rng.choice(USERS)}
        if rng.random() < .5:
            selectors["exePath"] = rng.choice(EXES)
        if rng.random() < .3:
            selectors["groupName"] = "g"
        identities.append((f"i{i}", selectors))
    return kit.profile(
        privileges, [("r", [p[0] for p in privileges if rng.random() < .8])],
        identities, [("r", [i[0] for i in identities if rng.random() < .8])],
        defaultAccess=rng.choice(("allow", "deny")),
        mode=rng.choice(("enforce", "enforce", "audit")))


def verdict(ctl, profile, path, user, exe, group):
    args = ["explain", "--profile", profile, "--endpoint", "imds", "--url",
            path, "--user", user, "--exe", exe, "--json"]
    if group:
        args += ["--group", group]
    return ctl.json(*args)[1].get("verdict")


def corpus(ctl, seed):
    rng = random.Random(seed)
    ctl.file("old", random_profile(rng))
    ctl.file("new", random_profile(rng))
    asked = [(rng.choice(PATHS), rng.choice(USERS), rng.choice(EXES),
              rng.choice((None, "g"))) for _ in range(8)]
    text = "# a comment\n\n"
    wanted = []
    for path, user, exe, group in asked:
        text += f'GET imds {path} user={user} "exe={exe}"'
        text += f" group={group}\r\n" if group else "\n"
        pair = [verdict(ctl, side, path, user, exe, group)
                for side in ("old", "new")]
        if pair[0] != pair[1]:
            wanted.append((*pair, path, user, exe, [group] if group else []))
    ctl.file("corpus", text)
    status, answer = ctl.json("diff", "--json", "--requests", "corpus", "old",
                              "new")
    got = [(c["old"]["verdict"], c["new"]["verdict"], c["url"], c["user"],
            c["exe"], c["groups"]) for c in answer.get("changes", ())]
    ctl.claim(f"diff_{seed}_finds_exactly_what_changes",
              got == wanted and answer["tried"] == len(asked) and
              status == bool(wanted), f"{answer}\n{wanted}")


def generated(ctl):
    """One change of a profile each, and a line that must be found."""
    old = kit.simple()

    def changed(how):
        new = json.loads(json.dumps(old))
        how(new, new["rules"])
        return new

    def set_path(_, rules):
        rules["privileges"][0]["path"] = "/metadata"

    def set_query(_, rules):
        rules["privileges"][0]["queryParameters"] = {"K y": "V&+x"}

    def set_exe(_, rules):
        rules["identities"][0]["exePath"] = "/opt/new"

    def set_process(_, rules):
        rules["identities"][0] = {"name": "i", "processName": "proc"}

    def set_group(_, rules):
        rules["identities"][0] = {"name": "i", "groupName": "staff"}

    def set_everyone(_, rules):
        rules["identities"][0] = {"name": "i"}

    def set_default(new, _):
        new["defaultAccess"] = "allow"

    def set_mode(new, _):
        new["mode"] = "audit"

    def set_unassigned(_, rules):
        rules["roleAssignments"] = []

    table = (
        (set_path, "deny -> allow  imds GET /metadata as identity \"i\" "
                   "(privilege \"p\" in NEW)"),
        (set_query, "allow -> deny  imds GET /metadata/instance as "
                    "identity \"i\" (privilege \"p\" in OLD)"),
        (set_exe, "allow -> deny  imds GET /metadata/instance as identity "
                  "\"i\" of OLD (privilege \"p\" in NEW)"),
        (set_exe, "deny -> allow  imds GET /metadata/instance as identity "
                  "\"i\" of NEW (privilege \"p\" in NEW)"),
        (set_process, "identity \"i\" of NEW"),
        (set_group, "identity \"i\" of NEW"),
        (set_everyone, "as nobody in particular (privilege \"p\" in NEW)"),
        (set_default, "deny -> allow  imds GET /metadata as root (default-"),
        (set_default, "deny -> allow  imds GET / as root (default-allow"),
        (set_mode, "deny -> allow-audited  imds GET / as nobody"),
        (set_unassigned, "allow -> deny  imds GET /metadata/instance/below "
                         "as identity \"i\""),
    )
    ctl.file("old", old)
    for how, line in table:
        ctl.file("new", changed(how))
        ctl.expect(f"diff_generated_{how.__name__}", ("diff", "old", "new"),
                   1, [line])
        status, answer = ctl.json("diff", "--json", "new", "old")
        ctl.claim(f"diff_generated_{how.__name__}_back",
                  status == 1 and answer["changed"] ==
                  len(answer["changes"]) > 0, answer)
        ctl.expect(f"diff_generated_{how.__name__}_with_itself",
                   ("diff", "new", "new"), 0, err=[" 0 change"])
    ctl.file("new", changed(set_query))
    ctl.file("wider", changed(lambda n, r: (set_query(n, r), r["privileges"][
        0].update(path="/metadata"))))
    ctl.expect("diff_escapes_parameters", ("diff", "new", "wider"), 1,
               ["GET /metadata?K%20y=V%26%2Bx"])


def equal(ctl):
    """What differs in words only does not change anything."""
    ctl.file("old", kit.simple())
    twisted = json.loads(json.dumps(kit.simple("/Metadata/%49nstance/")))
    twisted["id"] = "other"
    twisted["rules"]["privileges"][0]["name"] = "renamed"
    twisted["rules"]["roles"][0]["privileges"] = ["renamed"]
    ctl.file("new", twisted)
    ctl.expect("diff_of_the_same_in_other_words", ("diff", "old", "new"), 0)
    for form in (("arm", "--location", "x"), ("local",)):
        _, out, _ = ctl.run("convert", "--to", *form, "old")
        ctl.file("form", out)
        ctl.expect(f"diff_of_the_same_as_{form[0]}", ("diff", "old", "form"),
                   0)
    ctl.expect("diff_json_of_nothing", ("diff", "--json", "old", "old"), 0,
               ['{"changes":[],"tried":'])


def endpoints(ctl):
    ctl.file("old", kit.simple())
    ctl.file("new", kit.simple("/other"))
    for endpoint in ("wireserver", "hostga"):
        ctl.expect(f"diff_for_{endpoint}",
                   ("diff", "--endpoint", endpoint, "old", "new"), 1,
                   [f"deny -> allow  {endpoint} GET /other as identity"])
    _, out, _ = ctl.run("convert", "--to", "arm", "--template", "--endpoint",
                        "wireserver", "new")
    ctl.file("template", out)
    ctl.expect("diff_takes_the_endpoint_of_a_template",
               ("diff", "old", "template"), 1, ["wireserver GET"])


def trails(ctl):
    """Lines of audit.jsonl as requests."""
    ctl.file("old", kit.simple())
    ctl.file("new", kit.simple("/other"))
    ctl.file("trail", kit.lines(
        {"path": "/metadata/instance"}, {"path": "/metadata/instance"},
        {"path": "/other?a&b"}, {"path": "/other", "exe_state": "deleted"},
        {"path": "/other", "user": None}, {"path": "/same"},
        {"path": None, "method": None, "verdict": "deny",
         "reason": "refused"}))
    status, answer = ctl.json("diff", "--json", "--requests", "trail", "old",
                              "new")
    got = [(c["new"]["verdict"], c["url"]) for c in answer.get("changes", ())]
    ctl.claim("diff_of_a_trail", status == 1 and
              got == [("deny", "/metadata/instance"),
                      ("allow", "/other?a&b")] and
              answer["tried"] == 5 and answer["skipped"] == 1, answer)
    got = ctl.run("diff", "--requests", "trail", "old", "new")
    ctl.claim("diff_says_that_values_are_missing",
              "1 lines have query parameters without values" in got[2], got)
    for name, text in (
            ("two_words", "GET imds\n"), ("other_endpoint", "GET mars /x\n"),
            ("other_fact", "GET imds /x colour=red\n"),
            ("user_twice", "GET imds /x user=a user=b\n"),
            ("open_quote", 'GET imds /x "user=a\n'),
            ("relative_exe", "GET imds /x exe=y\n"),
            ("nul", "GET imds /x user=a\0b\n"),
            ("json", "{}\n"), ("half_a_line", '{"uid":1\n')):
        ctl.file("corpus", "GET imds /other user=alice "
                 f"exe=/opt/app/bin/app\n{text}")
        status, answer = ctl.json("diff", "--json", "--requests", "corpus",
                                  "old", "new")
        ctl.claim(f"diff_is_not_sure_after_{name}",
                  status == 2 and answer.get("unreadable") == 1 and
                  answer["changed"] == 1, answer)
    for host, status in (("169.254.169.254", 1), ("168.63.129.16", 0)):
        got = ctl.run("diff", "--requests", "-", "old", "new",
                      stdin=f"GET imds http://{host}/other user=alice "
                            "exe=/opt/app/bin/app\n")
        ctl.claim(f"diff_of_what_names_{host}", got[0] == status, got)


def run(ctl):
    for seed in range(1, 13):
        corpus(ctl, seed)
    for part in (generated, equal, endpoints, trails):
        part(ctl)
