# SPDX-License-Identifier: MIT
"""
In: configurations that are wrong. Out: one line naming file and field, and a
non-zero exit, before anything is attached.
"""
import json
import subprocess
import unittest

import world


class Config(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = world.World()
        cls.addClassCleanup(cls.world.close)

    def run_mspd(self, *args):
        return subprocess.run(
            [self.world.build + "/mspd/mspd", *args], timeout=20, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=self.world.environment(),
            preexec_fn=self.world.join)

    def refused(self, text, *words):
        self.world.write_config(text)
        path = self.world.path("mspd.json")
        done = self.run_mspd("--foreground", "--config", path)
        self.assertGreater(done.returncode, 0, done)
        lines = done.stdout.strip().splitlines()
        self.assertEqual(len(lines), 1, done.stdout)
        for word in (path, *words):
            self.assertIn(word, lines[0])

    def changed(self, **fields):
        return json.dumps({**self.world.config, **fields})

    def without(self, name):
        fields = dict(self.world.config)
        del fields[name]
        return json.dumps(fields)

    def test_what_is_not_json_is_refused_with_its_place(self):
        self.refused('{\n "logFolder": nonsense }', "line 2")
        self.refused("", "")
        self.refused("[]", "")
        self.refused('{"logFolder": "/a"} trailing', "line 1")

    def test_wrong_types_are_refused_with_their_field(self):
        self.refused(self.changed(pollKeyStatusIntervalInSeconds="x"),
                     "pollKeyStatusIntervalInSeconds")
        self.refused(self.changed(logFolder=7), "logFolder")
        self.refused(self.changed(cgroupPath=[]), "cgroupPath")

    def test_values_out_of_range_are_refused_with_their_field(self):
        for name, value in (("idleTimeoutInSeconds", 0),
                            ("pollKeyStatusIntervalInSeconds", -1),
                            ("pollKeyStatusIntervalInSeconds", 1e12),
                            ("maxConnections", 0),
                            ("listenAddress", "127.0.0.1"),
                            ("listenAddress", "127.0.0.1:99999"),
                            ("imdsAddress", "nowhere:80")):
            with self.subTest(name=name, value=value):
                self.refused(self.changed(**{name: value}), name)

    def test_missing_fields_are_named(self):
        for name in ("logFolder", "latchKeyFolder"):
            self.refused(self.without(name), name)

    def test_field_given_twice_is_refused(self):
        self.refused('{"logFolder": "/a", "logFolder": "/b"}', "logFolder")

    def test_missing_file_is_named(self):
        done = self.run_mspd("--foreground", "--config", "/nonexistent.json")
        self.assertGreater(done.returncode, 0)
        self.assertIn("/nonexistent.json", done.stdout)

    def test_version_is_one_line(self):
        done = self.run_mspd("--version")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertRegex(done.stdout, r"\d+\.\d+\.\d+")

    def test_unknown_option_is_refused(self):
        self.assertGreater(self.run_mspd("--nonsense").returncode, 0)
