#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build directory, one scenario, root. Out: a world in which its steps
were taken while clients kept asking, and everything that was not right. Must
never run on the machine's own network.

    scenario.py BUILD FILE   exit status 0, or 1 and what went wrong
    SCALE=60                 how much faster than real all times are
    KEEP=1                   leave the directory of the world

A scenario is a JSON object:
  shows     one sentence: the behaviour that would be missed
  steps     list of steps, below
  host      further arguments of msp-host
  config    keys of mspd's configuration; those that end in InSeconds are
            given in real seconds, and scaled
  profiles  {"imds": item, "wireserver": item}; null: the option is not given.
            Default: IMDS enforced for root and daemon on all paths, and
            WireServer enforced
  begin     what is started before the first step, default ["host", "mspd"];
            mspd is then waited for and the first phase begins
  phase     the first one, default "enforced"
  answers   what clients may get beside their due, see phase
  excused   reasons for which the host may refuse a signature, where there
            must be none: ["signature"]
  soak      true: "make soak" runs it too, at SCALE=1

While the steps are taken, four clients ask all along, each on a new and on a
kept connection: daemon@imds, nobody@imds, root@wireserver, nobody@wireserver.
A phase says what is each one's due: "served" (200 with its own body, through
the agent, verified by the host), "audited" (likewise, but what was connected
past the agent before may go on), "refused" (403, and the host never sees it
signed), "direct" (200, past the agent but for what was connected to it
before), "free" (not judged). A phase begins when all have had their due once
on both kinds of connection, or after some seconds; an answer is judged by the
phases it was under way in.

Steps; values that are expected are written as expect.py says, $NAME is a
variable, and paths into documents are dotted ("a.0.b"):
  {"control": "POST /key/reset", "body": ..}    call of the control port;
      "status": 200, "expect": {path: value}
  {"arm": "PUT $VM", "body": ..}                call of ARM; as above, and
      "code", "message" of the error, "api": "2024-03-01"
  {"gallery": {"1.0.0": {"rules": ..}}}         PROFILE with these versions,
      whose properties are enforce, deny, and what is given
  {"fault": {"name": "hang", ..}, "as": "F"}    its number is $F afterwards
  {"clear": "$F"} {"clear": "all"}              a fault, or all
  {"request": "GET /x", "of": "imds", "as": "nobody"}
      of: imds, wireserver, hostga, listener; as: root, daemon, nobody;
      "inside": false (not in the agent's cgroup), "headers": {}, "body": text,
      "metadata": false (no such header), "source": "127.0.0.2" (address it
      comes from), "sign": "GUID" (with the key file of that name), "skew":
      seconds (dated so far ahead), "drip": N (the last N bytes come slowly);
      expected: "status": 200, or a word: refused, reset, closed (without an
      answer), cut (not HTTP), timeout, denied (by the kernel); "expect":
      {path: value}, "body" being all of it; "through": true (the agent
      answered); "verdict": of the host, as "bad:stale", null: it never came
      there;
      "begin": "A" lets it run beside the steps until
  {"join": "A", "status": 200, ..}              which judges it
  {"status": {path: value}}                     aggregate status of the agent
  {"state": {path: value}, "vm": "B"}           of the host, GET /state
  {"audit": {field: value}, "count": {"min": 1}}   records of the audit trail
  {"seen": {field: value}, "count": 0}          entries of the host's journal
  {"said": {"contains": "x"}, "in": "mspd.out"} lines of a log, default
      log/ProxyAgent.log; these three since the last
  {"mark": true}
  {"files": "keys/*", "count": 1}               in the directory of the world
  {"growth": {"rss_mib": {"max": 8}}}           of mspd since it was started;
      also "fds"
  {"remember": {"GUID": "state.guid"}, "vm": "B"}   or "status.PATH"
  {"keys": "remove", "guid": "$G"}  key files: also tear, empty, wrong (another
      key), other (another VM's file under this name), not-hex; copy (to sign
      with later); restore (as it was before the first of these)
  {"mspd": "stop"} kill, start ("wait": false)   {"host": "stop"} kill, start
  {"report": 0}                                 msp-host report, exit status
  {"minutes": 10}                               of real time, scaled
  {"phase": "enforced", "answers": [503]}       from here on; also "audited",
      "direct", "free", or {client: due, ..} for those that change; answers:
      beside those of the scenario
  {"eventually": [steps], "within": 10}         until all hold, in minutes

In JSON {"$item": "id", "mode": "audit", "access": "deny", "allow": ["root"],
"paths": ["/"]} stands for a rule item, {"$rules": ["root"], "paths": ["/"]}
for the rules alone. Variables that are always there: VM, GALLERY, PROFILE
(an IMDS profile in it), COMPUTE (what they begin with), NAME (of the VM),
INSTANCE (target of the instance document), DIR (of the world).

At the end faults are cleared, and mspd must become healthy by itself: each
client has asked, got its due and nothing else, the status says so,
descriptors and memory have not grown, nothing has crashed, and it ends when it
is told to.
"""
import json
import os
import re
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import crowd  # noqa: E402 - it is found through the line above
import verbs  # noqa: E402
import world  # noqa: E402
from expect import fill  # noqa: E402
from world import Failed  # noqa: E402

SCALE = float(os.environ.get("SCALE", "60"))
LIMIT = 150  # seconds for a scenario at scale 60
GROUP = ("/subscriptions/8d10da13-8125-4ba9-a717-bf7490507b3d/resourceGroups/"
         "msp-host-rg/providers/Microsoft.Compute")
GALLERY = GROUP + "/galleries/fleet"
VARIABLES = {"COMPUTE": GROUP, "NAME": "msp-host-vm",
             "VM": GROUP + "/virtualMachines/msp-host-vm",
             "GALLERY": GALLERY, "INSTANCE": world.INSTANCE,
             "PROFILE": GALLERY + "/inVMAccessControlProfiles/imdsLinux"}
PROFILES = {"imds": {"$item": "imds-first", "access": "deny",
                     "allow": ["root", "daemon"]},
            "wireserver": {"$item": "wireserver-first"}}
# The host's answer to an identity lookup does not get faster.
UNSCALED = {"identityTimeoutInSeconds"}
CONFIG = {"pollKeyStatusIntervalInSeconds": 15, "idleTimeoutInSeconds": 60,
          "upstreamTimeoutInSeconds": 60, "requestHeaderTimeoutInSeconds": 30}
CRASH = re.compile(r"Sanitizer|runtime error:|Assertion|assertion|"
                   r"double free|corrupt(ed|ion)|stack smashing|\bSEGV\b")
GROWTH = {"rss_mib": {"max": 24}, "fds": {"max": 24}}
CALM = 1.0  # seconds in which everybody gets their due and nothing else


def rules_for(users, paths):
    return world.grant(paths, {u: {"userName": u} for u in users})


def expand(value):
    """Rule items and rules written out."""
    if isinstance(value, list):
        return [expand(v) for v in value]
    if not isinstance(value, dict):
        return value
    paths = value.get("paths", ["/"])
    if "$rules" in value:
        return rules_for(value["$rules"], paths)
    if "$item" not in value:
        return {k: expand(v) for k, v in value.items()}
    rules = rules_for(value["allow"], paths) if "allow" in value else None
    return world.item(value.get("mode", "enforce"),
                      value.get("access", "allow"), value["$item"], rules)


class Scenario:

    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            self.text = expand(json.load(f))
        self.name = os.path.splitext(os.path.basename(path))[0]
        unknown = set(self.text) - {
            "shows", "steps", "host", "config", "profiles", "begin",
            "answers", "soak", "phase", "excused"}
        if unknown or not self.text["shows"] or not self.text["steps"]:
            raise Failed(f"{path}: not a scenario: {sorted(unknown)}")
        verbs.check(self.text["steps"])
        self.variables = dict(VARIABLES)
        self.begun = {}
        self.backup = {}  # of key files that were changed
        self.outside = set()  # targets that were asked for past the agent
        self.down = {"host", "mspd"}
        self.words = dict(crowd.PHASES["free"])
        self.stretches = []  # [words, first byte, last byte] of the journal
        self.marks = {"audit": 0, "seen": 0, "log": 0}
        self.at_start = None
        profiles = {**PROFILES, **self.text.get("profiles", {})}
        self.world = world.World(
            config=self.config(),
            **{k: expand(v) for k, v in profiles.items()})
        self.variables["DIR"] = self.world.dir
        self.world.host_args += self.fill(self.text.get("host", [])) + [
            "--journal", self.world.path("journal.jsonl")]
        self.crowd = crowd.Crowd(self.world)

    def config(self):
        return {k: v if k in UNSCALED or not k.endswith("InSeconds")
                else self.scaled(v)
                for k, v in {**CONFIG, **self.text.get("config", {})}.items()}

    @staticmethod
    def scaled(seconds):
        return seconds / SCALE

    def fill(self, value):
        return fill(value, self.variables)

    # ---- what there is to see ---------------------------------------------
    def read_text(self, name):
        try:
            return self.world.read(name).decode("utf-8", "replace")
        except OSError:
            return ""

    def seen_size(self):
        try:
            return os.path.getsize(self.world.path("journal.jsonl"))
        except OSError:
            return 0

    def seen(self, since, until=None):
        """Whole entries of the journal between two of its sizes."""
        data = self.read_text("journal.jsonl").encode()[since:until]
        lines = data[:data.rfind(b"\n") + 1].splitlines()
        return [json.loads(line) for line in lines]

    def audit(self):
        """Clients keep asking, so there is no end of records to wait for: they
        are gathered for 50 ms, and one that is wanted is older."""
        time.sleep(0.1)
        try:
            data = self.world.read("log", "audit.jsonl")
        except OSError:
            return []
        lines = data[:data.rfind(b"\n") + 1].splitlines()
        return [json.loads(line) for line in lines]

    def status(self):
        """Of the agent; where nothing leads to it, of its file."""
        answer = self.world.get("/gpa-aggregated-status", world.WIRESERVER)
        if answer and answer.status == 200 and \
                b"proxyAgentStatus" in answer.body:
            return json.loads(answer.body)
        return json.loads(self.world.read("status", "status.json"))

    def mark(self):
        self.marks = {"audit": len(self.audit()), "seen": self.seen_size(),
                      "log": len(self.read_text("log/ProxyAgent.log"))}

    def usage(self):
        pid = self.world.mspd.pid
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            rss = next(int(line.split()[1]) for line in f
                       if line.startswith("VmRSS:"))
        return {"pid": pid, "rss_mib": rss / 1024,
                "fds": len(os.listdir(f"/proc/{pid}/fd"))}

    def growth(self):
        """Since it was first seen well; of another process: since now."""
        now = self.usage()
        if not self.at_start or self.at_start["pid"] != now["pid"]:
            self.at_start = now
        return {k: now[k] - self.at_start[k] for k in ("rss_mib", "fds")}

    # ---- judging ----------------------------------------------------------
    def set_phase(self, phase, answers=None, first=False):
        words = crowd.PHASES[phase] if isinstance(phase, str) else phase
        unknown = set(words) - set(crowd.CLIENTS)
        if unknown:
            raise Failed(f"phase: no such client: {unknown}")
        if self.stretches:
            self.stretches[-1][2] = self.seen_size()
        self.words = {**self.words, **words}
        self.crowd.phase(self.words, self.text.get("answers", []) +
                         (answers or []), first)
        self.stretches.append([self.words, self.seen_size(), None])
        if "served" in self.words.values() and "mspd" not in self.down:
            self.growth()  # what it is compared with, if it was restarted

    def check_processes(self):
        for name in {"host", "mspd"} - self.down:
            process = getattr(self.world, name)
            if process.poll() is not None:
                raise Failed(f"{name} ended with {process.returncode}")
        died = self.crowd.died()
        if died:
            raise Failed(f"clients are gone: {died}")

    def check(self):
        self.check_processes()
        faults = list(self.crowd.judge())
        if faults:
            raise Failed("\n".join(faults[:5]) +
                         (f"\nand {len(faults) - 5} more"
                          if len(faults) > 5 else ""))

    def judge_entry(self, words, entry):
        """Is it right that the host saw this?"""
        place = "imds" if entry["endpoint"] == "IMDS" else "wireserver"
        user = "daemon" if place == "imds" else "root"
        own = re.search(r"[?&]who=([a-z@]+)", entry["target"])
        if own and words[own.group(1)] == "refused" and \
                entry["verdict"] == "verified":
            return False
        if words[f"{user}@{place}"] != "served" or entry["status"] >= 300 or \
                entry["target"] in self.outside or \
                entry["target"].startswith("/secure-channel/") or \
                re.match(r"/vmAgentLog|/machine/\?comp=telemetrydata",
                         entry["target"]):
            return True
        # a host that knows no key yet takes any; else it was no 2xx
        return entry["verdict"] == "verified" or \
            entry["reason"] in ("no-key", "incarnation", "other-vm")

    def judge_seen(self):
        excused = self.text.get("excused", [])
        for entry in self.seen(0):
            if entry["reason"] == "signature" and \
                    "signature" not in excused:
                yield f"a signature was wrong: {entry}"
        for words, since, until in self.stretches:
            for entry in self.seen(since, until):
                if not self.judge_entry(words, entry):
                    yield f"the host must not have seen this: {entry}"

    # ---- the course of it -------------------------------------------------
    def begin(self):
        parts = self.text.get("begin", ["host", "mspd"])
        if "host" in parts:
            self.world.start_host()
            self.down.discard("host")
        self.crowd.phase(self.words, self.text.get("answers", []))
        self.crowd.start()
        if "mspd" not in parts:
            return
        self.world.start_mspd()
        self.down.discard("mspd")
        self.set_phase(self.text.get("phase", "enforced"), first=True)
        self.growth()

    def run(self):
        step, number = None, "the start"
        try:
            self.begin()
            for i, step in enumerate(self.text["steps"], 1):
                number = f"step {i}"
                verbs.do(self, step)
                self.check()
            step, number = None, "the end"
            self.end()
        except Exception as e:
            if not isinstance(e, Failed):
                traceback.print_exc(file=sys.stdout)
            print(f"{self.name}: {number}"
                  f"{': ' + json.dumps(step)[:600] if step else ''}\n"
                  f"{type(e).__name__}: {e}")
            self.print_tails()
            return False
        return True

    def healthy(self):
        """Raises Failed until everybody gets their due."""
        status = self.status()
        verbs.differ({"proxyAgentStatus.status": "SUCCESS",
                      "proxyAgentStatus.keyLatchStatus.status": "RUNNING",
                      "proxyAgentStatus.keyLatchStatus.message":
                      {"not": {"contains": "Failed"}}},
                     status, "aggregate status")
        for name, (_, address) in crowd.CLIENTS.items():
            user, place = name.split("@")
            word = self.words[name]
            if word == "free":
                raise Failed(f"the scenario does not say what {name} gets in "
                             "the end")
            due = {"served": {"through": True, "verdict": "verified"},
                   "audited": {"through": True, "verdict": "verified"},
                   "direct": {"through": False, "verdict": "unsigned"},
                   "refused": {"status": 403, "verdict": None}}[word]
            verbs.request(self, {
                "request": f"GET /msp-host/bytes?count=7&of={address}",
                "of": place, "as": user, **due})

    def end(self):
        if self.down or self.begun:
            raise Failed(f"left by the scenario: {self.down} {self.begun}")
        self.check_processes()
        verbs.control(self, {"control": "DELETE /faults"})
        verbs.control(self, {"control": "DELETE /status/raw"})
        world.wait_until(self.is_healthy, verbs.EVENTUALLY_LEAST +
                         self.scaled(600), "healthy again")
        self.text["answers"] = []
        self.set_phase({})
        time.sleep(CALM)
        self.check()
        # clients that hang, or never asked, have nothing that could be judged
        world.wait_until(self.crowd.is_served, crowd.SETTLE,
                         "all clients have asked and got their due")
        self.check()
        self.crowd.stop()
        faults = list(self.judge_seen())
        if faults:
            raise Failed("\n".join(faults[:5]))
        self.judge_usage()
        self.judge_end()

    def is_healthy(self):
        try:
            self.healthy()
            return True
        except (Failed, OSError, ValueError) as e:
            self.variables["UNWELL"] = str(e)
            return False

    def judge_usage(self):
        def small():
            return not list(verbs.differences(GROWTH, self.growth()))
        try:
            world.wait_until(small, 10)
        except Failed:
            raise Failed(f"mspd has grown: {self.growth()}") from None

    def judge_end(self):
        ended = self.world.stop_mspd()
        if ended != 0:
            raise Failed(f"mspd ended with {ended}")
        self.world.host.terminate()
        if self.world.host.wait(10) != 0:
            raise Failed(f"msp-host ended with {self.world.host.returncode}")
        for name in ("mspd.out", "host.out"):
            found = CRASH.search(self.read_text(name))
            if found:
                raise Failed(f"{name}: {found.group(0)}")

    def print_tails(self):
        if "UNWELL" in self.variables:
            print("last seen unwell:", self.variables["UNWELL"])
        print("clients:", json.dumps(self.crowd.seen()))
        for name in ("log/ProxyAgent.log", "mspd.out", "host.out",
                     "journal.jsonl"):
            lines = self.read_text(name).splitlines()[-8:]
            print(f"---- {name}")
            print("\n".join(line[:300] for line in lines))

    def close(self):
        self.crowd.stop()
        self.world.close()


class TooLong(Exception):
    """Not Failed, after which "eventually" would try again."""


def too_long(signum, frame):
    raise TooLong


def interrupted(signum, frame):
    # once: cleaning up must not be cut short by who kills the whole group
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    if len(sys.argv) != 3:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    world.World.build = os.path.abspath(sys.argv[1])
    path = os.path.abspath(sys.argv[2])
    os.chdir("/")
    os.umask(0o022)
    world.enter_namespace()
    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGINT, interrupted)
    signal.alarm(int(LIMIT * max(1.0, 60 / SCALE)))
    scenario = None
    try:
        scenario = Scenario(path)
        return 0 if scenario.run() else 1
    except KeyboardInterrupt:
        return 130
    finally:
        signal.alarm(0)
        if scenario:
            scenario.close()
        for left in list(world.World.open):
            left.close()


if __name__ == "__main__":
    sys.exit(main())
