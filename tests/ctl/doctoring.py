# SPDX-License-Identifier: MIT
"""
In: machines made up of files, each with one thing wrong. Out: whether doctor
finds that, and nothing else, and says what the documentation of MSP says helps.
Must never need root, nor look at the machine it runs on.
"""
import json
import os
import re
import shutil
import socket
import threading

IMAGE = "opt out of MSP, upgrade the OS image"
MOUNT = 'grubby --update-kernel=ALL --args="systemd.unified_cgroup_hierarchy=1"'
KEY = "keyIncarnationId"
PID = 4711
GUID = "e3882f98-da8d-4410-8394-06c23462781c"
KEYS = "var/lib/azure-proxy-agent/keys"
CLOUD_INIT = "usr/lib/python3/dist-packages/cloudinit"
WANTS = "etc/systemd/system/multi-user.target.wants"
HOOKS = {10: "connect4", 11: "connect6", 8: "bind4", 9: "bind6",
         29: "getpeername4", 30: "getpeername6"}

# Errors as the documentation has them, and what it says helps.
ERRORS = (
    ("Failed to load program 'connect4' with error: the BPF_PROG_LOAD syscall "
     "failed. Verifier output: ; int connect4(", IMAGE),
    ("Failed to attach program 'connect4' with error: `bpf_link_create` failed",
     MOUNT),
    ("Linux.OSProvisioningInternalError", "cloud-init 24.3"),
    ("`Linux.Cloud-Init` failed because `azure-proxy-agent` is not found.",
     "install the agent"),
    ("Linux.Cloud-Init failed due to azure-proxy-agent not found",
     "install the agent"),
    ("azure-proxy-agent status failure", "mspctl doctor"),
    ("Failed to acquire key details: Key(KeyResponse(\"acquire\", 403))", KEY),
    ("Key error: Failed to attest key with status code: 403 Forbidden", KEY),
    ("Failed to check local key with error: Local key guid or key value is "
     "not matched.", KEY),
    ("IO error: Failed to bind TcpListener '127.0.0.1:3080': Address in use",
     "end what has the port"),
    ("Failed to open cgroup '/sys/fs/cgroup' with error: x", MOUNT),
    ("Failed to get response from http://168.63.129.16:80/secure-channel/status"
     ", status code: 500 Internal Server Error", "168.63.129.16"),
    ("ProxyAgentNotSupportedInRegion", "supported region"),
    ("SubscriptionNotEnabledForProxyAgentFeature", "register the feature flag"),
    ("The property `securityProfile.proxyAgentSettings.wireServer."
     "inVMAccessControlProfileReferenceId` can't be used together with property "
     "`securityProfile.proxyAgentSettings.wireServer.mode'`",
     "fix the parameter"),
    ("The value `securityProfile.proxyAgentSettings.keyIncarnationId` can only "
     "be incremented.", "fix the parameter"),
    ("The value of parameter `securityProfile.proxyAgentSettings.imds.mode` is "
     "invalid.", "Audit, Enforce (Enable in some texts) or Disabled"),
    ("The value of parameter `securityProfile.proxyAgentSettings.wireServer."
     "mode` is invalid.", "Audit, Enforce (Enable in some texts) or Disabled"),
    ("The resource id 'x' isn't a valid gallery `inVMAccessControlProfile` "
     "reference.", "fix the parameter value"),
    ("GalleryInVMAccessControlProfileNotMatchOSDisk",
     "fix the parameter value"),
    ("GalleryInVMAccessControlProfileNotMatchHostEndpointType",
     "fix the parameter value"),
    ("InVMAccessControlProfileNotFound: The gallery `InVMAccessControlProfile` "
     "'x' isn't available.", "replicated in the regions"),
    ("InVMAccessControlProfileNotFound: Failed to prepare the "
     "`InVMAccessControlProfile` 'x' metadata for one or more resources due to "
     "an error: 'y'.", "create a new profile and start over"),
)


def endpoint(name, **more):
    return {"name": name, "mode": "enforce", "redirection": "enforce",
            "rules": {"id": "x", "epoch": 1, "source": "host", "findings": {
                "errors": 0, "warnings": 0, "texts": []}}, **more}


STATUS = {
    "version": "0.1.0", "pid": PID, "state": "SUCCESS", "healthy": True,
    "message": "Found key details from local and ready to use. - 122",
    "endpoints": [endpoint(n) for n in ("wireserver", "imds", "hostga")],
    "key": {"present": True, "guid": GUID,
            "stored": f"/{KEYS}/{GUID}.key"},
    "host": {"ageSeconds": 3, "clockSkewSeconds": 0},
    "audit": {"queueBytes": 0, "failed": False}}


class Agent:
    """Who answers at the control socket of a machine."""

    def __init__(self, path, answer):
        self.socket = socket.socket(socket.AF_UNIX)
        os.chdir(os.path.dirname(path))  # an address has 107 bytes
        self.socket.bind(os.path.basename(path))
        self.socket.listen()
        self.answer = answer
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:  # closed
                return
            with client:
                client.recv(256)
                client.sendall(self.answer)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


class Machine:
    """Files of a machine on which all is well."""

    def __init__(self, ctl, name):
        self.root = os.path.join(ctl.dir, name)
        shutil.rmtree(self.root, ignore_errors=True)
        self.agent = None
        self.put("proc/filesystems", "nodev\tsysfs\nnodev\tcgroup2\n")
        self.put("proc/self/mountinfo",
                 "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
                 "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
        self.put("sys/kernel/btf/vmlinux", "x")
        self.put("sys/kernel/security/lockdown",
                 "[none] integrity confidentiality\n")
        self.put(f"proc/{PID}/status", "Name:\tmspd\nCapEff:\t000000c000081004"
                 "\nCapBnd:\t000000c000081004\nNoNewPrivs:\t1\n"
                 "Seccomp:\t2\n")
        for fd, hook in enumerate(HOOKS):
            self.hook(fd, hook)
        self.put("etc/azure/proxy-agent.json", json.dumps({
            "logFolder": "/var/log/azure-proxy-agent",
            "latchKeyFolder": "/var/lib/azure-proxy-agent/keys",
            "pollKeyStatusIntervalInSeconds": 15}))
        self.report = {
            "timestamp": "2026-11-22T11:23:00.694", "proxyAgentStatus": {
                "version": "0.1.0", "status": "SUCCESS",
                **{name: {"status": "RUNNING", "message": "fine"} for name in (
                    "keyLatchStatus", "ebpfProgramStatus",
                    "proxyListenerStatus")}}}
        self.put(f"{KEYS}/{GUID}.key", "secret", 0o600)
        self.put(f"{KEYS}/status.tag", "", 0o600)
        os.chmod(self.path(KEYS), 0o700)
        self.put("usr/sbin/azure-proxy-agent", "\x7fELF libmsp.so.0\0")
        self.put(f"{CLOUD_INIT}/version.py", '__VERSION__ = "24.3.1"\n')
        self.put(f"{CLOUD_INIT}/sources/DataSourceAzure.py",
                 'cmd = ["azure-proxy-agent", "--status"]\n')
        os.makedirs(self.path("run/systemd/system"))
        self.put(f"{WANTS}/azure-proxy-agent.service", "")
        self.status = json.loads(json.dumps(STATUS))

    def module(self, name, status, message):
        self.report["proxyAgentStatus"]["status"] = "ERROR"
        self.report["proxyAgentStatus"][name].update(
            status=status, message=message)

    def path(self, name):
        return os.path.join(self.root, name)

    def put(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)

    def remove(self, name):
        os.unlink(self.path(name))

    def hook(self, fd, kind, cgroup=1):
        self.put(f"proc/{PID}/fdinfo/{40 + fd}",
                 f"pos:\t0\nlink_type:\tcgroup\nlink_id:\t{fd}\n"
                 f"cgroup_id:\t{cgroup}\nattach_type:\t{kind}\n")

    def run(self, ctl, answer=None):
        """Exit status, and the findings that are not ok, by name."""
        os.makedirs(self.path("run/mspd"), exist_ok=True)
        if self.report:
            self.put("var/log/azure-proxy-agent/status.json",
                     json.dumps(self.report))
        here = os.getcwd()
        agent = None
        if answer is None:
            answer = json.dumps(self.status).encode() + b"\n"
        if answer:
            agent = Agent(self.path("run/mspd/control.sock"), answer)
            os.chdir(here)
        try:
            status, out = ctl.json("doctor", "--root", self.root, "--json")
        finally:
            if agent:
                agent.close()
                self.remove("run/mspd/control.sock")
        return status, {c["name"]: c for c in out.get("checks", [])
                        if c["result"] != "ok"}, out


def change_nothing(m):
    del m


def old_kernel(m):
    m.put("proc/filesystems", "nodev\tsysfs\nnodev\tcgroup\n")


def no_mount(m):
    m.put("proc/self/mountinfo",
          "41 31 0:38 / /sys/fs/cgroup rw - cgroup cgroup rw,cpu\n")


def part_mounted(m):
    m.put("proc/self/mountinfo",
          "41 31 0:38 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")


def no_btf(m):
    m.remove("sys/kernel/btf/vmlinux")


def confidential(m):
    m.put("sys/kernel/security/lockdown",
          "none integrity [confidentiality]\n")


def detached(m):
    m.hook(0, 10, cgroup=0)


def not_attached(m):
    m.remove(f"proc/{PID}/fdinfo/41")


def without_capability(m):
    m.put(f"proc/{PID}/status", "CapEff:\t0000004000081004\n")


def with_all_capabilities(m):
    m.put(f"proc/{PID}/status", "CapEff:\t000001ffffffffff\n"
          "NoNewPrivs:\t1\nSeccomp:\t2\n")


def without_filter(m):
    m.put(f"proc/{PID}/status", "CapEff:\t000000c000081004\n"
          "NoNewPrivs:\t1\nSeccomp:\t0\n")


def bad_config(m):
    m.put("etc/azure/proxy-agent.json", '{"logFolder": 7}')


def strange_config(m):
    m.put("etc/azure/proxy-agent.json", json.dumps({
        "logFolder": "/var/log/azure-proxy-agent", "other": 1,
        "latchKeyFolder": "/var/lib/azure-proxy-agent/keys",
        "pollKeyStatusIntervalInSeconds": 15}))


def key_refused(m):
    m.status.update(healthy=False, state="ERROR", message=(
        'Failed to acquire key details: Key(KeyResponse("acquire", 403))'))


def host_unreachable(m):
    m.status["host"]["failure"] = (
        "Failed to get key status - Connection timed out (os error 110)")


def key_folder_in_use(m):
    m.status["host"]["failure"] = (
        "Failed to lock the key folder: '/x' is in use by another agent, "
        "process 7")


def key_folder_not_lockable(m):
    m.status["host"]["failure"] = (
        "Failed to lock the key folder: cannot lock '/x': Input/output error")


def key_file_unreadable(m):
    m.status["host"]["failure"] = (
        "Failed to fetch local key details with error: key file 'x.key': "
        "line 1. Will try acquire the key details from Server.")


def key_file_not_what_was_written(m):
    m.status["host"]["failure"] = (
        f"Failed to check the key '{GUID}' details saved locally: not equal")


def failure_that_is_not_known(m):
    m.status["host"]["failure"] = "Failed to do what nobody knows"


def message_that_is_not_known(m):
    m.status.update(healthy=False, state="ERROR",
                    message="Failed to do what nobody knows")


def host_silent(m):
    m.status["host"]["ageSeconds"] = 3600


def clock_behind(m):
    m.status["host"]["clockSkewSeconds"] = 7200


def clock_a_little_ahead(m):
    m.status["host"]["clockSkewSeconds"] = -60


def enabled_but_not_applied(m):
    m.status["endpoints"][1]["redirection"] = "off"


def rules_refused(m):
    m.status["endpoints"][1]["rules"].update(
        source="last good", findings={"errors": 1, "warnings": 0, "texts": [
            "/defaultAccess: unknown word"]})


def rules_doubtful(m):
    m.status["endpoints"][1]["rules"]["findings"].update(
        warnings=2, texts=["/identities/0: matches everyone"])


def trail_not_written(m):
    m.status["audit"].update(failed=True, lastError="No space left on device")


def program_not_loaded(m):
    m.module("ebpfProgramStatus", "STOPPED", ERRORS[0][0])


def cgroup_not_attached(m):
    no_mount(m)
    m.module("ebpfProgramStatus", "STOPPED", ERRORS[1][0])


def cgroup_mounted_meanwhile(m):
    m.module("ebpfProgramStatus", "STOPPED", ERRORS[1][0])


def status_of_gpa_whose_redirector_failed(m):
    no_mount(m)
    m.module("ebpfProgramStatus", "UNKNOWN",
             "Failed to start redirector: Failed to open cgroup "
             "'/sys/fs/cgroup' with error: x")


def key_not_acquired(m):
    m.module("keyLatchStatus", "RUNNING",
             'Failed to acquire key details: Key(KeyResponse("acquire", 403))')


def key_rejected(m):
    m.module("keyLatchStatus", "RUNNING",
             'Failed to attest the key: Key(KeyResponse("attest", 403))')


def port_taken(m):
    m.module("proxyListenerStatus", "STOPPED", "IO error: Failed to bind "
             "TcpListener '127.0.0.1:3080': Address already in use")


def unknown_failure(m):
    m.module("keyLatchStatus", "STOPPED", "Failed to do what nobody knows")


def status_torn(m):
    m.report = None
    m.put("var/log/azure-proxy-agent/status.json", '{"timestamp": "2026')


def status_of_a_predecessor(m):
    m.status["startedAt"] = "2026-11-22T12:00:00Z"
    m.module("keyLatchStatus", "STOPPED",
             "poll_secure_channel_status task exited.")


def status_missing(m):
    m.report = None


def key_open_to_others(m):
    os.chmod(m.path(f"{KEYS}/{GUID}.key"), 0o640)


def key_folder_open_to_others(m):
    os.chmod(m.path(KEYS), 0o755)


def key_not_on_disk(m):
    m.remove(f"{KEYS}/{GUID}.key")
    del m.status["key"]["stored"]


def no_key_yet(m):
    m.remove(f"{KEYS}/{GUID}.key")
    m.status["key"] = {"present": False}


def key_is_a_link(m):
    os.symlink("/dev/null", m.path(f"{KEYS}/x.key"))


def program_that_others_may_change(m):
    os.chmod(m.path("usr/sbin/azure-proxy-agent"), 0o775)


def rules_that_others_may_change(m):
    os.makedirs(m.path(f"{KEYS}/../rules"))
    os.chmod(m.path(f"{KEYS}/../rules"), 0o777)


def logs_that_others_may_change(m):
    m.put("var/log/azure-proxy-agent/x", "")
    os.chmod(m.path("var/log/azure-proxy-agent"), 0o775)


def config_that_others_may_change(m):
    os.chmod(m.path("etc/azure/proxy-agent.json"), 0o666)


def gpa_program_left(m):
    m.put("usr/sbin/azure-proxy-agent", "\x7fELF static\0")


def gpa_object_left(m):
    m.put("usr/lib/azure-proxy-agent/ebpf_cgroup.o", "x")


def gpa_unit_left(m):
    m.put("etc/systemd/system/azure-proxy-agent.service",
          "[Unit]\nDescription=Microsoft Azure GuestProxyAgent\n")


def process(m, name, exe, uids):
    """One with the name of Azure's agent."""
    m.put("proc/99/comm", "azure-proxy-age\n")
    m.put("proc/99/status", "Name:\tazure-proxy-age\nUid:\t" +
          "\t".join(str(uid) for uid in uids) + "\n")
    m.put(name.lstrip("/"), exe)
    os.symlink(name, m.path("proc/99/exe"))


def gpa_process_left(m):
    process(m, "/opt/azure-proxy-agent", "\x7fELF static\0", (0, 0, 0, 0))


def gpa_in_place_of_ours(m):
    process(m, "/usr/sbin/azure-proxy-agent", "\x7fELF static\0",
            (0, 0, 0, 0))


def cloud_init_old(m):
    m.put(f"{CLOUD_INIT}/version.py", '__VERSION__ = "24.1.3"\n')
    m.put(f"{CLOUD_INIT}/sources/DataSourceAzure.py", "nothing\n")


def cloud_init_old_without_its_module(m):
    m.put(f"{CLOUD_INIT}/version.py", '__VERSION__ = "24.2"\n')
    m.remove(f"{CLOUD_INIT}/sources/DataSourceAzure.py")


def no_agent_for_cloud_init(m):
    m.remove("usr/sbin/azure-proxy-agent")


def provisioning_failed(m):
    no_mount(m)
    m.put(f"{KEYS}/status.tag", "ebpfProgramStatus - Failed to start "
          "redirector: cgroup v2 is not mounted\r\n", 0o600)


def unit_not_enabled(m):
    m.remove(f"{WANTS}/azure-proxy-agent.service")


def two_units_enabled(m):
    m.put(f"{WANTS}/mspd.service", "")


# What is fine, though it looks odd.
def process_of_a_user_with_the_name_of_gpa(m):
    process(m, "/home/azure-proxy-agent", "\x7fELF static\0", (1000,) * 4)


def program_of_root_that_a_user_runs_by_that_name(m):
    process(m, "/usr/bin/azure-proxy-agent", "\x7fELF static\0",
            (1000, 0, 0, 0))


def program_of_root_that_a_link_names_so(m):
    process(m, "/usr/bin/sudo", "\x7fELF static\0", (0, 0, 0, 0))


def new_cloud_init_without_its_module(m):
    m.remove(f"{CLOUD_INIT}/sources/DataSourceAzure.py")


def backported_cloud_init(m):
    m.put(f"{CLOUD_INIT}/version.py", '__VERSION__ = "23.4"\n')


def no_lockdown(m):
    m.remove("sys/kernel/security/lockdown")


def endpoint_disabled(m):
    m.status["endpoints"][1].update(mode="disabled", redirection="off")


# What is wrong: the one line that says so, and what helps.
FAILURES = (
    (change_nothing, None, "", ""),
    (old_kernel, "cgroup2", "does not list cgroup2", IMAGE),
    (no_mount, "cgroup2", "not mounted", MOUNT),
    (part_mounted, "cgroup2", "only parts", MOUNT),
    (no_btf, "btf", "vmlinux", IMAGE),
    (confidential, "lockdown", "match nothing", "lockdown=integrity"),
    (detached, "hooks", "somebody has detached connect4", "restart"),
    (not_attached, "hooks", "not attached: connect6", "restart"),
    (without_capability, "capabilities", "lacks CAP_BPF", "restart"),
    (with_all_capabilities, "capabilities", "that it does not need",
     "in its log"),
    (without_filter, "capabilities", "no filter of system calls",
     "seccomp to enforce"),
    (bad_config, "config", "logFolder", "mspd.conf(5)"),
    (strange_config, "config", "other", "mspd.conf(5)"),
    (key_refused, "agent", "acquire", KEY),
    (host_unreachable, "host", "timed out", "168.63.129.16"),
    (key_folder_in_use, "host", "process 7", "end the other agent"),
    (key_folder_not_lockable, "host", "Input/output", "0700"),
    (key_file_unreadable, "host", "line 1", KEY),
    (key_file_not_what_was_written, "host", "saved locally", "disk"),
    (failure_that_is_not_known, "host", "nobody knows", "mspctl collect"),
    (message_that_is_not_known, "agent", "nobody knows", "mspctl collect"),
    (host_silent, "host", "3600 s ago", "168.63.129.16"),
    (clock_behind, "clock", "7200 s behind", "chronyc"),
    (clock_a_little_ahead, "clock", "60 s ahead of", "chronyc"),
    (enabled_but_not_applied, "protection", "enabled but not applied",
     "once the agent has a key"),
    (rules_refused, "rules", "in force: last good; /defaultAccess",
     "mspctl lint"),
    (rules_doubtful, "rules", "2 warnings", "mspctl lint"),
    (trail_not_written, "audit", "No space left", "make room"),
    (program_not_loaded, "ebpfProgramStatus", "connect4", IMAGE),
    (cgroup_not_attached, "ebpfProgramStatus", "bpf_link_create", MOUNT),
    (cgroup_mounted_meanwhile, "ebpfProgramStatus", "bpf_link_create",
     "mounted now"),
    (status_of_gpa_whose_redirector_failed, "ebpfProgramStatus", "UNKNOWN",
     MOUNT),
    (key_not_acquired, "keyLatchStatus", "403", KEY),
    (key_rejected, "keyLatchStatus", "403", KEY),
    (port_taken, "proxyListenerStatus", "in use", "end what has the port"),
    (unknown_failure, "keyLatchStatus", "nobody knows", "mspctl collect"),
    (status_torn, "status", "not JSON", "restart"),
    (status_of_a_predecessor, "status", "before the agent's start", "again"),
    (status_missing, "status", "No such file", "enable --now"),
    (key_open_to_others, "key", "0640", KEY),
    (key_folder_open_to_others, "key", "0755", KEY),
    (key_not_on_disk, "key", "not on the disk", "make room"),
    (no_key_yet, "key", "there is none", "see agent"),
    (key_is_a_link, "key", "x.key is no file", "remove it"),
    (program_that_others_may_change, "modes", "0775", "chmod go-w"),
    (rules_that_others_may_change, "modes", "rules", "chmod go-w"),
    (logs_that_others_may_change, "modes", "var/log", "chmod go-w"),
    (config_that_others_may_change, "modes", "proxy-agent.json",
     "chmod go-w"),
    (gpa_program_left, "other agent", "usr/sbin/azure-proxy-agent",
     "azure-proxy-agent-compat"),
    (gpa_object_left, "other agent", "ebpf_cgroup.o", "remove that file"),
    (gpa_unit_left, "other agent", "azure-proxy-agent.service",
     "remove that file"),
    (gpa_process_left, "other agent", "process 99",
     "who started it"),
    (process_of_a_user_with_the_name_of_gpa, None, "", ""),
    (program_of_root_that_a_user_runs_by_that_name, None, "", ""),
    (program_of_root_that_a_link_names_so, None, "", ""),
    (cloud_init_old, "cloud-init", "24.1.3", "24.3 or newer"),
    (cloud_init_old_without_its_module, "cloud-init", "24.2",
     "24.3 or newer"),
    (no_agent_for_cloud_init, "cloud-init", "not there", "install the agent"),
    (provisioning_failed, "provisioning", "not mounted", MOUNT),
    (unit_not_enabled, "service", "does not start at boot", "enable --now"),
    (two_units_enabled, "service", "two units", "disable mspd.service"),
    (new_cloud_init_without_its_module, None, "", ""),
    (backported_cloud_init, None, "", ""),
    (no_lockdown, None, "", ""),
    (endpoint_disabled, None, "", ""),
)


def check_failures(ctl):
    for change, name, seen, remedy in FAILURES:
        machine = Machine(ctl, change.__name__)
        change(machine)
        status, bad, out = machine.run(ctl)
        found = bad.get(name, {})
        # a status that tells of a missing mount is not from before it
        also = {"cgroup2"} if remedy == MOUNT and name != "cgroup2" else set()
        fine = (not bad and status == 0) if name is None else (
            set(bad) == {name} | also and seen in found["seen"] and
            remedy in (found["remedy"] or "") and
            "\n" not in found["remedy"] and
            status == (found["result"] == "fail" or bool(also)))
        ctl.claim(f"doctor_finds_{change.__name__}", fine,
                  json.dumps(bad or out))


def check_agent(ctl):
    for name, answer, words, remedy in (
            ("nobody", b"", "does not run", "enable --now"),
            ("garbage", b"hello\n", "no mspd", "restart"),
            ("refusal", b'{"error":"no memory"}\n', "no mspd", "restart"),
            ("flood", b"x" * 70000, "too long", "restart")):
        machine = Machine(ctl, "agent")
        status, bad, _ = machine.run(ctl, answer)
        found = bad.get("agent", {"seen": "", "remedy": ""})
        ctl.claim(f"doctor_sees_{name}_where_the_agent_should_be",
                  status == 1 and words in found["seen"] and
                  remedy in found["remedy"], json.dumps(bad))


def check_text(ctl):
    machine = Machine(ctl, "text")
    machine.status["message"] = "bad \x1b[31m\n\u202e"
    machine.remove("sys/kernel/btf/vmlinux")
    os.makedirs(machine.path("run/mspd"))
    here = os.getcwd()
    agent = Agent(machine.path("run/mspd/control.sock"),
                  json.dumps(machine.status).encode() + b"\n")
    machine.put("var/log/azure-proxy-agent/status.json",
                json.dumps(machine.report))
    os.chdir(here)
    try:
        status, out, _ = ctl.run("doctor", "--root", machine.root)
    finally:
        agent.close()
    lines = out.split("\n")
    ctl.claim("doctor_lines_begin_with_a_result",
              all(line.split("  ")[0].strip() in ("ok", "warn", "FAIL")
                  for line in lines[:-2] if not line.startswith("      ")),
              out)
    ctl.claim("doctor_failure_has_one_line_of_remedy", any(
        line.startswith("FAIL  btf") and IMAGE in lines[i + 1]
        for i, line in enumerate(lines)), out)
    ctl.claim("doctor_ends_with_what_to_collect",
              status == 1 and lines[-2].startswith("1 failed; ") and
              "mspctl collect" in lines[-2], out)
    ctl.claim("doctor_shows_no_control_characters",
              "\x1b" not in out and "\u202e" not in out and
              "\\x1b[31m" in out, out)


def check_latch(ctl):
    """Whatever the key channel can fail at is known."""
    with open("libmsp/latch.c", encoding="utf-8") as source:
        texts = re.findall(r'"(Failed to [^"]*)"', source.read())
    ctl.claim("doctor_finds_the_failures_of_the_latch", len(texts) > 8, texts)
    for i, text in enumerate(texts):
        ctl.expect(f"doctor_knows_failure_{i}_of_the_latch",
                   ["doctor", "--error", text], 0)


def check_advice(ctl):
    """Nobody is told to disable the unit that is this agent's own."""
    for change in (gpa_object_left, gpa_unit_left, gpa_process_left):
        machine = Machine(ctl, change.__name__)
        change(machine)
        _, bad, out = machine.run(ctl)
        ctl.claim(f"doctor_keeps_its_own_unit_{change.__name__}",
                  bad and "disable" not in json.dumps(out), json.dumps(bad))
    machine = Machine(ctl, "instead")
    gpa_in_place_of_ours(machine)
    status, _, out = machine.run(ctl)
    found = [c for c in out["checks"] if c["name"] == "other agent"]
    ctl.claim("doctor_finds_gpa_in_place_of_its_own_program", status == 1 and
              [c["result"] for c in found] == ["fail", "warn"] and
              all("compat" in c["remedy"] for c in found), found)


def check_errors(ctl):
    for text, remedy in ERRORS:
        ctl.expect(f"doctor_knows_{text[:40]}", ["doctor", "--error", text],
                   0, [remedy])
    status, out, _ = ctl.expect(
        "doctor_says_what_it_does_not_know",
        ["doctor", "--error", "BadRequest \x1b[31m"], 1, ["mspctl collect"])
    ctl.claim("doctor_escapes_an_error", "\x1b" not in out, out)
    status, out = ctl.json("doctor", "--error", ERRORS[0][0], "--json")
    ctl.claim("doctor_error_as_json", status == 0 and
              IMAGE in out["checks"][0]["remedy"], out)


def check_usage(ctl):
    for args in (["x"], ["--error", "a", "--root", "/"], ["--nothing"],
                 ["--root"]):
        ctl.expect(f"doctor_usage_{'_'.join(args)}", ["doctor", *args], 64)
    ctl.expect("doctor_help", ["doctor", "--help"], 0, ["--error TEXT"])


def run(ctl):
    check_failures(ctl)
    check_agent(ctl)
    check_text(ctl)
    check_errors(ctl)
    check_latch(ctl)
    check_advice(ctl)
    check_usage(ctl)
