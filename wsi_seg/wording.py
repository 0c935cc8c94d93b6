"""Numbers in sentences."""

from __future__ import annotations

IRREGULAR = {"classes": "class", "patches": "patch", "vertices": "vertex"}


def counted(count: int, what: str) -> str:
    """Say how many of what begins with a word in the plural, as "tiles of 256 px"; one gets the singular."""
    if count != 1:
        return f"{count} {what}"
    plural, space, rest = what.partition(" ")
    return f"1 {IRREGULAR.get(plural, plural.removesuffix('s'))}{space}{rest}"
