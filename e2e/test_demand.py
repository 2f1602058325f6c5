"""From one pod to many, by what waits and works; and what people may say about it: modes, schedules, groups."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from websockets.sync.client import connect

from harness.applications import Application, echo, fibonacci, slot
from harness.cluster import Object
from harness.nemesis import BALANCER, Nemesis
from harness.problems import problem
from harness.reach import SYSTEM
from harness.waiting import PATIENCE, eventually, throughout


def replicas(nemesis: Nemesis, app: Application) -> int:
    return nemesis.cluster.get("Deployment", app.name, app.namespace)["spec"]["replicas"]


def one(nemesis: Nemesis, app: Application) -> None:
    assert replicas(nemesis, app) == 1


def applied(nemesis: Nemesis, app: Application) -> list[Object]:
    """The decisions that were applied, oldest first."""
    return [d for d in nemesis.decisions(app, result="applied")][::-1]


def most_at_a_time(nemesis: Nemesis, app: Application) -> list[int]:
    """How many requests each pod that is ready had at most, in its own words."""
    pods = nemesis.cluster.list("Pod", app.namespace, labels=f"app={app.name}")
    there = [p for p in pods if any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))]
    return [nemesis.http.get(nemesis.reach.pod(pod, app.port) + "/count").json()["most"] for pod in there]


def test_a_burst_at_zero_starts_as_many_pods_as_it_needs_and_none_has_two(nemesis: Nemesis, namespace: str) -> None:
    app = slot(namespace, spec={"containerConcurrency": 1, "maxReplicas": 4, "wakeUpTimeout": 300, "busyTimeout": 300})
    nemesis.deploy(app)
    answers = nemesis.ask_many(app, 60, "/work?for=300ms")
    assert [a.status_code for a in answers] == [200] * 60, [a.text for a in answers if a.status_code != 200][:3]
    # The first request alone may ask first; those beside it ask a moment later, or a balancer's report of them comes before that.
    # Both tell what waits, and none of it has to become a threshold that is passed for a while.
    ups = applied(nemesis, app)
    assert (ups[0]["trigger"], ups[0]["from"], ups[-1]["to"]) == ("StartCall", 0, 4), ups
    assert {d["trigger"] for d in ups} <= {"StartCall", "Demand"}, ups
    most = most_at_a_time(nemesis, app)
    assert {1} <= set(most) <= {0, 1}, most  # none: the last one may come when all are answered


def test_a_paused_application_stays_down_and_says_so_at_once(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"mode": "Paused"})
    nemesis.deploy(app)
    began = time.monotonic()
    refusal = problem(nemesis.ask(app), 503, "start-blocked")
    assert "paused" in refusal["detail"].lower() or "Paused" in refusal["detail"], refusal
    assert time.monotonic() - began < PATIENCE / 2
    assert replicas(nemesis, app) == 0
    nemesis.cluster.patch("CustomAutoscaler", app.name, namespace, {"spec": {"pausedReplicas": 2}})
    nemesis.wait_replicas(app, 2)
    assert nemesis.ask(app).status_code == 200
    nemesis.cluster.patch("CustomAutoscaler", app.name, namespace, {"spec": {"mode": None, "pausedReplicas": None, "idleTime": 2}})
    nemesis.wait_replicas(app, 0)
    assert nemesis.ask(app).status_code == 200


def test_an_observed_application_is_decided_on_and_left_alone(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"mode": "Observe", "idleTime": 1})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200  # a request wakes it all the same

    def would_sleep() -> Object | None:
        held = nemesis.decisions(app, result="held")
        return next((d for d in held if "mode is Observe: 0 would be asked for" in d["summary"]), None)

    eventually(would_sleep, "what it would do is recorded")
    throughout(lambda: one(nemesis, app), seconds=4)


@pytest.mark.long
def test_a_schedule_wakes_and_lets_sleep_by_the_clock(nemesis: Nemesis, namespace: str) -> None:
    now = datetime.now(UTC)
    begins, ends = now + timedelta(minutes=-1), now + timedelta(minutes=2)
    schedule = {"name": "now", "start": f"{begins.minute} * * * *", "end": f"{ends.minute} * * * *", "minReplicas": 2}
    app = fibonacci(namespace, spec={"idleTime": 1, "schedules": [schedule]})
    nemesis.deploy(app)
    nemesis.wait_replicas(app, 2)
    woken = applied(nemesis, app)[0]
    assert any(r["rule"] == "Schedule:now" for r in woken["reasons"]), woken
    nemesis.wait_replicas(app, 0)  # by its end, without anybody asking
    assert datetime.now(UTC) >= ends.replace(second=0, microsecond=0)


def test_targets_that_wake_together_are_all_started_by_a_request_of_one(nemesis: Nemesis, namespace: str) -> None:
    app, mate = fibonacci(namespace, "app"), fibonacci(namespace, "mate")
    both = app.autoscaler
    both["spec"] |= {
        "wakeTogether": True,
        "idleTime": 5,
        "targetDeployments": [*app.autoscaler["spec"]["targetDeployments"], *mate.autoscaler["spec"]["targetDeployments"]],
    }
    nemesis.cluster.apply(app.deployment, app.service, mate.deployment, mate.service, both)
    nemesis.known(mate)
    assert nemesis.ask(app).status_code == 200
    nemesis.wait_replicas(mate, 1)
    nemesis.wait_replicas(app, 0)
    nemesis.wait_replicas(mate, 0)


def test_quick_calls_beside_websockets_keep_the_count(nemesis: Nemesis, namespace: str) -> None:
    app = echo(namespace, spec={"responseTimeThreshold": 500, "maxReplicas": 4})
    nemesis.deploy(app)
    assert nemesis.ask(app, "/healthz").status_code == 200
    end = time.monotonic() + 25
    url = nemesis.data_url.replace("http://", "ws://") + app.prefix + "/ws"

    def talks(seconds: float) -> None:
        while time.monotonic() < end:
            with connect(url, open_timeout=PATIENCE, proxy=None) as socket:
                until = time.monotonic() + seconds
                while time.monotonic() < min(until, end):
                    socket.send("tick")
                    socket.recv(PATIENCE)
                    time.sleep(0.5)

    threads = [threading.Thread(target=talks, args=(s,), daemon=True) for s in (3, 5, 8)]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        assert nemesis.ask(app, "/healthz").status_code == 200
        time.sleep(0.05)
    for thread in threads:
        thread.join(PATIENCE)
    assert [d["to"] for d in applied(nemesis, app)] == [1], applied(nemesis, app)


@pytest.mark.long
def test_a_target_that_is_added_has_an_idle_time_of_its_own(nemesis: Nemesis, namespace: str) -> None:
    old, new = fibonacci(namespace, "old", spec={"idleTime": 20}), fibonacci(namespace, "new", replicas=1)
    nemesis.deploy(old)
    nemesis.cluster.apply(new.deployment, new.service)
    nemesis.wait_replicas(new, 1)
    eventually(lambda: nemesis.application(old)["state"] == "Asleep", "the first target sleeps")
    time.sleep(20)  # the CustomAutoscaler is older than its idle time
    both = old.autoscaler
    both["spec"]["targetDeployments"] += new.autoscaler["spec"]["targetDeployments"]
    nemesis.cluster.apply(both)
    named = time.monotonic()
    nemesis.known(new)
    nemesis.wait_replicas(new, 0)
    assert time.monotonic() - named > 19, "it was put to sleep before its own idle time was over"


@pytest.mark.disruptive
def test_time_in_which_no_load_balancer_looked_is_no_idleness(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 20})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    before = nemesis.cluster.get("Deployment", BALANCER, SYSTEM)["spec"]["replicas"]
    nemesis.cluster.scale(SYSTEM, BALANCER, 0)
    try:
        eventually(lambda: not nemesis.pods(BALANCER), "no load balancer is left")
        time.sleep(25)  # longer than idleTime
        assert replicas(nemesis, app) == 1
    finally:
        nemesis.cluster.scale(SYSTEM, BALANCER, before)
        nemesis.wait_service(BALANCER)
    back = time.monotonic()
    nemesis.wait_replicas(app, 0)
    assert time.monotonic() - back > 10, "the time without a load balancer counted as idleness"


def test_thirty_that_wait_at_zero_are_all_answered_by_several_pods(nemesis: Nemesis, namespace: str) -> None:
    app = slot(namespace, spec={"containerConcurrency": 1, "maxReplicas": 5, "wakeUpTimeout": 60})
    nemesis.deploy(app)
    with ThreadPoolExecutor(30) as pool:
        url = nemesis.data_url + app.prefix + "/work?for=3s"
        answers = list(pool.map(lambda _: nemesis.http.get(url), range(30)))
    assert [a.status_code for a in answers] == [200] * 30, [a.text for a in answers if a.status_code != 200][:3]
    # The first that comes has a pod started at once; the others, as they are told of, all that they need.
    decided = applied(nemesis, app)
    first = datetime.fromisoformat(decided[0]["time"])
    whole = next(datetime.fromisoformat(d["time"]) for d in decided if d["to"] == 5)
    assert (whole - first).total_seconds() < 3 and len(decided) <= 4, decided


POLICIES = ["RoundRobin", "LeastConnections", "Random", "LeastRequest", "PeakEWMA", "Prequal", "ModelAware"]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_pod_that_refuses_fast_attracts_no_requests(nemesis: Nemesis, namespace: str, policy: str) -> None:
    app = slot(namespace, replicas=3, spec={"minReplicas": 3, "loadBalancingAlgorithm": policy})
    nemesis.deploy(app)
    eventually(lambda: nemesis.application(app)["readyReplicas"] == 3, "all three serve")
    bad = nemesis.cluster.list("Pod", namespace, labels=f"app={app.name}")[0]
    refuse = nemesis.reach.pod(bad, app.port) + "/refuse?with=503"

    def some(count: int) -> int:
        with ThreadPoolExecutor(3) as pool:
            url = nemesis.data_url + app.prefix + "/work?for=0s"
            return sum(code == 503 for code in pool.map(lambda _: nemesis.http.get(url).status_code, range(count)))

    assert some(60) == 0
    assert nemesis.http.put(refuse).status_code == 200
    some(60)  # it is found out by these
    failed = some(300)
    assert failed <= 15, f"{failed} of 300 met the pod that refuses"
