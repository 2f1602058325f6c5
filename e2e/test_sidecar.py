"""The sidecar, in pods of a plain application: it measures its pod, and the controller decides by it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from harness.applications import Application, fibonacci
from harness.cluster import Object
from harness.metrics import differences, of_page, shown
from harness.nemesis import CONTROLLER, Nemesis
from harness.services import scaled
from harness.sidecars import PORT, with_sidecar
from harness.waiting import PATIENCE, eventually


def awake(nemesis: Nemesis, app: Application, source: str = "auto") -> tuple[Object, str]:
    """The application's one pod, and the address of its sidecar."""
    nemesis.cluster.apply(*with_sidecar(nemesis.cluster.kubectl, app, source))
    nemesis.known(app)
    assert nemesis.ask(app).status_code == 200
    (pod,) = nemesis.cluster.list("Pod", app.namespace, labels=f"app={app.name}")
    return pod, nemesis.reach.pod(pod, PORT)


def measured(nemesis: Nemesis, sidecar: str) -> Object:
    answer = nemesis.http.get(sidecar + "/v1/metrics")
    assert answer.status_code == 200, answer.text
    return answer.json()


@contextmanager
def burning(nemesis: Nemesis, app: Application) -> Iterator[None]:
    """One request at a time, each of much work: about one core, or the container's limit."""
    stop = threading.Event()

    def burn() -> None:
        with httpx.Client(timeout=PATIENCE, trust_env=False) as client:
            while not stop.is_set():
                client.get(nemesis.data_url + app.prefix + "/fib/36")

    thread = threading.Thread(target=burn)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def by_kubelet(nemesis: Nemesis, pod: Object) -> tuple[float, float]:
    """What the kubelet measured of the pod: CPU in millicores, working set in MiB; 0 while it has not."""
    summary = nemesis.cluster.call("GET", f"/api/v1/nodes/{pod['spec']['nodeName']}/proxy/stats/summary")
    (stats,) = [p for p in summary["pods"] if p["podRef"]["uid"] == pod["metadata"]["uid"]]
    return stats.get("cpu", {}).get("usageNanoCores", 0) / 1e6, stats.get("memory", {}).get("workingSetBytes", 0) / 2**20


@pytest.mark.alone  # it burns a core, and measures it
@pytest.mark.parametrize("source", ["processes", "pod-cgroup"])
def test_the_sidecar_measures_what_the_kubelet_measures(nemesis: Nemesis, namespace: str, source: str) -> None:
    app = fibonacci(namespace)
    if source == "pod-cgroup":  # the node's control groups are a hostPath
        privileged = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
        nemesis.cluster.patch("Namespace", namespace, "", privileged)
    pod, sidecar = awake(nemesis, app, source)
    seen: list[tuple[tuple[float, float], tuple[float, float]]] = []

    def agreed() -> bool:
        ours = measured(nemesis, sidecar)["metrics"]
        seen.append(((ours.get("cpuUsage", 0), ours["memoryUsage"]), by_kubelet(nemesis, pod)))
        (cpu, memory), (kubelet_cpu, kubelet_memory) = seen[-1]
        # The two look at different times, and the machine is not quiet: a factor, a few MiB, would be a mistake.
        return cpu > 300 and 0.8 < cpu / (kubelet_cpu or 1) < 1.25 and abs(memory - kubelet_memory) < 8

    with burning(nemesis, app):
        eventually(agreed, "sidecar and kubelet agree under load")
    print(f"{source}: CPU m and memory MiB, sidecar and kubelet: {seen[-1]}")


@pytest.mark.alone  # likewise
def test_the_sidecar_measures_its_pod_and_the_controller_decides_by_it(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"cpuThreshold": 300, "maxReplicas": 2})
    pod, sidecar = awake(nemesis, app)
    idle = eventually(lambda: measured(nemesis, sidecar), "it has measured")
    assert idle["podName"] == pod["metadata"]["name"] and idle["namespace"] == namespace, idle
    assert 0 < idle["metrics"]["memoryUsage"] < 200, idle  # the pod's, not the node's

    with burning(nemesis, app):
        decision = eventually(
            lambda: next(iter(nemesis.decisions(app, trigger="Threshold", result="applied")), None),
            "the threshold has added a pod",
        )
    assert (decision["from"], decision["to"]) == (1, 2) and "above cpuThreshold 300 m" in decision["summary"], decision
    (cpu,) = [i for r in decision["reasons"] for i in r.get("inputs", []) if i["name"] == "cpuUsage"]
    assert 300 < cpu["value"] < 1100, cpu  # one request at a time burns one core, whatever the node has
    uses = {p["pod"]: p["metrics"] for a in nemesis.read("/v1/metrics", namespace=namespace)["items"] for p in a["pods"] if "metrics" in p}
    assert uses[pod["metadata"]["name"]]["source"] == "Sidecar", uses


def test_the_sidecar_measures_and_sends_at_once_on_command(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    _, sidecar = awake(nemesis, app)
    eventually(lambda: measured(nemesis, sidecar), "it has measured")
    collected = nemesis.http.post(sidecar + "/v1/metrics/collect")
    assert collected.status_code == 200 and collected.json()["ageSeconds"] < 1, collected.text
    before = measured(nemesis, sidecar)["sent"]
    sent = nemesis.http.post(sidecar + "/v1/metrics/send")
    assert sent.status_code == 200 and sent.json()["sent"] > before and sent.json()["waiting"] == 0, sent.text
    assert nemesis.http.get(sidecar + "/healthz").status_code == 200
    page = (Path(__file__).resolve().parent.parent / "services" / "sidecar" / "METRICS.md").read_text()
    faults = differences(of_page(page, "sidecar"), shown(nemesis.http.get(sidecar + "/metrics").text))
    assert not faults, "\n".join(faults)


@pytest.mark.disruptive
def test_what_the_sidecar_measures_while_the_controller_is_away_is_kept_and_sent(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    _, sidecar = awake(nemesis, app)
    eventually(lambda: measured(nemesis, sidecar)["sent"] > 0, "the controller has taken something")
    with scaled(nemesis, CONTROLLER, 0):
        refused = eventually(lambda: failed(nemesis, sidecar), "a push fails")
        assert refused.headers["Content-Type"] == "application/problem+json", refused.text
        eventually(lambda: measured(nemesis, sidecar)["waiting"] > 0, "measurements wait")
    eventually(lambda: nemesis.http.post(sidecar + "/v1/metrics/send").status_code == 200, "they are taken")
    assert measured(nemesis, sidecar)["waiting"] == 0


def failed(nemesis: Nemesis, sidecar: str) -> httpx.Response:
    answer = nemesis.http.post(sidecar + "/v1/metrics/send")
    assert answer.status_code in (502, 503), answer.text
    return answer
