"""The one way to wait for something that offers no event of its own, and how long to wait for anything.

PATIENCE only says when a test gives up, so it is generous; a machine that is slower still is given more by
NEMESIS_TEST_PATIENCE, as the Go tests are. A time that the product promises is another thing: it is named
where it is asserted (`promised`), and stretches by as much as the patience was made longer.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import TypeVar

import httpx

T = TypeVar("T")


class NotYet(AssertionError):
    """Raised by a check whose condition does not hold yet; its text ends up in the failure."""


SETTING = "NEMESIS_TEST_PATIENCE"
USUAL = 120.0  # seconds


def patience(text: str) -> float:
    """What the setting says, in seconds; it is a time as Go writes it: 90s, 5m, 1h30m."""
    if not text:
        return USUAL
    units = {"h": 3600, "m": 60, "s": 1}
    seconds = sum(float(n) * units[unit] for n, unit in re.findall(r"(\d+(?:\.\d+)?)([hms])", text))
    if not re.fullmatch(r"(\d+(\.\d+)?[hms])+", text) or not 1 <= seconds <= 86400:
        raise ValueError(f"{SETTING} is {text!r}: want a time from 1s to 24h, as 90s or 5m")
    return seconds


PATIENCE = patience(os.environ.get(SETTING, ""))


def stretched(promised: float) -> float:
    """A time that the product promises, on this machine."""
    return promised * max(1.0, PATIENCE / USUAL)


def eventually(check: Callable[[], T], what: str, every: float = 0.1, promised: float = 0) -> T:
    """Calls check until it neither raises nor returns a false value, and returns what it returned.

    An AssertionError or a failed connection means "not yet"; any other exception ends the wait.
    After the PATIENCE, or the seconds that the product promises, the test fails with `what` and the last reason.
    """
    within = stretched(promised) if promised else PATIENCE
    deadline = time.monotonic() + within
    while True:
        try:
            result = check()
            if result:
                return result
            reason = f"the last answer was {result!r}"
        except (AssertionError, httpx.TransportError) as err:
            reason = f"{type(err).__name__}: {err}"
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what}; {reason}")
        time.sleep(every)


def throughout(check: Callable[[], object], seconds: float, every: float = 0.2) -> None:
    """Calls check for so many seconds; the first failure of it is the test's."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        check()
        time.sleep(every)
