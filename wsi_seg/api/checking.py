"""Whether QuPath will open a GeoJSON file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.api.asked import AnyPath, path_of
from wsi_seg.results.qupath.check import check_file

if TYPE_CHECKING:
    from wsi_seg.results.qupath.check import CheckReport


def check_geojson(path: AnyPath, *, coverage: bool = False) -> CheckReport:
    """Check a GeoJSON file against what QuPath reads.

    QuPath refuses a whole file for one fault, with little explanation.

    Parameters
    ----------
    path : str or path
        ``.geojson`` or ``.json``, perhaps with ``.gz``.
    coverage : bool
        Check also that shapes do not overlap, and share their corners where they touch.

    Returns
    -------
    CheckReport
        ``ok`` says whether QuPath will open the file and take all of it; ``faults`` are what is wrong, each
        with ``where``, ``what``, ``remedy``, and ``warning`` for what QuPath opens, but not as meant.
        Whatever the file holds, there is a report.
    """
    return check_file(path_of(path), coverage)
