# SPDX-License-Identifier: MIT
"""
In: a world. Out: callers who ask all the time, on fresh and on kept
connections, some of whom have a right to what they ask for; and what became of
each request. Must never judge what a caller with a right did not get: only
what was given wrongly.
"""
import ctypes
import hashlib
import json
import os
import random
import signal
from collections import Counter, namedtuple

import manager
import wire
import world
from world import IMDS, WIRESERVER

PACE = 0.03
MOST_FDS = 4096
PATIENCE = 4  # seconds for one answer
PR_SET_PDEATHSIG = 1
ROOT, FIRST, SECOND, DENIED, AT_TIMES, ALSO_DENIED = 0, 1, 2, 3, 4, 65534
NAMES = {FIRST: "daemon", SECOND: "bin", AT_TIMES: "sync", ROOT: "root"}

GIVEN = "was given to one without a right"
OTHER = "is not the answer"
Place = namedtuple("Place", "address method path query owner")
BYTES = 997
TOKEN = "/metadata/identity/oauth2/token"
PLACES = (
    Place(IMDS, b"GET", "/metadata/instance/compute",
          "api-version=2021-02-01", FIRST),
    Place(IMDS, b"POST", "/msp-host/echo", "", FIRST),
    Place(IMDS, b"GET", "/metadata/instance/network",
          "api-version=2021-02-01", SECOND),
    Place(IMDS, b"GET", TOKEN, "api-version=2018-02-01&resource=x", ROOT),
    Place(IMDS, b"GET", "/metadata/versions", "", AT_TIMES),
    Place(WIRESERVER, b"GET", "/msp-host/bytes", f"count={BYTES}", ROOT),
    Place(WIRESERVER, b"POST", "/msp-host/echo", "", ROOT))
OWNERS = {(p.address, p.path): p.owner for p in PLACES}
CALLERS = (ROOT, FIRST, SECOND, AT_TIMES, DENIED, ALSO_DENIED)


def rules(address, users):
    """Each path is its owner's, if that is one of the users."""
    found = [p for p in PLACES if p.address == address and p.owner in users]
    out = {"privileges": [], "roles": [], "identities": [],
           "roleAssignments": []}
    for owner in sorted({p.owner for p in found}):
        mine = [p for p in found if p.owner == owner]
        name = NAMES[owner]
        out["identities"].append({"name": name, "userName": name})
        for p in mine:
            out["privileges"].append({"name": p.path, "path": p.path})
        out["roles"].append({"name": name,
                             "privileges": [p.path for p in mine]})
        out["roleAssignments"].append({"role": name, "identities": [name]})
    return out


def item(address, ident, users):
    return world.item(access="deny", ident=ident, rules=rules(address, users))


def has_right(place, uid):
    return place.owner == uid


def asked(place, uid, n, rng):
    """The request, and a word on whether an answer of 200 is right."""
    query = f"who={uid}&n={n}"
    if place.query:
        query = place.query + "&" + query
    body = None
    if place.method == b"POST":
        body = b"%d %d " % (uid, n) + b"x" * rng.choice((0, 100, 20000))
    data = wire.request(place.method, place.path + "?" + query, place.address,
                        [world.METADATA], body)

    def right(answer):
        if place.path == "/msp-host/bytes":
            return answer == bytes(i % 251 for i in range(BYTES))
        if place.path == "/msp-host/echo":
            digest = hashlib.sha256(body).hexdigest().encode()
            return digest in answer.lower()
        return answer[:1] in b"{[" and answer[-1:] in b"}]\n"
    return data, right


class Caller:
    """One user's loop, in a process of its own."""

    def __init__(self, uid, seed, out):
        self.uid, self.out = uid, out
        self.rng = random.Random(f"{seed} {uid}")
        self.places = [p for p in PLACES if has_right(p, uid)] or list(PLACES)
        self.kept = {}  # by address
        self.n = 0

    def word(self, place, answer, right):
        """What became of it, and whether it must not have."""
        if answer is None:
            return "closed", None
        through = world.PASSED in answer.headers
        word = str(answer.status) if through or answer.status >= 400 \
            else f"direct {answer.status}"
        if 200 <= answer.status < 300:
            if not has_right(place, self.uid):
                return word, GIVEN
            if through and not right(answer.body):
                return word, f"{OTHER}: {answer.body[:80]}"
        return word, None

    def exchange(self, place, data, fresh):
        kept = None if fresh else self.kept.pop(place.address, None)
        reused = kept is not None
        s = kept or wire.connect((place.address, 80), timeout=PATIENCE)
        try:
            s.sendall(data)
            answer, rest = wire.receive(s, b"", False)
        except (OSError, wire.Malformed):
            s.close()
            if reused:
                return None, True
            raise
        if answer is None or fresh or rest or \
                (b"connection", b"close") in answer.headers:
            s.close()
        else:
            self.kept[place.address] = s
        return answer, reused

    def once(self):
        place = self.rng.choice(self.places)
        fresh = self.rng.random() < 0.5
        self.n += 1
        data, right = asked(place, self.uid, self.n, self.rng)
        wrong = None
        try:
            answer, reused = self.exchange(place, data, fresh)
            if answer is None and reused:
                # closed while nobody asked: any client tries again
                answer, _ = self.exchange(place, data, True)
            word, wrong = self.word(place, answer, right)
        except TimeoutError:
            word = "timeout"
        except wire.Malformed:
            word = "cut"
        except OSError as e:
            word = type(e).__name__
        line = {"uid": self.uid, "path": place.path, "word": word}
        if wrong:
            line["wrong"] = wrong
        self.out.write(json.dumps(line) + "\n")
        self.out.flush()

    def run(self):
        while True:
            self.once()
            signal.sigtimedwait([], PACE * (0.5 + self.rng.random()))


class Traffic:
    """All of them."""

    def __init__(self, w, seed):
        self.world, self.seed = w, seed
        self.path = w.path("traffic.jsonl")
        self.pids = {}
        self.read_to = 0
        self.answers = Counter()  # (which right, word)
        self.served = Counter()  # by uid, since it was last looked at
        self.wrong = []

    def start(self):
        open(self.path, "a", encoding="ascii").close()
        for uid in CALLERS:
            pid = os.fork()
            if pid == 0:
                try:
                    self.become(uid)
                finally:
                    os._exit(1)
            self.pids[uid] = pid

    def become(self, uid):
        signal.alarm(0)
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, signal.SIG_DFL)
        out = open(self.path, "a", encoding="ascii")  # root's
        self.world.become(uid, True)
        # forgotten when the user changes, hence here
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # what the service manager keeps is kept by nobody else
        os.closerange(manager.HIGH, MOST_FDS)
        Caller(uid, self.seed, out).run()

    def stop(self):
        for pid in self.pids.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.pids = {}

    def poll(self):
        with open(self.path, "rb") as f:
            f.seek(self.read_to)
            data = f.read()
        whole = data[:data.rfind(b"\n") + 1]
        self.read_to += len(whole)
        for line in whole.splitlines():
            self.take(json.loads(line))

    def take(self, line):
        place_of = OWNERS_OF_PATH[line["path"]]
        uid = line["uid"]
        whose = "at times" if uid == AT_TIMES else \
            "a right" if uid in place_of else "no right"
        self.answers[whose, line["word"]] += 1
        if line["word"] == "200":
            self.served[line["uid"]] += 1
        if "wrong" in line:
            self.wrong.append(f"the answer {line['word']} to uid "
                              f"{line['uid']} for {line['path']} "
                              f"{line['wrong']}")

    def taken(self, garbled):
        """Faults since the last time; garbled: of what the host said."""
        wrong, self.wrong = self.wrong, []
        return [text for text in wrong if not (garbled and OTHER in text)]

    def died(self):
        return [uid for uid, pid in self.pids.items()
                if os.waitid(os.P_PID, pid,
                             os.WEXITED | os.WNOHANG | os.WNOWAIT)]


OWNERS_OF_PATH = {}
for _p in PLACES:
    OWNERS_OF_PATH.setdefault(_p.path, set()).add(_p.owner)
