"""Use case 3, set load balancing policy: chosen from a set."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.applications import fibonacci
from harness.nemesis import Nemesis
from harness.settings import DEPLOYMENT, POLICY, WAYS, Place, change
from harness.waiting import eventually


@pytest.mark.parametrize("way", WAYS)
def test_a_policy_is_set_read_back_and_followed(place: Place, way: str) -> None:
    before, now = change(place, way, POLICY)
    assert "loadBalancingAlgorithm" not in before and now["loadBalancingAlgorithm"] == "LeastConnections"

    def followed() -> bool:
        known = place.nemesis.balancer_state(place.namespace)["applications"]
        assert [(k["deployment"], k["algorithm"]) for k in known] == [(DEPLOYMENT, "LeastConnections")], known
        return True

    eventually(followed, "the load balancer follows the policy", promised=10)


def test_a_policy_outside_the_set_is_refused_and_the_set_is_told(nemesis: Nemesis, namespace: str) -> None:
    done = nemesis.cluster.kubectl.apply(fibonacci(namespace, spec={"loadBalancingAlgorithm": "Fastest"}).autoscaler)
    assert done.returncode != 0, done.stdout
    for word in ("loadBalancingAlgorithm", "Fastest", "RoundRobin", "LeastConnections", "Random"):
        assert word in done.stderr, done.stderr


def test_a_change_of_policy_is_followed_under_way_and_no_request_is_lost(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, replicas=2, spec={"loadBalancingAlgorithm": "Random", "minReplicas": 2})
    nemesis.deploy(app)
    eventually(lambda: sum(e["usable"] for e in nemesis.known(app)["endpoints"]) == 2, "both pods are usable")
    nemesis.cluster.patch("CustomAutoscaler", app.name, namespace, {"spec": {"loadBalancingAlgorithm": "RoundRobin"}})

    def in_turn() -> bool:
        answers = [nemesis.ask(app) for _ in range(20)]
        assert {a.status_code for a in answers} == {200}, [a.text for a in answers if a.status_code != 200]
        shares = Counter(a.json()["pod"] for a in answers)
        return sorted(shares.values()) == [10, 10]

    eventually(in_turn, "the requests go to the pods in turn", promised=10)
