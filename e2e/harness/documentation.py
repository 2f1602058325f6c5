"""The commands of the documentation, so that what it shows stays true: of docs/, with what its pages include, of the files
that are pages of the site as they are, and of the README.

Each block marked as `sh` is run, or says above why not: `<!-- not run: REASON -->`. A block that others need has a name:
`<!-- block: NAME -->`.
"""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from .kubectl import Kubectl
from .waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
sys.path.append(str(DOCS))
from assemble import INCLUDE, WHOLE, section  # noqa: E402 - what the site is made of stands there

# Its blocks are the command's own help, which e2e/test_command.py and the command's own tests try.
WRITTEN = "cli/REFERENCE.md"
SHELLS = {"sh", "bash", "shell", "console"}
OPENING = re.compile(r"^(\s*)```(\S*)")
MARK = re.compile(r"^\s*<!-- (not run|block): (.+?) -->$")
NAMESPACE = "first-steps"  # as the pages have it
# Without its progress bar, and with a refusal as a failure, unless the page asks for the status.
CURL = """curl() {
  case "$*" in *http_code*) command curl -sS "$@" ;; *) command curl -sS --fail-with-body "$@" ;; esac
}"""


@dataclass(frozen=True)
class Block:
    """A block of code, and what stands above it."""

    page: str
    line: int
    language: str
    text: str
    name: str = ""
    reason: str = ""  # why it is not run


def blocks(text: str, page: str) -> list[Block]:
    """The blocks of a page, in order."""
    found: list[Block] = []
    lines = text.split("\n")
    at = 0
    mark: dict[str, str] = {}
    while at < len(lines):
        line = lines[at]
        if above := MARK.match(line):
            mark = {above[1]: above[2]}
        elif opening := OPENING.match(line):
            indent, start = len(opening[1]), at + 1
            end = next((n for n in range(start, len(lines)) if lines[n].strip() == "```"), None)
            assert end is not None, f"{page}:{start}: the block has no end"
            body = "\n".join(part[indent:] for part in lines[start:end]) + "\n"
            found.append(Block(page, start, opening[2], body, mark.get("block", ""), mark.get("not run", "")))
            mark, at = {}, end
        elif line.strip():
            mark = {}
        at += 1
    return found


def pages() -> list[str]:
    """Everything that people read, as paths in the repository."""
    own = (p.relative_to(ROOT).as_posix() for p in DOCS.rglob("*.md"))
    return sorted({*own, *WHOLE, "README.md"} - {WRITTEN})


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def of(page: str, text: Callable[[str], str] = read) -> list[Block]:
    """The blocks of a page in the order in which they are read: those of a part that it includes stand where the part does."""
    source = text(page)
    found = blocks(source, page)
    for include in INCLUDE.finditer(source):
        there = posixpath.normpath(posixpath.join(posixpath.dirname(page), include[1]))
        whole = text(there)
        part = section(whole, include[2], page)
        before = whole[: whole.index(part)].count("\n")
        taken = [replace(b, line=b.line + before) for b in blocks(part, there)]
        line = source[: include.start()].count("\n")
        at = next((n for n, b in enumerate(found) if b.page == page and b.line > line), len(found))
        found[at:at] = taken
    return found


def runnable(page: str) -> list[Block]:
    """The blocks of a page that are commands and are run."""
    return [b for b in of(page) if b.language in SHELLS and not b.reason]


def named(page: str, *names: str) -> list[Block]:
    """The blocks of a page that have these names, in the order of the page."""
    found = [b for b in of(page) if b.name in names]
    assert len(found) == len(names), f"{page}: want the blocks {names}, there are {[b.name for b in found]}"
    return found


def run(chosen: list[Block], kubectl: Kubectl, folder: Path, namespace: str, programs: Path | None = None) -> str:
    """Runs blocks one after the other in one shell, as a person would who copies them; in a checkout, and a namespace of their own.

    `programs` is where the command nemesis is. Returns what they printed.
    """
    for entry in ROOT.iterdir():  # commands name files of the checkout, and write beside them
        if not entry.name.startswith(".") and not (folder / entry.name).exists():
            (folder / entry.name).symlink_to(entry)
    script = ["set -euo pipefail", CURL, f"NAMESPACE={namespace}"]
    for block in chosen:
        script += [f"echo '== {block.page}:{block.line}' >&2", block.text]
    text = "\n".join(script).replace(NAMESPACE, namespace)
    own = [str(programs)] if programs else []
    path = os.pathsep.join([*own, str(Path(kubectl.program).parent), "/usr/local/bin", "/usr/bin", "/bin"])
    environment = {"PATH": path, "HOME": str(folder), "KUBECONFIG": kubectl.kubeconfig}
    done = subprocess.run(
        ["bash", "-c", text], capture_output=True, text=True, timeout=2 * PATIENCE, check=False, cwd=folder, env=environment
    )
    assert done.returncode == 0, f"ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
