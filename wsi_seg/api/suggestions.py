"""What `wsi_seg.suggest` gives: windows and outlines in doubt, as a user of QuPath counts pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsi_seg.suggestion.doubtful import Doubtful
    from wsi_seg.suggestion.suggest_windows import Suggested, Suggestion


@dataclass(frozen=True)
class Window:
    """A window to outline next.

    Attributes
    ----------
    slide : Path
    rank : int
        Over all slides together, from 1, the most useful.
    reason : str
    bounds_qupath : (float, float, float, float)
        Left, top, right and bottom as QuPath counts: level-0 pixels from the corner of the slide's bounds.
    unsure : float
        Mean doubt of the network in it, from 0 to 1.
    unlike : float or None
        Share of its tissue that is unlike anything outlined; None where too little is outlined to say.
    """

    slide: Path
    rank: int
    reason: str
    bounds_qupath: tuple[float, float, float, float]
    unsure: float
    unlike: float | None


@dataclass(frozen=True)
class DoubtfulOutline:
    """An outline that the network contradicts.

    Attributes
    ----------
    slide : Path
    rank : int
        Over all slides together, from 1, the worst.
    drawn_as, taken_for : str
        Its class, and the class that the network finds in most of what it contradicts.
    share : float
        Of the outline's area.
    bounds_qupath : (float, float, float, float)
        As of `Window`.
    """

    slide: Path
    rank: int
    drawn_as: str
    taken_for: str
    share: float
    bounds_qupath: tuple[float, float, float, float]


@dataclass(frozen=True)
class Suggestions:
    """What `wsi_seg.suggest` gives.

    Attributes
    ----------
    windows : tuple of Window
        The most useful first.
    doubtful : tuple of DoubtfulOutline
        The worst first.
    files : tuple of Path
        What was written.
    remarks : tuple of str
        What was left out, or could not be done, a line each.
    """

    windows: tuple[Window, ...]
    doubtful: tuple[DoubtfulOutline, ...]
    files: tuple[Path, ...]
    remarks: tuple[str, ...]


def suggestions_of(found: Suggestion, files: Sequence[Path], left_out: Sequence[str]) -> Suggestions:
    """Return what was found, what was written, and what was left out before."""
    return Suggestions(
        windows=tuple(_window(found, each) for each in found.windows),
        doubtful=tuple(_outline(found, rank, each) for rank, each in enumerate(found.doubtful, start=1)),
        files=tuple(files),
        remarks=(*left_out, *found.remarks),
    )


def _window(found: Suggestion, window: Suggested) -> Window:
    ground = found.grounds[window.slide]
    bounds = ground.box_qupath(window.box_label)
    return Window(ground.path, window.rank, window.reason, bounds, window.unsure, window.unlike)


def _outline(found: Suggestion, rank: int, doubt: Doubtful) -> DoubtfulOutline:
    ground = found.grounds[doubt.slide]
    bounds = ground.box_qupath(ground.outlines_label[doubt.shape].bounds)
    drawn_as = ground.shapes[doubt.shape].class_name or ""
    return DoubtfulOutline(ground.path, rank, drawn_as, doubt.found, doubt.share, bounds)
