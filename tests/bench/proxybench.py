# SPDX-License-Identifier: MIT
"""
In: a build directory, root, a network namespace. Out: mspd beside other ways
to the same upstream, as rows and as figures with their goals. Must never
leave out a goal because it is missed.
"""
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

import proxies
import traffic
import world
from traffic import CLOSE, KEPT

TOOLS = {"wrk": "wrk", "nginx": "nginx-light", "haproxy": "haproxy",
         "strip": "binutils"}
FILES = 4 * proxies.PLACES
BASE, HELD = "mspd", 10000
# What a run is long: rounds, s of each, s at rest, connections held, starts.
WHOLE = {"rounds": 5, "seconds": 2, "rest": 60, "held": HELD, "starts": 9}
SHORT = {"rounds": 1, "seconds": 1, "rest": 5, "held": 2000, "starts": 3}
# What clients of a namespace of its own need, that are so many in a minute.
SYSCTLS = {"net/ipv4/ip_local_port_range": "10000 65000",
           "net/ipv4/tcp_tw_reuse": "1",
           "net/ipv4/tcp_max_syn_backlog": "8192"}


def missing():
    """Line that installs what is not there, or None."""
    names = [package for tool, package in TOOLS.items()
             if not shutil.which(tool, path=world.PATH)]
    if not names:
        return None
    return ("missing; run: apt-get install -y --no-install-recommends " +
            " ".join(names))


def raise_limit():
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    except ValueError:  # not even root may, in some containers
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        print(f"  NOTE    a process may have {hard:,} descriptors here, not "
              f"{FILES:,}: memory of {HELD:,} connections is worked out from "
              "fewer", flush=True)


def prepare():
    raise_limit()
    for name, value in SYSCTLS.items():
        with open(f"/proc/sys/{name}", "w", encoding="ascii") as f:
            f.write(value)


def figure(name, value, unit, goal=None, note="", least=False):
    return {"bench": "proxies", "name": name, "value": value, "unit": unit,
            "goal": goal, "note": note, "least": least}


def size_kb(build):
    """Of program and library, stripped."""
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in ("mspd/mspd", "libmsp.so"):
            out = os.path.join(folder, os.path.basename(name))
            subprocess.run(["strip", "-o", out, os.path.join(build, name)],
                           check=True)
            total += os.path.getsize(out)
    return total / 1000


# ---- what is asked for ------------------------------------------------------
def middle_half(values):
    if len(values) < 2:
        return "one round"
    return "half of them %.2f to %.2f" % traffic.quartiles(values)


def lost(runs, name):
    return sum(one["lost"] for by_way in runs.values()
               for one in by_way[name])


def goals_of_traffic(runs):
    def over(name, load, key, way, goal, note="", least=False):
        values = traffic.ratios(runs, load, key, way)
        return figure(f"{name}: {load}", statistics.median(values), "ratio",
                      goal, middle_half(values) + note, least)

    out = [over("CPU per request over nginx's", load, "cpu_us", "nginx", 1.0,
                "; never above 1.3") for load in runs]
    out.append(over("CPU per request over the relay's", KEPT[64], "cpu_us",
                    "relay", 1.35, "; the stretch"))
    out.append(over("requests/s over nginx's", KEPT[64], "rate", "nginx", 1.0,
                    least=True))
    p50 = {name: traffic.medians(some)["p50_us"]
           for name, some in runs[KEPT[1]].items()}
    added = {name: p50[name] - p50["direct"] for name in (BASE, "nginx")}
    out.append(figure(
        "added p50 over nginx's: one connection",
        added[BASE] / max(added["nginx"], 1), "ratio", 1.2,
        f"{added[BASE]:.0f} us, nginx {added['nginx']:.0f} us"))
    return out


def goals_of_lines(runs):
    return [figure(
        f"the same, a line of the audit trail for each: {load}",
        statistics.median(values), "ratio", 1.0, middle_half(values))
        for load, values in (
            (load, traffic.ratios(runs, load, "cpu_us", "nginx", "lines"))
            for load in runs)]


def beside(found, key):
    """The others, for a remark."""
    return ", ".join(f"{name} {found[name][key]:.1f}"
                     for name in found if name != BASE)


def goals_of_answers(runs):
    mine = [one for by_way in runs.values() for one in by_way[BASE]]
    return [
        figure("answers that were refusals",
               sum(one["refused"] for one in mine), "", 0,
               f"of {sum(one['requests'] for one in mine):,}"),
        figure("connections lost, or answers after 2 s", lost(runs, BASE), "",
               0, ", ".join(f"{name} {lost(runs, name)}"
                            for name in runs[KEPT[1]] if name != BASE))]


def how_held(found):
    """Nobody is to take what was worked out for what was seen."""
    few = [f"{name} {some['held']:,}" for name, some in found.items()
           if some["held"] != HELD]
    return "each after one request" + \
        ("; worked out from " + ", ".join(few) if few else "")


def goals_of_memory(found):
    mine = found[BASE]
    return [
        figure("idle", mine["idle_mb"], "MB", 5, beside(found, "idle_mb") +
               f"; resident {mine['resident_mb']:.1f}"),
        figure("256 busy connections", mine["busy_mb"], "MB", 12,
               beside(found, "busy_mb")),
        figure(f"{HELD:,} idle connections", mine["held_mb"], "MB", 120,
               beside(found, "held_mb") + "; " + how_held(found)),
        figure("of these refused or closed", mine["lost"], "", 0),
        figure("CPU when idle", mine["idle_percent"], "%", 0.01, ", ".join(
            f"{name} {found[name]['idle_percent']:.4f}" for name in found
            if name != BASE))]


def goals_of_start(found):
    peak = max(mb for some in found.values() for _, mb in some)
    out = [figure(name, statistics.median(ms for ms, _ in found[key]), "ms", 45,
                  f"{min(ms for ms, _ in found[key]):.0f} to "
                  f"{max(ms for ms, _ in found[key]):.0f}")
           for key, name in (("new", "first signed answer after exec, new key"),
                             ("again", "the same, with a key"))]
    return out + [figure("peak at start", peak, "MB", 16, "resident")]


def table_of_traffic(runs):
    out = []
    for load, by_way in runs.items():
        for name, some in by_way.items():
            row = {"load": load, "way": name, **traffic.medians(some),
                   "rate_half": traffic.quartiles(r["rate"] for r in some),
                   "runs": some}
            if "cpu_us" in row:
                row["cpu_half"] = traffic.quartiles(
                    r["cpu_us"] for r in some)
                row["over_nginx"] = traffic.ratio(runs, load, "cpu_us",
                                                  "nginx", name)
                row["over_relay"] = traffic.ratio(runs, load, "cpu_us",
                                                  "relay", name)
            out.append(row)
    return out


# ---- the run ----------------------------------------------------------------
def measure_memory(ways, length):
    print("  BENCH   memory, idle", flush=True)
    found = traffic.at_rest(ways, length["rest"])
    for way in ways:
        found[way.name]["busy_mb"] = traffic.memory_busy(way, 2)
    for way in ways:
        n = min(length["held"], way.most_held())
        mb, opened, wrong = traffic.memory_held(way, n)
        mine = found[way.name]
        # as if there had been all of them, where descriptors are few
        mine["held_mb"] = mine["idle_mb"] + \
            (mb - mine["idle_mb"]) * HELD / max(opened, 1)
        mine.update(held=opened, lost=wrong)
    return found


def measure(room, build, length, open_ones):
    def start(kind):
        way = kind(room, build)
        open_ones.append(way)
        return way.start()

    upstream = start(proxies.Upstream)
    direct = proxies.Way(room, build)
    ways = [start(kind) for kind in proxies.PROXIES]
    traffic.check([direct, *ways])
    memory = measure_memory(ways, length)
    runs = traffic.measure(upstream, [direct, *ways], length["rounds"],
                           length["seconds"])
    traffic.check([direct, *ways])
    print("  BENCH   start", flush=True)
    start_times = traffic.starts(ways[-1], length["starts"])
    ways[-1].close()
    print("  BENCH   a line of the audit trail for each", flush=True)
    lines = traffic.measure(
        upstream, [start(proxies.MspdLines),
                   next(way for way in ways if way.name == "nginx")],
        length["rounds"], length["seconds"], (KEPT[64], KEPT[256]))
    goals = goals_of_traffic(runs) + goals_of_lines(lines) + \
        goals_of_answers(runs) + \
        goals_of_memory(memory) + goals_of_start(start_times)
    goals.append(figure("stripped mspd and libmsp.so", size_kb(build), "kB",
                        400))
    return table_of_traffic(runs), goals


def run(build):
    """Rows of the table of loads, and figures."""
    length = SHORT if os.environ.get("QUICK") else WHOLE
    prepare()
    room, open_ones = proxies.Room(), []
    try:
        return measure(room, build, length, open_ones)
    except BaseException:
        if os.environ.get("KEEP"):
            print(f"kept: {room.dir}", file=sys.stderr)
        raise
    finally:
        for way in reversed(open_ones):
            way.close()
        if not os.environ.get("KEEP"):
            room.close()
