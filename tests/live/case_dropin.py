# SPDX-License-Identifier: MIT
"""
In: a machine that has been set up for Azure's agent - its file names, its
configuration, a cloud-init that asks it - and this one in its place. Out:
what they see of it. Must never touch what the machine has under these names.
"""
import ctypes
import errno
import json
import os
import re
import shutil
import subprocess
import unittest

import fake_agent
import refusal
import syscalls
import world

CLONE_NEWNS, CLONE_NEWCGROUP = 0x00020000, 0x02000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
COMMAND = ["azure-proxy-agent", "--status", "--wait", "120"]
# What stands in for a folder of the machine, and what a program needs of it.
FOLDERS = {"/etc": "etc", "/var/log": "varlog", "/var/lib": "varlib",
           "/run": "run"}
NEEDED = ("passwd", "group", "nsswitch.conf", "ld.so.cache")
AZURES_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                           "../data/proxy-agent.json")
REFUSED = ("Failed to query the current provision state with error: "
           "Connection refused (os error 111).\n")
libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def mount(source, target, kind=None, flags=0):
    check(libc.mount(source.encode(), target.encode(),
                     kind and kind.encode(), flags, None), target)


def cgroup2_mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        for line in f:
            before, _, after = line.partition(" - ")
            if after.split()[0] == "cgroup2":
                yield before.split()[4]


class Image(world.World):
    """A VM image with this agent under the other's names."""

    def __init__(self, config=None, **more):
        super().__init__(**more)
        for name in (*FOLDERS.values(), "sbin", "cgroup2", "etc/azure"):
            os.mkdir(self.path(name))
        for name in NEEDED:
            if os.path.exists("/etc/" + name):
                shutil.copy("/etc/" + name, self.path("etc"))
        with open(self.path("console"), "wb"):
            pass
        shutil.copy(os.path.join(self.build, "mspd/mspd"),
                    self.path("sbin", COMMAND[0]))
        with open(AZURES_FILE, encoding="utf-8") as f:
            text = f.read()
        if config:  # else to the byte as it is shipped
            text = json.dumps({**json.loads(text), **config})
        with open(self.path("etc/azure/proxy-agent.json"), "w",
                  encoding="utf-8") as f:
            f.write(text)

    def enter(self):
        """As if this process were in a VM made of that image."""
        self.join()
        check(libc.unshare(CLONE_NEWNS | CLONE_NEWCGROUP), "unshare")
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        for path in reversed(list(cgroup2_mounts())):
            check(libc.umount2(path.encode(), MNT_DETACH), path)
        mount("none", self.path("cgroup2"), "cgroup2")
        if os.path.exists("/dev/console"):
            mount(self.path("console"), "/dev/console", flags=MS_BIND)
        for there, here in FOLDERS.items():
            mount(self.path(here), there, flags=MS_BIND)

    def environment(self):
        return {**super().environment(),
                "PATH": self.path("sbin") + ":" + world.PATH}

    def enter_sandbox(self):
        self.enter()
        if self.sandbox:
            self.sandbox()

    def run(self, *args, enter=None, **more):
        return subprocess.Popen(args, env=self.environment(),
                                preexec_fn=enter or self.enter, **more)

    def start_agent(self, **more):
        """As its unit does."""
        with open(self.path("mspd.out"), "ab") as out:
            self.mspd = self.run(*syscalls.tracer(),
                                 self.path("sbin", COMMAND[0]), stdout=out,
                                 stderr=out, stdin=subprocess.DEVNULL,
                                 enter=self.enter_sandbox, **more)

    def start_cloud_init(self, *wait):
        return self.run(*COMMAND[:2], *(wait or COMMAND[2:]),
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    @staticmethod
    def result(process):
        """What cloud-init goes by, and what it reports."""
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise world.Failed("cloud-init waits") from None
        return process.returncode, out.decode(), err.decode()

    def cloud_init(self, *wait):
        return self.result(self.start_cloud_init(*wait))


class DropIn(unittest.TestCase):

    def image(self, enabled=True, fault=None, **config):
        self.world = w = Image(imds=world.item(), wireserver=world.item(),
                               config=config)
        self.addCleanup(w.close)
        w.start_host()
        if not enabled:
            w.control("POST", "/channel?enabled=false")
        if fault:
            w.control("POST", "/faults", json.dumps(fault).encode())
        return w

    def test_image_of_azures_agent_works_with_its_file_as_it_is(self):
        w = self.image()
        w.start_agent()
        self.assertEqual(w.cloud_init()[0], 0)
        w.wait_ready()
        log = w.read("varlog/azure-proxy-agent/ProxyAgent.log").decode()
        # one key means something else here, of the others nothing is said
        words = "|".join((*json.loads(w.read(
            "etc/azure/proxy-agent.json")), "unknown key", "no effect"))
        said = [line for line in log.splitlines() if re.search(words, line)]
        self.assertEqual(len(said), 1, said)
        self.assertIn("canonicalRequestMode: has no effect", said[0])
        self.assertEqual(
            [os.path.splitext(n)[1] for n in
             os.listdir(w.path("varlib/azure-proxy-agent/keys"))
             if n.endswith(".key")], [".key"])
        self.assertEqual(w.read("run/mspd/listener"), b"127.0.0.1:3080\n")

    def test_image_without_log_files_works(self):
        w = self.image(logFolder="")
        w.start_agent()
        self.assertEqual(w.cloud_init()[0], 0)
        w.wait_ready()
        self.assertNotIn("ProxyAgent.log",
                         os.listdir(w.path("varlog/azure-proxy-agent")))
        said = w.read("mspd.out").decode().splitlines()
        self.assertEqual(said[0], "The log folder is not set, skip write to "
                         "GPA managed file log.")
        self.assertRegex(said[1], r"^={14} GuestProxyAgent \(.+\) is starting")

    def test_image_with_an_odd_configuration_starts(self):
        w = self.image(pollKeyStatusIntervalInSeconds=0, fileLogLevel=None,
                       latchKeyFolder="var/lib/azure-proxy-agent/keys",
                       cgroupRoot="", maxEventFileCount=None,
                       enableHttpProxyTrace=None)
        w.start_agent(cwd="/")
        self.assertEqual(w.cloud_init()[0], 0)
        w.wait_ready()
        log = w.read("varlog/azure-proxy-agent/ProxyAgent.log").decode()
        for word in ("pollKeyStatusIntervalInSeconds: 0 is too short, 1 is",
                     "latchKeyFolder: is not an absolute path, /var/lib/",
                     "cgroupRoot: is empty, /sys/fs/cgroup is"):
            self.assertIn(word, log)
        self.assertIn("status.tag",
                      os.listdir(w.path("varlib/azure-proxy-agent/keys")))

    def test_process_has_the_name_of_azures_agent(self):
        w = self.image()
        w.start_agent()
        w.wait_ready()
        folder = f"/proc/{w.mspd.pid}"
        with open(folder + "/comm", encoding="ascii") as f:
            self.assertEqual(f.read(), "azure-proxy-age\n")  # 15 characters
        with open(folder + "/cmdline", "rb") as f:
            self.assertEqual(f.read().split(b"\0"),
                             [w.path("sbin", COMMAND[0]).encode(), b""])

    def test_cloud_init_provisions_a_vm_of_a_pool_twice(self):
        w = self.image(enabled=False, pollKeyStatusIntervalInSeconds=3600)
        waiting = w.start_cloud_init()  # before the agent is up
        w.start_agent()
        code, out, err = w.result(waiting)
        self.assertEqual((code, err), (0, ""))
        self.assertLessEqual(len(out.splitlines()), 3, out)
        self.assertFalse(w.state()["latched"])
        # the VM becomes somebody's: another identity, which wants a channel
        w.control("POST", "/channel?enabled=true")
        self.assertEqual(w.cloud_init(), (0, "", ""))
        self.assertTrue(w.state()["latched"])
        w.wait_ready()
        # and after a reboot
        w.stop_mspd()
        w.start_agent()
        self.assertEqual(w.cloud_init()[0], 0)
        w.wait_ready()

    def test_cloud_init_is_told_that_there_is_no_key(self):
        w = self.image(fault={"name": "status", "status": 500,
                              "endpoint": "wireserver",
                              "path": "/secure-channel/key"},
                       provisioningTimeoutInSeconds=1)
        w.start_agent()
        code, out, err = w.cloud_init()
        self.assertEqual((code, err), (2, ""))
        self.assertRegex(out, r"keyLatchStatus - Failed to acquire key "
                         r"details: .+\r\n\n\Z")

    def test_cloud_init_is_told_that_the_programs_cannot_be_attached(self):
        w = self.image(provisioningTimeoutInSeconds=0.5,
                       cgroupPath="/nonexistent")
        w.start_agent()
        code, out, err = w.cloud_init()
        self.assertEqual((code, err), (2, ""))
        self.assertRegex(out, r"ebpfProgramStatus - Failed to start "
                         r"redirector: .+\r\n")

    def test_cloud_init_is_told_that_there_is_no_ebpf(self):
        w = self.image(provisioningTimeoutInSeconds=0.5)
        kernel = refusal.Refusal()
        self.addCleanup(kernel.__exit__)
        kernel.refuse(lambda name: (errno.EPERM, b""))
        w.sandbox = kernel.sandbox
        w.start_agent()
        kernel.begin()
        code, out, err = w.cloud_init()
        self.assertEqual((code, err), (2, ""))
        self.assertIn("Failed to load program 'connect4' with error: the "
                      "BPF_PROG_LOAD syscall failed.", out)
        w.mspd.kill()
        w.mspd.wait()

    def test_cloud_init_is_told_however_late_it_asks(self):
        w = self.image(provisioningTimeoutInSeconds=0.5,
                       redirectRetryIntervalInSeconds=3600,
                       cgroupPath="/nonexistent")
        w.start_agent()
        # it listens by then, or the first to ask has one line more
        world.wait_until(lambda: "Failed to start redirector" in
                         w.tail("mspd.out"), why="the agent has tried")
        said = w.cloud_init()
        self.assertEqual(said[0], 2)
        # the time is over, and nothing is known of who asks
        self.assertEqual(w.cloud_init(), said)
        self.assertEqual(w.result(w.run(
            *COMMAND[:2], enter=lambda: (w.enter(), w.become(
                world.NOBODY, False)), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)), said)

    def test_cloud_init_that_gives_up_first_has_the_reason_too(self):
        w = self.image(cgroupPath="/nonexistent")
        w.start_agent()
        world.wait_until(lambda: "Failed to start redirector" in
                         w.tail("mspd.out"), why="the agent has tried")
        code, out, err = w.cloud_init("--wait", "1")
        self.assertEqual((code, err), (1, ""))
        self.assertRegex(out, r"(?m)^ebpfProgramStatus - Failed to start "
                         r"redirector: .+\r\nkeyLatchStatus - .+\r\n\n\Z")

    def test_cloud_init_is_not_told_that_all_is_well_by_a_stranger(self):
        stranger = fake_agent.FakeAgent([fake_agent.YES], uid=world.NOBODY)
        self.addCleanup(stranger.close)
        w = self.image()
        code, out, err = w.cloud_init("--wait", "1")
        self.assertEqual((code, err), (1, ""))
        self.assertEqual(out, "Failed to query the current provision state "
                         "with error: 127.0.0.1:3080 is held by user 65534 "
                         "and not by root, so it is not asked.\n")
        self.assertEqual(stranger.requests, [])

    def test_cloud_init_is_not_told_by_who_took_the_port(self):
        stranger = fake_agent.FakeAgent([fake_agent.answer(
            b'{"finished":true,"errorMessage":"mine"}')])
        self.addCleanup(stranger.close)
        w = self.image()
        w.start_agent()
        world.wait_until(lambda: os.path.exists(w.path("run/mspd/listener")),
                         why="listener")
        self.assertEqual(w.cloud_init()[0], 0)
        self.assertEqual(stranger.requests, [])
        w.wait_ready()

    def test_cloud_init_is_told_what_is_wrong_with_the_configuration(self):
        w = self.image(pollKeyStatusIntervalInSeconds="often")
        w.start_agent()
        self.assertEqual(w.mspd.wait(20), 78)
        said = w.read("mspd.out").decode()
        self.assertRegex(said, r"\Aazure-proxy-agent: /etc/azure/proxy-agent"
                         r"\.json: line 1 column \d+: "
                         r"pollKeyStatusIntervalInSeconds: .+\n\Z")
        done = w.result(w.run(*COMMAND[:2], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE))
        self.assertEqual(done, (1, REFUSED, said))


class Console(unittest.TestCase):
    """The agent by hand, until Enter is pressed."""

    def setUp(self):
        self.world = w = world.World(imds=world.item())
        self.addCleanup(w.close)
        w.write_config()

    def start(self, stdin):
        w = self.world
        w.mspd = subprocess.Popen(
            [*syscalls.tracer(), os.path.join(w.build, "mspd/mspd"),
             "--config", w.path("mspd.json"), "console"], stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=w.environment(), preexec_fn=w.prepare_mspd)

    def finish(self, data=None):
        out, _ = self.world.mspd.communicate(data, timeout=20)
        self.assertEqual(self.world.mspd.returncode, 0, out)
        self.assertEqual(out.splitlines()[0], b"Press Enter to end it.")
        log = self.world.read("log", "ProxyAgent.log").decode()
        self.assertTrue(re.search(r"={14} GuestProxyAgent is stopping, "
                                  r"elapsed: \d+$", log, re.M), log)

    def test_console_ends_with_a_line(self):
        self.world.start_host()
        self.start(subprocess.PIPE)
        self.world.wait_ready()
        self.world.mspd.stdin.write(b"not yet")
        self.world.mspd.stdin.flush()
        self.world.wait_ready()
        self.finish(b"\nleft over")
        # nothing redirects any more
        answer = self.world.get(world.INSTANCE)
        self.assertNotIn(world.PASSED, answer.headers if answer else ())

    def test_console_ends_with_its_input(self):
        self.start(subprocess.PIPE)
        self.finish()

    def test_console_ends_with_a_file(self):
        self.start(subprocess.DEVNULL)
        self.finish()
        with open(self.world.path("mspd.json"), "rb") as f:
            self.start(f)
            self.finish()
