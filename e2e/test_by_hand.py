"""Someone else scales or deletes the Deployment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from harness.applications import fibonacci, modelserver
from harness.load import Load
from harness.nemesis import Nemesis
from harness.waiting import PATIENCE, eventually, throughout


def test_scaled_up_by_hand_within_the_bounds_stays_until_idle(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 4, "maxReplicas": 3})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    nemesis.cluster.scale(namespace, app.name, 3)
    nemesis.wait_replicas(app, 3)

    def still_three() -> None:
        assert nemesis.ask(app).status_code == 200
        assert nemesis.cluster.get("Deployment", app.name, namespace)["spec"]["replicas"] == 3

    throughout(still_three, seconds=6)
    nemesis.wait_replicas(app, 0)


def test_scaled_beyond_the_most_is_taken_back_and_the_reason_is_told(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"maxReplicas": 2})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    nemesis.cluster.scale(namespace, app.name, 5)
    nemesis.wait_replicas(app, 2)

    decision = next(d for d in nemesis.decisions(app) if d["to"] == 2 and d["applied"])
    assert decision["from"] == 5 and decision["trigger"] == "Bounds", decision
    clamp = next(r for r in decision["reasons"] if r["rule"] == "MaxReplicas")
    assert clamp["effect"] == "Clamp" and clamp["replicas"] == 2 and "2" in clamp["message"], clamp
    assert nemesis.ask(app).status_code == 200


def test_scaled_to_zero_by_hand_under_traffic_loses_no_request(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    with Load(nemesis.data_url + app.prefix + "/fib/10", clients=4) as load:
        for _ in range(2):  # a third time is somebody who wants it down, see Contested
            load.after(50)
            nemesis.cluster.scale(namespace, app.name, 0)
            load.after(50)
    assert not load.failures, load.failures[:5]


def test_scaled_to_zero_by_hand_lets_running_requests_end(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, env={"TOKENS_PER_SECOND": "5"}, grace=30)
    nemesis.deploy(app)
    body = {"prompt": "a b c", "max_tokens": 15, "stream": True}
    events = 0
    with nemesis.http.stream("POST", nemesis.data_url + app.prefix + "/v1/completions", json=body) as answer:
        for line in answer.iter_lines():
            events += line.startswith("data: {")
            if events == 3:
                nemesis.cluster.scale(namespace, app.name, 0)
    assert events == 15


def test_scaled_up_and_down_while_asleep_wakes_with_the_next_request(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    nemesis.cluster.scale(namespace, app.name, 2)
    nemesis.wait_replicas(app, 2)
    nemesis.wait_state(app, "Awake")
    nemesis.cluster.scale(namespace, app.name, 0)
    nemesis.wait_replicas(app, 0)
    nemesis.wait_state(app, "Asleep")
    assert nemesis.ask(app).status_code == 200


def test_a_pod_deleted_by_hand_under_traffic_loses_no_request(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, replicas=2)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    with Load(nemesis.data_url + app.prefix + "/fib/10", clients=4) as load:
        load.after(50)
        for pod in nemesis.cluster.list("Pod", namespace, labels=f"app={app.name}"):
            nemesis.cluster.delete("Pod", pod["metadata"]["name"], namespace)
            nemesis.wait_pods_gone([pod])
            load.after(50)
    assert not load.failures, load.failures[:5]


def test_a_rollout_of_the_application_under_traffic_loses_no_request(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, replicas=1)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    with Load(nemesis.data_url + app.prefix + "/fib/10", clients=4) as load:
        load.after(50)
        nemesis.cluster.kubectl("rollout", "restart", f"deployment/{app.name}", "-n", namespace)
        nemesis.cluster.kubectl("rollout", "status", f"deployment/{app.name}", "-n", namespace, "--timeout=60s")
        load.after(100)
    assert not load.failures, load.failures[:5]


def test_a_deleted_deployment_is_told_and_works_again_when_it_is_back(nemesis: Nemesis, namespace: str) -> None:
    app, other = fibonacci(namespace, spec={"wakeUpTimeout": 3}), fibonacci(namespace, "other")
    nemesis.deploy(app, other)
    eventually(lambda: nemesis.ask(app).status_code == 200, "it wakes, though not always within the 3 s on a busy machine")
    assert nemesis.ask(other).status_code == 200

    nemesis.cluster.delete("Deployment", app.name, namespace)
    condition = nemesis.wait_condition(app, "TargetFound", "False")
    assert condition["reason"] == "DeploymentMissing" and app.name in condition["message"], condition

    answer = eventually(lambda: (a := nemesis.ask(app)).status_code in (503, 504) and a, "the answer is clear")
    document = answer.json()
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert "its Deployment does not exist" in document["detail"] and namespace not in document["detail"], document
    assert nemesis.ask(other).status_code == 200

    nemesis.cluster.apply(app.deployment)
    nemesis.wait_condition(app, "TargetFound", "True")
    eventually(lambda: nemesis.ask(app).status_code == 200, "it works again")


def test_a_deployment_deleted_while_a_request_waits_is_answered_and_not_hung(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, readiness="/never", spec={"wakeUpTimeout": 5})
    nemesis.deploy(app)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(nemesis.ask, app)
        nemesis.cluster.wait("Deployment", app.name, namespace, lambda d: bool(d) and d["spec"]["replicas"] == 1, "it was started")
        nemesis.cluster.delete("Deployment", app.name, namespace)
        answer = waiting.result(timeout=PATIENCE)
    assert answer.status_code in (503, 504) and answer.headers.get("Retry-After"), answer.text
