"""Use case 10, get cluster metrics: pushed by sidecars to POST /metrics, or read from the Kubernetes metrics API.

That a sidecar pushes them by itself is test_sidecar.py's.
"""

from __future__ import annotations

from harness.accounts import bearer, of_pod, waiting_pod
from harness.applications import fibonacci
from harness.cluster import Object
from harness.nemesis import Nemesis
from harness.problems import problem
from harness.waiting import eventually


def test_metrics_come_with_their_age_and_who_says_so(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, replicas=2, spec={"minReplicas": 2, "cpuThreshold": 900, "memoryThreshold": 60})
    nemesis.deploy(app)

    def use() -> Object:
        (found,) = nemesis.read("/v1/metrics", namespace=namespace, deployment=app.name)["items"]
        return found

    def whole() -> Object:
        found = use()
        means = {m["metricType"]: m for m in found["means"]}
        assert means["CPU_USAGE"]["pods"] == means["MEMORY_USAGE"]["pods"] == 2, found
        return found

    # Without a sidecar the Kubernetes metrics API tells of every pod.
    found = eventually(whole, "Kubernetes tells what both pods use")
    means = {m["metricType"]: m for m in found["means"]}
    assert means["CPU_USAGE"]["unit"] and means["CPU_USAGE"]["missing"] == 0 and means["CPU_USAGE"]["ageSeconds"] >= 0, means
    assert 0 < means["MEMORY_USAGE"]["mean"] < 64, means
    assert {p["metrics"]["source"] for p in found["pods"]} == {"Kubernetes"}, found
    assert all(p["metrics"]["fresh"] and p["metrics"]["ageSeconds"] < 90 for p in found["pods"]), found

    # What a sidecar pushes counts before that, for its pod alone.
    pushed, other = (p["pod"] for p in found["pods"])
    body = {
        "podName": pushed,
        "namespace": namespace,
        "metrics": {"cpuUsage": 321.5, "memoryUsage": 12.25, "diskUsage": 3, "responseTime": 40},
    }
    itself = bearer(of_pod(nemesis.cluster, nemesis.cluster.get("Pod", pushed, namespace)))
    answer = nemesis.http.post(nemesis.controller_url + "/metrics", json=body, headers=itself)
    assert (answer.status_code, answer.json()) == (200, {"status": "Metrics received"}), answer.text

    def told() -> dict[str, Object]:
        pods = {p["pod"]: p["metrics"] for p in use()["pods"]}
        assert pods[pushed]["source"] == "Sidecar", pods
        return pods

    pods = eventually(told, "the push is told", promised=5)
    assert {k: pods[pushed]["values"][k] for k in body["metrics"]} == body["metrics"], pods
    assert pods[pushed]["ageSeconds"] < 5 and pods[other]["source"] == "Kubernetes", pods
    means = {m["metricType"]: m for m in use()["means"]}
    assert means["AVERAGE_RESPONSE_TIME"]["mean"] == 40 and means["DISK_USAGE"]["pods"] == 1 and means["DISK_USAGE"]["missing"] == 1, means
    # The same, with everything else that is known of the application.
    told_whole = {m["metricType"]: m for m in nemesis.application(app)["metrics"]}
    assert told_whole["CPU_USAGE"]["pods"] == 2, told_whole


def test_a_push_that_is_no_measurement_is_refused_and_the_field_is_named(nemesis: Nemesis, namespace: str) -> None:
    url = nemesis.controller_url + "/metrics"
    with waiting_pod(nemesis.cluster, "nobodys", namespace=namespace) as pod:
        name, itself = pod["metadata"]["name"], bearer(of_pod(nemesis.cluster, pod))
        bad = {"podName": name, "namespace": namespace, "metrics": {"cpuUsage": -1, "memoryUsage": -2, "cpuUse": 3}}
        named = {e["field"] for e in problem(nemesis.http.post(url, json=bad, headers=itself), 400, "invalid")["errors"]}
        assert named == {"metrics.cpuUsage", "metrics.memoryUsage"}, named
        # A field that is not known is of a later version, and ignored.
        later = {"podName": name, "namespace": namespace, "metrics": {"cpuUse": 3}}
        assert nemesis.http.post(url, json=later, headers=itself).json() == {"status": "Metrics received"}
        # Of a pod that no application has it is taken and dropped: it may be seen a moment later.
        early = {"podName": name, "namespace": namespace, "metrics": {"cpuUsage": 1}}
        assert nemesis.http.post(url, json=early, headers=itself).json() == {"status": "Metrics received"}
    assert nemesis.read("/v1/metrics", namespace=namespace)["items"] == []
