"""The documents name files, functions and all places of a kind as the code has them today."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from helpers.pages import PAGES, ROOT, prose

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRODUCT = ROOT / "wsi_seg"
MODULE = re.compile(r"(?<![\w/.*-])(?:[\w-]+/)*[\w-]+\.(?:py|cpp|js)\b")
FUNCTION = re.compile(r"`(?:\w+\.)*(\w+)` \(`([\w/]+\.(?:py|cpp))`\)")
INVENTED = {"tests/slides/test_x.py", "wsi_seg/slides/x.py", "tiny_unet.py"}
"""Examples, of files that a reader would write."""

CONVERSION = re.compile(
    r"\.(?:slide_to_label|slide_pixels_under|label_to_\w+|level_to_label|qupath_to_\w+|pixel_in|coarsened)\("
    r"|Frames\.of_cells\(|\blevel_to_slide\("
    r"|\.(?:label_to_\w+|qupath_to_\w+|slide_to_label)[,)\s]"
    r"|\bbounds\.[xy]\b"
)
DECISION = re.compile(r"\bdecide\(")
WRITTEN = [page for page in PAGES if page.parent in (ROOT, ROOT / "docs") and page.name != "CHANGELOG.md"]


def named(line: str) -> Iterator[str]:
    """Yield the modules that a line names."""
    for found in MODULE.finditer(line):
        if found[0] not in INVENTED:
            yield found[0]


def is_there(name: str) -> bool:
    """Whether a module is there; a name alone may follow that of its folder."""
    if "/" in name:
        return (ROOT / name).is_file() or (PRODUCT / name).is_file()
    return next(PRODUCT.rglob(name), None) is not None


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_that_a_page_names_is_there(page: Path) -> None:
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
    assert [(number, name) for number, line in lines for name in named(line) if not is_there(name)] == []


def test_every_module_that_code_names_is_there() -> None:
    files = [path for path in PRODUCT.rglob("*") if path.suffix in {".py", ".cpp", ".h"}]
    lines = [
        (str(path.relative_to(PRODUCT)), number, line)
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    ]
    assert len(files) > 500
    found = [(*place, name) for *place, line in lines for name in named(line) if not is_there(name)]
    assert [place for place in found if place[-1] != "version.py"] == []  # PyTorch's own


def test_modules_are_found_and_a_missing_one_is_seen() -> None:
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    assert len({name for line in design.splitlines() for name in named(line)}) > 80
    assert list(named("`models/no_such.py`, and no_such.cpp")) == ["models/no_such.py", "no_such.cpp"]
    assert not is_there("models/no_such.py")
    assert not is_there("no_such.cpp")


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_function_is_in_the_file_that_is_named_with_it(page: Path) -> None:
    faults = []
    for _, line in prose(page):
        for name, file in FUNCTION.findall(line):
            text = (PRODUCT / file).read_text(encoding="utf-8")
            if not re.search(rf"\b{name}\b", text):
                faults.append((name, file))
    assert faults == []


def section(heading: str) -> str:
    """The text of a part of the design."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    _, _, rest = text.partition(f"\n## {heading}\n")
    return rest.partition("\n## ")[0]


def those_that(what: re.Pattern[str]) -> set[str]:
    """The modules in which something is done."""
    files = [
        path
        for path in PRODUCT.rglob("*")
        if path.suffix in {".py", ".cpp", ".js"} and "openseadragon" not in path.parts
    ]
    return {str(path.relative_to(PRODUCT)) for path in files if what.search(path.read_text(encoding="utf-8"))}


def mentioned(text: str) -> set[str]:
    """The modules that a text names; a name alone is in the folder of the name before."""
    found, folder = set(), ""
    for name in named(text):
        folder = name.rpartition("/")[0] or folder
        found.add(f"{folder}/{name.rpartition('/')[2]}")
    return found


def test_every_place_where_a_coordinate_changes_its_frame_is_named() -> None:
    places = those_that(CONVERSION)
    assert {"slides/slide.py", "results/polygons/placing.py"} <= places
    assert places - mentioned(section("Frames")) == set()


def test_every_place_where_a_class_is_decided_is_named() -> None:
    places = those_that(DECISION)
    assert {"inference/network/pixels.py", "inference/plain_images.py"} <= places
    assert places - mentioned(section("Where a pixel's class is decided")) == set()
