# SPDX-License-Identifier: MIT
"""
In: an msp-host. Out: the control plane's promises: models and profiles come
back as they were put, and the guest gets what they say.
"""
import copy
import json
import os
import random

from arm import (COMPUTE, FIRST, GALLERY, REFERENCE, RULES, add_profile,
                 call, everything, good, profile, proxy, settings, version)
from client import Host, case, expect


def items(host):
    return host.status()["authorizationRules"]


def modes(host):
    found = items(host)
    return found["wireserver"]["mode"], found["imds"]["mode"]


@case
def arm_virtual_machine_comes_back_as_put():
    vm = COMPUTE + "/virtualMachines/web"
    body = {"location": "West US", "tags": {"team": "a", "Team": "b"},
            "zones": ["1"], "identity": {"type": "SystemAssigned"},
            "properties": {
                "hardwareProfile": {"vmSize": "Standard_B1s"},
                "storageProfile": {"osDisk": {"osType": "windows", "diskSizeGB":
                                              30}, "dataDisks": [{"lun": 0}]},
                "securityProfile": {"encryptionAtHost": True,
                                    "proxyAgentSettings": {
                                        "enabled": True,
                                        "keyIncarnationId": 3,
                                        "imds": {"mode": "audit"}}}}}
    with Host() as host:
        made = good(host, "PUT", vm, body, status=(201,))
        expect(good(host, "GET", vm), made)
        expect(made["id"], vm)
        expect((made["name"], made["type"], made["location"]),
               ("web", "Microsoft.Compute/virtualMachines", "westus"))
        expect(made["tags"], body["tags"])
        expect((made["zones"], made["identity"]),
               (body["zones"], body["identity"]))
        got = made["properties"]
        expect(got["hardwareProfile"], body["properties"]["hardwareProfile"])
        expect(got["storageProfile"], {
            "osDisk": {"osType": "Windows", "diskSizeGB": 30},
            "dataDisks": [{"lun": 0}]})
        expect(got["securityProfile"]["encryptionAtHost"], True)
        expect((got["provisioningState"], len(got["vmId"])),
               ("Succeeded", 36))
        expect(proxy(made), {
            "enabled": True, "keyIncarnationId": 3,
            "wireServer": {"mode": "Enforce"}, "imds": {"mode": "Audit"},
            "addProxyAgentExtension": False})
        # what was shown may be put again, and changes nothing
        before = everything(host)
        expect(good(host, "PUT", vm, made, status=(200,)), made)
        expect(everything(host), before)


@case
def arm_virtual_machine_that_never_was_put_is_shown():
    with Host("--mode", "imds=Enforce", "--disabled") as host:
        seen = good(host, "GET", FIRST)
        expect(seen["id"], FIRST)
        expect(proxy(seen), {
            "enabled": False, "keyIncarnationId": 1,
            "wireServer": {"mode": "Enforce"}, "imds": {"mode": "Enforce"},
            "addProxyAgentExtension": False})
        host.control("POST", "/key/reset")
        host.control("POST", "/channel?enabled=true")
        host.control("POST", "/endpoints/imds/mode?mode=audit")
        seen = proxy(good(host, "GET", FIRST))
        expect((seen["enabled"], seen["keyIncarnationId"], seen["imds"]),
               (True, 2, {"mode": "Audit"}))


@case
def arm_letter_case_does_not_matter():
    with Host() as host:
        at = add_profile(host, "Mixed")
        reference = at.upper().replace("SUBSCRIPTIONS", "subScriptions")
        body = {"PROPERTIES": {"securityprofile": {"PROXYAGENTSETTINGS": {
            "Enabled": True, "WIRESERVER": {"MODE": "AUDIT"},
            "Imds": {REFERENCE.lower(): reference}}}}}
        seen = good(host, "PATCH", FIRST.upper(), body)
        expect(seen["id"], FIRST)
        expect(proxy(seen)["wireServer"], {"mode": "Audit"})
        expect(proxy(seen)["imds"], {REFERENCE: reference})
        expect(items(host)["imds"]["id"], at.upper())
        expect(good(host, "GET", at.lower() + "/")["id"], at)
        # names of members and words come out as Azure spells them
        content = json.loads(json.dumps(version()).replace(
            '"defaultAccess"', '"DEFAULTACCESS"').replace(
            '"Enforce"', '"eNFORCE"').replace('"exePath"', '"EXEPATH"'))
        seen = good(host, "PUT", at.replace("1.0.0", "2.0.0"), content)
        for member, value in version()["properties"].items():
            expect(seen["properties"][member], value, member)


@case
def arm_defaults_and_put_replaces():
    with Host() as host:
        good(host, "PUT", FIRST, settings(
            enabled=True, addProxyAgentExtension=True, keyIncarnationId=4,
            imds={"mode": "Enforce"}, wireServer={"mode": "Audit"}))
        expect(modes(host), ("audit", "enforce"))
        seen = good(host, "PUT", FIRST, {"tags": {"a": "b"}})
        expect(proxy(seen), {
            "enabled": False, "keyIncarnationId": 4,
            "wireServer": {"mode": "Enforce"}, "imds": {"mode": "Disabled"},
            "addProxyAgentExtension": False})
        expect(modes(host), ("enforce", "disabled"))
        expect(host.status()["secureChannelEnabled"], False)
        seen = good(host, "PUT", FIRST, {})
        expect("tags" in seen, False)


@case
def arm_patch_changes_what_it_names():
    with Host() as host:
        at = add_profile(host, "p")
        good(host, "PUT", FIRST, {
            "tags": {"a": "1", "b": "2"},
            **settings(enabled=True, imds={"mode": "Audit"},
                       wireServer={"mode": "Audit"},
                       addProxyAgentExtension=True)})
        steps = (
            ({"tags": {"b": None, "c": "3"}}, {}),
            (settings(imds={"mode": "Enforce"}),
             {"imds": {"mode": "Enforce"}}),
            # the reference takes the mode's place, and the other way round
            (settings(imds={REFERENCE: at}), {"imds": {REFERENCE: at}}),
            (settings(enabled=False), {"enabled": False}),
            (settings(imds={"mode": "Audit"}), {"imds": {"mode": "Audit"}}),
            (settings(imds={}), {}),
            (settings(imds={"mode": None}), {"imds": {"mode": "Disabled"}}),
            (settings(wireServer=None), {"wireServer": {"mode": "Enforce"}}),
            (settings(enabled=True, addProxyAgentExtension=None),
             {"enabled": True, "addProxyAgentExtension": False}),
            ({"properties": {"securityProfile": {"uefiSettings": {}}}}, {}),
        )
        wanted = proxy(good(host, "GET", FIRST))
        for body, changed in steps:
            seen = good(host, "PATCH", FIRST, body)
            wanted.update(changed)
            expect(proxy(seen), wanted, str(body))
            expect(seen["tags"], {"a": "1", "c": "3"})
            expect(host.status()["secureChannelEnabled"], wanted["enabled"])
        seen = good(host, "PATCH", FIRST, {"properties": {"securityProfile": {
            "proxyAgentSettings": None}}})
        expect(proxy(seen)["enabled"], False)
        expect(seen["properties"]["securityProfile"]["uefiSettings"], {})


@case
def arm_first_version_sets_both_endpoints():
    with Host() as host:
        for mode in ("Audit", "Enforce"):
            seen = good(host, "PUT", FIRST, settings(enabled=True, mode=mode),
                        api="2023-09-01")
            expect(proxy(seen), {"enabled": True, "mode": mode,
                                 "keyIncarnationId": 1})
            expect(modes(host), (mode.lower(), mode.lower()))
        # what an endpoint says itself counts
        good(host, "PATCH", FIRST, settings(mode="Audit",
                                            imds={"mode": "Enforce"}))
        expect(modes(host), ("audit", "enforce"))
        seen = proxy(good(host, "PUT", FIRST, settings(enabled=True)))
        expect("mode" in seen, False)


@case
def arm_incarnation_raised_resets_the_key():
    with Host() as host:
        key = host.latch()
        target = "/machine?comp=goalstate"
        expect(host.call("ws", "GET", target, [("x-ms-version", "2012-11-30")],
                         key=key).status, 200)
        good(host, "PATCH", FIRST, settings(keyIncarnationId=1))
        expect(host.status()["keyGuid"], key["guid"])
        good(host, "PATCH", FIRST, settings(keyIncarnationId=7))
        expect(host.status()["keyGuid"], None)
        expect(host.status()["keyIncarnationId"], 7)
        new = host.latch()
        expect(new["incarnationId"], 7)
        good(host, "PUT", FIRST, settings(enabled=True))
        expect(host.status()["keyGuid"], new["guid"])
        expect(host.call("ws", "GET", target, [("x-ms-version", "2012-11-30")],
                         key=key).status, 401)


@case
def arm_new_vm_begins_at_zero_and_latches():
    vm = COMPUTE + "/virtualMachines/fresh"
    body = dict(settings(enabled=True), location="westus")
    with Host() as host:
        good(host, "PUT", vm, body, query="network=127.0.0.1/32")
        expect(host.status()["keyIncarnationId"], 0)
        key = host.latch()
        expect((key["incarnationId"], host.status()["keyGuid"]),
               (0, key["guid"]))
        good(host, "PATCH", vm, settings(keyIncarnationId=1))
        expect(host.status()["keyGuid"], None)


def meaning(rules):
    """Rules of either form, without spelling."""
    return {k: sorted(json.dumps(x, sort_keys=True) for x in v)
            for k, v in rules.items()}


@case
def arm_reference_becomes_rules_of_the_guest():
    with Host() as host:
        for name, endpoint, item in (("imds", "IMDS", "imds"),
                                     ("wireServer", "WireServer",
                                      "wireserver")):
            at = add_profile(host, "p-" + item, endpoint=endpoint)
            good(host, "PATCH", FIRST, settings(**{name: {REFERENCE: at}}))
            seen = items(host)[item]
            expect((seen["id"], seen["mode"], seen["defaultAccess"]),
                   (at.upper(), "enforce", "deny"))
            expect(meaning(seen["rules"]), meaning(RULES))
        # without rules, and elsewhere replicated
        bare = version(mode="Audit", access="Allow", location="westus",
                       targetLocations=[{"name": "East US"},
                                        {"name": "West Europe"}])
        del bare["properties"]["rules"]
        at = add_profile(host, "bare", bare)
        good(host, "PATCH", FIRST, settings(imds={REFERENCE: at}))
        seen = items(host)["imds"]
        expect((seen["mode"], seen["defaultAccess"],
                any(seen.get("rules", {}).values())),
               ("audit", "allow", False))


@case
def arm_rules_may_look_like_template_expressions():
    """What was put is text: Azure evaluates templates before."""
    rules = copy.deepcopy(RULES)
    rules["privileges"][0]["path"] = "/a/[b]"
    rules["identities"][0]["userName"] = "[concat('a')]"
    with Host() as host:
        at = add_profile(host, "p", version(rules=rules))
        good(host, "PATCH", FIRST, settings(imds={REFERENCE: at}))
        expect(items(host)["imds"]["rules"]["identities"][0]["userName"],
               "[concat('a')]")


@case
def arm_version_changed_under_its_name_reaches_all_vms():
    two = COMPUTE + "/virtualMachines/two"
    with Host() as host:
        at = add_profile(host, "p")
        body = dict(settings(imds={REFERENCE: at}), location="westeurope")
        good(host, "PUT", FIRST, body)
        good(host, "PUT", two, body)
        rules = copy.deepcopy(RULES)
        rules["privileges"].pop(0)
        rules["roles"][0]["privileges"] = ["token"]
        good(host, "PUT", at, version(mode="Audit", access="Allow",
                                      rules=rules), status=(200,))
        for _ in FIRST, two:
            seen = items(host)["imds"]
            expect((seen["id"], seen["mode"]), (at.upper(), "audit"))
            expect(meaning(seen["rules"]), meaning(rules))
            host.control("PUT", "/vms/two?network=127.0.0.1")
        good(host, "PATCH", at, {"properties": {"mode": "Enforce"}})
        expect(items(host)["imds"]["mode"], "enforce")
        expect(items(host)["imds"]["defaultAccess"], "allow")


@case
def arm_gallery_resources_come_back_as_put():
    profiles = GALLERY + "/inVMAccessControlProfiles"
    with Host() as host:
        first = {"location": "West Europe", "tags": {"a": "b"},
                 "properties": {"description": "d",
                                "identifier": {"uniqueName": "x"}}}
        made = good(host, "PUT", GALLERY, first, status=(201,))
        expect((made["id"], made["name"], made["type"], made["location"],
                made["tags"]),
               (GALLERY, "rules", "Microsoft.Compute/galleries",
                "westeurope", {"a": "b"}))
        expect(made["properties"], {"provisioningState": "Succeeded",
                                    "description": "d"})
        expect(good(host, "PUT", GALLERY, made, status=(200,)), made)
        for name in "a", "b":
            at = "%s/%s" % (profiles, name)
            good(host, "PUT", at, profile(), status=(201,))
            for number in "1.0.0", "1.0.1":
                good(host, "PUT", at + "/versions/" + number, version(),
                     status=(201,))
        expect([v["name"] for v in good(host, "GET", profiles)["value"]],
               ["a", "b"])
        versions = good(host, "GET", profiles + "/a/versions")["value"]
        expect([v["id"] for v in versions],
               [profiles + "/a/versions/" + n for n in ("1.0.0", "1.0.1")])
        got = versions[0]["properties"]
        expect((got["provisioningState"], got["publishedDate"][10]),
               ("Succeeded", "T"))
        expect(got["rules"], RULES)
        changed = good(host, "PATCH", profiles + "/a", {
            "properties": {"description": "new"}})
        expect((changed["properties"]["description"],
                changed["properties"]["osType"]), ("new", "Linux"))
        expect(call(host, "HEAD", profiles + "/a").status, 200)


@case
def arm_first_put_names_the_vm_and_the_guest_sees_it():
    at = FIRST.replace("msp-host-rg", "production")
    with Host() as host:
        good(host, "PUT", at, {"location": "East US"})
        compute = host.call("imds", "GET", "/metadata/instance/compute?"
                            "api-version=2021-02-01",
                            [("Metadata", "true")]).json()
        expect((compute["location"], compute["resourceGroupName"]),
               ("eastus", "production"))
        expect(call(host, "GET", FIRST).status, 404)


@case
def arm_survives_a_restart():
    with Host() as host:
        state = os.path.join(host.dir.name, "kept")
        with Host("--state", state) as first:
            at = add_profile(first, "p")
            good(first, "PUT", FIRST, dict(settings(
                enabled=True, keyIncarnationId=3, addProxyAgentExtension=True,
                imds={REFERENCE: at}), location="westeurope",
                tags={"a": "ä"}))
            first.control("PUT", "/platform", b'{"regionsWithout":["westus"]}')
            before = everything(first)
        with Host("--state", state) as again:
            expect(everything(again), before)
            good(again, "PUT", at, version(mode="Audit"))
            expect(items(again)["imds"]["mode"], "audit")


@case
def arm_changes_nothing_when_it_cannot_be_stored():
    with Host() as outer:
        folder = os.path.join(outer.dir.name, "folder")
        os.mkdir(folder)
        with Host("--state", os.path.join(folder, "state")) as host:
            at = add_profile(host, "p")
            good(host, "PUT", FIRST, dict(settings(
                enabled=True, imds={REFERENCE: at}), tags={"a": "b"}))
            key = host.latch()
            before = everything(host)
            os.rename(folder, folder + "-gone")
            new = dict(settings(), location="westus")
            for method, path, body, query in (
                    ("PATCH", FIRST, settings(enabled=False), ""),
                    ("PATCH", FIRST, settings(keyIncarnationId=9), ""),
                    ("PATCH", FIRST, {"tags": {"a": "c"}}, ""),
                    ("PATCH", FIRST, settings(imds={"mode": "Disabled"}), ""),
                    ("PUT", COMPUTE + "/virtualMachines/new", new,
                     "network=127.0.0.1"),
                    ("PUT", GALLERY + "2", {"location": "westus"}, ""),
                    ("PUT", at, version(mode="Audit"), ""),
                    ("PUT", at.replace("1.0.0", "2.0.0"), version(), "")):
                answer = call(host, method, path, body, query=query)
                expect(answer.status, 500, path)
            expect(host.control("PUT", "/platform",
                                b'{"regionsWithout":["westus"]}').status, 500)
            expect(everything(host), before)
            expect(host.status()["keyGuid"], key["guid"])
            os.rename(folder + "-gone", folder)
            good(host, "PATCH", FIRST, settings(imds=None))
            os.rename(folder, folder + "-gone")
            expect(call(host, "DELETE", at).status, 500)
            os.rename(folder + "-gone", folder)
            good(host, "GET", at)
            host.process.stderr.read1()


@case
def arm_resources_are_limited():
    with Host() as host:
        good(host, "PUT", GALLERY, {"location": "westus"})
        at = GALLERY + "/inVMAccessControlProfiles/p"
        good(host, "PUT", at, profile())
        seen = [call(host, "PUT", "%s/versions/1.0.%d" % (at, i), version())
                .status for i in range(1030)]
        expect((seen.count(201), seen.count(409)), (1022, 8))
    filler = {"location": "westus", "tags": {"x": "y" * ((2 << 20) - 100)}}
    with Host() as host:
        seen = [call(host, "PUT", "%s%d" % (GALLERY, i), filler).status
                for i in range(40)]
        expect(sorted(set(seen)), [201, 409])
        expect(host.control("GET", "/state").status, 200)


def mutated(text, chance):
    """A body with a few bytes of it changed, cut, doubled or put in."""
    data = bytearray(text)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            data[at:at + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            del data[at:at + chance.randint(1, 40)]
        elif kind == 2:
            data[at:at] = data[at:at + chance.randint(1, 60)]
        elif kind == 3:
            data[at:at] = chance.choice(
                [b"null", b"{}", b"[]", b"\\u0000", b"1e400", b"\xff", b'"',
                 b"{\"a\":" * 70, b"-1", b"true", b"\\ud800"])
        else:
            data = data[:at]
        if not data:
            data = bytearray(b"{")
    return bytes(data)


@case
def arm_mutated_bodies_do_no_harm():
    chance = random.Random(6)
    with Host() as host:
        at = add_profile(host, "p", version(
            targetLocations=[{"name": "West Europe"}]))
        good(host, "PATCH", FIRST, settings(imds={REFERENCE: at}))
        bodies = [(FIRST, dict(settings(
            enabled=True, keyIncarnationId=1, wireServer={"mode": "Enforce"},
            imds={REFERENCE: at}), location="westeurope")),
            (at, good(host, "GET", at)),
            (GALLERY + "/inVMAccessControlProfiles/p", profile()),
            (GALLERY, {"location": "westeurope", "tags": {"a": "b"}})]
        for _ in range(300):
            path, body = chance.choice(bodies)
            answer = call(host, chance.choice(["PUT", "PATCH"]), path,
                          mutated(json.dumps(body).encode(), chance))
            assert answer.status in (200, 400, 404, 409), answer.body
            json.loads(answer.body)
        everything(host)


@case
def arm_mutated_paths_do_no_harm():
    chance = random.Random(7)
    with Host() as host:
        at = add_profile(host, "p")
        for _ in range(300):
            path = list(chance.choice([at, FIRST, FIRST + "/instanceView"]))
            for _ in range(chance.randint(1, 3)):
                path[chance.randrange(15, len(path))] = chance.choice(
                    "/%.-_A1?&=#~")
            answer = call(host, chance.choice(["GET", "PUT", "DELETE"]),
                          "".join(path), {"location": "westus"})
            assert answer.status in (200, 201, 204, 400, 404, 405, 409), \
                (path, answer.status)
