"""Fonts of this machine, found by fontconfig, for letters that the font in Pillow lacks."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NamedTuple

from PIL import ImageFont

if TYPE_CHECKING:
    from collections.abc import Iterable

COMMAND = ("fc-match", "--format=%{file}\n%{index}\n%{charset}")
PATTERN = "sans:scalable=true:color=false:charset={}"
SECONDS = 20
"""The first search on a machine reads all of its fonts."""


class Face(NamedTuple):
    """A font file, and which of the fonts in it."""

    path: str
    number: int


_found: dict[str, Face | None] = {}
"""By letter, what was found; None where no font has it."""


def face_of(letter: str) -> Face | None:
    """Return a font that has a letter, or None; see `look_for`."""
    if letter not in _found:
        look_for({letter})
    return _found[letter]


def look_for(letters: Iterable[str]) -> None:
    """Find fonts for letters, together: as few fonts as will do."""
    missing = {letter for letter in letters if letter not in _found}
    while missing:
        face, has = _best(missing)
        if face is None or not has:
            _found.update(dict.fromkeys(missing))
            return
        _found.update(dict.fromkeys(has, face))
        missing -= has


def _best(letters: set[str]) -> tuple[Face | None, set[str]]:
    """Ask fontconfig for the font with most of the letters; return which it has."""
    pattern = PATTERN.format(" ".join(f"{ord(letter):x}" for letter in sorted(letters)))
    try:
        answer = subprocess.run(
            (*COMMAND, pattern), capture_output=True, text=True, check=True, timeout=SECONDS
        )
        path, index, charset = answer.stdout.split("\n")
        face = Face(path, int(index))
        ImageFont.truetype(face.path, 20, face.number)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None, set()  # no fontconfig, or a font that Pillow cannot read: pictures say that letters lack
    ranges = [tuple(int(end, 16) for end in part.split("-")) for part in charset.split()]
    return face, {letter for letter in letters if any(r[0] <= ord(letter) <= r[-1] for r in ranges)}
