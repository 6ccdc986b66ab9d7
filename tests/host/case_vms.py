# SPDX-License-Identifier: MIT
"""
In: msp-host with several VMs. Out: who is who, whose key is whose, how long an
offer lasts, what a seed repeats. Loopback's 127.0.0.0/8 gives the addresses.
"""
import json
import subprocess
import time

import client
from client import Host, case, expect, now, read_answer, send_request, sign

A, B, C = "127.0.0.2", "127.0.0.3", "127.0.0.4"
VERSIONS = "/?comp=versions"


def two():
    return Host("--vm", "a=" + A, "--vm", "b=" + B)


def state(h, vm=None):
    return h.control("GET", "/state" + ("?vm=" + vm if vm else "")).json()


def reasons(h, vm=None):
    return state(h, vm)["requests"]["WireServer"]["reasons"]


def refused(h, reason, **more):
    """The request is refused for this reason, and it says so in the log."""
    answer = h.call("ws", "GET", VERSIONS, **more)
    expect((answer.status, answer.json()["message"]), (401, reason))
    expect(h.lines()[-1].endswith(" 401 bad:" + reason), True, h.lines()[-1])


# ---- who is who ------------------------------------------------------------

@case
def each_vm_has_its_own_key_and_counts():
    with two() as h:
        a, b = h.latch(source=A), h.latch(source=B)
        expect(a["guid"] != b["guid"] and a["key"] != b["key"], True)
        expect(h.status(source=A)["keyGuid"], a["guid"])
        expect(h.status(source=B)["keyGuid"], b["guid"])
        expect(h.status()["keyGuid"], None)
        for key, source in ((a, A), (b, B)):
            expect(h.call("ws", "GET", VERSIONS, key=key,
                          source=source).status, 200)
        # the first VM has not latched
        expect(h.call("ws", "GET", VERSIONS).status, 200)
        expect(state(h, "a")["requests"]["WireServer"]["verified"], 2)
        expect(state(h)["requests"]["WireServer"]["verified"], 0)


@case
def key_of_another_vm_is_refused_by_its_name():
    with two() as h:
        a, b = h.latch(source=A), h.latch(source=B)
        refused(h, "other-vm", key=a, source=B)
        refused(h, "other-vm", key=b, source=A)
        # from where nothing is latched, nothing is required
        expect(h.call("ws", "GET", VERSIONS, key=a).status, 200)
        expect(h.lines()[-1].endswith(" 200 bad:other-vm"), True)
        # nobody's guid is nobody's
        refused(h, "guid", key=dict(a, guid="0" * 8 + a["guid"][8:]),
                source=A)
        expect((reasons(h, "a"), reasons(h, "b"), reasons(h)),
               ({"other-vm": 1, "guid": 1}, {"other-vm": 1},
                {"other-vm": 1}))


@case
def key_offered_to_one_is_not_attested_by_another():
    with two() as h:
        key = h.acquire(source=A)
        answer = h.attest(key, source=B)
        expect((answer.status, answer.json()["message"]), (401, "other-vm"))
        expect((state(h, "a")["latched"], state(h, "b")["latched"]),
               (False, False))
        expect(h.attest(key, source=A).status, 200)


@case
def longest_prefix_wins_and_exact_networks_move():
    with Host("--vm", "wide=127.0.0.0/24", "--vm", "a=" + A) as h:
        expect(state(h, "wide")["networks"], ["127.0.0.0/24"])
        h.control("POST", "/channel?enabled=false&vm=wide")
        h.control("POST", "/endpoints/imds/mode?mode=Audit&vm=a")

        def who(source):
            status = h.status(source=source)
            if not status["secureChannelEnabled"]:
                return "wide"
            mode = status["authorizationRules"]["imds"]["mode"]
            return "a" if mode == "audit" else "first"
        expect([who(x) for x in (A, B, "127.0.1.1")], ["a", "wide", "first"])
        expect(h.control("PUT", "/vms/a?network=127.0.0.0/24").status, 200)
        expect([who(x) for x in (A, B, "127.0.1.1")], ["a", "a", "first"])
        expect((state(h, "a")["networks"], state(h, "wide")["networks"]),
               ([A + "/32", "127.0.0.0/24"], []))
        h.control("PUT", "/vms/WIDE?network=0.0.0.0/0")
        expect([who(x) for x in (A, B, "127.0.1.1")], ["a", "a", "wide"])
        expect(state(h)["networks"], [])


@case
def network_moves_at_the_next_request_of_an_open_connection():
    """As a disk that is attached to another VM."""
    with two() as h, h.connect("ws", A) as s:
        key = h.latch(source=A)

        def ask():
            lines = [("host", "h"), (client.DATE, now())]
            lines.append((client.AUTH, sign(key, "GET", VERSIONS, lines,
                                            b"")))
            send_request(s, "GET", VERSIONS, lines, b"")
            return read_answer(s)
        expect(ask().status, 200)
        h.latch(source=B)
        h.control("PUT", "/vms/b?network=" + A)
        answer = ask()
        expect((answer.status, answer.json()["message"]), (401, "other-vm"))
        h.control("PUT", "/vms/a?network=" + A)
        expect(ask().status, 200)


@case
def vms_are_made_over_the_control_port():
    with Host("--mode", "imds=Enforce", "--skew", "5") as h:
        expect(h.control("PUT", "/vms/new.1?network=" + A).status, 201)
        answer = h.control("PUT", "/vms/NEW.1")
        expect((answer.status, answer.json()["name"]), (200, "new.1"))
        # as the first one is set up, its key aside
        expect(h.status(source=A)["authorizationRules"]["imds"]["mode"],
               "enforce")
        key = h.latch(source=A)
        refused(h, "stale", key=key, date=now(-20), source=A)
        expect([vm["name"] for vm in h.control("GET", "/vms").json()],
               ["msp-host-vm", "new.1"])
        for target, status, code in (
                ("/vms/a b", 400, None), ("/vms/", 400, "name"),
                ("/vms/" + "x" * 65, 400, "name"), ("/vms/x/y", 400, "name"),
                ("/vms/x?network=127.0.0.1/24", 400, "network"),
                ("/vms/x?network=127.0.0.0/33", 400, "network"),
                ("/vms/x?network=::1", 400, "network"),
                ("/vms/x?network=", 400, "network"),
                ("/vms/x?network=1.2.3.4%00", 400, "network"),
                ("/fleet", 400, "network"),
                ("/fleet?network=here", 400, "network"),
                ("/vms/y?vm=nobody", 404, "vm")):
            answer = h.control("PUT", target)
            expect(answer.status, status, target)
            if code:
                expect(answer.json()["error"], code, target)
        for method, target in (("GET", "/state"), ("POST", "/key/reset"),
                               ("POST", "/channel"), ("POST", "/key/lose")):
            answer = h.control(method, target + "?vm=nobody")
            expect((answer.status, answer.json()["error"]), (404, "vm"))
        expect(len(h.control("GET", "/vms").json()), 2)


@case
def networks_have_an_end():
    with Host() as h:
        for i in range(255):
            expect(h.control("PUT", "/vms/v%d?network=10.0.%d.0/24"
                             % (i, i)).status, 201)
        answer = h.control("PUT", "/vms/more?network=10.1.0.0/16")
        expect((answer.status, answer.json()["error"]), (409, "room"))
        # it was not made either
        expect(h.control("GET", "/state?vm=more").status, 404)
        expect(h.control("PUT", "/fleet?network=10.1.0.0/16").status, 409)
        expect(h.control("PUT", "/vms/v0?network=10.0.1.0/24").status, 200)
        expect(state(h, "v1")["networks"], [])
        expect(h.control("PUT", "/vms/more").status, 201)


@case
def who_belongs_to_nobody_is_not_answered():
    with Host("--vm", "a=" + A) as h:
        h.control("PUT", "/vms/a?network=0.0.0.0/1")
        h.control("PUT", "/vms/a?network=128.0.0.0/1")
        h.control("PUT", "/vms/gone?network=0.0.0.0/0")
        # the two halves are more specific than the whole
        expect(h.status(source=B)["keyGuid"], None)
        expect(state(h, "a")["requests"]["WireServer"]["unsigned"], 1)
        expect(state(h, "gone")["requests"]["WireServer"]["unsigned"], 0)


# ---- fleets ----------------------------------------------------------------

@case
def every_address_of_a_fleet_is_a_vm():
    with Host("--fleet", "127.1.0.0/16", "--mode", "imds=Enforce") as h:
        expect(h.control("GET", "/fleets").json(), ["127.1.0.0/16"])
        expect(len(h.control("GET", "/vms").json()), 1)
        at = ["127.1.0.1", "127.1.0.2", "127.1.2.3"]
        keys = [h.latch(source=x) for x in at]
        expect(len({k["guid"] for k in keys}), 3)
        for i, source in enumerate(at):
            expect(h.call("ws", "GET", VERSIONS, key=keys[i],
                          source=source).status, 200)
            refused(h, "other-vm", key=keys[i - 1], source=source)
        vms = {vm["name"]: vm for vm in h.control("GET", "/vms").json()}
        expect(sorted(vms), ["msp-host-vm", "vm-127-1-0-1", "vm-127-1-0-2",
                             "vm-127-1-2-3"])
        vm = vms["vm-127-1-2-3"]
        expect((vm["networks"], vm["guid"], vm["modes"]["IMDS"]),
               (["127.1.2.3/32"], keys[2]["guid"], "Enforce"))
        # a reset of one is nobody else's business
        h.control("POST", "/key/reset?vm=vm-127-1-0-1")
        expect(h.status(source=at[0])["keyGuid"], None)
        expect(h.status(source=at[1])["keyGuid"], keys[1]["guid"])


@case
def fleet_is_set_up_as_the_first_vm_is_when_it_is_heard_from():
    with Host() as h:
        expect(h.control("PUT", "/fleet?network=127.2.0.0/24").json(),
               ["127.2.0.0/24"])

        def mode(source):
            status = h.status(source=source)
            return status["authorizationRules"]["imds"]["mode"]
        expect(mode("127.2.0.1"), "disabled")
        h.latch()
        h.control("POST", "/endpoints/imds/mode?mode=Audit")
        expect([mode("127.2.0.1"), mode("127.2.0.2")], ["disabled", "audit"])
        # what is the first one's alone is not copied
        expect(state(h, "vm-127-2-0-2")["latched"], False)
        # one address of it can be somebody's
        h.control("PUT", "/vms/own?network=127.2.0.9")
        h.status(source="127.2.0.9")
        expect(h.control("GET", "/state?vm=vm-127-2-0-9").status, 404)


@case
def two_thousand_vms_find_their_own():
    """In linear time a request would look at all of them; and each key is
    told apart from all others."""
    with Host("--fleet", "127.3.0.0/16") as h:
        at = ["127.3.%d.%d" % (i // 250, i % 250 + 1) for i in range(2000)]
        keys = {source: h.latch(source=source) for source in at}
        expect(len({k["guid"] for k in keys.values()}), 2000)
        for i in range(0, 2000, 97):
            expect(h.call("ws", "GET", VERSIONS, key=keys[at[i]],
                          source=at[i]).status, 200)
            refused(h, "other-vm", key=keys[at[i - 1]], source=at[i])
        vms = h.control("GET", "/vms").json()
        expect(len(vms), 2001)
        expect({vm["guid"] for vm in vms[1:]},
               {k["guid"] for k in keys.values()})


# ---- keys ------------------------------------------------------------------

@case
def key_that_nobody_attests_is_void_after_a_while():
    with Host("--offer-seconds", "1") as h:
        key = h.acquire()
        expect(state(h)["offered"], True)
        for _ in range(100):
            if not state(h)["offered"]:
                break
            time.sleep(0.05)
        expect(state(h)["offered"], False)
        answer = h.attest(key)
        expect((answer.status, answer.json()["message"]), (401, "no-key"))
        expect(h.status()["keyGuid"], None)
        h.latch()


@case
def offer_waits_as_long_as_it_was_told_to():
    with Host("--offer-seconds", "60") as h:
        key = h.acquire()
        time.sleep(1.2)
        expect(h.attest(key).status, 200)


@case
def key_from_before_a_reset_is_of_an_old_incarnation():
    with Host() as h:
        old = h.latch()
        h.control("POST", "/key/reset")
        # also while there is no new key, when nothing is required
        expect(h.call("ws", "GET", VERSIONS, key=old).status, 200)
        expect(h.lines()[-1].endswith(" 200 bad:incarnation"), True)
        answer = h.attest(old)
        expect((answer.status, answer.json()["message"]),
               (401, "incarnation"))
        # nor can one be latched that was offered before
        offered = h.acquire()
        h.control("POST", "/key/reset")
        answer = h.attest(offered)
        expect((answer.status, answer.json()["message"]),
               (401, "incarnation"))
        expect(state(h)["offered"], False)
        new = h.latch()
        expect(new["incarnationId"], 3)
        refused(h, "incarnation", key=old)
        refused(h, "incarnation", key=offered)
        expect(h.call("ws", "GET", VERSIONS, key=new).status, 200)
        expect(reasons(h), {"incarnation": 5})


@case
def old_guids_are_remembered_but_not_for_ever():
    with two() as h:
        first = h.latch(source=A)
        for _ in range(20):
            h.control("POST", "/key/reset?vm=a")
            last = h.latch(source=A)
        h.control("POST", "/key/reset?vm=a")
        h.latch(source=A)
        h.latch(source=B)
        refused(h, "incarnation", key=last, source=A)
        refused(h, "other-vm", key=last, source=B)
        refused(h, "guid", key=first, source=A)
        refused(h, "guid", key=first, source=B)


@case
def lost_key_is_nobodys_until_a_reset():
    with Host() as h:
        expect(h.control("POST", "/key/lose").json()["latched"], True)
        expect(h.acquire().status, 403)
        expect(h.call("ws", "GET", VERSIONS).status, 401)
        guid = h.status()["keyGuid"]
        h.control("POST", "/key/reset")
        key = h.latch()
        expect((key["guid"] == guid, key["incarnationId"]), (False, 2))
        # somebody has one: it takes a reset to latch another
        after = h.control("POST", "/key/lose").json()
        expect((after["incarnation"], after["guid"] == key["guid"]),
               (3, False))
        refused(h, "incarnation", key=key)


@case
def channel_that_is_off_offers_latches_and_wants_nothing():
    with Host() as h:
        key = h.acquire()
        h.control("POST", "/channel?enabled=false")
        expect(state(h)["offered"], False)
        expect(h.attest(key).status, 401)
        h.control("POST", "/channel?enabled=true")
        key = h.latch()
        h.control("POST", "/channel?enabled=false")
        expect(h.call("ws", "GET", VERSIONS).status, 200)
        # the key stays, and counts when the channel is on again
        expect(h.attest(key).status, 200)
        h.control("POST", "/channel?enabled=true")
        expect(h.call("ws", "GET", VERSIONS).status, 401)
        expect(h.call("ws", "GET", VERSIONS, key=key).status, 200)


@case
def all_modes_disabled_still_latch():
    with Host("--mode", "wireserver=Disabled") as h:
        key = h.latch()
        expect(h.status()["keyGuid"], key["guid"])
        for port, target in (("ws", VERSIONS), ("ga", "/versions")):
            expect(h.call(port, "GET", target).status, 200)


@case
def replay_is_good_inside_the_window_and_counted_outside():
    with Host("--skew", "2") as h:
        key = h.latch()
        lines = [("host", "h"), (client.DATE, now())]
        lines.append((client.AUTH, sign(key, "GET", VERSIONS, lines, b"")))

        def replay():
            with h.connect("ws") as s:
                send_request(s, "GET", VERSIONS, lines, b"")
                return read_answer(s)
        expect([replay().status for _ in range(3)], [200] * 3)
        time.sleep(3.2)
        answer = replay()
        expect((answer.status, answer.json()["message"]), (401, "stale"))
        expect(reasons(h), {"stale": 1})


# ---- seed ------------------------------------------------------------------

@case
def seed_repeats_keys_and_guids_whatever_others_do():
    def run(seed, others):
        with Host("--vm", "a=" + A, *(["--seed", seed] if seed else []),
                  "--vm", "b=" + B) as h:
            for _ in range(others):
                h.acquire(source=B)
            first = h.latch(source=A)
            h.control("POST", "/key/reset?vm=a")
            second = h.latch(source=A)
            expect(first["key"] != second["key"], True)
            expect(first["guid"] != second["guid"], True)
            if not others:
                # as often drawn as the other's first one
                third = h.latch(source=B)
                expect(third["guid"] in (first["guid"], second["guid"]),
                       False)
            return [(k["guid"], k["key"]) for k in (first, second)]
    once = run("tea", 0)
    expect(run("tea", 3), once)
    for other in (run("coffee", 0), run(None, 0)):
        expect(set(other) & set(once), set())


# ---- command line ----------------------------------------------------------

@case
def wrong_vm_options_are_named():
    for options in (["--vm", "a"], ["--vm", "=127.0.0.2"], ["--vm", "a="],
                    ["--vm", "a b=127.0.0.2"], ["--vm", "a=127.0.0.2/8"],
                    ["--fleet", "all"], ["--fleet", "127.0.0.0/33"],
                    ["--fleet", ""], ["--offer-seconds", "0"],
                    ["--offer-seconds", "soon"], ["--seed"]):
        done = subprocess.run([client.HOST, *options], capture_output=True,
                              timeout=5)
        text = done.stderr.decode()
        expect((done.returncode, options[0][2:] in text), (1, True), text)


@case
def what_owners_give_is_bounded_all_together():
    half = b" " * (1 << 20)  # of what a body may be
    with Host() as h:
        for i in range(80):
            expect(h.control("PUT", f"/vms/v{i}").status, 201)
            answer = h.control("POST", f"/status/raw?vm=v{i}", half)
            if answer.status != 200:
                break
        expect((answer.status, answer.json()["error"], i > 60),
               (409, "room", True))
        expect(h.control("POST", "/status/raw", half[:600000]).status, 200)
        item = json.dumps({"id": "x", "mode": "enforce",
                           "defaultAccess": "allow"}).encode()
        item += half[:500000]
        expect(h.control("PUT", "/endpoints/imds", item).status, 409)
        expect(h.control("DELETE", "/status/raw").status, 200)
        expect(h.control("PUT", "/endpoints/imds", item).status, 200)
