# SPDX-License-Identifier: MIT
"""
In: clients that do what few do - other networks, second connections, other
ids, other files under a program's name. Out: what the kernel side says of
them is still true.
"""
import ctypes
import errno
import os
import shutil
import socket
import struct
import subprocess
import unittest

import wire
import world
from world import CONTROL, DAEMON, IMDS, INSTANCE, METADATA, NOBODY, \
    WIRESERVER

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
LIBC = ctypes.CDLL(None, use_errno=True)
PORT = world.LISTENER[1]
# deeper than the kernel side walks up
DEEP = 60


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def unshare(flags):
    check(LIBC.unshare(flags))


def ip(*args):
    subprocess.run(["ip", *args], check=True, env={"PATH": world.PATH})


def mount(source, target, flags):
    check(LIBC.mount(source.encode(), target.encode(), None, flags, None))


def disconnect(s):
    """connect() with AF_UNSPEC: the socket may connect again."""
    address = struct.pack("H14x", socket.AF_UNSPEC)
    check(LIBC.connect(s.fileno(), address, len(address)))


def error_of(function, *args):
    """0 or the errno."""
    try:
        function(*args)
    except OSError as e:
        return e.errno
    return 0


def connect_error(address):
    with socket.socket() as s:
        return error_of(s.connect, address)


def bind_error(address, family=socket.AF_INET, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return error_of(s.bind, address)


class Redirection(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = world.World(imds=world.item(), wireserver=world.item())
        cls.addClassCleanup(cls.world.close)
        cls.world.start()

    def call(self, function, *args, **kwargs):
        return self.world.call(function, *args, **kwargs)

    def test_mapped_client_sees_the_address_it_asked_for(self):
        def peer():
            with wire.connect((IMDS, 80), v6=True) as s:
                return s.getpeername()[:2]
        self.assertEqual(self.call(peer), ("::ffff:" + IMDS, 80))

    def test_direct_connection_sees_the_listener(self):
        def peer(address):
            with socket.create_connection(address) as s:
                return s.getpeername()
        for ip4 in (world.LISTENER[0], "0.0.0.0"):
            with self.subTest(address=ip4):
                self.assertEqual(self.call(peer, (ip4, PORT)), world.LISTENER)

    def test_second_connection_of_a_socket_is_its_own(self):
        def twice():
            with wire.connect((IMDS, 80)) as s:
                disconnect(s)
                s.connect(CONTROL)
                return s.getpeername()
        self.assertEqual(self.call(twice), CONTROL)

    def test_socket_that_connects_directly_next_is_misdirected(self):
        def twice():
            with wire.connect((IMDS, 80)) as s:
                disconnect(s)
                s.connect(world.LISTENER)
                s.sendall(wire.request(b"GET", INSTANCE, IMDS, [METADATA]))
                return wire.receive(s, b"", False)[0].status
        self.assertEqual(self.call(twice), 421)

    def test_udp_to_an_endpoint_is_left_alone(self):
        def exchange():
            with socket.socket(type=socket.SOCK_DGRAM) as s:
                s.settimeout(5)
                s.connect((IMDS, 80))
                s.send(b"x")
                return server.recvfrom(1)[0]
        with socket.socket(type=socket.SOCK_DGRAM) as server:
            server.settimeout(5)
            server.bind((IMDS, 80))
            self.assertEqual(self.call(exchange), b"x")

    def test_socket_bound_to_another_device_is_redirected(self):
        def ask(address):
            with socket.socket() as s:
                s.settimeout(10)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE,
                             b"msp-test0")
                s.connect(address)
                s.sendall(wire.request(b"GET", INSTANCE, IMDS, [METADATA]))
                return wire.receive(s, b"", False)[0]
        ip("link", "add", "msp-test0", "type", "veth", "peer", "name",
           "msp-test1")
        self.addCleanup(ip, "link", "del", "msp-test0")
        ip("addr", "add", "192.0.2.1/24", "dev", "msp-test0")
        ip("link", "set", "msp-test0", "up")
        ip("link", "set", "msp-test1", "up")
        answer = self.call(ask, (IMDS, 80))
        self.assertEqual(answer.status, 200)
        self.assertIn(world.PASSED, answer.headers)
        # who may not unbind a socket is told, and nothing leaves through it
        self.assertEqual(self.call(lambda: error_of(ask, (IMDS, 80)),
                                   uid=NOBODY), errno.EPERM)
        self.assertEqual(
            self.call(lambda: error_of(ask, world.LISTENER)), errno.EPERM)

    def test_nobody_else_can_bind_the_listeners_port(self):
        for address in ("127.0.0.2", IMDS, "0.0.0.0"):
            with self.subTest(address=address):
                self.assertEqual(self.call(bind_error, (address, PORT)),
                                 errno.EPERM)
        self.assertEqual(self.call(bind_error, ("::", PORT),
                                   socket.AF_INET6), errno.EPERM)

    def test_the_listener_shares_its_port_with_nobody(self):
        def share():
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                return error_of(s.bind, world.LISTENER)
        self.assertEqual(self.call(share, inside=False), errno.EADDRINUSE)

    def test_other_ports_and_protocols_can_be_bound(self):
        self.assertEqual(self.call(bind_error, ("127.0.0.2", PORT + 9)), 0)
        self.assertEqual(self.call(bind_error, ("::", PORT + 9),
                                   socket.AF_INET6), 0)
        self.assertEqual(
            self.call(bind_error, ("127.0.0.2", PORT), socket.AF_INET,
                      socket.SOCK_DGRAM), 0)

    @staticmethod
    def other_network():
        """Who may bind, and who is connected to, in a network of its own."""
        unshare(CLONE_NEWNET)
        ip("link", "set", "lo", "up")
        with socket.socket() as s:
            bound = error_of(s.bind, world.LISTENER)
            s.listen()
            return bound, connect_error((IMDS, 80)), \
                connect_error((WIRESERVER, 80))

    def test_other_network_is_refused_and_not_sent_to_a_stranger(self):
        self.assertEqual(self.call(self.other_network),
                         (0, errno.EPERM, errno.EPERM))

    def test_other_network_is_left_alone_where_nothing_is_enforced(self):
        self.addCleanup(self.world.wait_ready)
        self.addCleanup(self.world.control, "POST",
                        "/endpoints/imds/mode?mode=Enforce")
        for mode, redirected in (("Audit", True), ("Disabled", False)):
            self.world.control("POST", f"/endpoints/imds/mode?mode={mode}")
            world.wait_until(
                lambda: self.call(self.other_network) ==
                (0, errno.ENETUNREACH, errno.EPERM), why=mode)
            world.wait_until(
                lambda wanted=redirected: wanted == (
                    world.PASSED in self.world.get(INSTANCE).headers),
                why=mode)


class Identity(unittest.TestCase):
    """Root and daemon may read IMDS; nobody may with one program."""

    @classmethod
    def setUpClass(cls):
        cls.world = world.World(wireserver=world.item(),
                                config={"identityRoot": "/"})
        cls.addClassCleanup(cls.world.close)
        cls.program = cls.world.path("bin", "program")
        os.mkdir(os.path.dirname(cls.program))
        shutil.copy("/bin/bash", cls.program)
        rules = world.grant(["/metadata"], {
            "root": {"userName": "root"}, "daemon": {"userName": "daemon"},
            "program": {"userName": "nobody", "exePath": cls.program}})
        cls.world.start_host()
        cls.world.set_item("imds", world.item(access="deny", rules=rules,
                                              ident="who"))
        cls.world.start_mspd()

    def as_ids(self, uids, gids, host, target):
        def ask():
            os.setresgid(*gids)
            os.setresuid(*uids)
            data = wire.request(b"GET", target, host, [METADATA])
            return wire.talk((host, 80), [data])[0].status
        return self.world.call(ask)

    def test_group_is_not_taken_for_the_user(self):
        both = ((DAEMON,) * 3, (NOBODY,) * 3)
        self.assertEqual(self.as_ids(*both, IMDS, INSTANCE), 200)
        self.assertEqual(self.as_ids(*both[::-1], IMDS, INSTANCE), 403)
        self.assertEqual(
            self.as_ids((NOBODY,) * 3, (0, 0, 0), WIRESERVER, "/x"), 403)

    def test_elevated_is_who_is_root_in_fact_and_in_effect(self):
        for uids in ((NOBODY, 0, 0), (0, NOBODY, 0), (NOBODY, NOBODY, 0)):
            with self.subTest(uids=uids):
                self.assertEqual(
                    self.as_ids(uids, (0, 0, 0), WIRESERVER, "/x"), 403)

    def shell(self, program, before=lambda: None, between=lambda: None):
        """Status that the program's own connection gets, as nobody; between
        is done after it has started."""
        def prepare():
            self.world.join()
            before()
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        process = subprocess.Popen(
            [program, "-c", f"""
             echo started; read go
             exec 3<>/dev/tcp/{IMDS}/80
             printf 'GET {INSTANCE} HTTP/1.1\\r\\nHost: x\\r\\n' >&3
             printf 'Metadata: true\\r\\n\\r\\n' >&3
             read -r version status rest <&3; echo "$status"
             """], env={"PATH": world.PATH}, cwd="/", stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, preexec_fn=prepare)
        with process:
            self.assertEqual(process.stdout.readline(), b"started\n")
            between()
            process.stdin.write(b"go\n")
            process.stdin.close()
            return int(process.stdout.readline())

    def copy_of_program(self, *name):
        path = self.world.path(*name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy("/bin/bash", path)
        return path

    def replace(self, how):
        """Status after this is done to the running program, and undone."""
        aside = self.program + ".aside"
        os.link(self.program, aside)
        try:
            return self.shell(self.program, between=how)
        finally:
            os.replace(aside, self.program)

    def test_program_deleted_while_it_runs_is_not_verified(self):
        self.assertEqual(self.replace(lambda: os.unlink(self.program)), 403)
        self.assertEqual(self.shell(self.program), 200)

    def test_program_replaced_while_it_runs_is_not_verified(self):
        path = self.copy_of_program("bin", "next")
        self.assertEqual(
            self.replace(lambda: os.replace(path, self.program)), 403)

    def test_program_under_another_root_is_not_it(self):
        inner = self.copy_of_program("root", *self.program.split("/")[1:])

        def enter():
            unshare(CLONE_NEWNS)
            mount("none", "/", MS_REC | MS_PRIVATE)
            for name in ("lib", "lib64", "usr", "dev"):
                if os.path.isdir("/" + name):
                    at = self.world.path("root", name)
                    os.makedirs(at)
                    mount("/" + name, at, MS_BIND | MS_REC)
            os.chroot(self.world.path("root"))
            os.chdir("/")
        self.assertTrue(inner.endswith(self.program))
        self.assertEqual(self.shell(self.program, before=enter), 403)

    def test_path_that_is_too_deep_is_no_path(self):
        path = self.copy_of_program(*["d"] * DEEP, "deep")
        self.assertEqual(self.shell(path), 403)
        line = world.wait_until(
            lambda: next((x for x in self.world.audit()
                          if x["comm"] == "deep"), None), why="audit line")
        self.assertIsNone(line["exe"])
