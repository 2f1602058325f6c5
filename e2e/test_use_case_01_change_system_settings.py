"""Use case 1, change system settings: see them, change them, save and apply.

A failed save gives an error that says what to do, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness.nemesis import Nemesis
from harness.problems import problem
from harness.waiting import eventually

pytestmark = pytest.mark.disruptive


@pytest.fixture
def url(nemesis: Nemesis) -> Iterator[str]:
    """Where the settings are, which are as before after the test."""
    url = nemesis.admin_url + "/loadbalancer/settings"
    before = nemesis.http.get(url)
    assert before.status_code == 200, before.text
    yield url
    back = nemesis.http.put(url, json=before.json())
    assert back.status_code == 200, back.text


def test_the_settings_are_seen_changed_and_applied(nemesis: Nemesis, url: str) -> None:
    seen = nemesis.http.get(url).json()
    assert set(seen) == {"policy", "max_connections", "timeout_seconds"}, seen
    wanted = {**seen, "policy": "prequal", "max_connections": 1234, "timeout_seconds": 77}

    saved = nemesis.http.put(url, json=wanted)

    assert (saved.status_code, saved.json()) == (200, wanted), saved.text
    assert nemesis.http.get(url).json() == wanted
    # Applied: this load balancer works by them; kept: the controller has them for all others.
    assert nemesis.balancer_state()["settings"] == wanted
    assert nemesis.read("/v1/loadbalancer/settings") == wanted


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("policy", "fastest", "round_robin"),
        ("max_connections", 0, "from 1 to 1000000"),
        ("timeout_seconds", 86401, "from 1 to 86400"),
        ("timeout_seconds", "soon", "integer"),
        ("timeout", 5, "known are max_connections, policy, timeout_seconds"),
    ],
)
def test_a_bad_value_changes_nothing_and_the_error_says_what_is_allowed(
    nemesis: Nemesis, url: str, field: str, value: Any, allowed: str
) -> None:
    before = nemesis.http.get(url).json()
    document = problem(nemesis.http.put(url, json={**before, "max_connections": 4321, field: value}), 400, "invalid")
    (fault,) = document["errors"]
    assert fault["field"] == field and allowed in fault["allowed"], document
    assert nemesis.http.get(url).json() == before
    assert nemesis.balancer_state()["settings"] == before


def test_what_is_left_out_takes_its_default(nemesis: Nemesis, url: str) -> None:
    saved = nemesis.http.put(url, json={"policy": "random"})
    assert saved.json() == {"policy": "random", "max_connections": 10000, "timeout_seconds": 600}, saved.text
    eventually(lambda: nemesis.balancer_state()["settings"] == saved.json(), "they are applied", promised=5)
