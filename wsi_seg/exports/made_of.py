"""The slide that a result was made of, found again, and as it was read then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.errors import SlideError, UsageError
from wsi_seg.results.summary import read_summary
from wsi_seg.slides.slide import Slide

if TYPE_CHECKING:
    from wsi_seg.exports.source import Source


def open_slide_of(source: Source, named: Path | None) -> Slide:
    """Open the slide that a result was made of.

    Parameters
    ----------
    source : Source
    named : Path or None
        Where it lies now; None for where it lay then.

    Raises
    ------
    UsageError
        If it is not named, and the result doesn't say where it lay, or it is gone.
    SlideError
        If it can't be opened, or is another slide.
    OutputError
        If the result's summary or record is damaged.
    """
    folder = source.folder
    beside = None if folder is None or not folder.summary_json.exists() else folder.summary_json
    summary = None if beside is None else read_summary(beside)
    if named is not None:
        path = named
    elif summary is None:
        raise UsageError(f"{source.zarr}: does not say where its slide lies: name it with --slide")
    else:
        path = _where_it_lay(summary.slide, source)
    mpp_x, mpp_y = source.pyramid.frames.slide_mpp
    levels = None if source.record is None else source.record.labels.get("levels read")
    asked = None if summary is None else summary.settings.get("labels")
    slide = Slide(
        path,
        mpp_x if mpp_x == mpp_y else None,
        tuple(int(str(level)) for level in levels) if isinstance(levels, list) else None,
        asked.get("series") if isinstance(asked, dict) else None,
    )
    if not _is_same(slide, source):
        slide.close()
        raise SlideError(
            f"{path}: is not the slide that {source.zarr} was made of: name that one with --slide"
        )
    return slide


def _where_it_lay(stated: str, source: Source) -> Path:
    """Return the path that the run was given, or, seen from another folder, the same from the root."""
    recorded = None if source.record is None else source.record.slide
    for path in (stated, recorded):
        if path is not None and Path(path).exists():
            return Path(path)
    raise UsageError(f"{stated}: the slide of this result is not there any more: name it with --slide")


def _is_same(slide: Slide, source: Source) -> bool:
    """Tell whether a slide has the recorded identity; without a record, the same bounds."""
    known = None if source.record is None else source.record.labels.get("slide")
    return slide.bounds == source.pyramid.frames.bounds if known is None else slide.fingerprint == known
