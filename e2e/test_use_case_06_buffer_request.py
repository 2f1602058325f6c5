"""Use case 6, buffer request: with no running pod the request is held, without an answer, until one runs.

If none comes within the time that is set, the request fails.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from harness.applications import fibonacci, modelserver
from harness.nemesis import Nemesis
from harness.problems import problem, retry_after
from harness.waiting import PATIENCE, eventually


def test_a_request_is_held_without_an_answer_until_a_pod_runs(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, readiness="/never")
    nemesis.deploy(app)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(nemesis.ask, app, "/fib/20")
        eventually(lambda: nemesis.known(app)["waiting"] == 1, "the request waits")
        nemesis.cluster.wait("Deployment", app.name, namespace, lambda d: bool(d) and d["spec"]["replicas"] == 1, "it was started")
        assert not held.done() and nemesis.known(app)["inFlight"] == 0, "no pod runs, so nobody has it"

        app.readiness = None
        repaired = app.deployment
        del repaired["spec"]["replicas"]
        nemesis.cluster.apply(repaired)
        answer = held.result(timeout=PATIENCE)
    assert (answer.status_code, answer.json()["result"]) == (200, 6765), answer.text
    assert nemesis.known(app)["waiting"] == 0


def test_a_request_that_waited_its_time_fails_and_is_told_when_to_come_again(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, readiness="/never", spec={"wakeUpTimeout": 3})
    nemesis.deploy(app)
    answer = nemesis.ask(app)
    document = problem(answer, 503, "wake-up-timeout")
    assert retry_after(answer) >= 1
    assert "3s" in document["detail"].replace(" ", ""), document
    assert 2.9 <= answer.elapsed.total_seconds() < 8, answer.elapsed


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
