"""Two tenants: what one holds the other cannot take, neither by a longer prefix nor by a host, unless a policy says so."""

from __future__ import annotations

import pytest

from harness.accounts import bearer, editor
from harness.applications import Application, fibonacci
from harness.cluster import Cluster, Object, Refused
from harness.nemesis import CONTROLLER, Nemesis, unique
from harness.problems import problem
from harness.reach import SYSTEM
from harness.services import settled
from harness.waiting import eventually, throughout


def shop(nemesis: Nemesis, namespace: str) -> Application:
    """An application at a prefix that is not below its namespace's name, older than what comes next."""
    app = fibonacci(namespace, "shop", prefix=f"/{unique('shop')}")
    nemesis.deploy(app)
    wait_for_the_next_second(nemesis, app)
    return app


def refused(nemesis: Nemesis, app: Application, holder: Application, asked: str = "") -> Object:
    """Waits for the condition, which names nothing of the other namespace but what was asked for."""
    condition = nemesis.wait_condition(app, "Accepted", "False")
    assert condition["reason"] == "ClaimRefused" and "another namespace" in condition["message"], condition
    assert holder.namespace not in condition["message"].replace(asked, ""), condition
    assert nemesis.wait_condition(app, "Ready", "False")["reason"] == "ClaimRefused"
    fields = f"involvedObject.name={app.name},involvedObject.kind=CustomAutoscaler,reason=ClaimRefused"
    told = eventually(lambda: nemesis.cluster.list("Event", app.namespace, fields=fields), "an event tells of it")
    assert all(holder.namespace not in e["message"].replace(asked, "") for e in told), told
    return condition


def names_the_holder_to_who_may_see_it(nemesis: Nemesis, app: Application, holder: Application) -> None:
    url, of = nemesis.controller_url + "/v1/applications", {"namespace": app.namespace, "deployment": app.name}
    (claim,) = nemesis.read("/v1/applications", **of)["refusedClaims"]
    assert claim["reason"] == "ClaimRefused" and claim["apiPrefix"] == app.prefix, claim
    assert claim["heldBy"]["namespace"] != app.namespace, claim
    if app.prefix.startswith(holder.prefix):  # a shorter one overlaps what others on this cluster hold, too
        assert claim["heldBy"] == {"namespace": holder.namespace, "autoscaler": holder.name}, claim
    own = nemesis.http.get(url, params=of, headers=bearer(editor(nemesis.cluster, app.namespace)))
    assert own.status_code == 200 and own.json()["refusedClaims"][0]["message"] == claim["message"], own.text
    assert "heldBy" not in own.text and holder.namespace not in own.text, own.text


def served_by(nemesis: Nemesis, url: str, **more: object) -> str:
    answer = nemesis.http.get(nemesis.data_url + url, **more)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["pod"]).split("-")[0]


def wait_for_the_next_second(nemesis: Nemesis, app: Application) -> None:
    """Kubernetes dates objects by the second: what is made from now on is younger than this one."""
    made = nemesis.cluster.get("CustomAutoscaler", app.name, app.namespace)["metadata"]["creationTimestamp"]

    def later() -> bool:
        probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "clock", "namespace": app.namespace}}
        nemesis.cluster.delete("ConfigMap", "clock", app.namespace)
        nemesis.cluster.apply(probe)
        return nemesis.cluster.get("ConfigMap", "clock", app.namespace)["metadata"]["creationTimestamp"] > made

    eventually(later, "the next second has begun")


@pytest.mark.parametrize("act", ["a longer prefix", "its host", "its host and prefix", "a shorter prefix"])
def test_another_team_cannot_take_what_is_held(nemesis: Nemesis, namespace: str, stranger: str, act: str) -> None:
    held = shop(nemesis, namespace)
    host = f"{unique('shop')}.example"
    thief = {
        "a longer prefix": fibonacci(stranger, "thief", prefix=held.prefix + "/fib"),
        "its host": fibonacci(stranger, "thief", prefix="/", target={"hosts": [host]}),
        "its host and prefix": fibonacci(stranger, "thief", prefix=held.prefix, target={"hosts": [host]}),
        "a shorter prefix": fibonacci(stranger, "thief", prefix="/"),
    }[act]
    nemesis.cluster.apply(*thief.objects)
    refused(nemesis, thief, held)
    names_the_holder_to_who_may_see_it(nemesis, thief, held)

    def stays() -> None:
        assert served_by(nemesis, held.prefix + "/fib/10", headers={"Host": host}) == "shop"

    throughout(stays, seconds=2)
    status = nemesis.http.get(nemesis.data_url + f"/{unique()}")
    document = problem(status, 404, "not-found")
    assert stranger not in str(document) and namespace not in str(document), document


def test_below_its_own_name_a_team_is_free_and_nobody_else_stays(nemesis: Nemesis, namespace: str, stranger: str) -> None:
    squatter = fibonacci(namespace, "squatter", prefix=f"/{stranger}/app/login")
    nemesis.deploy(squatter)
    mine = fibonacci(stranger, "app")
    nemesis.deploy(mine)
    refused(nemesis, squatter, mine, asked=squatter.prefix)
    eventually(lambda: served_by(nemesis, mine.prefix + "/fib/3") == "app", "its own is its own", promised=10)


def test_who_was_refused_comes_up_when_the_other_one_goes(nemesis: Nemesis, namespace: str, stranger: str) -> None:
    held = shop(nemesis, namespace)
    late = fibonacci(stranger, "late", prefix=held.prefix + "/late")
    nemesis.cluster.apply(*late.objects)
    refused(nemesis, late, held)
    nemesis.cluster.delete("CustomAutoscaler", held.name, namespace)
    nemesis.wait_condition(late, "Accepted", "True")
    eventually(lambda: served_by(nemesis, late.prefix + "/fib/3") == "late", "it is served", promised=10)


@pytest.mark.disruptive  # the controller restarts
def test_an_edit_of_an_older_object_takes_nothing(nemesis: Nemesis, namespace: str, stranger: str) -> None:
    """The other team's objects are older; each is edited to ask for what is held here."""
    host = f"{unique('shop')}.example"
    thieves = {act: fibonacci(stranger, f"thief-{i}") for i, act in enumerate(["its prefix", "a longer prefix", "its host"])}
    for thief in thieves.values():
        nemesis.cluster.apply(*thief.objects)
        nemesis.wait_condition(thief, "Accepted", "True")
    wait_for_the_next_second(nemesis, thief)
    held = fibonacci(namespace, "shop", prefix=f"/{unique('shop')}")
    named = fibonacci(
        namespace, "named", prefix=f"/{unique('named')}", target={"hosts": [host]}
    )  # not /: others hold prefixes of every host
    nemesis.deploy(held, named)

    def entry(thief: Application, **change: object) -> Object:
        return {**thief.autoscaler["spec"]["targetDeployments"][0], **change}

    edits = {
        "its prefix": {"apiPrefix": held.prefix},
        "a longer prefix": {"apiPrefix": held.prefix + "/fib"},
        "its host": {"apiPrefix": named.prefix, "hosts": [host]},
    }
    for act, thief in thieves.items():
        asked = {"spec": {"targetDeployments": [entry(thief, **edits[act]), entry(thief)]}}
        nemesis.cluster.patch("CustomAutoscaler", thief.name, stranger, asked)
        refused(nemesis, thief, held, asked=held.prefix)

    def stays() -> None:
        assert served_by(nemesis, held.prefix + "/fib/10") == "shop"
        assert served_by(nemesis, named.prefix + "/fib/10", headers={"Host": host}) == "named"
        for thief in thieves.values():  # what it had before it has still
            assert served_by(nemesis, thief.prefix + "/fib/3") == "thief"

    eventually(lambda: stays() is None, "all are served", promised=15)
    throughout(stays, seconds=2)

    for pod in nemesis.pods(CONTROLLER):
        nemesis.cluster.delete("Pod", pod["metadata"]["name"], SYSTEM, grace=0)
    settled(nemesis, CONTROLLER)
    throughout(stays, seconds=3)
    for act, thief in thieves.items():
        assert nemesis.wait_condition(thief, "Accepted", "False")["reason"] == "ClaimRefused", act
    nemesis.wait_condition(held, "Accepted", "True")
    nemesis.wait_condition(named, "Accepted", "True")


@pytest.mark.disruptive  # a policy is everybody's
def test_a_policy_grants_and_reserves(nemesis: Nemesis, namespace: str, stranger: str) -> None:
    held = shop(nemesis, namespace)
    late = fibonacci(stranger, "late", prefix=held.prefix + "/late")
    nemesis.cluster.apply(*late.objects)
    refused(nemesis, late, held)
    policy: Object = {"apiVersion": "autoscaler-group.autoscaler/v1alpha1", "kind": "ClaimPolicy", "metadata": {"name": unique("claims")}}
    both = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace, stranger]}
    chosen = {"namespaces": "Selector", "selector": {"matchExpressions": [both]}}
    try:
        nemesis.cluster.apply({**policy, "spec": {"rules": [{"prefixes": [held.prefix], "from": chosen}]}})
        nemesis.wait_condition(late, "Accepted", "True")
        eventually(lambda: served_by(nemesis, late.prefix + "/fib/3") == "late", "it is granted", promised=10)
        assert served_by(nemesis, held.prefix + "/fib/3") == "shop"

        only = {"namespaces": "Names", "names": [namespace]}
        nemesis.cluster.apply({**policy, "spec": {"rules": [{"prefixes": [held.prefix], "from": only}]}})
        condition = nemesis.wait_condition(late, "Accepted", "False")
        assert condition["reason"] == "ClaimRefused" and "ClaimPolicy" in condition["message"], condition
    finally:
        nemesis.cluster.delete("ClaimPolicy", policy["metadata"]["name"])


def test_a_rule_must_say_from_whom(cluster: Cluster) -> None:
    def chosen(**expression: object) -> Object:
        return {"namespaces": "Selector", "selector": {"matchExpressions": [{"key": "team", **expression}]}}

    for source in (
        {},
        {"namespaces": "Some"},
        {"namespaces": "Names"},
        {"namespaces": "All", "names": ["a"]},
        {"namespaces": "Selector"},
        chosen(operator="In"),
        chosen(operator="NotIn", values=[]),
        chosen(operator="Exists", values=["a"]),
        chosen(operator="DoesNotExist", values=["a"]),
        chosen(operator="In", values=["not a value"]),
        chosen(operator="Exists", key="not a key"),
        {"namespaces": "Selector", "selector": {"matchLabels": {"team": "not a value"}}},
    ):
        bad = {
            "apiVersion": "autoscaler-group.autoscaler/v1alpha1",
            "kind": "ClaimPolicy",
            "metadata": {"name": unique("bad")},
            "spec": {"rules": [{"from": source}]},
        }
        with pytest.raises(Refused) as refusal:
            cluster.apply(bad)
        assert refusal.value.code == 422, refusal.value
