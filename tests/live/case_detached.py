# SPDX-License-Identifier: MIT
"""
In: somebody who detaches the agent's programs. Out: they are attached again,
the status says so, and who went past them meanwhile does not go on. Must never
detach those of another agent.
"""
import json
import subprocess
import time
import unittest

import manager
import wire
import world
from case_control import ask, samples, scrape
from case_ctlstatus import status as screen
from world import IMDS, INSTANCE

LINKS = 6
PARTS = 10  # of the library, and the listener


class Detached(unittest.TestCase):

    def begin(self, kind):
        self.world = kind(imds=world.item(), wireserver=world.item())
        self.addCleanup(self.world.close)
        self.world.start()

    def links(self, *mask):
        """How many there were."""
        return int(subprocess.run(
            [self.world.built("tests/chaos/links"), self.world.cgroup,
             *map(hex, mask)], stdout=subprocess.PIPE, check=True,
            env=self.world.environment()).stdout)

    def status(self):
        return json.loads(ask(self.world.path("run", "control.sock")))

    def detach(self, mask):
        before = self.status()["programs"]["attachedAgain"]
        self.assertEqual(self.links(mask), LINKS)
        self.assertLess(self.links(), LINKS)
        seen = self.status()
        if self.links() < LINKS:  # else it was quicker than we are
            self.assertFalse(seen["healthy"], seen)
            self.assertGreater(seen["programs"]["detached"], 0)
        _, shown, _ = screen(self.world)
        if "not healthy" in shown:
            self.assertIn("detached", shown)
        world.wait_until(lambda: self.links() == LINKS, why="attached again")
        world.wait_until(lambda: self.status()["healthy"], why="healthy")
        after = self.status()["programs"]
        self.assertEqual(after["detached"], 0)
        self.assertEqual(after["attachedAgain"] - before,
                         bin(mask).count("1"))
        _, shown, _ = screen(self.world)
        self.assertIn(f"{after['attachedAgain']} programs attached again",
                      shown)
        told = samples(scrape(self.world.path("run", "metrics.sock"))[1])
        self.assertEqual((told["mspd_programs_detached"],
                          told["mspd_programs_attached_again_total"]),
                         (0, after["attachedAgain"]))

    def served(self):
        answer = self.world.get(INSTANCE)
        return answer.status == 200 and world.PASSED in answer.headers

    def test_programs_are_attached_again_and_the_status_says_so(self):
        self.begin(world.World)
        for mask in 0x3f, 0x01, 0x22:
            with self.subTest(mask):
                self.detach(mask)
                self.assertTrue(self.served())
        said = self.world.status()["proxyAgentStatus"]["ebpfProgramStatus"]
        self.assertIn("somebody had detached", said["message"])
        self.assertEqual(said["states"]["attachedAgain"], "9")
        self.assertIn(b"somebody had detached 6 of the programs",
                      self.world.read("log", "ProxyAgent.log"))

    def test_a_successor_gets_what_was_attached_again(self):
        self.begin(manager.Managed)
        world.wait_until(lambda: len(self.world.names()) == PARTS,
                         why="all is kept")
        self.detach(0x3f)
        world.wait_until(lambda: len(self.world.names()) == PARTS,
                         why="all is kept again")
        self.world.stop_mspd()
        self.assertEqual(self.links(), LINKS)
        self.world.start_mspd()
        self.assertTrue(self.status()["restart"]["takenOver"])
        self.assertEqual(self.status()["programs"]["attachedAgain"], 0)
        self.assertEqual(len(self.world.names()), PARTS)

    def test_who_went_past_them_meanwhile_does_not_go_on(self):
        self.begin(world.World)
        data = wire.request(b"GET", INSTANCE, IMDS, [world.METADATA])
        answers = self.world.call(past, data, self.links)
        self.assertEqual(answers, (401, None))


def past(data, links):
    """What a connection got that was made while nothing was attached, then and
    after."""
    while True:
        links(0x3f)
        with wire.connect((IMDS, 80)) as s:
            s.sendall(data)
            first = wire.receive(s, b"", False)[0]
            if world.PASSED in first.headers:
                continue  # they are quicker than we are
            world.wait_until(lambda: links() == LINKS, why="attached again")
            try:
                for _ in range(100):
                    s.sendall(data)
                    answer = wire.receive(s, b"", False)[0]
                    if answer is None:
                        break
                    time.sleep(0.1)  # the search is under way
            except OSError:
                answer = None
            return first.status, answer and answer.status
