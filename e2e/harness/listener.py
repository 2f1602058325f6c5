"""Something that pods call and that runs on this machine: HTTP on a port of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar
from urllib.parse import urlsplit

import pytest

from .nemesis import Nemesis


class Listener:
    """Listens on every address of this machine, so that pods reach it."""

    most = 1 << 20  # bytes of a body

    def __init__(self) -> None:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                if length > listener.most:
                    self.send_error(413)
                    return
                self.send_response(listener.take(self.path, self.headers, self.rfile.read(length)))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, path: str, headers: Message, body: bytes) -> int:
        """Takes what somebody posts, and returns the status of the answer. Called by many at a time."""
        raise NotImplementedError

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


L = TypeVar("L", bound=Listener)


@contextmanager
def listening(nemesis: Nemesis, make: Callable[[], L]) -> Iterator[tuple[L, str]]:
    """A listener and its address as pods see it; the test is skipped where they cannot reach this machine."""
    if not nemesis.reach.direct:
        pytest.skip("pods of a cluster elsewhere do not reach what listens on this machine")
    # The address of this machine on the way to the cluster is the one that pods find it by.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect((urlsplit(nemesis.controller_url).hostname, 80))
        address = way.getsockname()[0]
    found = make()
    try:
        yield found, f"http://{address}:{found.port}"
    finally:
        found.close()
