"""From a burst at zero to the last answer: this build, the last release (one pod at a time), and the clairvoyant bound.

Each pod works on one request at a time (containerConcurrency 1). The bound is what somebody needs who knows the
burst before it comes and has all pods asked for with its first request: the start of one pod, as it is measured in the
same run, and then the work, shared out evenly. Run it with `make bench-scale`; it writes build/bench/scale.json.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from harness.applications import Application, slot
from harness.nemesis import BALANCER, CONTROLLER, Nemesis
from harness.releases import last_release, released, without_tokens

REQUESTS = int(os.environ.get("REQUESTS", "30"))
WORK = float(os.environ.get("WORK", "2"))  # seconds that each takes
PODS = int(os.environ.get("PODS", "5"))  # maxReplicas
ROUNDS = int(os.environ.get("ROUNDS", "3"))
OUT = Path(__file__).resolve().parents[3] / "build" / "bench" / "scale.json"


def application(namespace: str) -> Application:
    longest = int(REQUESTS * WORK * 2 + 120)
    spec = {"containerConcurrency": 1, "maxReplicas": PODS, "wakeUpTimeout": min(longest, 3600), "idleTime": 3600}
    return slot(namespace, spec=spec)


def asleep(nemesis: Nemesis, app: Application) -> None:
    """By hand, and the rule is changed with it: who only sets the count back again and again is not fought."""
    nemesis.cluster.scale(app.namespace, app.name, 0)
    seconds = nemesis.cluster.get("CustomAutoscaler", app.name, app.namespace)["spec"]["idleTime"]
    nemesis.cluster.patch("CustomAutoscaler", app.name, app.namespace, {"spec": {"idleTime": seconds + 1}})
    nemesis.wait_replicas(app, 0)
    nemesis.wait_state(app, "Asleep")


def burst(nemesis: Nemesis, app: Application, count: int, work: float) -> float:
    """Seconds from the first request to the last answer."""
    url = f"{nemesis.data_url}{app.prefix}/work?for={work:g}s"
    limits = httpx.Limits(max_connections=count)
    began = time.monotonic()
    with httpx.Client(timeout=httpx.Timeout(3600, connect=30), limits=limits, trust_env=False) as http, ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(count))
        answers = list(pool.map(lambda _: http.get(url).status_code, range(count)))
    took = time.monotonic() - began
    assert answers == [200] * count, sorted(answers)
    return took


def measured(nemesis: Nemesis, app: Application) -> tuple[float, float]:
    """The start of one pod, and the burst, each from zero."""
    asleep(nemesis, app)
    start = burst(nemesis, app, 1, 0)
    asleep(nemesis, app)
    return start, burst(nemesis, app, REQUESTS, WORK)


@pytest.mark.timeout(3600)
@pytest.mark.disruptive
def test_bench_scale(nemesis: Nemesis, namespace: str, overlay: Path) -> None:
    app = application(namespace)
    nemesis.deploy(app)
    burst(nemesis, app, 1, 0)  # the node has the image from here on
    this = [measured(nemesis, app) for _ in range(ROUNDS)]
    before: list[tuple[float, float]] = []
    release = last_release(nemesis)
    with without_tokens(nemesis), released(nemesis, release, overlay, CONTROLLER), released(nemesis, release, overlay, BALANCER):
        nemesis.known(app)
        before.append(measured(nemesis, app))

    start = statistics.median(s for s, _ in this)
    bound = start + math.ceil(REQUESTS / PODS) * WORK
    took, took_before = statistics.median(t for _, t in this), before[0][1]
    result = {
        "requests": REQUESTS,
        "workSeconds": WORK,
        "pods": PODS,
        "rounds": ROUNDS,
        "startSeconds": start,
        "boundSeconds": bound,
        "thisSeconds": took,
        "thisSecondsEach": [t for _, t in this],
        "releaseSeconds": took_before,
        "toBound": took / bound,
        "toRelease": took / took_before,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(f"\n{REQUESTS} requests of {WORK:g} s at once, from zero, one at a time and pod, at most {PODS} pods; seconds to the last answer")
    print(f"  {'clairvoyant bound':<28}{bound:8.1f}   (a start of {start:.1f} s, and the work shared out)")
    print(f"  {'this build, median of ' + str(ROUNDS):<28}{took:8.1f}   {took / bound:.2f} x the bound (at most 1.25 is the aim)")
    print(f"  {'the last release':<28}{took_before:8.1f}   this build takes {took / took_before:.2f} of it (at most 0.35 is the aim)")
