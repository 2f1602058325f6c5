"""containerConcurrency is the pod's, whoever sends: the pods themselves count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from harness.applications import Application, slot
from harness.cluster import Object
from harness.load import Load
from harness.nemesis import BALANCER, Nemesis
from harness.processes import restarts, sigkill, visible
from harness.reach import SYSTEM
from harness.waiting import eventually

BALANCERS = 2

pytestmark = pytest.mark.disruptive


@pytest.fixture
def balancers(nemesis: Nemesis) -> Iterator[None]:
    """Two load balancers at least, as many as before afterwards."""
    before = nemesis.cluster.get("Deployment", BALANCER, SYSTEM)["spec"]["replicas"]
    scaled(nemesis, max(before, BALANCERS))
    yield
    scaled(nemesis, before)


def scaled(nemesis: Nemesis, replicas: int) -> None:
    nemesis.cluster.scale(SYSTEM, BALANCER, replicas)
    nemesis.wait_service(BALANCER)
    eventually(lambda: len(nemesis.pods(BALANCER)) == replicas, f"there are {replicas} load balancers")


def replaced(nemesis: Nemesis, victim: Object, want: int) -> bool:
    """Whether there are so many again, all ready, and the victim is another one or was started anew."""
    pods = nemesis.pods(BALANCER)
    statuses = [s for p in pods for s in p["status"].get("containerStatuses", [])]
    anew = all(p["metadata"]["uid"] != victim["metadata"]["uid"] or restarts(p) > restarts(victim) for p in pods)
    return len(pods) == want == len(statuses) and all(s["ready"] for s in statuses) and anew


def known(nemesis: Nemesis, app: Application) -> None:
    """Every load balancer has its route and its pods."""

    def usable(admin: str) -> bool:
        pods = nemesis.known(app, admin)["endpoints"]
        return len(pods) == app.replicas and all(p["usable"] for p in pods)

    for pod in nemesis.pods(BALANCER):
        admin = nemesis.reach.pod(pod, 8081)
        eventually(lambda admin=admin: usable(admin), f"{pod['metadata']['name']} knows the pods")


def counts(nemesis: Nemesis, app: Application) -> list[dict[str, int]]:
    pods = nemesis.cluster.list("Pod", app.namespace, labels=f"app={app.name}")
    return [nemesis.http.get(nemesis.reach.pod(pod, app.port) + "/count").json() for pod in pods]


def loads(nemesis: Nemesis, app: Application, stack: ExitStack, clients: int) -> list[Load]:
    urls = [nemesis.reach.pod(pod, 8080) + app.prefix + "/work?for=30ms" for pod in nemesis.pods(BALANCER)]
    return [stack.enter_context(Load(url, clients=clients, pause=0, retries=0)) for url in urls]


def test_a_pod_never_has_two_through_two_load_balancers(nemesis: Nemesis, namespace: str, balancers: None) -> None:
    app = slot(namespace, replicas=2, spec={"containerConcurrency": 1, "minReplicas": 2, "maxReplicas": 2})
    nemesis.deploy(app)
    known(nemesis, app)
    with ExitStack() as stack:
        for load in loads(nemesis, app, stack, clients=6):
            load.after(100)
    of = counts(nemesis, app)
    assert all(c["most"] == 1 for c in of), of
    assert all(c["served"] > 20 for c in of), of


@pytest.mark.parametrize("end", ["SIGKILL", "deleted by force", "drained"])
def test_a_pod_never_has_two_while_one_of_them_ends_and_another_is_added(
    nemesis: Nemesis, namespace: str, balancers: None, end: str
) -> None:
    app = slot(namespace, replicas=1, spec={"containerConcurrency": 1, "minReplicas": 1, "maxReplicas": 1})
    nemesis.deploy(app)
    known(nemesis, app)
    victim, *others = nemesis.pods(BALANCER)
    if end == "SIGKILL" and not visible(victim):
        pytest.skip("the cluster's processes are not this machine's")
    with ExitStack() as stack:
        url = "{}" + app.prefix + "/work?for=30ms"
        stays = [stack.enter_context(Load(url.format(nemesis.reach.pod(pod, 8080)), clients=3, pause=0)) for pod in others]
        lost = stack.enter_context(Load(url.format(nemesis.reach.pod(victim, 8080)), clients=3, pause=0.01))
        for load in [*stays, lost]:
            load.after(30)
        if end == "SIGKILL":
            sigkill(victim)
        else:
            nemesis.cluster.delete("Pod", victim["metadata"]["name"], SYSTEM, grace=0 if end == "deleted by force" else None)
        eventually(lambda: replaced(nemesis, victim, len(others) + 1), "another one has taken its place")
        known(nemesis, app)
        added = [stack.enter_context(Load(url.format(nemesis.reach.pod(pod, 8080)), clients=3, pause=0)) for pod in nemesis.pods(BALANCER)]
        for load in [*stays, *added]:
            load.after(50)
    of = counts(nemesis, app)
    assert all(c["most"] == 1 for c in of), of
    assert not [f for load in [*stays, *added] for f in load.failures], [load.failures[:3] for load in [*stays, *added]]
