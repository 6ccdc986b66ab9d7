# SPDX-License-Identifier: MIT
"""
In: scenarios that could not fail. Out: the runner refuses each, and says why.
Must never need a world.
"""
import os
import unittest
import unittest.mock

import scenario
import verbs
import wire
import world

ENTRY = {"target": "/a", "verdict": "bad", "reason": "stale"}
ANSWER = wire.Answer(b"HTTP/1.1", 200, b"OK", [], b"{}")


class Run:
    """A scenario in which the host has seen one request."""

    marks = {"seen": 0, "audit": 1}

    @staticmethod
    def seen(since):
        return [{**ENTRY, "method": "GET"}]

    audit = staticmethod(lambda: [ENTRY])
    fill = staticmethod(lambda step: step)
    scaled = staticmethod(lambda seconds: 0)
    check_processes = staticmethod(lambda: None)


class Steps(unittest.TestCase):

    def refused(self, function, *args):
        with self.assertRaises(world.Failed):
            function(*args)

    def test_a_word_that_nobody_reads_is_refused(self):
        for step in ({"request": "GET /", "verdit": None},
                     {"seen": {"target": "/"}, "cuont": 0},
                     {"mark": True, "status": 200},
                     {"joni": "A"}, {"request": "GET /", "seen": {}},
                     {"eventually": [{"minutes": 1, "within": 2}]}):
            with self.subTest(step):
                self.refused(verbs.check, [step])

    def test_a_step_that_asks_for_nothing_is_refused(self):
        for step in ({"eventually": []}, {"status": {}}, {"state": {}},
                     {"eventually": {"growth": {}}}):
            with self.subTest(step):
                self.refused(verbs.check, [step])

    def test_a_field_that_does_not_exist_is_not_one_that_never_fits(self):
        verbs.seen(Run, {"seen": {"target": "/b"}, "count": 0})
        self.refused(verbs.seen, Run, {"seen": {"targt": "/a"}, "count": 0})
        verbs.audit(Run, {"audit": {"target": "/a"}, "count": 0})
        self.refused(verbs.audit, Run, {"audit": {"ud": 0}, "count": 0})

    def test_the_verdict_counts_when_there_is_no_answer(self):
        step = {"request": "GET /a", "status": ["reset", 200]}
        for answer in ("reset", ANSWER):
            with self.subTest(answer):
                verbs.judge_answer(
                    Run, {**step, "verdict": "bad:stale"}, answer, 0)
                self.refused(verbs.judge_answer, Run,
                             {**step, "verdict": "verified"}, answer, 0)

    def test_what_is_not_there_has_no_body(self):
        for word in ({"through": True}, {"expect": {"a": 1}}):
            with self.subTest(word):
                self.refused(verbs.judge_answer, Run,
                             {"request": "GET /a", "status": "reset", **word},
                             "reset", 0)

    def test_the_end_of_time_is_not_tried_again(self):
        with unittest.mock.patch.dict(
                verbs.VERBS, late=lambda run, step: scenario.too_long(0, 0)), \
                self.assertRaises(scenario.TooLong):
            verbs.do(Run, {"eventually": {"late": True}})

    def test_an_agent_that_was_restarted_may_not_grow_either(self):
        run = scenario.Scenario.__new__(scenario.Scenario)
        run.world = run.crowd = unittest.mock.MagicMock()
        run.world.mspd.pid = os.getpid()
        run.at_start = {"pid": 0, "rss_mib": 0, "fds": 0}
        run.text, run.down, run.words, run.stretches = {}, set(), {}, []
        run.set_phase("enforced")
        with open("/dev/null", encoding="ascii"):
            self.assertEqual(run.growth()["fds"], 1)
