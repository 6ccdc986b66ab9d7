# SPDX-License-Identifier: MIT
"""
In: a VM that is provisioned, provisioned anew, or cannot be. Out: what a
provisioning agent is told, when, and what it finds in the tags afterwards.
"""
import json
import os
import re
import stat
import time
import unittest

import wire
import world
from world import LISTENER, METADATA, NOBODY, WIRESERVER

NEVER = 3600  # seconds; longer than any case
NOTIFY = (b"x-ms-azure-notify", b"true")
DONE = b'{"finished":true,"errorMessage":""}'
WAITING = b'{"finished":false,"errorMessage":""}'
TYPE = [b"application/json; charset=utf-8"]


def tick():
    """What cloud-init's command says: this is when I began to ask."""
    return b"%d" % time.time_ns()


def question(since=None, notify=False, target="/provision", more=(METADATA,)):
    headers = list(more)
    if since is not None:
        headers.append((b"x-ms-azure-time-tick", since))
    if notify:
        headers.append(NOTIFY)
    return wire.request(b"GET", target, LISTENER[0], headers)


class Provision(unittest.TestCase):

    def start(self, enabled=True, fault=None, **config):
        """A host, changed as told, and then an agent."""
        self.world = w = world.World(
            imds=world.item(), wireserver=world.item(),
            config={"pollKeyStatusIntervalInSeconds": NEVER, **config})
        self.addCleanup(w.close)
        with open(w.path("console"), "wb"):
            pass
        w.start_host()
        if not enabled:
            w.control("POST", "/channel?enabled=false")
        if fault:
            w.control("POST", "/faults", json.dumps(fault).encode())
        self.began = tick()
        w.start_mspd(wait=False)

    def ask(self, *args, uid=0, **kwargs):
        answer = self.world.talk(LISTENER, [question(*args, **kwargs)],
                                 uid=uid)[0]
        if answer is None:  # strangers are sent away while it proves itself
            raise ConnectionResetError
        return answer

    def told(self, *args, **kwargs):
        return json.loads(self.ask(*args, **kwargs).body)

    def has_finished(self, *args, **kwargs):
        try:
            return self.told(*args, **kwargs)["finished"]
        except OSError:  # it does not listen yet, or proves itself
            return False

    def error(self):
        """What it lacks; None: it cannot be asked."""
        try:
            return self.told(self.began)["errorMessage"]
        except OSError:
            return None

    def wait_finished(self, since=None, **kwargs):
        since = since or self.began
        world.wait_until(lambda: self.has_finished(since, **kwargs),
                         why="provisioning finished")

    def polls(self):
        seen = self.world.control("GET", "/journal")["requests"]
        return sum(1 for r in seen if r["target"] == "/secure-channel/status")

    def tag(self, name):
        return self.world.read("keys", name)

    def console(self):
        """Messages on it, without date and process."""
        head = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} "
                          r"azure-proxy-agent_[0-9.]+\(\d+\) - ")
        for line in self.world.read("console").decode().splitlines():
            self.assertRegex(line, head)
            yield head.sub("", line)


class Answers(Provision):

    def setUp(self):
        self.start()
        self.wait_finished()

    def test_anybody_is_told_that_a_latched_vm_is_provisioned(self):
        for uid in (0, NOBODY):
            for inside in (True, False):
                answer = self.world.talk(
                    LISTENER, [question(tick()), question(self.began)],
                    uid=uid, inside=inside)
                self.assertEqual([a.status for a in answer], [200, 200])
                self.assertEqual([a.body for a in answer], [DONE, DONE])
                self.assertEqual(wire.values(answer[0].headers,
                                             b"content-type"), TYPE)
        answer = self.world.get("/provision", WIRESERVER, uid=NOBODY,
                                headers=(METADATA, (b"X-MS-Azure-Time-Tick",
                                                    self.began)))
        self.assertEqual(answer.body, DONE)
        self.assertFalse([line for line in self.world.host_log()
                          if "provision" in line[2]])

    def test_provision_without_a_time_never_says_finished(self):
        for since in (None, b"0", b"", b"now", b"-5", b"1.5", b"9" * 40):
            with self.subTest(since=since):
                self.assertEqual(self.ask(since).body, WAITING)

    def test_provision_wants_the_metadata_header_and_that_very_target(self):
        answer = self.ask(self.began, more=())
        self.assertEqual((answer.status, answer.body), (400, b""))
        self.assertEqual(self.ask(self.began, target="/provision?").body, DONE)
        for target in ("/provision/", "/provision?a", "/Provision"):
            self.assertEqual(self.ask(self.began, target=target).status, 421)

    def test_tags_of_a_provisioned_vm(self):
        world.wait_until(lambda: os.path.exists(
            self.world.path("keys", "status.tag")), why="status.tag")
        self.assertEqual(self.tag("status.tag"), b"")
        self.assertRegex(self.tag("provisioned.tag"),
                         rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\Z")
        for name in ("status.tag", "provisioned.tag"):
            mode = os.stat(self.world.path("keys", name)).st_mode
            self.assertEqual(stat.S_IMODE(mode), 0o600)

    def test_notify_of_root_writes_the_tags_of_a_latched_vm_once_more(self):
        world.wait_until(lambda: os.path.exists(
            self.world.path("keys", "status.tag")), why="status.tag")
        first, polls = self.tag("provisioned.tag"), self.polls()
        self.ask(notify=True, uid=NOBODY)
        self.ask(notify=True)
        world.wait_until(lambda: self.tag("provisioned.tag") != first,
                         why="another time in the tag")
        log = self.world.read("log", "ProxyAgent.log").decode()
        self.assertEqual(log.count("task notified but secure channel state is "
                                   "'WireServer Enforce -  IMDS Enforce - "
                                   "HostGA Enforce', continue with"), 1)
        self.assertEqual(self.ask(self.began).body, DONE)
        self.assertEqual(self.polls(), polls)

    def test_serial_console_shows_how_the_agent_comes_up(self):
        world.wait_until(lambda: any(
            "Successfully attest" in m for m in self.console()), why="console")
        said = list(self.console())
        wanted = [r"={14} GuestProxyAgent \([0-9.]+\) is starting on Linux:.*",
                  r"Started proxy listener, ready to accept request - \d+",
                  r"Started Redirector with eBPF maps - \d+",
                  r"Provision finished successfully",
                  r"Successfully attest the key and ready to use\. - \d+"]
        self.assertEqual(len(said), len(wanted), said)
        for line, pattern in zip(said, wanted):
            self.assertRegex(line, f"^{pattern}$")
        for key in self.world.key_hex():
            self.assertNotIn(key.lower(),
                             self.world.read("console").decode().lower())

    def test_lost_key_is_not_provisioned_until_there_is_another(self):
        self.world.control("POST", "/key/lose")
        # whose polls are far apart: one is hastened by a restart only
        self.world.stop_mspd()
        self.began = tick()
        self.world.start_mspd(wait=False)
        world.wait_until(lambda: "Failed to acquire" in (self.error() or ""),
                         why="no key")
        told = self.told(self.began)
        self.assertFalse(told["finished"])
        self.assertRegex(told["errorMessage"],
                         r"^keyLatchStatus - Failed to acquire key details: ")
        self.world.control("POST", "/key/reset")
        self.wait_finished(notify=True)
        self.assertEqual(self.error(), "")


class Reprovisioned(Provision):
    """A VM of a pool: its first identity wants no channel."""

    def setUp(self):
        self.start(enabled=False)
        self.wait_finished()

    def test_second_run_gets_the_key_of_the_new_identity_at_once(self):
        since = tick()
        self.assertEqual(self.ask(since).body, WAITING)
        polls = self.polls()
        self.world.control("POST", "/channel?enabled=true")
        self.assertFalse(self.told(since, notify=True)["finished"])
        self.wait_finished(since)
        self.assertTrue(self.world.state()["latched"])
        self.assertEqual(self.ask(since).body, DONE)
        self.assertEqual(self.polls(), polls + 1)
        log = self.world.read("log", "ProxyAgent.log").decode()
        self.assertIn("poll_secure_channel_status task notified and secure "
                      "channel state is 'disabled', reset states and start "
                      "poll status now.", log)
        self.world.wait_ready()

    def test_second_run_on_a_vm_without_a_channel_finishes_too(self):
        since = tick()
        self.assertFalse(self.has_finished(since, notify=True))
        self.wait_finished(since)
        self.assertEqual(self.ask(since).body, DONE)
        self.assertFalse(self.world.state()["latched"])

    def notify_often(self, times, uid):
        since = tick()
        return self.world.talk(LISTENER, [question(since, True)] * times,
                               uid=uid)

    def test_thousand_notifies_of_nobody_make_one_poll(self):
        polls = self.polls()
        answers = self.notify_often(1000, NOBODY)
        self.assertEqual({a.body for a in answers}, {WAITING})
        world.wait_until(lambda: self.polls() > polls, why="one poll")
        self.notify_often(100, NOBODY)
        self.assertEqual(self.polls(), polls + 1)
        # root's are not counted with them
        since = tick()
        self.assertFalse(self.has_finished(since, notify=True))
        self.wait_finished(since)
        self.assertEqual(self.polls(), polls + 2)

    def test_nobody_cannot_undo_what_root_provisioned(self):
        before = self.tag("provisioned.tag")
        self.notify_often(50, NOBODY)
        for _ in range(20):
            self.assertEqual(self.ask(self.began).body, DONE)
        self.assertEqual(self.told(tick(), uid=NOBODY),
                         {"finished": False, "errorMessage": ""})
        self.assertEqual(self.tag("provisioned.tag"), before)
        self.assertNotIn("reset states",
                         self.world.read("log", "ProxyAgent.log").decode())


class Late(Provision):

    def test_channel_switched_on_without_a_key_is_not_provisioned(self):
        self.start(enabled=False, pollKeyStatusIntervalInSeconds=0.2)
        self.wait_finished()
        self.assertEqual(self.error(), "")
        self.world.control("POST", "/key/lose")
        self.world.control("POST", "/channel?enabled=true")
        world.wait_until(lambda: "Failed to acquire" in (self.error() or ""),
                         why="no key")
        self.assertFalse(self.has_finished(self.began))
        self.assertFalse(self.has_finished(tick()))
        self.world.control("POST", "/key/reset")
        self.wait_finished()
        self.assertEqual(self.ask(tick()).body, DONE)

    def test_host_that_hangs_does_not_delay_the_timeout(self):
        self.start(fault={"name": "hang", "endpoint": "wireserver",
                          "path": "/secure-channel/status"},
                   provisioningTimeoutInSeconds=0.5,
                   keyChannelTimeoutInSeconds=2)
        self.wait_finished()
        error = ("keyLatchStatus - poll secure channel status task started."
                 "\r\n")
        self.assertEqual(self.told(self.began),
                         {"finished": True, "errorMessage": error})
        world.wait_until(lambda: os.path.exists(
            self.world.path("keys", "status.tag")), why="status.tag")
        self.assertEqual(self.tag("status.tag").decode(), error)
        world.wait_until(lambda: error.strip() in self.console(),
                         why="console")
        # and it goes on trying
        self.world.control("DELETE", "/faults")
        world.wait_until(lambda: self.ask(self.began).body == DONE,
                         why="late success")
        world.wait_until(lambda: self.tag("status.tag") == b"",
                         why="tag of success")
        self.assertIn("Provision finished successfully", self.console())

    def test_agent_that_cannot_redirect_says_so(self):
        self.start(cgroupPath="/nonexistent/cgroup")
        self.world.stop_mspd()
        later = os.path.join(self.world.cgroup, "later")
        self.world.config.update(cgroupPath=later,
                                 provisioningTimeoutInSeconds=0.5,
                                 redirectRetryIntervalInSeconds=0.25)
        self.began = tick()
        self.world.start_mspd(wait=False)
        self.wait_finished()
        told = self.told(self.began)
        self.assertRegex(
            told["errorMessage"],
            r"\AebpfProgramStatus - Failed to start redirector: .+\r\n"
            r"keyLatchStatus - poll secure channel status task started\.\r\n"
            r"\Z")
        self.assertTrue(told["finished"])
        self.assertEqual(self.world.get("/metadata/x", *LISTENER).status, 421)
        self.addCleanup(self.drop, later)
        self.make(later)
        world.wait_until(lambda: self.error() == "",
                         why="provisioned after all")
        self.assertEqual(self.ask(self.began).body, DONE)

    def make(self, cgroup):
        """With the agent in it, whose own connection is to be redirected."""
        os.mkdir(cgroup)
        with open(os.path.join(cgroup, "cgroup.procs"), "w",
                  encoding="ascii") as f:
            f.write(str(self.world.mspd.pid))

    def drop(self, cgroup):
        self.world.mspd.kill()
        self.world.mspd.wait()
        os.rmdir(cgroup)
