"""GET /proxy/logs: each proxied request with what became of it, newest first, with filters and pages."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from harness.applications import fibonacci, modelserver
from harness.cluster import Object
from harness.nemesis import Nemesis, unique
from harness.problems import problem
from harness.processes import sigkill, visible
from harness.services import own_balancer
from harness.waiting import PATIENCE, eventually


def logs(nemesis: Nemesis, **query: Any) -> Object:
    answer = nemesis.http.get(nemesis.admin_url + "/proxy/logs", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def logged(nemesis: Nemesis, count: int, **query: Any) -> list[Object]:
    """Waits until so many are in the log: a record comes a moment after the answer's last byte."""
    return eventually(lambda: (found := logs(nemesis, **query)["items"]) and len(found) == count and found, f"{count} are in the log")


def test_a_request_that_woke_its_application_is_logged_with_all_there_is_to_know(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    trace = "4bf92f3577b34da6a3ce929d0e0e4738"
    answer = nemesis.ask(app, "/fib/10?token=secret", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    (entry,) = logged(nemesis, 1, namespace=namespace)
    (pod,) = nemesis.cluster.list("Pod", namespace)
    assert entry["target_url"] == f"http://{pod['status']['podIP']}:{app.port}/fib/10", entry
    assert (entry["status"], entry["http_method"], entry["path"]) == (200, "GET", app.prefix + "/fib/10"), entry
    assert (entry["namespace"], entry["deployment"], entry["pod"]) == (namespace, app.name, pod["metadata"]["name"]), entry
    assert 0 < entry["waited_ms"] <= entry["latency_ms"] and entry["tries"] >= 1 and entry["policy"], entry
    assert entry["response_bytes"] == len(answer.content) and entry["trace_id"] == trace and entry["client_ip"], entry
    assert "secret" not in str(entry)


@pytest.mark.disruptive
def test_the_log_outlives_the_load_balancer_that_was_killed(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    with own_balancer(nemesis, namespace, {}) as own:
        if not visible(own.pod):
            pytest.skip("the cluster's processes are not this machine's")
        nemesis.known(app, admin=own.admin)
        assert nemesis.http.get(f"{own.data}{app.prefix}/fib/10").status_code == 200

        def kept() -> list[str]:
            answer = nemesis.http.get(own.admin + "/proxy/logs", params={"namespace": namespace})
            assert answer.status_code == 200, answer.text
            return [e["id"] for e in answer.json()["items"]]

        before = eventually(kept, "the request is in the log")
        began = process_start(nemesis, own.admin)
        sigkill(own.pod)
        eventually(lambda: process_start(nemesis, own.admin) > began, "another process answers")
        assert kept() == before


def process_start(nemesis: Nemesis, admin: str) -> str:
    return nemesis.balancer_state(admin=admin)["startedAt"]


def test_refused_requests_are_logged_too(nemesis: Nemesis, namespace: str) -> None:
    path = f"/{unique()}/nowhere"
    problem(nemesis.http.get(nemesis.data_url + path), 404, "not-found")
    (entry,) = logged(nemesis, 1, text=path)
    assert entry["status"] == 404 and entry["target_url"] == "" and entry["error"] and "pod" not in entry, entry
    never = fibonacci(namespace, readiness="/never", spec={"wakeUpTimeout": 1})
    nemesis.deploy(never)
    problem(nemesis.ask(never), 503, "wake-up-timeout")
    (entry,) = logged(nemesis, 1, namespace=namespace, status="5xx")
    assert entry["status"] == 503 and entry["deployment"] == never.name and entry["waited_ms"] >= 900, entry


def test_a_client_that_left_before_the_answer_is_logged_as_499(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, load_seconds=30)
    nemesis.deploy(app)
    where = urlsplit(nemesis.data_url)
    with socket.create_connection((where.hostname, where.port or 80), timeout=PATIENCE) as client:
        client.sendall(f"GET {app.prefix}/v1/models HTTP/1.1\r\nHost: {where.hostname}\r\n\r\n".encode())
        eventually(lambda: nemesis.known(app)["waiting"] == 1, "the request waits")
    (entry,) = logged(nemesis, 1, namespace=namespace)
    assert entry["status"] == 499, entry


def test_filters_narrow_the_log(nemesis: Nemesis, namespace: str) -> None:
    one, two = fibonacci(namespace, "one"), fibonacci(namespace, "two")
    nemesis.deploy(one, two)
    for app, path, method in [(one, "/fib/1", "GET"), (one, "/fib/x", "GET"), (two, "/fib/2", "GET"), (two, "/fib/3", "POST")]:
        nemesis.ask(app, path, method)
    entries = logged(nemesis, 4, namespace=namespace)
    client = entries[0]["client_ip"]
    for query, count in [
        ({"deployment": "one"}, 2),
        ({"status": "400"}, 1),
        ({"status": "4xx"}, 2),
        ({"http_method": "POST"}, 1),
        ({"text": "/fib/2"}, 1),
        ({"text": entries[0]["target_url"]}, 1),
        ({"client_ip": client}, 4),
        ({"client_ip": "203.0.113.9"}, 0),
        ({"since": entries[1]["timestamp"]}, 2),
        ({"until": entries[1]["timestamp"]}, 2),
    ]:
        found = logs(nemesis, namespace=namespace, **query)["items"]
        assert len(found) == count, f"{query}: {found}"


def test_pages_are_whole_and_stay_where_they_are_while_requests_come_in(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    for n in range(10):
        assert nemesis.ask(app, f"/fib/{n}").status_code == 200
    logged(nemesis, 10, namespace=namespace)
    seen, query = [], {"namespace": namespace, "limit": 4}
    while True:
        page = logs(nemesis, **query)
        seen += [entry["path"].rsplit("/", 1)[1] for entry in page["items"]]
        assert len(page["items"]) <= 4
        if "next" not in page:
            break
        query["after"] = page["next"]
        nemesis.ask(app, "/fib/20")
    assert seen == [str(n) for n in reversed(range(10))], seen


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 1001}, {"status": "6xx"}, {"since": "yesterday"}, {"client_ip": "1.2.3"}, {"after": "another.1"}],
    ids=str,
)
def test_a_query_that_is_not_allowed_says_what_is(nemesis: Nemesis, query: Object) -> None:
    document = problem(nemesis.http.get(nemesis.admin_url + "/proxy/logs", params=query), 400, "invalid")
    (fault,) = document["errors"]
    assert fault["field"] == next(iter(query)) and fault["allowed"], document
