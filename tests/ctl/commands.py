# SPDX-License-Identifier: MIT
"""
In: tables of command lines. Out: whether each ends and says what it must.
Must never be content with an exit status alone where there is an answer.
"""
import json
import os
import pwd
import shutil
import subprocess
import time

import kit

HELPS = ("explain", "lint", "diff", "learn", "convert", "audit")
FULL = "/dev/full"


def usage(ctl):
    ctl.file("good", kit.simple())
    url = ("--url", "/x")
    at = ("--endpoint", "imds")
    of = ("--profile", "good")
    wrong = (
        ("no_command", (), ["Usage: mspctl COMMAND"]),
        ("unknown_command", ("frobnicate",), ["frobnicate", "--help"]),
        ("unknown_option", ("explain", "--nothing"), ["--nothing"]),
        ("short_option", ("explain", "-x"), ["-x"]),
        ("abbreviated_option", ("explain", "--prof", "good"), ["--prof"]),
        ("option_without_value", ("explain", "--profile"), ["needs a value"]),
        ("flag_with_value", ("lint", "--json=1", "good"), ["no value"]),
        ("option_given_twice", ("explain", *of, *of), ["twice"]),
        ("no_profile", ("explain", *at, *url), ["--profile"]),
        ("no_endpoint", ("explain", *of, *url), ["--endpoint"]),
        ("no_url", ("explain", *of, *at), ["--url"]),
        ("empty_url", ("explain", *of, *at, "--url", ""), ["empty"]),
        ("long_url", ("explain", *of, *at, "--url", "/" + "x" * 65534),
         ["65534"]),
        ("operand", ("explain", *of, *at, *url, "more"), ["more"]),
        ("bad_endpoint", ("explain", *of, "--endpoint", "mars", *url),
         ["mars", "imds, wireserver or hostga"]),
        ("bad_mode", ("explain", *of, *at, *url, "--mode", "x"), ["enforce"]),
        ("negative_uid", ("explain", *of, *at, *url, "--uid", "-1"),
         ["a number"]),
        ("uid_of_nobody_at_all",
         ("explain", *of, *at, *url, "--uid", "4294967295"), ["a number"]),
        ("uid_that_wraps", ("explain", *of, *at, *url, "--uid",
                            "18446744073709551617"), ["a number"]),
        ("user_and_uid",
         ("explain", *of, *at, *url, "--uid", "1", "--user", "root"),
         ["only one"]),
        ("pid_and_exe",
         ("explain", *of, *at, *url, "--pid", "1", "--exe", "/x"), ["--exe"]),
        ("pid_of_nothing",
         ("explain", *of, *at, *url, "--pid", "2147483647"), ["/proc/"]),
        ("pid_0", ("explain", *of, *at, *url, "--pid", "0"), ["--pid"]),
        ("long_exe",
         ("explain", *of, *at, *url, "--exe", "/" + "x" * 511), ["--exe"]),
        ("many_groups",
         ("explain", *of, *at, *url,
          *(word for i in range(66) for word in ("--group", f"g{i}"))),
         ["--group"]),
        ("lint_of_nothing", ("lint",), ["--help"]),
        ("diff_of_one", ("diff", "good"), ["two profiles"]),
        ("lint_stdin_twice", ("lint", "-", "good", "-"), ["once"]),
        ("stdin_twice", ("diff", "-", "-"), ["once"]),
        ("diff_endpoint_of_corpus",
         ("diff", "--requests", "good", *at, "good", "good"),
         ["--endpoint"]),
        ("learn_of_nothing", ("learn",), ["--help"]),
        ("learn_of_hostga", ("learn", "--endpoint", "hostga", "good"),
         ["wireserver"]),
        ("learn_both_as_one_object",
         ("learn", "--json", "--form", "both", "good"), ["--form both"]),
        ("learn_of_a_form", ("learn", "--form", "local", "good"), ["both"]),
        ("learn_disabled", ("learn", "--mode", "disabled", "good"),
         ["everything"]),
        ("convert_to_nothing", ("convert", "good"), ["--to"]),
        ("convert_two", ("convert", "--to", "wire", "good", "good"), ["one"]),
        ("convert_template_of_wire",
         ("convert", "--to", "wire", "--template", "good"), ["--template"]),
        ("convert_without_location", ("convert", "--to", "arm", "good"),
         ["location"]),
        ("convert_template_without_endpoint",
         ("convert", "--to", "arm", "--template", "good"), ["endpoint"]),
        ("convert_template_for_hostga",
         ("convert", "--to", "arm", "--template", "--endpoint", "hostga",
          "good"), ["good"]),
        ("missing_file", ("lint", "absent"), ["absent: No such file"]),
        ("directory", ("lint", "."), [".: Is a directory"]),
        ("missing_profile",
         ("explain", "--profile", "absent", *at, *url), ["absent"]),
        ("missing_trail", ("learn", "absent"), ["absent"]),
        ("missing_corpus", ("diff", "--requests", "absent", "good", "good"),
         ["absent"]),
    )
    for name, args, err in wrong:
        ctl.expect(f"usage_{name}", args, 2, err=err)
        if not args:
            continue
        status, answer = ctl.json(*args, "--json")
        ctl.claim(f"usage_{name}_as_json", status == 2 and
                  (answer.get("error") or "files" in answer), answer)
    for word in HELPS:
        ctl.expect(f"help_of_{word}", (word, "--help"), 0,
                   [f"Usage: mspctl {word}", "Exit status"])
    ctl.expect("help", ("--help",), 0, HELPS)
    ctl.expect("version", ("--version",), 0, ["mspctl 0."])


def refused(ctl):
    """All that is wrong with a profile is said, with its place."""
    bad = ctl.file("bad", '{ "id": "x", "mode": "often",\n'
                          '  "defaultAccess": "deny", "rules": {\n'
                          '  "privileges": [ { "name": "" } ] } }\n')
    wanted = ["bad:1:22: error: /mode:", "bad:3:", "[missing]"]
    for args in (("explain", "--endpoint", "imds", "--url", "/",
                  "--profile", bad), ("convert", "--to", "wire", bad),
                 ("diff", bad, bad)):
        ctl.expect(f"refused_by_{args[0]}", args, 2,
                   err=["mspctl: " + ctl.dir, *wanted])
    ctl.expect("refused_by_lint", ("lint", bad), 1, wanted)
    ctl.expect("refused_from_stdin", ("lint", "-"), 1,
               ["standard input:1:1: error:"], stdin="[]")
    template = json.dumps({"resources": [
        {"type": "Microsoft.Compute/galleries/inVMAccessControlProfiles/"
                 "versions", "name": f"g/p/{i}.0.0", "location": "x",
         "properties": {"mode": "Enforce", "defaultAccess": access}}
        for i, access in ((1, "Allow"), (2, "Deny"))]})
    many = ctl.file("many", template)
    explain = ("explain", "--endpoint", "imds", "--url", "/", "--profile")
    ctl.expect("several_need_select", (*explain, many), 2,
               err=["g/p/1.0.0", "g/p/2.0.0"])
    for version, status in (("1.0.0", 0), ("2.0.0", 1), ("3.0.0", 2)):
        ctl.expect(f"select_{version}",
                   (*explain, many, "--select", version), status)
    ctl.expect("select_for_diff",
               ("diff", "--select-old", "1.0.0", "--select-new", "2.0.0",
                many, many), 1, ["allow -> deny"])


def explain_verdicts(ctl):
    ctl.file("good", kit.profile(
        [("p", "/metadata/instance", None), ("q", "/q", {"a": "b"})],
        [("r", ["p", "q"])],
        [("i", {"userName": "alice", "exePath": "/opt/app"}),
         ("g", {"groupName": "readers"})], [("r", ["i", "g"])]))
    base = ("explain", "--profile", "good")
    alice = ("--user", "alice", "--exe", "/opt/app")
    at = ("--endpoint", "imds")
    table = (
        ("path", ("/metadata/instance", *at, *alice), 0,
         ["allow: imds GET", "granted"]),
        ("below", ("/metadata/instance/x?y=z", *at, *alice), 0, ["granted"]),
        ("beside", ("/metadata/instancex", *at, *alice), 1,
         ["deny: imds", "default-deny"]),
        ("absolute", ("http://169.254.169.254/metadata/instance", *at,
                      *alice), 0, ["granted"]),
        ("other_endpoint", ("http://168.63.129.16/metadata/instance", *at,
                            *alice), 1, ["misdirected"]),
        ("other_port", ("http://169.254.169.254:81/metadata/instance", *at,
                        *alice), 1, ["misdirected"]),
        ("name_for_address", ("http://imds/metadata/instance", *at, *alice),
         1, ["misdirected"]),
        ("other_scheme", ("https://169.254.169.254/metadata/instance", *at,
                          *alice), 1, ["CANON_SCHEME"]),
        ("traversal", ("/a/../metadata/instance", *at, *alice), 1,
         ["CANON_TRAVERSAL"]),
        ("method", ("/metadata/instance", *at, *alice, "--method", "TRACE"),
         1, ["CANON_METHOD"]),
        ("other_method", ("/metadata/instance", *at, *alice, "--method",
                          "DELETE"), 0, ["granted"]),
        ("parameter", ("/q?a=b", *at, *alice), 0, ["granted"]),
        ("other_value", ("/q?a=c", *at, *alice), 1, []),
        ("other_user", ("/metadata/instance", *at, "--user", "bob", "--exe",
                        "/opt/app"), 1, ["no-identity"]),
        ("other_program", ("/metadata/instance", *at, "--user", "alice",
                           "--exe", "/opt/other"), 1, ["no-identity"]),
        ("no_program", ("/metadata/instance", *at, "--user", "alice"), 1,
         ["no-identity"]),
        ("group", ("/metadata/instance", *at, "--user", "bob", "--group",
                   "others", "--group", "readers"), 0, ["granted"]),
        ("root_only", ("/metadata/instance", "--endpoint", "wireserver",
                       *alice), 1, ["not-root"]),
        ("root", ("/metadata/instance", "--endpoint", "HostGAPlugin",
                  "--uid", "0", "--group", "readers"), 0, ["hostga"]),
        ("audit", ("/nothing", *at, "--mode", "audit"), 0,
         ["allow-audited", "default-deny"]),
        ("disabled", ("/nothing", *at, "--mode", "Disabled"), 0,
         ["disabled"]),
    )
    for name, args, status, out in table:
        line = (*base, "--url", *args)
        ctl.expect(f"explain_{name}", line, status, out)
        got, answer = ctl.json(*line, "--json")
        verdicts = {0: ("allow", "allow-audited"), 1: ("deny",)}[status]
        ctl.claim(f"explain_{name}_as_json",
                  got == status and answer.get("verdict") in verdicts, answer)
    ctl.expect("explain_says_that_a_program_is_taken_as_verified",
               (*base, "--url", "/x", *at, *alice), 1,
               err=["/opt/app: taken as verified", "alice: is not known"])
    ctl.expect("explain_reads_stdin",
               ("explain", "--profile", "-", "--url", "/x", *at, "--user",
                "x"), 1, stdin=json.dumps(kit.simple()))


def explain_callers(ctl):
    """What is asked of this machine is what it has."""
    me = pwd.getpwuid(os.getuid())
    groups = {os.getgrouplist(me.pw_name, me.pw_gid)[0]}
    ctl.file("any", kit.simple(defaultAccess="allow"))
    base = ("explain", "--profile", "any", "--endpoint", "imds", "--url",
            "/x", "--json")

    def caller(*args):
        return ctl.json(*base, *args)[1].get("caller", {})

    for name, args in (("default", ()), ("uid", ("--uid", str(me.pw_uid))),
                       ("user", ("--user", me.pw_name))):
        got = caller(*args)
        ctl.claim(f"caller_by_{name}",
                  got.get("uid") == me.pw_uid and
                  got.get("userName") == me.pw_name and
                  len(got.get("groups", ())) >= len(groups) and
                  got.get("exePath") == "" and
                  "exe-verified" not in got["flags"], got)
    got = caller("--uid", "4000000001")
    ctl.claim("caller_without_name", got.get("uid") == 4000000001 and
              got.get("userName") is None and "names" in got["flags"], got)
    explain_process(ctl, caller)


def explain_process(ctl, caller):
    program = os.path.join(ctl.dir, "sleeper")
    shutil.copy(shutil.which("sleep"), program)
    process = subprocess.Popen([program, "100"])
    try:
        pid = str(process.pid)
        while os.readlink(f"/proc/{pid}/exe") != os.path.realpath(program):
            time.sleep(0.01)
        got = caller("--pid", pid)
        ctl.claim("caller_by_pid", got.get("pid") == process.pid and
                  got.get("uid") == os.getuid() and
                  got.get("exePath") == os.path.realpath(program) and
                  "exe-verified" in got["flags"] and
                  len(got["processGroups"]) >= 1, got)
        os.rename(program, program + ".old")
        shutil.copy(shutil.which("sleep"), program)
        got = caller("--pid", pid)
        ctl.claim("caller_by_pid_follows_its_file",
                  got.get("exePath") == os.path.realpath(program) + ".old",
                  got)
        os.unlink(program + ".old")
        got = caller("--pid", pid)
        ctl.claim("caller_by_pid_whose_file_is_deleted",
                  "exe-verified" not in got.get("flags", ["exe-verified"]),
                  got)
    finally:
        process.kill()
        process.wait()


def lint(ctl):
    good = kit.profile([("p", "/metadata/instance", None)], [("r", ["p"])],
                       [("i", {"userName": "alice"})], [("r", ["i"])])
    ctl.file("clean", good)
    ctl.expect("lint_clean", ("lint", "clean"), 0)
    odd = kit.profile([("p", "/metadata/instance", None), ("u", "/u", None)],
                      [("r", ["p"])], [("i", {"userName": "alice"})],
                      [("r", ["i"])])
    ctl.file("odd", json.dumps(odd, indent=1))
    got = ctl.expect("lint_odd", ("lint", "clean", "odd"), 1,
                     ["odd:11:4: warning: /rules/privileges/1: ",
                      "[unused-privilege]"])
    ctl.claim("lint_is_a_line_each", got[1].count("\n") == 1, got[1])
    noted = kit.profile([("p", "/Metadata/instance/", None)], [("r", ["p"])],
                        [("i", {"userName": "alice"})], [("r", ["i"])])
    ctl.file("noted", noted)
    ctl.expect("lint_notes_are_no_failure", ("lint", "noted"), 0,
               ["note: ", "[spelling]"])
    ctl.expect("lint_of_one_that_is_absent", ("lint", "absent", "odd"), 2,
               ["[unused-privilege]"], ["absent"])
    status, answer = ctl.json("lint", "--json", "clean", "odd", "absent")
    files = answer.get("files", [])
    ctl.claim("lint_json", status == 2 and
              [f["read"] for f in files] == [True, True, False] and
              [len(f["findings"]) for f in files] == [0, 1, 0] and
              files[1]["findings"][0]["code"] == "unused-privilege" and
              files[1]["findings"][0]["line"] == 11 and
              (answer["errors"], answer["warnings"], answer["notes"]) ==
              (0, 1, 0), answer)
    lint_files(ctl)


def lint_files(ctl):
    """Programs are looked at where they are, unless that is not wanted."""
    program = os.path.join(os.path.realpath(ctl.dir), "program")
    open_dir = os.path.join(os.path.realpath(ctl.dir), "open")
    os.mkdir(open_dir)
    os.chmod(open_dir, 0o777)
    for path, mode in ((program, 0o777), (f"{open_dir}/program", 0o755)):
        shutil.copy("/bin/sh", path)
        os.chmod(path, mode)
    for name, path, code in (
            ("writable", program, "writable"),
            ("replaceable", f"{open_dir}/program", "writable"),
            ("absent", os.path.join(ctl.dir, "absent"), "no-file")):
        ctl.file("exe", kit.profile(
            [("p", "/x", None)], [("r", ["p"])],
            [("i", {"userName": "a", "exePath": path})], [("r", ["i"])]))
        got = ctl.run("lint", "exe")
        ctl.claim(f"lint_program_{name}", f"[{code}]" in got[1], got)
        got = ctl.run("lint", "--no-files", "exe")
        ctl.claim(f"lint_program_{name}_not_looked_at",
                  f"[{code}]" not in got[1], got)
    ctl.file("exe", kit.profile(
        [("p", "/x", None)], [("r", ["p"])],
        [("i", {"userName": "a", "exePath": os.path.realpath("/bin/true")})],
        [("r", ["i"])]))
    ctl.expect("lint_program_of_root", ("lint", "exe"), 0)
    ctl.file("secret", kit.simple("/machine", defaultAccess="allow"))
    for endpoint, there in (("imds", True), ("wireserver", False)):
        got = ctl.run("lint", "--endpoint", endpoint, "secret")
        ctl.claim(f"lint_secrets_of_{endpoint}",
                  ("access tokens" in got[1] or "identity" in got[1])
                  == there, got)


def output(ctl):
    """An answer that could not be written is no answer."""
    ctl.file("clean", kit.simple())
    ctl.file("other", kit.simple("/other"))
    ctl.file("trail", kit.lines({}))
    table = (("explain", "--profile", "clean", "--endpoint", "imds", "--url",
              "/x"), ("convert", "--to", "wire", "clean"),
             ("diff", "clean", "other"), ("learn", "trail"), ("--help",),
             ("explain", "--help"), ("--version",))
    for args in table:
        with open(FULL, "wb") as full:
            status, _, err = ctl.run(*args, stdout=full)
        ctl.claim(f"full_disk_{'_'.join(args[:1])}_{len(args)}",
                  status == 2 and "standard output" in err, (status, err))
    nasty = "a\x1b[31m\nb\u202ec"
    ctl.file("nasty", kit.profile([(nasty, "/x", None)], [("r", [nasty])],
                                  [(nasty, {"userName": "u"})],
                                  [("r", [nasty])]))
    for args in (("lint", "nasty"), ("diff", "nasty", "clean"),
                 ("explain", "--profile", "nasty", "--endpoint", "imds",
                  "--url", "/x", "--user", nasty)):
        got = ctl.run(*args)
        ctl.claim(f"nothing_moves_a_cursor_{args[0]}",
                  not any(c in got[1] + got[2] for c in "\x1b\u202e"), got)
    nasty = "\x1b[31m\x7f\x9b31m\u202eb\u00e9"
    ctl.file("nasty", kit.profile([(nasty, "/x", None)], [("r", [nasty])],
                                  [(nasty, {"userName": nasty})],
                                  [("r", [nasty])]))
    ctl.file("nasties", kit.lines({"user": nasty, "exe": "/opt/" + nasty}))
    for args in (("convert", "--to", "wire", "nasty"),
                 ("learn", "--form", "wire", "nasties")):
        got = ctl.run(*args)
        ctl.claim(f"nothing_moves_a_cursor_{args[0]}",
                  not any(c in got[1] + got[2] for c in "\x1b\x7f\x9b\u202e"),
                  got)
        ctl.claim(f"nothing_is_lost_{args[0]}",
                  got[0] == 0 and json.loads(got[1])["rules"]["identities"][0]
                  ["userName"] == nasty and "\u00e9" in got[1], got)


def run(ctl):
    for part in (usage, refused, explain_verdicts, explain_callers, lint,
                 output):
        part(ctl)
