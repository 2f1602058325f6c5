"""The documentation's commands, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import documentation
from harness.cluster import Cluster
from harness.documentation import ROOT, SHELLS, Block, blocks
from harness.kubectl import Kubectl
from harness.nemesis import Nemesis, unique

TUTORIAL, HOW_TO = "docs/tutorial.md", "docs/how-to/index.md"
PAGES = [p for p in documentation.pages() if p not in (TUTORIAL, HOW_TO) and documentation.runnable(p)]


@pytest.fixture
def place(cluster: Cluster, kubectl: Kubectl, nemesis: Nemesis) -> Iterator[str]:
    """The name of a namespace that the page makes; what it made is gone in the end, however it ended."""
    name = unique("docs")
    yield name
    made = [f"namespace/{name}", f"namespace/{name}-others", f"claimpolicy/{name}", f"clusterrole/{name}-metrics"]
    made += [f"clusterrolebinding/{name}-{what}" for what in ("operator", "metrics")]
    kubectl("delete", *made, "--ignore-not-found", "--wait=false")


def test_the_tutorial_wakes_an_application_of_ones_own(kubectl: Kubectl, tmp_path: Path, place: str) -> None:
    said = documentation.run(documentation.runnable(TUTORIAL), kubectl, tmp_path, place)
    assert re.search(r"^after [0-9.]+ s$", said, re.MULTILINE), said
    assert '"result":832040' in said and "no traffic for 10 s" in said and "Last Decision" in said, said


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the command nemesis, as `make command` makes it, with its links."""
    folder = tmp_path_factory.mktemp("bin")
    made = ["go", "build", "-o", folder / "nemesis", "./cmd/nemesis"]
    subprocess.run(made, cwd=ROOT / "cli", env=os.environ | {"GOWORK": "off"}, check=True)
    for link in ("kubectl-nemesis", "kubectl_complete-nemesis"):
        (folder / link).symlink_to("nemesis")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page: str, kubectl: Kubectl, tmp_path: Path, place: str, request: pytest.FixtureRequest) -> None:
    chosen = documentation.runnable(page)
    asks = any(re.search(r"(?m)^(kubectl )?nemesis |<\(nemesis ", block.text) for block in chosen)
    programs = request.getfixturevalue("programs") if asks else None
    if any("$NAMESPACE" in block.text for block in chosen):  # others look at manifests alone, and need nobody to wait for a pod
        ground = documentation.named(TUTORIAL, "application", "autoscaler") + documentation.named(HOW_TO, "variables")
        chosen = ground + chosen
    documentation.run(chosen, kubectl, tmp_path, place, programs)


def test_each_command_is_run_or_says_why_not() -> None:
    faults = []
    for page in documentation.pages():
        for block in documentation.of(page):
            where = f"{block.page}:{block.line}"
            if not block.language:
                faults.append(f"{where}: the block names no language")
            if block.reason:
                faults += [f"{where}: the reason names {f}, which is not there" for f in missing(block)]
    assert not faults, "\n".join(faults)


def missing(block: Block) -> list[str]:
    """Files of the repository that a reason names and that are not there."""
    named = re.findall(r"\b(?:cli|docs|e2e|gen|kustomize|services|deployments)/[\w./-]*\w", block.reason)
    return [f for f in named if not (ROOT / f).exists()]


def test_blocks_are_found_with_what_stands_above() -> None:
    text = "a\n\n<!-- not run: no -->\n```sh\nx\n```\n- b\n\n   <!-- block: n -->\n   ```sh\n   y\n     z\n   ```\n```yaml\nk: v\n```\n"
    found = blocks(text, "p")
    assert [(b.language, b.text, b.reason, b.name) for b in found] == [
        ("sh", "x\n", "no", ""),
        ("sh", "y\n  z\n", "", "n"),
        ("yaml", "k: v\n", "", ""),
    ]
    assert {"sh", "bash"} <= SHELLS


def test_a_mark_is_that_of_the_next_block_alone() -> None:
    found = blocks("<!-- not run: no -->\ntext between\n```sh\nx\n```\n", "p")
    assert not found[0].reason


def test_a_part_of_another_file_brings_its_blocks_where_it_stands() -> None:
    files = {
        "docs/how-to/p.md": "```sh\na\n```\n\n<!-- include ../../m/R.md#its-part -->\n\n```sh\nd\n```\n",
        "m/R.md": "# R\n```sh\nnot this\n```\n\n## Its part\ntext\n\n<!-- not run: no -->\n```sh\nb\n```\n```sh\nc\n```\n\n"
        "## Other\n```sh\nnor this\n```\n",
    }
    found = documentation.of("docs/how-to/p.md", files.__getitem__)
    assert [(b.page, b.line, b.text, b.reason) for b in found] == [
        ("docs/how-to/p.md", 1, "a\n", ""),
        ("m/R.md", 10, "b\n", "no"),
        ("m/R.md", 13, "c\n", ""),
        ("docs/how-to/p.md", 7, "d\n", ""),
    ]


def test_what_is_walked_is_all_that_people_read() -> None:
    walked = documentation.pages()
    assert {"README.md", "UPGRADE.md", "SECURITY.md", "cli/README.md", "charts/nemesis/README.md", "kustomize/GITOPS.md"} <= set(walked)
    assert all((ROOT / page).exists() for page in walked)
