"""The table of many slides: a row for each slide and class, and one for a slide without classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.files.csvlines import csv_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wsi_seg.predict.report.reported_slide import ShownSlide

COLUMNS = (
    "slide", "result", "state", "class_id", "class", "mm2", "share", "polygons", "sieved_mm2", "outlined_mm2",
    "unprocessed_mm2", "familiarity", "seconds", "model", "model_fingerprint", "says",
)  # fmt: skip


def as_csv(slides: Iterable[ShownSlide]) -> str:
    """Return the table with its heading."""
    return csv_line(COLUMNS) + "".join(csv_line(row) for slide in slides for row in _rows(slide))


def _rows(slide: ShownSlide) -> Iterator[tuple[object, ...]]:
    summary = slide.summary
    before = slide.slide, "" if slide.result is None else str(slide.result), str(slide.state)
    says = "; ".join(slide.lines)
    if summary is None:
        yield (*before, *[""] * 9, _number(slide.seconds or None, 3), "", "", says)
        return
    familiar = "" if summary.familiarity is None else str(summary.familiarity.verdict)
    after = (
        _number(summary.unprocessed_mm2),
        familiar,
        _number(slide.seconds, 3),
        summary.model,
        summary.model_fingerprint,
        says,
    )
    for shown in slide.classes:
        c = shown.figures
        areas = _number(c.sieved_mm2), _number(c.outlined_mm2)
        yield (*before, c.id, c.name, _number(c.mm2), _number(c.share), c.polygons, *areas, *after)


def _number(value: float | None, decimals: int = 6) -> str:
    return "" if value is None else f"{value:.{decimals}f}"
