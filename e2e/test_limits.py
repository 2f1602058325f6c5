"""Everything is bounded; beyond a bound the answer is a clear problem document."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.applications import fibonacci, modelserver
from harness.nemesis import Nemesis, unique
from harness.problems import problem, retry_after
from harness.services import OwnBalancer, own_balancer
from harness.waiting import eventually


def test_an_unknown_route_is_answered_404(nemesis: Nemesis) -> None:
    path = f"/{unique()}/nowhere"
    document = problem(nemesis.http.get(nemesis.data_url + path), 404, "not-found")
    assert document["instance"] == path, document


def test_a_refusal_names_the_trace_of_the_request(nemesis: Nemesis) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = nemesis.http.get(nemesis.data_url + f"/{unique()}", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert problem(answer, 404, "not-found")["traceId"] == trace


@pytest.fixture
def small(nemesis: Nemesis, namespace: str) -> Iterator[OwnBalancer]:
    """A load balancer with little room."""
    env = {"NEMESIS_MAX_BODY_MIB": "1", "NEMESIS_WAITING_ROOM_REQUESTS": "3"}
    with own_balancer(nemesis, namespace, env) as own:
        yield own


def test_a_body_too_large_is_refused_413_and_a_smaller_one_is_not(nemesis: Nemesis, namespace: str, small: OwnBalancer) -> None:
    app = modelserver(namespace, env={"TOKENS_PER_SECOND": "1000", "CONTEXT_TOKENS": "1000000"})
    nemesis.deploy(app)
    url = small.data + app.prefix + "/v1/completions"
    nemesis.known(app, small.admin)

    document = problem(nemesis.http.post(url, json={"prompt": "x " * 700_000}), 413, "too-large")
    assert document["instance"] == app.prefix + "/v1/completions", "the load balancer itself refuses"

    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 65_536

    problem(nemesis.http.post(url, content=chunks()), 413, "too-large")
    assert nemesis.http.post(url, json={"prompt": "x " * 400_000}).status_code == 200


def test_a_full_waiting_room_answers_503_and_the_waiting_ones_are_answered(nemesis: Nemesis, namespace: str, small: OwnBalancer) -> None:
    app = fibonacci(namespace, readiness="/never", spec={"wakeUpTimeout": 60})
    nemesis.deploy(app)
    url = small.data + app.prefix + "/fib/10"

    nemesis.known(app, small.admin)

    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(nemesis.http.get, url) for _ in range(3)]
        eventually(lambda: nemesis.known(app, small.admin)["waiting"] == 3, "three requests wait")
        refused = nemesis.http.get(url, timeout=5)
        problem(refused, 503, "waiting-room-full")
        assert retry_after(refused) >= 1

        app.readiness = None
        repaired = app.deployment
        del repaired["spec"]["replicas"]
        nemesis.cluster.apply(repaired)
        assert [w.result().status_code for w in waiting] == [200] * 3


def test_a_head_too_large_is_refused_431(nemesis: Nemesis) -> None:
    answer = nemesis.http.get(nemesis.data_url + "/", headers={"X-Filler": "x" * 200_000})
    assert answer.status_code == 431, answer.status_code
