"""Numbers in sentences."""

from __future__ import annotations

IRREGULAR = {"classes": "class", "patches": "patch", "vertices": "vertex"}


def counted(count: int, what: str) -> str:
    """Return a number with its noun, given in the plural, such as "tiles of 256 px"; 1 takes the singular."""
    if count != 1:
        return f"{count} {what}"
    plural, space, rest = what.partition(" ")
    return f"1 {IRREGULAR.get(plural, plural.removesuffix('s'))}{space}{rest}"
