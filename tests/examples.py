#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
In: a build directory. Out: whether the examples do what they say, against
msp-host on loopback. Must never need root or a network.

    examples.py BUILD                      what has just been built
    examples.py BUILD PROGRAMS [LIBRARY]   those of another folder, with the
                                           library in that one; without: static

who_connected, which needs root, is tried by the live suite.
"""
import base64
import ctypes
import fcntl
import glob
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "host"))

import client  # noqa: E402 - it is found through the line above

KEY = {"authorizationScheme": client.SCHEME, "incarnationId": 1,
       "guid": "9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf",
       "issued": "2021-05-05T 12:00:00Z",
       "key": "4A404E635266556A586E3272357538782F413F4428472B4B"
              "6250645367566B59"}
INSTANCE = "/metadata/instance?api-version=2021-02-01"
# The worked example of the protocol's description.
WORKED = ("GET", INSTANCE + "&format=json",
          ("Accept:*/*", "Host:169.254.169.254", "Metadata:true",
           "User-Agent:curl/8.5.0",
           'x-ms-azure-host-claims:{ "isRoot": "false"}',
           "x-ms-azure-host-date:Wed, 23 Apr 2025 12:00:00 GMT"), b"")
WORKED_MAC = "13750084151509ba36adee0b633c8438723d6799434e4c90ec2dc95983c8f323"
REQUESTS = (WORKED, ("POST", "/machine/?comp=x", ("Host:a", "b: c "), b"xyz"),
            ("PUT", "/", (), bytes(range(256))),
            ("GET", "/a?b=2&B=1&=&c", ("X:1", "x:2"), b""))
PROFILE = {"id": "x", "mode": "enforce", "defaultAccess": "deny", "rules": {
    "privileges": [{"name": "p", "path": "/metadata/instance"}],
    "roles": [{"name": "r", "privileges": ["p"]}],
    "identities": [{"name": "i", "userName": "alice"}],
    "roleAssignments": [{"role": "r", "identities": ["i"]}]}}
LETS_A_FILE_COUNT = base64.b64encode(
    b'{"id": "sig", "useLocalFileRules": true}').decode()
TEMPLATE = """\
{ "resources": [ { "name": "gallery/profile/1.0.0",
  "type": "Microsoft.Compute/galleries/inVMAccessControlProfiles/versions",
  "properties": { "mode": "Enforce", "defaultAccess": "Allow",
    "note": "" } } ] }
"""
FAULTS = """\
{ "rules": { "privileges": [ { "name": "p", "path": " " } ],
  "roles": [ { "name": "r", "privileges": ["q"] } ] } }
"""

BUILD = PROGRAMS = LIBRARY = DIR = None
CASES = []


def case(function):
    CASES.append(function)
    return function


def with_library(function):
    """A case that loads the library."""
    function.with_library = True
    return case(function)


def path(name):
    return os.path.join(DIR, name)


def write(name, content):
    data = content if isinstance(content, str) else json.dumps(content)
    with open(path(name), "w", encoding="utf-8") as file:
        file.write(data)
    return path(name)


def run(name, *args, data=b"", library=None, patience=60, **more):
    """Exit status, standard output, standard error."""
    env = {"PATH": os.environ["PATH"]}
    if LIBRARY:
        env["LD_LIBRARY_PATH"] = ":".join(filter(None, (library, LIBRARY)))
    done = subprocess.run([os.path.join(PROGRAMS, name), *args], input=data,
                          env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=patience,
                          check=False, **more)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def expect(seen, wanted, what=""):
    if seen != wanted:
        raise AssertionError(f"{what}\n   saw {seen!r}\n  want {wanted!r}")


def expect_in(part, whole):
    if part not in whole:
        raise AssertionError(f"no {part!r} in {whole!r}")


def own_hmac(method, target, lines, body):
    """Computed here, without the library."""
    headers = [tuple(line.split(":", 1)) for line in lines]
    return "%s: %s\n" % (client.AUTH,
                         client.sign(KEY, method, target, headers, body))


# ---- signatures -------------------------------------------------------------

@case
def sign_request_reproduces_the_worked_example():
    status, out, err = run("sign_request", path("key"), *WORKED[:2],
                           *WORKED[2])
    expect((status, err), (0, ""))
    expect(out, f"{client.AUTH}: {client.SCHEME} {KEY['guid']} {WORKED_MAC}\n")


@case
def sign_request_agrees_with_an_hmac_of_another_make():
    for request in REQUESTS:
        method, target, lines, body = request
        expect(run("sign_request", path("key"), method, target, *lines,
                   data=body), (0, own_hmac(*request), ""), request)


def sign_py(*args, data=b""):
    return subprocess.run(
        [sys.executable, "examples/sign.py", *args], input=data, check=False,
        env={"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": LIBRARY},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)


@with_library
def sign_py_agrees_with_both():
    for request in REQUESTS:
        method, target, lines, body = request
        done = sign_py(path("key"), method, target, *lines, data=body)
        expect(done.stdout.decode(), own_hmac(*request), done.stderr)


@with_library
def sign_py_says_why_not():
    done = sign_py(write("bad-key", {"guid": 7}), "GET", "/")
    expect((done.returncode, done.stdout), (1, b""))
    expect_in(b"not what it must be", done.stderr)


@case
def sign_request_refuses_a_bad_key():
    status, out, err = run("sign_request", write("bad-key", {"guid": 7}),
                           "GET", "/")
    expect((status, out), (1, ""))
    expect_in("bad-key: /authorizationScheme: is missing", err)


def wire(request, *proofs):
    method, target, lines, body = request
    head = [f"{method} {target} HTTP/1.1", *lines, *proofs]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@case
def verify_signature_takes_what_is_signed():
    for request in REQUESTS:
        proof = own_hmac(*request).strip()
        expect(run("verify_signature", path("key"),
                   data=wire(request, proof)), (0, "valid\n", ""), request)


@case
def verify_signature_refuses_what_is_not():
    proof = own_hmac(*WORKED).strip()
    signed = wire(WORKED, proof)
    for changed in (signed.replace(b"format=json", b"format=text"),
                    signed.replace(b"GET", b"PUT"),
                    signed.replace(b"\"false\"", b"\"true\""),
                    signed.replace(b"c8f323", b"c8f324"),
                    signed.replace(b"9cf81e97", b"9cf81e98"),
                    signed + b"x", wire(WORKED)):
        expect(run("verify_signature", path("key"), data=changed),
               (1, "not valid\n", ""), changed)
    status, out, err = run("verify_signature", path("key"),
                           data=wire(WORKED, proof, proof))
    expect((status, out), (1, ""))
    expect_in("signed twice", err)


@case
def verify_signature_tells_what_cannot_be_read():
    for data in (b"", b"GET / HTTP/1.1\r\n", b"GET /\r\nA: b\r\n\r\n",
                 b"GET / HTTP/1.1\r\nA\r\n\r\n",
                 b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n"):
        expect(run("verify_signature", path("key"), data=data)[:2], (2, ""),
               data)
    expect(run("verify_signature", path("none"), data=wire(WORKED))[:2],
           (2, ""))


# ---- profiles ---------------------------------------------------------------

@case
def check_profile_says_the_verdict():
    for user, target, status, verdict in (
            ("alice", "/metadata/instance/x?y=z", 0,
             "allow: granted, privilege p, identity i"),
            ("bob", "/metadata/instance", 1,
             "deny: no-identity, privilege p, identity -"),
            ("alice", "/metadata/instances", 1,
             "deny: default-deny, privilege -, identity -"),
            ("alice", "/metadata/%zz", 1,
             "deny: CANON_PCT, privilege -, identity -")):
        expect(run("check_profile", path("profile"), user, target),
               (status, verdict + "\n", ""), target)


@case
def check_profile_reads_a_template():
    file = write("template", TEMPLATE)
    expect(run("check_profile", file, "alice", "/metadata/instance"), (0, (
        f"{file}:4:5: warning: /resources/0/properties/note: is not known: "
        "ignored\nallow: default-allow, privilege -, identity -\n"), ""))


@case
def check_profile_says_all_that_is_wrong():
    file = write("faults", FAULTS)
    expect(run("check_profile", file, "alice", "/metadata/instance"), (1, (
        f"{file}:1:53: error: /rules/privileges/0/path: privilege 'p' path "
        f"cannot be empty\n{file}:2:14: warning: /rules/roles/0: is never "
        f"assigned\n{file}:2:44: error: /rules/roles/0/privileges/0: role 'r' "
        "references unknown privilege 'q'\n"), ""))


@case
def explain_decision_tells_what_failed():
    status, out, err = run("explain_decision", path("profile"), "bob",
                           "/metadata/instance")
    expect((status, err), (0, ""))
    expect_in("deny: imds GET /metadata/instance\n", out)
    expect_in('userName wants "alice", is "bob"\n', out)


@case
def explain_decision_tells_it_in_json_as_well():
    status, out, err = run("explain_decision", "--json", path("profile"),
                           "alice", "/metadata/instance")
    expect((status, err), (0, ""))
    told = json.loads(out)
    expect((told["verdict"], told["reason"], told["identity"]),
           ("allow", "granted", "i"))


@case
def list_tries_has_a_line_for_each():
    rules = {**PROFILE["rules"], "privileges": [
        *PROFILE["rules"]["privileges"],
        {"name": "q", "path": "/metadata", "queryParameters": {"a": "b"}},
        {"name": "o", "path": "/other"}]}
    file = write("two", {**PROFILE, "rules": rules})
    for user, query, lines in (
            ("alice", "", "p: matched\n  i: matched\nq: param-missing a\n"),
            ("bob", "?a=b", "p: matched\n  i: user\nq: matched\n"),
            ("alice", "?a=b&a=c", "p: matched\nq: param-twice a\n")):
        expect(run("list_tries", file, user, "/metadata/instance" + query),
               (0, lines + "1 more are about other paths\n", ""), query)
    expect(run("list_tries", file, "alice", "/metadata/%zz"),
           (0, "0 more are about other paths\n", ""))


@case
def explain_decision_refuses_a_faulty_profile():
    status, out, err = run("explain_decision", write("faults", FAULTS), "bob",
                           "/")
    expect((status, out), (1, ""))
    expect_in("faults:1:53: /rules/privileges/0/path: ", err)


@case
def show_request_shows_what_becomes_of_a_target():
    for method, target, status, lines in (
            ("GET", "/Metadata/%41?B=1&a=%20x", 0, (
                "compared as /metadata/a?a=%20x&b=1", "logged as GET "
                "/Metadata/%41?B&a",
                "forwarded as /Metadata/%41?B=1&a=%20x, signed")),
            ("PUT", "/vmAgentLog", 0, (
                "compared as /vmagentlog", "logged as PUT /vmAgentLog",
                "forwarded as /vmAgentLog, unsigned")),
            ("GET", "http://169.254.169.254?x=y", 0, (
                "compared as /?x=y", "logged as GET /?x",
                "forwarded as /?x=y, signed")),
            ("GET", "/a%ff", 0, (
                "no rule matches: CANON_UTF8, invalid UTF-8 in path/query",
                "logged as GET /a%ff", "forwarded as /a%ff, signed")),
            ("GET", "/a//b", 1, ("answered with 400, CANON_SLASHES",)),
            ("FOO", "/", 1, ("answered with 400, CANON_METHOD",)),
            ("GET", "http://1.2.3.4/a", 1, ("answered with 421, CANON_OK",))):
        expect(run("show_request", method, target),
               (status, "\n".join(lines) + "\n", ""), target)


@case
def read_status_keeps_a_profile_and_tells_of_a_fault():
    status = {"authorizationScheme": client.SCHEME, "version": "2.0",
              "keyDeliveryMethod": "http", "secureChannelEnabled": True,
              "keyGuid": KEY["guid"], "authorizationRules": {
                  "wireserver": {"mode": "audit", "id": "w"}, "imds": PROFILE}}
    code, out, err = run("read_status", write("status", status))
    expect(code, 0, err)
    expect(json.loads(out), PROFILE)
    for line in (f"the host has latched {KEY['guid']}\n",
                 "IMDS: mode Enforce, profile x\n",
                 "WireServer: mode Audit, profile 'w' is refused: "
                 "/authorizationRules/wireserver/defaultAccess: is missing\n"):
        expect_in("read_status: " + line, err)


@case
def read_status_refuses_what_is_none():
    code, out, err = run("read_status", write("faults", FAULTS))
    expect((code, out), (1, ""))
    expect_in("faults: /authorizationScheme: is missing\n", err)


@case
def merge_rules_adds_those_of_the_machine():
    both = write("switch", {**PROFILE, "id": LETS_A_FILE_COUNT})
    local = write("local", {"id": "l", "rules": PROFILE["rules"]})
    code, out, err = run("merge_rules", both, local)
    expect(code, 0, err)
    expect(sorted(json.loads(out)["privileges"]), ["LocalFileRules_p", "p"])
    expect_in("merge_rules: shadowed: /rules/privileges/1", err)
    code, out, err = run("merge_rules", path("profile"), local)
    expect((code, list(json.loads(out)["privileges"])), (0, ["p"]), err)


@case
def merge_rules_grants_nothing_with_a_file_of_no_use():
    both = write("switch", {**PROFILE, "id": LETS_A_FILE_COUNT})
    local = write("local", {"rules": 7})
    code, out, err = run("merge_rules", both, local)
    expect(code, 0, err)
    expect_in("local: /rules: ", err)
    told = json.loads(out)
    expect((told["privileges"], told["defaultAllowed"]), ({}, False))
    code, out, err = run("merge_rules", path("profile"), local)
    expect((code, list(json.loads(out)["privileges"])), (0, ["p"]), err)


# ---- with a host ------------------------------------------------------------

def host(*options):
    return client.Host("--mode", "imds=Enforce", *options)


def address(vm, port):
    return "%s:%d" % vm.at[port]


def asked(vm):
    """What the host was asked: request, status, verdict."""
    for line in vm.lines():
        found = re.search(r'"(.*)" (\d+) (\S+)$', line)
        if found and " Control " not in line:
            yield found[1], int(found[2]), found[3]


def stored(folder):
    """The only key in a directory."""
    [name] = glob.glob(os.path.join(folder, "*.key"))
    with open(name, encoding="utf-8") as file:
        return json.load(file)


def no_secret(key, *texts):
    for text in texts:
        expect(key["key"].lower() in text.lower(), False, "the key is shown")


@case
def acquire_key_gets_one_and_finds_it_again():
    with tempfile.TemporaryDirectory() as keys, host() as vm:
        first = run("acquire_key", keys, address(vm, "ws"))
        key = stored(keys)
        expect(first[:2], (0, f"latched, key {key['guid']}\n"), first[2])
        expect_in("Successfully attest the key", first[2])
        again = run("acquire_key", keys, address(vm, "ws"))
        expect(again[:2], first[:2])
        expect_in("Found key details from local", again[2])
        no_secret(key, *first[1:], *again[1:])
        expect([what.split()[0] for what, _, _ in asked(vm)],
               ["GET", "POST", "POST", "GET"])


@case
def acquire_key_is_told_when_the_host_wants_none():
    with tempfile.TemporaryDirectory() as keys, host("--disabled") as vm:
        expect(run("acquire_key", keys, address(vm, "ws"))[:2],
               (0, "disabled, the host wants no key\n"))
        expect(glob.glob(os.path.join(keys, "*.key")), [])


@case
def acquire_key_says_what_is_wrong_with_the_directory():
    status, out, err = run("acquire_key", "/proc/none/keys", "127.0.0.1:9")
    expect((status, out), (1, ""))
    expect_in("'/proc/none", err)


def wait_until_locked(folder):
    for _ in range(500):
        fd = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        finally:
            os.close(fd)
        time.sleep(0.02)
    raise AssertionError(f"nobody has {folder}")


@case
def acquire_key_leaves_an_agents_directory_alone():
    """The other one is a loop whose host never answers it."""
    with tempfile.TemporaryDirectory() as keys, \
            host("--fault", "hang,endpoint=wireserver") as vm:
        agent = subprocess.Popen(
            [os.path.join(PROGRAMS, "event_loop"), keys, INSTANCE,
             *map(str, vm.at["ws"]), *map(str, vm.at["imds"])],
            env={**os.environ, "LD_LIBRARY_PATH": LIBRARY or ""},
            stderr=subprocess.DEVNULL)
        try:
            wait_until_locked(keys)
            # at once: a session tries anything else for 30 seconds
            status, out, err = run("acquire_key", keys, "127.0.0.1:9",
                                   patience=20)
            expect((status, out), (3, ""), err)
            expect_in(f"'{keys}' is in use by another agent, process "
                      f"{agent.pid}\n", err)
        finally:
            agent.kill()
            agent.wait()


@case
def get_metadata_prints_a_document_got_by_a_signed_request():
    with tempfile.TemporaryDirectory() as keys, host() as vm:
        status, out, err = run("get_metadata", INSTANCE, keys,
                               address(vm, "ws"), address(vm, "imds"))
        expect((status, err), (0, ""))
        expect(json.loads(out)["compute"]["name"], "msp-host-vm")
        expect(list(asked(vm))[-1], (f"GET {INSTANCE}", 200, "verified"))
        no_secret(stored(keys), out, err)


@case
def get_metadata_says_what_the_host_says():
    with tempfile.TemporaryDirectory() as keys, host() as vm:
        status, out, err = run("get_metadata", "/metadata/none", keys,
                               address(vm, "ws"), address(vm, "imds"))
        expect((status, out), (1, ""))
        expect_in("IMDS answered with status 4", err)


@case
def event_loop_prints_a_document_got_by_a_signed_request():
    with tempfile.TemporaryDirectory() as keys, host() as vm:
        args = (keys, INSTANCE, *map(str, vm.at["ws"]),
                *map(str, vm.at["imds"]))
        status, out, err = run("event_loop", *args)
        expect(status, 0, err)
        expect(json.loads(out)["compute"]["name"], "msp-host-vm")
        expect_in("latched Successfully attest the key", err)
        expect(list(asked(vm))[-1], (f"GET {INSTANCE}", 200, "verified"))
        expect(run("event_loop", *args)[1], out)
        expect(sum(what == "POST /secure-channel/key"
                   for what, _, _ in asked(vm)), 1, "keys acquired")


@case
def event_loop_asks_unsigned_where_the_host_wants_no_key():
    with tempfile.TemporaryDirectory() as keys, \
            client.Host("--disabled") as vm:
        status, out, err = run("event_loop", keys, INSTANCE,
                               *map(str, vm.at["ws"]),
                               *map(str, vm.at["imds"]))
        expect(status, 0, err)
        expect_in("disabled ", err)
        expect(list(asked(vm))[-1], (f"GET {INSTANCE}", 200, "unsigned"))


@case
def upload_log_sends_all_of_it_and_says_the_status():
    log = os.urandom(1 << 20)
    with host("--record", path("upload")) as vm:
        status, out, err = run("upload_log", *map(str, vm.at["ws"]), data=log)
        expect((status, out), (0, "200\n"), err)
        expect(list(asked(vm)), [("PUT /vmAgentLog", 200, "unsigned")])
        [sent] = received(path("upload"))
    body = sent.split(b"\r\n\r\n", 1)[1]
    got = b""
    while body != b"0\r\n\r\n":
        size, body = body.split(b"\r\n", 1)
        got += body[:int(size, 16)]
        body = body[int(size, 16) + 2:]
    expect(got == log, True, "the log arrived")


@case
def upload_log_ends_where_the_host_answers_early():
    with host("--fault", "503") as vm:
        expect(run("upload_log", *map(str, vm.at["ws"]),
                   data=b"x" * (1 << 20)), (0, "503\n", ""))


@case
def upload_log_says_that_there_is_no_host():
    status, out, err = run("upload_log", "127.0.0.1", "9", data=b"x")
    expect((status, out), (1, ""))
    expect_in("system call failed", err)


def received(name):
    """The bytes of each connection that msp-host had."""
    out = {}
    with open(name, encoding="utf-8") as file:
        for piece in map(json.loads, file):
            one = out.setdefault(piece["connection"], [])
            one.append(base64.b64decode(piece["bytes"]))
    return [b"".join(pieces) for pieces in out.values()]


@case
def verify_signature_agrees_with_the_host():
    """On the very bytes that get_metadata sent."""
    with tempfile.TemporaryDirectory() as keys, \
            host("--record", path("record")) as vm:
        run("get_metadata", INSTANCE, keys, address(vm, "ws"),
            address(vm, "imds"))
        [file] = glob.glob(os.path.join(keys, "*.key"))
        [sent] = [data for data in received(path("record"))
                  if data.startswith(b"GET /metadata/")]
        expect(run("verify_signature", file, data=sent),
               (0, "valid\n", ""))
        expect(run("verify_signature", path("key"), data=sent),
               (1, "not valid\n", ""))


# ---- who only signs pays nothing for eBPF -----------------------------------

# of linux/prctl.h, linux/seccomp.h, linux/filter.h, linux/audit.h
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, MODE_FILTER = 22, 38, 2
KILL_PROCESS, ALLOW = 0x80000000, 0x7fff0000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
BPF_CALL = {"x86_64": 321, "aarch64": 280}


def forbid_bpf():
    """From now on bpf(2) kills this process."""
    number = BPF_CALL[os.uname().machine]
    code = b"".join(struct.pack("HBBI", *line) for line in (
        (LOAD, 0, 0, 0), (EQUAL, 0, 1, number), (RETURN, 0, 0, KILL_PROCESS),
        (RETURN, 0, 0, ALLOW)))
    text = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", 4, ctypes.addressof(text))
    libc = ctypes.CDLL(None)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
            libc.prctl(PR_SET_SECCOMP, MODE_FILTER, program, 0, 0):
        os._exit(98)


def call_bpf():
    forbid_bpf()
    ctypes.CDLL(None).syscall(BPF_CALL[os.uname().machine], 0, None, 0)


def libbpf_that_ends_the_program(folder):
    """Has what libmsp needs of libbpf, and nothing of it can be called."""
    needed = subprocess.run(
        ["nm", "-D", "--undefined-only", os.path.join(LIBRARY, "libmsp.so.0")],
        stdout=subprocess.PIPE, check=True, text=True).stdout
    names = re.findall(r" U (\w+)@LIBBPF_", needed)
    if not names:
        raise AssertionError("libmsp needs nothing of libbpf")
    source = "#include <unistd.h>\n" + "".join(
        f"void {name}(void);\nvoid {name}(void) {{ _exit(99); }}\n"
        for name in names)
    subprocess.run([os.environ.get("CC") or "cc", "-shared", "-fPIC", "-x",
                    "c", "-", "-o", os.path.join(folder, "libbpf.so.1"),
                    "-Wl,-soname,libbpf.so.1"], input=source, text=True,
                   check=True)
    return names[0]


def signs(**more):
    status, out, err = run("sign_request", path("key"), *WORKED[:2],
                           *WORKED[2], **more)
    expect((status, out), (0, own_hmac(*WORKED)), err)


@with_library
def sign_request_never_calls_bpf():
    done = subprocess.run(["true"], preexec_fn=call_bpf, check=False,
                          timeout=60)
    expect(done.returncode, -signal.SIGSYS, "bpf(2) can be called")
    signs(preexec_fn=forbid_bpf)


@with_library
def sign_request_never_calls_libbpf():
    folder = tempfile.mkdtemp(dir=DIR)
    name = libbpf_that_ends_the_program(folder)
    done = subprocess.run([sys.executable, "-c", "import ctypes, sys; "
                           "getattr(ctypes.CDLL(sys.argv[1]), sys.argv[2])()",
                           os.path.join(folder, "libbpf.so.1"), name],
                          check=False, timeout=60)
    expect(done.returncode, 99, "it can be called")
    signs(library=folder)


# ---- all of them ------------------------------------------------------------

@case
def each_example_has_a_usage():
    names = [os.path.basename(name)[:-2] for name in
             glob.glob("examples/*.c")]
    expect(len(names) >= 8, True, names)
    for name in names:
        status, out, err = run(name)
        expect((status, out), (2, ""), name)
        expect_in("usage: ", err)


@case
def readme_shows_what_get_metadata_has():
    with open("README.md", encoding="utf-8") as file:
        text = file.read().split("## Embed it\n", 1)[1]
    shown = re.findall(r"^    .*\n(?:(?:    .*)?\n)*", text, re.M)[0].split()
    with open("examples/get_metadata.c", encoding="utf-8") as file:
        expect_in(" ".join(shown), " ".join(file.read().split()))


@case
def readme_names_each_example():
    with open("README.md", encoding="utf-8") as file:
        text = file.read().split("## Embed it\n", 1)[1].split("\n## ")[0]
    expect(sorted(re.findall(r"^    (\w+\.\w+)  ", text, re.M)),
           sorted(map(os.path.basename, glob.glob("examples/*.c") +
                      glob.glob("examples/*.py"))))


def selected():
    return [c for c in CASES if LIBRARY or not hasattr(c, "with_library")]


def main(build, programs=None, library=None):
    global PROGRAMS, LIBRARY, DIR
    build = os.path.abspath(build)
    PROGRAMS = os.path.abspath(programs or os.path.join(build, "examples"))
    LIBRARY = os.path.abspath(library or build)
    if programs and not library or \
            not os.path.exists(os.path.join(LIBRARY, "libmsp.so.0")):
        LIBRARY = None
    client.use(os.path.join(build, "examples/msp-host/msp-host"))
    failed = 0
    DIR = tempfile.mkdtemp(prefix="msp-examples-")
    try:
        write("key", KEY)
        write("profile", PROFILE)
        for one in selected():
            try:
                one()
                if os.environ.get("V"):
                    print("  ok     ", one.__name__)
            except Exception:  # whatever it is, the case has failed
                failed += 1
                print("  FAILED ", one.__name__)
                print(traceback.format_exc())
    finally:
        shutil.rmtree(DIR)
    print(f"{len(selected()) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__.strip())
    sys.exit(main(*sys.argv[1:]))
