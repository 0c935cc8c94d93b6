"""Documents from outside of docs/ become pages of the site too, and links between all of them stay right.

In the repository the changelog, the benchmarks' results and the findings lie beside docs/, and links lead
to files. The site has docs/ at its root and the others under their own paths, so links are pointed there.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OUTSIDE = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/README.md",
    "benchmarks/results/*.md",
    "findings/README.md",
)
LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?P<after>\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside of docs/, and the files that pages link to."""
    for path in (path for pattern in OUTSIDE for path in sorted(ROOT.glob(pattern))):
        files.append(_file(path, config))
    for page in list(files.documentation_pages()):
        source = _source(page.src_uri)
        for found in LINK.finditer(source.read_text(encoding="utf-8")):
            path = _linked(source, found["target"])
            if path is not None and files.get_file_from_path(_uri(path)) is None:
                files.append(_file(path, config))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at where the site has what they lead to in the repository."""
    source, here = _source(page.file.src_uri), os.path.dirname(page.file.src_uri)

    def moved(found: re.Match[str]) -> str:
        path = _linked(source, found["target"])
        if path is None:
            return found[0]
        target = os.path.relpath(_uri(path), here or ".").replace(os.sep, "/")
        return f"{found['before']}{target}{found['anchor'] or ''}{found['after']}"

    return LINK.sub(moved, markdown)


def _linked(source: Path, target: str) -> Path | None:
    """Return the file that a link leads to, of a folder its README; None for anything else."""
    path = Path(os.path.normpath(source.parent / target))
    if path.is_dir():
        path /= "README.md"
    return path if path.is_file() and path.is_relative_to(ROOT) else None


def _source(uri: str) -> Path:
    """Return the file that a page of the site is made from."""
    inside = DOCS / uri
    return inside if inside.is_file() else ROOT / uri


def _uri(path: Path) -> str:
    """Return where the site has a file."""
    return path.relative_to(DOCS if path.is_relative_to(DOCS) else ROOT).as_posix()


def _file(path: Path, config: MkDocsConfig) -> File:
    return File.generated(config, _uri(path), abs_src_path=str(path))
