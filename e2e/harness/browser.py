"""A real browser: Debian's Chromium, led by Playwright. Where there is none, tests of the console are skipped."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from .kubectl import Kubectl
from .waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "build" / "e2e" / "console"
AXE = ROOT / "services" / "autoscaler-controller" / "console" / "node_modules" / "axe-core" / "axe.min.js"


@contextmanager
def chromium() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("there is no chromium: make prerequisites installs it, or says what to install")
    expect.set_options(timeout=1000 * PATIENCE)
    with sync_playwright() as led:
        # Chromium's own sandbox does not start for root.
        browser = led.chromium.launch(executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page that may say no fault: what it logs as one, and what its policy kept it from, fails the test."""
    context = browser.new_context(ignore_https_errors=True, **options)
    made = context.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda e: faults.append(str(e)))
    made.on("console", lambda m: faults.append(m.text) if m.type == "error" and "responded with a status of" not in m.text else None)
    made.set_default_timeout(1000 * PATIENCE)
    try:
        yield made
        assert not faults, faults
    finally:
        context.close()


@contextmanager
def proxied(kubectl: Kubectl) -> Iterator[str]:
    """The console's address through the API server, as `kubectl proxy` has it."""
    process, line = kubectl.start("proxy", "--port=0")
    try:
        found = re.search(r"127\.0\.0\.1:\d+", line)
        assert found, line
        yield f"http://{found[0]}/api/v1/namespaces/nemesis-system/services/https:autoscaler-controller:8080/proxy/console/"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def enter(p: Page, at: str, token: str) -> None:
    """Past the login, until it is live."""
    p.goto(at)
    p.get_by_label("Token").fill(token)
    p.get_by_role("button", name="Enter").click()
    expect(p.get_by_text("live", exact=True)).to_be_visible()


def shot(of: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    of.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def accessible(of: Page) -> None:
    """axe finds nothing. It is evaluated by the debugger, which the page's policy does not bind."""
    if not AXE.exists():
        pytest.skip(f"{AXE} is not there: make console")
    of.evaluate(AXE.read_text() + "; 0")
    found = of.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    told = [{"id": v["id"], "help": v["help"], "nodes": [n["html"] for n in v["nodes"]][:3]} for v in found]
    assert not found, json.dumps(told, indent=1)
