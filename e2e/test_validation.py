"""Bad objects are refused with the field and what is allowed; what slips through harms nobody else."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from harness.accounts import editor
from harness.applications import Application, fibonacci
from harness.cluster import Object
from harness.nemesis import Nemesis
from harness.problems import problem
from harness.waiting import eventually

THRESHOLD = {"metricType": "CPU_USAGE", "operator": "GREATER_THAN", "value": 700}


def rule(**over: Any) -> dict[str, Any]:
    """A spec with one scaling rule, some of its fields replaced; None leaves a field out."""
    full = {"name": "busy", "action": "INCREASE_INSTANCES", "thresholds": [THRESHOLD], **over}
    return {"scalingRules": [{k: v for k, v in full.items() if v is not None}]}


def threshold(**over: Any) -> dict[str, Any]:
    """The same, with fields of its one threshold replaced."""
    return rule(thresholds=[{k: v for k, v in {**THRESHOLD, **over}.items() if v is not None}])


BAD: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    # name: (over the spec, over the target, what the refusal must name)
    "min above max": ({"minReplicas": 4, "maxReplicas": 3}, {}, ["minReplicas", "must not be larger than maxReplicas"]),
    "idle time of zero": ({"idleTime": 0}, {}, ["idleTime", "greater than or equal to 1"]),
    "negative idle time": ({"idleTime": -5}, {}, ["idleTime", "-5"]),
    "idle time as text": ({"idleTime": "5 s"}, {}, ["idleTime", "integer"]),
    "unknown algorithm": ({"loadBalancingAlgorithm": "Fastest"}, {}, ["loadBalancingAlgorithm", "Fastest", "RoundRobin"]),
    "two keys": (
        {"loadBalancingAlgorithm": "ConsistentHash", "consistentHash": {"header": "X-User", "cookie": "user"}},
        {},
        ["consistentHash", "exactly one of header, cookie, query, clientAddress (true) and mcpSession (true) must be given"],
    ),
    "no key": ({}, {"consistentHash": {"mcpSession": False}}, ["consistentHash", "exactly one of header"]),
    "a key that nobody goes by": (
        {"loadBalancingAlgorithm": "RoundRobin", "consistentHash": {"clientAddress": True}},
        {},
        ["consistentHash", "has no effect without the loadBalancingAlgorithm ConsistentHash or ModelAware"],
    ),
    "a cookie with a blank": ({}, {"consistentHash": {"cookie": "a b"}}, ["consistentHash.cookie"]),
    "no replicas allowed": ({"maxReplicas": 0}, {}, ["maxReplicas", "greater than or equal to 1"]),
    "port zero": ({}, {"port": "0"}, ["port"]),
    "port too large": ({}, {"port": "70000"}, ["port", "from 1 to 65535"]),
    "port as a number": ({}, {"port": 5001}, ["port", "string"]),
    "prefix without a slash": ({}, {"apiPrefix": "fibonacci"}, ["apiPrefix"]),
    "prefix with a slash at its end": ({}, {"apiPrefix": "/fibonacci/"}, ["apiPrefix"]),
    "no prefix": ({}, {"apiPrefix": None}, ["apiPrefix", "Required"]),
    "unknown field": ({"idleTme": 5}, {}, ["idleTme"]),
    "host with a port": ({}, {"hosts": ["example.com:80"]}, ["hosts"]),
    "zero CPU": ({"cpuThreshold": 0}, {}, ["cpuThreshold"]),
    "negative window": ({"scaleUpWindow": -1}, {}, ["scaleUpWindow", "greater than or equal to 0"]),
    "window of more than a day": ({"scaleDownWindow": 86401}, {}, ["scaleDownWindow", "less than or equal to 86400"]),
    "a start that may take no time": ({"startTimeout": 0}, {}, ["startTimeout", "greater than or equal to 1"]),
    "a start longer than the whole": (
        {"startTimeout": 61, "wakeUpTimeout": 60},
        {},
        ["startTimeout", "must not be larger than wakeUpTimeout"],
    ),
    "busy longer than the whole": (
        {"busyTimeout": 121, "wakeUpTimeout": 120},
        {},
        ["busyTimeout", "must not be larger than wakeUpTimeout"],
    ),
    "unknown pastime": ({"whileWaiting": "Sing"}, {}, ["whileWaiting", "Sing", "Hold", "Page"]),
    "an uncounted request that is every one": ({"uncountedRequests": [{"statusWhileAsleep": 503}]}, {}, ["at least one of paths"]),
    "an uncounted path without a slash": (
        {"uncountedRequests": [{"paths": ["healthz"]}]},
        {},
        ["uncountedRequests[0].paths[0]", "healthz"],
    ),
    "an uncounted path with a star in it": ({"uncountedRequests": [{"paths": ["/a*b"]}]}, {}, ["uncountedRequests[0].paths[0]", "/a*b"]),
    "an uncounted method in small letters": ({"uncountedRequests": [{"methods": ["get"]}]}, {}, ["uncountedRequests[0].methods[0]", "get"]),
    "an uncounted request answered otherwise": (
        {"uncountedRequests": [{"paths": ["/"], "statusWhileAsleep": 404}]},
        {},
        ["uncountedRequests[0].statusWhileAsleep", "404", "503"],
    ),
    "more uncounted requests than are looked at": (
        {"uncountedRequests": [{"methods": ["GET"]}] * 17},
        {},
        ["uncountedRequests", "at most 16"],
    ),
    "strip as text": ({}, {"stripPrefix": "no"}, ["stripPrefix", "boolean"]),
    "rule without a name": (rule(name=None), {}, ["scalingRules[0].name", "Required"]),
    "rule with a name in capitals": (rule(name="Busy"), {}, ["scalingRules[0].name", "Busy"]),
    "rule without an action": (rule(action=None), {}, ["scalingRules[0].action", "Required"]),
    "rule with an unknown action": (rule(action="RESTART"), {}, ["scalingRules[0].action", "RESTART", "INCREASE_INSTANCES"]),
    "rule without thresholds": (rule(thresholds=[]), {}, ["scalingRules[0].thresholds", "at least 1"]),
    "rule with an unknown field": (rule(pods=2), {}, ["pods"]),
    "two rules of one name": ({"scalingRules": rule()["scalingRules"] * 2}, {}, ["scalingRules[1]", "Duplicate value", "busy"]),
    "more rules than are looked at": (
        {"scalingRules": [rule(name=f"rule-{i}")["scalingRules"][0] for i in range(17)]},
        {},
        ["scalingRules", "at most 16"],
    ),
    "unknown metric": (threshold(metricType="LOAD"), {}, ["thresholds[0].metricType", "LOAD", "CPU_USAGE", "AVERAGE_RESPONSE_TIME"]),
    "no metric": (threshold(metricType=None), {}, ["thresholds[0].metricType", "Required"]),
    "unknown operator": (threshold(operator=">"), {}, ["thresholds[0].operator", "GREATER_THAN", "LESS_THAN", "EQUAL_TO"]),
    "negative value": (threshold(value=-1), {}, ["thresholds[0].value", "greater than or equal to 0"]),
    "value as text": (threshold(value="700m"), {}, ["thresholds[0].value", "number"]),
    "no value": (threshold(value=None), {}, ["thresholds[0].value", "Required"]),
    "negative duration": (threshold(duration=-5), {}, ["thresholds[0].duration", "greater than or equal to 0"]),
    "more thresholds than are looked at": (rule(thresholds=[THRESHOLD] * 9), {}, ["scalingRules[0].thresholds", "at most 8"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_value_is_refused_by_kubectl_and_the_field_is_named(nemesis: Nemesis, namespace: str, case: str) -> None:
    spec, target, words = BAD[case]
    app = fibonacci(namespace, spec=spec, target={k: v for k, v in target.items() if v is not None})
    bad = app.autoscaler
    for key in [k for k, v in target.items() if v is None]:
        del bad["spec"]["targetDeployments"][0][key]

    done = nemesis.cluster.kubectl.apply(bad)

    assert done.returncode != 0, done.stdout
    for word in words:
        assert word in done.stderr, done.stderr
    assert nemesis.cluster.list("CustomAutoscaler", namespace) == []


def test_the_least_that_can_be_said_is_taken_and_the_rest_has_defaults(nemesis: Nemesis, namespace: str) -> None:
    target = {"name": "least", "apiPrefix": f"/{namespace}", "port": "5001"}
    least = {**fibonacci(namespace, "least").autoscaler, "spec": {"targetDeployments": [target], **rule()}}
    done = nemesis.cluster.kubectl.apply(least)
    assert done.returncode == 0, done.stderr
    # What is not here was not set: the balancers' own policy, and no thresholds.
    assert nemesis.cluster.get("CustomAutoscaler", "least", namespace)["spec"] == {
        "targetDeployments": [target],
        "idleTime": 300,
        "minReplicas": 0,
        "maxReplicas": 10,
        "containerConcurrency": 0,
        "maxStartingPods": 100,
        "wakeUpTimeout": 120,
        "scaleUpWindow": 0,
        "scaleDownWindow": 60,
        "scalingRules": [{"name": "busy", "action": "INCREASE_INSTANCES", "thresholds": [{**THRESHOLD, "duration": 0}]}],
    }


def test_every_fault_is_told_at_once(nemesis: Nemesis, namespace: str) -> None:
    bad = fibonacci(namespace, spec={"idleTime": 0, "scaleUpWindow": -1, **threshold(operator="ABOUT")}).autoscaler
    done = nemesis.cluster.kubectl.apply(bad)
    assert done.returncode != 0, done.stdout
    for field in ("spec.idleTime", "spec.scaleUpWindow", "spec.scalingRules[0].thresholds[0].operator"):
        assert field in done.stderr, done.stderr


def test_a_prefix_given_twice_in_one_object_is_refused(nemesis: Nemesis, namespace: str) -> None:
    one, two = fibonacci(namespace, "one", prefix="/same"), fibonacci(namespace, "two", prefix="/same")
    bad = one.autoscaler
    bad["spec"]["targetDeployments"] += two.autoscaler["spec"]["targetDeployments"]
    done = nemesis.cluster.kubectl.apply(bad)
    assert done.returncode != 0 and "targetDeployments" in done.stderr and "each apiPrefix may be given once" in done.stderr, done.stderr


def test_a_bad_change_leaves_the_old_object_as_it_is(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 77})
    nemesis.deploy(app)
    done = nemesis.cluster.kubectl.run("patch", "ca", app.name, "-n", namespace, "--type=merge", "-p", '{"spec":{"idleTime":0}}')
    assert done.returncode != 0 and "idleTime" in done.stderr, done.stderr
    assert nemesis.cluster.get("CustomAutoscaler", app.name, namespace)["spec"]["idleTime"] == 77
    assert nemesis.ask(app).status_code == 200


def conditions(nemesis: Nemesis, app: Application) -> dict[str, Object]:
    status = nemesis.cluster.get("CustomAutoscaler", app.name, app.namespace).get("status", {})
    return {c["type"]: c for c in status.get("conditions", [])}


def test_of_two_with_the_same_route_the_older_one_keeps_it(nemesis: Nemesis, namespace: str) -> None:
    prefix = f"/{namespace}/same"
    older = fibonacci(namespace, "older", prefix=prefix)
    nemesis.deploy(older)
    younger = fibonacci(namespace, "younger", prefix=prefix)
    # Kubernetes dates objects by the second; of two of the same second neither is older.
    created = nemesis.cluster.get("CustomAutoscaler", "older", namespace)["metadata"]["creationTimestamp"]

    def later() -> bool:
        probe = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "clock", "namespace": namespace}}
        nemesis.cluster.delete("ServiceAccount", "clock", namespace)
        nemesis.cluster.apply(probe)
        return nemesis.cluster.get("ServiceAccount", "clock", namespace)["metadata"]["creationTimestamp"] > created

    eventually(later, "the next second has begun")
    nemesis.cluster.apply(*younger.objects)

    def told() -> bool:
        found = [c for c in conditions(nemesis, younger).values() if c["reason"] == "RouteConflict"]
        assert found, conditions(nemesis, younger)
        assert found[0]["status"] == "False" and "older" in found[0]["message"] and prefix in found[0]["message"], found
        return True

    eventually(told, "the younger one is told of the conflict")
    assert all(c["reason"] != "RouteConflict" for c in conditions(nemesis, older).values())
    assert nemesis.ask(older).json()["pod"].startswith("older-")

    nemesis.cluster.delete("CustomAutoscaler", "older", namespace)
    answer = eventually(
        lambda: (a := nemesis.ask(younger)).status_code == 200 and a.json()["pod"].startswith("younger-") and a,
        "the younger one takes over when the older one is gone",
    )
    assert answer.status_code == 200


def test_a_target_that_does_not_exist_is_told_and_stops_nothing_else(nemesis: Nemesis, namespace: str) -> None:
    missing, good = fibonacci(namespace, "missing"), fibonacci(namespace, "good", spec={"idleTime": 2})
    nemesis.cluster.apply(missing.autoscaler)
    nemesis.deploy(good)

    condition = nemesis.wait_condition(missing, "TargetFound", "False")
    assert condition["reason"] == "DeploymentMissing" and f"{namespace}/missing" in condition["message"], condition
    assert nemesis.ask(good).status_code == 200
    nemesis.wait_replicas(good, 0)

    nemesis.cluster.apply(missing.deployment, missing.service)
    nemesis.wait_condition(missing, "TargetFound", "True")
    eventually(lambda: nemesis.ask(missing).status_code == 200, "it works as soon as it exists", promised=10)


def test_a_deployment_claimed_twice_is_told_and_the_older_claim_keeps_working(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    second = app.autoscaler
    second["metadata"] = {"name": "second", "namespace": namespace}
    second["spec"]["targetDeployments"][0]["apiPrefix"] = f"/{namespace}/second"
    nemesis.cluster.apply(second)
    claim = Application(namespace, "second")

    def told() -> bool:
        found = [c for c in conditions(nemesis, claim).values() if c["status"] == "False"]
        assert any(app.name in c["message"] for c in found), conditions(nemesis, claim)
        return True

    eventually(told, "the second claim is told that the Deployment is taken")
    assert nemesis.ask(app).status_code == 200


def test_on_our_own_api_objects_are_read_as_the_api_server_reads_them(nemesis: Nemesis, namespace: str) -> None:
    """null is left out, 3.0 is 3, and a key that is given twice is refused: on both ways, whoever asks."""
    path = f"/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/{namespace}/customautoscalers"
    bearer = {"Authorization": "Bearer " + editor(nemesis.cluster, namespace)}

    def text(name: str, spec: str) -> str:
        full = fibonacci(namespace, name).autoscaler
        least = {**full, "spec": {"targetDeployments": full["spec"]["targetDeployments"]}}
        return json.dumps(least).replace('"spec": {', '"spec": {' + spec, 1)

    def send(method: str, where: str, body: str, media: str = "application/json") -> httpx.Response:
        return nemesis.http.request(method, nemesis.controller_url + where, content=body, headers={**bearer, "Content-Type": media})

    made = send("POST", path, text("plain", '"idleTime": null, "behavior": null, "cpuThreshold": 3.0, '))
    assert made.status_code == 201, made.text
    spec = made.json()["spec"]
    assert spec["idleTime"] == 300 and "behavior" not in spec and spec["cpuThreshold"] == 3, spec

    twice = problem(send("POST", path, text("twice", '"idleTime": 5, "idleTime": 6, ')), 400, "invalid")
    assert twice["errors"] == [{"field": "spec.idleTime", "allowed": "given once"}], twice

    merge = "application/merge-patch+json"
    changed = send("PATCH", path + "/plain", '{"spec": {"cpuThreshold": null, "memoryThreshold": 4.0}}', merge)
    assert changed.status_code == 200 and "cpuThreshold" not in changed.json()["spec"], changed.text
    assert changed.json()["spec"]["memoryThreshold"] == 4, changed.text
    refused = send("PATCH", path + "/plain", '{"spec": {"idleTime": 5, "idleTime": 6}}', merge)
    assert refused.status_code == 422 and refused.json()["errors"] == [{"field": "spec.idleTime", "allowed": "given once"}], refused.text
    assert len(refused.json()["detail"]) < 200, refused.text
