"""A metrics-collector on the node: sidecars push to it, it sends the controller batches, and decisions go by them."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import expect

from harness.accounts import member
from harness.applications import fibonacci
from harness.browser import accessible, chromium, enter, page, proxied
from harness.cluster import Object
from harness.metrics import differences, of_page, shown
from harness.nemesis import Nemesis
from harness.sidecars import COMPONENTS, setting, with_sidecar
from harness.waiting import eventually

NAME, SYSTEM = "metrics-collector", "nemesis-system"


def component(nemesis: Nemesis) -> list[Object]:
    """The objects of the component that users have, with the image that was built here."""
    image = {
        "name": f"nemesis/{NAME}",
        "newName": f"{os.environ.get('NEMESIS_IMAGES', 'nemesis')}/{NAME}",
        "newTag": os.environ.get("NEMESIS_IMAGE_TAG", "dev"),
    }
    with tempfile.TemporaryDirectory(prefix="nemesis-e2e-") as name:
        folder = Path(name).resolve()
        text = {"components": [os.path.relpath(COMPONENTS / "collector", folder)], "images": [image]}
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(text))
        return list(yaml.safe_load_all(nemesis.cluster.kubectl("kustomize", str(folder))))


@pytest.fixture
def collector(nemesis: Nemesis) -> Iterator[Object]:
    """The collector's pod on this cluster's node."""
    objects = component(nemesis)
    try:
        nemesis.cluster.apply(*objects)

        def there(o: Object | None) -> bool:
            status = (o or {}).get("status", {})
            return status.get("numberReady", 0) >= 1 and status["numberReady"] == status.get("desiredNumberScheduled")

        nemesis.cluster.wait("DaemonSet", NAME, SYSTEM, there, "the collector is ready on each node")
        yield nemesis.cluster.list("Pod", SYSTEM, labels=f"app.kubernetes.io/name={NAME}")[0]
    finally:
        for o in objects:
            nemesis.cluster.delete(o["kind"], o["metadata"]["name"], SYSTEM)


def series(page: str, name: str) -> float:
    """The sum of a metric over its labels; 0 where there is none yet."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith((name + " ", name + "{")))


@pytest.mark.disruptive  # it puts something into the system's namespace
def test_pushes_through_a_collector_reach_the_controller_in_batches(nemesis: Nemesis, namespace: str, collector: Object) -> None:
    app = fibonacci(namespace)
    objects = with_sidecar(nemesis.cluster.kubectl, app)
    for o in objects:
        if o["kind"] == "Deployment":
            setting(o["spec"]["template"]["spec"], "NEMESIS_CONTROLLER_URL", f"https://{NAME}.{SYSTEM}.svc:8080")
    nemesis.cluster.apply(*objects)
    nemesis.known(app)
    assert nemesis.ask(app).status_code == 200
    (pod,) = nemesis.cluster.list("Pod", namespace, labels=f"app={app.name}")

    def measured() -> bool:
        listed = nemesis.read("/v1/metrics", namespace=namespace, deployment=app.name)["items"]
        return any(
            p["pod"] == pod["metadata"]["name"] and p.get("metrics", {}).get("source") == "Sidecar"
            for found in listed
            for p in found["pods"]
        )

    eventually(measured, "the controller has what the sidecar measured")
    metrics = nemesis.http.get(nemesis.reach.pod(collector, 8080) + "/metrics").text
    assert series(metrics, "nemesis_collector_batches_total") > 0, metrics
    pages = (Path(__file__).resolve().parent.parent / "services" / "sidecar" / "METRICS.md").read_text()
    faults = differences(of_page(pages, NAME), shown(metrics))
    assert not faults, "\n".join(faults)


@pytest.mark.disruptive  # likewise
def test_the_console_shows_when_a_collectors_certificate_ends(nemesis: Nemesis, namespace: str, collector: Object) -> None:
    with chromium() as browser, proxied(nemesis.cluster.kubectl) as at, page(browser) as p:
        enter(p, at, member(nemesis.cluster, namespace, "view"))
        p.goto(f"{at}#/settings")
        row = p.get_by_role("row").filter(has_text=NAME).filter(has_text="for other services")
        expect(row.get_by_text(re.compile("^in "))).to_be_visible()
        accessible(p)
