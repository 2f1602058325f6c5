"""Answers that take their time: events one by one, never cut, freed when nobody listens."""

from __future__ import annotations

import re
import socket
import time
from itertools import pairwise
from urllib.parse import urlsplit

from harness.applications import Application, modelserver
from harness.nemesis import Nemesis
from harness.waiting import PATIENCE, eventually


def running(nemesis: Nemesis, app: Application) -> float:
    """How many requests the model server works on, in its own words."""
    text = nemesis.ask(app, "/metrics").text
    found = re.search(r"^vllm:num_requests_running\{[^}]*\} (\S+)$", text, re.MULTILINE)
    assert found, text[:500]
    return float(found[1])


def test_a_stream_longer_than_the_idle_time_is_not_cut_and_comes_event_by_event(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, env={"TOKENS_PER_SECOND": "4"}, spec={"idleTime": 2})
    nemesis.deploy(app)
    body = {"prompt": "a b c d e f g h", "max_tokens": 24, "stream": True}

    times: list[float] = []
    with nemesis.http.stream("POST", nemesis.data_url + app.prefix + "/v1/completions", json=body) as answer:
        assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                times.append(time.monotonic())
        last = line

    assert len(times) == 24, len(times)
    assert times[-1] - times[0] > 5, "the stream was shorter than it should be"
    gaps = [b - a for a, b in pairwise(times)]
    assert sorted(gaps)[len(gaps) // 2] > 0.15 and max(gaps) < 1.5, f"events came in bursts: {[round(g, 2) for g in gaps]}"
    assert "[DONE]" in last or last == "", last
    slept = [d for d in nemesis.decisions(app) if d["to"] == 0 and d["applied"]]
    assert not slept, slept
    nemesis.wait_replicas(app, 0)


def test_a_stream_whose_pauses_are_longer_than_the_idle_time_is_not_cut(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, env={"TOKENS_PER_SECOND": "0.4"}, spec={"idleTime": 1})
    nemesis.deploy(app)
    body = {"prompt": "a b c", "max_tokens": 3, "stream": True}
    with nemesis.http.stream("POST", nemesis.data_url + app.prefix + "/v1/completions", json=body) as answer:
        events = [line for line in answer.iter_lines() if line.startswith("data: {")]
    assert len(events) == 3, events


def test_the_first_event_is_passed_on_before_the_second_exists(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, env={"TOKENS_PER_SECOND": "0.5"})
    nemesis.deploy(app)
    assert nemesis.ask(app, "/v1/models").status_code == 200
    body = {"prompt": "a b", "max_tokens": 2, "stream": True}
    began = time.monotonic()
    arrivals = []
    with nemesis.http.stream("POST", nemesis.data_url + app.prefix + "/v1/completions", json=body) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                arrivals.append(time.monotonic() - began)
    assert len(arrivals) == 2 and arrivals[1] - arrivals[0] > 1.5, arrivals


def test_a_client_that_goes_away_frees_its_slot(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, env={"TOKENS_PER_SECOND": "2", "SLOTS": "1"})
    nemesis.deploy(app)
    assert nemesis.ask(app, "/v1/models").status_code == 200
    body = {"prompt": "a b c", "max_tokens": 1000, "stream": True}

    with nemesis.http.stream("POST", nemesis.data_url + app.prefix + "/v1/completions", json=body) as answer:
        lines = answer.iter_lines()  # kept: the answer would be closed with it
        next(lines)
        assert running(nemesis, app) == 1
        assert nemesis.known(app)["streaming"] == 1

    eventually(lambda: running(nemesis, app) == 0, "the slot is free", promised=3)
    eventually(lambda: nemesis.known(app)["inFlight"] == 0, "the load balancer counts nothing any more", promised=3)


def test_a_client_that_goes_away_while_it_waits_leaves_the_waiting_room(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, load_seconds=30, spec={"idleTime": 600})
    nemesis.deploy(app)
    where = urlsplit(nemesis.data_url)
    with socket.create_connection((where.hostname, where.port or 80), timeout=PATIENCE) as client:
        client.sendall(f"GET {app.prefix}/v1/models HTTP/1.1\r\nHost: {where.hostname}\r\n\r\n".encode())
        eventually(lambda: nemesis.known(app)["waiting"] == 1, "the request waits")
    eventually(lambda: nemesis.known(app)["waiting"] == 0, "nobody waits any more", promised=5)
