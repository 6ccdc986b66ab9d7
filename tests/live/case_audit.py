# SPDX-License-Identifier: MIT
"""
In: a disk that is full, users who ask all the time. Out: the audit trail, in
which nobody's records are missing, whoever else asks, and what cannot be
recorded does not happen. Must never leave a mount behind.
"""
import ctypes
import os
import subprocess
import threading
import time
import unittest

import wire
import world
from world import DAEMON, NOBODY, WIRESERVER

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
FLOOD = 2000
BUDGET = 20  # records of one user at once
REFUSED = wire.request(b"GET", "/machine?comp=goalstate", WIRESERVER)


def requests(lines):
    """How many the records stand for."""
    return sum(1 + x.get("merged", 0) for x in lines)


def of(lines, **fields):
    return [x for x in lines if all(x[k] == v for k, v in fields.items())]


class FullDisk(unittest.TestCase):

    def setUp(self):
        self.world = w = world.World(
            imds=world.item(), wireserver=world.item(),
            config={"fileLogLevel": "Error"})
        self.addCleanup(w.close)
        os.mkdir(w.path("log"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none",
                        w.path("log")], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", w.path("log")],
                        check=True)
        w.start()
        self.sent = {}

    def fill(self):
        with open(self.world.path("log", "filler"), "wb", 0) as f:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    pass

    def free(self):
        os.unlink(self.world.path("log", "filler"))

    def ask(self, name):
        """With a parameter of that name, by which it is known again."""
        self.sent[name] = self.sent.get(name, 0) + 1
        return self.world.get(f"{world.INSTANCE}&{name}=1").status

    def listener(self):
        agent = self.world.status()["proxyAgentStatus"]
        return agent["status"], agent["proxyListenerStatus"]

    def waits_and_is_answered(self, name):
        """Was a request that came while it was full answered with 200?"""
        self.fill()
        world.wait_until(lambda: self.ask("full") == 503,
                         why="503")
        answers = []
        client = threading.Thread(
            target=lambda: answers.append(self.ask(name)))
        client.start()
        time.sleep(0.05)
        self.free()
        client.join()
        return answers == [200]

    def test_refuses_says_so_and_goes_on_by_itself(self):
        w = self.world
        self.fill()
        world.wait_until(lambda: self.ask("before") == 503,
                         why="503")
        self.assertEqual(self.ask("refused"), 503)
        self.assertFalse([x for x in w.host_log() if "refused" in x[2]])
        agent, listener = self.listener()
        self.assertEqual((agent, listener["status"]), ("ERROR", "STOPPED"))
        self.assertTrue(listener["message"].startswith("audit.jsonl "))
        self.assertIn("No space left on device", listener["message"])
        w.set_item("imds", world.item(mode="audit", ident="audit"))
        world.wait_until(lambda: w.status()["proxyAgentStatus"][
            "keyLatchStatus"]["states"]["imdsRuleId"] == "audit",
                         why="rules")
        self.assertEqual(self.ask("audited"), 503)
        self.free()
        world.wait_until(lambda: self.ask("after") == 200,
                         why="200")
        world.wait_until(lambda: self.listener()[1]["status"] == "RUNNING",
                         why="listener")
        self.assertEqual(self.listener()[0], "SUCCESS")
        world.wait_until(
            lambda: any(self.waits_and_is_answered("waits")
                        for _ in range(5)), why="a request that waited")
        self.assertEqual(w.stop_mspd(), 0)
        lines = w.audit()
        for name, n in self.sent.items():
            path = f"/metadata/instance?api-version&{name}"
            self.assertEqual(requests(of(lines, path=path)), n, name)


class SlowDisk(unittest.TestCase):
    """The writer's thread is stopped, as it is by a disk that hangs."""

    def setUp(self):
        self.world = world.World(
            imds=world.item(), wireserver=world.item(),
            config={"fileLogLevel": "Info", "requestsPerSecondPerUser": 0})
        self.addCleanup(self.world.close)
        self.world.start()

    def ptrace(self, request, tid):
        if LIBC.ptrace(request, tid, None, None) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")

    def writer(self):
        tasks = f"/proc/{self.world.mspd.pid}/task"
        for tid in os.listdir(tasks):
            with open(f"{tasks}/{tid}/comm", encoding="ascii") as f:
                if f.read() == "audit writer\n":
                    return int(tid)
        raise world.Failed("no writer")

    def listener(self):
        return self.world.status()["proxyAgentStatus"]["proxyListenerStatus"]

    def test_refuses_what_finds_no_room_and_goes_on_by_itself(self):
        w = self.world
        tid = self.writer()
        self.ptrace(PTRACE_SEIZE, tid)
        # its end would wait for one that is stopped
        self.addCleanup(LIBC.ptrace, PTRACE_DETACH, tid, None, None)
        self.ptrace(PTRACE_INTERRUPT, tid)
        os.waitpid(tid, WALL)
        statuses = []
        while 503 not in statuses and len(statuses) < 2000:
            answers = w.talk((WIRESERVER, 80), [REFUSED] * 20, uid=NOBODY)
            statuses += [x.status for x in answers if x]
        self.assertGreater(statuses.index(503), 20)
        self.assertEqual(self.listener()["status"], "STOPPED")
        self.assertIn("audit.jsonl is written too slowly",
                      self.listener()["message"])
        self.ptrace(PTRACE_DETACH, tid)
        world.wait_until(lambda: self.listener()["status"] == "RUNNING",
                         why="listener")
        self.assertEqual(w.get(world.INSTANCE).status, 200)
        self.assertEqual(w.stop_mspd(), 0)
        lines = of(w.audit(), uid=NOBODY)
        for status in (403, 503):
            self.assertEqual(requests(of(lines, status=status)),
                             statuses.count(status))


class Flood(unittest.TestCase):

    def setUp(self):
        self.world = world.World(
            imds=world.item(), wireserver=world.item(),
            config={"fileLogLevel": "Info", "auditRecordsPerUser": BUDGET,
                    "auditMergeIntervalInSeconds": 1,
                    "requestsPerSecondPerUser": 0})
        self.addCleanup(self.world.close)
        self.world.start()

    def log_lines(self):
        return len(self.world.read("log", "ProxyAgent.log").splitlines())

    def send(self, data, uid):
        answers = self.world.talk((WIRESERVER, 80), data, uid=uid)
        self.assertEqual({x.status for x in answers}, {403})
        self.assertEqual(len(answers), len(data))

    def test_drives_nobody_elses_records_out_and_loses_none(self):
        w = self.world
        others = [wire.request(b"GET", f"/others/{i}", WIRESERVER)
                  for i in range(5)]
        said = self.log_lines()
        began = time.monotonic()
        for i in range(5):
            self.send([REFUSED] * (FLOOD // 5), NOBODY)
            self.send(others[i:i + 1], DAEMON)
        self.send([wire.request(b"GET", f"/nobody/{i}", WIRESERVER)
                   for i in range(500)], NOBODY)
        took = time.monotonic() - began
        self.assertLess(self.log_lines() - said, 10)
        w.stop_mspd()
        lines = w.audit()
        nobody = of(lines, uid=NOBODY)
        self.assertEqual(requests(nobody), FLOOD + 500)
        self.assertEqual(requests(of(nobody, verdict="deny")), FLOOD + 500)
        self.assertEqual([x["path"] for x in of(lines, uid=DAEMON)],
                         [f"/others/{i}" for i in range(5)])
        # its budget, what comes back of it, and its groups once a second
        self.assertLess(len(nobody), BUDGET + 55 * (took + 2))
        for x in lines:
            if "merged" in x:
                self.assertGreaterEqual(x["last"], x["time"])

    def test_of_different_requests_keeps_what_can_be_kept(self):
        self.send([wire.request(b"GET", f"/nobody/{i}", WIRESERVER)
                   for i in range(500)], NOBODY)
        self.world.stop_mspd()
        lines = of(self.world.audit(), uid=NOBODY)
        self.assertEqual(requests(lines), 500)
        self.assertGreater(len({x["path"] for x in lines}), BUDGET)
        pathless = of(lines, path=None)
        self.assertTrue(pathless)
        self.assertEqual({x["reason"] for x in pathless}, {"not-root"})


class Patience(unittest.TestCase):
    """What WALinuxAgent and cloud-init do: the same again and again."""

    def test_is_neither_locked_out_nor_merged_nor_logged(self):
        w = world.World(imds=world.item(), wireserver=world.item(),
                        config={"fileLogLevel": "Info"})
        self.addCleanup(w.close)
        w.start()
        files = ("ProxyAgent.log", "ProxyAgent.Connection.log")
        w.talk((WIRESERVER, 80), [REFUSED], uid=NOBODY)
        before = [len(w.read("log", name).splitlines()) for name in files]
        for _ in range(100):
            answer = w.talk((WIRESERVER, 80), [REFUSED], uid=NOBODY)[0]
            self.assertEqual(answer.status, 403)
            time.sleep(0.01)
        answer = w.get(world.INSTANCE, uid=NOBODY)
        self.assertEqual(answer.status, 200)
        after = [len(w.read("log", name).splitlines()) for name in files]
        for name, was, now in zip(files, before, after):
            self.assertLess(now - was, 10, name)
        w.stop_mspd()
        lines = of(w.audit(), uid=NOBODY, status=403)
        self.assertEqual((len(lines), requests(lines)), (101, 101))


if __name__ == "__main__":
    unittest.main()
