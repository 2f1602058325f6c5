"""Use case 11, decrease pods by one and wait until the pod is gone."""

from __future__ import annotations

from harness.applications import fibonacci
from harness.nemesis import Nemesis
from harness.refusal import scaling_refused
from harness.waiting import eventually


def test_pods_go_one_by_one_each_when_the_last_is_gone_and_an_error_is_tried_again(nemesis: Nemesis, namespace: str) -> None:
    spec = {"cpuThreshold": 500, "scaleDownWindow": 1, "minReplicas": 1, "maxReplicas": 3, "idleTime": 3600}
    app = fibonacci(namespace, replicas=3, grace=20, spec=spec)
    slow = app.deployment
    # A pod takes a while to go, so that a second one that went meanwhile would be seen.
    slow["spec"]["template"]["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 4}}}
    with scaling_refused(nemesis, namespace):
        nemesis.cluster.apply(slow, app.service, app.autoscaler)
        failed = eventually(
            lambda: next((d for d in nemesis.decisions(app) if d["to"] == 2 and d.get("error")), None),
            "it was tried, and refused",
        )
        assert failed["from"] == 3 and not failed["applied"], failed

    def asked() -> int:
        return nemesis.cluster.get("Deployment", app.name, namespace)["spec"]["replicas"]

    eventually(lambda: asked() == 2, "one pod less is asked for")

    def gone() -> bool:
        wanted = asked()
        left = nemesis.cluster.list("Pod", namespace, labels=f"app={app.name}")  # looked at after the count
        assert wanted == 2 or len(left) < 3, f"{wanted} are asked for while {len(left)} pods are there"
        return len(left) < 3

    while not gone():
        pass
    nemesis.wait_replicas(app, 1)
    steps = [(d["from"], d["to"]) for d in reversed(nemesis.decisions(app, result="applied"))]
    assert steps == [(3, 2), (2, 1)], steps
    assert nemesis.ask(app).status_code == 200
