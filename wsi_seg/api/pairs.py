"""Slides with their annotations, as a caller gives them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wsi_seg.api.asked import AnyPath, path_of
from wsi_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    Pairs = AnyPath | Iterable[tuple[AnyPath, AnyPath]]


def paths_of(data: Pairs) -> tuple[Path, ...]:
    """Return data as a command line names them: a list or a data set, or slide and annotations in turn.

    Raises
    ------
    UsageError
        If there is nothing, or something is no pair.
    """
    if isinstance(data, str | bytes | os.PathLike):
        return (path_of(data),)
    paths: list[Path] = []
    for pair in data:
        if isinstance(pair, str | bytes | os.PathLike) or len(pair) != 2:
            raise UsageError(f"{pair!r} is no pair: give (slide, annotations), as often as there are slides")
        paths += map(path_of, pair)
    if not paths:
        raise UsageError(
            "nothing is given: give pairs of (slide, annotations), a CSV file or a data set's folder"
        )
    return tuple(paths)
