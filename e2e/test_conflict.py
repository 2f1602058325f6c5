"""Somebody else scales the Deployment too: Nemesis lets it alone, says so, and goes on when the other one has gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.applications import Application, fibonacci
from harness.cluster import Cluster, Object, Refused
from harness.nemesis import Nemesis
from harness.waiting import eventually, throughout

DEFINITION = "scaledobjects.keda.sh"


def autoscaler_of(app: Application, name: str = "rival", owner: Object | None = None) -> Object:
    """A HorizontalPodAutoscaler that names the application's Deployment."""
    meta: Object = {"name": name, "namespace": app.namespace}
    if owner:
        meta["ownerReferences"] = [
            {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
            }
        ]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": app.name}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 90}}}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 2, "metrics": [cpu]}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta, "spec": spec}


def scaled_object_of(app: Application, name: str = "rival") -> Object:
    """A ScaledObject of KEDA that names the application's Deployment."""
    spec = {"scaleTargetRef": {"name": app.name}, "triggers": [{"type": "cron", "metadata": {}}]}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name, "namespace": app.namespace}, "spec": spec}


@pytest.fixture
def keda(cluster: Cluster) -> Iterator[None]:
    """KEDA's kind without KEDA: what is tried is that it is seen."""
    if cluster.list("CustomResourceDefinition", fields=f"metadata.name={DEFINITION}"):
        pytest.skip("this cluster has KEDA of its own, which would act on what the test makes")
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    names = {"kind": "ScaledObject", "listKind": "ScaledObjectList", "plural": "scaledobjects", "singular": "scaledobject"}
    cluster.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": DEFINITION},
            "spec": {"group": "keda.sh", "scope": "Namespaced", "names": names, "versions": [version]},
        }
    )
    try:
        eventually(lambda: cluster.list("ScaledObject") == [], "the kind is served")
        yield
    finally:
        cluster.delete("CustomResourceDefinition", DEFINITION)
        cluster.wait("CustomResourceDefinition", DEFINITION, "", lambda o: o is None, "the kind is gone")


def conflict(nemesis: Nemesis, app: Application, owner: str) -> Object:
    """Waits for the condition that names the other one, and says what to do."""
    condition = nemesis.wait_condition(app, "AbleToScale", "False")
    assert condition["reason"] == "Conflict" and owner in condition["message"], condition
    assert "delete the other one, or take the Deployment out of the CustomAutoscaler" in condition["message"], condition
    return condition


def told(nemesis: Nemesis, app: Application) -> list[Object]:
    """The events of the conflict."""
    fields = f"involvedObject.name={app.name},involvedObject.kind=CustomAutoscaler,reason=Conflict"
    return nemesis.cluster.list("Event", app.namespace, fields=fields)


def test_beside_a_horizontal_pod_autoscaler_nothing_is_put_to_sleep_until_it_goes(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 2})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    rival = autoscaler_of(app)
    nemesis.cluster.apply(rival)
    conflict(nemesis, app, f"the HorizontalPodAutoscaler {namespace}/rival")

    def stays() -> None:
        assert nemesis.cluster.get("Deployment", app.name, namespace)["spec"]["replicas"] >= 1

    throughout(stays, seconds=8)
    assert nemesis.ask(app).status_code == 200  # it is routed to as ever
    held = next(d for d in nemesis.decisions(app) if any(r["rule"] == "Conflict" for r in d["reasons"]))
    assert not held["applied"] and held["from"] == held["to"] and f"{namespace}/rival" in held["summary"], held
    assert all(r["effect"] == "Hold" for r in held["reasons"]), held
    (event,) = eventually(lambda: told(nemesis, app), "an event tells of it")
    assert event["type"] == "Warning" and event.get("count", 1) == 1 and f"{namespace}/rival" in event["message"], event

    nemesis.cluster.delete("HorizontalPodAutoscaler", "rival", namespace)
    nemesis.wait_condition(app, "AbleToScale", "True")
    nemesis.wait_replicas(app, 0)
    assert nemesis.ask(app).status_code == 200

    nemesis.cluster.apply(rival)  # a second time is told a second time
    eventually(lambda: sum(e.get("count", 1) for e in told(nemesis, app)) == 2, "it is told again")


def test_an_application_that_an_autoscaler_found_asleep_is_woken_and_from_one_on_it_is_the_autoscalers(
    nemesis: Nemesis, namespace: str
) -> None:
    app = fibonacci(namespace, spec={"idleTime": 2})
    nemesis.deploy(app)
    nemesis.wait_replicas(app, 0)
    nemesis.cluster.apply(autoscaler_of(app))
    conflict(nemesis, app, f"the HorizontalPodAutoscaler {namespace}/rival")

    answer = nemesis.ask(app)
    assert answer.status_code == 200, answer.text
    woken = next(d for d in nemesis.decisions(app) if d["applied"] and d["from"] == 0)
    assert woken["to"] == 1 and f"{namespace}/rival" in woken["summary"], woken

    def stays() -> None:
        assert nemesis.cluster.get("Deployment", app.name, namespace)["spec"]["replicas"] >= 1

    throughout(stays, seconds=8)


def test_who_sets_the_count_back_again_and_again_is_named_and_not_fought(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 1})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    heal = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": app.name, "namespace": namespace}, "spec": {"replicas": 1}}
    path = nemesis.cluster.path("Deployment", app.name, namespace)
    for _ in range(3):
        nemesis.wait_replicas(app, 0)
        nemesis.cluster.call("PATCH", path, heal, "application/apply-patch+yaml", fieldManager="self-heal", force="true")
    condition = nemesis.wait_condition(app, "Contested", "True")
    assert "self-heal" in condition["message"] and "3 times" in condition["message"], condition
    able = nemesis.wait_condition(app, "AbleToScale", "False")
    assert able["reason"] == "Contested", able
    fields = f"involvedObject.name={app.name},involvedObject.kind=CustomAutoscaler,reason=Contested"
    (event,) = eventually(lambda: nemesis.cluster.list("Event", namespace, fields=fields), "an event tells of it")
    assert event["type"] == "Warning" and "self-heal" in event["message"], event

    def stays() -> None:
        assert nemesis.cluster.get("Deployment", app.name, namespace)["spec"]["replicas"] == 1

    throughout(stays, seconds=8)  # idle for long, and let alone
    assert nemesis.ask(app).status_code == 200
    nemesis.cluster.patch("CustomAutoscaler", app.name, namespace, {"spec": {"idleTime": 2}})
    nemesis.wait_replicas(app, 0)  # whoever changes what is wanted begins anew


def test_a_manifest_that_is_applied_over_a_sleeping_application_meets_its_conflict(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 1})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    nemesis.wait_replicas(app, 0)
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": app.name, "namespace": namespace},
        "spec": {"replicas": 3},
    }
    with pytest.raises(Refused) as refusal:
        nemesis.cluster.call(
            "PATCH", nemesis.cluster.path("Deployment", app.name, namespace), manifest, "application/apply-patch+yaml", fieldManager="tool"
        )
    assert refusal.value.code == 409 and "nemesis-autoscaler-controller" in str(refusal.value)


@pytest.mark.parametrize(("on_delete", "replicas"), [(None, 2), ("Restore", 2), ("Keep", 0)])
def test_what_sleeps_when_its_rule_is_deleted_is_restored_or_kept(
    nemesis: Nemesis, namespace: str, on_delete: str | None, replicas: int
) -> None:
    app = fibonacci(namespace, spec={"idleTime": 3} | ({"onDelete": on_delete} if on_delete else {}))
    nemesis.deploy(app)
    nemesis.cluster.scale(namespace, app.name, 2)
    assert nemesis.ask(app).status_code == 200
    nemesis.wait_replicas(app, 0)
    nemesis.cluster.delete("CustomAutoscaler", app.name, namespace)
    if replicas:
        nemesis.wait_replicas(app, replicas)
        fields = f"involvedObject.name={app.name},involvedObject.kind=Deployment,reason=Restored"
        (event,) = eventually(lambda: nemesis.cluster.list("Event", namespace, fields=fields), "an event tells of it")
        assert "0 → 2" in event["message"], event
        return

    def sleeps() -> None:
        assert nemesis.cluster.get("Deployment", app.name, namespace)["spec"]["replicas"] == 0

    throughout(sleeps, seconds=8)


def test_an_autoscaler_that_turns_to_another_deployment_is_no_conflict_any_more(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"minReplicas": 1})
    nemesis.deploy(app)
    nemesis.wait_replicas(app, 1)
    nemesis.cluster.apply(autoscaler_of(app))
    conflict(nemesis, app, f"the HorizontalPodAutoscaler {namespace}/rival")
    nemesis.cluster.apply(autoscaler_of(fibonacci(namespace, "other")))
    nemesis.wait_condition(app, "AbleToScale", "True")
    nemesis.cluster.scale(namespace, app.name, 5)
    nemesis.wait_replicas(app, 3)  # maxReplicas binds again


@pytest.mark.usefixtures("keda")
@pytest.mark.long
def test_a_scaled_object_of_keda_is_one_conflict_with_the_autoscaler_that_it_made(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 2})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    nemesis.wait_replicas(app, 0)
    nemesis.cluster.apply(scaled_object_of(app))
    # The kind has come a moment ago; it is looked for every minute.
    conflict(nemesis, app, f"the ScaledObject {namespace}/rival")
    owner = nemesis.cluster.get("ScaledObject", "rival", namespace)
    nemesis.cluster.apply(autoscaler_of(app, "keda-hpa-rival", owner))

    def one() -> None:
        conflict = next(c for c in nemesis.application(app)["conditions"] if c["type"] == "AbleToScale")
        assert conflict["reason"] == "Conflict" and "HorizontalPodAutoscaler" not in conflict["message"], conflict

    throughout(one, seconds=3)
    (event,) = told(nemesis, app)
    assert event.get("count", 1) == 1, event

    nemesis.cluster.delete("CustomResourceDefinition", DEFINITION)  # KEDA is removed, and all of its objects
    nemesis.cluster.delete("HorizontalPodAutoscaler", "keda-hpa-rival", namespace)
    nemesis.wait_condition(app, "AbleToScale", "True")
    assert nemesis.ask(app).status_code == 200
    nemesis.wait_replicas(app, 0)
