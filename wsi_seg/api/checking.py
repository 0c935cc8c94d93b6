"""Whether QuPath will open a GeoJSON file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.api.asked import AnyPath, flag_of, path_of
from wsi_seg.errors import AnnotationError
from wsi_seg.files.reading import check_plain
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

    Raises
    ------
    AnnotationError
        If there is no such file.
    """
    flag_of("coverage", coverage)
    file = path_of(path)
    try:
        check_plain(file)
    except OSError as error:
        what = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise AnnotationError(f"{file}: {what}: give a GeoJSON file") from error
    return check_file(file, coverage)
