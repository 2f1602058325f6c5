"""Use case 9, get pods' liveness state."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from harness.applications import modelserver
from harness.cluster import Object
from harness.nemesis import Nemesis
from harness.waiting import PATIENCE, eventually


def test_a_pod_is_alive_from_the_moment_it_serves_until_it_goes(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, load_seconds=3)
    nemesis.deploy(app)

    def pods() -> list[Object]:
        found = nemesis.read("/v1/pods", namespace=namespace, deployment=app.name)["items"]
        assert all((p["namespace"], p["deployment"]) == (namespace, app.name) for p in found), found
        return [p["pod"] for p in found]

    assert pods() == []
    with ThreadPoolExecutor(1) as pool:
        waking = pool.submit(nemesis.ask, app, "/v1/models")
        (starting,) = eventually(lambda: [p for p in pods() if p["state"] == "Starting"], "the pod loads its model")
        assert not starting["alive"] and starting["createdAt"] and "readyAt" not in starting, starting
        assert waking.result(timeout=PATIENCE).status_code == 200
    (alive,) = eventually(lambda: [p for p in pods() if p["alive"]], "the pod is alive")
    assert alive["name"] == starting["name"] and alive["state"] == "Ready" and alive["restarts"] == 0, alive
    assert alive["readyAt"] >= alive["createdAt"] and alive["address"] and alive["node"], alive

    nemesis.cluster.scale(namespace, app.name, 0)
    eventually(lambda: pods() == [], "no pod is left")


def test_a_pod_that_is_not_ready_says_why(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, replicas=1, readiness="/never")
    nemesis.deploy(app)

    def told() -> Object:
        items = nemesis.read("/v1/pods", namespace=namespace)["items"]
        assert len(items) == 1 and items[0]["pod"].get("message") and items[0]["pod"]["state"] != "Pending", items
        return items[0]["pod"]

    pod = eventually(told, "the pod says why it is not ready")
    assert not pod["alive"] and pod["state"] in ("Starting", "NotReady"), pod
    # An unknown namespace has none, and is no fault.
    assert nemesis.read("/v1/pods", namespace="nowhere")["items"] == []
