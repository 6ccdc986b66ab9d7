# SPDX-License-Identifier: MIT
"""
In: a started agent. Out: it has the privileges that its work takes, and the
kernel refuses it everything else, in every thread. Must never take the agent's
word for it: /proc tells.
"""
import ctypes
import errno
import grp
import json
import os
import re
import resource
import signal
import stat
import struct
import subprocess
import unittest

import refusal
import world
from case_control import ask, samples, scrape
from case_ctlstatus import status as screen
from world import DAEMON, INSTANCE

# net_admin, sys_ptrace, dac_read_search, perfmon, bpf
CAPABILITIES = 1 << 12 | 1 << 19 | 1 << 2 | 1 << 38 | 1 << 39
NET_BIND_SERVICE = 1 << 10
FILTERED = "2"
CAPBSET_DROP = 24
REFUSE = 0x00050000
PR_SET_SECCOMP, PR_SET_SECUREBITS = 22, 28
# capset, seccomp, prctl
CALLS = {"x86_64": (126, 317, 157), "aarch64": (91, 277, 167)}
CHOWN = {"x86_64": 260, "aarch64": 54}  # fchownat
EITHER = ((refusal.RETURN, 0, 0, REFUSE | errno.EPERM),
          (refusal.RETURN, 0, 0, refusal.ALLOW))
UNIT = os.path.join(os.path.dirname(__file__), "..", "..", "mspd",
                    "azure-proxy-agent.service")
EVERY = ("execve", "execveat", "ptrace", "process_vm_readv", "unshare",
         "setns", "mount", "setresuid", "capset", "seccomp", "keyctl",
         "init_module", "perf_event_open", "fork", "space", "packet", "raw",
         "dumpable", "pin", "limit", "written", "blank", "code", "handler",
         "signal") + (("x32",) if os.uname().machine == "x86_64" else ())
# These, and what they are part of, block all signals: they are not counted.
SILENT = ("fork", "space")
COUNTED = len(EVERY) - len(SILENT)


def limit(capabilities=CAPABILITIES, given=()):
    """As the unit does, before the agent starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    for cap in range(64):
        if not capabilities >> cap & 1:
            libc.prctl(CAPBSET_DROP, cap, 0, 0, 0)  # some are no capability
    capset, seccomp, _ = CALLS[os.uname().machine]
    calls = [seccomp, *([capset] if "capset" not in given else []),
             *([CHOWN[os.uname().machine]] if "fchownat" not in given else [])]
    tests = [(refusal.EQUAL, len(calls) - i, 0, n)
             for i, n in enumerate(calls)]
    refuse((refusal.LOAD, 0, 0, 0), *tests, (refusal.RETURN, 0, 0,
                                             refusal.ALLOW), *EITHER)


def unfiltered():
    """The kernel takes no filter of system calls, in neither way."""
    _, seccomp, prctl = CALLS[os.uname().machine]
    refuse((refusal.LOAD, 0, 0, 0), (refusal.EQUAL, 3, 0, seccomp),
           (refusal.EQUAL, 0, 3, prctl), (refusal.LOAD, 0, 0, 16),
           (refusal.EQUAL, 0, 1, PR_SET_SECCOMP), *EITHER)


def unsecured():
    """It may give nothing away for good."""
    _, _, prctl = CALLS[os.uname().machine]
    refuse((refusal.LOAD, 0, 0, 0), (refusal.EQUAL, 0, 4, prctl),
           (refusal.LOAD, 0, 0, 16),
           (refusal.EQUAL, 1, 0, PR_SET_SECUREBITS),
           (refusal.EQUAL, 0, 1, CAPBSET_DROP), *EITHER)


def refuse(*rows):
    """Of this process, by a filter of its system calls."""
    seccomp = CALLS[os.uname().machine][1]
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(
        b"".join(struct.pack("=HBBI", *row) for row in rows))
    program = ctypes.create_string_buffer(
        struct.pack("@HP", len(rows), ctypes.addressof(code)))
    if libc.syscall(seccomp, refusal.SET_MODE_FILTER, 0, program) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def unit_capabilities():
    numbers = {"cap_dac_read_search": 2, "cap_net_admin": 12,
               "cap_sys_ptrace": 19, "cap_perfmon": 38, "cap_bpf": 39}
    with open(UNIT, encoding="utf-8") as f:
        given = " ".join(line.split("=", 1)[1] for line in f
                         if line.startswith("CapabilityBoundingSet="))
    return sum(1 << numbers[name.lower()] for name in given.split())


def unit_calls():
    """Of those that it refuses as a kind, the ones it gives back."""
    with open(UNIT, encoding="utf-8") as f:
        return {name for line in f if line.startswith("SystemCallFilter=")
                for name in line.split("=", 1)[1].split()
                if not line.startswith("SystemCallFilter=~")}


def tasks(pid):
    """What the kernel says of each thread."""
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/status", encoding="ascii") as f:
            yield dict(line.rstrip("\n").split(":\t", 1) for line in f)


class Privilege(unittest.TestCase):

    def start(self, sandbox=None, **config):
        self.world = world.World(
            imds=world.item(), wireserver=world.item(), config=config,
            sandbox=sandbox)
        self.addCleanup(self.world.close)
        self.world.start()
        return self.world.mspd.pid

    def assert_capabilities(self, task, wanted):
        for name in ("CapPrm", "CapEff", "CapBnd"):
            self.assertEqual(int(task[name], 16), wanted, name)
        for name in ("CapInh", "CapAmb"):
            self.assertEqual(int(task[name], 16), 0, name)

    def test_every_thread_has_little_and_gets_no_more(self):
        pid = self.start()
        # one that looks up a name, besides those that are always there
        self.assertEqual(self.world.get(INSTANCE, uid=DAEMON).status, 200)
        found = list(tasks(pid))
        self.assertGreater(len(found), 2)
        for task in found:
            self.assert_capabilities(task, CAPABILITIES)
            self.assertEqual(task["NoNewPrivs"], "1")
            self.assertEqual(task["Seccomp"], FILTERED)

    def test_no_more_where_a_service_manager_has_limited_it(self):
        """It leaves no capability to limit anything, nor two of the calls."""
        pid = self.start(sandbox=limit)
        for task in tasks(pid):
            self.assert_capabilities(task, CAPABILITIES)
            self.assertEqual(task["NoNewPrivs"], "1")
            self.assertEqual(task["Seccomp_filters"], "2")
        self.assertNotIn(b"cannot",
                         self.world.read("log", "ProxyAgent.log"))

    def told(self):
        """What it says of that itself: metric, JSON, screen, doctor."""
        w = self.world
        run = w.path("run", "metrics.sock")
        said = json.loads(ask(w.path("run", "control.sock")))["privileges"]
        done = subprocess.run(
            [w.built("mspd/ctl/mspctl"), "doctor", "--config",
             w.path("mspd.json")], env=w.environment(),
            stdout=subprocess.PIPE, check=False)
        found = re.search(rb"^\s*(\S+)\s+capabilities +(.*)$", done.stdout,
                          re.M)
        return (samples(scrape(run)[1])["mspd_confined"], said["confined"],
                said.get("cause"), screen(w)[1], found[1], found[2])

    def test_is_confined_and_says_so(self):
        self.start()
        metric, confined, cause, shown, grade, _ = self.told()
        self.assertEqual((metric, confined, cause, grade),
                         (1, True, None, b"ok"))
        self.assertNotIn("confined", shown)

    def test_what_could_not_be_put_in_place_is_told(self):
        for sandbox, config, why, seen in (
                (unfiltered, {}, "cannot filter system calls: Operation not "
                 "permitted", b"not confined: cannot filter"),
                (None, {"seccomp": "off"}, "the filter of system calls is "
                 "switched off", b"no filter of system calls"),
                (unsecured, {}, "cannot give privileges away: Operation not "
                 "permitted", b"not confined: cannot give")):
            with self.subTest(why):
                self.start(sandbox, **config)
                metric, confined, cause, shown, grade, text = self.told()
                self.assertEqual((metric, confined, cause), (0, False, why))
                self.assertIn("not confined:\n              " + why, shown)
                self.assertIn(seen, text)
                self.assertEqual(grade, b"warn")
            self.world.close()

    def test_group_has_its_metrics_with_what_the_unit_leaves(self):
        gid = grp.getgrnam("daemon").gr_gid

        def sandbox():
            os.setgroups([gid])  # SupplementaryGroups=daemon
            limit(unit_capabilities(), unit_calls())

        pid = self.start(sandbox, metricsGroup="daemon")
        st = os.lstat(self.world.path("run", "metrics.sock"))
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_gid),
                         (0o660, gid))
        head, _ = self.world.call(
            scrape, self.world.path("run", "metrics.sock"), uid=DAEMON)
        self.assertIn("200 OK", head)
        for task in tasks(pid):
            for name in ("CapPrm", "CapEff"):
                self.assertEqual(int(task[name], 16), CAPABILITIES, name)

    def test_group_that_is_not_the_agents_is_told(self):
        self.start(lambda: limit(unit_capabilities(), unit_calls()),
                   metricsGroup="daemon")
        self.assertFalse(os.path.lexists(self.world.path("run",
                                                         "metrics.sock")))
        self.assertIn(b"SupplementaryGroups=",
                      self.world.read("log", "ProxyAgent.log"))

    def test_unit_says_the_same(self):
        with open(UNIT, encoding="utf-8") as f:
            lines = [line.strip().split("=", 1) for line in f if "=" in line]
        given = " ".join(v for k, v in lines if k == "CapabilityBoundingSet")
        self.assertEqual(
            {c.lower() for c in given.split()},
            {"cap_bpf", "cap_perfmon", "cap_net_admin", "cap_sys_ptrace",
             "cap_dac_read_search"})
        for line in (["LimitCORE", "0"], ["NoNewPrivileges", "yes"],
                     ["MemoryDenyWriteExecute", "yes"],
                     ["RestrictNamespaces", "yes"],
                     ["SystemCallArchitectures", "native"]):
            self.assertIn(line, lines)

    def test_privileged_port_keeps_what_it_takes(self):
        pid = self.start(listenAddress="127.0.0.1:1023")
        for task in tasks(pid):
            self.assert_capabilities(task, CAPABILITIES | NET_BIND_SERVICE)

    def test_memory_is_its_own(self):
        pid = self.start()
        self.assertEqual(resource.prlimit(pid, resource.RLIMIT_CORE), (0, 0))
        # another process of root without CAP_SYS_PTRACE may not look at it
        out = subprocess.run(
            ["setpriv", "--bounding-set=-sys_ptrace", "cat",
             f"/proc/{pid}/mem"], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={"PATH": world.PATH})
        self.assertIn(b"Permission denied", out.stderr)

    def test_key_is_locked_and_in_no_dump(self):
        pid = self.start()
        key = bytes.fromhex(next(self.world.key_hex()))
        found = []
        with open(f"/proc/{pid}/smaps", encoding="utf-8") as f, \
                open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for line in f:
                span = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
                if span:
                    start, end = (int(x, 16) for x in span.groups())
                    held = False
                    if end - start < 1 << 26:
                        memory.seek(start)
                        held = key in memory.read(end - start)
                elif re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                    held = False
                elif line.startswith("VmFlags:") and held:
                    found.append(line.split()[1:])
        self.assertTrue(found, "the key is nowhere")
        for flags in found:
            self.assertIn("lo", flags)
            self.assertIn("dd", flags)
        locked = next(tasks(pid))["VmLck"].split()
        self.assertGreater(int(locked[0]), 0)


class Forbidden(unittest.TestCase):
    """An agent that somebody got code into."""

    def start(self, mode):
        self.world = w = world.World(
            imds=world.item(), wireserver=world.item(),
            config={"seccomp": mode, "namesExpiryInSeconds": 0.05})
        self.addCleanup(w.close)
        w.start_host()
        environment = w.environment
        w.environment = lambda: {
            **environment(), "FORBIDDEN": w.path("forbidden"),
            "LD_PRELOAD": w.built("tests/live/preload_forbidden.so")}
        w.start_mspd()

    def make(self, where, names):
        """It makes these calls when the next client comes."""
        w = self.world
        with open(w.path("new"), "w", encoding="ascii") as f:
            f.write("\n".join(names))
        os.rename(w.path("new"), w.path(f"forbidden-{where}"))
        return w.get(INSTANCE, uid=DAEMON)

    def errors(self, where, names):
        """A worker may still be at it when its client has been answered."""
        done = self.world.path(f"forbidden-{where}.done")
        world.wait_until(lambda: os.path.exists(done), why="calls are made")
        return {name: int(self.world.read(f"forbidden-{where}.{name}"))
                for name in names}

    def counted(self):
        log = self.world.read("log", "ProxyAgent.log").decode()
        return [int(n) for n in re.findall(
            r"forbidden system calls: (\d+) so far", log)]

    def metric(self):
        text = subprocess.run(
            ["curl", "-s", "-m", "20", "--unix-socket",
             self.world.path("run", "metrics.sock"),
             "http://localhost/metrics"], stdout=subprocess.PIPE,
            env={"PATH": world.PATH}, check=True).stdout
        return int(re.search(rb"^mspd_forbidden_syscalls_total (\d+)$", text,
                             re.M)[1])

    def assert_refused(self, where):
        answer = self.make(where, EVERY)
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.errors(where, EVERY),
                         dict.fromkeys(EVERY, errno.EPERM))

    def test_calls_fail_and_are_counted_and_clients_are_served(self):
        self.start("enforce")
        self.assertEqual(self.metric(), 0)
        self.assert_refused("loop")
        self.assertEqual(self.metric(), COUNTED)
        world.wait_until(lambda: self.counted()[-1:] == [COUNTED],
                         why="as many as were refused")
        self.assert_refused("worker")
        self.assertEqual(self.metric(), 2 * COUNTED)
        world.wait_until(lambda: self.counted()[-1:] == [2 * COUNTED],
                         why="those of another thread, too")

    def test_start_of_a_program_fails_and_the_agent_goes_on(self):
        """A module of the name services tries, with all signals blocked."""
        self.start("enforce")
        self.assertEqual(self.make("worker", ["spawn"]).status, 200)
        self.assertEqual(self.errors("worker", ["spawn"]),
                         {"spawn": errno.EPERM})
        self.assertEqual(self.world.get(INSTANCE, uid=DAEMON).status, 200)

    def test_calls_are_made_without_a_filter(self):
        """So that the other cases say something."""
        self.start("off")
        made = ("setresuid", "dumpable", "written", "blank", "code")
        self.make("loop", made)
        self.assertEqual(self.errors("loop", made), dict.fromkeys(made, 0))

    def test_each_ends_the_agent_that_is_told_so(self):
        for where, name in (("loop", "execve"), ("worker", "code"),
                            ("loop", "fork")):
            with self.subTest(name):
                self.start("kill")
                try:
                    self.make(where, [name])
                except OSError:
                    pass  # nobody answers any more
                self.assertEqual(self.world.mspd.wait(30), -signal.SIGSYS)
                self.world.close()
