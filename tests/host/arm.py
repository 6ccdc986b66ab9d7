# SPDX-License-Identifier: MIT
"""
In: a running msp-host. Out: calls to its control plane, and a look at all that
a refused call must not have changed.
"""
import copy
import json

API = "2025-04-01"
SUB = "8d10da13-8125-4ba9-a717-bf7490507b3d"
GROUP = "/subscriptions/%s/resourceGroups/msp-host-rg" % SUB
COMPUTE = GROUP + "/providers/Microsoft.Compute"
FIRST = COMPUTE + "/virtualMachines/msp-host-vm"
GALLERY = COMPUTE + "/galleries/rules"
REFERENCE = "inVMAccessControlProfileReferenceId"

RULES = {
    "privileges": [{"name": "instance", "path": "/metadata/instance"},
                   {"name": "token", "path": "/metadata/identity/oauth2/token",
                    "queryParameters": {"resource": "https://vault.net"}}],
    "roles": [{"name": "app", "privileges": ["instance", "token"]}],
    "identities": [{"name": "app", "userName": "billing",
                    "groupName": "billing", "exePath": "/opt/app"}],
    "roleAssignments": [{"role": "app", "identities": ["app"]}]}


def profile(os_type="Linux", endpoint="IMDS", location="westeurope"):
    return {"location": location,
            "properties": {"osType": os_type,
                           "applicableHostEndpoint": endpoint}}


def version(mode="Enforce", access="Deny", rules=None, location="westeurope",
            **more):
    return {"location": location,
            "properties": {"mode": mode, "defaultAccess": access,
                           "rules": copy.deepcopy(rules or RULES), **more}}


def settings(**members):
    return {"properties": {"securityProfile": {"proxyAgentSettings": members}}}


def call(host, method, path, body=None, api=API, query=""):
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    target = path + "?" + "&".join(
        p for p in ("api-version=" + api if api else "", query) if p)
    return host.call("ctl", method, target, body=body or b"")


def good(host, method, path, body=None, status=(200, 201), **more):
    answer = call(host, method, path, body, **more)
    if answer.status not in status:
        raise AssertionError("%s %s: %d %s" % (method, path, answer.status,
                                               answer.body[:400]))
    return answer.json() if answer.body else None


def add_profile(host, name, content=None, **kind):
    """A gallery, a profile and version 1.0.0 of it; the version's id."""
    good(host, "PUT", GALLERY, {"location": "westeurope"})
    at = "%s/inVMAccessControlProfiles/%s" % (GALLERY, name)
    good(host, "PUT", at, profile(**kind))
    at += "/versions/1.0.0"
    good(host, "PUT", at, content or version())
    return at


def everything(host):
    """What a call that was refused must leave as it was."""
    seen = {"status": host.status(),
            "vms": [{k: v for k, v in vm.items() if k != "requests"}
                    for vm in host.control("GET", "/vms").json()],
            "platform": host.control("GET", "/platform").json()}
    for kind in ("virtualMachines", "galleries"):
        seen[kind] = good(host, "GET", "%s/%s" % (COMPUTE, kind))
    for gallery in seen["galleries"]["value"]:
        at = gallery["id"] + "/inVMAccessControlProfiles"
        profiles = good(host, "GET", at)
        seen[at] = profiles
        for one in profiles["value"]:
            at = one["id"] + "/versions"
            seen[at] = good(host, "GET", at)
    return seen


def proxy(model):
    return model["properties"]["securityProfile"]["proxyAgentSettings"]
