"""The services as they were at the last release, beside those of today.

Each is brought as its release brought it, with the manifests of that time and not with its image
alone: rights, ports and probes belong to a version as much as its code.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from .cluster import Refused
from .nemesis import BALANCER, CONTROLLER, Nemesis
from .reach import SYSTEM
from .services import HEARD, configured, settled
from .waiting import eventually

ROOT = Path(__file__).resolve().parent.parent.parent
NOT_IN_THE_CLONE = 3  # what deployments/released ends with


@dataclass(frozen=True)
class Release:
    """What deployments/released has made."""

    folder: Path

    def manifests(self, service: str) -> Path:
        found = self.folder / f"{service}.yaml"
        if not found.exists():
            pytest.skip(f"{service} was not there yet at the last release, {self.folder.name}")
        return found

    @property
    def resource(self) -> Path:
        return self.folder / "crd.yaml"


def last_release(nemesis: Nemesis) -> Release:
    """Builds the release unless it was built before, and loads its images into the local cluster."""
    kubectl = nemesis.cluster.kubectl
    if kubectl.kubeconfig != str(kubectl.cache / "cluster" / "kubeconfig"):
        pytest.skip("the images of the last release are loaded into the local cluster; on another one nobody pushes them")
    tools = {**os.environ, "NEMESIS_CACHE": str(kubectl.cache), "PATH": f"{Path(kubectl.program).parent}:{os.environ['PATH']}"}
    made = subprocess.run([ROOT / "deployments" / "released"], capture_output=True, text=True, env=tools, timeout=600, check=False)
    if made.returncode == NOT_IN_THE_CLONE:
        pytest.skip(f"INDEPENDENT DEPLOYMENT IS NOT TESTED: {made.stderr.strip()}")
    assert made.returncode == 0, made.stderr
    release = Release(Path(made.stdout.strip()))
    images = [str(p) for p in sorted(release.folder.glob("*.tar"))]
    subprocess.run([kubectl.cache / "bin" / "local-kubernetes", "load", *images], env=tools, timeout=120, check=True)
    return release


@contextmanager
def without_tokens(nemesis: Nemesis) -> Iterator[None]:
    """The services of today let callers without a token in, and speak clear text, as in a rollout from 0.1.0; nobody sends one."""
    optional = {"NEMESIS_AUTHENTICATION": "optional", "NEMESIS_CLEAR_TEXT": "true"}
    with configured(nemesis, CONTROLLER, optional), configured(nemesis, BALANCER, optional), nemesis.operator.silent():
        nemesis.reach.clear = True
        try:
            yield
        finally:
            nemesis.reach.clear = False


@contextmanager
def released(nemesis: Nemesis, release: Release, overlay: Path, service: str) -> Iterator[None]:
    """The service is the released one."""
    kubectl = nemesis.cluster.kubectl
    kubectl("apply", "-f", str(release.manifests(service)))
    try:
        settled(nemesis, service)
        yield
    finally:
        if service == CONTROLLER:
            # A release that knows nothing of these names leaves those of long ago, who would be awaited for a minute.
            nemesis.cluster.patch("Lease", CONTROLLER, SYSTEM, {"metadata": {"annotations": {HEARD: None}}})
        kubectl("apply", "-k", str(overlay / service))
        settled(nemesis, service)


@contextmanager
def released_resource(nemesis: Nemesis, release: Release) -> Iterator[None]:
    """The CustomAutoscaler resource is the released one, as when a service goes out before it."""
    cluster = nemesis.cluster
    others = cluster.list("CustomAutoscaler")
    cluster.kubectl("apply", "-f", str(release.resource))
    try:
        yield
    finally:
        cluster.kubectl("apply", "-k", str(ROOT / "kustomize" / "base" / "crd"))
        # Fields that the older resource did not know were dropped whenever a status was written.
        for o in others:
            meta = o["metadata"]

            def put(name: str = meta["name"], namespace: str = meta["namespace"], spec: dict = o["spec"]) -> bool:
                try:
                    return cluster.patch("CustomAutoscaler", name, namespace, {"spec": spec})["spec"] == spec
                except Refused as refused:
                    if refused.code == 404:
                        return True  # gone in the meantime
                    raise

            eventually(put, f"{meta['namespace']}/{meta['name']} is as it was")
