# SPDX-License-Identifier: MIT
"""
In: rule files of the VM's administrator, good and bad, beside the host's
items. Out: who is let in at IMDS, WireServer and HostGAPlugin; what the status
and the snapshots of the rules say. Must never find a file open that somebody
else may have written.
"""
import base64
import json
import os
import re
import stat
import unittest

import world
from world import DAEMON, HOSTGA_PORT, INSTANCE, NOBODY, WIRESERVER

TARGETS = {"imds": "IMDS_Rules.json", "wireserver": "WireServer_Rules.json"}
BYTES = "/msp-host/bytes?count=1"
SNAPSHOT = re.compile(r"^AuthorizationRules_\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d"
                      r"\.\d{3}-\d{19}\.json$")
MIB = 1 << 20


def contract(ident, use):
    """An id by which the host lets a local file count, or not."""
    text = json.dumps({"id": ident, "useLocalFileRules": use})
    return base64.b64encode(text.encode()).decode()


USE = contract("sig", True)
LEAVE = contract("sig", False)


def file(access="deny", users=(), **more):
    out = {"defaultAccess": access, **more}
    if users:
        out["rules"] = world.grant(["/"], {u: {"userName": u} for u in users})
    return out


class Local(unittest.TestCase):

    def start(self, ident=USE, mode="enforce", before=None, poll=0.1,
              **kwargs):
        self.world = world.World(
            imds=world.item(mode=mode, ident=ident),
            wireserver=world.item(mode=mode, ident=ident),
            config={"pollKeyStatusIntervalInSeconds": poll})
        self.addCleanup(self.world.close)
        self.world.start_host()
        if before:
            before()
        self.world.start_mspd(**kwargs)

    # ---- the files --------------------------------------------------------
    def path(self, target="imds"):
        return self.world.path("rules", TARGETS[target])

    def put(self, content, target="imds", mode=0o600):
        """In one step, as whoever writes such files should."""
        text = content if isinstance(content, str) else json.dumps(content)
        new = self.world.path("new")
        with open(new, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(new, mode)
        os.replace(new, self.path(target))

    def remove(self, target="imds"):
        path = self.path(target)
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        elif os.path.lexists(path):
            os.unlink(path)

    # ---- what comes of them -----------------------------------------------
    def imds(self, uid):
        return self.world.get(INSTANCE, uid=uid).status

    def at_wireserver(self):
        """Of root; the one on port 80, the one of HostGAPlugin."""
        return (self.world.get(BYTES, WIRESERVER).status,
                self.world.get(BYTES, WIRESERVER, HOSTGA_PORT).status)

    def wait_imds(self, daemon, nobody, why=""):
        world.wait_until(
            lambda: (self.imds(DAEMON), self.imds(NOBODY)) ==
            (daemon, nobody), why=f"{daemon}, {nobody} from IMDS {why}")

    def wait_wireserver(self, *want):
        world.wait_until(lambda: self.at_wireserver() == want,
                         why=f"{want} from WireServer and HostGAPlugin")

    def latch(self):
        return self.world.status()["proxyAgentStatus"]["keyLatchStatus"]

    def wait_message(self, words, there=True):
        world.wait_until(lambda: (words in self.latch()["message"]) == there,
                         why=f"status with{'' if there else 'out'} '{words}'")

    def log(self):
        try:
            return self.world.read("log", "ProxyAgent.log").decode()
        except FileNotFoundError:
            return ""  # the agent has only just begun

    def snapshots(self):
        return sorted(n for n in os.listdir(self.world.path("status"))
                      if SNAPSHOT.match(n))

    def newest(self):
        return json.loads(self.world.read("status", self.snapshots()[-1]))

    def wait_newest(self, **members):
        """Rules are in force a moment before the snapshot shows them."""
        world.wait_until(
            lambda: members.items() <=
            self.newest()["inputRules"]["imds"].items(), why=f"{members}")
        return self.newest()


class Switch(Local):

    def test_file_counts_only_if_the_hosts_id_says_so(self):
        self.start(ident="plain",
                   before=lambda: os.mkdir(self.world.path("rules"), 0o700))
        self.put(file(users=["daemon"]))
        self.assertEqual((self.imds(DAEMON), self.imds(NOBODY)), (200, 200))
        for ident, nobody in ((USE, 403), (LEAVE, 200), (USE, 403),
                              ("plain", 200)):
            self.world.set_item("imds", world.item(ident=ident))
            self.wait_imds(200, nobody, ident)
            self.assertEqual(self.latch()["states"]["imdsRuleId"], ident)
        self.assertIn("IMDS local file rules enabled.", self.log())
        self.assertIn("IMDS local file rules disabled.", self.log())

    def test_directory_is_made_for_root_alone(self):
        self.start()
        st = os.stat(self.world.path("rules"))
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_uid), (0o700, 0))


class Files(Local):

    def setUp(self):
        self.start()

    def test_file_that_appears_changes_and_vanishes_takes_effect(self):
        self.assertEqual((self.imds(DAEMON), self.imds(NOBODY)), (200, 200))
        self.put(file(users=["daemon"]))
        self.wait_imds(200, 403)
        # in place, the same length, the same inode
        text = json.dumps(file(users=["nobody"]))
        with open(self.path(), "r+", encoding="utf-8") as f:
            f.write(text)
            f.truncate()
        self.wait_imds(403, 200)
        self.remove()
        self.wait_imds(200, 200)
        for event in ("found", "changed", "deleted or not found"):
            self.assertIn(f"IMDS local rules file {event} at {self.path()}.",
                          self.log())
        # the other endpoints have not noticed
        self.assertEqual(self.at_wireserver(), (200, 200))

    def test_wireserver_file_governs_hostgaplugin_too(self):
        self.put(file(), "wireserver")
        self.wait_wireserver(403, 403)
        self.assertEqual((self.imds(DAEMON), self.imds(NOBODY)), (200, 200))
        self.put(file(users=["root"]), "wireserver")
        self.wait_wireserver(200, 200)
        self.put("{", "wireserver")
        self.wait_wireserver(403, 403)
        self.remove("wireserver")
        self.wait_wireserver(200, 200)

    def test_rules_of_both_sides_count(self):
        self.world.set_item("imds", world.item(
            access="deny", ident=USE, rules=world.grant(["/"], {
                "someone": {"userName": "daemon"}})))
        self.wait_imds(200, 403)
        self.put(file(users=["nobody"], id="mine"))
        self.wait_imds(200, 200)
        granted = world.wait_until(
            lambda: next((a for a in self.world.audit()
                          if a["uid"] == NOBODY and a["privilege"] and
                          a["rule"] == "sig-useLocalFileRules-true_mine"),
                         None), why="audit line")
        self.assertEqual((granted["privilege"], granted["identity"]),
                         ("LocalFileRules_p0", "LocalFileRules_nobody"))

    def test_new_content_under_the_same_id_keeps_the_file(self):
        self.put({"rules": world.grant(["/"], {"n": {"userName": "nobody"}})})
        self.world.set_item("imds", world.item(access="deny", ident=USE))
        self.wait_imds(403, 200)
        self.world.set_item("imds", world.item(
            access="deny", ident=USE, rules=world.grant(["/"], {
                "someone": {"userName": "daemon"}})))
        self.wait_imds(200, 200)

    def test_file_takes_effect_while_the_host_is_away(self):
        self.put(file(users=["nobody"]))
        self.wait_imds(403, 200)
        self.world.stop_host()
        self.put(file())
        world.wait_until(lambda: self.imds(NOBODY) == 403, why="403")


class Broken(Local):
    """Whatever is wrong with a file, it opens nothing."""

    def wrong_owner(self):
        self.put(file("allow"))
        os.chown(self.path(), DAEMON, 0)

    def link(self):
        with open(self.world.path("elsewhere"), "w", encoding="utf-8") as f:
            json.dump(file("allow"), f)
        os.symlink(self.world.path("elsewhere"), self.path())

    def huge(self):
        self.put(json.dumps(file("allow")) + " " * MIB)

    def open_directory(self):
        self.put(file("allow"))
        os.chmod(self.world.path("rules"), 0o770)

    def foreign_directory(self):
        self.put(file("allow"))
        os.chown(self.world.path("rules"), DAEMON, 0)

    WAYS = (
        ("half of it", lambda s: s.put('{"defaultAccess":"allow"'),
         "is not JSON"),
        ("nothing in it", lambda s: s.put(""), "is not JSON"),
        ("a violation", lambda s: s.put(file("perhaps")),
         "local rules defaultAccess must be 'allow' or 'deny', got 'perhaps' "
         "is invalid"),
        ("the wrong owner", wrong_owner, "belongs to user 1, not to root"),
        ("a group that may write", lambda s: s.put(file("allow"), mode=0o620),
         "can be written to by its group"),
        ("all may write", lambda s: s.put(file("allow"), mode=0o666),
         "can be written to by everybody"),
        ("a link", link, "is a symbolic link"),
        ("a link to nowhere", lambda s: os.symlink("/nowhere", s.path()),
         "is a symbolic link"),
        ("a pipe", lambda s: os.mkfifo(s.path(), 0o600),
         "is not a regular file"),
        ("a directory", lambda s: os.mkdir(s.path(), 0o700),
         "is not a regular file"),
        ("more than a megabyte", huge, "at most 1048576 are read"),
        ("a directory others write to", open_directory,
         "its directory can be written to by its group"),
        ("a directory of somebody else", foreign_directory,
         "its directory belongs to user 1, not to root"))

    def mend(self):
        self.remove()
        os.chown(self.world.path("rules"), 0, 0)
        os.chmod(self.world.path("rules"), 0o700)
        self.put(file(users=["daemon"]))

    def test_file_that_cannot_be_used_closes_and_the_status_says_why(self):
        self.start()
        for name, make, why in self.WAYS:
            with self.subTest(name):
                self.mend()
                self.wait_imds(200, 403, f"before {name}")
                self.remove()
                make(self)
                self.wait_imds(403, 403, f"with {name}")
                self.wait_message(why)
                message = self.latch()["message"]
                self.assertIn(self.path(), message)
                self.assertLessEqual(len(message), 1027)
        self.mend()
        self.wait_imds(200, 403, "at the end")
        self.wait_message("fail-closed", there=False)
        # the agent is as alive as before
        self.assertEqual(self.at_wireserver(), (200, 200))

    def test_mode_stays_the_hosts(self):
        """Audit closes nothing, but says what it would do."""
        self.start(mode="audit")
        self.put("{")
        self.wait_message("Apply fail-closed rules.")
        self.assertEqual(self.imds(NOBODY), 200)
        world.wait_until(
            lambda: any(a["uid"] == NOBODY and
                        a["verdict"] == "allow-audited"
                        for a in self.world.audit()), why="audit line")
        self.wait_newest(mode="audit")

    def broken_already(self):
        os.mkdir(self.world.path("rules"), 0o700)
        self.put("{")

    def polls(self):
        return sum("/secure-channel/status" in line[2]
                   for line in self.world.host_log())

    def test_file_is_tried_again_before_the_next_poll(self):
        """Three times, and not at three polls."""
        self.start(poll=1)
        before = self.polls()
        self.put("{")
        seen = []

        def failed():
            seen.append(self.polls())
            return "Apply fail-closed rules." in self.log()
        world.wait_until(failed, why="three attempts")
        self.assertLess(seen[-1], before + 3)

    def test_agent_that_starts_with_a_broken_file_lets_nobody_in(self):
        self.start(before=self.broken_already, wait=False)
        seen = []

        def closed():
            try:
                answer = self.world.get(INSTANCE, uid=NOBODY)
            except OSError:
                return False
            # None: reset when redirection began
            if answer and world.PASSED in answer.headers:
                seen.append(answer.status)
            return answer and answer.status == 403
        world.wait_until(closed, why="403")
        self.assertEqual(seen, [])


class Snapshots(Local):

    def setUp(self):
        self.start()

    def test_newest_snapshot_shows_what_is_in_force(self):
        self.put(file(users=["daemon"], id="mine"))
        self.wait_imds(200, 403)
        seen = self.wait_newest(id="sig-useLocalFileRules-true_mine")
        name = self.snapshots()[-1]
        st = os.stat(self.world.path("status", name))
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_uid), (0o644, 0))
        # what the platform's own tests look for
        self.assertIn(b"useLocalFileRules-true",
                      self.world.read("status", name))
        self.assertEqual(set(seen), {"inputRules", "computedRules"})
        for half in seen.values():
            self.assertEqual(set(half), {"imds", "wireserver", "hostga"})
        item = seen["inputRules"]["imds"]
        self.assertEqual(
            (item["defaultAccess"], item["mode"], item["id"]),
            ("deny", "enforce", "sig-useLocalFileRules-true_mine"))
        self.assertEqual(item["rules"]["privileges"],
                         [{"name": "p0", "path": "/"}])
        self.assertEqual(seen["computedRules"]["imds"], {
            "id": "sig-useLocalFileRules-true_mine", "defaultAllowed": False,
            "mode": "Enforce",
            "privileges": {"p0": {"name": "p0", "path": "/"}},
            "privilegeAssignments": {"p0": ["daemon"]},
            "identities": {"daemon": {"name": "daemon",
                                      "userName": "daemon"}}})
        self.assertEqual(seen["computedRules"]["wireserver"]["mode"],
                         "Enforce")
        self.assertEqual(seen["inputRules"]["hostga"],
                         seen["inputRules"]["wireserver"])

    def test_file_that_closes_is_seen_in_the_snapshot(self):
        self.put("{")
        self.wait_imds(403, 403)
        seen = self.wait_newest(defaultAccess="deny")
        self.assertEqual(seen["inputRules"]["imds"], {
            "defaultAccess": "deny", "mode": "enforce",
            "id": "sig-useLocalFileRules-true"})
        self.assertFalse(seen["computedRules"]["imds"]["defaultAllowed"])

    def test_five_snapshots_stay_and_hold_no_key(self):
        with open(self.world.path("status", "AuthorizationRules_mine.txt"),
                  "w", encoding="ascii"):
            pass
        for i in range(7):
            self.put(file(users=["daemon"], id=str(i)))
            world.wait_until(
                lambda: self.newest()["inputRules"]["imds"]["id"] ==
                f"sig-useLocalFileRules-true_{i}", why=f"snapshot {i}")
        self.assertEqual(len(self.snapshots()), 5)
        for name in self.snapshots():
            text = self.world.read("status", name)
            for key in self.world.key_hex():
                self.assertNotIn(key.lower().encode(), text.lower())
        # nothing else is deleted, nor left; the status may just be written
        self.assertEqual(
            sorted(set(os.listdir(self.world.path("status"))) -
                   {"status.json.tmp"}),
            [*self.snapshots(), "AuthorizationRules_mine.txt", "status.json"])

    def test_no_snapshot_without_a_change(self):
        before = self.snapshots()
        polls = len(list(self.world.host_log()))
        world.wait_until(
            lambda: len(list(self.world.host_log())) > polls + 5, why="polls")
        self.assertEqual(self.snapshots(), before)
