"""A CustomAutoscaler that is deleted and made again under another name."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from harness.applications import Application, fibonacci, modelserver
from harness.cluster import Object
from harness.load import Load
from harness.nemesis import Nemesis
from harness.waiting import eventually


def renamed(app: Application, name: str) -> Object:
    autoscaler = app.autoscaler
    autoscaler["metadata"] = {**autoscaler["metadata"], "name": name}
    return autoscaler


def rename(nemesis: Nemesis, app: Application, name: str, seconds: float) -> None:
    """Deletes it, and makes it again under another name so many seconds later."""
    nemesis.cluster.delete("CustomAutoscaler", app.name, app.namespace)
    nemesis.cluster.wait("CustomAutoscaler", app.name, app.namespace, lambda o: o is None, "it is deleted")
    time.sleep(seconds)  # the gap that the test is about
    nemesis.cluster.apply(renamed(app, name))


def test_nobody_who_waits_is_lost(nemesis: Nemesis, namespace: str) -> None:
    app = modelserver(namespace, load_seconds=6)
    nemesis.deploy(app)
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(nemesis.ask, app, "/v1/models") for _ in range(20)]
        eventually(lambda: nemesis.known(app)["waiting"] == 20, "all wait", promised=10)
        rename(nemesis, app, "another", seconds=1)
        assert [a.result().status_code for a in answers] == [200] * 20, [a.result().text for a in answers]


def test_who_comes_between_the_two_is_not_refused(nemesis: Nemesis, namespace: str) -> None:
    app = fibonacci(namespace, replicas=1)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    with Load(nemesis.data_url + app.prefix + "/fib/5", clients=4) as load:
        load.after(20)
        rename(nemesis, app, "another", seconds=1)
        load.after(50)
    assert not load.failures, load.failures[:5]
