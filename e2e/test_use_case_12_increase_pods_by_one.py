"""Use case 12, increase pods by one and wait until it is alive."""

from __future__ import annotations

from harness.applications import fibonacci
from harness.load import Load
from harness.nemesis import Nemesis
from harness.refusal import scaling_refused
from harness.waiting import eventually


def test_pods_come_one_by_one_each_when_the_last_is_alive_and_an_error_is_tried_again(nemesis: Nemesis, namespace: str) -> None:
    busy = {"metricType": "CPU_USAGE", "operator": "GREATER_THAN", "value": 40, "duration": 1}
    rule = {"name": "busy", "thresholds": [busy], "action": "INCREASE_INSTANCES"}
    app = fibonacci(namespace, spec={"maxReplicas": 3, "scalingRules": [rule]})
    slow = app.deployment
    # A pod takes a while to be alive, so that a third one that came meanwhile would be seen.
    slow["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["initialDelaySeconds"] = 5
    nemesis.cluster.apply(slow, app.service, app.autoscaler)
    nemesis.known(app)
    assert nemesis.ask(app).status_code == 200

    with Load(nemesis.data_url + app.prefix + "/fib/30", clients=2) as load:
        with scaling_refused(nemesis, namespace):
            failed = eventually(
                lambda: next((d for d in nemesis.decisions(app) if d["to"] == 2 and d.get("error")), None),
                "it was tried, and refused",
            )
            assert failed["trigger"] == "Rule" and not failed["applied"], failed
        nemesis.wait_replicas(app, 3)
    assert not load.failures, load.failures[:3]

    steps = [d for d in reversed(nemesis.decisions(app, result="applied")) if d["trigger"] == "Rule"]
    assert [(d["from"], d["to"]) for d in steps] == [(1, 2), (2, 3)], steps
    assert any("busy" in r["rule"] and r["effect"] == "Wish" for r in steps[0]["reasons"]), steps[0]
    ready = sorted(p["readyAt"] for p in nemesis.application(app)["pods"] if "readyAt" in p)
    assert ready[1] <= steps[1]["time"], f"the third pod was asked for at {steps[1]['time']}; alive were {ready}"
    # While the second one came up, the wish for the third was held, and said so.
    held = [r for d in nemesis.decisions(app) for r in d["reasons"] if r["effect"] == "Hold" and "alive" in r["message"]]
    assert held, nemesis.decisions(app)
