"""Two teams on one cluster: what one pod, or one team, could do to another at 0.1.0 is refused, and it is said why.

T9, another team's requests by a longer prefix or by its host, is test_claims.py's. T10, listening on the wire, is
that of encryption.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from harness.accounts import bearer, editor, of_pod, waiting_pod
from harness.applications import Application, fibonacci
from harness.cluster import Object
from harness.load import Load
from harness.nemesis import BALANCER, CONTROLLER, Nemesis
from harness.problems import problem
from harness.reach import SYSTEM
from harness.services import settled
from harness.waiting import eventually, throughout

# Whatever is not refused would be noticed by all.
pytestmark = pytest.mark.disruptive

SECRET = "Basic c2VjcmV0OnNlY3JldA=="  # in the header of a readiness probe
LATER = "2126-01-01T00:00:00Z"
MIB = 1 << 20


@dataclass
class Tenants:
    """The victim's application, and who is after it: another team's pod, one of its people, and somebody without a token."""

    nemesis: Nemesis
    victim: Application
    own: Application  # the attackers'
    pod: Object  # theirs
    attackers: dict[str, dict[str, str]] = field(default_factory=dict)  # what each sends to say who it is

    def refused(self, method: str, url: str, body: Any = None, **more: Any) -> None:
        """Each of them is refused, and told why: that nobody knows who it is, or what it may not; never a name of the victim's
        that it did not name itself."""
        for who, headers in self.attackers.items():
            answer = self.nemesis.http.request(method, url, json=body, headers=headers, auth=None, **more)
            said = f"{who}: {method} {url}: {answer.status_code} {answer.text[:300]}"
            if headers and answer.status_code == 429:
                problem(answer, 429, "too-many")  # it asks so often that nobody looks any more
                continue
            assert answer.status_code == (403 if headers else 401), said
            document = problem(answer, answer.status_code, "forbidden" if headers else "unauthenticated")
            if not headers:
                assert answer.headers["WWW-Authenticate"].startswith("Bearer"), said
            asked = f"{url} {json.dumps(body)} {more}"
            pods = [p["metadata"]["name"] for p in self.nemesis.cluster.list("Pod", self.victim.namespace)]
            for name in (self.victim.namespace, self.victim.prefix, *pods):
                assert name in asked or name not in answer.text, said
            assert document["detail"], said


@pytest.fixture
def tenants(nemesis: Nemesis, namespace: str, stranger: str) -> Tenants:
    victim = fibonacci(namespace, "shop")
    # What the kubelet sends with its probes is nobody's business.
    header = {"name": "Authorization", "value": SECRET}
    victim.probe = {"httpGet": {"path": victim.health, "port": "http", "httpHeaders": [header]}}
    own = fibonacci(stranger, "own", spec={"minReplicas": 1})
    nemesis.deploy(victim, own)
    assert nemesis.ask(own).status_code == 200
    (pod,) = nemesis.cluster.list("Pod", stranger, labels=f"app={own.name}")
    made = Tenants(nemesis, victim, own, pod)
    made.attackers = {
        "a pod": bearer(of_pod(nemesis.cluster, pod)),
        "an editor": bearer(editor(nemesis.cluster, stranger)),
        "nobody": {},
    }
    return made


def balancers(nemesis: Nemesis) -> str:
    """How many load balancers the controller hears, as its metrics say."""
    page = nemesis.http.get(nemesis.controller_url + "/metrics").text
    return "\n".join(line for line in page.splitlines() if line.startswith("nemesis_balancers"))


def report(name: str, **more: Any) -> Object:
    return {"balancer": name, "startedAt": LATER, "sequence": 1, "leaving": False, "applications": [], **more}


def test_t1_nobody_else_sets_what_all_follow(nemesis: Nemesis, tenants: Tenants) -> None:
    before = nemesis.read("/v1/loadbalancer/settings")
    try:
        for url in (nemesis.controller_url + "/v1/loadbalancer/settings", nemesis.admin_url + "/loadbalancer/settings"):
            tenants.refused("PUT", url, {"max_connections": 1})
            tenants.refused("PUT", url, {"max_connections": "none"})  # whoever may not is not told what would be allowed
        assert nemesis.read("/v1/loadbalancer/settings") == before
    finally:
        nemesis.http.put(nemesis.controller_url + "/v1/loadbalancer/settings", json=before)


def test_t2_nobody_speaks_for_a_load_balancer_that_it_is_not(nemesis: Nemesis, tenants: Tenants) -> None:
    url, victim = nemesis.controller_url + "/v1/traffic", tenants.victim
    nemesis.cluster.patch("CustomAutoscaler", victim.name, victim.namespace, {"spec": {"idleTime": 4}})
    real = nemesis.pods(BALANCER)[0]["metadata"]["name"]
    assert nemesis.ask(victim).status_code == 200
    with waiting_pod(nemesis.cluster, "t2", BALANCER) as other:
        # Not even one that is a load balancer speaks for another.
        tenants.attackers["another load balancer"] = bearer(of_pod(nemesis.cluster, other))
        with Load(nemesis.data_url + victim.prefix + "/fib/10", clients=1, pause=0.5) as load:
            quiet = {"namespace": victim.namespace, "deployment": victim.name, "inFlight": 0, "streaming": 0, "waiting": 0}
            quiet |= {"waitingBytes": 0, "lastActivity": "2026-01-01T00:00:00Z", "requests": 0, "failures": 0, "rejected": 0}

            def awake() -> None:
                tenants.refused("POST", url, report(real, applications=[quiet]))
                assert nemesis.cluster.get("Deployment", victim.name, victim.namespace)["spec"]["replicas"] == 1

            throughout(awake, seconds=10, every=1)
    assert not load.failures, load.failures[:3]
    nemesis.wait_replicas(victim, 0)  # the true reports are heard still


def test_t3_invented_load_balancers_are_not_heard(nemesis: Nemesis, tenants: Tenants) -> None:
    settled(nemesis, CONTROLLER)  # none is awaited from before
    url, before = nemesis.controller_url + "/v1/traffic", balancers(nemesis)
    with waiting_pod(nemesis.cluster, "t3", BALANCER) as other:
        tenants.attackers["a load balancer"] = bearer(of_pod(nemesis.cluster, other))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: tenants.refused("POST", url, report(f"invented-{i}")), range(64)))
    assert balancers(nemesis) == before
    settled(nemesis, CONTROLLER)


def test_t4_nobody_else_starts_applications(nemesis: Nemesis, tenants: Tenants) -> None:
    victim = tenants.victim
    url = f"{nemesis.controller_url}/v1/namespaces/{victim.namespace}/deployments/{victim.name}/start"
    tenants.refused("POST", url, {"balancer": nemesis.pods(BALANCER)[0]["metadata"]["name"], "waiting": 100})
    nobodys = f"{nemesis.controller_url}/v1/namespaces/{victim.namespace}/deployments/nobody/start"
    tenants.refused("POST", nobodys, {"balancer": "x", "waiting": 1})  # nor is told which there are
    assert nemesis.cluster.get("Deployment", victim.name, victim.namespace)["spec"]["replicas"] == 0


def test_t5_a_pod_measures_itself_alone(nemesis: Nemesis, tenants: Tenants) -> None:
    victim = tenants.victim
    assert nemesis.ask(victim).status_code == 200
    (pod,) = nemesis.cluster.list("Pod", victim.namespace)
    burning = {"podName": pod["metadata"]["name"], "namespace": victim.namespace, "metrics": {"cpuUsage": 99999.0}}
    tenants.refused("POST", nemesis.controller_url + "/metrics", burning)
    tenants.refused("POST", nemesis.controller_url + "/v1/pod-metrics", {"collector": "x", "items": [burning]})
    same = {**burning, "podName": tenants.pod["metadata"]["name"]}  # its own name in another namespace is another pod
    tenants.refused("POST", nemesis.controller_url + "/metrics", same)
    assert "99999" not in json.dumps(nemesis.read("/v1/metrics", namespace=victim.namespace))
    itself = {"podName": tenants.pod["metadata"]["name"], "namespace": tenants.own.namespace, "metrics": {"cpuUsage": 1.5}}
    taken = nemesis.http.post(nemesis.controller_url + "/metrics", json=itself, headers=tenants.attackers["a pod"])
    assert taken.status_code == 200, taken.text


def test_t6_large_bodies_are_refused_before_they_are_read(nemesis: Nemesis, tenants: Tenants) -> None:
    def lives() -> dict[str, int]:
        return {p["metadata"]["uid"]: p["status"]["containerStatuses"][0]["restartCount"] for p in nemesis.pods(CONTROLLER)}

    before, digits = lives(), b"1" * (8 * MIB)
    url = nemesis.controller_url + "/metrics"

    def push(headers: dict[str, str]) -> str:
        try:
            answer = nemesis.http.post(url, content=digits, headers={**headers, "Content-Type": "application/json"}, auth=None)
        except httpx.TransportError:
            return "cut"  # while it was sent: the answer had come, or the connection was closed
        return str(answer.status_code)

    with ThreadPoolExecutor(8) as pool:
        told = {who: set(pool.map(push, [headers] * 16)) for who, headers in tenants.attackers.items()}
    assert told["nobody"] <= {"401", "413", "cut"} and told["an editor"] <= {"403", "413", "cut"}, told
    assert told["a pod"] <= {"413", "429", "cut"} and told["a pod"] != {"429"}, told
    assert lives() == before, "a controller was killed"
    settled(nemesis, CONTROLLER)


def reads(nemesis: Nemesis) -> list[str]:
    """What lists what there is, everywhere where no namespace is named."""
    of_controller = [f"{nemesis.controller_url}/v1/{name}" for name in ("applications", "pods", "metrics", "decisions")]
    return [*of_controller, nemesis.admin_url + "/proxy/logs", nemesis.admin_url + "/loadbalancer/state"]


def test_t7_each_sees_what_is_its_own(nemesis: Nemesis, tenants: Tenants) -> None:
    victim, own = tenants.victim, tenants.own
    assert nemesis.ask(victim).status_code == 200
    (pod,) = nemesis.cluster.list("Pod", victim.namespace)
    hidden = (victim.namespace, victim.prefix, pod["metadata"]["name"], pod["status"]["podIP"] + ":")
    tenants.refused("GET", f"{nemesis.controller_url}/v1/routes?wait=0s")
    tenants.refused("GET", f"{nemesis.controller_url}/v1/applications/{victim.namespace}/{victim.name}")
    tenants.refused("GET", f"{nemesis.controller_url}/v1/applications/{victim.namespace}/nobody")  # nor what there is
    for url in reads(nemesis):
        tenants.refused("GET", url, params={"namespace": victim.namespace})
        whole = nemesis.http.get(url, headers=tenants.attackers["an editor"])
        assert whole.status_code == 200, f"{url}: {whole.text}"
        assert not [name for name in hidden if name in whole.text], f"{url}: {whole.text}"
        # What is kept in Elasticsearch is found there a moment later.
        eventually(
            lambda url=url: (
                own.name in nemesis.http.get(url, headers=tenants.attackers["an editor"], params={"namespace": own.namespace}).text
            ),
            url,
        )
        as_pod = nemesis.http.get(url, headers=tenants.attackers["a pod"])
        assert as_pod.status_code == 403 or not as_pod.json()["applications" if "state" in url else "items"], f"{url}: {as_pod.text}"
        assert nemesis.http.get(url, auth=None).status_code == 401, url


def test_t7_headers_of_probes_are_for_load_balancers_alone(nemesis: Nemesis, tenants: Tenants) -> None:
    assert nemesis.ask(tenants.victim).status_code == 200
    routes, balancer = nemesis.controller_url + "/v1/routes?wait=0s", nemesis.pods(BALANCER)[0]
    told = nemesis.http.get(routes, headers=bearer(of_pod(nemesis.cluster, balancer)))
    assert SECRET in told.text, "a load balancer repeats the probe"
    as_operator = nemesis.http.get(routes)
    assert as_operator.status_code == 200 and tenants.victim.prefix in as_operator.text and SECRET not in as_operator.text
    for url in reads(nemesis):
        assert SECRET not in nemesis.http.get(url).text, url


def test_t8_a_request_by_name_needs_the_right_of_the_applications_namespace(nemesis: Nemesis, tenants: Tenants) -> None:
    victim, own, admin = tenants.victim, tenants.own, nemesis.admin_url
    service = f"http://{victim.name}.{victim.namespace}.svc:{victim.port}/fib/3"
    for target in (victim.prefix + "/fib/3", service):
        tenants.refused("POST", admin + "/proxy/request", {"target_url": target})
    for method, body in (("GET", None), ("POST", {"action": "compute", "parameters": {"n": 1}})):
        tenants.refused(method, admin + "/target-app/api", body, params={"query": "3", "target": f"{victim.namespace}/{victim.name}"})
    # Nor does one who guesses learn which there are.
    guess = nemesis.http.post(
        admin + "/proxy/request", json={"target_url": "http://nobody.nowhere.svc:80/"}, headers=tenants.attackers["an editor"]
    )
    assert guess.status_code == 403 and victim.namespace not in guess.text, guess.text
    assert nemesis.cluster.get("Deployment", victim.name, victim.namespace)["spec"]["replicas"] == 0, "it was woken"
    mine = nemesis.http.post(admin + "/proxy/request", json={"target_url": own.prefix + "/fib/3"}, headers=tenants.attackers["an editor"])
    assert mine.status_code == 200 and mine.json()["data"]["result"] == 2, mine.text


def test_through_the_api_server_a_token_goes_in_a_header_that_it_leaves_alone(nemesis: Nemesis, tenants: Tenants) -> None:
    """As people ask who reach nothing else: the API server's service proxy takes Authorization away."""
    path = f"/api/v1/namespaces/{SYSTEM}/services/https:{CONTROLLER}:8080/proxy/v1/applications?namespace="
    as_editor = {"Nemesis-Authorization": tenants.attackers["an editor"]["Authorization"]}
    assert nemesis.cluster.raw(path + tenants.own.namespace).status_code == 401
    answer = nemesis.cluster.raw(path + tenants.own.namespace, **as_editor)
    assert answer.status_code == 200 and tenants.own.name in answer.text, answer.text
    assert nemesis.cluster.raw(path + tenants.victim.namespace, **as_editor).status_code == 403


def test_a_token_is_no_longer_good_soon_after_it_was_taken_away(nemesis: Nemesis, tenants: Tenants) -> None:
    url = f"{nemesis.controller_url}/v1/applications?namespace={tenants.own.namespace}"
    as_editor = tenants.attackers["an editor"]
    assert nemesis.http.get(url, headers=as_editor).status_code == 200
    nemesis.cluster.delete("RoleBinding", "editor-edit", tenants.own.namespace)
    eventually(lambda: nemesis.http.get(url, headers=as_editor).status_code == 403, "the right is gone", promised=30)
    nemesis.cluster.delete("ServiceAccount", "editor", tenants.own.namespace)
    eventually(lambda: nemesis.http.get(url, headers=as_editor).status_code == 401, "the person is gone", promised=30)
