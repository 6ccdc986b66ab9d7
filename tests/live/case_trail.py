# SPDX-License-Identifier: MIT
"""
In: an agent that is killed, or whose disk is full, while it is asked all the
time. Out: the trail, whose chain is whole, as mspctl says and as is computed
here. Must never take a trail for whole because there is little in it.
"""
import json
import os
import signal
import subprocess
import sys
import threading
import unittest

import world

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "ctl"))
import chain  # noqa: E402 - it is found through the line above

KILLS = 5
CLIENTS = 4


class Chain(unittest.TestCase):

    def setUp(self):
        self.world = w = world.World(
            imds=world.item(), wireserver=world.item(),
            config={"fileLogLevel": "Error", "auditRecordsPerUser": 1000000})
        self.addCleanup(w.close)
        self.done = threading.Event()

    def load(self):
        """Asks until it is told to stop, whatever comes of it."""
        while not self.done.is_set():
            try:
                self.world.get(world.INSTANCE)
            except (OSError, world.Failed):
                pass

    def under_load(self, act):
        clients = [threading.Thread(target=self.load) for _ in range(CLIENTS)]
        for c in clients:
            c.start()
        try:
            act()
        finally:
            self.done.set()
            for c in clients:
                c.join()

    def files(self):
        folder = self.world.path("log")
        names = sorted(n for n in os.listdir(folder)
                       if n.startswith("audit.jsonl."))
        return [(n, self.world.read("log", n))
                for n in names + ["audit.jsonl"]]

    def verify(self):
        """Breaks that are no torn lines, and the answer; two opinions."""
        program = os.path.join(self.world.build, "mspd", "ctl", "mspctl")
        done = subprocess.run(
            [program, "audit", "verify", "--json",
             *(self.world.path("log", n) for n, _ in self.files())],
            env={**os.environ, "LD_LIBRARY_PATH": self.world.build},
            stdout=subprocess.PIPE, check=False)
        answer = json.loads(done.stdout)
        torn = [b for b in answer["breaks"] if b["what"] == "torn"]
        self.assertEqual(done.returncode, 1 if answer["broken"] else 0)
        self.assertEqual([line for _, line in chain.whole(self.files())],
                         [b["line"] for b in answer["breaks"]])
        return [b for b in answer["breaks"] if b not in torn], answer

    def records(self):
        return sum(data.count(b"\n") for _, data in self.files())

    def more(self, n):
        before = self.records()
        world.wait_until(lambda: self.records() > before + n,
                         why="records")

    def test_is_whole_after_kills_under_load(self):
        w = self.world
        w.start()

        def kill():
            for _ in range(KILLS):
                self.more(20)
                w.stop_mspd(signal.SIGKILL)
                w.start_mspd()
        self.under_load(kill)
        self.assertEqual(w.stop_mspd(), 0)
        breaks, answer = self.verify()
        self.assertFalse(breaks, answer)
        self.assertEqual(answer["first"], 1)
        self.assertGreater(answer["records"], 20 * KILLS)
        # and a record that is taken away is missed
        path = w.path("log", "audit.jsonl")
        lines = self.files()[-1][1].splitlines(True)
        with open(path, "wb") as f:
            f.write(b"".join(lines[:7] + lines[8:]))
        breaks, answer = self.verify()
        self.assertEqual([(b["line"], b["what"]) for b in breaks],
                         [(8, "removed")])

    def test_is_whole_after_the_disk_was_full(self):
        w = self.world
        os.mkdir(w.path("log"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none",
                        w.path("log")], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", w.path("log")],
                        check=True)
        w.start()

        def fill():
            for _ in range(3):
                self.more(20)
                self.fill()
                world.wait_until(lambda: w.get(world.INSTANCE).status == 503,
                                 why="503")
                os.unlink(w.path("log", "filler"))
                world.wait_until(lambda: w.get(world.INSTANCE).status == 200,
                                 why="200")
        self.under_load(fill)
        self.assertEqual(w.stop_mspd(), 0)
        breaks, answer = self.verify()
        self.assertFalse(breaks, answer)
        self.assertFalse(answer["broken"], answer)
        self.assertGreater(answer["records"], 60)

    def fill(self):
        with open(self.world.path("log", "filler"), "wb", 0) as f:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    pass
