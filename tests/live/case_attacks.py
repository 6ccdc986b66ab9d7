# SPDX-License-Identifier: MIT
"""
In: attack programs, as unprivileged as they can be. Out: none of them gets
another caller's verdict, honest callers are served meanwhile, and the same
program does win against an agent that asks /proc too late. Prints the table.
TRIES=1000 tries more often than a change needs, but a release does.
"""
import os
import sys
import unittest
from collections import namedtuple

import world

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "attacks"))

import stage  # noqa: E402 - it is found through the line above

# program: attacks/PROGRAM.c. weak: options of the weak agent that make it the
# design which the attack is about. tool: the weak agent allows the program in
# the attacker's directory (the real one always does). starves: wins are
# honest callers that got no answer. told: requests that tell whose they are.
# by_design: it is documented to work.
Attack = namedtuple("Attack", "program variant weak tool starves told "
                    "by_design tries weak_tries name")


def attack(program, variant="", weak=(), tool=False, starves=False,
           told=0, by_design=False, tries=stage.TRIES,
           weak_tries=stage.WEAK_TRIES):
    return Attack(program, variant, list(weak), tool, starves, told,
                  by_design, tries, weak_tries,
                  program + ("-" + variant if variant else ""))


ATTACKS = (
    # ---- what a process runs --------------------------------------------
    attack("exec_after_connect", "exec", weak_tries=stage.WEAK_RACES),
    attack("exec_after_connect", "threads", weak_tries=stage.WEAK_RACES),
    attack("exec_after_connect", "fork", weak_tries=stage.WEAK_RACES),
    attack("exec_after_connect", "vfork", weak_tries=stage.WEAK_RACES),
    attack("pid_reuse", weak_tries=stage.WEAK_RACES),
    attack("bind_mount"),
    attack("links", "symlink", weak=["--by-name"]),
    attack("links", "hardlink", weak=["--by-name"]),
    attack("links", "root"),
    attack("deleted_replaced", "deleted", tool=True),
    attack("deleted_replaced", "replaced", tool=True),
    attack("memfd", weak=["--by-name"]),
    attack("setuid", weak=["--effective"]),
    attack("groups", "sg", weak=["--gid-as-uid"]),
    attack("groups", "program", weak=["--gid-as-uid", "--effective"]),
    attack("groups", "root", weak=["--gid-as-uid"]),
    # ---- which connection it is ------------------------------------------
    attack("direct", "after"),
    attack("direct", "beside"),
    attack("same_socket", "listener"),
    attack("same_socket", "endpoint", weak=["--keep-first"]),
    attack("failed_connect"),
    attack("port_storm"),
    attack("reset_in_queue"),
    attack("device_twins", "syn_sent"),
    attack("device_twins", "listen", weak=["--keep-first"]),
    attack("device_twins", "connected"),
    attack("device_twins", "half_open", weak=["--keep-first"]),
    # ---- where the agent listens -----------------------------------------
    attack("squatter", "loopback", weak=["--retry"]),
    attack("squatter", "any", weak=["--retry"]),
    attack("squatter", "ipv6", weak=["--retry"]),
    attack("squatter", "stop", weak=["--retry"]),
    attack("squatter", "kill", weak=["--retry"]),
    # ---- other namespaces -------------------------------------------------
    attack("foreign_netns", "route", weak=["--own-namespace"]),
    attack("foreign_netns", "listener"),
    attack("foreign_netns", "port"),
    attack("foreign_netns", "user", starves=True),
    attack("foreign_pidns", weak=["--pid-inside"],
           told=stage.TRIES),
    # ---- ways to connect -------------------------------------------------
    attack("forms", "mapped", weak_tries=stage.WEAK_RACES),
    attack("forms", "nonblocking", weak_tries=stage.WEAK_RACES),
    attack("forms", "thread", weak_tries=stage.WEAK_RACES),
    attack("forms", "io_uring", weak_tries=stage.WEAK_RACES),
    attack("forms", "mptcp", weak=["--by-socket"]),
    attack("fast_open"),
    # ---- floods: what is won is an honest caller who is not served -------
    attack("parked", "md5", starves=True),
    attack("parked", "filter", starves=True),
    attack("parked", "last_ack", weak=["--established"], starves=True),
    attack("queue_flood", "storm", starves=True),
    attack("queue_flood", "idle", starves=True),
    attack("crowd", "at_once", starves=True, told=6000),
    attack("crowd", "held", starves=True, told=3000),
    # ---- shown: the user is the boundary, not the program ---------------
    attack("passed_descriptor", by_design=True, tries=20),
    attack("ptrace", by_design=True, tries=20),
)


class Attacks(unittest.TestCase):

    rows = []

    @classmethod
    def setUpClass(cls):
        cls.strong = stage.Strong(world.World.build)
        cls.addClassCleanup(cls.strong.close)

    @classmethod
    def tearDownClass(cls):
        line = "  {:<28} {:>6} {:>7} {:>5} {:>11}   {:>5} {:>5}  {}"
        print(line.format("attack", "tries", "refused", "wins", "honest ok",
                          "weak", "wins", ""))
        for one, strong, weak in cls.rows:
            wins, note = strong.wins, ""
            if one.by_design:
                wins, note = "-", f"works by design: {strong.wins} times"
            print(line.format(
                one.name, strong.tries, strong.refused, wins,
                f"{strong.honest_ok}/{strong.honest}", weak.tries, weak.wins,
                note), flush=True)

    def against_weak(self, one):
        weak = stage.Weak(world.World.build)
        try:
            result = weak.run(one)
        finally:
            weak.close()
        if one.starves:
            wins = result.wins + result.honest - result.honest_ok
            result = result._replace(wins=wins)
        return result

    def check(self, one):
        strong = self.strong.run(one)
        weak = self.against_weak(one)
        self.rows.append((one, strong, weak))
        if one.by_design:
            self.assertEqual(strong.wins, strong.tries)
        else:
            self.assertEqual(strong.wins, 0)
            self.assertGreaterEqual(strong.tries, one.tries)
        self.assertGreater(strong.honest, 0)
        self.assertEqual(strong.honest_ok, strong.honest)
        self.assertGreater(weak.wins, 0, "it wins nowhere: proves nothing")


def add_case(one):
    def case(self):
        self.check(one)
    setattr(Attacks, "test_" + one.name.replace("-", "_"), case)


for each in ATTACKS:
    add_case(each)
