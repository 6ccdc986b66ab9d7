# SPDX-License-Identifier: MIT
"""
In: a user database that answers, hangs and changes as the cases say. Out:
names and groups decide as they are now, and a look-up that hangs harms only
the caller it is about.
"""
import ctypes
import os
import select
import shutil
import socket
import subprocess
import sys
import time
import unittest

import wire
import world
from world import DAEMON, IMDS, INSTANCE, METADATA, WIRESERVER

CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
LIBC = ctypes.CDLL(None, use_errno=True)
NSSWITCH = "passwd: files msptest\ngroup: files msptest\n"
REQUEST = wire.request(b"GET", INSTANCE, IMDS, [METADATA])
# Numbers the test's source of names knows: "nss700001" and "grp700001".
BASE = 700000
# More than the agent has threads for any kind of question.
MANY = 100


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def user(number):
    return f"nss{BASE + number}"


class NssWorld(world.World):
    """The agent in it, and nobody else, has a user database of its own."""

    def __init__(self, rules, timeout, **kwargs):
        super().__init__(
            imds=world.item(access="deny", rules=rules),
            wireserver=world.item(),
            config={"identityTimeoutInSeconds": timeout}, **kwargs)
        os.mkdir(self.path("etc"))
        os.mkdir(self.path("nss"))
        for name in ("passwd", "group"):
            shutil.copy(f"/etc/{name}", self.path("etc", name))
        self.write("etc", "nsswitch.conf", NSSWITCH)
        self.write("nss", "asked", "")

    def write(self, folder, name, text):
        """Whole or not at all, in place: a mount shows the file, not the
        name."""
        with open(self.path(folder, name), "r+" if os.path.exists(
                self.path(folder, name)) else "w", encoding="ascii") as f:
            f.write(text)
            f.truncate()

    def environment(self):
        env = super().environment()
        env["MSPTEST_NSS"] = self.path("nss")
        env["LD_LIBRARY_PATH"] += ":" + os.path.dirname(
            self.built("tests/live/libnss_msptest.so.2"))
        return env

    def start_mspd(self, wait=True):
        join = self.join

        def enter():
            check(LIBC.unshare(CLONE_NEWNS))
            check(LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
            for name in ("passwd", "group", "nsswitch.conf"):
                check(LIBC.mount(self.path("etc", name).encode(),
                                 f"/etc/{name}".encode(), None, MS_BIND,
                                 None))
            join()
        self.join = enter
        try:
            super().start_mspd(wait=False)
        finally:
            del self.join
        if wait:
            self.wait_ready()

    # ---- the database -----------------------------------------------------
    def hang(self, *words):
        self.write("nss", "hang", " ".join(words))

    def asked(self, word):
        return self.read("nss", "asked").decode().split().count(word)

    def wait_asked(self, *words):
        for word in words:
            world.wait_until(lambda w=word: self.asked(w) > 0, why=word)

    def change(self):
        """A change of the local file; when the agent has seen it, nothing it
        knew is believed any more."""
        with open(self.path("etc", "passwd"), "a", encoding="ascii") as f:
            f.write("#\n")
        time.sleep(1.1)  # it looks once per second

    # ---- clients ----------------------------------------------------------
    @staticmethod
    def turn_into(uid, groups):
        """First of the groups is the real one. May be undone by root."""
        os.setgroups(groups[1:])
        os.setresgid(groups[0], groups[0], 0)
        os.setresuid(uid, uid, 0)

    @staticmethod
    def turn_back():
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)

    def connect_as(self, callers):
        """A connection for each (uid, groups), made by that caller."""
        def connect(channel):
            for uid, groups in callers:
                self.turn_into(uid, groups)
                with wire.connect((IMDS, 80)) as s:
                    self.turn_back()
                    socket.send_fds(channel, [b"x"], [s.fileno()])
        ours, theirs = socket.socketpair(socket.AF_UNIX,
                                         socket.SOCK_SEQPACKET)
        out = []
        with ours, theirs:
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    ours.close()
                    self.join()
                    connect(theirs)
                    status = 0
                finally:
                    os._exit(status)
            theirs.close()
            for _ in callers:
                fds = socket.recv_fds(ours, 1, 1)[1]
                if not fds:
                    break
                out.append(socket.socket(fileno=fds[0]))
                out[-1].settimeout(20)
            os.waitpid(pid, 0)
        if len(out) != len(callers):
            raise world.Failed("a client could not connect")
        return out

    def statuses(self, callers):
        """What they get, each over a connection of its own."""
        out = []
        for s in self.connect_as(callers):
            with s:
                s.sendall(REQUEST)
                out.append(receive(s))
        return out

    def status_of(self, uid, *groups):
        return self.statuses([(uid, list(groups) or [uid])])[0]


def receive(s):
    answer = wire.receive(s, b"", False)[0]
    return answer.status if answer else None


def answered(sockets):
    return len(select.select(sockets, [], [], 0)[0])


def numbered(*numbers):
    """Callers whose only group is their own."""
    return [(BASE + n, [BASE + n]) for n in numbers]


class Hanging(unittest.TestCase):
    """Whoever has to wait, waits for an hour: what is served in the meantime
    is served without waiting."""

    RULES = world.grant(["/metadata"], {
        "root": {"userName": "root"}, "daemon": {"userName": "daemon"},
        "bob": {"userName": "bob"},
        **{user(n): {"userName": user(n)} for n in (1, 2, 4, 6, 7)}})

    def setUp(self):
        self.world = NssWorld(self.RULES, 3600)
        self.addCleanup(self.world.close)
        self.world.start()

    def send(self, callers):
        sockets = self.world.connect_as(callers)
        for s in sockets:
            self.addCleanup(s.close)
            s.sendall(REQUEST)
        return sockets

    def check_others_are_served(self, callers, rounds):
        """All of the rounds, correctly."""
        self.assertEqual(
            [self.world.statuses(callers) for _ in range(rounds)],
            [[200] * len(callers)] * rounds)

    def test_others_are_served_while_one_hangs(self):
        self.world.hang(f"uid:{BASE + 1}")
        waiting = self.send(numbered(1))
        self.world.wait_asked(f"uid:{BASE + 1}")
        self.check_others_are_served(
            [(0, [0]), (DAEMON, [DAEMON])] + numbered(2), 20)
        self.assertEqual(self.world.status_of(BASE + 3), 403)
        self.assertEqual(answered(waiting), 0)
        self.world.hang()
        self.assertEqual([receive(s) for s in waiting], [200])

    def test_local_users_are_served_while_many_others_hang(self):
        """Their own names have to be looked up in the meantime."""
        self.check_others_are_served(numbered(2), 1)
        self.world.change()
        self.check_others_are_served(numbered(2), 1)
        words = [f"uid:{BASE + 100 + n}" for n in range(MANY)]
        self.world.hang(*words)
        waiting = self.send(numbered(*(100 + n for n in range(MANY))))
        # which is asked about first, with room for a few, is chance
        world.wait_until(lambda: any(map(self.world.asked, words)),
                         why="somebody is asked about")
        self.check_others_are_served(
            [(0, [0]), (DAEMON, [DAEMON]), (0, [0, DAEMON])] + numbered(2), 5)
        self.assertEqual(answered(waiting), 0)
        self.world.hang()
        self.assertEqual([receive(s) for s in waiting], [403] * MANY)

    def test_who_sends_no_more_is_answered_after_the_wait(self):
        self.world.hang(f"uid:{BASE + 1}")
        waiting = self.send(numbered(*[1] * 3))
        for s in waiting:
            s.shutdown(socket.SHUT_WR)
        self.world.wait_asked(f"uid:{BASE + 1}")
        self.check_others_are_served([(0, [0])], 5)
        self.world.hang()
        self.assertEqual([receive(s) for s in waiting], [200] * 3)

    def test_a_caller_is_asked_about_once(self):
        """All names, and those of the user alone: two questions."""
        self.world.hang(f"uid:{BASE + 1}")
        waiting = self.send(numbered(*[1] * 30))
        self.world.wait_asked(f"uid:{BASE + 1}")
        self.check_others_are_served([(0, [0])], 5)
        self.world.hang()
        self.assertEqual([receive(s) for s in waiting], [200] * 30)
        self.assertLessEqual(self.world.asked(f"uid:{BASE + 1}"), 2)

    def test_user_rules_go_on_while_groups_hang(self):
        """Local users' groups are asked for everywhere."""
        self.world.change()
        self.world.hang("user:root", f"user:{user(2)}")
        self.check_others_are_served([(0, [0])] + numbered(2), 3)
        self.world.wait_asked("user:root", f"user:{user(2)}")

    def test_what_needs_no_names_does_not_wait(self):
        self.world.change()
        self.world.hang("all")
        for _ in range(3):
            self.assertEqual(
                self.world.get("/x", host=WIRESERVER).status, 404)
            self.world.status()
        self.assertGreater(self.world.asked("user:root"), 0)

    def test_kept_connection_does_not_keep_names(self):
        s, = self.world.connect_as(numbered(4))
        with s:
            s.sendall(REQUEST)
            self.assertEqual(receive(s), 200)
            self.world.change()
            self.world.hang(f"uid:{BASE + 4}")
            before = self.world.asked(f"uid:{BASE + 4}")
            s.sendall(REQUEST)
            world.wait_until(
                lambda: self.world.asked(f"uid:{BASE + 4}") > before,
                why="asked again")
            self.check_others_are_served([(0, [0])], 5)
            self.assertEqual(answered([s]), 0)
            self.world.hang()
            self.assertEqual(receive(s), 200)

    def test_renamed_user_is_another_one(self):
        self.assertEqual(self.world.status_of(BASE + 3), 403)
        s, = self.world.connect_as(numbered(6))
        with s:
            s.sendall(REQUEST)
            self.assertEqual(receive(s), 200)
            self.world.write("nss", "names", f"{BASE + 3} bob\n"
                             f"{BASE + 6} eve\n")
            self.world.change()
            self.assertEqual(self.world.status_of(BASE + 3), 200)
            s.sendall(REQUEST)
            self.assertEqual(receive(s), 403)


class Deadline(unittest.TestCase):
    """A look-up that is not back in time is none."""

    @classmethod
    def setUpClass(cls):
        rules = world.grant(["/metadata"], {
            "root": {"userName": "root"}, "one": {"userName": user(1)},
            "two": {"userName": user(2)}, "group": {"groupName": "root"}})
        cls.world = NssWorld(rules, 2)
        cls.addClassCleanup(cls.world.close)
        cls.world.start()

    def setUp(self):
        self.addCleanup(self.world.hang)

    def test_caller_whose_names_hang_is_refused(self):
        self.world.hang(f"uid:{BASE + 1}")
        self.assertEqual(self.world.status_of(BASE + 1), 403)
        self.assertEqual(self.world.status_of(BASE + 1), 403)
        lines = world.wait_until(
            lambda: [x for x in self.world.audit() if x["uid"] == BASE + 1],
            why="audit line")
        self.assertIsNone(lines[0]["user"])
        self.world.hang()
        world.wait_until(lambda: self.world.status_of(BASE + 1) == 200,
                         why="names back")

    def test_expired_names_are_not_used_while_it_hangs(self):
        s, = self.world.connect_as(numbered(2))
        with s:
            s.sendall(REQUEST)
            self.assertEqual(receive(s), 200)
            self.world.hang(f"uid:{BASE + 2}")
            self.world.change()
            s.sendall(REQUEST)
            self.assertEqual(receive(s), 403)
        self.assertEqual(self.world.status_of(BASE + 2), 403)
        self.world.hang()
        world.wait_until(lambda: self.world.status_of(BASE + 2) == 200,
                         why="names back")

    def test_failed_look_up_is_soon_repeated(self):
        """What cannot be asked is not what is not there, which is believed
        for longer than this waits."""
        self.addCleanup(self.world.write, "nss", "fail", "")
        self.world.write("nss", "fail", f"uid:{BASE + 1}")
        self.world.change()
        self.assertEqual(self.world.status_of(BASE + 1), 403)
        self.world.write("nss", "fail", "")
        world.wait_until(lambda: self.world.status_of(BASE + 1) == 200,
                         why="names back")

    def test_groups_that_hang_match_nothing_and_the_user_still_does(self):
        self.world.hang("user:root", "user:daemon")
        self.world.change()
        self.assertEqual(self.world.status_of(0, 0), 200)
        self.assertEqual(self.world.status_of(DAEMON, DAEMON, 0), 403)
        self.world.hang()
        world.wait_until(
            lambda: self.world.status_of(DAEMON, DAEMON, 0) == 200,
            why="groups back")


class Status(unittest.TestCase):
    """What the agent answers itself needs no groups, whatever the rules of
    the endpoint say."""

    def test_status_does_not_wait_for_what_rules_need(self):
        rules = world.grant(["/metadata"], {"g": {"groupName": "root"}})
        w = NssWorld(rules, 3600)
        self.addCleanup(w.close)
        w.start()
        w.change()
        w.hang("all")
        answer = w.get("/gpa-aggregated-status", host=IMDS)
        self.assertEqual(answer.status, 200)
        self.assertGreater(w.asked("user:root"), 0)


class Groups(unittest.TestCase):
    """Members of one group may, by the database or by what the process
    holds."""

    GROUP = BASE + 500

    @classmethod
    def setUpClass(cls):
        rules = world.grant(["/metadata"], {
            "group": {"groupName": f"grp{cls.GROUP}"},
            "local": {"groupName": "daemon"},
            "root": {"userName": "root"}})
        cls.world = NssWorld(rules, 5)
        cls.addClassCleanup(cls.world.close)
        many = " ".join(str(cls.GROUP + n) for n in range(70))
        cls.world.write("nss", "members", f"{user(1)} {cls.GROUP}\n"
                        f"{user(2)} {many}\n")
        cls.world.start()

    def check(self, uid, groups, status):
        self.assertEqual(self.world.status_of(uid, *groups), status)

    def test_group_the_process_holds_counts(self):
        other = BASE + 10
        self.check(other, [other], 403)
        self.check(other, [other, self.GROUP], 200)
        self.check(other, [other, BASE + 11, self.GROUP, BASE + 12], 200)
        self.check(other, [self.GROUP], 200)
        self.check(other, [DAEMON], 200)
        self.check(other, [other], 403)

    def test_group_of_the_database_counts_though_it_was_dropped(self):
        self.check(BASE + 1, [BASE + 1], 200)
        self.check(DAEMON, [BASE + 11], 200)

    def test_group_of_nobody_is_no_group(self):
        self.check(BASE + 10, [BASE + 10, 123456], 403)

    def test_too_many_groups_of_a_process_match_nothing(self):
        held = [self.GROUP + n for n in range(64)]
        self.check(BASE + 10, [BASE + 10] + held, 200)
        self.check(BASE + 10, [BASE + 10] + held + [BASE + 900], 403)
        self.check(BASE + 1, [BASE + 1] + held + [BASE + 900], 403)
        self.check(0, [0] + held + [BASE + 900], 200)

    def test_too_many_groups_of_a_user_match_nothing(self):
        self.check(BASE + 2, [BASE + 2], 403)
        self.check(BASE + 2, [BASE + 2, self.GROUP], 403)

    def test_one_user_with_many_groups_holds_up_nobody(self):
        """Each set of groups is a question of its own."""
        self.world.hang(f"uid:{BASE + 20}")
        self.addCleanup(self.world.hang)
        waiting = self.world.connect_as([(BASE + 20, [BASE + 20, BASE + n])
                                         for n in range(MANY)])
        for s in waiting:
            self.addCleanup(s.close)
            s.sendall(REQUEST)
        self.world.wait_asked(f"uid:{BASE + 20}")
        for n in range(21, 25):
            self.check(BASE + n, [BASE + n, self.GROUP], 200)


CLIENT = """
import sys
import wire, world
with wire.connect((world.IMDS, 80)) as s:
    for line in sys.stdin:
        s.sendall(wire.request(b"GET", world.INSTANCE, world.IMDS,
                               [world.METADATA]))
        answer = wire.receive(s, b"", False)[0]
        print(answer.status if answer else None, flush=True)
"""


class Program(unittest.TestCase):
    """What a program was found to be holds for these rules."""

    def setUp(self):
        self.world = world.World(wireserver=world.item(),
                                 config={"identityRoot": "/"})
        self.addCleanup(self.world.close)
        self.program = self.world.path("program")
        shutil.copy(os.path.realpath(sys.executable), self.program)
        self.world.start_host()
        self.set_rules("first")
        self.world.start_mspd(wait=False)
        self.wait_rules("first")

    def set_rules(self, ident):
        self.world.set_item("imds", world.item(
            access="deny", ident=ident, rules=world.grant(["/metadata"], {
                "program": {"exePath": self.program}})))

    def wait_rules(self, ident):
        """The suite's own interpreter is another program: refused."""
        def in_force():
            try:
                refused = self.world.get(INSTANCE).status == 403
                return refused and world.in_force(ident) in [
                    x["rule"] for x in self.world.audit()]
            except OSError:
                return False
        world.wait_until(in_force, why=f"rules {ident}")

    def test_program_is_looked_at_again_for_other_rules(self):
        process = subprocess.Popen(
            [self.program, "-c", CLIENT], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, cwd="/",
            env={"PATH": world.PATH, "PYTHONHOME": sys.base_prefix,
                 "PYTHONPATH": os.path.dirname(os.path.abspath(__file__)),
                 "PYTHONDONTWRITEBYTECODE": "1"},
            preexec_fn=self.world.join)

        def ask():
            process.stdin.write(b"\n")
            process.stdin.flush()
            return process.stdout.readline()
        with process:
            self.assertEqual(ask(), b"200\n")
            os.rename(self.program, self.program + ".old")
            self.assertEqual(ask(), b"200\n")
            self.set_rules("second")
            self.wait_rules("second")
            self.assertEqual(ask(), b"403\n")
            process.stdin.close()


class Cgroups(unittest.TestCase):
    """A caller is recorded with the cgroup it connected from."""

    def test_cgroup_is_that_of_the_connect(self):
        w = world.World(imds=world.item(), wireserver=world.item())
        self.addCleanup(w.close)
        w.start()
        inner = os.path.join(w.cgroup, "inner")
        os.mkdir(inner)
        self.addCleanup(os.rmdir, inner)

        def ask():
            def move(path):
                with open(os.path.join(path, "cgroup.procs"), "w",
                          encoding="ascii") as f:
                    f.write("0")
            move(inner)
            with wire.connect((IMDS, 80)) as s:
                move(w.cgroup)
                s.sendall(REQUEST)
                return receive(s)
        self.assertEqual(w.call(ask), 200)
        below = inner[len(world.cgroup_mount()):]
        world.wait_until(lambda: below in [x["cgroup"] for x in w.audit()],
                         why="cgroup in the record")
