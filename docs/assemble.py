"""Writes the sources of the site: the pages of docs/, and what already stands elsewhere in the repository.

    assemble.py FOLDER

Nothing is written twice: a page takes a part of another file by `<!-- include PATH#HEADING -->`, whole files become
pages (`WHOLE`), and contract.py writes the reference of the APIs. Links are those of the repository, so that pages can be
read there, too; here they are turned into those of the site. One that leads to no file, or a part that is not
there, ends the program; Sphinx looks for the anchors.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
from itertools import groupby
from pathlib import Path

import contract

ROOT = Path(__file__).resolve().parents[1]
DOCS = "docs"
REPOSITORY = "https://github.com/nemesis-scaling/nemesis"

# Files of the repository that are pages: where they are in the site, and their title there.
WHOLE = {
    "CHANGELOG.md": ("reference/changelog.md", "Changelog"),
    "CONTRIBUTING.md": ("reference/contributing.md", "Contributing"),
    "SECURITY.md": ("reference/security.md", "Security: who may what, and what is not protected"),
    "UPGRADE.md": ("reference/upgrade.md", "Every step from 0.1.0"),
    "charts/nemesis/README.md": ("reference/helm.md", "Helm chart"),
    "cli/README.md": ("reference/command-manual.md", "Manual of the command nemesis"),
    "cli/REFERENCE.md": ("reference/command.md", "The command nemesis"),
    "deployments/elasticsearch/README.md": ("reference/elasticsearch.md", "Elasticsearch: what was tried"),
    "deployments/grafana/README.md": ("reference/grafana.md", "Dashboards for Grafana"),
    "deployments/kibana/README.md": ("reference/kibana.md", "Dashboards for Kibana"),
    "e2e/identities.md": ("reference/identities.md", "Every operation, and what it answers to whom"),
    "gen/README.md": ("reference/sdk.md", "Go SDK"),
    "kustomize/GITOPS.md": ("reference/gitops.md", "Beside GitOps tools, Helm and people"),
    "kustomize/README.md": ("reference/manifests.md", "Manifests"),
    "kustomize/base/autoscaler-controller/RBAC.md": ("reference/rights.md", "Rights of the controller"),
    "services/autoscaler-controller/METRICS.md": ("reference/metrics-autoscaler-controller.md", "Metrics of the autoscaler-controller"),
    "services/autoscaler-controller/README.md": ("reference/autoscaler-controller.md", "Manual of the autoscaler-controller"),
    "services/load-balancer/METRICS.md": ("reference/metrics-load-balancer.md", "Metrics of the load-balancer"),
    "services/load-balancer/README.md": ("reference/load-balancer.md", "Manual of the load-balancer"),
    "services/sidecar/METRICS.md": ("reference/metrics-sidecar.md", "Metrics of sidecar and metrics-collector"),
    "services/sidecar/README.md": ("reference/sidecar.md", "Manual of the sidecar"),
}

REFERENCE = re.compile(r"\]\[([^\]\s]+)\]")
DEFINITION = re.compile(r"^\[([^\]]+)\]: +(\S+)$", re.MULTILINE)
INCLUDE = re.compile(r"^<!-- include (\S+?)#(\S+) -->$", re.MULTILINE)
LINK = re.compile(r"(?<!\!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
FENCE = re.compile(r"^ *(```|~~~)")
HEADING = re.compile(r"^(#+) (.+)$")


class Fault(Exception):
    """A page that cannot be made, and why."""


def slug(heading: str) -> str:
    """The anchor of a heading, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def pieces(text: str) -> list[tuple[bool, str]]:
    """The lines, and of each whether it is part of a code block."""
    found, inside = [], False
    for line in text.split("\n"):
        fence = bool(FENCE.match(line))
        found.append((inside or fence, line))
        inside ^= fence
    return found


def section(text: str, anchor: str, where: str) -> str:
    """What stands under a heading, up to the next one of the same rank, without the heading itself."""
    taken: list[str] = []
    rank = 0
    for code, line in pieces(text):
        heading = None if code else HEADING.match(line)
        if heading and rank and len(heading[1]) <= rank:
            break
        if rank:
            taken.append(line)
        elif heading and slug(heading[2]) == anchor:
            rank = len(heading[1])
    if not rank:
        raise Fault(f"{where}: there is no heading for #{anchor}")
    return "\n".join(taken).strip("\n")


def prose(text: str) -> str:
    """The text without code, neither in blocks nor in lines."""
    return re.sub(r"(`+)(?:(?!\1).)+\1", "", "\n".join(line for code, line in pieces(text) if not code), flags=re.DOTALL)


def references(text: str, file: str) -> None:
    """Links whose targets stand apart lead to one, and out of the repository: others are not turned into the site's."""
    told = prose(text)
    defined = {found[1]: found[2] for found in DEFINITION.finditer(told)}
    used = {found[1] for found in REFERENCE.finditer(told)}
    if lost := sorted(used - defined.keys()):
        raise Fault(f"{file}: the link [{lost[0]}] is nowhere defined")
    if idle := sorted(defined.keys() - used):
        raise Fault(f"{file}: [{idle[0]}] is defined, and no link")
    for name, target in defined.items():
        if not re.match(r"https?://", target):
            raise Fault(f"{file}: [{name}]: a link within the repository is written in its place, [text]({target})")


class Site:
    """Where the files of the repository are in the site."""

    def __init__(self, root: Path = ROOT, whole: dict[str, tuple[str, str]] | None = None) -> None:
        self.root, self.whole = root, WHOLE if whole is None else whole
        self.pages = {file: page for file, (page, _) in self.whole.items()}
        own = (root / DOCS).rglob("*.md")
        self.own = sorted(p.relative_to(root).as_posix() for p in own if p.name != "README.md")
        self.pages |= {file: file.removeprefix(f"{DOCS}/") for file in self.own}
        self.made: set[str] = set()  # pages that contract.py writes

    def read(self, file: str, asked: str) -> str:
        try:
            return (self.root / file).read_text(encoding="utf-8")
        except OSError as err:
            raise Fault(f"{asked}: {file} cannot be read: {err.strerror}") from err

    def relink(self, text: str, file: str, page: str, part: bool = False) -> str:
        """The text of `file`, on the page `page`: its links are the site's. Of a `part` of a file anchors are those of the whole."""

        def turned(found: re.Match[str]) -> str:
            shown, target = found[1], found[2]
            if re.match(r"[a-z]+:", target) or (target.startswith("#") and not part):
                return found[0]
            path, _, anchor = target.partition("#")
            wanted = posixpath.normpath(posixpath.join(posixpath.dirname(file), path)) if path else file
            there = self.pages.get(wanted) or self.pages.get(wanted + "/README.md")
            if there is None and wanted.startswith(f"{DOCS}/") and wanted.removeprefix(f"{DOCS}/") in self.made:
                there = wanted.removeprefix(f"{DOCS}/")
            if there:
                way = posixpath.relpath(there, posixpath.dirname(page) or ".")
                return f"[{shown}]({way}{'#' + anchor if anchor else ''})"
            if wanted.startswith("../") or not (self.root / wanted).exists():
                raise Fault(f"{file}: the link {target!r} leads to no file of the repository")
            kind = "tree" if (self.root / wanted).is_dir() else "blob"
            return f"[{shown}]({REPOSITORY}/{kind}/main/{wanted})"  # it is not on the site

        parts = groupby(pieces(text), key=lambda piece: piece[0])  # the text of a link may go on in the next line
        joined = ((code, "\n".join(line for _, line in lines)) for code, lines in parts)
        return "\n".join(lines if code else LINK.sub(turned, lines) for code, lines in joined)

    def own_page(self, file: str) -> str:
        """A page of docs/, with what it includes."""
        page = self.pages[file]
        source = self.read(file, file)
        references(source, file)

        def included(found: re.Match[str]) -> str:
            wanted = posixpath.normpath(posixpath.join(posixpath.dirname(file), found[1]))
            taken = section(self.read(wanted, file), found[2], f"{file} includes {wanted}")
            return self.relink(taken, wanted, page, part=True)

        return INCLUDE.sub(included, self.relink(source, file, page))

    def whole_page(self, file: str) -> str:
        """A file of the repository as a page, under a title that says which."""
        page, title = self.whole[file]
        source = self.read(file, file)
        references(source, file)
        body = self.relink(source, file, page)
        first, _, rest = body.partition("\n")
        if not first.startswith("# "):
            raise Fault(f"{file}: it has no title in its first line")
        return f"# {title}\n\n<small>This page is the file `{file}`.</small>\n{rest}"

    def write(self, folder: Path) -> list[str]:
        """All pages, into a folder that is emptied first."""
        reference = contract.pages(self.root / "api")
        self.made = {f"reference/{name}" for name in reference}
        texts = {f"reference/{name}": text for name, text in reference.items()}
        texts |= {self.pages[file]: self.own_page(file) for file in self.own}
        texts |= {self.pages[file]: self.whole_page(file) for file in self.whole}
        shutil.rmtree(folder, ignore_errors=True)
        for page, text in texts.items():
            (folder / page).parent.mkdir(parents=True, exist_ok=True)
            (folder / page).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
        for extra in ("conf.py", "site.css"):
            shutil.copy(self.root / DOCS / extra, folder / extra)
        return sorted(texts)


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: assemble.py FOLDER", file=sys.stderr)
        return 2
    try:
        Site().write(Path(sys.argv[1]))
    except Fault as fault:
        print(f"docs: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
