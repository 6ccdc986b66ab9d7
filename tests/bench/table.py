# SPDX-License-Identifier: MIT
"""
In: figures. Out: Markdown tables of them, each beside its goal. Must never
turn what was not measured into a goal that is met.
"""
import datetime
import os
import platform

QUIET_LOAD = 1.0


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def machine():
    """What the figures depend on."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return {"date": now.strftime("%Y-%m-%d %H:%M UTC"),
            "kernel": f"{platform.release()} {platform.machine()}",
            "cpu": f"{os.cpu_count()} x {cpu_model()}",
            "load": round(os.getloadavg()[0], 2),
            "quick": bool(os.environ.get("QUICK"))}


def text(number, unit):
    """As many digits as mean something."""
    if unit == "ratio":
        return f"{number:.3f}"
    if unit == "%" or abs(number) < 1 and number:
        return f"{number:.4f}"
    if number == int(number) or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.2f}"


def verdict(f):
    if f["goal"] is None:
        return ""
    kept = f["value"] >= f["goal"] if f.get("least") else \
        f["value"] <= f["goal"]
    return "met" if kept else "missed"


def rows(head, lines):
    """A table; all but its first column are numbers or short."""
    lines = [tuple(head)] + [tuple(line) for line in lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, tuple("-" * w for w in widths))
    print()
    for line in lines:
        print("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths)) +
              " |")


def heading(about):
    print("\n%(date)s, Linux %(kernel)s, %(cpu)s, load %(load)s" % about)
    if about["quick"]:
        print("A short run: the figures mean little.")
    elif about["load"] > QUIET_LOAD:
        print("The machine was busy: the figures are too high.")


def figures(all_of_them):
    lines = []
    for f in all_of_them:
        goal = "" if f["goal"] is None else \
            (">= " if f.get("least") else "") + text(f["goal"], f["unit"])
        lines.append((f["name"], text(f["value"], f["unit"]), f["unit"], goal,
                      verdict(f), f["note"]))
    rows(("what", "value", "unit", "goal", "", "remark"), lines)


def loads(traffic):
    """traffic: rows of proxybench.report()."""
    head = ("load", "way", "requests/s", "p50 us", "p99 us", "CPU us/request",
            "switches/request", "CPU / nginx", "CPU / relay")
    keys = ("rate", "p50_us", "p99_us", "cpu_us", "switches", "over_nginx",
            "over_relay")
    units = ("", "", "", "", "", "ratio", "ratio")
    rows(head, [(one["load"], one["way"], *(
        text(one[key], unit) if key in one else ""
        for key, unit in zip(keys, units))) for one in traffic])
