# SPDX-License-Identifier: MIT
"""
In: machines on which redirection cannot begin: no eBPF, no cgroup v2, no
port to listen at, no key. Out: status.json says so in the words of the
troubleshooting pages, nothing is redirected, and once the cause is gone all
is well without a restart.
"""
import ctypes
import errno
import json
import os
import subprocess
import sys
import unittest

import refusal
import world
from world import INSTANCE, wait_until

START = "Failed to start redirector: "
LOAD = (START + "Failed to load program '%s' with error: the BPF_PROG_LOAD "
        "syscall failed. Verifier output: ")
ATTACH = (START + "Failed to attach program 'connect4' with error: "
          "`bpf_link_create` failed")
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWNET = 0x20000, 0x2000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 1 << 14, 1 << 18, 2
# ends when its standard input does
SQUAT = """
import socket, sys
with socket.create_server(("127.0.0.1", 3080)):
    print("listening", flush=True)
    sys.stdin.read()
"""
LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def mount(source, target, kind, flags):
    checked(LIBC.mount(*(s.encode() if s else None
                         for s in (source, target, kind)), flags, None),
            f"mount {target}")


def cgroup_mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        for line in f:
            before, _, after = line.partition(" - ")
            if after.startswith("cgroup2 "):
                yield before.split()[4]


def own_mounts(flags=0):
    """A mount table of this process, which it can change."""
    checked(LIBC.unshare(CLONE_NEWNS | flags), "unshare")
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def lose_cgroups(but=None):
    for point in list(cgroup_mounts()):
        if point != but:
            checked(LIBC.umount2(point.encode(), MNT_DETACH), "umount")


def enter(pid, **kinds):
    for name, kind in kinds.items():
        with open(f"/proc/{pid}/ns/{name}", "rb") as f:
            checked(LIBC.setns(f.fileno(), kind), "setns")


def set_ports(text):
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w",
              encoding="ascii") as f:
        f.write(text)


class Case(unittest.TestCase):

    def make(self, sandbox=None, host=True, **config):
        made = world.World(sandbox=sandbox, imds=world.item(), config={
            "redirectRetryIntervalInSeconds": 0.05, **config})
        self.addCleanup(made.close)
        if host:
            made.start_host()
        return made

    def module(self, made, name="ebpfProgramStatus"):
        return self.document(made)["proxyAgentStatus"][name]

    def document(self, made):
        self.assertIsNone(made.mspd.poll(), made.tail("mspd.out"))
        try:
            return json.loads(made.read("status", "status.json"))
        except FileNotFoundError:
            return {"proxyAgentStatus": {
                "ebpfProgramStatus": {}, "proxyListenerStatus": {},
                "keyLatchStatus": {}, "status": None}}

    def wait_said(self, made, begin, name="ebpfProgramStatus"):
        """The module's message, once it begins like that."""
        def said():
            message = self.module(made, name).get("message", "")
            return message if message.startswith(begin) else None
        try:
            return wait_until(said, why=begin)
        except world.Failed:
            self.fail(f"{begin!r} is not said: {self.document(made)}")

    def is_stopped(self, made, name="ebpfProgramStatus"):
        self.assertEqual(self.module(made, name)["status"], "STOPPED")
        self.assertEqual(self.document(made)["proxyAgentStatus"]["status"],
                         "ERROR")

    def is_well(self, made):
        made.wait_ready()
        wait_until(lambda: self.document(made)["proxyAgentStatus"][
            "status"] == "SUCCESS", why="SUCCESS")
        module = self.module(made)
        self.assertEqual(module["status"], "RUNNING")
        self.assertRegex(module["message"],
                         r"^Started Redirector with eBPF maps - \d+")


class Programs(Case):

    def setUp(self):
        self.refusal = refusal.Refusal()
        self.refusal.__enter__()
        self.addCleanup(self.refusal.__exit__)
        self.world = self.make(sandbox=self.refusal.sandbox)

    def start(self):
        self.world.start_mspd(wait=False)
        self.refusal.begin()

    def test_without_ebpf_the_status_says_so_until_there_is(self):
        self.refusal.refuse(lambda name: (errno.EPERM, b""))
        self.start()
        message = self.wait_said(self.world, LOAD % "connect4")
        self.assertEqual(message, LOAD % "connect4" +
                         "none: Operation not permitted")
        self.is_stopped(self.world)
        self.assertEqual(self.module(self.world, "proxyListenerStatus")[
            "status"], "RUNNING")
        # not redirected: the host's own answer
        self.assertEqual(self.world.get(INSTANCE).status, 200)
        self.assertNotIn(world.PASSED, self.world.get(INSTANCE).headers)
        before = self.refusal.count()
        # many loads to each attempt, and well over five attempts
        wait_until(lambda: self.refusal.count() > before + 200, why="retries")
        self.refusal.refuse(lambda name: None)
        self.is_well(self.world)

    def test_verifiers_last_words_are_in_the_status(self):
        text = b"".join(b"%d: (85) call unknown#%d\n" % (i, i)
                        for i in range(4000))
        text += b"R1 \x1b[2J is not it\nprocessed 99 insns\n"
        old = {"msp_connect4": (errno.EINVAL, text)}
        self.refusal.refuse(lambda name: old.get(name))
        self.start()
        message = self.wait_said(self.world, LOAD % "connect4")
        self.assertEqual(message[len(LOAD % "connect4"):][:3], "...")
        self.assertTrue(message.endswith(
            "/ 3999: (85) call unknown#3999 / R1 ?[2J is not it"), message)
        self.assertLessEqual(len(message.encode()), 1024)
        self.assertGreater(len(message), 900)
        self.is_stopped(self.world)
        # the one that is refused is named, not the first there is
        other = {"msp_getpeer6": (errno.EACCES, b"invalid access\n")}
        self.refusal.refuse(lambda name: other.get(name))
        self.assertEqual(self.wait_said(self.world, LOAD % "getpeername6"),
                         LOAD % "getpeername6" + "invalid access")
        self.refusal.refuse(lambda name: None)
        self.is_well(self.world)


class Cgroups(Case):

    def test_without_cgroup2_the_status_says_so_until_it_is_mounted(self):
        def sandbox():
            own_mounts(CLONE_NEWCGROUP)
            lose_cgroups()

        made = self.make(sandbox, cgroupRoot="/sys/fs/cgroup")
        del made.config["cgroupPath"]
        made.start_mspd(wait=False)
        message = self.wait_said(made, START)
        self.assertEqual(message, ATTACH + ": there is no cgroup v2 file "
                         "system at '/sys/fs/cgroup'")
        self.is_stopped(made)
        # its namespace ends at the cgroup of this world
        made.call(self.mount_cgroups, made.mspd.pid, made.path("cg"))
        self.is_well(made)

    @staticmethod
    def mount_cgroups(pid, target):
        enter(pid, cgroup=CLONE_NEWCGROUP, mnt=CLONE_NEWNS)
        os.mkdir(target)
        mount("none", target, "cgroup2", 0)

    def test_missing_directory_is_named(self):
        made = self.make(cgroupPath="/sys/fs/cgroup/nonexistent/msp-live")
        made.start_mspd(wait=False)
        self.assertEqual(
            self.wait_said(made, START), START + "Failed to open cgroup "
            "'/sys/fs/cgroup/nonexistent/msp-live' with error: "
            "No such file or directory")
        self.is_stopped(made)

    def test_part_of_cgroup2_is_taken_only_if_it_is_configured(self):
        def sandbox():
            own_mounts()
            os.mkdir(part)
            mount(made.cgroup, part, None, MS_BIND)
            lose_cgroups(but=part)

        made = self.make(lambda: sandbox())
        part = made.path("part")
        del made.config["cgroupPath"]
        made.start_mspd(wait=False)
        self.assertEqual(
            self.wait_said(made, START), START + "only a part of the cgroup "
            f"v2 hierarchy is mounted, at '{part}'")
        self.is_stopped(made)
        made.stop_mspd()
        os.rmdir(part)
        made.config["cgroupPath"] = part
        made.start_mspd(wait=False)
        self.is_well(made)


class Beginning(Case):
    """What else the troubleshooting table has of an agent that runs."""

    def test_port_that_is_taken_is_said_until_it_is_free(self):
        made = self.make(lambda: enter(squatter.pid, net=CLONE_NEWNET),
                         host=False)
        squatter = subprocess.Popen(
            [sys.executable, "-c", SQUAT], preexec_fn=self.narrow_network,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(squatter.__exit__, None, None, None)
        self.assertEqual(squatter.stdout.readline(), b"listening\n")
        made.start_mspd(wait=False)
        name = "proxyListenerStatus"
        self.assertEqual(
            self.wait_said(made, "IO error: ", name), "IO error: Failed to "
            "bind TcpListener '127.0.0.1:3080': Address already in use")
        self.is_stopped(made, name)
        self.assertEqual(self.module(made), {
            "status": "UNKNOWN", "message": "eBPF redirector is starting"})
        squatter.stdin.close()
        squatter.wait()
        self.wait_said(made, "Started proxy listener, ready to accept "
                       "request - ", name)
        made.call(self.widen_network, made.mspd.pid)
        self.wait_said(made, "Started Redirector with eBPF maps - ")

    @staticmethod
    def narrow_network():
        """One that has no other port to offer."""
        world.enter_namespace()
        set_ports("3080 3080")

    @staticmethod
    def widen_network(pid):
        enter(pid, net=CLONE_NEWNET)
        set_ports("32768 60999")

    def test_key_that_is_not_given_is_said_until_it_is(self):
        made = self.make()
        made.control("POST", "/faults", json.dumps({
            "name": "key-not-offered", "endpoint": "wireserver",
            "path": "/secure-channel/key"}).encode())
        made.start_mspd(wait=False)
        self.wait_said(made, "Failed to acquire key details: ",
                       "keyLatchStatus")
        self.assertNotIn(world.PASSED, made.get(INSTANCE).headers)
        made.control("DELETE", "/faults")
        self.is_well(made)
