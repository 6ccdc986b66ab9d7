# SPDX-License-Identifier: MIT
"""
In: unmodified clients of many kinds. Out: they get the host's answer, signed
for, or a refusal, each according to who they are.
"""
import hashlib
import json
import pwd
import socket
import unittest

import wire
import world
from world import DAEMON, IMDS, INSTANCE, METADATA, NOBODY, WIRESERVER

ECHO = "/msp-host/echo"
PARALLEL = 64


def users():
    """Existing users of this machine, root first: name -> uid."""
    found = {"root": 0}
    for entry in sorted(pwd.getpwall(), key=lambda e: e.pw_uid):
        if 0 < entry.pw_uid <= 65534 and entry.pw_uid not in found.values():
            found[entry.pw_name] = entry.pw_uid
    return dict(list(found.items())[:16])


class Traffic(unittest.TestCase):
    """Root and daemon may read IMDS, nobody may not."""

    @classmethod
    def setUpClass(cls):
        allowed = {"root": {"userName": "root"},
                   "daemon": {"userName": "daemon"}}
        rules = world.grant(["/metadata", "/msp-host"], allowed)
        cls.world = world.World(
            imds=world.item(access="deny", ident="imds-item", rules=rules),
            wireserver=world.item(ident="ws-item"))
        cls.addClassCleanup(cls.world.close)
        cls.world.start()

    def host_lines(self):
        return sum(1 for line in self.world.host_log()
                   if "/secure-channel/" not in line[2])

    def check_echo(self, answer, body):
        self.assertEqual(answer.status, 200, answer)
        seen = json.loads(answer.body)
        self.assertEqual(seen["length"], len(body))
        self.assertEqual(seen["sha256"], hashlib.sha256(body).hexdigest())
        self.assertEqual(self.world.verdict(), "verified")

    def test_curl_gets_the_answer_over_ipv4(self):
        out = self.world.curl("-i", "-H", "Metadata:true",
                              f"http://{IMDS}{INSTANCE}")
        head, _, body = out.partition(b"\r\n\r\n")
        self.assertIn(b" 200 ", head.splitlines()[0])
        self.assertIn(b"x-ms-azure-host-authorization: value", head.lower())
        self.assertIn("compute", json.loads(body))
        self.assertEqual(self.world.verdict(), "verified")

    def test_mapped_ipv6_socket_is_redirected_too(self):
        answer = self.world.get(INSTANCE, v6=True)
        self.assertEqual(answer.status, 200)
        self.assertIn(world.PASSED, answer.headers)
        self.assertEqual(self.world.get(INSTANCE, v6=True,
                                        uid=NOBODY).status, 403)

    def test_head_has_the_length_and_no_body(self):
        out = self.world.curl("-I", "-H", "Metadata:true",
                              f"http://{WIRESERVER}/msp-host/bytes?count=9")
        self.assertIn(out.split(b" ")[1], (b"200", b"405"))
        data = wire.request(b"HEAD", INSTANCE, IMDS, [METADATA])
        get = wire.request(b"GET", INSTANCE, IMDS, [METADATA])
        answers = self.world.talk((IMDS, 80), [data, get])
        self.assertEqual(answers[0].body, b"")
        self.assertEqual(answers[1].status, 200)

    def test_post_body_arrives_whole(self):
        for size in (0, 1, 1000, 65536, 102400):
            body = bytes(i * 7 % 256 for i in range(size))
            data = wire.request(b"POST", ECHO, WIRESERVER, body=body)
            with self.subTest(size=size):
                self.check_echo(self.world.talk((WIRESERVER, 80), [data])[0],
                                body)

    def test_curl_posts_a_body(self):
        out = self.world.curl("--data-binary", "hello=world",
                              f"http://{WIRESERVER}{ECHO}")
        self.assertEqual(json.loads(out)["sha256"],
                         hashlib.sha256(b"hello=world").hexdigest())
        self.assertEqual(self.world.verdict(), "verified")

    def test_chunked_body_arrives_whole(self):
        chunks = [b"a" * 10, b"b" * 5000, b"c", b"d" * 40000]
        data = wire.request(b"PUT", ECHO, WIRESERVER, chunks=chunks)
        self.check_echo(self.world.talk((WIRESERVER, 80), [data])[0],
                        b"".join(chunks))

    def test_curl_sends_a_chunked_body(self):
        out = self.world.curl("-H", "Transfer-Encoding: chunked", "-d", "abc",
                              f"http://{WIRESERVER}{ECHO}")
        self.assertEqual(json.loads(out)["length"], 3)
        self.assertEqual(self.world.verdict(), "verified")

    def test_keep_alive_carries_two_requests(self):
        url = f"http://{IMDS}{INSTANCE}"
        out = self.world.curl("-H", "Metadata:true", "-o", "/dev/null", "-o",
                              "/dev/null", "-w",
                              "%{http_code} %{num_connects}\n", url, url)
        self.assertEqual(out, b"200 1\n200 0\n")

    def test_refusal_and_answer_on_separate_connections(self):
        self.assertEqual(self.world.get(INSTANCE, uid=NOBODY).status, 403)
        self.assertEqual(self.world.get(INSTANCE, uid=DAEMON).status, 200)

    def test_post_expecting_continue_works(self):
        out = self.world.curl("-H", "Expect: 100-continue", "-d", "x=1",
                              f"http://{WIRESERVER}{ECHO}")
        self.assertEqual(json.loads(out)["length"], 3)

    def test_denied_user_gets_403_and_the_host_nothing(self):
        before = self.host_lines()
        answer = self.world.get(INSTANCE, uid=NOBODY)
        self.assertEqual((answer.status, answer.body), (403, b""))
        self.assertNotIn(world.PASSED, answer.headers)
        self.assertEqual(self.host_lines(), before)

    def test_hosts_404_is_not_a_refusal(self):
        answer = self.world.get("/metadata/no-such-thing", uid=DAEMON)
        self.assertEqual(answer.status, 404)
        self.assertIn(world.PASSED, answer.headers)

    def test_wireserver_is_for_root(self):
        version = [(b"x-ms-version", b"2012-11-30")]
        target = "/machine?comp=goalstate"
        for host, port, path in ((WIRESERVER, 80, target),
                                 (WIRESERVER, world.HOSTGA_PORT, "/versions")):
            with self.subTest(port=port):
                self.assertEqual(self.world.get(path, host, port,
                                                headers=version).status, 200)
                self.assertEqual(
                    self.world.get(path, host, port, uid=DAEMON,
                                   headers=version).status, 403)

    def test_direct_connection_to_the_listener_is_misdirected(self):
        answer = self.world.get(INSTANCE, *world.LISTENER)
        self.assertEqual((answer.status, answer.body), (421, b""))

    def test_direct_connection_from_outside_the_cgroup_is_refused(self):
        answer = self.world.get(INSTANCE, *world.LISTENER, inside=False)
        self.assertEqual((answer.status, answer.body), (421, b""))

    def test_outside_the_cgroup_the_host_refuses(self):
        answer = self.world.get(INSTANCE, inside=False)
        self.assertEqual(answer.status, 401)
        self.assertNotIn(world.PASSED, answer.headers)

    def test_bound_source_port_is_identified(self):
        status = self.world.curl_status(
            "--local-port", "20000-20100", "-H", "Metadata:true",
            f"http://{IMDS}{INSTANCE}", uid=NOBODY)
        self.assertEqual(status, 403)

    def test_half_closed_client_gets_its_answers_and_then_the_end(self):
        def half_close(data, count):
            with wire.connect((IMDS, 80), timeout=15) as s:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                answers, rest = [], b""
                for _ in range(count + 1):
                    answer, rest = wire.receive(s, rest, False)
                    answers.append(answer.status if answer else None)
                return answers
        data = wire.request(b"GET", INSTANCE, IMDS, [METADATA])
        for count in (1, 2, 5):
            with self.subTest(count=count):
                self.assertEqual(
                    self.world.call(half_close, data * count, count),
                    [200] * count + [None])

    def test_parallel_users_are_never_mixed_up(self):
        names = users()
        people = [list(names.items())[i % len(names)]
                  for i in range(PARALLEL)]
        running = [(name, uid, self.world.curl_process(
            "-o", "/dev/null", "-w", "%{http_code}", "-H", "Metadata:true",
            f"http://{IMDS}{INSTANCE}&parallel={uid}", uid=uid))
            for name, uid in people]
        for name, uid, process in running:
            out, err = process.communicate()
            want = b"200" if name in ("root", "daemon") else b"403"
            self.assertEqual(out, want, f"{name} {err}")
        # of these only: a record of what was before may come late
        lines = world.wait_until(self.all_parallel, why="audit lines")
        self.assertEqual(len(lines), PARALLEL)
        for line in lines:
            allowed = line["user"] in ("root", "daemon")
            self.assertEqual(line["verdict"],
                             "allow" if allowed else "deny", line)
            self.assertEqual(names.get(line["user"]), line["uid"], line)

    def all_parallel(self):
        lines = [x for x in self.world.audit()
                 if x["path"] and x["path"].endswith("&parallel")]
        return lines if len(lines) >= PARALLEL else None
