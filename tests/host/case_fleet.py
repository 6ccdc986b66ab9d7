# SPDX-License-Identifier: MIT
"""
In: msp-host, and a fleet of agents on libmsp. Out: all of them served at the
same time, each as a VM of its own. Must never judge how fast that is.
"""
import os
import subprocess
import tempfile

import client
from client import case


@case
def fleet_latches_signs_and_outlives_a_killed_host():
    build = os.environ["LD_LIBRARY_PATH"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [os.path.join(build, "tests/bench/bench_fleet")], text=True,
            env={**os.environ, "MSP_HOST": client.HOST, "TMPDIR": folder,
                 "QUICK": "1"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    names = [line.split("\t")[0] for line in done.stdout.splitlines()]
    for name in ("agents latched", "polls", "signed requests",
                 "agents latched, on disk"):
        assert name in names, (name, names)
