"""People are told by webhook what happens, whom a Secret of their namespace names: signed, tried again, and nobody else's."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from harness.applications import fibonacci
from harness.cluster import Object
from harness.listener import listening
from harness.nemesis import Nemesis
from harness.receiver import SECRET, Receiver, Told, notifications
from harness.waiting import eventually


@pytest.fixture
def receiver(nemesis: Nemesis) -> Iterator[tuple[Receiver, str]]:
    with listening(nemesis, lambda: Receiver(secrets.token_bytes(32))) as found:
        yield found


def test_a_wake_up_is_told_to_whom_the_namespace_names(
    nemesis: Nemesis, namespace: str, stranger: str, receiver: tuple[Receiver, str]
) -> None:
    to, url = receiver
    event = {"name": "events", "url": url + "/events", "format": "CloudEvents", "signingKey": to.key, "events": ["Woken"]}
    nemesis.cluster.apply(
        notifications(
            namespace, event, {"name": "chat", "url": url + "/chat", "format": "Slack", "signingKey": to.key, "events": ["Woken"]}
        ),
        notifications(stranger, {"name": "other", "url": url + "/stranger", "format": "Slack", "events": ["Woken"]}),
    )
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200

    def both() -> dict[str, Told]:
        found = {t.path: t for t in to.told()}
        assert {"/events", "/chat"} <= set(found), found
        return found

    told = eventually(both, "both webhooks were told, one of them a second time after 503")
    assert to.refused == 1 and "/stranger" not in told
    assert all(t.signed for t in told.values()), told
    assert told["/events"].content_type == "application/cloudevents+json"
    body = told["/events"].body
    assert body["specversion"] == "1.0" and body["type"] == "autoscaler-group.autoscaler.woken.v1", body
    assert body["source"].endswith(f"/namespaces/{namespace}/customautoscalers/{app.name}") and body["subject"] == f"deployments/{app.name}"
    assert body["data"]["kind"] == "Woken" and body["data"]["seconds"] > 0, body
    assert told["/chat"].body["text"].startswith(f"{namespace}/{app.name} is awake"), told["/chat"]


def test_another_number_of_pods_is_told_to_who_asks_for_it_and_nobody_else(
    nemesis: Nemesis, namespace: str, receiver: tuple[Receiver, str]
) -> None:
    to, url = receiver
    nemesis.cluster.apply(
        notifications(
            namespace,
            {"name": "events", "url": url + "/scaled", "format": "CloudEvents", "signingKey": to.key, "events": ["Scaled"]},
            {"name": "default", "url": url + "/default", "format": "CloudEvents", "signingKey": to.key},
        )
    )
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    nemesis.cluster.patch("CustomAutoscaler", app.name, namespace, {"spec": {"minReplicas": 2}})
    told = eventually(to.told, "the scaling was told, after 503 once more")
    assert [t.path for t in told] == ["/scaled"] and told[0].signed, told
    body = told[0].body
    assert body["type"] == "autoscaler-group.autoscaler.scaled.v1" and body["subject"] == f"deployments/{app.name}", body
    assert (body["data"]["from"], body["data"]["to"]) == (1, 2) and body["data"]["message"].startswith("1 → 2: "), body
    assert body["data"]["severity"] == "info", body


def test_a_report_is_sent_to_whom_the_namespace_names_and_tells_of_the_wake_up(
    nemesis: Nemesis, namespace: str, receiver: tuple[Receiver, str]
) -> None:
    to, url = receiver
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    hook = {"name": "events", "url": url + "/report", "format": "CloudEvents", "signingKey": to.key, "report": "daily"}
    nemesis.cluster.apply(notifications(namespace, hook))

    def counted() -> Object:
        totals = nemesis.read("/v1/report", **{"namespace": namespace, "for": "1h"})["totals"]
        assert totals["wakeUps"]["ended"] == 1 and totals["podSeconds"] > 0, totals
        return totals

    woken = eventually(counted, "the wake-up is in the report")["wakeUps"]
    assert woken["failed"] == 0 and 0 < woken["medianSeconds"] == woken["p95Seconds"], woken

    told = eventually(to.told, "the last day's report came, after 503 once more")
    assert len(told) == 1 and told[0].signed and to.refused == 1, told
    body = told[0].body
    assert body["type"] == "autoscaler-group.autoscaler.report.v1" and body["source"].endswith(
        f"/namespaces/{namespace}/customautoscalers"
    ), body
    assert body["data"]["markdown"].startswith(f"# Nemesis, namespace {namespace}: a day\n"), body
    assert body["data"]["html"].startswith("<!doctype html>") and "<script" not in body["data"]["html"]
    assert body["data"]["report"]["applications"] == 1, body


def test_what_is_wrong_with_a_secret_is_said_on_it_without_what_it_says(nemesis: Nemesis, namespace: str) -> None:
    nemesis.cluster.apply(
        notifications(namespace, {"name": "chat", "url": "https://user:hunter2@a.example", "format": "Slack"}),
    )
    fields = f"involvedObject.name={SECRET},involvedObject.kind=Secret,reason=Malformed"
    events = eventually(lambda: nemesis.cluster.list("Event", namespace, fields=fields), "an event tells of it")
    assert "webhooks.0.url" in events[0]["message"] and "hunter2" not in events[0]["message"], events
