"""Every kustomize folder is whole, and the cluster takes it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.kubectl import Kubectl

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = sorted(str(f.parent.relative_to(ROOT)) for f in (ROOT / "kustomize").rglob("kustomization.yaml") if "components" not in f.parts)


def test_there_are_folders_to_test() -> None:
    for name in ("base/namespace", "base/crd", "base/autoscaler-controller", "base/load-balancer", "overlays/local"):
        assert f"kustomize/{name}" in FOLDERS


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_is_built_and_taken_by_the_api_server(kubectl: Kubectl, folder: str) -> None:
    built = kubectl("kustomize", str(ROOT / folder))
    assert list(yaml.safe_load_all(built))
    done = kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=built)
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr


@pytest.mark.parametrize("service", ["autoscaler-controller", "load-balancer"])
def test_a_service_alone_owns_nothing_that_others_need(kubectl: Kubectl, service: str) -> None:
    for folder in (f"kustomize/base/{service}", f"kustomize/overlays/local/{service}"):
        for found in yaml.safe_load_all(kubectl("kustomize", str(ROOT / folder))):
            assert found["kind"] not in ("Namespace", "CustomResourceDefinition"), found["metadata"]
            assert service in found["metadata"]["name"], found["metadata"]


def test_the_otlp_component_reaches_both_services(kubectl: Kubectl, tmp_path: Path) -> None:
    # kustomize takes only relative paths.
    up = Path(*[".."] * (len(tmp_path.parts) - 1)) / ROOT.relative_to("/")
    overlay = {"resources": [f"{up}/kustomize/overlays/local"], "components": [f"{up}/kustomize/components/otlp"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    objects = list(yaml.safe_load_all(kubectl("kustomize", str(tmp_path))))
    (settings,) = [o for o in objects if o["kind"] == "ConfigMap"]
    deployments = [o for o in objects if o["kind"] == "Deployment"]
    assert len(deployments) == 2
    for deployment in deployments:
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
    assert settings["data"]["OTEL_EXPORTER_OTLP_ENDPOINT"].endswith(":4318")


@pytest.mark.parametrize("manifest", sorted((ROOT / "e2e" / "apps").glob("*/k8s.yaml"), key=str), ids=lambda p: p.parent.name)
def test_the_sample_applications_are_taken_by_the_api_server(kubectl: Kubectl, namespace: str, manifest: Path) -> None:
    objects = [o for o in yaml.safe_load_all(manifest.read_text()) if o and o["kind"] != "Namespace"]
    for found in objects:
        found["metadata"]["namespace"] = namespace
    done = kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all(objects))
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
