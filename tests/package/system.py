# SPDX-License-Identifier: MIT
"""
In: what apt is configured with, packages. Out: a Debian system in a directory,
of the distribution that this machine has, with all that the packages depend
on. Must never ask any host but apt's own, nor wait for it without end.
"""
import hashlib
import os
import re
import shutil
import subprocess
import time
import urllib.request

ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
       "DEBIAN_FRONTEND": "noninteractive",
       "DPKG_FORCE": "unsafe-io"}  # nobody misses it after a power failure
SCRIPTS = "/usr/share/debootstrap/scripts/"
DEFAULT = {"debian": ("http://deb.debian.org/debian", "main"),
           "ubuntu": ("http://archive.ubuntu.com/ubuntu", "main,universe")}
TRIES, TRY_SECONDS = 2, 150


class Failed(AssertionError):
    """A command, or the machine, did not do what it should."""


class NoMirror(Failed):
    """There is no network, or none that leads to packages."""


def command(*args, **kwargs):
    """Its output; Failed says all of it."""
    try:
        done = subprocess.run(args, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.STDOUT,
                              **{"env": ENV, **kwargs})
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Failed(f"{args}: {e}") from None
    if done.returncode:
        raise Failed(f"{args}: {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


# ---- where packages come from ---------------------------------------------
def release():
    """(id, codename) of this machine's distribution."""
    with open("/etc/os-release", encoding="utf-8") as f:
        said = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', f.read(), re.M))
    return said.get("ID", ""), said.get("VERSION_CODENAME", "")


def sources(codename):
    """(address, components) of apt's first source of that distribution."""
    rows = [line.split("|") for line in command(
        "apt-get", "indextargets", "--format",
        "$(REPO_URI)|$(RELEASE)|$(CODENAME)|$(COMPONENT)",
        "Created-By: Packages").splitlines()]
    ours = [(uri, component) for uri, *names, component in rows
            if codename in names and re.match("(https?|file):", uri)]
    return ours and (ours[0][0], ",".join(dict.fromkeys(
        component for uri, component in ours if uri == ours[0][0])))


def mirror():
    """(address, codename, components)"""
    ident, codename = release()
    found = sources(codename) or DEFAULT.get(ident)
    if not found or not os.path.exists(SCRIPTS + codename):
        raise NoMirror(f"debootstrap is not here, or cannot make {codename}")
    return found[0].rstrip("/"), codename, found[1]


def environment():
    """Proxies are those of apt."""
    said = command("apt-config", "shell", "http_proxy", "Acquire::http::Proxy",
                   "https_proxy", "Acquire::https::Proxy")
    return {**ENV, **dict(re.findall(r"^(\w+)='(.*)'$", said, re.M))}


def ask(address, codename):
    """NoMirror, unless it answers."""
    handler = urllib.request.ProxyHandler(
        {name.partition("_")[0]: value for name, value in environment().items()
         if name.endswith("_proxy") and value != "DIRECT"})
    url = f"{address}/dists/{codename}/Release"
    for wait in (1, 3, 0):
        try:
            with urllib.request.build_opener(handler).open(url, timeout=10):
                return
        except OSError as e:
            fault = e
            time.sleep(wait)
    raise NoMirror(f"{url}: {fault}")


# ---- the system -----------------------------------------------------------
def outside(debs):
    """Packages these depend on, but for themselves."""
    ours, needed = set(), set()
    for deb in debs:
        ours.add(command("dpkg-deb", "-f", deb, "Package").strip())
        for item in command("dpkg-deb", "-f", deb, "Depends").split(","):
            needed.add(re.split(r"[ (|:]", item.strip())[0])
    return sorted(needed - ours - {""})


def debootstrap(path, address, codename, components, packages):
    # of namespaces of its own: it mounts, and leaves what it started behind
    command("unshare", "--mount", "--pid", "--mount-proc", "--fork",
            "--kill-child", "debootstrap", "--variant=minbase",
            f"--components={components}", f"--include={','.join(packages)}",
            codename, path, address, env=environment(), timeout=TRY_SECONDS)
    # it would forbid services to be started
    if os.path.exists(path + "/usr/sbin/policy-rc.d"):
        os.unlink(path + "/usr/sbin/policy-rc.d")


def cached(folder, packages):
    """Path of the system; made if it is not there, or for other packages."""
    address, codename, components = mirror()
    what = "\n".join((address, codename, components, *packages))
    path = os.path.join(folder, f"{codename}-" + hashlib.sha256(
        what.encode()).hexdigest()[:12])
    if os.path.isdir(path):
        return path
    shutil.rmtree(folder, ignore_errors=True)  # also half of one
    os.makedirs(folder)
    for left in reversed(range(TRIES)):
        ask(address, codename)
        try:
            debootstrap(path + ".new", address, codename, components, packages)
            break
        except Failed as e:
            shutil.rmtree(path + ".new", ignore_errors=True)
            if not left:
                raise
            print(f"  once more, after: {str(e)[-300:]}", flush=True)
    os.rename(path + ".new", path)
    return path
