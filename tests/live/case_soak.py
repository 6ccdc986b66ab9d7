# SPDX-License-Identifier: MIT
"""
In: users who ask all the time, among others who misbehave in every way. Out:
each answer is the right one, each request in the audit trail, nothing leaks;
and where that is not so, it is noticed. A short form of make soak-abuse.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "soak"))

import soak_abuse  # noqa: E402 - found through the line above

# So that each request has a line of its own.
ALL_LINES = {"auditRecordsPerUser": 1000000000,
             "auditRecordsPerUserPerSecond": 1000000}
# What is to be noticed of the weak, one after the other.
NOTICED = ("answers wrong", "without the right answer", "without a record",
           "requests recorded of", "memory grew", "descriptors leaked")


class AmongAbuse(unittest.TestCase):
    alone = True  # it asks half as much as could be served

    def soak(self, *args, **kwargs):
        said = []
        one = soak_abuse.Soak(*args, say=said.append, **kwargs)
        self.addCleanup(one.close)
        return one.whole(), "\n".join(["", *said])

    def test_nothing_is_lost_grows_or_is_mixed_up(self):
        faults, said = self.soak(6, 1, config=ALL_LINES)
        self.assertEqual(faults, [], said)

    def test_the_trail_counts_what_is_beyond_a_budget(self):
        faults, said = self.soak(3, 1, seed=2, config={
            "auditRecordsPerUser": 200, "auditMergeIntervalInSeconds": 1})
        self.assertEqual(faults, [], said)
        self.assertNotIn(" 0 merged", said)

    def test_it_is_noticed_of_the_weak(self):
        faults, said = self.soak(5, 1, weak=True, config=ALL_LINES)
        found = [what for what in NOTICED
                 if any(what in fault for fault in faults)]
        self.assertEqual(found, list(NOTICED), f"{faults}{said}")
