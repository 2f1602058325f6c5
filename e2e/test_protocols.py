"""gRPC, WebSockets, event streams and large uploads: woken like any request, and not cut when load balancers are replaced."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from websockets.sync.client import connect

from harness.applications import Application, echo, fibonacci, grpc_echo, modelserver
from harness.load import Load
from harness.nemesis import BALANCER, Nemesis
from harness.reach import SYSTEM
from harness.services import configured
from harness.waiting import PATIENCE, eventually, stretched

SAY, CONVERSE = "/nemesis.echo.v1.Echo/Say", "/nemesis.echo.v1.Echo/Converse"
MIB, PIECE = 1 << 20, bytes(range(256)) * 256


class Channel:
    """A gRPC client as its library makes it, which calls the application through the load balancer."""

    def __init__(self, nemesis: Nemesis, app: Application | str) -> None:
        host = app if isinstance(app, str) else app.target["hosts"][0]
        where = urlsplit(nemesis.data_url)
        options = [("grpc.default_authority", host), ("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.insecure_channel(f"{where.hostname}:{where.port or 80}", options=options)
        how = {"request_serializer": StringValue.SerializeToString, "response_deserializer": StringValue.FromString}
        self._say, self._converse = self._channel.unary_unary(SAY, **how), self._channel.stream_stream(CONVERSE, **how)

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def say(self, text: str) -> tuple[str, dict[str, str]]:
        """The answer, and its trailers."""
        answer, call = self._say.with_call(StringValue(value=text), timeout=PATIENCE)
        return answer.value, dict(call.trailing_metadata())

    def conversation(self) -> Conversation:
        texts: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        requests = (StringValue(value=text) for text in iter(texts.get, None))
        return Conversation(texts, self._converse(requests, timeout=PATIENCE))


@dataclass
class Conversation:
    """A stream in both directions."""

    texts: queue.SimpleQueue[str | None]
    call: grpc.Call

    def exchange(self, text: str) -> str:
        """What comes back, before anything else is sent."""
        self.texts.put(text)
        return next(self.call).value

    def end(self) -> grpc.StatusCode:
        self.texts.put(None)
        assert not list(self.call), "nothing was sent any more"
        return self.call.code()


PORTS = {"by its name": {"name": "grpc"}, "by appProtocol": {"name": "web", "appProtocol": "kubernetes.io/h2c"}}


@pytest.mark.parametrize("port", PORTS.values(), ids=PORTS)
def test_grpc_calls_wake_a_sleeping_application_and_are_answered(nemesis: Nemesis, namespace: str, port: dict[str, str]) -> None:
    app = grpc_echo(namespace, service_port=port)
    nemesis.deploy(app)
    with Channel(nemesis, app) as unary, Channel(nemesis, app) as streaming, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(unary.say, "hello")
        conversation = streaming.conversation()
        assert [conversation.exchange(text) for text in ("one", "two", "three")] == ["one", "two", "three"]
        text, trailers = waiting.result(timeout=PATIENCE)
        assert text == "hello" and trailers["x-pod"].startswith(app.name), trailers
        assert conversation.end() == grpc.StatusCode.OK
        assert dict(conversation.call.trailing_metadata())["x-pod"] == trailers["x-pod"]
        with pytest.raises(grpc.RpcError) as refused:
            unary.say("")
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT and "it is empty" in refused.value.details()
    woken = [d for d in nemesis.decisions(app) if d["applied"] and d["to"] > 0]
    assert len(woken) == 1, woken


def test_a_grpc_call_for_no_application_is_refused_in_its_own_terms(nemesis: Nemesis) -> None:
    with Channel(nemesis, "nobody.example") as channel, pytest.raises(grpc.RpcError) as refused:
        channel.say("hello")
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED, refused.value


class UnderWay:
    """What lasts longer than a load balancer: each of it runs in a thread of its own until `end` is set, and counts its steps."""

    def __init__(self, nemesis: Nemesis, pool: ThreadPoolExecutor) -> None:
        self.nemesis, self.end, self.steps = nemesis, threading.Event(), Counter[str]()
        self._pool, self._running = pool, dict[str, Future]()

    def start(self, run: Callable[..., Any], *args: Any) -> Future:
        self._running[run.__name__] = self._pool.submit(run, self, *args)
        return self._running[run.__name__]

    def after_another_step(self) -> None:
        """Waits until all have come further, and none has ended."""
        before = self.steps.copy()

        def further() -> bool:
            ended = {name: f.exception() or f.result() for name, f in self._running.items() if f.done()}
            if ended:
                raise RuntimeError(f"ended before its time: {ended}")
            return all(self.steps[name] > before[name] for name in self._running)

        eventually(further, "all that is under way goes on")

    def repeat(self, name: str, exchange: Callable[[str], str]) -> None:
        while not self.end.wait(0.05):
            text = f"{name} {self.steps[name]}"
            answer = exchange(text)
            assert answer == text, f"got {answer!r}, sent {text!r}"
            self.steps[name] += 1


def web_socket(under_way: UnderWay, app: Application) -> int | None:
    """Messages to and fro; the code of the close."""

    def exchange(text: str) -> str:
        socket.send(text)
        return str(socket.recv(timeout=PATIENCE))

    url = (under_way.nemesis.data_url + app.prefix).replace("http", "ws", 1)
    with connect(url + "/ws", open_timeout=PATIENCE, proxy=None) as socket:
        under_way.repeat("web_socket", exchange)
    return socket.close_code


def grpc_stream(under_way: UnderWay, app: Application) -> grpc.StatusCode:
    """Messages to and fro; the status of the call."""
    with Channel(under_way.nemesis, app) as channel:
        conversation = channel.conversation()
        under_way.repeat("grpc_stream", conversation.exchange)
        return conversation.end()


def grpc_calls(under_way: UnderWay, app: Application) -> None:
    """One call after another, on whatever connection the library has."""
    with Channel(under_way.nemesis, app) as channel:
        under_way.repeat("grpc_calls", lambda text: channel.say(text)[0])


def upload(under_way: UnderWay, app: Application, size: int) -> httpx.Response:
    """A third of the body at once, then little by little until the end is asked for, then the rest."""

    def body() -> Iterator[bytes]:
        left = size
        while left:
            if left < size * 2 // 3 and not under_way.end.wait(0.1):
                assert left > len(PIECE), "the upload is too short for this machine"
                under_way.steps["upload"] += 1
            left -= len(PIECE)
            yield PIECE

    return under_way.nemesis.ask(app, "/upload", "POST", content=body(), headers={"Content-Length": str(size)})


def event_stream(under_way: UnderWay, app: Application, tokens: int) -> list[str]:
    """The data of all events."""
    body, data = {"prompt": "a b c", "max_tokens": tokens, "stream": True}, []
    with under_way.nemesis.http.stream("POST", under_way.nemesis.data_url + app.prefix + "/v1/completions", json=body) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            if line.startswith("data: "):
                data.append(line.removeprefix("data: "))
                under_way.steps["event_stream"] += 1
    return data


@pytest.mark.disruptive
def test_what_is_under_way_outlives_two_rollouts_of_the_load_balancer(nemesis: Nemesis, namespace: str) -> None:
    if not nemesis.reach.direct:
        pytest.skip("a forwarded port ends with the pod behind it; this needs the Service's address")
    tokens = 20 * round(stretched(20))  # longer than two rollouts take
    numbers, plain, rpc = fibonacci(namespace), echo(namespace), grpc_echo(namespace)
    model = modelserver(namespace, env={"TOKENS_PER_SECOND": "20"})
    nemesis.deploy(numbers, plain, rpc, model)
    with (
        configured(nemesis, BALANCER, {"NEMESIS_DRAIN_TIMEOUT": "5m"}, grace=310),
        ThreadPoolExecutor(5) as pool,
        Load(nemesis.data_url + numbers.prefix + "/fib/10", clients=4) as load,
    ):
        under_way, first = UnderWay(nemesis, pool), nemesis.pods(BALANCER)
        try:
            socket, stream = under_way.start(web_socket, plain), under_way.start(grpc_stream, rpc)
            calls, sent = under_way.start(grpc_calls, rpc), under_way.start(upload, plain, 100 * MIB)
            events = under_way.start(event_stream, model, tokens)
            under_way.after_another_step()
            for _ in range(2):
                nemesis.cluster.kubectl("rollout", "restart", f"deployment/{BALANCER}", "-n", SYSTEM)
                nemesis.wait_service(BALANCER)
                under_way.after_another_step()
                load.after(50)
        finally:
            under_way.end.set()
        assert socket.result(timeout=PATIENCE) == 1000
        assert stream.result(timeout=PATIENCE) == grpc.StatusCode.OK
        calls.result(timeout=PATIENCE)
        answer = sent.result(timeout=PATIENCE)
        whole = hashlib.sha256(PIECE * (100 * MIB // len(PIECE))).hexdigest()
        assert answer.status_code == 200 and answer.json() == {"bytes": 100 * MIB, "sha256": whole}, answer.text
        data = events.result(timeout=PATIENCE)
        assert len(data) == tokens + 1 and data[-1] == "[DONE]", (len(data), data[-1:])
        nemesis.wait_pods_gone(first)  # with the last of its exchanges, not when its time is over
    assert not load.failures, f"{len(load.failures)} of {load.answered}: {load.failures[:5]}"
