"""How pages come of files: parts, links, faults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from assemble import HEADING, LINK, ROOT, WHOLE, Fault, Site, pieces, prose, section, slug

import contract


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small repository."""
    files = {
        "docs/index.md": "# Home\n[more](how-to/one.md#part) [manual](../svc/README.md)\n"
        "[code](../svc/main.go) [out](https://example.com) [here](#x)\n",
        "docs/how-to/one.md": "# One\n\n<!-- include ../../svc/README.md#its-part -->\n\nend\n",
        "docs/README.md": "# About\n",
        "svc/README.md": "# Svc\nsee [docs](../docs/index.md)\n\n## Its part\ntext [other](#other) [code](main.go)\n"
        "```sh\n# Other\n```\n### Below\nz\n\n## Other\nno\n",
        "svc/main.go": "package main\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def site(root: Path) -> Site:
    return Site(root, {"svc/README.md": ("reference/svc.md", "Manual of svc")})


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Who may what", "who-may-what"),
        ("0 → n, `x`", "0--n-x"),
        ("From 0.1.0", "from-010"),
        ("The application's page", "the-applications-page"),
    ],
)
def test_anchors_are_those_of_code_hosts(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor


def test_a_part_ends_at_the_next_heading_of_its_rank_and_not_in_a_block(root: Path) -> None:
    part = section((root / "svc/README.md").read_text(), "its-part", "here")
    assert part.startswith("text ") and part.endswith("### Below\nz") and "# Other" in part


def test_a_part_that_is_not_there_is_a_fault(site: Site, root: Path) -> None:
    (root / "docs/how-to/one.md").write_text("# One\n\n<!-- include ../../svc/README.md#gone -->\n")
    with pytest.raises(Fault, match=r"docs/how-to/one.md includes svc/README.md: .*#gone"):
        site.own_page("docs/how-to/one.md")


def test_an_include_of_a_missing_file_is_a_fault(site: Site, root: Path) -> None:
    (root / "docs/how-to/one.md").write_text("# One\n\n<!-- include ../../svc/GONE.md#x -->\n")
    with pytest.raises(Fault, match=r"svc/GONE\.md cannot be read"):
        site.own_page("docs/how-to/one.md")


def test_links_become_those_of_the_site(site: Site) -> None:
    text = site.own_page("docs/index.md")
    assert "[more](how-to/one.md#part)" in text
    assert "[manual](reference/svc.md)" in text
    assert "[code](https://github.com/nemesis-scaling/nemesis/blob/main/svc/main.go)" in text
    assert "[out](https://example.com)" in text and "[here](#x)" in text


def test_anchors_of_a_part_are_those_of_the_whole(site: Site) -> None:
    text = site.own_page("docs/how-to/one.md")
    assert "[other](../reference/svc.md#other)" in text
    assert text.startswith("# One\n") and text.endswith("\n\nend\n")


def test_a_whole_file_has_its_title_and_says_which_it_is(site: Site) -> None:
    text = site.whole_page("svc/README.md")
    assert text.startswith("# Manual of svc\n") and "`svc/README.md`" in text and "[docs](../index.md)" in text


@pytest.mark.parametrize("link", ["gone.md", "../gone/", "../../outside.md"])
def test_a_link_to_no_file_is_a_fault(site: Site, root: Path, link: str) -> None:
    (root / "docs/index.md").write_text(f"# Home\n[x]({link})\n")
    with pytest.raises(Fault, match="leads to no file"):
        site.own_page("docs/index.md")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[a][b]\n", r"\[b\] is nowhere defined"),
        ("[a][b]\n\n[b]: https://example.com\n[c]: https://example.com\n", r"\[c\] is defined, and no link"),
        ("[a][b]\n\n[b]: how-to/one.md\n", r"written in its place, \[text\]\(how-to/one.md\)"),
    ],
)
def test_a_link_whose_target_stands_apart_has_one_that_is_elsewhere(site: Site, root: Path, text: str, says: str) -> None:
    (root / "docs/index.md").write_text("# Home\n" + text)
    with pytest.raises(Fault, match=says):
        site.own_page("docs/index.md")


def test_what_looks_like_such_a_link_in_code_is_none(site: Site, root: Path) -> None:
    (root / "docs/index.md").write_text("# Home\n`x[a][b]` and\n```sh\njq '.x[a][c]'\n```\n")
    assert "`x[a][b]`" in site.own_page("docs/index.md")


APART = {"node_modules", "build", ".venv", ".git", "testdata"}


def anchors(text: str) -> set[str]:
    """Where in a file a link may lead: its headings, those of the same words numbered, and what it names itself."""
    found: dict[str, int] = {}
    for code, line in pieces(text):
        heading = None if code else HEADING.match(line)
        if heading:
            found[slug(heading[2])] = found.get(slug(heading[2]), 0) + 1
    numbered = {f"{name}-{n}" for name, times in found.items() for n in range(1, times)}
    return set(found) | numbered | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))


def test_every_link_within_the_repository_leads_to_a_file_and_a_heading() -> None:
    faults, seen = [], 0
    made = {ROOT / "docs" / "reference" / name: text for name, text in contract.pages(ROOT / "api").items()}
    files = [p for p in ROOT.rglob("*.md") if not APART & set(p.relative_to(ROOT).parts)]
    for file in files:
        for found in LINK.finditer(prose(file.read_text(encoding="utf-8"))):
            path, _, anchor = found[2].partition("#")
            if re.match(r"[a-z]+:", found[2]):
                continue
            seen += 1
            there = (file.parent / path).resolve() if path else file
            where = f"{file.relative_to(ROOT)}: {found[2]}"
            if there not in made and (ROOT not in there.parents or not there.exists()):
                faults.append(f"{where} leads to no file")
            elif anchor and there.suffix == ".md" and anchor not in anchors(made.get(there) or there.read_text(encoding="utf-8")):
                faults.append(f"{where} leads to no heading")
    assert seen > 100, f"{seen} links in {len(files)} files"
    assert not faults, "\n".join(faults)


def test_the_text_of_a_link_may_go_on_in_the_next_line(site: Site, root: Path) -> None:
    (root / "docs/index.md").write_text("# Home\n[the\nmanual](../svc/README.md#its-part)\n")
    assert "[the\nmanual](reference/svc.md#its-part)" in site.own_page("docs/index.md")


def test_links_in_blocks_stay(site: Site, root: Path) -> None:
    (root / "docs/index.md").write_text("# Home\n```yaml\na: [x](gone.md)\n```\n")
    assert "[x](gone.md)" in site.own_page("docs/index.md")


def test_the_page_about_the_pages_is_none(site: Site) -> None:
    assert "docs/README.md" not in site.own


def test_what_is_written_is_all_there_is(tmp_path: Path) -> None:
    stale = tmp_path / "gone.md"
    stale.write_text("old")
    pages = Site().write(tmp_path)
    assert not stale.exists()
    there = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.md")}
    assert there == set(pages) and {page for page, _ in WHOLE.values()} <= there
    assert "reference/custom-autoscaler.md" in there and (tmp_path / "conf.py").exists()


def test_manuals_and_metrics_of_each_service_are_pages() -> None:
    for folder in (ROOT / "services").iterdir():
        if (folder / "go.mod").exists():
            assert {f"services/{folder.name}/README.md", f"services/{folder.name}/METRICS.md"} <= set(WHOLE)
