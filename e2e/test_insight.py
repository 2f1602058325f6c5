"""What people see: objects, events, decisions with their reasons."""

from __future__ import annotations

from typing import Any

from harness.accounts import bearer, of_pod
from harness.applications import fibonacci
from harness.nemesis import BALANCER, Nemesis
from harness.problems import problem
from harness.shared import OWN_BALANCER
from harness.waiting import eventually


def test_kubectl_shows_state_replicas_and_why(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    nemesis.wait_state(app, "Awake")
    eventually(lambda: nemesis.cluster.get("CustomAutoscaler", app.name, namespace)["status"]["readyReplicas"] == 1, "it is ready")

    head, row = nemesis.cluster.kubectl("get", "ca", "-n", namespace).splitlines()
    assert head.split() == ["NAME", "TARGETS", "STATE", "REPLICAS", "READY", "WHY", "AGE"]
    cells = row.split()
    assert cells[:5] == [app.name, app.name, "Awake", "1", "1"], row
    assert "0 → 1: 1 request waits" in row, row
    wide, more = nemesis.cluster.kubectl("get", "ca", "-n", namespace, "-o", "wide").splitlines()
    assert {"MODE", "MIN", "MAX", "IDLE", "CONDITION"} < set(wide.split()) and " Ready " in more, more


def test_the_status_tells_conditions_and_the_last_decision(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    nemesis.wait_state(app, "Awake")

    found = nemesis.cluster.get("CustomAutoscaler", app.name, namespace)
    status = found["status"]
    assert status["observedGeneration"] == found["metadata"]["generation"]
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    assert conditions["TargetFound"] == "True" and conditions["AbleToScale"] == "True", status["conditions"]
    (target,) = status["targets"]
    decision = target["lastDecision"]
    assert (decision["trigger"], decision["from"], decision["to"], decision["applied"]) == ("StartCall", 0, 1, True), decision
    assert decision["summary"] and decision["result"] == "applied" and "reasons" not in decision, decision
    [whole] = [d for d in nemesis.decisions(app) if d["id"] == decision["id"]]
    assert whole["reasons"] and all(r["message"] for r in whole["reasons"]), whole
    assert conditions["Ready"] == "True" and {c["type"] for c in target["conditions"]} >= {"TargetFound", "AbleToScale"}, target


def test_a_scaling_is_an_event_of_the_autoscaler(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 1})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    nemesis.wait_replicas(app, 0)

    def told() -> bool:
        events = nemesis.cluster.list("Event", namespace, fields="involvedObject.kind=CustomAutoscaler")
        texts = [e["message"] for e in events]
        assert any("0 → 1" in t for t in texts) and any("1 → 0" in t for t in texts), texts
        return True

    eventually(told, "both scalings are told as events")
    assert "1 → 0" in nemesis.cluster.kubectl("describe", "ca", app.name, "-n", namespace)


def test_the_controller_tells_an_application_whole(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 60, "maxReplicas": 4})
    nemesis.deploy(app)
    for _ in range(5):
        assert nemesis.ask(app).status_code == 200

    def counted() -> dict:
        told = nemesis.application(app)
        assert told["traffic"]["requests"] == 5 and told["readyReplicas"] == 1, told
        return told

    told = eventually(counted, "the traffic is told")
    assert (told["state"], told["minReplicas"], told["maxReplicas"], told["idleTime"]) == ("Awake", 0, 4, 60)
    (pod,) = told["pods"]
    assert pod["state"] == "Ready" and pod["restarts"] == 0 and pod["name"].startswith(app.name), pod
    assert 0 < told["sleepsInSeconds"] <= 60 and told["lastActivityTime"], told
    latency = told["traffic"]["latencyMs"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"], latency
    (balancer,) = [b for b in told["traffic"]["balancers"] if not b["name"].startswith(OWN_BALANCER)]  # a test's own beside this one
    assert balancer["ageSeconds"] < 5, balancer
    assert told["expectedStartSeconds"] > 0, told


def test_applications_are_listed_in_order_and_filtered(nemesis: Nemesis, namespace: str) -> None:
    nemesis.deploy(fibonacci(namespace, "beta"), fibonacci(namespace, "alpha"))
    names = [a["deployment"] for a in nemesis.read("/v1/applications", namespace=namespace)["items"]]
    assert names == ["alpha", "beta"]
    everything = [(a["namespace"], a["deployment"]) for a in nemesis.read("/v1/applications")["items"]]
    assert everything == sorted(everything) and (namespace, "alpha") in everything


def test_decisions_come_newest_first_and_limited(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 1})
    nemesis.deploy(app)
    for _ in range(2):
        assert nemesis.ask(app).status_code == 200
        nemesis.wait_replicas(app, 0)
    applied = eventually(lambda: len(f := [d for d in nemesis.decisions(app) if d["applied"]]) >= 4 and f, "four decisions")
    assert [(d["from"], d["to"]) for d in applied[:4]] == [(1, 0), (0, 1), (1, 0), (0, 1)], applied
    times = [d["time"] for d in nemesis.decisions(app)]
    assert times == sorted(times, reverse=True)
    assert len(nemesis.decisions(app, limit=2)) == 2


def test_bad_queries_are_refused_with_field_value_and_range(nemesis: Nemesis) -> None:
    for path, query, field, value in [
        ("/v1/decisions", {"limit": "0"}, "limit", "0"),
        ("/v1/decisions", {"limit": "many"}, "limit", "many"),
        ("/v1/routes", {"wait": "5h"}, "wait", "5h"),
        ("/v1/applications", {"namespace": "Not_A_Name"}, "namespace", "Not_A_Name"),
    ]:
        document = problem(nemesis.http.get(nemesis.controller_url + path, params=query), 400, "invalid")
        (fault,) = document["errors"]
        assert field in fault["field"] and fault["value"] == value and fault["allowed"], document


def test_what_is_not_there_is_refused_404_and_405(nemesis: Nemesis, namespace: str) -> None:
    base = nemesis.controller_url
    problem(nemesis.http.get(f"{base}/v1/applications/{namespace}/nobody"), 404, "not-found")
    problem(nemesis.http.get(f"{base}/v1/nothing"), 404, "not-found")
    problem(nemesis.http.delete(f"{base}/v1/decisions"), 405, "method-not-allowed")
    balancer = nemesis.pods(BALANCER)[0]
    start = f"{base}/v1/namespaces/{namespace}/deployments/nobody/start"
    wake = {"balancer": balancer["metadata"]["name"], "waiting": 1}
    problem(nemesis.http.post(start, json=wake, headers=bearer(of_pod(nemesis.cluster, balancer))), 404, "not-found")
    problem(nemesis.http.get(nemesis.admin_url + "/loadbalancer/nothing"), 404, "not-found")


def test_a_report_that_is_no_report_is_refused_and_every_field_is_named(nemesis: Nemesis) -> None:
    bad = {"balancer": "", "startedAt": "yesterday", "sequence": -1, "leaving": False, "applications": []}
    balancer = bearer(of_pod(nemesis.cluster, nemesis.pods(BALANCER)[0]))
    document = problem(nemesis.http.post(nemesis.controller_url + "/v1/traffic", json=bad, headers=balancer), 400, "invalid")
    named = " ".join(e["field"] for e in document["errors"])
    assert "balancer" in named and "sequence" in named, document


def test_thresholds_say_whether_the_metrics_that_they_need_are_known(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"cpuThreshold": 700, "memoryThreshold": 60, "idleTime": 300})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    missing = nemesis.wait_condition(app, "ThresholdsActive", "False")
    assert "CPU_USAGE" in missing["message"] and "MEMORY_USAGE" in missing["message"], missing
    nemesis.wait_condition(app, "ThresholdsActive", "True")  # the metrics server has seen the pod
    (known,) = nemesis.read("/v1/metrics", namespace=namespace)["items"]
    means = {m["metricType"]: m for m in known["means"]}
    assert means["MEMORY_USAGE"]["mean"] > 0 and means["MEMORY_USAGE"]["pods"] == 1, means
    (pod,) = known["pods"]
    assert pod["metrics"]["source"] == "Kubernetes" and pod["metrics"]["ageSeconds"] < 90, pod


def test_lists_come_in_pages_and_by_fields(nemesis: Nemesis, namespace: str) -> None:
    apps = [fibonacci(namespace, name=f"page-{i}") for i in range(3)]
    for app in apps:
        nemesis.deploy(app)
        nemesis.known(app)

    def page(path: str, **params: object) -> dict[str, Any]:
        answer = nemesis.http.get(nemesis.controller_url + path, params={"namespace": namespace, **params})
        assert answer.status_code == 200, answer.text
        return answer.json()

    first = page("/v1/applications", limit=2)
    assert [a["deployment"] for a in first["items"]] == ["page-0", "page-1"] and first["metadata"]["remainingItemCount"] == 1, first
    rest = page("/v1/applications", limit=2, **{"continue": first["metadata"]["continue"]})
    assert [a["deployment"] for a in rest["items"]] == ["page-2"] and "continue" not in rest["metadata"], rest
    asleep = page("/v1/applications", fieldSelector="state=Asleep,metadata.name!=page-1", labelSelector="app=page-0")
    assert [a["deployment"] for a in asleep["items"]] == ["page-0"], asleep
    assert page("/v1/pods", fieldSelector="alive=true") == {"items": []}
    state = nemesis.http.get(nemesis.admin_url + "/loadbalancer/state", params={"namespace": namespace, "limit": 2}).json()
    assert len(state["applications"]) == 2 and state["metadata"]["remainingItemCount"] == 1, state

    wrong = {"fieldSelector": "phase=Running", "continue": first["metadata"]["continue"]}
    refused = problem(nemesis.http.get(nemesis.controller_url + "/v1/pods", params=wrong), 400, "invalid")
    assert refused["errors"][0]["value"] == "phase" and "node" in refused["errors"][0]["allowed"], refused
    foreign = {"continue": first["metadata"]["continue"]}
    refused = problem(nemesis.http.get(nemesis.controller_url + "/v1/pods", params=foreign), 400, "invalid")
    assert refused["errors"][0]["field"] == "continue", refused
