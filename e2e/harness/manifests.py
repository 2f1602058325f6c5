"""What kustomize makes of the manifests, and who is who in them."""

from __future__ import annotations

from pathlib import Path

import yaml

from .kubectl import Kubectl
from .policies import Peer
from .reach import SYSTEM

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ["autoscaler-controller", "load-balancer"]
PRODUCTION = "kustomize/overlays/production"

CONTROLLER, BALANCER = (Peer(SYSTEM, {"app.kubernetes.io/name": service}) for service in SERVICES)
APPLICATION = Peer("shop", {"app": "fibonacci"})
OPERATOR_SHELL = Peer("tools", {}, {"nemesis/operators": "true"})
INTRUDER = Peer(SYSTEM, {"app": "intruder"})
OUTSIDE = Peer()


def objects_of(kubectl: Kubectl, folder: str) -> list[dict]:
    return list(yaml.safe_load_all(kubectl("kustomize", str(ROOT / folder))))


def with_components(kubectl: Kubectl, folder: Path, overlay: str, *components: str, patches: list[dict] | None = None) -> list[dict]:
    """An overlay with components, as somebody has it who writes a kustomization of their own; it is written to the folder."""
    # kustomize takes only relative paths.
    up = Path(*[".."] * (len(folder.parts) - 1)) / ROOT.relative_to("/") / "kustomize"
    parts = {"resources": [f"{up}/overlays/{overlay}"], "components": [f"{up}/components/{c}" for c in components]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({**parts, "patches": patches or []}))
    return list(yaml.safe_load_all(kubectl("kustomize", str(folder))))
