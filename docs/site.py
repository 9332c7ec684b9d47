"""MkDocs hook: pages in docs/ link to files of the repository, as on GitHub; here the site gets those files too.

BENCHMARKS.md, CHANGELOG.md and CONTRIBUTING.md become pages. A link to any other file outside docs/ becomes a link to a
copy; a link to a folder, or to a page that is none here, becomes its text.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File  # pyright: ignore[reportMissingImports]

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PAGES = ("BENCHMARKS.md", "CHANGELOG.md", "CONTRIBUTING.md")
LINK = re.compile(r"\[([^\]]*)\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Adds the files outside docs/ that are pages here or that a page links to."""
    pages = [ROOT / name for name in PAGES]
    linked = {path for page in [*DOCS.rglob("*.md"), *pages] for path in _outside(page) if _is_file_here(path)}
    for path in sorted({*pages, *linked}):
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with its links as the site needs them."""
    source = Path(page.file.abs_src_path)
    here = Path(page.file.src_uri).parent

    def replaced(match: re.Match[str]) -> str:
        text, link, anchor = match.groups()
        target = _target(source, link)
        if target.is_dir() or (_is_outside(target) and not _is_file_here(target)):
            return text
        if not target.is_file():
            return match.group()  # a mistake, which mkdocs names
        place = target.relative_to(DOCS if target.is_relative_to(DOCS) else ROOT)
        return f"[{text}]({os.path.relpath(place, here)}{anchor or ''})"

    return LINK.sub(replaced, markdown)


def _outside(page: Path) -> list[Path]:
    targets = (_target(page, link) for _, link, _ in LINK.findall(page.read_text("utf-8")))
    return [path for path in targets if _is_outside(path)]


def _is_outside(path: Path) -> bool:
    return path.is_relative_to(ROOT) and not path.is_relative_to(DOCS)


def _is_file_here(path: Path) -> bool:
    """Whether a file outside docs/ is also the site's: other pages would bring their own links and places."""
    return path.is_file() and (path.suffix != ".md" or (path.name in PAGES and path.parent == ROOT))


def _target(page: Path, link: str) -> Path:
    return (page.parent / link).resolve()
