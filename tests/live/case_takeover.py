# SPDX-License-Identifier: MIT
"""
In: the library's calls, and descriptors that a redirector left. Out: the next
one goes on with what is what it says, whoever waits meanwhile is known, and
nothing else is used. Each case is a process of its own, which leaves nothing.
"""
import ctypes
import errno
import os
import select
import socket
import struct
import unittest

import world
from world import DAEMON, IMDS, NOBODY

IMDS_ENDPOINT, OFF, ENFORCE, SKIP = 1, 0, 2, 1
ALL = 0x1ff
FACTS, OWN, STATES = 6, 7, 8
DIRECT = 2
KNOWN_ROOM = 16384  # more than a struct msp_caller has
MAP_CREATE, MAP_UPDATE, BPF = 0, 2, {"x86_64": 321, "aarch64": 280}


class Address(ctypes.Structure):
    _fields_ = [("ip", ctypes.c_uint32), ("port", ctypes.c_uint16),
                ("reserved", ctypes.c_uint16)]


class Part(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("fd", ctypes.c_int),
                ("reserved", ctypes.c_uint32)]


class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("cgroup", ctypes.c_char_p),
                ("cgroup_len", ctypes.c_size_t), ("listener", Address),
                ("endpoints", Address * 3), ("flags", ctypes.c_uint32),
                ("foreign", ctypes.c_uint32), ("detail", ctypes.c_char_p),
                ("detail_size", ctypes.c_size_t),
                ("parts", ctypes.POINTER(Part)), ("n_parts", ctypes.c_size_t)]


class Info(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("offset", ctypes.c_uint64),
                ("numbers", ctypes.c_uint32 * 6),
                ("pointer", ctypes.c_char * 192),
                ("text", ctypes.c_char * 320)]


OTHER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)


class Others(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("take", OTHER),
                ("arg", ctypes.c_void_p)]


class Library:

    def __init__(self, w):
        self.world = w
        self.lib = ctypes.CDLL(os.path.join(w.build, "libmsp.so.0"),
                               use_errno=True)
        self.lib.msp_redirect_free.restype = None
        self.lib.msp_redirect_parts.restype = ctypes.c_size_t
        self.info = Info(size=ctypes.sizeof(Info))
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 3080))
        self.listener.listen(64)

    def check(self, rc):
        if rc != 0:
            raise world.Failed(f"{rc}: {self.info.text.decode()}")

    def open(self, parts=()):
        array = (Part * max(1, len(parts)))(*(
            Part(name.encode(), fd) for name, fd in parts))
        cgroup = self.world.cgroup.encode()
        opts = Options(size=ctypes.sizeof(Options), cgroup=cgroup,
                       cgroup_len=len(cgroup), parts=array,
                       n_parts=len(parts))
        out = ctypes.c_void_p()
        self.check(self.lib.msp_redirect_open(
            ctypes.byref(out), ctypes.byref(opts), ctypes.byref(self.info)))
        return out

    def keep(self, redirect):
        """What a service manager would, and the redirector's end."""
        parts = (Part * 9)()
        if self.lib.msp_redirect_parts(redirect, parts, 9) != 9:
            raise world.Failed("not all parts")
        kept = [(p.name.decode(), os.dup(p.fd)) for p in parts]
        self.lib.msp_redirect_free(redirect)
        return kept

    def prove(self, redirect):
        """Who was accepted on the way."""
        others = []
        to = Others(size=ctypes.sizeof(Others),
                    take=OTHER(lambda arg, fd: others.append(fd)))
        self.check(self.lib.msp_redirect_prove_among(
            redirect, self.listener.fileno(), 0, ctypes.byref(to),
            ctypes.byref(self.info)))
        return others

    def begin(self):
        """A redirector that enforces."""
        redirect = self.open()
        self.check(self.lib.msp_redirect_prove(
            redirect, self.listener.fileno(), 0, ctypes.byref(self.info)))
        self.check(self.lib.msp_redirect_set(redirect, IMDS_ENDPOINT,
                                             ENFORCE))
        return redirect

    def state(self, redirect):
        return self.lib.msp_redirect_get(redirect, IMDS_ENDPOINT)

    def who(self, redirect, fd):
        """uid, pid and flags, or the error."""
        caller = (ctypes.c_uint32 * (KNOWN_ROOM // 4))()
        caller[0] = KNOWN_ROOM
        rc = self.lib.msp_peer_identify(redirect, fd, ctypes.byref(caller),
                                        ctypes.byref(self.info))
        return rc or (caller[3], caller[7], caller[2] & DIRECT)


def client(uid):
    """pid of a process of this user that has connected and waits for an end,
    and who it is to be taken for."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(writer, 3)
            os.closerange(4, 1000)  # else it keeps what is to be let go of
            os.setgroups([])
            os.setresuid(uid, uid, uid)
            with socket.socket() as s:
                s.connect((IMDS, 80))
                os.write(3, b"x")
                s.recv(1)
        except OSError as e:
            os.write(2, f"client: {e}\n".encode())
        finally:
            os._exit(0)
    os.close(writer)
    came = os.read(reader, 1)
    os.close(reader)
    if not came:
        raise world.Failed("a client was not redirected")
    return (uid, pid, 0)


def accepted(lib):
    fd, _ = lib.listener._accept()
    return fd


def successor(w, change=lambda parts: parts, wait=True):
    """What a second redirector finds: parts taken, state, who waited, who came
    meanwhile, and whether these are right."""
    lib = Library(w)
    kept = lib.keep(lib.begin())
    waited = [client(uid) for uid in (DAEMON, NOBODY, 0)] if wait else []
    redirect = lib.open(change(kept))
    taken = lib.lib.msp_redirect_taken(redirect)
    state = lib.state(redirect)
    found = [lib.who(redirect, fd) for fd in lib.prove(redirect)]
    while select.select([lib.listener], [], [], 0)[0]:
        found.append(lib.who(redirect, accepted(lib)))
    lib.check(lib.lib.msp_redirect_set(redirect, IMDS_ENDPOINT, ENFORCE))
    for _, fd in kept:  # else they would redirect as well
        os.close(fd)
    later = client(DAEMON)
    now = lib.who(redirect, accepted(lib))
    return taken, state, found == waited, now == later


def bpf(command, attr):
    libc = ctypes.CDLL(None, use_errno=True)
    rc = libc.syscall(BPF[os.uname().machine], command, attr,
                      ctypes.sizeof(attr))
    if rc < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return rc


def empty_map():
    """Of another kind than any of ours."""
    # array, key, value, entries
    return bpf(MAP_CREATE, (ctypes.c_uint32 * 18)(2, 4, 8, 1))


def put_states(fd, *states):
    key = ctypes.c_uint32(0)
    value = (ctypes.c_uint32 * 4)(*states)
    bpf(MAP_UPDATE, (ctypes.c_uint64 * 4)(
        fd, ctypes.addressof(key), ctypes.addressof(value), 0))


def without(index):
    return lambda parts: parts[:index] + parts[index + 1:]


def renamed(version, which):
    """As of another layout."""
    return lambda parts: [
        (f"libmsp.{version}.{name.split('.')[2]}" if i in which else name, fd)
        for i, (name, fd) in enumerate(parts)]


class Takeover(unittest.TestCase):

    def setUp(self):
        self.world = world.World()
        self.addCleanup(self.world.close)

    def run_in_world(self, function, *args, **kwargs):
        return self.world.call(function, self.world, *args, **kwargs)

    def test_successor_goes_on_and_knows_who_waited(self):
        self.assertEqual(self.run_in_world(successor),
                         (ALL, ENFORCE, True, True))

    def test_order_of_the_parts_does_not_matter(self):
        self.assertEqual(
            self.run_in_world(successor, lambda parts: parts[::-1] + parts),
            (ALL, ENFORCE, True, True))

    def test_missing_link_or_mark_is_made_anew(self):
        for index in range(6):
            with self.subTest(index):
                self.assertEqual(
                    self.run_in_world(detached, index),
                    (ALL & ~(1 << index), ENFORCE, True))
        self.assertEqual(self.run_in_world(successor, without(OWN)),
                         (ALL & ~(1 << OWN), ENFORCE, True, True))

    def test_other_layout_is_replaced_and_redirects_on(self):
        taken, state, waited, now = self.run_in_world(
            successor, renamed(99, range(9)))
        # nobody can say who connected before
        self.assertEqual((taken, state, waited, now),
                         (ALL & ~(1 << FACTS | 1 << OWN), ENFORCE, False,
                          True))

    def test_what_is_not_what_its_name_says_is_not_used(self):
        def strange(parts):
            with open(os.devnull, "rb") as f:
                null, other = os.dup(f.fileno()), empty_map()
            return [(name, (null, other, parts[0][1])[i % 3] if i else
                     parts[STATES][1]) for i, (name, _) in enumerate(parts)]
        # links of the first one are still there, and kept by somebody
        taken, state = self.run_in_world(only_opened, strange)
        self.assertEqual((taken, state), (0, OFF))

    def test_link_of_another_place_is_not_used(self):
        def swapped(parts):
            names = [name for name, _ in parts]
            fds = [fd for _, fd in parts]
            fds[0], fds[1] = fds[1], fds[0]
            return list(zip(names, fds))
        taken, state = self.run_in_world(only_opened, swapped)
        self.assertEqual((taken, state), (ALL & ~3, ENFORCE))

    def test_second_set_of_links_is_detached(self):
        """Somebody was told to forget them, and did not."""
        self.assertEqual(self.run_in_world(twice),
                         (ALL, ENFORCE, True))

    def test_state_that_does_not_exist_is_on(self):
        self.assertEqual(self.run_in_world(odd_states, 7, 8, 9), [ENFORCE] * 3)
        self.assertEqual(self.run_in_world(odd_states, 0, 1, 2), [0, 1, 2])

    def test_strangers_with_the_port_of_the_probe_do_not_stop_it(self):
        """They wait at each port that it can have: at addresses of their own,
        or at its own, reset since."""
        # all of those that are at their own address wait before the probe
        self.assertEqual(self.run_in_world(proved_among, False), len(PORTS))
        self.assertLess(self.run_in_world(proved_among, True), len(PORTS))

    def test_port_is_the_successors_with_a_mark(self):
        self.assertEqual(self.run_in_world(bound), (errno.EPERM, 0))


def detached(w, index):
    """One link was lost, and so is not attached any more."""
    lib = Library(w)
    kept = lib.keep(lib.begin())
    os.close(kept.pop(index)[1])
    redirect = lib.open(kept)
    for _, fd in kept:
        os.close(fd)
    state = lib.state(redirect)
    lib.prove(redirect)
    later = client(NOBODY)
    return (lib.lib.msp_redirect_taken(redirect), state,
            lib.who(redirect, accepted(lib)) == later)


def twice(w):
    lib = Library(w)
    kept = lib.keep(lib.begin())
    kept = lib.keep(lib.open()) + kept
    redirect = lib.open(kept)
    lib.check(lib.lib.msp_redirect_set(redirect, IMDS_ENDPOINT, ENFORCE))
    lib.prove(redirect)
    later = client(DAEMON)
    return (lib.lib.msp_redirect_taken(redirect), lib.state(redirect),
            lib.who(redirect, accepted(lib)) == later)


def odd_states(w, *states):
    lib = Library(w)
    kept = lib.keep(lib.open())
    put_states(kept[STATES][1], *states)
    redirect = lib.open(kept)
    return [lib.lib.msp_redirect_get(redirect, i) for i in range(3)]


PORTS = range(40000, 40020)
IP_BIND_ADDRESS_NO_PORT = 24
RESET = struct.pack("ii", 1, 0)  # at close(), by SO_LINGER


def port_range(new=None):
    """Of this network alone."""
    with open("/proc/sys/net/ipv4/ip_local_port_range",
              "r" if new is None else "w", encoding="ascii") as f:
        return f.read() if new is None else f.write(new)


def stranger(port, abandon):
    """One that was reset has had the probe's own address; else the kernel
    chooses the port, as that of the probe."""
    s = socket.socket()
    if abandon:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        s.bind(("127.0.0.1", port))
    else:
        s.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        s.bind(("127.0.0.2", 0))
    s.connect((IMDS, 80))
    if abandon:
        s.close()
    return s


def proved_among(w, abandon):
    """Who was found beside the probe, which comes from one of a few ports."""
    lib = Library(w)
    kept = lib.keep(lib.begin())
    before = port_range()
    port_range(f"{PORTS[0]} {PORTS[-1]}")
    try:
        strangers = [stranger(port, abandon) for port in PORTS]
        found = lib.prove(lib.open(kept))
    finally:
        port_range(before)
    for s in strangers:
        s.close()
    return len(found)


def only_opened(w, change):
    lib = Library(w)
    redirect = lib.open(change(lib.keep(lib.begin())))
    return lib.lib.msp_redirect_taken(redirect), lib.state(redirect)


def bound(w):
    """Error of a stranger's and of our bind() while nobody listens."""
    lib = Library(w)
    kept = lib.keep(lib.begin())
    redirect = lib.open(kept)
    lib.listener.close()
    errors = []
    for mark in False, True:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if mark:
                lib.check(lib.lib.msp_redirect_mark(
                    redirect, s.fileno(), SKIP, ctypes.byref(lib.info)))
            try:
                s.bind(("127.0.0.1", 3080))
                errors.append(0)
            except OSError as e:
                errors.append(e.errno)
    return tuple(errors)
