# SPDX-License-Identifier: MIT
"""
In: users who take all connections they can get, send slowly, or come and go
as fast as they can. Out: everybody else is served as if they were not there.
Must never count on how fast this machine is.
"""
import ctypes
import os
import resource
import select
import signal
import socket
import struct
import time
import unittest

import wire
import world
from world import DAEMON, IMDS, METADATA, NOBODY

TARGET = (IMDS, 80)
PATIENCE = 20  # of a client, for one request
PLACES = 64
SHARE = PLACES // 4
OTHERS = [NOBODY, 2, 3, 4, 5, 6]
ENTRIES = 8192
UIDS = 500
REQUEST = wire.request(b"GET", world.INSTANCE, IMDS, [METADATA])
HALF_LINE = b"GET /metadata/inst"
HALF_HEAD = b"GET /metadata/x HTTP/1.1\r\nHost: a\r\nMetadata: tr"
HALF_BODY = (b"PUT /metadata/x HTTP/1.1\r\nHost: " + IMDS.encode() +
             b"\r\nMetadata: true\r\nContent-Length: 1000\r\n\r\nabc")
RESET = struct.pack("ii", 1, 0)
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000
PR_CAPBSET_DROP, CAP_SYS_RESOURCE = 24, 24


# ---- what floods do, each in a process of its own --------------------------
class Holder:
    """Keeps so many connections, each with these first bytes sent."""

    def __init__(self, count, first):
        self.count = count
        self.first = first
        self.open = {}
        self.poll = select.epoll()

    def add(self):
        s = socket.socket()
        s.settimeout(1)
        try:
            s.connect(TARGET)
            if self.first:
                s.send(self.first)
        except OSError:
            s.close()
            return
        self.open[s.fileno()] = s
        self.poll.register(s, select.EPOLLIN | select.EPOLLRDHUP)

    def drop(self, fd):
        self.poll.unregister(fd)
        self.open.pop(fd).close()

    def fill(self):
        """One connection for each that is wanted, even if it does not last."""
        for _ in range(self.count - len(self.open)):
            self.add()
            self.reap(0)

    def reap(self, seconds):
        for fd, _ in self.poll.poll(seconds, 64):
            self.drop(fd)


def hold(ready, count, first=b"", again=False):
    holder = Holder(count, first)
    holder.fill()
    ready()
    while True:
        holder.reap(0.05)
        if again:
            holder.fill()


def storm(ready, first=b"", reset=False):
    ready()
    while True:
        with socket.socket() as s:
            s.settimeout(1)
            try:
                s.connect(TARGET)
                if first:
                    s.send(first)
                if reset:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            except OSError:
                pass


def hold_as_many(ready, mapped):
    """One connection for each uid of a user namespace of its own."""
    if LIBC.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    ready(b"u")
    while os.read(mapped, 1) != b"m":
        pass
    holder = Holder(1, b"")
    started = False
    while True:
        for uid in range(UIDS):
            os.setresuid(uid, 0, 0)
            holder.add()
            holder.count += 1
            holder.reap(0)
        if not started:
            ready()
        started = True


def ask_all_the_time(ready):
    ready()
    while True:
        try:
            wire.talk(TARGET, [REQUEST], timeout=PATIENCE)
        except (OSError, ValueError):
            pass


# ---- the honest ------------------------------------------------------------
def right(answer):
    return answer is not None and answer.status == 200 and \
        world.PASSED in answer.headers and b"compute" in answer.body


def ask_often(times):
    """What was wrong with each request that was not answered as it should."""
    wrong = []
    for _ in range(times):
        try:
            answer = wire.talk(TARGET, [REQUEST], timeout=PATIENCE)[0]
            if not right(answer):
                wrong.append(repr(answer)[:200])
        except (OSError, ValueError) as e:
            wrong.append(repr(e))
    return wrong


def statuses(times):
    return [wire.talk(TARGET, [REQUEST], timeout=PATIENCE)[0].status
            for _ in range(times)]


def ask_on_one(times, pause):
    """The same, on a connection that stays open between requests."""
    with wire.connect(TARGET, timeout=PATIENCE) as s:
        for done in range(times):
            s.sendall(REQUEST)
            answer, _ = wire.receive(s, b"", False)
            if not right(answer):
                return [f"after {done} answers: {answer!r}"[:200]]
            time.sleep(pause)
    return []


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise world.Failed("no VmRSS")


class Flooded(unittest.TestCase):
    """A world, floods in it, and what must hold during and after."""

    places = PLACES
    world_class = world.World

    @classmethod
    def setUpClass(cls):
        allowed = {"root": {"userName": "root"},
                   "daemon": {"userName": "daemon"}}
        cls.world = cls.world_class(
            imds=world.item(access="deny",
                            rules=world.grant(["/metadata"], allowed)),
            wireserver=world.item(),
            config={"maxConnections": cls.places, "fileLogLevel": "Warn"})
        cls.addClassCleanup(cls.world.close)
        cls.world.start()

    def setUp(self):
        self.floods = []
        self.addCleanup(self.stop)
        ask_often(1)
        self.before = self.settled()

    def process(self, uid, function, *args, **kwargs):
        """A process as that user, of this test; its first word's pipe."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reader)
                resource.setrlimit(resource.RLIMIT_NOFILE,
                                   (ENTRIES, ENTRIES))
                self.world.become(uid, True)
                function(lambda said=b".": os.write(writer, said), *args,
                         **kwargs)
            finally:
                os._exit(1)
        os.close(writer)
        self.floods.append(pid)
        return reader

    def flood(self, uids, function, *args, **kwargs):
        """One for each, all of them at full strength on return."""
        for reader in [self.process(uid, function, *args, **kwargs)
                       for uid in uids]:
            with os.fdopen(reader, "rb") as f:
                self.assertEqual(f.read(1), b".", "the flood has ended")

    def stop(self):
        while self.floods:
            pid = self.floods.pop()
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass  # it has ended, which has failed the case

    def still_flooding(self):
        for pid in self.floods:
            self.assertEqual(os.waitpid(pid, os.WNOHANG), (0, 0))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.world.mspd.pid}/fd"))

    def settled(self):
        """Descriptors once idle connections to the host are gone."""
        last = [None, 0]

        def steady():
            now = self.descriptors()
            last[1] = last[1] + 1 if now == last[0] else 0
            last[0] = now
            return last[1] > 10 and now
        return world.wait_until(steady, 30, "descriptors at rest")

    def honest(self, times, uids=(0, DAEMON)):
        """Users ask side by side, and each of their requests is answered."""
        kept = [self.process(uid, self.report, ask_on_one, times, 0.01)
                for uid in uids]
        new = [self.process(uid, self.report, ask_often, times)
               for uid in uids]
        asking = self.floods[-len(kept + new):]
        del self.floods[-len(asking):]
        for reader, pid in zip(kept + new, asking):
            with os.fdopen(reader, "rb") as f:
                said = f.read()
            os.waitpid(pid, 0)
            self.assertEqual(said, b".")
        self.still_flooding()

    @staticmethod
    def report(ready, function, *args):
        try:
            wrong = function(*args)
        except Exception as e:
            wrong = [repr(e)]
        ready("; ".join(wrong[:5]).encode() or b".")

    def all_is_back(self):
        self.stop()
        world.wait_until(lambda: self.descriptors() <= self.before, 30,
                         "descriptors back")
        self.honest(3)

    def served_during(self, times, uids, function, *args, **kwargs):
        self.flood(uids, function, *args, **kwargs)
        self.honest(times)
        self.all_is_back()


class Few(Flooded):
    """64 places, 16 of them for one user."""

    def shown(self, name):
        states = self.world.status()["proxyAgentStatus"][
            "proxyListenerStatus"]["states"]
        return int(states[name])

    def test_status_counts_who_was_not_let_in(self):
        over, evicted = self.shown("refusedOverShare"), self.shown("evicted")
        self.flood([NOBODY], hold, 100)
        self.assertGreaterEqual(self.shown("refusedOverShare"),
                                over + 100 - SHARE)
        self.flood(OTHERS[1:], hold, SHARE)
        self.honest(1)
        self.assertGreater(self.shown("evicted"), evicted)
        self.all_is_back()

    def test_idle_connections(self):
        self.flood([NOBODY] * 3, hold, 500)
        world.wait_until(lambda: self.descriptors() <=
                         self.before + SHARE + 8, why="a share, no more")
        self.honest(50)
        self.all_is_back()

    def test_idle_connections_opened_again_when_closed(self):
        self.served_during(50, [NOBODY] * 3, hold, 40, again=True)

    def test_half_sent_requests(self):
        for name, first in (("line", HALF_LINE), ("head", HALF_HEAD),
                            ("body", HALF_BODY)):
            with self.subTest(half=name):
                self.served_during(50, [NOBODY] * 2, hold, 40, first,
                                   again=True)

    def test_several_users_at_once(self):
        self.served_during(50, OTHERS, hold, 40, again=True)

    def test_several_users_with_requests_in_hand(self):
        self.served_during(50, OTHERS, hold, 40, HALF_BODY, again=True)

    def test_storm_of_connections_closed_at_once(self):
        self.served_during(50, [NOBODY] * 3, storm)

    def test_storm_of_resets(self):
        self.served_during(50, [NOBODY] * 3, storm, HALF_LINE, reset=True)

    def test_refused_requests_all_the_time(self):
        self.served_during(50, [NOBODY] * 3, ask_all_the_time)

    def test_nobody_waits_when_no_descriptors_are_left(self):
        """Whoever comes is taken in; the host may be out of reach, though:
        that needs a descriptor, too."""
        pid = self.world.mspd.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        self.addCleanup(resource.prlimit, pid, resource.RLIMIT_NOFILE, limits)
        last = max(int(fd) for fd in os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE,
                         (last + 13, limits[1]))
        self.flood([NOBODY], hold, 14)
        self.flood([NOBODY], hold, 14, again=True)
        for uid in (0, DAEMON):
            got = self.world.call(statuses, 20, uid=uid)
            self.assertEqual(set(got) - {200, 502, 503}, set(), got)
        self.still_flooding()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        self.all_is_back()

    def hold_as_many(self, uid):
        """500 uids of a user namespace that this uid made."""
        mapped, tell = os.pipe()
        reader = self.process(uid, hold_as_many, mapped)
        with os.fdopen(reader, "rb", 0) as f, os.fdopen(tell, "wb", 0) as t:
            self.assertEqual(f.read(1), b"u")
            for name in ("uid_map", "gid_map"):
                with open(f"/proc/{self.floods[-1]}/{name}", "w",
                          encoding="ascii") as m:
                    m.write(f"0 200000 {UIDS}")
            t.write(b"m")
            os.close(mapped)
            self.assertEqual(f.read(1), b".")

    def test_uids_of_a_namespace_are_one_user(self):
        self.hold_as_many(0)
        self.honest(15)
        self.all_is_back()

    def test_uids_of_a_users_namespace_are_that_user(self):
        """So they take nothing from another user's namespace."""
        def in_a_namespace():
            if LIBC.unshare(CLONE_NEWUSER) != 0:
                raise OSError(ctypes.get_errno(), "unshare")
            return statuses(50)
        self.hold_as_many(NOBODY)
        got = self.world.call(in_a_namespace, uid=DAEMON)
        self.assertEqual(set(got), {200}, got)
        self.honest(15)
        self.all_is_back()

    def test_root_does_not_shut_out_a_user(self):
        self.flood([0], hold, 200, again=True)
        self.honest(50, uids=[DAEMON])
        self.all_is_back()

    def test_everything_at_once(self):
        self.flood([NOBODY], storm)
        self.flood([2], storm, HALF_LINE, reset=True)
        self.flood([3, 4, 5], hold, 40, HALF_BODY, again=True)
        self.flood([6, 0], hold, 40, again=True)
        self.honest(30, uids=[DAEMON])
        self.all_is_back()

    def test_log_does_not_grow_with_the_flood(self):
        lines = len(self.world.read("log", "ProxyAgent.log").splitlines())
        start = time.monotonic()
        self.flood([NOBODY], hold, 2000)
        self.flood([NOBODY] * 2, storm, HALF_LINE)
        self.honest(50)
        spent = time.monotonic() - start
        said = self.world.read("log", "ProxyAgent.log").splitlines()[lines:]
        about = [x for x in said if b"refused" in x and b"share" in x]
        self.assertTrue(about, said)
        # who is gone before it was looked at is an unknown caller
        self.assertTrue([x for x in about if b"uid %d" % NOBODY in x], about)
        self.assertLessEqual(len(said), 3 * spent + 5, said[:5])


class Many(Flooded):
    """As many places as there are by default, and more connections."""

    places = 4096

    def test_six_thousand_of_one_user(self):
        self.flood([NOBODY], hold, 6000)
        self.honest(30)
        self.all_is_back()

    def test_six_thousand_of_several_users(self):
        self.crowd_of_several()
        grown = resident_kib(self.world.mspd.pid)
        self.crowd_of_several()
        # it goes back a second after the crowd
        world.wait_until(
            lambda: resident_kib(self.world.mspd.pid) < grown + 8192,
            why="a second crowd takes no more memory than the first")

    def crowd_of_several(self):
        self.flood(OTHERS, hold, 1000)
        world.wait_until(lambda: self.descriptors() > 4000,
                         why="all places taken")
        self.honest(30)
        self.all_is_back()


class StarvedWorld(world.World):
    """Its mspd has few descriptors, and cannot get more."""

    descriptors = 640
    starting = False

    def join(self):
        super().join()
        if self.starting:
            resource.setrlimit(resource.RLIMIT_NOFILE,
                               (self.descriptors, self.descriptors))
            if LIBC.prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "prctl")

    def start_mspd(self, wait=True):
        self.starting = True
        try:
            super().start_mspd(wait=False)
        finally:
            self.starting = False
        if wait:
            self.wait_ready()


class Starved(Flooded):
    """Descriptors for 96 of the 4,096 connections that are wished for."""

    places = 4096
    world_class = StarvedWorld

    def test_there_are_only_places_that_have_descriptors(self):
        self.assertIn(b"640 descriptors are enough for 96 connections",
                      self.world.read("log", "ProxyAgent.log"))
        self.flood(OTHERS, hold, 300, again=True)
        self.honest(50)
        self.assertLess(self.descriptors(), self.world.descriptors - 96)
        self.all_is_back()
