"""The pages in docs/ hold together: what the code cites is there, and every page is in the navigation."""

from __future__ import annotations

import fnmatch
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


# What the documents of two originals name: scripts, flags, files that they write, modules.
NAMED = {
    "video": (
        "generate_physics_data.py --dataset all",
        *("generate_diverse_datasets.py", "train_sharp_v2.py", "train_comprehensive.py", "world_model_rl.py"),
        *("eval_sharp.py", "draw_architecture.py", "data_utils/datasets.py", "utils.py", "checkpoints/", "results/"),
        *("sharp_model_v2_result.png", "autoregressive_rollout.png", "architecture_diagram.png"),
        *(f"physics_{name}_result.png" for name in ("bouncing_balls", "pendulum", "spring_mass")),
        *(f"{name}_preview.png" for name in ("bouncing_balls", "pendulum", "spring_mass")),
        *("rl_training.png", "rl_trajectory.png"),
    ),
    "motion": (
        *("--epochs", "--batch-size", "--lr", "--data-dir", "--output-dir", "--lambda-physics", "--device"),
        *("scripts/train_m1_t5.py", "scripts/build_vg_dataset.py"),
        *("scripts/train_motion_ssm.py", "scripts/train_physics_ssm.py"),
        *("checkpoints/motion_ssm/best_model.pt", "M1", "M2", "M3", "M4", "M5", "M7", "M8"),
    ),
}


@pytest.mark.parametrize(("page", "name"), [(page, name) for page, names in NAMED.items() for name in names])
def test_what_the_document_of_an_original_names_has_ours_beside_it(page: str, name: str):
    beside = []
    for line in (DOCS / f"{page}.md").read_text().splitlines():
        theirs, _, ours = line.removeprefix("| ").partition(" | ")
        said = [*re.findall(r"`([^`]+)`", theirs), *re.findall(r"\bM\d\b", theirs)]
        if line.startswith("| ") and any(fnmatch.fnmatch(name, each.replace("...", "*")) for each in said):
            beside.append(ours)
    assert beside and all(len(each) > 5 for each in beside)


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_a_link_to_a_heading_finds_it(page):
    for target, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", page.read_text()):
        text = (page.parent / target).read_text() if target else page.read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in headings}, (
            target,
            anchor,
        )
