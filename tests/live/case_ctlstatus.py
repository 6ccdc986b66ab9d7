# SPDX-License-Identifier: MIT
"""
In: a real agent, healthy, sick, stopped for a moment, killed; others in its
place. Out: mspctl status tells each of them from the others, asks nobody but
root's, and shows a refused caller what it lacks. Must never show a key.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import unittest

import world
from world import (DAEMON, INSTANCE, METADATA, NOBODY, WIRESERVER, grant,
                   in_force, item)

# Of a file: what a terminal would make of its name.
TRICKY = "app\x1b]0;x\x07\nmspd 0.1.0: healthy"


def status(place, *args, uid=0, columns=80):
    """Exit status, what it printed, and what it complained of."""
    env = {**place.environment(), "COLUMNS": str(columns)}
    done = subprocess.run(
        [os.path.join(place.build, "mspd", "ctl", "mspctl"), "status",
         "--config", place.path("mspd.json"), *args], env=env, cwd="/",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, check=False, timeout=60,
        preexec_fn=lambda: place.become(uid, False))
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def shared(place):
    """Whoever may read the configuration is told the same."""
    os.chmod(place.path("mspd.json"), 0o644)


class Healthy(unittest.TestCase):
    """One agent whose rules give one path to one user."""

    @classmethod
    def setUpClass(cls):
        rules = grant(["/metadata/instance"], {"daemons": {"userName": "daemon"}})
        cls.world = world.World(
            imds=item(access="deny", rules=rules),
            wireserver=item(mode="audit", access="deny", ident="audited"))
        cls.world.start_host()
        cls.world.start_mspd(wait=False)
        cls.waited = status(cls.world, "--wait", "healthy")
        shared(cls.world)

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def show(self, *args, **kwargs):
        code, out, err = status(self.world, *args, **kwargs)
        self.assertEqual((code, err), (0, ""), out)
        for secret in self.world.key_hex():
            self.assertNotIn(secret.lower(), out.lower())
        return out

    def test_waits_for_an_agent_that_starts(self):
        self.assertEqual(self.waited[0], 0, self.waited)
        self.assertIn("mspd 0.1.0: healthy", self.waited[1])

    def test_screen_has_each_part(self):
        self.world.get(INSTANCE, uid=DAEMON)
        out = self.show()
        said = json.loads(self.show("--json"))
        self.assertTrue(said["running"] and said["healthy"])
        for text in (f"pid {self.world.mspd.pid}",
                     f"key         {said['key']['guid']}, incarnation 1, ",
                     said["key"]["stored"][-40:], "host        answered ",
                     f"host       2     {in_force('item')}", " hits, ",
                     "audit    audit       host       1", "last minute"):
            self.assertIn(text, out)
        self.assertLessEqual(max(map(len, out.split("\n"))), 80)

    def test_json_is_what_the_socket_says(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.world.path("run", "control.sock"))
            s.sendall(b"status\n")
            direct = json.loads(b"".join(iter(lambda: s.recv(65536), b"")))
        said = json.loads(self.show("--json"))
        self.assertEqual(set(said), {"running", *direct})
        for name in ("version", "pid", "key", "endpoints", "refused"):
            self.assertEqual(
                {**said[name], "ageSeconds": 0} if name == "key"
                else said[name],
                {**direct[name], "ageSeconds": 0} if name == "key"
                else direct[name])

    def test_refused_caller_is_shown_what_it_lacks(self):
        for _ in range(20):
            self.world.get(INSTANCE, uid=NOBODY)
        out = self.show(columns=200)
        self.assertIn("nobody(65534) ", out)
        self.assertIn("no-identity: imds GET /metadata/instance", out)
        self.assertIn("assign a role with privilege 'p0' to an identity with "
                      "userName 'nobody'", out)

    def test_name_of_a_program_does_nothing_to_a_terminal(self):
        tricky = self.world.path(TRICKY)
        shutil.copy(shutil.which("curl", path=world.PATH), tricky)
        os.chmod(tricky, 0o755)
        for _ in range(30):
            subprocess.run(
                [tricky, "-s", "-m", "30", "-H", "Metadata: true",
                 "http://169.254.169.254/metadata/tricky"], cwd="/",
                stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                env={"PATH": world.PATH}, check=True,
                preexec_fn=lambda: self.world.become(NOBODY, True))
        out = self.show(columns=300)
        self.assertIn("\\x1b]0;x\\x07\\x0amspd 0.1.0: healthy", out)
        self.assertFalse(set(out) & {"\x1b", "\x07", "\r"})
        self.assertEqual(
            [line for line in out.split("\n") if line.startswith("mspd")],
            [out.split("\n")[0]])

    def test_saved_answer_is_shown_again(self):
        path = self.world.path("saved.json")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.show("--json"))
        code, out, _ = status(self.world, "--file", path)
        self.assertEqual(code, 0)
        self.assertIn(f"pid {self.world.mspd.pid}", out)

    def test_others_may_not_ask(self):
        for args in ((), ("--json",), ("--wait", "healthy"), ("--watch",)):
            code, out, err = status(self.world, *args, uid=NOBODY)
            self.assertEqual(code, 2, out + err)
            self.assertIn("Permission denied", err)
            self.assertNotIn("pid", out)


class Sick(unittest.TestCase):
    """An agent to whom something happens."""

    def setUp(self):
        self.world = world.World(imds=item(), wireserver=item())
        self.addCleanup(self.world.close)
        self.world.start()

    def json(self, *args):
        code, out, _ = status(self.world, "--json", *args)
        return code, json.loads(out)

    def test_host_that_is_gone_and_comes_back(self):
        self.world.stop_host()
        world.wait_until(lambda: status(self.world)[0] == 1,
                         why="a host that is gone is noticed")
        code, out, err = status(self.world, "--wait", "healthy", "--timeout",
                                "1")
        self.assertEqual(code, 1)
        self.assertIn("mspd 0.1.0: not healthy", out)
        self.assertIn("not healthy within 1 s", err)
        failure = self.json()[1]["host"]["failure"]
        self.assertIn(f"\n  {failure[:40]}", out)
        timer = threading.Timer(0.5, self.world.start_host)
        timer.start()
        code, out, err = status(self.world, "--wait", "healthy")
        timer.join()
        self.assertEqual((code, err), (0, ""), out)

    def test_bad_rules_are_shown_where_they_are(self):
        document = json.loads(self.world.get(
            "/secure-channel/status", host=WIRESERVER, headers=(METADATA,),
            inside=False).body)
        document["authorizationRules"]["imds"]["defaultAccess"] = "perhaps"
        self.world.control("POST", "/status/raw",
                           json.dumps(document).encode())
        world.wait_until(lambda: "last good" in status(self.world)[1],
                         why="bad rules are shown")
        out = status(self.world)[1]
        self.assertRegex(out, r"\nimds +enforce +enforce +last good .*\n"
                         r" +rules: 1 error, 0 warnings\n.*defaultAccess")

    def test_agent_that_stands_still_does_not_answer(self):
        self.world.mspd.send_signal(signal.SIGSTOP)
        try:
            code, out, err = status(self.world)
            told = self.json()
        finally:
            self.world.mspd.send_signal(signal.SIGCONT)
        self.assertEqual((code, err), (3, ""), out)
        self.assertIn("mspd: no answer\n", out)
        self.assertIn("no answer in time", out)
        self.assertEqual((told[0], told[1]["running"], told[1]["healthy"]),
                         (3, None, False))
        self.assertEqual(status(self.world, "--wait", "healthy")[0], 0)

    def test_one_that_was_killed_and_one_that_was_stopped(self):
        guid = self.json()[1]["key"]["guid"]
        self.world.get(INSTANCE)
        world.wait_until(lambda: guid in self.world.read(
            "status", "status.json").decode(), why="status.json")
        self.world.audit()
        self.world.stop_mspd(signal.SIGKILL)
        code, out, err = status(self.world)
        self.assertEqual((code, err), (3, ""))
        for text in ("mspd: not running\n", "Connection refused", guid,
                     "127.0.0.1:3080: left behind, so it was killed",
                     "allow (default-allow) IMDS GET /metadata/instance",
                     "rules of imds: item"):
            self.assertIn(" ".join(text.split()), " ".join(out.split()))
        for secret in self.world.key_hex():
            self.assertNotIn(secret.lower(), out.lower())
        code, said = self.json()
        self.assertEqual((code, said["running"], said["known"]["key"]["guid"],
                          said["known"]["key"]["incarnation"]),
                         (3, False, guid, "1"))
        self.world.start_mspd()
        self.assertEqual(status(self.world, "--wait", "healthy")[0], 0)
        self.assertEqual(self.world.stop_mspd(), 0)
        code, out, _ = status(self.world)
        self.assertEqual(code, 3)
        self.assertIn("No such file", out)
        self.assertNotIn("left behind", out)

    def test_socket_of_others_is_not_asked(self):
        path = self.world.path("run", "control.sock")
        self.world.stop_mspd()
        for owner, listener in ((NOBODY, 0), (0, NOBODY)):
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                s = socket.socket(socket.AF_UNIX)
                s.bind(path)
                os.chown(path, owner, owner)
                os.chmod(path, 0o666)
                if listener:
                    os.setresuid(listener, listener, listener)
                s.listen()
                os.write(writer, b".")
                heard = s.accept()[0].recv(1) if not owner else b""
                os.write(writer, b"heard" if heard else b"-----")
                os._exit(0)
            try:
                os.read(reader, 1)
                code, out, _ = status(self.world)
                self.assertEqual(code, 3, out)
                self.assertIn("so it is not asked", " ".join(out.split()))
                self.assertEqual(os.read(reader, 5), b"-----")
            finally:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                os.close(reader)
                os.close(writer)
                os.unlink(path)


if __name__ == "__main__":
    unittest.main()
