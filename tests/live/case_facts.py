# SPDX-License-Identifier: MIT
"""
In: a process whose every fact is known, because the test made it so. Out: the
audit line says exactly that, compared with /proc of the client itself while
it waits with its connection open; and of programs that were deleted or
replaced while they ran only those match that the owner chose to accept.
"""
import contextlib
import ctypes
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

import wire
import world
from world import IMDS, INSTANCE, METADATA, NOBODY, WIRESERVER

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
PR_SET_NAME = 15
LIBC = ctypes.CDLL(None, use_errno=True)
PARENTS, GROUPS_MAX = 4, 64
UNSET = 0xffffffff
CONTAINER = "0f1e2d3c4b5a69788796a5b4c3d2e1f0" * 2
UNIT = "known.service"
# deeper than the kernel side walks up
DEEP = 60
# MSPD_PROGRAMS_REST_S, and a second that has begun
AT_REST_S = 4.1


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(source, target, flags):
    check(LIBC.mount(source.encode(), target.encode(), None, flags, None))


def serve_covered(path, by, peer):
    check(LIBC.unshare(CLONE_NEWNS))
    mount("none", "/", MS_REC | MS_PRIVATE)
    mount(by, path, MS_BIND)
    socket.send_fds(peer, [b"x"], [os.open(path, os.O_PATH)])
    peer.recv(1)


@contextlib.contextmanager
def covered(path, by):
    """The file "by", opened in a mount namespace that has it at the other
    path; which lives as long."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        try:
            serve_covered(path, by, theirs)
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        fds = socket.recv_fds(ours, 1, 1)[1]
        try:
            yield fds[0]
            os.close(fds[0])
        finally:
            ours.close()
            os.waitpid(child, 0)


# ---- the client: a program of its own, started by two shells ---------------

def map_as_root(uid):
    """Into namespaces of its own, where this uid looks like root. Another
    process has to write the maps; this one has left."""
    pid, (reader, writer) = os.getpid(), os.pipe()
    helper = os.fork()
    if helper == 0:
        os.read(reader, 1)
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as f:
                f.write(f"0 {uid} 1")
        os._exit(0)
    check(LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID))
    os.write(writer, b"x")
    if os.waitpid(helper, 0)[1] != 0:
        raise OSError("no user namespace")
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    # the first process of the new PID namespace is a child
    child = os.fork()
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def become(order):
    with open(order["cgroup"] + "/cgroup.procs", "w", encoding="ascii") as f:
        f.write("0")
    try:
        with open("/proc/self/loginuid", "w", encoding="ascii") as f:
            f.write(str(order["loginuid"]))
    except OSError:
        pass  # the kernel keeps none, or it is set for good
    if order["namespaces"]:
        map_as_root(order["uid"][0])
        return
    os.setgroups(order["groups"])
    os.setresgid(*order["gid"])
    os.setresuid(*order["uid"])


def connect_and_wait(order):
    LIBC.prctl(PR_SET_NAME, order["comm"].encode(), 0, 0, 0)
    with wire.connect(tuple(order["address"]), v6=order["v6"]) as s:
        # numbers as this /proc counts them, which is the test's
        task = os.readlink("/proc/thread-self").split("/")
        print(json.dumps([int(task[0]), int(task[2]), s.getsockname()[1]]),
              flush=True)
        sys.stdin.readline()
        s.sendall(wire.request(b"GET", INSTANCE, IMDS, [METADATA]))
        print(wire.receive(s, b"", False)[0].status, flush=True)


def client(order):
    become(order)
    if order["thread"]:
        thread = threading.Thread(target=connect_and_wait, args=(order,))
        thread.start()
        thread.join()
    else:
        connect_and_wait(order)


# ---- what /proc says -------------------------------------------------------

def read(*path):
    with open(os.path.join("/proc", *map(str, path)), encoding="utf-8") as f:
        return f.read()


def status_of(pid):
    return dict(line.split(":", 1) for line in
                read(pid, "status").splitlines())


def parents_of(pid):
    for _ in range(PARENTS):
        pid = int(status_of(pid)["PPid"])
        if not pid:
            return
        yield f"{read(pid, 'comm')[:-1]}[{pid}]"


def namespace(pid, name):
    return int(os.readlink(f"/proc/{pid}/ns/{name}").split("[")[1][:-1])


def facts(pid, tid):
    """What the audit line must say, as far as /proc knows."""
    status = status_of(pid)
    uid, euid = (int(x) for x in status["Uid"].split()[:2])
    try:
        loginuid = int(read(pid, "loginuid"))
    except FileNotFoundError:
        loginuid = UNSET
    return {
        "uid": uid, "user": pwd.getpwuid(uid).pw_name, "pid": pid,
        "exe": os.readlink(f"/proc/{pid}/exe"),
        "comm": read(pid, "task", tid, "comm")[:-1],
        "gid": int(status["Gid"].split()[0]),
        "groups": sorted(int(x) for x in status["Groups"].split()),
        "euid": euid,
        "loginuid": None if loginuid == UNSET else loginuid,
        "parents": list(parents_of(pid)),
        "netns": namespace(pid, "net"), "mntns": namespace(pid, "mnt"),
        "pidns": namespace(pid, "pid"), "userns": namespace(pid, "user")}


def line_where(test_world, **fields):
    """The one audit line with these fields."""
    found = world.wait_until(
        lambda: [x for x in test_world.audit()
                 if all(x[k] == v for k, v in fields.items())],
        why=f"audit line with {fields}")
    if len(found) != 1:
        raise world.Failed(f"{len(found)} audit lines with {fields}")
    return found[0]


# ---- cases -----------------------------------------------------------------

class Facts(unittest.TestCase):
    """Root may read IMDS, and nobody with this very interpreter."""

    @classmethod
    def setUpClass(cls):
        cls.exe = os.path.realpath(sys.executable)
        rules = world.grant(["/metadata"], {
            "root": {"userName": "root"},
            "python": {"userName": "nobody", "exePath": cls.exe}})
        cls.world = world.World(imds=world.item(access="deny", rules=rules),
                                wireserver=world.item(),
                                config={"identityRoot": "/"})
        cls.addClassCleanup(cls.world.close)
        cls.make_cgroups()
        cls.world.start()

    @classmethod
    def make_cgroups(cls):
        """As systemd would name them, at the root of the tree."""
        os.rmdir(cls.world.cgroup)
        cls.world.cgroup += ".slice"
        cls.world.config["cgroupPath"] = cls.world.cgroup
        cls.cgroup = os.path.join(cls.world.cgroup, UNIT,
                                  f"docker-{CONTAINER}.scope")
        os.makedirs(cls.cgroup)
        cls.addClassCleanup(cls.remove_cgroups)

    @classmethod
    def remove_cgroups(cls):
        def gone():
            try:
                os.rmdir(cls.cgroup)
                return True
            except OSError:
                return False
        world.wait_until(gone, why="cgroup empty")
        os.rmdir(os.path.dirname(cls.cgroup))

    def connect(self, address=(IMDS, 80), uid=(NOBODY,) * 3,
                gid=(NOBODY,) * 3, groups=(), v6=False, thread=False,
                namespaces=False, ask=lambda: None):
        """Facts while it is connected, status, audit line."""
        order = {"address": address, "uid": uid, "gid": gid,
                 "groups": list(groups), "v6": v6, "thread": thread,
                 "namespaces": namespaces, "cgroup": self.cgroup,
                 "loginuid": 4711, "comm": "known client"}
        # with something left to do, a shell stays and does not exec
        shells = ["sh", "-c", "sh -c '\"$@\"; exit $?' inner \"$@\"; exit $?",
                  "outer"]
        with subprocess.Popen(
                [*shells, sys.executable, __file__, json.dumps(order)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/",
                env={"PATH": world.PATH, "PYTHONPATH":
                     os.path.dirname(os.path.abspath(__file__)),
                     "PYTHONDONTWRITEBYTECODE": "1"}) as process:
            pid, tid, port = json.loads(process.stdout.readline())
            want = facts(pid, tid)
            process.stdin.write(b"go\n")
            process.stdin.close()
            status = int(process.stdout.readline())
        self.assertEqual(process.returncode, 0)
        return want, status, line_where(self.world, port=port, pid=pid), tid

    def compare(self, want, line):
        """All but cgroup and what depends on the connection."""
        got = {name: line[name] for name in want}
        got["groups"] = sorted(line["groups"])
        self.assertEqual(got, want)

    def test_every_fact_of_a_thread_with_groups_under_two_shells(self):
        groups = [70000, 4, 27, 1234567890]
        want, status, line, tid = self.connect(
            gid=(4321, NOBODY, NOBODY), groups=groups, thread=True)
        self.assertEqual(status, 200)
        self.compare(want, line)
        # and the test is about what it says it is
        self.assertNotEqual(tid, want["pid"])
        self.assertEqual(
            (line["uid"], line["gid"], sorted(line["groups"]), line["comm"]),
            (NOBODY, 4321, sorted(groups), "known client"))
        self.assertEqual([x.split("[")[0] for x in line["parents"][:2]],
                         ["sh", "sh"])
        self.assertEqual(line["parents"][2].rsplit("[", 1)[1],
                         f"{os.getpid()}]")
        self.assertEqual((line["exe"], line["exe_state"], line["flags"]),
                         (self.exe, "verified", []))

    def test_cgroup_with_unit_and_container(self):
        line = self.connect()[2]
        below = "/" + os.path.relpath(self.cgroup, world.cgroup_mount())
        self.assertEqual(
            (line["cgroup"], line["unit"], line["container"]),
            (below, UNIT, CONTAINER))

    def test_effective_uid_is_told_apart(self):
        want, _, line, _ = self.connect(uid=(1, NOBODY, 0))
        self.compare(want, line)
        self.assertEqual((line["uid"], line["euid"]), (1, NOBODY))

    def test_namespaces_of_its_own_and_root_only_in_there(self):
        want, status, line, _ = self.connect(namespaces=True)
        self.compare(want, line)
        self.assertEqual((status, line["uid"], line["euid"]),
                         (200, NOBODY, NOBODY))
        for name, kind in (("mntns", "mnt"), ("pidns", "pid"),
                           ("userns", "user")):
            self.assertNotEqual(line[name], namespace("self", kind), name)
        self.assertEqual(line["netns"], namespace("self", "net"))
        self.assertEqual(self.connect(address=(WIRESERVER, 80),
                                      namespaces=True)[1], 403)

    def test_more_groups_than_are_kept_are_shown_as_such(self):
        groups = list(range(100, 100 + GROUPS_MAX + 1))
        for n, flags in ((GROUPS_MAX, []), (GROUPS_MAX + 1, ["groups-cut"])):
            line = self.connect(groups=groups[:n])[2]
            self.assertEqual(line["flags"], flags)
            self.assertEqual(len(line["groups"]), GROUPS_MAX)
            self.assertLessEqual(set(line["groups"]), set(groups[:n]))

    def test_way_of_connecting_is_flagged(self):
        line = self.connect(v6=True)[2]
        self.assertEqual(line["flags"], ["v6-mapped"])
        line = self.connect(address=world.LISTENER)[2]
        self.assertEqual((line["flags"], line["status"], line["reason"]),
                         (["direct"], 421, "direct"))
        line = self.connect(address=world.LISTENER, v6=True)[2]
        self.assertEqual(line["flags"], ["direct", "v6-mapped"])

    def test_executable_nobody_asks_about_is_not_looked_at(self):
        line = self.connect(address=(WIRESERVER, 80), uid=(0, 0, 0))[2]
        self.assertEqual((line["verdict"], line["exe_state"]),
                         ("allow", "unchecked"))

    def test_same_address_of_another_process_is_another_line(self):
        """The facts are those of each connection, in any order."""
        first = self.connect(groups=[11])[2]
        second = self.connect(groups=[22], gid=(5, 5, 5))[2]
        self.assertEqual((first["groups"], first["gid"]), ([11], NOBODY))
        self.assertEqual((second["groups"], second["gid"]), ([22], 5))


class Program:
    """Cases with a program that is changed while it runs: a copy of bash."""

    accept = False

    @classmethod
    def setUpClass(cls):
        cls.world = world.World(wireserver=world.item(), config={
            "identityRoot": "/", "acceptReplacedExecutable": cls.accept})
        cls.addClassCleanup(cls.world.close)
        cls.program = cls.world.path("bin", "program")
        rules = world.grant(["/metadata"], {
            "root": {"userName": "root"},
            "program": {"userName": "nobody", "exePath": cls.program}})
        cls.world.start_host()
        cls.world.set_item("imds", world.item(access="deny", rules=rules))
        os.mkdir(os.path.dirname(cls.program))
        cls.world.start_mspd()

    def copy(self, path, uid=0, mode=0o755):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy("/bin/bash", path)
        os.chown(path, uid, 0)
        os.chmod(path, mode)
        return path

    def run_program(self, path, between=lambda: None, before=lambda: None,
                    fds=()):
        """(status, exe_state) of the program's own connection; between is
        done when it has started."""
        def prepare():
            self.world.join()
            before()
            self.world.become(NOBODY, False)
        with subprocess.Popen(
                [path, "-c", f"""
                 echo started; read go
                 exec 3<>/dev/tcp/{IMDS}/80
                 printf 'GET {INSTANCE} HTTP/1.1\\r\\nHost: x\\r\\n' >&3
                 printf 'Metadata: true\\r\\n\\r\\n' >&3
                 read -r version status rest <&3; echo "$status"
                 """], env={"PATH": world.PATH}, cwd="/",
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                pass_fds=fds, preexec_fn=prepare) as process:
            self.assertEqual(process.stdout.readline(), b"started\n")
            between()
            process.stdin.write(b"go\n")
            process.stdin.close()
            status = int(process.stdout.readline())
        line = line_where(self.world, pid=process.pid)
        self.assertEqual(line["status"], status)
        return status, line["exe_state"]

    def replace(self, old=(0, 0o755), new=(0, 0o755), **kwargs):
        """The same with owner and mode of the file before and after."""
        self.copy(self.program, *old)
        following = self.copy(self.world.path("bin", "next"), *new)
        return self.run_program(
            self.program, lambda: os.replace(following, self.program),
            **kwargs)

    def delete(self):
        self.copy(self.program)
        return self.run_program(self.program,
                                lambda: os.unlink(self.program))

    def test_program_that_nobody_touched_is_verified(self):
        self.copy(self.program)
        self.assertEqual(self.run_program(self.program), (200, "verified"))

    def test_deleted_program_is_recorded_as_such(self):
        self.assertEqual(self.delete(), (403, "deleted"))


class DefaultProgram(Program, unittest.TestCase):

    def test_replaced_program_is_deleted_by_default(self):
        self.assertEqual(self.replace(), (403, "deleted"))

    def test_program_mounted_over_the_path_is_not_at_it(self):
        self.copy(self.program)
        other = self.copy(self.world.path("bin", "other"))

        def cover():
            check(LIBC.unshare(CLONE_NEWNS))
            mount("none", "/", MS_REC | MS_PRIVATE)
            mount(other, self.program, MS_BIND)
        self.assertEqual(self.run_program(self.program, before=cover),
                         (403, "not-at-path"))

    def test_program_of_another_name_is_verified_at_its_own(self):
        other = self.copy(self.world.path("bin", "other"))
        self.assertEqual(self.run_program(other), (403, "verified"))

    def test_program_without_a_path_is_unknown(self):
        path = self.copy(self.world.path(*["d"] * DEEP, "deep"))
        self.assertEqual(self.run_program(path), (403, "unknown"))
        line = self.world.audit()[-1]
        self.assertEqual((line["exe"], line["flags"]), (None, ["path-cut"]))


class KeptProgram(Program, unittest.TestCase):
    """What was verified a moment ago counts for the very same file only."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        names = ("alone", "removed", "replaced", "moved", "linked", "aside")
        cls.old = {name: cls.copy(cls, cls.world.path("old", name))
                   for name in names}
        # only a file that has been as it is for a while is remembered
        changed = os.stat(cls.old["aside"]).st_ctime
        world.wait_until(lambda: time.time() > changed + AT_REST_S,
                         why="programs that are a few seconds old")

    def states(self, **fields):
        return [x["exe_state"] for x in self.world.audit()
                if all(x[k] == v for k, v in fields.items())]

    def after_two(self, name, change):
        """exe_state of a program's connection, the third one after two that
        were verified."""
        def prepare():
            self.world.join()
            self.world.become(NOBODY, False)
        with subprocess.Popen(
                [self.old[name], "-c", f"""
                 while read go; do
                 exec 3<>/dev/tcp/{IMDS}/80
                 printf 'GET {INSTANCE} HTTP/1.1\\r\\nHost: x\\r\\n' >&3
                 printf 'Metadata: true\\r\\n\\r\\n' >&3
                 read -r version status rest <&3; echo "$status"; exec 3>&-
                 done"""], env={"PATH": world.PATH}, cwd="/",
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                preexec_fn=prepare) as process:
            for act in (lambda: None, lambda: None, change):
                act()
                process.stdin.write(b"go\n")
                process.stdin.flush()
                process.stdout.readline()
            process.stdin.close()
        world.wait_until(lambda: len(self.states(pid=process.pid)) == 3,
                         why="three audit lines")
        first, second, third = self.states(pid=process.pid)
        self.assertEqual((first, second), ("verified", "verified"))
        return third

    def test_that_stays_is_verified_again(self):
        self.assertEqual(self.after_two("alone", lambda: None), "verified")

    def test_that_is_removed_is_deleted_at_once(self):
        self.assertEqual(
            self.after_two("removed", lambda: os.unlink(self.old["removed"])),
            "deleted")

    def test_that_is_replaced_is_deleted_at_once(self):
        following = self.copy(self.world.path("bin", "next"))
        self.assertEqual(
            self.after_two("replaced",
                       lambda: os.replace(following, self.old["replaced"])),
            "deleted")

    def test_that_is_moved_to_another_name_is_verified_there(self):
        aside = self.old["aside"]
        self.assertEqual(
            self.after_two("moved", lambda: os.replace(self.old["moved"], aside)),
            "verified")
        self.assertEqual(self.states(exe=aside), ["verified"])

    def test_that_has_another_link_and_is_replaced_is_not_at_its_path(self):
        following = self.copy(self.world.path("bin", "next"))
        link = self.world.path("old", "link")

        def swap():
            os.link(self.old["linked"], link)
            os.replace(following, self.old["linked"])
        self.assertEqual(self.after_two("linked", swap), "not-at-path")

class AcceptedProgram(Program, unittest.TestCase):
    """acceptReplacedExecutable: each condition, the others being met."""

    accept = True

    def test_replaced_by_root_is_accepted(self):
        self.assertEqual(self.replace(), (200, "replaced"))

    def test_old_file_of_another_owner_is_refused(self):
        self.assertEqual(self.replace(old=(NOBODY, 0o755)), (403, "deleted"))

    def test_old_file_others_could_write_is_refused(self):
        for mode in (0o775, 0o757):
            with self.subTest(mode=oct(mode)):
                self.assertEqual(self.replace(old=(0, mode)),
                                 (403, "deleted"))

    def test_new_file_of_another_owner_is_refused(self):
        self.assertEqual(self.replace(new=(NOBODY, 0o755)), (403, "deleted"))

    def test_new_file_others_can_write_is_refused(self):
        for mode in (0o775, 0o757):
            with self.subTest(mode=oct(mode)):
                self.assertEqual(self.replace(new=(0, mode)),
                                 (403, "deleted"))

    def test_directory_in_its_place_is_refused(self):
        def swap():
            os.unlink(self.program)
            os.mkdir(self.program)
        self.copy(self.program)
        self.addCleanup(os.rmdir, self.program)
        self.assertEqual(self.run_program(self.program, swap),
                         (403, "deleted"))

    def test_another_mount_namespace_is_refused(self):
        def leave():
            check(LIBC.unshare(CLONE_NEWNS))
            mount("none", "/", MS_REC | MS_PRIVATE)
        self.assertEqual(self.replace(before=leave), (403, "deleted"))

    def test_mount_of_another_namespace_is_refused(self):
        """A user's own mounts show any of root's programs at the path, and
        whoever has a descriptor can run it outside of them."""
        other = self.copy(self.world.path("bin", "other"))
        self.copy(self.program)
        with covered(self.program, other) as fd:
            self.assertEqual(
                self.run_program(f"/proc/self/fd/{fd}", fds=[fd],
                                 between=lambda: os.unlink(other)),
                (403, "deleted"))

    def test_old_file_that_still_has_a_name_is_refused(self):
        """A user's hard link is no upgrade: it is another program."""
        aside = self.program + ".aside"
        self.addCleanup(os.unlink, aside)
        self.copy(self.program)
        os.link(self.program, aside)
        following = self.copy(self.world.path("bin", "next"))
        self.assertEqual(
            self.run_program(self.program,
                             lambda: os.replace(following, self.program)),
            (403, "not-at-path"))


if __name__ == "__main__":
    signal.alarm(60)
    client(json.loads(sys.argv[1]))
