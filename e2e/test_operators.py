"""What the Prometheus operator reads, and that tests bring its definitions without touching those of others."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import yaml

from harness.kubectl import Kubectl
from harness.manifests import PRODUCTION, objects_of
from harness.operators import GROUP, OURS, monitors


def test_the_monitors_find_the_metrics(kubectl: Kubectl) -> None:
    objects = objects_of(kubectl, PRODUCTION)
    services = [o for o in (*objects, *objects_of(kubectl, "kustomize/components/collector")) if o["kind"] == "Service"]
    for monitor in (o for o in objects if o["kind"] == "ServiceMonitor"):
        assert monitor["metadata"]["namespace"] == "nemesis-system"
        selector = monitor["spec"]["selector"]["matchLabels"].items()
        (service,) = [s for s in services if selector <= s["metadata"]["labels"].items()]
        ports = {p["name"]: p["port"] for p in service["spec"]["ports"]}
        (endpoint,) = monitor["spec"]["endpoints"]
        listens = {"autoscaler-controller": 8080, "load-balancer": 8081, "metrics-collector": 8080}
        assert ports[endpoint["port"]] == listens[service["metadata"]["name"]]


class Definitions:
    """A cluster's definitions and their labels, as kubectl shows them."""

    def __init__(self, labels: dict[str, dict[str, str]]) -> None:
        self.labels = labels

    def __call__(self, verb: str, *args: str, stdin: str = "") -> str:
        if verb == "get":
            return args[1] if args[1] in self.labels else ""
        if verb == "apply":
            meta = yaml.safe_load(stdin)["metadata"]
            assert meta["name"] not in self.labels, "somebody else's"
            self.labels[meta["name"]] = meta.get("labels", {})
        elif verb == "delete":
            key, value = args[args.index("-l") + 1].split("=")
            self.labels = {name: labels for name, labels in self.labels.items() if labels.get(key) != value}
        return ""


@pytest.mark.parametrize("theirs", [[], ["servicemonitors"], ["servicemonitors", "prometheusrules"]])
@pytest.mark.parametrize("interrupted", [False, True])
def test_the_operators_definitions_are_brought_once_and_those_of_others_stay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, theirs: list[str], interrupted: bool
) -> None:
    kinds = ["servicemonitors", "prometheusrules"]
    folder = tmp_path / "example" / "prometheus-operator-crd"
    folder.mkdir(parents=True)
    for kind in kinds:
        definition = {"kind": "CustomResourceDefinition", "metadata": {"name": f"{kind}.{GROUP}"}}
        (folder / f"{GROUP}_{kind}.yaml").write_text(yaml.safe_dump(definition))
    monkeypatch.setattr("harness.operators.module", lambda *_: tmp_path)
    before = {f"{kind}.{GROUP}": {} for kind in theirs}
    left = {f"{kind}.{GROUP}": OURS for kind in kinds if interrupted and kind not in theirs}
    cluster = Definitions({**before, **left})
    with monitors(cast(Kubectl, cluster), tmp_path):
        assert set(cluster.labels) == {f"{kind}.{GROUP}" for kind in kinds}
    assert cluster.labels == before
