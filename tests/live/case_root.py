# SPDX-License-Identifier: MIT
"""
In: mspd in a sandbox that hides /home and /tmp from it, as a unit with
ProtectHome and PrivateTmp does. Out: programs there are still known for what
they are, as long as the identity root shows them.
"""
import ctypes
import os
import shutil
import subprocess
import tempfile
import unittest

import world
from world import IMDS, INSTANCE, NOBODY, WIRESERVER

CURL = "/usr/bin/curl"
URL = f"http://{IMDS}{INSTANCE}"
CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
LIBC = ctypes.CDLL(None, use_errno=True)
HIDDEN = ("/home", "/tmp")
WARNING = b"rules that name a program will match nothing"


def mount(source, target, flags, kind=None):
    if LIBC.mount(source.encode(), target.encode(), kind, flags, None) != 0:
        raise OSError(ctypes.get_errno(), f"mount {target}")


def hide(outside=None):
    """What ProtectHome=tmpfs and PrivateTmp=yes do; outside: where the whole
    tree is still to be seen."""
    if LIBC.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    mount("none", "/", MS_REC | MS_PRIVATE)
    if outside:
        mount("/", outside, MS_BIND | MS_REC)
    for name in HIDDEN:
        mount("none", name, 0, b"tmpfs")


class Sandbox(unittest.TestCase):
    """Daemon may read, and whoever runs one of two programs."""

    def setUp(self):
        self.programs = []
        for folder in HIDDEN:
            mine = tempfile.mkdtemp(prefix="msp-live-", dir=folder)
            self.addCleanup(shutil.rmtree, mine)
            os.chmod(mine, 0o755)
            self.programs.append(os.path.join(mine, "program"))
            shutil.copy(CURL, self.programs[-1])
            os.chmod(self.programs[-1], 0o755)

    def start(self, root, outside=None):
        rules = world.grant(["/metadata"], {
            "daemon": {"userName": "daemon"},
            **{f"p{i}": {"exePath": p} for i, p in enumerate(self.programs)}})
        self.world = world.World(
            imds=world.item(access="deny", rules=rules),
            wireserver=world.item(), config={"identityRoot": root},
            folder="/var/tmp",  # in /tmp, mspd would not find its own files
            sandbox=lambda: hide(outside))
        self.addCleanup(self.world.close)
        self.world.start_host()
        self.take_along()
        self.world.start_mspd(wait=False)
        world.wait_until(self.is_ready, why="mspd ready")

    def take_along(self):
        """The build may be in what gets hidden."""
        build = self.world.path("build")
        os.makedirs(build + "/mspd")
        for name in ("mspd/mspd", "libmsp.so.0"):
            shutil.copy(os.path.join(self.world.build, name),
                        os.path.join(build, name))
        self.world.build = build

    def is_ready(self):
        try:
            answer = self.world.get("/x", host=WIRESERVER)
        except OSError:
            return False
        return world.PASSED in answer.headers

    def status(self, program, uid=NOBODY):
        done = subprocess.run(
            [program, "-s", "-m", "10", "-o", "/dev/null", "-w",
             "%{http_code}", "-H", "Metadata:true", URL],
            stdout=subprocess.PIPE, cwd="/", env={"PATH": world.PATH},
            preexec_fn=lambda: self.world.become(uid, True), check=True)
        return int(done.stdout)

    def statuses(self):
        """Of both programs, of another program, of daemon with that."""
        return [self.status(program) for program in self.programs] + \
            [self.status(CURL), self.status(CURL, uid=world.DAEMON)]

    def test_root_that_shows_them_lets_the_programs_in(self):
        outside = tempfile.mkdtemp(prefix="msp-live-root-", dir="/var/tmp")
        self.addCleanup(os.rmdir, outside)
        self.start(outside, outside)
        self.assertEqual(self.statuses(), [200, 200, 403, 200])

    def test_root_that_hides_them_lets_no_program_in(self):
        self.start("/")
        self.assertEqual(self.statuses(), [403, 403, 403, 200])

    def test_root_of_process_1_shows_them_or_is_said_not_to(self):
        """Some kernels do not even let root open it."""
        self.start("/proc/1/root")
        try:
            os.close(os.open("/proc/1/root", os.O_PATH))
            shown = os.path.exists("/proc/1/root" + self.programs[0])
        except OSError:
            shown = False
        self.assertEqual(self.statuses(),
                         [200 if shown else 403] * 2 + [403, 200])
        if not shown:
            self.assertIn(WARNING, self.world.read("mspd.out"))

    def test_root_that_is_missing_is_said_to_be(self):
        self.start("/nonexistent")
        self.assertEqual(self.statuses(), [403, 403, 403, 200])
        self.assertIn(WARNING, self.world.read("mspd.out"))
        self.assertIn(b"/nonexistent", self.world.read("mspd.out"))
