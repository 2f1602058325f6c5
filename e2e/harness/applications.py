"""The sample applications as Kubernetes objects, each with its CustomAutoscaler."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from .cluster import Object

GROUP = "autoscaler-group.autoscaler/v1alpha1"


@dataclass
class Application:
    """One Deployment with Service and CustomAutoscaler, all of the same name."""

    namespace: str
    name: str = "fibonacci"
    image: str = "fibonacci"
    port: int = 5001
    health: str = "/healthz"
    prefix: str = ""  # the default is unique to the namespace
    env: dict[str, str] = field(default_factory=dict)
    replicas: int = 0
    readiness: str | None = None  # path of the readiness check, when it is not the health path
    probe: Object | None = None  # the readiness check, when it is not by HTTP
    service_port: Object = field(default_factory=lambda: {"name": "http"})  # over the one port of its Service
    grace: int = 5  # seconds from SIGTERM to SIGKILL
    with_service: bool = True
    spec: dict[str, Any] = field(default_factory=dict)  # over the CustomAutoscaler's defaults
    target: dict[str, Any] = field(default_factory=dict)  # over its one target's

    def __post_init__(self) -> None:
        self.prefix = self.prefix or f"/{self.namespace}/{self.name}"

    @property
    def metadata(self) -> Object:
        return {"name": self.name, "namespace": self.namespace, "labels": {"app": self.name}}

    @property
    def deployment(self) -> Object:
        container = {
            "name": self.image,
            "image": f"{os.environ.get('NEMESIS_IMAGES', 'nemesis')}/{self.image}:{os.environ.get('NEMESIS_IMAGE_TAG', 'dev')}",
            "imagePullPolicy": "IfNotPresent",
            "ports": [{"name": "http", "containerPort": self.port}],
            "env": [{"name": k, "value": v} for k, v in self.env.items()],
            "readinessProbe": {
                **(self.probe or {"httpGet": {"path": self.readiness or self.health, "port": "http"}}),
                "periodSeconds": 1,
                "failureThreshold": 1,
            },
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
        pod = {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": self.grace,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        }
        template = {"metadata": {"labels": {"app": self.name}}, "spec": pod}
        spec = {"replicas": self.replicas, "selector": {"matchLabels": {"app": self.name}}, "template": template}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": self.metadata, "spec": spec}

    @property
    def service(self) -> Object:
        ports = [{"port": self.port, "targetPort": "http", **self.service_port}]
        spec = {"selector": {"app": self.name}, "ports": ports}
        return {"apiVersion": "v1", "kind": "Service", "metadata": self.metadata, "spec": spec}

    @property
    def autoscaler(self) -> Object:
        target: Object = {"name": self.name, "apiPrefix": self.prefix, "port": str(self.port)}
        if self.with_service:
            target["service"] = self.name
        spec = {"idleTime": 600, "maxReplicas": 3, "wakeUpTimeout": 60, **self.spec, "targetDeployments": [{**target, **self.target}]}
        return {"apiVersion": GROUP, "kind": "CustomAutoscaler", "metadata": self.metadata, "spec": spec}

    @property
    def objects(self) -> list[Object]:
        return [self.deployment, *([self.service] if self.with_service else []), self.autoscaler]


def fibonacci(namespace: str, name: str = "fibonacci", **more: Any) -> Application:
    """Computes numbers: GET /fib/{n} or /?n=."""
    return Application(namespace, name, **more)


def modelserver(namespace: str, name: str = "modelserver", load_seconds: float = 0, **more: Any) -> Application:
    """Pretends to be a model server: POST /v1/completions, GET /metrics."""
    env = {"LOAD_SECONDS": f"{load_seconds:g}", **more.pop("env", {})}
    return Application(namespace, name, image="modelserver", port=8000, health="/health", env=env, **more)


def echo(namespace: str, name: str = "echo", **more: Any) -> Application:
    """Gives back what it gets: a WebSocket at /ws, POST /upload."""
    return Application(namespace, name, image="echo", port=8080, **more)


def slot(namespace: str, name: str = "slot", **more: Any) -> Application:
    """Works on one request at a time and answers 500 when it has more: GET /work?for=100ms, GET /count."""
    return Application(namespace, name, image="slot", port=8080, **more)


def grpc_echo(namespace: str, name: str = "grpc-echo", service_port: Object | None = None, **more: Any) -> Application:
    """The same over gRPC, at the host NAME.NAMESPACE.example: the path is the service's name and stays as it is."""
    return Application(
        namespace,
        name,
        image="echo",
        port=50051,
        prefix="/nemesis.echo.v1.Echo",
        probe={"grpc": {"port": 50051}},
        service_port=service_port or {"name": "grpc"},
        target={"stripPrefix": False, "hosts": [f"{name}.{namespace}.example"]},
        **more,
    )
