# SPDX-License-Identifier: MIT
"""
In: an msp-host. Out: everything its control plane refuses, with code, status
and words, and that it left all as it was.

The words of the table "You got an error code" are those of Azure's
documentation, with {0} and so on filled in.
"""
import copy

from arm import (API, COMPUTE, FIRST, GALLERY, GROUP, REFERENCE, RULES, SUB,
                 add_profile, call, everything, good, profile, settings,
                 version)
from client import Host, case, expect

BOTH = ("The property securityProfile.proxyAgentSettings.%s."
        "inVMAccessControlProfileReferenceId can't be used together with "
        "property securityProfile.proxyAgentSettings.%s.mode.")
MODE = ("The value of parameter securityProfile.proxyAgentSettings.%smode is "
        "invalid.")
UP = ("The value securityProfile.proxyAgentSettings.keyIncarnationId can only "
      "be incremented.")
ID = ("The resource id '%s' isn't a valid gallery inVMAccessControlProfile "
      "reference. A gallery inVMAccessControlProfile reference should be a "
      "valid resource identifier, of the format: '/subscriptions/"
      "{subscriptionId}/resourceGroups/{resourceGroupName}/providers/"
      "Microsoft.Compute/galleries/{galleryName}/inVMAccessControlProfiles/"
      "{profileName}/versions/{version}'.")
OS = ("Current Gallery InVMAccessControlProfile Version %s supports OS %s, "
      "while current OSDisk's OS is %s.")
ENDPOINT = ("Current Gallery InVMAccessControlProfile Version %s is for host "
            "endpoint %s, while current referred by %s.")
GONE = ("The gallery InVMAccessControlProfile '%s' isn't available. Verify "
        "that the InVMAccessControlProfileReferenceId passed in is correct.")
PREPARE = ("Failed to prepare the InVMAccessControlProfile '%s' metadata for "
           "one or more resources due to an error: '%s'.")
REGION = ("Creation of VMs or Virtual Machine Scale Sets with ProxyAgent "
          "feature isn't supported in this region.")
PREVIEW = ("The subscription is not registered for the private preview of "
           "ProxyAgent feature.")
MEMBERS = {"imds": "IMDS", "wireServer": "WireServer"}


def refused(host, row):
    """One call, its error, and nothing changed."""
    method, path, body, status, code, message = row[:6]
    more = row[6] if len(row) > 6 else {}
    detail = more.pop("detail", None)
    before = everything(host)
    answer = call(host, method, path, body, **more)
    what = "%s %s %s" % (method, path, str(body)[:300])
    expect(answer.status, status, what + str(answer.body[:300]))
    error = answer.json()["error"]
    expect(error["code"], code, what)
    if message is not None:
        expect(error["message"], message, what)
    expect([d["code"] for d in error.get("details", [])],
           [detail] if detail else [], what)
    expect(everything(host), before, what)
    return answer


def patch(**members):
    return "PATCH", FIRST, settings(**members)


@case
def arm_refuses_settings_in_the_words_of_the_documents():
    with Host() as host:
        good(host, "PATCH", FIRST, settings(keyIncarnationId=5))
        rows = [(*patch(keyIncarnationId=4), 400, "BadRequest", UP),
                (*patch(keyIncarnationId=-1), 400, "BadRequest", UP),
                ("PUT", FIRST, settings(keyIncarnationId=0), 400,
                 "BadRequest", UP),
                (*patch(mode="Off"), 400, "BadRequest", MODE % ""),
                (*patch(mode="Disabled"), 400, "BadRequest", MODE % "")]
        for name in MEMBERS:
            at = add_profile(host, name, endpoint=MEMBERS[name])
            rows += [
                (*patch(**{name: {"mode": "Audit", REFERENCE: at}}), 400,
                 "BadRequest", BOTH % (name, name)),
                (*patch(**{name: {"mode": "Enable"}}), 400, "BadRequest",
                 MODE % (name + ".")),
                (*patch(**{name: {"mode": 1}}), 400, "BadRequest",
                 MODE % (name + ".")),
            ]
            bad = ["", "x", at + "/", at + "/x", at[:-6], at[1:],
                   at.replace("1.0.0", "1.0"), at.replace("1.0.0", "latest"),
                   at.replace("galleries", "images"), "/" + at, FIRST,
                   at.replace("rules", "ru les"), "äöü" + at]
            rows += [(*patch(**{name: {REFERENCE: b}}), 400,
                      "InvalidParameter", ID % b) for b in bad]
        for row in rows:
            refused(host, row)


@case
def arm_refuses_profiles_that_do_not_fit():
    with Host() as host:
        for name in MEMBERS:
            other = "imds" if name == "wireServer" else "wireServer"
            at = add_profile(host, "of-" + name, endpoint=MEMBERS[name])
            windows = add_profile(host, "windows-" + name, os_type="Windows",
                                  endpoint=MEMBERS[name])
            there = add_profile(host, "there-" + name,
                                version(location="westus"),
                                endpoint=MEMBERS[name], location="westus")
            apart = add_profile(
                host, "apart-" + name,
                version(targetLocations=[{"name": "West US"}]),
                endpoint=MEMBERS[name])
            rows = [
                (*patch(**{other: {REFERENCE: at}}), 400, "BadRequest",
                 ENDPOINT % (at, MEMBERS[name], MEMBERS[other]),
                 {"detail": "GalleryInVMAccessControlProfile"
                            "NotMatchHostEndpointType"}),
                (*patch(**{name: {REFERENCE: windows}}), 400, "BadRequest",
                 OS % (windows, "Windows", "Linux"),
                 {"detail": "GalleryInVMAccessControlProfile"
                            "NotMatchOSDisk"})]
            rows += [
                (*patch(**{name: {REFERENCE: gone}}), 404,
                 "InVMAccessControlProfileNotFound", GONE % gone)
                for gone in (at.replace("1.0.0", "1.0.1"), there, apart,
                             at.replace("of-", "off-"),
                             at.replace("msp-host-rg", "other-rg"))]
            for row in rows:
                refused(host, row)
        # the other way round: a Windows VM
        vm = COMPUTE + "/virtualMachines/win"
        body = settings(enabled=True, imds={REFERENCE: at})
        body["location"] = "westeurope"
        body["properties"]["storageProfile"] = {
            "osDisk": {"osType": "windows"}}
        at = add_profile(host, "linux")
        body["properties"]["securityProfile"]["proxyAgentSettings"]["imds"][
            REFERENCE] = at
        refused(host, ("PUT", vm, body, 400, "BadRequest",
                       OS % (at, "Linux", "Windows"),
                       {"detail": "GalleryInVMAccessControlProfile"
                                  "NotMatchOSDisk"}))


@case
def arm_refuses_rules_that_cannot_be_prepared():
    """Azure's swagger takes these; who enforces them does not."""
    def change(where, index, **members):
        rules = copy.deepcopy(RULES)
        rules[where][index].update(members)
        return version(rules=rules)

    contents = {
        "duplicate": change("privileges", 1, name="instance"),
        "nameless": change("roles", 0, name=""),
        "query": change("privileges", 1,
                        queryParameters={"a": "1", "A": "2"}),
        "path": change("privileges", 0, path="/a/../../b"),
    }
    with Host() as host:
        for endpoint in MEMBERS:
            for name, content in contents.items():
                at = add_profile(host, endpoint + name, content,
                                 endpoint=MEMBERS[endpoint])
                answer = refused(host, (
                    *patch(**{endpoint: {REFERENCE: at}}), 404,
                    "InVMAccessControlProfileNotFound", None))
                seen = answer.json()["error"]["message"]
                before, after = (PREPARE % (at, "\0")).split("\0")
                assert seen.startswith(before + "/properties/rules/"), seen
                assert seen.endswith(after), seen
        # a version in use stays one that can be had
        at = add_profile(host, "used")
        good(host, "PATCH", FIRST, settings(imds={REFERENCE: at}))
        for content in contents.values():
            refused(host, ("PUT", at, content, 404,
                           "InVMAccessControlProfileNotFound", None))
        refused(host, ("PUT", at, version(
            targetLocations=[{"name": "West US"}]), 404,
            "InVMAccessControlProfileNotFound", GONE % at))


@case
def arm_refuses_where_the_feature_is_not():
    with Host() as host:
        new = COMPUTE + "/virtualMachines/new"
        on = settings(enabled=True)
        with_location = dict(on, location="West US")
        for platform, path, body, code, message in (
                ({"regionsWithout": ["West US"]}, new, with_location,
                 "ProxyAgentNotSupportedInRegion", REGION),
                ({"regionsWithout": ["eastus", "westeurope"]}, FIRST, on,
                 "ProxyAgentNotSupportedInRegion", REGION),
                ({"subscriptionsWithout": [SUB.upper()]}, FIRST, on,
                 "SubscriptionNotEnabledForProxyAgentFeature", PREVIEW),
                ({"subscriptionsWithout": [SUB]}, new, with_location,
                 "SubscriptionNotEnabledForProxyAgentFeature", PREVIEW)):
            expect(host.control("PUT", "/platform",
                                str(platform).replace("'", '"').encode())
                   .status, 200)
            refused(host, ("PUT", path, body, 400, code, message))
            # without the feature the VM can be had
            good(host, "PUT", FIRST, settings(enabled=False))
        host.control("PUT", "/platform", b"{}")
        good(host, "PUT", new, with_location, status=(201,))
        for bad in (b"", b"[]", b"{", b'{"regionsWithout":["a/b"]}',
                    b'{"regionsWithout":"westus"}',
                    b'{"subscriptionsWithout":[1]}',
                    b'{"subscriptionsWithout":[""]}'):
            expect(host.control("PUT", "/platform", bad).status, 400, bad)
        expect(host.control("GET", "/platform").json(),
               {"regionsWithout": [], "subscriptionsWithout": []})


@case
def arm_refuses_what_the_api_version_does_not_have():
    with Host() as host:
        imds = settings(imds={"mode": "Audit"})
        agent = settings(addProxyAgentExtension=True)
        member = "Could not find member '%s' on object of type '%s'. Path '%s'."
        path = "properties.securityProfile.proxyAgentSettings."
        missing = ("The api-version query parameter (?api-version=) is "
                   "required for all requests.")
        rows = [
            ("GET", FIRST, None, 400, "MissingApiVersionParameter", missing,
             {"api": None}),
            ("GET", FIRST, None, 400, "InvalidApiVersionParameter", None,
             {"api": "2024"}),
            ("GET", FIRST, None, 400, "InvalidApiVersionParameter", None,
             {"api": "2024-03-01-preview"}),
            ("GET", FIRST, None, 400, "NoRegisteredProviderFound", None,
             {"api": "2023-08-31"}),
            ("GET", GALLERY + "/inVMAccessControlProfiles/x", None, 400,
             "NoRegisteredProviderFound", None, {"api": "2024-03-02"}),
            ("PATCH", FIRST, imds, 400, "BadRequest",
             member % ("imds", "ProxyAgentSettings", path + "imds"),
             {"api": "2023-09-01"}),
            ("PATCH", FIRST, agent, 400, "BadRequest",
             member % ("addProxyAgentExtension", "ProxyAgentSettings",
                       path + "addProxyAgentExtension"),
             {"api": "2025-03-31"}),
            ("PATCH", FIRST, settings(enabeld=True), 400, "BadRequest",
             member % ("enabeld", "ProxyAgentSettings", path + "enabeld")),
            ("PATCH", FIRST, settings(imds={"mood": "Audit"}), 400,
             "BadRequest", member % ("mood", "HostEndpointSettings",
                                     path + "imds.mood")),
        ]
        for row in rows:
            refused(host, row)
        good(host, "PATCH", FIRST, imds, api="2024-03-01")
        good(host, "PATCH", FIRST, agent, api=API)


@case
def arm_refuses_malformed_bodies():
    deep = b'{"properties":' + b'{"a":' * 40 + b"1" + b"}" * 41
    wide = b'{"tags":{%s}}' % b",".join(b'"%d":"x"' % i for i in range(300))
    invalid = "The value of parameter %s is invalid. %s"
    profiles = GALLERY + "/inVMAccessControlProfiles"
    with Host() as host:
        add_profile(host, "p")
        one = profiles + "/p"
        rows = [("PUT", FIRST, body, 400, "InvalidRequestContent", None)
                for body in (None, b"", b"{", b"[]", b"1", b'"x"', b"\xff",
                             b'{"a":1,"a":2}', b'{"a":"\\u0000"}', deep, wide,
                             b'{"properties":{},"properties":{}}')]
        rows += [
            ("PUT", FIRST, {"properties": 1}, 400, "InvalidParameter",
             invalid % ("properties", "It must be an object.")),
            ("PUT", FIRST, b'{"tags":{},"TAGS":{}}', 400, "InvalidParameter",
             invalid % ("tags", "It is given twice.")),
            ("PUT", FIRST, {"tags": {"a": 1}}, 400, "InvalidParameter",
             invalid % ("tags.a", "It must be a string.")),
            ("PUT", FIRST, settings(enabled="yes"), 400, "InvalidParameter",
             invalid % ("securityProfile.proxyAgentSettings.enabled",
                        "It must be true or false.")),
            ("PUT", FIRST, settings(keyIncarnationId="2"), 400,
             "InvalidParameter", None),
            ("PUT", FIRST, settings(keyIncarnationId=1.5), 400,
             "InvalidParameter", None),
            ("PUT", FIRST, settings(keyIncarnationId=1 << 31), 400,
             "InvalidParameter", None),
            ("PUT", FIRST, settings(imds="Audit"), 400, "InvalidParameter",
             None),
            ("PUT", FIRST, {"properties": {"storageProfile": {
                "osDisk": {"osType": "BSD"}}}}, 400, "InvalidParameter",
             invalid % ("properties.storageProfile.osDisk.osType",
                        "Allowed are Windows, Linux.")),
            ("PUT", COMPUTE + "/virtualMachines/new", settings(), 400,
             "LocationRequired", None),
            ("PUT", COMPUTE + "/virtualMachines/new",
             {"location": "west/us"}, 400, "InvalidParameter", None),
            ("PUT", COMPUTE + "/virtualMachines/new",
             {"location": "westus"}, 400, "InvalidParameter", None,
             {"query": "network=10.0.0.300"}),
            ("PUT", FIRST, b"[" + b" " * (2 * 1024 * 1024) + b"]", 413,
             "RequestContentTooLarge", None),
            ("PUT", GALLERY + "2", {}, 400, "LocationRequired", None),
            ("PUT", profiles + "/q", {"location": "westeurope"}, 400,
             "InvalidParameter",
             "Required parameter 'properties' is missing (null)."),
            ("PUT", profiles + "/q", profile(endpoint="HostGA"), 400,
             "InvalidParameter",
             invalid % ("properties.applicableHostEndpoint",
                        "Allowed are WireServer, IMDS.")),
            ("PUT", profiles + "/q", profile(os_type=None), 400,
             "InvalidParameter",
             "Required parameter 'properties.osType' is missing (null)."),
            ("PUT", one, profile(os_type="Windows"), 409,
             "PropertyChangeNotAllowed",
             "Changing property 'osType' is not allowed."),
            ("PUT", one, profile(endpoint="WireServer"), 409,
             "PropertyChangeNotAllowed", None),
            ("PUT", one, profile(location="westus"), 409,
             "InvalidResourceLocation", None),
        ]
        rules = copy.deepcopy(RULES)
        del rules["identities"]
        wrong = copy.deepcopy(RULES)
        wrong["privileges"][1]["queryParameters"]["resource"] = 1
        for content, message in (
                (version(mode="enable"), invalid % (
                    "properties.mode",
                    "Allowed are Audit, Enforce, Disabled.")),
                (version(access="maybe"), invalid % (
                    "properties.defaultAccess", "Allowed are Allow, Deny.")),
                (version(rules=rules), "Required parameter 'properties.rules."
                                       "identities' is missing (null)."),
                (version(rules=wrong), invalid % (
                    "properties.rules.privileges[1].queryParameters.resource",
                    "It must be a string.")),
                (version(targetLocations=[{}]), "Required parameter "
                 "'properties.targetLocations[0].name' is missing (null).")):
            rows.append(("PUT", one + "/versions/2.0.0", content, 400,
                         "InvalidParameter", message))
        for row in rows:
            refused(host, row)


@case
def arm_refuses_paths_and_methods():
    profiles = GALLERY + "/inVMAccessControlProfiles"
    elsewhere = COMPUTE.replace("msp-host-rg", "other-rg")
    with Host() as host:
        at = add_profile(host, "p")
        rows = [("GET", path, None, 404, "ResourceNotFound", None) for path in
                (COMPUTE + "/virtualMachines/none", GALLERY + "x",
                 profiles + "/none", profiles + "/p/versions/9.9.9",
                 elsewhere + "/virtualMachines/msp-host-vm",
                 elsewhere + "/virtualMachines/msp-host-vm/instanceView")]
        rows += [(method, path, body, 404, "ParentResourceNotFound", None)
                 for method, path, body in (
                     ("PUT", GALLERY + "x/inVMAccessControlProfiles/p",
                      profile()),
                     ("GET", GALLERY + "x/inVMAccessControlProfiles", None),
                     ("PUT", profiles + "/x/versions/1.0.0", version()))]
        rows += [("GET", path, None, 404, "InvalidResourceType", None)
                 for path in ("/subscriptions/", "/subscriptions/S", GROUP,
                              COMPUTE, COMPUTE + "/disks/x", FIRST + "/x",
                              FIRST + "/instanceView/x", GALLERY + "/images",
                              COMPUTE.replace("Compute", "Network") + "/a/b",
                              at + "/x/y", at + "/x/y/z/1/2/3/4/5/6/7")]
        rows += [("PUT", path, {"location": "westus"}, 400,
                  "InvalidParameter", None) for path in
                 (COMPUTE + "/galleries/_x", COMPUTE + "/galleries/x-",
                  COMPUTE + "/galleries/" + 81 * "x",
                  COMPUTE + "/galleries/x%20y",
                  COMPUTE + "/virtualMachines/" + 65 * "x",
                  profiles + "/p/versions/1.0", profiles + "/p/versions/1.0.x",
                  profiles + "/p/versions/1.0.0.0",
                  profiles + "/p/versions/1.0.2147483648")]
        rows += [(method, path, None, 405, "MethodNotAllowed", None)
                 for method, path in (("DELETE", FIRST), ("POST", FIRST),
                                      ("PUT", FIRST + "/instanceView"),
                                      ("PUT", COMPUTE + "/virtualMachines"),
                                      ("POST", at), ("DELETE", profiles))]
        rows += [("PATCH", GALLERY + "x", {}, 404, "ResourceNotFound", None),
                 ("PATCH", COMPUTE + "/virtualMachines/none", {}, 404,
                  "ResourceNotFound", None),
                 ("DELETE", GALLERY, None, 409, "CannotDeleteResource", None),
                 ("DELETE", profiles + "/p", None, 409,
                  "CannotDeleteResource", None)]
        for row in rows:
            refused(host, row)
        expect(call(host, "POST", at).headers["allow"],
               "GET, HEAD, PUT, PATCH, DELETE")
        good(host, "PATCH", FIRST, settings(imds={REFERENCE: at}))
        refused(host, ("DELETE", at, None, 409, "Conflict", None))
        good(host, "PATCH", FIRST, settings(imds=None))
        for path in (at, profiles + "/p", GALLERY):
            expect(call(host, "DELETE", path).status, 200, path)
            expect(call(host, "DELETE", path).status, 204, path)


@case
def arm_refuses_to_move_a_virtual_machine():
    with Host() as host:
        good(host, "PUT", FIRST, {"location": "westeurope"})
        other = FIRST.replace("msp-host-rg", "other-rg")
        for row in (
                ("PUT", FIRST, {"location": "westus"}, 409,
                 "InvalidResourceLocation", None),
                ("PATCH", FIRST, {"properties": {"storageProfile": {
                    "osDisk": {"osType": "Windows"}}}}, 409,
                 "PropertyChangeNotAllowed", None),
                ("PUT", other, {"location": "westeurope"}, 409, "Conflict",
                 None)):
            refused(host, row)
