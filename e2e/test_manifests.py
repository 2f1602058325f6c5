"""Every kustomize folder is whole, and the cluster takes it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from harness.applications import fibonacci
from harness.kubectl import Kubectl
from harness.policies import Peer, may_reach
from harness.sidecars import with_sidecar
from harness.waiting import NotYet, eventually, patience

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = sorted(str(f.parent.relative_to(ROOT)) for f in (ROOT / "kustomize").rglob("kustomization.yaml") if "components" not in f.parts)
SERVICES = ["autoscaler-controller", "load-balancer"]
PRODUCTION = "kustomize/overlays/production"
GROUP = "monitoring.coreos.com"
OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"


def objects_of(kubectl: Kubectl, folder: str) -> list[dict]:
    return list(yaml.safe_load_all(kubectl("kustomize", str(ROOT / folder))))


@pytest.fixture(scope="module")
def monitors(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The cluster knows ServiceMonitors and rules: by the operator that it has, else by the operator's own definitions for a while."""
    missing = [name for name in ("servicemonitors", "prometheusrules") if kubectl.run("get", "crd", f"{name}.{GROUP}").returncode]
    if not missing:
        yield
        return
    nowhere = tmp_path_factory.mktemp("no-module")
    download = ["go", "mod", "download", "-json", OPERATOR]

    def fetched() -> subprocess.CompletedProcess[str]:
        got = subprocess.run(download, cwd=nowhere, capture_output=True, text=True, timeout=300, check=False)
        if got.returncode:
            raise NotYet(got.stdout + got.stderr)  # a registry may be out of reach for a moment
        return got

    got = eventually(fetched, "the operator's definitions are here", every=5)
    definitions = Path(json.loads(got.stdout)["Dir"]) / "example" / "prometheus-operator-crd"
    try:
        for name in missing:
            kubectl("create", "-f", str(definitions / f"{GROUP}_{name}.yaml"))
            kubectl("wait", "--for=condition=Established", f"crd/{name}.{GROUP}", "--timeout=30s")
        yield
    finally:
        for name in missing:
            kubectl.run("delete", "crd", f"{name}.{GROUP}", "--ignore-not-found")


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


SYSTEM = "nemesis-system"
CONTROLLER, BALANCER = (Peer(SYSTEM, {"app.kubernetes.io/name": service}) for service in SERVICES)
APPLICATION = Peer("shop", {"app": "fibonacci"})
WITH_SIDECAR = Peer("shop", {"app": "fibonacci", "nemesis/sidecar": "true"})
PROMETHEUS = Peer("monitoring", {"app": "prometheus"})
OPERATOR_SHELL = Peer("tools", {}, {"nemesis/operators": "true"})
INTRUDER = Peer(SYSTEM, {"app": "intruder"})
OUTSIDE = Peer()


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


def with_components(kubectl: Kubectl, folder: Path, overlay: str, *components: str, patches: list[dict] | None = None) -> list[dict]:
    up = Path(*[".."] * (len(folder.parts) - 1)) / ROOT.relative_to("/") / "kustomize"
    parts = {"resources": [f"{up}/overlays/{overlay}"], "components": [f"{up}/components/{c}" for c in components]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({**parts, "patches": patches or []}))
    return list(yaml.safe_load_all(kubectl("kustomize", str(folder))))


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
    got = subprocess.run(["go", "mod", "download", "-json", ECK], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert got.returncode == 0, got.stdout + got.stderr
    text = (Path(json.loads(got.stdout)["Dir"]) / "config" / "crds" / "v1" / "all-crds.yaml").read_text()
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


@pytest.mark.parametrize("manifest", sorted((ROOT / "e2e" / "apps").glob("*/k8s.yaml"), key=str), ids=lambda p: p.parent.name)
def test_the_sample_applications_are_taken_by_the_api_server(kubectl: Kubectl, namespace: str, manifest: Path) -> None:
    objects = [o for o in yaml.safe_load_all(manifest.read_text()) if o and o["kind"] != "Namespace"]
    for found in objects:
        found["metadata"]["namespace"] = namespace
    done = kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all(objects))
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
