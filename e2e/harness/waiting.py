"""The one way to wait for something that offers no event of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import httpx

T = TypeVar("T")


class NotYet(AssertionError):
    """Raised by a check whose condition does not hold yet; its text ends up in the failure."""


def eventually(check: Callable[[], T], what: str, within: float = 30, every: float = 0.1) -> T:
    """Calls check until it neither raises nor returns a false value, and returns what it returned.

    An AssertionError or a failed connection means "not yet"; any other exception ends the wait.
    After `within` seconds the test fails with `what` and the last reason.
    """
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
