"""Use case 5, proxy request: a client asks, the policy picks a pod, the response comes back.

A fault of the application gives the client a clear 5xx.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from harness.applications import fibonacci, modelserver
from harness.nemesis import Nemesis
from harness.problems import problem
from harness.waiting import PATIENCE, eventually


def test_the_policy_picks_a_pod_and_its_response_comes_back(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, replicas=2, spec={"loadBalancingAlgorithm": "RoundRobin"})
    nemesis.deploy(app)
    eventually(lambda: sum(e["usable"] for e in nemesis.known(app)["endpoints"]) == 2, "both pods are usable")
    answers = [nemesis.ask(app, f"/fib/{n}") for n in range(20)]
    assert [a.json()["n"] for a in answers] == list(range(20))
    assert sorted(Counter(a.json()["pod"] for a in answers).values()) == [10, 10]


def test_a_pod_that_dies_under_a_request_gives_the_client_a_clear_502(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, env={"TOKENS_PER_SECOND": "0.1"})
    nemesis.deploy(app)
    assert nemesis.ask(app, "/v1/models").status_code == 200
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(nemesis.ask, app, "/v1/completions", "POST", json={"prompt": "a b", "max_tokens": 20})
        eventually(lambda: nemesis.known(app)["inFlight"] == 1, "the pod has the request")
        for pod in nemesis.cluster.list("Pod", namespace, labels=f"app={app.name}"):
            nemesis.cluster.delete("Pod", pod["metadata"]["name"], namespace, grace=0)
        document = problem(asked.result(timeout=PATIENCE), 502, "bad-gateway")
    # Whether the pod had worked on it nobody knows, so it was not sent twice; the next one is answered.
    assert document["instance"] == app.prefix + "/v1/completions", document
    assert nemesis.ask(app, "/v1/models").status_code == 200
