# SPDX-License-Identifier: MIT
"""
In: a machine of files with a secret of every kind in every place. Out: whether
the file that collect writes has all there is to know, and not one of them. Must
never be content with half a secret gone.
"""
import base64
import io
import json
import os
import random
import stat
import tarfile

from doctoring import CLOUD_INIT, GUID, KEYS, PID, Agent, Machine

LOG = "var/log/azure-proxy-agent"
# So much of a secret in a row is too much.
PIECE = 12
FILE = 512 * 1024


class Secrets:
    """New ones of each kind, remembered."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.all = []

    def text(self, n, alphabet="abcdefghijkmnopqrstuvwxyz"
             "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"):
        out = "".join(self.random.choice(alphabet) for _ in range(n))
        self.all.append(out)
        return out

    def base64(self, n):
        out = base64.b64encode(self.random.randbytes(n)).decode()
        self.all.append(out)
        return out

    def url64(self, n):
        out = base64.urlsafe_b64encode(self.random.randbytes(n))
        self.all.append(out.decode().rstrip("="))
        return self.all[-1]

    def hex(self):
        return self.text(64, "0123456789ABCDEF")

    def jwt(self):
        return (f"eyJhbGciOiJSUzI1NiJ9.eyJ{self.url64(60)}."
                f"{self.url64(80)}")

    def lines(self):
        """One line of each kind, as logs and documents have them."""
        return [
            f"key {self.hex()} latched",
            f"key {self.hex().lower()} latched",
            f'{{"key":"{self.hex()}","guid":"{GUID}"}}',
            f"GET /c/b?sv=2021&sig={self.text(43)}%3D&se=1 200",
            f"DefaultEndpointsProtocol=https;AccountKey={self.base64(64)};x=1",
            f"Server=a;Password={self.text(20)};Database=b",
            f'{{"password":"{self.text(20)}"}}',
            f'{{"clientSecret": "{self.text(24)}", "a": 1}}',
            f"Authorization: Bearer {self.jwt()}",
            f"authorization: Azure-HMAC-SHA256 {GUID} {self.hex()}",
            f"https://user:{self.text(20)}@example.com/x",
            f'"access_token":"{self.jwt()}","expires_in":1',
            f"app --db-password {self.text(20)} --verbose",
            f"curl -u admin:{self.text(20)} http://x/",
            f"mysql -p{self.text(20)} -h db",
            f"AZURE_CLIENT_SECRET={self.text(30)}",
            f"cloned with ghp_{self.text(36)} in 3 s",
            f"gho_{self.text(36)}",
            f"x/github_pat_{self.text(22)}_{self.text(59)}/y",
            f"Cookie: session={self.text(24)}; other={self.text(20)}",
            f"set-cookie: id={self.text(24)}; Path=/; HttpOnly",
            f'{{"customData": "{self.base64(60)}","userData":'
            f'"{self.base64(30)}"}}',
            f"user-data = {self.base64(45)}",
            f"the password 7{self.text(20)} was refused",
            f"passphrase '7{self.text(20)}'"]

    def pem(self, n=20):
        return ("-----BEGIN RSA PRIVATE KEY-----\n" +
                "".join(self.base64(48) + "\n" for _ in range(n)) +
                self.base64(21) + "\n" +
                "-----END RSA PRIVATE KEY-----\n")

    def found_in(self, data):
        """Pieces of a secret that are there."""
        pieces = {secret[i:i + PIECE].encode() for secret in self.all
                  for i in range(len(secret) - PIECE + 1)}
        return [data[i:i + PIECE] for i in range(len(data))
                if data[i:i + PIECE] in pieces]


def record(path):
    return json.dumps({"time": "2026-11-21T11:05:23.108000Z", "path": path})


def renamed(second):
    """End of the name of a log that was full."""
    return (f"2026-11-21T11.05.0{second}.000-179525910{second}"
            "000000000.log")


def plant(machine, secrets):
    """Secrets in each file that is collected, around words that must stay."""
    text = lambda: "\n".join(secrets.lines()) + "\n"  # noqa: E731
    padding = "nothing to hide\n" * (FILE // 15)
    machine.put(f"{LOG}/ProxyAgent.log",
                padding + secrets.pem(400) + text() + secrets.pem() +
                "the end of the log\n" + "x" * 16380 + " sig=" +
                secrets.text(40) + "\n")
    machine.put(f"{LOG}/ProxyAgent.Connection.log",
                secrets.pem(9000) + text() + "the end of connections\n")
    machine.put(f"{LOG}/audit.jsonl", "".join(
        record(line) + "\n" for line in secrets.lines()) +
        record("/the/end/of/records") + "\n")
    machine.put(f"{LOG}/audit.jsonl.{renamed(1)}", "the oldest\n")
    machine.put(f"{LOG}/audit.jsonl.{renamed(2)}",
                text() + record("/the/record/before") + "\n")
    machine.put(f"{LOG}/audit.jsonl.z.log", "somebody else's\n")
    machine.put(f"{LOG}/ProxyAgent.log.{renamed(1)}", "long ago\n")
    machine.report["proxyAgentStatus"]["keyLatchStatus"]["message"] = text()
    machine.status["message"] = "; ".join(secrets.lines())
    machine.status["endpoints"][0]["rules"]["id"] = secrets.lines()[9]
    machine.put("etc/azure/proxy-agent.json", json.dumps({
        "logFolder": "/var/log/azure-proxy-agent",
        "latchKeyFolder": "/var/lib/azure-proxy-agent/keys",
        "pollKeyStatusIntervalInSeconds": 15,
        **{f"note{i}": line for i, line in enumerate(secrets.lines())}},
        indent=1))
    machine.put(f"proc/{PID}/cgroup", "0::/x\n" + secrets.base64(60) + "\n")
    machine.put(f"{KEYS}/{GUID}.key", json.dumps(
        {"key": secrets.hex(), "other": secrets.text(40)}), 0o600)
    machine.put(f"{KEYS}/../rules/IMDS_Rules.json", text())
    machine.put(f"{LOG}/AuthorizationRules_2.json", text())
    machine.put(f"{LOG}/AuthorizationRules_1.json", "an old one")
    machine.put(f"proc/{PID}/cmdline", "mspd\0--config\0" + "\0".join(
        secrets.lines()) + "\0")
    machine.put(f"proc/{PID}/environ", "".join(
        f"NAME{i}={secrets.text(30)} {line}\0"
        for i, line in enumerate(secrets.lines())))
    machine.put(f"proc/{PID}/limits", text())
    # the middle of a secret is where it is cut
    machine.put(f"proc/{PID}/mountinfo", "Authorization: Bearer " +
                secrets.text(4000, "abcdefg~.!234567") + "\n" +
                "x\n" * ((FILE - 2000) // 2))
    machine.put("proc/cmdline", " ".join(secrets.lines()[5:8]))
    machine.put("usr/lib/os-release", text())
    os.symlink("../usr/lib/os-release", machine.path("etc/os-release"))
    machine.put("usr/lib/systemd/system/mspd.service", "[Service]\n" + "".join(
        f"Environment=\"{line}\"\n" for line in secrets.lines()))
    machine.put("var/log/cloud-init.log", "".join(
        f"azure-proxy-agent {line}\n{line}\n" for line in secrets.lines()) +
        "user-data: " + secrets.text(40) + "\n")
    machine.put("var/lib/dpkg/status", "Package: mspd\nStatus: installed\n"
                f"Version: 0.1.0\nConffiles: {secrets.text(30)}\n\n"
                f"Package: other\nVersion: {secrets.text(30)}\n")
    # what somebody else may have left there
    os.symlink(machine.path(f"{KEYS}/{GUID}.key"),
               machine.path(f"{KEYS}/../rules/WireServer_Rules.json"))


def collect(ctl, machine, name):
    """Exit status, members by name without their folder, path, bytes."""
    machine.put(f"{LOG}/status.json", json.dumps(machine.report, indent=2))
    os.makedirs(machine.path("run/mspd"), exist_ok=True)
    here = os.getcwd()
    agent = Agent(machine.path("run/mspd/control.sock"),
                  json.dumps(machine.status).encode() + b"\n")
    os.chdir(here)
    path = os.path.join(ctl.dir, name)
    try:
        status, out, err = ctl.run("collect", "--root", machine.root,
                                   "--output", path)
    finally:
        agent.close()
        machine.remove("run/mspd/control.sock")
    if status:
        return status, {}, path, (out + err).encode()
    with open(path, "rb") as file:
        data = file.read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return status, {m.name.split("/", 1)[1]: tar.extractfile(m).read()
                        for m in tar.getmembers()}, path, data


WANTED = {
    "doctor.json": b'"cloud-init"', "doctor.txt": b"ok    btf",
    "agent/config.json": b"pollKeyStatusIntervalInSeconds",
    "agent/control.json": b'"clockSkewSeconds"',
    "agent/status.json": b"ebpfProgramStatus",
    "agent/AuthorizationRules.json": b"latched",
    "agent/IMDS_Rules.json": b"latched", "agent/keys.txt": GUID.encode(),
    "agent/ProxyAgent.log": b"the end of the log",
    "agent/ProxyAgent.Connection.log": b"the end of connections",
    "agent/audit.jsonl": b"/the/end/of/records",
    "agent/audit.jsonl.before": b"/the/record/before",
    "process/status": b"CapEff", "process/cmdline": b"mspd --config",
    "process/environ": b"NAME3\n", "process/limits": b"latched",
    "machine/os-release": b"latched", "machine/cmdline": b"=",
    "machine/mspd.service": b"Environment=",
    "machine/cloud-init.log": b"azure-proxy-agent",
    "machine/packages.txt": b"Package: mspd\nStatus: installed\n"
                            b"Version: 0.1.0\n",
    "README": b"agent/ProxyAgent.log: its end"}


def check_secrets(ctl):
    for seed in range(2):
        machine = Machine(ctl, "planted")
        secrets = Secrets(seed)
        plant(machine, secrets)
        status, members, path, data = collect(ctl, machine, f"{seed}.tar")
        ctl.claim(f"collect_writes_a_tar_file_{seed}", status == 0,
                  data[:500])
        ctl.claim(f"collect_has_what_is_to_be_known_{seed}",
                  all(part in members.get(name, b"")
                      for name, part in WANTED.items()),
                  [name for name, part in WANTED.items()
                   if part not in members.get(name, b"")])
        ctl.claim(f"collect_goes_back_if_a_log_is_short_{seed}",
                  "agent/ProxyAgent.log.before" not in members and
                  "agent/ProxyAgent.Connection.log.before" not in members,
                  sorted(members))
        ctl.claim(f"collect_has_no_secret_{seed}",
                  not secrets.found_in(data),
                  [(name, secrets.found_in(member)[:3])
                   for name, member in members.items()
                   if secrets.found_in(member)])
        ctl.claim(f"collect_is_its_owners_{seed}", status == 0 and
                  stat.S_IMODE(os.stat(path).st_mode) == 0o600)
        ctl.claim(f"collect_is_bounded_{seed}", len(data) < 9 << 20, len(data))


def check_file(ctl):
    machine = Machine(ctl, "file")
    status, members, path, data = collect(ctl, machine, "a.tar")
    ctl.claim("collect_reads_back", status == 0 and "README" in members)
    before = os.stat(path).st_ino
    status, _, _, err = collect(ctl, machine, "a.tar")
    ctl.claim("collect_overwrites_nothing", status == 2 and
              b"File exists" in err and os.stat(path).st_ino == before, err)
    os.symlink(os.path.join(ctl.dir, "elsewhere"),
               os.path.join(ctl.dir, "link.tar"))
    status, _, _, err = collect(ctl, machine, "link.tar")
    ctl.claim("collect_follows_no_link", status == 2 and not os.path.exists(
        os.path.join(ctl.dir, "elsewhere")), err)
    status, out, err = ctl.run("collect", "--root", machine.root,
                               "--output", "/dev/full/x")
    ctl.claim("collect_says_what_it_cannot_write", status == 2 and
              "/dev/full" in err, out + err)
    status, out, err = ctl.run("collect", "--root", machine.root)
    ctl.claim("collect_names_its_file", status == 0 and
              out.startswith("mspctl-collect-") and
              os.path.exists(os.path.join(ctl.dir, out.strip())), out + err)
    for args in (["x"], ["--nothing"], ["--output"]):
        ctl.expect(f"collect_usage_{args[0]}", ["collect", *args], 64)
    del data


def check_odd(ctl):
    """A machine on which nothing is as it should be."""
    machine = Machine(ctl, "odd")
    os.mkfifo(machine.path("proc/cmdline"))
    os.makedirs(machine.path(f"{LOG}/ProxyAgent.log"))
    machine.put("etc/os-release", "\x00\x01\xff\x1b[31m" * 1000)
    machine.put(f"{LOG}/audit.jsonl", "x" * (3 << 20))
    machine.remove(f"{CLOUD_INIT}/version.py")
    status, members, _, data = collect(ctl, machine, "odd.tar")
    ctl.claim("collect_passes_over_what_is_no_file", status == 0 and
              "machine/cmdline" not in members and
              "agent/ProxyAgent.log" not in members, data[:300])
    ctl.claim("collect_says_what_is_missing",
              b"machine/cmdline: Invalid argument" in members["README"],
              members.get("README"))


def check_root(ctl):
    """Links and dots of an image lead to what is in it."""
    machine = Machine(ctl, "image")
    ctl.file("os-release", "of this machine")
    machine.put("inside/os-release", "of the image")
    machine.remove("etc/azure/proxy-agent.json")
    machine.put("etc/mspd/mspd.json", json.dumps({
        "logFolder": "/../" * 20 + ctl.dir, "latchKeyFolder": f"/{KEYS}",
        "pollKeyStatusIntervalInSeconds": 15,
        "statusFolder": f"/{LOG}"}))
    ctl.file("ProxyAgent.log", "of this machine")
    os.rename(machine.path("proc"), machine.path("inside/proc"))
    os.symlink("/inside/proc", machine.path("proc"))
    os.symlink(f"{ctl.dir}/os-release", machine.path("etc/os-release"))
    os.symlink(ctl.dir, machine.path("usr/lib/systemd"))
    _, members, _, data = collect(ctl, machine, "image.tar")
    ctl.claim("collect_stays_below_its_root",
              b"of this machine" not in data, sorted(members))
    ctl.claim("collect_follows_folders_below_its_root",
              b"nodev" in members.get("machine/filesystems", b""),
              members.get("README"))


def run(ctl):
    check_root(ctl)
    check_secrets(ctl)
    check_file(ctl)
    check_odd(ctl)
