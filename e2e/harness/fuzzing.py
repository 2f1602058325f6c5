"""Schemathesis against the live services: what is generated, where it may land, what is checked.

The contracts are read from api/ as files, so that their references to common.yaml resolve beside
them. Generation is seeded (NEMESIS_FUZZ_SEED), and takes nothing from answers, so that a run can be
repeated; NEMESIS_FUZZ_EXAMPLES says how many random requests each operation gets beside the
examples of the contract and the edges of each value.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import schemathesis
from requests import Session
from schemathesis import Case, CheckContext, Response
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import Failure

from .waiting import PATIENCE

API = Path(__file__).resolve().parents[2] / "api"
SEED = int(os.environ.get("NEMESIS_FUZZ_SEED", "20260102"))
EXAMPLES = int(os.environ.get("NEMESIS_FUZZ_EXAMPLES", "25"))

# What the contracts let through; whatever else is generated is refused by itself.
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
TARGET = re.compile(r"[a-z0-9]([-a-z0-9./]{0,315}[a-z0-9])?")
WAIT = re.compile(r"([0-9]|[1-5][0-9]|60)s")
UNTOLD = {"after", "client_ip", "continue", "fieldSelector", "labelSelector", "until"}  # parameters of which the schema does not tell all
STARTED = "2026-01-02T03:00:00Z"  # since when the load balancer has been there that the fuzz pretends to be


def contract(name: str) -> Any:
    """The contract of one service, ready to be fuzzed."""
    config = {
        "seed": SEED,
        "suppress-health-check": ["all"],
        "generation": {
            "max-examples": EXAMPLES,
            "database": "none",
            "no-shrink": True,  # a failure shows its request; making it smaller would take minutes
            "with-security-parameters": False,
        },
        # What is refused for its size need not be looked into.
        "checks": {
            "negative_data_rejection": {"expected-statuses": ["400", "401", "403", "404", "405", "409", "413", "415", "422", "429", "431"]}
        },
        "phases": {
            "fuzzing": {"extra-data-sources": {"responses": False}, "error-feedback": {"enabled": False}},
            "coverage": {"unexpected-methods": ["DELETE", "PUT"]},
        },
    }
    return schemathesis.openapi.from_path(API / f"{name}.yaml", config=schemathesis.Config.from_dict(config))


class Fault(Failure):
    """A service failed and its contract did not say that it may."""


def unannounced(status: int, announced: list[str], media: str, body: bytes) -> str:
    """What is wrong with an answer of the 5xx kind, or with the status inside a problem document; "" is nothing.

    500 is never right: that is a fault of ours. 502, 503 and 504 tell of somebody else, the
    application, the controller or Kubernetes, and are right where the operation itself names them.
    """
    if status >= 500 and (status == 500 or str(status) not in announced):
        return f"{status} is not among the answers of this operation: {', '.join(announced)}"
    if media.startswith("application/problem+json") and (inside := json.loads(body).get("status")) != status:
        return f"the status is {status}, but the problem document says {inside}"
    return ""


@schemathesis.check
def faults_are_announced(ctx: CheckContext, response: Response, case: Case) -> None:
    media = (response.headers.get("content-type") or [""])[0]
    if wrong := unannounced(response.status_code, list(case.operation.responses.status_codes), media, response.content):
        raise Fault(operation=case.operation.label, title="Unannounced fault", message=wrong)


@schemathesis.check
def bad_data_is_refused(ctx: CheckContext, response: Response, case: Case) -> None:
    """An empty query value counts as left out, as forms send it, and in a resource null does, which
    Kubernetes prunes; of a batch each item is refused by itself; all else that is not valid is refused."""
    pruned = "customautoscalers" in case.operation.path and has_null(case.body)
    by_item = case.operation.path == "/v1/pod-metrics" and response.status_code == 200 and bool(json.loads(response.content).get("refused"))
    if "" not in dict(case.query or {}).values() and not pruned and not by_item:
        CHECKS.get_one("negative_data_rejection")(ctx, response, case)


def has_null(value: Any) -> bool:
    """Whether there is a null in it, however deep."""
    if isinstance(value, dict):
        return any(has_null(v) for v in value.values())
    if isinstance(value, list):
        return any(has_null(v) for v in value)
    return value is None


def checks(case: Case) -> list[Any]:
    """Status, media type, headers and schema are described; bad data is refused, good data taken."""
    load_all_checks()
    names = [
        "faults_are_announced",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "unsupported_method",
        "bad_data_is_refused",
    ]
    # What no schema tells: Kubernetes' own rules for objects (what a name may be, that a version must
    # be the last one); what a target application takes; whether a text is an address, a target, a selector, a certificate
    # request, or a place in a log or a list.
    untold = ("/target-app/api", "/proxy/request", "/v1/certificates")
    free = "customautoscalers" in case.operation.path or case.operation.path.endswith("/preview") or case.operation.path in untold
    if not free and not UNTOLD & set(case.query or {}):
        names.append("positive_data_acceptance")
    return CHECKS.get_by_names(names)


@dataclass
class Garden:
    """Where the fuzz may play: one namespace with one application, and nothing else.

    Whatever could reach something outside is turned to it, and every second request to what is
    there, so that not all of them are answered 404. What is not valid stays as it is: that must be
    refused anyway.
    """

    namespace: str
    application: str  # name of the Deployment, the Service and the CustomAutoscaler
    prefix: str
    pod: str
    editor: str  # the token of somebody who may edit everything here, and nothing elsewhere
    operator: Callable[[], str]  # of somebody who may see all, and set settings
    balancer: str  # the load balancer that the fuzz pretends to be
    services: dict[str, str]  # the tokens of that one and of a collector, by the label of the operation that is theirs alone
    restore: Callable[[], str]  # makes the CustomAutoscaler as it was; returns its resourceVersion
    session: Session = field(default_factory=Session)
    answers: Counter[int] = field(default_factory=Counter)  # of the operation that is fuzzed now

    def send(self, case: Case, url: str) -> None:
        """Sends one request and checks the answer."""
        self._confine(case, hit=self.answers.total() % 2 == 0)
        headers = {"Authorization": f"Bearer {self._token(case)}"}
        answer = case.call(url, session=self.session, headers=headers, timeout=PATIENCE, verify=self.session.verify)
        self.answers[answer.status_code] += 1
        if watches(case) and answer.status_code == 200:
            assert_events(answer.content)
        elif case.operation.path == "/v1/events" and answer.status_code == 200:
            assert_stream(answer.headers["content-type"][0], answer.text)
        else:
            case.validate_response(answer, checks=checks(case))

    def _token(self, case: Case) -> str:
        """Of somebody who may: what others are answered is test_identities.py's."""
        if case.operation.path.startswith("/apis/"):
            return self.editor
        return self.services.get(case.operation.label) or self.operator()

    def _confine(self, case: Case, hit: bool) -> None:
        path, query = dict(case.path_parameters or {}), dict(case.query or {})
        for place in (path, query):
            if valid(NAME, place.get("namespace")):
                place["namespace"] = self.namespace
        if hit and valid(NAME, path.get("name")):
            path["name"] = self.application
            if case.operation.path.endswith("/customautoscalers/{name}"):
                self.restore()
        if case.operation.path == "/target-app/api" and ("target" not in query or (hit and valid(TARGET, query["target"]))):
            query["target"] = f"{self.namespace}/{self.application}"
        if watches(case) and str(query.get("timeoutSeconds", "0")).isdigit():
            query["timeoutSeconds"] = "1"  # without an end it would last half an hour
        if case.operation.path in ("/v1/routes", "/v1/events") and ("wait" not in query or valid(WAIT, query["wait"])):
            query["wait"] = "0s"  # else each lasts up to a minute
        if path != (case.path_parameters or {}):
            case.path_parameters = path
        if query != dict(case.query or {}):
            case.query = query
        if isinstance(case.body, dict):
            body = copy.deepcopy(case.body)
            self._confine_body(case.operation.label, body, hit)
            if body != case.body:
                case.body = body

    def _confine_body(self, label: str, body: dict[str, Any], hit: bool) -> None:
        speaks = label == "POST /v1/traffic" or label.endswith("/start")
        if speaks and isinstance(body.get("balancer"), str) and 0 < len(body["balancer"]) <= 253:
            # One load balancer, that of the token; so that it can say goodbye: many that fell silent would keep everything awake.
            body["balancer"] = self.balancer
        if label == "POST /v1/traffic":
            if isinstance(body.get("startedAt"), str):
                body["startedAt"] = STARTED if body["startedAt"][:1].isdigit() else "yesterday"
            reported = body.get("applications")
            for traffic in reported if isinstance(reported, list) else []:
                if isinstance(traffic, dict) and valid(NAME, traffic.get("namespace")):
                    traffic["namespace"] = self.namespace
                if isinstance(traffic, dict) and hit and valid(NAME, traffic.get("deployment")):
                    traffic["deployment"] = self.application
        elif label == "POST /metrics":
            if valid(NAME, body.get("namespace")):
                body["namespace"] = self.namespace
            if hit and valid(NAME, body.get("podName")):
                body["podName"] = self.pod
        elif label == "POST /proxy/request":
            if hit and isinstance(body.get("target_url"), str) and body["target_url"]:
                body["target_url"] = self.prefix + "/fib/10"
        elif "/customautoscalers" in label and not label.startswith("PATCH"):
            body.pop("status", None)  # Kubernetes does not read it here
            if hit and label.startswith("POST") and isinstance(body.get("metadata", {}), dict):
                body["metadata"] = {"generateName": "fuzz-"}
            elif hit and isinstance(body.get("metadata", {}), dict):
                body["metadata"] = {"name": self.application, "resourceVersion": self.restore()}


def watches(case: Case) -> bool:
    """Whether the answer may be a watch."""
    asked = str(dict(case.query or {}).get("watch", "")).lower()
    return case.operation.path.endswith("/customautoscalers") and case.method == "GET" and asked in ("true", "1", "t")


def assert_events(body: bytes) -> None:
    """Each line of a watch is an event."""
    for line in body.splitlines():
        event = json.loads(line)
        assert event["type"] in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR") and isinstance(event["object"], dict), line


def assert_stream(media_type: str, text: str) -> None:
    """Each part of a stream is a comment, a time to come back after, or an event that the contract knows.

    The contract says what an event's data is in words: OpenAPI 3.0 has no schema for the parts of a stream.
    """
    assert media_type.partition(";")[0] == "text/event-stream", media_type
    for part in filter(None, text.split("\n\n")):
        lines = [line.partition(":") for line in part.splitlines()]
        fields = {name: value.strip() for name, _, value in lines if name}
        assert not fields.keys() - {"id", "event", "data", "retry"}, part
        if "event" in fields:
            assert fields["event"] in ("application", "removed", "decision", "reset") and fields["id"], part
            assert isinstance(json.loads(fields["data"]), dict), part


def valid(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
