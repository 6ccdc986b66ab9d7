# SPDX-License-Identifier: MIT
"""
In: an attack program. Out: what it won against the real agent and against a
weak one. Must never believe the attacker alone: what the agent and the host
wrote down counts too.

To add an attack: a C file attacks/NAME.c (attack.h says how it looks; the
Makefile finds it), and a row in the table of case_attacks.py. It is started
as root, in the test's network and in the cgroup of the agent's clients, with

    --name NAME[-VARIANT]   last part of the paths it asks for
    --variant VARIANT       if the row has one
    --allowed PROGRAM       whoever runs it may do all below /metadata
    --client PROGRAM        the same bytes, which nobody allowed
    --dir DIR               anybody may write here. DIR/tool is allowed too:
                            put copies of --allowed there, or other things
    --agent PID             of the agent, for attack_hold()
    --tries N --seconds S --timeout MS
    --weak                  this is the weak agent: a few wins are enough
"""
import ctypes
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from collections import namedtuple

import world

# TRIES=1000 and more takes its time.
TRIES, SECONDS = int(os.environ.get("TRIES") or 300), 90
# A SYN that found no room is sent again after 1, 3, 7 and 15 seconds.
PATIENCE_MS = 20000
# Of races the weak one is to lose one at least, on any machine: three wins end
# it, so more tries cost nothing where it is quick.
WEAK_TRIES, WEAK_RACES, WEAK_SECONDS = 300, 5000, 60
LEEWAY = 20
LIBC = ctypes.CDLL(None, use_errno=True)

# What one run came to. wins is the largest of what attacker, agent and host
# say; refused are tries that got an answer.
Result = namedtuple("Result", "tries refused wins honest honest_ok")


def join_namespace(namespace):
    if LIBC.setns(namespace, world.CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def become_member(cgroup, namespace=None):
    """In a child that will be the attack."""
    with open(os.path.join(cgroup, "cgroup.procs"), "w",
              encoding="ascii") as f:
        f.write("0")
    if namespace is not None:
        join_namespace(namespace)


def obey(process, drive, seconds):
    """Lines before the last are orders to the agent. Returns the last."""
    end = time.monotonic() + seconds
    while select.select([process.stdout], [], [],
                        max(0, end - time.monotonic()))[0]:
        line = process.stdout.readline()
        if not line or line.startswith(b"{"):
            return line
        process.stdin.write(b"%d\n" % drive(line.decode().strip()))
        process.stdin.flush()
    return b""


class Stage:
    """A directory with the programs, and attacks that run in it."""

    def __init__(self, directory, build):
        self.dir = directory
        self.build = os.path.join(build, "tests/live/attacks")
        for name in ("bin", "play"):
            os.mkdir(self.path(name))
            os.chmod(self.path(name), 0o755)
        self.allowed = self.install("client", "allowed")
        self.client = self.install("client")

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def install(self, program, name=None):
        """Where other users find it; the build directory may be private."""
        to = self.path("bin", name or program)
        if not os.path.exists(to):
            shutil.copy(os.path.join(self.build, program), to)
            os.chmod(to, 0o755)
        return to

    def playground(self):
        """A new one for each attack, or they would trip over the last."""
        at = self.path("play")
        shutil.rmtree(at)
        os.mkdir(at)
        os.chmod(at, 0o777)
        return at

    def attack(self, attack, agent, drive, cgroup, options, namespace=None):
        """What the attacker says."""
        command = [self.install(attack.program), "--name", attack.name,
                   "--variant", attack.variant, "--allowed", self.allowed,
                   "--client", self.client, "--dir", self.playground(),
                   "--agent", str(agent), *options]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd="/", env={"PATH": world.PATH},
            start_new_session=True,
            preexec_fn=lambda: become_member(cgroup, namespace))
        seconds = int(options[options.index("--seconds") + 1]) + LEEWAY
        last = b""
        try:
            last = obey(process, drive, seconds)
            process.wait(seconds if last else 1)
        except subprocess.TimeoutExpired:
            raise world.Failed(f"{attack.name}: not done within {seconds} s") \
                from None
        finally:
            try:  # whatever it left; also when the case is given up
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            out, err = process.communicate()
            subprocess.run(["ip", "link", "delete", "attack0"], check=False,
                           stderr=subprocess.DEVNULL)
            try:
                os.kill(agent, signal.SIGCONT)
            except ProcessLookupError:
                pass
        if process.returncode != 0 or err:
            raise world.Failed(f"{attack.name}: exit status "
                               f"{process.returncode}, {err.decode()}")
        said = json.loads(last + out)
        missing = said.pop("missing")
        if missing:
            raise unittest.SkipTest(f"not here: {missing}")
        return said


def options_of(tries, seconds, timeout_ms):
    return ["--tries", str(tries), "--seconds", str(seconds),
            "--timeout", str(timeout_ms)]


class Strong:
    """The real agent, with the rules that the attacks are made for."""

    def __init__(self, build):
        self.world = world.World(wireserver=world.item(), config={
            # /proc/1/root cannot be opened in every container
            "identityRoot": "/", "fileLogLevel": "Info",
            # each try has a record of its own
            "auditRecordsPerUser": 1000000000})
        self.stage = Stage(self.world.dir, build)
        self.driven = False
        self.ends = 0
        rules = world.grant(["/metadata"], {
            "daemon": {"userName": "daemon"},
            "allowed": {"exePath": self.stage.allowed},
            "tool": {"exePath": self.stage.path("play", "tool")}})
        self.world.start_host()
        self.world.set_item("imds", world.item(access="deny", rules=rules))
        self.world.start_mspd(wait=False)
        world.wait_until(self.is_ready, why="mspd ready")

    def is_ready(self):
        try:
            answer = self.world.get(world.INSTANCE, uid=world.DAEMON)
            # None: reset, because it went to the host directly
            return answer and world.PASSED in answer.headers
        except OSError:
            return False

    def close(self):
        self.world.close()

    def drive(self, what):
        self.driven = True
        if what == "start":
            self.world.start_mspd(wait=False)
            world.wait_until(self.is_ready, why="mspd ready")
            return int(self.world.read("run", "listener").split(b":")[1])
        self.world.stop_mspd(signal.SIGKILL if what == "kill"
                             else signal.SIGTERM)
        return 0

    def restore(self):
        """The agent, as the next one expects it."""
        if not self.driven:
            return
        if self.world.mspd.poll() is None:
            self.drive("stop")
        self.drive("start")
        self.driven = False

    def records(self):
        for name in os.listdir(self.world.path("log")):
            if name.startswith("audit"):
                yield from self.world.read("log", name).splitlines()

    def wait_written(self):
        """Records are gathered for a while and written in turn: with that of
        one more request all before it are there, too."""
        self.ends += 1
        path = f"/metadata/end-{self.ends}"
        self.world.get(path, uid=world.DAEMON)
        last = b'"' + path.encode() + b'"'
        world.wait_until(lambda: any(last in line for line in self.records()),
                         30, "record of the last request")

    def audited(self, path):
        """Requests for it that the agent says it allowed."""
        count = 0
        for line in self.records():
            if path + b'"' in line or path + b"?" in line:
                count += json.loads(line)["verdict"] != "deny"
        return count

    def mistaken(self, attack):
        """Requests that tell whose they are, and the agent says others'."""
        own = re.compile(rb'/%s\?(uid|pid)-(\d+)"' % attack.name.encode())
        count = told = 0
        for line in self.records():
            own_is = own.search(line)
            if own_is:
                told += 1
                it_says = json.loads(line)[own_is[1].decode()]
                count += it_says != int(own_is[2])
        if told != attack.told:
            raise world.Failed(f"{attack.name}: the record has {told} "
                               f"requests of {attack.told}")
        return count

    def run(self, attack):
        try:
            said = self.stage.attack(
                attack, self.world.mspd.pid, self.drive, self.world.cgroup,
                options_of(attack.tries, SECONDS, PATIENCE_MS))
        finally:
            self.restore()
        self.wait_written()
        path = f"/metadata/attack/{attack.name}".encode()
        log = self.world.read("host.log").splitlines()
        reached = sum(line.split(b'"')[1].split()[1].split(b"?")[0] == path
                      for line in log if path in line)
        if self.world.mspd.poll() is not None:
            raise world.Failed("mspd has ended")
        said["wins"] = max(said["wins"], reached, self.audited(path),
                           self.mistaken(attack))
        return Result(**said)


class Weak:
    """One run against the weak agent, in a network of its own."""

    def __init__(self, build):
        self.build = build
        self.dir = tempfile.mkdtemp(prefix="msp-weak-")
        os.chmod(self.dir, 0o755)
        self.stage = Stage(self.dir, build)
        self.cgroup = os.path.join(world.cgroup_mount(),
                                   os.path.basename(self.dir))
        os.mkdir(self.cgroup)
        self.agent = self.namespace = None

    def start(self, attack):
        log = self.stage.path("log")
        allowed = self.stage.path("play", "tool") if attack.tool \
            else self.stage.allowed
        self.agent = subprocess.Popen(
            [os.path.join(self.build, "tests/live/attacks/weak"),
             "--cgroup", self.cgroup, "--log", log, "--allowed", allowed,
             *attack.weak],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env={"PATH": world.PATH},
            preexec_fn=lambda: join_namespace(self.namespace))
        if self.agent.stdout.readline() != b"weak: ready\n":
            raise world.Failed("the weak agent does not start")

    def stop(self):
        if self.agent:
            self.agent.kill()
            self.agent.wait()
            self.agent.stdout.close()
            self.agent = None

    def make_namespace(self):
        """It outlives the agents in it."""
        holder = subprocess.Popen(["sleep", "infinity"],
                                  env={"PATH": world.PATH},
                                  preexec_fn=world.enter_namespace)
        self.namespace = os.open(f"/proc/{holder.pid}/ns/net",
                                 os.O_RDONLY | os.O_CLOEXEC)
        holder.kill()
        holder.wait()

    def run(self, attack):
        def drive(what):
            self.stop()
            if what == "start":
                self.start(attack)
            return world.LISTENER[1]

        self.make_namespace()
        self.start(attack)
        options = options_of(attack.weak_tries, WEAK_SECONDS, 3000)
        said = self.stage.attack(attack, self.agent.pid, drive, self.cgroup,
                                 [*options, "--weak"], self.namespace)
        end = f" /metadata/attack/{attack.name}".encode()
        with open(self.stage.path("log"), "rb") as f:
            passed = sum(line.endswith(end) and
                         line.startswith((b"allowed ", b"reached "))
                         for line in f.read().splitlines())
        said["wins"] = max(said["wins"], passed)
        return Result(**said)

    def close(self):
        self.stop()
        if self.namespace is not None:
            os.close(self.namespace)
        world.wait_until(self.removed, why="end of the weak agent's clients")
        shutil.rmtree(self.dir, ignore_errors=True)

    def removed(self):
        try:
            os.rmdir(self.cgroup)
        except OSError:
            return False
        return True
