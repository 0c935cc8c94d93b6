"""Fonts for letters that the font in Pillow lacks: those of the extra `fonts`, then those of this machine."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.results.pictures.font_face import Face

if TYPE_CHECKING:
    from collections.abc import Iterable

PACKAGES = ("manimgx_fonts", "noto_cjk_sans_otc")
"""Packages of fonts, Noto Sans for each script: those of the extra `fonts`."""

SUFFIXES = frozenset({".otf", ".ttc", ".ttf"})

COMMAND = ("fc-match", "--format=%{file}\n%{index}")
PATTERN = "sans:scalable=true:color=false:charset={}"
SECONDS = 20
"""The first search on a machine reads all of its fonts."""


_found: dict[str, Face | None] = {}
"""By letter, what was found; None where no font has it."""


def face_of(letter: str) -> Face | None:
    """Return a font that has a letter, or None; see `look_for`."""
    if letter not in _found:
        look_for({letter})
    return _found[letter]


def has(face: Face, letter: str) -> bool:
    """Return whether a font has a letter."""
    from wsi_seg.results.pictures.shaping import letters_of  # HarfBuzz is slow to import, and seldom needed

    return ord(letter) in letters_of(face)


def are_installed() -> bool:
    """Return whether the fonts of the extra `fonts` are there."""
    return all(find_spec(package) is not None for package in PACKAGES)


def look_for(letters: Iterable[str]) -> None:
    """Find fonts for letters, together: as few fonts as will do."""
    missing = {letter for letter in letters if letter not in _found}
    while missing:
        face = max(_installed(), key=lambda face: _shared(face, missing), default=None)
        if face is None or not _shared(face, missing):
            face = _of_this_machine(missing)
        if face is None or not _shared(face, missing):
            _found.update(dict.fromkeys(missing))
            return
        had = {letter for letter in missing if has(face, letter)}
        _found.update(dict.fromkeys(had, face))
        missing -= had


def _shared(face: Face, letters: set[str]) -> int:
    return sum(has(face, letter) for letter in letters)


@cache
def _installed() -> tuple[Face, ...]:
    """Return the upright fonts of the extra: the general one, of the shortest name, first; emoji last."""
    places = [spec.submodule_search_locations for spec in map(find_spec, PACKAGES) if spec is not None]
    files = [file for place in places for folder in place or () for file in Path(folder).iterdir()]
    fonts = [file for file in files if file.suffix in SUFFIXES and "Italic" not in file.name]
    fonts.sort(key=lambda file: ("Emoji" in file.name, len(file.name), file))
    return tuple(Face(str(file), 0) for file in fonts)


def _of_this_machine(letters: set[str]) -> Face | None:
    """Ask fontconfig for the font with most of the letters."""
    pattern = PATTERN.format(" ".join(f"{ord(letter):x}" for letter in sorted(letters)))
    try:
        answer = subprocess.run(
            (*COMMAND, pattern), capture_output=True, text=True, check=True, timeout=SECONDS
        )
        path, index = answer.stdout.split("\n")
        face = Face(path, int(index))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None  # no fontconfig: pictures say that letters lack
    return face if Path(path).is_file() else None
