# SPDX-License-Identifier: MIT
"""
In: requests at the edge of every limit, a host that answers badly or not at
all. Out: what is documented, one audit line each, nothing twice and nothing
unsigned.
"""
import json
import os
import socket
import threading
import time
import unittest

import sign
import wire
import world
from case_streams import UPLOAD, upload
from world import DAEMON, IMDS, INSTANCE, METADATA, NOBODY, WIRESERVER

STATUS = "/gpa-aggregated-status"
ECHO = "/msp-host/echo"
LIMIT = 102400
FLOOD = 64 * 1024 * 1024  # far more than buffers hold
FAKE = (WIRESERVER, 8099)  # takes the place of HostGAPlugin
ONE_HOUR = 3600
CUT = b"cut here"


def audited(test_world, **fields):
    """The first audit line with these fields."""
    return world.wait_until(
        lambda: next((x for x in test_world.audit()
                      if all(x[k] == v for k, v in fields.items())), None),
        why=f"audit line with {fields}")


class Edges(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = world.World(imds=world.item(), wireserver=world.item())
        cls.addClassCleanup(cls.world.close)
        cls.world.start()

    def send(self, data, address=(IMDS, 80), **kwargs):
        return self.world.talk(address, [data], **kwargs)[0]

    def test_every_refusal_has_its_audit_line(self):
        for data, address, status in (
                (wire.request(b"TRACE", "/audit/405", IMDS), (IMDS, 80), 405),
                (wire.request(b"GET", "/audit/..", IMDS), (IMDS, 80), 403),
                (wire.request(b"GET", "http://10.0.0.1/audit/421", IMDS),
                 (IMDS, 80), 421),
                (wire.request(b"GET", "/audit/direct", IMDS), world.LISTENER,
                 421),
                (wire.request(b"POST", "/audit/413", IMDS,
                              body=b"x" * (LIMIT + 1)), (IMDS, 80), 413),
                (wire.request(b"GET", "audit/400", IMDS), (IMDS, 80), 400)):
            with self.subTest(status=status):
                before = len(self.world.audit())
                self.assertEqual(self.send(data, address).status, status)
                world.wait_until(
                    lambda: [x for x in self.world.audit()[before:]
                             if x["status"] == status],
                    why=f"audit line of {status}")

    def test_refused_status_has_its_audit_line_and_a_given_one_none(self):
        self.assertEqual(self.world.get(STATUS, WIRESERVER, uid=DAEMON)
                         .status, 403)
        audited(self.world, path=STATUS, uid=DAEMON, status=403)
        self.assertEqual(self.world.get(STATUS, WIRESERVER).status, 200)
        audited(self.world, path=STATUS, uid=DAEMON, status=403)
        self.assertFalse([x for x in self.world.audit()
                          if x["path"] == STATUS and x["uid"] == 0 and
                          x["status"] == 200])

    def test_checks_come_in_their_order(self):
        long = [(b"Content-Length", b"%d" % (LIMIT + 1))]
        for method, target, headers, status in (
                (b"TRACE", "/x/..", long, 413), (b"TRACE", "/x/..", [], 405),
                (b"GET", "/x/..", [], 403), (b"GET", STATUS, [], 400),
                (b"GET", STATUS, [METADATA], 403), (b"GET", "/x", [], 421)):
            with self.subTest(target=target, status=status):
                data = wire.request(method, target, IMDS, headers)
                self.assertEqual(self.send(data, world.LISTENER).status,
                                 status)

    def test_status_is_not_for_connections_nobody_redirected(self):
        data = wire.request(b"GET", STATUS, WIRESERVER, [METADATA])
        for inside in (True, False):
            with self.subTest(inside=inside):
                answer = self.send(data, world.LISTENER, inside=inside)
                self.assertEqual((answer.status, answer.body), (403, b""))

    def test_status_is_the_whole_target(self):
        self.assertEqual(self.world.get(STATUS + "?", WIRESERVER).status, 200)
        for target in (STATUS + "?x=1", STATUS + "/", STATUS.upper()):
            with self.subTest(target=target):
                answer = self.world.get(target, WIRESERVER)
                self.assertEqual(answer.status, 404)
                self.assertIn(world.PASSED, answer.headers)

    def test_unknown_caller_is_in_the_table_of_failures(self):
        self.world.get(INSTANCE, *world.LISTENER, inside=False)
        failed = self.world.status()["failedAuthenticateSummary"]
        self.assertIn("421 Misdirected Request",
                      [e["responseStatus"] for e in failed])

    def test_405_names_the_methods(self):
        answer = self.send(wire.request(b"TRACE", "/x", IMDS))
        self.assertEqual(wire.values(answer.headers, b"allow"),
                         [b"GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"])

    def seen(self, target):
        """Did the host answer a request with this in its target?"""
        return any(target in line[2] for line in self.world.host_log())

    def test_body_of_the_limit_passes_and_one_more_byte_does_not(self):
        for number, pieces in enumerate(([LIMIT - 1, 1], [LIMIT - 1, 2],
                                         [1, LIMIT - 1], [1, LIMIT],
                                         [LIMIT], [LIMIT + 1])):
            target = f"{ECHO}?number={number}"
            chunks = [b"x" * n for n in pieces]
            for framing in ({"chunks": chunks}, {"body": b"".join(chunks)}):
                with self.subTest(pieces=pieces, framing=list(framing)):
                    answer = self.send(wire.request(b"POST", target, IMDS,
                                                    **framing))
                    fits = sum(pieces) == LIMIT
                    self.assertEqual(answer.status, 200 if fits else 413)
                    self.assertEqual(self.seen(target), fits)

    def test_endless_upload_in_chunks_is_cut_at_the_limit(self):
        answer, _ = self.world.call(upload, "/vmAgentLog", UPLOAD + 65536,
                                    True)
        self.assertIn(answer.status if answer else None, (None, 413))
        self.assertFalse(self.seen("/vmAgentLog"))

    def test_sender_that_does_not_heed_a_413_is_cut_off(self):
        def flood():
            chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
            sent = 0
            with wire.connect((IMDS, 80)) as s:
                s.sendall(wire.request(b"POST", ECHO, IMDS,
                                       chunks=[])[:-5])
                while sent < FLOOD:
                    try:
                        s.sendall(chunk)
                    except (BrokenPipeError, ConnectionResetError):
                        break
                    sent += len(chunk)
            return sent
        self.assertLess(self.world.call(flood), FLOOD)

    def test_core_dumps_are_off(self):
        with open(f"/proc/{self.world.mspd.pid}/limits",
                  encoding="ascii") as f:
            line = next(x for x in f if x.startswith("Max core file size"))
        self.assertEqual(line.split()[4:6], ["0", "0"])


class LostKey(unittest.TestCase):

    def test_enforced_request_without_a_key_is_503_and_not_sent(self):
        w = world.World(imds=world.item(), wireserver=world.item())
        self.addCleanup(w.close)
        w.start()
        document = json.loads(wire.talk((WIRESERVER, 80), [wire.request(
            b"GET", "/secure-channel/status", WIRESERVER,
            [METADATA])])[0].body)
        document["keyGuid"] = "00000000-0000-4000-8000-000000000000"
        w.control("POST", "/status/raw", json.dumps(document).encode())
        world.wait_until(lambda: w.get(INSTANCE).status == 503, why="503")
        before = len(list(w.host_log()))
        for host, target in ((IMDS, INSTANCE), (WIRESERVER, "/x")):
            answer = w.get(target, host)
            self.assertEqual((answer.status, answer.body), (503, b""))
        self.assertFalse([x for x in list(w.host_log())[before:]
                          if "/secure-channel/" not in x[2]])
        audited(w, path="/x", status=503)
        w.control("DELETE", "/status/raw")
        w.wait_ready()


class KeyFolder(unittest.TestCase):
    """What somebody else could have written is not used."""

    def setUp(self):
        self.world = world.World(imds=world.item())
        self.addCleanup(self.world.close)
        self.world.start()
        self.world.stop_mspd()

    def test_key_of_another_user_is_not_used(self):
        guid = self.world.state()["guid"]
        os.chown(self.world.path("keys", guid + ".key"), NOBODY, -1)
        asked = self.asked_for_keys()
        self.world.start_mspd(wait=False)
        world.wait_until(lambda: self.asked_for_keys() > asked,
                         why="another key is asked for")
        self.assertIn(self.world.get(INSTANCE).status, (401, 503))

    def asked_for_keys(self):
        return sum(line[2] == "POST /secure-channel/key"
                   for line in self.world.host_log())


class Fake:
    """An endpoint whose answers are the test's: a function of the request
    and its number on the connection; None: close; CUT in it: close after a
    pause. Closes are shutdowns, because clients forked meanwhile hold copies
    of the descriptors."""

    def __init__(self, address, answer):
        self.requests, self.answer, self.pause = [], answer, 0
        self.listener = socket.create_server(address)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,),
                             daemon=True).start()

    def serve(self, client):
        with client:
            try:
                self.converse(client)
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the agent was first

    def converse(self, client):
        data, number = b"", 0
        while True:
            try:
                request, data = wire.parse_request(data)
            except wire.Incomplete:
                piece = client.recv(65536)
                if not piece:
                    return
                data += piece
                continue
            self.requests.append(request)
            answer = self.answer(request, number)
            number += 1
            if answer is None:
                return
            client.sendall(answer)
            if CUT in answer:
                time.sleep(self.pause)
                return

    def close(self):
        if self.listener.fileno() >= 0:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()


def answer_of(body, *headers):
    return b"\r\n".join([b"HTTP/1.1 200 OK", *headers,
                         b"Content-Length: %d" % len(body)]) + \
        b"\r\n\r\n" + body


class Hosts(unittest.TestCase):
    """HostGAPlugin misbehaves."""

    @classmethod
    def setUpClass(cls):
        cls.world = world.World(
            imds=world.item(), wireserver=world.item(),
            config={"hostGAPluginAddress": "%s:%d" % FAKE,
                    "upstreamTimeoutInSeconds": 1})
        cls.addClassCleanup(cls.world.close)
        cls.world.start()

    def fake(self, answer):
        made = Fake(FAKE, answer)
        self.addCleanup(made.close)
        return made

    def ask(self, target, method=b"GET", **kwargs):
        return self.world.talk(FAKE, [wire.request(method, target, FAKE[0],
                                                   **kwargs)])[0]

    def lost(self, method, **kwargs):
        """Status if the connection is closed instead of a second answer, and
        how often the second request came."""
        fake = self.fake(lambda request, number:
                         answer_of(b"x") if number == 0 else None)
        self.assertEqual(self.ask("/first").status, 200)
        status = self.ask("/second", method, **kwargs).status
        return status, sum(r.target == b"/second" for r in fake.requests)

    def test_lost_get_is_repeated_once(self):
        self.assertEqual(self.lost(b"GET"), (200, 2))

    def test_lost_get_is_repeated_on_a_new_connection(self):
        def answer(request, number):
            if number > 0:
                return None
            if request.target == b"/both":
                time.sleep(0.3)  # so that the other needs its own
            return answer_of(b"x")
        self.fake(answer)
        both = [threading.Thread(target=self.ask, args=("/both",))
                for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        self.assertEqual(self.ask("/second").status, 200)

    def test_lost_post_is_never_repeated(self):
        self.assertEqual(self.lost(b"POST", body=b"x"), (502, 1))

    def test_answers_headers_are_filtered(self):
        self.fake(lambda *_: answer_of(
            b"x", b"Connection: close", b"Keep-Alive: timeout=5",
            b"Upgrade: h2c", b"Trailer: x", b"x-kept: 1",
            b"Proxy-Authenticate: Basic",
            b"X-MS-Azure-Host-Authorization: forged"))
        answer = self.ask("/headers")
        names = [n for n, _ in answer.headers]
        for name in (b"keep-alive", b"upgrade", b"trailer", b"connection",
                     b"proxy-authenticate"):
            self.assertNotIn(name, names)
        self.assertIn((b"x-kept", b"1"), answer.headers)
        self.assertEqual(wire.values(answer.headers, world.PASSED[0]),
                         [b"value"])

    def test_answer_cut_short_while_the_client_reads_is_not_made_whole(self):
        for head, body in ((b"Content-Length: 100", CUT),
                           (b"Transfer-Encoding: chunked",
                            b"8\r\n" + CUT + b"\r\n")):
            sent = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body
            for pause in (0.3, 1.5):  # the host ends it, or we do
                with self.subTest(head=head, pause=pause):
                    fake = self.fake(lambda *_, sent=sent: sent)
                    fake.pause = pause
                    with self.assertRaisesRegex(world.Failed, "cut short"):
                        self.ask("/cut")
                    fake.close()

    def test_absent_host_is_502_and_audited(self):
        self.assertEqual(self.ask("/absent").status, 502)
        audited(self.world, path="/absent", status=502)

    def test_client_that_does_not_wait_has_its_audit_line(self):
        def leave():
            with wire.connect(FAKE) as s:
                s.sendall(wire.request(b"GET", "/left", FAKE[0]))
                time.sleep(0.2)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             b"\1\0\0\0\0\0\0\0")
        self.fake(lambda *_: time.sleep(0.9))
        self.world.call(leave)
        audited(self.world, path="/left", status=0)


class Limits(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = world.World(
            imds=world.item(), wireserver=world.item(),
            config={"maxConnections": 3, "requestHeaderTimeoutInSeconds": 1,
                    "idleTimeoutInSeconds": 3})
        cls.addClassCleanup(cls.world.close)
        cls.world.start()

    @staticmethod
    def closed_after(data):
        """Seconds until the connection is closed on its silent client."""
        with wire.connect((IMDS, 80), timeout=6) as s:
            s.sendall(data)
            begin = time.monotonic()
            while s.recv(65536):
                begin = time.monotonic()
            return time.monotonic() - begin

    def test_head_that_never_ends_is_given_up(self):
        took = self.world.call(self.closed_after, b"GET / HTTP/1.1\r\nHost:")
        self.assertLess(took, 2.8)

    def test_idle_connection_is_closed_after_its_time(self):
        data = wire.request(b"GET", INSTANCE, IMDS, [METADATA])
        self.assertLess(self.world.call(self.closed_after, data), 8)

    def test_connection_over_the_limit_is_closed_and_the_others_live(self):
        data = wire.request(b"GET", INSTANCE, IMDS, [METADATA])

        def crowd():
            sockets = [wire.connect((IMDS, 80), timeout=5) for _ in range(4)]
            seen = []
            for s in sockets:
                try:
                    s.sendall(data)
                    answer = wire.receive(s, b"", False)[0]
                except OSError:
                    answer = None
                seen.append(answer.status if answer else None)
            return seen
        time.sleep(0.3)  # until connections of others are gone
        self.assertEqual(self.world.call(crowd), [200, 200, 200, None])
        self.assertEqual(self.world.get(INSTANCE).status, 200)


class Silent(unittest.TestCase):
    """Connections on which nothing is said, or late."""

    def setUp(self):
        self.world = world.World(imds=world.item(), wireserver=world.item(),
                                 config={"idleTimeoutInSeconds": 2})
        self.addCleanup(self.world.close)
        self.world.start()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.world.mspd.pid}/fd"))

    def test_one_that_is_never_used_is_closed_after_its_time(self):
        def wait():
            with wire.connect((IMDS, 80), timeout=30) as s:
                return s.recv(1)
        self.assertEqual(self.world.call(wait), b"")

    def test_whatever_it_does_without_a_word_it_leaves_nothing(self):
        each, of_its_own = 8, 4  # connections to the host come and go

        def leave(s, way):
            if way == "reset":
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             b"\1\0\0\0\0\0\0\0")
            if way == "half":
                s.shutdown(socket.SHUT_WR)
                if s.recv(1):
                    raise world.Failed("an answer to nothing")
            s.close()

        def come_and_go():
            for way in ("close", "reset", "half"):
                crowd = [wire.connect((IMDS, 80), timeout=30)
                         for _ in range(each)]
                time.sleep(0.1)  # until they have been accepted
                for s in crowd:
                    leave(s, way)
        before = self.descriptors()
        self.world.call(come_and_go)
        world.wait_until(lambda: self.descriptors() <= before + of_its_own,
                         30, "descriptors are closed")

    def test_whoever_speaks_late_is_served(self):
        data = wire.request(b"GET", INSTANCE, IMDS, [METADATA])

        def speak(pieces, half):
            with wire.connect((IMDS, 80), timeout=30) as s:
                time.sleep(0.1)
                for at in range(0, len(data), len(data) // pieces + 1):
                    s.sendall(data[at:at + len(data) // pieces + 1])
                    time.sleep(0.02)
                if half:
                    s.shutdown(socket.SHUT_WR)
                return wire.receive(s, b"", False)[0].status
        for pieces in (1, 2, 7):
            for half in (False, True):
                with self.subTest(pieces=pieces, half=half):
                    self.assertEqual(self.world.call(speak, pieces, half), 200)

    def test_agent_ends_with_them(self):
        def hold():
            sockets = [wire.connect((IMDS, 80), timeout=30)
                       for _ in range(each)]
            return [s.recv(1) for s in sockets]
        each, of_its_own = 12, 4
        child = threading.Thread(
            target=lambda: seen.extend(self.world.call(hold)))
        seen, before = [], self.descriptors()
        child.start()
        world.wait_until(lambda: self.descriptors() >=
                         before + each - of_its_own, 30, "they are accepted")
        time.sleep(0.1)
        self.world.stop_mspd()
        child.join()
        self.assertEqual(seen, [b""] * each)


class PreloadWorld(world.World):
    """The agent among libraries or a kernel that are not as here: preload_*.c,
    once the file that the variable names is there."""

    library, variable = "", ""

    def environment(self):
        env = super().environment()
        if self.host:
            env["LD_PRELOAD"] = self.built(f"tests/live/{self.library}.so")
            env[self.variable] = self.path("now")
            env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + \
                ":verify_asan_link_order=0"
        return env

    def begin(self):
        with open(self.path("now"), "w", encoding="ascii"):
            pass

    def end(self):
        os.unlink(self.path("now"))


class WatchWorld(PreloadWorld):
    """With a kernel that has no memory to watch clients."""

    library, variable = "preload_watch", "MSPTEST_WATCH"


class QueueWorld(PreloadWorld):
    """With a libmicrohttpd that queues connections, and has no room for one
    that it has said it takes."""

    library, variable = "preload_queue", "MSPTEST_FULL"


class Queued(unittest.TestCase):

    def setUp(self):
        self.world = QueueWorld(imds=world.item(), wireserver=world.item(),
                                config={"maxConnections": 3})
        self.addCleanup(self.world.close)
        self.world.start()
        self.data = wire.request(b"GET", INSTANCE, IMDS, [METADATA])

    def served(self):
        def ask(late):
            seen = []
            with wire.connect((IMDS, 80), timeout=30) as s:
                for _ in range(3):
                    time.sleep(late)
                    s.sendall(self.data)
                    seen.append(wire.receive(s, b"", False)[0].status)
            return seen
        for late in (0, 0.1):
            self.assertEqual(self.world.call(ask, late), [200] * 3)

    def test_connection_that_is_started_later_is_served(self):
        self.served()
        self.assertEqual(self.world.stop_mspd(), 0)

    def test_place_of_one_that_is_never_started_is_free_again(self):
        def ask():
            with wire.connect((IMDS, 80), timeout=30) as s:
                try:
                    s.sendall(self.data)
                    return s.recv(1)
                except ConnectionError:
                    return b""
        self.served()
        self.world.begin()
        for _ in range(10):
            self.assertEqual(self.world.call(ask), b"")
        self.world.end()
        self.served()
        self.assertEqual(self.world.stop_mspd(), 0)


class Unwatched(unittest.TestCase):

    def test_request_that_the_agent_cannot_go_on_with_has_its_record(self):
        w = WatchWorld(imds=world.item(), wireserver=world.item())
        self.addCleanup(w.close)
        w.start()
        w.begin()
        half = wire.request(b"POST", "/cut", IMDS, body=b"half")[:-2]
        self.assertIsNone(w.talk((IMDS, 80), [half])[0])
        self.assertEqual(audited(w, path="/cut")["status"], 0)
        half = wire.request(b"TRACE", "/cut", IMDS, body=b"half")[:-2]
        self.assertIsNone(w.talk((IMDS, 80), [half])[0])
        self.assertEqual(w.stop_mspd(), 0)  # nothing is lost


class Clock(unittest.TestCase):

    def test_date_is_the_hosts_not_ours(self):
        relay_at = (WIRESERVER, 8098)

        def relay(request, _):
            lines = [n + b": " + v for n, v in request.headers]
            data = b"\r\n".join(
                [b" ".join(request[:3]), *lines]) + b"\r\n\r\n" + request.body
            answer = wire.talk((WIRESERVER, 80), [data])[0]
            ahead = time.gmtime(time.time() + ONE_HOUR)
            return answer_of(answer.body, time.strftime(
                "Date: %a, %d %b %Y %H:%M:%S GMT", ahead).encode(),
                b"Content-Type: application/json")
        fake = Fake(relay_at, relay)
        self.addCleanup(fake.close)
        w = world.World(imds=world.item(), wireserver=world.item(),
                        host_args=["--skew", str(2 * ONE_HOUR)],
                        config={"wireServerAddress": "%s:%d" % relay_at})
        self.addCleanup(w.close)
        w.start()
        w.get(INSTANCE, headers=[METADATA, (b"x-clock", b"1")])
        request = next(r for _, r in sign.recorded(w.path("record"))
                       if (b"x-clock", b"1") in r.headers)
        date = wire.values(request.headers, b"x-ms-azure-host-date")[0]
        seen = time.mktime(time.strptime(date.decode(),
                                         "%a, %d %b %Y %H:%M:%S GMT"))
        ours = time.mktime(time.gmtime())
        self.assertAlmostEqual(seen - ours, ONE_HOUR, delta=10)
