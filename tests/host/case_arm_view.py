# SPDX-License-Identifier: MIT
"""
In: an msp-host. Out: the instance view, as the guest's report makes it,
however odd that is.
"""
import json
import random

from arm import COMPUTE, FIRST, call, good, settings
from client import Host, case, expect

VIEW = FIRST + "/instanceView"
AGENT = {"version": "1.0.39", "status": "SUCCESS",
         "keyLatchStatus": {"status": "RUNNING", "message": "ö",
                            "states": {"imdsRuleId": "/SUBSCRIPTIONS/X"}},
         "ebpfProgramStatus": {"status": "RUNNING", "message": ""},
         "proxyConnectionsCount": 31}


def state(name, status="success", message="", code=0):
    return {"name": name, "status": status, "code": code,
            "formattedMessage": {"lang": "en-US", "message": message}}


def report(agent, status="success", code=0, more=()):
    """As the VM extension writes it (spec 10.5)."""
    top = state("ProxyAgentVMExtension", status, "all is told", code)
    top["operation"] = "Enable"
    top["substatus"] = [
        state("ProxyAgentConnectionSummary", status, "[]", code),
        state("ProxyAgentStatus", status, agent, code), *more]
    return [{"version": "1.0", "timestampUTC": "2026-01-02T03:04:05.678",
             "status": top}]


def post(host, document):
    body = document if isinstance(document, bytes) else \
        json.dumps(document).encode()
    return host.call("ga", "PUT", "/status",
                     [("content-type", "application/json")], body).status


def view(host):
    seen = good(host, "GET", VIEW)
    whole = good(host, "GET", FIRST, query="$expand=instanceView")
    inner = whole["properties"]["instanceView"]
    for one in seen, inner:  # these tell the time of asking
        for status in one["statuses"] + one["vmAgent"]["statuses"]:
            status.pop("time", None)
    expect(inner, seen)
    return seen


@case
def arm_view_without_report():
    with Host() as host:
        seen = view(host)
        expect(seen["guestProxyAgent"], "Disabled")
        expect(seen["extensions"], [])
        expect(seen["vmAgent"]["statuses"][0]["displayStatus"], "Not Ready")
        expect([s["code"] for s in seen["statuses"]],
               ["ProvisioningState/succeeded", "PowerState/running"])
        good(host, "PATCH", FIRST, settings(addProxyAgentExtension=True))
        one = view(host)["extensions"][0]
        expect((one["name"], one["type"], one["statuses"][0]["code"],
                one["substatuses"]),
               ("ProxyAgentLinux",
                "Microsoft.CPlat.ProxyAgent.ProxyAgentLinux",
                "ProvisioningState/transitioning", []))
        plain = good(host, "GET", FIRST)["properties"]
        expect("instanceView" in plain, False)


@case
def arm_view_shows_the_report():
    with Host() as host:
        expect(post(host, report(json.dumps(AGENT))), 200)
        seen = view(host)
        expect(seen["guestProxyAgent"], AGENT)
        expect(seen["vmAgent"]["statuses"][0]["displayStatus"], "Ready")
        one = seen["extensions"][0]
        expect((one["name"], one["typeHandlerVersion"]),
               ("ProxyAgentLinux", "1.0.39"))
        expect({k: one["statuses"][0][k] for k in
                ("code", "level", "displayStatus", "message")},
               {"code": "ProvisioningState/succeeded", "level": "Info",
                "displayStatus": "Provisioning succeeded",
                "message": "all is told"})
        assert one["statuses"][0]["time"].endswith("+00:00")
        expect([s["code"] for s in one["substatuses"]],
               ["ComponentStatus/ProxyAgentConnectionSummary/succeeded",
                "ComponentStatus/ProxyAgentStatus/succeeded"])
        expect(json.loads(one["substatuses"][1]["message"]), AGENT)
        # of the channel, not of the report
        good(host, "PATCH", FIRST, settings(enabled=False))
        expect(view(host)["guestProxyAgent"], "Disabled")
        good(host, "PATCH", FIRST, settings(enabled=True))
        expect(view(host)["guestProxyAgent"], AGENT)
        # another VM has said nothing
        vm = COMPUTE + "/virtualMachines/other"
        good(host, "PUT", vm, dict(settings(enabled=True), location="westus"))
        expect(good(host, "GET", vm + "/instanceView")["guestProxyAgent"],
               "Disabled")


@case
def arm_view_shows_failure():
    with Host() as host:
        expect(post(host, report("no answer", "error", 4)), 200)
        seen = view(host)
        expect(seen["guestProxyAgent"], "no answer")
        one = seen["extensions"][0]
        expect((one["statuses"][0]["code"], one["statuses"][0]["level"],
                one["typeHandlerVersion"]),
               ("ProvisioningState/failed/4", "Error", ""))
        expect(post(host, report("starting", "transitioning", 4)), 200)
        one = view(host)["extensions"][0]
        expect(one["statuses"][0]["code"], "ProvisioningState/transitioning")


@case
def arm_view_bears_any_report():
    deep = ['{"a":' * n + "1" + "}" * n for n in (32, 33, 63, 64, 65, 9000)]
    with Host() as host:
        for agent in ("", "[]", "1", "null", "{", '{"version":1}', *deep,
                      '{"version":"\\u0000"}', '"Disabled"',
                      "\ud83d\ude00", '{"a":1,"a":2}', "x" * 90000):
            expect(post(host, report(agent)), 200, agent[:40])
            view(host)
        many = [state("n%d" % i) for i in range(500)]
        expect(post(host, report(json.dumps(AGENT), more=many)), 200)
        expect(len(view(host)["extensions"][0]["substatuses"]), 502)
        odd = [state('"\\\n\x7f/../ä'), state(""), state("ProxyAgentStatus")]
        expect(post(host, report(json.dumps(AGENT), more=odd)), 200)
        expect(view(host)["guestProxyAgent"], AGENT)
        chance = random.Random(8)
        good_one = json.dumps(report(json.dumps(AGENT))).encode()
        for _ in range(150):
            body = bytearray(good_one)
            for _ in range(chance.randint(1, 3)):
                at = chance.randrange(len(body))
                body[at:at + chance.randrange(8)] = bytes(
                    chance.randrange(32, 127)
                    for _ in range(chance.randrange(4)))
            assert post(host, bytes(body)) in (200, 400)
            view(host)
        expect(call(host, "GET", VIEW).status, 200)
