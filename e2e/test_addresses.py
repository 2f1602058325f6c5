"""One Deployment at several addresses, each with a port of its own, by number or by name."""

from __future__ import annotations

from typing import Any

import pytest

from harness.applications import Application, echo, fibonacci
from harness.cluster import Object
from harness.nemesis import Nemesis
from harness.waiting import eventually


def two(namespace: str, api: str, ui: str, **target: Any) -> tuple[Application, list[Object]]:
    """A Deployment whose pods serve numbers on one port, and what they get on another one."""
    app, other = fibonacci(namespace, "both"), echo(namespace, "other")
    deployment, service, autoscaler = app.deployment, app.service, app.autoscaler
    [second] = other.deployment["spec"]["template"]["spec"]["containers"]
    second["ports"] = [{"name": "second", "containerPort": other.port}]
    second["readinessProbe"]["httpGet"]["port"] = other.port
    deployment["spec"]["template"]["spec"]["containers"].append(second)
    service["spec"]["ports"] = [
        {"name": "front", "port": 80, "targetPort": "http"},
        {"name": "back", "port": 81, "targetPort": "second"},
    ]
    entry = {"name": app.name, **target}
    autoscaler["spec"]["targetDeployments"] = [
        {**entry, "apiPrefix": f"{app.prefix}/api", "port": api},
        {**entry, "apiPrefix": f"{app.prefix}/ui", "port": ui},
    ]
    return app, [deployment, service, autoscaler]


@pytest.mark.parametrize(
    ("api", "ui", "target"),
    [
        pytest.param("5001", "8080", {}, id="numbers of the pod"),
        pytest.param("http", "second", {}, id="names of the pod"),
        pytest.param("80", "81", {"service": "both"}, id="numbers of the Service"),
        pytest.param("front", "back", {"service": "both"}, id="names of the Service"),
    ],
)
def test_two_ports_of_one_deployment_are_one_application(nemesis: Nemesis, namespace: str, api: str, ui: str, target: Object) -> None:
    app, objects = two(namespace, api, ui, **target)
    nemesis.cluster.apply(*objects)
    nemesis.wait_state(app, "Asleep")
    eventually(lambda: nemesis.known(app), "the load balancer knows it", promised=10)

    # The second address wakes it as well as the first, and both are served by the one pod.
    sent = nemesis.ask(app, "/ui/upload", method="POST", content=b"x" * 1000)
    assert sent.status_code == 200, sent.text
    asked = nemesis.ask(app, "/api/fib/10")
    assert asked.status_code == 200 and asked.json()["n"] == 10, asked.text
    nemesis.wait_replicas(app, 1)

    status = nemesis.cluster.get("CustomAutoscaler", app.name, namespace)["status"]
    assert [t["name"] for t in status["targets"]] == [app.name], status
    eventually(lambda: nemesis.application(app)["traffic"]["requests"] >= 2, "both count as its traffic")


def test_entries_of_one_deployment_must_agree_and_the_refusal_says_on_what(nemesis: Nemesis, namespace: str) -> None:
    for field, one, other in (
        ("loadBalancingAlgorithm", "RoundRobin", "Random"),
        ("consistentHash", {"cookie": "a"}, {"header": "b"}),
    ):
        _, objects = two(namespace, "5001", "8080")
        entries = objects[-1]["spec"]["targetDeployments"]
        objects[-1]["spec"]["loadBalancingAlgorithm"] = "ConsistentHash"
        entries[0][field], entries[1][field] = one, other
        done = nemesis.cluster.kubectl.apply(objects[-1])
        assert done.returncode != 0 and f"must not have different {field}" in done.stderr, done.stderr


@pytest.mark.parametrize("port", ["HTTP", "ht--tp", "-http", "80-81", "0", "080", "65536", "more-than-fifteen"])
def test_a_port_that_is_none_is_refused(nemesis: Nemesis, namespace: str, port: str) -> None:
    done = nemesis.cluster.kubectl.apply(fibonacci(namespace, target={"port": port}).autoscaler)
    assert done.returncode != 0 and "port" in done.stderr, done.stderr


def test_a_port_that_the_pod_does_not_name_is_told(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, replicas=1, with_service=False, target={"port": "nowhere"})
    nemesis.cluster.apply(*app.objects)
    found = nemesis.wait_condition(app, "TargetFound", "False")
    assert found["reason"] == "PortUnresolved" and "nowhere" in found["message"], found
    ready = nemesis.wait_condition(app, "Ready", "False")
    assert ready["reason"] == "PortUnresolved", ready


def test_ready_is_waited_for_with_kubectl(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.cluster.apply(app.autoscaler)
    # What is written first may be that nobody has looked yet.
    eventually(lambda: nemesis.wait_condition(app, "Ready", "False")["reason"] == "DeploymentMissing", "it says what is missing")
    nemesis.cluster.apply(app.deployment, app.service)
    nemesis.cluster.kubectl("wait", "--for=condition=Ready", f"ca/{app.name}", "-n", namespace, "--timeout=60s")
    [target] = nemesis.cluster.get("CustomAutoscaler", app.name, namespace)["status"]["targets"]
    assert {c["type"]: c["status"] for c in target["conditions"]}["AbleToScale"] == "True", target
    found = nemesis.cluster.call("GET", "/apis/autoscaler-group.autoscaler/v1alpha1")
    assert not any(r.get("categories") for r in found["resources"]), found  # kubectl get all lists it no more
