# SPDX-License-Identifier: MIT
"""
In: sockets that were there before the agent was: connections to the host,
squatters on its port. Out: what bypasses it is reset or counted, clients are
served whoever has the port, and the status tells.
"""
import ctypes
import errno
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import threading
import unittest

import wire
import world
from case_recovery import slow_upload
from world import (CONTROL, DAEMON, IMDS, INSTANCE, LISTENER, METADATA,
                   NOBODY, PASSED, WIRESERVER)

SO_ATTACH_FILTER = 26
REFUSED = errno.errorcode[errno.EPERM]
FAKE = (WIRESERVER, 8098)  # takes the place of HostGAPlugin
BOUND_PORT = 3090  # no connection of an earlier case is on it
ABORTED = errno.errorcode[errno.ECONNABORTED]
GONE = errno.errorcode[errno.ENOTCONN]
VERSIONS = "/?comp=versions"


class Process:
    """A forked process that does what it is asked, until it is closed."""

    def __init__(self, test_world, begin, do, uid=0, cgroup=None):
        self.ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self.ours.close()
            try:
                enter(test_world, uid, cgroup)
                run(theirs, begin, do)
            except Exception as e:  # the parent compares it with an answer
                theirs.sendall(f"{type(e).__name__}: {e}".encode())
            os._exit(0)
        theirs.close()
        self.ours.settimeout(30)
        self.begun = self.hear()

    def hear(self):
        return self.ours.recv(1000).decode()

    def ask(self):
        self.ours.sendall(b"?")
        return self.hear()

    def close(self):
        if self.pid:
            self.ours.close()
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.pid = 0


def enter(test_world, uid, cgroup):
    if cgroup:
        with open(os.path.join(cgroup, "cgroup.procs"), "w",
                  encoding="ascii") as f:
            f.write("0")
    test_world.become(uid, False)


def run(pipe, begin, do):
    thing, word = begin()
    pipe.sendall(word.encode())
    while pipe.recv(1):
        pipe.sendall(do(thing).encode() or b"-")


def connected(address, v6=False):
    return lambda: (wire.connect(address, v6), "connected")


def half_closed():
    s = wire.connect(FAKE)
    s.shutdown(socket.SHUT_WR)
    return s, "half closed"


def closed_with_data():
    """More than the other end takes in: the rest goes when it reads."""
    s = wire.connect(FAKE)
    s.setblocking(False)
    sent = 0
    try:
        while True:
            sent += s.send(bytes(65536))
    except BlockingIOError:
        s.close()
    return None, str(sent)


def connecting():
    """SYN sent; the answer is dropped."""
    s = socket.socket()
    s.setblocking(False)
    drop = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0))
    s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                 struct.pack("@HP", 1, ctypes.addressof(drop)))
    return s, errno.errorcode[s.connect_ex((IMDS, 80))]


def get(s):
    """Status of a request on that very connection, "+" if it was signed, or
    the name of an error."""
    try:
        ip = s.getpeername()[0].removeprefix("::ffff:")
        target = VERSIONS if ip == WIRESERVER else INSTANCE
        s.sendall(wire.request(b"GET", target, ip, [METADATA]))
        answer = wire.receive(s, b"", False)[0]
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))
    if answer is None:
        return "closed"
    return f"{answer.status}{'+' if PASSED in answer.headers else ''}"


def pending_error(s):
    number = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return errno.errorcode.get(number, str(number))


def states(test_world, module):
    """From the file: asking would be one connection more."""
    path = test_world.path("status", "status.json")
    try:
        with open(path, encoding="utf-8") as f:
            document = json.load(f)
    except OSError:
        return {}
    return document["proxyAgentStatus"][module].get("states", {})


def swept(test_world):
    found = states(test_world, "ebpfProgramStatus")
    return tuple(int(found.get(f"sweep{n}", -1))
                 for n in ("Found", "Destroyed", "Left"))


def live_states(test_world, module="ebpfProgramStatus"):
    return test_world.status()["proxyAgentStatus"][module]["states"]


class Case(unittest.TestCase):
    """Things to be closed in the end, latest first."""

    def make_world(self, **kwargs):
        w = world.World(**kwargs)
        self.addCleanup(w.close)
        return w

    def process(self, *args, **kwargs):
        process = Process(*args, **kwargs)
        self.addCleanup(process.close)
        return process

    def group(self, path):
        os.mkdir(path)
        self.addCleanup(os.rmdir, path)
        return path


class Before(Case):
    """Connections from before the agent started."""

    def setUp(self):
        self.world = self.make_world(imds=world.item(),
                                     wireserver=world.item(mode="audit"))
        self.world.start_host()

    def client(self, begin=connected((IMDS, 80)), do=get, uid=NOBODY,
               cgroup=None):
        return self.process(self.world, begin, do, uid=uid,
                            cgroup=cgroup or self.world.cgroup)

    def start(self, expected):
        self.world.start_mspd(wait=False)
        world.wait_until(lambda: swept(self.world) == expected,
                         why=f"{expected} in the status")

    def test_those_of_clients_are_reset_where_enforced(self):
        below = self.group(os.path.join(self.world.cgroup, "below"))
        clients = [self.client(), self.client(uid=0),
                   self.client(connected((IMDS, 80), v6=True)),
                   self.client(cgroup=below)]
        self.assertEqual({c.begun for c in clients}, {"connected"})
        self.assertEqual(clients[0].ask(), "200")
        syn = self.client(connecting, pending_error, uid=0)
        self.assertEqual(syn.begun, "EINPROGRESS")
        self.start((5, 5, 0))
        self.assertEqual([c.ask() for c in clients], [GONE] * 4)
        self.assertEqual(syn.ask(), ABORTED)
        log = self.world.read("log", "ProxyAgent.log").decode()
        self.assertIn("[WARN]    IMDS: 5 connections went to the host "
                      "directly; 5 of them were reset, 0 go on\n", log)

    def test_half_closed_ones_are_reset(self):
        """Either way: data still goes in the other direction."""
        self.world.config["hostGAPluginAddress"] = "%s:%d" % FAKE
        with socket.create_server(FAKE) as listener:
            ours = self.client(half_closed, pending_error)
            kept = listener.accept()[0]
            theirs = self.client(connected(FAKE), pending_error)
            last = listener.accept()[0]
            last.shutdown(socket.SHUT_WR)
            self.assertEqual([ours.begun, theirs.begun],
                             ["half closed", "connected"])
            self.world.set_item("wireserver", world.item())
            self.start((2, 2, 0))
            self.assertEqual([ours.ask(), theirs.ask()], [ABORTED] * 2)
            kept.close()
            last.close()

    def test_last_data_of_a_closed_one_is_not_sent(self):
        self.world.config["hostGAPluginAddress"] = "%s:%d" % FAKE
        with socket.create_server(FAKE) as listener:
            sent = int(self.client(closed_with_data).begun)
            self.world.set_item("wireserver", world.item())
            self.start((1, 1, 0))
            got = 0
            with listener.accept()[0] as s, \
                    self.assertRaises(ConnectionResetError):
                s.settimeout(20)
                while True:
                    piece = s.recv(1 << 20)
                    self.assertTrue(piece, f"all {got} of {sent} came")
                    got += len(piece)
            self.assertLess(got, sent)

    def test_many_are_all_found(self):
        """More than one answer of the kernel holds."""
        def many():
            made = [wire.connect((IMDS, 80), v6=bool(n % 2))
                    for n in range(700)]
            return made, str(len(made))

        client = self.client(many, lambda made: " ".join(
            sorted({pending_error(s) for s in made})))
        self.assertEqual(client.begun, "700")
        self.start((700, 700, 0))
        self.assertEqual(client.ask(), ABORTED)

    def test_those_of_others_stay(self):
        root = world.cgroup_mount()
        beside = self.group(self.world.cgroup + "-beside")
        others = [self.client(uid=uid, cgroup=cgroup)
                  for uid in (0, NOBODY) for cgroup in (root, beside)]
        elsewhere = self.client(connected(CONTROL), pending_error)
        one = self.client()
        self.start((1, 1, 0))
        self.assertEqual(one.ask(), GONE)
        # the host refuses what is not signed, but they reach it
        for other in others:
            self.assertIn(other.ask(), ("200", "401"))
        self.assertEqual(elsewhere.ask(), "0")

    def test_audit_counts_and_enforce_then_resets(self):
        clients = [self.client(connected((WIRESERVER, 80)))
                   for _ in range(2)]
        self.start((2, 0, 2))
        for client in clients:
            self.assertIn(client.ask(), ("200", "401"))
        self.world.set_item("wireserver", world.item())
        world.wait_until(lambda: swept(self.world) == (2, 2, 0),
                         why="two that were reset")
        for client in clients:
            self.assertEqual(client.ask(), GONE)

    def test_those_from_while_it_was_off_count_as_well(self):
        self.world.start_mspd()
        self.world.set_item("imds", world.item(mode="disabled"))
        world.wait_until(lambda: PASSED not in
                         self.world.get(INSTANCE).headers, why="no detour")
        client = self.client()
        before = swept(self.world)[1]
        self.world.set_item("imds", world.item())
        world.wait_until(lambda: swept(self.world)[1] > before,
                         why="one that was reset")
        self.assertEqual(client.ask(), GONE)


class Ours(Case):
    """What is not to be found: redirected clients, and the agent itself."""

    def test_redirected_clients_and_the_agent_keep_their_connections(self):
        w = self.make_world(imds=world.item(), wireserver=world.item())
        w.start()
        client = self.process(w, connected((IMDS, 80)), get, uid=NOBODY,
                              cgroup=w.cgroup)
        self.assertEqual(client.ask(), "200+")
        before = live_states(w)
        result = []
        upload = threading.Thread(
            target=lambda: result.append(w.call(slow_upload)))
        upload.start()
        for mode in ("audit", "enforce"):
            for endpoint in ("imds", "wireserver"):
                w.set_item(endpoint, world.item(mode=mode))
            world.wait_until(lambda: mode in channel(w), why=mode)
        upload.join()
        self.assertIsNotNone(result and result[0], "cut off")
        self.assertEqual(result[0].status, 200)
        self.assertIn(PASSED, result[0].headers)
        self.assertEqual(client.ask(), "200+")
        after = live_states(w)
        self.assertEqual([after[f"sweep{n}"] for n in
                          ("Found", "Destroyed", "Left")],
                         [before[f"sweep{n}"] for n in
                          ("Found", "Destroyed", "Left")])
        self.assertNotIn("sweep", after)


def channel(w):
    return w.status()["proxyAgentStatus"]["keyLatchStatus"]["states"][
        "secureChannelState"].lower()


def squat(family, address):
    """Sits on the listener's port and notes what comes."""
    def begin():
        s = socket.socket(family)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, LISTENER[1]))
        s.listen(100)
        heard = []
        threading.Thread(target=serve, args=(s, heard), daemon=True).start()
        return heard, "listens"
    return begin


def only_bind():
    """Without SO_REUSEADDR, else whoever listens first has the port."""
    s = socket.socket()
    s.bind(("127.0.0.1", BOUND_PORT))
    return s, "bound"


def serve(listener, heard):
    while True:
        s, _ = listener.accept()
        heard.append(s.recv(1000).split(b"\r\n")[0].decode())
        s.sendall(b"HTTP/1.1 200 OK\r\nServer: squatter\r\n"
                  b"Content-Length: 0\r\n\r\n")
        s.close()


class Squatter(Case):

    def setUp(self):
        self.world = self.make_world(imds=world.item(),
                                     wireserver=world.item())

    def squatter(self, family=socket.AF_INET, address="127.0.0.1"):
        return self.process(self.world, squat(family, address), " ".join,
                            uid=NOBODY, cgroup=world.cgroup_mount())

    def told(self):
        return self.world.read("run", "listener").decode()

    def check_served(self):
        w = self.world
        self.assertEqual(w.curl_status("-H", "Metadata:true",
                                       f"http://{IMDS}{INSTANCE}",
                                       uid=NOBODY), 200)
        answer = w.get(INSTANCE, v6=True)
        self.assertEqual(answer.status, 200)
        self.assertIn(PASSED, answer.headers)
        address = live_states(w, "proxyListenerStatus")["address"]
        self.assertEqual(self.told(), address + "\n")
        self.assertRegex(address, r"^127\.0\.0\.1:[0-9]+$")
        return int(address.split(":")[1])

    def check_named(self, squatter):
        shown = live_states(self.world, "proxyListenerStatus")
        self.assertEqual(
            (shown["portTakenByUid"], shown["portTakenByPid"]),
            (str(NOBODY), str(squatter.pid)))
        with open(f"/proc/{squatter.pid}/comm", encoding="utf-8") as f:
            self.assertEqual(shown["portTakenByName"], f.read().strip())
        log = self.world.read("log", "ProxyAgent.log").decode()
        self.assertIn(f"127.0.0.1:3080 is taken by user {NOBODY}, "
                      f"process {squatter.pid} (", log)

    def check_beside(self, squatter):
        """Clients are served; the squatter gets what is sent to it only."""
        self.assertNotEqual(self.check_served(), LISTENER[1])
        self.check_named(squatter)
        direct = self.world.get("/to-the-squatter", *LISTENER)
        self.assertIn((b"server", b"squatter"), direct.headers)
        self.assertEqual(squatter.ask(), "GET /to-the-squatter HTTP/1.1")

    def test_on_the_port_before_the_start_gets_no_client(self):
        for family, address in ((socket.AF_INET, "127.0.0.1"),
                                (socket.AF_INET, "0.0.0.0"),
                                (socket.AF_INET6, "::")):
            with self.subTest(address=address):
                squatter = self.squatter(family, address)
                self.assertEqual(squatter.begun, "listens")
                self.world.start()
                self.check_beside(squatter)
                squatter.close()
                self.world.close()
                self.setUp()

    def test_that_only_binds_the_port_is_seen_as_well(self):
        squatter = self.process(self.world, only_bind, str, uid=NOBODY,
                                cgroup=world.cgroup_mount())
        self.assertEqual(squatter.begun, "bound")
        self.world.config["listenAddress"] = f"127.0.0.1:{BOUND_PORT}"
        self.world.start()
        self.assertNotEqual(self.check_served(), BOUND_PORT)
        shown = live_states(self.world, "proxyListenerStatus")
        # which sockets are only bound can be asked from Linux 6.8 on
        self.assertIn((shown["portTakenByUid"], shown.get("portTakenByPid")),
                      ((str(NOBODY), str(squatter.pid)), ("unknown", None)))

    def test_that_waits_for_the_agent_to_stop_gets_no_client(self):
        w = self.world
        w.start()
        self.assertEqual(self.check_served(), LISTENER[1])
        w.stop_mspd()
        squatter = self.squatter()
        w.start_mspd()
        self.check_beside(squatter)

    def test_new_port_is_guarded_like_the_old(self):
        squatter = self.squatter()
        self.world.start()
        port = self.check_served()
        before = int(live_states(self.world)["bindDenied"])
        self.assertEqual(self.world.call(bind_error, port, uid=NOBODY), REFUSED)
        self.assertEqual(int(live_states(self.world)["bindDenied"]),
                         before + 1)
        self.assertEqual(squatter.ask(), "-")


def bind_error(port):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.2", port))
        except OSError as e:
            return errno.errorcode[e.errno]
    return "ok"


class RunFile(Case):

    def test_file_tells_the_listener_while_the_agent_runs(self):
        w = self.make_world(imds=world.item(), wireserver=world.item())
        w.start()
        path = w.path("run", "listener")
        with open(path, "rb") as f:
            self.assertEqual(f.read(), b"127.0.0.1:3080\n")
        info, folder = os.stat(path), os.stat(w.path("run"))
        self.assertEqual((stat.S_IMODE(info.st_mode), info.st_uid), (0o644, 0))
        self.assertEqual((stat.S_IMODE(folder.st_mode), folder.st_uid),
                         (0o755, 0))
        shown = live_states(w, "proxyListenerStatus")
        self.assertEqual(shown["address"], "127.0.0.1:3080")
        self.assertFalse([name for name in shown if "Taken" in name], shown)
        self.assertEqual(w.stop_mspd(), 0)
        self.assertEqual(os.listdir(w.path("run")), [])


def foreign(address):
    """Name of the error of a connect() from a namespace without routes."""
    if ctypes.CDLL(None).unshare(world.CLONE_NEWNET) != 0:
        return "no namespace"
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True,
                   env={"PATH": world.PATH})
    with socket.socket() as s:
        return errno.errorcode.get(s.connect_ex(address), "ok")


class Foreign(Case):
    """Other network namespaces, each setting in both modes."""

    def check(self, setting, expected, denied, passed):
        config = {"foreignNamespaces": setting} if setting else None
        w = self.make_world(imds=world.item(),
                            wireserver=world.item(mode="audit"),
                            config=config)
        w.start()
        self.assertEqual(tuple(w.call(foreign, (ip, 80))
                               for ip in (IMDS, WIRESERVER)), expected)
        shown = live_states(w)
        self.assertEqual((shown["foreignDenied"], shown["foreignPassed"]),
                         (str(denied), str(passed)))

    def test_by_default_are_refused_where_enforced(self):
        self.check(None, (REFUSED, "ENETUNREACH"), 1, 1)

    def test_can_be_refused_in_audit_too(self):
        self.check("deny", (REFUSED, REFUSED), 2, 0)

    def test_can_be_let_pass(self):
        self.check("pass", ("ENETUNREACH", "ENETUNREACH"), 0, 2)


class Paths(Case):
    """What the status says of programs' paths, and what rules do then."""

    def start(self, **config):
        rules = world.grant(["/metadata"],
                            {"curl": {"exePath": "/usr/bin/curl"},
                             "daemon": {"userName": "daemon"}})
        w = self.make_world(imds=world.item(access="deny", rules=rules),
                            wireserver=world.item(), config=config)
        w.start_host()
        w.start_mspd(wait=False)
        world.wait_until(lambda: PASSED in w.get(INSTANCE,
                                                 uid=DAEMON).headers,
                         why="mspd ready")
        return w, w.curl_status("-H", "Metadata:true",
                                f"http://{IMDS}{INSTANCE}", uid=NOBODY)

    def message(self, w):
        return w.status()["proxyAgentStatus"]["ebpfProgramStatus"]["message"]

    def test_are_verified_under_the_identity_root(self):
        w, status = self.start(identityRoot="/")
        self.assertEqual(status, 200)
        shown = live_states(w)
        self.assertEqual((shown["executablePaths"], shown["identityRoot"]),
                         ("verified", "/"))
        self.assertRegex(self.message(w),
                         r"^Started Redirector with eBPF maps - \d+$")

    def test_can_be_switched_off(self):
        w, status = self.start(identityRoot="/", executablePaths="off")
        self.assertEqual(status, 403)
        self.assertEqual(live_states(w)["executablePaths"],
                         "unavailable: switched off")
        self.assertRegex(self.message(w),
                         r"^Started Redirector with eBPF maps - \d+; rules "
                         r"that name a program match nothing: switched off$")

    def test_match_nothing_without_an_identity_root(self):
        w, status = self.start(identityRoot="/nonexistent")
        self.assertEqual(status, 403)
        shown = live_states(w)
        self.assertRegex(shown["executablePaths"],
                         "^unavailable: identity root: .*nonexistent")
        self.assertEqual(shown["identityRoot"], "/nonexistent")


def connect_and_reset():
    """Gone before the agent, which stands still, has looked."""
    with socket.create_connection((IMDS, 80), 5) as s:
        s.sendall(b"GET")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                     struct.pack("ii", 1, 0))


class Counters(Case):

    def test_client_that_reset_has_closed(self):
        w = self.make_world(imds=world.item(), wireserver=world.item())
        w.start()
        before = live_states(w)
        os.kill(w.mspd.pid, signal.SIGSTOP)
        try:
            for _ in range(3):
                w.call(connect_and_reset)
        finally:
            os.kill(w.mspd.pid, signal.SIGCONT)
        after = live_states(w)
        self.assertEqual([int(after[n]) - int(before[n]) for n in
                          ("unidentifiedClosed", "unidentifiedFailed")],
                         [3, 0])

    def test_every_connection_is_counted(self):
        w = self.make_world(imds=world.item(), wireserver=world.item())
        w.start()
        before = live_states(w)
        self.assertIn("unidentifiedClosed", before)
        for _ in range(3):
            w.get(INSTANCE)
        w.get(INSTANCE, *LISTENER)
        after = live_states(w)
        grown = {name: int(after[name]) - int(before[name])
                 for name in after if before[name].isdigit()}
        # and the second question for the status itself
        self.assertEqual({n: v for n, v in grown.items() if v},
                         {"redirected": 4, "direct": 1, "identified": 5})
