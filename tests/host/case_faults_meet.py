# SPDX-License-Identifier: MIT
"""
In: msp-host. Out: which request meets which fault, how they are listed, and
which are refused. Must never hide that a fault met what it was not for.
"""
import json
import socket
import subprocess

import client
from case_faults import STATUS, fault, listed
from client import Host, case, expect, read_answer, send_request


def met(h, port="ws", method="GET", target=STATUS, code=418):
    return h.call(port, method, target, [("metadata", "true")]).status == code


@case
def faults_are_for_an_endpoint_a_method_a_path():
    for fields, hits, misses in (
            ({}, [{}, {"port": "ga"}, {"port": "imds"}], []),
            ({"endpoint": "imds"}, [{"port": "imds"}], [{}, {"port": "ga"}]),
            ({"endpoint": "HostGA"}, [{"port": "ga"}], [{}]),
            ({"endpoint": "wireserver"}, [{}], [{"port": "ga"}]),
            ({"method": "put"}, [{"method": "PUT"}], [{}]),
            ({"path": STATUS}, [{}, {"target": STATUS.upper()},
                                {"target": STATUS + "?a=b"}],
             [{"target": STATUS + "/"}, {"target": STATUS + "x"},
              {"target": "/secure-channel"}, {"target": "/"}]),
            ({"path": "/secure-*"}, [{}, {"target": "/SECURE-"}],
             [{"target": "/secure"}, {"target": "/x/secure-channel"}]),
            ({"path": "*"}, [{}, {"target": "/"}], []),
            ({"path": "/machine?comp=goalstate"},
             [{"target": "/machine?comp=goalstate"},
              {"target": "/Machine?Comp=GoalState"}],
             [{"target": "/machine?comp=goalstate&x"}, {"target": "/machine"},
              {"target": "/machine/?comp=goalstate"}]),
            ({"path": "/machine?comp=*"},
             [{"target": "/machine?comp=goalstate&x"}],
             [{"target": "/machine?x=comp="}, {"target": "/machine?comp"}]),
            ({"endpoint": "imds", "method": "GET", "path": "/metadata/*"},
             [{"port": "imds", "target": "/metadata/instance"}],
             [{"target": "/metadata/instance"}, {"port": "imds"},
              {"port": "imds", "method": "POST",
               "target": "/metadata/instance"}])):
        with Host() as h:
            fault(h, "status", status=418, **fields)
            expect(([met(h, **x) for x in hits], [met(h, **x) for x in misses],
                    listed(h)[0]["hits"]),
                   ([True] * len(hits), [False] * len(misses), len(hits)),
                   fields)


@case
def faults_are_for_one_vm():
    with Host("--vm", "other=127.0.0.2") as h:
        fault(h, "status", status=418, vm="OTHER")

        def code(source):
            with socket.create_connection(h.at["ws"], 10,
                                          (source, 0)) as s:
                send_request(s, "GET", STATUS, [("host", "h")], b"")
                return read_answer(s).status
        expect([code(s) for s in ("127.0.0.1", "127.0.0.2")], [200, 418])
        fault(h, "status", status=419, vm="msp-host-vm")
        expect([code(s) for s in ("127.0.0.1", "127.0.0.2")], [419, 418])


@case
def faults_come_in_order_and_are_used_up():
    with Host() as h:
        fault(h, "status", status=418, count=2, path=STATUS)
        fault(h, "status", status=419, count=1)
        fault(h, "status", status=420)

        def code(target=STATUS):
            return h.call("ws", "GET", target).status
        expect(code("/x"), 419)
        expect([code() for _ in range(4)], [418, 418, 420, 420])
        expect([(f["number"], f["name"], f.get("left"), f["hits"])
                for f in listed(h)],
               [(1, "status", 0, 2), (2, "status", 0, 1),
                (3, "status", None, 2)])
        expect(h.control("DELETE", "/faults/3").status, 200)
        expect(code(), 200)
        for to in ("/faults/3", "/faults/0", "/faults/x", "/faults/-1",
                   "/faults/99999999999999999999"):
            expect(h.control("DELETE", to).status, 404, to)
        expect(h.control("DELETE", "/faults").json(), [])
        expect(fault(h, "empty"), 4)


@case
def list_shows_what_is_in_force():
    with Host("--fault", "delay,ms=7,endpoint=imds,path=/a*,count=3",
              "--fault", "attest-refused") as h:
        fault(h, "huge-body", style="endless", vm="x")
        expect(listed(h), [
            {"number": 1, "name": "delay", "endpoint": "imds", "path": "/a*",
             "count": 3, "ms": 7, "left": 3, "hits": 0},
            {"number": 2, "name": "attest-refused", "endpoint": "wireserver",
             "method": "POST", "path": "/secure-channel/key/*",
             "status": 401, "handled": False, "hits": 0},
            {"number": 3, "name": "huge-body", "vm": "x",
             "bytes": 1 << 30, "style": "endless", "hits": 0}])


@case
def option_sets_faults_before_the_first_request():
    with Host("--fault", "503,path=/secure-channel/status,count=1,retry=3",
              "--fault", "410,endpoint=imds") as h:
        answer = h.call("ws", "GET", STATUS)
        expect((answer.status, answer.headers["retry-after"]), (503, "3"))
        expect(h.status()["version"], "2.0")
        answer = h.call("imds", "GET", "/metadata/versions")
        expect((answer.status, list(answer.json())), (410, ["error"]))
    for spec in ("", "nothing", "delay,ms", "delay,ms=x", "delay,ms=-1",
                 "delay,bytes=1", "delay,ms=1,ms=2", "delay,", "delay,,ms=1",
                 "delay,ms=99999999999999999999", "bad-chunks,style=",
                 "close,handled=1", "missing-field", "delay,path=x",
                 "delay,vm=\u00e9"):
        done = subprocess.run([client.HOST, "--fault", spec],
                              capture_output=True, timeout=5)
        expect((done.returncode, b"--fault" in done.stderr), (1, True), spec)


# ---- what is refused -------------------------------------------------------

@case
def specs_that_are_refused_name_the_field():
    big = "9" * 400
    with Host() as h:
        for spec, word in (
                ('{"name":"nothing"}', "nothing"), ('{}', "name"),
                ('[]', "name"), ('"delay"', "name"), ('{"name":7}', "name"),
                ('{"name":"empty","name":"bom"}', "name"),
                ('{"NAME":"empty"}', "name"), ('', "JSON"), ('{', "JSON"),
                ('{"name":"delay","ms":"5"}', "ms"),
                ('{"name":"delay","ms":1.5}', "ms"),
                ('{"name":"delay","ms":1e3}', "ms"),
                ('{"name":"delay","ms":-1}', "ms"),
                ('{"name":"delay","ms":3600001}', "ms"),
                ('{"name":"delay","ms":%s}' % big, "ms"),
                ('{"name":"delay","ms":null}', "ms"),
                ('{"name":"delay","ms":[5]}', "ms"),
                ('{"name":"delay","ms":true}', "ms"),
                ('{"name":"delay","ms":1,"ms":1}', "ms"),
                ('{"name":"delay","count":0}', "count"),
                ('{"name":"delay","count":%s}' % big, "count"),
                ('{"name":"delay","bytes":1}', "bytes"),
                ('{"name":"delay","number":1}', "number"),
                ('{"name":"delay","endpoint":"control"}', "endpoint"),
                ('{"name":"delay","endpoint":1}', "endpoint"),
                ('{"name":"delay","path":"x"}', "path"),
                ('{"name":"delay","path":""}', "path"),
                ('{"name":"delay","path":"/\\u0000"}', "NUL"),
                ('{"name":"delay","vm":"%s"}' % ("x" * 1025), "vm"),
                ('{"name":"delay","method":"\\u00e9"}', "method"),
                ('{"name":"close","handled":"true"}', "handled"),
                ('{"name":"delay","handled":true}', "handled"),
                ('{"name":"status","status":100}', "status"),
                ('{"name":"status","status":600}', "status"),
                ('{"name":"bad-chunks","style":"worse"}', "style"),
                ('{"name":"huge-body","bytes":0}', "bytes"),
                ('{"name":"huge-body","bytes":1099511627777}', "bytes"),
                ('{"name":"garbage","bytes":1048577}', "bytes"),
                ('{"name":"deep-json","depth":1000000}', "depth"),
                ('{"name":"missing-field"}', "field"),
                ('{"name":"clock-skew","seconds":-400000000}', "seconds"),
                ('{"name":"delay","a":' + "[" * 5000 + "]" * 5000 + "}",
                 "deep"),
                ('{"name":"delay","%s":1}' % ("x" * 100000), "xxx")):
            answer = h.control("POST", "/faults", spec.encode())
            expect((answer.status, word in answer.json()["message"]),
                   (400, True), (spec[:60], answer.body[:200]))
            expect(len(answer.body) < 400, True)
        expect(listed(h), [])
        expect(h.control("PUT", "/faults").status, 405)


@case
def there_is_room_for_so_many_faults():
    with Host() as h:
        for _ in range(256):
            fault(h, "empty", vm="x" * 1024, path="/" + "y" * 1000)
        spec = json.dumps({"name": "empty"}).encode()
        for _ in range(44):
            answer = h.control("POST", "/faults", spec)
            expect((answer.status, "256" in answer.json()["message"]),
                   (400, True))
        expect(len(listed(h)), 256)
        h.control("DELETE", "/faults/7")
        fault(h, "status", status=418, count=1, path=STATUS)
        expect(h.control("POST", "/faults", spec).status, 400)
        expect(met(h), True)
        # used up: it makes room
        fault(h, "bom")
        expect([f["number"] for f in listed(h)][-2:], [256, 258])
