"""What names a font: its file, and which of the fonts in it."""

from __future__ import annotations

from typing import NamedTuple


class Face(NamedTuple):
    """A font file, and which of the fonts in it."""

    path: str
    number: int
