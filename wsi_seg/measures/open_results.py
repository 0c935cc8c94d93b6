"""Open the results that are to be measured: each finished, whole, and named once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wsi_seg.errors import OutputError, UsageError
from wsi_seg.measures.pairing import require_folder
from wsi_seg.results.folder import is_result, labels_in, refuse_folder_of_results, require_finished
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.whole import require_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsi_seg.results.labels.read_labels import LabelPyramid


class Opened(NamedTuple):
    """A result whose labels are whole, and a remark if that cannot be known."""

    path: Path
    labels: LabelPyramid
    remark: str | None

    @property
    def slide(self) -> str:
        """The file name of the slide."""
        return str(self.labels.attributes.get("slide", self.path.name))

    def attribute(self, key: str) -> str:
        """Return what the labels state about how they were made; nothing if they do not."""
        return str(self.labels.attributes.get(key, ""))


def open_whole(path: Path) -> Opened:
    """Open a finished result.

    Parameters
    ----------
    path : Path
        A result folder, or an OME-Zarr inside or outside of one.

    Raises
    ------
    OutputError
        If it is no result, is not finished, or is damaged.
    UsageError
        If it is a folder of results.
    """
    zarr = labels_in(path)
    require_folder(path)
    require_finished(zarr)
    refuse_folder_of_results(path, several=True)
    if not is_result(path):
        raise OutputError(f"{path}: not a result: give a result folder of `wsi-seg predict`")
    labels = read_labels(zarr)
    return Opened(path, labels, require_whole(labels.path))


def require_different(paths: Sequence[tuple[Path, Path | None]]) -> None:
    """Refuse a result that is named twice with the same regions, whose rows would be there twice.

    Raises
    ------
    UsageError
        Naming the result.
    """
    seen = set()
    for result, regions in paths:
        key = (labels_in(result).resolve(), None if regions is None else regions.resolve())
        if key in seen:
            raise UsageError(f"{result}: is named twice: name it once, else its areas would count twice")
        seen.add(key)
