"""Two controllers and two load balancers: one leads, the others carry on whatever is killed.

What is promised when a pod of Nemesis is killed:

- A controller, leading or not: no request fails or is even sent twice. Whoever waits goes on waiting.
- A load balancer: the requests that it holds at that moment, waiting or half answered, end with their
  connection; a client never takes half an answer for a whole one. Sent again, as HTTP client libraries do
  with what may be repeated, they are answered by the other load balancer. No other request is touched.
- Nothing is scaled down for it: a new leader first hears every load balancer that the last one heard.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest

from harness.accounts import bearer, of_pod, waiting_pod
from harness.applications import Application, fibonacci, modelserver
from harness.cluster import Object
from harness.load import Load
from harness.nemesis import BALANCER, CONTROLLER, Nemesis
from harness.processes import restarts, sigkill, stopped, visible
from harness.reach import SYSTEM
from harness.services import heard, leader, names, scaled
from harness.waiting import PATIENCE, eventually

End = Callable[[Nemesis, str], None]

pytestmark = [pytest.mark.disruptive, pytest.mark.timeout(900), pytest.mark.usefixtures("two_of_each")]


@pytest.fixture(scope="module")
def two_of_each(nemesis: Nemesis) -> Iterator[None]:
    if not nemesis.reach.direct:
        pytest.skip("a forwarded port ends with the pod behind it; this needs the Service's address")
    with scaled(nemesis, CONTROLLER, 2), scaled(nemesis, BALANCER, 2):
        yield


def whole(nemesis: Nemesis) -> None:
    """Waits until there are two of each again, one leads, and it hears both load balancers."""
    for service in (CONTROLLER, BALANCER):
        nemesis.wait_service(service)
    eventually(lambda: leader(nemesis) in names(nemesis.pods(CONTROLLER)), "a controller leads that lives")
    eventually(lambda: names(nemesis.pods(BALANCER)) <= heard(nemesis), "it hears both load balancers")


def kill(nemesis: Nemesis, pod: str) -> None:
    """A forced deletion: the object is gone at once, and the process soon after.

    How much time the kubelet leaves it between SIGTERM and SIGKILL is the kubelet's: it may be long enough
    for a goodbye, so this is gentler than a process that dies.
    """
    nemesis.cluster.delete("Pod", pod, SYSTEM, grace=0)


def controller(nemesis: Nemesis, leading: bool) -> Object:
    (pod,) = [p for p in nemesis.pods(CONTROLLER) if (p["metadata"]["name"] == leader(nemesis)) == leading]
    return pod


def generation(nemesis: Nemesis, app: Application) -> int:
    """Grows whenever anybody scales the Deployment."""
    return nemesis.cluster.get("Deployment", app.name, app.namespace)["metadata"]["generation"]


def die(nemesis: Nemesis, pod: str) -> None:
    """SIGKILL, from the node: the process says no goodbye, its Lease stands, and the kubelet starts another
    process in the same pod, which may find itself the holder still."""
    before, ended = nemesis.cluster.get("Pod", pod, SYSTEM), datetime.now(UTC).isoformat()
    sigkill(before)
    eventually(lambda: restarts(nemesis.cluster.get("Pod", pod, SYSTEM)) > restarts(before), f"{pod} is started again")
    eventually(lambda: renewed(nemesis) > ended, "somebody leads")


def renewed(nemesis: Nemesis) -> str:
    return nemesis.cluster.get("Lease", CONTROLLER, SYSTEM)["spec"]["renewTime"]


def test_a_stream_on_one_load_balancer_outlives_the_leader_though_the_other_one_is_quiet(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, env={"TOKENS_PER_SECOND": "1"}, spec={"idleTime": 2})
    nemesis.deploy(app)
    whole(nemesis)
    streams = nemesis.reach.pod(nemesis.pods(BALANCER)[0], 8080)
    url = streams + app.prefix + "/v1/completions"
    assert nemesis.http.get(url.replace("completions", "models")).status_code == 200
    before, dead, events = generation(nemesis, app), leader(nemesis), 0
    body = {"prompt": "a b c", "max_tokens": 30, "stream": True}
    with nemesis.http.stream("POST", url, json=body) as answer:
        for line in answer.iter_lines():
            events += line.startswith("data: {")
            if events == 3 and leader(nemesis) == dead:
                kill(nemesis, dead)
        ended = time.monotonic()
    assert events == 30 and leader(nemesis) != dead
    assert generation(nemesis, app) == before, "it was scaled while it streamed"
    nemesis.wait_replicas(app, 0)
    assert time.monotonic() - ended > 1.5


def test_a_request_that_waits_for_a_wake_up_outlives_the_leader_that_began_it(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, env={"LOAD_SECONDS": "6"}, spec={"idleTime": 600})
    nemesis.deploy(app)
    whole(nemesis)
    dead = nemesis.cluster.get("Pod", leader(nemesis), SYSTEM)
    end = sigkill if visible(dead) else lambda pod: kill(nemesis, pod["metadata"]["name"])
    before = generation(nemesis, app)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(nemesis.http.get, nemesis.data_url + app.prefix + "/v1/models", timeout=PATIENCE)
        nemesis.cluster.wait("Deployment", app.name, app.namespace, lambda d: bool(d and d["spec"]["replicas"] == 1), "it is being woken")
        end(dead)
        answer = asked.result()
    assert answer.status_code == 200, answer.text
    assert generation(nemesis, app) == before + 1, "it was woken once, and nothing else"
    whole(nemesis)


def test_each_replica_answers_every_read_and_passes_pushes_on(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"minReplicas": 1})
    nemesis.deploy(app)
    nemesis.wait_state(app, "Awake")
    whole(nemesis)
    leads, follows = (nemesis.reach.pod(controller(nemesis, leading), 8080) for leading in (True, False))

    def read(base: str, path: str) -> Object:
        answer = nemesis.http.get(base + path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:300]}"
        return answer.json()

    here = f"namespace={namespace}"
    for path in (f"/v1/pods?{here}", f"/v1/decisions?{here}", "/v1/loadbalancer/settings"):
        assert read(leads, path) == read(follows, path), path
    for path in (f"/v1/applications?{here}", f"/v1/metrics?{here}"):
        assert len(read(leads, path)["items"]) == len(read(follows, path)["items"]) == 1, path
    versions = {read(base, "/v1/routes?wait=0s")["version"].partition(".")[0] for base in (leads, follows)}
    assert len(versions) == 1, f"the routes come from two sources: {versions}"

    # What a follower is told, the leader knows.
    (pod,) = nemesis.cluster.list("Pod", namespace, labels=f"app={app.name}")
    metrics = {"podName": pod["metadata"]["name"], "namespace": namespace, "metrics": {"cpuUsage": 123.5}}
    pushed = nemesis.http.post(follows + "/metrics", json=metrics, headers=bearer(of_pod(nemesis.cluster, pod)))
    assert pushed.json() == {"status": "Metrics received"}, pushed.text
    assert "123.5" in json.dumps(read(leads, f"/v1/metrics?{here}"))
    with waiting_pod(nemesis.cluster, namespace, BALANCER) as balancer:
        name, as_it = balancer["metadata"]["name"], bearer(of_pod(nemesis.cluster, balancer))

        def told(path: str, body: Object) -> httpx.Response:
            answer = nemesis.http.post(follows + path, json=body, headers=as_it)
            assert answer.status_code == 200, answer.text
            return answer

        report = {"balancer": name, "startedAt": "2026-01-01T00:00:00Z", "sequence": 1, "leaving": False, "applications": []}
        told("/v1/traffic", report)
        shown = read(leads, f"/v1/applications/{namespace}/{app.name}")["traffic"]["balancers"]
        assert name in {b["name"] for b in shown}, shown
        told("/v1/traffic", {**report, "sequence": 2, "leaving": True})
        started = told(f"/v1/namespaces/{namespace}/deployments/{app.name}/start", {"balancer": name, "waiting": 1})
        assert started.json()["state"] == "Awake", started.text


def test_a_new_leader_awaits_the_load_balancer_that_the_last_one_heard_and_says_so(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 2})
    nemesis.deploy(app)
    whole(nemesis)
    assert nemesis.ask(app).status_code == 200
    before, silent = generation(nemesis, app), nemesis.pods(BALANCER)[0]
    if not visible(silent):
        pytest.skip("the cluster's processes are not this machine's")

    def held() -> bool:
        holds = [r["message"] for d in nemesis.decisions(app) for r in d["reasons"] if r["effect"] == "Hold"]
        # The second: as a follower it took a report once, while the leader before did not answer.
        why = ("since this controller took over nothing was heard yet from", "the last report is too old from")
        return any(silent["metadata"]["name"] in h and any(w in h for w in why) for h in holds)

    with stopped(silent):  # the new leader hears the other one alone, to which the application is idle
        kill(nemesis, leader(nemesis))
        eventually(held, "the hold names the load balancer that is awaited")
        assert generation(nemesis, app) == before
    nemesis.wait_replicas(app, 0)
    whole(nemesis)
    assert nemesis.ask(app).status_code == 200


@pytest.mark.parametrize("end", [kill, die], ids=["deleted by force", "SIGKILL"])
def test_killing_any_one_of_the_four_under_load_loses_no_request(nemesis: Nemesis, namespace: str, end: End) -> None:
    if end is die and not visible(nemesis.pods(CONTROLLER)[0]):
        pytest.skip("the cluster's processes are not this machine's")
    app = fibonacci(namespace, spec={"idleTime": 5})
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    before, told = generation(nemesis, app), []

    def killed(service: str, pod: Object, load: Load) -> None:
        retried, name = load.retried, pod["metadata"]["name"]
        if service == BALANCER:
            admin = nemesis.reach.pod(pod, 8081)
            eventually(lambda: nemesis.balancer_state(admin=admin)["connections"] > 0, f"{name} has clients")
        end(nemesis, name)
        load.after(200)
        whole(nemesis)
        load.after(50)
        told.append(f"{name}: {load.retried - retried} sent again; {load.sent} sent, {load.answered} answered")
        if service == CONTROLLER:
            assert load.retried == retried, told
        elif end is kill:  # a dead process' address is refused until the kubelet has noticed
            assert load.retried - retried <= load.clients, told  # at most what was on its way on each connection

    with Load(nemesis.data_url + app.prefix + "/fib/15", clients=8, retries=6, per_connection=20) as load:
        load.after(100)
        whole(nemesis)
        killed(CONTROLLER, controller(nemesis, leading=True), load)
        killed(CONTROLLER, controller(nemesis, leading=False), load)
        for pod in nemesis.pods(BALANCER):
            killed(BALANCER, pod, load)
    print("\n".join(told))
    assert not load.failures, f"{len(load.failures)} of {load.sent}: {load.failures[:5]}"
    assert load.sent == load.answered > 1000, told
    assert generation(nemesis, app) == before, "somebody scaled it meanwhile"
