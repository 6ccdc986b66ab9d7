# SPDX-License-Identifier: MIT
"""
In: msp-host. Out: what WireServer and HostGAPlugin answer: goal state and all
it points to, certificates opened by hand, settings, the guest's report. Must
never open what msp-host encrypted with the library that encrypted it.
"""
import base64
import json
import re
import xml.etree.ElementTree as ET

import arm
import der
from client import Host, case, expect

A, B = "127.0.0.2", "127.0.0.3"
VERSION = [("x-ms-version", "2012-11-30")]
GOALSTATE = "/machine?comp=goalstate"
CERT, CIPHER = "x-ms-guest-agent-public-x509-cert", "x-ms-cipher-name"

# Mersenne primes: a key that need not be made
P, Q, E = 2 ** 1279 - 1, 2 ** 2203 - 1, 65537
N, D = P * Q, pow(E, -1, (P - 1) * (Q - 1))


def goal(h, source=None):
    """The goal state as a tree, and its addresses as targets by element."""
    answer = h.call("ws", "GET", GOALSTATE, VERSION, source=source)
    expect(answer.status, 200)
    root = ET.fromstring(answer.body)
    prefix = "http://%s:%d/" % h.at["ws"]
    targets = {}
    for element in root.find(".//Configuration"):
        if element.text.startswith("http"):
            expect(element.text.startswith(prefix), True, element.text)
            targets[element.tag] = element.text[len(prefix) - 1:]
    return root, targets


def document(h, target, source=None):
    answer = h.call("ws", "GET", target, VERSION, source=source)
    expect((answer.status, answer.headers["content-type"]),
           (200, "text/xml; charset=utf-8"), target)
    return ET.fromstring(answer.body)


def incarnation(h):
    return int(goal(h)[0].findtext("Incarnation"))


# ---- goal state ------------------------------------------------------------

@case
def goal_state_leads_to_tenant_role_and_instance():
    with Host() as h:
        root, targets = goal(h)
        expect(sorted(targets), ["Certificates", "ExtensionsConfig",
                                 "HostingEnvironmentConfig", "SharedConfig"])
        instance = root.findtext(".//InstanceId")
        expect(bool(root.findtext(".//ContainerId")) and bool(instance), True)
        shared = document(h, targets["SharedConfig"])
        tenant = shared.find("Deployment").get("name")
        expect(len(tenant), 36)
        expect(shared.find("Role").get("name"), "msp-host-vm")
        first = shared.find("Instances/Instance")
        expect((first.get("id"), first.get("address")), (instance,
                                                         "10.0.0.4"))
        environment = document(h, targets["HostingEnvironmentConfig"])
        expect(environment.tag, "HostingEnvironmentConfig")
        expect(environment.find("Deployment").get("name"), tenant)
        extensions = document(h, targets["ExtensionsConfig"])
        expect((extensions.tag, extensions.find("Plugins")),
               ("Extensions", None))


@case
def documents_need_a_supported_version():
    with Host() as h:
        targets = goal(h)[1]
        for target in [GOALSTATE, *targets.values()]:
            for headers in ([], [("x-ms-version", "2011-01-01")],
                            [("x-ms-version", "")]):
                answer = h.call("ws", "GET", target, headers)
                expect(answer.status, 400, (target, headers))
                text = ET.fromstring(answer.body).findtext("Message")
                expect("x-ms-version" in text, True, text)
        for version in ("2015-04-05", "2010-12-15"):
            expect(h.call("ws", "GET", GOALSTATE,
                          [("x-ms-version", version)]).status, 200)
        expect(h.call("ws", "GET", "/?comp=versions").status, 200)


@case
def incarnation_goes_up_with_the_model_and_old_addresses_are_gone():
    with Host() as h:
        expect((incarnation(h), incarnation(h)), (1, 1))
        old = goal(h)[1]
        tag = h.call("ga", "GET", "/vmSettings").headers["etag"]
        h.control("POST", "/key/reset")
        expect(incarnation(h), 1)
        arm.good(h, "PUT", arm.FIRST, {
            "location": "westeurope",
            "properties": {
                "storageProfile": {"osDisk": {"osType": "Linux"}},
                "securityProfile": {"proxyAgentSettings": {
                    "enabled": True, "addProxyAgentExtension": True}}}})
        expect(incarnation(h), 2)
        for target in old.values():
            answer = h.call("ws", "GET", target, VERSION)
            expect((answer.status, ET.fromstring(answer.body).findtext("Code")),
                   (410, "ResourceNotAvailable"), target)
        extensions = document(h, goal(h)[1]["ExtensionsConfig"])
        expect([p.get("name") for p in extensions.find("Plugins")],
               ["Microsoft.CPlat.ProxyAgent.ProxyAgentLinux"])
        answer = h.call("ga", "GET", "/vmSettings", [("If-None-Match", tag)])
        expect(answer.status, 200)
        expect([e["name"] for e in answer.json()["extensionGoalStates"]],
               ["Microsoft.CPlat.ProxyAgent.ProxyAgentLinux"])
        expect(incarnation(h), 2)


@case
def another_vms_addresses_are_gone_too():
    with Host("--vm", "a=" + A, "--vm", "b=" + B) as h:
        roots = [goal(h, source) for source in (A, B)]
        for path in (".//ContainerId", ".//InstanceId"):
            expect(roots[0][0].findtext(path) != roots[1][0].findtext(path),
                   True, path)
        target = roots[0][1]["SharedConfig"]
        shared = document(h, target, A)
        expect((shared.find("Role").get("name"),
                shared.find("Instances/Instance").get("address")),
               ("a", "10.0.0.4"))
        expect(h.call("ws", "GET", target, VERSION, source=B).status, 410)
        names = [h.call("ga", "GET", "/vmSettings", source=s).json()
                 ["inVMMetadata"]["vmName"] for s in (A, B)]
        expect(names, ["a", "b"])


@case
def paths_below_machine_that_are_none():
    with Host() as h:
        target = goal(h)[1]["SharedConfig"]
        path, _, query = target.partition("?")
        for to, status in (
                (path, 404), (path + "/?" + query, 200),
                (path + "/x?" + query, 410), (path + "x?" + query, 410),
                (path[:-1] + "?" + query, 410),
                ("/machine/?" + query, 410), ("/machine/x?" + query, 410),
                (path.rpartition("/")[0] + "?" + query, 410),
                ("/machine/%2e%2e/x?" + query, 410),
                ("/machine/" + "x" * 8000 + "?" + query, 410),
                ("/machine" + "/x" * 4000 + "?" + query, 410),
                (target.replace("incarnation=1", "incarnation=-1"), 410),
                (target.replace("incarnation=1", "incarnation="), 410),
                (target.replace("incarnation=1", "incarnation=" + "9" * 99),
                 410),
                (target.replace("&incarnation=1", ""), 200),
                (target.replace("sharedConfig", "none"), 404),
                (target.replace("type=sharedConfig", "type"), 404),
                (target.upper().replace("/MACHINE", "/machine"), 200)):
            expect(h.call("ws", "GET", to, VERSION).status, status, to[:99])


@case
def guests_uploads_are_taken():
    with Host() as h:
        for target in ("/machine?comp=health", "/machine/?comp=telemetrydata",
                       "/machine?comp=roleProperties"):
            answer = h.call("ws", "POST", target, VERSION, b"<x/>")
            expect((answer.status, answer.json()["length"]), (200, 4), target)
        expect(h.call("ws", "POST", "/machine?comp=other", VERSION).status,
               404)


# ---- certificates ----------------------------------------------------------

def certificates(h, cert, cipher=None):
    headers = VERSION + [(CERT, base64.b64encode(cert).decode())]
    if cipher:
        headers.append((CIPHER, cipher))
    return h.call("ws", "GET", goal(h)[1]["Certificates"], headers)


def enveloped(answer):
    """Key as it was encrypted, algorithm, content of the one recipient."""
    expect(answer.status, 200)
    root = ET.fromstring(answer.body)
    expect((root.tag, root.findtext("Format")),
           ("CertificateFile", "Pkcs7BlobWithPfxContents"))
    cms = der.parse(base64.b64decode(root.findtext("Data")))
    expect(cms[0].oid(), "1.2.840.113549.1.7.3")
    data = cms[1][0]
    recipients, content = data[1], data[2]
    expect(len(list(recipients)), 1)
    recipient = recipients[0]
    expect((recipient[1][1].number(), recipient[2][0].oid()), (77, der.RSA))
    return recipient[3].body, content[1], content[2].body


@case
def certificate_opens_with_the_guests_key_alone():
    guest = der.write_certificate(N, E)
    with Host("--seed", "s") as h:
        answer = certificates(h, guest, "AES128_CBC")
        sealed, algorithm, content = enveloped(answer)
        expect(algorithm[0].oid(), "2.16.840.1.101.3.4.1.2")
        key = der.opened(N, D, sealed)
        expect(len(key), 16)
        pfx = der.aes_cbc(key, algorithm[1].body, content)
        cert, (n, e, d) = der.open_pfx(pfx)
        # the key belongs to the certificate, which is signed with it
        expect((cert.n, cert.e), (n, e))
        expect(pow(pow(2, e, n), d, n), 2)
        expect(der.verified(n, e, cert.signature, cert.signed), True)
        expect((cert.issuer, n.bit_length()), (cert.subject, 2048))
        # made once, encrypted anew
        again = enveloped(certificates(h, guest, "AES128_CBC"))
        expect(again[0] != sealed, True)
        expect(der.aes_cbc(der.opened(N, D, again[0]), again[1][1].body,
                           again[2]), pfx)
        # the private half of it is not the one that signs tokens
        jwk = h.control("GET", "/jwks").json()["keys"][0]
        expect(int.from_bytes(der.b64url(jwk["n"]), "big") != n, True)
    with Host("--seed", "s") as h:
        sealed, algorithm, content = enveloped(
            certificates(h, guest, "AES128_CBC"))
        pfx = der.aes_cbc(der.opened(N, D, sealed), algorithm[1].body,
                          content)
        expect(der.open_pfx(pfx)[1], (n, e, d), "the same seed:")


@case
def certificate_is_encrypted_with_3des_unless_told():
    guest = der.write_certificate(N, E)
    with Host() as h:
        for cipher in (None, "DES_EDE3_CBC", "des_ede3_cbc"):
            sealed, algorithm, content = enveloped(
                certificates(h, guest, cipher))
            expect(algorithm[0].oid(), "1.2.840.113549.3.7")
            expect((len(der.opened(N, D, sealed)), len(content) % 8), (24, 0))


@case
def certificates_refuse_what_is_no_certificate():
    good = der.write_certificate(N, E)
    ec = der.write_certificate(N, E, algorithm="1.2.840.10045.2.1")
    small = der.write_certificate(2 ** 521 - 1, E)
    huge = der.write_certificate(2 ** 9001 + 1, E)
    with Host() as h:
        target = goal(h)[1]["Certificates"]

        def refused(headers, word):
            answer = h.call("ws", "GET", target, VERSION + headers)
            expect(answer.status, 400, headers)
            text = ET.fromstring(answer.body).findtext("Message")
            expect(word in text, True, text)

        refused([], CERT)
        for cert in (b"", b"x", good[:-1], good + b"abc", good[:40],
                     b"\x30\x84\xff\xff\xff\xff", bytes(3000), ec, small,
                     huge):
            refused([(CERT, base64.b64encode(cert).decode())], CERT)
        for text in ("!", "AAA", "A" * 65000, "-----BEGIN CERTIFICATE-----",
                     base64.b64encode(good).decode()[:-4]):
            refused([(CERT, text)], CERT)
        refused([(CERT, base64.b64encode(good).decode()),
                 (CIPHER, "ROT13")], CIPHER)
        expect(certificates(h, good).status, 200)


# ---- HostGAPlugin ----------------------------------------------------------

@case
def settings_come_once_for_each_tag():
    with Host() as h:
        first = h.call("ga", "GET", "/vmSettings")
        tag = first.headers["etag"]
        expect(bool(re.fullmatch('"[0-9a-f]+"', tag)), True, tag)
        settings = first.json()
        expect(settings["inVMMetadata"]["vmName"], "msp-host-vm")
        for value, status in ((tag, 304), ("*", 304), ('W/%s, "x"' % tag, 304),
                              ('"x"', 200), ("", 200), (tag[:-2], 200)):
            answer = h.call("ga", "GET", "/vmSettings",
                            [("If-None-Match", value)])
            expect((answer.status, answer.headers["etag"], bool(answer.body)),
                   (status, tag, status == 200), value)
        expect(h.call("ga", "HEAD", "/vmSettings").status, 200)


def message(text="fine"):
    return {"lang": "en-US", "message": text}


def report(**changes):
    sub = {"name": "ProxyAgentStatus", "status": "success", "code": 0,
           "formattedMessage": message('{"version":"1.0"}')}
    status = {"name": "ProxyAgentVMExtension", "operation": "Enable",
              "configurationAppliedTime": "2026-01-02T03:04:05Z",
              "status": "success", "code": 0, "formattedMessage": message(),
              "substatus": [sub, dict(sub, name="Other")]}
    return [{"version": "1.0", "timestampUTC": "2026-01-02T03:04:05.678",
             "status": dict(status, **changes)}]


@case
def report_of_the_guest_is_kept_as_it_came():
    with Host("--vm", "a=" + A) as h:
        expect(h.control("GET", "/report").status, 404)
        text = json.dumps(report(), indent=1).encode() + b"\n "
        expect(h.call("ga", "PUT", "/status", body=text, source=A).status,
               200)
        answer = h.control("GET", "/report?vm=a")
        expect((answer.status, answer.body), (200, text))
        expect(h.control("GET", "/report").status, 404)
        # what is no report changes nothing, the next one replaces it
        expect(h.call("ga", "PUT", "/status", body=b"[]", source=A).status,
               400)
        expect(h.control("GET", "/report?vm=a").body, text)
        text = json.dumps(report(status="error", code=4)).encode()
        h.call("ga", "PUT", "/status", body=text, source=A)
        expect(h.control("GET", "/report?vm=a").body, text)


@case
def report_that_is_none_is_refused_by_its_field():
    plain = report()[0]
    sub = plain["status"]["substatus"][0]
    bad = [
        ([], "$"), ({}, "$"), ([plain, plain], "$"), ([1], "[0]"),
        ([dict(plain, version=1)], "[0].version"),
        ([dict(plain, timestampUTC=None)], "[0].timestampUTC"),
        ([dict(plain, status=[])], "[0].status"),
        (report(name=5), "[0].status.name"),
        (report(operation=[]), "[0].status.operation"),
        (report(status="good"), "[0].status.status"),
        (report(code="0"), "[0].status.code"),
        (report(code=0.5), "[0].status.code"),
        (report(formattedMessage="x"), "[0].status.formattedMessage"),
        (report(formattedMessage={}), "[0].status.formattedMessage.lang"),
        (report(substatus={}), "[0].status.substatus"),
        (report(substatus=[sub, 0]), "[0].status.substatus[1]"),
        (report(substatus=[sub, dict(sub, code=None)]),
         "[0].status.substatus[1].code"),
    ]
    with Host() as h:
        for body, field in bad:
            answer = h.call("ga", "PUT", "/status",
                            body=json.dumps(body).encode())
            expect((answer.status, answer.json()["message"].split(": ")[0]),
                   (400, field))
        for body in (b"", b"{", b"[" * 50000, b"\xff", b"[\"\\u0000\"]",
                     json.dumps(report())[:-1].encode()):
            expect(h.call("ga", "PUT", "/status", body=body).status, 400,
                   body[:20])
        longest = json.dumps(report(formattedMessage=message("x"))).encode()
        longest += b" " * (102400 - len(longest))
        expect(h.call("ga", "PUT", "/status", body=longest).status, 200)
        expect(h.call("ga", "PUT", "/status", body=longest + b" ").status,
               413)
        expect(h.control("GET", "/report").body, longest)
