"""The way from the last release to today that UPGRADE.md describes, step by step, on an installation that works."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from harness.applications import Application, fibonacci
from harness.load import Load
from harness.nemesis import BALANCER, CONTROLLER, Nemesis
from harness.reach import SYSTEM
from harness.releases import ROOT, last_release
from harness.services import HEARD, settled
from harness.sidecars import setting, with_sidecar
from harness.waiting import eventually

pytestmark = pytest.mark.disruptive

COMPONENT = ROOT / "kustomize" / "components" / "clear-text"


def both_let_in(service: Path, folder: Path) -> Path:
    """Step 3: an overlay of one's own, of the service with the component clear-text."""
    folder.mkdir()
    parts = {"resources": [service], "components": [COMPONENT]}
    relative = {kind: [os.path.relpath(p.resolve(), folder.resolve()) for p in paths] for kind, paths in parts.items()}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(relative))
    return folder


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
                    kubectl("apply", "-k", str(both_let_in(overlay / service, tmp_path / service)))
                    settled(nemesis, service)
                    load.after(20)
                eventually(lambda: source(nemesis, app) == {"Sidecar"}, "the sidecar of then is heard by the controller of today")
                rolled_out(nemesis, app, clear_text=True)  # 5
                eventually(lambda: source(nemesis, app) == {"Sidecar"}, "the sidecar of today is heard")
                load.after(20)
                for url in (nemesis.controller_url, nemesis.admin_url):  # 7
                    trouble = " ".join(nemesis.http.get(url + "/readyz").json().get("trouble", []))
                    assert "clear-text is set" in trouble and "authentication is optional" in trouble, trouble
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
        trouble = " ".join(nemesis.http.get(url + "/readyz").json().get("trouble", []))
        assert "clear-text" not in trouble and "authentication" not in trouble, trouble
        with nemesis.operator.silent():
            assert nemesis.http.get(url + "/metrics").status_code == 401
