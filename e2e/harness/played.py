"""An API of the controller that is played: for what a page does with more applications than a cluster has."""

from __future__ import annotations

import re
from dataclasses import dataclass

from playwright.sync_api import Page, Route

API = re.compile(r"/v1/")


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
