"""The production overlay on a real cluster: two of each, and a drained node costs no request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from harness.applications import fibonacci
from harness.cluster import Object, Refused
from harness.load import Load
from harness.nemesis import BALANCER, CONTROLLER, Nemesis
from harness.reach import SYSTEM
from harness.services import settled
from harness.waiting import eventually

pytestmark = pytest.mark.disruptive

PRODUCTION = Path(__file__).resolve().parent.parent / "kustomize" / "overlays" / "production"
OF_PRODUCTION_ALONE = ("PodDisruptionBudget", "PriorityClass", "NetworkPolicy")


@contextmanager
def in_production(nemesis: Nemesis, overlay: Path, service: str) -> Iterator[None]:
    """The service stands as its production overlay has it, with the image that was deployed before."""
    kubectl = nemesis.cluster.kubectl
    image = nemesis.cluster.get("Deployment", service, SYSTEM)["spec"]["template"]["spec"]["containers"][0]["image"]
    objects = list(yaml.safe_load_all(kubectl("kustomize", str(PRODUCTION / service))))
    for o in objects:
        if o["kind"] == "Deployment":
            o["spec"]["template"]["spec"]["containers"][0].update(image=image, imagePullPolicy="IfNotPresent")
    own = [o for o in objects if o["kind"] in OF_PRODUCTION_ALONE]
    assert {o["kind"] for o in own} == set(OF_PRODUCTION_ALONE)
    done = kubectl.apply(*objects)
    assert done.returncode == 0, done.stderr
    try:
        settled(nemesis, service)
        yield
    finally:
        kubectl("apply", "-k", str(overlay / service))
        kubectl("delete", "-f", "-", "--ignore-not-found", stdin=yaml.safe_dump_all(own))
        settled(nemesis, service)


def evict(nemesis: Nemesis, pod: Object) -> None:
    """What a drained node does to a pod."""
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": SYSTEM}}
    nemesis.cluster.call("POST", nemesis.cluster.path("Pod", name, SYSTEM) + "/eviction", eviction)


def test_production_runs_two_of_each_and_a_drain_costs_no_request(nemesis: Nemesis, namespace: str, overlay: Path) -> None:
    if not nemesis.reach.direct:
        pytest.skip("a forwarded port ends with the pod behind it; this needs the Service's address")
    app = fibonacci(namespace)
    with ExitStack() as stack:
        for service in (CONTROLLER, BALANCER):
            stack.enter_context(in_production(nemesis, overlay, service))
            pods = nemesis.pods(service)
            assert [p["spec"]["priorityClassName"] for p in pods] == [f"nemesis-{service}"] * 2
        nemesis.deploy(app)
        assert nemesis.ask(app, "/fib/20").json()["result"] == 6765
        with Load(nemesis.data_url + app.prefix + "/fib/10", clients=4) as load:
            load.after(50)
            for service in (CONTROLLER, BALANCER):
                first, second = nemesis.pods(service)
                evict(nemesis, first)
                with pytest.raises(Refused) as refused:
                    evict(nemesis, second)
                assert refused.value.code == 429, refused.value  # the budget: one at a time
                nemesis.wait_pods_gone([first])
                nemesis.wait_service(service)
                eventually(lambda pod=second: evict(nemesis, pod) is None, "the budget lets the other one go")
                nemesis.wait_pods_gone([second])
                nemesis.wait_service(service)
                load.after(50)
        assert not load.failures, f"{len(load.failures)} of {load.answered}: {load.failures[:5]}"
