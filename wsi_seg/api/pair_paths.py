"""Slides with their annotations, as the public calls take them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wsi_seg.api.arguments import AnyPath, path_of, shown
from wsi_seg.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    Pairs = AnyPath | Iterable[tuple[AnyPath, AnyPath]]


def paths_of(data: Pairs) -> tuple[Path, ...]:
    """Return data as the command line takes them: a list or a data set, or slides and annotations in turn.

    Raises
    ------
    UsageError
        If nothing is given, or something is not a pair.
    """
    if isinstance(data, str | bytes | os.PathLike):
        return (path_of(data),)
    paths: list[Path] = []
    if not isinstance(data, Iterable):
        raise UsageError(
            f"{shown(data)}: not data: give pairs of (slide, annotations), a CSV file or a folder"
        )
    for pair in data:
        if not isinstance(pair, Sequence) or isinstance(pair, str | bytes) or len(pair) != 2:
            raise UsageError(f"{shown(pair)} is not a pair: give (slide, annotations) for each slide")
        paths += map(path_of, pair)
    if not paths:
        raise UsageError(
            "nothing is given: give pairs of (slide, annotations), a CSV file or a data set's folder"
        )
    return tuple(paths)
