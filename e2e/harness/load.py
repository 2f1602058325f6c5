"""Clients that ask again and again while something happens to the services."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

import httpx

from .waiting import PATIENCE

# The connection broke, or was not made: what may be repeated is sent again, as HTTP client libraries do.
BROKEN = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)


@dataclass
class Load:
    """So many kept-alive clients, each with a request every `pause` seconds, until the block ends.

    Each request is counted: it was answered, or it is among the failures. One whose connection breaks is
    sent again up to `retries` times, and counted as retried.
    """

    url: str
    clients: int = 8
    pause: float = 0.02
    retries: int = 0
    per_connection: int = 0  # requests on one connection; 0: it is kept
    tag: str = ""  # every request has an X-Request-Id, TAG-NUMBER
    sent: int = 0
    answered: int = 0
    retried: int = 0
    failures: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)  # of the requests that were answered

    def __enter__(self) -> Load:
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(100)

    def _client(self) -> None:
        while not self._end.is_set():
            with httpx.Client(timeout=httpx.Timeout(PATIENCE, connect=5), trust_env=False) as http:
                left = self.per_connection or -1
                while left and not self._end.wait(self.pause):
                    left -= 1
                    self._one(http)

    def _one(self, http: httpx.Client) -> None:
        began = time.time()
        with self._lock:
            self.sent += 1
            name = f"{self.tag}-{self.sent}"
        fault, again = self._ask(http, {"X-Request-Id": name} if self.tag else {})
        with self._lock:
            self.retried += again > 0
            if fault:
                self.failures.append(f"begun {began:.3f}, after {time.time() - began:.3f} s: {fault}")
            else:
                self.answered += 1
                self.ids.append(name)

    def _ask(self, http: httpx.Client, headers: dict[str, str]) -> tuple[str, int]:
        """One request: what went wrong, "" for nothing, and how often it was sent again."""
        again = 0
        while True:
            try:
                answer = http.get(self.url, headers=headers)
                return "" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:200]}", again
            except httpx.HTTPError as err:
                if again == self.retries or not isinstance(err, BROKEN):
                    return f"{type(err).__name__}: {err}", again
            self._end.wait(0.05 * 2**again)
            again += 1

    def after(self, more: int) -> None:
        """Waits until so many more requests were answered."""
        goal, deadline = self.answered + more, time.monotonic() + PATIENCE
        while self.answered < goal:
            assert time.monotonic() < deadline, f"{self.answered} of {goal} answered within {PATIENCE:g} s; {self.failures[:3]}"
            self._end.wait(0.02)
