"""One trace spans client, load balancer, start call, decision and application."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from harness.applications import fibonacci
from harness.collector import Collector
from harness.nemesis import BALANCER, CONTROLLER, Nemesis
from harness.services import configured
from harness.waiting import eventually

pytestmark = pytest.mark.disruptive


@pytest.fixture
def collector(nemesis: Nemesis) -> Iterator[tuple[Collector, str]]:
    """A collector on this machine, and its address as pods see it."""
    if not nemesis.reach.direct:
        pytest.skip("pods of a cluster elsewhere do not reach a collector on this machine")
    found = Collector()
    # The address of this machine on the way to the cluster is the one that pods find it by.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect((urlsplit(nemesis.controller_url).hostname, 80))
        address = way.getsockname()[0]
    yield found, f"http://{address}:{found.port}"
    found.close()


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
