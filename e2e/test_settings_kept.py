"""The load balancers' settings as the cluster keeps them: by the API, by hand, over restarts, and when they are malformed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from harness.cluster import Object
from harness.nemesis import CONTROLLER, Nemesis
from harness.problems import problem, retry_after
from harness.reach import SYSTEM
from harness.services import scaled, settled
from harness.waiting import PATIENCE, eventually

NAME = "load-balancer-settings"
DEFAULTS = {"policy": "least_connections", "max_connections": 10000, "timeout_seconds": 600}

pytestmark = pytest.mark.disruptive


@pytest.fixture(autouse=True)
def defaults_afterwards(nemesis: Nemesis) -> Iterator[None]:
    yield
    nemesis.cluster.delete("ConfigMap", NAME, SYSTEM)
    eventually(lambda: shown(nemesis) == DEFAULTS, "the defaults are back")


def shown(nemesis: Nemesis) -> Object:
    return nemesis.read("/v1/loadbalancer/settings")


def put(nemesis: Nemesis, body: Object) -> httpx.Response:
    return nemesis.http.put(nemesis.controller_url + "/v1/loadbalancer/settings", json=body)


def by_hand(nemesis: Nemesis, text: str) -> None:
    """As kubectl apply or edit does it."""
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": SYSTEM}, "data": {"settings.yaml": text}}
    done = nemesis.cluster.kubectl.apply(manifest)
    assert done.returncode == 0, done.stderr


def told(nemesis: Nemesis, base: str = "") -> Object:
    """What a load balancer is told that knows nothing yet."""
    answer = nemesis.http.get((base or nemesis.controller_url) + "/v1/routes", params={"wait": "0s"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_settings_that_are_put_are_kept_told_at_once_and_the_same_after_a_restart(nemesis: Nemesis) -> None:
    assert shown(nemesis) == DEFAULTS
    version = told(nemesis)["version"]
    with ThreadPoolExecutor(1) as pool:
        # Applications come and go meanwhile; what is waited for is the change of the settings.
        def changed() -> Object:
            after = version
            while True:
                answer = nemesis.http.get(nemesis.controller_url + "/v1/routes", params={"after": after, "wait": "30s"})
                if "settings" in answer.json():
                    return answer.json()
                after = answer.json()["version"]

        waiting = pool.submit(changed)
        answer = put(nemesis, {"policy": "prequal", "max_connections": 77})
        want = {**DEFAULTS, "policy": "prequal", "max_connections": 77}
        assert answer.status_code == 200 and answer.json() == want, answer.text
        assert waiting.result(timeout=PATIENCE)["settings"] == want
    assert shown(nemesis) == want and told(nemesis)["settings"] == want
    assert "max_connections: 77" in nemesis.cluster.get("ConfigMap", NAME, SYSTEM)["data"]["settings.yaml"]

    for pod in nemesis.pods(CONTROLLER):
        nemesis.cluster.delete("Pod", pod["metadata"]["name"], SYSTEM, grace=0)
    settled(nemesis, CONTROLLER)
    assert eventually(lambda: shown(nemesis), "it answers again") == want
    assert told(nemesis)["settings"] == want


def test_settings_that_are_not_allowed_change_nothing_and_the_answer_says_why(nemesis: Nemesis) -> None:
    assert put(nemesis, {"max_connections": 5}).status_code == 200
    for body, field in (
        ({"policy": "best"}, "policy"),
        ({"max_connections": 0}, "max_connections"),
        ({"timeout_seconds": "long"}, "timeout_seconds"),
        ({"max_conections": 7}, "max_conections"),
    ):
        refused = put(nemesis, body)
        faults = refused.json().get("errors", [])
        assert refused.status_code == 400 and [f["field"] for f in faults] == [field] and faults[0]["allowed"], refused.text
    assert shown(nemesis) == {**DEFAULTS, "max_connections": 5}


def test_settings_edited_by_hand_are_told_by_every_replica(nemesis: Nemesis) -> None:
    with scaled(nemesis, CONTROLLER, 2):
        by_hand(nemesis, "policy: random\n")
        for pod in nemesis.pods(CONTROLLER):
            base = nemesis.reach.pod(pod, 8080)
            eventually(lambda base=base: told(nemesis, base)["settings"]["policy"] == "random", "it tells them")


def test_settings_that_are_malformed_are_not_followed_and_a_person_sees_why(nemesis: Nemesis) -> None:
    good = {**DEFAULTS, "max_connections": 9}
    assert put(nemesis, {"max_connections": 9}).status_code == 200
    by_hand(nemesis, "policy: best\n")

    def event() -> bool:
        found = nemesis.cluster.list("Event", SYSTEM, fields=f"involvedObject.name={NAME},reason=Malformed")
        return any(e["type"] == "Warning" and "policy" in e["message"] and "round_robin" in e["message"] for e in found)

    eventually(event, "an event names the field and what is allowed")
    metrics = nemesis.http.get(nemesis.controller_url + "/metrics").text
    assert "nemesis_balancer_settings_followed 0" in metrics
    assert shown(nemesis) == good and told(nemesis)["settings"] == good
    # What the API writes puts it right.
    assert put(nemesis, {}).json() == DEFAULTS
    assert "nemesis_balancer_settings_followed 1" in nemesis.http.get(nemesis.controller_url + "/metrics").text


def test_without_the_right_to_keep_settings_nothing_changes_and_the_answer_says_so(nemesis: Nemesis) -> None:
    path = nemesis.cluster.path("Role", CONTROLLER, SYSTEM)
    role = nemesis.cluster.get("Role", CONTROLLER, SYSTEM)

    def rules(rules: list[Object]) -> None:
        nemesis.cluster.call("PATCH", path, {"rules": rules}, "application/merge-patch+json")

    rules([{**r, "verbs": ["list", "watch"]} if r["resources"] == ["configmaps"] else r for r in role["rules"]])
    try:
        refused = eventually(lambda: (a := put(nemesis, {"policy": "random"})).status_code == 503 and a, "the right is gone")
        document = problem(refused, 503, "unavailable")
        assert "may not keep the settings" in document["detail"] and retry_after(refused) >= 1, document
        assert shown(nemesis)["policy"] == told(nemesis)["settings"]["policy"]
    finally:
        rules(role["rules"])
    eventually(lambda: put(nemesis, {"policy": "random"}).status_code == 200, "it works with the right")


def test_applying_the_manifests_again_leaves_the_settings_alone(nemesis: Nemesis, overlay: Path) -> None:
    assert put(nemesis, {"timeout_seconds": 33}).status_code == 200
    nemesis.cluster.kubectl("apply", "-k", str(overlay / CONTROLLER))
    settled(nemesis, CONTROLLER)
    assert shown(nemesis)["timeout_seconds"] == 33
