# SPDX-License-Identifier: MIT
"""
In: programs that embed the library, beside an agent and in its place. Out:
they leave its keys alone, get what it signs for them, and know who connects.
"""
import json
import os
import subprocess
import unittest

import world
from world import IMDS, INSTANCE, WIRESERVER, wait_until


class Program:
    """One of examples/, as root, within the world's cgroup or beside it."""

    def __init__(self, w, name, *args, inside=False):
        self.process = subprocess.Popen(
            [os.path.join(w.build, "examples", name), *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=w.environment(), text=True,
            preexec_fn=w.join if inside else None)

    def result(self):
        """Exit status, standard output, standard error."""
        try:
            # a session that fails at anything but at once takes 30
            out, err = self.process.communicate(timeout=20)
        finally:
            self.process.kill()
            self.process.wait()
        return self.process.returncode, out, err


def run(*args, **kwargs):
    return Program(*args, **kwargs).result()


class BesideAnAgent(unittest.TestCase):

    def setUp(self):
        self.world = world.World(imds=world.item())
        self.addCleanup(self.world.close)
        self.world.start()

    def requests(self, word):
        return [line for line in self.world.host_log() if word in line[2]]

    def key_files(self):
        """What the agent says of itself comes when it has it to say."""
        return sorted(name for name in os.listdir(self.world.path("keys"))
                      if not name.endswith(".tag"))

    def test_key_directory_of_an_agent_is_busy(self):
        w = self.world
        acquired = len(self.requests("POST /secure-channel/key"))
        files = self.key_files()
        # to the host directly: it is the directory that keeps it away
        status, out, err = run(w, "acquire_key", w.path("keys"),
                               f"{WIRESERVER}:80")
        self.assertEqual((status, out), (3, ""), err)
        self.assertIn(f"'{w.path('keys')}' is in use by another agent, "
                      f"process {w.mspd.pid}\n", err)
        status, out, err = run(w, "get_metadata", INSTANCE, w.path("keys"))
        self.assertEqual((status, out), (1, ""))
        self.assertIn(f"process {w.mspd.pid}", err)
        self.assertEqual(len(self.requests("POST /secure-channel/key")),
                         acquired)
        self.assertEqual(self.key_files(), files)
        self.assertEqual(w.get(INSTANCE).status, 200)

    def test_agent_signs_for_a_program_that_does_not(self):
        w = self.world
        status, out, err = run(w, "get_metadata", INSTANCE, inside=True)
        self.assertEqual((status, err), (0, ""))
        self.assertIn("compute", json.loads(out))
        self.assertEqual(self.requests(f"GET {INSTANCE}")[-1][3:],
                         (200, "verified"))

    def test_unsigned_program_that_is_not_redirected_is_refused(self):
        """So it was the agent who signed."""
        w = self.world
        status, out, err = run(w, "get_metadata", INSTANCE)
        self.assertEqual((status, out), (1, ""))
        self.assertIn("IMDS answered with status 401", err)
        self.assertEqual(self.requests(f"GET {INSTANCE}")[-1][3:],
                         (401, "unsigned"))


class InPlaceOfAnAgent(unittest.TestCase):

    def setUp(self):
        self.world = world.World(imds=world.item())
        self.addCleanup(self.world.close)
        self.world.start_host()

    def test_program_gets_metadata_from_where_azure_has_it(self):
        w = self.world
        status, out, err = run(w, "get_metadata", INSTANCE, w.path("keys"))
        self.assertEqual((status, err), (0, ""))
        self.assertIn("compute", json.loads(out))
        self.assertEqual(w.verdict(), "verified")

    def test_program_sees_who_connects(self):
        w = self.world
        program = Program(w, "who_connected", "2", w.cgroup, inside=True)
        seen = []

        def ask():
            if program.process.poll() is not None:
                raise world.Failed(program.result()[2])
            client = w.curl_process("-w", "%{http_code}", "-o", "/dev/null",
                                    f"http://{IMDS}/", uid=world.NOBODY)
            out, _ = client.communicate()
            # not the answer of the host; a refusal may end in a reset
            if out in (b"403", b"000"):
                seen.append(client.pid)
            return len(seen) == 2

        wait_until(ask, why="two connections were redirected")
        status, out, err = program.result()
        self.assertEqual((status, err), (0, ""))
        self.assertEqual([line.rsplit(", ", 1)[0] for line in
                          out.splitlines()],
                         [f"pid {pid}, uid {world.NOBODY}, curl"
                          for pid in seen])
