"""Use case 1, change system settings: see them, change them, apply them everywhere at once; what is not allowed changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPMessage, NotConnected
from urllib.parse import urlsplit

import httpx
import pytest

from harness.applications import fibonacci, modelserver
from harness.cluster import Object
from harness.load import Load
from harness.nemesis import BALANCER, CONTROLLER, Nemesis
from harness.problems import problem, retry_after
from harness.reach import SYSTEM
from harness.services import OwnBalancer, own_balancer, scaled, settled
from harness.waiting import PATIENCE, eventually, stretched, throughout

DEFAULTS = {"policy": "least_connections", "max_connections": 10000, "timeout_seconds": 600}

pytestmark = pytest.mark.disruptive


def put(nemesis: Nemesis, settings: Object, admin: str = "") -> httpx.Response:
    return nemesis.http.put((admin or nemesis.admin_url) + "/loadbalancer/settings", json=settings)


def followed(nemesis: Nemesis, admin: str = "") -> Object:
    answer = nemesis.http.get((admin or nemesis.admin_url) + "/loadbalancer/settings")
    assert answer.status_code == 200, answer.text
    return answer.json()


def change(nemesis: Nemesis, settings: Object, admin: str = "") -> Object:
    answer = put(nemesis, settings, admin)
    assert answer.status_code == 200, answer.text
    return answer.json()


def admins(nemesis: Nemesis) -> list[str]:
    return [nemesis.reach.pod(pod, 8081) for pod in nemesis.pods(BALANCER)]


@pytest.fixture(autouse=True)
def as_before(nemesis: Nemesis) -> Iterator[None]:
    """What the settings were, they are again."""
    before = followed(nemesis)
    change(nemesis, DEFAULTS)
    yield
    eventually(lambda: put(nemesis, before).status_code == 200, "the settings are as before")


def test_settings_are_seen_changed_and_followed(nemesis: Nemesis) -> None:
    assert followed(nemesis) == DEFAULTS
    want = {"policy": "prequal", "max_connections": 500, "timeout_seconds": 60}
    assert change(nemesis, want) == want
    assert followed(nemesis) == want, "who answered does not follow"
    assert nemesis.balancer_state()["settings"] == want
    assert nemesis.read("/v1/loadbalancer/settings") == want, "the controller keeps something else"
    # PUT replaces: what is left out takes its default.
    assert change(nemesis, {"policy": "random"}) == {**DEFAULTS, "policy": "random"} == followed(nemesis)


def test_a_change_is_followed_by_every_replica_at_once_and_drops_no_connection(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, replicas=1, env={"TOKENS_PER_SECOND": "4"}, spec={"minReplicas": 1})
    nemesis.deploy(app)
    assert nemesis.ask(app, "/v1/models").status_code == 200
    with scaled(nemesis, BALANCER, 2), ExitStack() as open_streams:
        replicas = [(nemesis.reach.pod(pod, 8080), nemesis.reach.pod(pod, 8081)) for pod in nemesis.pods(BALANCER)]
        assert len(replicas) == 2
        body = {"prompt": "a b", "max_tokens": 24, "stream": True}
        streams = []
        for data, admin in replicas:
            nemesis.known(app, admin)
            answer = open_streams.enter_context(nemesis.http.stream("POST", data + app.prefix + "/v1/completions", json=body))
            lines = answer.iter_lines()
            next(lines)
            streams.append(lines)
        with Load(nemesis.data_url + app.prefix + "/v1/models") as load:
            load.after(50)
            want = {"policy": "prequal", "max_connections": 900, "timeout_seconds": 30}
            change(nemesis, want, replicas[0][1])
            began = time.monotonic()
            for _, admin in replicas:
                eventually(lambda admin=admin: followed(nemesis, admin) == want, "every replica follows", promised=2, every=0.01)
            assert time.monotonic() - began < stretched(2)
            load.after(50)
        assert not load.failures, load.failures[:3]
        for lines in streams:
            rest = [line for line in lines if line.startswith("data: ")]
            assert rest and "[DONE]" in rest[-1], f"a stream that was open was cut: {rest[-1:]}"


def test_a_replica_that_was_told_never_goes_back(nemesis: Nemesis) -> None:
    for connections in range(100, 110):
        want = change(nemesis, {"max_connections": connections})

        def stays(want: Object = want) -> None:
            assert followed(nemesis) == want

        throughout(stays, seconds=0.3, every=0.01)


def test_settings_survive_the_restart_of_balancer_and_controller(nemesis: Nemesis) -> None:
    want = change(nemesis, {"policy": "random", "max_connections": 4321, "timeout_seconds": 77})
    for service in (CONTROLLER, BALANCER):
        ended = nemesis.pods(service)
        for pod in ended:
            nemesis.cluster.delete("Pod", pod["metadata"]["name"], SYSTEM, grace=1)
        nemesis.wait_pods_gone(ended)
        settled(nemesis, service)
        assert nemesis.read("/v1/loadbalancer/settings") == want
        for admin in admins(nemesis):
            assert followed(nemesis, admin) == want, f"after the restart of {service}"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"max_connections": 0}, "max_connections"),
        ({"max_connections": 1000001}, "max_connections"),
        ({"max_connections": "many"}, "max_connections"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": 86401}, "timeout_seconds"),
        ({"policy": "fastest"}, "policy"),
        ({"max_conections": 5}, "max_conections"),
    ],
    ids=str,
)
def test_a_bad_value_changes_nothing_and_the_answer_says_why(nemesis: Nemesis, settings: Object, field: str) -> None:
    before = change(nemesis, {"max_connections": 700})
    document = problem(put(nemesis, {"policy": "random", **settings}), 400, "invalid")
    (fault,) = document["errors"]
    assert fault["field"] == field and fault["allowed"], document
    assert followed(nemesis) == before == nemesis.read("/v1/loadbalancer/settings")


def test_without_the_controller_nothing_changes_and_the_answer_says_so(nemesis: Nemesis) -> None:
    before = change(nemesis, {"max_connections": 800})
    with scaled(nemesis, CONTROLLER, 0):
        refused = put(nemesis, {"max_connections": 5})
        document = problem(refused, 503, "unavailable")
        assert "controller" in document["detail"] and retry_after(refused) >= 1, document
    assert followed(nemesis) == before
    assert nemesis.read("/v1/loadbalancer/settings") == before


@pytest.fixture
def own(nemesis: Nemesis, namespace: str) -> Iterator[OwnBalancer]:
    """A load balancer that only this test connects to."""
    with own_balancer(nemesis, namespace, {}) as own:
        yield own


class Client:
    """One connection, which is not made again when it is closed."""

    def __init__(self, url: str, path: str) -> None:
        where = urlsplit(url)
        self._path = path
        self._connection = HTTPConnection(where.hostname or "", where.port or 80, timeout=PATIENCE)
        self._connection.connect()
        self._connection.auto_open = False

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self) -> tuple[int, HTTPMessage, str]:
        """Status, header and body of an answer."""
        self._connection.request("GET", self._path)
        answer = self._connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def test_at_max_connections_idle_ones_give_way_and_busy_ones_stay(nemesis: Nemesis, namespace: str, own: OwnBalancer) -> None:
    app = fibonacci(namespace)
    slow = modelserver(namespace, "slow", env={"TOKENS_PER_SECOND": "1"})
    nemesis.deploy(app, slow)
    for each in (app, slow):
        nemesis.known(each, own.admin)
        assert nemesis.ask(each, "/fib/5" if each is app else "/v1/models").status_code == 200
    path = app.prefix + "/fib/5"
    with ExitStack() as clients:
        idle = [clients.enter_context(Client(own.data, path)) for _ in range(3)]
        assert [c.ask()[0] for c in idle] == [200] * 3
        assert nemesis.balancer_state(admin=own.admin)["connections"] == 3
        change(nemesis, {"max_connections": 2}, own.admin)
        assert idle[2].ask()[0] == 200, "a connection that was open was refused"
        with Client(own.data, path) as newcomer:
            assert newcomer.ask()[0] == 200, "idle connections do not give way"
        for gone in idle[:2]:
            with pytest.raises((NotConnected, ConnectionError)):
                gone.ask()

    eventually(lambda: nemesis.balancer_state(admin=own.admin)["connections"] == 0, "nobody is counted any more", promised=5)
    change(nemesis, {"max_connections": 1}, own.admin)
    body = {"prompt": "a b", "max_tokens": 8, "stream": True}
    with httpx.stream("POST", own.data + slow.prefix + "/v1/completions", json=body, timeout=PATIENCE) as busy:
        lines = busy.iter_lines()
        next(lines)
        with Client(own.data, path) as one_too_many:
            status, header, text = one_too_many.ask()
            assert status == 503 and json.loads(text)["code"] == "too-many-connections", text
            assert header["Retry-After"] and header["Connection"] == "close", str(header)
            with pytest.raises(NotConnected):
                one_too_many.ask()
        assert any("[DONE]" in line for line in lines), "the busy connection was cut"
    metrics = nemesis.http.get(own.admin + "/metrics").text
    assert 'nemesis_lb_connections_refused_total{how="told"} 1' in metrics
    eventually(lambda: nemesis.balancer_state(admin=own.admin)["connections"] == 0, "nobody is counted any more", promised=5)


def test_timeout_seconds_is_about_silence_and_never_cuts_a_stream_that_goes_on(nemesis: Nemesis, namespace: str) -> None:
    slow = modelserver(namespace, "slow", env={"TOKENS_PER_SECOND": "0.2"})
    steady = modelserver(namespace, "steady", env={"TOKENS_PER_SECOND": "2"})
    nemesis.deploy(slow, steady)
    for app in (slow, steady):
        assert nemesis.ask(app, "/v1/models").status_code == 200
    change(nemesis, {"timeout_seconds": 2})
    body = {"prompt": "a b", "max_tokens": 2}

    with ThreadPoolExecutor(3) as pool:
        began = time.monotonic()
        silent = pool.submit(nemesis.ask, slow, "/v1/completions", "POST", json=body)
        going_on = pool.submit(nemesis.ask, steady, "/v1/completions", "POST", json={**body, "max_tokens": 12, "stream": True})

        pauses = pool.submit(nemesis.ask, slow, "/v1/completions", "POST", json={**body, "stream": True})
        problem(silent.result(timeout=PATIENCE), 504, "upstream-timeout")
        assert 1.5 < time.monotonic() - began < stretched(10)
        with pytest.raises(httpx.RemoteProtocolError):  # it began, and was cut
            pauses.result(timeout=PATIENCE)
        answer = going_on.result(timeout=PATIENCE)
    assert answer.status_code == 200 and "[DONE]" in answer.text, "a stream that went on was cut"
    assert time.monotonic() - began > 4, "the stream was shorter than it should be"


def test_the_policy_is_for_applications_that_name_none(nemesis: Nemesis, namespace: str) -> None:
    free = fibonacci(namespace, "free")
    own = fibonacci(namespace, "own", spec={"loadBalancingAlgorithm": "Random"})
    nemesis.deploy(free, own)
    assert (nemesis.known(free)["algorithm"], nemesis.known(own)["algorithm"]) == ("LeastConnections", "Random")
    change(nemesis, {"policy": "round_robin"})
    assert (nemesis.known(free)["algorithm"], nemesis.known(own)["algorithm"]) == ("RoundRobin", "Random")
    assert nemesis.ask(free).status_code == 200
    log = nemesis.http.get(nemesis.admin_url + "/proxy/logs", params={"namespace": namespace, "deployment": free.name}).json()
    assert log["items"][0]["policy"] == "its turn", log
