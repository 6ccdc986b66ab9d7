# SPDX-License-Identifier: MIT
"""
In: command lines of mspctl. Out: exit status and what was printed, and a count
of claims. Must never take a crash for an exit status, nor need root.
"""
import json
import os
import subprocess
import tempfile

# The members of a line that learn and diff look at, and some they do not.
LINE = {
    "time": "2026-11-21T11:05:23.108000Z", "id": 1, "uid": 1000,
    "user": "alice", "pid": 7, "exe": "/opt/app/bin/app", "comm": "app",
    "exe_state": "verified", "gid": 1000, "groups": [1000], "euid": 1000,
    "loginuid": None, "parents": ["systemd[1]"], "cgroup": "/a", "unit": None,
    "container": None, "netns": 1, "mntns": 2, "pidns": 3, "userns": 4,
    "flags": [], "endpoint": "IMDS", "method": "GET",
    "path": "/metadata/instance?api-version", "verdict": "allow",
    "reason": "default-allow", "rule": "x", "privilege": None,
    "identity": None, "epoch": 1, "status": 200, "us": 5, "mode": "Audit",
    "port": 9}


class Ctl:
    """The program, a directory of its own, and a count of claims."""

    def __init__(self, build, verbose):
        self.program = os.path.join(build, "mspd", "ctl", "mspctl")
        self.env = {**os.environ, "LD_LIBRARY_PATH": build}
        self.verbose = verbose
        self.holder = tempfile.TemporaryDirectory()
        self.dir = self.holder.name
        self.passed = self.failed = 0

    def file(self, name, content):
        """A file with this text, bytes or JSON; its path."""
        path = os.path.join(self.dir, name)
        if not isinstance(content, (str, bytes)):
            content = json.dumps(content)
        if isinstance(content, str):
            content = content.encode()
        with open(path, "wb") as file:
            file.write(content)
        return path

    def run(self, *args, stdin=b"", **more):
        if isinstance(stdin, str):
            stdin = stdin.encode()
        done = subprocess.run([self.program, *args], input=stdin,
                              env=self.env, cwd=self.dir, check=False,
                              stdout=more.get("stdout", subprocess.PIPE),
                              stderr=subprocess.PIPE, timeout=300)
        out = done.stdout.decode() if done.stdout is not None else ""
        return done.returncode, out, done.stderr.decode()

    def claim(self, name, holds, detail=""):
        if holds:
            self.passed += 1
            if self.verbose:
                print(f"  ok      {name}")
            return
        self.failed += 1
        print(f"  FAILED  {name}")
        if detail:
            print("          " + str(detail).replace("\n", "\n          "))

    def expect(self, name, args, status, out=(), err=(), stdin=b""):
        """Exit status, and texts that are in the output and the errors."""
        got = self.run(*args, stdin=stdin)
        missing = [text for text in out if text not in got[1]]
        missing += [text for text in err if text not in got[2]]
        self.claim(name, got[0] == status and not missing,
                   f"{' '.join(args)[:400]}\nwanted {status}, got {got[0]}; "
                   f"not there: {missing}\n{got[1][:1500]}{got[2][:1500]}")
        return got

    def json(self, *args, stdin=b""):
        status, out, err = self.run(*args, stdin=stdin)
        try:
            return status, json.loads(out)
        except ValueError:
            return status, {"not JSON": out, "stderr": err}


def lines(*changes):
    """An audit trail: LINE, changed so, one line for each."""
    return "".join(json.dumps({**LINE, **change}) + "\n"
                   for change in changes)


def profile(privileges, roles, identities, assignments, **more):
    """The wire form, of short words."""
    return {
        "id": "test", "mode": "enforce", "defaultAccess": "deny",
        "rules": {
            "privileges": [
                {"name": name, "path": path,
                 **({"queryParameters": query} if query else {})}
                for name, path, query in privileges],
            "roles": [{"name": name, "privileges": list(of)}
                      for name, of in roles],
            "identities": [{"name": name, **selectors}
                           for name, selectors in identities],
            "roleAssignments": [{"role": role, "identities": list(of)}
                                for role, of in assignments]}, **more}


def simple(path="/metadata/instance", **more):
    """Alice with her program may have one path."""
    return profile([("p", path, None)], [("r", ["p"])],
                   [("i", {"userName": "alice",
                           "exePath": "/opt/app/bin/app"})],
                   [("r", ["i"])], **more)
