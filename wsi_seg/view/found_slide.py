"""Find the slide that a result was made from, which may have moved, and see that it is that slide."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wsi_seg.errors import SlideError
from wsi_seg.slides.levels import LEVEL_0
from wsi_seg.slides.slide import Slide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsi_seg.results.folder import ResultFolder
    from wsi_seg.results.record import Key, RunRecord
    from wsi_seg.results.summary import Summary
    from wsi_seg.slides.frames import Frames
    from wsi_seg.view.watched_files import Watch

NAME_IT = "only the overview in the result is shown: name the slide with --slide"


class Found(NamedTuple):
    """A slide, or the reason why there is none to show."""

    slide: Slide | None
    why_not: str | None = None


def find_slide(
    result: ResultFolder | None,
    frames: Frames,
    summary: Summary | None,
    record: RunRecord | None,
    named: Path | None,
    watch: Watch,
) -> Found:
    """Open the slide of a result.

    Parameters
    ----------
    result : ResultFolder or None
        None for an OME-Zarr alone, of which only a slide that is named can be shown.
    frames : Frames
        Of its labels.
    summary, record
        Of the result, as far as they are there.
    named : Path or None
        The slide that the user names.
    watch : Watch
        Is told each place where the slide is looked for.
    """
    was = summary.slide if summary is not None else None if record is None else record.slide
    if named is None and (result is None or was is None):
        return Found(None, f"the result does not say where its slide is: {NAME_IT}")
    places = [named] if named is not None else list(_places(result, was))
    series = _series(summary, record)
    why_not = None
    for place in places:
        watch.file(place)
        if named is None and not os.path.exists(place):
            continue
        try:
            found = _opened(place, series, frames, record)
        except SlideError as error:
            why_not = why_not or f"{error}; {NAME_IT}"
            continue
        if found.slide is not None:
            return found
        why_not = why_not or found.why_not
    return Found(None, why_not or f"{places[0]}: the slide is no longer there; {NAME_IT}")


def _places(result: ResultFolder | None, was: str | None) -> Iterator[Path]:
    """Yield where the slide may be: where it was, and beside the result, which both may have moved."""
    assert result is not None
    assert was is not None
    yield Path(was)
    for parent in list(result.folder.absolute().parents)[:2]:
        yield parent / Path(was).name


def _series(summary: Summary | None, record: RunRecord | None) -> int | None:
    labels = {} if summary is None else summary.settings.get("labels")
    series = labels.get("series") if isinstance(labels, dict) else None
    return series if isinstance(series, int) else None if record is None else record.series


def _opened(place: Path, series: int | None, frames: Frames, record: RunRecord | None) -> Found:
    labels: Key = {} if record is None else record.labels
    slide = Slide(place, levels_read=_levels(labels), series=series)
    same = (
        slide.bounds == frames.bounds
        and labels.get("slide", slide.fingerprint) == slide.fingerprint
        and labels.get("slide content", slide.files.content) == slide.files.content
    )
    if same:
        return Found(slide)
    slide.close()
    return Found(None, f"{place}: is not the slide that the result was made from; {NAME_IT}")


def _levels(labels: Key) -> tuple[int, ...] | None:
    """Return the levels of the slide that are known to be in order; None where only level 0 was looked at."""
    known = labels.get("levels read")
    if not isinstance(known, list) or not all(isinstance(level, int) for level in known):
        return None
    levels = tuple(level for level in known if isinstance(level, int))
    return None if levels == LEVEL_0 else levels
