"""A real Elasticsearch, which deployments/with-elasticsearch runs on this machine, as tests see it."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from .cluster import Cluster, Object
from .nemesis import BALANCER, Nemesis
from .reach import SYSTEM
from .services import OwnBalancer, own_balancer
from .shared import permit
from .waiting import PATIENCE

MANY = 10_000  # documents that one search returns at most


@dataclass(frozen=True)
class Elasticsearch:
    """Its addresses, from here and from pods, and the command that kills and starts it."""

    url: str
    pod_url: str
    control: str

    def search(self, stream: str, query: Object | None = None) -> list[Object]:
        """The documents of a data stream that fit; none while there is no such stream."""
        body = {"query": query or {"match_all": {}}, "size": MANY, "sort": ["@timestamp"]}
        with httpx.Client(trust_env=False, timeout=PATIENCE) as http:
            http.post(f"{self.url}/{stream}/_refresh", params={"ignore_unavailable": "true"})
            answer = http.post(f"{self.url}/{stream}/_search", params={"ignore_unavailable": "true"}, json=body)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text[:400]}"
        return [hit["_source"] for hit in answer.json()["hits"]["hits"]]

    def requests(self, namespace: str) -> Counter[str]:
        """How many documents there are of each request, by the id that the client gave it."""
        found = self.search(f"logs-nemesis.access-{suffix(namespace)}")
        return Counter(d["http"]["request"]["id"] for d in found if "id" in d["http"]["request"])

    def do(self, what: str) -> None:
        """kill, stop, start, pause or resume: for all who use it, so they stand in one group and run one after the other."""
        permit.need("xdist_group", "does something to Elasticsearch")
        subprocess.run([*shlex.split(self.control), what], check=True, timeout=120)

    @contextmanager
    def away(self) -> Iterator[None]:
        """It was killed, and comes back with what it had."""
        self.do("kill")
        try:
            yield
        finally:
            self.do("start")

    @contextmanager
    def balancer(self, nemesis: Nemesis, namespace: str, env: dict[str, str] | None = None) -> Iterator[OwnBalancer]:
        """A load balancer of the namespace's own that ships its log to streams of the namespace's own."""
        ours = {"NEMESIS_ELASTICSEARCH_URL": self.pod_url, "NEMESIS_ELASTICSEARCH_NAMESPACE": suffix(namespace)}
        with own_balancer(nemesis, namespace, {**ours, **(env or {})}) as own:
            yield own


def suffix(namespace: str) -> str:
    """The last part of the names of a test's data streams, which holds no hyphen."""
    return namespace.replace("-", "")


def from_environment() -> Elasticsearch | None:
    names = ("NEMESIS_ELASTICSEARCH_URL", "NEMESIS_ELASTICSEARCH_POD_URL", "NEMESIS_ELASTICSEARCH_CONTROL")
    values = [os.environ.get(n, "") for n in names]
    return Elasticsearch(*values) if all(values) else None


def set_up(cluster: Cluster, elastic: Elasticsearch, namespace: str) -> tuple[int, str]:
    """Runs `log-setup` in a pod, as the kustomize components do: its exit code, and what it said."""
    balancer = cluster.get("Deployment", BALANCER, SYSTEM)["spec"]["template"]["spec"]
    source = balancer["containers"][0]
    name = "logs-setup"
    container: dict[str, Any] = {
        "name": name,
        "image": source["image"].replace("nemesis/load-balancer", "nemesis/log-setup").replace("/load-balancer:", "/log-setup:"),
        "imagePullPolicy": source.get("imagePullPolicy", "IfNotPresent"),
        "args": ["-wait=2m"],
        "env": [{"name": "NEMESIS_ELASTICSEARCH_URL", "value": elastic.pod_url}],
        "securityContext": source["securityContext"],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": balancer["securityContext"],
            "containers": [container],
        },
    }
    cluster.apply(pod)

    def ended(o: Object | None) -> bool:
        return bool(o and o["status"].get("phase") in ("Succeeded", "Failed"))

    done = cluster.wait("Pod", name, namespace, ended, "the set-up has ended")
    said = cluster.kubectl("logs", "-n", namespace, name)
    cluster.delete("Pod", name, namespace)
    return done["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], said
