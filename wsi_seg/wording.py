"""Numbers in sentences and tables."""

from __future__ import annotations

IRREGULAR = {"classes": "class", "patches": "patch", "vertices": "vertex"}


def counted(count: int, what: str) -> str:
    """Return a number with its noun, given in the plural, such as "tiles of 256 px"; 1 takes the singular."""
    if count != 1:
        return f"{count} {what}"
    plural, space, rest = what.partition(" ")
    return f"1 {IRREGULAR.get(plural, plural.removesuffix('s'))}{space}{rest}"


def short_count(count: int) -> str:
    """Write a large number in three figures.

    >>> short_count(950), short_count(12_345), short_count(2_500_000)
    ('950', '12.3 k', '2.5 M')
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def duration(seconds: float) -> str:
    """Write a time in its two largest units.

    >>> duration(0.4), duration(59), duration(252), duration(11_130), duration(100_000)
    ('0.4 s', '59 s', '4 min 12 s', '3 h 6 min', '27 h 47 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return "{} h {} min".format(*divmod(round(seconds / 60), 60))
