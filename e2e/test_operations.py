"""What the kubelet, Prometheus and a reader of logs find."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path

import pytest

from harness.applications import fibonacci
from harness.metrics import differences, of_page, shown
from harness.nemesis import BALANCER, CONTROLLER, Nemesis
from harness.reach import SYSTEM
from harness.waiting import eventually


def operations_url(nemesis: Nemesis, service: str) -> str:
    return nemesis.controller_url if service == CONTROLLER else nemesis.admin_url


@pytest.mark.parametrize("service", [CONTROLLER, BALANCER])
def test_a_service_tells_that_it_lives_and_can_serve(nemesis: Nemesis, service: str) -> None:
    for path in ("/healthz", "/readyz"):
        answer = nemesis.http.get(operations_url(nemesis, service) + path)
        assert (answer.status_code, answer.json()["status"]) == (200, "ok"), answer.text


SERVICES = Path(__file__).resolve().parent.parent / "services"
# A load balancer without an Elasticsearch has nothing to say of shipping.
NOT_ALWAYS = {CONTROLLER: "^$", BALANCER: "nemesis_lb_log_"}


@pytest.mark.parametrize("service", [CONTROLLER, BALANCER])
def test_the_metrics_of_a_service_are_those_of_its_page(nemesis: Nemesis, namespace: str, service: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    answer = nemesis.http.get(operations_url(nemesis, service) + "/metrics")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain"), answer.headers
    page = of_page((SERVICES / service / "METRICS.md").read_text(), service)
    faults = differences(page, shown(answer.text), NOT_ALWAYS[service])
    assert not faults, "\n".join(faults)
    assert f'service="{service}"' in answer.text


def test_pages_and_metrics_are_compared() -> None:
    page = of_page(
        "## other\n| `nemesis_x` | gauge | a | x |\n## one\n| metric | type | labels | what it is |\n|---|---|---|---|\n"
        "| `nemesis_a` | gauge |  | a |\n| `nemesis_b_seconds` | histogram | queue, shard | b |\n"
        "| `nemesis_c_total` | counter | code | c |\n",
        "one",
    )
    text = (
        "# HELP nemesis_a a\n# TYPE nemesis_a gauge\nnemesis_a 1\n# TYPE nemesis_b_seconds histogram\n"
        'nemesis_b_seconds_bucket{queue="q, \\"}",shard="",le="+Inf"} 1\nnemesis_b_seconds_sum{queue="q",shard=""} 0.5\n'
        'nemesis_b_seconds_count{queue="q",shard=""} 1\n# TYPE go_threads gauge\ngo_threads 7\n'
    )
    assert differences(page, shown(text)) == []
    assert differences(page, shown(text.replace("nemesis_a 1\n", ""))) == ["nemesis_a is on the page, and not exposed"]
    assert differences(page, shown(text.replace("nemesis_a 1\n", "")), "nemesis_a") == []
    assert differences(page, shown(text + "# TYPE nemesis_d counter\nnemesis_d 1\n")) == ["nemesis_d is on no page"]
    assert len(differences(page, shown(text + '# TYPE nemesis_c_total counter\nnemesis_c_total{status="1"} 1\n'))) == 1
    assert len(differences(page, shown(text.replace("nemesis_a gauge", "nemesis_a counter")))) == 1


@pytest.mark.parametrize("service", [CONTROLLER, BALANCER])
def test_a_service_tells_which_build_it_is(nemesis: Nemesis, service: str) -> None:
    version = (Path(__file__).resolve().parent.parent / "VERSION").read_text().strip()
    metrics = nemesis.http.get(operations_url(nemesis, service) + "/metrics").text
    (build,) = [line for line in metrics.splitlines() if line.startswith("nemesis_build_info{")]
    labels = dict(re.findall(r'(\w+)="([^"]*)"', build))
    assert labels["service"] == service and labels["version"] == version, labels
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", labels["revision"]) and labels["goversion"].startswith("go1."), labels
    for pod in nemesis.pods(service):
        first = json.loads(nemesis.cluster.logs(SYSTEM, pod["metadata"]["name"], 24 * 3600).splitlines()[0])
        assert {k: first[k] for k in ("msg", "version", "goversion")} == {
            "msg": "starting",
            "version": version,
            "goversion": labels["goversion"],
        }, first


@pytest.mark.parametrize("service", [CONTROLLER, BALANCER])
def test_logs_are_json_lines_and_carry_the_trace(nemesis: Nemesis, namespace: str, service: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    trace = secrets.token_hex(16)
    assert nemesis.ask(app, headers={"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}).status_code == 200

    def logged() -> bool:
        found = False
        for pod in nemesis.pods(service):
            for line in nemesis.cluster.logs(SYSTEM, pod["metadata"]["name"], 120).splitlines():
                entry = json.loads(line)
                assert entry["time"] and entry["level"] and entry["msg"] and entry["service"] == service, entry
                found = found or entry.get("trace_id") == trace
        return found

    eventually(logged, f"a line of {service} carries the trace id {trace}")


@pytest.mark.parametrize("service", [CONTROLLER, BALANCER])
def test_a_service_runs_with_the_least_it_needs(nemesis: Nemesis, service: str) -> None:
    assert nemesis.cluster.get("Namespace", SYSTEM)["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    (pod, *_) = nemesis.pods(service)
    (container,) = pod["spec"]["containers"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
    assert security["capabilities"]["drop"] == ["ALL"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"] and pod["spec"]["securityContext"]["runAsUser"] == 65532
    assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]
    assert all(container.get(f"{kind}Probe") for kind in ("startup", "readiness", "liveness"))
    if service == BALANCER:  # no token for the cluster, only one that says to Nemesis who it is; and one place to write: its log
        assert {m["name"]: m.get("readOnly", False) for m in container["volumeMounts"]} == {"spool": False, "nemesis-identity": True}
        tokens = [
            s["serviceAccountToken"]
            for v in pod["spec"]["volumes"]
            for s in v.get("projected", {}).get("sources", [])
            if "serviceAccountToken" in s
        ]
        assert [t["audience"] for t in tokens] == ["nemesis"], tokens


def may(nemesis: Nemesis, who: str, verb: str, resource: str, namespace: str, subresource: str = "") -> bool:
    kubectl = nemesis.cluster.kubectl
    part = [f"--subresource={subresource}"] if subresource else []
    done = kubectl.run("auth", "can-i", verb, resource, *part, "-n", namespace, f"--as=system:serviceaccount:{SYSTEM}:{who}")
    return done.stdout.strip() == "yes"


def test_the_controller_may_scale_and_little_else(nemesis: Nemesis, namespace: str) -> None:
    lease = f"leases.coordination.k8s.io/{CONTROLLER}"
    for verb, resource, where, subresource in [
        ("patch", "deployments.apps", namespace, "scale"),
        ("list", "pods", namespace, ""),
        ("patch", "customautoscalers", namespace, "status"),
        ("update", lease, SYSTEM, ""),
    ]:
        assert may(nemesis, CONTROLLER, verb, resource, where, subresource), f"the controller may not {verb} {resource}/{subresource}"
    for verb, resource, where, subresource in [
        ("update", "deployments.apps", namespace, ""),
        ("delete", "pods", namespace, ""),
        ("create", "pods", namespace, "exec"),
        ("get", "secrets", namespace, ""),
        ("get", "secrets", SYSTEM, ""),
        ("update", "customautoscalers", namespace, ""),
        ("delete", "customautoscalers", namespace, ""),
        ("update", lease, namespace, ""),
    ]:
        assert not may(nemesis, CONTROLLER, verb, resource, where, subresource), (
            f"the controller may {verb} {resource}/{subresource} in {where}"
        )


def test_the_load_balancer_may_nothing(nemesis: Nemesis, namespace: str) -> None:
    for verb, resource in [("get", "pods"), ("list", "customautoscalers"), ("get", "endpointslices.discovery.k8s.io"), ("get", "secrets")]:
        assert not may(nemesis, BALANCER, verb, resource, namespace)
