"""A tiny OpenTelemetry collector: OTLP over HTTP, spans kept in memory."""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass
from email.message import Message

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .listener import Listener


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    trace: str
    span: str
    parent: str


class Collector(Listener):
    most = 8 << 20

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[Span] = []
        super().__init__()

    def take(self, path: str, headers: Message, body: bytes) -> int:
        if path != "/v1/traces":
            return 404
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            for resource in request.resource_spans:
                names = {a.key: a.value.string_value for a in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for s in scope.spans:
                        span = Span(names.get("service.name", "?"), s.name, s.trace_id.hex(), s.span_id.hex(), s.parent_span_id.hex())
                        self._spans.append(span)
        return 200

    def spans(self, trace: str) -> list[Span]:
        with self._lock:
            return [s for s in self._spans if s.trace == trace]
