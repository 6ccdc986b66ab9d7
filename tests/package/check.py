#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: the directory that "make deb" has filled, root, and the first time the
network. Out: whether the packages do on a Debian machine, with its package and
service managers, what an owner expects. Must never use the machine's own.

    check.py DEBS [NAME...]    only cases whose name contains one of the words
    V=1                      name each case as it passes
"""
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(SOURCE, "tests", "live")]

import machine  # noqa: E402 - they are found through the line above
import run as live  # noqa: E402
import system  # noqa: E402

UNIT = "azure-proxy-agent.service"
CONFIG = "/etc/azure/proxy-agent.json"
URL = "http://169.254.169.254/metadata/instance?api-version=2021-02-01"
STATUS = "/var/log/azure-proxy-agent/status.json"
# who has which program may ask for what: names, programs and cgroups of others
# are seen through all that the unit hides
RULES = {"id": "package", "mode": "enforce", "defaultAccess": "deny", "rules": {
    "privileges": [{"name": "p", "path": "/metadata/instance"}],
    "roles": [{"name": "r", "privileges": ["p"]}],
    "identities": [{"name": "nobody", "userName": "nobody",
                    "exePath": "/usr/bin/curl"},
                   {"name": "root", "userName": "root"}],
    "roleAssignments": [{"role": "r", "identities": ["nobody", "root"]}]}}
OPEN = {"id": "open", "mode": "enforce", "defaultAccess": "allow"}
HOST = f"""
systemd-run --quiet --unit=host msp-host --wireserver 168.63.129.16:80 \
    --hostga 168.63.129.16:32526 --imds 169.254.169.254:80 \
    --control 127.0.0.1:3081 --profile imds=/root/imds.json \
    --profile wireserver=/root/wireserver.json --state /root/host.json"""

# As many as ask at a time, each connection for one request.
CLIENTS = 64
LOAD = f"""
rm -rf /root/load; mkdir /root/load
cat >/root/load.sh <<'END'
for i in $(seq {CLIENTS}); do
    while [ ! -e /root/load/end ]; do
        curl -s -m 60 -o /dev/null -w '%{{http_code}}\\n' -H Metadata:true \
            '{URL}' >>/root/load/$i
        sleep 1
    done &
done
wait
END
systemd-run --quiet --unit=load sh /root/load.sh"""


class Packages(unittest.TestCase):
    """One machine for all; in the order of their names."""

    debs = None
    system = None
    machine = None

    @classmethod
    def setUpClass(cls):
        cls.machine = m = machine.Machine(cls.system)
        cls.addClassCleanup(m.close)
        for deb in glob.glob(os.path.join(cls.debs, "*.deb")):
            m.copy_in(deb, "debs/" + os.path.basename(deb))
        for name, item in (("imds", RULES), ("wireserver", OPEN)):
            os.makedirs(m.path("root"), mode=0o700, exist_ok=True)
            with open(m.path("root", f"{name}.json"), "w",
                      encoding="ascii") as f:
                json.dump(item, f)
        m.boot()
        m.run("find / -xdev -path /var/cache -prune -o -path /var/log -prune "
              "-o -path '/var/lib/dpkg*' -prune -o -path '/root*' -prune -o "
              "-path '/tmp*' -prune -o -print | sort >/root/before")
        m.run("apt-get install -y /debs/libmsp0_* /debs/msp-host_*")
        m.run(HOST)

    def run_there(self, script):
        return self.machine.run(script)

    def show(self, name, unit=UNIT):
        return self.run_there(
            f"systemctl show --value -p {name} {unit}").strip()

    def ask(self, *prefix, args=""):
        return self.run_there(
            f"{' '.join(prefix)} curl {args} -s -m 10 -o /dev/null "
            f"-w '%{{http_code}}' -H Metadata:true '{URL}' || :").strip()

    def served(self):
        return self.ask() == "200"

    def wait_served(self):
        self.machine.wait_for(self.served, 20, "root is served")

    # ---- installed --------------------------------------------------------
    def test_10_install_starts_the_agent(self):
        self.begin_with_azures_agent()
        out = self.run_there("apt-get install -y /debs/mspd_* /debs/azure-*")
        self.assertNotIn("?", out)
        self.assertIn("50-CPUQuota.conf removed", out)
        self.assertEqual(self.show("CPUQuotaPerSecUSec"), "infinity")
        self.assertEqual(self.show("ActiveState"), "active")
        self.assertEqual(self.run_there(f"systemctl is-enabled {UNIT}"),
                         "enabled\n")
        self.assertIn("path=/usr/sbin/azure-proxy-agent ;",
                      self.show("ExecStart"))
        self.assertEqual(self.run_there("systemctl is-enabled mspd || :"),
                         "disabled\n")
        self.wait_served()

    def begin_with_azures_agent(self):
        """That is, a unit of its name, and what that agent does to it."""
        self.run_there(
            f"printf '[Service]\\nExecStart=/usr/bin/sleep infinity\\n' "
            f">/usr/lib/systemd/system/{UNIT}; systemctl start {UNIT}; "
            f"systemctl set-property {UNIT} CPUQuota=15%")
        self.assertEqual(self.show("CPUQuotaPerSecUSec"), "150ms")

    def test_11_cloud_init_may_go_on(self):
        self.assertEqual(
            self.run_there("azure-proxy-agent --status --wait 120"), "")

    def test_12_scripts_find_what_they_look_for(self):
        version = self.run_there("dpkg-query -W -f '${Version}' mspd")
        self.assertEqual(self.run_there("azure-proxy-agent --version"),
                         version.rpartition("-")[0] + "\n")
        self.assertIn("azure-proxy-agent", self.run_there(
            "tr '\\0' '\\n' </proc/$(pidof azure-proxy-agent)/cmdline"))
        self.machine.wait_for(lambda: self.latched() is not None, 20, "status")
        self.assertEqual(self.latched(),
                         "WireServer Enforce -  IMDS Enforce - HostGA Enforce")
        self.assertRegex(self.status()["timestamp"], r"^\d{4}-\d\d-\d\dT")

    def status(self):
        return json.loads(self.run_there(f"cat {STATUS}"))

    def latched(self):
        states = self.status()["proxyAgentStatus"]["keyLatchStatus"].get(
            "states", {})
        return states.get("secureChannelState") if states.get("keyGuid") \
            else None

    def test_13_files_are_roots_and_closed(self):
        for path, most in (("/var/lib/azure-proxy-agent/keys", 0o700),
                           ("/var/lib/azure-proxy-agent/keys/*.key", 0o600),
                           ("/var/log/azure-proxy-agent", 0o755),
                           ("/usr/sbin/azure-proxy-agent", 0o755),
                           (f"/usr/lib/systemd/system/{UNIT}", 0o644)):
            out = self.run_there(f"stat -c '%a %U %G' {path}").split()
            with self.subTest(path):
                self.assertEqual(int(out[0], 8) & ~most, 0, out[0])
                self.assertEqual(out[1:3], ["root", "root"])

    def test_14_hardening_leaves_what_the_agent_needs(self):
        nobody = "setpriv --reuid nobody --regid nogroup --clear-groups".split()
        self.assertEqual(self.ask(*nobody), "200")
        self.assertEqual(self.ask(args="--interface 10.1.2.3"), "200")
        self.run_there("cp /usr/bin/curl /usr/local/bin/other")
        self.assertEqual(self.run_there(
            f"{' '.join(nobody)} other -s -o /dev/null -w '%{{http_code}}' "
            f"-H Metadata:true '{URL}'").strip(), "403")
        record = json.loads(self.run_there(
            "tail -n 1 /var/log/azure-proxy-agent/audit.jsonl"))
        self.assertEqual((record["user"], record["exe"], record["exe_state"]),
                         ("nobody", "/usr/local/bin/other", "verified"))
        self.assertRegex(record["unit"], r"^run-")

    def test_15_hardening_is_there(self):
        pid = self.show("MainPID")
        out = self.run_there(f"cat /proc/{pid}/status")
        self.assertIn("Seccomp:\t2", out)
        self.assertIn("NoNewPrivs:\t1", out)
        # perfmon, bpf; sys_ptrace, net_admin, dac_read_search
        for name in ("CapEff", "CapPrm", "CapBnd"):
            self.assertIn(f"{name}:\t000000c000081004", out)
        for name in ("CapInh", "CapAmb"):
            self.assertIn(f"{name}:\t0000000000000000", out)
        self.assertEqual(self.show("MemorySwapMax"), "0")
        # what the unit refuses is not needed for the agent's own filter
        self.assertEqual(self.run_there(
            "grep -c -e 'cannot give' -e 'cannot filter' "
            "/var/log/azure-proxy-agent/ProxyAgent.log || :").strip(), "0")

    def test_16_the_serial_console_tells(self):
        self.assertIn(b"Started Redirector with eBPF maps - ",
                      self.machine.console)

    # ---- a restart --------------------------------------------------------
    def begin_load(self):
        self.run_there(LOAD)
        time.sleep(3)

    def end_load(self):
        """Which answers there were, and how many of each."""
        self.run_there("touch /root/load/end; while systemctl -q is-active "
                       "load; do sleep 0.2; done")
        return dict(reversed(line.split()) for line in self.run_there(
            "cat /root/load/[0-9]* | sort | uniq -c").splitlines())

    def test_17_what_is_needed_for_a_restart_is_kept(self):
        self.assertEqual(self.show("FileDescriptorStoreMax"), "16")
        self.assertEqual(self.show("NFileDescriptorStore"), "10")

    def test_18_nobody_is_refused_while_it_restarts(self):
        self.begin_load()
        for _ in range(3):
            before = self.show("MainPID")
            self.run_there(f"systemctl restart {UNIT}")
            self.assertNotEqual(self.show("MainPID"), before)
            self.assertEqual(self.show("NFileDescriptorStore"), "10")
        self.assertEqual(list(self.end_load()), ["200"])
        self.assertIn("as the agent before left it", self.run_there(
            "cat /var/log/azure-proxy-agent/ProxyAgent.log"))

    def test_19_nobody_goes_to_the_host_after_a_crash(self):
        self.begin_load()
        self.run_there(f"systemctl kill -s KILL {UNIT}")
        time.sleep(3)
        answers = self.end_load()
        # 000: was let in, and cut off
        self.assertLessEqual(set(answers), {"200", "000"})
        self.assertIn("200", answers)
        self.assertEqual(self.show("NFileDescriptorStore"), "10")

    # ---- trouble ----------------------------------------------------------
    def test_20_killed_it_is_back(self):
        self.run_there(f"systemctl kill -s KILL {UNIT}")
        self.wait_served()

    def test_21_one_that_hangs_is_ended_and_back(self):
        self.drop_in("[Service]\nWatchdogSec=2s")
        self.run_there(f"systemctl restart {UNIT}")
        self.wait_served()
        pid = self.show("MainPID")
        self.run_there(f"kill -STOP {pid}")
        self.machine.wait_for(
            lambda: self.show("MainPID") not in (pid, "0"), 30, "restarted")
        self.wait_served()
        self.assertIn("watchdog", self.run_there(f"journalctl -u {UNIT}"))
        self.drop_in("")

    def drop_in(self, text):
        self.run_there(f"mkdir -p /run/systemd/system/{UNIT}.d; printf '{text}'"
                       f" >/run/systemd/system/{UNIT}.d/test.conf; "
                       "systemctl daemon-reload")

    def test_22_wrong_configuration_is_not_tried_again(self):
        self.run_there(f"cp {CONFIG} /root/config; echo '{{' >{CONFIG}; "
                       f"systemctl restart {UNIT} || :")
        time.sleep(3)  # longer than RestartSec=
        self.assertEqual(self.show("ActiveState"), "failed")
        self.assertEqual(self.show("ExecMainStatus"), "78")
        self.assertEqual(self.show("NRestarts"), "0")
        self.assertIn(CONFIG, self.run_there(f"journalctl -u {UNIT} -n 5"))
        # nothing is kept, nor attached: to the host directly, unsigned
        self.assertEqual(self.show("NFileDescriptorStore"), "0")
        self.assertEqual(self.ask(), "401")
        self.run_there(f"cp /root/config {CONFIG}; systemctl restart {UNIT}")
        self.wait_served()

    def test_23_machine_goes_on_without_redirection(self):
        self.run_there(
            f"sed -i 's|{{|{{ \"cgroupPath\": \"/none\",|' {CONFIG}; "
            f"systemctl restart {UNIT}")
        self.assertEqual(self.show("ActiveState"), "active")
        self.assertIn("Failed to start redirector", self.show("StatusText"))
        self.run_there(f"cp /root/config {CONFIG}; systemctl restart {UNIT}")
        self.wait_served()

    # ---- changes ----------------------------------------------------------
    def test_30_upgrade_restarts_it_and_keeps_what_is_edited(self):
        self.run_there(f"sed -i 's/\"Info\"/\"Debug\"/' {CONFIG}")
        before = self.show("MainPID"), self.key()
        self.begin_load()
        self.run_there(
            "for p in libmsp0 mspd azure-proxy-agent-compat msp-host; do "
            "rm -rf /tmp/d; dpkg-deb -R /debs/${p}_* /tmp/d; "
            "sed -i 's/^Version: .*/Version: 99-1/; s/(= [^)]*)/(= 99-1)/g' "
            "/tmp/d/DEBIAN/control; dpkg-deb -b /tmp/d /tmp/$p.deb; done; "
            "apt-get install -y /tmp/*.deb; rm /tmp/*.deb")
        self.assertNotEqual(self.show("MainPID"), before[0])
        self.assertEqual(self.show("ActiveState"), "active")
        self.assertEqual(list(self.end_load()), ["200"])
        self.assertEqual(self.key(), before[1])
        self.assertIn('"Debug"', self.run_there(f"cat {CONFIG}"))

    def key(self):
        return self.run_there("ls /var/lib/azure-proxy-agent/keys/*.key")

    def test_31_the_other_unit_takes_its_place(self):
        self.run_there("systemctl start mspd")
        self.assertEqual(self.show("ActiveState"), "inactive")
        self.wait_served()
        self.run_there(f"systemctl start {UNIT}")
        self.assertEqual(self.show("ActiveState", "mspd"), "inactive")
        self.wait_served()

    def test_32_a_boot_waits_for_it_and_nothing_is_in_a_circle(self):
        self.machine.power_off()
        self.machine.boot()
        self.assertEqual(self.show("ActiveState"), "active")
        self.assertNotIn("cycle", self.run_there("journalctl -b _PID=1"))
        ours = int(self.show("ActiveEnterTimestampMonotonic"))
        target = int(self.show("ActiveEnterTimestampMonotonic",
                               "network-pre.target"))
        self.assertTrue(0 < ours <= target, (ours, target))

    # ---- gone -------------------------------------------------------------
    def test_40_remove_stops_it_and_keeps_the_keys(self):
        self.run_there("apt-get remove -y azure-proxy-agent-compat")
        self.assertEqual(self.run_there("pidof azure-proxy-agent || :"), "")
        # nothing redirects: the host answers what nobody has signed
        self.run_there("systemctl -q is-active host || {" + HOST + "\n}")
        self.machine.wait_for(lambda: self.ask() == "401", 20, "the host's")
        self.key()
        self.run_there(f"grep Debug {CONFIG}")

    def test_41_purge_leaves_nothing(self):
        self.run_there("apt-get purge -y azure-proxy-agent-compat mspd libmsp0 "
                       "msp-host")
        left = self.run_there(
            "find / -xdev -path /var/cache -prune -o -path /var/log -prune -o "
            "-path '/var/lib/dpkg*' -prune -o -path '/root*' -prune -o "
            "-path '/tmp*' -prune -o -print | sort | comm -13 /root/before -")
        self.assertEqual(re.findall(r".*(?:msp|azure).*", left), [])
        self.assertEqual(self.run_there(
            "ls -d /var/log/azure-proxy-agent 2>/dev/null || :"), "")

    # ---- not of the machine -----------------------------------------------
    def test_50_same_source_gives_the_same_packages(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(SOURCE, folder + "/elsewhere", symlinks=True,
                            ignore=lambda at, names: [
                                n for n in names if at == SOURCE and
                                n.startswith((".git", "build"))])
            subprocess.run(["make", "-s", "deb", f"O={folder}/out"], check=True,
                           cwd=folder + "/elsewhere", umask=0o077,
                           stdout=subprocess.DEVNULL,
                           env={**machine.ENV, "TZ": "Asia/Tokyo"})
            for deb in sorted(glob.glob(self.debs + "/*.deb")):
                other = f"{folder}/out/deb/{os.path.basename(deb)}"
                with self.subTest(os.path.basename(deb)):
                    self.assertEqual(digest(deb), digest(other))


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def main():
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        print("a machine to try packages on needs root and debootstrap")
        print("0 passed, 0 failed, 1 skipped")
        return 77
    Packages.debs = os.path.abspath(sys.argv[1])
    Packages.system = system.cached(
        os.path.dirname(Packages.debs) + "-machine", [
            *machine.PRESENT, *system.outside(sorted(glob.glob(
                Packages.debs + "/*.deb")))])
    result = live.Result()
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(Packages)
    unittest.TestSuite(live.wanted(tests, sys.argv[2:])).run(result)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.passed} passed, {failed} failed, "
          f"{len(result.skipped)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
