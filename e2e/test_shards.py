"""Controllers with shards, beside a load balancer that serves: replicas come, go, stand still and are killed.

Nobody notices: each request is answered, those that wake an application too, and nothing that is in use goes
down. What replicas do among themselves while load balancers come and go is a Go test's (internal/app).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from conftest import new_namespace
from harness.applications import Application, fibonacci
from harness.cluster import Cluster, Object
from harness.listener import listening
from harness.load import Load
from harness.nemesis import CONTROLLER, Nemesis, unique
from harness.processes import restarts, sigkill, stopped, visible
from harness.reach import SYSTEM
from harness.receiver import SECRET, Receiver, notifications
from harness.shards import leaders, shard_of, sharded, shared_out
from harness.waiting import eventually

pytestmark = [pytest.mark.disruptive, pytest.mark.timeout(900)]

SHARDS = 4
FOLLOWED = 5.0  # seconds after which another replica leads what one led that is gone: the Go tests hold it to that


@pytest.fixture
def homes(cluster: Cluster) -> Iterator[list[str]]:
    """A namespace in each shard."""
    names: dict[int, str] = {}
    while len(names) < SHARDS:
        name = unique()
        names.setdefault(shard_of(name, SHARDS), name)
    with ExitStack() as made:
        yield [made.enter_context(new_namespace(cluster, name=name)) for name in names.values()]


@pytest.mark.parametrize(
    ("namespace", "shards", "want"), [("default", 2, 0), ("default", 64, 62), ("models", 4, 3), ("team-a", 4, 2), ("", 64, 37)]
)
def test_the_shard_of_a_namespace_is_the_services_own(namespace: str, shards: int, want: int) -> None:
    assert shard_of(namespace, shards) == want


def generation(nemesis: Nemesis, app: Application) -> int:
    """Grows whenever anybody scales the Deployment."""
    return nemesis.cluster.get("Deployment", app.name, app.namespace)["metadata"]["generation"]


def pod(nemesis: Nemesis, name: str) -> Object:
    return nemesis.cluster.get("Pod", name, SYSTEM)


def busiest(nemesis: Nemesis) -> str:
    """The replica that leads most shards."""
    led = leaders(nemesis, SHARDS)
    return max(set(led), key=led.count)


def reported(nemesis: Nemesis) -> None:
    """Who is told of all namespaces is sent one report, of what all shards know."""
    with listening(nemesis, lambda: Receiver(secrets.token_bytes(32))) as (to, url):
        hook = {"name": "all", "url": url + "/all", "format": "CloudEvents", "signingKey": to.key, "report": "daily"}
        nemesis.cluster.apply(notifications(SYSTEM, hook))
        try:
            told = eventually(to.told, "the last day's report came, after 503 once more")
        finally:
            nemesis.cluster.delete("Secret", SECRET, SYSTEM)
        every = nemesis.read("/v1/report", **{"for": "24h"})["applications"]
        assert told[0].signed and told[0].body["data"]["report"]["applications"] == every >= 2 * SHARDS, (told[0].body, every)
        assert told[0].body["data"]["markdown"].startswith("# Nemesis, all namespaces: a day\n"), told[0].body


def test_shards_change_hands_while_requests_are_served(nemesis: Nemesis, homes: list[str]) -> None:
    if not nemesis.reach.direct:
        pytest.skip("a forwarded port ends with the pod behind it; this needs the Service's address")
    if not visible(nemesis.pods(CONTROLLER)[0]):
        pytest.skip("the cluster's processes are not this machine's")
    busy = [fibonacci(home, "busy") for home in homes]
    # Each of its requests finds it asleep, or falling asleep.
    sleepers = [fibonacci(home, "sleeper", spec={"idleTime": 2}) for home in homes]
    nemesis.deploy(*busy, *sleepers)
    for app in busy:
        assert nemesis.ask(app).status_code == 200
    before = [generation(nemesis, app) for app in busy]
    told: list[str] = []

    with ExitStack() as serving:
        steady = [serving.enter_context(Load(nemesis.data_url + app.prefix + "/fib/10", clients=2, pause=0.1)) for app in busy]
        waking = [serving.enter_context(Load(nemesis.data_url + app.prefix + "/fib/10", clients=1, pause=4)) for app in sleepers]
        loads = steady + waking

        def step(what: str, shares: bool = True) -> None:
            """All shards are led, and from then on requests are answered in each of them."""
            began = time.monotonic()
            eventually(lambda: shared_out(nemesis, SHARDS, shares), f"{what}: all shards are led")
            for load in steady:
                load.after(20)
            for load in waking:
                load.after(1)
            failed = [f for load in loads for f in load.failures]
            told.append(f"{what}: settled after {time.monotonic() - began:.1f} s, {sum(load.answered for load in loads)} answered")
            assert not failed, f"{told}: {len(failed)} lost: {failed[:5]}"
            assert [generation(nemesis, app) for app in busy] == before, f"{told}: somebody scaled what is in use"

        with sharded(nemesis, SHARDS, replicas=2):
            step("two replicas, after one without shards", shares=False)
            nemesis.cluster.scale(SYSTEM, CONTROLLER, 3)
            nemesis.wait_service(CONTROLLER)
            step("three replicas")
            reported(nemesis)

            still = busiest(nemesis)
            began = time.monotonic()
            with stopped(pod(nemesis, still)):  # as one whose node is gone: connections to it hang, and its Leases lapse
                eventually(lambda: still not in leaders(nemesis, SHARDS), "others lead what it led", promised=2 * FOLLOWED)
                told.append(f"one that stands still: followed after {time.monotonic() - began:.1f} s")
            # It goes on in the middle of what it did, and leads nothing; meanwhile another one ends without a word.
            dead = busiest(nemesis)
            before_kill = restarts(pod(nemesis, dead))
            sigkill(pod(nemesis, dead))
            eventually(lambda: restarts(pod(nemesis, dead)) > before_kill, f"{dead} is started again")
            nemesis.wait_service(CONTROLLER)
            step("one that stood still goes on, one that was killed is back", shares=False)

            nemesis.cluster.delete("Pod", busiest(nemesis), SYSTEM, grace=0)
            nemesis.cluster.scale(SYSTEM, CONTROLLER, 2)
            nemesis.wait_service(CONTROLLER)
            step("two replicas again, one deleted by force")
        for load in steady:  # led without shards again
            load.after(20)
    print("\n".join(told))
    failed = [f for load in loads for f in load.failures]
    assert not failed, f"{told}: {len(failed)} lost: {failed[:5]}"
    assert sum(load.sent for load in loads) == sum(load.answered for load in loads)
    assert [generation(nemesis, app) for app in busy] == before, "somebody scaled what is in use"
    for app, load in zip(sleepers, waking, strict=True):
        assert load.answered >= 5, told
        assert generation(nemesis, app) > 2, "it was never asleep"
