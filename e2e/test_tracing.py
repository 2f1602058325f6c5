"""One trace spans client, load balancer, start call, decision and application."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from harness.applications import fibonacci
from harness.collector import Collector
from harness.listener import listening
from harness.nemesis import BALANCER, CONTROLLER, Nemesis
from harness.services import configured
from harness.waiting import eventually

pytestmark = pytest.mark.disruptive


@pytest.fixture
def collector(nemesis: Nemesis) -> Iterator[tuple[Collector, str]]:
    with listening(nemesis, Collector) as found:
        yield found


def test_one_trace_leads_from_the_client_to_the_woken_application(
    nemesis: Nemesis, namespace: str, collector: tuple[Collector, str]
) -> None:
    received, endpoint = collector
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    with configured(nemesis, CONTROLLER, env), configured(nemesis, BALANCER, env):
        app = fibonacci(namespace, env=env)
        nemesis.deploy(app)
        trace, parent = secrets.token_hex(16), secrets.token_hex(8)

        answer = nemesis.ask(app, headers={"traceparent": f"00-{trace}-{parent}-01"})
        assert answer.status_code == 200, answer.text

        def complete() -> bool:
            spans = received.spans(trace)
            services = {s.service for s in spans}
            assert {BALANCER, CONTROLLER, "fibonacci"} <= services, services
            known = {s.span for s in spans} | {parent}
            orphans = [s for s in spans if s.parent not in known]
            assert not orphans, f"a span has lost its parent: {orphans}"
            return True

        eventually(complete, "all three services have sent their spans of this trace")
        decision = next(d for d in nemesis.decisions(app) if d["trigger"] == "StartCall")
        assert decision["traceId"] == trace, decision
        assert eventually(lambda: nemesis.application(app)["lastWakeUp"]["id"] == trace, "the wake-up bears the trace's id")
