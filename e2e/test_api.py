"""The same client with the same token gets the same answers from the controller and from Kubernetes."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from harness.accounts import editor
from harness.applications import fibonacci
from harness.cluster import Cluster
from harness.nemesis import Nemesis
from harness.problems import problem
from harness.waiting import PATIENCE

Call = Callable[..., httpx.Response]


def kubernetes_api(cluster: Cluster) -> httpx.Client:
    """The API server itself, without the rights of the kubeconfig's user."""
    view = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    found = view["clusters"][0]["cluster"]
    trust = ssl.create_default_context()
    if data := found.get("certificate-authority-data"):
        trust.load_verify_locations(cadata=base64.b64decode(data).decode())
    elif file := found.get("certificate-authority"):
        trust.load_verify_locations(cafile=file)
    return httpx.Client(base_url=found["server"], verify=trust, trust_env=False, timeout=PATIENCE)


@pytest.fixture
def token(nemesis: Nemesis, namespace: str) -> str:
    return editor(nemesis.cluster, namespace)


@pytest.fixture(params=["controller", "kubernetes"])
def call(request: pytest.FixtureRequest, nemesis: Nemesis, namespace: str, token: str) -> Iterator[Call]:
    """Calls one of the two, below the collection of the test's namespace."""
    with (
        kubernetes_api(nemesis.cluster)
        if request.param == "kubernetes"
        else httpx.Client(base_url=nemesis.controller_url, trust_env=False, timeout=PATIENCE, verify=nemesis.reach.trust()) as client
    ):

        def made(method: str, name: str = "", body: Any = None, media: str = "application/json", **more: Any) -> httpx.Response:
            path = Cluster.path("CustomAutoscaler", name, namespace)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": media, **more.pop("headers", {})}
            return client.request(method, path, content=None if body is None else json.dumps(body), headers=headers, **more)

        yield made


def test_an_object_goes_through_its_whole_life(call: Call, namespace: str) -> None:
    wanted = fibonacci(namespace, spec={"idleTime": 90}).autoscaler

    created = call("POST", body=wanted)
    assert created.status_code == 201, created.text
    assert created.json()["spec"]["idleTime"] == 90
    assert created.json()["spec"]["scaleDownWindow"] == 60  # the default is filled in
    assert "loadBalancingAlgorithm" not in created.json()["spec"]  # left out: the load balancers' own policy
    assert call("POST", body=wanted).status_code == 409

    read = call("GET", "fibonacci")
    assert (read.status_code, read.json()["metadata"]["name"]) == (200, "fibonacci"), read.text
    listed = call("GET").json()
    assert listed["kind"] == "CustomAutoscalerList"
    assert [o["metadata"]["name"] for o in listed["items"]] == ["fibonacci"]
    assert call("GET", params={"labelSelector": "app=fibonacci"}).json()["items"] != []
    assert call("GET", params={"labelSelector": "app=other"}).json()["items"] == []

    def replaced(version: str, idle: int) -> httpx.Response:
        change = read.json()
        change["metadata"]["resourceVersion"] = version
        change["spec"]["idleTime"] = idle
        return call("PUT", "fibonacci", change)

    current = call("GET", "fibonacci").json()["metadata"]["resourceVersion"]
    assert replaced("1", 100).status_code == 409
    # The controller writes the status meanwhile: then the version has changed, and one reads again.
    for _ in range(10):
        answer = replaced(current, 100)
        if answer.status_code != 409:
            break
        current = call("GET", "fibonacci").json()["metadata"]["resourceVersion"]
    assert (answer.status_code, answer.json()["spec"]["idleTime"]) == (200, 100), answer.text

    patched = call("PATCH", "fibonacci", {"spec": {"idleTime": 110, "cpuThreshold": 700}}, "application/merge-patch+json")
    assert (patched.status_code, patched.json()["spec"]["idleTime"]) == (200, 110), patched.text
    removed = call("PATCH", "fibonacci", {"spec": {"cpuThreshold": None}}, "application/merge-patch+json")
    assert "cpuThreshold" not in removed.json()["spec"], removed.text

    assert call("DELETE", "fibonacci").status_code == 200
    assert call("GET", "fibonacci").status_code == 404
    assert call("DELETE", "fibonacci").status_code == 404
    assert call("PATCH", "fibonacci", {"spec": {"idleTime": 1}}, "application/merge-patch+json").status_code == 404


def test_a_bad_object_is_refused_422_and_the_field_is_named(call: Call, namespace: str) -> None:
    bad = fibonacci(namespace, spec={"idleTime": -5, "minReplicas": 4, "maxReplicas": 3}).autoscaler
    refused = call("POST", body=bad)
    assert refused.status_code == 422, refused.text
    assert "idleTime" in refused.text
    assert call("GET").json()["items"] == []

    assert call("POST", body=fibonacci(namespace).autoscaler).status_code == 201
    refused = call("PATCH", "fibonacci", {"spec": {"idleTime": 0}}, "application/merge-patch+json")
    assert refused.status_code == 422, refused.text
    assert "idleTime" in refused.text


def test_a_wrong_media_type_is_refused_415(call: Call, namespace: str) -> None:
    assert call("POST", body=fibonacci(namespace).autoscaler).status_code == 201
    assert call("PATCH", "fibonacci", {"spec": {"idleTime": 5}}, "application/xml").status_code == 415


def test_a_wrong_token_is_refused_401(call: Call) -> None:
    assert call("GET", headers={"Authorization": "Bearer nonsense"}).status_code == 401


def test_a_namespace_without_the_right_is_refused_403(nemesis: Nemesis, token: str) -> None:
    path = Cluster.path("CustomAutoscaler", namespace="default")
    answer = nemesis.http.get(nemesis.controller_url + path, headers={"Authorization": f"Bearer {token}"})
    problem(answer, 403, "forbidden")


def test_a_refusal_of_the_controller_names_field_value_and_what_is_allowed(nemesis: Nemesis, namespace: str, token: str) -> None:
    bad = fibonacci(namespace, spec={"idleTime": -5}).autoscaler
    url = nemesis.controller_url + Cluster.path("CustomAutoscaler", namespace=namespace)
    document = problem(nemesis.http.post(url, json=bad, headers={"Authorization": f"Bearer {token}"}), 422, "unprocessable")
    (fault,) = document["errors"]
    assert fault["field"].endswith("idleTime"), document
    assert fault["value"] == "-5" and "1" in fault["allowed"], document


def three(call: Call, namespace: str) -> list[str]:
    """Three objects, of which one only observes."""
    names = [f"page-{i}" for i in range(3)]
    for name in names:
        mode = "Observe" if name == "page-1" else "Paused"
        target = {"name": name, "apiPrefix": f"/{namespace}-{name}", "port": "80"}
        wanted = {
            "apiVersion": "autoscaler-group.autoscaler/v1alpha1",
            "kind": "CustomAutoscaler",
            "metadata": {"name": name},
            "spec": {"mode": mode, "targetDeployments": [target]},
        }
        made = call("POST", body=wanted)
        assert made.status_code == 201, made.text
    return names


def test_a_list_comes_in_pages_and_by_fields(call: Call, namespace: str) -> None:
    names = three(call, namespace)
    for limit in (1, 2, 3):
        seen: list[str] = []
        after: dict[str, str] = {}
        while True:
            page = call("GET", params={"limit": limit, **after})
            assert page.status_code == 200 and len(page.json()["items"]) <= limit, page.text
            seen += [o["metadata"]["name"] for o in page.json()["items"]]
            if not (token := page.json()["metadata"].get("continue")):
                break
            after = {"continue": token}
        assert seen == names, f"in pages of {limit}"
    selectors = {"metadata.name=page-1": 1, "spec.mode=Paused": 2, "spec.mode!=Paused": 1, "metadata.namespace=nowhere": 0}
    for selector, count in selectors.items():
        chosen = call("GET", params={"fieldSelector": selector})
        assert chosen.status_code == 200 and len(chosen.json()["items"]) == count, f"{selector}: {chosen.text}"
    unknown = call("GET", params={"fieldSelector": "spec.idleTime=90"})
    assert unknown.status_code == 400 and "spec.idleTime" in unknown.text, unknown.text
    assert call("GET", params={"continue": "nonsense"}).status_code == 400


def test_a_watch_tells_what_is_there_and_ends_in_time(call: Call, namespace: str) -> None:
    names = three(call, namespace)
    begin = {"watch": "true", "timeoutSeconds": "1", "allowWatchBookmarks": "true"}
    begin |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    told = call("GET", params=begin)
    assert told.status_code == 200, told.text
    events = [json.loads(line) for line in told.text.splitlines()]
    assert sorted(e["object"]["metadata"]["name"] for e in events if e["type"] == "ADDED") == names, told.text
    # One bookmark ends what is there; the API server may send others.
    marks = [e["object"]["metadata"] for e in events if e["type"] == "BOOKMARK"]
    (mark,) = [m for m in marks if m.get("annotations", {}).get("k8s.io/initial-events-end") == "true"]

    assert call("PATCH", "page-2", {"spec": {"idleTime": 77}}, media="application/merge-patch+json").status_code == 200
    since = {"watch": "true", "timeoutSeconds": "1", "resourceVersion": mark["resourceVersion"], "fieldSelector": "metadata.name=page-2"}
    changes = [json.loads(line) for line in call("GET", params=since).text.splitlines()]
    assert any(e["type"] == "MODIFIED" and e["object"]["spec"].get("idleTime") == 77 for e in changes), changes
