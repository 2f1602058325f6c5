"""Applications whose pods have the sidecar, by the kustomize component that users have."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import yaml

from .applications import Application
from .cluster import Object
from .kubectl import Kubectl

PORT = 8082
COMPONENTS = Path(__file__).resolve().parents[2] / "kustomize" / "components"


def with_sidecar(
    kubectl: Kubectl, app: Application, source: str = "auto", listen: str = f":{PORT}", release: Path | None = None
) -> list[Object]:
    """The application's objects, the Deployment with the sidecar in its pods, which measures by source (none: not at all).

    With an empty `listen` its API is where it is by itself: inside the pod alone. `release` is the folder of a
    release (harness.releases), whose sidecar it is then, as that release brought it.
    """
    component = COMPONENTS / {"pod-cgroup": "sidecar-cgroup", "none": "sidecar-apart"}.get(source, "sidecar")
    tag = os.environ.get("NEMESIS_IMAGE_TAG", "dev")
    if release:
        component, tag = release / "sidecar", "released"
    deployment = app.deployment
    deployment["metadata"]["labels"] = {**deployment["metadata"]["labels"], "nemesis/sidecar": "true"}
    image = {
        "name": "nemesis/sidecar",
        "newName": f"{os.environ.get('NEMESIS_IMAGES', 'nemesis')}/sidecar",
        "newTag": tag,
    }
    with tempfile.TemporaryDirectory(prefix="nemesis-e2e-") as name:
        folder = Path(name).resolve()  # kustomize takes only relative paths
        (folder / "app.yaml").write_text(yaml.safe_dump_all([deployment, app.service, app.autoscaler]))
        (folder / "kustomization.yaml").write_text(
            yaml.safe_dump({"resources": ["app.yaml"], "components": [os.path.relpath(component.resolve(), folder)], "images": [image]})
        )
        objects = list(yaml.safe_load_all(kubectl("kustomize", str(folder))))
    for o in objects:
        if o["kind"] == "Deployment":
            if listen:
                setting(o["spec"]["template"]["spec"], "NEMESIS_LISTEN", listen)
            if source not in ("auto", "none"):
                setting(o["spec"]["template"]["spec"], "NEMESIS_USAGE_FROM", source)
    return objects


def setting(pod: Object, name: str, value: str) -> None:
    (container,) = [c for c in pod["containers"] if c["name"] == "nemesis-sidecar"]
    container["env"].append({"name": name, "value": value})
