"""Clients that ask again and again while something happens to the services."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

import httpx


@dataclass
class Load:
    """So many kept-alive clients, each with a request every `pause` seconds, until the block ends."""

    url: str
    clients: int = 8
    pause: float = 0.02
    answered: int = 0
    failures: list[str] = field(default_factory=list)

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
        with httpx.Client(timeout=60, trust_env=False) as http:
            while not self._end.wait(self.pause):
                began = time.time()
                try:
                    answer = http.get(self.url)
                    fault = "" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:200]}"
                except httpx.HTTPError as err:
                    fault = f"{type(err).__name__}: {err}"
                with self._lock:
                    if fault:
                        self.failures.append(f"begun {began:.3f}, after {time.time() - began:.3f} s: {fault}")
                    else:
                        self.answered += 1

    def after(self, more: int, within: float = 30) -> None:
        """Waits until so many more requests were answered."""
        goal, deadline = self.answered + more, time.monotonic() + within
        while self.answered < goal:
            assert time.monotonic() < deadline, f"{self.answered} of {goal} answered within {within:g} s; {self.failures[:3]}"
            self._end.wait(0.02)
