# SPDX-License-Identifier: MIT
"""
In: figures. Out: Markdown tables of them, each beside its goal. Must never
turn what was not measured into a goal that is met.
"""
import datetime
import os
import platform

FIGURE = ("what", "value", "unit", "goal", "", "remark")
QUIET_LOAD = 1.0
QUIET_PERCENT = 5
HOW = """\
mspd is as in production: redirected by eBPF, the caller identified, 20
privileges, each request signed and audited: the first 5,000 of a user have a
line each in the audit trail, what is asked again and again after that is
counted there (two rows show what a line for each would cost). nginx and
haproxy do none of this, write no access log, and keep connections to the
upstream. Each has one worker, the upstream and wrk one thread; none of them is
tied to a CPU, but for one connection all are on the same: waking another takes
longer than a request. CPU and switches are of all threads of a way, opening
its connections and what it does until 0.1 s after the load included; "CPU %"
of one CPU: far below 100, others were what held it up."""


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
    if unit == "%0":
        return f"{number:.0f}"
    if unit == "ratio":
        return f"{number:.3f}"
    if unit == "%" or abs(number) < 1 and number:
        return f"{number:.4f}"
    if number == int(number) or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.2f}"


def cell(value, unit):
    if value is None:
        return ""
    if isinstance(value, (tuple, list)):
        return " to ".join(text(one, unit) for one in value)
    return text(value, unit)


def verdict(f):
    if f["goal"] is None:
        return ""
    kept = f["value"] >= f["goal"] if f.get("least") else \
        f["value"] <= f["goal"]
    return "met" if kept else "missed"


def markdown(head, lines):
    """A table; all but its first column are numbers or short."""
    lines = [tuple(head)] + [tuple(line) for line in lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, tuple("-" * w for w in widths))
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths)) + " |"
        for line in lines)


def rows(head, lines):
    print("\n" + markdown(head, lines))


def where(about):
    text = "%(date)s, Linux %(kernel)s, %(cpu)s, load %(load)s" % about
    if "others" in about:
        text += "; others had %(others).0f %% of the CPUs" % about
    return text


def heading(about):
    print("\n" + where(about))
    if about["quick"]:
        print("A short run: the figures mean little.")
    elif about["load"] > QUIET_LOAD or \
            about.get("others", 0) > QUIET_PERCENT:
        print("The machine was busy: the figures are too high.")


def goal(f):
    return "" if f["goal"] is None else \
        (">= " if f.get("least") else "") + text(f["goal"], f["unit"])


def line(f):
    return (f["name"], text(f["value"], f["unit"]), f["unit"], goal(f),
            verdict(f), f["note"])


def figures(all_of_them):
    rows(FIGURE, [line(f) for f in all_of_them])


def loads(traffic):
    """traffic: rows of proxybench.run()."""
    head = ("load", "way", "requests/s", "middle half", "p50 us", "p99 us",
            "CPU us/request", "middle half", "CPU %", "switches/request",
            "CPU / nginx", "CPU / relay")
    keys = (("rate", ""), ("rate_half", ""), ("p50_us", ""), ("p99_us", ""),
            ("cpu_us", ""), ("cpu_half", ""), ("busy", "%0"), ("switches", ""),
            ("over_nginx", "ratio"), ("over_relay", "ratio"))
    rows(head, [(one["load"], one["way"], *(cell(one.get(key), unit)
                                            for key, unit in keys))
                for one in traffic])
    print("\n" + HOW)
