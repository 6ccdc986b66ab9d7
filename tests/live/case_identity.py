# SPDX-License-Identifier: MIT
"""
In: clients that try to be somebody else. Out: each is who it was when it
connected, and runs what it really ran.
"""
import ctypes
import errno
import os
import shutil
import signal
import socket
import subprocess
import time
import unittest

import wire
import world
from world import IMDS, INSTANCE, METADATA, NOBODY

CURL = "/usr/bin/curl"
URL = f"http://{IMDS}{INSTANCE}"
SO_BINDTODEVICE = 25
CLONE_NEWPID = 0x20000000
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
REQUEST = wire.request(b"GET", INSTANCE, IMDS, [METADATA])


def ask(s):
    s.sendall(REQUEST)
    answer = wire.receive(s, b"", False)[0]
    return answer.status if answer else None


class User(unittest.TestCase):
    """Root may, nobody may not."""

    @classmethod
    def setUpClass(cls):
        rules = world.grant(["/metadata"], {"root": {"userName": "root"}})
        cls.world = world.World(imds=world.item(access="deny", rules=rules),
                                wireserver=world.item())
        cls.addClassCleanup(cls.world.close)
        cls.world.start()

    def test_identity_is_that_of_the_connect_after_a_drop(self):
        def drop():
            with wire.connect((IMDS, 80)) as s:
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
                return ask(s)
        self.assertEqual(self.world.call(drop), 200)

    def test_identity_is_that_of_the_connect_for_a_passed_socket(self):
        """Nobody's connection does not become root's by being handed over."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            self.world.become(NOBODY, True)
            s = wire.connect((IMDS, 80))
            socket.send_fds(theirs, [b"x"], [s.fileno()])
            os._exit(0)
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        os.waitpid(pid, 0)
        with socket.socket(fileno=fds[0]) as s:
            s.settimeout(5)
            self.assertEqual(ask(s), 403)
        ours.close()
        theirs.close()

    def test_dead_client_is_still_known(self):
        """Its socket lives on in another process."""
        def pass_on():
            s = wire.connect((IMDS, 80))
            pid = os.fork()
            if pid == 0:
                os.setresuid(NOBODY, NOBODY, NOBODY)
                os._exit(0 if ask(s) == 200 else 1)
            return os.waitpid(pid, 0)[1]
        self.assertEqual(self.world.call(pass_on), 0)

    def test_effective_root_alone_is_not_root(self):
        """What a set-uid program is: the user who started it."""
        def half_root():
            os.setresuid(NOBODY, 0, 0)
            with wire.connect((world.WIRESERVER, 80)) as s:
                s.sendall(wire.request(b"GET", "/?comp=versions",
                                       world.WIRESERVER))
                return wire.receive(s, b"", False)[0].status
        self.assertEqual(self.world.call(half_root), 403)

    def test_socket_bound_to_a_device_is_redirected(self):
        def bound():
            s = socket.socket()
            s.settimeout(5)
            s.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"lo\0")
            s.connect((IMDS, 80))
            return ask(s)
        self.assertEqual(self.world.call(bound), 200)

    def test_another_network_namespace_is_refused(self):
        def foreign():
            if ctypes.CDLL(None).unshare(world.CLONE_NEWNET) != 0:
                return "no namespace"
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True,
                           env={"PATH": world.PATH})
            try:
                wire.connect((IMDS, 80)).close()
            except OSError as e:
                return e.errno
            return 0
        self.assertEqual(self.world.call(foreign), errno.EPERM)

    def test_fast_open_is_identified(self):
        def fast_open():
            with socket.socket() as s:
                s.sendto(REQUEST, socket.MSG_FASTOPEN, (IMDS, 80))
                answer = wire.receive(s, b"", False)[0]
                return answer.status
        self.assertEqual(self.world.call(fast_open, uid=NOBODY), 403)
        self.assertEqual(self.world.call(fast_open), 200)

    def test_client_sees_the_address_it_asked_for(self):
        def peer():
            with wire.connect((IMDS, 80)) as s:
                return s.getpeername()
        self.assertEqual(self.world.call(peer), (IMDS, 80))


def into_pid_namespace():
    """What comes next is its first process; this one waits for the end."""
    if LIBC.unshare(CLONE_NEWPID) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    pid = os.fork()
    if pid == 0:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        return
    os.closerange(3, 1000)  # somebody reads until the exec has closed them
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xff)


class PidNamespace(unittest.TestCase):
    """The agent in one of its own, where others have no number."""

    TRIES = 500

    def setUp(self):
        self.world = world.World(imds=world.item(), wireserver=world.item(),
                                 sandbox=into_pid_namespace)
        self.addCleanup(self.world.close)
        self.world.start_host()
        self.world.start_mspd(wait=False)
        world.wait_until(self.refuses, why="mspd refuses")

    def refuses(self):
        try:
            return self.ask_often(1) == {421}
        except OSError:  # what was under way to the host is reset
            return False

    def ask_often(self, tries, uid=0):
        def often():
            seen = set()
            for _ in range(tries):
                with wire.connect((IMDS, 80)) as s:
                    seen.add(ask(s))
            return seen
        return self.world.call(often, uid=uid)

    def ask_inside(self):
        outer = self.world.mspd.pid
        with open(f"/proc/{outer}/task/{outer}/children",
                  encoding="ascii") as f:
            inner = f.read().strip()
        return self.world.call(lambda: subprocess.run(
            ["nsenter", "-t", inner, "-p", CURL, "-s", "-o", "/dev/null",
             "-w", "%{http_code}", "-H", "Metadata:true", URL],
            stdout=subprocess.PIPE, check=False).stdout)

    def test_who_has_no_number_there_is_refused(self):
        self.assertEqual(self.ask_often(self.TRIES), {421})
        self.assertEqual(self.ask_often(self.TRIES, NOBODY), {421})
        self.assertEqual(self.ask_inside(), b"200")


class Program(unittest.TestCase):
    """Whoever runs /usr/bin/curl may, and nobody else."""

    @classmethod
    def setUpClass(cls):
        rules = world.grant(["/metadata"], {"curl": {"exePath": CURL}})
        # /proc/1/root cannot be opened in every container
        cls.world = world.World(imds=world.item(access="deny", rules=rules),
                                wireserver=world.item(),
                                config={"identityRoot": "/"})
        cls.addClassCleanup(cls.world.close)
        cls.world.start_host()
        cls.world.start_mspd(wait=False)
        # The world's own client is python: its refusal shows that it is up.
        world.wait_until(lambda: cls.world.get(INSTANCE).status == 403,
                         why="mspd ready")

    def status(self, program, uid=NOBODY):
        process = subprocess.Popen(
            [program, "-s", "-m", "10", "-o", "/dev/null", "-w",
             "%{http_code}", "-H", "Metadata:true", URL],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd="/",
            env={"PATH": world.PATH},
            preexec_fn=lambda: self.world.become(uid, True))
        return int(process.communicate()[0])

    def test_program_at_its_path_is_allowed(self):
        self.assertEqual(self.status(CURL), 200)
        self.assertEqual(self.status(CURL, uid=0), 200)

    def test_other_program_is_refused(self):
        self.assertEqual(self.world.get(INSTANCE).status, 403)

    def test_copy_elsewhere_is_refused(self):
        copy = self.world.path("curl")
        shutil.copy(CURL, copy)
        os.chmod(copy, 0o755)
        self.assertEqual(self.status(copy), 403)

    def test_other_program_mounted_over_the_path_is_refused(self):
        """In a mount namespace of its own."""
        copy = self.world.path("other-curl")
        shutil.copy(CURL, copy)
        os.chmod(copy, 0o755)
        script = (f"mount --bind {copy} {CURL} && exec {CURL} -s -m 10 "
                  f"-o /dev/null -w '%{{http_code}}' -H Metadata:true '{URL}'")
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c",
             script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
            env={"PATH": world.PATH}, preexec_fn=self.world.join)
        self.assertEqual((done.stdout, done.stderr), (b"403", b""))

    def test_exec_of_the_right_program_after_connect_is_refused(self):
        """A program connects, starts curl in its own process, and lets a
        helper send the request: the process is curl by then."""
        def switch(writer):
            s = wire.connect((IMDS, 80))
            if os.fork() == 0:
                time.sleep(0.5)
                exe = os.readlink(f"/proc/{os.getppid()}/exe")
                os.write(writer, f"{exe} {ask(s)}".encode())
                os._exit(0)
            os.execv(CURL, ["curl", "-s", "-m", "2", "telnet://%s:%d" %
                            world.CONTROL])
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            self.world.become(0, True)
            os.dup2(os.open("/dev/null", os.O_RDWR), 0)
            switch(writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as f:
            self.assertEqual(f.read(), f"{CURL} 403".encode())
        os.waitpid(pid, 0)
