"""The description of a kind of data set: where its pictures lie, and what its masks hold."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wsi_seg.data.masks import MaskCoding
    from wsi_seg.models.classes import ClassSchema

SPLITS = ("train", "val", "test")
NAMED_FAULTS = 3


@dataclass(frozen=True)
class Pair:
    """An image of a data set, and the files that belong to it.

    Attributes
    ----------
    image : Path
    mask : Path or None
        None where the truth is not published, as in the test sets of challenges.
    instances : Path or None
        Picture that distinguishes single objects.
    diagnosis : int or None
        Class of the whole image.
    """

    image: Path
    mask: Path | None
    instances: Path | None = None
    diagnosis: int | None = None


class Faults:
    """The faults of a data set, collected so that they can be reported in one line."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = defaultdict(list)

    def add(self, problem: str, where: str) -> None:
        """Add a place ("a.png") to a problem ("images without a mask")."""
        self._found[problem].append(where)

    def __bool__(self) -> bool:
        return bool(self._found)

    def __str__(self) -> str:
        """Describe each problem, with its count and its first places."""
        return "; ".join(
            f"{problem} ({len(places)}): {', '.join(places[:NAMED_FAULTS])}"
            + (f" and {len(places) - NAMED_FAULTS} more" if len(places) > NAMED_FAULTS else "")
            for problem, places in self._found.items()
        )


@dataclass(frozen=True)
class Layout:
    """How a kind of data set is laid out.

    Attributes
    ----------
    kind : str
        The name that it is registered by (`wsi_seg.data.dataset_kinds`).
    schema : str or None
        Name of its class schema, if it has one of its own.
    root : callable
        Takes a folder; returns the data set's folder, which is this folder or one in it, or None for other
        kinds.
    splits : callable
        Takes the data set's folder; returns its splits.
    pairs : callable
        Takes the data set's folder, one of the splits and `Faults` to add to; returns the pairs, sorted.
    coding : callable
        Takes a class schema and a pair; returns the coding of its mask.
    names : tuple of str
        Names of the classes that masks can hold, if they are fixed.
    known_by_classes : bool
        Other data sets may have this layout: if a class schema is given, it is this kind only if the schema
        has its classes.
    """

    kind: str
    schema: str | None
    root: Callable[[Path], Path | None]
    splits: Callable[[Path], tuple[str, ...]]
    pairs: Callable[[Path, str, Faults], list[Pair]]
    coding: Callable[[ClassSchema, Pair], MaskCoding]
    names: tuple[str, ...] = ()
    known_by_classes: bool = False
