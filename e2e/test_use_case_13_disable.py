"""Use case 13, disable: scale to zero, wait, and verify that none runs."""

from __future__ import annotations

import time

from harness.applications import Application, fibonacci
from harness.nemesis import Nemesis
from harness.refusal import scaling_refused
from harness.waiting import eventually


def verify_none_runs(nemesis: Nemesis, app: Application) -> None:
    nemesis.wait_replicas(app, 0)
    nemesis.wait_pods_gone(nemesis.cluster.list("Pod", app.namespace, labels=f"app={app.name}"))
    nemesis.wait_state(app, "Asleep")
    # The controller hears of the end of the last one a moment after the API server knows it.
    eventually(lambda: not nemesis.read("/v1/pods", namespace=app.namespace)["items"], "no pod is listed", promised=5)
    eventually(lambda: nemesis.known(app)["endpoints"] == [], "the load balancer sends nothing anywhere")


def test_an_idle_application_sleeps_again_and_says_why(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 3})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    answered = time.monotonic()

    nemesis.wait_replicas(app, 0)
    slept = time.monotonic() - answered

    assert 2.8 <= slept <= 9, f"it slept {slept:.1f} s after the last answer, with an idle time of 3 s"
    nemesis.wait_state(app, "Asleep")
    decision = nemesis.decisions(app)[0]
    assert (decision["trigger"], decision["from"], decision["to"], decision["applied"]) == ("Idle", 1, 0, True), decision
    assert any(r["rule"] == "Idle" and r["effect"] == "Wish" and r["replicas"] == 0 for r in decision["reasons"]), decision
    assert "3 s" in decision["summary"] or any("3 s" in r["message"] for r in decision["reasons"]), decision
    verify_none_runs(nemesis, app)


def test_a_rule_disables_an_application_and_an_error_is_tried_again(nemesis: Nemesis, namespace: str) -> None:
    quiet = {"metricType": "CPU_USAGE", "operator": "LESS_THAN", "value": 50, "duration": 2}
    rule = {"name": "quiet", "thresholds": [quiet], "action": "DECREASE_INSTANCES_TO_ZERO"}
    app = fibonacci(namespace, replicas=2, spec={"idleTime": 3600, "scalingRules": [rule]})
    with scaling_refused(nemesis, namespace):
        nemesis.deploy(app)
        failed = eventually(
            lambda: next((d for d in nemesis.decisions(app) if d["to"] == 0 and d.get("error")), None),
            "it was tried, and refused",
        )
        assert failed["trigger"] == "Rule" and not failed["applied"], failed
        assert nemesis.cluster.get("Deployment", app.name, namespace)["spec"]["replicas"] == 2
    verify_none_runs(nemesis, app)
    done = next(d for d in nemesis.decisions(app) if d["applied"])
    assert (done["trigger"], done["from"], done["to"]) == ("Rule", 2, 0), done
    wish = next(r for r in done["reasons"] if r["effect"] == "Wish")
    assert "quiet" in wish["rule"] and wish["inputs"][0]["value"] < 50, wish
    # Disabled is asleep, not gone: the next request wakes it.
    assert nemesis.ask(app).status_code == 200


def test_a_rule_disables_nothing_below_the_least_number_of_pods(nemesis: Nemesis, namespace: str) -> None:
    quiet = {"metricType": "CPU_USAGE", "operator": "LESS_THAN", "value": 50}
    rule = {"name": "quiet", "thresholds": [quiet], "action": "DECREASE_INSTANCES_TO_ZERO"}
    app = fibonacci(namespace, replicas=2, spec={"idleTime": 3600, "minReplicas": 1, "scalingRules": [rule]})
    nemesis.deploy(app)
    nemesis.wait_replicas(app, 1)
    done = next(d for d in nemesis.decisions(app) if d["applied"])
    assert any(r["rule"] == "MinReplicas" and r["effect"] == "Clamp" and r["replicas"] == 1 for r in done["reasons"]), done
