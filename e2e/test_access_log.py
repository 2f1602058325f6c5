"""Every proxied request in Elasticsearch, none lost: load balancers of today ship to a real one.

What is promised: a request that got an answer is in the index exactly once, whatever becomes of
Elasticsearch. A load balancer that is killed loses what it had not written yet, and no more.
"""

from __future__ import annotations

import os
import random
import time

import pytest

from harness.applications import Application, fibonacci, modelserver
from harness.elastic import Elasticsearch, suffix
from harness.load import Load
from harness.nemesis import Nemesis
from harness.processes import sigkill, visible
from harness.waiting import PATIENCE, eventually, stretched

OUTAGE = float(os.environ.get("NEMESIS_E2E_OUTAGE_SECONDS", "10"))  # up to 120: so many documents are looked through

pytestmark = [pytest.mark.timeout(900 + OUTAGE), pytest.mark.xdist_group("elasticsearch")]  # it is killed here, for all


def all_there(elastic: Elasticsearch, namespace: str, ids: list[str]) -> None:
    """Waits until every one of the requests is in the index, and fails when one is there twice."""

    def check() -> bool:
        missing = sorted(set(ids) - set(elastic.requests(namespace)))
        assert not missing, f"{len(missing)} of {len(ids)} are missing: {missing[:5]}"
        return True

    eventually(check, "every request that was answered is in the index", every=0.5)
    twice = {i: n for i, n in elastic.requests(namespace).items() if n > 1}
    assert not twice, f"more than once in the index: {twice}"


def test_the_document_of_a_request_tells_where_it_came_from_and_went(nemesis: Nemesis, namespace: str, elastic: Elasticsearch) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    with elastic.balancer(nemesis, namespace) as own:
        nemesis.known(app, admin=own.admin)
        headers = {"X-Request-Id": "the-one", "User-Agent": "a test", "traceparent": f"00-{'a1' * 16}-{'b2' * 8}-01"}
        answer = nemesis.http.get(f"{own.data}{app.prefix}/fib/10?token=secret", headers=headers)
        assert answer.status_code == 200, answer.text
        all_there(elastic, namespace, ["the-one"])
        (d,) = elastic.search(f"logs-nemesis.access-{suffix(namespace)}", {"term": {"http.request.id": "the-one"}})
        (pod,) = nemesis.cluster.list("Pod", namespace, labels=f"app={app.name}")
        assert (d["http"]["request"]["method"], d["http"]["response"]["status_code"]) == ("GET", 200), d
        assert d["url"]["path"] == app.prefix + "/fib/10" and "secret" not in str(d), d
        assert d["kubernetes"]["namespace"] == namespace and d["kubernetes"]["deployment"]["name"] == app.name, d
        assert d["kubernetes"]["pod"]["name"] == pod["metadata"]["name"] and d["destination"]["ip"] == pod["status"]["podIP"], d
        assert d["user_agent"]["original"] == "a test" and d["trace"]["id"] == "a1" * 16, d
        assert d["event"]["duration"] > 0 and d["nemesis"]["wakeup"]["id"] and d["nemesis"]["wait"]["ms"] > 0, d
        assert d["data_stream"]["dataset"] == "nemesis.access" and d["event"]["outcome"] == "success", d


def test_the_log_is_searched_in_elasticsearch_newest_first(nemesis: Nemesis, namespace: str, elastic: Elasticsearch) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    with elastic.balancer(nemesis, namespace) as own:
        nemesis.known(app, admin=own.admin)
        paths = [f"/fib/{n}" for n in range(10)] + ["/fib/nothing"]
        status = [nemesis.http.get(own.data + app.prefix + p, headers={"X-Request-Id": p}).status_code for p in paths]
        assert status[:10] == [200] * 10 and status[10] >= 400, status
        all_there(elastic, namespace, paths)

        def page(**query: object) -> dict:
            answer = nemesis.http.get(own.admin + "/proxy/logs", params=query)
            assert answer.status_code == 200, answer.text
            return answer.json()

        whole = [e["path"].removeprefix(app.prefix) for e in page()["items"]]
        assert whole == paths[::-1], whole
        first = page(limit=4)
        rest = page(limit=100, after=first["next"])
        assert [e["path"] for e in first["items"] + rest["items"]] == [app.prefix + p for p in paths[::-1]]
        assert [e["path"] for e in page(text="/fib/7")["items"]] == [app.prefix + "/fib/7"]
        assert [e["path"] for e in page(status="4xx")["items"]] == [app.prefix + "/fib/nothing"]
        assert page(namespace="nobody", limit=5) == {"items": []}
        entry = first["items"][0]
        assert entry["http_method"] == "GET" and entry["latency_ms"] > 0 and entry["target_url"].startswith("http://"), entry


def test_nothing_is_lost_while_elasticsearch_is_away_and_no_request_waits_for_it(
    nemesis: Nemesis, namespace: str, elastic: Elasticsearch
) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    with elastic.balancer(nemesis, namespace) as own:
        nemesis.known(app, admin=own.admin)
        with Load(f"{own.data}{app.prefix}/fib/10", clients=4, pause=0.05, tag=namespace) as load:
            load.after(100)
            with elastic.away():
                began, before = time.monotonic(), load.answered
                while time.monotonic() - began < OUTAGE:
                    load.after(100)
                refused = nemesis.http.get(own.admin + "/proxy/logs")
                assert refused.status_code == 503 and "problem" in refused.headers["Content-Type"], refused.text
                print(f"{load.answered - before} requests were answered in {time.monotonic() - began:.0f} s without Elasticsearch")
            load.after(200)
        assert not load.failures, load.failures[:5]
        all_there(elastic, namespace, load.ids)


@pytest.mark.disruptive
def test_a_load_balancer_that_is_killed_loses_only_what_it_had_not_written(
    nemesis: Nemesis, namespace: str, elastic: Elasticsearch
) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    with elastic.balancer(nemesis, namespace) as own:
        nemesis.known(app, admin=own.admin)
        if not visible(own.pod):
            pytest.skip("the cluster's processes are not this machine's")
        kills = 2
        with Load(f"{own.data}{app.prefix}/fib/10", clients=8, tag=namespace) as load:
            for _ in range(kills):
                load.after(random.randint(100, 400))
                sigkill(own.pod)
                load.after(50)  # the kubelet starts it again, in the same pod
        answered = load.ids
        lost: set[str] = set()

        def settled() -> bool:
            there = set(elastic.requests(namespace))
            nonlocal lost
            lost = set(answered) - there
            return answered[-1] in there and len(lost) <= kills * load.clients

        eventually(settled, "what was answered is in the index, but for what was on its way to the disk", every=0.5)
        counts = elastic.requests(namespace)
        print(f"{len(answered)} answered, {kills} kills, {len(lost)} not written yet when it was killed: {sorted(lost)}")
        assert not {i: n for i, n in counts.items() if n > 1}


def test_wake_ups_and_decisions_are_documents_too(nemesis: Nemesis, namespace: str, elastic: Elasticsearch) -> None:
    app = fibonacci(namespace, spec={"idleTime": 2})
    nemesis.deploy(app)
    with elastic.balancer(nemesis, namespace) as own:
        nemesis.known(app, admin=own.admin)
        assert nemesis.http.get(f"{own.data}{app.prefix}/fib/10").status_code == 200
        nemesis.wait_replicas(app, 0)
        told = {d["id"]: d for d in nemesis.decisions(app) if d["applied"]}
        assert len(told) == 2, told  # up and down

        def documents() -> dict[str, list[dict]]:
            kinds: dict[str, list[dict]] = {"decision": [], "wakeup": []}
            query = {"term": {"nemesis.application": f"{namespace}/{app.name}"}}
            for d in elastic.search(f"logs-nemesis.scaling-{suffix(namespace)}", query):
                kinds[d["event"]["action"]].append(d["nemesis"])
            assert len(kinds["wakeup"]) == 1 and set(told) <= {d["decision"]["id"] for d in kinds["decision"]}, kinds
            return kinds

        kinds = eventually(documents, "the wake-up and both decisions are documents", every=0.5)
        ids = [d["decision"]["id"] for d in kinds["decision"]]
        assert len(ids) == len(set(ids)), ids
        for d in (d["decision"] for d in kinds["decision"] if d["decision"]["id"] in told):
            assert (d["from"], d["to"], d["summary"]) == tuple(told[d["id"]][k] for k in ("from", "to", "summary")), d
        wake = kinds["wakeup"][0]["wakeup"]
        assert wake["outcome"] and wake["first_byte"]["ms"] > 0, wake


def test_what_a_model_answered_is_counted_in_tokens(nemesis: Nemesis, namespace: str, elastic: Elasticsearch) -> None:
    app: Application = modelserver(namespace)
    nemesis.deploy(app)
    with elastic.balancer(nemesis, namespace) as own:
        nemesis.known(app, admin=own.admin)
        body = {"prompt": "a b c", "max_tokens": 7}
        answer = nemesis.http.post(
            f"{own.data}{app.prefix}/v1/completions", json=body, headers={"X-Request-Id": "tokens"}, timeout=PATIENCE
        )
        assert answer.status_code == 200, answer.text
        all_there(elastic, namespace, ["tokens"])
        (d,) = elastic.search(f"logs-nemesis.access-{suffix(namespace)}", {"term": {"http.request.id": "tokens"}})
        usage = answer.json()["usage"]
        assert d["gen_ai"]["usage"] == {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}, d
        assert d["gen_ai"]["response"]["model"] == answer.json()["model"], d


def test_a_slow_elasticsearch_slows_no_request(nemesis: Nemesis, namespace: str, elastic: Elasticsearch) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    with elastic.balancer(nemesis, namespace) as own:
        nemesis.known(app, admin=own.admin)
        with Load(f"{own.data}{app.prefix}/fib/10", clients=4, tag=namespace) as load:
            load.after(50)
            elastic.do("pause")  # it takes connections and says nothing
            try:
                began, before = time.monotonic(), load.answered
                load.after(400)
                assert time.monotonic() - began < stretched(30), f"{load.answered - before} in {time.monotonic() - began:.1f} s"
            finally:
                elastic.do("resume")
        assert not load.failures, load.failures[:5]
        all_there(elastic, namespace, load.ids)
