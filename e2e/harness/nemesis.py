"""Nemesis as its users see it: the data port, the admin port, the controller's API, the objects."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from . import shared
from .accounts import Operator
from .applications import Application
from .cluster import Cluster, Object
from .reach import SYSTEM, Reach
from .waiting import PATIENCE, NotYet, eventually

CONTROLLER = "autoscaler-controller"
BALANCER = "load-balancer"
COLLECTOR = "metrics-collector"


class Nemesis:
    """The services and what the tests ask of them."""

    def __init__(self, cluster: Cluster, reach: Reach, operator: Operator) -> None:
        self.cluster, self.reach, self.operator = cluster, reach, operator
        limits = httpx.Limits(max_connections=600, max_keepalive_connections=600)
        hooks = {"request": [shared.check_request]}
        # Nemesis' own APIs are asked as the operator, unless a request says as whom; clients' traffic has no token.
        self.http = httpx.Client(
            timeout=httpx.Timeout(PATIENCE, connect=30),
            limits=limits,
            trust_env=False,
            event_hooks=hooks,
            auth=operator,
            verify=reach.trust(),
        )

    @property
    def data_url(self) -> str:
        return self.reach.service(BALANCER, 80, "NEMESIS_LOAD_BALANCER_URL")

    @property
    def admin_url(self) -> str:
        return self.reach.service(BALANCER, 8081, "NEMESIS_LOAD_BALANCER_ADMIN_URL")

    @property
    def controller_url(self) -> str:
        return self.reach.service(CONTROLLER, 8080, "NEMESIS_CONTROLLER_URL")

    def ask(self, app: Application, path: str = "/fib/10", method: str = "GET", **more: Any) -> httpx.Response:
        """One request to an application, through the load balancer."""
        return self.http.request(method, self.data_url + app.prefix + path, **more)

    def ask_many(self, app: Application, count: int, path: str = "/fib/10", **more: Any) -> list[httpx.Response]:
        """So many requests at once."""
        url = self.data_url + app.prefix + path
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda _: self.http.get(url, **more), range(count)))

    def read(self, path: str, **query: Any) -> Any:
        """What the controller's API answers."""
        answer = self.http.get(self.controller_url + path, params=query)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text[:400]}"
        return answer.json()

    def application(self, app: Application) -> Object:
        return self.read(f"/v1/applications/{app.namespace}/{app.name}")

    def decisions(self, app: Application, **query: Any) -> list[Object]:
        return self.read("/v1/decisions", namespace=app.namespace, deployment=app.name, **query)["items"]

    def balancer_state(self, namespace: str | None = None, admin: str = "") -> Object:
        """What a load balancer knows: the deployed one, or the one whose admin port is at `admin`."""
        answer = self.http.get((admin or self.admin_url) + "/loadbalancer/state", params={"namespace": namespace} if namespace else {})
        assert answer.status_code == 200, f"{answer.status_code} {answer.text[:400]}"
        return answer.json()

    def known(self, app: Application, admin: str = "") -> Object:
        """Waits until a load balancer routes to the application, and returns what it says of it."""

        def check() -> Object:
            for known in self.balancer_state(app.namespace, admin)["applications"]:
                if known["deployment"] == app.name:
                    return known
            raise NotYet(f"the load balancer has no route to {app.namespace}/{app.name}")

        return eventually(check, "the load balancer knows the route")

    def deploy(self, *apps: Application) -> None:
        """Applies applications and waits until the load balancer routes to them."""
        for app in apps:
            self.cluster.apply(*app.objects)
        for app in apps:
            self.known(app)

    def wait_replicas(self, app: Application, replicas: int) -> Object:
        """Waits until the Deployment is asked for so many pods, and has them."""

        def settled(d: Object | None) -> bool:
            if not d or d["status"].get("observedGeneration", 0) < d["metadata"]["generation"]:
                return False  # its status is of another count
            return d["spec"]["replicas"] == replicas and d["status"].get("replicas", 0) == replicas

        found = self.cluster.wait("Deployment", app.name, app.namespace, settled, f"{app.name} has {replicas} pods")
        assert found is not None
        return found

    def wait_state(self, app: Application, state: str) -> Object:
        """Waits until the CustomAutoscaler's status says so."""

        def there(o: Object | None) -> bool:
            return bool(o) and o.get("status", {}).get("state") == state

        found = self.cluster.wait("CustomAutoscaler", app.name, app.namespace, there, f"{app.name} is {state}")
        assert found is not None
        return found

    def wait_condition(self, app: Application, kind: str, status: str) -> Object:
        """Waits for a condition of the CustomAutoscaler, and returns it."""
        found: Object = {}

        def there(o: Object | None) -> bool:
            for c in (o or {}).get("status", {}).get("conditions", []):
                if c["type"] == kind and c["status"] == status:
                    found.update(c)
                    return True
            return False

        self.cluster.wait("CustomAutoscaler", app.name, app.namespace, there, f"condition {kind} is {status}")
        return found

    def pods(self, service: str, namespace: str = SYSTEM) -> list[Object]:
        """The pods of a service that are not ending."""
        found = self.cluster.list("Pod", namespace, labels=f"app.kubernetes.io/name={service}")
        return [p for p in found if "deletionTimestamp" not in p["metadata"]]

    def wait_service(self, service: str, namespace: str = SYSTEM) -> None:
        """Waits until a service's Deployment is rolled out, as `kubectl rollout status` does."""

        def rolled_out(d: Object | None) -> bool:
            if not d or d["status"].get("observedGeneration", 0) < d["metadata"]["generation"]:
                return False
            want, have = d["spec"]["replicas"], d["status"]
            return have.get("updatedReplicas", 0) == have.get("availableReplicas", 0) == have.get("replicas", 0) == want

        self.cluster.wait("Deployment", service, namespace, rolled_out, f"{service} is rolled out")

    def wait_pods_gone(self, pods: list[Object]) -> None:
        for pod in pods:
            meta = pod["metadata"]
            self.cluster.wait(
                "Pod",
                meta["name"],
                meta["namespace"],
                lambda p, uid=meta["uid"]: p is None or p["metadata"]["uid"] != uid,
                f"{meta['name']} is gone",
            )


def unique(prefix: str = "e2e") -> str:
    """A name that no other test has."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"
