"""Which annotation file holds the regions of which result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def pair_regions(results: Sequence[Path], regions: Sequence[Path]) -> list[tuple[Path, Path | None]]:
    """Return each result with the file of its regions; None stands for the whole slide.

    Parameters
    ----------
    results : sequence of Path
    regions : sequence of Path
        None, or as many as there are results, in their order.

    Raises
    ------
    UsageError
        If there are no results, or another number of files.
    """
    if not results:
        raise UsageError("no result is named: give a result folder of `wsi-seg predict`")
    if not regions:
        return [(result, None) for result in results]
    if len(regions) != len(results):
        raise UsageError(
            f"{counted(len(regions), 'files of regions')} for {counted(len(results), 'results')}: give "
            "--regions once for each result, in their order"
        )
    return list(zip(results, regions, strict=True))
