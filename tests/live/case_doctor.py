# SPDX-License-Identifier: MIT
"""
In: an agent, and what can go wrong around it. Out: whether mspctl doctor sees
each with its own eyes, and says what helps. Must never be content with what the
agent says of itself.
"""
import ctypes
import json
import os
import signal
import socket
import subprocess
import unittest

import world
from world import IMDS, NOBODY, WIRESERVER, item

KEY = "keyIncarnationId"
BPF_LINK_DETACH, BPF_LINK_GET_FD_BY_ID = 34, 30
SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
PROBES = ("probe wireserver", "probe imds", "probe hostga")


def bpf(command, *words):
    """bpf(2) with an attribute of 32-bit words."""
    libc = ctypes.CDLL(None, use_errno=True)
    attr = (ctypes.c_uint32 * 8)(*words)
    done = libc.syscall(SYS_BPF, command, attr, ctypes.sizeof(attr))
    if done < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return done


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

    def run_doctor(self, *args, uid=0, inside=True, prepare=None):
        def become():
            if prepare:
                prepare()
            self.world.become(uid, inside)
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
        self.make().start()
        status, found = self.examine()
        self.assertEqual((status, self.bad(found)), (0, {}))
        for name in PROBES:
            self.assertIn("redirected to 127.0.0.1:3080, answered by the host",
                          found[name]["seen"])
        status, out = self.run_doctor()
        self.assertEqual(status, 0)
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
        self.assertEqual(status, 1)
        self.assert_found(found, "agent", "fail", "does not run",
                          "systemctl enable --now")
        self.assert_found(found, "listener", "fail", "nobody listens")
        self.assert_found(found, "probe imds", "warn",
                          "goes to the host directly", "nothing is protected")

    def test_agent_that_hangs(self):
        w = self.make().start()
        w.mspd.send_signal(signal.SIGSTOP)
        try:
            status, found = self.examine()
        finally:
            w.mspd.send_signal(signal.SIGCONT)
        self.assertEqual(status, 1)
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
        self.assertEqual(status, 0)
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
        self.make().start()
        status, found = self.examine(uid=NOBODY)
        self.assertEqual(status, 0)
        for name in ("kernel", "agent", "key"):
            self.assert_found(found, name, "warn", "", "as root")
        self.assert_found(found, "probe imds", "ok",
                          "redirected to 127.0.0.1:3080")

    # ---- hooks --------------------------------------------------------------
    def test_hook_that_somebody_detached(self):
        w = self.make().start()
        w.mspd.send_signal(signal.SIGSTOP)
        try:
            links = dict(links_of(w.mspd.pid))
            fd = bpf(BPF_LINK_GET_FD_BY_ID, links[10])
            bpf(BPF_LINK_DETACH, fd)
            os.close(fd)
            status, found = self.examine()
        finally:
            w.mspd.send_signal(signal.SIGCONT)
        self.assertEqual(status, 1)
        self.assert_found(found, "hooks", "fail",
                          "somebody has detached connect4",
                          "systemctl restart")
        self.assertIn("goes to the host directly",
                      found["probe imds"]["seen"])

    def test_hooks_that_do_not_see_this_shell(self):
        self.make().start()
        status, found = self.examine(inside=False)
        self.assertEqual(status, 0)
        for name in PROBES:
            self.assert_found(found, name, "warn",
                              "not in the agent's cgroup",
                              "where the programs run")

    def test_hooks_that_see_this_shell_but_do_nothing(self):
        w = self.make().start()
        w.config["cgroupPath"] = os.path.dirname(w.cgroup)
        w.write_config()
        status, found = self.examine(inside=False)
        self.assertEqual(status, 1)
        self.assert_found(found, "hooks", "fail", "but not at")
        self.assert_found(found, "probe imds", "fail",
                          "the hooks are not in effect", "systemctl restart")

    # ---- the host -----------------------------------------------------------
    def test_host_out_of_reach(self):
        w = self.make().start()
        w.stop_host()
        world.wait_until(lambda: self.examine()[1]["host"]["result"] == "fail",
                         why="noticed")
        status, found = self.examine()
        self.assertEqual(status, 1)
        self.assert_found(found, "host", "fail", "", WIRESERVER)
        self.assert_found(found, "probe imds", "fail", "redirected to")

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
        self.assertEqual(status, 1)
        self.assert_found(found, "keyLatchStatus", "fail", "status code: 40", KEY)
        self.assert_found(found, "protection", "fail",
                          "enabled but not applied")

    def test_key_that_is_lost(self):
        """As on a disk that was moved to another VM."""
        w = self.make().start()
        w.stop_mspd()
        for name in os.listdir(w.path("keys")):
            if name.endswith(".key"):
                os.unlink(w.path("keys", name))
        w.start_mspd(wait=False)
        world.wait_until(
            lambda: "keyLatchStatus" in self.examine()[1],
            why="the loss is told")
        status, found = self.examine()
        self.assertEqual(status, 1)
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
        self.assertEqual(status, 1)
        self.assert_found(found, "clock", "fail", "ahead of the host's",
                          "chronyc")

    # ---- rules, keys, disk ---------------------------------------------------
    def test_rules_that_are_refused(self):
        w = self.make().start()
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
        w = self.make().start()
        name = next(n for n in os.listdir(w.path("keys"))
                    if n.endswith(".key"))
        os.chmod(w.path("keys", name), 0o644)
        status, found = self.examine()
        self.assertEqual(status, 1)
        self.assert_found(found, "key", "fail", "0644", KEY)
        os.chmod(w.path("keys", name), 0o600)
        os.chmod(w.path("keys"), 0o755)
        self.assert_found(self.examine()[1], "key", "fail", "0755", KEY)

    def test_key_that_is_not_on_the_disk(self):
        w = self.make().start()
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


if __name__ == "__main__":
    unittest.main()
