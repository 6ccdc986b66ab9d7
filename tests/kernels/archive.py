# SPDX-License-Identifier: MIT
"""
In: a suite of Debian, and a series. Out: its newest cloud kernel, checked
against the archive's signature (Release, then Packages, then the sum of the
package; apt does that), kept by name and checksum. Must never change what the
machine's own apt knows, except to install QEMU if root runs this.
"""
import glob
import hashlib
import os
import re
import shutil
import subprocess

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITES = ("bullseye", "bookworm", "trixie", "trixie-backports")
IMAGE = r"^linux-image-(%s\S*)-cloud-%s$"
DEFAULT_MIRROR = "http://deb.debian.org/debian/"
INSTALL = "apt-get install -y --no-install-recommends"
BACKPORT = ("echo 'deb http://deb.debian.org/debian bookworm-backports main'"
            " >/etc/apt/sources.list.d/backports.list && apt-get update && "
            f"{INSTALL} -t bookworm-backports")
NETWORK_SECONDS = 900


class Missing(Exception):
    """A kernel cannot be had; says why."""


def unusable():
    """None, or why there can be no kernels here."""
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if not shutil.which(tool):
            return f"needs {tool}, which Debian's kernels come through"
    if not os.path.exists(KEYRING):
        return f"needs {KEYRING} (package debian-archive-keyring)"
    return None


def output(*command, cwd=None):
    """Standard output, "" if the command fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True,
                              cwd=cwd, stdin=subprocess.DEVNULL,
                              timeout=NETWORK_SECONDS)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout if done.returncode == 0 else ""


def mirror():
    """Where this machine's apt reads Debian from."""
    if os.environ.get("MIRROR"):
        return os.environ["MIRROR"]
    for line in output("apt-get", "indextargets", "--format",
                       "$(ORIGIN)|$(LABEL)|$(REPO_URI)").splitlines():
        origin, label, uri = line.split("|")
        if (origin, label) == ("Debian", "Debian"):
            return uri
    return DEFAULT_MIRROR


def version_key(name):
    return [int(number) for number in re.findall(r"\d+", name)]


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


class Apt:
    """apt with lists, caches and sources of its own."""

    def __init__(self, folder, suites, status="/dev/null", arch="amd64"):
        for part in ("lists/partial", "archives/partial"):
            os.makedirs(os.path.join(folder, part), exist_ok=True)
        sources = os.path.join(folder, "sources.list")
        where = mirror()
        with open(sources, "w", encoding="ascii") as file:
            for suite in suites:
                file.write(f"deb [signed-by={KEYRING} arch={arch}] {where} "
                           f"{suite} main\n")
        self.options = []
        for option in (f"Dir::State::Lists={folder}/lists",
                       f"Dir::State::status={status}",
                       f"Dir::Cache={folder}",
                       f"Dir::Etc::sourcelist={sources}",
                       "Dir::Etc::sourceparts=/dev/null",
                       "Dir::Etc::preferencesparts=/dev/null",
                       f"APT::Architecture={arch}",
                       "Acquire::Languages=none",
                       "Acquire::Retries=2",
                       "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled="
                       "false"):
            self.options += ["-o", option]
        if status == "/dev/null":
            self.options += ["-o", f"APT::Architectures={arch}"]

    def run(self, tool, *args, cwd=None):
        return output(tool, *self.options, *args, cwd=cwd)

    def update(self):
        """Whether all lists are what the archive has signed by now."""
        try:
            return subprocess.run(
                ["apt-get", *self.options, "-o", "APT::Update::Error-Mode=any",
                 "update", "-qq"], capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=NETWORK_SECONDS).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def fields(self, package):
        """Of one package as the archive describes it: name -> value."""
        text = self.run("apt-cache", "show", "--no-all-versions", package)
        return dict(re.findall(r"^([\w-]+): (.*)$", text, re.M))


class Index:
    """The kernels of the suites, for one architecture of Debian."""

    def __init__(self, cache, arch, suites):
        self.cache = cache
        self.arch = arch
        self.apt = {suite: Apt(os.path.join(cache, "apt", suite), (suite,),
                               arch=arch)
                    for suite in suites}

    def update(self):
        """The suites whose lists could not be had: those of last time, if
        any, are left."""
        return [suite for suite, apt in self.apt.items() if not apt.update()]

    def package(self, suite, series):
        """The package with the kernel itself: from 6.19 on the image package
        is empty and depends on it."""
        apt = self.apt[suite]
        names = apt.run("apt-cache", "pkgnames", "linux-image-").split()
        if not names:
            raise Missing(f"no package lists of {suite}: offline, or "
                          f"{mirror()} does not have it")
        wanted = IMAGE % (re.escape(series) + r"\b" if series else r"\d",
                          self.arch)
        found = [n for n in names if re.match(wanted, n)]
        if not found:
            raise Missing(f"{suite} has no {series or 'cloud kernel'} any more")
        fields = apt.fields(max(found, key=version_key))
        binary = re.search(r"\blinux-binary-\d\S*-cloud-%s\b" % self.arch,
                           fields.get("Depends", ""))
        return apt.fields(binary.group()) if binary else fields

    def download(self, suite, fields):
        """Kept by name and checksum, and checked each time."""
        name = os.path.basename(fields["Filename"])
        folder = os.path.join(self.cache, fields["SHA256"][:16])
        path = os.path.join(folder, name)
        if os.path.exists(path) and sha256(path) == fields["SHA256"]:
            return path
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self.apt[suite].run("apt-get", "download", "-qq",
                            f"{fields['Package']}={fields['Version']}",
                            cwd=folder)
        # apt writes the colon of an epoch its own way
        for found in glob.glob(os.path.join(glob.escape(folder), "*.deb")):
            os.rename(found, path)
        if not os.path.exists(path) or sha256(path) != fields["SHA256"]:
            raise Missing(f"{name} cannot be downloaded: offline, or it is "
                          "not what the archive says")
        return path

    def kernel(self, suite, series):
        """Path of the kernel image, its version, and the folder with all
        that was in its package."""
        fields = self.package(suite, series)
        package = self.download(suite, fields)
        tree = os.path.join(os.path.dirname(package), "tree")
        if not os.path.isdir(tree):
            subprocess.run(["dpkg-deb", "-x", package, tree + ".new"],
                           check=True)
            os.rename(tree + ".new", tree)
        for pattern in ("boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz*"):
            found = glob.glob(os.path.join(glob.escape(tree), pattern))
            if found:
                return found[0], fields["Version"], tree
        raise Missing(f"{os.path.basename(package)} has no kernel in it")


def install_qemu(cache, package):
    """As root on Debian 12, whose own QEMU is older; elsewhere the newest
    of the release."""
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            found = re.search(r"^VERSION_CODENAME=(\w+)$", file.read(), re.M)
    except OSError:
        found = None
    if os.geteuid() != 0 or not found or found.group(1) not in SUITES:
        return
    name = found.group(1)
    print(f"installing: {package}", flush=True)
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    apt = Apt(os.path.join(cache, "apt", "qemu"),
              (name, f"{name}-backports"), "/var/lib/dpkg/status")
    apt.update()
    apt.run("apt-get", "install", "-y", "-qq", "--no-install-recommends",
            *(("-t", f"{name}-backports") if name == "bookworm" else ()),
            package)
