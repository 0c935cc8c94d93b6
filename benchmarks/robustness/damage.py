"""Damage to the bytes of a file, and which of it the file's format can notice."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import tifffile

Span = tuple[int, int]

WHOLLY_CHECKED = frozenset({".png", ".gz", ".safetensors"})
"""Formats with a checksum over all that counts."""


@dataclass(frozen=True)
class Damage:
    """What was done to a file.

    Attributes
    ----------
    what : str
    content : bytes or None
        What the file holds now; None: it is gone.
    touched : tuple of (int, int)
        The bytes of the sound file that were changed, moved or lost.
    """

    what: str
    content: bytes | None
    touched: tuple[Span, ...]


def damaged(content: bytes, chance: random.Random, twin: bytes | None = None, gone: bool = False) -> Damage:
    """Damage a file's content in one of many ways.

    Parameters
    ----------
    content : bytes
    chance : random.Random
    twin : bytes, optional
        Of another file of the same kind, which may take its place.
    gone : bool
        Whether the file may be deleted.
    """
    whole: tuple[Span, ...] = ((0, len(content)),)
    ways = ["bit", "bit", "bits", "bits", "zeros", "noise", "cut", "cut", "inserted", "swapped", "emptied"]
    ways += ["other"] * (twin is not None and twin != content) + ["deleted"] * 2 * gone
    what = chance.choice(ways)
    if what == "deleted":
        return Damage(what, None, whole)
    if what == "other":
        return Damage("another's content", twin, whole)
    if what == "emptied" or len(content) < 2:
        return Damage("emptied", b"", whole)
    at = chance.randrange(len(content))
    length = min(chance.choice((1, 4, 16, 64, 512, 4096)), len(content) - at)
    if what == "cut":
        at = max(1, at)
        return Damage(f"cut at {at}", content[:at], ((at, len(content)),))
    if what == "inserted":
        more = chance.randbytes(length)
        return Damage(
            f"{length} bytes inserted at {at}", content[:at] + more + content[at:], ((at, len(content)),)
        )
    if what in ("zeros", "noise"):
        fill = bytes(length) if what == "zeros" else chance.randbytes(length)
        changed = content[:at] + fill + content[at + length :]
        return Damage(f"{length} bytes of {what} at {at}", changed, ((at, at + length),))
    if what == "swapped":
        return _swapped(content, chance)
    copy, places = bytearray(content), []
    for _ in range(1 if what == "bit" else chance.choice((3, 30, 300))):
        place = chance.randrange(len(content))
        copy[place] ^= 1 << chance.randrange(8)
        places.append((place, place + 1))
    return Damage(f"{len(places)} bits flipped, the first at {places[0][0]}", bytes(copy), tuple(places))


def _swapped(content: bytes, chance: random.Random) -> Damage:
    side = min(chance.choice((16, 512, 4096)), len(content) // 2)
    a = chance.randrange(len(content) - 2 * side + 1)
    b = chance.randrange(a + side, len(content) - side + 1)
    first, second = content[a : a + side], content[b : b + side]
    swapped = content[:a] + second + content[a + side : b] + first + content[b + side :]
    return Damage(f"{side} bytes swapped, at {a} and {b}", swapped, ((a, a + side), (b, b + side)))


def checked_spans(path: Path) -> list[Span]:
    """Return the bytes of a sound file that its format has a checksum of."""
    size = path.stat().st_size
    if path.suffix in WHOLLY_CHECKED:
        return [(0, size)]
    if path.suffix in {".tif", ".tiff"}:
        with tifffile.TiffFile(path) as tiff:
            return [
                (offset, offset + count)
                for page in tiff.pages
                if page.compression == 8  # Deflate: each tile ends with a checksum
                for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
            ]
    return []


def can_be_noticed(damage: Damage, spans: list[Span]) -> bool:
    """Tell whether all that was touched has a checksum, so that no change of it may go unnoticed."""
    return all(any(start <= a and b <= end for start, end in spans) for a, b in damage.touched)
