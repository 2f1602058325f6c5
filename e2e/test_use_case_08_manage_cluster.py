"""Use case 8, manage cluster: read pods and metrics, compare with the rules, change the count; on an error, try again."""

from __future__ import annotations

from harness.applications import fibonacci
from harness.cluster import Object
from harness.load import Load
from harness.nemesis import Nemesis
from harness.refusal import scaling_refused
from harness.waiting import eventually


def test_load_adds_a_pod_quiet_removes_it_and_an_error_on_the_way_is_tried_again(nemesis: Nemesis, namespace: str) -> None:
    spec = {"cpuThreshold": 150, "maxReplicas": 2, "scaleDownWindow": 3}
    app = fibonacci(namespace, spec=spec)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200

    def decided(frm: int, to: int, applied: bool) -> Object | None:
        return next((d for d in nemesis.decisions(app) if (d["from"], d["to"], d["applied"]) == (frm, to, applied)), None)

    with Load(nemesis.data_url + app.prefix + "/fib/30", clients=2) as load:
        with scaling_refused(nemesis, namespace):
            failed = eventually(lambda: decided(1, 2, applied=False), "a pod is asked for, and refused")
            assert "forbidden" in failed["error"], failed
        nemesis.wait_replicas(app, 2)
        up = eventually(lambda: decided(1, 2, applied=True), "it was tried again")
    assert not load.failures, load.failures[:3]

    assert up["trigger"] == "Threshold", up
    wish = next(r for r in up["reasons"] if r["effect"] == "Wish")
    measured = wish["inputs"][0]
    assert measured["value"] > 150 and measured["ageSeconds"] < 90, wish
    assert {i["name"]: i["value"] for i in wish["inputs"]}["cpuThreshold"] == 150, wish
    assert "150 m" in up["summary"], up

    # The last pod stays: it goes with idleTime.
    nemesis.wait_replicas(app, 1)
    down = eventually(lambda: decided(2, 1, applied=True), "the way down is told")
    assert down["trigger"] == "Threshold" and "cpuThreshold" in str(down["reasons"]), down
    assert nemesis.ask(app).status_code == 200
