"""From many pods to fewer: nobody is cut off, whichever way the fewer are asked for."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import httpx
import pytest

from harness.applications import Application, modelserver
from harness.cluster import Object
from harness.load import Load
from harness.nemesis import Nemesis
from harness.waiting import PATIENCE, eventually, throughout

pytestmark = pytest.mark.long

SECONDS = 120  # of a stream: one event in each


class Stream:
    """A client that reads a stream to its end, beside the test."""

    def __init__(self, nemesis: Nemesis, app: Application) -> None:
        self.url = nemesis.data_url + app.prefix + "/v1/completions"
        self.events = 0
        self.whole = False
        self.fault = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        body = {"prompt": "a b c", "max_tokens": SECONDS, "stream": True}
        try:
            with httpx.Client(timeout=PATIENCE, trust_env=False) as http, http.stream("POST", self.url, json=body) as answer:
                for line in answer.iter_lines():
                    self.events += line.startswith("data: {")
                    self.whole = self.whole or "[DONE]" in line
                    if self._stop.is_set():
                        return
        except httpx.HTTPError as err:
            self.fault = repr(err)

    def close(self) -> None:
        self._stop.set()

    def end(self) -> None:
        """Waits for its end, and sees that nothing of it is missing."""
        self._thread.join(SECONDS + PATIENCE)
        assert self.whole and self.events == SECONDS and not self.fault, f"{self.events} events, {self.fault or 'cut off'}"


def three_pods(nemesis: Nemesis, namespace: str, spec: Object) -> Application:
    app = modelserver(namespace, replicas=3, env={"TOKENS_PER_SECOND": "1", "SLOTS": "8"}, spec={"minReplicas": 1, **spec})
    nemesis.deploy(app)
    nemesis.wait_replicas(app, 3)
    eventually(lambda: sum(e["usable"] for e in nemesis.known(app)["endpoints"]) == 3, "three pods are used")
    return app


def newest(nemesis: Nemesis, app: Application) -> str:
    pods = nemesis.cluster.list("Pod", app.namespace, labels=f"app={app.name}")
    return max(pods, key=lambda p: (p["metadata"]["creationTimestamp"], p["metadata"]["name"]))["metadata"]["name"]


def on_pods(nemesis: Nemesis, app: Application) -> dict[str, int]:
    return {e["pod"]: e["inFlight"] for e in nemesis.known(app)["endpoints"]}


def stream_on_each(nemesis: Nemesis, app: Application, streams: ExitStack) -> dict[str, Stream]:
    """One stream on each of the three pods."""
    found: dict[str, Stream] = {}
    while len(found) < 3:
        before = on_pods(nemesis, app)
        stream = Stream(nemesis, app)
        streams.callback(stream.close)
        pod = eventually(
            lambda before=before: next((p for p, n in on_pods(nemesis, app).items() if n > before.get(p, 0)), ""), "a pod has the stream"
        )
        if pod in found:
            stream.close()
            eventually(lambda pod=pod: on_pods(nemesis, app)[pod] == 1, "one stream too many has ended")
            continue
        eventually(lambda stream=stream: stream.events > 0, "the stream flows")
        found[pod] = stream
    return found


def asked(nemesis: Nemesis, app: Application) -> int:
    return nemesis.cluster.get("Deployment", app.name, app.namespace)["spec"]["replicas"]


def marks(nemesis: Nemesis, app: Application) -> list[str]:
    """The pods that carry a mark of the controller."""
    pods = nemesis.cluster.list("Pod", app.namespace, labels=f"app={app.name}")
    ours = "autoscaler-group.autoscaler/draining-since"
    there = [p["metadata"] for p in pods if "deletionTimestamp" not in p["metadata"]]  # who goes takes its mark along
    return [m["name"] for m in there if ours in m.get("annotations", {})]


def test_idle_pods_go_and_the_newest_one_streams_to_its_end(nemesis: Nemesis, namespace: str) -> None:
    """K1: the load falls, and of three pods the newest holds a stream of two minutes."""
    # Until all is set up none may go: on a busy machine that takes longer than the window.
    app = three_pods(nemesis, namespace, {"responseTimeThreshold": 60000, "scaleDownWindow": 5, "minReplicas": 3})
    with ExitStack() as streams:
        found = stream_on_each(nemesis, app, streams)
        nemesis.cluster.patch("CustomAutoscaler", app.name, namespace, {"spec": {"minReplicas": 1}})
        keeper = newest(nemesis, app)
        for pod, stream in found.items():
            if pod != keeper:
                stream.close()
        # What is answered meanwhile is quick: else nothing says that fewer pods would do.
        with Load(nemesis.data_url + app.prefix + "/v1/models", clients=1, pause=0.5) as load:
            nemesis.wait_replicas(app, 1)
        assert not load.failures, load.failures
        eventually(lambda: list(on_pods(nemesis, app)) == [keeper], "the pod with the stream is the one that is left")
        assert not found[keeper].whole, "the stream ended before the idle pods had gone: this proves nothing"
        found[keeper].end()
    text = str([r["message"] for d in nemesis.decisions(app, result="applied") for r in d["reasons"] if r["rule"] == "Drain"])
    assert "goes (" in text and keeper not in text, text


def test_a_lowered_maximum_waits_for_every_stream(nemesis: Nemesis, namespace: str) -> None:
    """K2: all three pods stream, and maxReplicas goes from 3 to 1."""
    app = three_pods(nemesis, namespace, {"maxReplicas": 3})
    with ExitStack() as streams:
        found = stream_on_each(nemesis, app, streams)
        nemesis.cluster.patch("CustomAutoscaler", app.name, namespace, {"spec": {"maxReplicas": 1}})
        eventually(lambda: len(marks(nemesis, app)) == 2, "two pods are marked")
        assert nemesis.ask(app, "/v1/models").status_code == 200
        said = eventually(
            lambda: next(
                (d for d in nemesis.decisions(app) for r in d["reasons"] if r["rule"] == "Drain" and "stream" in r["message"]), None
            ),
            "a decision says what is waited for",
        )
        assert said["from"] == said["to"] == 3 and not said["applied"], said

        def stays() -> None:
            assert asked(nemesis, app) == 3, "pods were taken while they streamed"

        throughout(stays, 20, every=1)
        for stream in found.values():
            stream.end()
        nemesis.wait_replicas(app, 1)
    # Which one stays is not said: the stream that ends first makes its pod the better one to go.
    assert not [d for d in nemesis.decisions(app) if "Kubernetes took" in d["summary"]]
    assert not marks(nemesis, app)


def test_a_way_down_that_is_called_off_leaves_no_trace(nemesis: Nemesis, namespace: str) -> None:
    app = three_pods(nemesis, namespace, {"maxReplicas": 3})
    with ExitStack() as streams:
        stream_on_each(nemesis, app, streams)
        nemesis.cluster.patch("CustomAutoscaler", app.name, namespace, {"spec": {"maxReplicas": 2}})
        eventually(lambda: len(marks(nemesis, app)) == 1, "one pod is marked")
        nemesis.cluster.patch("CustomAutoscaler", app.name, namespace, {"spec": {"maxReplicas": 3}})
        eventually(lambda: not marks(nemesis, app), "no pod is marked any more")
        assert asked(nemesis, app) == 3
