"""The components that bring an Elasticsearch, or lead to one: they are whole, and the walls around them open to who needs it alone."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from harness.kubectl import Kubectl
from harness.manifests import APPLICATION, BALANCER, CONTROLLER, INTRUDER, OPERATOR_SHELL, OUTSIDE, ROOT, objects_of, with_components
from harness.operators import module
from harness.policies import Peer, may_reach
from harness.reach import SYSTEM

ELASTICSEARCH = ["elasticsearch-existing", "elasticsearch", "elasticsearch-eck"]
ECK = "github.com/elastic/cloud-on-k8s/v3@v3.5.0"
ELASTIC_GROUPS = ("elasticsearch.k8s.elastic.co", "kibana.k8s.elastic.co")
SETUP = Peer(SYSTEM, {"app.kubernetes.io/name": "nemesis-logs-setup"})
ELASTICSEARCH_PODS = {
    "elasticsearch": Peer(SYSTEM, {"app.kubernetes.io/name": "nemesis-elasticsearch"}),
    "elasticsearch-eck": Peer(SYSTEM, {"elasticsearch.k8s.elastic.co/cluster-name": "nemesis"}),
}
KIBANA_PODS = {
    "elasticsearch": Peer(SYSTEM, {"app.kubernetes.io/name": "nemesis-kibana"}),
    "elasticsearch-eck": Peer(SYSTEM, {"kibana.k8s.elastic.co/name": "nemesis"}),
}


@pytest.mark.parametrize("overlay", ["local", "production"])
@pytest.mark.parametrize("component", ELASTICSEARCH)
def test_an_elasticsearch_component_is_taken_by_the_api_server(kubectl: Kubectl, tmp_path: Path, component: str, overlay: str) -> None:
    plain = {(o["kind"], o["metadata"]["name"]) for o in objects_of(kubectl, f"kustomize/overlays/{overlay}")}
    objects = with_components(kubectl, tmp_path, overlay, component)
    added = [o for o in objects if (o["kind"], o["metadata"]["name"]) not in plain]
    assert added
    for meta in (o["metadata"] for o in added):
        assert meta["namespace"] == SYSTEM and meta["labels"]["app.kubernetes.io/part-of"] == "nemesis", meta
    (balancer,) = [o for o in objects if o["kind"] == "Deployment" and o["metadata"]["name"] == "load-balancer"]
    ours = [o for o in added if o["apiVersion"].split("/")[0] not in ELASTIC_GROUPS]
    done = kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all([*ours, balancer]))
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr


@pytest.mark.parametrize("component", ELASTICSEARCH)
def test_balancer_and_set_up_agree_on_elasticsearch(kubectl: Kubectl, tmp_path: Path, component: str) -> None:
    meta = {"name": "nemesis-elasticsearch", "namespace": SYSTEM}
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"url": "https://logs.example:9200", "retention": "7d"}}
    objects = with_components(kubectl, tmp_path, "production", component, patches=[{"patch": yaml.safe_dump(other)}])
    (settings,) = [o["data"] for o in objects if o["kind"] == "ConfigMap"]
    assert settings["url"] == "https://logs.example:9200" and settings["retention"] == "7d"
    found = {o["metadata"]["name"]: o["spec"]["template"]["spec"] for o in objects if o["kind"] in ("Deployment", "Job")}
    balancer, setup = found["load-balancer"], found["nemesis-logs-setup"]
    (one,), (other,) = balancer["containers"], setup["containers"]
    assert other["image"] == one["image"].replace("load-balancer", "log-setup") != one["image"]
    known = set(re.findall(r'"(elasticsearch-[a-z-]+)"', (ROOT / "services/load-balancer/internal/log/elastic/settings.go").read_text()))
    for pod, container in ((balancer, one), (setup, other)):
        variables = [v for v in container["env"] if v["name"].startswith("NEMESIS_ELASTICSEARCH")]
        assert len(variables) >= 5
        for variable in variables:
            assert variable["name"].removeprefix("NEMESIS_").lower().replace("_", "-") in known, variable
            if "valueFrom" in variable:
                assert variable["valueFrom"]["configMapKeyRef"]["key"] in settings, variable
        volumes = {v["name"] for v in pod["volumes"]}
        assert {m["name"] for m in container["volumeMounts"]} <= volumes
    flags = (ROOT / "services/load-balancer/internal/log/logsetup/run.go").read_text()
    for flag in other["args"]:
        assert f'"{flag.lstrip("-").split("=")[0]}"' in flags, flag
    mounts = [m["mountPath"] for m in one["volumeMounts"]]
    for key in ("password-file", "ca-file"):
        assert not settings[key] or str(Path(settings[key]).parent) in mounts


def unknown(schema: dict, value: object, path: str = "") -> list[str]:
    """The fields of value that a CustomResourceDefinition's schema does not know."""
    if isinstance(value, list):
        return [u for i, v in enumerate(value) for u in unknown(schema.get("items", {}), v, f"{path}[{i}]")]
    if not isinstance(value, dict) or schema.get("x-kubernetes-preserve-unknown-fields"):
        return []
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    faults = []
    for key, inner in value.items():
        if key in known:
            faults += unknown(known[key], inner, f"{path}.{key}")
        elif isinstance(others, dict):
            faults += unknown(others, inner, f"{path}.{key}")
        else:
            faults.append(f"{path}.{key}")
    return faults


def test_the_objects_for_elastics_operator_are_as_it_defines_them(kubectl: Kubectl, tmp_path: Path) -> None:
    text = (module(ECK, tmp_path) / "config" / "crds" / "v1" / "all-crds.yaml").read_text()
    schemas = {
        (d["spec"]["group"] + "/" + v["name"], d["spec"]["names"]["kind"]): v["schema"]["openAPIV3Schema"]
        for d in yaml.safe_load_all(text)
        for v in d["spec"]["versions"]
    }
    built = with_components(kubectl, tmp_path, "local", "elasticsearch-eck")
    objects = [o for o in built if o["apiVersion"].split("/")[0] in ELASTIC_GROUPS]
    assert [o["kind"] for o in objects] == ["Elasticsearch", "Kibana"]
    for found in objects:
        schema = schemas[found["apiVersion"], found["kind"]]
        jsonschema.validate(found, schema)
        assert not unknown(schema["properties"]["spec"], found["spec"])
    assert unknown({"properties": {"a": {"type": "object"}}}, {"a": {"b": 1}, "c": 2}) == [".a.b", ".c"]


@pytest.mark.parametrize("component", ELASTICSEARCH_PODS)
def test_the_walls_around_an_elasticsearch_of_its_own(kubectl: Kubectl, tmp_path: Path, component: str) -> None:
    policies = [o for o in with_components(kubectl, tmp_path, "production", component) if o["kind"] == "NetworkPolicy"]
    elasticsearch, kibana = ELASTICSEARCH_PODS[component], KIBANA_PODS[component]
    for source in (BALANCER, SETUP, kibana):
        assert may_reach(policies, source, elasticsearch, 9200), source
    for source in (CONTROLLER, APPLICATION, OUTSIDE, INTRUDER):
        assert not may_reach(policies, source, elasticsearch, 9200), source
    assert may_reach(policies, OPERATOR_SHELL, kibana, 5601) and not may_reach(policies, APPLICATION, kibana, 5601)
    assert may_reach(policies, BALANCER, APPLICATION, 5001) and not may_reach(policies, BALANCER, OUTSIDE, 9200)
    assert not may_reach(policies, elasticsearch, OUTSIDE, 443)


def test_the_walls_open_to_an_elasticsearch_outside_on_request(kubectl: Kubectl, tmp_path: Path) -> None:
    for components, allowed in ((["elasticsearch-existing"], False), (["elasticsearch-existing", "elasticsearch-egress"], True)):
        policies = [o for o in with_components(kubectl, tmp_path, "production", *components) if o["kind"] == "NetworkPolicy"]
        assert may_reach(policies, BALANCER, OUTSIDE, 9200) == allowed and may_reach(policies, SETUP, OUTSIDE, 9200)
        assert not may_reach(policies, INTRUDER, OUTSIDE, 9200) and not may_reach(policies, APPLICATION, SETUP, 9200)
