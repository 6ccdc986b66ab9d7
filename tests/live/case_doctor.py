# SPDX-License-Identifier: MIT
"""
In: an agent, and what can go wrong around it. Out: whether mspctl doctor sees
each with its own eyes, and says what helps. Must never be content with what the
agent says of itself.
"""
import ctypes
import errno
import io
import json
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tarfile
import tempfile
import unittest

import refusal
import world
from world import IMDS, NOBODY, WIRESERVER, item

KEY = "keyIncarnationId"
BPF_LINK_DETACH, BPF_LINK_GET_FD_BY_ID = 34, 30
SYS_BPF, SYS_SECCOMP = refusal.NUMBERS[os.uname().machine]
CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH = 0x20000, 16384, 1 << 18, 2
IMAGE = "opt out of MSP, upgrade the OS image"
PROBES = ("probe wireserver", "probe imds", "probe hostga")


def bpf(command, *words):
    """bpf(2) with an attribute of 32-bit words."""
    libc = ctypes.CDLL(None, use_errno=True)
    attr = (ctypes.c_uint32 * 8)(*words)
    done = libc.syscall(SYS_BPF, command, attr, ctypes.sizeof(attr))
    if done < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return done


def without_programs():
    """For this process there is no bpf(BPF_PROG_LOAD)."""
    rows = ((refusal.LOAD, 0, 0, 0), (refusal.EQUAL, 0, 3, SYS_BPF),
            (refusal.LOAD, 0, 0, 16), (refusal.EQUAL, 0, 1, refusal.PROG_LOAD),
            (refusal.RETURN, 0, 0, 0x00050000 | errno.EINVAL),
            (refusal.RETURN, 0, 0, refusal.ALLOW))
    code = ctypes.create_string_buffer(
        b"".join(struct.pack("=HBBI", *row) for row in rows))
    program = ctypes.create_string_buffer(
        struct.pack("@HP", len(rows), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(SYS_SECCOMP, refusal.SET_MODE_FILTER, 0, program):
        raise OSError(ctypes.get_errno(), "seccomp")


def without_cgroup():
    """For this process no cgroup v2 file system is mounted."""
    libc = ctypes.CDLL(None, use_errno=True)
    if (libc.unshare(CLONE_NEWNS) or
            libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) or
            libc.umount2(world.cgroup_mount().encode(), MNT_DETACH)):
        raise OSError(ctypes.get_errno(), "cannot unmount")


def links_of(pid):
    """Numbers of the agent's links, by what they are attached to."""
    folder = f"/proc/{pid}/fdinfo"
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="ascii") as f:
            fields = dict(line.split(None, 1) for line in f if ":\t" in line)
        if "link_id:" in fields:
            yield int(fields["attach_type:"]), int(fields["link_id:"])


class Doctor(unittest.TestCase):

    def make(self, **kwargs):
        self.world = world.World(**{"imds": item(), "wireserver": item(),
                                    **kwargs})
        self.addCleanup(self.world.close)
        return self.world

    def start(self):
        """Also what it writes of itself tells of the start."""
        self.make().start()
        world.wait_until(lambda: self.examine()[0] == 0, why="all is well")
        return self.world

    def run_doctor(self, *args, uid=0, inside=True, prepare=None):
        def become():
            self.world.become(uid, inside)
            if prepare:
                prepare()
        done = subprocess.run(
            [os.path.join(self.world.build, "mspd/ctl/mspctl"), "doctor",
             "--config", self.world.path("mspd.json"), *args],
            env=self.world.environment(), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, check=False, preexec_fn=become,
            cwd="/")
        self.assertEqual(done.stderr, b"")
        return done.returncode, done.stdout.decode()

    def examine(self, **kwargs):
        """Exit status, findings by name; probes of one name are one each."""
        status, out = self.run_doctor("--json", **kwargs)
        return status, {c["name"]: c for c in json.loads(out)["checks"]}

    def bad(self, found):
        """What this machine may have of its own does not count."""
        return {name: c for name, c in found.items() if c["result"] != "ok"
                and name not in ("cloud-init", "disk", "service")}

    def assert_found(self, found, name, result, seen, remedy=""):
        self.assertIn(name, found)
        self.assertEqual(found[name]["result"], result, found[name])
        self.assertIn(seen, found[name]["seen"])
        self.assertIn(remedy, found[name]["remedy"] or "")

    # ---- nothing is wrong ---------------------------------------------------
    def test_healthy_machine(self):
        self.start()
        status, found = self.examine()
        self.assertEqual((status, self.bad(found)), (0, {}))
        for name in PROBES:
            self.assertIn("redirected to 127.0.0.1:3080, answered by the host",
                          found[name]["seen"])
        status, out = self.run_doctor()
        self.assertEqual(status, 0, self.bad(found))
        self.assertNotIn("FAIL", out)

    def test_disabled_endpoint_is_not_redirected_and_that_is_fine(self):
        w = self.make(imds=item(mode="disabled"))
        w.start_host()
        w.start_mspd(wait=False)
        world.wait_until(lambda: self.examine()[0] == 0, why="all well")
        found = self.examine()[1]
        self.assert_found(found, "probe imds", "ok", "not redirected")
        self.assert_found(found, "probe wireserver", "ok", "redirected to")

    # ---- the agent ----------------------------------------------------------
    def test_agent_that_does_not_run(self):
        w = self.make()
        w.start_host()
        w.write_config()
        status, found = self.examine()
        self.assertEqual(status, 1, found)
        self.assert_found(found, "agent", "fail", "does not run",
                          "systemctl enable --now")
        self.assert_found(found, "listener", "fail", "nobody listens")
        self.assert_found(found, "probe imds", "warn",
                          "goes to the host directly", "nothing is protected")

    def test_agent_that_hangs(self):
        w = self.start()
        w.mspd.send_signal(signal.SIGSTOP)
        try:
            status, found = self.examine()
        finally:
            w.mspd.send_signal(signal.SIGCONT)
        self.assertEqual(status, 1, found)
        self.assert_found(found, "agent", "fail", "no answer in time",
                          "systemctl restart")
        self.assert_found(found, "listener", "ok", "the agent's")
        self.assert_found(found, "hooks", "ok", "all 6 are attached")
        self.assert_found(found, "probe imds", "fail", "no answer in time",
                          "systemctl restart")

    def test_listener_that_somebody_else_has(self):
        w = self.make()
        w.start_host()
        with socket.create_server(("127.0.0.1", 3080)):
            w.start_mspd()
            status, found = self.examine()
        self.assertEqual(status, 0, self.bad(found))
        self.assert_found(found, "listener", "warn",
                          f"127.0.0.1:3080 is taken by process {os.getpid()}",
                          "listenAddress")
        self.assert_found(found, "probe imds", "ok", "redirected to")

    def test_somebody_else_where_the_agent_should_listen(self):
        w = self.make()
        w.start_host()
        w.write_config()
        reader, writer = os.pipe()
        other = os.fork()
        if other == 0:
            os.setresuid(NOBODY, NOBODY, NOBODY)
            with socket.create_server(("127.0.0.1", 3080)):
                os.write(writer, b"x")
                signal.pause()
            os._exit(0)
        os.read(reader, 1)
        try:
            found = self.examine()[1]
        finally:
            os.kill(other, signal.SIGKILL)
            os.waitpid(other, 0)
            os.close(reader)
            os.close(writer)
        self.assert_found(found, "listener", "fail", f"of user {NOBODY}",
                          "end that process")

    def test_whoever_is_not_root_is_told_what_cannot_be_seen(self):
        self.start()
        status, found = self.examine(uid=NOBODY)
        self.assertEqual(status, 0, self.bad(found))
        for name in ("kernel", "agent", "key"):
            self.assert_found(found, name, "warn", "", "as root")
        self.assert_found(found, "probe imds", "ok",
                          "redirected to 127.0.0.1:3080")

    # ---- hooks --------------------------------------------------------------
    def test_hook_that_somebody_detached(self):
        w = self.start()
        w.mspd.send_signal(signal.SIGSTOP)
        try:
            links = dict(links_of(w.mspd.pid))
            fd = bpf(BPF_LINK_GET_FD_BY_ID, links[10])
            bpf(BPF_LINK_DETACH, fd)
            os.close(fd)
            status, found = self.examine()
        finally:
            w.mspd.send_signal(signal.SIGCONT)
        self.assertEqual(status, 1, found)
        self.assert_found(found, "hooks", "fail",
                          "somebody has detached connect4",
                          "systemctl restart")
        self.assertIn("goes to the host directly",
                      found["probe imds"]["seen"])

    def test_hooks_that_do_not_see_this_shell(self):
        self.start()
        status, found = self.examine(inside=False)
        self.assertEqual(status, 0, self.bad(found))
        for name in PROBES:
            self.assert_found(found, name, "warn",
                              "not in the agent's cgroup",
                              "where the programs run")

    def test_agent_of_another_network_namespace(self):
        self.start()
        status, found = self.examine(prepare=world.enter_namespace)
        self.assertEqual(status, 0, self.bad(found))
        self.assert_found(found, "listener", "warn",
                          "another network namespace", "where the agent runs")
        for name in PROBES:
            self.assert_found(found, name, "warn",
                              "a hook refuses the connection: this shell is "
                              "in another network namespace",
                              "foreignNamespaces")

    def test_hooks_that_see_this_shell_but_do_nothing(self):
        w = self.start()
        w.config["cgroupPath"] = os.path.dirname(w.cgroup)
        w.write_config()
        status, found = self.examine(inside=False)
        self.assertEqual(status, 1, found)
        self.assert_found(found, "hooks", "fail", "but not at")
        self.assert_found(found, "probe imds", "fail",
                          "the hooks are not in effect", "systemctl restart")

    def test_hook_of_another_agent(self):
        w = self.start()
        other = {**w.config, "runFolder": w.path("run2"),
                 "latchKeyFolder": w.path("keys2"),
                 "statusFolder": w.path("status2"), "logFolder": "",
                 "listenAddress": "127.0.0.1:3090"}
        with open(w.path("other.json"), "w", encoding="utf-8") as f:
            json.dump(other, f)
        with open(w.path("other.out"), "wb") as out:
            agent = subprocess.Popen(
                [os.path.join(w.build, "mspd/mspd"), "--foreground",
                 "--config", w.path("other.json")], stdout=out, stderr=out,
                env=w.environment(), preexec_fn=w.join)
        try:
            world.wait_until(lambda: "other hook" in self.examine()[1],
                             why="the other agent is seen")
            found = self.examine()[1]
        finally:
            agent.kill()
            agent.wait()
        self.assert_found(found, "other hook", "warn", "msp_connect4",
                          "bpftool link")
        self.assert_found(found, "hooks", "ok", "all 6")
        self.assertNotIn("other hook", self.examine()[1])

    def test_process_that_only_has_the_name_of_another_agent(self):
        """Anybody can have one, who wants root to remove the agent."""
        self.start()
        name = os.path.join(self.enterContext(
            tempfile.TemporaryDirectory()), "azure-proxy-agent")
        os.chmod(os.path.dirname(name), 0o755)
        shutil.copy(shutil.which("sleep"), name)
        sleeper = subprocess.Popen([name, "600"], user=65534)
        try:
            result = self.examine()[1]["other agent"]["result"]
            sleeper.kill()
            sleeper.wait()
            sleeper = subprocess.Popen([name, "600"])
            world.wait_until(
                lambda: self.examine()[1]["other agent"]["result"] == "fail",
                why="one of root's is seen")
        finally:
            sleeper.kill()
            sleeper.wait()
        self.assertEqual(result, "ok")

    # ---- the kernel ---------------------------------------------------------
    def test_kernel_that_refuses_programs(self):
        w = self.make()
        w.start_host()
        kernel = refusal.Refusal()
        self.addCleanup(kernel.__exit__)
        kernel.refuse(lambda name: (errno.EPERM, b""))
        w.sandbox = kernel.sandbox
        w.start_mspd(wait=False)
        kernel.begin()
        world.wait_until(lambda: "ebpfProgramStatus" in self.examine()[1],
                         why="the refusal is told")
        status, found = self.examine()
        self.assertEqual(status, 1, found)
        self.assert_found(found, "ebpfProgramStatus", "fail",
                          "BPF_PROG_LOAD", IMAGE)
        self.assert_found(found, "hooks", "fail", "not attached: connect4")
        w.mspd.kill()
        w.mspd.wait()

    def test_kernel_that_lacks_features(self):
        self.start()
        status, found = self.examine(prepare=without_programs)
        self.assertEqual(status, 1, found)
        self.assert_found(found, "kernel", "fail",
                          "lacks: cgroup connect hooks", IMAGE)

    def test_cgroup_that_is_not_mounted(self):
        self.start()
        status, found = self.examine(prepare=without_cgroup)
        self.assertEqual(status, 1, found)
        self.assert_found(found, "cgroup2", "fail", "not mounted",
                          "systemd.unified_cgroup_hierarchy=1")

    def test_cgroup_that_is_none(self):
        w = self.make(config={"cgroupPath": "/proc"})
        w.start_host()
        w.start_mspd(wait=False)
        world.wait_until(lambda: "ebpfProgramStatus" in self.examine()[1],
                         why="the failure is told")
        status, found = self.examine()
        self.assertEqual(status, 1, found)
        self.assert_found(found, "cgroup2", "fail",
                          "/proc is not in a cgroup v2", "cgroupPath")
        self.assert_found(found, "ebpfProgramStatus", "fail",
                          "Failed to attach program")

    # ---- the host -----------------------------------------------------------
    def test_host_out_of_reach(self):
        w = self.start()
        w.stop_host()
        world.wait_until(lambda: self.examine()[1]["host"]["result"] == "fail",
                         why="noticed")
        status, found = self.examine()
        self.assertEqual(status, 1, found)
        self.assert_found(found, "host", "fail", "", WIRESERVER)
        self.assert_found(found, "probe imds", "fail", "redirected to")

    def test_host_that_is_out_of_order(self):
        w = self.start()
        w.control("POST", "/faults", json.dumps(
            {"name": "503", "endpoint": "imds"}).encode())
        status, found = self.examine()
        self.assertEqual(status, 0, self.bad(found))
        self.assert_found(found, "probe imds", "warn", "answers 503",
                          "the host's")

    def test_host_that_rejects_what_is_signed(self):
        w = self.start()
        w.control("POST", "/faults", json.dumps(
            {"name": "status", "status": 401, "endpoint": "imds"}).encode())
        status, found = self.examine()
        self.assertEqual(status, 1, found)
        self.assert_found(found, "probe imds", "fail", "rejects", KEY)

    def test_host_out_of_reach_without_an_agent(self):
        self.make().write_config()
        found = self.examine()[1]
        self.assert_found(found, "probe imds", "fail", "", IMDS)

    def test_host_that_refuses_a_key(self):
        w = self.make()
        w.start_host()
        w.control("POST", "/faults", json.dumps(
            {"name": "key-not-offered", "endpoint": "wireserver",
             "path": "/secure-channel/key"}).encode())
        w.start_mspd(wait=False)
        world.wait_until(
            lambda: "keyLatchStatus" in self.examine()[1],
            why="the refusal is told")
        status, found = self.examine()
        self.assertEqual(status, 1, found)
        self.assert_found(found, "keyLatchStatus", "fail", "status code: 40", KEY)
        self.assert_found(found, "protection", "fail",
                          "enabled but not applied")

    def test_key_that_is_lost(self):
        """As on a disk that was moved to another VM."""
        w = self.start()
        w.stop_mspd()
        for name in os.listdir(w.path("keys")):
            if name.endswith(".key"):
                os.unlink(w.path("keys", name))
        w.start_mspd(wait=False)
        world.wait_until(
            lambda: "Failed to acquire" in self.examine()[1].get(
                "keyLatchStatus", {"seen": ""})["seen"],
            why="the loss is told")
        status, found = self.examine()
        self.assertEqual(status, 1, found)
        self.assert_found(found, "keyLatchStatus", "fail",
                          "Failed to acquire", KEY)
        w.control("POST", "/key/reset")
        world.wait_until(lambda: self.examine()[0] == 0,
                         why="well again after what doctor said")

    def test_clocks_that_differ(self):
        w = self.make()
        w.start_host()
        w.control("POST", "/faults", json.dumps(
            {"name": "clock-skew", "seconds": -3600}).encode())
        w.start_mspd()
        status, found = self.examine()
        self.assertEqual(status, 1, found)
        self.assert_found(found, "clock", "fail", "ahead of the host's",
                          "chronyc")

    # ---- rules, keys, disk ---------------------------------------------------
    def test_rules_that_are_refused(self):
        w = self.start()
        document = json.loads(w.get("/secure-channel/status",
                                    host=WIRESERVER, inside=False).body)
        document["authorizationRules"]["imds"]["defaultAccess"] = "perhaps"
        w.control("POST", "/status/raw", json.dumps(document).encode())
        world.wait_until(
            lambda: self.examine()[1]["rules"]["result"] == "fail",
            why="bad rules are told")
        self.assert_found(self.examine()[1], "rules", "fail",
                          "imds", "mspctl lint")

    def test_key_that_others_may_read(self):
        w = self.start()
        name = next(n for n in os.listdir(w.path("keys"))
                    if n.endswith(".key"))
        os.chmod(w.path("keys", name), 0o644)
        status, found = self.examine()
        self.assertEqual(status, 1, found)
        self.assert_found(found, "key", "fail", "0644", KEY)
        os.chmod(w.path("keys", name), 0o600)
        os.chmod(w.path("keys"), 0o755)
        self.assert_found(self.examine()[1], "key", "fail", "0755", KEY)

    def test_key_that_is_not_on_the_disk(self):
        w = self.start()
        for name in os.listdir(w.path("keys")):
            if name.endswith(".key"):
                os.unlink(w.path("keys", name))
        self.assert_found(self.examine()[1], "key", "fail",
                          "not on the disk", "restart the agent")

    def test_disk_that_is_full_or_read_only(self):
        w = self.make()
        w.start_host()
        os.mkdir(w.path("status"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none",
                        w.path("status")], check=True)
        self.addCleanup(subprocess.run, ["umount", w.path("status")],
                        check=True)
        w.start_mspd()
        self.assert_found(self.examine()[1], "disk", "fail", "KiB",
                          "make room")
        subprocess.run(["mount", "-o", "remount,ro", w.path("status")],
                       check=False)
        w.stop_mspd()
        subprocess.run(["mount", "-o", "remount,ro", w.path("status")],
                       check=True)
        self.assert_found(self.examine()[1], "disk", "fail", "read-only",
                          "dmesg")

    # ---- what is collected --------------------------------------------------
    def collect(self, name, uid=0):
        done = subprocess.run(
            [os.path.join(self.world.build, "mspd/ctl/mspctl"), "collect",
             "--config", self.world.path("mspd.json"), "--output", name],
            env=self.world.environment(), stdout=subprocess.PIPE, check=False,
            preexec_fn=lambda: self.world.become(uid, True), cwd="/")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(stat.S_IMODE(os.stat(name).st_mode), 0o600)
        with open(name, "rb") as f:
            data = f.read()
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return data, {m.name.split("/", 1)[1]: tar.extractfile(m).read()
                          for m in tar.getmembers()}

    def test_what_is_collected_of_an_agent_at_work(self):
        w = self.start()
        planted = "Zm9vYmFyYmF6cXV4ZG9ub3R0ZWxsYW55Ym9keWF0YWxs"
        for target in (f"{world.INSTANCE}&sig={planted}",
                       f"/metadata/password={planted}/x"):
            w.get(target, uid=world.DAEMON,
                  headers=(world.METADATA,
                           (b"Authorization", b"Bearer " + planted.encode())))
        w.audit()
        data, members = self.collect(w.path("all.tar"))
        for name, words in (
                ("agent/control.json", b'"healthy"'),
                ("agent/status.json", b"ebpfProgramStatus"),
                ("agent/config.json", b"cgroupPath"),
                ("agent/audit.jsonl", b"/metadata/instance"),
                ("agent/ProxyAgent.log", b"Started proxy listener"),
                ("agent/AuthorizationRules.json", b"computedRules"),
                ("agent/keys.txt", b".key"), ("process/limits", b"Max"),
                ("process/cmdline", b"--config"), ("process/environ", b"PATH"),
                ("machine/bpf-links.txt", b"program msp_connect4"),
                ("machine/uname.txt", b"Linux"),
                ("machine/os-release", b"ID="),
                ("doctor.txt", b"ok    probe imds")):
            self.assertIn(words, members.get(name, b""), name)
        self.assertNotIn(planted.encode(), data)
        keys = list(w.key_hex())
        self.assertTrue(keys)
        for key in keys:
            self.assertNotIn(key.lower().encode(), data.lower())
            self.assertNotIn(bytes.fromhex(key), data)

    def test_what_is_collected_by_who_is_not_root(self):
        w = self.start()
        os.mkdir(w.path("own"))
        os.chown(w.path("own"), NOBODY, NOBODY)
        _, members = self.collect(w.path("own", "all.tar"), uid=NOBODY)
        self.assertIn(b"agent/audit.jsonl: Permission denied",
                      members["README"])
        self.assertIn(b"warn  agent", members["doctor.txt"])


if __name__ == "__main__":
    unittest.main()
