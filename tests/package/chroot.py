#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: the directory that "make deb" has filled, root, and the first time the
network. Out: whether dpkg installs, upgrades, removes and purges the packages
in a Debian system as its owner expects, as when an image is made: no service
runs. Must never change that system, nor the machine's own.

    chroot.py DEBS [NAME...]   only cases whose name contains one of the words
    V=1                        name each case as it passes

Where no mirror answers the system is what this machine has installed.
"""
import glob
import os
import re
import shutil
import stat
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(SOURCE, "tests", "live")]

import run as live  # noqa: E402 - they are found through the lines above
import system  # noqa: E402
from system import command  # noqa: E402

COMPAT = "azure-proxy-agent-compat"
AGENT = ("libmsp0", "mspd", COMPAT)
ALL = (*AGENT, "libmsp-dev", "msp-host")
CONFIG = "etc/azure/proxy-agent.json"
PROGRAM = "usr/sbin/azure-proxy-agent"
WANTED = "etc/systemd/system/multi-user.target.wants/azure-proxy-agent.service"
STATE = ("var/lib/azure-proxy-agent/keys/a.key",
         "var/log/azure-proxy-agent/ProxyAgent.log")
CONTROL = "etc/systemd/system.control/azure-proxy-agent.service.d"
# as "systemctl set-property" writes it
QUOTA = """# This is a drop-in unit file extension, created via "systemctl \
set-property"
# or an equivalent operation. Do not edit.
[Service]
CPUQuota={}
"""
# What dpkg and its tools keep for themselves.
THEIRS = re.compile("(var/lib/dpkg|var/cache|var/log/(dpkg|alternatives)|"
                    r"etc/ld\.so\.cache|debs|tmp|run|dev|proc)(/|$|\.log)")
DEVICES = ("null", "zero", "full", "random", "urandom")


class Root:
    """A root directory of its own, where the system is as it was made."""

    lower = debs = scratch = None  # set by main()

    def __init__(self):
        self.dir = tempfile.mkdtemp(dir=self.scratch)
        for name in ("upper", "work", "root"):
            os.mkdir(os.path.join(self.dir, name))
        self.root = os.path.join(self.dir, "root")
        command("mount", "-t", "overlay", "-o", f"lowerdir={self.lower},"
                f"upperdir={self.dir}/upper,workdir={self.dir}/work",
                "overlay", self.root)
        command("mount", "-t", "proc", "proc", self.path("proc"))
        for name in ("dev", "run", "tmp"):
            command("mount", "-t", "tmpfs", "tmpfs", self.path(name))
        for name in DEVICES:
            self.write(f"dev/{name}", "")
            command("mount", "--bind", f"/dev/{name}", self.path("dev", name))
        os.mkdir(self.path("debs"))
        command("mount", "--bind", self.debs, self.path("debs"))

    def close(self):
        command("umount", "--recursive", self.root)
        shutil.rmtree(self.dir)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def exists(self, name):
        return os.path.lexists(self.path(name))

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as f:
            return f.read()

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def run(self, *args):
        return command("chroot", self.root, *args)

    def dpkg(self, *args):
        """Nobody is there to be asked."""
        return self.run("dpkg", *args)

    def changed(self):
        """Names that are not, or not as, in the system."""
        upper = os.path.join(self.dir, "upper")
        for folder, folders, files in os.walk(upper):
            for name in (*folders, *files):
                path = os.path.join(folder, name)
                name = os.path.relpath(path, upper)
                old = os.path.join(self.lower, name)
                if not THEIRS.match(name) and not (
                        stat.S_ISDIR(os.lstat(path).st_mode) and
                        os.path.isdir(old)):
                    yield name


def debs(folder, names):
    return [f"/debs/{folder}/{name}.deb" for name in names]


def pack(folder, name):
    command("dpkg-deb", "--root-owner-group", "-Znone", "-b", folder,
            os.path.join(Root.debs, name + ".deb"))


def sort_out(made):
    """The packages, by name only."""
    os.makedirs(os.path.join(Root.debs, "new"))
    for deb in glob.glob(os.path.join(made, "*.deb")):
        name = os.path.basename(deb).partition("_")[0]
        shutil.copy(deb, os.path.join(Root.debs, "new", name + ".deb"))


def make_old(names):
    """Of the version before: its default configuration was another one."""
    os.makedirs(os.path.join(Root.debs, "old"))
    for name in names:
        folder = os.path.join(Root.scratch, name)
        command("dpkg-deb", "-R", f"{Root.debs}/new/{name}.deb", folder)
        change(folder + "/DEBIAN/control",
               (r"^Version: .*", "Version: 0.0.9-1"),
               (r"\(= [^)]*\)", "(= 0.0.9-1)"))
        if name == COMPAT:
            change(os.path.join(folder, CONFIG),
                   ('"pollKey(.*)": 15', r'"pollKey\1": 14'))
        pack(folder, "old/" + name)
        shutil.rmtree(folder)


def change(path, *pairs):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for pattern, new in pairs:
        text, count = re.subn(pattern, new, text, flags=re.M)
        if not count and path.endswith(".json"):
            raise system.Failed(f"no {pattern} in {path}")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def make_azures():
    """As it looks from outside (spec 10.1 and 10.3), and what needs it."""
    folder = os.path.join(Root.scratch, "azures")
    unit = "systemctl {0} azure-proxy-agent.service || :\n"
    files = {
        "DEBIAN/control": "Package: azure-proxy-agent\nVersion: 1.0.39-0\n"
        "Architecture: all\nMaintainer: somebody <a@example.com>\n"
        "Description: agent of somebody else\n",
        "DEBIAN/postinst": "#!/bin/sh\n" + unit.format("start") +
        unit.format("enable") + unit.format("unmark"),
        "DEBIAN/prerm": "#!/bin/sh\nsystemctl stop another.service || :\n"
        f"rm -f /{PROGRAM}\n",
        PROGRAM: "#!/bin/sh\necho 1.0.39\n",
        "usr/lib/azure-proxy-agent/ebpf_cgroup.o": "somebody\n",
        "usr/lib/systemd/system/azure-proxy-agent.service":
        "[Service]\nExecStart=/usr/sbin/azure-proxy-agent\n"
        "[Install]\nWantedBy=multi-user.target\n",
        CONFIG: '{"fileLogLevel": "Debug"}\n'}
    write_all(folder, files)
    pack(folder, "azures")
    write_all(folder + "-user", {
        "DEBIAN/control": "Package: image\nVersion: 1\nArchitecture: all\n"
        "Maintainer: somebody <a@example.com>\nDepends: azure-proxy-agent\n"
        "Description: needs an agent\n"})
    pack(folder + "-user", "image")


def write_all(folder, files):
    for name, text in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        if name.startswith("usr/sbin/") or "DEBIAN/p" in name:
            os.chmod(path, 0o755)


class Packages(unittest.TestCase):

    def setUp(self):
        self.root = Root()
        self.addCleanup(self.root.close)

    def install(self, *names, folder="new", options=()):
        return self.root.dpkg(*options, "-i", *debs(folder, names))

    def edit(self):
        config = self.root.read(CONFIG)
        self.assertIn('"Info"', config)
        self.edited = config.replace('"Info"', '"Debug"')
        self.root.write(CONFIG, self.edited)

    def write_state(self):
        for name in STATE:
            self.root.write(name, "state")

    def assert_state(self, there):
        self.assertEqual([self.root.exists(n) for n in STATE], [there] * 2)

    def state_of(self, name):
        return self.root.run("dpkg-query", "-W", "-f",
                             "${db:Status-Status}", name)

    def assert_sound(self):
        """Nothing is half done, and files are as they were packed."""
        self.assertEqual(self.root.dpkg("--audit"), "")
        names = self.root.run(
            "dpkg-query", "-W", "-f",
            "${db:Status-Status} ${source:Package} ${Package}\n")
        for name in re.findall("^installed libmsp (.*)", names, re.M):
            # a conffile may be edited, and does not change what it returns
            self.root.dpkg("--verify", name)

    # ---- installed --------------------------------------------------------
    def test_install_needs_nothing_that_is_not_depended_on(self):
        self.install(*ALL)
        for name in ALL:
            self.assertEqual(self.state_of(name), "installed", name)
        self.assert_sound()

    def test_installed_programs_run(self):
        self.install(*ALL)
        version = self.root.run("dpkg-query", "-W", "-f", "${Version}",
                                "mspd").rpartition("-")[0]
        for name in ("azure-proxy-agent", "mspd"):
            self.assertEqual(self.root.run(name, "--version"), version + "\n")
        for name in ("mspctl", "msp-host"):
            self.assertIn(name, self.root.run(name, "--help"))

    def test_the_service_is_enabled_and_the_other_is_not(self):
        self.install(*AGENT)
        self.assertTrue(self.root.exists(WANTED))
        self.assertFalse(self.root.exists(os.path.dirname(WANTED) +
                                          "/mspd.service"))

    def test_one_that_lacks_another_is_completed_later(self):
        with self.assertRaisesRegex(system.Failed, "depends on mspd"):
            self.install(COMPAT)
        self.install("libmsp0", "mspd")
        self.root.dpkg("--configure", "--pending")
        self.assertEqual(self.state_of(COMPAT), "installed")
        self.assertTrue(self.root.exists(WANTED))
        self.assert_sound()

    # ---- upgraded ---------------------------------------------------------
    def test_upgrade_of_everything_asks_nobody(self):
        self.install(*ALL, folder="old")
        self.write_state()
        out = self.install(*ALL)
        self.assertNotIn("?", out)
        self.assert_sound()
        self.assert_state(True)
        self.assertIn(": 15", self.root.read(CONFIG))
        self.assertTrue(self.root.exists(WANTED))

    def test_upgrade_keeps_an_edited_configuration(self):
        self.install(*AGENT, folder="old")
        self.edit()
        self.install(*AGENT, options=("--force-confdef", "--force-confold"))
        self.assertEqual(self.root.read(CONFIG), self.edited)
        self.assertIn(": 15", self.root.read(CONFIG + ".dpkg-dist"))

    def test_upgrade_leaves_a_disabled_service_disabled(self):
        self.install(*AGENT, folder="old")
        os.unlink(self.root.path(WANTED))
        self.install(*AGENT)
        self.assertFalse(self.root.exists(WANTED))

    def record_calls(self):
        """As if a service manager ran; what it is asked for is only noted."""
        os.makedirs(self.root.path("run/systemd/system"))
        for name in ("usr/bin/systemctl", "usr/bin/deb-systemd-invoke"):
            if self.root.exists(name):
                os.unlink(self.root.path(name))
            self.root.write(name, "#!/bin/sh\necho \"$*\" >>/tmp/calls\n")
            os.chmod(self.root.path(name), 0o755)

    def test_upgrade_restarts_the_agent_and_never_stops_it(self):
        """Stopped for good, it would lose what its manager keeps for a
        restart, and clients would go to the host by themselves."""
        self.install(*AGENT, folder="old")
        self.record_calls()
        self.install(*AGENT)
        calls = self.root.read("tmp/calls").splitlines()
        self.assertEqual([c for c in calls if "daemon-reload" not in c],
                         ["try-restart mspd.service",
                          "restart azure-proxy-agent.service"])
        os.unlink(self.root.path("tmp/calls"))
        self.root.dpkg("-r", COMPAT)
        self.assertIn("stop azure-proxy-agent.service",
                      self.root.read("tmp/calls"))

    # ---- gone -------------------------------------------------------------
    def test_remove_leaves_configuration_keys_and_logs(self):
        self.install(*ALL)
        self.edit()
        self.write_state()
        self.root.dpkg("--remove", *ALL)
        self.assertEqual(
            sorted(n for n in self.root.changed() if
                   not os.path.isdir(self.root.path(n)) and
                   "deb-systemd-helper" not in n),
            sorted((CONFIG, "etc/mspd/mspd.json", WANTED, *STATE)))
        self.assertEqual(self.root.read(CONFIG), self.edited)
        self.install(*AGENT)
        self.assertEqual(self.root.read(CONFIG), self.edited)
        self.assertTrue(self.root.exists(WANTED))
        self.assert_state(True)

    def test_purge_leaves_nothing(self):
        self.install(*ALL)
        self.edit()
        self.write_state()
        self.root.dpkg("--purge", *ALL)
        self.assertEqual(sorted(self.root.changed()), [])

    def test_purge_after_an_upgrade_leaves_nothing(self):
        self.install(*ALL, folder="old")
        self.edit()
        self.install(*ALL, options=("--force-confdef", "--force-confold"))
        self.root.dpkg("--remove", *ALL)
        self.root.dpkg("--purge", *ALL)
        self.assertEqual(sorted(self.root.changed()), [])

    # ---- Azure's own ------------------------------------------------------
    def test_azures_agent_gives_way(self):
        self.root.dpkg("-i", "/debs/azures.deb", "/debs/image.deb")
        self.write_state()
        config = self.root.read(CONFIG)
        out = self.install(*AGENT)
        self.assertNotIn("?", out)
        self.assertNotEqual(self.state_of("azure-proxy-agent"), "installed")
        self.assertEqual(self.state_of("image"), "installed")
        self.assertEqual(self.root.read(CONFIG), config)
        self.assertEqual(os.listdir(self.root.path("etc/azure")),
                         ["proxy-agent.json"])
        self.assertNotEqual(self.root.run("azure-proxy-agent", "--version"),
                            "1.0.39\n")
        self.assertTrue(self.root.exists(WANTED))
        self.assert_state(True)
        self.assert_sound()

    def test_azures_agent_takes_over_again(self):
        self.install(*AGENT)
        self.write_state()
        with self.assertRaises(system.Failed):
            self.root.dpkg("-i", "/debs/azures.deb")
        self.assertEqual(self.state_of(COMPAT), "installed")
        self.root.dpkg("--remove", COMPAT)
        self.root.dpkg("-i", "/debs/azures.deb")
        self.root.dpkg("--purge", COMPAT, "mspd")
        self.assert_state(True)
        self.assertEqual(self.root.run("azure-proxy-agent", "--version"),
                         "1.0.39\n")

    # ---- the limit that Azure's agent sets for itself ----------------------
    def quota(self, text, name="50-CPUQuota.conf"):
        self.root.write(f"{CONTROL}/{name}", text)

    def test_quota_of_azures_agent_goes_and_that_is_said(self):
        for text in ("15%", "15.00%"):
            with self.subTest(text):
                self.quota(QUOTA.format(text))
                out = self.install(*AGENT)
                self.assertFalse(self.root.exists(CONTROL))
                self.assertRegex(out, "(?m)CPUQuota.*removed.*15%")
                self.root.dpkg("--purge", *AGENT)

    def test_quota_of_somebody_else_stays(self):
        for text in (QUOTA.format("50%"), QUOTA.format("15%") +
                     "CPUWeight=20\n", "[Service]\nCPUQuota=150%\n"):
            with self.subTest(text):
                self.quota(text)
                self.quota("[Service]\nMemoryMax=1G\n", "50-MemoryMax.conf")
                self.assertNotIn("removed", self.install(*AGENT))
                self.assertEqual(len(os.listdir(self.root.path(CONTROL))), 2)
                self.assertEqual(
                    self.root.read(CONTROL + "/50-CPUQuota.conf"), text)
                self.root.dpkg("--purge", *AGENT)

    def test_quota_that_was_set_later_survives_an_upgrade(self):
        self.install(*AGENT, folder="old")
        self.quota(QUOTA.format("15%"))
        self.install(*AGENT)
        self.assertTrue(self.root.exists(CONTROL + "/50-CPUQuota.conf"))


def find_system(made):
    try:
        return system.cached(
            os.path.dirname(made) + "-chroot",
            system.outside(sorted(glob.glob(made + "/*.deb"))))
    except system.NoMirror as e:
        print(f"  not debootstrap, but what is installed here: {e}",
              flush=True)
        return "/"


def inside(made, lower, words):
    """In namespaces that end with this process."""
    Root.lower = lower
    Root.scratch = tempfile.mkdtemp(prefix="msp-chroot-")
    # whatever is left there goes with the namespace
    command("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", Root.scratch)
    Root.debs = os.path.join(Root.scratch, "debs")
    sort_out(made)
    make_old(ALL)
    make_azures()
    result = live.Result()
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(Packages)
    unittest.TestSuite(live.wanted(tests, words)).run(result)
    command("umount", "--recursive", Root.scratch)
    os.rmdir(Root.scratch)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.passed} passed, {failed} failed, "
          f"{len(result.skipped)} skipped")
    return 1 if failed else 0


def main():
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("a root directory to try packages in needs root")
        print("0 passed, 0 failed, 1 skipped")
        return 77
    made = os.path.abspath(sys.argv[1])
    lower = os.environ.pop("MSPTEST_LOWER", None)
    if lower:
        return inside(made, lower, sys.argv[2:])
    try:
        os.environ["MSPTEST_LOWER"] = find_system(made)
    except system.Failed as e:
        print(f"  FAILED  the packages' dependencies, in a system\n{e}")
        print("0 passed, 1 failed, 0 skipped")
        return 1
    os.execvp("unshare", [
        "unshare", "--mount", "--pid", "--net", "--mount-proc", "--fork",
        "--kill-child", sys.executable, os.path.abspath(__file__), made,
        *sys.argv[2:]])


if __name__ == "__main__":
    sys.exit(main())
