# SPDX-License-Identifier: MIT
"""
In: what an agent has on disk, what its host received, what its callers got.
Out: a sentence for each thing that must never be so, whatever happened. Must
never share a line with the programs that it judges, nor take nothing at all
for nothing wrong.
"""
import base64
import json
import os
import re
import stat
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "live"), os.path.join(HERE, "..",
                                                              "ctl")]

import chain  # noqa: E402 - found through the line above
import sign  # noqa: E402
import wire  # noqa: E402
import traffic  # noqa: E402
from world import IMDS, WIRESERVER  # noqa: E402

GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
KEY = re.compile(GUID + r"\.key")
MEMBERS = {"authorizationScheme", "guid", "incarnationId", "issued", "key"}
# What mspd(8) says anybody may read: neither has a secret.
PUBLIC = re.compile(r"listener|listener\.tmp|AuthorizationRules_[^/]*\.json"
                    r"|\.?AuthorizationRules_[^/]*\.tmp")
CLAIMS = b"x-ms-azure-host-claims"
KEY_CHANNEL = b"/secure-channel/"
# Written in place, line by line.
LOGS = re.compile(r".*\.(log|jsonl|tag)")
LOOK_S = 0.005
LEFT_OVER = 8  # temporary files at most that kills may leave


# ---- files -----------------------------------------------------------------
def whole_key(name, data):
    """What is wrong with a key file."""
    try:
        document = json.loads(data)
    except ValueError:
        return f"key file {name} is torn: {len(data)} bytes"
    if set(document) != MEMBERS or document["guid"] + ".key" != name:
        return f"key file {name} is not whole"
    if not re.fullmatch("[0-9A-Fa-f]{64}", document["key"]):
        return f"key file {name} has no key"
    return None


def whole_document(name, data):
    try:
        json.loads(data)
    except ValueError:
        return f"{name} is torn: {len(data)} bytes"
    return None


def whole_listener(name, data):
    if re.fullmatch(rb"127\.0\.0\.1:\d{1,5}\n?", data):
        return None
    return f"{name} is torn: {data!r}"


def judge(name):
    """What judges a file of that name; None: any bytes will do."""
    if KEY.fullmatch(name):
        return whole_key
    if name == "listener":
        return whole_listener
    if name.endswith(".json"):
        return whole_document
    return None


def read(path):
    """None: it went away, or another one took its place."""
    try:
        with open(path, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


def files(folder):
    """Faults of all files below."""
    temporary = 0
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            try:
                st = os.lstat(path)
            except FileNotFoundError:
                continue
            temporary += name.endswith(".tmp")
            if st.st_mode & 0o007 and not PUBLIC.fullmatch(name):
                yield (f"{name} is open to the world: "
                       f"{stat.S_IMODE(st.st_mode):04o}")
            check = judge(name)
            if not check or not stat.S_ISREG(st.st_mode):
                continue
            data = read(path)
            fault = data is not None and check(name, data)
            if fault:
                yield fault
    if temporary > LEFT_OVER:
        yield f"{temporary} temporary files are left over"


def folder_of_keys(folder):
    st = os.stat(folder)
    if stat.S_IMODE(st.st_mode) & 0o077:
        yield f"the key folder is open: {stat.S_IMODE(st.st_mode):04o}"


def lost_key(state, folder):
    """The host takes signatures of one key only; whoever lost that one is
    locked out until somebody resets it."""
    if not state.get("latched"):
        return
    guid = (state.get("guid") or "").lower()
    if guid + ".key" not in {n.lower() for n in os.listdir(folder)}:
        yield f"the host has latched key {guid}, which is not on disk"


class Keys:
    """All keys that ever were on disk; one that is not attested may go away as
    soon as another agent starts, so somebody has to look all the time."""

    def __init__(self, folder):
        self.folder = folder
        self.known = {}  # guid: bytes
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while not self.ended.wait(LOOK_S):
            self.look()

    def stop(self):
        self.ended.set()
        if self.thread.is_alive():
            self.thread.join()

    def look(self):
        try:
            names = os.listdir(self.folder)
        except OSError:
            return
        for name in names:
            guid = name[:-4].lower()
            if not KEY.fullmatch(name) or guid in self.known:
                continue
            data = read(os.path.join(self.folder, name))
            if data and not whole_key(name, data):
                self.known[guid] = bytes.fromhex(json.loads(data)["key"])


# ---- what the host received ------------------------------------------------
class Received:
    """Each request, put together from what the host recorded."""

    def __init__(self, path, keys):
        self.path, self.keys = path, keys
        self.read_to = 0
        self.rest = {}  # by connection
        self.signed = self.channel = self.direct = 0
        self.faults = []

    def poll(self):
        try:
            with open(self.path, "rb") as f:
                f.seek(self.read_to)
                data = f.read()
        except FileNotFoundError:
            return
        whole = data[:data.rfind(b"\n") + 1]
        self.read_to += len(whole)
        for line in whole.splitlines():
            entry = json.loads(line)
            self.take(entry["connection"], entry["endpoint"],
                      base64.b64decode(entry["bytes"], validate=True))

    def begin(self):
        """The host starts anew, and so do the numbers of connections."""
        self.poll()
        self.rest = {}

    def take(self, connection, endpoint, piece):
        data = self.rest.pop(connection, b"") + piece
        while data:
            try:
                request, data = wire.parse_request(data)
            except wire.Incomplete:
                self.rest[connection] = data
                return
            except wire.Malformed as e:
                self.faults.append(f"the host received what is no request: "
                                   f"{e}: {data[:200]!r}")
                return
            fault = self.judge(endpoint, request)
            if fault:
                self.faults.append(f"{fault}: {request.method.decode()} "
                                   f"{request.target[:200]!r}")

    def judge(self, endpoint, request):
        """What is wrong with it; what has no claims no agent has sent."""
        try:
            claim = sign.claimed(request)
        except wire.Malformed:
            return "the host received a malformed signature"
        claims = wire.values(request.headers, CLAIMS)
        if request.target.startswith(KEY_CHANNEL):
            self.channel += 1
            return self.signature(request, claim) if claim and \
                self.key(claim) else None
        if not claims and not claim:
            self.direct += 1
            return None
        if not claim:
            return "the agent sent a request without a signature"
        return self.signature(request, claim) or \
            self.identity(endpoint, request, claims)

    def key(self, claim):
        """None: nobody has seen it on disk. Of an attestation that was refused
        it is there for a moment only, and the host has none to ask for."""
        guid = claim[0].decode().lower()
        if guid not in self.keys.known:
            self.keys.look()
        return self.keys.known.get(guid)

    def signature(self, request, claim):
        self.signed += 1
        key = self.key(claim)
        if key is None:
            return f"signed with key {claim[0].decode()}, which never was " \
                "on disk"
        if sign.signature(request, key) != claim[1]:
            return "the signature is wrong"
        return None

    @staticmethod
    def identity(endpoint, request, claims):
        """Who asks says so in the query."""
        path, _, query = request.target.decode("latin-1").partition("?")
        who = re.search(r"(?:^|&)who=(\d+)(?:&|$)", query)
        address = IMDS if endpoint == "IMDS" else WIRESERVER
        if not who:
            return None  # of who drives the test
        owner = traffic.OWNERS.get((address, path))
        if owner != int(who[1]):
            return f"uid {who[1]} was taken for uid {owner}"
        root = b"true" if who[1] == "0" else b"false"
        if claims != [b'{ "isRoot": "%s"}' % root]:
            return f"the claims of uid {who[1]} are not its own: {claims}"
        return None

    def taken(self):
        """Faults since the last time."""
        faults, self.faults = self.faults, []
        return faults


# ---- the audit trail -------------------------------------------------------
class Trail:
    """Line by line, whoever writes meanwhile: only what ends is looked at, and
    what was looked at has to stay."""

    def __init__(self, folder):
        self.folder = folder
        self.inode = None
        self.at = 0
        self.number, self.before, self.part = 0, chain.ZERO, None
        self.records = self.torn = 0
        self.faults = []

    def names(self):
        found = sorted(n for n in os.listdir(self.folder)
                       if n.startswith("audit.jsonl."))
        return found + ["audit.jsonl"]

    def poll(self):
        """All that came, over as many files as it did."""
        try:
            names = [n for n in self.names()
                     if os.path.exists(os.path.join(self.folder, n))]
        except FileNotFoundError:
            return
        inodes = [os.stat(os.path.join(self.folder, n)).st_ino
                  for n in names]
        first = 0
        if self.inode is not None:
            if self.inode not in inodes:
                self.faults.append("the trail that was read is gone")
                self.inode = None
                return
            first = inodes.index(self.inode)
        for name, inode in list(zip(names, inodes))[first:]:
            if inode != self.inode:
                self.inode, self.at = inode, 0
            self.drain(os.path.join(self.folder, name))

    def drain(self, path):
        with open(path, "rb") as f:
            if os.fstat(f.fileno()).st_size < self.at:
                self.faults.append("records were cut off the trail")
                self.at = 0
            f.seek(self.at)
            data = f.read()
        whole = data[:data.rfind(b"\n") + 1]
        self.at += len(whole)
        for line in whole.split(b"\n")[:-1]:
            self.take(line)

    def take(self, line):
        place = chain.LINK.search(line, max(0, len(line) - 60))
        if not place or place.end() != len(line):
            if self.part is not None:
                self.faults.append(f"no record: {line[:120]!r}")
            self.part = line
            return
        torn = chain.TORN.match(line)
        if self.part is not None and not torn:
            self.faults.append(f"nobody owns to {self.part[:120]!r}")
        behind = self.before
        if self.part is not None and torn:
            behind = chain.torn(self.part, behind)
            self.torn += 1
        number, text = int(place[1]), line[:place.start(2)]
        if number != self.number + 1 or \
                chain.digits(behind, text) != place[2]:
            self.faults.append(f"record {number} is not tied to record "
                               f"{self.number}")
        self.number, self.before, self.part = number, place[2], None
        if not torn:
            self.records += 1
            self.who(json.loads(line))

    def who(self, record):
        """What was allowed was its owner's to ask. Who asks while the agent
        holds no rules is told that there is no key, whatever he asks."""
        if (record.get("reason"), record.get("status"), record.get("epoch"),
                record.get("rule")) == ("no-rules", 503, 0, ""):
            return
        path = (record.get("path") or "").partition("?")[0]
        owners = traffic.OWNERS_OF_PATH.get(path)
        if owners and record.get("verdict") == "allow" and \
                record.get("uid") not in owners:
            self.faults.append(f"uid {record.get('uid')} was allowed {path}: "
                               f"record {self.number}")

    def taken(self):
        faults, self.faults = self.faults, []
        return faults


def verified(build, folder):
    """What mspctl says of the trail; one torn line may be being written."""
    names = sorted(n for n in os.listdir(folder)
                   if n.startswith("audit.jsonl."))
    done = subprocess.run(
        [os.path.join(build, "mspd", "ctl", "mspctl"), "audit", "verify",
         "--json", *(os.path.join(folder, n)
                     for n in names + ["audit.jsonl"])],
        env={**os.environ, "LD_LIBRARY_PATH": build},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        return [f"mspctl audit verify: {done.returncode} "
                f"{done.stderr[-300:]!r}"]
    return [f"mspctl audit verify: {b}" for b in answer["breaks"]
            if b["what"] != "torn"]
