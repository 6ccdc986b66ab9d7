# SPDX-License-Identifier: MIT
"""
In: a seed. Out: what is to happen, one event after the other, for ever. Must
never depend on anything but the seed: not on the machine, nor on what the
events came to.
"""
import random
from collections import namedtuple

# kind: of faults.py; hold: seconds that it lasts; kills: seconds, each of them
# from the one before it, or from the begin; what: the kind's own
Event = namedtuple("Event", "number kind hold kills what")

# How often, beside the others.
KILL = "kill"
WEIGHTS = {KILL: 26, "restart": 3, "full": 4, "readonly": 3, "slow": 3,
           "descriptors": 3, "address-space": 3, "memory": 2, "clock": 4,
           "skew": 2, "remount": 2, "detach": 4, "pause": 2, "host": 10,
           "host-restart": 1}
# Some last so long that who tries again has become slow to do so.
LONG, LONG_S = 0.04, 25
DISKS = ("log", "keys", "run")
# Names and fields of msp-host's; endpoint None: all of them.
HOST_FAULTS = (
    ("slow", {"name": "delay", "ms": 700}),
    ("slow", {"name": "drip", "piece": 7, "ms": 20}),
    ("reset", {"name": "reset"}), ("reset", {"name": "reset", "bytes": 30}),
    ("reset", {"name": "close-body"}),
    ("5xx", {"name": "500"}), ("5xx", {"name": "503"}),
    ("5xx", {"name": "429", "retry": 1}), ("5xx", {"name": "410"}),
    ("signature", {"name": "status", "status": 401}),
    ("signature", {"name": "wrong-scheme"}),
    ("signature", {"name": "attest-refused"}),
    ("signature", {"name": "attest-refused", "handled": True}),
    ("signature", {"name": "key-not-offered", "handled": True}),
    ("silent", {"name": "hang"}), ("silent", {"name": "hang", "bytes": 40}),
    ("garbage", {"name": "garbage"}), ("garbage", {"name": "no-http"}),
    ("garbage", {"name": "bad-chunks"}), ("garbage", {"name": "not-json"}),
    ("garbage", {"name": "truncated-json"}), ("garbage", {"name": "empty"}),
    ("garbage", {"name": "key-bad-hex"}), ("garbage", {"name": "key-short"}),
    ("garbage", {"name": "guid-traversal"}),
    ("garbage", {"name": "huge-headers"}),
    ("garbage", {"name": "two-lengths"}))
KEY_CHANNEL = ("wrong-scheme", "attest-refused", "key-not-offered",
               "key-bad-hex", "key-short", "guid-traversal")


def kills(rng, most, hold):
    """Random points in that time; near zero is while it is coming up."""
    return tuple(round(rng.choice((rng.random() * 0.08,
                                   rng.random() * hold)), 4)
                 for _ in range(rng.randint(0, most)))


def host_fault(rng):
    group, fields = rng.choice(HOST_FAULTS)
    fields = dict(fields)
    if fields["name"] not in KEY_CHANNEL:
        endpoint = rng.choice((None, "wireserver", "imds"))
        if endpoint:
            fields["endpoint"] = endpoint
    return {"group": group, "fault": fields}


def details(rng, kind):
    if kind in ("full", "readonly"):
        return {"disk": rng.choice(DISKS)}
    if kind == "slow":
        return {"ms": rng.choice((5, 40, 250))}
    if kind == "descriptors":
        return {"more": rng.choice((0, 1, 2, 3, 5, 8))}
    if kind == "address-space":
        return {"more": rng.choice((0, 1 << 12, 1 << 16, 1 << 18, 1 << 20))}
    if kind == "memory":
        return {"more": rng.choice((0, 1 << 16, 1 << 18, 1 << 20, 1 << 22))}
    if kind in ("clock", "skew"):
        size = rng.choice((1, 30, 400, 3600, 86400, 400 * 86400))
        return {"seconds": size * rng.choice((1, -1))}
    if kind == "detach":
        return {"links": rng.choice((0x3f, 0x01, 0x03, 1 << rng.randrange(6),
                                     rng.randint(1, 0x3f)))}
    if kind == "host":
        return host_fault(rng)
    return {}


def make(seed):
    rng = random.Random(f"chaos {seed}")
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    number = 0
    while True:
        number += 1
        kind = rng.choices(kinds, weights)[0]
        if kind == KILL:
            hold = 0
            times = tuple(round(rng.choice((rng.random() * 0.08,
                                            rng.random() * 0.5)), 4)
                          for _ in range(rng.randint(4, 12)))
        else:
            hold = round(0.3 + rng.random() * 2, 3)
            if rng.random() < LONG:
                hold = LONG_S
            times = kills(rng, 3, hold) if rng.random() < 0.5 else ()
        yield Event(number, kind, hold, times, details(rng, kind))
