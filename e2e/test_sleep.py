"""An idle application goes to sleep, and loses no request on the way."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.applications import fibonacci
from harness.nemesis import Nemesis


def test_it_wakes_again_after_it_slept(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 1})
    nemesis.deploy(app)
    pods = set()
    for _ in range(3):
        answer = nemesis.ask(app)
        assert answer.status_code == 200, answer.text
        pods.add(answer.json()["pod"])
        nemesis.wait_replicas(app, 0)
    assert len(pods) == 3, pods


def test_min_replicas_stay_without_traffic(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 1, "minReplicas": 2})
    nemesis.deploy(app)

    nemesis.wait_replicas(app, 2)  # without any request

    decision = next(d for d in nemesis.decisions(app) if d["applied"])
    assert decision["to"] == 2 and any(r["rule"] == "MinReplicas" for r in decision["reasons"]), decision
    nemesis.wait_state(app, "Awake")
    nemesis.cluster.scale(namespace, app.name, 3)
    nemesis.wait_replicas(app, 3)
    nemesis.wait_replicas(app, 2)  # idle: back to the least, not to zero


@pytest.mark.long
def test_requests_at_the_idle_boundary_are_never_lost(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 1})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200

    # From well before the idle time to beyond the end of the pod, in steps that fall into every
    # part of going to sleep: the decision, the agreement of the load balancers, the scaling, the
    # end of the pod.
    faults = []
    for round_ in range(24):
        pause = 0.8 + 0.05 * round_
        time.sleep(pause)  # the pause is what is tested
        answer = nemesis.ask(app)
        if answer.status_code != 200:
            faults.append(f"after {pause:.2f} s: {answer.status_code} {answer.text}")
    assert not faults


@pytest.mark.long
def test_crowds_at_the_idle_boundary_are_never_lost(nemesis: Nemesis, namespace: str) -> None:
    apps = [fibonacci(namespace, f"app-{i}", spec={"idleTime": 1}) for i in range(4)]
    nemesis.deploy(*apps)

    def visit(i: int) -> list[str]:
        faults = []
        for round_ in range(8):
            for answer in nemesis.ask_many(apps[i], 5):
                if answer.status_code != 200:
                    faults.append(f"round {round_}: {answer.status_code} {answer.text}")
            time.sleep(1.0 + 0.1 * round_ + 0.025 * i)  # the pause is what is tested
        return faults

    with ThreadPoolExecutor(4) as pool:
        assert [f for faults in pool.map(visit, range(4)) for f in faults] == []


def test_an_application_that_nobody_asks_sleeps_after_its_idle_time(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, replicas=1, spec={"idleTime": 2})
    nemesis.deploy(app)
    nemesis.wait_replicas(app, 0)
