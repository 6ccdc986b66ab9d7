#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build directory with soak_fleet, root. Out: mspd and many other agents
lived with one msp-host at real intervals, through resets and faults; whole at
the end, and no larger than in the first half. Must never run on the
machine's own network, nor judge how fast anything was.

    soak.py BUILD
    MINUTES=20 AGENTS=300 SEED=1
"""
import json
import os
import random
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import world  # noqa: E402 - it is found through the line above
from world import Failed  # noqa: E402

POLL_S = 15
EVENT_S = 4
SAMPLE_S = 10
FLEET = "127.64.0.0/16"
# At the end there may be so much more than at the most in the first half: a
# share, and this. A leak of one thing per request is far above it.
GROWTH, GROWTH_KIB, GROWTH_FDS = 0.10, 4096, 32
# Each is met by a few requests only, whosoever they are.
FAULTS = [
    {"name": "delay", "ms": 2000}, {"name": "hang"}, {"name": "close"},
    {"name": "close", "handled": False}, {"name": "reset"},
    {"name": "close-body"}, {"name": "garbage"}, {"name": "drip"},
    {"name": "500"}, {"name": "503"}, {"name": "429"},
    {"name": "truncated-json"}, {"name": "utf-16"}, {"name": "wrong-types"},
    {"name": "guid-changed"}, {"name": "key-bad-hex"},
    {"name": "huge-headers"}, {"name": "clock-skew", "seconds": 7200}]
MET = 20


class Soak:
    """A world, a fleet in it, and what happens to them."""

    def __init__(self):
        self.minutes = float(os.environ.get("MINUTES") or 20)
        self.agents = int(os.environ.get("AGENTS") or 300)
        self.random = random.Random(os.environ.get("SEED") or "1")
        rules = world.grant(["/"], {"root": {"userName": "root"}})
        self.world = world.World(
            imds=world.item(access="deny", rules=rules),
            wireserver=world.item(), host_args=["--fleet", FLEET],
            config={"pollKeyStatusIntervalInSeconds": POLL_S,
                    "fileLogLevel": "Info"})
        self.fleet = None
        self.samples = []
        self.answers = {}

    def start(self):
        self.world.start()
        self.fleet = subprocess.Popen(
            [os.path.join(self.world.build, "tests/bench/soak_fleet"),
             f"{world.WIRESERVER}:80", f"{world.IMDS}:80", str(self.agents),
             str(POLL_S * 1000), self.world.path("fleet")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=self.world.environment(), text=True)
        if self.fleet.stdout.readline() != "latched\n":
            raise Failed("the fleet did not latch")

    def close(self):
        if self.fleet and self.fleet.poll() is None:
            self.fleet.kill()
            self.fleet.wait()
        self.world.close()

    # ---- what happens -----------------------------------------------------
    def some_vm(self):
        number = self.random.randrange(self.agents) + 1
        return "vm-127-64-%d-%d" % divmod(number, 256)

    def reset(self):
        self.world.control("POST", f"/key/reset?vm={self.some_vm()}")

    def reset_ours(self):
        self.world.control("POST", "/key/reset")

    def lose(self):
        """A key nobody has, until the next reset."""
        vm = self.some_vm()
        self.world.control("POST", f"/key/lose?vm={vm}")
        self.world.control("POST", f"/key/reset?vm={vm}")

    def switch(self):
        vm = self.some_vm()
        for word in ("false", "true"):
            self.world.control("POST", f"/channel?vm={vm}&enabled={word}")

    def fault(self):
        spec = dict(self.random.choice(FAULTS), count=MET)
        self.world.control("POST", "/faults", json.dumps(spec).encode())

    def clear(self):
        self.world.control("DELETE", "/faults")

    def look(self):
        """The largest answers the host gives."""
        self.world.control("GET", "/vms")
        self.world.control("GET", "/journal?limit=1000")

    def happen(self):
        self.random.choice([self.reset, self.reset, self.reset_ours, self.lose,
                            self.switch, self.fault, self.fault, self.clear,
                            self.look])()

    def ask(self):
        """The one user gets an answer or none, the other never gets one."""
        for uid in (0, world.NOBODY):
            try:
                answer = self.world.get(world.INSTANCE, uid=uid)
                status = answer.status if answer else 0
            except OSError:
                status = 0
            self.answers[uid, status] = self.answers.get((uid, status), 0) + 1
            if uid and status == 200:
                raise Failed("a user without the right was served")

    # ---- what it costs ----------------------------------------------------
    def sample(self):
        out = {}
        for name, pid in (("mspd", self.world.mspd.pid),
                          ("msp-host", self.world.host.pid),
                          ("fleet", self.fleet.pid)):
            with open(f"/proc/{pid}/statm", encoding="ascii") as f:
                kib = int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")
            out[name] = (kib // 1024, len(os.listdir(f"/proc/{pid}/fd")))
        self.samples.append(out)

    def run(self):
        end = time.monotonic() + self.minutes * 60
        event = sample = time.monotonic()
        while time.monotonic() < end:
            if time.monotonic() >= event:
                event += EVENT_S
                self.happen()
            if time.monotonic() >= sample:
                sample += SAMPLE_S
                self.sample()
            self.ask()
            time.sleep(1)

    # ---- the end ----------------------------------------------------------
    def recover(self):
        pid = self.world.mspd.pid
        self.clear()
        # every agent has seen every reset
        time.sleep(2 * POLL_S)
        self.world.wait_ready()
        if self.world.verdict() != "verified":
            raise Failed("mspd's request was " + self.world.verdict())
        if self.world.mspd.pid != pid or self.world.mspd.poll() is not None:
            raise Failed("mspd was started again")
        self.sample()

    def judge_fleet(self):
        out = self.fleet.communicate()[0]
        said = dict(line.split("\t") for line in out.splitlines())
        print("  " + ", ".join(f"{v} {k}" for k, v in said.items()))
        if self.fleet.returncode:
            raise Failed("the fleet is not whole at the end")
        due = self.minutes * 60 / POLL_S
        if int(said["polls at least"]) < due / 2:
            raise Failed(f"an agent has not polled {due / 2} times")

    def flat(self, name):
        half = [s[name] for s in self.samples[:len(self.samples) // 2 + 1]]
        kib, fds = (max(values) for values in zip(*half))
        late_kib, late_fds = self.samples[-1][name]
        print(f"  {name}: {kib} -> {late_kib} KiB, "
              f"{fds} -> {late_fds} descriptors")
        return (late_kib <= kib * (1 + GROWTH) + GROWTH_KIB and
                late_fds <= fds * (1 + GROWTH) + GROWTH_FDS)

    def judge(self):
        self.recover()
        names = [n for n in ("mspd", "msp-host", "fleet") if not self.flat(n)]
        print("  answers: " + ", ".join(
            f"{n} x {status or 'none'} for {uid}"
            for (uid, status), n in sorted(self.answers.items())))
        self.judge_fleet()
        if names:
            raise Failed("grew all along: " + ", ".join(names))
        if self.world.stop_mspd() != 0:
            raise Failed("mspd did not end well")


def main():
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("the soak needs root, to load eBPF programs")
        print("0 passed, 0 failed, 1 skipped")
        return 77
    world.World.build = os.path.abspath(sys.argv[1])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    world.enter_namespace()
    soak = Soak()
    try:
        soak.start()
        soak.run()
        soak.judge()
    except (Failed, OSError) as e:
        print(f"  FAILED: {e}")
        print(soak.world.tail("mspd.out"))
        print("0 passed, 1 failed, 0 skipped")
        return 1
    finally:
        soak.close()
    print("1 passed, 0 failed, 0 skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
