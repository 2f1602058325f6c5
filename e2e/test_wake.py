"""A request wakes a sleeping application, and is answered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from harness.applications import fibonacci, modelserver
from harness.nemesis import Nemesis
from harness.waiting import eventually

# One causes the next, so they are in this order however busy the machine is.
CHAIN = ["Arrival", "StartCall", "Scaled", "PodCreated", "Scheduled", "FirstByte"]


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


def test_a_wake_up_that_a_quota_forbids_says_so_and_goes_on_when_it_is_lifted(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    nemesis.cluster.apply(quota)
    eventually(lambda: nemesis.cluster.get("ResourceQuota", "none", namespace).get("status", {}).get("hard"), "the quota counts")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(nemesis.ask, app)

        def told() -> bool:
            (active,) = [c for c in nemesis.application(app)["conditions"] if c["type"] == "Active"]
            return "no pod can be made" in active["message"] and "exceeded quota: none" in active["message"]

        eventually(told, "the condition says what forbids the pod")
        nemesis.cluster.delete("ResourceQuota", "none", namespace)
        assert asked.result().status_code == 200


def test_an_application_without_a_service_wakes_too(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, with_service=False)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
