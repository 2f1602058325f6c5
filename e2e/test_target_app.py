"""/target-app/api: straight to the target application's own API, and its answer as it is."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from harness.applications import fibonacci
from harness.nemesis import Nemesis
from harness.problems import problem


def ask(nemesis: Nemesis, method: str = "GET", json: Any = None, **query: str) -> httpx.Response:
    return nemesis.http.request(method, nemesis.admin_url + "/target-app/api", params=query, json=json)


def test_a_query_wakes_the_application_and_its_answer_comes_back_as_it_is(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    answer = ask(nemesis, query="10", target=f"{namespace}/{app.name}")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/json", answer.text
    assert (answer.json()["n"], answer.json()["result"]) == (10, 55)
    refused = ask(nemesis, query="ten", target=f"{namespace}/{app.name}")
    assert problem(refused, 400, "invalid")["instance"] == "/api", "the application itself refuses, and sees its own path"


def test_post_put_and_patch_reach_the_applications_resources(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    target = f"{namespace}/{app.name}"
    computed = ask(nemesis, "POST", {"action": "compute", "parameters": {"n": 12}}, target=target)
    assert (computed.status_code, computed.json()["result"]) == (200, 144), computed.text
    missing = ask(nemesis, "PATCH", {"resource_id": "mine", "changes": {"n": 8}}, target=target)
    assert missing.status_code == 404, missing.text
    made = ask(nemesis, "PUT", {"resource_id": "mine", "updates": {"n": 7}}, target=target)
    assert (made.status_code, made.json()["n"]) == (201, 7), made.text
    changed = ask(nemesis, "PATCH", {"resource_id": "mine", "changes": {"n": 8}}, target=target)
    assert (changed.status_code, changed.json()["n"]) == (200, 8), changed.text
    computed = ask(nemesis, "POST", {"action": "compute", "parameters": {"preset": "mine"}}, target=target)
    assert (computed.status_code, computed.json()["result"]) == (200, 21), computed.text


@pytest.mark.alone
def test_the_target_may_be_left_out_while_only_one_is_known(nemesis: Nemesis, namespace: str) -> None:
    first = fibonacci(namespace, "first")
    nemesis.deploy(first)
    if len(nemesis.balancer_state()["applications"]) == 1:
        assert ask(nemesis, query="10").json()["result"] == 55
    second = fibonacci(namespace, "second")
    nemesis.deploy(second)
    document = problem(ask(nemesis, query="10"), 400, "invalid")
    (fault,) = document["errors"]
    known = [f"{a['namespace']}/{a['deployment']}" for a in nemesis.balancer_state()["applications"]]
    assert fault["field"] == "target" and (fault["allowed"] == ", ".join(known) or " more" in fault["allowed"]), document


def test_a_name_in_several_namespaces_needs_its_namespace(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, f"name-{namespace}")
    nemesis.deploy(app)
    assert ask(nemesis, query="10", target=app.name).json()["result"] == 55
    document = problem(ask(nemesis, query="10", target="nobody"), 403, "forbidden")
    assert document["errors"][0]["field"] == "target", document


@pytest.mark.parametrize(
    ("method", "body", "field"),
    [
        ("POST", {}, "action"),
        ("POST", {"action": "compute", "more": 1}, "more"),
        ("PUT", {"resource_id": "x"}, "updates"),
        ("PATCH", {"resource_id": "", "changes": {}}, "resource_id"),
    ],
)
def test_what_does_not_fit_the_contract_is_refused_before_anything_is_woken(
    nemesis: Nemesis, namespace: str, method: str, body: Any, field: str
) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    document = problem(ask(nemesis, method, body, target=f"{namespace}/{app.name}"), 400, "invalid")
    assert field in [f["field"] for f in document["errors"]], document
    assert nemesis.cluster.get("Deployment", app.name, namespace)["spec"]["replicas"] == 0
