# SPDX-License-Identifier: MIT
"""
In: an agent. Out: a service manager as small as can be, which starts it, keeps
the descriptors that it sends (FDSTORE=1), hands them to the next one, and
closes them when it is not to run any more. Must never keep what was removed.
"""
import array
import fcntl
import os
import select
import signal
import socket
import subprocess
import threading

import syscalls
import world

FIRST, HIGH = 3, 500
MOST = 16  # FileDescriptorStoreMax=


class Managed(world.World):
    """Its agent is the service of a manager."""

    def __init__(self, store=MOST, **kwargs):
        super().__init__(**kwargs)
        self.store = store
        self.program = os.path.join(self.build, "mspd/mspd")
        self.claimed = 0  # descriptors that are not there
        self.kept = []  # (name, descriptor), in the order they came
        self.lock = threading.Lock()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path("notify"))
        self.ended = False
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def close(self):
        self.ended = True
        self.thread.join()
        super().close()
        self.release()
        self.socket.close()

    # ---- the protocol -----------------------------------------------------
    def listen(self):
        while not self.ended:
            if select.select([self.socket], [], [], 0.05)[0]:
                self.hear()

    def hear(self):
        text, control, _, _ = self.socket.recvmsg(
            4096, socket.CMSG_SPACE(4 * MOST))
        fds = array.array("i")
        for level, kind, data in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
        said = dict(line.split("=", 1)
                    for line in text.decode().splitlines() if "=" in line)
        name = said.get("FDNAME", "stored")
        with self.lock:
            if said.get("FDSTOREREMOVE") == "1":
                self.remove(name)
            for fd in fds:
                if said.get("FDSTORE") == "1" and len(self.kept) < self.store:
                    # out of the way of those that it gets
                    self.kept.append((name, fcntl.fcntl(
                        fd, fcntl.F_DUPFD_CLOEXEC, HIGH)))
                os.close(fd)

    def remove(self, name):
        for entry in [e for e in self.kept if e[0] == name]:
            os.close(entry[1])
            self.kept.remove(entry)

    def release(self):
        """It is not to run any more."""
        with self.lock:
            for _, fd in self.kept:
                os.close(fd)
            self.kept = []

    def names(self):
        with self.lock:
            return sorted(name for name, _ in self.kept)

    def become(self, uid, inside):
        """A client must not keep what the manager lets go of."""
        os.closerange(HIGH, HIGH + 100)
        super().become(uid, inside)

    # ---- the service ------------------------------------------------------
    def environment(self):
        env = super().environment()
        env["NOTIFY_SOCKET"] = self.path("notify")
        env["FDSTORE"] = str(self.store)
        return env

    def start_mspd(self, wait=True):
        self.write_config()
        with self.lock:
            given = list(self.kept)
        env = self.environment()
        if given:
            env["LISTEN_FDS"] = str(len(given) + self.claimed)
            env["LISTEN_FDNAMES"] = ":".join(name for name, _ in given)
        # which process it is, and where they are, is known in it only
        moves = " ".join(f"{FIRST + i}<&{fd} {fd}<&-"
                         for i, (_, fd) in enumerate(given))
        out = open(self.path("mspd.out"), "ab")
        self.mspd = subprocess.Popen(
            ["bash", "-c", f'export LISTEN_PID=$$; exec "$@" {moves}', "-",
             *syscalls.tracer(), self.program, "--foreground", "--config",
             self.path("mspd.json")],
            stdout=out, stderr=out, env=env, stdin=subprocess.DEVNULL,
            pass_fds=[fd for _, fd in given], preexec_fn=self.prepare_mspd)
        out.close()
        if wait:
            self.wait_ready()

    def restart(self, sig=signal.SIGTERM):
        """Exit status of the one before; does not wait for the next."""
        status = self.stop_mspd(sig)
        self.start_mspd(wait=False)
        return status
