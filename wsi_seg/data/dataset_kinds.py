"""The kinds of data sets with masks: each a name, and where its layout is to be found.

A layout is imported when a folder is looked at: what lies in `wsi_seg.paper` is known here by name alone.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsi_seg.data.dataset_layout import Layout

KINDS = {
    "cityscapes": "wsi_seg.paper.streets.cityscapes:CITYSCAPES",
    "voc": "wsi_seg.paper.streets.voc:VOC",
    "camvid": "wsi_seg.paper.streets.camvid:CAMVID",
    "breast-biopsy": "wsi_seg.data.tile_folders:BREAST_BIOPSY",
    "tiles": "wsi_seg.data.tile_folders:TILES",
}
"""The `Layout` of each kind, as ``module:name``, in the order in which they are tried."""


def layouts(kind: str | None = None) -> Iterator[Layout]:
    """Yield the layout of a kind, or those of all kinds in the order in which they are tried.

    Raises
    ------
    UsageError
        If there is no such kind.
    """
    if kind is not None and kind not in KINDS:
        raise UsageError(f"no kind of data sets named {kind!r}: use one of {', '.join(KINDS)}")
    for name in KINDS if kind is None else (kind,):
        layout: Layout = resolve_name(KINDS[name])
        yield layout
