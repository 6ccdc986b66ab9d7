# SPDX-License-Identifier: MIT
"""
In: requests, each broken in a random way, for a few seconds. Out: whatever
reaches the host is one request with one reading, signed and recorded, and the
agent lives. Must never look at what a client is answered: that is what the
tables are for.

    FUZZ_SECONDS=60 FUZZ_SEED=7   longer, and from another start
"""
import os
import random
import time

import case_http_requests
import wire
from recorded import PROBE, Recorded, send
from world import IMDS

SECONDS = float(os.environ.get("FUZZ_SECONDS") or 5)
SEED = int(os.environ.get("FUZZ_SEED") or 20261122)
PER_PROCESS = 200
PER_CONNECTION = 5
# What is put somewhere, or in the place of something.
PIECES = [b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"\r\n ", b"\n\n",
          b"\0\n", b":\n", b"\r\n\r\n", b"?", b"#", b"%00", b"//", b"..",
          b"\xff", b"\x7f", b",", b";", b"0", b"Host: x\r\n",
          b"Content-Length: 3\r\n", b"Content-Length: 0\r\n",
          b"Transfer-Encoding: chunked\r\n", b"Connection: close, host\r\n",
          b"X-A: b\r\n", b"Expect: 100-continue\r\n", b"0\r\n\r\n",
          b"3\r\nabc\r\n", PROBE, b"x-ms-azure-host-claims: x\r\n",
          b"http://169.254.169.254", b"HTTP/1.0", b"GET ", b"POST "]


def seeds():
    """Requests of the tables, those that pass three times as often."""
    rows = case_http_requests.REFUSED + 3 * case_http_requests.PASSED
    return [row[1].replace(b"PATH", b"/fuzz/%d" % i)
            for i, row in enumerate(rows)]


def broken(rng, data, others):
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at = rng.randint(0, len(data))
        to = min(len(data), at + rng.choice((0, 0, 1, 1, 2, 9)))
        kind = rng.randint(0, 9)
        if kind < 6:
            data = data[:at] + rng.choice(PIECES) + data[to:]
        elif kind < 8:
            data = data[:at] + bytes([rng.randrange(256)]) + data[to:]
        elif kind < 9:
            data = data[:at] + data[to:]
        else:
            other = rng.choice(others)
            data = data[:at] + other[rng.randint(0, len(other)):]
    return data


def throw(rng, others):
    """A few on one connection, then its end; whatever is answered."""
    with wire.connect((IMDS, 80), timeout=10) as s:
        data = b"".join(broken(rng, rng.choice(others), others)
                        for _ in range(rng.randint(1, PER_CONNECTION)))
        cut = rng.randint(0, len(data))
        send(s, [data[:cut], data[cut:]])
        try:
            s.shutdown(1)
            while s.recv(1 << 16):
                pass
        except OSError:
            pass  # reset


def throw_many(seed):
    rng = random.Random(seed)
    others = seeds()
    for _ in range(PER_PROCESS):
        throw(rng, others)


class Fuzz(Recorded):

    def test_whatever_reaches_the_host_has_one_reading(self):
        end = time.monotonic() + SECONDS
        seed = SEED
        while time.monotonic() < end:
            with self.subTest(seed=seed):
                self.world.call(throw_many, seed)
            seed += 1
        found = self.check_all_that_came()
        self.assertGreater(len(found), PER_PROCESS)
        self.assertIsNone(self.world.mspd.poll())
        self.assertEqual(self.talk(PROBE).statuses, [200])
