"""What is to be said of a result beside its figures, in lines: on the terminal and on pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsi_seg.results.summary import Summary


def notices(summary: Summary) -> Iterator[str]:
    """Yield the remarks on a result, the notice of its model last."""
    smallest = summary.min_area_um2
    if smallest and any(c.sieved_mm2 is not None for c in summary.classes):
        yield f"islands below {smallest:g} um2 are merged into their neighbours (--min-area)"
    if summary.familiarity is not None:
        yield summary.familiarity.line
    if summary.read_from is not None:
        yield f"read from {summary.read_from}"
    if summary.simplify is not None and not summary.simplify.as_asked:
        yield f"outlines simplified by {summary.simplify}"
    yield from summary.level_remarks
    yield from (counted(count, what) for what, count in summary.remarks.items())
    yield from summary.roi_remarks
    if summary.notice:
        yield summary.notice
