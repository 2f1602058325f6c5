"""Use case 7, activate cluster: a held request starts a pod; if none comes up in time, the system tries again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from harness.applications import fibonacci
from harness.nemesis import Nemesis
from harness.problems import problem
from harness.refusal import scaling_refused
from harness.waiting import PATIENCE, eventually


def test_a_request_wakes_a_sleeping_application_and_is_answered(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.known(app)["state"] == "Asleep"

    answer = nemesis.ask(app, "/fib/20")

    assert answer.status_code == 200 and answer.json()["result"] == 6765, answer.text
    assert answer.json()["pod"].startswith("fibonacci-"), answer.text
    assert nemesis.wait_state(app, "Awake")["status"]["replicas"] == 1


def test_a_start_that_fails_is_tried_again_while_the_request_waits(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    with ThreadPoolExecutor(1) as pool:
        with scaling_refused(nemesis, namespace):
            held = pool.submit(nemesis.ask, app)

            def failed() -> bool:
                return any(d["trigger"] == "StartCall" and not d["applied"] and d.get("error") for d in nemesis.decisions(app))

            eventually(failed, "the start was tried, and refused")
            assert not held.done(), "the request still waits"
        answer = held.result(timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    started = next(d for d in nemesis.decisions(app) if d["applied"])
    assert (started["trigger"], started["from"], started["to"]) == ("StartCall", 0, 1), started


def test_a_wake_up_that_never_succeeds_is_answered_503_and_tried_again(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, readiness="/never", spec={"wakeUpTimeout": 3})
    nemesis.deploy(app)

    answer = nemesis.ask(app)

    problem(answer, 503, "wake-up-timeout")
    failed = eventually(lambda: nemesis.application(app)["lastWakeUp"]["outcome"] == "Failed", "the wake-up is told as failed")
    assert failed

    app.readiness = None
    nemesis.cluster.apply(app.deployment | {"spec": {k: v for k, v in app.deployment["spec"].items() if k != "replicas"}})
    again = eventually(lambda: (a := nemesis.ask(app)).status_code == 200 and a, "the repaired application answers")
    assert again.json()["result"] == 55


def test_an_image_that_does_not_exist_is_said_and_the_repaired_application_answers(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"wakeUpTimeout": 60})
    broken = app.deployment
    broken["spec"]["template"]["spec"]["containers"][0].update(image="nemesis/no-such-image:never", imagePullPolicy="Never")
    nemesis.cluster.apply(broken, app.service, app.autoscaler)
    nemesis.known(app)

    answer = nemesis.ask(app)
    assert "ErrImageNeverPull" in problem(answer, 503, "start-blocked")["detail"], answer.text
    assert answer.elapsed.total_seconds() < 30, "who waits learns of it long before wakeUpTimeout"
    (pod,) = nemesis.application(app)["pods"]
    assert pod["state"] != "Ready" and "no-such-image" in pod.get("message", ""), pod

    repaired = app.deployment
    del repaired["spec"]["replicas"]
    nemesis.cluster.apply(repaired)
    eventually(lambda: nemesis.ask(app).status_code == 200, "the repaired application answers")
