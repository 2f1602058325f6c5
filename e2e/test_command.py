"""The command nemesis against the cluster: as people run it, by kubectl's credentials and through the API server."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.accounts import member
from harness.applications import fibonacci
from harness.nemesis import CONTROLLER, Nemesis
from harness.waiting import eventually

ROOT = Path(__file__).parent.parent
FORBIDDEN, MISSING, UNWELL = 3, 4, 6  # exit codes


@dataclass
class Command:
    """The built program, as somebody runs it."""

    program: Path
    nemesis: Nemesis
    controller: str  # by a pod's address, which its certificate has
    authority: Path

    def run(self, *args: str, token: str = "") -> subprocess.CompletedProcess[str]:
        """By the token, past the API server; without one as the operator's service account, through it."""
        who = ["--service-account", f"{self.nemesis.operator.namespace}/operator"]
        if token:
            who = ["--token", token, "--controller", self.controller, "--ca", str(self.authority)]
        env = {k: v for k, v in os.environ.items() if not k.startswith("NEMESIS_")}
        return subprocess.run([self.program, *args, *who], env=env, capture_output=True, text=True, timeout=120, check=False)

    def ok(self, *args: str) -> str:
        done = self.run(*args)
        assert done.returncode == 0, f"{args}: {done.returncode} {done.stderr}{done.stdout}"
        return done.stdout

    def read(self, *args: str) -> Any:
        return json.loads(self.ok(*args, "-o", "json"))


@pytest.fixture(scope="module")
def command(nemesis: Nemesis, tmp_path_factory: pytest.TempPathFactory) -> Command:
    program = tmp_path_factory.mktemp("bin") / "nemesis"
    subprocess.run(["go", "build", "-o", program, "./cmd/nemesis"], cwd=ROOT / "cli", env=os.environ | {"GOWORK": "off"}, check=True)
    authority = program.with_name("ca.crt")
    authority.write_text(nemesis.reach.authority())
    return Command(program, nemesis, nemesis.reach.pod(nemesis.pods(CONTROLLER)[0], 8080), authority)


def test_an_application_is_woken_asked_about_and_put_to_sleep(command: Command, nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, spec={"idleTime": 600})
    nemesis.deploy(app)
    name = f"{namespace}/{app.name}"
    said = command.ok("wake", name)
    assert "asks for a start" in said and re.search(r"is awake after [\d.]+ m?s, with 1 pod", said), said
    (row,) = command.read("status", "-n", namespace)
    assert row["deployment"] == app.name and row["state"] == "Awake"
    (why,) = command.read("why", name)
    assert why["trigger"] == "StartCall" and ":operator asks for a start" in why["summary"], why
    supposed = command.read("why", name, "--if", "minReplicas=2")
    assert supposed["now"]["to"] == 1 and supposed["if"]["to"] == 2, supposed
    assert nemesis.ask(app).status_code == 200
    taken = command.ok("status", name, "-o", "wide")
    assert re.search(r" TAKEN AS .*\n.* (usable|ramping up) ", taken), taken
    eventually(lambda: app.name in command.ok("logs", name), "the request is in the log")
    assert "Nobody waits" in command.ok("waiting", name)
    assert f"# Nemesis, namespace {namespace}: 12 hours" in command.ok("report", "-n", namespace, "--for", "12h")
    assert command.read("report", "-n", namespace)["applications"] == 1
    nemesis.cluster.wait("CustomAutoscaler", app.name, namespace, lambda o: o is not None, "it is there")
    assert "paused" in command.ok("pause", name)
    assert nemesis.cluster.get("CustomAutoscaler", app.name, namespace)["spec"]["mode"] == "Paused"
    command.ok("resume", name)
    assert "mode" not in nemesis.cluster.get("CustomAutoscaler", app.name, namespace)["spec"]
    asleep = eventually(lambda: command.run("sleep", name).returncode == 0, "it sleeps long before its idleTime", promised=60)
    assert asleep and nemesis.cluster.get("Deployment", app.name, namespace)["spec"]["replicas"] == 0


def test_a_viewer_sees_and_may_not_change(command: Command, nemesis: Nemesis, namespace: str) -> None:
    if not nemesis.reach.direct:
        pytest.skip("a forwarded port has another address than the certificate")
    app = fibonacci(namespace, spec={"minReplicas": 1})
    nemesis.deploy(app)
    viewer = member(nemesis.cluster, namespace, "view")
    name = f"{namespace}/{app.name}"
    seen = command.run("status", name, token=viewer)
    assert seen.returncode == 0 and app.name in seen.stdout, seen.stderr
    for verb in (["wake", name], ["sleep", name], ["pause", name], ["settings", "get"]):
        refused = command.run(*verb, token=viewer)
        assert refused.returncode == FORBIDDEN and "viewer" in refused.stderr, f"{verb}: {refused.returncode} {refused.stderr}"
    assert command.run("status", f"{namespace}/nobody", token=viewer).returncode == MISSING
    by_proxy = subprocess.run([command.program, "status", "--token", viewer], capture_output=True, text=True, timeout=60, check=False)
    assert by_proxy.returncode == FORBIDDEN and "--port-forward" in by_proxy.stderr, by_proxy.stderr


def test_settings_are_seen_and_the_installation_is_well(command: Command, nemesis: Nemesis) -> None:
    assert command.read("settings", "get") == nemesis.read("/v1/loadbalancer/settings")
    found = command.run("check", "-o", "json")
    seen = {one["check"]: one for one in json.loads(found.stdout)}
    assert found.returncode in (0, UNWELL), found.stderr
    assert "the services show" in found.stdout, "their certificates are judged, not that of the authority alone"
    for what in ("resource", "controller", "leader", "certificates", "rights", "settings", "clocks"):
        assert seen[what]["level"] == "ok", seen
