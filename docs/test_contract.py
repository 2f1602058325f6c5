"""The reference that is written from the contracts."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from assemble import ROOT

import contract

PAGES = contract.pages(ROOT / "api")


@cache
def document(name: str) -> Any:
    return contract.read(ROOT / "api" / f"{name}.yaml")


@pytest.mark.parametrize("name", contract.CONTRACTS)
def test_each_operation_is_there_once(name: str) -> None:
    page = PAGES[f"api-{name}.md"]
    for path, item in document(name)["paths"].items():
        for method in set(item) & set(contract.METHODS):
            heading = f"### {method.upper()} {path}\n".replace("{", "\\{")
            assert page.count(heading) == 1, heading
            assert f"(`{item[method]['operationId']}`)" in page


def test_each_schema_that_is_linked_is_there_once() -> None:
    whole = "\n".join(PAGES.values())
    for name in {n for file in (*contract.CONTRACTS, "common") for n in document(file).get("components", {}).get("schemas", {})}:
        linked, there = f"](#{contract.target(name)})" in whole, whole.count(f"({contract.target(name)})=\n")
        assert there <= 1 and (there or not linked), name


def test_each_field_of_the_resource_says_what_it_is_and_what_is_allowed() -> None:
    page = PAGES["custom-autoscaler.md"]
    for field in document("autoscaler")["components"]["schemas"]["CustomAutoscalerSpec"]["properties"]:
        assert f"\n| `{field}`" in page, field
    row = next(line for line in page.split("\n") if line.startswith("| `idleTime` |"))
    assert "integer" in row and "at least 1; at most 604800; default `300`" in row and "Seconds without traffic" in row
    assert "minReplicas must not be larger than maxReplicas" in page


def test_a_resource_is_not_written_twice() -> None:
    assert "### CustomAutoscalerSpec" in PAGES["custom-autoscaler.md"]
    assert "### CustomAutoscalerSpec" not in PAGES["api-autoscaler.md"]


@pytest.mark.parametrize(
    ("text", "cell"),
    [("a | b", "a \\| b"), ("two\n  lines", "two lines"), ("<x>", "&lt;x>"), ("`<x>`", "`<x>`"), ("", "")],
)
def test_a_description_fits_in_a_cell(text: str, cell: str) -> None:
    assert contract.inline(text) == cell


def test_tables_have_as_many_cells_as_their_head() -> None:
    for name, page in PAGES.items():
        width = 0
        for line in page.split("\n"):
            cells = line.replace("\\|", "").count("|") if line.startswith("|") else 0
            assert not (width and cells and cells != width), f"{name}: {line}"
            width = cells
