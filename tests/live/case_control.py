# SPDX-License-Identifier: MIT
"""
In: root, a user of a group, anybody; the control and the metrics socket. Out:
who may ask is told how the agent is, in time and whoever else asks; nobody else
is. Must never count on how fast this machine is.
"""
import contextlib
import grp
import json
import os
import re
import socket
import stat
import unittest

import wire
import world
from world import (DAEMON, IMDS, INSTANCE, NOBODY, WIRESERVER, grant, in_force,
                   item)

PATIENCE = 10
SECRET = "sig=planted-value"


def ask(path, data=b"status\n"):
    """All that comes back; None: refused, or reset."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(PATIENCE)
        out = b""
        try:
            s.connect(path)
            s.sendall(data)
            while True:
                piece = s.recv(65536)
                if not piece:
                    return out
                out += piece
        except (PermissionError, FileNotFoundError, ConnectionRefusedError,
                ConnectionResetError, BrokenPipeError):
            return out or None


def scrape(path):
    head, _, body = ask(
        path, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").partition(
            b"\r\n\r\n")
    return head.decode(), body.decode()


def samples(text):
    """Value by name with labels."""
    return {name: float(value) for name, value in
            (line.rsplit(" ", 1) for line in text.splitlines()
             if not line.startswith("#"))}


class Sockets(unittest.TestCase):
    """One agent whose rules give one path to one user."""

    @classmethod
    def setUpClass(cls):
        rules = grant(["/metadata/instance"], {"daemons": {"userName": "daemon"}})
        cls.world = world.World(
            imds=item(access="deny", rules=rules),
            wireserver=item(mode="audit", access="deny", ident="audited"),
            config={"metricsGroup": "daemon"})
        cls.world.start_host()
        cls.world.start_mspd(wait=False)
        world.wait_until(cls.served, why="daemon is served")

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    @classmethod
    def served(cls):
        try:
            answer = cls.world.get(INSTANCE, uid=DAEMON)
            return answer and world.PASSED in answer.headers
        except OSError:
            return False

    def control(self):
        return self.world.path("run", "control.sock")

    def metrics(self):
        return self.world.path("run", "metrics.sock")

    def status(self):
        return json.loads(ask(self.control()))

    def endpoint(self, name):
        return next(e for e in self.status()["endpoints"] if e["name"] == name)

    # ---- who may ask -------------------------------------------------------
    def test_sockets_are_closed_to_others(self):
        for path, mode, gid in ((self.control(), 0o600, 0),
                                (self.metrics(), 0o660,
                                 grp.getgrnam("daemon").gr_gid)):
            st = os.lstat(path)
            self.assertTrue(stat.S_ISSOCK(st.st_mode))
            self.assertEqual((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid),
                             (mode, 0, gid), path)
            self.assertIsNone(self.world.call(ask, path, uid=NOBODY), path)

    def test_metrics_are_for_their_group(self):
        head, body = self.world.call(scrape, self.metrics(), uid=DAEMON)
        self.assertIn("200 OK", head)
        self.assertIn("mspd_healthy 1\n", body)
        self.assertIsNone(self.world.call(ask, self.control(), uid=DAEMON))

    def test_control_asks_who_it_is_whatever_the_mode(self):
        os.chmod(self.control(), 0o666)
        try:
            self.assertFalse(self.world.call(ask, self.control(), uid=NOBODY))
        finally:
            os.chmod(self.control(), 0o600)

    # ---- what is told ------------------------------------------------------
    def test_status_tells_how_it_is(self):
        seen = self.status()
        self.assertTrue(seen["healthy"], seen)
        self.assertEqual((seen["state"], seen["pid"]),
                         ("SUCCESS", self.world.mspd.pid))
        self.assertRegex(seen["startedAt"], r"^\d{4}-\d\d-\d\dT[\d:]{8}Z$")
        self.assertTrue(seen["key"]["present"])
        self.assertTrue(os.path.exists(seen["key"]["stored"]))
        self.assertIn(seen["key"]["guid"], seen["key"]["stored"])
        for secret in self.world.key_hex():
            self.assertNotIn(secret.lower(), json.dumps(seen).lower())
        self.assertGreater(seen["identity"]["redirected"], 0)
        self.assertGreater(seen["identity"]["found"], 0)
        self.assertNotIn("failure", seen["host"])
        self.assertGreater(seen["memory"]["pssBytes"], 1 << 20)
        self.assertLessEqual({
            "version", "pid", "startedAt", "uptimeSeconds", "state", "message",
            "healthy", "endpoints", "key", "identity", "host", "requests",
            "refused", "connections", "audit", "memory", "restart"}, set(seen))

    def test_endpoints_tell_their_rules(self):
        imds, wireserver = self.endpoint("imds"), self.endpoint("wireserver")
        self.assertEqual((imds["mode"], imds["redirection"]),
                         ("enforce", "enforce"))
        self.assertEqual((wireserver["mode"], wireserver["redirection"]),
                         ("audit", "audit"))
        self.assertEqual((imds["rules"]["id"], imds["rules"]["source"]),
                         (in_force("item"), "host"))
        self.assertGreater(imds["rules"]["epoch"], 0)
        self.assertEqual(imds["rules"]["findings"]["errors"], 0)

    def test_bad_rules_are_told_and_the_last_good_stay(self):
        answer = wire.talk((WIRESERVER, 80), [wire.request(
            b"GET", "/secure-channel/status", WIRESERVER, [world.METADATA])])
        document = json.loads(answer[0].body)
        document["authorizationRules"]["imds"]["defaultAccess"] = "perhaps"
        self.world.control("POST", "/status/raw",
                           json.dumps(document).encode())
        try:
            world.wait_until(lambda: self.endpoint("imds")["rules"]["source"]
                             == "last good", why="bad rules told")
            rules = self.endpoint("imds")["rules"]
            self.assertEqual(rules["id"], in_force("item"))
            self.assertEqual(rules["findings"]["errors"], 1)
            self.assertIn("defaultAccess", rules["findings"]["texts"][0])
            self.assertEqual(samples(scrape(self.metrics())[1])[
                'mspd_rules_fault{endpoint="imds"}'], 1)
        finally:
            self.world.control("DELETE", "/status/raw")
        world.wait_until(lambda: self.endpoint("imds")["rules"]["source"]
                         == "host", why="good rules told")

    def test_requests_are_counted(self):
        name = ('mspd_requests_total{endpoint="imds",verdict="%s",reason="%s"}')
        before, seen = samples(scrape(self.metrics())[1]), self.status()
        for _ in range(3):
            self.world.get(INSTANCE, uid=DAEMON)
            self.world.get(INSTANCE, uid=NOBODY)
        self.world.get("/?comp=versions", host=WIRESERVER)
        after, now = samples(scrape(self.metrics())[1]), self.status()
        for verdict, reason in (("allow", "granted"), ("deny", "no-identity")):
            key = name % (verdict, reason)
            self.assertEqual(after[key] - before.get(key, 0), 3, key)
        for window in ("minute", "hour", "total"):
            self.assertGreaterEqual(now["requests"][window]["allowed"], 3)
            self.assertGreaterEqual(now["requests"][window]["denied"], 3)
            self.assertGreaterEqual(now["requests"][window]["audited"], 1)
        total = [now["requests"]["total"][k] - seen["requests"]["total"][k]
                 for k in ("allowed", "audited", "denied", "failed")]
        self.assertEqual(total, [3, 1, 3, 0])

    def test_histograms_are_complete(self):
        self.world.curl("-H", "Metadata: true", "-d", "body",
                        f"http://{IMDS}{INSTANCE}", uid=DAEMON)
        seen = samples(scrape(self.metrics())[1])
        for stage in ("total", "record", "identity", "decision",
                      "body", "sign", "host"):
            counts = [seen[k] for k in seen if k.startswith(
                f'mspd_request_seconds_bucket{{stage="{stage}"')]
            self.assertEqual(counts, sorted(counts))
            self.assertGreater(counts[-1], 0, stage)
            self.assertEqual(counts[-1], seen[
                f'mspd_request_seconds_count{{stage="{stage}"}}'])

    def test_each_metric_has_help_and_type(self):
        _, body = scrape(self.metrics())
        told = set(re.findall(r"^# TYPE (\w+) (?:counter|gauge|histogram)$",
                              body, re.M))
        self.assertEqual(told, set(re.findall(r"^# HELP (\w+) \S", body, re.M)))
        for name in samples(body):
            plain = re.sub(r"_(bucket|sum|count)$", "", name.split("{")[0])
            self.assertIn(plain, told)

    # ---- who is refused ----------------------------------------------------
    def refused(self, path, uid=NOBODY):
        return next((r for r in self.status()["refused"]
                     if r["path"].startswith(path) and r["uid"] == uid), None)

    def test_refused_caller_is_shown_with_the_grant_it_lacks(self):
        before = self.refused(INSTANCE.split("?")[0])
        target = f"{INSTANCE}&{SECRET}"
        for _ in range(4):
            self.world.get(target, uid=NOBODY)
        seen = self.refused(INSTANCE.split("?")[0])
        self.assertEqual((seen["user"], seen["endpoint"], seen["method"],
                          seen["reason"]),
                         ("nobody", "imds", "GET", "no-identity"))
        self.assertIn("privilege 'p0'", seen["allow"])
        self.assertIn("userName 'nobody'", seen["allow"])
        self.assertIn("identity 'daemons'", seen["allow"])
        self.assertNotIn("planted-value", json.dumps(self.status()))
        self.assertTrue(before is None or before["count"] <= seen["count"])

    def test_path_without_a_privilege_is_told_to_get_one(self):
        self.world.get("/metadata/attested/document", uid=NOBODY)
        seen = self.refused("/metadata/attested")
        self.assertEqual(seen["reason"], "default-deny")
        self.assertIn("add a privilege with path '/metadata/attested/document'",
                      seen["allow"])

    def test_wireserver_is_roots_and_no_rule_helps(self):
        self.world.get("/?comp=goalstate", host=WIRESERVER, uid=NOBODY)
        seen = next(r for r in self.status()["refused"]
                    if r["endpoint"] == "wireserver")
        self.assertEqual(seen["reason"], "not-root")
        self.assertIn("only root", seen["allow"])

    def test_many_paths_do_not_grow_the_answer(self):
        self.world.talk((IMDS, 80), [
            wire.request(b"GET", f"/metadata/x{i}", IMDS)
            for i in range(200)], uid=NOBODY)
        answer = ask(self.control())
        self.assertLessEqual(len(answer), 65536)
        self.assertEqual(len(json.loads(answer)["refused"]), 10)

    # ---- clients that behave badly -----------------------------------------
    def test_unknown_and_long_commands(self):
        self.assertIn("error", json.loads(ask(self.control(), b"reboot\n")))
        self.assertFalse(ask(self.control(), b"x" * 5000))
        for line, status in (("GET / HTTP/1.1", "404"),
                             ("POST /metrics HTTP/1.1", "400"),
                             ("GET /metrics HTTP/1.11", "404"),
                             ("GET /metrics", "404")):
            answer = ask(self.metrics(), f"{line}\r\n\r\n".encode())
            self.assertIn(status.encode(), answer.split(b"\r\n")[0], line)
        self.assertFalse(ask(self.metrics(), b"GET " * 2000))

    def test_silent_clients_are_given_up_and_others_served(self):
        silent = [socket.socket(socket.AF_UNIX) for _ in range(12)]
        try:
            for s in silent:
                s.connect(self.control())
            self.assertTrue(self.served())
            self.assertTrue(self.status()["healthy"])
            for s in silent:
                s.settimeout(3 * PATIENCE)
                self.assertEqual(s.recv(1), b"")
        finally:
            for s in silent:
                s.close()

    def test_readers_of_metrics_do_not_take_roots_places(self):
        with contextlib.ExitStack() as open_ones:
            silent = [open_ones.enter_context(socket.socket(socket.AF_UNIX))
                      for _ in range(12)]
            for s in silent:
                s.connect(self.metrics())
                s.setblocking(False)
            self.assertTrue(self.status()["healthy"])
            with self.assertRaises(BlockingIOError):
                silent[0].recv(1)

    def test_curl_reads_the_metrics(self):
        out = self.world.curl("--unix-socket", self.metrics(),
                              "http://localhost/metrics")
        self.assertIn(b"mspd_requests_total{", out)


class Places(unittest.TestCase):
    """Where the sockets are."""

    def start(self, **config):
        self.world = world.World(imds=item(), wireserver=item(),
                                 config=config)
        self.addCleanup(self.world.close)
        self.world.start_host()
        return self.world

    def test_stale_socket_is_replaced_and_none_is_left(self):
        w = self.start()
        os.mkdir(w.path("run"), 0o755)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(w.path("run", "control.sock"))
        w.start_mspd()
        self.assertTrue(json.loads(ask(w.path("run", "control.sock"))))
        self.assertEqual(w.stop_mspd(), 0)
        self.assertNotIn("control.sock", os.listdir(w.path("run")))
        self.assertNotIn("metrics.sock", os.listdir(w.path("run")))

    def test_socket_of_another_that_listens_stays_its_own(self):
        w = self.start()
        os.mkdir(w.path("run"), 0o755)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(w.path("run", "control.sock"))
            s.listen()
            w.start_mspd()
            with socket.socket(socket.AF_UNIX) as other:
                other.connect(w.path("run", "control.sock"))
                for _ in range(2):  # the agent itself, to see; then we
                    s.accept()[0].close()
        self.assertIn("another process listens there", w.tail("mspd.out"))
        self.assertEqual(w.stop_mspd(), 0)
        self.assertIn("control.sock", os.listdir(w.path("run")))

    def test_what_is_no_socket_stays(self):
        w = self.start()
        os.mkdir(w.path("run"), 0o755)
        with open(w.path("run", "control.sock"), "w", encoding="ascii") as f:
            f.write("mine")
        os.symlink(w.path("elsewhere"), w.path("run", "metrics.sock"))
        w.start_mspd()
        self.assertEqual(w.read("run", "control.sock"), b"mine")
        self.assertTrue(os.path.islink(w.path("run", "metrics.sock")))
        self.assertFalse(os.path.lexists(w.path("elsewhere")))
        self.assertIn("not a socket", w.tail("mspd.out"))

    def test_directory_of_others_is_not_used(self):
        w = self.start()
        os.mkdir(w.path("run"))
        os.chmod(w.path("run"), 0o777)
        w.start_mspd()
        self.assertNotIn("control.sock", os.listdir(w.path("run")))

    def test_switched_off(self):
        w = self.start(controlSocket=False, metricsSocket="")
        w.start_mspd()
        self.assertEqual([n for n in os.listdir(w.path("run"))
                          if n.endswith(".sock")], [])

    def test_elsewhere(self):
        w = self.start()
        deep = w.path("d" * 100, "e" * 100)
        w.config["controlSocket"] = os.path.join(deep, "c.sock")
        w.start_mspd()
        self.assertTrue(stat.S_ISSOCK(
            os.lstat(os.path.join(deep, "c.sock")).st_mode))

    def test_host_that_is_gone_is_not_healthy(self):
        w = self.start()
        w.start_mspd()
        path = w.path("run", "control.sock")
        self.assertTrue(json.loads(ask(path))["healthy"])
        w.stop_host()
        errors = "mspd_key_channel_errors_total"
        for n in (1, 2):
            world.wait_until(lambda n=n: samples(scrape(
                w.path("run", "metrics.sock"))[1])[errors] >= n,
                why="errors of the key channel are counted")
        world.wait_until(lambda: not json.loads(ask(path))["healthy"],
                         why="a host that is gone is noticed")
        self.assertIn("failure", json.loads(ask(path))["host"])


if __name__ == "__main__":
    unittest.main()
