"""The user's own patience with pods that start counts, also where the load balancer checks them itself."""

from __future__ import annotations

import pytest

from harness.applications import Application, modelserver
from harness.cluster import Object
from harness.nemesis import Nemesis

LOADS = 8  # seconds, in which the port is open and requests are answered 503
DELAY = LOADS + 2

CHECKS: dict[str, Object] = {
    "tcpSocket": {"tcpSocket": {"port": "http"}},
    "httpGet": {"httpGet": {"path": "/metrics", "port": "http"}},  # which is good from the first moment
}


def slow(namespace: str, check: str, **spec: object) -> Application:
    probe = {**CHECKS[check], "initialDelaySeconds": DELAY}
    return modelserver(namespace, load_seconds=LOADS, probe=probe, spec=dict(spec))


@pytest.mark.parametrize("check", CHECKS)
def test_a_pod_gets_no_request_before_its_initial_delay_is_over(nemesis: Nemesis, namespace: str, check: str) -> None:
    app = slow(namespace, check)
    nemesis.deploy(app)
    first = nemesis.ask(app, "/v1/models")
    assert first.status_code == 200, first.text


def test_who_says_so_has_pods_checked_from_the_first_moment(nemesis: Nemesis, namespace: str) -> None:
    app = slow(namespace, "tcpSocket", probeEarly=True)
    nemesis.deploy(app)
    first = nemesis.ask(app, "/v1/models")
    assert first.status_code == 503 and first.json()["code"] == "loading", first.text


def test_a_success_threshold_is_met_before_the_first_request(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace)
    deployment = app.deployment
    probe = deployment["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    probe["periodSeconds"], probe["successThreshold"] = 2, 3
    nemesis.cluster.apply(deployment, app.service, app.autoscaler)
    nemesis.wait_state(app, "Asleep")
    nemesis.known(app)
    answer = nemesis.ask(app, "/v1/models")
    assert answer.status_code == 200, answer.text
    wake = nemesis.application(app)["lastWakeUp"]
    at = {p["phase"]: p["sinceArrivalMs"] for p in wake["phases"]}
    # Two periods lie between three good checks; the kubelet makes one more of its own accord when a container starts.
    assert at["FirstByte"] - at["PodCreated"] > 1900, wake
