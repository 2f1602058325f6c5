"""Which application a request goes to, and what arrives there."""

from __future__ import annotations

import pytest

from harness.applications import fibonacci, modelserver
from harness.nemesis import Nemesis
from harness.problems import problem
from harness.waiting import eventually


def test_the_prefix_is_removed_before_the_request_is_passed_on(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.ask(app, "/fib/7").json()["n"] == 7
    assert nemesis.ask(app, "/?n=8").json()["n"] == 8
    assert nemesis.ask(app, "?n=9").json()["n"] == 9
    assert problem(nemesis.ask(app, "/there/is/no/such%20path?x=1"), 404, "not-found")["instance"].startswith("/there/is/no/such")


def test_the_longest_prefix_wins(nemesis: Nemesis, namespace: str) -> None:
    short = fibonacci(namespace, "short", prefix=f"/{namespace}")
    long = fibonacci(namespace, "long", prefix=f"/{namespace}/fib")
    nemesis.deploy(short, long)

    def pod(path: str) -> str:
        answer = nemesis.http.get(f"{nemesis.data_url}/{namespace}{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()["pod"].split("-")[0]

    assert pod("/?n=3") == "short"
    assert pod("/fib/fib/3") == "long"
    assert pod("/fib/?n=3") == "long"
    assert pod("?n=3") == "short"


def test_a_prefix_ends_at_a_slash(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    problem(nemesis.http.get(nemesis.data_url + app.prefix + "-other/fib/3"), 404, "not-found")


def test_hosts_separate_applications_with_the_same_prefix(nemesis: Nemesis, namespace: str) -> None:
    prefix = f"/{namespace}"
    one = fibonacci(namespace, "one", prefix=prefix, target={"hosts": [f"one.{namespace}.example"]})
    two = fibonacci(namespace, "two", prefix=prefix, target={"hosts": [f"two.{namespace}.example"]})
    nemesis.deploy(one, two)
    for name in ("one", "two", "ONE"):
        answer = nemesis.ask(one, headers={"Host": f"{name}.{namespace}.example:8080"})
        assert answer.status_code == 200 and answer.json()["pod"].startswith(f"{name.lower()}-"), answer.text
    problem(nemesis.ask(one, headers={"Host": "three.example"}), 404, "not-found")


def test_a_route_ends_with_its_autoscaler_and_the_pods_stay(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    nemesis.cluster.delete("CustomAutoscaler", app.name, namespace)
    nemesis.cluster.wait("CustomAutoscaler", app.name, namespace, lambda o: o is None, "it is deleted")
    eventually(lambda: nemesis.ask(app).status_code == 404, "the route has ended", promised=10)
    assert nemesis.cluster.get("Deployment", app.name, namespace)["spec"]["replicas"] == 1


@pytest.mark.parametrize("algorithm", ["RoundRobin", "LeastConnections", "LeastRequest", "Random"])
def test_every_algorithm_uses_all_pods(nemesis: Nemesis, namespace: str, algorithm: str) -> None:
    app = fibonacci(namespace, replicas=2, spec={"loadBalancingAlgorithm": algorithm})
    nemesis.deploy(app)
    nemesis.cluster.wait(
        "Deployment", app.name, namespace, lambda d: bool(d) and d["status"].get("readyReplicas") == 2, "both pods are ready"
    )
    eventually(lambda: sum(e["usable"] for e in nemesis.known(app)["endpoints"]) == 2, "both pods are usable", promised=10)
    pods = [nemesis.ask(app).json()["pod"] for _ in range(40)]
    shares = {p: pods.count(p) for p in pods}
    assert len(shares) == 2, shares
    if algorithm == "RoundRobin":
        assert sorted(shares.values()) == [20, 20], shares


def test_what_the_application_refuses_is_passed_on_as_it_is(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace)
    nemesis.deploy(app)
    answer = nemesis.ask(app, "/v1/completions", "POST", json={"prompt": ""})
    document = problem(answer, 400, "invalid")
    assert document["errors"][0]["field"] == "prompt", document
    assert answer.headers["X-Pod"].startswith("modelserver-")
