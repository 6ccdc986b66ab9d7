#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build directory with tests/soak, root. Out: mspd at half of what it can
do, while others misbehave in every way: each answer compared, each request
found in the audit trail, memory and descriptors at the end as they were. Must
never run on the machine's own network, nor judge how fast anything was.

    soak_abuse.py BUILD
    MINUTES=30 SEED=1        the seed is what others do, and when
    BROKEN=1                 an agent that leaks and loses lines, and a host
                             that mixes answers up: must fail
"""
import json
import os
import signal
import statistics
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "live")]

import world  # noqa: E402 - found through the line above
from world import DAEMON, IMDS, NOBODY, Failed  # noqa: E402

import abuse  # noqa: E402
import trail  # noqa: E402

IMDS_OF_HOST = "127.0.0.1:4080"  # not asked: ours is what it stands for
# Who misbehaves; the last has no right to anything.
ABUSERS = (DAEMON, 2, 3, 4, 6)
GRANTED = ("nobody", "root", "daemon", "bin", "sys", "sync")
CONNECTIONS = 64
SAMPLE_S, SETTLE_S, WEAK_SETTLE_S = 1, 90, 2
SWAP = 3000
# Of memory, between the first and the last third of the time that counts: one
# byte for each request would be more in half an hour. In a short time there
# are more or less slow connections by chance.
GROWTH_MB, SHORT_GROWTH_MB, SHORT_S = 0.5, 4.0, 120
EXCUSED = 0.01


class Agent(world.World):
    """Its host's IMDS is not msp-host's; weak: see preload_weak.c."""

    weak = starting = False

    def environment(self):
        env = super().environment()
        if self.weak and self.starting:
            env["LD_PRELOAD"] = self.built("tests/live/preload_weak.so")
        return env

    def start_mspd(self, wait=True):
        self.starting = True
        super().start_mspd(wait=False)
        self.starting = False
        if wait:
            self.wait_ready()

    def is_ready(self):
        if self.mspd.poll() is not None:
            raise Failed(f"mspd ended with {self.mspd.returncode}")
        try:
            answer = self.get(trail.PATH + "ready")
            return answer and world.PASSED in answer.headers
        except OSError:
            return False


class Soak:
    """config: of mspd, besides."""

    def __init__(self, seconds, peak_s, seed=1, weak=False, config=None,
                 say=print):
        self.seconds, self.peak_s = seconds, peak_s
        self.seed, self.weak, self.say = seed, weak, say
        rules = world.grant(["/metadata/soak"], {
            name: {"userName": name} for name in GRANTED})
        self.world = Agent(
            imds=world.item(access="deny", rules=rules),
            wireserver=world.item(), host_args=["--imds", IMDS_OF_HOST],
            config={"pollKeyStatusIntervalInSeconds": 15,
                    "fileLogLevel": "Info", "requestBurstPerUser": 1000000,
                    "requestsPerSecondPerUser": 1000000,
                    **(config or {})})
        self.world.weak = weak
        self.host = self.load = None
        self.abusers = []
        self.trail = trail.Trail(self.world.path("log"))
        self.samples = []
        self.asked = self.right = self.excused = self.next = 0
        self.faults = []

    # ---- processes --------------------------------------------------------
    def start(self):
        with open(self.world.path("host.err"), "ab") as err:
            self.host = subprocess.Popen(
                [self.world.built("tests/soak/host"), f"{IMDS}:80",
                 self.world.path("abuse.bin"), *([str(SWAP)] * self.weak)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err,
                text=True)
        if self.host.stdout.readline() != "ready\n":
            raise Failed("the host did not start")
        self.world.start()
        self.before = self.settled()

    def start_load(self, rate, seconds):
        with open(self.world.path("load.err"), "ab") as err:
            return self.begin_load(rate, seconds, err)

    def begin_load(self, rate, seconds, err):
        return subprocess.Popen(
            [self.world.built("tests/soak/load"), f"{IMDS}:80",
             str(CONNECTIONS), f"{rate:.1f}", str(seconds), str(self.next),
             str(self.seed + self.next)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=err, text=True,
            preexec_fn=lambda: self.world.become(NOBODY, True))

    def take_load(self, process):
        out = json.loads(process.communicate()[0])
        self.asked += out["asked"]
        self.right += out["right"]
        self.excused += out["excused"]
        self.next = out["next"]
        for what in ("wrong", "lost"):
            if out[what]:
                self.faults.append(f"{out[what]} answers {what}: " +
                                   self.world.tail("load.err")[-500:])
        return out["rate"]

    def start_abuser(self, uid):
        pid = os.fork()
        if pid == 0:
            try:
                self.world.become(uid, True)
                abuse.Abuser(f"{self.seed} {uid}", uid << 40).run()
            finally:
                os._exit(1)
        self.abusers.append(pid)

    def stop_abusers(self):
        for pid in self.abusers:
            if os.waitpid(pid, os.WNOHANG) != (0, 0):
                self.faults.append("one who misbehaved ended early")
                continue
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.abusers = []

    def close(self):
        for pid in self.abusers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for process in (self.load, self.host):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        self.world.close()

    # ---- what it costs ----------------------------------------------------
    def memory_mb(self):
        """PSS, and of it what is the agent's alone: its part of libraries
        grows whenever another process that uses them ends."""
        with open(f"/proc/{self.world.mspd.pid}/smaps_rollup",
                  encoding="ascii") as f:
            kib = {line.split()[0]: line.split()[1] for line in f}
        return [int(kib[name]) * 1024 / 1e6 for name in ("Pss:", "Pss_Anon:")]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.world.mspd.pid}/fd"))

    def settled(self):
        """Descriptors once they do not change."""
        last = [None, 0]

        def steady():
            now = self.descriptors()
            last[1] = last[1] + 1 if now == last[0] else 0
            last[0] = now
            return last[1] > 10 and now
        return world.wait_until(steady, 30, "descriptors at rest")

    # ---- the time ---------------------------------------------------------
    def follow(self, process, start=None):
        """Read the trail until that one ends; sample from start on."""
        due = start
        while process.poll() is None:
            self.trail.poll()
            if start and time.monotonic() >= due:
                due += SAMPLE_S
                self.samples.append((time.monotonic() - start,
                                     *self.memory_mb(), self.descriptors()))
            time.sleep(0.05)
        return self.take_load(process)

    def run(self):
        self.load = self.start_load(0, self.peak_s)
        peak = self.follow(self.load)
        self.say(f"  seed {self.seed}, peak {peak:,.0f} requests/s, half of "
                 f"it for {self.seconds} s")
        for uid in ABUSERS:
            self.start_abuser(uid)
        self.load = self.start_load(peak / 2, self.seconds)
        self.rate = self.follow(self.load, time.monotonic())
        self.stop_abusers()

    def finish(self):
        """Whoever is gone is forgotten; then all is told."""
        start = time.monotonic()
        end = start + (WEAK_SETTLE_S if self.weak else SETTLE_S)
        while self.descriptors() > self.before and time.monotonic() < end:
            self.trail.poll()
            time.sleep(0.1)
        self.settled_s = time.monotonic() - start
        self.after = self.descriptors()
        self.at_rest = self.memory_mb()
        # the last request, of somebody who has asked for little until now:
        # nothing is merged with it, and it has the highest number
        self.world.wait_ready()
        if self.world.stop_mspd() != 0:
            self.faults.append("mspd did not end well")
        self.trail.poll()
        self.seen = json.loads(self.host.communicate("")[0])

    # ---- the end ----------------------------------------------------------
    def claim(self, good, fault):
        if not good:
            self.faults.append(fault)

    def judge_answers(self):
        self.claim(self.right + self.excused == self.asked,
                   f"{self.asked - self.right - self.excused} requests "
                   "without the right answer")
        self.claim(self.excused <= self.asked * EXCUSED,
                   f"{self.excused} POSTs met a host that hung up")
        for name, what in (("unsigned", "not signed"), ("odd", "malformed"),
                           ("bodies", "with another body")):
            self.claim(not self.seen[name],
                       f"{self.seen[name]} requests reached the host {what}: "
                       + self.world.tail("host.err")[-500:])
        self.say(f"  answers: {self.right:,} right of {self.asked:,}, "
                 f"{self.excused:,} POSTs excused; {self.rate:,.0f}/s; the "
                 f"host saw {self.seen['honest']:,}, and of those who "
                 f"misbehaved {self.seen['abuse']:,}")

    def judge_trail(self):
        t = self.trail
        self.say(f"  audit: {t.lines:,} lines in {t.files} files, and "
                 f"{t.all_merged():,} merged; {t.ids.top:,} requests; "
                 f"{t.requests[NOBODY]:,} of {self.asked:,} asked")
        self.say("  by status: " + ", ".join(
            f"{n:,} x {status}" for status, n in sorted(t.statuses.items())))
        self.claim(not t.bad, f"{len(t.bad)} lines are none: {t.bad[:1]}")
        self.claim(not t.ids.twice, f"{t.ids.twice} lines twice")
        self.claim(t.missing() == 0,
                   f"{t.missing()} requests without a record")
        self.claim(t.requests[NOBODY] == self.asked,
                   f"{t.requests[NOBODY]} requests recorded of "
                   f"{self.asked} asked")
        lost = self.asked - t.honest.count - t.merged[NOBODY] - t.general
        self.claim(not lost and not t.again,
                   f"{lost} numbers without a record, {len(t.again)} twice: "
                   f"{t.again[:1]}")
        self.judge_abuse()

    def judge_abuse(self):
        data = self.world.read("abuse.bin")
        served = {n for n, in struct.iter_unpack("=Q", data)}
        merged = self.trail.all_merged() - self.trail.merged[NOBODY]
        unknown = len(served - self.trail.abuse)
        self.claim(unknown <= merged, f"{unknown} requests were passed on "
                   f"without a record, {merged} are merged")

    def judge_size(self):
        warm = max(self.seconds / 6, min(5, self.seconds / 3))
        counted = [sample for sample in self.samples if sample[0] >= warm]
        for column, name in enumerate(("PSS", "its own")):
            mb = [sample[1 + column] for sample in counted]
            third = len(mb) // 3 or 1
            first, last = (statistics.median(part)
                           for part in (mb[:third], mb[-third:]))
            self.say(f"  {name}: {first:.2f} -> {last:.2f} MB after "
                     f"{warm:.0f} s, at most {max(mb):.2f}, at rest "
                     f"{self.at_rest[column]:.2f}")
        self.claim(last <= first + (SHORT_GROWTH_MB if self.seconds < SHORT_S
                                    else GROWTH_MB),
                   f"memory grew by {last - first:.2f} MB")
        self.say(f"  descriptors: {self.before} -> {self.after} within "
                 f"{self.settled_s:.0f} s, at most "
                 f"{max(sample[3] for sample in self.samples)}")
        self.claim(self.after <= self.before,
                   f"{self.after - self.before} descriptors leaked")

    def whole(self):
        """All of it; what was wrong."""
        self.start()
        self.run()
        self.finish()
        self.judge_answers()
        self.judge_trail()
        self.judge_size()
        return self.faults


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
    soak = Soak(float(os.environ.get("MINUTES") or 30) * 60, 5,
                int(os.environ.get("SEED") or 1),
                bool(os.environ.get("BROKEN")))
    try:
        faults = soak.whole()
    except (Failed, OSError) as e:
        faults = [str(e), soak.world.tail("mspd.out")]
    finally:
        soak.close()
    for fault in faults:
        print(f"  FAILED: {fault}")
    print("%d passed, %d failed, 0 skipped" % (not faults, bool(faults)))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
