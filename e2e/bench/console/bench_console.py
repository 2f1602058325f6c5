"""What open consoles cost the controller, and how soon a decision is on an open page.

Applications have steady traffic, and one of them is asked for two pods and for one by turns, so that something is decided all the
time. Of each round one half is without a console and one with CONSOLES of them, in changing order; each is somebody else's, with a
token of its own, and asks what the page asks: its rights, the list, and the stream of events, taken up again when that ends. The
controller's processor time is what its /metrics says of its process. Then a real Chromium has the application open beside them, and an
observer in the page notes when each decision is in the DOM, by the same machine's clock as the decision's own time. Last, FLEETS
times over, a page is told of ten thousand applications by an API that is played, and scrolls and filters them. Run it with
`make bench-console`; it writes build/bench/console.json.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from harness import played
from harness.accounts import account, binding, token
from harness.applications import Application, fibonacci, slot
from harness.browser import chromium, page
from harness.load import Load
from harness.nemesis import Nemesis
from harness.waiting import eventually

CONSOLES = int(os.environ.get("CONSOLES", "20"))
APPLICATIONS = int(os.environ.get("APPLICATIONS", "5"))  # with traffic
ROUNDS = int(os.environ.get("ROUNDS", "4"))
SECONDS = float(os.environ.get("SECONDS", "60"))  # of each half; a stream lasts a minute
DECISIONS = int(os.environ.get("DECISIONS", "60"))
FLEETS = int(os.environ.get("FLEETS", "7"))  # pages with ten thousand applications
OUT = Path(__file__).resolve().parents[3] / "build" / "bench" / "console.json"

TARGET_CPU, TARGET_MS = 1.1, 200
TARGET_PAINT_MS, TARGET_ACT_MS = 1000, 100


class Console(threading.Thread):
    """What an open page asks of the controller."""

    def __init__(self, url: str, bearer: str, trust: object) -> None:
        super().__init__(daemon=True)
        self._headers = {"Nemesis-Authorization": f"Bearer {bearer}", "Accept-Encoding": "gzip, deflate, br, zstd"}
        self._http = httpx.Client(base_url=url, headers=self._headers, timeout=httpx.Timeout(90, connect=30), trust_env=False, verify=trust)
        self._end = threading.Event()
        self.live = threading.Event()
        self.events = 0
        self.faults: list[str] = []

    def run(self) -> None:
        last = ""
        try:
            self._http.get("/v1/rights").raise_for_status()
            while not self._end.is_set():
                with self._http.stream("GET", "/v1/events", headers={"Last-Event-ID": last} if last else {}) as stream:
                    stream.raise_for_status()
                    if not last:
                        self._http.get("/v1/applications?limit=1000").raise_for_status()
                    self.live.set()
                    for line in stream.iter_lines():
                        if line.startswith("id: "):
                            last = line[4:]
                        self.events += line.startswith("event: ")
                        if self._end.is_set():
                            return
        except httpx.HTTPError as err:
            if not self._end.is_set():
                self.faults.append(str(err))
                self.live.set()
        finally:
            self._http.close()

    def end(self) -> None:
        self._end.set()  # read at the next line: there is one each second


@contextmanager
def consoles(nemesis: Nemesis, tokens: list[str]) -> Iterator[list[Console]]:
    """All of them, live."""
    open_ones = [Console(nemesis.controller_url, t, nemesis.reach.trust()) for t in tokens]
    for one in open_ones:
        one.start()
    try:
        for one in open_ones:
            assert one.live.wait(60), "a console did not become live"
        yield open_ones
    finally:
        for one in open_ones:
            one.end()
        for one in open_ones:
            one.join(30)
    assert not any(one.faults for one in open_ones), [one.faults for one in open_ones if one.faults]


@contextmanager
def decided(nemesis: Nemesis, app: Application, every: float = 2) -> Iterator[None]:
    """One pod more and one less, by turns: a decision each time."""
    end = threading.Event()
    faults: list[str] = []

    def turn() -> None:
        for bounds in itertools.cycle([{"minReplicas": 2, "maxReplicas": 2}, {"minReplicas": 1, "maxReplicas": 1}]):
            if end.wait(every):
                return
            try:
                nemesis.cluster.patch("CustomAutoscaler", app.name, app.namespace, {"spec": bounds})
            except Exception as err:  # noqa: BLE001 - whatever it is, the thread says it and ends
                faults.append(str(err))
                return

    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(30)
    assert not faults, faults


def cpu(nemesis: Nemesis) -> float:
    """Seconds of processor time that the controller has used."""
    text = nemesis.http.get(nemesis.controller_url + "/metrics").raise_for_status().text
    (seconds,) = re.findall(r"^process_cpu_seconds_total(?:\{[^}]*\})? (\S+)$", text, re.M)
    return float(seconds)


def used(nemesis: Nemesis) -> float:
    """Milliseconds of processor time a second."""
    before, began = cpu(nemesis), time.monotonic()
    time.sleep(SECONDS)  # it is measured for so long
    return 1000 * (cpu(nemesis) - before) / (time.monotonic() - began)


# In the page: when each decision that was not there before is in the DOM, by its id.
OBSERVE = """() => {
  window.seen = {};
  const note = (e) => {
    const id = /· (\\S+?)(?: ·|$)/.exec(e.querySelector('p.quiet')?.textContent ?? '')?.[1];
    if (id && !window.seen[id]) window.seen[id] = performance.timeOrigin + performance.now();
  };
  document.querySelectorAll('details.decision').forEach(note);
  window.before = Object.keys(window.seen);
  new MutationObserver((changes) => {
    for (const c of changes) for (const n of c.addedNodes) if (n.nodeType === 1) {
      if (n.matches('details.decision')) note(n);
      n.querySelectorAll('details.decision').forEach(note);
    }
  }).observe(document.querySelector('main'), {childList: true, subtree: true});
}"""


def opened(p: Page, nemesis: Nemesis, app: Application, bearer: str) -> None:
    """The view of the application, live, with its decisions."""
    p.goto(nemesis.controller_url + "/console/")
    p.get_by_label("Token").fill(bearer)
    p.get_by_role("button", name="Enter").click()
    expect(p.get_by_text("live", exact=True)).to_be_visible()
    p.goto(f"{nemesis.controller_url}/console/#/app/{app.namespace}/{app.name}")
    expect(p.locator("details.decision").first).to_be_visible()
    p.evaluate(OBSERVE)


def times(nemesis: Nemesis, app: Application) -> dict[str, float]:
    """When each decision was made, in milliseconds."""
    return {d["id"]: 1000 * datetime.fromisoformat(d["time"]).timestamp() for d in nemesis.decisions(app, limit=1000)}


def delays(nemesis: Nemesis, app: Application, bearer: str) -> list[float]:
    """Milliseconds from decisions to the open page."""
    with chromium() as browser, page(browser, viewport={"width": 1280, "height": 860}) as p:
        opened(p, nemesis, app, bearer)
        p.wait_for_function("n => Object.keys(window.seen).length - window.before.length >= n", arg=DECISIONS, timeout=30_000 * DECISIONS)
        seen = p.evaluate("Object.fromEntries(Object.entries(window.seen).filter(([id]) => !window.before.includes(id)))")
    made = times(nemesis, app)
    missing = [id_ for id_ in seen if id_ not in made]
    assert not missing, f"on the page, and not in the list: {missing}"
    return [seen[id_] - made[id_] for id_ in seen]


def fleets(nemesis: Nemesis) -> dict[str, list[float]]:
    """Milliseconds to the first paint, and those of the longest of several steps of scrolling and of filtering, of each page."""
    items = [played.application(i) for i in range(10_000)]
    found: dict[str, list[float]] = {"firstPaintMs": [], "scrollMs": [], "filterMs": []}
    with chromium() as browser:
        for _ in range(FLEETS):
            with page(browser, viewport={"width": 1280, "height": 860}) as p:
                played.fleet(p, items)
                p.goto(nemesis.controller_url + "/console/")
                expect(p.get_by_text("10 000 applications")).to_be_visible()
                for name, ms in p.evaluate(played.MEASURE).items():
                    found[name].append(ms)
    return found


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))]


def viewers(nemesis: Nemesis, namespace: str) -> list[str]:
    """Tokens of so many people, each of whom may look at the namespace."""
    names = [f"viewer-{i}" for i in range(CONSOLES + 1)]
    for name in names:
        account(nemesis.cluster, namespace, name)
        nemesis.cluster.apply(binding(namespace, "view", name, namespace))
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda name: token(nemesis.cluster, namespace, name), names))


@pytest.mark.timeout(7200)
@pytest.mark.alone
def test_bench_console(nemesis: Nemesis, namespace: str) -> None:
    apps = [fibonacci(namespace, f"busy-{i}") for i in range(APPLICATIONS)]
    flipping = slot(namespace, "flipping", replicas=1, spec={"minReplicas": 1, "maxReplicas": 1})
    nemesis.deploy(*apps, flipping)
    for app in apps:
        assert nemesis.ask(app).status_code == 200
    *tokens, mine = viewers(nemesis, namespace)
    without: list[float] = []
    beside: list[float] = []
    events = 0
    with ExitStack() as stack:
        for app in apps:
            stack.enter_context(Load(f"{nemesis.data_url}{app.prefix}/fib/5", clients=1, pause=0.1))
        stack.enter_context(decided(nemesis, flipping))
        eventually(lambda: len(nemesis.decisions(flipping)) > 2, "something is decided")
        for turn in range(ROUNDS):
            for of in (without, beside) if turn % 2 == 0 else (beside, without):
                if of is without:
                    of.append(used(nemesis))
                    continue
                with consoles(nemesis, tokens) as open_ones:
                    of.append(used(nemesis))
                    events += sum(one.events for one in open_ones)
            print(f"round {turn + 1}: without {without[-1]:.1f} ms/s, with {CONSOLES} consoles {beside[-1]:.1f} ms/s", flush=True)
        with consoles(nemesis, tokens):
            late = delays(nemesis, flipping, mine)
    many = fleets(nemesis)

    ratio = statistics.median(beside) / statistics.median(without)
    result = {
        "consoles": CONSOLES,
        "applications": APPLICATIONS + 1,
        "rounds": ROUNDS,
        "seconds": SECONDS,
        "withoutMsPerSecond": without,
        "besideMsPerSecond": beside,
        "eventsReceived": events,
        "ratio": ratio,
        "ratioEach": [b / a for a, b in zip(without, beside, strict=True)],
        "decisions": len(late),
        "decisionToPageMs": {"p50": quantile(late, 0.5), "p99": quantile(late, 0.99), "max": max(late)},
        "decisionToPageMsEach": late,
        "tenThousandApplications": many,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    table(result)


def table(r: dict) -> None:
    without, beside, to_page = statistics.median(r["withoutMsPerSecond"]), statistics.median(r["besideMsPerSecond"]), r["decisionToPageMs"]
    print(f"\n{r['applications']} applications with traffic and decisions, {r['rounds']} rounds of {r['seconds']:g} s each way")
    print(f"  {'controller, no console':<36}{without:8.1f} ms of processor time a second")
    print(f"  {'with ' + str(r['consoles']) + ' open consoles':<36}{beside:8.1f}   {r['ratio']:.2f} x (at most {TARGET_CPU} is the aim)")
    print(f"  {'decision to open page, median':<36}{to_page['p50']:8.0f} ms   ({r['decisions']} decisions)")
    print(f"  {'99th percentile':<36}{to_page['p99']:8.0f} ms   (at most {TARGET_MS} is the aim)")
    print(f"\n10 000 applications in the fleet, {FLEETS} pages: median, and the longest of all")
    for name, key, most in (
        ("first paint", "firstPaintMs", TARGET_PAINT_MS),
        ("a step of scrolling", "scrollMs", TARGET_ACT_MS),
        ("a letter in the filter", "filterMs", TARGET_ACT_MS),
    ):
        each = r["tenThousandApplications"][key]
        print(f"  {name:<36}{statistics.median(each):8.0f} ms   {max(each):.0f}   (at most {most} is the aim)")
