# SPDX-License-Identifier: MIT
"""
In: ways to one upstream. Out: what each load costs on each of them, in turns,
so that what else the machine does meets all of them. Must never report a
figure of answers that were not those asked for.
"""
import contextlib
import hashlib
import http.client
import json
import os
import statistics
import subprocess
import threading
import time

import cost
import proxies
import world
from client import Client, first, hold
from proxies import DENIED, LARGE, MIDDLE, POSTED, SIGNED, SMALL
from world import Failed


class Load:
    """What wrk does. one_cpu: all that take part are on one, so that what a
    way adds is its work, and not how long a CPU takes to wake another."""

    def __init__(self, name, connections, path=SMALL, close=False, body=0,
                 one_cpu=False):
        self.name, self.connections, self.path = name, connections, path
        self.one_cpu = one_cpu
        self.environment = {
            "PATH": world.PATH, "LOAD_METHOD": "POST" if body else "GET",
            "LOAD_CLOSE": "1" if close else "", "LOAD_BODY": str(body)}


KEPT = {n: f"{n:,} connections" for n in (1, 16, 64, 256, 1000)}
KEPT[1] = "1 connection, all on one CPU"
CLOSE = "16, one for each request"
LOADS = [Load(KEPT[n], n, one_cpu=n == 1) for n in KEPT] + [
    Load(CLOSE, 16, close=True),
    Load("4 KB answers, 64", 64, MIDDLE),
    Load("1 MB answers, 16", 16, LARGE),
    Load("POST of 4 KB, 64", 64, POSTED, body=4096)]
MEDIANS = ("rate", "p50_us", "p99_us", "cpu_us", "switches", "busy", "others")
# Until what a request leaves behind has been done, such as its audit record.
SETTLED_S = 20
SETTLE_S = 0.1


# ---- is it what it should be? ----------------------------------------------
def fetch(at, method, path, body=None):
    connection = http.client.HTTPConnection(*at, timeout=10)
    connection.request(method, path, body, {"Metadata": "true"})
    answer = connection.getresponse()
    found = answer.status, hashlib.sha256(answer.read()).hexdigest()
    connection.close()
    return found


def fetch_all(say, _wait, at):
    found = {path: fetch(at, "GET", path)
             for path in (SMALL, MIDDLE, LARGE, SIGNED, DENIED)}
    found[POSTED] = fetch(at, "POST", POSTED, b"x" * 4096)
    say(json.dumps(found))


def answers(way):
    found = Client(way.prepare, fetch_all, way.at).end()
    if not found:
        raise Failed(f"{way.name} does not answer")
    return json.loads(found)


def check(ways):
    """All answer the same, but mspd signs, and refuses what is not granted."""
    direct = answers(ways[0])
    nothing = hashlib.sha256(b"").hexdigest()
    if direct[SIGNED] != [200, nothing] or direct[DENIED][0] != 404:
        raise Failed(f"the upstream answers {direct}")
    for way in ways[1:]:
        found = answers(way)
        for path in (SMALL, MIDDLE, LARGE, POSTED):
            if found[path] != direct[path] or found[path][0] != 200:
                raise Failed(f"{way.name}: {path}: {found[path]}")
        guards = isinstance(way, proxies.Mspd)
        if (found[SIGNED][1] != nothing) != guards or \
                found[DENIED][0] != (403 if guards else 404):
            raise Failed(f"{way.name}: {found}")


# ---- one run ----------------------------------------------------------------
@contextlib.contextmanager
def on_one_cpu(pids):
    """Those, their threads, and what is started meanwhile."""
    everywhere = os.sched_getaffinity(0)
    one = {max(everywhere)}
    try:
        for pid in pids:
            cost.pin(pid, one)
        yield
    finally:
        for pid in pids:
            cost.pin(pid, everywhere)


def wrk(way, load, seconds):
    done = subprocess.run(
        ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "-s",
         way.room.lua, way.url(load.path)],
        env=load.environment, preexec_fn=way.prepare, text=True, check=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])


def spent(way, upstream):
    """s of all CPUs, and of what belongs to a run."""
    ours = cost.ended_s() + sum(cost.cpu_ns(pid) / 1e9 for pid in
                                (way.pid, upstream.pid) if pid)
    return cost.machine_s(), ours


def run(way, load, seconds, upstream):
    """Figures of one run; per request where that makes sense."""
    before = (cost.cpu_ns(way.pid), cost.switches(way.pid)) if way.pid else ()
    whole, ours = spent(way, upstream)
    pinned = [os.getpid(), upstream.pid] + [way.pid] * bool(way.pid)
    with on_one_cpu(pinned if load.one_cpu else []):
        out = wrk(way, load, seconds)
    n = out["requests"]
    if not n:
        raise Failed(f"{way.name}, {load.name}: {out}")
    out["rate"] = n / out["seconds"]
    time.sleep(SETTLE_S)
    if way.pid:
        used = cost.cpu_ns(way.pid) - before[0]
        out["cpu_us"] = used / 1000 / n
        out["busy"] = used / 1e7 / out["seconds"]
        out["switches"] = (cost.switches(way.pid) - before[1]) / n
    whole, ours = (b - a for a, b in zip((whole, ours), spent(way, upstream)))
    out["others"] = max(whole - ours, 0) * 100 / os.cpu_count() / \
        (out["seconds"] + SETTLE_S)
    return out


def measure(upstream, ways, rounds, seconds, names=()):
    """Runs by name of load, of these or of all, and of way."""
    loads = [load for load in LOADS if not names or load.name in names]
    runs = {load.name: {way.name: [] for way in ways} for load in loads}
    for load in loads:
        print(f"  BENCH   {load.name}", flush=True)
        for i in range(rounds):
            # whoever is first after another load has no disadvantage
            for way in ways[i % len(ways):] + ways[:i % len(ways)]:
                runs[load.name][way.name].append(
                    run(way, load, seconds, upstream))
    return runs


def medians(runs):
    return {key: statistics.median(r[key] for r in runs) for key in MEDIANS
            if key in runs[0]}


def quartiles(values):
    """The middle half of them: from, to; None: there is but one."""
    values = list(values)
    if len(values) < 2:
        return None
    first, _, third = statistics.quantiles(values, method="inclusive")
    return first, third


def ratios(runs, load, key, over, under="mspd"):
    """What one is to the other, round by round."""
    return [a[key] / b[key]
            for a, b in zip(runs[load][under], runs[load][over])]


def ratio(*args):
    return statistics.median(ratios(*args))


# ---- memory, idle -----------------------------------------------------------
def memory_busy(way, seconds):
    """In the middle of a load of 256 connections."""
    load = next(one for one in LOADS if one.name == KEPT[256])
    seen = []
    timer = threading.Timer(
        seconds / 2 + 0.2,
        lambda: seen.append(cost.memory_mb(way.pid, "Pss")))
    timer.start()
    wrk(way, load, seconds)
    timer.join()
    return seen[0]


def memory_held(way, count):
    """MB, of how many connections, and how many of them were lost."""
    holder = Client(way.prepare, hold, way.at, SMALL, count)
    try:
        opened = int(holder.line() or 0)
        time.sleep(1)
        found = cost.memory_mb(way.pid, "Pss")
    finally:
        kept = int(holder.end() or 0)
    return found, opened, count - kept


def at_rest(ways, seconds):
    """Before any load, when what belongs to the start is over."""
    time.sleep(SETTLED_S)
    before = {way.name: cost.cpu_ns(way.pid) for way in ways}
    time.sleep(seconds)
    return {way.name: {
        "idle_percent": (cost.cpu_ns(way.pid) - before[way.name]) / 1e7 /
        seconds, "idle_mb": cost.memory_mb(way.pid, "Pss"),
        "resident_mb": cost.memory_mb(way.pid, "Rss")} for way in ways}


# ---- start ------------------------------------------------------------------
def first_answer(way):
    """ms from exec to an answer the host has seen signed, and the most memory
    until then."""
    reader, writer = os.pipe()
    way.world.sandbox = lambda: os.write(
        writer, str(time.monotonic_ns()).encode())
    asking = Client(way.prepare, first, way.at, SIGNED)
    asking.line()
    way.world.start_mspd(wait=False)
    os.close(writer)
    answered = asking.end()
    if not answered:
        raise Failed("no signed answer: " + way.world.tail("mspd.out"))
    peak = cost.peak_mb(way.world.mspd.pid)
    with os.fdopen(reader) as f:
        started = int(f.read())
    way.stop()
    return (int(answered) - started) / 1e6, peak


def starts(way, rounds):
    """With and without a key from before: lists of ms, and of peaks."""
    way.stop()
    found = {"new": [], "again": []}
    for _ in range(rounds):
        way.world.control("POST", "/key/reset")
        for name in os.listdir(way.world.path("keys")):
            os.unlink(way.world.path("keys", name))
        found["new"].append(first_answer(way))
        found["again"].append(first_answer(way))
    return found
