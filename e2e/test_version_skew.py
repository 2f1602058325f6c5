"""Each service goes out by itself: it works beside the others whether it is older or newer than they.

The older one is that of the last release, which the file RELEASED names. The sidecar stands in the
pods of applications: its turn is an application whose pods carry the released one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.applications import Application, fibonacci
from harness.cluster import Object
from harness.load import Load
from harness.nemesis import BALANCER, CONTROLLER, Nemesis
from harness.releases import Release, last_release, released, released_resource, without_tokens
from harness.sidecars import with_sidecar
from harness.waiting import eventually

pytestmark = pytest.mark.disruptive


@pytest.fixture(scope="module")
def release(nemesis: Nemesis) -> Release:
    return last_release(nemesis)


@pytest.fixture(scope="module")
def rollout(nemesis: Nemesis) -> Iterator[None]:
    """0.1.0 knows no tokens: those of today are told so for as long as it is there."""
    with without_tokens(nemesis):
        yield


def lives(nemesis: Nemesis, app: Application) -> None:
    """It wakes by a request, answers, tells about itself, and sleeps again."""
    answer = nemesis.ask(app, "/fib/20")
    assert answer.status_code == 200 and answer.json()["result"] == 6765, answer.text
    nemesis.wait_state(app, "Awake")
    assert [a.status_code for a in nemesis.ask_many(app, 20)] == [200] * 20
    told = eventually(lambda: (a := nemesis.application(app))["readyReplicas"] == 1 and a, "the controller sees its pod")
    assert told["state"] == "Awake" and told["traffic"]["balancers"], told
    nemesis.wait_replicas(app, 0)
    nemesis.wait_state(app, "Asleep")
    (slept, woke) = [d for d in nemesis.decisions(app) if d["applied"]][:2]
    assert (woke["trigger"], slept["trigger"]) == ("StartCall", "Idle"), (woke, slept)


def tells(nemesis: Nemesis) -> None:
    """Both are measured as ever, and settings are kept, or refused in words where one knows of none."""
    for url in (nemesis.controller_url, nemesis.admin_url):
        answer = nemesis.http.get(url + "/metrics")
        assert answer.status_code == 200 and "nemesis_build_info" in answer.text
    url = nemesis.admin_url + "/loadbalancer/settings"
    before = nemesis.http.get(url)
    if before.status_code == 404:
        return  # this load balancer has no settings yet
    assert before.status_code == 200, before.text
    put = nemesis.http.put(url, json=before.json())
    if put.status_code != 200:  # the controller cannot keep them yet
        assert put.status_code >= 500 and put.headers["Content-Type"].startswith("application/problem+json"), put.text
        assert put.json()["detail"], put.text
    assert nemesis.http.get(url).json() == before.json()


@pytest.mark.usefixtures("rollout")
@pytest.mark.parametrize("service", [CONTROLLER, BALANCER])
def test_the_last_release_of_a_service_works_beside_the_others_of_today(
    nemesis: Nemesis, namespace: str, overlay: Path, release: Release, service: str
) -> None:
    busy = fibonacci(namespace, "busy")
    app = fibonacci(namespace, spec={"idleTime": 5})
    nemesis.deploy(busy, app)
    assert nemesis.ask(busy).status_code == 200
    with Load(nemesis.data_url + busy.prefix + "/fib/10", clients=4) as load:
        load.after(20)
        with released(nemesis, release, overlay, service):
            for pod in nemesis.pods(service):
                assert pod["spec"]["containers"][0]["image"].endswith(f"/{service}:released"), pod["spec"]
            lives(nemesis, app)
            tells(nemesis)
            load.after(20)
        for pod in nemesis.pods(service):
            assert not pod["spec"]["containers"][0]["image"].endswith(":released"), pod["spec"]
        lives(nemesis, app)
        load.after(20)
    # Neither the way back to the older one nor the way to the newer one cost a request.
    assert not load.failures, f"{len(load.failures)} of {load.answered}: {load.failures[:5]}"


@pytest.mark.usefixtures("rollout")
def test_all_services_of_the_last_release_work_on_the_resource_of_today(
    nemesis: Nemesis, namespace: str, overlay: Path, release: Release
) -> None:
    app = fibonacci(namespace, spec={"idleTime": 5})
    with released(nemesis, release, overlay, CONTROLLER), released(nemesis, release, overlay, BALANCER):
        nemesis.deploy(app)
        lives(nemesis, app)


@pytest.mark.usefixtures("rollout")
def test_the_last_release_of_the_sidecar_is_heard(nemesis: Nemesis, namespace: str, release: Release) -> None:
    app = fibonacci(namespace)
    nemesis.cluster.apply(*with_sidecar(nemesis.cluster.kubectl, app, release=release.folder))
    nemesis.known(app)
    assert nemesis.ask(app).status_code == 200

    def heard() -> Object | None:
        pods = [p for a in nemesis.read("/v1/metrics", namespace=namespace)["items"] for p in a["pods"] if "metrics" in p]
        return next((p["metrics"]["values"] for p in pods if p["metrics"]["source"] == "Sidecar"), None)

    values = eventually(heard, "the controller has what the sidecar measured")
    assert 0 < values["memoryUsage"] < 200, values


def test_the_services_of_today_work_on_the_resource_of_the_last_release(nemesis: Nemesis, namespace: str, release: Release) -> None:
    app = fibonacci(namespace, spec={"idleTime": 5})
    with released_resource(nemesis, release):
        nemesis.deploy(app)
        lives(nemesis, app)
        tells(nemesis)
