# SPDX-License-Identifier: MIT
"""
In: profiles. Out: whether what mspctl makes of them is the same profile. Must
never compare a text with itself: each goes through another form.
"""
import json

import kit

SAMPLES = {
    "plain": kit.simple(),
    "empty": {"id": "e", "mode": "audit", "defaultAccess": "allow"},
    "names": kit.profile(
        [("\u00fc \"q\" \\ [x]", "/a/%41;b", {"A": "[b]", "c": "d%41 +"}),
         ("[not an expression]", "/", None)],
        [("r\u4e2d", ["\u00fc \"q\" \\ [x]", "[not an expression]"])],
        [("\U0001f600", {"userName": "[u]", "groupName": "g",
                         "exePath": "/\u00e9", "processName": "\u00e9"})],
        [("r\u4e2d", ["\U0001f600"])]),
    "modes": kit.simple(mode="disabled", defaultAccess="allow"),
}
ARM_ID = ("/subscriptions/s/resourceGroups/r/providers/Microsoft.Compute/"
          "galleries/g/inVMAccessControlProfiles/p/versions/1.2.3")


def same(a, b, without=()):
    def cleaned(x):
        x = {k: v for k, v in x.items() if k not in without}
        rules = x.get("rules")
        return {**x, "rules": {k: v for k, v in rules.items() if v}
                if rules else None}
    return cleaned(a) == cleaned(b)


def through(ctl, text, *steps):
    """The wire form of what these conversions make of a text."""
    for step in (*steps, ("--to", "wire")):
        status, text, err = ctl.run("convert", *step, "-", stdin=text)
        if status != 0:
            return {"status": status, "error": err}
    return json.loads(text)


def run(ctl):
    resource = ("--to", "arm", "--location", "westus")
    template = ("--to", "arm", "--template", "--endpoint", "imds")
    for name, sample in SAMPLES.items():
        text = json.dumps(sample)
        for way, steps, lost in (
                ("wire", (), ()), ("resource", (resource,), ()),
                ("template", (template,), ("id",)),
                ("compact", ((*template, "--compact"),), ("id",)),
                ("local", (("--to", "local"),), ("mode",)),
                ("all", (resource, template, ("--to", "local")),
                 ("id", "mode"))):
            got = through(ctl, text, *steps)
            ctl.claim(f"convert_{name}_by_{way}", same(got, sample, lost),
                      f"{got}\n{sample}")
    named = json.dumps({**kit.simple(), "id": ARM_ID})
    got = through(ctl, named, resource)
    ctl.claim("convert_keeps_an_arm_id", got.get("id") == ARM_ID, got)
    status, out, _ = ctl.run("convert", *template, "-", stdin=named)
    ctl.claim("convert_takes_names_from_an_arm_id",
              status == 0 and '"g/p/1.2.3"' in out, out)
    status, out, _ = ctl.run("convert", *template, "--name", "x/y/3.0.0",
                             "--location", "moon", "-", stdin=named)
    ctl.claim("convert_takes_names_from_options",
              status == 0 and '"x/y/3.0.0"' in out and '"moon"' in out and
              '"applicableHostEndpoint": "IMDS"' in out, out)
    losses(ctl)


def losses(ctl):
    odd = kit.simple()
    odd["note"] = "x"
    odd["rules"]["roles"][0]["privileges"].append("nothing")
    ctl.file("odd", odd)
    ctl.expect("convert_says_what_it_leaves_out",
               ("convert", "--to", "wire", "odd"), 0, ['"p"'],
               ["not written: odd:1:", "unknown-field", "dangling"])
    ctl.expect("convert_says_that_a_mode_is_lost",
               ("convert", "--to", "local", "odd"), 0,
               err=["mode Enforce is not written"])
    ctl.expect("convert_says_that_a_mode_is_made_up",
               ("convert", "--to", "wire", "-"), 0, ['"deny"'],
               ["written as Enforce", "written as deny"], stdin="{}")
    got = ctl.run("convert", "--compact", "--to", "wire", "odd")
    ctl.claim("convert_compact_is_one_line", got[1].count("\n") == 1, got)
