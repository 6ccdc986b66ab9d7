# SPDX-License-Identifier: MIT
"""
In: restarts and kills of an agent that a service manager keeps descriptors for,
while clients ask all the time. Out: none of them is refused, none goes to the
host by itself, and each is who it is.
"""
import collections
import fcntl
import json
import os
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import manager
import wire
import world
from world import IMDS, INSTANCE

CLIENTS = 64
USERS = list(range(1, 9))  # of each system
CALLERS = [0, *USERS]
GRANTED = [uid for uid in CALLERS if uid % 2 == 0]
REQUEST = wire.request(b"GET", INSTANCE, IMDS, [world.METADATA])
PARTS = 10  # of the library, and the listener
WHO = re.compile(r"[?&]u(\d+)(?:[=&]|$)")

# result: a status, or what became of it; began: connected, None if it never was
Asked = collections.namedtuple("Asked", "uid result began ended")


def managed():
    """Every other one of the callers may ask."""
    names = [pwd.getpwuid(uid).pw_name for uid in GRANTED]
    rules = world.grant(["/metadata"],
                        {name: {"userName": name} for name in names})
    w = manager.Managed(imds=world.item(access="deny", rules=rules),
                        wireserver=world.item())
    w.host_args += ["--journal", w.path("journal.jsonl")]
    return w


def right(uid):
    return 200 if uid in GRANTED else 403


def result(answer):
    if answer is None:
        return "closed"
    if world.PASSED in answer.headers or answer.status in (403, 421):
        return answer.status
    return f"direct {answer.status}"


def ask(here, end, uid):
    """Requests one after the other, each on a connection of its own, until a
    file is there; what became of each. Each says who asks."""
    data = wire.request(b"GET", f"{INSTANCE}&u{uid}", IMDS, [world.METADATA])
    asked = []
    os.write(here, b"x")
    while not os.path.exists(end):
        began = None
        try:
            with socket.socket() as s:
                s.settimeout(30)
                s.connect((IMDS, 80))
                began = time.monotonic()
                s.sendall(data)
                became = result(wire.receive(s, b"", False)[0])
        except OSError as e:
            became = type(e).__name__
        asked.append(Asked(uid, became, began, time.monotonic()))
        time.sleep(0.02)
    return [tuple(a) for a in asked]


class Crowd:
    """Clients of several users, each a process."""

    def __init__(self, w, n=CLIENTS):
        self.world, self.end = w, w.path("end")
        self.asked = []
        self.n, self.threads = n, []
        self.reader, self.here = os.pipe()

    def add(self, uid):
        self.threads.append(threading.Thread(target=self.one, args=(uid,)))
        self.threads[-1].start()
        # one that is forked while an agent is has a pipe that is waited for
        if not select.select([self.reader], [], [], 60)[0]:
            raise world.Failed("a client does not begin")
        os.read(self.reader, 1)

    def one(self, uid):
        self.asked += map(Asked._make, self.world.call(
            ask, self.here, self.end, uid, uid=uid))

    def __enter__(self):
        for i in range(self.n):
            self.add(CALLERS[i % len(CALLERS)])
        time.sleep(0.5)
        return self

    def __exit__(self, *what):
        with open(self.end, "wb"):
            pass
        for thread in self.threads:
            thread.join()
        os.unlink(self.end)
        os.close(self.reader)
        os.close(self.here)

    def wrong(self):
        """Who did not get what is right."""
        return [a for a in self.asked if a.result != right(a.uid)]

    def got(self):
        """How many of each caller's requests got what is right."""
        return collections.Counter(a.uid for a in self.asked
                                   if a.result == right(a.uid))


class Restart(unittest.TestCase):

    def setUp(self):
        self.world = managed()
        self.addCleanup(self.world.close)
        self.world.start()
        world.wait_until(lambda: len(self.world.names()) == PARTS,
                         why="all is kept")

    def check_identities(self, crowd, exactly=True):
        """Each request says who asks: so do the trail, and what the host has
        got, of which only those have a part who may ask. exactly: the trail has
        each of them; a kill takes the last ones along."""
        trail, host = collections.Counter(), collections.Counter()
        for record in self.world.audit():
            who = WHO.search(record.get("path") or "")
            if not who:
                continue  # of who drives the test
            uid = int(who[1])
            self.assertEqual(record["uid"], uid, record)
            self.assertEqual(record["verdict"],
                             "allow" if uid in GRANTED else "deny", record)
            trail[uid] += record.get("count", 1)
        for line in self.world.read("journal.jsonl").splitlines():
            entry = json.loads(line)
            who = WHO.search(entry["target"])
            if not who:
                continue
            uid = int(who[1])
            self.assertIn(uid, GRANTED, entry)
            self.assertEqual(entry["status"], 200, entry)
            host[uid] += 1
        for uid, n in crowd.got().items():
            if exactly:
                self.assertEqual(trail[uid], n, uid)
            if uid in GRANTED:
                self.assertGreaterEqual(host[uid], n, uid)
        self.assertEqual(set(trail), set(CALLERS))

    def check_served(self, crowd):
        self.assertEqual(crowd.wrong(), [])
        self.check_many(crowd)

    def check_many(self, crowd, exactly=True):
        self.assertGreater(min(crowd.got()[uid] for uid in CALLERS),
                           CLIENTS // len(CALLERS))
        self.check_identities(crowd, exactly)
        self.assertEqual(len(self.world.names()), PARTS)

    def test_restart_under_load_fails_no_request(self):
        with Crowd(self.world) as crowd:
            for _ in range(4):
                self.world.restart()
                self.world.wait_ready()
                time.sleep(0.3)
        self.check_served(crowd)

    def kill(self, crowd):
        """From when on it accepted nobody, and when it was gone: somebody
        comes in between."""
        w = self.world
        w.mspd.send_signal(signal.SIGSTOP)
        world.wait_until(self.is_stopped, why="stopped")
        stopped = time.monotonic()
        crowd.add(CALLERS[-1])
        time.sleep(0.3)
        w.restart(signal.SIGKILL)
        return stopped, time.monotonic()

    def is_stopped(self):
        threads = f"/proc/{self.world.mspd.pid}/task"
        return all(
            self.world.read(threads, task, "stat").rsplit(b")", 1)[1].split()[
                0] == b"T" for task in os.listdir(threads))

    def test_kill_fails_only_what_was_accepted(self):
        """Whoever connected later, or was not accepted yet, is served."""
        kills = []
        with Crowd(self.world) as crowd:
            for _ in range(4):
                kills.append(self.kill(crowd))
                self.world.wait_ready()
                time.sleep(0.3)
        lost = [a for a in crowd.wrong() if not (
            a.result in ("closed", "ConnectionResetError") and
            any(a.began and a.began < stopped < a.ended
                for stopped, _ in kills))]
        self.assertEqual(lost, [])
        self.assertNotEqual([a for a in crowd.asked if a.began and any(
            stopped < a.began < gone for stopped, gone in kills)], [])
        self.check_many(crowd, exactly=False)

    def test_upgrade_under_load_fails_no_request(self):
        """As a package does it: other files in the place of those that are
        in use, and a restart."""
        w = self.world
        environment, names = w.environment, ("mspd/mspd", "libmsp.so.0")
        w.environment = lambda: {**environment(),
                                 "LD_LIBRARY_PATH": w.path("usr")}
        w.program = w.path("usr", "mspd")
        os.mkdir(w.path("usr"))
        # before there are clients, who would have them open for writing
        for i in range(3):
            for name in names:
                new = w.path("usr", f"{os.path.basename(name)}.{i}")
                shutil.copy(os.path.join(w.build, name), new)
                with open(new, "ab") as f:
                    f.write(new.encode())  # not the same any more
        with Crowd(w) as crowd:
            for i in range(3):
                for name in ("libmsp.so.0", "mspd"):
                    os.rename(w.path("usr", f"{name}.{i}"),
                              w.path("usr", name))
                w.restart()
                w.wait_ready()
                self.assertEqual(os.readlink(f"/proc/{w.mspd.pid}/exe"),
                                 w.program)
                time.sleep(0.3)
        self.check_served(crowd)

    def test_client_that_comes_meanwhile_waits(self):
        self.world.stop_mspd(signal.SIGKILL)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(
            self.world.get(INSTANCE, uid=USERS[1])))
        thread.start()
        time.sleep(1)
        self.assertEqual(answers, [])
        self.world.start_mspd(wait=False)
        thread.join()
        self.assertEqual(answers[0].status, 200)
        self.assertIn(world.PASSED, answers[0].headers)

    def test_rules_that_changed_meanwhile_are_in_force(self):
        """Not those that there were when the client connected."""
        w, answers = self.world, []
        w.stop_mspd(signal.SIGKILL)
        thread = threading.Thread(target=lambda: answers.append(
            w.get(INSTANCE, uid=USERS[1])))
        thread.start()
        time.sleep(0.5)
        w.set_item("imds", world.item(access="deny", ident="other"))
        w.start_mspd(wait=False)
        thread.join()
        self.assertEqual(answers[0].status, 403)
        self.assertEqual(w.audit()[-1]["uid"], USERS[1])

    def test_second_agent_changes_nothing(self):
        """Started by hand beside the one that serves: it has the port, and
        the programs let nobody else bind it."""
        w = self.world
        first, folder = w.mspd, w.path("second")
        os.mkdir(folder)
        config = {**w.config, **{key: os.path.join(folder, key) for key in (
            "logFolder", "eventFolder", "latchKeyFolder", "statusFolder",
            "runFolder")}}
        with open(os.path.join(folder, "c.json"), "w", encoding="ascii") as f:
            json.dump(config, f)
        with Crowd(w, 8) as crowd:
            second = subprocess.Popen(
                [w.program, "--config", os.path.join(folder, "c.json")],
                env=world.World.environment(w), stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, preexec_fn=w.prepare_mspd)
            status = os.path.join(folder, "statusFolder", "status.json")
            try:
                world.wait_until(lambda: os.path.exists(status) and
                                 b"Failed to bind" in w.read(status),
                                 why="the second says what is wrong")
                time.sleep(1)
            finally:
                second.terminate()
                second.wait(30)
        self.assertIsNone(first.poll())
        self.assertEqual(crowd.wrong(), [])
        self.assertGreater(len(crowd.asked), 0)
        self.assertEqual(len(w.names()), PARTS)

    def test_client_that_was_let_in_and_silent_is_served(self):
        answer = self.world.call(speak_late, self.world, uid=0)
        self.assertIsNotNone(answer, "closed without an answer")
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.world.mspd.wait(30), 0)

    def test_host_that_is_silent_is_waited_for(self):
        """Who came is served when it answers; or is told, if it does not."""
        host, answers = self.world.host, []
        for patient in True, False:
            host.send_signal(signal.SIGSTOP)
            try:
                self.world.restart()
                thread = threading.Thread(target=lambda: answers.append(
                    self.world.get(INSTANCE, uid=USERS[1])))
                thread.start()
                time.sleep(1)
                if patient:
                    self.assertEqual(answers, [])
                    host.send_signal(signal.SIGCONT)
                thread.join()
            finally:
                host.send_signal(signal.SIGCONT)
            self.world.wait_ready()
        self.assertEqual([a.status for a in answers], [200, 503])
        # the second was not signed by anybody, nor seen by the host
        records = [r for r in self.world.audit() if r["uid"] == USERS[1]]
        self.assertEqual(len(records), 2)
        # before the host has told any rules
        self.assertEqual(
            [records[1][k] for k in ("verdict", "reason", "status", "epoch",
                                     "rule")],
            ["allow", "no-rules", 503, 0, ""])
        self.assertNotIn("MissingSignature", str(list(self.world.host_log())))

    def test_channel_that_cannot_be_proved_is_switched_off(self):
        """The next agent is not where connections are redirected."""
        w = self.world
        w.prepare_mspd = lambda: None
        w.restart()
        world.wait_until(lambda: w.names() == [], why="nothing is kept")
        # to the host directly, which refuses what is not signed
        world.wait_until(lambda: w.get(INSTANCE).status == 401,
                         why="nobody is redirected")
        world.wait_until(
            lambda: "Failed to start redirector" in w.tail("status/status.json"),
            why="the status says so")
        del w.prepare_mspd
        w.restart()
        w.wait_ready()
        world.wait_until(lambda: len(w.names()) == PARTS, why="all is kept")

    def test_end_for_good_detaches(self):
        self.assertEqual(self.world.stop_mspd(), 0)
        self.world.release()
        self.assertEqual(self.world.get(INSTANCE).status, 401)


def speak_late(w):
    """Let in before the agent is told to stop, and heard after it."""
    with socket.socket() as s:
        s.settimeout(30)
        s.connect((IMDS, 80))
        time.sleep(0.5)
        os.kill(w.mspd.pid, signal.SIGSTOP)
        os.kill(w.mspd.pid, signal.SIGTERM)
        s.sendall(REQUEST)
        os.kill(w.mspd.pid, signal.SIGCONT)
        return wire.receive(s, b"", False)[0]


class Beside(unittest.TestCase):
    """Somebody else has the port that is configured."""

    def test_restart_goes_on_beside_until_the_port_is_free(self):
        w = managed()
        self.addCleanup(w.close)
        with socket.socket() as squatter:
            squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            squatter.bind(world.LISTENER)
            squatter.listen()
            w.start()
            world.wait_until(lambda: len(w.names()) == PARTS,
                             why="all is kept")
            place = w.read("run", "listener")
            self.assertNotIn(b":3080", place)
            with Crowd(w, 8) as crowd:
                for sig in signal.SIGTERM, signal.SIGTERM:
                    w.restart(sig)
                    w.wait_ready()
                    time.sleep(0.3)
            self.assertEqual(crowd.wrong(), [])
            self.assertGreater(len(crowd.asked), 0)
            self.assertEqual(w.read("run", "listener"), place)
        w.restart()
        w.wait_ready()
        self.assertIn(b":3080", w.read("run", "listener"))


class Store(unittest.TestCase):
    """What comes back from it is not what was put there."""

    def setUp(self):
        self.world = managed()
        self.addCleanup(self.world.close)
        self.world.start()
        world.wait_until(self.is_full, why="all is kept")
        self.names = self.world.names()

    def is_full(self):
        return len(self.world.names()) == PARTS

    def comes_back(self):
        """The next agent serves, and all is kept again, once."""
        self.world.start_mspd()
        world.wait_until(self.is_full, why="all is kept again")
        self.assertEqual(self.world.names(), self.names)
        self.world.restart()
        self.world.wait_ready()
        self.assertEqual(self.world.names(), self.names)

    def test_each_that_is_lost_is_made_anew(self):
        for name in self.names:
            with self.subTest(name):
                self.world.stop_mspd(signal.SIGKILL)
                with self.world.lock:
                    self.world.remove(name)
                self.comes_back()

    def test_other_layout_is_replaced_while_clients_ask(self):
        """That of the listener is another, too: it is the same socket."""
        self.world.stop_mspd()
        with self.world.lock:
            self.world.kept = [
                (name.replace("libmsp.1.", "libmsp.77.").replace(
                    "mspd.1.", "mspd.2."), fd)
                for name, fd in self.world.kept]
        self.names = sorted(name.replace("mspd.1.", "mspd.2.")
                            for name in self.names)
        with Crowd(self.world, 2 * len(CALLERS)) as crowd:
            self.comes_back()
            time.sleep(0.3)
        # 421: connected before, so nobody can say who it is; 401 would be the
        # host's, of what was not redirected
        self.assertEqual([a for a in crowd.wrong() if a.result != 421], [])
        self.assertGreater(min(crowd.got()[uid] for uid in CALLERS), 0)

    def test_descriptors_that_are_not_there_are_not_ours(self):
        """Else the agent would close its own log, as one of them."""
        self.world.stop_mspd()
        self.world.claimed = 40
        before = self.world.read("log", "ProxyAgent.log").count(b"stopped")
        self.comes_back()
        self.world.stop_mspd()
        self.assertEqual(
            self.world.read("log", "ProxyAgent.log").count(b"stopped"),
            before + 2)

    def test_strange_descriptors_are_not_used(self):
        self.world.stop_mspd()
        stranger = socket.socket()
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        with self.world.lock:
            for name in self.names:
                self.world.kept.insert(0, (name, fcntl.fcntl(
                    stranger.fileno(), fcntl.F_DUPFD_CLOEXEC, 600)))
        self.comes_back()
        stranger.setblocking(False)
        self.assertRaises(BlockingIOError, stranger.accept)
        stranger.close()
