"""The console, in a real browser: what it shows, live; what a viewer may not; that everybody can use it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from harness.accounts import member
from harness.applications import Application, fibonacci, slot
from harness.browser import SHOTS, accessible, chromium, page, shot
from harness.nemesis import Nemesis


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def address(nemesis: Nemesis) -> str:
    return nemesis.reach.service("autoscaler-controller", 8080, "NEMESIS_CONTROLLER_URL") + "/console/"


def enter(p: Page, at: str, token: str) -> None:
    p.goto(at)
    p.get_by_label("Token").fill(token)
    p.get_by_role("button", name="Enter").click()
    expect(p.get_by_text("live", exact=True)).to_be_visible()


def there(p: Page, app: Application) -> dict[str, Locator]:
    """What each view shows once it has all that it asks for, of an application that runs."""
    row, main = p.get_by_role("row").filter(has_text=app.name), p.locator("main")
    return {
        "fleet": row,
        "wakeups": row,
        f"wakeups/{app.namespace}/{app.name}": p.get_by_role("row").filter(has_text="ready, by the median"),
        "waiting": main.get_by_role("heading", name="Nobody waits").or_(p.get_by_role("row").nth(1)).first,
        "pods": row,
        "requests": main.get_by_role("heading", level=2),
        "settings": p.get_by_role("row").filter(has_text="for other services").first,
        f"app/{app.namespace}/{app.name}": p.locator("details.decision").filter(has_text="0 → 1").first,
    }


def drawn(p: Page, label: str) -> Locator:
    """A chart, once uPlot has drawn it."""
    chart = p.get_by_role("img", name=re.compile(label))
    expect(chart.locator("canvas")).to_be_visible()
    return chart


def test_a_wake_up_is_seen_as_it_happens(nemesis: Nemesis, namespace: str, browser: Browser) -> None:
    app = fibonacci(namespace, spec={"cpuThreshold": 700})
    nemesis.deploy(app)
    viewer = member(nemesis.cluster, namespace, "view")
    with page(browser, viewport={"width": 1280, "height": 860}) as p:
        p.goto(address(nemesis))
        expect(p.get_by_role("heading", name="Nemesis")).to_be_visible()
        accessible(p)
        shot(p, "login")
        enter(p, address(nemesis), viewer)
        row = p.get_by_role("row").filter(has_text=app.name)
        expect(row.get_by_text("Asleep")).to_be_visible()
        p.get_by_label("Find").fill("no such application")
        expect(p.get_by_text("0 of 1")).to_be_visible()
        p.get_by_label("Find").fill("")
        p.get_by_role("link", name=re.compile(app.name)).click()
        heading = p.get_by_role("heading", level=1)
        expect(heading).to_contain_text("Asleep")
        for action in ("Wake", "Pause"):
            expect(p.get_by_role("button", name=action, exact=True)).to_be_disabled()

        assert nemesis.ask(app).status_code == 200

        expect(heading).to_contain_text("Awake")
        expect(p.get_by_text(re.compile("0 → 1")).first).to_be_visible()
        p.get_by_text(re.compile("0 → 1")).first.click()
        expect(p.get_by_role("heading", name="Why not").first).to_be_visible()
        drawn(p, "^Requests")
        assert "maxReplicas" in (drawn(p, "^Pods").get_attribute("aria-label") or "")
        assert "cpuThreshold 700 m" in (drawn(p, "^CPU").get_attribute("aria-label") or "")
        expect(p.get_by_text(re.compile("CPU: a pod is added above 700 m"))).to_be_visible()
        accessible(p)
        shot(p, "application")
        p.get_by_role("link", name="Wake-up", exact=True).click()
        expect(p.get_by_text(re.compile(r"Answered after"))).to_be_visible()
        expect(p.get_by_role("row").filter(has_text="the first byte of the answer")).to_be_visible()
        expect(p.get_by_role("row").filter(has_text="ready, by the median")).to_be_visible()
        expect(p.get_by_text(re.compile("From the start call to ready it took"))).to_be_visible()
        expect(p.get_by_role("button", name=re.compile("Copy the trace id [0-9a-f]{32}"))).to_be_visible()
        accessible(p)
        shot(p, "wakeup")


def test_every_view_is_for_everybody(nemesis: Nemesis, namespace: str, browser: Browser) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    viewer = member(nemesis.cluster, namespace, "view")
    for name, width, scheme in (("wide", 1440, "light"), ("phone", 360, "dark")):
        with page(browser, viewport={"width": width, "height": 800}, color_scheme=scheme) as p:
            enter(p, address(nemesis), viewer)
            for view, what in there(p, app).items():
                p.goto(f"{address(nemesis)}#/{view}")
                expect(p.get_by_role("heading", level=1)).to_be_attached()
                expect(what).to_be_visible()
                if view.startswith("app/"):
                    drawn(p, "^Requests")
                accessible(p)
                assert p.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, f"{view} is wider than {width} px"
                assert p.locator("code").filter(has_text="nemesis ").count() > 0, f"{view} says no command"
                shot(p, f"{view.replace(f'/{namespace}/{app.name}', '-one')}-{name}")
            p.keyboard.press("Tab")
            expect(p.locator(":focus")).to_be_visible()


def test_an_editor_pauses_and_resumes_what_others_may_only_look_at(nemesis: Nemesis, namespace: str, browser: Browser) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    with page(browser) as p:
        enter(p, address(nemesis), member(nemesis.cluster, namespace, "edit"))
        p.goto(f"{address(nemesis)}#/app/{namespace}/{app.name}")
        p.get_by_role("button", name="Pause", exact=True).click()
        dialog = p.get_by_role("dialog")
        expect(dialog).to_contain_text("stay as they are now")
        shot(p, "pause")
        accessible(p)
        dialog.get_by_role("button", name="Cancel").click()
        expect(p.get_by_role("heading", level=1)).not_to_contain_text("Paused")
        p.get_by_role("button", name="Pause", exact=True).click()
        dialog.get_by_role("button", name="Pause", exact=True).click()
        expect(p.get_by_role("heading", level=1)).to_contain_text("Paused")
        p.get_by_role("button", name="Resume", exact=True).click()
        dialog.get_by_role("button", name="Resume", exact=True).click()
        expect(p.get_by_role("heading", level=1)).not_to_contain_text("Paused")
        p.get_by_role("button", name="Wake", exact=True).click()
        dialog.get_by_role("button", name="Wake", exact=True).click()
        expect(p.get_by_role("heading", level=1)).to_contain_text("Awake")


def test_what_the_load_balancer_knows_is_shown_to_who_comes_through_the_api_server(
    nemesis: Nemesis, namespace: str, browser: Browser
) -> None:
    app = slot(namespace, replicas=1, spec={"containerConcurrency": 1, "minReplicas": 1, "maxReplicas": 1})
    nemesis.deploy(app)
    assert nemesis.ask(app, "/work?for=1ms").status_code == 200
    process, line = nemesis.cluster.kubectl.start("proxy", "--port=0")
    try:
        found = re.search(r"127\.0\.0\.1:\d+", line)
        assert found, line
        at = f"http://{found[0]}/api/v1/namespaces/nemesis-system/services/https:autoscaler-controller:8080/proxy/console/"
        with page(browser) as p:
            enter(p, at, member(nemesis.cluster, namespace, "view"))
            p.goto(f"{at}#/requests?namespace={namespace}")
            expect(p.get_by_role("row").filter(has_text="/work")).to_be_visible()
            seen(p, "requests-proxied")
            p.goto(f"{at}#/pods")
            expect(p.get_by_role("row").filter(has_text=app.name).get_by_text("the only one")).to_be_visible()
            seen(p, "pods-proxied")
            p.goto(f"{at}#/settings")
            for service in ("autoscaler-controller", "load-balancer"):
                expect(
                    p.get_by_role("row").filter(has_text=service).filter(has_text="for other services").get_by_text(re.compile("^in "))
                ).to_be_visible()
            seen(p, "settings-proxied")
            p.goto(f"{at}#/waiting")
            with ThreadPoolExecutor(2) as pool:  # of two the pod takes one, and the other waits until it is seen to
                both = [pool.submit(nemesis.ask, app, "/work?for=8s") for _ in range(2)]
                who = p.get_by_role("row").filter(has_text="/work")
                expect(who.get_by_role("time")).to_be_visible()
                expect(p.get_by_role("row").filter(has_text="a free pod")).to_be_visible()
                seen(p, "waiting-proxied")
                assert [one.result().status_code for one in both] == [200, 200]
            expect(p.get_by_role("heading", name="Nobody waits")).to_be_visible()
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def seen(p: Page, name: str) -> None:
    shot(p, name)
    accessible(p)


def test_ten_thousand_applications_are_a_few_rows_of_the_page(nemesis: Nemesis, browser: Browser) -> None:
    """The API is played here; what is measured goes to build/e2e/console/speed.json."""
    items = [application(i) for i in range(10_000)]

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

    with page(browser, viewport={"width": 1280, "height": 860}) as p:
        p.route(re.compile(r"/v1/"), play)
        p.goto(address(nemesis))
        expect(p.get_by_text("10 000 applications")).to_be_visible()
        assert p.locator("tbody tr").count() < 80
        assert p.locator("table").first.get_attribute("aria-rowcount") == "10001"
        speed = p.evaluate(MEASURE)
        speed["firstPaintMs"] = p.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        shot(p, "ten-thousand")
    SHOTS.mkdir(parents=True, exist_ok=True)
    (SHOTS / "speed.json").write_text(json.dumps(speed, indent=1))
    print(speed)


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
  return {scrollMs, filterMs};
}"""


def application(i: int) -> dict:
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
    }
