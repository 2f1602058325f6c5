"""What the operators of others define: of the Prometheus operator what production's manifests need, of Elastic's what ours are held to."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import yaml

from .kubectl import Kubectl
from .waiting import PATIENCE, NotYet, eventually

GROUP = "monitoring.coreos.com"
PROMETHEUS = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
OURS = {"nemesis-e2e": "prometheus-operator"}  # the label of definitions that a test has brought


def module(name: str, nowhere: Path) -> Path:
    """The folder of a Go module, fetched from a folder that is in none."""

    def fetched() -> Path:
        download = ["go", "mod", "download", "-json", name]
        got = subprocess.run(download, cwd=nowhere, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
        if got.returncode:
            raise NotYet(got.stdout + got.stderr)  # a registry may be out of reach for a moment
        return Path(json.loads(got.stdout)["Dir"])

    return eventually(fetched, f"{name} is here", every=5)


@contextmanager
def monitors(kubectl: Kubectl, nowhere: Path) -> Iterator[None]:
    """The cluster knows ServiceMonitors and rules: by the operator that it has, else by the operator's own definitions for a while."""

    def remove() -> None:
        kubectl("delete", "crd", "-l", ",".join(f"{key}={value}" for key, value in OURS.items()))

    def listed(name: str) -> bool:
        kubectl("get", name, "--all-namespaces")  # fails until then
        return True

    remove()  # those of a run that was interrupted
    names = [f"{kind}.{GROUP}" for kind in ("servicemonitors", "prometheusrules")]
    missing = [name for name in names if not kubectl("get", "crd", name, "--ignore-not-found", "-o", "name")]
    if not missing:
        yield
        return
    definitions = module(PROMETHEUS, nowhere) / "example" / "prometheus-operator-crd"
    try:
        for name in missing:
            definition = yaml.safe_load((definitions / f"{GROUP}_{name.split('.')[0]}.yaml").read_text())
            definition["metadata"]["labels"] = OURS
            # Not create: of one that has just been removed it says now and then that it is there still.
            kubectl("apply", "--server-side", "--field-manager=nemesis-e2e", "-f", "-", stdin=yaml.safe_dump(definition))
            kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=30s")
            eventually(partial(listed, name), f"the API server serves {name}, which it says a moment before it does")
        yield
    finally:
        remove()
