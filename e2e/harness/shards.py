"""The controller with shards, and who leads which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .cluster import Object, Refused
from .nemesis import CONTROLLER, Nemesis
from .reach import SYSTEM
from .services import settled

ROLE = Path(__file__).resolve().parent.parent.parent / "kustomize" / "components" / "sharding" / "role.yaml"
SETTING = "NEMESIS_SHARDS"


def shard_of(namespace: str, shards: int) -> int:
    """The shard of a namespace: FNV-1a of its name, 64 bits, modulo their number."""
    total = 0xCBF29CE484222325
    for byte in namespace.encode():
        total = (total ^ byte) * 0x100000001B3 % 2**64
    return total % shards


def leaders(nemesis: Nemesis, shards: int) -> list[str]:
    """The pod that holds each shard's Lease; "" is nobody."""
    found = []
    for i in range(shards):
        try:
            lease = nemesis.cluster.get("Lease", f"{CONTROLLER}-{i}", SYSTEM)
        except Refused:
            found.append("")  # nobody has led it yet
            continue
        found.append(lease["spec"].get("holderIdentity", "").partition("_")[0])
    return found


def shared_out(nemesis: Nemesis, shards: int, equally: bool = True) -> bool:
    """Whether the pods that are there lead them all, and each its share."""
    pods = [p["metadata"]["name"] for p in nemesis.pods(CONTROLLER)]
    led = Counter(leaders(nemesis, shards))
    least, most = (shards // len(pods), -(-shards // len(pods))) if equally else (0, shards)
    return set(led) <= set(pods) and all(least <= led[p] <= most for p in pods)


def _put(nemesis: Nemesis, replicas: int, variable: Object) -> None:
    container = {"name": CONTROLLER, "env": [variable]}
    change = {"spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}}}
    nemesis.cluster.patch("Deployment", CONTROLLER, SYSTEM, change)
    settled(nemesis, CONTROLLER)


@contextmanager
def sharded(nemesis: Nemesis, shards: int, replicas: int) -> Iterator[None]:
    """So many replicas lead so many shards."""
    before = nemesis.cluster.get("Deployment", CONTROLLER, SYSTEM)["spec"]["replicas"]
    nemesis.cluster.kubectl("apply", "-f", str(ROLE))
    try:
        _put(nemesis, replicas, {"name": SETTING, "value": str(shards)})
        yield
    finally:
        _put(nemesis, before, {"name": SETTING, "$patch": "delete"})
        nemesis.cluster.kubectl("delete", "-f", str(ROLE))
        for i in range(shards):
            nemesis.cluster.delete("Lease", f"{CONTROLLER}-{i}", SYSTEM)
