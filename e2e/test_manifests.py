"""Every kustomize folder is whole, and the cluster takes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from harness.applications import fibonacci
from harness.kubectl import Kubectl
from harness.manifests import (
    APPLICATION,
    BALANCER,
    CONTROLLER,
    INTRUDER,
    OPERATOR_SHELL,
    OUTSIDE,
    PRODUCTION,
    ROOT,
    SERVICES,
    objects_of,
    with_components,
)
from harness.operators import monitors
from harness.policies import Peer, may_reach
from harness.reach import SYSTEM
from harness.sidecars import with_sidecar
from harness.waiting import patience

FOLDERS = sorted(str(f.parent.relative_to(ROOT)) for f in (ROOT / "kustomize").rglob("kustomization.yaml") if "components" not in f.parts)


@pytest.fixture(scope="module", name="monitors")
def known_monitors(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with monitors(kubectl, tmp_path_factory.mktemp("no-module")):
        yield


def test_there_are_folders_to_test() -> None:
    for name in ("base/namespace", "base/crd", "overlays/local", "overlays/production", "overlays/production/namespace"):
        assert f"kustomize/{name}" in FOLDERS
    for service in SERVICES:
        for name in ("base", "overlays/local", "overlays/production"):
            assert f"kustomize/{name}/{service}" in FOLDERS


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.usefixtures("monitors")
@pytest.mark.xdist_group("monitors")  # made once
def test_a_folder_is_built_and_taken_by_the_api_server(kubectl: Kubectl, folder: str) -> None:
    built = kubectl("kustomize", str(ROOT / folder))
    assert list(yaml.safe_load_all(built))
    done = kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=built)
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_alone_owns_nothing_that_others_need(kubectl: Kubectl, service: str) -> None:
    for folder in (f"kustomize/base/{service}", f"kustomize/overlays/local/{service}", f"{PRODUCTION}/{service}"):
        for found in objects_of(kubectl, folder):
            assert found["kind"] not in ("Namespace", "CustomResourceDefinition"), found["metadata"]
            assert service in found["metadata"]["name"], found["metadata"]


def test_production_is_its_parts_the_monitors_and_the_alerts(kubectl: Kubectl) -> None:
    parts = [f"{PRODUCTION}/namespace", "kustomize/base/crd", *(f"{PRODUCTION}/{service}" for service in SERVICES)]
    named = [(o["kind"], o["metadata"]["name"]) for part in parts for o in objects_of(kubectl, part)]
    assert len(named) == len(set(named)), "two parts own the same object"
    whole = [(o["kind"], o["metadata"]["name"]) for o in objects_of(kubectl, PRODUCTION)]
    operators = [(kind, name) for kind in ("ServiceMonitor", "PrometheusRule") for name in (*SERVICES, "metrics-collector")]
    assert sorted(whole) == sorted([*named, *operators])


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_in_production_outlives_a_node(kubectl: Kubectl, service: str) -> None:
    found = {o["kind"]: o for o in objects_of(kubectl, f"{PRODUCTION}/{service}")}
    deployment = found["Deployment"]["spec"]
    pod, labels = deployment["template"]["spec"], deployment["template"]["metadata"]["labels"]
    assert deployment["replicas"] == 2 and deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    (container,) = pod["containers"]
    version = (ROOT / "VERSION").read_text().strip()
    assert container["image"] == f"nemesis/{service}:{version}"
    # Names that a variable refers to must stand before it.
    known: set[str] = set()
    for variable in container["env"]:
        assert {part.split(")")[0] for part in variable.get("value", "").split("$(")[1:]} <= known, container["env"]
        known.add(variable["name"])
    (term,) = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    (spread,) = pod["topologySpreadConstraints"]
    budget = found["PodDisruptionBudget"]["spec"]
    for selector in (term["podAffinityTerm"]["labelSelector"], spread["labelSelector"], budget["selector"]):
        assert selector["matchLabels"].items() <= labels.items(), selector
    assert budget["maxUnavailable"] == 1 and spread["whenUnsatisfiable"] == "ScheduleAnyway"
    assert pod["priorityClassName"] == found["PriorityClass"]["metadata"]["name"] and not found["PriorityClass"].get("globalDefault")


@pytest.mark.parametrize(("folder", "tag"), [("kustomize/overlays/local", "dev"), (PRODUCTION, "")])
def test_the_webhook_leads_to_the_port_that_the_controller_has(kubectl: Kubectl, folder: str, tag: str) -> None:
    objects = objects_of(kubectl, folder)
    deployment, service = (
        next(o for o in objects if o["kind"] == kind and o["metadata"]["name"] == "autoscaler-controller")
        for kind in ("Deployment", "Service")
    )
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    env = {v["name"]: v.get("value") for v in container["env"]}
    assert len(env) == len(container["env"]), container["env"]
    assert env["NEMESIS_SIDECAR_IMAGE"] == f"nemesis/sidecar:{tag or (ROOT / 'VERSION').read_text().strip()}"
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    (port,) = [p for p in service["spec"]["ports"] if p["name"] == "webhook"]
    assert env["NEMESIS_WEBHOOK_LISTEN"] == f":{ports[port['targetPort']]}"
    hooks = [h for o in objects if o["kind"].endswith("WebhookConfiguration") for h in o["webhooks"]]
    assert len(hooks) == 2
    for hook in hooks:
        assert hook["clientConfig"] == {"service": {"name": "autoscaler-controller", "namespace": "nemesis-system", "port": port["port"]}}
        assert hook["failurePolicy"] == "Ignore" and hook["sideEffects"] == "None" and hook["timeoutSeconds"] <= 2


def test_the_policy_puts_in_the_sidecar_of_this_version(kubectl: Kubectl) -> None:
    found = {o["kind"]: o for o in objects_of(kubectl, "kustomize/components/sidecar-policy")}
    policy = found["MutatingAdmissionPolicy"]["spec"]
    assert policy["variables"][0] == {"name": "image", "expression": f"'nemesis/sidecar:{(ROOT / 'VERSION').read_text().strip()}'"}
    assert policy["failurePolicy"] == "Ignore" and "paramKind" not in policy
    assert found["MutatingAdmissionPolicyBinding"]["spec"]["policyName"] == found["MutatingAdmissionPolicy"]["metadata"]["name"]


def test_who_edits_a_namespace_writes_no_status(kubectl: Kubectl) -> None:
    """Since when a host or prefix is claimed stands there, and decides who has it."""
    roles = [o for o in objects_of(kubectl, "kustomize/base/crd") if o["kind"] == "ClusterRole"]
    assert len(roles) == 3
    for rule in (r for role in roles for r in role["rules"]):
        if {"*", "customautoscalers/*", "customautoscalers/status"} & set(rule.get("resources", [])):
            assert set(rule["verbs"]) <= {"get", "list", "watch"}, rule


def test_the_dashboards_come_as_config_maps_that_grafana_loads(kubectl: Kubectl) -> None:
    folder = ROOT / "kustomize" / "components" / "grafana-dashboards"
    files = {f.name: f.read_text() for f in folder.glob("*.json")}
    found: dict[str, str] = {}
    for config in objects_of(kubectl, "kustomize/components/grafana-dashboards"):
        assert config["kind"] == "ConfigMap" and config["metadata"]["namespace"] == "nemesis-system"
        assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
        found |= config["data"]
    assert found == files and len(files) == 3


def test_the_spool_fits_into_its_volume(kubectl: Kubectl) -> None:
    (deployment,) = [o for o in objects_of(kubectl, "kustomize/base/load-balancer") if o["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    (volume,) = [v for v in pod["volumes"] if "emptyDir" in v]
    (mount,) = [m for m in pod["containers"][0]["volumeMounts"] if m["name"] == volume["name"]]
    settings = (ROOT / "services" / "load-balancer" / "internal" / "app" / "settings.go").read_text()
    folder, room = re.search(r'"log-spool-dir", "([^"]+)"', settings), re.search(r'"log-spool-mib", (\d+)', settings)
    assert folder and room and mount == {"name": volume["name"], "mountPath": folder[1]}
    assert int(volume["emptyDir"]["sizeLimit"].removesuffix("Mi")) > int(room[1]) * 17 / 16


BALANCER_FOLDERS = [f for f in FOLDERS if f.endswith("load-balancer") or f in ("kustomize/overlays/local", PRODUCTION)]


@pytest.mark.parametrize("folder", BALANCER_FOLDERS)
def test_a_load_balancer_has_the_time_that_its_drain_takes(kubectl: Kubectl, folder: str) -> None:
    (deployment,) = [o for o in objects_of(kubectl, folder) if o["kind"] == "Deployment" and o["metadata"]["name"] == "load-balancer"]
    pod = deployment["spec"]["template"]["spec"]
    env = {v["name"]: v.get("value", "") for v in pod["containers"][0]["env"]}
    given = {key: patience(env[f"NEMESIS_{key.upper().replace('-', '_')}"]) for key in ("lame-duck", "drain-timeout")}
    assert pod["terminationGracePeriodSeconds"] == sum(given.values()) + 5  # and the last report
    if folder == "kustomize/base/load-balancer":  # what a pod without these variables does
        settings = (ROOT / "services" / "load-balancer" / "internal" / "app" / "settings.go").read_text()
        units = {"Second": 1, "Minute": 60}
        standard = {key: re.search(rf'"{key}", (\d+)\*time\.(Second|Minute)', settings) for key in given}
        assert given == {key: int(found[1]) * units[found[2]] for key, found in standard.items() if found}


WITH_SIDECAR = Peer("shop", {"app": "fibonacci", "nemesis/sidecar": "true"})
PROMETHEUS = Peer("monitoring", {"app": "prometheus"})


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        (OUTSIDE, BALANCER, 8080, True),
        (APPLICATION, BALANCER, 8080, True),
        (APPLICATION, BALANCER, 8081, False),
        (OUTSIDE, BALANCER, 8081, False),
        (WITH_SIDECAR, BALANCER, 8081, False),
        (PROMETHEUS, BALANCER, 8081, True),
        (OPERATOR_SHELL, BALANCER, 8081, True),
        (BALANCER, BALANCER, 8082, True),
        (CONTROLLER, BALANCER, 8082, False),
        (APPLICATION, BALANCER, 8082, False),
        (PROMETHEUS, BALANCER, 8082, False),
        (INTRUDER, BALANCER, 8082, False),
        (BALANCER, CONTROLLER, 8080, True),
        (CONTROLLER, CONTROLLER, 8080, True),
        (WITH_SIDECAR, CONTROLLER, 8080, True),
        (PROMETHEUS, CONTROLLER, 8080, True),
        (OPERATOR_SHELL, CONTROLLER, 8080, True),
        (APPLICATION, CONTROLLER, 8080, False),
        (OUTSIDE, CONTROLLER, 8080, False),
        (BALANCER, APPLICATION, 5001, True),
        (BALANCER, OUTSIDE, 443, False),
        (CONTROLLER, OUTSIDE, 443, True),
        (CONTROLLER, OUTSIDE, 6443, True),
        (CONTROLLER, OUTSIDE, 80, False),
        (CONTROLLER, APPLICATION, 5001, False),
        (CONTROLLER, PROMETHEUS, 4318, True),
        (INTRUDER, CONTROLLER, 8080, False),
        (OUTSIDE, CONTROLLER, 9443, True),  # the API server's questions
        (OUTSIDE, BALANCER, 9443, False),
        (INTRUDER, OUTSIDE, 443, False),
        (APPLICATION, INTRUDER, 80, False),
    ],
)
def test_the_walls_of_production_let_through_what_is_needed_alone(
    kubectl: Kubectl, source: Peer, target: Peer, port: int, allowed: bool
) -> None:
    policies = [o for o in objects_of(kubectl, PRODUCTION) if o["kind"] == "NetworkPolicy"]
    assert may_reach(policies, source, target, port) == allowed
    for pod in (CONTROLLER, BALANCER):
        assert may_reach(policies, pod, OUTSIDE, 53, "UDP") and not may_reach(policies, INTRUDER, OUTSIDE, 53, "UDP")


def test_the_otlp_component_reaches_both_services(kubectl: Kubectl, tmp_path: Path) -> None:
    objects = with_components(kubectl, tmp_path, "local", "otlp")
    (settings,) = [o for o in objects if o["kind"] == "ConfigMap"]
    deployments = [o for o in objects if o["kind"] == "Deployment"]
    assert len(deployments) == 2
    for deployment in deployments:
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
    assert settings["data"]["OTEL_EXPORTER_OTLP_ENDPOINT"].endswith(":4318")


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_the_clear_text_component_lets_services_of_both_versions_meet(kubectl: Kubectl, tmp_path: Path, overlay: str) -> None:
    def said(objects: list[dict]) -> dict[str, tuple[dict[str, str], bool]]:
        """What each service is set to, and whether its pod starts before there is an authority."""
        found = {}
        for o in objects:
            if o["kind"] in ("Deployment", "DaemonSet") and o["metadata"]["namespace"] == SYSTEM:
                pod = o["spec"]["template"]["spec"]
                env = {e["name"]: e["value"] for e in pod["containers"][0]["env"] if e["name"] in wanted}
                sources = [s for v in pod.get("volumes", []) for s in v.get("projected", {}).get("sources", [])]
                needed = [s for s in sources if s.get("configMap", {}).get("name") == "nemesis-ca" and not s["configMap"].get("optional")]
                found[o["metadata"]["name"]] = (env, not needed)
        return found

    wanted = {"NEMESIS_CLEAR_TEXT": "true", "NEMESIS_AUTHENTICATION": "optional"}
    plain = said(with_components(kubectl, tmp_path, overlay, "collector"))
    assert plain == {"autoscaler-controller": ({}, True), "load-balancer": ({}, False), "metrics-collector": ({}, False)}
    both = said(with_components(kubectl, tmp_path, overlay, "collector", "clear-text"))
    assert both == dict.fromkeys(plain, (wanted, True))


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_the_sharding_component_is_taken_by_the_api_server(kubectl: Kubectl, tmp_path: Path, overlay: str) -> None:
    plain = {(o["kind"], o["metadata"]["name"]) for o in objects_of(kubectl, f"kustomize/overlays/{overlay}")}
    objects = with_components(kubectl, tmp_path, overlay, "sharding")
    added = {o["kind"]: o for o in objects if (o["kind"], o["metadata"]["name"]) not in plain}
    assert sorted(added) == ["ConfigMap", "Role", "RoleBinding"]
    for meta in (o["metadata"] for o in added.values()):
        assert meta["namespace"] == SYSTEM and meta["labels"]["app.kubernetes.io/part-of"] == "nemesis", meta
    (controller,) = [o for o in objects if o["kind"] == "Deployment" and o["metadata"]["name"] == "autoscaler-controller"]
    assert controller["spec"]["replicas"] == 3 < int(added["ConfigMap"]["data"]["NEMESIS_SHARDS"])
    (container,) = controller["spec"]["template"]["spec"]["containers"]
    env = {v["name"]: v for v in container["env"]}
    assert env["NEMESIS_SHARDS"]["valueFrom"]["configMapKeyRef"]["name"] == added["ConfigMap"]["metadata"]["name"]
    assert env["NEMESIS_ADVERTISE"] and len(env) == len(container["env"])
    assert env["GOMEMLIMIT"]["value"] == "920MiB" and container["resources"]["limits"]["memory"] == "1Gi"
    (subject,) = added["RoleBinding"]["subjects"]
    assert subject["name"] == controller["spec"]["template"]["spec"]["serviceAccountName"]
    done = kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all([*added.values(), controller]))
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
    if overlay == "production":  # replicas pass calls on to one another, and two of them stay when a node goes
        policies = [o for o in objects if o["kind"] == "NetworkPolicy"]
        assert may_reach(policies, CONTROLLER, CONTROLLER, 8080)
        (budget,) = [o for o in objects if o["kind"] == "PodDisruptionBudget" and o["metadata"]["name"] == "autoscaler-controller"]
        assert budget["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_the_data_tls_component_mounts_the_certificate_where_it_is_read(kubectl: Kubectl, tmp_path: Path, overlay: str) -> None:
    objects = with_components(kubectl, tmp_path, overlay, "data-tls")
    found = {o["kind"]: o for o in objects if o["metadata"]["name"] == "load-balancer"}
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = {v["name"]: v.get("value") for v in container["env"]}
    (port,) = [p for p in found["Service"]["spec"]["ports"] if p["name"] == "data-tls"]
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert env["NEMESIS_TLS_LISTEN"] == f":{ports[port['targetPort']]}" and env["NEMESIS_HTTPS_REDIRECT_PORT"] == str(port["port"])
    assert len(ports) - 1 == len(found["Service"]["spec"]["ports"]) == 3  # the peers' port is no Service's: each is asked by itself
    (mount,) = [m for m in container["volumeMounts"] if m["mountPath"] == env["NEMESIS_TLS_CERT_DIRS"]]
    assert mount["name"] in {v["name"] for v in pod["volumes"] if v.get("secret")}
    if overlay == "production":
        policies = [o for o in objects if o["kind"] == "NetworkPolicy"]
        assert may_reach(policies, OUTSIDE, BALANCER, ports["data-tls"])
    done = kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all([found["Deployment"], found["Service"]]))
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr


@pytest.mark.parametrize(("source", "sees"), [("auto", "processes"), ("none", "nothing"), ("pod-cgroup", "cgroups")])
def test_the_sidecar_is_the_last_container_and_sees_what_it_is_to(kubectl: Kubectl, source: str, sees: str) -> None:
    (deployment,) = [o for o in with_sidecar(kubectl, fibonacci("shop"), source) if o["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    sidecar = pod["containers"][-1]
    assert sidecar["name"] == "nemesis-sidecar" and "ports" not in sidecar, sidecar
    assert pod.get("shareProcessNamespace", False) is (sees == "processes")
    hosts = [v["name"] for v in pod.get("volumes", []) if "hostPath" in v]
    assert bool(hosts) is (sees == "cgroups") and {m["name"] for m in sidecar["volumeMounts"]} == {IDENTITY, *hosts}
    assert all(m["readOnly"] for m in sidecar["volumeMounts"])
    says_who_it_is(pod, sidecar)
    for other in pod["containers"][:-1]:  # the token is none of the application's business
        assert IDENTITY not in {m["name"] for m in other.get("volumeMounts", [])}, other


IDENTITY = "nemesis-identity"


def says_who_it_is(pod: dict, container: dict) -> None:
    """Its one token is for Nemesis alone, and is where each service of ours looks for it."""
    assert pod["automountServiceAccountToken"] is False
    (mount,) = [m for m in container["volumeMounts"] if m["name"] == IDENTITY]
    (volume,) = [v for v in pod["volumes"] if v["name"] == IDENTITY]
    tokens = [
        s["serviceAccountToken"] for v in pod["volumes"] for s in v.get("projected", {}).get("sources", []) if "serviceAccountToken" in s
    ]
    assert tokens == [{"audience": "nemesis", "expirationSeconds": 3600, "path": "token"}], tokens
    assert tokens[0] in [s.get("serviceAccountToken") for s in volume["projected"]["sources"]]
    looked_for = re.search(r'DefaultFile = "([^"]+)"', (ROOT / "pkg" / "bearer" / "bearer.go").read_text())
    assert looked_for and f"{mount['mountPath']}/{tokens[0]['path']}" == looked_for[1] and mount["readOnly"]


@pytest.mark.parametrize(
    ("folder", "kind", "name"),
    [
        ("kustomize/overlays/local", "Deployment", "load-balancer"),
        (PRODUCTION, "Deployment", "load-balancer"),
        ("kustomize/components/collector", "DaemonSet", "metrics-collector"),
    ],
)
def test_who_calls_the_controller_says_who_it_is(kubectl: Kubectl, folder: str, kind: str, name: str) -> None:
    objects = objects_of(kubectl, folder)
    (workload,) = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
    pod = workload["spec"]["template"]["spec"]
    says_who_it_is(pod, pod["containers"][0])
    (account,) = [o for o in objects if o["kind"] == "ServiceAccount" and o["metadata"]["name"] == pod["serviceAccountName"]]
    assert account["metadata"]["name"] == name and account["metadata"]["namespace"] == SYSTEM  # by which the controller knows it
    assert account["automountServiceAccountToken"] is False
    for binding in (o for o in objects if o["kind"] in ("RoleBinding", "ClusterRoleBinding")):
        assert name not in [s["name"] for s in binding["subjects"]], "it has no right in the cluster"


@pytest.mark.parametrize("manifest", sorted((ROOT / "e2e" / "apps").glob("*/k8s.yaml"), key=str), ids=lambda p: p.parent.name)
def test_the_sample_applications_are_taken_by_the_api_server(kubectl: Kubectl, namespace: str, manifest: Path) -> None:
    objects = [o for o in yaml.safe_load_all(manifest.read_text()) if o and o["kind"] != "Namespace"]
    for found in objects:
        found["metadata"]["namespace"] = namespace
    done = kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all(objects))
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
