# SPDX-License-Identifier: MIT
"""
In: msp-host. Out: what its instance metadata service answers, each part of
the document by its path, signatures checked with nothing but arithmetic. Must
never ask msp-host whether what it signed is right.
"""
import base64
import calendar
import json
import re
import time
import urllib.parse

import arm
import der
from client import Host, case, expect, now

A, B = "127.0.0.2", "127.0.0.3"
METADATA = [("Metadata", "true")]
VERSION = "api-version=2021-12-13"
INSTANCE = "/metadata/instance"
TOKEN = "/metadata/identity/oauth2/token"
ATTESTED = "/metadata/attested/document"
EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"
VAULT = "https://vault.azure.net"


def get(h, target, headers=METADATA, **more):
    return h.call("imds", "GET", target, headers, **more)


def instance(h, version=VERSION, **more):
    answer = get(h, INSTANCE + "?" + version, **more)
    expect(answer.status, 200)
    return answer.json()


def query(**parameters):
    return "?" + "&".join([VERSION] + [
        k.replace("__", "-") + "=" + urllib.parse.quote(v, safe="")
        for k, v in parameters.items()])


# ---- who may ask, and how --------------------------------------------------

@case
def imds_refuses_in_the_words_of_imds():
    v = "?" + VERSION
    rows = [
        ("GET", INSTANCE + v, [], 400, "Bad request. Required metadata header "
         "not specified"),
        ("GET", INSTANCE + v, [("Metadata", "1")], 400, "Bad request. "
         "Required metadata header not specified"),
        ("GET", INSTANCE + v, METADATA + [("X-Forwarded-For", "1.2.3.4")],
         400, "Bad request. X-Forwarded-For header is not allowed"),
        ("GET", INSTANCE + v + "&format=xml", METADATA, 400, None),
        ("GET", INSTANCE + v + "&" + VERSION, METADATA, 400, None),
        ("GET", INSTANCE + v + "&format=json&FORMAT=text", METADATA, 400,
         None),
        ("GET", INSTANCE + "/compute/vmId" + v, METADATA, 400, None),
        ("GET", INSTANCE + "/compute/vmId" + v + "&format=json", METADATA, 400,
         None),
        ("GET", INSTANCE + "/none" + v, METADATA, 404, "Not found"),
        ("GET", INSTANCE + "s" + v, METADATA, 404, "Not found"),
        ("GET", "/metadata", METADATA, 404, None),
        ("GET", "/metadata/other" + v, METADATA, 404, 'API is not found: Path '
         '= "/metadata/other", Method = "GET"'),
        ("PUT", INSTANCE + v, METADATA, 405, 'Http method is not allowed: '
         'Path = "/metadata/instance", Method = "PUT"'),
        ("POST", TOKEN + v, METADATA, 405, None),
        ("DELETE", "/metadata/versions", METADATA, 405, None),
        ("GET", "/metadata/loadbalancer" + v, METADATA, 404, "No load balancer"
         " metadata is found. Please check if your VM is using any non-basic "
         "SKU load balancer and retry later."),
        ("GET", "/metadata/loadbalancer?api-version=2019-02-01", METADATA, 400,
         None),
        ("GET", ATTESTED + "?api-version=2018-02-01", METADATA, 400, None),
        ("GET", TOKEN + "?api-version=2017-12-01&resource=x", METADATA, 400,
         None),
        ("GET", "/metadata/scheduledevents" + v, METADATA, 400, None),
    ]
    with Host() as h:
        for method, target, headers, status, text in rows:
            answer = h.call("imds", method, target, headers)
            expect(answer.status, status, (method, target, headers))
            error = answer.json()["error"]
            expect(error if text else bool(error), text or True, target)
        for target in (INSTANCE, INSTANCE + "?api-version=",
                       INSTANCE + "?api-version=2021-12-14",
                       INSTANCE + "?api-version=latest"):
            answer = get(h, target)
            expect(answer.status, 400, target)
            known = get(h, "/metadata/versions").json()["apiVersions"]
            expect(answer.json()["newest-versions"], known[:-4:-1], target)
        expect(known, sorted(known))
        for version in known:
            instance(h, "api-version=" + version)


@case
def each_vm_has_its_own_rate():
    with Host("--imds-rate", "3", "--vm", "a=" + A, "--vm", "b=" + B) as h:
        def burst(source, n=60):
            return [get(h, "/metadata/versions", source=source)
                    for _ in range(n)]
        begin = time.monotonic()
        answers = burst(A)
        seconds = time.monotonic() - begin
        late = [a for a in answers if a.status == 429]
        expect((answers[0].status, bool(late)), (200, True))
        expect(len(answers) - len(late) <= 3 * (seconds + 2), True)
        expect((late[0].json(), late[0].headers["retry-after"]),
               ({"error": "Too many requests"}, "1"))
        expect(burst(B, 1)[0].status, 200)
        for _ in range(100):
            if burst(A, 1)[0].status == 200:
                break
            time.sleep(0.1)
        expect(burst(A, 1)[0].status, 200, "a second later:")
    with Host() as h:
        expect({get(h, "/metadata/versions").status for _ in range(50)}, {200})


# ---- instance document -----------------------------------------------------

def parts(node, path=""):
    """Every part of a document, with its path."""
    yield path, node
    if isinstance(node, dict):
        for name, child in node.items():
            yield from parts(child, path + "/" + name)
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from parts(child, "%s/%d" % (path, number))


def as_text(node):
    if isinstance(node, dict):
        return "\n".join(name + "/" * (not isinstance(child, str))
                         for name, child in node.items())
    if isinstance(node, list):
        return "\n".join("%d/" % i for i in range(len(node)))
    return node


@case
def every_part_can_be_read_by_its_path():
    with Host() as h:
        seen = 0
        for path, node in parts(instance(h)):
            seen += 1
            for end in ("", "/"):
                to = INSTANCE + path + end + "?" + VERSION
                answer = get(h, to)
                if isinstance(node, str):
                    expect(answer.status, 400, to)
                else:
                    expect((answer.status, answer.json()), (200, node), to)
                answer = get(h, to + "&format=text")
                expect((answer.status, answer.body.decode()),
                       (200, as_text(node)), to)
                expect(answer.headers["content-type"],
                       "text/plain; charset=utf-8")
        expect(seen > 70, True, seen)


@case
def version_decides_what_a_document_has():
    first = ["location", "name", "offer", "osType", "platformFaultDomain",
             "platformUpdateDomain", "publisher", "sku", "version", "vmId",
             "vmSize"]
    since = {"subscriptionId": "2017-08-01", "resourceGroupName": "2017-08-01",
             "tags": "2017-08-01", "zone": "2017-12-01", "plan": "2018-04-02",
             "azEnvironment": "2018-10-01", "customData": "2019-02-01",
             "resourceId": "2019-03-11", "storageProfile": "2019-06-01",
             "tagsList": "2019-06-04", "securityProfile": "2020-06-01",
             "osProfile": "2020-07-15", "licenseType": "2020-09-01",
             "priority": "2020-12-01", "userData": "2021-01-01",
             "host": "2021-11-15"}
    with Host() as h:
        oldest = instance(h, "api-version=2017-03-01")
        expect(sorted(oldest["compute"]), first)
        for version in get(h, "/metadata/versions").json()["apiVersions"]:
            compute = instance(h, "api-version=" + version)["compute"]
            for name, begin in since.items():
                expect(name in compute, version >= begin, (name, version))
                answer = get(h, "%s/compute/%s?format=text&api-version=%s"
                             % (INSTANCE, name, version))
                expect(answer.status, 200 if version >= begin else 404)
            if version >= "2020-06-01":
                expect("securityType" in compute["securityProfile"],
                       version >= "2021-12-13")


@case
def every_vm_reads_its_own_document():
    with Host("--vm", "a=" + A, "--vm", "b=" + B) as h:
        docs = {s: instance(h, source=s) for s in (A, B)}
        for source, name in ((A, "a"), (B, "b")):
            compute = docs[source]["compute"]
            expect((compute["name"], compute["osProfile"]["computerName"]),
                   (name, name))
            expect(compute["resourceId"].endswith("/virtualMachines/" + name),
                   True)
        for path in (("compute", "vmId"), ("network", "interface", 0,
                                           "macAddress")):
            a, b = docs[A], docs[B]
            for step in path:
                a, b = a[step], b[step]
            expect(a != b, True, path)
        expect(docs[A], instance(h, source=A))


@case
def owner_of_a_vm_decides_what_it_reads():
    tags = {"Department": "IT", "caf\u00e9;x": "\u00fc:\"\\"}
    with Host() as h:
        arm.good(h, "PUT", arm.FIRST, {
            "location": "westeurope", "tags": tags, "zones": ["2"],
            "properties": {
                "hardwareProfile": {"vmSize": "Standard_E4s_v5"},
                "storageProfile": {
                    "osDisk": {"osType": "Linux"},
                    "imageReference": {"publisher": "Canonical",
                                       "offer": "ubuntu", "sku": "server"}},
                "osProfile": {"computerName": "other", "adminUsername": "me"},
                "userData": "Zm9vYmFy", "licenseType": "RHEL_BYOS"}})
        compute = instance(h)["compute"]
        expect(compute["tagsList"], [{"name": k, "value": v}
                                     for k, v in tags.items()])
        expect(compute["tags"],
               ";".join("%s:%s" % pair for pair in tags.items()))
        answer = get(h, INSTANCE + "/compute/tagsList/1/value?format=text&"
                     + VERSION)
        expect(answer.body.decode(), tags["caf\u00e9;x"])
        for name, value in (("zone", "2"), ("vmSize", "Standard_E4s_v5"),
                            ("publisher", "Canonical"), ("offer", "ubuntu"),
                            ("sku", "server"), ("userData", "Zm9vYmFy"),
                            ("customData", ""), ("licenseType", "RHEL_BYOS")):
            expect(compute[name], value, name)
        expect((compute["osProfile"]["computerName"],
                compute["osProfile"]["adminUsername"]), ("other", "me"))


@case
def hostile_paths_and_queries_end_in_an_answer():
    v = "?" + VERSION
    deep = INSTANCE + "/a" * 4000
    rows = [
        (INSTANCE + "/compute/%76mId" + v + "&format=text", 200),
        (INSTANCE + "/%63ompute" + v, 200),
        (INSTANCE + "/COMPUTE" + v, 200),
        (INSTANCE + "/compute%2fvmId" + v + "&format=text", 404),
        (INSTANCE + "/compute%00" + v, 404),
        (INSTANCE + "/compute/vmId%00x" + v + "&format=text", 404),
        (INSTANCE + "/compute/%" + v, 404),
        (INSTANCE + "/compute/%zz" + v, 404),
        (INSTANCE + "/compute/.." + v, 404),
        (INSTANCE + "/%2e%2e/instance" + v, 404),
        (INSTANCE + "//compute" + v, 404),
        (INSTANCE + "/compute//" + v, 404),
        (INSTANCE + "/compute/vmId/x" + v + "&format=text", 404),
        (deep + v, 404), (INSTANCE + "/" + "a" * 8000 + v, 404),
        (INSTANCE + "/%00" * 2000 + v, 404),
        (INSTANCE + "/compute" + "/" * 4000 + v, 404),
        (INSTANCE + v + "&x=" + "y" * 30000, 200),
        (INSTANCE + v + "&" * 2000, 200),
        (INSTANCE + v + "".join("&p%d" % i for i in range(60)), 200),
        (INSTANCE + v + "".join("&p%d" % i for i in range(2000)), 400),
        (INSTANCE + v + "&a=1" * 2000, 400),
        (INSTANCE + "?api%2dversion=2021-12-13", 400),
        (INSTANCE + "?=&==&=" + v[1:] + "&&%&" + v[1:], 200),
        (INSTANCE + v + "&format=%74ext", 200),
        (INSTANCE + v + "&format=text%00", 400),
        (INSTANCE + v + "%00", 400), (INSTANCE + v + "%", 400),
    ]
    for index in (1, 10000, 2 ** 31, 2 ** 32, 2 ** 64, 10 ** 40, "-0", "-1",
                  "+0", "0x0", "00000000000000000001", "0 ", "\u0660"):
        rows.append((INSTANCE + "/network/interface/%s"
                     % urllib.parse.quote(str(index)) + v, 404))
    with Host() as h:
        for target, status in rows:
            expect(get(h, target).status, status, target[:120])
        expect(get(h, INSTANCE + "/network/interface/0" + v).status, 200)
        body = get(h, "/metadata/" + "%22\\" * 100).json()["error"]
        expect("%22\\%22" in body, True)


# ---- identity --------------------------------------------------------------

def keys(h):
    """Modulus and exponent by key id."""
    return {k["kid"]: [int.from_bytes(der.b64url(k[x]), "big") for x in "ne"]
            for k in h.control("GET", "/jwks").json()["keys"]}


def claims(h, token):
    """What a token says, once its signature is found right."""
    text, _, signature = token.rpartition(".")
    head, body = (json.loads(der.b64url(p)) for p in text.split("."))
    expect((head["alg"], head["typ"]), ("RS256", "JWT"))
    n, e = keys(h)[head["kid"]]
    expect(n.bit_length(), 2048)
    expect(der.verified(n, e, der.b64url(signature), text.encode()), True)
    return body


def token(h, status=200, source=None, **more):
    answer = get(h, TOKEN + query(**more), source=source)
    expect(answer.status, status, more)
    return answer.json()


@case
def token_has_a_signature_anybody_can_check():
    with Host() as h:
        before = int(time.time())
        answer = token(h, resource=VAULT)
        after = int(time.time())
        body = claims(h, answer["access_token"])
        ids = h.control("GET", "/identities").json()
        expect((body["aud"], body["tid"], body["appid"], body["oid"]),
               (VAULT, ids["tenantId"], ids["system"]["clientId"],
                ids["system"]["objectId"]))
        expect(body["iss"], "https://sts.windows.net/%s/" % body["tid"])
        expect(body["xms_mirid"], instance(h)["compute"]["resourceId"])
        expect(before <= body["iat"] == body["nbf"] <= after, True)
        expect((answer["token_type"], answer["resource"],
                answer["client_id"]), ("Bearer", VAULT, body["appid"]))
        expect((int(answer["not_before"]), int(answer["expires_on"])),
               (body["nbf"], body["exp"]))
        expect(int(answer["expires_in"]), body["exp"] - body["iat"])
        expect({type(v) for v in answer.values()}, {str})
        # one bit more, one bit less
        text, _, signature = answer["access_token"].rpartition(".")
        n, e = next(iter(keys(h).values()))
        for wrong in (text + "A", text[:-1], text.swapcase()):
            expect(der.verified(n, e, der.b64url(signature), wrong.encode()),
                   False)
        for resource in ("\"\\\u00e9\x01", "x" * 20000, "a&b=c"):
            body = claims(h, token(h, resource=resource)["access_token"])
            expect(body["aud"].encode("latin-1"), resource.encode())


@case
def identity_is_chosen_by_one_of_its_ids():
    with Host("--vm", "a=" + A, "--vm", "b=" + B) as h:
        ids = {vm: h.control("GET", "/identities?vm=" + vm).json()
               for vm in "ab"}
        user = ids["a"]["user"]
        # the group's is shared, the VM's own is not
        expect((user, ids["a"]["system"] == ids["b"]["system"]),
               (ids["b"]["user"], False))
        for name, value, oid in (
                ("client_id", user["clientId"], user["objectId"]),
                ("object_id", user["objectId"].upper(), user["objectId"]),
                ("msi_res_id", user["resourceId"], user["objectId"]),
                ("mi_res_id", user["resourceId"].lower(), user["objectId"]),
                ("client_id", ids["a"]["system"]["clientId"],
                 ids["a"]["system"]["objectId"])):
            answer = token(h, source=A, resource=VAULT, **{name: value})
            body = claims(h, answer["access_token"])
            expect((body["oid"], answer["client_id"]), (oid, body["appid"]))
        for more in ({"client_id": ids["b"]["system"]["clientId"]},
                     {"object_id": ids["b"]["system"]["objectId"]},
                     {"client_id": user["objectId"]}, {"client_id": ""},
                     {"mi_res_id": ids["a"]["system"]["resourceId"]},
                     {"msi_res_id": ids["a"]["system"]["resourceId"]},
                     {"msi_res_id": "x" * 9000}, {"object_id": "\0"}):
            expect(token(h, 400, A, resource=VAULT, **more),
                   {"error": "invalid_request",
                    "error_description": "Identity not found"}, more)


@case
def identity_errors_are_those_of_oauth():
    resource = query(resource="x")
    proxy = METADATA + [("X-Forwarded-For", "a")]
    rows = [
        ("GET", TOKEN + resource, [], 400, "invalid_request",
         "Required metadata header not specified"),
        ("GET", TOKEN, [], 400, "invalid_request",
         "Required metadata header not specified"),
        ("GET", TOKEN + resource, proxy, 400, "invalid_request", None),
        ("GET", TOKEN + query(), METADATA, 400, "invalid_request",
         "Required query variable 'resource' is missing"),
        ("GET", TOKEN + query(resource=""), METADATA, 400, "invalid_request",
         "Required query variable 'resource' is missing"),
        ("GET", TOKEN + "?resource=x", METADATA, 400, "invalid_request",
         "Required query variable 'api-version' is missing"),
        ("GET", TOKEN + "?resource=x&api-version=2017-12-01", METADATA, 400,
         "invalid_request", None),
        ("GET", TOKEN + resource + "&resource=y", METADATA, 400,
         "invalid_request", None),
        ("GET", TOKEN + resource + "&client_id=x&object_id=x", METADATA, 400,
         "invalid_request", None),
        ("POST", TOKEN + resource, METADATA, 405, "method_not_allowed", None),
        ("GET", "/metadata/identity/x", METADATA, 404, "not_found", None),
    ]
    with Host() as h:
        for method, target, headers, status, code, text in rows:
            answer = h.call("imds", method, target, headers)
            expect((answer.status, answer.json()["error"]), (status, code),
                   target)
            seen = answer.json()["error_description"]
            expect(seen if text else bool(seen), text or True, target)
        info = get(h, "/metadata/identity/info?" + VERSION).json()
        expect(info, {"tenantId": h.control("GET",
                                            "/identities").json()["tenantId"]})
    with Host("--imds-rate", "1") as h:
        answers = [get(h, "/metadata/identity/info") for _ in range(20)]
        late = [a for a in answers if a.status == 429]
        expect((late[0].json()["error"], late[0].headers["retry-after"]),
               ("too_many_requests", "1"))


# ---- attested document -----------------------------------------------------

def attested(h, **more):
    """Its facts, once the signature and the certificate are found right."""
    answer = get(h, ATTESTED + query(**more))
    expect((answer.status, answer.json()["encoding"]), (200, "pkcs7"), more)
    cms = der.parse(base64.b64decode(answer.json()["signature"]))
    expect(cms[0].oid(), "1.2.840.113549.1.7.2")
    signed = cms[1][0]
    content = signed[2][1][0].body
    cert = der.Certificate(signed[3][0])
    signer = signed[4][0]
    expect((signer[1][0].whole, signer[1][1].number()),
           (cert.issuer, cert.serial))
    # no attributes, so it is the content itself that is signed
    expect([n.tag for n in signer], [2, 48, 48, 48, 4])
    expect(der.verified(cert.n, cert.e, signer[4].body, content), True)
    expect(der.verified(cert.n, cert.e, signer[4].body, content + b" "),
           False)
    expect(der.verified(cert.n, cert.e, cert.signature, cert.signed), True)
    expect([cert.n, cert.e] in keys(h).values(), True)
    return json.loads(content)


def stamp(text):
    expect(text.endswith(" -0000"), True, text)
    return calendar.timegm(time.strptime(text[:-6], "%m/%d/%y %H:%M:%S"))


@case
def attested_document_is_signed_and_says_who():
    with Host() as h:
        before = int(time.time())
        facts = attested(h, nonce="0123456789")
        compute = instance(h)["compute"]
        expect(facts["nonce"], "0123456789")
        for name in ("vmId", "subscriptionId", "sku", "plan"):
            expect(facts[name], compute[name], name)
        created = stamp(facts["timeStamp"]["createdOn"])
        expect(before <= created <= time.time(), True)
        expect(stamp(facts["timeStamp"]["expiresOn"]) > created, True)
        nonce = attested(h)["nonce"]
        expect(bool(re.fullmatch(r"\d{8}-\d{6}", nonce)), True, nonce)
        for nonce in ("", "123456789", "12345678901", "12345x7890",
                      "-123456789", "0x12345678", "1234567890\0", "1" * 9000):
            expect(get(h, ATTESTED + query(nonce=nonce)).status, 400, nonce)


@case
def clock_of_the_host_is_the_clock_of_what_it_signs():
    with Host("--fault", "clock-skew,seconds=-86400") as h:
        day = 86400
        body = claims(h, token(h, resource="x")["access_token"])
        expect(abs(body["iat"] + day - time.time()) < 60, True)
        created = stamp(attested(h)["timeStamp"]["createdOn"])
        expect(abs(created + day - time.time()) < 60, True)


# ---- scheduled events ------------------------------------------------------

def events(h, target=EVENTS, **more):
    answer = get(h, target, **more)
    expect(answer.status, 200)
    return answer.json()


def plan(h, status=200, **event):
    answer = h.control("POST", "/events", json.dumps(event).encode())
    expect(answer.status, status, event)
    return answer.json()


def acknowledge(h, body):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return h.call("imds", "POST", EVENTS, METADATA, body).status


@case
def event_goes_from_scheduled_to_started_to_gone():
    with Host("--vm", "a=" + A) as h:
        expect(events(h), {"DocumentIncarnation": 1, "Events": []})
        plan(h, EventType="Reboot", EventId="e1", Description="\u00fc \"x\"")
        seen = events(h)
        expect(seen["DocumentIncarnation"], 2)
        first = seen["Events"][0]
        when = first.pop("NotBefore")
        expect(bool(re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT",
                                 when)), True, when)
        expect(first, {"EventId": "e1", "EventType": "Reboot",
                       "EventStatus": "Scheduled", "EventSource": "Platform",
                       "ResourceType": "VirtualMachine",
                       "Resources": ["msp-host-vm"], "DurationInSeconds": -1,
                       "Description": "\u00fc \"x\""})
        plan(h, EventType="Freeze", EventSource="User", DurationInSeconds=9,
             Resources=["x", "y"])
        expect(events(h)["DocumentIncarnation"], 3)
        # a wrong id spoils the request
        for body, status in (({"StartRequests": [{"EventId": "e1"},
                                                 {"EventId": "e"}]}, 400),
                             ({"StartRequests": [{"EventId": "E1"}]}, 200),
                             ({"StartRequests": [{"EventId": "e1"}]}, 200)):
            expect(acknowledge(h, body), status, body)
        seen = events(h)
        expect([(e["EventStatus"], bool(e["NotBefore"]))
                for e in seen["Events"]], [("Started", False),
                                           ("Scheduled", True)])
        expect(seen["DocumentIncarnation"], 4)
        expect(h.control("GET", "/events").json(), seen)
        expect(events(h, source=A)["Events"], [])
        expect(h.control("DELETE", "/events?id=none").status, 404)
        h.control("DELETE", "/events?id=e1")
        seen = events(h)
        expect((len(seen["Events"]), seen["DocumentIncarnation"]), (1, 5))
        h.control("DELETE", "/events")
        expect(events(h), {"DocumentIncarnation": 6, "Events": []})
        h.control("DELETE", "/events")
        expect(events(h)["DocumentIncarnation"], 6)


@case
def event_starts_when_its_time_has_come():
    with Host() as h:
        plan(h, EventType="Freeze", NotBefore=now(-5))
        plan(h, EventType="Freeze", NotBefore=now(1000))
        seen = events(h)
        expect([e["EventStatus"] for e in seen["Events"]],
               ["Started", "Scheduled"])
        expect(events(h), seen)


@case
def events_grow_with_the_version():
    with Host() as h:
        plan(h, EventType="Preempt")
        for version, missing in (
                ("2020-07-01", set()), ("2019-08-01", {"DurationInSeconds"}),
                ("2019-04-01", {"DurationInSeconds", "EventSource"}),
                ("2017-08-01", {"DurationInSeconds", "EventSource",
                                "Description"})):
            seen = events(h, "/metadata/scheduledevents?api-version="
                          + version)["Events"][0]
            expect({"DurationInSeconds", "EventSource", "Description"}
                   - set(seen), missing, version)


@case
def events_refuse_what_is_none():
    with Host() as h:
        for body in (b"", b"{", b"[]", b"{}", b"1", b"[" * 9000,
                     {"StartRequests": []}, {"StartRequests": {}},
                     {"StartRequests": [{}]}, {"StartRequests": [1]},
                     {"StartRequests": [{"EventId": 1}]},
                     {"StartRequests": [{"EventId": "x"}] * 33},
                     {"StartRequests": [{"EventId": "\0"}]},
                     {"StartRequests": [{"EventId": "none"}]}):
            expect(acknowledge(h, body), 400, str(body)[:60])
        for field, values in (
                ("EventType", ["Explode", "", None, 1, [], "freeze"]),
                ("EventId", ["", 1, "x" * 2000]),
                ("Resources", ["x", [1], {}, ["y" * 2000]]),
                ("EventStatus", ["Completed", 0]),
                ("NotBefore", ["", "soon", 5, "2026-01-01T00:00:00Z"]),
                ("Description", [1, "d" * 2000]),
                ("EventSource", ["Me", None]),
                ("DurationInSeconds", ["1", -2, 1.5])):
            for value in values:
                event = {"EventType": "Freeze", field: value}
                answer = plan(h, 400, **event)
                expect(answer["message"].startswith(field), True, answer)
        for body in (b"", b"[]", b"\xff"):
            expect(h.control("POST", "/events", body).status, 400)
        expect(events(h)["Events"], [])
        for number in range(32):
            plan(h, EventType="Freeze", EventId="e%d" % number)
        plan(h, 400, EventType="Freeze", EventId="e5")
        plan(h, 400, EventType="Freeze")
        expect(len(events(h)["Events"]), 32)
        ids = [{"EventId": "e%d" % n} for n in range(32)]
        expect(acknowledge(h, {"StartRequests": ids}), 200)
        expect({e["EventStatus"] for e in events(h)["Events"]}, {"Started"})


# ---- seed ------------------------------------------------------------------

def all_answers(h):
    """What a guest can read, without times and the host's own address."""
    out = [instance(h, source=s) for s in (A, B)]
    out += [h.control("GET", t).body for t in ("/jwks", "/identities?vm=a",
                                               "/identities?vm=b")]
    version = [("x-ms-version", "2012-11-30")]
    state = h.call("ws", "GET", "/machine?comp=goalstate", version, source=A)
    out.append(state.body.replace(b"%s:%d" % (h.at["ws"][0].encode(),
                                              h.at["ws"][1]), b""))
    out.append(h.call("ga", "GET", "/vmSettings", source=B).body)
    body = claims(h, token(h, source=A, resource=VAULT)["access_token"])
    out.append({k: v for k, v in body.items() if k not in ("iat", "nbf",
                                                           "exp")})
    plan(h, EventType="Freeze")
    out.append([e["EventId"] for e in events(h)["Events"]])
    cms = der.parse(base64.b64decode(get(h, ATTESTED + query()).json()
                                     ["signature"]))
    out.append(cms[1][0][3].whole)
    return out


@case
def seed_repeats_every_answer():
    def run(*options):
        with Host("--vm", "a=" + A, "--vm", "b=" + B, *options) as h:
            return all_answers(h)
    first, again = run("--seed", "s"), run("--seed", "s")
    for one, other in zip(first, again):
        expect(one, other)
    for strange in (run("--seed", "t"), run()):
        for one, other in zip(first, strange):
            expect(one != other, True)
