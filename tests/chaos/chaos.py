#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build directory with tests/chaos, root. Out: an agent that is killed at
random points, while its disk, memory, clock, host and kernel fail, its rules
change, its key is reset and callers ask all the time; and whatever must never
be so, yet was. Must never touch the machine's network, clock, mounts or
cgroups.

    chaos.py BUILD
    CHAOS_SECONDS=1200       how long; 1,000 kills in 20 minutes
    CHAOS_SEED=1             the same seed is the same plan; else by chance
    CHAOS_KINDS='full kill'  only events of these kinds
    CHAOS_POLL=1             seconds between two polls; above 5 the key is not
                             reset, which nobody would notice sooner
    CHAOS_PLANT=1            plant what must never be so: it must fail
    V=1                      name each event
    KEEP=1                   leave the directory

After the end of a fault the agent has 10 seconds to be healthy again, and
where its programs are detached 5 to notice. On a machine with much else to do
seconds are longer: by as much as a fixed piece of work took longer meanwhile
than in the best of times, at most eight times.
"""
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "live")]

import wire  # noqa: E402 - found through the line above
import world  # noqa: E402
from world import Failed  # noqa: E402

import faults  # noqa: E402
import invariants  # noqa: E402
import machine  # noqa: E402
import plan  # noqa: E402
import traffic  # noqa: E402
from machine import ask  # noqa: E402

HEALTHY_S, NOTICED_S = 10, 5
KILLS_PER_SECOND = 1000 / 1200
LINKS = 6  # of the agent
PARTS = 10  # that the service manager keeps
SETTLE_S = 7  # in which what went past the agent is found
MOST_POLL = 5  # seconds
MOST_FAULTS = 20  # that are told
STEP_S = 0.02


class Churn:
    """Rules change and the key is reset, whatever else happens."""

    def __init__(self, run, seed):
        self.run = run
        self.rng = random.Random(f"churn {seed}")
        self.due = time.monotonic() + 1
        self.done = Counter()
        self.still = False

    def tend(self):
        now = time.monotonic()
        if self.still or now < max(self.due, self.run.direct_until):
            return
        self.due = now + 0.5 + self.rng.random() * 2
        try:
            self.turn()
        except (OSError, Failed):
            self.done["not done"] += 1  # the host is away

    def turn(self):
        w = self.run.world
        if self.rng.random() < 0.25 and self.run.poll <= MOST_POLL:
            w.control("POST", "/key/reset")
            self.done["resets"] += 1
            return
        for endpoint, item in self.rng.choice(faults.ITEMS).items():
            w.set_item(endpoint, item)
        self.done["rules"] += 1


class Run:
    """All of it."""

    def __init__(self, seconds, seed, kinds=(), verbose=False,
                 planted=False, poll=1):
        self.seconds, self.seed, self.planted = seconds, seed, planted
        self.kinds, self.verbose, self.poll = kinds, verbose, poll
        self.world = machine.Machine(
            imds=faults.ITEMS[0]["imds"],
            wireserver=faults.ITEMS[0]["wireserver"],
            config={"pollKeyStatusIntervalInSeconds": poll})
        w = self.world
        w.host_args += ["--state", w.path("host.state")]
        self.keys = invariants.Keys(w.disk("keys", "keys"))
        self.received = invariants.Received(w.path("record"), self.keys)
        self.trail = invariants.Trail(w.disk("log", "log"))
        self.traffic = traffic.Traffic(w, seed)
        self.pace = machine.Pace()
        self.churn = Churn(self, seed)
        self.faults = []
        self.fault_now = None
        self.events, self.deaths = Counter(), Counter()
        self.kills = self.starts = self.checks = 0
        self.longest = {}  # seconds, slower by kind
        self.noticed = []
        self.direct = 0
        self.direct_until = 0.0
        self.host_up = True

    # ---- the agent --------------------------------------------------------
    def start(self):
        self.keys.thread.start()
        self.world.start_host()
        self.world.start_mspd(wait=False)
        self.starts += 1
        world.wait_until(self.healthy, 30, "healthy at the start")
        self.traffic.start()

    def tend(self):
        """What a service manager does, and who looks on."""
        w = self.world
        if w.mspd.poll() is not None:
            self.died()
            self.start_again()
        self.churn.tend()
        self.pace.look()

    def died(self):
        """By itself."""
        status = self.world.mspd.returncode
        self.deaths[status] += 1
        if not (self.fault_now and self.fault_now.deaths and
                status == -signal.SIGKILL):
            self.faults.append(f"the agent ended by itself with {status}: " +
                               self.world.tail("mspd.out")[-700:])
            if len(self.faults) >= MOST_FAULTS:
                raise Failed("it does nothing but end")

    def start_again(self):
        self.keys.look()
        self.check_disk()
        self.world.start_mspd(wait=False)
        self.starts += 1
        if self.fault_now:
            self.fault_now.again()

    def kill(self, meanwhile=None):
        if self.world.mspd.poll() is not None:
            self.tend()
        self.world.mspd.kill()
        self.world.mspd.wait()
        self.kills += 1
        if meanwhile:
            meanwhile()
        self.start_again()

    def restart(self):
        status = self.world.stop_mspd()
        if status != 0:
            self.faults.append(f"the agent ended with {status} when it was "
                               "told to")
        self.start_again()

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, STEP_S))
            self.tend()

    # ---- what faults need -------------------------------------------------
    def fault(self, fields):
        self.world.control("POST", "/faults", faults.as_json(fields))

    def clear(self):
        self.world.control("DELETE", "/faults")

    def host_away(self):
        self.world.stop_host()

    def host_back(self):
        self.received.begin()
        self.world.start_host()

    def links(self, mask=None):
        """How many there were."""
        args = [self.world.built("tests/chaos/links"), self.world.cgroup]
        if mask is not None:
            args.append(hex(mask))
        return int(subprocess.run(args, stdout=subprocess.PIPE, check=True,
                                  env=self.world.environment()).stdout)

    def attached(self):
        """How many the agent has attached again, as its status says."""
        status = ask(self.world.disk("run", "run", "control.sock"), 2)
        return status["programs"]["attachedAgain"] if status else 0

    def calm(self):
        """The host has a key, without which it answers everybody, and nobody
        takes it away."""
        self.churn.still = True
        self.recover("before")
        world.wait_until(lambda: self.tend() or self.world.state()["latched"],
                         30, "a key at the host")

    def detach(self, mask):
        told = self.attached()
        before = self.links(mask)
        begin = time.monotonic()
        gone = before - self.links()
        if before != LINKS:
            self.faults.append(f"{before} programs were attached")
        while self.links() < LINKS:
            self.wait(STEP_S)
            if time.monotonic() - begin > NOTICED_S * self.pace.slower():
                self.faults.append(
                    f"programs that were detached ({mask:#x}) are so after "
                    f"{time.monotonic() - begin:.1f} s")
                break
        self.noticed.append((time.monotonic() - begin, self.pace.slower()))
        self.wait(STEP_S)
        if self.attached() < told + gone:
            self.faults.append("the status does not say that programs were "
                               "detached")

    # ---- how it is --------------------------------------------------------
    def healthy(self):
        w = self.world
        status = ask(w.disk("run", "run", "control.sock"), 2)
        if not status or status["pid"] != w.mspd.pid or \
                not status["healthy"] or not status["key"]["present"]:
            return False
        return all(e["redirection"] == "enforce" and
                   e["rules"]["source"] == "host"
                   for e in status["endpoints"]) and \
            len(w.names()) == PARTS

    def wait_healthy(self):
        """Seconds that it took; None: too many."""
        begin = time.monotonic()
        self.traffic.poll()
        self.traffic.served.clear()
        while True:
            self.tend()
            self.traffic.poll()
            if self.healthy() and all(
                    self.traffic.served[uid] for uid in
                    (traffic.ROOT, traffic.FIRST, traffic.SECOND)):
                return time.monotonic() - begin
            if time.monotonic() - begin > HEALTHY_S * self.pace.slower():
                return None
            time.sleep(STEP_S)

    def recover(self, kind):
        took = self.wait_healthy()
        slower = self.pace.slower()
        if took is None:
            status = ask(self.world.disk("run", "run", "control.sock"), 5)
            self.faults.append(
                f"not healthy {HEALTHY_S * slower:.0f} s after '{kind}': "
                f"served {dict(self.traffic.served)}, kept "
                f"{len(self.world.names())}, {json.dumps(status)[:1500]}")
            took = HEALTHY_S * slower
        self.longest[kind] = max(self.longest.get(kind, (0, 1)),
                                 (took, slower))

    # ---- what must never be so --------------------------------------------
    def add(self, found):
        self.faults += found

    def check_disk(self):
        """At any moment, above all where nobody runs."""
        self.checks += 1
        w = self.world
        for name in machine.DISKS:
            self.add(invariants.files(w.disk(name)))
        folder = w.disk("keys", "keys")
        if not os.path.isdir(folder):
            return
        self.add(invariants.folder_of_keys(folder))
        try:
            self.add(invariants.lost_key(w.state(), folder))
        except OSError:
            pass  # the host is away

    def check(self, fault):
        self.check_disk()
        self.received.poll()
        self.add(self.received.taken())
        self.check_direct(fault)
        self.traffic.poll()
        self.add(self.traffic.taken(fault.garbles))
        self.add(f"a caller, uid {uid}, has died"
                 for uid in self.traffic.died())
        self.trail.poll()
        self.add(self.trail.taken())
        self.add(invariants.verified(self.world.build,
                                     self.world.disk("log", "log")))

    def check_direct(self, fault):
        """Past the agent, which only some faults can bring about."""
        new = self.received.direct - self.direct
        self.direct = self.received.direct
        now = time.monotonic()
        if fault.direct:
            self.direct_until = now + SETTLE_S * self.pace.slower()
        elif new and now > self.direct_until:
            self.faults.append(f"{new} requests went past the agent")

    def plant(self):
        """What must never be so; for who wants to see it noticed."""
        w = self.world
        with open(w.disk("run", "status", "status.json"), "w",
                  encoding="ascii") as f:
            f.write("{")
        os.chmod(w.disk("log", "log", "audit.jsonl"), 0o644)
        with open(w.disk("log", "log", "audit.jsonl"), "r+b") as f:
            f.seek(self.trail.at)
            rest = f.read()
            f.seek(self.trail.at)
            f.write(rest.replace(b'"GET"', b'"PUT"'))
        w.control("POST", "/key/lose")
        request = wire.request(
            b"GET", "/metadata/instance", world.IMDS,
            [world.METADATA, (invariants.CLAIMS, b'{ "isRoot": "true"}')])
        w.call(wire.talk, (world.IMDS, 80), [request], inside=False)

    def noticed_what_is_planted(self, event):
        self.wait(0.5)  # so that there are records to edit
        self.plant()
        self.check(faults.Detach(self, event))
        self.tell_faults(0, "planted")
        return self.faults

    # ---- the time ---------------------------------------------------------
    def one(self, event):
        kind = event.kind
        fault = self.make_fault(event)
        before = len(self.faults)
        if fault.direct:
            self.calm()
        self.fault_now = fault
        fault.begin()
        begin = time.monotonic()
        for gap in event.kills:
            self.wait(gap)
            self.kill()
        self.wait(event.hold - (time.monotonic() - begin))
        fault.end()
        self.recover(kind)
        self.fault_now = None
        self.check(fault)
        self.churn.still = False
        self.events[kind] += 1
        self.tell_faults(before,
                         f"event {event.number} {kind} {event.what}")
        if self.verbose:
            print(f"  {time.monotonic() - self.begin:6.1f} s  "
                     f"{event.number} {kind} {event.what} "
                     f"{len(event.kills)} kills")

    def tell_faults(self, first, when):
        for text in self.faults[first:]:
            print(f"  FAILED: {when}: {text}")

    def make_fault(self, event):
        kind = faults.KINDS[event.kind]
        if kind is faults.Memory and not self.world.memory.path:
            return faults.AddressSpace(self, event._replace(what={"more": 0}))
        return kind(self, event)

    def is_over(self):
        return len(self.faults) >= MOST_FAULTS or (
            time.monotonic() - self.begin >= self.seconds and
            self.kills >= self.wanted())

    def wanted(self):
        if self.kinds:
            return 0
        return int(self.seconds * KILLS_PER_SECOND)

    def whole(self):
        """All of it; what was wrong."""
        print(f"  seed {self.seed}, {self.seconds:.0f} s; memory is "
                 "limited by " + (self.world.memory.file or
                                  "RLIMIT_AS, for want of a controller"))
        self.start()
        self.begin = time.monotonic()
        for event in plan.make(self.seed):
            if self.planted and self.events:
                return self.noticed_what_is_planted(event)
            if self.is_over():
                break
            if not self.kinds or event.kind in self.kinds:
                self.one(event)
        self.took = time.monotonic() - self.begin
        self.finish()
        self.tell()
        return self.faults

    def finish(self):
        before = len(self.faults)
        self.traffic.stop()
        self.traffic.poll()
        status = self.world.stop_mspd()
        if status != 0:
            self.faults.append(f"the agent ended with {status}")
        self.check(faults.Kill(self, plan.Event(0, plan.KILL, 0, (), {})))
        for what, number in (("signed requests", self.received.signed),
                             ("records", self.trail.records),
                             ("refusals", self.traffic.answers["no right",
                                                               "403"])):
            if not number:
                self.faults.append(f"there were no {what}")
        self.tell_faults(before, "at the end")

    def tell(self):
        answers = self.traffic.answers
        print(f"  {self.kills:,} kills, {self.starts:,} starts, "
              f"{sum(self.events.values())} events in {self.took:.0f} s: " +
              ", ".join(f"{n} {k}" for k, n in self.events.most_common()))
        print(f"  by itself: {dict(self.deaths)}; {self.churn.done['rules']} "
              f"changes of rules, {self.churn.done['resets']} of the key, "
              f"{len(self.keys.known)} keys seen")
        for whose in "a right", "at times", "no right":
            words = sorted((n, word) for (w, word), n in answers.items()
                           if w == whose)[::-1]
            print(f"  callers with {whose}: {sum(n for n, _ in words):,} "
                  "requests: " +
                  ", ".join(f"{n:,} {word}" for n, word in words))
        print(f"  host: {self.received.signed:,} signed requests checked, "
              f"{self.received.channel:,} of the key channel, "
              f"{self.received.direct:,} past the agent")
        print(f"  trail: {self.trail.records:,} records, {self.trail.torn} "
              f"torn; files looked at {self.checks:,} times")
        print("  longest to healthy: " + ", ".join(
            f"{k} {took:.1f} s (machine {slower:.1f}x)"
            for k, (took, slower) in sorted(self.longest.items(),
                                            key=lambda x: -x[1][0])))
        if self.noticed:
            took, slower = max(self.noticed)
            print(f"  detached {len(self.noticed)} times, repaired after "
                  f"{took:.1f} s at most (machine {slower:.1f}x)")

    def close(self):
        self.traffic.stop()
        self.keys.stop()
        self.world.close()


def main():
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("the chaos suite needs root, to load eBPF programs")
        print("0 passed, 0 failed, 1 skipped")
        return 77
    world.World.build = os.path.abspath(sys.argv[1])
    os.chdir("/")
    os.umask(0o022)
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    machine.isolate()
    run = Run(float(os.environ.get("CHAOS_SECONDS") or 1200),
              int(os.environ.get("CHAOS_SEED") or
                  random.SystemRandom().randrange(1 << 32)),
              os.environ.get("CHAOS_KINDS", "").split(),
              verbose=bool(os.environ.get("V")),
              planted=bool(os.environ.get("CHAOS_PLANT")),
              poll=float(os.environ.get("CHAOS_POLL") or 1))
    try:
        found = run.whole()
    except (Failed, OSError, subprocess.SubprocessError) as e:
        found = [f"{type(e).__name__}: {e}"]
        print(f"  FAILED: {found[0]}; " + run.world.tail("mspd.out")[-1500:])
    finally:
        run.close()
    print("%d passed, %d failed, 0 skipped" % (not found, bool(found)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
