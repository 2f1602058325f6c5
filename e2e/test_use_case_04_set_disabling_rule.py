"""Use case 4, set application disabling rule: when the application is scaled to zero."""

from __future__ import annotations

import pytest

from harness.applications import fibonacci
from harness.nemesis import Nemesis
from harness.settings import DEPLOYMENT, SLEEP, WAYS, Place, change
from harness.waiting import eventually


@pytest.mark.parametrize("way", WAYS)
def test_a_disabling_rule_is_set_read_back_and_followed(place: Place, way: str) -> None:
    _, now = change(place, way, SLEEP)
    assert now["idleTime"] == 120
    eventually(
        lambda: place.nemesis.read(f"/v1/applications/{place.namespace}/{DEPLOYMENT}")["idleTime"] == 120,
        "the controller follows the rule",
        promised=10,
    )


def test_a_shorter_rule_takes_effect_on_an_application_that_is_awake(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 600})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    nemesis.cluster.patch("CustomAutoscaler", app.name, namespace, {"spec": {"idleTime": 2}})
    nemesis.wait_replicas(app, 0)
    decision = next(d for d in nemesis.decisions(app) if d["applied"] and d["to"] == 0)
    assert decision["trigger"] == "Idle" and "2 s" in decision["summary"], decision


def test_the_readme_replaces_the_whole_object(place: Place) -> None:
    before, _ = change(place, "curl", SLEEP)

    def replaced() -> bool:
        comment = next(c for c in place.readme.commands if c.startswith("Replace all of it"))
        return place.readme.run(comment, **place.variables)["spec"] == {**before, "idleTime": 90}

    # 409 while the controller writes the status; then one tries again, as the README says.
    eventually(replaced, "it is replaced")
