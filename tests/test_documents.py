"""The pages in docs/ hold together: what the code cites is there, and every page is in the navigation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
CITATION = re.compile(r"O2T guide,\s+['\"]([^'\"]+)['\"]")


def citations() -> dict[str, set[str]]:
    """Section of the guide -> files of the code that cite it."""
    found: dict[str, set[str]] = {}
    for folder in ("o2t_jax", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for section in CITATION.findall(path.read_text()):
                found.setdefault(section, set()).add(str(path.relative_to(ROOT)))
    return found


def sections(page: Path) -> list[str]:
    return re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)


def test_every_section_of_the_guide_that_the_code_cites_is_there():
    cited, named = citations(), sections(DOCS / "guide.md")
    assert len(cited) >= 5, "the citations have another form now: this test sees none"
    assert len(named) == len(set(named))
    missing = {section: files for section, files in cited.items() if section not in named}
    assert not missing, f"docs/guide.md has {named}"


def test_the_citation_test_sees_a_citation():
    assert CITATION.findall('"""Encoder (O2T guide, \'Encoder\') and (O2T guide,\n\'Physics Evolution\')."""') == [
        "Encoder",
        "Physics Evolution",
    ]


def test_every_page_is_in_the_navigation_and_in_no_place_twice():
    named = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    beside = re.findall(r'"(\w+\.md)"', (DOCS / "site.py").read_text())  # pages of the site from the root
    assert sorted(named) == sorted([*beside, *(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))])


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_a_link_to_a_heading_finds_it(page):
    for target, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", page.read_text()):
        text = (page.parent / target).read_text() if target else page.read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in headings}, (
            target,
            anchor,
        )
