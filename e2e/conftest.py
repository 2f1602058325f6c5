"""Fixtures: one cluster and its services for the session, a namespace for each test."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.accounts import Operator, editor
from harness.cluster import Cluster, Refused
from harness.elastic import Elasticsearch, from_environment, set_up
from harness.kubectl import Kubectl
from harness.nemesis import BALANCER, CONTROLLER, Nemesis, unique
from harness.reach import Reach
from harness.readme import Readme
from harness.report import sections
from harness.services import settled
from harness.settings import Place
from harness.shared import permit

MISSING = (
    "Nemesis does not run in the cluster of {0}: {1}. `make e2e` starts a cluster, deploys and tests; "
    "on a cluster of your own apply kustomize/overlays/local first."
)


ALONE = {"disruptive", "alone"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--part", choices=["beside", "alone"], help="only the tests that may run side by side, or only the others")


def pytest_configure(config: pytest.Config) -> None:
    if getattr(config.option, "numprocesses", None) and config.getoption("--part") != "beside":
        raise pytest.UsageError("some tests disturb others: -n is for those of --part=beside; e2e/run runs both parts")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """All of the fuzz runs alone: each process beside another would read the contracts for nothing, for ten seconds."""
    return True if config.getoption("--part") == "beside" and collection_path.name == "test_contract_fuzz.py" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Chooses the part; of what runs side by side that comes first which takes long: nobody waits for it in the end."""
    part = config.getoption("--part")
    if part is None:
        return
    chosen: dict[str, list[pytest.Item]] = {"beside": [], "alone": []}
    for item in items:
        chosen["alone" if any(item.get_closest_marker(mark) for mark in ALONE) else "beside"].append(item)
    chosen["beside"].sort(key=lambda item: item.get_closest_marker("long") is None)
    items[:] = chosen.pop(part)
    (others,) = chosen.values()
    config.hook.pytest_deselected(items=others)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """What the test may do to what all share is what its marks say."""
    permit.give(item.nodeid, (mark.name for mark in item.iter_markers()))
    return (yield)


def pytest_sessionfinish() -> None:
    permit.give("", ())


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """For who runs both parts, and says at the end what failed in either."""
    if name := os.environ.get("NEMESIS_E2E_FAILED"):
        with open(name, "a") as file:
            for report in (*terminalreporter.stats.get("failed", []), *terminalreporter.stats.get("error", [])):
                file.write(f"{report.nodeid}\t{report.when}\n")


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    return Kubectl()


@pytest.fixture(scope="session")
def cluster(kubectl: Kubectl) -> Iterator[Cluster]:
    try:
        found = Cluster(kubectl)
        found.list("Namespace")
    except Exception as err:  # noqa: BLE001 - whatever it is, no test can run
        pytest.exit(f"no cluster with {kubectl.kubeconfig}: {err}", 3)
    yield found
    found.close()


@pytest.fixture(scope="session")
def nemesis(cluster: Cluster) -> Iterator[Nemesis]:
    reach = Reach(cluster)
    with new_namespace(cluster, "e2e-operator") as own:
        operator = Operator(cluster, reach, own)
        found = Nemesis(cluster, reach, operator)
        try:
            cluster.list("CustomAutoscaler")
            for service in (CONTROLLER, BALANCER):
                settled(found, service)
        except (Refused, AssertionError) as err:
            pytest.exit(MISSING.format(cluster.kubectl.kubeconfig, err), 3)
        yield found
        found.http.close()
        reach.close()
        operator.close()


@contextmanager
def new_namespace(cluster: Cluster, prefix: str = "e2e", name: str = "") -> Iterator[str]:
    """A namespace under the restricted pod security standard, removed in the end."""
    name = name or unique(prefix)
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "nemesis-e2e": "true"}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    try:
        cluster.wait("ServiceAccount", "default", name, lambda o: o is not None, "pods may be made in the namespace")
        yield name
    finally:
        cluster.delete("Namespace", name)


@pytest.fixture
def namespace(request: pytest.FixtureRequest, cluster: Cluster, nemesis: Nemesis) -> Iterator[str]:
    """A namespace of the test's own; of one that fails a person sees what there was in it."""
    began = time.time()
    with new_namespace(cluster) as name:
        yield name
        if getattr(request.node, "failed", False):
            for title, text in sections(nemesis, name, int(time.time() - began) + 5):
                request.node.add_report_section("teardown", title, text)


@pytest.fixture
def stranger(cluster: Cluster) -> Iterator[str]:
    """Another team's namespace."""
    with new_namespace(cluster) as name:
        yield name


@pytest.fixture(scope="session")
def elastic(cluster: Cluster, nemesis: Nemesis) -> Elasticsearch:
    """A real Elasticsearch that pods reach, with the templates of the load balancers' log."""
    found = from_environment()
    if found is None:
        pytest.skip("no Elasticsearch that pods reach: deployments/with-elasticsearch runs one, and says what it lacks")
    with new_namespace(cluster, "logs") as own:
        code, said = set_up(cluster, found, own)
    assert code in (0, 3), f"logs setup ended with {code}: {said}"  # 3: the server has no API keys, or no retention
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.when == "call":
        item.failed = report.failed  # type: ignore[attr-defined]
    return report


@pytest.fixture(scope="session")
def overlay() -> Path:
    """The folder whose services are deployed; NEMESIS_OVERLAY names another one."""
    given = os.environ.get("NEMESIS_OVERLAY")
    return Path(given) if given else Path(__file__).resolve().parent.parent / "kustomize" / "overlays" / "local"


@pytest.fixture(scope="session")
def settings_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program settings-client, built from its source as a user of the SDK would."""
    folder = Path(__file__).resolve().parent
    program = tmp_path_factory.mktemp("bin") / "settings-client"
    environment = {**os.environ, "GOWORK": "off"}
    command = ["go", "build", "-o", str(program), "./settings-client"]
    with (folder / "settings-client" / "main.go").open() as source:
        fcntl.flock(source, fcntl.LOCK_EX)  # the first one compiles for all who run side by side
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return program


@pytest.fixture
def place(nemesis: Nemesis, namespace: str, settings_client: Path, tmp_path: Path) -> Place:
    """The example application without settings, and somebody who may set them."""
    readme = Readme({'"/fibonacci"': f'"/{namespace}/fibonacci"'})  # of two with the same route the younger one has none
    authority = tmp_path / "ca.crt"
    authority.write_text(nemesis.reach.authority())
    made = Place(nemesis, namespace, editor(nemesis.cluster, namespace), settings_client, readme, authority)
    made.plant()
    return made
