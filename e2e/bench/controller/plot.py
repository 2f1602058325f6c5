"""Draws what bench-controller wrote: one picture a measure against the number of applications, and of a soak one over time.

    plot.py FOLDER        reads FOLDER/controller.json and FOLDER/controller-soak.json, writes FOLDER/controller/*.png
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

STYLE = {"now": ("#0b6e4f", "o"), "released": ("#b5442e", "s")}

EVENT = (1, "target 1 ms")

# file, title, unit, [(metric, word in the legend, line)], target (value, word) or None, logarithmic
PICTURES = [
    ("rest-cpu", "CPU at rest", "% of a core", [("rest_cpu_percent", "", "-")], (2, "target 2%"), True),
    ("rest-memory", "Memory at rest", "MB", [("rest_rss_mb", "resident", "-"), ("rest_heap_mb", "live heap", "--")], None, True),
    (
        "memory-per-application",
        "Memory per application",
        "KB",
        [("app_rss_kb", "resident", "-"), ("app_heap_kb", "live heap", "--")],
        (60, "target 60 KB"),
        False,
    ),
    (
        "memory-per-pod",
        "Memory of a pod that pushes, over one that does not",
        "KB",
        [("pod_pushing_rss_kb", "resident", "-"), ("pod_pushing_heap_kb", "live heap", "--")],
        (1.5, "target 1.5 KB"),
        False,
    ),
    ("event-annotation", "An annotation on one CustomAutoscaler", "ms of CPU", [("event_annotation_ms", "", "-")], EVENT, True),
    ("event-status", "A status written to one CustomAutoscaler", "ms of CPU", [("event_status_ms", "", "-")], EVENT, True),
    ("event-deployment", "An event of one Deployment", "ms of CPU", [("event_deployment_ms", "", "-")], EVENT, True),
    (
        "event-pod",
        "An event of one pod",
        "ms of CPU",
        [("event_pod_ms", "annotation", "-"), ("event_readiness_ms", "readiness", "--"), ("event_foreign_ms", "of nobody", ":")],
        EVENT,
        True,
    ),
    (
        "push-cpu",
        "A push of a sidecar",
        "µs of CPU",
        [("push_cpu_us", "by itself", "-"), ("push_batched_cpu_us", "in a batch", "--")],
        None,
        True,
    ),
    (
        "settle",
        "From the start until it is quiet",
        "s",
        [("settle_seconds", "until quiet", "-"), ("settle_cpu_seconds", "CPU", "--"), ("ready_seconds", "until ready", ":")],
        None,
        True,
    ),
    (
        "decision",
        "Under load: from a push to the decision",
        "ms",
        [("decision_p99_ms", "p99", "-"), ("decision_p50_ms", "p50", "--"), ("watch_floor_p99_ms", "API server alone, p99", ":")],
        (500, "target 500 ms"),
        True,
    ),
    (
        "start-call",
        "Under load: from a start call to its answer",
        "ms",
        [("start_p99_ms", "p99", "-"), ("start_p50_ms", "p50", "--"), ("scale_floor_p99_ms", "API server alone, p99", ":")],
        (20, "target 20 ms"),
        True,
    ),
    ("load-cpu", "CPU under load", "% of its core", [("load_cpu_percent", "", "-")], None, True),
    (
        "failover",
        "From the leader's end to the next one's first decision",
        "s",
        [("failover_kill_seconds", "killed", "-"), ("failover_polite_seconds", "asked to go", "--")],
        (5, "target 5 s"),
        False,
    ),
    (
        "routes-bytes",
        "Bytes to each load balancer",
        "bytes a second",
        [("load_routes_bytes_per_second", "under load", "-"), ("rest_routes_bytes_per_second", "at rest", "--")],
        None,
        True,
    ),
    ("leader-bytes", "Bytes to each load balancer when the leader is killed", "bytes", [("leader_change_bytes", "", "-")], None, True),
    (
        "report-bytes",
        "A load balancer's report",
        "bytes",
        [("load_report_bytes", "under load", "-"), ("rest_report_bytes", "at rest", "--")],
        None,
        True,
    ),
]


def plain(value, _=None):
    """A number as people write it: 0.05, 3.1, 20, 1,000."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2g}"


def axes(title, unit):
    figure, ax = plt.subplots(figsize=(9, 4.2), layout="constrained")
    ax.set_title(title, loc="left", fontsize=12, fontweight="bold")
    ax.set_ylabel(unit)
    ax.grid(True, which="major", color="#dddddd", linewidth=0.7)
    ax.spines[["top", "right"]].set_visible(False)
    return figure, ax


def figures(book, build, metric, unit, logarithmic):
    """Sizes and values. On a logarithmic axis no bytes at all stand at one, and what was too little to be measured is left out."""
    points = sorted((r["applications"], r["figures"][metric]) for r in book["runs"] if r["build"] == build and metric in r["figures"])
    if logarithmic and unit.startswith("bytes"):
        points = [(size, max(value, 1)) for size, value in points]
    elif logarithmic:
        points = [(size, value) for size, value in points if value > 0]
    else:
        points = [(size, max(value, 0)) for size, value in points]
    return [size for size, _ in points], [value for _, value in points]


def name_ends(ax, ends):
    """The last value of each line beside it; where two end close together, one above the other."""
    heights = []
    for size, value, colour in sorted(ends, key=lambda end: end[1]):
        height = ax.transData.transform((size, value))[1]
        shift = max([h + 22 - height for h in heights if h + 22 > height], default=0)
        heights.append(height + shift)
        where = {"xytext": (7, shift * 72 / ax.figure.dpi), "textcoords": "offset points", "va": "center"}
        ax.annotate(plain(value), (size, value), fontsize=9, color=colour, **where)


def draw(book, folder, name, title, unit, lines, target, logarithmic):
    figure, ax = axes(title, unit)
    ends = []
    for build in book["builds"]:
        colour, marker = STYLE.get(build, ("#444444", "^"))
        about = book.get("about", {}).get(build, "")
        label = "this revision" if build == "now" else f"released {about}".strip()
        for metric, word, line in lines:
            sizes, values = figures(book, build, metric, unit, logarithmic)
            if not sizes:
                continue
            ax.plot(sizes, values, line, color=colour, marker=marker, markersize=5, label=", ".join(filter(None, [label, word])))
            ends.append((line == "-", sizes[-1], values[-1], colour))
    if not ends:
        plt.close(figure)
        return
    if target:
        ax.axhline(target[0], color="#888888", linewidth=1, linestyle=(0, (6, 3)), label=target[1])
    ax.set_xscale("log")
    sizes = sorted({r["applications"] for r in book["runs"]})
    ax.set_xticks(sizes)
    ax.xaxis.set_major_formatter(FuncFormatter(plain))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(sizes[0] * 0.8, sizes[-1] * 1.6)
    if logarithmic:
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        if high < 100 * low:
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(FuncFormatter(plain))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_ylim(low / 1.2, high * 1.2)
    else:
        ax.margins(y=0.15)
        ax.set_ylim(bottom=0)
    name_ends(ax, [end[1:] for end in ends if end[0]])
    ax.set_xlabel("applications")
    ax.legend(fontsize=8.5, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(folder / f"{name}.png", dpi=130)
    plt.close(figure)


def soak(book, folder):
    """Memory, goroutines, open files and CPU over the minutes, with the line through the memory."""
    samples = book["samples"]
    minutes = [s["seconds"] / 60 for s in samples]
    figure, panels = plt.subplots(3, 1, figsize=(8, 8), sharex=True, layout="constrained")
    figure.suptitle(f"Soak: {book['applications']:,} applications, {book['pods']:,} pods", x=0.02, ha="left", fontweight="bold")
    memory, counts, cpu = panels
    memory.plot(minutes, [s["rss_mb"] for s in samples], color="#0b6e4f", label="resident")
    memory.plot(minutes, [s["heap_mb"] for s in samples], color="#7fb8a4", linewidth=0.8, label="heap in use")
    memory.plot(minutes, [s["live_heap_mb"] for s in samples], color="#7fb8a4", linestyle=":", label="live heap")
    start, end = book["warm_seconds"] / 60, minutes[-1]
    line = [book["rss_mb_at_start"], book["rss_mb_at_start"] + book["rss_mb_per_hour"] * (end - start) / 60]
    slope = f"{book['rss_mb_per_hour']:+.1f} ± {2 * book['rss_mb_per_hour_standard_error']:.1f} MB an hour after warm-up: {book['verdict']}"
    memory.plot([start, end], line, color="#b5442e", linestyle="--", label=slope)
    memory.set_ylabel("MB")
    counts.plot(minutes, [s["goroutines"] for s in samples], color="#3b5b92", label="goroutines")
    counts.plot(minutes, [s["open_files"] for s in samples], color="#c98a1b", label="open files")
    cpu.plot(minutes, [s["cpu_percent"] for s in samples], color="#444444", label="CPU, % of a core")
    cpu.set_xlabel("minutes")
    for ax in panels:
        ax.set_ylim(bottom=0)
        ax.grid(True, color="#dddddd", linewidth=0.7)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(fontsize=8, frameon=False, loc="lower right" if ax is not memory else "center right")
    figure.savefig(folder / "soak.png", dpi=130)
    plt.close(figure)


def main():
    base = Path(sys.argv[1])
    folder = base / "controller"
    folder.mkdir(parents=True, exist_ok=True)
    book = base / "controller.json"
    if book.exists():
        read = json.loads(book.read_text())
        if read.get("runs"):
            for picture in PICTURES:
                draw(read, folder, *picture)
    record = base / "controller-soak.json"
    if record.exists():
        soak(json.loads(record.read_text()), folder)
    print(f"Pictures: {folder}/*.png")


if __name__ == "__main__":
    main()
