"""The contracts against the live services, by Schemathesis: thousands of requests, good and bad.

No 5xx that the operation does not name, no answer that the contract does not describe, no bad data
taken, and each operation does what it is for at least once. harness/fuzzing.py says what is
generated, what is checked, and how it is kept from everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from schemathesis import Case

from harness.accounts import bearer, editor, of_pod, present, waiting_pod
from harness.applications import fibonacci
from harness.cluster import Cluster
from harness.fuzzing import EXAMPLES, SEED, Garden, contract
from harness.nemesis import BALANCER, COLLECTOR, Nemesis, unique
from harness.reach import SYSTEM
from harness.sidecars import PORT, with_sidecar
from harness.waiting import eventually

autoscaler, loadbalancer, sidecar = contract("autoscaler"), contract("loadbalancer"), contract("sidecar")

pytestmark = pytest.mark.disruptive  # settings are put, and reports of a load balancer that there is not


@pytest.fixture(scope="module")
def planted(nemesis: Nemesis, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Garden]:
    """A garden with one application that is awake; all that is left of it is removed at the end."""
    namespace = unique("fuzz")
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    cluster.wait("ServiceAccount", "default", namespace, lambda o: o is not None, "pods may be made in the namespace")
    app = fibonacci(namespace, spec={"minReplicas": 1})
    cluster.apply(*with_sidecar(cluster.kubectl, app))
    nemesis.known(app)
    answer = nemesis.ask(app)
    assert answer.status_code == 200, answer.text

    def restore() -> str:
        cluster.apply(app.autoscaler)
        return cluster.get("CustomAutoscaler", app.name, namespace)["metadata"]["resourceVersion"]

    players = ExitStack()
    players.enter_context(present(cluster, SYSTEM, COLLECTOR))  # of a component that need not be there
    balancer = players.enter_context(waiting_pod(cluster, "fuzz", BALANCER))
    collector = players.enter_context(waiting_pod(cluster, "fuzz-collector", COLLECTOR))
    as_balancer, as_collector = of_pod(cluster, balancer), of_pod(cluster, collector)
    theirs = {
        "POST /v1/namespaces/{namespace}/deployments/{name}/start": as_balancer,
        "POST /v1/traffic": as_balancer,
        "POST /v1/access": as_balancer,
        "GET /v1/identity/keys": as_balancer,
        "POST /v1/certificates": as_balancer,
        "POST /v1/changes": as_balancer,
        "POST /metrics": as_collector,  # of any pod
        "POST /v1/pod-metrics": as_collector,
    }
    made = Garden(
        namespace,
        app.name,
        app.prefix,
        answer.json()["pod"],
        editor(cluster, namespace),
        lambda: nemesis.operator.token,
        balancer["metadata"]["name"],
        theirs,
        restore,
    )
    made.session.trust_env = False
    authority = tmp_path_factory.mktemp("trust") / "ca.crt"
    authority.write_text(nemesis.reach.authority())
    made.session.verify = str(authority)
    settings = nemesis.http.get(nemesis.admin_url + "/loadbalancer/settings").json()
    yield made
    back = nemesis.http.put(nemesis.admin_url + "/loadbalancer/settings", json=settings)
    # Later than any report that the fuzz made up: its load balancer goes, and holds up nobody.
    farewell = {"balancer": made.balancer, "startedAt": "2026-01-02T04:00:00Z", "sequence": 0, "leaving": True, "applications": []}
    left = nemesis.http.post(nemesis.controller_url + "/v1/traffic", json=farewell, headers=bearer(as_balancer))
    players.close()
    weed(cluster, namespace)
    cluster.delete("CustomAutoscaler", app.name, namespace)
    cluster.delete("Namespace", namespace)
    made.session.close()
    eventually(lambda: not nemesis.balancer_state(namespace)["applications"], "no route into the garden is left")
    assert (back.status_code, left.status_code) == (200, 200), f"{back.text} {left.text}"


def weed(cluster: Cluster, namespace: str, kept: str = "") -> None:
    """Removes the objects that the fuzz has made: one with the prefix / would take what nobody else takes."""
    for made in cluster.list("CustomAutoscaler", namespace):
        if made["metadata"]["name"] != kept:
            cluster.delete("CustomAutoscaler", made["metadata"]["name"], namespace)


@pytest.fixture
def garden(request: pytest.FixtureRequest, planted: Garden, cluster: Cluster) -> Iterator[Garden]:
    """The garden for one operation, which must have done what it is for at least once."""
    print(f"NEMESIS_FUZZ_SEED={SEED} NEMESIS_FUZZ_EXAMPLES={EXAMPLES}")
    planted.answers.clear()
    planted.restore()
    yield planted
    weed(cluster, planted.namespace, planted.application)
    if not getattr(request.node, "failed", True):
        # The load balancer that it pretends to be has no address, for which there could be a certificate: it is told to come again.
        # The application has minReplicas 1, and may not be sent to sleep.
        never = {"/v1/certificates": {503}, "/sleep": {409}}
        good = next((status for path, status in never.items() if f"{path}]" in request.node.name), range(200, 300))
        assert any(status in good for status in planted.answers), f"it never went well: {dict(planted.answers)}"


@pytest.fixture(scope="module")
def sidecar_url(nemesis: Nemesis, planted: Garden) -> str:
    """The sidecar's own API, which is there only in its pod."""
    url = nemesis.reach.pod(nemesis.cluster.get("Pod", planted.pod, planted.namespace), PORT)
    eventually(lambda: nemesis.http.get(url + "/readyz").status_code == 200, "the sidecar has measured")
    return url


@autoscaler.parametrize()
def test_the_controller_keeps_its_contract(case: Case, garden: Garden, nemesis: Nemesis) -> None:
    garden.send(case, nemesis.controller_url)


@loadbalancer.parametrize()
def test_the_load_balancer_keeps_its_contract(case: Case, garden: Garden, nemesis: Nemesis) -> None:
    garden.send(case, nemesis.admin_url)


@sidecar.parametrize()
def test_the_sidecar_keeps_its_contract(case: Case, garden: Garden, sidecar_url: str) -> None:
    garden.send(case, sidecar_url)
