"""How a service in the cluster is reached from here.

On a cluster whose service network ends on this machine (the local one) its ClusterIP is used, and
a restarted pod is not noticed. Elsewhere kubectl forwards a port, anew when the pod behind it has
gone. NEMESIS_LOAD_BALANCER_URL, NEMESIS_LOAD_BALANCER_ADMIN_URL and NEMESIS_CONTROLLER_URL name an
address from outside, such as an Ingress.

The services' own APIs speak TLS; who is there is verified by the authority that the controller publishes. By
which name is not: their certificates have the pods' addresses and the Services' names, and none that a port is
forwarded to or a ClusterIP.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess

from .cluster import Cluster, Object
from .shared import OWN_BALANCER, SYSTEM
from .waiting import eventually


def answers(host: str, port: int, within: float = 2) -> bool:
    """Whether something takes connections there."""
    try:
        with socket.create_connection((host, port), timeout=within):
            return True
    except OSError:
        return False


class Forwarded:
    """One port behind kubectl port-forward."""

    def __init__(self, cluster: Cluster, namespace: str, target: str, port: int) -> None:
        self._cluster, self._args = cluster, ("-n", namespace, target, f":{port}")
        self._process: subprocess.Popen[str] | None = None
        self._url = ""

    def url(self) -> str:
        if self._process is None or self._process.poll() is not None:
            self._process, line = self._cluster.kubectl.start("port-forward", *self._args)
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert found, f"kubectl port-forward {' '.join(self._args)}: {line.strip()}"
            self._url = f"http://127.0.0.1:{found[1]}"
        return self._url

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)


# What Nemesis itself answers, and asks its callers who they are.
GUARDED = {
    ("autoscaler-controller", 8080),
    ("load-balancer", 8081),
    (OWN_BALANCER, 8081),
    ("metrics-collector", 8080),
}


ENCRYPTED = GUARDED | {("load-balancer", 8082), (OWN_BALANCER, 8082)}  # what load balancers say to each other is no operator's

AUTHORITY = "nemesis-ca"  # the ConfigMap


class Reach:
    """Base addresses of services and pods."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._forwarded: dict[tuple[str, str, int], Forwarded] = {}
        self._guarded: set[str] = set()
        self.clear = False  # whether all is spoken to in clear text, as by 0.1.0
        dns = cluster.list("Service", "kube-system", fields="metadata.name=kube-dns")
        address = os.environ.get("NEMESIS_PROBE_ADDRESS") or (f"{dns[0]['spec']['clusterIP']}:53" if dns else "")
        host, _, port = address.rpartition(":")
        self.direct = bool(host) and answers(host, int(port))

    def service(self, name: str, port: int, variable: str, namespace: str = SYSTEM) -> str:
        return self._known(name, port, self._service(name, port, variable, namespace))

    def _scheme(self, service: str, port: int) -> str:
        """How the port is spoken to."""
        return "https" if (service, port) in ENCRYPTED and not self.clear else "http"

    def _service(self, name: str, port: int, variable: str, namespace: str) -> str:
        if given := os.environ.get(variable):
            return given.rstrip("/")
        if self.direct:
            address = self._cluster.get("Service", name, namespace)["spec"]["clusterIP"]
            return f"{self._scheme(name, port)}://{address}:{port}"
        return self._forward(namespace, f"service/{name}", port, self._scheme(name, port))

    def pod(self, pod: Object, port: int) -> str:
        labels = pod["metadata"].get("labels", {})
        service = labels.get("app.kubernetes.io/name") or labels.get("app", "")
        if self.direct:
            return self._known(service, port, f"{self._scheme(service, port)}://{pod['status']['podIP']}:{port}")
        forwarded = self._forward(pod["metadata"]["namespace"], f"pod/{pod['metadata']['name']}", port, self._scheme(service, port))
        return self._known(service, port, forwarded)

    def _known(self, service: str, port: int, base: str) -> str:
        """Remembers what is behind an address; that of a pod which has gone may be another's by now."""
        if (service, port) in GUARDED:
            self._guarded.add(base)
        else:
            where = base.partition("://")[2]
            self._guarded -= {f"{by}://{where}" for by in ("http", "https")}
        return base

    def guarded(self, url: str) -> bool:
        """Whether Nemesis' own API is there, and not a client's way."""
        return any(url == base or url.startswith((base + "/", base + "?")) for base in self._guarded.copy())

    def _forward(self, namespace: str, target: str, port: int, scheme: str) -> str:
        key = (namespace, target, port)
        url = self._forwarded.setdefault(key, Forwarded(self._cluster, *key)).url()
        return scheme + url.removeprefix("http")

    def trust(self) -> ssl.SSLContext:
        """Who trusts the services' authority, and the system's."""
        trusts = ssl.create_default_context()
        trusts.check_hostname = False
        trusts.load_verify_locations(cadata=self.authority())
        return trusts

    def authority(self) -> str:
        """What the controller publishes."""

        def published() -> str:
            found = self._cluster.list("ConfigMap", SYSTEM, fields=f"metadata.name={AUTHORITY}")
            return found[0]["data"]["ca.crt"] if found else ""

        return eventually(published, "the controller has published its certificate authority")

    def close(self) -> None:
        for forwarded in self._forwarded.values():
            forwarded.close()
