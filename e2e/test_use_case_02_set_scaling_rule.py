"""Use case 2, set scaling rule: thresholds on metrics at which pods are added or removed.

That the rule then acts is use cases 8, 11 and 12.
"""

from __future__ import annotations

import pytest

from harness.settings import CREATE, RULE, WAYS, Place, change


@pytest.mark.parametrize("way", WAYS)
def test_a_scaling_rule_is_set_and_read_back(place: Place, way: str) -> None:
    _, now = change(place, way, RULE)
    assert now["cpuThreshold"] == 700 and now["scalingRules"][0]["action"] == "INCREASE_INSTANCES", now


@pytest.mark.parametrize("way", ["SDK, PUT", "curl"])
def test_a_bad_scaling_rule_is_refused_and_changes_nothing(place: Place, way: str) -> None:
    WAYS[way](place, CREATE)
    (before,) = place.read()["items"]
    rule = place.wanted(RULE)
    rule["scalingRules"][0]["action"] = "DOUBLE_INSTANCES"
    place.readme.change(RULE, rule)

    with pytest.raises(AssertionError) as refused:
        WAYS[way](place, RULE)

    assert "422" in str(refused.value) and "scalingRules[0].action" in str(refused.value), refused.value
    assert "INCREASE_INSTANCES" in str(refused.value), "it says what is allowed"
    assert place.read()["items"][0]["spec"] == before["spec"]
