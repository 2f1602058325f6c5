"""The harness: a token goes where it is asked for, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from harness import accounts
from harness.accounts import Operator, altered, claims
from harness.reach import Reach

API, DATA = "https://10.0.0.1:8080", "http://10.0.0.2:8080"


class NoCluster:
    """Takes what is applied, and hands out tokens."""

    def __init__(self) -> None:
        self.tokens = 0

    def list(self, *_: Any, **__: Any) -> list[Any]:
        return []

    def apply(self, *_: Any) -> None:
        pass

    def path(self, kind: str, name: str = "", namespace: str = "") -> str:
        return f"/{namespace}/{kind}/{name}"

    def call(self, *_: Any, **__: Any) -> dict[str, Any]:
        self.tokens += 1
        return {"status": {"token": f"t{self.tokens}"}}


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Operator:
    monkeypatch.setattr("harness.reach.answers", lambda *_: True)
    reach = Reach(NoCluster())  # type: ignore[arg-type]
    reach.direct = True
    pods = {"autoscaler-controller": "10.0.0.1", "load-balancer": "10.0.0.2"}
    for name, address in pods.items():
        pod = {"metadata": {"labels": {"app.kubernetes.io/name": name}}, "status": {"podIP": address}}
        for port in (8080, 8081, 8082):
            reach.pod(pod, port)
    return Operator(NoCluster(), reach, "e2e")  # type: ignore[arg-type]


def sent(operator: Operator, url: str, auth: Any = httpx.USE_CLIENT_DEFAULT, **headers: str) -> str:
    """What the header Authorization of a request is."""
    answer = httpx.MockTransport(lambda request: httpx.Response(200, text=request.headers.get("Authorization", "")))
    with httpx.Client(transport=answer, auth=operator) as client:
        return client.get(url, headers=headers, auth=auth).text


def test_the_operator_says_who_it_is_to_nemesis_alone(operator: Operator) -> None:
    for url in (API, API + "/v1/applications", API + "?x=1", "https://10.0.0.2:8081/loadbalancer/state"):
        assert sent(operator, url) == "Bearer t1", url
    others = ("https://10.0.0.2:8082/v1/slots", "http://10.0.0.1:8080/", "https://10.0.0.1:80801/", "https://elsewhere/" + API)
    for url in (DATA + "/shop", *others):
        assert sent(operator, url) == "", url


def test_who_is_named_in_a_request_asks_it(operator: Operator) -> None:
    assert sent(operator, API, Authorization="Bearer mine") == "Bearer mine"
    assert sent(operator, API, **{"Nemesis-Authorization": "Bearer mine"}) == ""
    assert sent(operator, API, auth=None) == ""
    with operator.silent():
        assert sent(operator, API) == ""
    assert sent(operator, API) == "Bearer t1"


def test_a_token_is_made_anew_when_half_of_its_life_is_over(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(accounts.time, "monotonic", lambda: now)
    assert (operator.token, operator.token) == ("t1", "t1")
    now += Operator.LIFE / 2 + 1
    assert operator.token == "t2"


def test_an_address_that_is_another_pods_by_now_gets_no_token(operator: Operator) -> None:
    reach = operator._reach
    reach.pod({"metadata": {"labels": {"app": "fibonacci"}}, "status": {"podIP": "10.0.0.1"}}, 8080)
    assert sent(operator, API) == ""


def test_an_altered_token_says_something_else_under_the_same_signature() -> None:
    good = "e30.eyJzdWIiOiJhIiwieCI6MX0.c2ln"
    bad = altered(good, sub="b")
    assert claims(bad) == {"sub": "b", "x": 1} and bad.split(".")[::2] == good.split(".")[::2]
    assert json.dumps(claims(good)) == '{"sub": "a", "x": 1}'
