"""The console, in a real browser: what it shows, live; what a viewer may not; that everybody can use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from harness import played
from harness.accounts import member
from harness.applications import Application, fibonacci, modelserver, slot
from harness.browser import accessible, chromium, enter, page, proxied, shot
from harness.nemesis import Nemesis


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def address(nemesis: Nemesis) -> str:
    return nemesis.reach.service("autoscaler-controller", 8080, "NEMESIS_CONTROLLER_URL") + "/console/"


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
        may_not(p, "Wake", "Pause")

        assert nemesis.ask(app).status_code == 200

        expect(heading).to_contain_text("Awake")
        expect(p.get_by_text(re.compile("0 → 1")).first).to_be_visible()
        p.get_by_text(re.compile("0 → 1")).first.click()
        expect(p.get_by_role("heading", name="Why not").first).to_be_visible()
        drawn(p, "^Requests")
        assert "maxReplicas" in (drawn(p, "^Pods").get_attribute("aria-label") or "")
        assert "cpuThreshold 700 m" in (drawn(p, "^CPU").get_attribute("aria-label") or "")
        expect(p.get_by_text(re.compile("CPU: a pod is added above 700 m"))).to_be_visible()
        may_not(p, "Sleep", "Pause")
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
        p.goto(f"{address(nemesis)}#/settings")
        expect(p.get_by_text("Operators see them")).to_be_visible()
        expect(p.get_by_role("button", name="Save")).to_have_count(0)


def may_not(p: Page, *actions: str) -> None:
    """What may not be done can be reached all the same, says why, and does nothing."""
    for action in actions:
        button = p.get_by_role("button", name=action, exact=True)
        expect(button).to_be_disabled()
        expect(button).to_have_accessible_description(re.compile("You may only look"))
        button.focus()
        p.keyboard.press("Enter")
        expect(p.get_by_role("status").filter(has_text="You may only look")).not_to_have_count(0)
        expect(p.get_by_role("dialog")).to_have_count(0)


def test_a_wake_up_is_watched_from_before_the_request(nemesis: Nemesis, namespace: str, browser: Browser) -> None:
    app = modelserver(namespace, load_seconds=6)
    nemesis.deploy(app)
    with page(browser) as p:
        enter(p, address(nemesis), member(nemesis.cluster, namespace, "view"))
        p.goto(f"{address(nemesis)}#/wakeups/{namespace}/{app.name}")
        expect(p.get_by_role("heading", name="It has not woken up since this controller leads")).to_be_visible()
        p.evaluate("window.stayed = true")
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(nemesis.ask, app, "/v1/models")
            expect(p.get_by_text(re.compile("so far"))).to_be_visible()
            expect(p.get_by_role("row").filter(has_text="its containers run")).to_be_visible()
            assert not asked.done(), "it was answered before it was seen to wake up"
            shot(p, "wakeup-pending")
            assert asked.result().status_code == 200
        expect(p.get_by_text(re.compile("^Answered after"))).to_be_visible()
        expect(p.get_by_role("row").filter(has_text="the first byte of the answer")).to_be_visible()
        assert p.evaluate("window.stayed"), "the page was loaded anew"


def test_a_rule_is_changed_and_seen_to_act(nemesis: Nemesis, namespace: str, browser: Browser) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    with page(browser, viewport={"width": 1280, "height": 860}) as p:
        enter(p, address(nemesis), member(nemesis.cluster, namespace, "view"))
        p.goto(f"{address(nemesis)}#/app/{namespace}/{app.name}")
        expect(p.get_by_role("heading", level=1)).to_contain_text("Asleep")
        chart = drawn(p, "^Pods")
        expect(p.locator("details.decision").filter(has_text="0 → 2")).to_have_count(0)
        p.evaluate("window.stayed = true")

        nemesis.cluster.patch("CustomAutoscaler", app.name, namespace, {"spec": {"minReplicas": 2}})

        expect(p.locator("details.decision").filter(has_text="0 → 2").first).to_be_visible()
        expect(p.locator(".fact").filter(has=p.get_by_text("Pods", exact=True))).to_contain_text("2 ready of 2")
        expect(p.locator(".fact").filter(has=p.get_by_text("Pods", exact=True))).to_contain_text("(2 to 3)")
        expect(chart).to_have_attribute("aria-label", re.compile("asked for: at most 2.*minReplicas 2.*Marks: [1-9]"))
        assert p.evaluate("window.stayed"), "the page was loaded anew"
        shot(p, "rule-changed")


def test_every_view_is_for_everybody(nemesis: Nemesis, namespace: str, browser: Browser) -> None:
    app = fibonacci(namespace)
    nemesis.deploy(app)
    assert nemesis.ask(app).status_code == 200
    viewer = member(nemesis.cluster, namespace, "view")
    for name, width, schemes in (("wide", 1440, ("dark", "light")), ("phone", 360, ("light", "dark"))):
        with page(browser, viewport={"width": width, "height": 800}, color_scheme=schemes[1]) as p:
            enter(p, address(nemesis), viewer)
            for view, what in there(p, app).items():
                p.goto(f"{address(nemesis)}#/{view}")
                expect(p.get_by_role("heading", level=1)).to_be_attached()
                expect(what).to_be_visible()
                if view.startswith("app/"):
                    drawn(p, "^Requests")
                for scheme in schemes:
                    p.emulate_media(color_scheme=scheme)
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
    with proxied(nemesis.cluster.kubectl) as at, page(browser) as p:
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


def seen(p: Page, name: str) -> None:
    shot(p, name)
    accessible(p)


def test_ten_thousand_applications_are_a_few_rows_of_the_page(nemesis: Nemesis, browser: Browser) -> None:
    """The API is played here; how long it takes is measured by `make bench-console`."""
    with page(browser, viewport={"width": 1280, "height": 860}) as p:
        played.fleet(p, [played.application(i) for i in range(10_000)])
        p.goto(address(nemesis))
        expect(p.get_by_text("10 000 applications")).to_be_visible()
        assert p.locator("tbody tr").count() < 80
        assert p.locator("table").first.get_attribute("aria-rowcount") == "10001"
        speed = p.evaluate(played.MEASURE)
        shot(p, "ten-thousand")
    print(speed)


PAIR = ["load-balancer-a", "load-balancer-b"]


def pair(name: str, path: str, query: dict[str, str]) -> dict:
    """One of two load balancers: of the cart's two pods each has another one busy, and each has a log of its own."""
    at = PAIR.index(name)
    if path == "loadbalancer/state":
        ends = [
            {"pod": f"cart-{i}", "address": "10.0.0.1:1", "usable": True, "why": "ready", "inFlight": 3 if i == at else 1} for i in range(2)
        ]
        of = {"apiPrefix": "/", "hosts": [], "algorithm": "LeastConnections", "state": "Awake", "inFlight": 4, "streaming": 0, "waiting": 1}
        return {"balancer": name, "applications": [{"namespace": "shop", "deployment": "cart", **of, "endpoints": ends}]}
    if path == "loadbalancer/waiting":
        waits = {
            "arrivedAt": f"2026-01-02T03:04:0{5 - at}Z",
            "deadline": "2026-01-02T03:09:00Z",
            "method": "GET",
            "path": f"/held-by-{at}",
            "bytes": 1,
            "tries": 0,
        }
        room = {"namespace": "shop", "deployment": "cart", "waiting": 1, "waitingBytes": 1, "waitsFor": "FreePod", "requests": [waits]}
        return {"balancer": name, "at": "2026-01-02T03:04:07Z", "items": [room]}
    before = query.get("after", f"{name}.9")
    if not before.startswith(f"{name}."):
        raise AssertionError(f"{name} was asked for a place of another one: {before}")
    numbers = range(int(before.rpartition(".")[2]), 0, -1)[:3]
    line = {"target_url": "", "status": 200, "client_ip": "10.0.0.9", "http_method": "GET", "latency_ms": 1}
    items = [{**line, "id": f"{name}-{n}", "timestamp": f"2026-01-02T03:0{n}:0{at}Z", "path": f"/of-{at}/{n}"} for n in numbers]
    return {"items": items, **({"next": f"{name}.{numbers[-1] - 1}"} if numbers[-1] > 1 else {})}


def two_balancers() -> played.Balancers:
    pods = [{"name": f"cart-{i}", "state": "Ready", "alive": True, "restarts": 0} for i in range(2)]
    app = played.application(0, namespace="shop", deployment="cart", replicas=2, readyReplicas=2, pods=pods)
    app["traffic"] = {**app["traffic"], "waiting": 2}
    return played.Balancers(PAIR, [app], pair)


def test_what_two_load_balancers_know_is_one_page(browser: Browser) -> None:
    """The API is played here: its Service leads each call to the other one."""
    both = two_balancers()
    with page(browser, viewport={"width": 1280, "height": 860}) as p:
        both.play(p)
        p.goto(f"{both.CONSOLE}#/waiting")
        rows = p.get_by_role("region", name="Who waits").locator("tbody tr")
        expect(rows).to_have_count(2)
        expect(rows.first).to_contain_text("/held-by-1")
        expect(rows.last).to_contain_text("load-balancer-a")
        seen(p, "waiting-two")
        p.goto(f"{both.CONSOLE}#/pods?q=shop/cart")
        for pod in ("cart-0", "cart-1"):
            row = p.get_by_role("row").filter(has_text=pod)
            expect(row).to_contain_text("next at 1 of 2")
            expect(row.get_by_role("cell", name="4", exact=True)).to_be_visible()
        expect(p.get_by_text("nemesis status cart -n shop -o wide")).to_be_visible()
        seen(p, "pods-two")
        p.goto(f"{both.CONSOLE}#/requests")
        lines = p.get_by_role("region", name="Requests").locator("tbody tr")
        expect(p.get_by_role("button", name="Older")).to_be_visible()
        whole = [f"/of-{at}/{n}" for n in range(9, 0, -1) for at in (1, 0)]
        while p.get_by_role("button", name="Older").is_visible():
            shown = lines.count()
            p.get_by_role("button", name="Older").click()
            expect(lines).not_to_have_count(shown)
            expect(p.get_by_role("button", name="…")).to_have_count(0)
        assert [text.split(" ", 1)[1] for text in p.locator("tbody td:nth-child(2)").all_inner_texts()] == whole
        expect(p.get_by_text("this list stands still")).to_be_visible()
        seen(p, "requests-two")
        p.get_by_role("button", name="Back to the newest").click()
        expect(lines).not_to_have_count(len(whole))
        expect(p.get_by_text("One load balancer is asked")).to_have_count(0)
    assert {one.split()[0] for one in both.asked} == set(PAIR)


def test_who_may_not_ask_each_load_balancer_is_told_so(browser: Browser) -> None:
    both = two_balancers()
    both.forbidden = True
    with page(browser) as p:
        both.play(p)
        for view in ("waiting", "pods", "requests"):
            p.goto(f"{both.CONSOLE}#/{view}")
            expect(p.get_by_text("pods/proxy")).to_be_visible()
            expect(p.locator(".trouble")).to_have_count(0)


def test_names_are_read_whatever_the_width(nemesis: Nemesis, browser: Browser) -> None:
    """An application's name is there in full, on a phone where it is pointed at; and no command goes past the edge."""
    names = ["checkout-recommendations-v2", "inference-gateway-embeddings", "a"]
    items = [played.application(i, namespace="team-payments-production", deployment=name) for i, name in enumerate(names)]
    for width in (360, 1280, 1920):
        with page(browser, viewport={"width": width, "height": 860}) as p:
            stranger = played.strangers(p)
            p.goto(address(nemesis))
            expect(p.get_by_role("heading", name="Nemesis")).to_be_visible()
            assert cut(p, "pre, main") == [], f"the login at {width} px"
            shot(p, f"login-{width}")
            stranger.leave()
            played.fleet(p, items)
            p.reload()
            expect(p.get_by_text("3 applications")).to_be_visible()
            assert width < 1280 or cut(p, ".name") == [], f"the fleet at {width} px"
            titles = p.locator(".name").evaluate_all("all => all.map((e) => e.title)")
            assert sorted(titles) == [f"team-payments-production/{name}" for name in sorted(names)], titles
            shot(p, f"fleet-{width}")


def cut(p: Page, what: str) -> list[str]:
    """Those whose text does not fit into them."""
    return p.locator(what).evaluate_all("all => all.filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent)")
