"""One that is told by webhook what happens: HTTP on this machine, notices kept in memory, signatures verified."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_BODY = 1 << 20


@dataclass(frozen=True)
class Told:
    path: str
    content_type: str
    body: Any
    signed: bool


class Receiver:
    """Listens on every address of this machine, so that pods reach it. The first call is answered 503."""

    def __init__(self, secret: bytes) -> None:
        self.key = "whsec_" + base64.b64encode(secret).decode()
        self._lock = threading.Lock()
        self._told: list[Told] = []
        self.refused = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(min(int(self.headers.get("Content-Length", "0")), MAX_BODY))
                content = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + raw
                signature = "v1," + base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
                signed = hmac.compare_digest(signature, self.headers.get("webhook-signature", ""))
                told = Told(self.path, self.headers["Content-Type"], json.loads(raw), signed)
                self.send_response(receiver._take(told))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _take(self, told: Told) -> int:
        with self._lock:
            if self.refused == 0:
                self.refused += 1
                return 503
            self._told.append(told)
            return 204

    def told(self) -> list[Told]:
        with self._lock:
            return list(self._told)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiving(secret: bytes) -> Iterator[Receiver]:
    found = Receiver(secret)
    try:
        yield found
    finally:
        found.close()
