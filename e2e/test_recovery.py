"""The services end, restart, or lose a right, and nothing that was accepted is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.applications import fibonacci, modelserver
from harness.load import Load
from harness.nemesis import BALANCER, CONTROLLER, Nemesis
from harness.reach import SYSTEM
from harness.services import own_balancer, scaled, settled, without_the_right_to_scale
from harness.waiting import PATIENCE, eventually, throughout

pytestmark = pytest.mark.disruptive


def test_the_controller_killed_during_a_wake_up_does_not_lose_the_request(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, load_seconds=3)
    nemesis.deploy(app)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(nemesis.ask, app, "/v1/models")
        nemesis.cluster.wait("Deployment", app.name, namespace, lambda d: bool(d) and d["spec"]["replicas"] == 1, "it was started")
        for pod in nemesis.pods(CONTROLLER):
            nemesis.cluster.delete("Pod", pod["metadata"]["name"], SYSTEM, grace=0)
        answer = waiting.result(timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    settled(nemesis, CONTROLLER)


def test_a_request_that_comes_while_the_controller_is_away_is_answered_when_it_is_back(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    with ThreadPoolExecutor(1) as pool:
        with scaled(nemesis, CONTROLLER, 0):
            waiting = pool.submit(nemesis.ask, app)
            with pytest.raises(TimeoutError):  # it waits; who is asked how many do would have to ask the controller first
                waiting.result(timeout=1)
        answer = waiting.result(timeout=PATIENCE)
    assert answer.status_code == 200, answer.text


def test_the_load_balancer_goes_on_without_the_controller(nemesis: Nemesis, namespace: str) -> None:
    awake = fibonacci(namespace, "awake", replicas=2, spec={"idleTime": 2, "minReplicas": 2})
    asleep = fibonacci(namespace, "asleep", spec={"wakeUpTimeout": 3})
    nemesis.deploy(awake, asleep)
    nemesis.cluster.wait("Deployment", "awake", namespace, lambda d: bool(d) and d["status"].get("readyReplicas") == 2, "it runs")
    assert nemesis.ask(awake).status_code == 200

    def answers() -> None:
        answer = nemesis.ask(awake)
        assert answer.status_code == 200, answer.text

    with scaled(nemesis, CONTROLLER, 0):
        throughout(answers, seconds=3)
        # Nobody can say now who may see its state; whether it is ready is open to all.
        assert nemesis.http.get(nemesis.admin_url + "/readyz").status_code == 200
        refused = nemesis.ask(asleep)
        assert refused.status_code in (503, 504) and refused.headers.get("Retry-After"), refused.text
        # A pod that goes away now is skipped although nobody says so.
        pods = nemesis.cluster.list("Pod", namespace, labels="app=awake")
        nemesis.cluster.delete("Pod", pods[0]["metadata"]["name"], namespace, grace=0)
        throughout(answers, seconds=3)
        # When no known pod is left, the Service leads to the new ones.
        nemesis.cluster.delete("Pod", pods[1]["metadata"]["name"], namespace)
        nemesis.wait_pods_gone(pods)
        throughout(answers, seconds=3)
    assert nemesis.ask(asleep).status_code == 200


def test_nothing_is_scaled_down_because_the_controller_was_away(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 3})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    with Load(nemesis.data_url + app.prefix + "/fib/10", clients=1, pause=0.5) as load:
        with scaled(nemesis, CONTROLLER, 0):
            load.after(8)
        load.after(10)
        assert all(d["to"] > 0 for d in nemesis.decisions(app) if d["applied"])
    assert not load.failures, load.failures
    nemesis.wait_replicas(app, 0)


def test_without_a_load_balancer_nothing_is_put_to_sleep(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 2})
    nemesis.deploy(app)
    with scaled(nemesis, BALANCER, 0):
        nemesis.cluster.scale(namespace, app.name, 1)
        nemesis.wait_replicas(app, 1)
        nemesis.wait_state(app, "Awake")

        def awake() -> None:
            assert nemesis.cluster.get("Deployment", app.name, namespace)["spec"]["replicas"] == 1

        throughout(awake, seconds=6)
    nemesis.wait_replicas(app, 0)


def test_the_load_balancer_restarted_under_load_fails_no_request(nemesis: Nemesis, namespace: str) -> None:
    if not nemesis.reach.direct:
        pytest.skip("a forwarded port ends with the pod behind it; this needs the Service's address")
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    with Load(nemesis.data_url + app.prefix + "/fib/10", clients=8) as load:
        load.after(100)
        before = nemesis.pods(BALANCER)
        nemesis.cluster.kubectl("rollout", "restart", f"deployment/{BALANCER}", "-n", SYSTEM)
        nemesis.wait_service(BALANCER)
        nemesis.wait_pods_gone(before)
        load.after(200)
    assert not load.failures, f"{len(load.failures)} of {load.answered}: {load.failures[:5]}"


def test_a_load_balancer_that_ends_lets_a_stream_end(nemesis: Nemesis, namespace: str) -> None:
    if not nemesis.reach.direct:
        pytest.skip("a forwarded port ends with the pod behind it; this needs the Service's address")
    app = modelserver(namespace, env={"TOKENS_PER_SECOND": "3"})
    nemesis.deploy(app)
    body = {"prompt": "a b c", "max_tokens": 24, "stream": True}
    events = 0
    with nemesis.http.stream("POST", nemesis.data_url + app.prefix + "/v1/completions", json=body) as answer:
        for line in answer.iter_lines():
            is_event = line.startswith("data: {")
            events += is_event
            if is_event and events == 2:
                nemesis.cluster.kubectl("rollout", "restart", f"deployment/{BALANCER}", "-n", SYSTEM)
    assert events == 24
    settled(nemesis, BALANCER)


def test_waiting_requests_survive_the_end_of_their_load_balancer(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, load_seconds=6)
    nemesis.deploy(app)
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(nemesis.ask, app, "/v1/models") for _ in range(5)]
        eventually(lambda: nemesis.known(app)["waiting"] == 5, "the requests wait")
        nemesis.cluster.kubectl("rollout", "restart", f"deployment/{BALANCER}", "-n", SYSTEM)
        answers = [w.result(timeout=PATIENCE) for w in waiting]
    assert [a.status_code for a in answers] == [200] * 5, [a.text for a in answers]
    settled(nemesis, BALANCER)


def test_with_two_load_balancers_an_application_sleeps_when_both_are_quiet(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, env={"TOKENS_PER_SECOND": "2"}, spec={"idleTime": 2})
    nemesis.deploy(app)
    with own_balancer(nemesis, namespace, {}) as second:
        assert nemesis.ask(app, "/v1/models").status_code == 200
        body = {"prompt": "a b c", "max_tokens": 14, "stream": True}
        url = second.data + app.prefix + "/v1/completions"
        eventually(lambda: nemesis.http.get(second.data + app.prefix + "/v1/models").status_code == 200, "the second one routes")
        with nemesis.http.stream("POST", url, json=body) as answer:  # 7 s on one, nothing on the other
            events = sum(line.startswith("data: {") for line in answer.iter_lines())
        assert events == 14
        assert all(d["to"] > 0 for d in nemesis.decisions(app) if d["applied"])
        nemesis.wait_replicas(app, 0)
        assert nemesis.http.get(url.replace("completions", "models")).status_code == 200


def test_without_the_right_to_scale_it_says_so_and_goes_on_when_it_has_it(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"wakeUpTimeout": 4})
    nemesis.deploy(app)
    with without_the_right_to_scale(nemesis):
        answer = nemesis.ask(app)
        assert answer.status_code in (503, 504) and answer.headers.get("Retry-After"), answer.text
        condition = nemesis.wait_condition(app, "AbleToScale", "False")
        assert "may not scale the Deployment" in condition["message"] and "forbidden" in condition["message"], condition
        failed = next(d for d in nemesis.decisions(app) if d["trigger"] == "StartCall")
        assert not failed["applied"] and failed.get("error"), failed
    eventually(lambda: nemesis.ask(app).status_code == 200, "it works again with the right")
    nemesis.wait_condition(app, "AbleToScale", "True")


def test_of_two_controllers_one_takes_over_when_the_leader_is_killed(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 2})
    nemesis.deploy(app)
    with scaled(nemesis, CONTROLLER, 2):
        assert nemesis.ask(app).status_code == 200
        nemesis.wait_replicas(app, 0)
        for pod in nemesis.pods(CONTROLLER):  # each answers, whether it leads or not
            base = nemesis.reach.pod(pod, 8080)
            told = nemesis.http.get(f"{base}/v1/applications/{namespace}/{app.name}")
            assert told.status_code == 200 and told.json()["state"] == "Asleep", told.text
            decisions = nemesis.http.get(f"{base}/v1/decisions", params={"namespace": namespace}).json()["items"]
            assert any(d["trigger"] == "Idle" and d["applied"] for d in decisions), decisions

        leader = nemesis.cluster.get("Lease", CONTROLLER, SYSTEM)["spec"]["holderIdentity"]
        (dead,) = [p for p in nemesis.pods(CONTROLLER) if leader.startswith(p["metadata"]["name"])]
        nemesis.cluster.delete("Pod", dead["metadata"]["name"], SYSTEM, grace=0)
        assert nemesis.ask(app).status_code == 200  # at once, before anyone leads again
        nemesis.wait_replicas(app, 0)


def test_a_load_balancer_whose_pod_was_deleted_by_force_is_forgotten_at_once(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 15})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    dead = nemesis.pods(BALANCER)
    for pod in dead:
        nemesis.cluster.delete("Pod", pod["metadata"]["name"], SYSTEM, grace=0)
    nemesis.wait_service(BALANCER)
    nemesis.known(app)
    nemesis.wait_replicas(app, 0)
    # Who deletes by force says that it has ended. One that falls silent otherwise holds the sleep for a minute.
    reasons = [r for d in nemesis.decisions(app) for r in d["reasons"] if r["rule"] == "StaleReport"]
    assert not [r for r in reasons for p in dead if p["metadata"]["name"] in r["message"]], reasons


def test_each_service_is_removed_and_applied_alone(nemesis: Nemesis, namespace: str, overlay: Path) -> None:
    kubectl = nemesis.cluster.kubectl
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200

    for service in (BALANCER, CONTROLLER):
        kubectl("delete", "-k", str(overlay / service), "--wait=true", timeout=120)
        try:
            assert nemesis.cluster.get("Namespace", SYSTEM)["status"]["phase"] == "Active"
            assert nemesis.cluster.get("CustomAutoscaler", app.name, namespace)
            assert nemesis.cluster.get("Deployment", app.name, namespace)["spec"]["replicas"] == 1
            if service == BALANCER:
                eventually(lambda: nemesis.application(app)["state"] == "Awake", "the controller knows it awake")
            else:
                assert nemesis.ask(app).status_code == 200
        finally:
            kubectl("apply", "-k", str(overlay / service))
        settled(nemesis, service)

    # Both away, and back in the other order: the load balancer first.
    for service in (CONTROLLER, BALANCER):
        kubectl("delete", "-k", str(overlay / service), "--wait=true", timeout=120)
    for service in (BALANCER, CONTROLLER):
        kubectl("apply", "-k", str(overlay / service))
    settled(nemesis, CONTROLLER)
    nemesis.wait_service(BALANCER)
    nemesis.known(app)
    # The Service is a new one: its address takes connections a moment after its pods are there.
    eventually(lambda: nemesis.ask(app).status_code == 200, "it is answered")
