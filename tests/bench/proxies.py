# SPDX-License-Identifier: MIT
"""
In: a build directory; nginx, haproxy. Out: one upstream, and ways to it that
can be measured beside each other: none, a bare relay, nginx, haproxy, mspd.
Must never leave a process behind, nor let one of them do less than it says.
"""
import ctypes
import os
import pwd
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import world
from world import IMDS, Failed

SMALL, MIDDLE, LARGE = "/metadata/small", "/metadata/middle", "/metadata/large"
POSTED, SIGNED, DENIED = "/metadata/post", "/metadata/signed", "/metadata/no"
LARGE_BYTES = 1000000
USER = "nobody"
PR_SET_PDEATHSIG = 1
IMDS_OF_HOST = "127.0.0.1:4080"  # not asked: the upstream is what it stands for
PLACES, OTHER_FILES = 30000, 500

UPSTREAM = """
daemon off;
master_process off;
pid {dir}/upstream.pid;
error_log {dir}/upstream.log error;
events {{ worker_connections {places}; multi_accept on; }}
http {{
	access_log off;
	sendfile on;
	open_file_cache max=16;
	keepalive_timeout 3600;
	keepalive_requests 1000000000;
	client_body_temp_path {dir}/body;
	server {{
		listen {at} backlog=4096;
		root {dir}/www;
		set $k "{kilobyte}";
		location = {small} {{ return 200 "{short}"; }}
		location = {posted} {{ return 200 "{short}"; }}
		location = {middle} {{ return 200 "$k$k$k$k"; }}
		location = {signed} {{
			return 200 "$http_x_ms_azure_host_authorization";
		}}
	}}
}}
"""

NGINX = """
daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log error;
events {{ worker_connections {places}; multi_accept on; }}
http {{
	access_log off;
	keepalive_timeout 3600;
	keepalive_requests 1000000000;
	client_body_temp_path {dir}/nginx-body;
	proxy_temp_path {dir}/nginx-temp;
	proxy_max_temp_file_size 0;
	upstream host {{
		server {to};
		keepalive 1024;
		keepalive_requests 1000000000;
		keepalive_timeout 3600;
	}}
	server {{
		listen {at} backlog=4096;
		location / {{
			proxy_pass http://host;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $http_host;
		}}
	}}
}}
"""

HAPROXY = """
global
	nbthread 1
	maxconn {places}
defaults
	mode http
	timeout connect 10s
	timeout client 3600s
	timeout server 3600s
	timeout http-keep-alive 3600s
	http-reuse always
frontend in
	bind {at} backlog 4096
	default_backend out
backend out
	server host {to}
"""


def end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def become():
    user = pwd.getpwnam(USER)
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)


def rules():
    """Twenty privileges, as a machine with some services on it has them."""
    paths = [SMALL, MIDDLE, LARGE, POSTED, SIGNED, world.INSTANCE.split("?")[0],
             "/metadata/attested", "/metadata/scheduledevents",
             "/metadata/versions", "/metadata/loadbalancer"]
    out = world.grant(paths, {
        "load": {"userName": USER, "exePath": os.path.realpath(
            shutil.which("wrk", path=world.PATH))},
        "client": {"userName": USER, "exePath": os.path.realpath(
            sys.executable)},
        "root": {"userName": "root"}})
    for i in range(10):
        out["privileges"].append({
            "name": f"vault{i}", "path": "/metadata/identity/oauth2/token",
            "queryParameters": {"resource": f"https://vault{i}.azure.net"}})
    out["roles"].append({"name": "vaults",
                         "privileges": [f"vault{i}" for i in range(10)]})
    out["roleAssignments"].append({"role": "vaults", "identities": ["root"]})
    return world.item(access="deny", rules=out)


class Room:
    """Where the files of all of them are."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="msp-bench-")
        os.chmod(self.dir, 0o755)
        name = os.path.join(self.dir, "www" + LARGE)
        os.makedirs(os.path.dirname(name))
        with open(name, "wb") as f:
            f.write(os.urandom(LARGE_BYTES))
        shutil.copy(os.path.join(os.path.dirname(__file__), "load.lua"),
                    self.dir)
        self.lua = os.path.join(self.dir, "load.lua")

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Way:
    """To the upstream, over nothing. pid: of what is measured."""

    name, pid = "direct", None
    at = (IMDS, 80)
    files = 1  # that a connection takes

    def __init__(self, room, build):
        self.room, self.build = room, build
        self.process = None

    def command(self):
        """Of what is to be started; None: nothing."""
        return None

    def prepare(self):
        """In a client's process, before it starts."""
        become()

    def start(self):
        command = self.command()
        if command:
            with open(os.path.join(self.room.dir, f"{self.name}.out"),
                      "ab") as out:
                self.process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                    env={"PATH": world.PATH}, preexec_fn=end_with_parent)
            self.pid = self.process.pid
        world.wait_until(self.is_ready, why=f"{self.name} is ready")
        return self

    def is_ready(self):
        if self.process and self.process.poll() is not None:
            with open(os.path.join(self.room.dir, f"{self.name}.out"),
                      encoding="utf-8", errors="replace") as f:
                raise Failed(f"{self.name} has ended: {f.read()[-500:]}")
        try:
            socket.create_connection(self.at, 1).close()
        except OSError:
            return False
        return True

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = self.pid = None

    def most_held(self):
        """Connections that it has descriptors for."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return min(PLACES, int((limit - OTHER_FILES) / self.files))

    def config(self, text, **more):
        path = os.path.join(self.room.dir, f"{self.name}.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.format(dir=self.room.dir, places=self.most_held(),
                                at="%s:%d" % self.at, to="%s:%d" % Way.at,
                                **more))
        return path

    def url(self, path):
        return "http://%s:%d%s" % (*self.at, path)


class Upstream(Way):
    """What stands for the host: its own cost must not count."""

    name = "upstream"

    def command(self):
        return ["nginx", "-e", "stderr", "-p", self.room.dir, "-c",
                self.config(UPSTREAM, small=SMALL, posted=POSTED,
                            middle=MIDDLE, signed=SIGNED, short="y" * 200,
                            kilobyte="z" * 1024)]


class Relay(Way):
    name, at, files = "relay", ("127.0.0.1", 4001), 2

    def command(self):
        return [os.path.join(self.build, "tests/bench/relay"),
                "%s:%d" % self.at, "%s:%d" % Way.at]


class Nginx(Way):
    name, at = "nginx", ("127.0.0.1", 4002)

    def command(self):
        return ["nginx", "-e", "stderr", "-p", self.room.dir, "-c",
                self.config(NGINX)]


class Haproxy(Way):
    name, at, files = "haproxy", ("127.0.0.1", 4003), 2

    def command(self):
        return ["haproxy", "-db", "-f", self.config(HAPROXY)]


class Mspd(Way):
    """As in production: redirected, identified, authorized, signed, audited.
    Of the host's endpoints, IMDS is the upstream."""

    name, files = "mspd", 2.25  # some of them for those who wait in line
    more = {}

    def __init__(self, room, build):
        super().__init__(room, build)
        world.World.build = build
        self.world = world.World(
            imds=rules(), wireserver=world.item(),
            host_args=["--imds", IMDS_OF_HOST],
            config={"pollKeyStatusIntervalInSeconds": 15,
                    "fileLogLevel": "Info", "maxConnections": PLACES,
                    "maxConnectionsPerUser": PLACES,
                    # looked at, and never reached
                    "requestsPerSecondPerUser": 1000000,
                    "requestBurstPerUser": 1000000, **self.more})

    def prepare(self):
        self.world.join()
        become()

    def start(self):
        self.world.start()
        self.pid = self.world.mspd.pid
        return self

    def stop(self):
        self.world.stop_mspd()

    def close(self):
        self.world.close()
        self.pid = None


class MspdLines(Mspd):
    """Each request has a line of its own in the audit trail: none is counted
    with others like it."""

    name, more = "lines", {"auditRecordsPerUser": 1000000000}


PROXIES = (Relay, Nginx, Haproxy, Mspd)
