# SPDX-License-Identifier: MIT
"""
In: an agent that is killed all the time while everything around it fails. Out:
what must never be so is not; and where it is planted, it is noticed. A short
form of make chaos.
"""
import os
import subprocess
import sys
import unittest

import world

CHAOS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..",
                     "chaos")
sys.path.insert(0, CHAOS)

from planted import (Answers, Files, Plan, Received,  # noqa: E402, F401
                     Trail, Whole)  # found through the line above

SECONDS = 60
SEED = 20260101
PLANTED = ("torn", "open to the world", "not on disk", "is not tied",
           "mspctl audit verify", "without a signature")


class Chaos(unittest.TestCase):
    alone = True  # machine and agent are slow enough without others

    def chaos(self, **env):
        """In a process of its own, which has mounts of its own."""
        with subprocess.Popen(
                [sys.executable, os.path.join(CHAOS, "chaos.py"),
                 world.World.build], stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True,
                env={**os.environ, "CHAOS_SEED": str(SEED), **env}) as p:
            try:
                said = p.communicate()[0]
            except BaseException:
                p.terminate()  # it leaves nothing behind
                p.wait()
                raise
        return p.returncode, said

    def test_a_minute(self):
        status, said = self.chaos(CHAOS_SECONDS=str(SECONDS))
        self.assertEqual(status, 0, said)

    def test_what_is_planted_is_noticed(self):
        status, said = self.chaos(CHAOS_SECONDS="1", CHAOS_KINDS="kill",
                                  CHAOS_PLANT="1")
        self.assertEqual(status, 1, said)
        for words in PLANTED:
            self.assertIn(words, said)
