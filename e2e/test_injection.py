"""The sidecar that comes by itself, and what is said of a CustomAutoscaler as it is written."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.applications import Application, fibonacci, modelserver
from harness.cluster import Cluster, Object
from harness.kubectl import Kubectl
from harness.nemesis import CONTROLLER, Nemesis
from harness.reach import SYSTEM
from harness.services import scaled
from harness.waiting import eventually

SIDECAR = "nemesis-sidecar"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/nemesis-autoscaler-controller"
POLICY = Path(__file__).resolve().parents[1] / "kustomize" / "components" / "sidecar-policy"
INJECTED_AT_ONCE = 20  # seconds in which a controller that has just begun to lead has told the API server of itself


# As much as the application's container asks for by itself.
WHOLE: Object = {"resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}}


def containers(pod: Object) -> list[str]:
    return [c["name"] for c in pod["spec"]["containers"]]


def of_sidecar(pod: Object) -> Object:
    (found,) = [c for c in pod["spec"]["containers"] if c["name"] == SIDECAR]
    return found


def pod_of(nemesis: Nemesis, app: Application) -> Object:
    (pod,) = nemesis.cluster.list("Pod", app.namespace, labels=f"app={app.name}")
    return pod


def tried(cluster: Cluster, app: Application, namespace: str = "", spec: Object | None = None, **template: Any) -> Object:
    """The pod that the API server would make now of the application's template, as its ReplicaSet asks for it; `spec` is over
    the template's, and `template` over its metadata."""
    pod = copy.deepcopy(app.deployment["spec"]["template"])
    pod["spec"].update(spec or {})
    labels = {**pod["metadata"]["labels"], "pod-template-hash": "5d9c5b8f6d"}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{app.name}-5d9c5b8f6d", "uid": "0", "controller": True}
    name = f"{app.name}-5d9c5b8f6d-"
    pod["metadata"] = {**pod["metadata"], "generateName": name, "labels": labels, "ownerReferences": [owner], **template}
    return dry(cluster, {"apiVersion": "v1", "kind": "Pod", **pod}, namespace or app.namespace)


def dry(cluster: Cluster, pod: Object, namespace: str) -> Object:
    return cluster.call("POST", cluster.path("Pod", namespace=namespace), pod, dryRun="All")


def asked(nemesis: Nemesis, app: Application) -> None:
    """Applies the application and waits until the controller knows that it asks for the sidecar."""
    nemesis.deploy(app)
    eventually(lambda: SIDECAR in containers(tried(nemesis.cluster, app)), "a pod would get the sidecar")


def sources(nemesis: Nemesis, namespace: str) -> dict[str, str]:
    items = nemesis.read("/v1/metrics", namespace=namespace)["items"]
    return {p["pod"]: p["metrics"]["source"] for a in items for p in a["pods"] if "metrics" in p}


def test_an_untouched_deployment_is_measured(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"sidecar": {}})
    asked(nemesis, app)
    assert nemesis.ask(app).status_code == 200
    pod = pod_of(nemesis, app)
    assert containers(pod) == ["fibonacci", SIDECAR]  # the last one: the application waits for nothing of it
    assert pod["metadata"]["labels"]["nemesis/sidecar"] == "true" and pod["spec"]["shareProcessNamespace"]
    (mount,) = of_sidecar(pod)["volumeMounts"]
    assert mount["mountPath"] == "/var/run/secrets/nemesis" and mount["readOnly"] and "ports" not in of_sidecar(pod)
    name = pod["metadata"]["name"]
    eventually(lambda: sources(nemesis, namespace).get(name) == "Sidecar", "its sidecar measures it")
    deployment = nemesis.cluster.get("Deployment", app.name, namespace)
    assert len(deployment["spec"]["template"]["spec"]["containers"]) == 1  # nothing of it was changed


def test_a_model_servers_page_is_read_where_the_spec_says(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, spec={"sidecar": {"metricsPort": 8000, "shareProcesses": False}})
    asked(nemesis, app)
    assert nemesis.ask(app, "/health").status_code == 200
    pod = pod_of(nemesis, app)
    assert "shareProcessNamespace" not in pod["spec"]
    assert {"name": "NEMESIS_APP_METRICS_URL", "value": "http://localhost:8000/metrics"} in of_sidecar(pod)["env"]
    name = pod["metadata"]["name"]
    eventually(lambda: sources(nemesis, namespace).get(name) == "Sidecar", "its sidecar tells what the page shows")


@pytest.mark.parametrize(
    ("spec", "annotations"),
    [
        ({}, {}),
        ({"sidecar": {"enabled": False}}, {}),
        ({"sidecar": {}}, {"nemesis/inject": "false"}),
    ],
)
def test_who_does_not_ask_or_opts_out_is_left_alone(nemesis: Nemesis, namespace: str, spec: Object, annotations: dict[str, str]) -> None:
    asking = fibonacci(namespace, "asking", spec={"sidecar": {}})  # so that what follows is not only early
    app = fibonacci(namespace, spec=spec)
    nemesis.deploy(app)
    asked(nemesis, asking)
    assert containers(tried(nemesis.cluster, app, annotations=annotations)) == ["fibonacci"]
    stranger = fibonacci(namespace, "stranger")  # no CustomAutoscaler names it
    assert containers(tried(nemesis.cluster, stranger)) == ["fibonacci"]


def test_a_pod_that_says_what_all_its_containers_have_is_made(nemesis: Nemesis, namespace: str) -> None:
    """Were more asked for than it has, the API server would refuse it, and the application would not start."""
    app = fibonacci(namespace, spec={"sidecar": {}})
    asked(nemesis, app)
    pod = tried(nemesis.cluster, app, spec=WHOLE)
    assert containers(pod) == ["fibonacci", SIDECAR] and not of_sidecar(pod)["resources"], pod["spec"]


def test_a_second_time_changes_nothing(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"sidecar": {}})
    asked(nemesis, app)
    once = tried(nemesis.cluster, app)
    del once["metadata"]["labels"]["nemesis/sidecar"]  # with it nobody would be asked
    for key in ("resourceVersion", "uid", "creationTimestamp", "managedFields", "generation"):
        once["metadata"].pop(key, None)
    once["metadata"]["name"] = f"{app.name}-again"
    once.pop("status", None)
    twice = dry(nemesis.cluster, once, namespace)
    assert twice["spec"] == once["spec"]


@pytest.mark.disruptive  # a CustomAutoscaler in kube-system
def test_pods_of_kube_system_are_left_alone(nemesis: Nemesis, namespace: str) -> None:
    asking = fibonacci(namespace, spec={"sidecar": {}})
    app = Application("kube-system", f"e2e-{namespace}", spec={"sidecar": {}}, with_service=False)
    try:
        nemesis.cluster.apply(app.autoscaler)
        asked(nemesis, asking)
        assert containers(tried(nemesis.cluster, app)) == ["fibonacci"]
    finally:
        nemesis.cluster.delete("CustomAutoscaler", app.name, "kube-system")


@pytest.mark.disruptive
def test_without_nemesis_pods_are_made_as_before_and_those_with_a_sidecar_go_on(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"sidecar": {}})
    asked(nemesis, app)
    assert nemesis.ask(app).status_code == 200
    before = pod_of(nemesis, app)
    with scaled(nemesis, CONTROLLER, 0):
        began = time.monotonic()
        assert containers(tried(nemesis.cluster, app)) == ["fibonacci"]
        took = time.monotonic() - began
        print(f"a pod was made in {took * 1000:.0f} ms while nobody answered the webhook")
        assert took < 10  # it waits for the webhook's two seconds at the most
        assert nemesis.ask(app).status_code == 200
        pod = pod_of(nemesis, app)
        assert pod["metadata"]["uid"] == before["metadata"]["uid"]
        assert all(s["ready"] and s["restartCount"] == 0 for s in pod["status"]["containerStatuses"]), pod["status"]
    eventually(lambda: SIDECAR in containers(tried(nemesis.cluster, app)), "pods get the sidecar again", promised=INJECTED_AT_ONCE)


@pytest.mark.disruptive
def test_what_the_api_server_is_told_is_mended(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"sidecar": {}})
    asked(nemesis, app)
    (hook,) = nemesis.cluster.call("GET", CONFIGURATION)["webhooks"]
    secret = hook["clientConfig"]["service"]["path"].split("/")[1]
    assert len(secret) >= 20 and hook["failurePolicy"] == "Ignore", hook  # who does not know the path is not answered
    spoilt = {"webhooks": [{"name": hook["name"], "clientConfig": {"caBundle": None, "service": {"path": "/"}}}]}
    nemesis.cluster.call("PATCH", CONFIGURATION, spoilt, "application/strategic-merge-patch+json")
    eventually(
        lambda: nemesis.cluster.call("GET", CONFIGURATION)["webhooks"][0]["clientConfig"] == hook["clientConfig"],
        "the controller that leads has mended it",
        promised=INJECTED_AT_ONCE,
    )
    assert containers(tried(nemesis.cluster, app)) == ["fibonacci", SIDECAR]


@contextmanager
def policy(kubectl: Kubectl, cluster: Cluster) -> Iterator[None]:
    """The component sidecar-policy is in the cluster."""
    if kubectl.run("get", "--raw", "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies").returncode:
        pytest.skip("this Kubernetes has no MutatingAdmissionPolicy v1")
    objects = list(yaml.safe_load_all(kubectl("kustomize", str(POLICY))))
    for o in objects:
        if o["kind"] == "MutatingAdmissionPolicy":
            image = f"{os.environ.get('NEMESIS_IMAGES', 'nemesis')}/sidecar:{os.environ.get('NEMESIS_IMAGE_TAG', 'dev')}"
            o["spec"]["variables"][0]["expression"] = f"'{image}'"
    text = yaml.safe_dump_all(objects)
    kubectl("apply", "-f", "-", stdin=text)
    try:
        yield
    finally:
        kubectl("delete", "-f", "-", stdin=text)


@pytest.mark.disruptive
def test_the_policy_puts_in_what_the_webhook_does(nemesis: Nemesis, kubectl: Kubectl, namespace: str) -> None:
    app = fibonacci(namespace, spec={"sidecar": {}})
    asked(nemesis, app)
    other = fibonacci(namespace, "other")  # no CustomAutoscaler: the webhook has nothing to do with it
    page = {"nemesis/metrics-url": "http://localhost:5001/metrics"}
    by_webhook = tried(nemesis.cluster, app, annotations=page)
    with policy(kubectl, nemesis.cluster):
        eventually(
            lambda: SIDECAR in containers(tried(nemesis.cluster, other, annotations={**page, "nemesis/inject": "true"})),
            "the API server knows the policy",
        )
        by_policy = tried(nemesis.cluster, other, annotations={**page, "nemesis/inject": "true"})
        env = of_sidecar(by_policy)["env"]
        env.remove({"name": "NEMESIS_CONTROLLER_URL", "value": f"https://{CONTROLLER}.{SYSTEM}.svc:8080"})  # what it knows by itself
        assert of_sidecar(by_policy) == of_sidecar(by_webhook) and containers(by_policy)[-1] == SIDECAR
        for field in ("volumes", "shareProcessNamespace"):
            assert by_policy["spec"][field] == by_webhook["spec"][field], field
        assert by_policy["metadata"]["labels"]["nemesis/sidecar"] == "true"
        yes = {"nemesis/inject": "true"}
        whole = tried(nemesis.cluster, other, spec=WHOLE, annotations=yes)
        assert not of_sidecar(whole)["resources"], whole["spec"]
        elsewhere = tried(nemesis.cluster, other, spec={"nodeSelector": {"kubernetes.io/os": "windows"}}, annotations=yes)
        assert containers(elsewhere) == ["fibonacci"]
        for annotations in ({}, {"nemesis/inject": "false"}):
            assert containers(tried(nemesis.cluster, other, annotations=annotations)) == ["fibonacci"]
        both = tried(nemesis.cluster, app, annotations={"nemesis/inject": "true"})
        assert containers(both) == ["fibonacci", SIDECAR]  # once, whichever comes first


def said(kubectl: Kubectl, *objects: Object) -> tuple[int, str]:
    done = kubectl.run("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all(objects))
    return done.returncode, done.stderr


def test_what_does_not_fit_the_cluster_is_a_warning(nemesis: Nemesis, kubectl: Kubectl, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert said(kubectl, app.autoscaler) == (0, "")
    gpu = {"limits": {"memory": "64Mi", "nvidia.com/gpu": "1"}, "requests": {"memory": "16Mi", "nvidia.com/gpu": "1"}}
    model = fibonacci(namespace, "model")
    deployment = model.deployment
    deployment["spec"]["template"]["spec"]["containers"][0]["resources"] = gpu
    service = {**model.service, "spec": {**model.service["spec"], "selector": {"app": "somebody-else"}}}
    nemesis.cluster.apply(deployment, service)

    def warned(target: Object, *words: str) -> None:
        autoscaler = Application(namespace, "new", target={"name": "model", "service": "model", **target}).autoscaler

        def check() -> bool:
            code, text = said(kubectl, autoscaler)
            assert code == 0, text
            return all("Warning: " in text and word in text for word in words)

        eventually(check, f"it is said: {words}")

    warned({}, "limit of nvidia.com/gpu", "does not select the pods of the Deployment model")
    warned({"service": app.name, "name": app.name}, f"the Deployment {app.name} belongs to the CustomAutoscaler {app.name}, which is older")
    warned({"apiPrefix": app.prefix}, f"apiPrefix {app.prefix} belongs to the CustomAutoscaler {namespace}/{app.name}")
    nothing = Application(namespace, "new", target={"name": "nothing", "service": "nowhere"}).autoscaler
    assert said(kubectl, nothing) == (0, "")  # they may come a moment later; a condition says it when they do not
    warned({"service": app.name, "name": app.name, "port": "77"}, f"the Service {app.name} has no port 77")


def test_what_can_never_be_right_is_refused(kubectl: Kubectl, nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    for schedule, words in (
        ({"start": "0 8 32 * *"}, 'start: "0 8 32 * *" is not allowed'),
        ({"end": "0 8 30 2 *"}, 'end: "0 8 30 2 *" is not allowed: there is no such day'),
        ({"timeZone": "Moon/Tycho"}, 'timeZone: "Moon/Tycho" is not allowed'),
    ):
        office = {"name": "office", "start": "0 8 * * *", "end": "0 18 * * *", "minReplicas": 1, **schedule}
        code, text = said(kubectl, fibonacci(namespace, spec={"schedules": [office]}).autoscaler)
        assert code != 0 and "denied the request" in text and f"spec.schedules[office].{words}" in text, text
