# SPDX-License-Identifier: MIT
"""
In: command lines, and a listener that plays the agent. Out: what a
provisioning agent gets to read, and the exit status it goes by.
"""
import ctypes
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import fake_agent
import world
from fake_agent import CLOSE, ERROR, HANG, NO, YES
from world import NOBODY

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x00020000, 16384, 1 << 18
FAILURE = "Failed to query the current provision state with error: {}.\n"
REFUSED = FAILURE.format("Connection refused (os error 111)")
UNAVAILABLE = FAILURE.format(
    "Failed to get response from http://127.0.0.1:3080/provision, status "
    "code: 503 Service Unavailable")
GARBLED = FAILURE.format("Deserialization failed: the answer is not the JSON "
                         "object it must be")
HELD = FAILURE.format(f"127.0.0.1:3080 is held by user {NOBODY} and not by "
                      "root, so it is not asked")
NOT_YET = fake_agent.answer(b'{"finished":false,"errorMessage":""}')
MESSAGE = ("ebpfProgramStatus - Failed to load program 'connect4'\r\n"
           "keyLatchStatus - \t\u00e4 <&>\r\n")


def hide_proc():
    """For this process there is nothing in /proc."""
    libc = ctypes.CDLL(None, use_errno=True)
    if (libc.unshare(CLONE_NEWNS) or
            libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) or
            libc.mount(b"none", b"/proc", b"tmpfs", 0, None)):
        raise OSError(ctypes.get_errno(), "cannot hide /proc")


def failed(message):
    return fake_agent.answer(json.dumps(
        {"finished": True, "errorMessage": message}).encode())


class Command(unittest.TestCase):

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="msp-cli-")
        self.addCleanup(shutil.rmtree, self.dir)
        os.chmod(self.dir, 0o755)
        os.mkdir(self.path("run"))

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write_config(self, name="mspd.json", **more):
        with open(self.path(name), "w", encoding="utf-8") as f:
            json.dump({"logFolder": "", "latchKeyFolder": self.path("keys"),
                       "runFolder": self.path("run"), **more}, f)
        return self.path(name)

    def serve(self, *script, **where):
        agent = fake_agent.FakeAgent(script, **where)
        self.addCleanup(agent.close)
        return agent

    def environment(self):
        return {"PATH": world.PATH, "LD_LIBRARY_PATH": world.World.build}

    def run_mspd(self, *args, uid=0, program=None, **more):
        done = subprocess.run(
            [program or world.World.build + "/mspd/mspd", *args], timeout=30,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=self.environment(), user=uid,
            group=uid, extra_groups=[], check=False, **more)
        return (done.returncode, done.stdout.decode("utf-8", "replace"),
                done.stderr.decode("utf-8", "replace"))

    def status(self, *args, **more):
        return self.run_mspd("--status", "--config", self.write_config(),
                             *args, **more)


class Status(Command):

    def test_status_is_the_exit_code_and_says_no_more_than_it_must(self):
        long = "x" * 5000 + "\r\n"
        for script, args, wanted in (
                ((YES,), (), (0, "")),
                ((YES,), ("--wait", "120"), (0, "")),
                ((NO, NO, YES), ("-w9",), (0, "")),
                ((NO,), (), (1, "wait for it\n")),
                ((NO,), ("--wait", "0"), (1, "wait for it\n")),
                ((NO, NOT_YET), ("-w", "1"), (1, "")),
                ((NO, failed("a")), ("-w", "3"), (2, "a\n")),
                ((failed(MESSAGE),), ("--wait=3",), (2, MESSAGE + "\n")),
                ((failed(long),), (), (2, long + "\n")),
                ((ERROR,), (), (1, UNAVAILABLE)),
                ((ERROR, ERROR, YES), ("-w9",), (0, UNAVAILABLE)),
                ((fake_agent.answer(b"{}"),), (), (1, GARBLED)),
                ((fake_agent.answer(b'{"finished":true}'),), (),
                 (1, GARBLED))):
            with self.subTest(script=script, args=args):
                agent = fake_agent.FakeAgent(script)
                try:
                    self.assertEqual(self.status(*args), (*wanted, ""))
                finally:
                    agent.close()

    def test_status_without_an_agent_is_one_line_not_hundreds(self):
        began = time.monotonic()
        self.assertEqual(self.status("--wait", "1"), (1, REFUSED, ""))
        self.assertGreaterEqual(time.monotonic() - began, 1)

    def test_status_waits_for_an_agent_that_comes_up_late(self):
        agents = []
        late = threading.Timer(
            0.3, lambda: agents.append(self.serve(NO, YES)))
        late.start()
        self.addCleanup(late.join)
        self.assertEqual(self.status("--wait", "20"), (0, REFUSED, ""))
        late.join()
        self.assertEqual(len(agents[0].requests), 2)

    def test_each_new_reason_is_said_but_no_more_than_ten(self):
        self.serve(ERROR, ERROR, CLOSE, ERROR, *[CLOSE, ERROR] * 50)
        code, out, _ = self.status("--wait", "2")
        lines = out.splitlines(True)
        self.assertEqual((code, len(lines)), (1, 10), out)
        self.assertEqual(lines[0], UNAVAILABLE)
        self.assertNotEqual(lines[1], UNAVAILABLE)
        self.assertEqual(lines[2], UNAVAILABLE)

    def test_agent_is_notified_until_it_was_reached(self):
        agent = self.serve(CLOSE, ERROR, fake_agent.answer(b"[]"), NO, NO,
                           YES)
        before = time.time_ns()
        self.assertEqual(self.status("--wait", "20")[0], 0)
        asked = [dict(headers) for headers in agent.requests]
        self.assertEqual([b"x-ms-azure-notify" in h for h in asked],
                         [True] * 4 + [False] * 2)
        ticks = {int(h[b"x-ms-azure-time-tick"]) for h in asked}
        self.assertEqual(len(ticks), 1)
        self.assertTrue(before <= ticks.pop() <= time.time_ns())
        for headers in asked:
            self.assertEqual(headers[b"metadata"], b"true")
            self.assertEqual(headers[b"host"], b"127.0.0.1")

    def test_without_wait_it_asks_once(self):
        agent = self.serve(NO)
        self.status()
        self.assertEqual(len(agent.requests), 1)

    def test_listener_that_hangs_keeps_nobody_for_long(self):
        self.serve(HANG)
        self.assertEqual(self.status("--wait", "1"),
                         (1, FAILURE.format("no answer in time"), ""))

    def test_answer_without_an_end_is_given_up(self):
        self.serve(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                   b"10000\r\n" + b" " * 65536 + b"\r\n"
                   b"10000\r\n" + b" " * 65536 + b"\r\n")
        code, out, _ = self.status()
        self.assertEqual(code, 1)
        self.assertEqual(out, FAILURE.format("the answer is too long"))

    def test_what_answers_cannot_draw_on_a_terminal(self):
        self.serve(failed("a\x1b[2Jb\r\nc\u009bd\x00e"))
        self.assertEqual(self.status(), (2, "a\\x1b[2Jb\r\nc\\u009bd\\x00e\n",
                                         ""))

    def test_agent_is_asked_where_it_says_it_is(self):
        squatter = self.serve(YES)
        agent = self.serve(NO, address=("127.0.0.1", 3090))
        with open(self.path("run", "listener"), "w", encoding="ascii") as f:
            f.write("127.0.0.1:3090\n")
        self.assertEqual(self.status(), (1, "wait for it\n", ""))
        self.assertEqual((len(agent.requests), len(squatter.requests)),
                         (1, 0))
        # what it says elsewhere is nothing an agent would
        for said in ("10.0.0.1:3090\n", "", "127.0.0.1\n", "\x00" * 99):
            with open(self.path("run", "listener"), "w",
                      encoding="ascii") as f:
                f.write(said)
            self.assertEqual(self.status(), (0, "", ""))

    def test_agent_is_asked_where_the_configuration_has_it(self):
        self.serve(YES, address=("127.0.0.7", 3091))
        config = self.write_config(listenAddress="127.0.0.7:3091")
        self.assertEqual(self.run_mspd("-s", "--config", config), (0, "", ""))

    def test_anybody_may_ask(self):
        self.serve(YES)
        self.assertEqual(self.status(uid=NOBODY), (0, "", ""))

    def test_closed_output_does_not_change_the_exit_code(self):
        self.serve(failed("a"))
        config = self.write_config()
        for close in (">&-", ">/dev/full", "| true"):
            done = subprocess.run(
                ["bash", "-c", f'"$0" --status --config "$1" {close}; '
                 'exit ${PIPESTATUS[0]}',
                 world.World.build + "/mspd/mspd", config], timeout=20,
                env=self.environment(), check=False)
            self.assertEqual(done.returncode, 2, close)


class Stranger(Command):
    """Has the port while there is no agent."""

    def check_not_asked(self, said=HELD, **where):
        stranger = fake_agent.FakeAgent([YES], uid=NOBODY, **where)
        try:
            for uid in (0, NOBODY):
                self.assertEqual(self.status(uid=uid), (1, said, ""))
            self.assertEqual(stranger.requests, [])
        finally:
            stranger.close()

    def test_is_not_believed_that_the_key_is_latched(self):
        self.check_not_asked()
        self.check_not_asked(address=("0.0.0.0", 3080))
        self.check_not_asked(address=("::", 3080), family=socket.AF_INET6,
                             dualstack_ipv6=True)
        self.check_not_asked(address=("::ffff:127.0.0.1", 3080),
                             family=socket.AF_INET6, dualstack_ipv6=True)

    def test_is_not_believed_where_an_agent_was(self):
        with open(self.path("run", "listener"), "w", encoding="ascii") as f:
            f.write("127.0.0.1:3090\n")
        self.check_not_asked(HELD.replace("3080", "3090"),
                             address=("127.0.0.1", 3090))

    def test_on_ipv6_keeps_nobody_from_the_agent(self):
        self.serve(YES)
        self.serve(NO, address=("::", 3080), family=socket.AF_INET6,
                   uid=NOBODY)
        self.assertEqual(self.status(), (0, "", ""))

    def test_is_not_asked_while_the_agent_that_comes_late_is(self):
        stranger = fake_agent.FakeAgent([YES], uid=NOBODY)
        late = threading.Timer(0.3, lambda: (stranger.close(),
                                             self.serve(NO, YES)))
        late.start()
        self.addCleanup(late.join)
        code, out, _ = self.status("--wait", "20")
        self.assertEqual((code, out.splitlines(True)[0]), (0, HELD))
        self.assertEqual(stranger.requests, [])

    def test_cannot_answer_for_who_has_gone(self):
        server = socket.create_server(("127.0.0.1", 3080))

        def answer_and_be_gone():
            connection, _ = server.accept()
            server.close()
            connection.recv(4096)
            connection.sendall(YES)
            connection.close()

        thread = threading.Thread(target=answer_and_be_gone)
        thread.start()
        self.addCleanup(thread.join)
        self.assertEqual(self.status(), (1, FAILURE.format(
            "who listens on 127.0.0.1:3080 has changed, so what it said "
            "does not count"), ""))

    def test_is_not_asked_where_nobody_can_tell(self):
        agent = self.serve(YES)
        self.assertEqual(
            self.status(preexec_fn=hide_proc),
            (1, FAILURE.format(
                "cannot tell who listens on 127.0.0.1:3080, so it is not "
                "asked: No such file or directory (os error 2)"), ""))
        self.assertEqual(agent.requests, [])


class Places(Command):
    """Where a configuration is looked for."""

    def setUp(self):
        super().setUp()
        self.program = self.path("azure-proxy-agent")
        shutil.copy(world.World.build + "/mspd/mspd", self.program)
        if os.path.exists("/etc/azure/proxy-agent.json"):
            self.skipTest("this machine has /etc/azure/proxy-agent.json, "
                          "which goes before")

    def test_version_is_the_version_and_a_newline(self):
        for option in ("--version", "-v"):
            code, out, err = self.run_mspd(option, program=self.program)
            self.assertEqual((code, err), (0, ""))
            self.assertRegex(out, r"\A\d+\.\d+\.\d+\n\Z")

    def test_mistake_in_the_command_line_is_2_and_a_message(self):
        for args in (["--nonsense"], ["--wait", "3"], ["-s", "--wait", "x"],
                     ["nonsense"], ["-V"]):
            code, out, err = self.run_mspd(*args, program=self.program)
            self.assertEqual((code, out), (2, ""), args)
            self.assertRegex(err, r"\Aazure-proxy-agent: .+\n"
                             r"See 'azure-proxy-agent --help'\.\n\Z")

    def test_configuration_beside_the_program_is_found(self):
        self.serve(NO)
        self.serve(YES, address=("127.0.0.1", 3092))
        self.assertEqual(self.run_mspd("-s", program=self.program),
                         (1, "wait for it\n", ""))
        self.write_config("proxy-agent.json",
                          listenAddress="127.0.0.1:3092")
        self.assertEqual(self.run_mspd("-s", program=self.program),
                         (0, "", ""))
        # --config goes before it
        self.assertEqual(self.status(program=self.program),
                         (1, "wait for it\n", ""))

    def test_status_does_without_what_it_cannot_read(self):
        self.serve(YES)
        path = self.write_config("proxy-agent.json",
                                 listenAddress="127.0.0.1:3092")
        os.chmod(path, 0o600)
        self.assertEqual(self.run_mspd("-s", program=self.program,
                                       uid=NOBODY), (0, "", ""))
        # but not without what it was told to read
        code, out, err = self.run_mspd("-s", "--config", path, uid=NOBODY)
        self.assertEqual((code, out), (78, ""))
        self.assertIn(path, err)

    def test_fault_of_the_configuration_is_78_and_shown_by_status(self):
        path = self.write_config("proxy-agent.json", statusFolder="status")
        code, out, err = self.run_mspd(program=self.program)
        self.assertEqual((code, out), (78, ""))
        self.assertRegex(err, rf"\Aazure-proxy-agent: {path}: line 1 column "
                         r"\d+: statusFolder: must be an absolute path\n\Z")
        self.assertEqual(self.run_mspd("-s", program=self.program),
                         (1, REFUSED, err))

    def test_agent_without_a_configuration_is_78(self):
        if os.path.exists("/etc/mspd/mspd.json"):
            self.skipTest("this machine has /etc/mspd/mspd.json")
        code, out, err = self.run_mspd(program=self.program)
        self.assertEqual((code, out), (78, ""))
        self.assertIn("/etc/mspd/mspd.json", err)
