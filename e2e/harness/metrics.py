"""What a service's /metrics shows, beside what its METRICS.md says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*?) *\| ")
TYPE = re.compile(r"^# TYPE (\w+) (\w+)$")
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? \S+$")
LABEL = re.compile(r'(\w+)="(?:[^"\\]|\\.)*"')


@dataclass(frozen=True)
class Family:
    """A metric: its type, and the labels that each of its series has."""

    kind: str
    labels: frozenset[str]


def of_page(text: str, program: str) -> dict[str, Family]:
    """The rows of the table under the program's heading."""
    found: dict[str, Family] = {}
    inside = False
    for line in text.splitlines():
        if line.startswith("## "):
            inside = line == f"## {program}"
        elif inside and (row := ROW.match(line)):
            found[row[1]] = Family(row[2], frozenset(filter(None, row[3].split(", "))))
    assert found, f"the page has no table for {program}"
    return found


def shown(text: str) -> dict[str, set[Family]]:
    """What is exposed of Nemesis' own: of each metric how its series look; one look is as it should be."""
    kinds: dict[str, str] = {}
    found: dict[str, set[Family]] = {}
    for line in text.splitlines():
        if declared := TYPE.match(line):
            kinds[declared[1]] = declared[2]
        elif (sample := SAMPLE.match(line)) and sample[1].startswith("nemesis_"):
            name, labels = sample[1], set(LABEL.findall(sample[2] or ""))
            if name not in kinds:
                name = re.sub(r"_(bucket|sum|count)$", "", name)
                labels -= {"le"}
            found.setdefault(name, set()).add(Family(kinds.get(name, "undeclared"), frozenset(labels)))
    return found


def differences(page: dict[str, Family], exposed: dict[str, set[Family]], not_always: str = "^$") -> list[str]:
    """What page and service do not agree on.

    A metric with labels may be without a series as yet. One without labels is there from the beginning, unless its name is
    like `not_always`.
    """
    faults = [f"{name} is on no page" for name in sorted(exposed.keys() - page.keys())]
    for name in sorted(page.keys() - exposed.keys()):
        if not page[name].labels and not re.match(not_always, name):
            faults.append(f"{name} is on the page, and not exposed")
    for name in sorted(page.keys() & exposed.keys()):
        said = f"{page[name].kind} with {sorted(page[name].labels)}"
        faults += [f"{name} is a {o.kind} with {sorted(o.labels)}, and on the page a {said}" for o in exposed[name] - {page[name]}]
    return faults
