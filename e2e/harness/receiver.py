"""One that is told by webhook what happens: HTTP on this machine, notices kept in memory, signatures verified."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from dataclasses import dataclass
from email.message import Message
from typing import Any

from .cluster import Object
from .listener import Listener

SECRET = "nemesis-notifications"


def notifications(namespace: str, *webhooks: Object) -> Object:
    """The Secret in which a namespace names its webhooks."""
    text = json.dumps({"webhooks": list(webhooks)})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": namespace},
        "stringData": {"notifications.yaml": text},
    }


@dataclass(frozen=True)
class Told:
    path: str
    content_type: str
    body: Any
    signed: bool


class Receiver(Listener):
    """The first call is answered 503."""

    def __init__(self, secret: bytes) -> None:
        self.key = "whsec_" + base64.b64encode(secret).decode()
        self._secret = secret
        self._lock = threading.Lock()
        self._told: list[Told] = []
        self.refused = 0
        super().__init__()

    def take(self, path: str, headers: Message, body: bytes) -> int:
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        signature = "v1," + base64.b64encode(hmac.new(self._secret, content, hashlib.sha256).digest()).decode()
        signed = hmac.compare_digest(signature, headers.get("webhook-signature", ""))
        told = Told(path, headers["Content-Type"], json.loads(body), signed)
        with self._lock:
            if self.refused == 0:
                self.refused += 1
                return 503
            self._told.append(told)
            return 204

    def told(self) -> list[Told]:
        with self._lock:
            return list(self._told)
