# SPDX-License-Identifier: MIT
"""
In: a build directory, root. Out: a small world - network namespace, cgroup,
directory, msp-host, mspd - and clients in it. Must never touch what the
machine really uses, nor leave anything behind.
"""
import ctypes
import json
import os
import pickle
import shutil
import signal
import subprocess
import tempfile
import time
import traceback

import syscalls
import wire

IMDS = "169.254.169.254"
WIRESERVER = "168.63.129.16"
HOSTGA_PORT = 32526
LISTENER = ("127.0.0.1", 3080)
CONTROL = ("127.0.0.1", 3081)
DAEMON, NOBODY = 1, 65534
API = "api-version=2021-02-01"
INSTANCE = f"/metadata/instance?{API}"
METADATA = (b"Metadata", b"true")
CLONE_NEWNET = 0x40000000
# What the proxy adds to every answer of the host (spec 6.10).
PASSED = (b"x-ms-azure-host-authorization", b"value")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Failed(AssertionError):
    """The world is not as it must be."""


def enter_namespace():
    """Give this process a network of its own, with Azure's addresses."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for args in (["link", "set", "lo", "up"],
                 ["addr", "add", f"{IMDS}/32", "dev", "lo"],
                 ["addr", "add", f"{WIRESERVER}/32", "dev", "lo"]):
        subprocess.run(["ip", *args], check=True,
                       env={"PATH": PATH})


def cgroup_mount():
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        for line in f:
            before, _, after = line.partition(" - ")
            if after.split()[0] == "cgroup2":
                return before.split()[4]
    raise Failed("no cgroup v2 file system is mounted")


def wait_until(condition, seconds=30, why="condition"):
    """Value of the condition, once it is true. Seconds are for machines that
    are slow, or busy with other things."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{why}: not within {seconds} s")
        time.sleep(0.05)


def item(mode="enforce", access="allow", ident="item", rules=None):
    """A rule item in wire form."""
    out = {"id": ident, "mode": mode, "defaultAccess": access}
    if rules is not None:
        out["rules"] = rules
    return out


def in_force(ident):
    """The id that an item with a plain id has once it is in force."""
    return f"{ident}-useLocalFileRules-false"


def grant(paths, identities):
    """Rules that give all paths to all identities (name -> selectors)."""
    names = [f"p{i}" for i in range(len(paths))]
    return {
        "privileges": [{"name": n, "path": p} for n, p in zip(names, paths)],
        "roles": [{"name": "r", "privileges": names}],
        "identities": [{"name": n, **s} for n, s in identities.items()],
        "roleAssignments": [{"role": "r", "identities": list(identities)}]}


def seccomp():
    """A call that its table lacks ends the agent, unless such calls are looked
    for; a sanitizer makes others."""
    if "ASAN_OPTIONS" in os.environ:
        return "off"
    return "enforce" if "TRACE" in os.environ else "kill"


def unit_environment():
    """What the unit gives the agent."""
    name = os.path.join(os.path.dirname(__file__), "..", "..", "mspd",
                        "azure-proxy-agent.service")
    with open(name, encoding="utf-8") as f:
        lines = [line.rstrip("\n").split("=", 2) for line in f
                 if line.startswith("Environment=")]
    return {line[1]: line[2] for line in lines}


class World:
    """One msp-host and one mspd, with everything of their own."""

    build = None  # set by the runner
    open = []  # worlds to be closed, also when the runner is interrupted

    def __init__(self, imds=None, wireserver=None, host_args=(), config=None,
                 folder=None, sandbox=None):
        """sandbox: called in mspd's process before it starts."""
        self.dir = tempfile.mkdtemp(prefix="msp-live-", dir=folder)
        self.sandbox = sandbox
        os.chmod(self.dir, 0o755)
        self.cgroup = os.path.join(cgroup_mount(),
                                   os.path.basename(self.dir))
        os.mkdir(self.cgroup)
        self.open.append(self)
        self.host = self.mspd = None
        self.host_args = list(host_args)
        for name, value in (("imds", imds), ("wireserver", wireserver)):
            if value is not None:
                path = self.path(f"{name}.json")
                with open(path, "w", encoding="utf-8") as f:
                    json.dump(value, f)
                self.host_args += ["--profile", f"{name}={path}"]
        self.config = {
            "logFolder": self.path("log"), "eventFolder": self.path("events"),
            "latchKeyFolder": self.path("keys"),
            "statusFolder": self.path("status"),
            "consolePath": self.path("console"),
            "runFolder": self.path("run"),
            "pollKeyStatusIntervalInSeconds": 1,
            "cgroupPath": self.cgroup, "fileLogLevel": "Trace",
            "seccomp": seccomp(),
            **(config or {})}

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def read(self, *parts):
        with open(self.path(*parts), "rb") as f:
            return f.read()

    def built(self, name):
        """Path of what only the tests use; loaders do not mind if it is not
        there, and all else would happen as if they had loaded it."""
        path = os.path.join(self.build, name)
        if not os.path.exists(path):
            raise Failed(f"{path} is missing: make attack-programs")
        return path

    # ---- processes --------------------------------------------------------
    def environment(self):
        env = {"PATH": PATH, "LD_LIBRARY_PATH": self.build}
        env.update(unit_environment())
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        return env

    def join(self):
        with open(os.path.join(self.cgroup, "cgroup.procs"), "w",
                  encoding="ascii") as f:
            f.write("0")

    def start_host(self):
        out = open(self.path("host.out"), "ab")
        before = out.tell()  # what an earlier one said
        self.host = subprocess.Popen(
            [os.path.join(self.build, "examples/msp-host/msp-host"),
             "--wireserver", f"{WIRESERVER}:80",
             "--hostga", f"{WIRESERVER}:{HOSTGA_PORT}",
             "--imds", f"{IMDS}:80", "--control", "%s:%d" % CONTROL,
             "--log", self.path("host.log"),
             "--record", self.path("record"), *self.host_args],
            stdout=out, stderr=out, env=self.environment(),
            stdin=subprocess.DEVNULL)
        out.close()
        wait_until(lambda: self.is_host_ready(before), why="msp-host ready")

    def is_host_ready(self, before):
        if self.host.poll() is not None:
            raise Failed(f"msp-host ended with {self.host.returncode}: " +
                         self.tail("host.out"))
        return b"msp-host: ready" in self.read("host.out")[before:]

    def write_config(self, text=None):
        with open(self.path("mspd.json"), "w", encoding="utf-8") as f:
            f.write(json.dumps(self.config) if text is None else text)

    def prepare_mspd(self):
        self.join()
        if self.sandbox:
            self.sandbox()

    def start_mspd(self, wait=True):
        self.write_config()
        out = open(self.path("mspd.out"), "ab")
        self.mspd = subprocess.Popen(
            [*syscalls.tracer(), os.path.join(self.build, "mspd/mspd"),
             "--foreground", "--config", self.path("mspd.json")],
            stdout=out, stderr=out, env=self.environment(),
            stdin=subprocess.DEVNULL, preexec_fn=self.prepare_mspd)
        out.close()
        if wait:
            self.wait_ready()

    def wait_ready(self):
        """A request goes through mspd and comes back."""
        wait_until(self.is_ready, why="mspd ready; "
                   "last output: " + self.tail("mspd.out"))

    def is_ready(self):
        if self.mspd and self.mspd.poll() is not None:
            raise Failed(f"mspd ended with {self.mspd.returncode}: " +
                         self.tail("mspd.out"))
        try:
            answer = self.get(INSTANCE)
            # None: reset, because it went to the host directly
            return answer and PASSED in answer.headers
        except OSError:
            return False

    def tail(self, name):
        try:
            return self.read(name)[-2000:].decode("utf-8", "replace")
        except OSError:
            return "(none)"

    def stop_mspd(self, sig=signal.SIGTERM, seconds=60):
        """Exit status."""
        self.mspd.send_signal(sig)
        try:
            return self.mspd.wait(seconds)
        except subprocess.TimeoutExpired:
            self.mspd.kill()
            self.mspd.wait()
            raise Failed(f"mspd did not end within {seconds} s") from None

    def stop_host(self):
        self.host.terminate()
        try:
            self.host.wait(20)
        except subprocess.TimeoutExpired:
            self.host.kill()
            self.host.wait()

    def start(self):
        self.start_host()
        self.start_mspd()
        return self

    def close(self):
        if self not in self.open:
            return
        self.open.remove(self)
        for process in (self.mspd, self.host):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        for _ in range(50):
            try:
                os.rmdir(self.cgroup)
                break
            except OSError:
                time.sleep(0.05)
        if os.environ.get("KEEP"):
            print("kept:", self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    # ---- clients ----------------------------------------------------------
    def become(self, uid, inside):
        if inside:
            self.join()
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)

    def call(self, function, *args, uid=0, inside=True, **kwargs):
        """Result of function in a process of its own, as that user."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            result = (False, (Failed, "", "the client was interrupted"))
            try:
                os.close(reader)
                self.become(uid, inside)
                result = (True, function(*args, **kwargs))
                status = 0
            except Exception as e:  # all of it is the parent's to judge
                result = (False, (type(e), str(e), traceback.format_exc()))
            finally:
                with os.fdopen(writer, "wb") as f:
                    pickle.dump(result, f)
                os._exit(status)
        os.close(writer)
        with os.fdopen(reader, "rb") as f:
            data = f.read()
        os.waitpid(pid, 0)
        if not data:
            raise Failed("the client died")
        good, value = pickle.loads(data)
        if good:
            return value
        if issubclass(value[0], OSError):
            raise OSError(value[1])
        raise Failed(value[2])

    def talk(self, address, requests, uid=0, inside=True, **kwargs):
        """Answers to raw requests, one after the other, one connection."""
        return self.call(wire.talk, address, requests, uid=uid, inside=inside,
                         **kwargs)

    def get(self, target, host=IMDS, port=80, uid=0, inside=True,
            headers=(METADATA,), **kwargs):
        data = wire.request(b"GET", target, host, headers)
        return self.talk((host, port), [data], uid=uid, inside=inside,
                         **kwargs)[0]

    def curl_process(self, *args, uid=0, inside=True):
        return subprocess.Popen(
            ["curl", "-s", "-S", "-m", "30", *args], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PATH": PATH}, cwd="/",
            preexec_fn=lambda: self.become(uid, inside))

    def curl(self, *args, uid=0, inside=True):
        """What an unmodified curl prints; -w and the like are the caller's."""
        out, err = self.curl_process(*args, uid=uid,
                                     inside=inside).communicate()
        if err:
            raise Failed(f"curl: {err.decode()}")
        return out

    def curl_status(self, *args, **kwargs):
        return int(self.curl("-o", "/dev/null", "-w", "%{http_code}", *args,
                             **kwargs))

    # ---- host and status --------------------------------------------------
    def control(self, method, target, body=None):
        data = wire.request(method.encode(), target, CONTROL[0],
                            body=body)
        answer = wire.talk(CONTROL, [data])[0]
        if answer.status not in (200, 204):
            raise Failed(f"{method} {target}: {answer.status} {answer.body}")
        return json.loads(answer.body) if answer.body else None

    def set_item(self, endpoint, value):
        body = value if isinstance(value, bytes) else \
            json.dumps(value).encode()
        self.control("PUT", f"/endpoints/{endpoint}", body)

    def state(self):
        return self.control("GET", "/state")

    def status(self):
        """The aggregate status, as root sees it over WireServer."""
        answer = self.get("/gpa-aggregated-status", host=WIRESERVER)
        if answer.status != 200:
            raise Failed(f"aggregate status: {answer.status}")
        return json.loads(answer.body)

    def host_log(self):
        """Lines as (endpoint, client, request line, status, verdict), without
        what this suite asked of the control port."""
        for line in self.read("host.log").decode("latin-1").splitlines():
            before, request, after = line.split('"', 2)
            fields = before.split()
            status, verdict = after.split()
            if fields[1] != "Control":
                yield fields[1], fields[2], request, int(status), verdict

    def verdict(self):
        """What the host found of the last request, its own calls aside."""
        return [line for line in self.host_log()
                if "/secure-channel/" not in line[2]][-1][4]

    def audit(self):
        """Records are gathered for 50 ms, and written when the agent is given
        the time: all are there when no more come."""
        before, data = None, self.read("log", "audit.jsonl")
        while self.is_running() and before != data:
            time.sleep(0.1)
            before, data = data, self.read("log", "audit.jsonl")
        return [json.loads(line) for line in data.splitlines()]

    def is_running(self):
        return self.mspd is not None and self.mspd.poll() is None

    def key_hex(self):
        for name in os.listdir(self.path("keys")):
            if name.endswith(".key"):
                yield json.loads(self.read("keys", name))["key"]
