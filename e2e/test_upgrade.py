"""The way from the last release to today that UPGRADE.md describes, step by step, on an installation that works."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.applications import Application, fibonacci
from harness.load import Load
from harness.manifests import ROOT, with_components
from harness.nemesis import BALANCER, CONTROLLER, Nemesis
from harness.reach import SYSTEM
from harness.releases import last_release
from harness.services import HEARD, settled
from harness.sidecars import setting, with_sidecar
from harness.waiting import eventually

pytestmark = pytest.mark.disruptive

OVERLAYS = ROOT / "kustomize" / "overlays"


def trouble(nemesis: Nemesis, url: str) -> str:
    """What a service says in its readiness that people should look at."""
    return " ".join(nemesis.http.get(url + "/readyz").json().get("trouble", []))


def rolled_out(nemesis: Nemesis, app: Application, clear_text: bool) -> None:
    """Step 5: the application's pods have the sidecar of today, and none of an older one is left."""
    objects = with_sidecar(nemesis.cluster.kubectl, app)
    (deployment,) = [o for o in objects if o["kind"] == "Deployment"]
    setting(deployment["spec"]["template"]["spec"], "NEMESIS_CLEAR_TEXT", str(clear_text).lower())
    deployment["spec"].pop("replicas", None)  # whose they are since Nemesis scales it
    nemesis.cluster.apply(deployment)
    nemesis.cluster.kubectl("-n", app.namespace, "rollout", "status", "deployment", app.name, "--timeout=120s")


def source(nemesis: Nemesis, app: Application) -> set[str]:
    """Who measures the pods that the application has."""
    of = nemesis.read("/v1/metrics", namespace=app.namespace)["items"]
    return {p["metrics"]["source"] if "metrics" in p else "none" for a in of for p in a["pods"]}


def test_the_way_from_the_last_release_costs_no_request(nemesis: Nemesis, namespace: str, overlay: Path, tmp_path: Path) -> None:
    release, kubectl, services = last_release(nemesis), nemesis.cluster.kubectl, (CONTROLLER, BALANCER)
    app = fibonacci(namespace, spec={"minReplicas": 1})
    nemesis.reach.clear = True
    try:
        with nemesis.operator.silent():
            for service in services:
                kubectl("apply", "-f", str(release.manifests(service)))
            for service in services:
                settled(nemesis, service)
            # The names that today's controller wrote there before: 0.1.0 knows nothing of them, and never had any.
            nemesis.cluster.patch("Lease", CONTROLLER, SYSTEM, {"metadata": {"annotations": {HEARD: None}}})
            nemesis.cluster.apply(*with_sidecar(kubectl, app, release=release.folder))
            nemesis.known(app)
            assert nemesis.ask(app).status_code == 200
            eventually(lambda: source(nemesis, app) == {"Sidecar"}, "the sidecar of then is heard")
            with Load(nemesis.data_url + app.prefix + "/fib/10", clients=4) as load:
                load.after(20)
                kubectl("apply", "-k", str(ROOT / "kustomize" / "base" / "crd"))  # 2
                for service in services:  # 4
                    (tmp_path / service).mkdir()
                    with_components(kubectl, tmp_path / service, os.path.relpath(overlay / service, OVERLAYS), "clear-text")  # 3
                    kubectl("apply", "-k", str(tmp_path / service))
                    settled(nemesis, service)
                    load.after(20)
                eventually(lambda: source(nemesis, app) == {"Sidecar"}, "the sidecar of then is heard by the controller of today")
                rolled_out(nemesis, app, clear_text=True)  # 5
                eventually(lambda: source(nemesis, app) == {"Sidecar"}, "the sidecar of today is heard")
                load.after(20)
                for url in (nemesis.controller_url, nemesis.admin_url):  # 7
                    said = trouble(nemesis, url)
                    assert "clear-text is set" in said and "authentication is optional" in said, said
                for service in services:  # 8
                    kubectl("apply", "-k", str(overlay / service))
                    nemesis.reach.clear = False
                    nemesis.wait_service(service)
                    load.after(20)
                rolled_out(nemesis, app, clear_text=False)
                load.after(20)
    finally:
        nemesis.reach.clear = False
        for service in services:
            kubectl("apply", "-k", str(overlay / service))
        for service in services:
            settled(nemesis, service)
    assert not load.failures, f"{len(load.failures)} of {load.answered}: {load.failures[:5]}"
    eventually(lambda: source(nemesis, app) == {"Sidecar"}, "the sidecar is heard with its token, over TLS")
    for url in (nemesis.controller_url, nemesis.admin_url):
        said = trouble(nemesis, url)
        assert "clear-text" not in said and "authentication" not in said, said
        with nemesis.operator.silent():
            assert nemesis.http.get(url + "/metrics").status_code == 401
