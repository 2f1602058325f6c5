"""What every refusal must look like (RFC 9457)."""

from __future__ import annotations

import httpx


def problem(answer: httpx.Response, status: int, code: str) -> dict:
    """Checks that the answer is a problem document of this status and code, and returns it."""
    assert answer.status_code == status, f"{answer.status_code} instead of {status}: {answer.text[:400]}"
    media = answer.headers.get("Content-Type", "")
    assert media.startswith("application/problem+json"), f"Content-Type is {media!r}: {answer.text[:200]}"
    document = answer.json()
    assert document["status"] == status and document["code"] == code, document
    assert document["type"] and document["title"] and document.get("detail"), f"it does not say what to do: {document}"
    return document


def retry_after(answer: httpx.Response) -> int:
    """The Retry-After header in seconds, which the document repeats."""
    value = answer.headers.get("Retry-After", "")
    assert value.isdigit() and int(value) >= 1, f"Retry-After is {value!r}"
    assert answer.json().get("retryAfterSeconds") == int(value), answer.text
    return int(value)
