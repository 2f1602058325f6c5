"""What a person wants to read when a test has failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from .nemesis import BALANCER, CONTROLLER, Nemesis
from .reach import SYSTEM

MAX_LOG_LINES = 120


def sections(nemesis: Nemesis, namespace: str, since_seconds: int) -> Iterator[tuple[str, str]]:
    """Titles and texts; a part that cannot be read says so and leaves the others alone."""
    kubectl = nemesis.cluster.kubectl

    def objects() -> str:
        return kubectl("get", "customautoscalers,deployments,pods,services,endpointslices", "-n", namespace, "-o", "wide")

    def status() -> str:
        found = nemesis.cluster.list("CustomAutoscaler", namespace)
        return json.dumps([{"name": o["metadata"]["name"], "status": o.get("status")} for o in found], indent=1)

    def logs(service: str, container: str) -> Callable[[], str]:
        def read() -> str:
            text = ""
            for pod in nemesis.cluster.list("Pod", SYSTEM, labels=f"app.kubernetes.io/name={service}"):
                name = pod["metadata"]["name"]
                lines = nemesis.cluster.logs(SYSTEM, name, since_seconds).splitlines()
                told = [line for line in lines if namespace in line or ('"level":"INFO"' not in line and '"level":"DEBUG"' not in line)]
                text += "\n".join([f"-- {name} ({container})", *told[-MAX_LOG_LINES:], ""])
            return text

        return read

    parts: list[tuple[str, Callable[[], str]]] = [
        ("objects", objects),
        ("status", status),
        ("applications", lambda: json.dumps(nemesis.read("/v1/applications", namespace=namespace), indent=1)),
        ("decisions", lambda: json.dumps(nemesis.read("/v1/decisions", namespace=namespace, limit=20), indent=1)),
        ("load balancer", lambda: json.dumps(nemesis.balancer_state(namespace), indent=1)),
        ("events", lambda: kubectl("get", "events", "-n", namespace, "--sort-by=.metadata.creationTimestamp")),
        ("services", lambda: kubectl("get", "pods", "-n", SYSTEM, "-o", "wide")),
        (f"log of {CONTROLLER}", logs(CONTROLLER, "current")),
        (f"log of {BALANCER}", logs(BALANCER, "current")),
    ]
    for title, read in parts:
        try:
            yield title, read()
        except Exception as err:  # noqa: BLE001 - the report must not hide the test's own failure
            yield title, f"cannot be read: {type(err).__name__}: {err}"
