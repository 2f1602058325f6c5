"""An API that is played: for what a page does with more applications, or load balancers, than a cluster has."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, Route

API = re.compile(r"/v1/")
DIST = Path(__file__).resolve().parents[2] / "services" / "autoscaler-controller" / "console" / "dist"


def fleet(p: Page, items: list[dict]) -> None:
    """The page is told of these applications, and that nothing changes."""

    def play(route: Route) -> None:
        url = route.request.url
        if "/v1/events" in url:
            route.fulfill(content_type="text/event-stream", body="id: e.1.1\n\n")
            return
        if "/v1/rights" in url:
            route.fulfill(json={"user": "", "allowed": []})
            return
        found = re.search(r"continue=(\d+)", url)
        begin, limit = int(found[1]) if found else 0, int(re.search(r"limit=(\d+)", url)[1])
        page_of = {"items": items[begin : begin + limit]}
        if begin + limit < len(items):
            page_of["metadata"] = {"continue": str(begin + limit)}
        route.fulfill(json=page_of)

    p.route(API, play)


@dataclass
class Strangers:
    """Whoever has no token."""

    page: Page

    def leave(self) -> None:
        self.page.unroute(API)


def strangers(p: Page) -> Strangers:
    """The page asks without a token, and is refused."""
    p.route(API, lambda route: route.fulfill(status=401, json={"title": "Unauthenticated", "status": 401, "detail": "no token"}))
    return Strangers(p)


@dataclass
class Balancers:
    """Load balancers behind the proxy of an API server, which leads a call of their Service to each in turn. What each answers
    is said by its name, the path and the query; a console that stands beside them, as it was built."""

    names: list[str]
    items: list[dict]
    answer: Callable[[str, str, dict[str, str]], dict]
    forbidden: bool = False
    turns: int = 0
    streams: int = 0
    asked: list[str] = field(default_factory=list)

    BASE = "http://played.example/api/v1/namespaces/nemesis-system/"
    CONSOLE = BASE + "services/https:autoscaler-controller:8080/proxy/console/"

    def play(self, p: Page) -> None:
        p.route(re.compile(r"^http://played\.example/"), self._serve)

    def _serve(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        kind, name, path = re.fullmatch(r".*/(services|pods)/https:([^:/]+):\d+/proxy/(.*)", url.path).groups()
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if kind == "pods" and self.forbidden:
            route.fulfill(status=403, json={"kind": "Status", "status": "Failure", "code": 403, "message": f'pods "{name}" is forbidden'})
        elif kind == "pods":
            self._answered(route, name, path, query)
        elif name == "load-balancer":
            self.turns += 1
            self._answered(route, self.names[self.turns % len(self.names)], path, query)
        elif name != "autoscaler-controller":
            route.fulfill(status=404, json={"kind": "Status", "code": 404, "message": f'services "{name}" not found'})
        elif path.startswith("console/"):
            file = DIST / (path.removeprefix("console/") or "index.html")
            route.fulfill(body=file.read_bytes(), content_type=mimetypes.guess_type(file.name)[0])
        else:
            self._controlled(route, path)

    def _answered(self, route: Route, name: str, path: str, query: dict[str, str]) -> None:
        if path == "readyz":
            route.fulfill(json={"status": "ok"})
            return
        self.asked.append(f"{name} {path}")
        route.fulfill(json=self.answer(name, path, query))

    def _controlled(self, route: Route, path: str) -> None:
        said = {
            "v1/events": None,
            "v1/rights": {"user": "", "allowed": []},
            "v1/applications": {"items": [{**item, "traffic": {**item["traffic"], "balancers": self._reporting}} for item in self.items]},
            "v1/pods": {
                "items": [{k: item[k] for k in ("namespace", "deployment")} | {"pod": pod} for item in self.items for pod in item["pods"]]
            },
        }.get(path, {"status": "ok"})
        if said is None:
            self.streams += 1
            if self.streams == 1:  # what is behind it stays open, and says nothing
                route.fulfill(content_type="text/event-stream", body="id: e.1.1\n\n")
        else:
            route.fulfill(json=said)

    @property
    def _reporting(self) -> list[dict]:
        return [{"name": name, "ageSeconds": 0.5} for name in self.names]


# How long the page takes from a key, and from a wheel, to the frame behind it: the longest of several.
MEASURE = """async () => {
  const frame = () => new Promise((go) => requestAnimationFrame(() => setTimeout(go, 0)));
  const longest = async (times, act) => {
    let most = 0;
    for (let i = 0; i < times; i++) {
      const began = performance.now();
      act(i);
      await frame();
      most = Math.max(most, performance.now() - began);
      await new Promise((go) => setTimeout(go, 50));
    }
    return most;
  };
  const input = document.querySelector('input[type=search]'), table = document.querySelector('.table');
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
  const scrollMs = await longest(20, (i) => { table.scrollTop = i * 17_000; });
  const filterMs = await longest(8, (i) => {
    set.call(input, 'app-9'.slice(0, i % 6));
    input.dispatchEvent(new Event('input', {bubbles: true}));
  });
  return {scrollMs, filterMs, firstPaintMs: performance.getEntriesByName('first-contentful-paint')[0].startTime};
}"""


def application(i: int, **more: object) -> dict:
    """One of many: every fifth has a pod."""
    pods = int(i % 5 == 0)
    return {
        "namespace": f"team-{i % 100}",
        "deployment": f"app-{i}",
        "autoscaler": f"app-{i}",
        "state": "Awake" if pods else "Asleep",
        "mode": "Active",
        "replicas": pods,
        "readyReplicas": pods,
        "minReplicas": 0,
        "maxReplicas": 3,
        "idleTime": 90,
        "pods": [],
        "conditions": [],
        "traffic": {"inFlight": i % 3, "streaming": 0, "waiting": 0, "requests": i, "failures": 0, "rejected": 0, "balancers": []},
        **more,
    }
