# SPDX-License-Identifier: MIT
"""
In: a world. Out: clients that ask all along at a fixed pace, on new and on
kept connections, and a judgement of every answer they got. Must never excuse
an answer by what was true at another time.
"""
import ctypes
import json
import os
import signal
import time

import wire
import world

PACE = 0.1  # seconds between two rounds of one client
SETTLE = 15  # seconds at most until a phase begins
PR_SET_PDEATHSIG = 1
# name: uid, address
CLIENTS = {"daemon@imds": (world.DAEMON, world.IMDS),
           "nobody@imds": (world.NOBODY, world.IMDS),
           "root@wireserver": (0, world.WIRESERVER),
           "nobody@wireserver": (world.NOBODY, world.WIRESERVER)}
PHASES = {
    "enforced": {"daemon@imds": "served", "nobody@imds": "refused",
                 "root@wireserver": "served", "nobody@wireserver": "refused"},
    "audited": {"daemon@imds": "audited", "nobody@imds": "audited",
                "root@wireserver": "served", "nobody@wireserver": "refused"},
    "direct": dict.fromkeys(CLIENTS, "direct"),
    "free": dict.fromkeys(CLIENTS, "free")}


def outcome_of(error):
    """A word for a request that got no answer."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, PermissionError):
        return "denied"
    if isinstance(error, (ConnectionError, BrokenPipeError)):
        return "reset"
    if isinstance(error, wire.Malformed):
        return "cut"
    return f"error: {error}"


class Client:
    """One user's loop, in a process of its own."""

    def __init__(self, name, out, idle):
        self.name = name
        self.idle = idle  # seconds a connection may be kept unused
        self.out = out
        self.address = (CLIENTS[name][1], 80)
        self.kept = None
        self.opened = 0.0  # when the kept connection was
        self.used = 0.0  # and last used
        self.n = 0

    def ask(self, connection, fresh):
        """Status, is the body the one asked for, did it go through mspd, may
        the connection be kept."""
        count = 1 + self.n * 37 % 4999
        target = f"/msp-host/bytes?count={count}&who={self.name}&n={self.n}"
        headers = [world.METADATA]
        if fresh:
            headers.append((b"Connection", b"close"))
        connection.sendall(wire.request(b"GET", target, self.address[0],
                                        headers))
        answer = wire.receive(connection, b"", False)[0]
        if answer is None:
            return "closed", True, False, False
        own = answer.status != 200 or \
            answer.body == bytes(i % 251 for i in range(count))
        return (answer.status, own, world.PASSED in answer.headers,
                (b"connection", b"close") not in answer.headers)

    def once(self, fresh):
        begin = time.time()
        if self.kept and begin - self.used > self.idle:
            # the agent may be about to close it
            self.kept.close()
            self.kept = None
        opened = begin if fresh else self.opened
        own, passed, keep = True, False, False
        connection = None if fresh else self.kept
        self.n += 1
        try:
            if connection is None:
                connection = wire.connect(self.address)
                opened = begin
            status, own, passed, keep = self.ask(connection, fresh)
        except (OSError, wire.Malformed) as e:
            status = outcome_of(e)
        keep = keep and not fresh
        if not keep and connection is not None:
            connection.close()
        if not fresh:
            self.kept = connection if keep else None
            self.opened = opened
            self.used = time.time()
        self.out.write(json.dumps({
            "client": self.name, "n": self.n, "fresh": fresh, "begin": begin,
            "end": time.time(), "opened": opened, "status": status,
            "own": own, "passed": passed}) + "\n")
        self.out.flush()

    def run(self):
        while True:
            self.once(True)
            self.once(False)
            time.sleep(PACE)


class Crowd:
    """All clients; what they must get is told by phases, see scenario.py."""

    def __init__(self, w):
        self.world = w
        self.path = w.path("crowd.jsonl")
        self.pids = []
        self.phases = []  # (time, {client: due}, answers)
        self.read_to = 0
        self.unjudged = []
        self.latest = {}  # by client and kind of connection

    def start(self):
        open(self.path, "a", encoding="ascii").close()
        for name in CLIENTS:
            pid = os.fork()
            if pid == 0:
                try:
                    self.become(name)
                finally:
                    os._exit(1)
            self.pids.append(pid)

    def become(self, name):
        signal.alarm(0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        out = open(self.path, "a", encoding="ascii")  # root's
        self.world.become(CLIENTS[name][0], True)
        # forgotten when the user changes, hence here
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        Client(name, out,
               self.world.config["idleTimeoutInSeconds"] / 2).run()

    def stop(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.pids = []

    def died(self):
        """Names of clients that are no more; stop() still ends them."""
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return [name for name, pid in zip(CLIENTS, self.pids)
                if os.waitid(os.P_PID, pid, how)]

    def phase(self, words, answers, first=False):
        """In force once each has got their due on both kinds of connection:
        what the past has left them with, they have noticed by then. For the
        first one nothing else is good enough."""
        asked = time.time()
        new = (asked, dict(words), set() if first else set(answers))
        while self.pids and time.time() < asked + SETTLE and \
                not self.has_settled(new):
            time.sleep(PACE / 4)
        self.phases.append((time.time(), dict(words), set(answers)))

    def has_settled(self, phase):
        self.read()
        judged = [name for name in CLIENTS if phase[1][name] != "free"]
        mine = [e for e in self.latest.values()
                if e["client"] in judged and e["begin"] > phase[0]]
        return len(mine) == 2 * len(judged) and \
            all(self.good(phase, e) for e in mine)

    def is_served(self):
        """Has each had their due in the latest phase?"""
        return self.has_settled(self.phases[-1])

    # ---- judgement --------------------------------------------------------
    def in_force(self, begin, end):
        """Phases that were in force at some time of that interval."""
        for i, phase in enumerate(self.phases):
            until = self.phases[i + 1][0] if i + 1 < len(self.phases) else end
            if phase[0] <= end and until >= begin:
                yield phase

    def read(self):
        """Whole lines that were not read before."""
        with open(self.path, "rb") as f:
            f.seek(self.read_to)
            data = f.read()
        whole = data[:data.rfind(b"\n") + 1]
        self.read_to += len(whole)
        for line in whole.splitlines():
            entry = json.loads(line)
            self.latest[entry["client"], entry["fresh"]] = entry
            self.unjudged.append(entry)

    @staticmethod
    def good(phase, entry):
        since, words, answers = phase
        status, due = entry["status"], words[entry["client"]]
        if not entry["own"]:
            return False
        if due == "free" or status in answers:
            return due != "refused" or status != 200
        if due == "refused":
            return status == 403
        if due != "served" and entry["opened"] < since:
            return status == 200  # it goes on where it went before
        return status == 200 and entry["passed"] == (due != "direct")

    def judge(self):
        """Sentences about answers that nobody must get."""
        self.read()
        entries, self.unjudged = self.unjudged, []
        for entry in entries:
            phases = list(self.in_force(entry["begin"], entry["end"]))
            if any(self.good(phase, entry) for phase in phases):
                continue
            wants = " or ".join(
                words[entry["client"]] + "".join(f", {a}" for a in
                                                 sorted(map(str, answers)))
                for _, words, answers in phases)
            yield f"{entry} although only this is right: {wants}"

    def seen(self):
        """Which answers each client got how often."""
        counts = {}
        if not self.pids:
            return counts
        with open(self.path, encoding="ascii") as f:
            for line in f:
                entry = json.loads(line)
                of = counts.setdefault(entry["client"], {})
                word = str(entry["status"]) + \
                    ("" if entry["passed"] or entry["status"] != 200
                     else " direct")
                of[word] = of.get(word, 0) + 1
        return counts
