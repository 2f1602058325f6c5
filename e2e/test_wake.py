"""A request wakes a sleeping application, and is answered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from harness.applications import fibonacci, modelserver
from harness.nemesis import Nemesis
from harness.problems import problem, retry_after
from harness.waiting import eventually

# One causes the next, so they are in this order however busy the machine is.
CHAIN = ["Arrival", "StartCall", "Scaled", "PodCreated", "Scheduled", "FirstByte"]


def test_a_request_wakes_a_sleeping_application_and_is_answered(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.known(app)["state"] == "Asleep"

    answer = nemesis.ask(app, "/fib/20")

    assert answer.status_code == 200 and answer.json()["result"] == 6765, answer.text
    assert answer.json()["pod"].startswith("fibonacci-"), answer.text
    assert nemesis.wait_state(app, "Awake")["status"]["replicas"] == 1


def test_the_wake_up_is_told_phase_by_phase(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200

    def told() -> dict:
        wake = nemesis.application(app)["lastWakeUp"]
        assert wake["outcome"] == "Answered" and {"ContainerStarted", "Ready", *CHAIN} <= {p["phase"] for p in wake["phases"]}, wake
        return wake

    wake = eventually(told, "the wake-up is told to its end")
    names = [p["phase"] for p in wake["phases"]]
    assert [n for n in names if n in CHAIN] == CHAIN, names
    # The load balancer's own check is not needed when Kubernetes is faster.
    proof = min(names.index(n) for n in ("FirstGoodProbe", "Ready") if n in names)
    assert proof < names.index("FirstByte"), names
    times = [p["sinceArrivalMs"] for p in wake["phases"]]
    assert times == sorted(times) and times[0] == 0 and times[-1] < 60_000, wake
    assert wake["waited"] == 1 and wake["pod"].startswith("fibonacci-"), wake
    seen = {p["phase"]: p["seenBy"] for p in wake["phases"]}
    assert (seen["FirstByte"], seen["Scaled"]) == ("load-balancer", "autoscaler-controller"), seen


def test_a_request_with_a_body_is_held_and_arrives_whole(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, load_seconds=1, env={"TOKENS_PER_SECOND": "1000", "CONTEXT_TOKENS": "100000"})
    nemesis.deploy(app)
    words = [f"word{i}" for i in range(9000)]

    answer = nemesis.ask(app, "/v1/completions", "POST", json={"prompt": " ".join(words), "max_tokens": 20})

    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["text"].split() == words[:20]
    assert answer.json()["usage"]["prompt_tokens"] >= 9000


def test_two_hundred_requests_at_once_at_zero_are_all_answered(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)

    answers = nemesis.ask_many(app, 200)

    assert [a.status_code for a in answers] == [200] * 200, [a.text for a in answers if a.status_code != 200][:3]
    starts = [d for d in nemesis.decisions(app) if d["trigger"] == "StartCall" and d["applied"]]
    assert len(starts) == 1 and starts[0]["from"] == 0 and starts[0]["to"] == 1, starts


def test_a_limit_per_pod_is_kept_while_the_waiting_room_empties(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, env={"SLOTS": "2", "QUEUE": "0", "TOKENS_PER_SECOND": "200"}, spec={"containerConcurrency": 2})
    nemesis.deploy(app)
    body = {"prompt": "one two three", "max_tokens": 20}

    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: nemesis.ask(app, "/v1/completions", "POST", json=body), range(40)))

    # With no queue of its own the application refuses a third request with 429.
    assert [a.status_code for a in answers] == [200] * 40, [a.text for a in answers if a.status_code != 200][:3]


def test_three_applications_wake_together(nemesis: Nemesis, namespace: str) -> None:
    apps = [fibonacci(namespace, "one"), fibonacci(namespace, "two"), modelserver(namespace, "three")]
    nemesis.deploy(*apps)

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda a: nemesis.ask(a, "/v1/models" if a.name == "three" else "/fib/5"), apps))

    assert [a.status_code for a in answers] == [200] * 3, [a.text for a in answers]
    for app in apps:
        nemesis.wait_state(app, "Awake")


def test_one_autoscaler_wakes_only_the_deployment_that_is_asked(nemesis: Nemesis, namespace: str) -> None:
    left, right = fibonacci(namespace, "left"), fibonacci(namespace, "right")
    both = left.autoscaler
    both["spec"]["targetDeployments"] += right.autoscaler["spec"]["targetDeployments"]
    nemesis.cluster.apply(left.deployment, left.service, right.deployment, right.service, both)
    nemesis.known(left), nemesis.known(right)

    assert nemesis.ask(right).status_code == 200

    assert nemesis.cluster.get("Deployment", "right", namespace)["spec"]["replicas"] == 1
    assert nemesis.cluster.get("Deployment", "left", namespace)["spec"]["replicas"] == 0


def test_an_application_without_a_service_wakes_too(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, with_service=False)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200


def test_a_wake_up_that_never_succeeds_is_answered_504_and_tried_again(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, readiness="/never", spec={"wakeUpTimeout": 3})
    nemesis.deploy(app)

    answer = nemesis.ask(app)

    document = problem(answer, 504, "wake-up-timeout")
    assert retry_after(answer) >= 1
    assert "3s" in document["detail"].replace(" ", ""), document
    failed = eventually(lambda: nemesis.application(app)["lastWakeUp"]["outcome"] == "Failed", "the wake-up is told as failed")
    assert failed

    app.readiness = None
    nemesis.cluster.apply(app.deployment | {"spec": {k: v for k, v in app.deployment["spec"].items() if k != "replicas"}})
    again = eventually(lambda: (a := nemesis.ask(app)).status_code == 200 and a, "the repaired application answers", within=20)
    assert again.json()["result"] == 55


def test_an_image_that_does_not_exist_is_said_and_the_repaired_application_answers(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"wakeUpTimeout": 3})
    broken = app.deployment
    broken["spec"]["template"]["spec"]["containers"][0].update(image="nemesis/no-such-image:never", imagePullPolicy="Never")
    nemesis.cluster.apply(broken, app.service, app.autoscaler)
    nemesis.known(app)

    problem(nemesis.ask(app), 504, "wake-up-timeout")
    (pod,) = nemesis.application(app)["pods"]
    assert pod["state"] != "Ready" and "no-such-image" in pod.get("message", ""), pod

    repaired = app.deployment
    del repaired["spec"]["replicas"]
    nemesis.cluster.apply(repaired)
    eventually(lambda: nemesis.ask(app).status_code == 200, "the repaired application answers", within=20)
