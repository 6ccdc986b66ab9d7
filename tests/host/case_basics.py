# SPDX-License-Identifier: MIT
"""
In: msp-host. Out: its key channel, its judgement of signatures, its HTTP and
its command line, tried on loopback. Must never share code with what it tests.
"""
import base64
import hashlib
import json
import os
import re
import resource
import socket
import stat
import subprocess
import sys
import tempfile
import time

import client
from client import (AUTH, DATE, SCHEME, Host, case, expect, now, pattern,
                    read_all, read_answer, send_request, sign, ticks)


def profile(mode="Enforce", access="Allow", ident="p1"):
    return {"defaultAccess": access, "mode": mode, "id": ident, "rules": {
        "privileges": [{"name": "Mode", "path": "/metadata/instance",
                        "queryParameters": {"mode": "AUDIT"}}],
        "roles": [{"name": "R", "privileges": ["Mode"]}],
        "identities": [{"name": "I", "userName": "Root"}],
        "roleAssignments": [{"role": "R", "identities": ["I"]}]}}


# ---- key channel -----------------------------------------------------------

@case
def nothing_is_required_before_the_latch():
    with Host("--mode", "imds=Enforce") as h:
        expect(h.call("imds", "GET", "/metadata/versions",
                      [("Metadata", "true")]).status, 200)
        expect(h.call("ws", "GET", "/machine?comp=goalstate",
                      [("x-ms-version", "2012-11-30")]).status, 200)
        h.acquire()
        expect(h.call("ws", "GET", "/?comp=versions").status, 200)


@case
def key_is_latched_by_its_own_signature_only():
    with Host() as h:
        expect(h.status()["keyGuid"], None)
        key = h.acquire()
        expect(sorted(key), ["authorizationScheme", "guid", "incarnationId",
                             "issued", "key"])
        expect(bool(re.fullmatch("[0-9A-F]{64}", key["key"])), True)
        wrong = dict(key, key="00" * 32)
        expect(h.attest(wrong).status, 401)
        expect(h.attest(dict(key, guid=key["guid"][:-1] + "x")).status, 401)
        expect(h.call("ws", "POST", "/secure-channel/key/%s/key-attestation"
                      % key["guid"]).status, 401)
        expect(h.status()["keyGuid"], None)
        expect(h.attest(key).status, 200)
        expect(h.status()["keyGuid"], key["guid"])
        expect(h.attest(key).status, 200, "a repeated attestation:")
        expect(h.acquire().status, 403, "a second acquire:")


@case
def newer_offer_replaces_the_older_one():
    with Host() as h:
        first, second = h.acquire(), h.acquire()
        expect(first["guid"] == second["guid"], False)
        expect(h.attest(first).status, 401)
        expect(h.attest(second).status, 200)


@case
def acquire_refuses_another_scheme_or_no_body():
    with Host() as h:
        for body in (b"", b"{}", b"nonsense", b"[" * 5000,
                     b'{"authorizationScheme": "None"}',
                     b'{"a": {"authorizationScheme": "Azure-HMAC-SHA256"}}'):
            expect(h.call("ws", "POST", "/secure-channel/key",
                          body=body).status, 400, body[:20])


@case
def no_key_and_disabled_channel_refuse_to_offer():
    with Host("--no-key") as h:
        expect(h.acquire().status, 403)
    with Host("--disabled") as h:
        expect(h.status()["secureChannelEnabled"], False)
        expect(h.acquire().status, 403)
        h.control("POST", "/channel?enabled=true")
        expect(h.status()["secureChannelEnabled"], True)
        h.latch()
        expect(h.call("ws", "GET", "/?comp=versions").status, 401)
        h.control("POST", "/channel?enabled=false")
        expect(h.call("ws", "GET", "/?comp=versions").status, 200)


@case
def reset_drops_the_key_and_raises_the_incarnation():
    with Host() as h:
        old = h.latch()
        expect(old["incarnationId"], 1)
        expect(h.control("POST", "/key/reset").json()["incarnation"], 2)
        status = h.status()
        expect((status["keyGuid"], status["keyIncarnationId"]), (None, 2))
        expect(h.attest(old).status, 401)
        new = h.latch()
        expect(new["incarnationId"], 2)
        expect(h.call("ws", "GET", "/?comp=versions", key=old).status, 401)
        expect(h.call("ws", "GET", "/?comp=versions", key=new).status, 200)


@case
def state_file_keeps_key_and_incarnation_0600():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "state")
        with Host("--state", path) as h:
            h.control("POST", "/key/reset")
            key = h.latch()
            expect(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with Host("--state", path) as h:
            status = h.status()
            expect((status["keyGuid"], status["keyIncarnationId"]),
                   (key["guid"], 2))
            expect(h.call("ws", "GET", "/?comp=versions").status, 401)
            expect(h.call("ws", "GET", "/?comp=versions", key=key).status,
                   200)
            h.control("POST", "/key/reset")
        with Host("--state", path) as h:
            expect(h.status()["keyIncarnationId"], 3)
        expect(os.listdir(d), ["state"])


@case
def key_that_cannot_be_stored_is_not_latched():
    with Host("--state", "/nonexistent/folder/state") as h:
        h.complains = True
        expect(h.attest(h.acquire()).status, 500)
        expect(h.status()["keyGuid"], None)


# ---- verification ----------------------------------------------------------

@case
def signed_requests_of_every_shape_verify():
    targets = ["/msp-host/bytes?count=3", "/msp-host/bytes?count=3&b=&b&a=bc",
               "/msp-host/bytes?a=9&count=3&a=10&a2=0", "/msp-host/BYTES/?"
               "COUNT=3&x=%2F+%zz&&=v", "/msp-host/bytes?count=3&a=bc&ab=c",
               "http://168.63.129.16/msp-host/bytes?count=3"]
    headers = [[], [("X-A", "1"), ("x-a", "2"), ("X-A", "")],
               [("X-Blank", "  a  b\t"), ("Zz", "\xe9\xff")],
               [("Accept", "*/*"), ("x-a-b", "1"), ("x-a", "0")]]
    with Host() as h:
        key = h.latch()
        for target in targets:
            for lines in headers:
                answer = h.call("ws", "GET", target, lines, key=key)
                expect((answer.status, answer.body), (200, b"\0\1\2"),
                       (target, lines, answer.body))
        for n in (0, 1, 4096, 102400):
            body = bytes(i * 7 % 256 for i in range(n))
            answer = h.call("ga", "PUT", "/msp-host/echo?n", body=body,
                            key=key)
            expect(answer.json(), {
                "length": n, "sha256": hashlib.sha256(body).hexdigest()})
        expect(h.call("imds", "HEAD", "/metadata/versions",
                      [("metadata", "true")], key=key).status, 200)
        lines = [line for line in h.lines() if "/msp-host/" in line]
        expect([x for x in lines if not x.endswith(" verified")], [])


@case
def chunked_body_is_signed_decoded():
    with Host() as h:
        key = h.latch()
        body = b"0123456789" * 100
        lines = [("host", "x"), ("transfer-encoding", "chunked"),
                 (DATE, now())]
        lines.append((AUTH, sign(key, "POST", "/msp-host/echo", lines, body)))
        wire = b"%x;ext=1\r\n%s\r\n5\r\n%s\r\n0\r\nTrailer: t\r\n\r\n" % (
            len(body) - 5, body[:-5], body[-5:])
        with h.connect("ws") as s:
            send_request(s, "POST", "/msp-host/echo", lines, wire)
            expect(read_answer(s).json()["length"], len(body))


@case
def every_altered_part_is_refused_with_its_reason():
    target = "/?comp=versions"

    def altered(h, key, reason, method="GET", to=target, change=None,
                sent=target, body=b"", **date):
        lines = [("host", "h"), ("x-more", "1"), (DATE, now(**date))]
        lines.append((AUTH, sign(key, method, to, lines, body)))
        if change:
            lines = change(lines)
        with h.connect("ws") as s:
            send_request(s, "GET", sent, lines, b"")
            answer = read_answer(s)
        expect(answer.status, 401, reason)
        expect(answer.headers["www-authenticate"], SCHEME)
        expect(h.lines()[-1].endswith(" 401 bad:" + reason), True,
               h.lines()[-1])

    def last(edit):
        return lambda lines: lines[:-1] + [(AUTH, edit(lines[-1][1]))]

    with Host() as h:
        key = h.latch()
        altered(h, key, "signature", method="PUT")
        altered(h, key, "signature", to="/?comp=version")
        altered(h, key, "signature", sent="/?COMP=versions&x")
        altered(h, key, "signature", body=b"x")
        altered(h, key, "signature",
                change=lambda x: [("x-more", "2")] + x[:1] + x[2:])
        altered(h, key, "signature", change=lambda x: [("new", "1")] + x)
        altered(h, key, "signature", change=lambda x: x[:1] + x[2:])
        altered(h, dict(key, key="11" * 32), "signature")
        altered(h, dict(key, guid="0" * 8 + key["guid"][8:]), "guid")
        altered(h, key, "scheme", change=last(lambda v: "B" + v[1:]))
        altered(h, key, "malformed", change=last(lambda v: v[:-1]))
        altered(h, key, "malformed", change=last(lambda v: ""))
        altered(h, key, "duplicate", change=lambda x: x + x[-1:])
        altered(h, key, "stale", offset=-310)
        altered(h, key, "stale", offset=310)
        for date, reason in (("", "no-date"), ("yesterday", "date"),
                             ("Sun, 06 Nov 1994 08:49:37 GMT", "stale"),
                             ("Mon, 06 Nov 1994 08:49:37 GMT", "date"),
                             ("Sun, 06 Nov 1994 08:49:37 UTC", "date"),
                             ("Sun, 99 Nov 2026 08:49:37 GMT", "date")):
            answer = h.call("ws", "GET", target, key=key, date=date)
            expect(answer.status, 401, date)
            expect(h.lines()[-1].endswith(" 401 bad:" + reason), True,
                   h.lines()[-1])
        expect(h.call("ws", "GET", target, key=key, date=now(-200)).status,
               200)


@case
def skew_option_widens_and_switches_off_the_window():
    with Host("--skew", "5") as h:
        key = h.latch()
        expect(h.call("ws", "GET", "/?comp=versions", key=key,
                      date=now(-20)).status, 401)
    with Host("--skew", "0") as h:
        key = h.latch()
        expect(h.call("ws", "GET", "/?comp=versions", key=key,
                      date="long ago").status, 200)


@case
def modes_decide_what_is_required():
    with Host("--mode", "wireserver=Enforce", "--mode", "imds=Audit") as h:
        key = h.latch()
        m = [("Metadata", "true")]
        bad = dict(key, key="22" * 32)

        def statuses():
            return [[h.call(port, "GET", to, m, key=k).status
                     for k in (None, bad, key)]
                    for port, to in (("ws", "/?comp=versions"),
                                     ("ga", "/versions"),
                                     ("imds", "/metadata/versions"))]
        closed, opened = [401, 401, 200], [200, 200, 200]
        expect(statuses(), [closed, closed, opened])
        h.control("POST", "/endpoints/wireserver/mode?mode=audit")
        h.control("POST", "/endpoints/imds/mode?mode=Enforce")
        expect(statuses(), [opened, opened, closed])
        h.control("POST", "/endpoints/imds/mode?mode=Disabled")
        expect(statuses(), [opened, opened, opened])
        counts = h.control("GET", "/state").json()["requests"]
        expect(counts["IMDS"], {"verified": 3, "unsigned": 3, "bad": 3,
                                "reasons": {"signature": 3}})


@case
def exempt_requests_and_the_channel_come_unsigned():
    with Host("--mode", "imds=Enforce") as h:
        h.latch()
        for port, method, target, status in (
                ("ws", "PUT", "/vmAgentLog", 200),
                ("ga", "PUT", "/VMAGENTLOG", 200),
                ("ws", "POST", "/machine/?comp=telemetrydata", 200),
                ("ws", "POST", "/Machine/?comp=TelemetryData", 200),
                ("ws", "GET", "/secure-channel/status", 200),
                ("ws", "POST", "/vmAgentLog", 401),
                ("ws", "PUT", "/vmAgentLog?x=1", 401),
                ("ws", "POST", "/machine?comp=telemetrydata", 401),
                ("ga", "GET", "/secure-channel/status", 401),
                ("imds", "GET", "/secure-channel/status", 401),
                ("ws", "GET", "/nothing", 401),
                ("ws", "GET", "/msp-host/bytes?count=1", 401)):
            expect(h.call(port, method, target, body=b"" if method == "GET"
                          else b"x").status, status, (port, method, target))


# ---- status and profiles ---------------------------------------------------

@case
def profile_goes_out_in_wire_form():
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(profile(), f, indent=2)
        f.flush()
        with Host("--profile", "imds=" + f.name) as h:
            item = h.status()["authorizationRules"]["imds"]
            expect(item, dict(profile(), mode="enforce",
                              defaultAccess="allow"))
            h.control("POST", "/endpoints/imds/mode?mode=Audit")
            item = h.status()["authorizationRules"]["imds"]
            expect(item, dict(profile(), mode="audit",
                              defaultAccess="allow"))
            new = json.dumps(profile("Disabled", "Deny", "p2")).encode()
            expect(h.control("PUT", "/endpoints/wireserver", new).status, 200)
            item = h.status()["authorizationRules"]["wireserver"]
            expect((item["id"], item["mode"], item["defaultAccess"]),
                   ("p2", "disabled", "deny"))
            before = h.status()
            for body in (b"{", b"{}", b'{"mode":"enforce"}', b"",
                         new.replace(b"Disabled", b"Perhaps")):
                expect(h.control("PUT", "/endpoints/imds", body).status, 400)
            expect(h.status(), before)


@case
def version_1_0_document_names_the_state():
    for ws, imds, state in (("Enforce", "Disabled", "Wireserver"),
                            ("Enforce", "Enforce", "WireserverAndImds"),
                            ("Disabled", "Enforce", "Disabled")):
        with Host("--status-version", "1.0", "--mode", "wireserver=" + ws,
                  "--mode", "imds=" + imds) as h:
            status = h.status()
            expect((status["version"], status["secureChannelState"],
                    status["requiredClaimsHeaderPairs"]),
                   ("1.0", state, ["isRoot"]))
            expect("secureChannelEnabled" in status, False)


@case
def raw_status_is_served_verbatim_until_deleted():
    with Host() as h:
        raw = b"\xff{ not json" * 1000
        expect(h.control("POST", "/status/raw", raw).status, 200)
        expect(h.call("ws", "GET", "/secure-channel/status").body, raw)
        h.control("POST", "/status/raw", b"")
        expect(h.call("ws", "GET", "/secure-channel/status").body, b"")
        h.control("DELETE", "/status/raw")
        expect(h.status()["version"], "2.0")


@case
def control_port_knows_its_errors():
    with Host() as h:
        for method, target, status in (
                ("GET", "/nothing", 404), ("GET", "/key/reset", 405),
                ("PUT", "/endpoints/other", 404),
                ("PUT", "/endpoints/imds/mode", 405),
                ("POST", "/endpoints/imds", 405),
                ("POST", "/endpoints/imds/mode?mode=Sometimes", 400),
                ("POST", "/endpoints/imds/mode", 400),
                ("POST", "/channel?enabled=1", 400)):
            expect(h.control(method, target).status, status, target)
        key = h.latch()
        state = h.control("GET", "/state")
        expect(state.json()["guid"], key["guid"])
        expect(key["key"].lower() in state.body.decode().lower(), False)


# ---- endpoints -------------------------------------------------------------

@case
def imds_wants_metadata_version_and_no_proxy():
    m = [("Metadata", "True")]
    v = "?api-version=2021-02-01"
    with Host() as h:
        for target, headers, status in (
                ("/metadata/instance" + v, m, 200),
                ("/metadata/instance/" + v, m, 200),
                ("/metadata/instance" + v, [], 400),
                ("/metadata/instance" + v, [("Metadata", "yes")], 400),
                ("/metadata/instance" + v, m + [("X-Forwarded-For", "")],
                 400),
                ("/metadata/instance", m, 400),
                ("/metadata/instance?api-version=2000-01-01", m, 400),
                ("/metadata/instance/compute/vmId" + v, m, 400),
                ("/metadata/instance/compute/vmId" + v + "&format=text", m,
                 200),
                ("/metadata/instance/network/interface/0/ipv4" + v, m, 200),
                ("/metadata/instance/network/interface/1" + v, m, 404),
                ("/metadata/instance//compute" + v, m, 404),
                ("/metadata/instance/none" + v, m, 404),
                ("/metadata/instances" + v, m, 404),
                ("/metadata/versions", m, 200),
                ("/metadata/identity/oauth2/token" + v, m, 400),
                ("/none", m, 404)):
            answer = h.call("imds", "GET", target, headers)
            expect(answer.status, status, target)
            if status == 400:
                expect("error" in answer.json(), True)
        answer = h.call("imds", "GET", "/metadata/instance", m)
        expect(len(answer.json()["newest-versions"]), 3)
        answer = h.call("imds", "DELETE", "/metadata/versions", m)
        expect((answer.status, answer.headers["allow"]), (405, "GET, HEAD"))
        answer = h.call("imds", "GET", "/metadata/instance" + v, m).json()
        expect(answer["compute"]["osType"], "Linux")
        answer = h.call("imds", "GET", "/metadata/instance/network/interface/"
                        "0/ipv4/ipAddress/0/privateIpAddress" + v +
                        "&format=text", m)
        expect(answer.body, b"10.0.0.4")


@case
def token_is_shaped_like_a_token():
    with Host() as h:
        answer = h.call("imds", "GET", "/metadata/identity/oauth2/token?"
                        "resource=https%3A%2F%2Fvault.azure.net&"
                        "api-version=2018-02-01", [("Metadata", "true")])
        token = answer.json()
        expect((token["resource"], token["token_type"]),
               ("https://vault.azure.net", "Bearer"))
        parts = token["access_token"].split(".")
        expect(len(parts), 3)
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
        expect(claims["aud"], "https://vault.azure.net")


@case
def wireserver_and_hostga_answer_their_documents():
    with Host() as h:
        v = [("x-ms-version", "2012-11-30")]
        state = h.call("ws", "GET", "/machine/?comp=goalstate", v)
        state = state.body.decode()
        expect("<ContainerId>" in state, True)
        url = re.search("<SharedConfig>(.*)</SharedConfig>", state).group(1)
        url = url.replace("&amp;", "&")
        prefix = "http://%s:%d" % h.at["ws"]
        expect(url.startswith(prefix + "/machine/"), True, url)
        shared = h.call("ws", "GET", url[len(prefix):], v)
        expect((shared.status, b"<Deployment" in shared.body), (200, True))
        for port, method, target, status in (
                ("ws", "GET", "/machine?comp=goalstate", 200),
                ("ws", "GET", "/machine", 404),
                ("ws", "POST", "/machine?comp=goalstate", 405),
                ("ws", "GET", "/?comp=versions", 200),
                ("ws", "GET", "/", 404),
                ("ga", "GET", "/versions", 200),
                ("ga", "GET", "/health", 200),
                ("ga", "GET", "/extensionArtifact", 400),
                ("ga", "GET", "/machine?comp=goalstate", 404)):
            expect(h.call(port, method, target, v).status, status, target)
        answer = h.call("ga", "GET", "/extensionArtifact",
                        [("x-ms-artifact-location", "http://x/y")])
        expect(len(answer.body), 65536)


# ---- wire ------------------------------------------------------------------

@case
def record_holds_every_byte_in_order():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "record")
        with Host("--record", path) as h:
            sent = [b"GET /metadata/versions HTTP/1.1\r\nHost: a\r\n"
                    b"Metadata: true\r\n\r\n" * 2,
                    b"POST /msp-host/echo HTTP/1.1\r\nHost: a\r\n"
                    b"Content-Length: 70000\r\n\r\n" + bytes(70000)]
            for data in sent:
                expect(h.raw("imds", data).count(b"HTTP/1.1 200"),
                       data.count(b"HTTP/1.1"))
            h.control("GET", "/state")
            seen = {}
            with open(path) as f:
                for record in map(json.loads, f):
                    expect(record["endpoint"], "IMDS")
                    seen.setdefault(record["connection"], b"")
                    seen[record["connection"]] += base64.b64decode(
                        record["bytes"])
            expect([seen[n] for n in sorted(seen)], sent)
            expect(stat.S_IMODE(os.stat(path).st_mode), 0o600)


@case
def bytes_are_streamed_and_uploads_sunk_in_bounded_memory():
    with Host() as h:
        for query in ("count=100000000", "count=100000000&chunked=1"):
            with h.connect("imds") as s:
                send_request(s, "GET", "/msp-host/bytes?" + query,
                             [("host", "a"), ("connection", "close")], b"")
                body = read_all(s).partition(b"\r\n\r\n")[2]
            if "chunked" in query:
                expect(len(body) > 100000000, True)
            else:
                expect(body == pattern(100000000), True, "the bytes:")
        small = h.call("imds", "GET", "/msp-host/bytes?count=1000&chunked=1")
        expect(small.body, pattern(1000))
        expect(small.headers["transfer-encoding"], "chunked")
        body = bytes(104857600)
        answer = h.call("ga", "PUT", "/vmAgentLog", body=body)
        expect(answer.json(), {"length": len(body), "sha256":
                               hashlib.sha256(body).hexdigest()})
        expect(h.call("ga", "PUT", "/msp-host/bytes").status, 405)
        with open("/proc/%d/status" % h.process.pid) as f:
            peak = int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))
        # a sanitizer needs more, but not a hundred megabytes of body
        expect(peak < 60000, True, "peak kB %d:" % peak)


@case
def body_limits_are_413_with_and_without_a_length():
    with Host() as h:
        expect(h.call("ws", "POST", "/msp-host/echo",
                      body=bytes(102400)).status, 200)
        with h.connect("ws") as s:
            send_request(s, "POST", "/msp-host/echo",
                         [("host", "a"), ("content-length", "102401")], b"")
            expect(read_answer(s).status, 413)
        with h.connect("ws") as s:
            send_request(s, "PUT", "/vmAgentLog",
                         [("host", "a"), ("content-length", "104857601")],
                         b"")
            expect(read_answer(s).status, 413)
        data = b"19001\r\n" + bytes(102401) + b"\r\n0\r\n\r\n"
        with h.connect("ws") as s:
            send_request(s, "POST", "/msp-host/echo",
                         [("host", "a"), ("transfer-encoding", "chunked")],
                         data)
            expect(read_answer(s).status, 413)


@case
def early_answer_reaches_a_client_that_is_still_sending():
    with Host() as h, h.connect("ws") as s:
        send_request(s, "POST", "/msp-host/echo",
                     [("host", "a"), ("content-length", "3000000")], b"")
        expect(read_answer(s).status, 413)
        for _ in range(3):
            # fails at the second time if the host has closed at once
            s.sendall(bytes(1000))
            time.sleep(0.2)


@case
def hostile_heads_are_refused_and_nothing_breaks():
    get = b"GET /metadata/versions HTTP/1.1\r\nHost: a\r\nMetadata: true\r\n"
    bad = [
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /#f HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET foo HTTP/1.1\r\nHost: a\r\n\r\n",
        b"G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        get + b"Host: b\r\n\r\n",
        get + b"X y: 1\r\n\r\n",
        get + b"X\x80: 1\r\n\r\n",
        get + b"X: a\rb\r\n\r\n",
        get + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        get + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        b"\r\n",
        get + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        get + b"Transfer-Encoding: xchunked\r\n\r\n",
        get + b"Content-Length: 18446744073709551615\r\n\r\n",
        get + b"Content-Length: -1\r\n\r\n",
        get + b"".join(b"h%d: 1\r\n" % i for i in range(101)) + b"\r\n",
        get + b"x: " + b"y" * 300000 + b"\r\n\r\n",
        b"GET /" + b"a" * 65534 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    ]
    with Host() as h:
        expect(h.raw("imds", get + b"\r\n")[:12], b"HTTP/1.1 200")
        for data in bad:
            answer = h.raw("imds", data)
            code = answer[9:12]
            expect(code[:1] in (b"4", b"5") or not answer, True,
                   (data[:60], answer[:60]))
        for data in (b"", b"\0" * 70000, b"\r\n" * 5000, os.urandom(50000),
                     b"GET", get, b"POST / HTTP/1.1\r\nHost: a\r\n"
                     b"Content-Length: 9\r\n\r\nx"):
            h.raw("ctl", data)
            h.raw("ws", data)
        expect(h.raw("imds", get + b"\r\n")[:12], b"HTTP/1.1 200")


@case
def log_line_cannot_be_forged():
    with Host() as h:
        h.raw("ws", b'GET /"x\\ HTTP/1.1\r\nHost: a\r\n\r\n')
        line = h.lines()[-1]
        expect(bool(re.fullmatch(
            r'\S+Z WireServer 127\.0\.0\.1:\d+ "GET /\\x22x\\x5c" 404 '
            r'unsigned', line)), True, line)


@case
def slow_readers_get_every_byte_and_cost_nothing():
    # so many sizes that for some the answer is over, and the library gone,
    # while it is still in the host's buffers
    counts = range(100000, 8000000, 200000)
    with Host() as h:
        slow = []
        for count in counts:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.settimeout(10)
            s.connect(h.at["imds"])
            send_request(s, "GET", "/msp-host/bytes?count=%d" % count,
                         [("host", "a"), ("connection", "close")], b"")
            slow.append(s)
        expect(h.call("ws", "GET", "/?comp=versions").status, 200)
        # what fits into its buffers is made first, then it has to be idle
        for _ in range(40):
            before = ticks(h.process)
            time.sleep(0.5)
            spent = ticks(h.process) - before
            if spent < 10:
                break
        expect(spent < 10, True, "ticks spent waiting %d:" % spent)
        for s, count in zip(slow, counts):
            with s:
                body = read_all(s).partition(b"\r\n\r\n")[2]
            expect(body == pattern(count), True, "the %d bytes:" % count)


@case
def clients_that_go_away_leave_nothing():
    with Host() as h:
        idle = [h.connect("imds") for _ in range(200)]
        rude = h.connect("imds")
        send_request(rude, "GET", "/msp-host/bytes?count=50000000",
                     [("host", "a")], b"")
        expect(rude.recv(12), b"HTTP/1.1 200")
        # a reset in the middle
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        b"\1\0\0\0\0\0\0\0")
        rude.close()
        for s in idle:
            s.close()
        expect(h.call("ws", "GET", "/?comp=versions").status, 200)
        fds = "/proc/%d/fd" % h.process.pid
        for _ in range(100):
            if len(os.listdir(fds)) < 25:
                break
            time.sleep(0.05)
        expect(len(os.listdir(fds)) < 25, True, "descriptors left:")


@case
def short_of_descriptors_clients_wait_and_are_served():
    with Host() as h:
        resource.prlimit(h.process.pid, resource.RLIMIT_NOFILE, (60, 60))
        waiting = [h.connect("imds") for _ in range(100)]
        time.sleep(0.3)
        before = ticks(h.process)
        time.sleep(0.3)
        expect(ticks(h.process) - before < 10, True, "no busy loop:")
        for s in waiting:
            s.close()
        expect(h.call("ws", "GET", "/?comp=versions").status, 200)


@case
def keep_alive_and_pipelining_keep_order():
    with Host() as h:
        data = b"".join(b"GET /msp-host/bytes?count=%d HTTP/1.1\r\nHost: a"
                        b"\r\n\r\n" % n for n in range(1, 40))
        with h.connect("ws") as s:
            s.sendall(data)
            f = s.makefile("rb")
            for n in range(1, 40):
                length = None
                for line in iter(f.readline, b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                expect(length, n)
                f.read(n)


@case
def wrong_options_end_with_one_clear_line():
    for options in (["--imds", "nonsense"], ["--imds", "1.2.3.4:99999"],
                    ["--profile", "imds=/nonexistent"], ["--profile", "x"],
                    ["--mode", "imds=Never"], ["--mode", "hostga=Audit"],
                    ["--status-version", "3"], ["--skew", "-1"], ["extra"],
                    ["--unknown"], ["--state", "/proc/self/cmdline"],
                    ["--log", "/nonexistent/x"]):
        done = subprocess.run(
            [client.HOST, "--wireserver", "127.0.0.1:0",
             "--hostga", "127.0.0.1:0", *options] + ([] if "--imds" in options
                          else ["--imds", "127.0.0.1:0"]),
            capture_output=True, timeout=5)
        expect((done.returncode, bool(done.stderr)), (1, True), options)
    done = subprocess.run([client.HOST, "--version"], capture_output=True)
    expect((done.returncode, done.stdout[:9]), (0, b"msp-host "))

