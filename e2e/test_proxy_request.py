"""Use case 5, proxy request, by name: POST /proxy/request reaches known applications, wakes them, and reaches nothing else."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from harness.applications import Application, fibonacci, modelserver
from harness.nemesis import Nemesis, unique
from harness.problems import problem
from harness.waiting import eventually


def request(nemesis: Nemesis, target_url: str, **more: Any) -> httpx.Response:
    return nemesis.http.post(nemesis.admin_url + "/proxy/request", json={"target_url": target_url, **more})


def service(app: Application, suffix: str = ".svc") -> str:
    return f"http://{app.name}.{app.namespace}{suffix}:{app.port}"


def test_a_sleeping_application_is_woken_and_its_answer_comes_in_an_envelope(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    answer = request(nemesis, service(app) + "/fib/10")
    assert answer.status_code == 200, answer.text
    envelope = answer.json()
    assert envelope["status"] == 200 and envelope["content_type"].startswith("application/json")
    assert envelope["data"]["result"] == 55 and envelope["data"]["pod"] == envelope["pod"], envelope
    assert envelope["latency_ms"] > 0
    eventually(lambda: nemesis.application(app)["lastWakeUp"]["outcome"] == "Answered", "the wake-up is told as any other")


def test_every_name_of_the_service_and_the_prefix_reach_it(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    for base in (service(app), service(app, ""), service(app, ".svc.cluster.local"), app.prefix):
        answer = request(nemesis, base + "/fib/7")
        assert answer.status_code == 200 and answer.json()["data"]["result"] == 13, f"{base}: {answer.text}"


def test_method_and_data_go_along_and_the_status_is_the_applications(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    made = request(nemesis, service(app) + "/api", method="PUT", data={"resource_id": "mine", "updates": {"n": 12}}).json()
    assert (made["status"], made["data"]["n"]) == (201, 12), made
    computed = request(nemesis, service(app) + "/api", data={"action": "compute", "parameters": {"preset": "mine"}}).json()
    assert (computed["status"], computed["data"]["result"]) == (200, 144), computed
    missing = request(nemesis, service(app) + "/nowhere").json()
    assert (missing["status"], missing["data"]["code"]) == (404, "not-found"), "the application's own refusal is an answer"


@pytest.mark.parametrize(
    "target",
    [
        "http://example.com/",
        "http://169.254.169.254/latest/meta-data/",
        "http://autoscaler-controller.nemesis-system.svc:8080/metrics",
        "http://kubernetes.default.svc:443/api",
        "https://{service}/",
        "http://me:secret@{service}/",
        "http://{service}@example.com/",
        "http://{other_port}/",
        "//{service}/",
        "file:///etc/passwd",
        "http://{pod}/",
        "/{unique}",
    ],
)
def test_anything_else_is_refused_403_with_the_list_of_what_is_known(nemesis: Nemesis, namespace: str, target: str) -> None:
    app = fibonacci(namespace, replicas=1, spec={"minReplicas": 1})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    (pod,) = nemesis.cluster.list("Pod", namespace)
    names = {
        "service": f"{app.name}.{namespace}.svc:{app.port}",
        "other_port": f"{app.name}.{namespace}.svc:{app.port + 1}",
        "pod": f"{pod['status']['podIP']}:{app.port}",
        "unique": unique(),
    }
    document = problem(request(nemesis, target.format(**names)), 403, "forbidden")
    (fault,) = document["errors"]
    assert fault["field"] == "target_url" and (service(app) in fault["allowed"] or " more" in fault["allowed"]), document


@pytest.mark.parametrize("path", ["/../x", "/a/%2e%2e/../x", "/..%2fx", "/a%5c..%5c..%5cx", "/%00"])
def test_a_path_cannot_leave_the_application(nemesis: Nemesis, namespace: str, path: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    problem(request(nemesis, service(app) + path), 400, "invalid")


def test_faults_of_the_application_are_clear(nemesis: Nemesis, namespace: str) -> None:
    never = fibonacci(namespace, "never", readiness="/never", spec={"wakeUpTimeout": 1})
    nemesis.deploy(never)
    problem(request(nemesis, service(never) + "/fib/1"), 503, "wake-up-timeout")


def test_headers_of_the_caller_stay_outside(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace)
    nemesis.deploy(app)
    trace = "4bf92f3577b34da6a3ce929d0e0e4737"
    answer = nemesis.http.post(
        nemesis.admin_url + "/proxy/request",
        json={"target_url": service(app) + "/v1/models"},
        headers={
            "X-Forwarded-For": "203.0.113.9",
            "Authorization": "Bearer secret",  # not looked at beside the other one
            "Nemesis-Authorization": f"Bearer {nemesis.operator.token}",
            "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
        },
    )
    assert answer.status_code == 200 and answer.json()["status"] == 200, answer.text
    log = nemesis.http.get(nemesis.admin_url + "/proxy/logs", params={"namespace": namespace}).json()["items"]
    assert log[0]["trace_id"] == trace and log[0]["client_ip"] != "203.0.113.9", log
