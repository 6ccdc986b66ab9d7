# SPDX-License-Identifier: MIT
"""
In: processes. Out: what they have cost until now, as the kernel counts it,
and where they run.
Must never take what others spend for theirs.
"""
import os
import resource
import time

CPUCLOCK_SCHED = 2


def tasks(pid):
    """Threads of a process, which may end at any time."""
    for tid in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{tid}/status",
                      encoding="ascii", errors="replace") as f:
                yield f.read()
        except OSError:
            continue


def cpu_ns(pid):
    """Of all its threads, also those that have ended; what
    clock_getcpuclockid(3) makes of a pid."""
    return time.clock_gettime_ns(~pid << 3 | CPUCLOCK_SCHED)


def field(text, name):
    """A number of a file of /proc, in the unit it has there."""
    for line in text.splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise KeyError(name)


def switches(pid):
    return sum(field(text, "voluntary_ctxt_switches") +
               field(text, "nonvoluntary_ctxt_switches")
               for text in tasks(pid))


def pin(pid, cpus):
    """All threads it has; those to come are where their maker is."""
    for tid in os.listdir(f"/proc/{pid}/task"):
        try:
            os.sched_setaffinity(int(tid), cpus)
        except ProcessLookupError:
            continue


def machine_s():
    """Of all CPUs, by whomever: what a hypervisor took is somebody's, too."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _idle, _wait, irq, soft, steal = (
            int(n) for n in f.readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) / \
        os.sysconf("SC_CLK_TCK")


def ended_s():
    """Of our processes that have ended and been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def memory_mb(pid, name):
    """Rss or Pss, in MB; shared pages count in parts in the second."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return field(f.read(), name) * 1024 / 1e6


def peak_mb(pid):
    """The most that was resident until now."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return field(f.read(), "VmHWM") * 1024 / 1e6
